//! How the library begins and ends: with the program it was preloaded into, or when it is told to.

use core::ffi::{c_char, c_int, c_void};

use crate::{entry, real, state};

/// Run by the loader before the program's own constructors.
#[cfg_attr(tidewatch_hook, used, unsafe(link_section = ".init_array"))]
pub static BEGIN: unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char) = begin;

unsafe extern "C" fn begin(_: c_int, _: *const *const c_char, environment: *const *const c_char) {
    // SAFETY: the loader hands over the environment.
    unsafe { state::begin(environment) };
}

/// Begins to record into an empty file, for a library that was loaded into a running process. Nothing is
/// called before the slots of the program's modules lead here ([`tidewatch_heap_entries`]). 0, or -1 when it cannot.
///
/// # Safety
///
/// No slot leads here yet; the file is open for reading and writing.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
pub unsafe extern "C" fn tidewatch_heap_attach(file: c_int, interval: u64) -> c_int {
    if real::find_attached() && state::attach(file, interval) { 0 } else { -1 }
}

/// Stops recording. Slots may lead here for as long as they like: every call is passed on.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
pub extern "C" fn tidewatch_heap_detach() {
    state::stop();
}

/// A function of the program, and the one that stands before it.
#[repr(C)]
pub struct Entry {
    /// Its name, ended by a zero.
    pub name: *const c_char,
    /// Ours.
    pub ours: *const c_void,
    /// A pointer to the address of the real one, once [`tidewatch_heap_attach`] has found it.
    pub real: *const c_void,
}

// SAFETY: addresses of constants.
unsafe impl Sync for Entry {}

macro_rules! entries {
    ($($name:literal, $ours:path, $real:path;)*) => {
        [$(Entry {
            name: $name.as_ptr(),
            ours: $ours as *const c_void,
            real: (&raw const $real).cast(),
        },)*]
    };
}

/// All functions that are stood before. A null name would not fit in here: the count is [`tidewatch_heap_entries`]'s.
static ENTRIES: [Entry; crate::order::FUNCTIONS] = entries! {
    c"malloc", entry::malloc, real::MALLOC;
    c"free", entry::free, real::FREE;
    c"calloc", entry::calloc, real::CALLOC;
    c"realloc", entry::realloc, real::REALLOC;
    c"memalign", entry::memalign, real::MEMALIGN;
    c"aligned_alloc", entry::aligned_alloc, real::ALIGNED_ALLOC;
    c"posix_memalign", entry::posix_memalign, real::POSIX_MEMALIGN;
    c"valloc", entry::valloc, real::VALLOC;
    c"pvalloc", entry::pvalloc, real::PVALLOC;
    c"mmap", entry::mmap, real::MMAP;
    c"mmap64", entry::mmap64, real::MMAP;
    c"munmap", entry::munmap, real::MUNMAP;
    c"mremap", entry::mremap, real::MREMAP;
    c"dlclose", entry::dlclose, real::DLCLOSE;
};

/// The functions that slots may lead to; `count` is set to their number.
///
/// # Safety
///
/// `count` is writable.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
pub unsafe extern "C" fn tidewatch_heap_entries(count: *mut usize) -> *const Entry {
    // SAFETY: promised by the caller.
    unsafe { *count = ENTRIES.len() };
    ENTRIES.as_ptr()
}

/// Our functions, in the order of [`crate::order::NAMES`].
pub fn ours() -> [usize; crate::order::FUNCTIONS] {
    let mut ours = [0; crate::order::FUNCTIONS];
    for (address, entry) in ours.iter_mut().zip(&ENTRIES) {
        *address = entry.ours as usize;
    }
    ours
}

#[cfg(test)]
mod tests;
