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
        let end = if sp < first && first - sp < FIRST_ROOM {
            first
        } else if sp < thread {
            thread
        } else {
            usize::MAX
        };
        // Nothing is shown to be readable yet.
        Self { begin: sp, end: end.min(sp.saturating_add(ROOM)), readable: 0, readable_end: 0 }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of which those with a mark can be read.
    fn pages(readable: &[bool]) -> usize {
        // SAFETY: new memory at an address of the kernel's choice, which is changed by nobody else.
        let begin = unsafe { sys::mmap(0, readable.len() * PAGE, 3, 0x22, -1, 0) };
        for (number, is_readable) in readable.iter().enumerate() {
            let place = begin + number * PAGE;
            // SAFETY: a word of that memory.
            unsafe { *(place as *mut usize) = number };
            assert!(*is_readable || sys::protect(place, PAGE, 0));
        }
        begin
    }

    #[test]
    fn no_page_is_read_before_it_was_shown_to_be_readable() {
        let begin = pages(&[true, false, true, true, false]);
        let mut stack = Stack { begin, end: begin + 5 * PAGE, readable: begin, readable_end: begin };
        for (page, expected) in [
            (2, Some(2)),
            (3, Some(3)),
            (1, None),
            (4, None),
            (2, Some(2)),
            (0, Some(0)),
            (1, None),
            (2, Some(2)),
            (4, None),
            (3, Some(3)),
            (0, Some(0)),
        ] {
            assert_eq!(stack.read(begin + page * PAGE), expected, "page {page}");
        }
        let mut word = |address: usize| stack.read(address);
        assert_eq!(word(begin + PAGE - 8), Some(0), "the last word of a page");
        assert_eq!(word(begin + 4), None, "between two words");
    }

    #[test]
    fn pages_that_were_shown_to_be_readable_follow_each_other() {
        let begin = pages(&[true, true, true, true]);
        let mut stack = Stack { begin, end: begin + 4 * PAGE, readable: 0, readable_end: 0 };
        let mut shown = |at: usize| {
            stack.read(begin + at);
            (stack.readable - begin, stack.readable_end - begin)
        };
        assert_eq!(shown(PAGE + 0xff8), (PAGE, 2 * PAGE));
        assert_eq!(shown(2 * PAGE), (PAGE, 3 * PAGE), "the next page is added");
        for at in [PAGE, PAGE + 8, 3 * PAGE - 8] {
            assert_eq!(shown(at), (PAGE, 3 * PAGE), "{at:x} is known");
        }
        assert_eq!(shown(PAGE - 8), (0, PAGE));
        assert_eq!(shown(3 * PAGE + 0x10), (3 * PAGE, 4 * PAGE));
    }

    #[test]
    fn nothing_outside_the_stack_is_read() {
        let begin = pages(&[true, true, true]);
        let bounds = |from: usize, to: usize| Stack { begin: from, end: to, readable: from, readable_end: from };
        let mut stack = bounds(begin + PAGE, begin + 2 * PAGE);
        for (address, expected) in [
            (begin + PAGE - 8, false),
            (begin + PAGE, true),
            (begin + 2 * PAGE - 8, true),
            (begin + 2 * PAGE, false),
            (begin, false),
            (usize::MAX - 7, false),
            (usize::MAX - 15, false),
        ] {
            assert_eq!(stack.read(address).is_some(), expected, "{address:x}");
        }
    }

    #[test]
    fn the_end_of_a_stack_is_that_of_the_thread_or_of_the_first() {
        prepare();
        let (first, thread) = (FIRST_END.load(Ordering::Relaxed), thread_pointer());
        assert!(first > thread + FIRST_ROOM, "a test runs in a thread of its own, below the first stack");
        let end = |sp: usize| Stack::around(sp).end;
        let here = &raw const first as usize;
        assert!(thread > here && thread - here < ROOM, "the thread runs on the stack that it was given");
        assert_eq!((end(here), end(thread - 8)), (thread, thread));
        assert_eq!(end(thread), thread + ROOM, "above the thread's stack");
        assert_eq!(end(thread - ROOM - 16), thread - 16, "no stack is larger");
        let ends = [8, FIRST_ROOM - 8].map(|below| end(first - below));
        assert_eq!(ends, [first, first - FIRST_ROOM + 8 + ROOM]);
        assert_eq!([0, FIRST_ROOM].map(|below| end(first - below)), [first + ROOM, first - FIRST_ROOM + ROOM]);
        assert_eq!(end(usize::MAX - 7), usize::MAX);
    }
}
