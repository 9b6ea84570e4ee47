//! Unwind tables and expressions that are written here byte by byte, and what DWARF says that they mean.

use super::super::cfi::{self, Cfa, Rule, Saved};
use super::super::modules::Module;
use super::*;

/// Addresses that the description covers.
const BEGIN: u32 = 0x4000;
const LENGTH: u32 = 0x100;

fn entry(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes(), body].concat()
}

struct Tables {
    version: u8,
    augmentation: &'static [u8],
    register: u8,
}

/// As compilers write them: addresses are plain numbers of four bytes, the units are 1 and -8.
const USUAL: Tables = Tables { version: 1, augmentation: b"zR", register: 16 };

impl Tables {
    /// The rule at an address, where the common entry ends with `first` and the description with `then`.
    fn rule(&self, first: &[u8], then: &[u8], pc: usize) -> Option<Rule> {
        let values: &[u8] = match self.augmentation {
            b"" => b"",
            b"zR" | b"zRS" | b"zRB" => b"\x01\x03",
            b"zPLR" => b"\x07\x03abcd\x1b\x03",
            _ => b"\x04\x03\x03\x03\x03",
        };
        let head = [&[0, 0, 0, 0, self.version], self.augmentation, b"\0\x01\x78", &[self.register], values];
        let mut bytes = entry(&[&head.concat(), first].concat());
        let back = bytes.len() as u32 + 4;
        // Without an augmentation, addresses have eight bytes.
        let (begin, length) = if values.is_empty() {
            (u64::from(BEGIN).to_le_bytes().to_vec(), u64::from(LENGTH).to_le_bytes().to_vec())
        } else {
            (BEGIN.to_le_bytes().to_vec(), [LENGTH.to_le_bytes().as_slice(), b"\0"].concat())
        };
        let at = bytes.len();
        bytes.extend(entry(&[&back.to_le_bytes(), begin.as_slice(), &length, then].concat()));
        let bytes = bytes.leak();
        let start = bytes.as_ptr() as usize;
        cfi::rule(&Module::for_tests(start, start + bytes.len()), start + at, pc)
    }
}

fn shown(rule: Option<Rule>) -> String {
    let plain = |saved| match saved {
        Saved::Expression(_) => "memory at an expression".to_owned(),
        Saved::ValueExpression(_) => "an expression".to_owned(),
        other => format!("{other:?}"),
    };
    rule.map_or("none".to_owned(), |rule| {
        let cfa =
            if let Cfa::Expression(_) = rule.cfa { "an expression".to_owned() } else { format!("{:?}", rule.cfa) };
        format!("{cfa}, pc {}, bp {}", plain(rule.pc), plain(rule.bp))
    })
}

/// The frame is 8 above the stack pointer, with the return address below it.
const ENTRY: &[u8] = b"\x0c\x07\x08\x90\x01";

#[test]
fn every_instruction_of_a_table_means_what_dwarf_says() {
    for (then, expected) in [
        (b"".as_slice(), "Stack(8), pc At(-8), bp Same"),
        (b"\x0e\x10\x86\x02", "Stack(16), pc At(-8), bp At(-16)"),
        (b"\x0e\x10\x86\x02\x0d\x06", "Frame(16), pc At(-8), bp At(-16)"),
        (b"\x0d\x06\x0e\x30", "Frame(48), pc At(-8), bp Same"),
        (b"\x0c\x03\x08\x0e\x10", "Unknown, pc At(-8), bp Same"),
        (b"\x0c\x03\x08\x0d\x06", "none"),
        (b"\x12\x06\x7e", "Frame(16), pc At(-8), bp Same"),
        (b"\x13\x7c", "Stack(32), pc At(-8), bp Same"),
        (b"\x0f\x02\x77\x08", "an expression, pc At(-8), bp Same"),
        (b"\x05\x06\x03\x07\x10", "Stack(8), pc Undefined, bp At(-24)"),
        (b"\x86\x02\x08\x06", "Stack(8), pc At(-8), bp Same"),
        (b"\x86\x02\xc6\x90\x05\xd0", "Stack(8), pc At(-8), bp Same"),
        (b"\x86\x02\x06\x06", "Stack(8), pc At(-8), bp Same"),
        (b"\x86\x02\xc3\x83\x04", "Stack(8), pc At(-8), bp At(-16)"),
        (b"\x09\x06\x03", "Stack(8), pc At(-8), bp Unknown"),
        (b"\x10\x06\x01\x30", "Stack(8), pc At(-8), bp memory at an expression"),
        (b"\x16\x06\x01\x30", "Stack(8), pc At(-8), bp an expression"),
        (b"\x11\x06\x7f", "Stack(8), pc At(-8), bp At(8)"),
        (b"\x14\x06\x02", "Stack(8), pc At(-8), bp Value(-16)"),
        (b"\x15\x06\x7e", "Stack(8), pc At(-8), bp Value(16)"),
        (b"\x2f\x06\x02", "Stack(8), pc At(-8), bp At(16)"),
        (b"\x2e\x20\x00\x0e\x18", "Stack(24), pc At(-8), bp Same"),
        (b"\x0a\x0e\x20\x86\x02\x0a\x0e\x30\x0b\x0b", "Stack(8), pc At(-8), bp Same"),
        (b"\x0a\x0e\x20\x0a\x0e\x30\x0b", "Stack(32), pc At(-8), bp Same"),
        (b"\x0a\x0a\x0a\x0a\x0a\x0a", "Stack(8), pc At(-8), bp Same"),
        (b"\x0a\x0a\x0a\x0a\x0a\x0a\x0a", "none"),
        (b"\x0b", "none"),
        (b"\x3f", "none"),
        (b"\x10\x06\x05\x30", "none"),
    ] {
        assert_eq!(shown(USUAL.rule(ENTRY, then, BEGIN as usize)), expected, "{then:x?}");
    }
}

