//! What a borrowed thread does, from the moment it is sent here until it is back in its program.
//!
//! The injector sends a thread here, with a [`Visit`] that says what is to be done, and looks from outside how far it is. The thread
//! depends on nobody meanwhile: when it is done it waits a moment to be put back, and then puts itself back, over a
//! frame for `rt_sigreturn` that was prepared before. So a program goes on whenever its injector ends.
//!
//! This code runs before the library is loaded, mapped from its file as it is: nothing in it may need a relocation, so it is
//! written by hand, and reaches functions through the visit alone.

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::order::{NO_LIBRARY, TEXT_BYTES, VISIT_BEGUN, VISIT_DONE, VISIT_LEFT, Visit};

const RTLD_NOW: u32 = 2;
const SYS_CLOSE: u32 = 3;
const SYS_PPOLL: u32 = 271;

/// Carries out the visit that `rdi` points to, on an empty stack of its own, with all signals blocked.
///
/// # Safety
///
/// Entered by a change of registers alone, never called: it returns over the frame at [`Visit::way_back`].
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn tidewatch_heap_visit() {
    naked_asm!(
        "mov rbx, rdi",
        "mov qword ptr [rbx + {state}], {begun}",
        "call qword ptr [rbx + {errno_location}]",
        "mov r12, rax",
        "mov r13d, dword ptr [rax]",
        "mov r14, qword ptr [rbx + {library}]",
        "test r14, r14",
        "jnz 2f",
        // Load the library: the first word of its handle is where it lies.
        "lea rdi, [rbx + {path}]",
        "mov esi, {now}",
        "call qword ptr [rbx + {dlopen}]",
        "test rax, rax",
        "jz 3f",
        "mov r14, qword ptr [rax]",
        "mov qword ptr [rbx + {library}], r14",
        // Hand over the order, and have it obeyed.
        "2:",
        "mov rsi, qword ptr [rbx + {order}]",
        "mov rcx, qword ptr [rbx + {order_bytes}]",
        "mov rdi, qword ptr [rbx + {room}]",
        "add rdi, r14",
        "cld",
        "rep movsb",
        "mov rax, qword ptr [rbx + {obey}]",
        "add rax, r14",
        "call rax",
        "mov qword ptr [rbx + {answer}], rax",
        "jmp 5f",
        // The loader refused: take its words along, they are this thread's alone until its next call.
        "3:",
        "mov qword ptr [rbx + {answer}], {no_library}",
        "call qword ptr [rbx + {dlerror}]",
        "test rax, rax",
        "jz 5f",
        "lea rdi, [rbx + {text}]",
        "mov ecx, {text_bytes} - 1",
        "4:",
        "mov dl, byte ptr [rax]",
        "mov byte ptr [rdi], dl",
        "test dl, dl",
        "jz 5f",
        "inc rax",
        "inc rdi",
        "dec ecx",
        "jnz 4b",
        // Close what was made for this.
        "5:",
        "mov rdi, qword ptr [rbx + {files}]",
        "test rdi, rdi",
        "js 6f",
        "mov eax, {close}",
        "syscall",
        "6:",
        "mov rdi, qword ptr [rbx + {files} + 8]",
        "test rdi, rdi",
        "js 7f",
        "mov eax, {close}",
        "syscall",
        "7:",
        "mov dword ptr [r12], r13d",
        "mov qword ptr [rbx + {state}], {done}",
        // Wait for the injector, but not for long.
        "xor edi, edi",
        "xor esi, esi",
        "lea rdx, [rbx + {patience}]",
        "xor r10d, r10d",
        "mov r8d, 8",
        "mov eax, {ppoll}",
        "syscall",
        // From the moment that it says so, another may be sent here; until then its stack pointer says that it is here.
        "mov rax, qword ptr [rbx + {way_back}]",
        "mov qword ptr [rbx + {state}], {left}",
        "mov rsp, rax",
        "ret",
        state = const offset_of!(Visit, state),
        answer = const offset_of!(Visit, answer),
        library = const offset_of!(Visit, library),
        errno_location = const offset_of!(Visit, errno_location),
        dlopen = const offset_of!(Visit, dlopen),
        dlerror = const offset_of!(Visit, dlerror),
        order = const offset_of!(Visit, order),
        order_bytes = const offset_of!(Visit, order_bytes),
        room = const offset_of!(Visit, room),
        obey = const offset_of!(Visit, obey),
        files = const offset_of!(Visit, files),
        patience = const offset_of!(Visit, patience),
        way_back = const offset_of!(Visit, way_back),
        path = const offset_of!(Visit, path),
        text = const offset_of!(Visit, text),
        text_bytes = const TEXT_BYTES,
        begun = const VISIT_BEGUN,
        done = const VISIT_DONE,
        left = const VISIT_LEFT,
        no_library = const NO_LIBRARY,
        now = const RTLD_NOW,
        close = const SYS_CLOSE,
        ppoll = const SYS_PPOLL,
    )
}
