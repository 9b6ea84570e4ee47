//! The functions that the sampler stands before: found once, and called through pointers.
//!
//! Before they are found each pointer leads to a function that finds them. Finding may allocate; such calls, and only such,
//! are served from a small arena of our own, whose blocks are never freed.

use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crate::arena::Arena;
use crate::order::FUNCTIONS;
use crate::{sys, table};

type Pointer = AtomicPtr<c_void>;

macro_rules! found_by_name {
    ($($(#[$about:meta])* $pointer:ident, $name:literal, $first:path;)*) => {
        $($(#[$about])* pub static $pointer: Pointer = AtomicPtr::new($first as *const () as *mut c_void);)*

        const NAMES: [(&CStr, &Pointer); 13] = [$(($name, &$pointer)),*];
    };
}

found_by_name! {
    /// The real `malloc`.
    MALLOC, c"malloc", first_malloc;
    /// The real `free`.
    FREE, c"free", first_free;
    /// The real `calloc`.
    CALLOC, c"calloc", first_calloc;
    /// The real `realloc`.
    REALLOC, c"realloc", first_realloc;
    /// The real `memalign`.
    MEMALIGN, c"memalign", first_memalign;
    /// The real `aligned_alloc`.
    ALIGNED_ALLOC, c"aligned_alloc", first_aligned_alloc;
    /// The real `posix_memalign`.
    POSIX_MEMALIGN, c"posix_memalign", first_posix_memalign;
    /// The real `valloc`.
    VALLOC, c"valloc", first_valloc;
    /// The real `pvalloc`.
    PVALLOC, c"pvalloc", first_pvalloc;
    /// The real `mmap`.
    MMAP, c"mmap", first_mmap;
    /// The real `munmap`.
    MUNMAP, c"munmap", first_munmap;
    /// The real `mremap`.
    MREMAP, c"mremap", first_mremap;
    /// The real `dlclose`.
    DLCLOSE, c"dlclose", first_dlclose;
}

/// Calls the function that a pointer leads to.
macro_rules! call {
    ($pointer:ident($($value:expr),*): fn($($type:ty),*) -> $result:ty) => {{
        let function = $crate::real::$pointer.load(core::sync::atomic::Ordering::Relaxed);
        // SAFETY: the pointer leads to the function of this name, or to its stand-in of the same type.
        unsafe {
            core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> $result>(function)($($value),*)
        }
    }};
}
pub(crate) use call;

const UNKNOWN: u32 = 0;
const LOOKING: u32 = 1;
const KNOWN: u32 = 2;

static STATE: AtomicU32 = AtomicU32::new(UNKNOWN);
/// Where an attached sampler looks: it stands before nothing.
static IS_PRELOADED: AtomicBool = AtomicBool::new(true);
static ALLOCATOR_BEGIN: AtomicUsize = AtomicUsize::new(0);
static ALLOCATOR_END: AtomicUsize = AtomicUsize::new(0);

/// Finds all functions. False while that is going on.
pub fn find() -> bool {
    if let Err(state) = STATE.compare_exchange(UNKNOWN, LOOKING, Ordering::Acquire, Ordering::Acquire) {
        return state == KNOWN;
    }
    let errno = sys::errno();
    let handle = if IS_PRELOADED.load(Ordering::Relaxed) { sys::RTLD_NEXT } else { sys::RTLD_DEFAULT };
    for (name, pointer) in &NAMES {
        // SAFETY: the name ends with a zero.
        let found = unsafe { sys::dlsym(handle, name.as_ptr()) };
        let found = if found.is_null() { absent as *const () as *mut c_void } else { found };
        pointer.store(found, Ordering::Release);
    }
    sys::set_errno(errno);
    STATE.store(KNOWN, Ordering::Release);
    true
}

/// Finds all functions for a library that was loaded into a running process.
pub fn find_attached() -> bool {
    IS_PRELOADED.store(false, Ordering::Relaxed);
    find()
}

/// Takes the functions as an injector has found them, without looking for any: no lock is waited for. Slots may lead here
/// already, from before: the functions are the same then. One that was not found has no slot that leads here.
pub fn take(found: &[u64; FUNCTIONS]) {
    IS_PRELOADED.store(false, Ordering::Relaxed);
    // `mmap` has two names and one pointer.
    for (name, pointer) in &NAMES {
        let which = crate::order::NAMES.iter().position(|known| *known == *name);
        let address = which.and_then(|which| found.get(which).copied()).unwrap_or(0);
        let address = if address == 0 { absent as *const () as usize } else { address as usize };
        pointer.store(address as *mut c_void, Ordering::Release);
    }
    STATE.store(KNOWN, Ordering::Release);
}

/// A function that this C library does not have: an allocation that fails. No caller can have been linked with it.
extern "C" fn absent() -> *mut c_void {
    core::ptr::null_mut()
}

/// The address of the real `malloc`.
pub fn allocator() -> usize {
    MALLOC.load(Ordering::Relaxed) as usize
}

/// Remembers where the allocator's code is. Told once unwinding is prepared.
pub fn learn_allocator() {
    if let Some(module) = crate::unwind::modules::of(allocator()) {
        ALLOCATOR_END.store(module.end, Ordering::Relaxed);
        ALLOCATOR_BEGIN.store(module.start, Ordering::Relaxed);
    }
}

/// Whether this code is the allocator's own. What it maps are blocks to be, and they are counted as such.
pub fn is_allocator(pc: usize) -> bool {
    (ALLOCATOR_BEGIN.load(Ordering::Relaxed)..ALLOCATOR_END.load(Ordering::Relaxed)).contains(&pc)
}

const ENOMEM: i32 = 12;

static ARENA: Arena = Arena::new();

/// A block from the arena. Its free never takes the fast path.
pub fn early(size: usize, align: usize) -> *mut c_void {
    let block = ARENA.block(size, align);
    if !block.is_null() {
        table::never_fast(block as u64);
    }
    block
}

/// Whether a block is of the arena.
pub fn is_early(block: *const c_void) -> bool {
    ARENA.holds(block)
}

/// How many bytes of a block of the arena may be read.
pub fn early_size(block: *const c_void) -> usize {
    // SAFETY: only blocks for which `is_early` holds are asked for.
    unsafe { Arena::size(block) }
}

type Block = *mut c_void;

unsafe extern "C" fn first_malloc(size: usize) -> Block {
    if find() { call!(MALLOC(size): fn(usize) -> Block) } else { early(size, 16) }
}

unsafe extern "C" fn first_free(block: Block) {
    if !is_early(block) && find() {
        call!(FREE(block): fn(Block) -> ());
    }
}

unsafe extern "C" fn first_calloc(count: usize, size: usize) -> Block {
    if find() {
        return call!(CALLOC(count, size): fn(usize, usize) -> Block);
    }
    count.checked_mul(size).map_or(core::ptr::null_mut(), |bytes| early(bytes, 16))
}

unsafe extern "C" fn first_realloc(block: Block, size: usize) -> Block {
    if find() {
        return call!(REALLOC(block, size): fn(Block, usize) -> Block);
    }
    let new = early(size, 16);
    if !new.is_null() && is_early(block) {
        // SAFETY: both blocks are of the arena, and this long.
        unsafe { core::ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast::<u8>(), early_size(block).min(size)) };
    }
    new
}

unsafe extern "C" fn first_memalign(align: usize, size: usize) -> Block {
    if find() { call!(MEMALIGN(align, size): fn(usize, usize) -> Block) } else { early(size, align) }
}

unsafe extern "C" fn first_aligned_alloc(align: usize, size: usize) -> Block {
    if find() { call!(ALIGNED_ALLOC(align, size): fn(usize, usize) -> Block) } else { early(size, align) }
}

unsafe extern "C" fn first_posix_memalign(block: *mut Block, align: usize, size: usize) -> i32 {
    if find() {
        return call!(POSIX_MEMALIGN(block, align, size): fn(*mut Block, usize, usize) -> i32);
    }
    let early = early(size, align);
    if early.is_null() {
        return ENOMEM;
    }
    // SAFETY: the caller's place for the block.
    unsafe { *block = early };
    0
}

unsafe extern "C" fn first_valloc(size: usize) -> Block {
    if find() { call!(VALLOC(size): fn(usize) -> Block) } else { absent() }
}

unsafe extern "C" fn first_pvalloc(size: usize) -> Block {
    if find() { call!(PVALLOC(size): fn(usize) -> Block) } else { absent() }
}

unsafe extern "C" fn first_mmap(at: Block, size: usize, prot: i32, flags: i32, file: i32, offset: i64) -> Block {
    if find() {
        return call!(MMAP(at, size, prot, flags, file, offset): fn(Block, usize, i32, i32, i32, i64) -> Block);
    }
    // SAFETY: what the caller asks for, from the kernel itself.
    unsafe { sys::mmap(at as usize, size, prot, flags, file, offset) as Block }
}

unsafe extern "C" fn first_munmap(at: Block, size: usize) -> i32 {
    if find() {
        return call!(MUNMAP(at, size): fn(Block, usize) -> i32);
    }
    // SAFETY: what the caller asks for, from the kernel itself.
    unsafe { sys::munmap(at as usize, size) }
}

unsafe extern "C" fn first_mremap(at: Block, old: usize, new: usize, flags: i32, to: Block) -> Block {
    if find() {
        return call!(MREMAP(at, old, new, flags, to): fn(Block, usize, usize, i32, Block) -> Block);
    }
    // SAFETY: what the caller asks for, from the kernel itself.
    unsafe { sys::mremap(at as usize, old, new, flags, to as usize) as Block }
}

unsafe extern "C" fn first_dlclose(handle: Block) -> i32 {
    if find() { call!(DLCLOSE(handle): fn(Block) -> i32) } else { -1 }
}

#[cfg(test)]
mod tests;
