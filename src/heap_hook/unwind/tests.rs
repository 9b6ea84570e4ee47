//! The unwinder against the C library's, and against memory that makes no sense.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod damaged;
mod programs;
mod steps;

use std::arch::naked_asm;
use std::ffi::{c_int, c_void};
use std::hint::black_box;

use proptest::prelude::*;

use super::cfi::{Cfa, Rule, Saved};
use super::cursor::Cursor;
use super::*;

unsafe extern "C" {
    fn backtrace(frames: *mut *mut c_void, most: c_int) -> c_int;
    fn qsort(base: *mut c_void, items: usize, size: usize, compare: extern "C" fn(*const i32, *const i32) -> c_int);
}

extern "C" fn walk_into(to: &mut Vec<u64>, sp: usize, bp: usize) {
    // SAFETY: called with the stack pointer at the begin of `walk_here`.
    let walk = unsafe { walk(sp, bp) };
    assert_ne!(walk.end, End::Deep);
    to.extend_from_slice(&walk.frames[..walk.length]);
}

/// Walks as an allocation does: from the registers at its first instruction.
#[unsafe(naked)]
extern "C" fn walk_here(to: &mut Vec<u64>) {
    naked_asm!("mov rsi, rsp", "mov rdx, rbp", "jmp {walk_into}", walk_into = sym walk_into)
}

/// Both unwinders see the same callers of the caller.
#[inline(never)]
fn both_agree() {
    assert!(prepare());
    let (mut ours, mut theirs) = (Vec::new(), [std::ptr::null_mut(); 64]);
    walk_here(&mut ours);
    // SAFETY: there is room for 64 addresses.
    let found = unsafe { backtrace(theirs.as_mut_ptr(), 64) } as usize;
    let theirs: Vec<u64> = theirs[..found].iter().map(|frame| *frame as u64).collect();
    assert!(theirs.len() > 3, "{theirs:x?}");
    assert_eq!(ours[1..], theirs[1..], "{ours:x?}\n{theirs:x?}");
}

#[inline(never)]
fn nested(depth: usize, words: &[u64]) -> u64 {
    let sum = words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word));
    if depth == 0 {
        both_agree();
        return sum;
    }
    let mut more = [sum; 37];
    more[depth] ^= nested(depth - 1, black_box(&more[..depth + 5]));
    black_box(more).iter().fold(0, |sum, word| sum ^ word)
}

extern "C" fn compare(a: *const i32, b: *const i32) -> c_int {
    both_agree();
    // SAFETY: elements of the array that is sorted.
    unsafe { *a - *b }
}

