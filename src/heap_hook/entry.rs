//! The functions that the target calls instead of its allocator's.
//!
//! Nearly every call takes the fast path: four instructions and a jump to the real function. They are written by
//! hand, so that no frame is made: the slow path gets the stack pointer and the frame pointer as the caller left them, and the real
//! function sees the caller's return address.
//!
//! `reallocarray` is not among them. The C library's calls `realloc`, whosever that is; one of ours would bring together
//! blocks and functions of two allocators where a program has one of its own that lacks it.

use core::arch::naked_asm;

use crate::{blocks, real, table};

/// Subtracts a size from the count, then goes to the real function, or to the slow one with the caller's registers.
macro_rules! counted {
    ($(#[$about:meta])* $name:ident, $size:literal, [$sp:literal, $bp:literal], $real:path, $slow:path) => {
        $(#[$about])*
        ///
        /// # Safety
        ///
        /// That of the C function.
        #[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                "mov rax, qword ptr [rip + tidewatch_local@GOTTPOFF]",
                concat!("sub qword ptr fs:[rax], ", $size),
                "jb 2f",
                "jmp qword ptr [rip + {real}]",
                "2:",
                concat!("mov ", $sp, ", rsp"),
                concat!("mov ", $bp, ", rbp"),
                "jmp {slow}",
                real = sym $real,
                slow = sym $slow,
            )
        }
    };
}

/// Looks an address up in the filter, then goes to the real function, or to the slow one.
macro_rules! filtered {
    ($(#[$about:meta])* $name:ident, $real:path, $slow:path) => {
        $(#[$about])*
        ///
        /// # Safety
        ///
        /// That of the C function.
        #[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                "mov eax, edi",
                "shr eax, 4",
                "movzx eax, ax",
                "lea r11, [rip + {filter}]",
                "cmp byte ptr [r11 + rax], 0",
                "jne 2f",
                "jmp qword ptr [rip + {real}]",
                "2:",
                "jmp {slow}",
                filter = sym table::FILTER,
                real = sym $real,
                slow = sym $slow,
            )
        }
    };
}

counted!(
    /// `void *malloc(size_t size)`
    malloc, "rdi", ["rsi", "rdx"], real::MALLOC, blocks::malloc_crossed
);
counted!(
    /// `void *memalign(size_t align, size_t size)`
    memalign, "rsi", ["rdx", "rcx"], real::MEMALIGN, blocks::memalign_crossed
);
counted!(
    /// `void *aligned_alloc(size_t align, size_t size)`
    aligned_alloc, "rsi", ["rdx", "rcx"], real::ALIGNED_ALLOC, blocks::aligned_alloc_crossed
);
counted!(
    /// `int posix_memalign(void **to, size_t align, size_t size)`
    posix_memalign, "rdx", ["rcx", "r8"], real::POSIX_MEMALIGN, blocks::posix_memalign_crossed
);
counted!(
    /// `void *valloc(size_t size)`
    valloc, "rdi", ["rsi", "rdx"], real::VALLOC, blocks::valloc_crossed
);
counted!(
    /// `void *pvalloc(size_t size)`
    pvalloc, "rdi", ["rsi", "rdx"], real::PVALLOC, blocks::pvalloc_crossed
);
filtered!(
    /// `void free(void *block)`
    free, real::FREE, blocks::free_known
);
filtered!(
    /// `int munmap(void *at, size_t size)`
    munmap, real::MUNMAP, blocks::munmap_known
);
filtered!(
    /// `void *mremap(void *at, size_t old, size_t new, int flags, ..)`
    mremap, real::MREMAP, blocks::mremap_known
);

/// `void *calloc(size_t number, size_t size)`
///
/// # Safety
///
/// That of the C function.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn calloc() {
    naked_asm!(
        "mov rax, rdi",
        "mul rsi",
        // A product that does not fit is an allocation that fails.
        "jo 3f",
        "mov rcx, qword ptr [rip + tidewatch_local@GOTTPOFF]",
        "sub qword ptr fs:[rcx], rax",
        "jb 2f",
        "3:",
        "jmp qword ptr [rip + {real}]",
        "2:",
        "mov rdx, rsp",
        "mov rcx, rbp",
        "jmp {slow}",
        real = sym real::CALLOC,
        slow = sym blocks::calloc_crossed,
    )
}

/// `void *realloc(void *block, size_t size)`
///
/// # Safety
///
/// That of the C function.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn realloc() {
    naked_asm!(
        "mov rax, qword ptr [rip + tidewatch_local@GOTTPOFF]",
        "sub qword ptr fs:[rax], rsi",
        "jb 2f",
        "mov eax, edi",
        "shr eax, 4",
        "movzx eax, ax",
        "lea r11, [rip + {filter}]",
        "cmp byte ptr [r11 + rax], 0",
        "jne 3f",
        "jmp qword ptr [rip + {real}]",
        "2:",
        "mov rdx, rsp",
        "mov rcx, rbp",
        "jmp {crossed}",
        "3:",
        "mov rdx, rsp",
        "mov rcx, rbp",
        "jmp {known}",
        filter = sym table::FILTER,
        real = sym real::REALLOC,
        crossed = sym blocks::realloc_crossed,
        known = sym blocks::realloc_known,
    )
}

/// `void *mmap(void *at, size_t size, int prot, int flags, int file, off_t offset)`
///
/// # Safety
///
/// That of the C function.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn mmap() {
    naked_asm!(
        "mov eax, ecx",
        "and eax, 0x22",
        "cmp eax, 0x22",
        "je 2f",
        "jmp qword ptr [rip + {real}]",
        "2:",
        "mov rax, rsp",
        "sub rsp, 8",
        "push rbp",
        "push rax",
        "call {slow}",
        "add rsp, 24",
        "ret",
        real = sym real::MMAP,
        slow = sym blocks::mmap_anonymous,
    )
}

/// `mmap` under its name for large files.
///
/// # Safety
///
/// That of the C function.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn mmap64() {
    naked_asm!("jmp {mmap}", mmap = sym mmap)
}

/// `int dlclose(void *handle)`
///
/// # Safety
///
/// That of the C function.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
pub unsafe extern "C" fn dlclose(handle: *mut core::ffi::c_void) -> i32 {
    // SAFETY: as for the caller.
    unsafe { blocks::dlclose_and_forget(handle) }
}
