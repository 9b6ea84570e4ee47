//! Single steps over stacks and tables that are written here word by word.

use std::ffi::c_long;

use super::super::modules::Module;
use super::*;

fn rule(cfa: Cfa, pc: Saved, is_signal: bool) -> Rule {
    Rule { cfa, pc, bp: Saved::Same, is_signal }
}

fn simple_rule(offset: i64) -> cache::Simple {
    cache::Simple::of(&rule(Cfa::Stack(offset), Saved::At(-8), false)).unwrap()
}

/// Addresses of words, and registers that stand at the first.
fn standing(words: &[usize], first: usize) -> (usize, Registers) {
    let begin = words.as_ptr() as usize;
    (begin, Registers { pc: 5, sp: begin + first * 8, bp: 7 })
}

#[test]
fn a_simple_step_goes_up() {
    let words = [11, 12, 13, 14];
    let (begin, at) = standing(&words, 2);
    let step = |offset: i64| simple(&mut Stack::around(begin), &at, simple_rule(offset));
    assert_eq!(step(8), Step::To(Registers { pc: 13, sp: begin + 24, bp: 7 }));
    assert_eq!([step(0), step(-8)], [Step::Lost, Step::Lost]);
}

#[test]
fn a_step_by_tables_goes_up_but_over_a_signal() {
    let words = [11, 12, 13, 14];
    let (begin, at) = standing(&words, 2);
    let step = |offset: i64, is_signal: bool| {
        by_tables(&mut Stack::around(begin), &at, &rule(Cfa::Stack(offset), Saved::At(-8), is_signal))
    };
    let up = Registers { pc: 13, sp: begin + 24, bp: 7 };
    let down = Registers { pc: 11, sp: begin + 8, bp: 7 };
    assert_eq!([step(8, false), step(8, true)], [Step::To(up), Step::Interrupted(up)]);
    assert_eq!([step(-8, false), step(0, false)], [Step::Lost, Step::Lost]);
    assert_eq!(step(-8, true), Step::Interrupted(down), "a signal may have come on any stack");
    let outermost = rule(Cfa::Unknown, Saved::Undefined, true);
    assert_eq!(by_tables(&mut Stack::around(begin), &at, &outermost), Step::Outermost);
}

/// Walks over these words, of which the first is a return address.
fn walked(words: &[usize]) -> (Vec<u64>, End, bool) {
    // SAFETY: the rules of these addresses are written here, or the C library's, which stays.
    let walk = unsafe { walk(words.as_ptr() as usize, 0) };
    (walk.frames[..walk.length].to_vec(), walk.end, walk.is_in_handler)
}

#[test]
fn no_code_lies_at_address_0_and_1() {
    const PC: usize = 0x7003_0000_1000;
    for last in [0, 1] {
        let words = [PC, PC, last, 0, 0];
        // Another test may forget all rules in between.
        let is_whole = (0..1000).any(|_| {
            cache::keep(PC - 1, simple_rule(8));
            walked(&words) == (vec![PC as u64; 2], End::Whole, false)
        });
        assert!(is_whole, "{:?}", walked(&words));
    }
    let words = [PC, 2, 0, 0];
    let is_lost = (0..1000).any(|_| {
        cache::keep(PC - 1, simple_rule(8));
        walked(&words) == (vec![PC as u64, 2], End::Truncated, false)
    });
    assert!(is_lost, "{:?}", walked(&words));
}

#[test]
fn a_handler_of_a_call_to_nowhere_has_no_caller() {
    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }
    const RT_SIGACTION: c_long = 13;
    const WINCH: c_int = 28;
    prepare();
    let action = Action { handler: on_nothing, mask: [0; 16], flags: 0, restorer: 0 };
    let mut kernel = [0_usize; 4];
    // SAFETY: a handler that does nothing; the kernel's form of it is read back, with where it returns to.
    unsafe {
        assert_eq!(sigaction(WINCH, &action, std::ptr::null_mut()), 0);
        assert_eq!(syscall(RT_SIGACTION, WINCH, 0_usize, kernel.as_mut_ptr(), 8_usize), 0);
    }
    // The return address, and a `struct ucontext`: the interrupted stack pointer and program counter stand at 160 and 168.
    let mut words = [0_usize; 128];
    words[0] = kernel[2];
    words[1 + 20] = words.as_ptr() as usize + 64 * 8;
    for nowhere in [0, 1] {
        words[1 + 21] = nowhere;
        assert_eq!(walked(&words), (vec![kernel[2] as u64], End::Whole, false), "{nowhere}");
    }
    words[1 + 21] = 2;
    assert_eq!(walked(&words), (vec![kernel[2] as u64, 3], End::Truncated, true));
}

extern "C" fn on_nothing(_: c_int) {}

/// The header of a module's tables: its forms, where the tables begin, and two rows.
fn header(version: u8, count: u8, table: u8) -> &'static [u8] {
    let rows = [0x100_i32, 0x40, 0x200, 0x50].map(i32::to_le_bytes).concat();
    let bytes = [[version, 0x1b, count, table].as_slice(), &[0; 4], &2_u32.to_le_bytes(), &rows].concat();
    bytes.leak()
}

#[test]
fn descriptions_are_found_in_the_sorted_table_of_a_module() {
    let find = |bytes: &[u8], pc: usize| {
        let begin = bytes.as_ptr() as usize;
        let module = Module::for_tests(begin, begin + bytes.len());
        module.description(begin.wrapping_add(pc)).map(|at| at - begin)
    };
    let usual = header(1, 0x03, 0x3b);
    let pcs = [0xff, 0x100, 0x1ff, 0x200, 0x9999];
    assert_eq!(pcs.map(|pc| find(usual, pc)), [None, Some(0x40), Some(0x40), Some(0x50), Some(0x50)]);
    assert_eq!(find(usual, 1 << 40), None, "too far for the table");
    for (version, count, table) in [(2, 0x03, 0x3b), (1, 0xff, 0x3b), (1, 0x03, 0x1b), (2, 0x03, 0x1b)] {
        assert_eq!(find(header(version, count, table), 0x100), None, "{version} {count:x} {table:x}");
    }
    let cut = &usual[..usual.len() - 1];
    assert_eq!(find(cut, 0x100), None, "a row is missing");
}

#[test]
fn tables_are_read_inside_of_their_module() {
    let bytes = b"0123456789abcdef";
    let (begin, end) = (bytes.as_ptr() as usize, bytes.as_ptr() as usize + bytes.len());
    let module = Module::for_tests(begin, end);
    let is_inside = |at: usize| module.cursor(at).is_some();
    assert_eq!([begin - 1, begin, end - 1, end].map(is_inside), [false, true, true, false]);
    assert!(Module::without_tables(begin, end).cursor(begin).is_none());
}
