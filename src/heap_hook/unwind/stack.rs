//! Reads of the stack that can never fault.
//!
//! The end of a stack is known for the first thread (`__libc_stack_end`) and for threads that run on the stack they were given
//! (the thread pointer lies at its end). A coroutine may run on any memory. So each page is shown to be readable
//! before it is read for the first time in a walk; a walk touches few pages.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::sys;

/// The end of the first thread's stack.
static FIRST_END: AtomicUsize = AtomicUsize::new(0);
/// The kernel keeps this much address space below the first stack free of everything else.
const FIRST_ROOM: usize = 120 << 20;
/// The most that is taken for a stack where its end is not known.
const ROOM: usize = 64 << 20;
const PAGE: usize = 4096;

/// Looks for what is needed. Told once, before the first stack is taken.
pub fn prepare() {
    // SAFETY: the name ends with a zero.
    let end = unsafe { sys::dlsym(sys::RTLD_DEFAULT, c"__libc_stack_end".as_ptr()) };
    if !end.is_null() {
        // SAFETY: the loader's variable holds the address.
        FIRST_END.store(unsafe { *end.cast::<usize>() }, Ordering::Relaxed);
    }
}

/// The stack that the walk is on.
pub struct Stack {
    begin: usize,
    end: usize,
    /// Pages from here ..
    readable: usize,
    /// .. to here were shown to be readable.
    readable_end: usize,
}

impl Stack {
    /// The stack that holds this stack pointer.
    pub fn around(sp: usize) -> Self {
        let first = FIRST_END.load(Ordering::Relaxed);
        let thread = thread_pointer();
        let page = sp & !(PAGE - 1);
        let end = if sp < first && first - sp < FIRST_ROOM {
            first
        } else if sp < thread {
            thread
        } else {
            usize::MAX
        };
        // Nothing is shown to be readable yet.
        Self { begin: sp, end: end.min(sp.saturating_add(ROOM)), readable: page, readable_end: page }
    }

    /// The word at an address.
    pub fn read(&mut self, address: usize) -> Option<usize> {
        let last = address.checked_add(8)?;
        if address < self.begin || last > self.end || !address.is_multiple_of(8) {
            return None;
        }
        if address < self.readable || last > self.readable_end {
            if !sys::is_readable(address) {
                return None;
            }
            let page = address & !(PAGE - 1);
            if page == self.readable_end {
                self.readable_end = page.wrapping_add(PAGE);
            } else {
                (self.readable, self.readable_end) = (page, page.wrapping_add(PAGE));
            }
        }
        // SAFETY: aligned, and on a page that this walk has read or shown to be readable.
        Some(unsafe { (address as *const usize).read() })
    }
}

fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: the first word of a thread's block is its own address.
    unsafe {
        core::arch::asm!("mov {}, qword ptr fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags))
    };
    pointer
}