#[test]
fn rows_hold_from_their_address_on() {
    let pc = |offset: usize| BEGIN as usize + offset;
    // Each form of an advance by 4, then a row of its own.
    for advance in [b"\x44".as_slice(), b"\x02\x04", b"\x03\x04\x00", b"\x04\x04\x00\x00\x00", b"\x01\x04\x40\x00\x00"]
    {
        let then = [advance, b"\x0e\x10\x41\x0e\x18"].concat();
        for (offset, expected) in [(0, 8), (3, 8), (4, 16), (5, 24), (255, 24)] {
            let rule = USUAL.rule(ENTRY, &then, pc(offset));
            assert_eq!(shown(rule), format!("Stack({expected}), pc At(-8), bp Same"), "{then:x?} at {offset}");
        }
    }
    for outside in [pc(0) - 1, pc(256), pc(257), 0, usize::MAX] {
        assert!(USUAL.rule(ENTRY, b"", outside).is_none(), "{outside:x}");
    }
}

#[test]
fn only_known_forms_of_tables_are_read() {
    let usual = "Stack(8), pc At(-8), bp Same";
    for (version, augmentation, register, expected) in [
        (1, b"zR".as_slice(), 16, usual),
        (3, b"zR", 16, usual),
        (1, b"", 16, usual),
        (1, b"zPLR", 16, usual),
        (1, b"zRB", 16, usual),
        (2, b"zR", 16, "none"),
        (4, b"zR", 16, "none"),
        (1, b"zR", 15, "none"),
        (1, b"eh", 16, "none"),
        (1, b"zX", 16, "none"),
    ] {
        let tables = Tables { version, augmentation, register };
        assert_eq!(shown(tables.rule(ENTRY, b"", BEGIN as usize)), expected, "{version} {augmentation:?} {register}");
    }
    // A register of two bytes can stand in version 3 alone.
    let long = |version| Tables { version, augmentation: b"", register: 0x90 }.rule(b"\x00\x0c\x07\x08", b"", 0x4000);
    assert!(long(3).is_some() && long(1).is_none());
    let signal = |augmentation| {
        let tables = Tables { augmentation, ..USUAL };
        tables.rule(ENTRY, b"", BEGIN as usize).map(|rule| rule.is_signal)
    };
    assert_eq!((signal(b"zRS"), signal(b"zR")), (Some(true), Some(false)));
}

#[test]
fn cursors_stay_inside() {
    let bytes = b"0123456789";
    let all = cursor(bytes);
    let begin = all.at();
    assert!(all.first(10).is_some() && all.first(11).is_none() && all.first(u64::MAX).is_none());
    assert_eq!(
        all.first(4).map(|mut first| (first.skip(4), first.is_done(), first.u8())),
        Some((Some(()), true, None))
    );
    let jump = |from: u64, bytes: i64| {
        let mut cursor = all;
        cursor.skip(from).unwrap();
        let result = cursor.jump(bytes, begin + 2);
        (result.is_some(), cursor.at() - begin)
    };
    for (from, bytes, expected) in
        [(4, -2, (true, 2)), (4, -3, (false, 4)), (4, 6, (true, 10)), (4, 7, (false, 4)), (4, 1, (true, 5))]
    {
        assert_eq!(jump(from, bytes), expected, "{from} {bytes}");
    }
    let numbers = b"\x81\x82\x83\x84\x85\x86\x87\x88";
    for (encoding, expected) in [
        (0x00, Some(0x8887_8685_8483_8281)),
        (0x02, Some(0x8281)),
        (0x03, Some(0x8483_8281)),
        (0x04, Some(0x8887_8685_8483_8281)),
        (0x0a, Some(0xffff_ffff_ffff_8281)),
        (0x0b, Some(0xffff_ffff_8483_8281)),
        (0x0c, Some(0x8887_8685_8483_8281)),
        (0x05, None),
        (0x0f, None),
    ] {
        assert_eq!(cursor(numbers).plain(encoding), expected, "{encoding:x}");
    }
    assert_eq!((cursor(b"\xff\x01").plain(0x01), cursor(b"\xff\x7e").plain(0x09)), (Some(255), Some(-129_i64 as u64)));
    assert_eq!(cursor(numbers).pointer(0x83, 0), None, "through memory");
    assert_eq!(cursor(numbers).pointer(0x23, 0), None, "relative to code");
    let long = b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x81\x01";
    assert_eq!((cursor(long).uleb(), cursor(long).sleb()), (Some(1 << 63), Some(i64::MIN)), "bits beyond 64");
    let lowest = b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f";
    assert_eq!(cursor(lowest).sleb(), Some(i64::MIN));
}