#[test]
fn callers_are_those_that_the_c_library_finds() {
    both_agree();
    for depth in [1, 2, 20] {
        black_box(nested(depth, &[1, 2, 3]));
    }
    let mut numbers = [3, 1, 2];
    // SAFETY: three elements of four bytes.
    unsafe { qsort(numbers.as_mut_ptr().cast(), 3, 4, compare) };
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn rules_are_kept_and_forgotten() {
    both_agree();
    clear();
    std::thread::spawn(both_agree).join().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for round in 0..200 {
                    black_box(nested(round % 30, &[4, 5]));
                    if round % 10 == 0 {
                        clear();
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

extern "C" fn on_signal(_: c_int) {
    let (mut ours, mut theirs) = (Vec::new(), [std::ptr::null_mut(); 64]);
    walk_here(&mut ours);
    // SAFETY: there is room for 64 addresses.
    let found = unsafe { backtrace(theirs.as_mut_ptr(), 64) } as usize;
    let theirs: Vec<u64> = theirs[..found].iter().map(|frame| *frame as u64).collect();
    let moved: Vec<u64> = ours[1..].iter().zip(&theirs[1..]).map(|(ours, theirs)| ours.wrapping_sub(*theirs)).collect();
    // The interrupted instruction is one before the address; every other frame is a return address.
    assert_eq!(ours.len(), theirs.len(), "{ours:x?}\n{theirs:x?}");
    assert_eq!(moved.iter().sum::<u64>(), 1, "{ours:x?}\n{theirs:x?}");
    IS_HANDLED.store(true, std::sync::atomic::Ordering::Relaxed);
}

extern "C" fn in_handler(to: &mut bool, sp: usize, bp: usize) {
    // SAFETY: called with the stack pointer at the begin of `look_here`.
    *to = unsafe { walk(sp, bp) }.is_in_handler;
}

#[unsafe(naked)]
extern "C" fn look_here(to: &mut bool) {
    naked_asm!("mov rsi, rsp", "mov rdx, rbp", "jmp {in_handler}", in_handler = sym in_handler)
}

static IS_HANDLED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
static IS_SEEN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

extern "C" fn on_signal_elsewhere(_: c_int) {
    let mut is_in_handler = false;
    look_here(&mut is_in_handler);
    IS_SEEN.store(is_in_handler, std::sync::atomic::Ordering::Relaxed);
}

#[repr(C)]
struct SignalStack {
    place: *mut c_void,
    flags: c_int,
    bytes: usize,
}

#[repr(C)]
struct Action {
    handler: extern "C" fn(c_int),
    mask: [u64; 16],
    flags: c_int,
    restorer: usize,
}

unsafe extern "C" {
    fn sigaction(signal: c_int, action: *const Action, before: *mut Action) -> c_int;
    fn sigaltstack(stack: *const SignalStack, before: *mut SignalStack) -> c_int;
    fn raise(signal: c_int) -> c_int;
}

#[test]
fn stacks_are_followed_through_signal_handlers() {
    const USR1: c_int = 10;
    const USR2: c_int = 12;
    const ON_STACK: c_int = 0x0800_0000;
    both_agree();
    let mut is_in_handler = true;
    look_here(&mut is_in_handler);
    assert!(!is_in_handler);
    let room = vec![0_u8; 256 << 10].leak();
    let stack = SignalStack { place: room.as_mut_ptr().cast(), flags: 0, bytes: room.len() };
    let action = |handler, flags| Action { handler, mask: [0; 16], flags, restorer: 0 };
    // SAFETY: handlers that walk the stack and store a word; nothing else in these tests uses the two signals.
    unsafe {
        assert_eq!(sigaction(USR1, &action(on_signal, 0), std::ptr::null_mut()), 0);
        assert_eq!(raise(USR1), 0);
        assert_eq!(sigaltstack(&stack, std::ptr::null_mut()), 0);
        assert_eq!(sigaction(USR1, &action(on_signal, ON_STACK), std::ptr::null_mut()), 0);
        assert_eq!(raise(USR1), 0);
        assert_eq!(sigaction(USR2, &action(on_signal_elsewhere, ON_STACK), std::ptr::null_mut()), 0);
        assert_eq!(raise(USR2), 0);
    }
    let is_set = |flag: &std::sync::atomic::AtomicBool| flag.load(std::sync::atomic::Ordering::Relaxed);
    assert!(is_set(&IS_HANDLED) && is_set(&IS_SEEN));
}

fn cursor(bytes: &'static [u8]) -> Cursor {
    let begin = bytes.as_ptr() as usize;
    // SAFETY: the bytes are static.
    unsafe { Cursor::new(begin, begin + bytes.len()) }
}

#[test]
fn numbers_of_tables_are_read() {
    for (bytes, unsigned, signed) in [
        (b"\x02".as_slice(), Some(2), Some(2)),
        (b"\x7f", Some(127), Some(-1)),
        (b"\x80\x01", Some(128), Some(128)),
        (b"\x80\x7f", Some(16_256), Some(-128)),
        (b"\xe5\x8e\x26", Some(624_485), Some(624_485)),
        (b"\x80", None, None),
        (b"", None, None),
    ] {
        assert_eq!((cursor(bytes).uleb(), cursor(bytes).sleb()), (unsigned, signed), "{bytes:x?}");
    }
    let here = b"\xfc\xff\xff\xff";
    assert_eq!(cursor(here).pointer(0x1b, 0), Some(here.as_ptr() as usize - 4));
    assert_eq!(cursor(here).pointer(0x3b, 100), Some(96));
    assert_eq!(cursor(here).pointer(0x00, 0), None, "eight bytes are not there");
}

#[test]
fn expressions_mean_what_dwarf_says() {
    let registers = Registers { pc: 0x100b, sp: 0x2000, bp: 0x3000 };
    for (code, expected) in [
        (b"\x77\x08".as_slice(), Some(0x2008)),
        (b"\x76\x78", Some(0x2ff8)),
        // A stub of a procedure linkage table: sp + 8 + (pc & 15 >= 11) << 3.
        (b"\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22", Some(0x2010)),
        (b"\x31\x32\x16\x1c", Some(1)),
        (b"\x31\x32\x33\x17\x13\x1c", Some(3_u64.wrapping_sub(1))),
        (b"\x35\x12\x1e\x23\x80\x01", Some(153)),
        (b"\x31\x28\x01\x00\x39\x38", Some(8)),
        (b"\x09\xff\x1f", Some(1)),
        (b"\x31\x30\x1b", None),
        (b"\x22", None),
        (b"\x2f\xfd\xff", None),
        (b"\x73\x00", None),
    ] {
        let value = expression::value(cursor(code), &registers, &mut Stack::around(0x2000), None);
        assert_eq!(value, expected, "{code:x?}");
    }
}

fn saved() -> impl Strategy<Value = Saved> {
    prop_oneof![Just(Saved::Same), (-40_000_i64..40_000).prop_map(Saved::At), any::<i64>().prop_map(Saved::Value)]
}

proptest! {
    #[test]
    fn simple_rules_keep_their_meaning(offset: i64, from_frame: bool, bp in saved(), pc in saved(), sp: usize) {
        let cfa = if from_frame { Cfa::Frame(offset) } else { Cfa::Stack(offset) };
        let rule = Rule { cfa, pc, bp, is_signal: false };
        if let Some(simple) = cache::Simple::of(&rule) {
            let base = if from_frame { 77 } else { sp };
            prop_assert_eq!(simple.cfa(sp, 77), base.wrapping_add_signed(offset as isize));
            prop_assert!(matches!(pc, Saved::At(-8)) && !simple.is_outermost());
            prop_assert_eq!(simple.bp(), if let Saved::At(offset) = bp { Some(offset as isize) } else { None });
        }
    }

    /// A stack of nonsense, with addresses of real functions and of itself in it, is walked without a fault.
    #[test]
    fn any_memory_is_walked_without_harm(words in prop::collection::vec((0_u8..4, any::<u32>()), 64..600), bp: u32) {
        prepare();
        let code = nested as *const () as usize;
        let mut memory = vec![0_usize; words.len()];
        let begin = memory.as_ptr() as usize;
        for (to, (kind, number)) in memory.iter_mut().zip(&words) {
            let number = *number as usize;
            *to = match kind {
                0 => code + number % 8192,
                1 => begin + number % 8192,
                2 => backtrace as *const () as usize + number % 65_536,
                _ => number,
            };
        }
        // SAFETY: no module is unloaded meanwhile; the rest is what is tested.
        let walk = unsafe { walk(begin, begin + bp as usize % 8192) };
        prop_assert!(walk.length >= 1);
    }

    #[test]
    fn any_program_of_rules_is_run_without_harm(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        // Not empty: a header at the end of a module would be taken for one in another segment, and there is none.
        let bytes: &'static [u8] = bytes.leak();
        let registers = Registers { pc: 1, sp: 0x1000, bp: 0 };
        let _ = expression::value(cursor(bytes), &registers, &mut Stack::around(0x1000), Some(5));
        let begin = bytes.as_ptr() as usize;
        let module = modules::Module::for_tests(begin, begin + bytes.len());
        let _ = module.description(begin + 10);
        let _ = cfi::rule(&module, begin, begin + 10);
    }
}