#[test]
fn every_operator_of_an_expression_is_computed() {
    let minus = |number: u64| number.wrapping_neg();
    for (operator, left, right, expected) in [
        (0x1a, 0b1100, 0b1010, Some(0b1000)),
        (0x1b, minus(7), 2, Some(minus(3))),
        (0x1c, 5, 7, Some(minus(2))),
        (0x1d, 7, 4, Some(3)),
        (0x1d, 7, 0, None),
        (0x1e, 6, 7, Some(42)),
        (0x21, 0b1100, 0b1010, Some(0b1110)),
        (0x22, u64::MAX, 3, Some(2)),
        (0x24, 3, 4, Some(48)),
        (0x24, 3, 64, Some(0)),
        (0x25, minus(1), 60, Some(15)),
        (0x25, 3, 64, Some(0)),
        (0x26, minus(64), 4, Some(minus(4))),
        (0x26, minus(64), 64, Some(minus(1))),
        (0x27, 0b1100, 0b1010, Some(0b0110)),
        (0x18, 1, 2, None),
    ] {
        assert_eq!(computed(operator, left, right), expected, "{operator:x} {left} {right}");
    }
    // Signed comparisons, of a smaller, an equal and a greater number.
    for (operator, expected) in [
        (0x29, [0, 1, 0]),
        (0x2a, [0, 1, 1]),
        (0x2b, [0, 0, 1]),
        (0x2c, [1, 1, 0]),
        (0x2d, [1, 0, 0]),
        (0x2e, [1, 0, 1]),
    ] {
        let results = [(minus(1), 1), (minus(1), minus(1)), (1, minus(1))].map(|(a, b)| computed(operator, a, b));
        assert_eq!(results, expected.map(Some), "{operator:x}");
    }
}

/// An expression with two constants of eight bytes before an operator.
fn computed(operator: u8, left: u64, right: u64) -> Option<u64> {
    let code = [b"\x0e".as_slice(), &left.to_le_bytes(), b"\x0e", &right.to_le_bytes(), &[operator]].concat();
    evaluated(&code, None)
}

fn evaluated(code: &[u8], first: Option<u64>) -> Option<u64> {
    let registers = Registers { pc: 0x100b, sp: 0x2000, bp: 0x3000 };
    let begin = code.as_ptr() as usize;
    // SAFETY: the bytes outlive the call.
    let cursor = unsafe { Cursor::new(begin, begin + code.len()) };
    expression::value(cursor, &registers, &mut Stack::around(0x2000), first)
}

#[test]
fn expressions_move_values_and_jump() {
    for (code, expected) in [
        (b"\x39\x20".as_slice(), Some(!9)),
        (b"\x39\x1f", Some(9_u64.wrapping_neg())),
        (b"\x09\xf7\x19", Some(9)),
        (b"\x80\x05", Some(0x1010)),
        (b"\x96\x33", Some(3)),
        // A jump that is not taken, one that is, one without a condition, one back to the begin: it never ends.
        (b"\x35\x30\x28\x01\x00\x39", Some(9)),
        (b"\x35\x31\x28\x01\x00\x39", Some(5)),
        (b"\x35\x2f\x01\x00\x39", Some(5)),
        (b"\x2f\xfd\xff", None),
        (b"\x31\x32\x33\x14", Some(2)),
        (b"\x31\x32\x33\x15\x02", Some(1)),
        (b"\x31\x32\x33\x15\x03", None),
        (b"\x31\x32\x33\x17", Some(2)),
        (b"\x31\x32\x33\x17\x13", Some(1)),
        (b"\x31\x32\x33\x17\x13\x13", Some(3)),
        (b"\x0b\xfe\xff", Some(-2_i64 as u64)),
        (b"\x0a\xfe\xff", Some(0xfffe)),
        (b"\x0d\xfe\xff\xff\xff", Some(-2_i64 as u64)),
        (b"\x0c\xfe\xff\xff\xff", Some(0xffff_fffe)),
        (b"\x10\xff\x01", Some(255)),
        (b"\x11\x7f", Some(-1_i64 as u64)),
        (b"\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31", Some(1)),
        (b"\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31", None),
    ] {
        assert_eq!(evaluated(code, None), expected, "{code:x?}");
    }
    assert_eq!(evaluated(b"\x23\x02", Some(5)), Some(7), "the first value is there");
    let word = 77_u64;
    let at = [b"\x0e".as_slice(), &(&raw const word as u64).to_le_bytes(), b"\x06"].concat();
    let registers = Registers { pc: 0, sp: 0, bp: 0 };
    let begin = at.as_ptr() as usize;
    // SAFETY: the bytes outlive the call.
    let cursor = unsafe { Cursor::new(begin, begin + at.len()) };
    let stack = &mut Stack::around(&raw const word as usize);
    assert_eq!(expression::value(cursor, &registers, stack, None), Some(77));
}
