use super::*;

#[test]
fn stubs_are_kept_until_their_slot_is_resolved() {
    let _alone = crate::tests::alone();
    forget();
    assert!(keep(8, 100, false) && keep(16, 200, false) && keep(24, 300, true));
    assert_eq!([8, 16, 24, 32].map(kept), [Some(100), Some(200), None, None]);
    assert_eq!(kept(8), Some(100), "out of order");
    assert!(keep(8, 101, false) && keep(16, 5, true));
    assert_eq!([8, 16].map(kept), [Some(101), None]);
    forget();
    assert_eq!(kept(8), None);
    assert!((1..=STUBS).all(|at| keep(at * 8, 1, false)));
    assert!(!keep(8 * (STUBS + 1), 1, false), "there is no room");
    assert!(keep(8, 2, false), "a known slot needs none");
    forget();
}

const PAGE: usize = 4096;
/// Where the parts of the module lie, from its begin: a page of tables, one of code, one of data, two of data that were made
/// read-only. No memory follows.
const DYNAMIC: usize = 0x100;
const SYMBOLS: usize = 0x300;
const STRINGS: usize = 0x400;
const RELA: usize = 0x500;
const LAZY: usize = 0x800;
const CODE: usize = PAGE;
const DATA: usize = 2 * PAGE;
const READ_ONLY: usize = 3 * PAGE;
const END: usize = 5 * PAGE;

const MALLOC: usize = 0x1111_0000;
const FREE: usize = 0x2222_0000;

fn ours(function: usize) -> usize {
    0x9000_0000 + function * 16
}

/// A module in memory of the test.
struct Made {
    base: usize,
    headers: Vec<Header>,
}

impl Made {
    fn new(rela: &[[usize; 3]], lazy: &[[usize; 3]]) -> Self {
        // SAFETY: new memory at an address of the kernel's choice.
        let base = unsafe { sys::mmap(0, END + PAGE, 3, 0x22, -1, 0) };
        assert!(sys::protect(base + END, PAGE, 0));
        let part = |kind, flags, address, bytes| Header {
            kind,
            flags,
            offset: 0,
            address,
            physical: 0,
            file_bytes: bytes,
            bytes,
            align: 8,
        };
        let headers = vec![
            part(PT_LOAD, 4, 0, PAGE),
            part(PT_LOAD, 5, CODE, PAGE),
            part(PT_LOAD, 6, DATA, END - DATA),
            part(PT_DYNAMIC, 6, DYNAMIC, 9 * 16),
        ];
        let made = Self { base, headers };
        // Addresses as the loader leaves them: some absolute, some not. What comes after the end is not read.
        let dynamic = [
            [2, lazy.len() * 24],
            [5, base + STRINGS],
            [6, SYMBOLS],
            [7, base + RELA],
            [8, rela.len() * 24],
            [23, LAZY],
            [0x6fff_fff9, 1],
            [0, 0],
            [6, 0xdead],
        ];
        dynamic.iter().flatten().enumerate().for_each(|(at, word)| made.put(DYNAMIC + at * 8, *word));
        rela.iter().flatten().enumerate().for_each(|(at, word)| made.put(RELA + at * 8, *word));
        lazy.iter().flatten().enumerate().for_each(|(at, word)| made.put(LAZY + at * 8, *word));
        // Symbols: 1 malloc, 2 free that the module defines itself, 3 another function, 4 calloc.
        for (symbol, (name, section)) in [(1, (1, 0)), (2, (8, 1)), (3, (13, 0)), (4, (19, 0))] {
            made.put(SYMBOLS + symbol * 24, name | section << 48);
        }
        let names = b"\0malloc\0free\0other\0calloc\0";
        names.iter().enumerate().for_each(|(at, byte)| {
            // SAFETY: inside the page of tables.
            unsafe { *((base + STRINGS + at) as *mut u8) = *byte }
        });
        made
    }

    fn put(&self, at: usize, word: usize) {
        // SAFETY: inside the memory of the module.
        unsafe { ((self.base + at) as *mut usize).write_unaligned(word) }
    }

    fn get(&self, at: usize) -> usize {
        // SAFETY: as above.
        unsafe { ((self.base + at) as *const usize).read_unaligned() }
    }

    /// Says where a table lies, and how long it is.
    fn put_table(&self, table: Table, begin: usize, bytes: usize) {
        let (begin_at, bytes_at) = match table {
            Table::Lazy => (5, 0),
            Table::Rela => (3, 4),
        };
        self.put(DYNAMIC + begin_at * 16 + 8, begin);
        self.put(DYNAMIC + bytes_at * 16 + 8, bytes);
        self.put(DYNAMIC + 6 * 16 + 8, 0);
    }

    fn change(&self, order: &Order, way: Way) -> u64 {
        let info = Info {
            base: self.base,
            name: core::ptr::null(),
            headers: self.headers.as_ptr(),
            header_count: self.headers.len() as u16,
        };
        let mut change = Change { way, order, ours: core::array::from_fn(ours), changed: 0 };
        // SAFETY: a module as the loader describes it.
        unsafe { Module::of(&info) }.expect("a whole module").change(&mut change);
        change.changed
    }

    fn order(&self, with_stubs: u64) -> Box<Order> {
        let none = crate::order::Range { begin: 0, end: 0, is_writable: 0 };
        let mut order = Box::new(Order {
            version: crate::order::VERSION,
            task: 0,
            table_file: -1,
            interval: 1,
            real: [0; FUNCTIONS],
            owner_pid: 0,
            owner_start: 0,
            with_stubs,
            ranges_used: 3,
            ranges: [none; crate::order::RANGES],
        });
        (order.real[0], order.real[1]) = (MALLOC as u64, FREE as u64);
        let range = |begin: usize, bytes: usize, is_writable| crate::order::Range {
            begin: (self.base + begin) as u64,
            end: (self.base + begin + bytes) as u64,
            is_writable,
        };
        order.ranges[0] = range(CODE + 0x800, 8, 1);
        order.ranges[1] = range(DATA, 0x800, 1);
        order.ranges[2] = range(READ_ONLY, END - READ_ONLY, 0);
        order
    }
}

#[derive(Clone, Copy)]
enum Table {
    Lazy,
    Rela,
}

const COPY: usize = 5;
const DATA_64: usize = R_64 as usize;
const GLOBAL: usize = R_GLOB_DAT as usize;
const JUMP: usize = R_JUMP_SLOT as usize;

/// A slot, its relocation, what it holds, and what it is to hold.
struct Slot {
    at: usize,
    kind: usize,
    symbol: usize,
    addend: usize,
    held: usize,
    led: usize,
}

fn slot(at: usize, kind: usize, held: usize, led: usize) -> Slot {
    Slot { at, kind, symbol: 0, addend: 0, held, led }
}

fn relocations(slots: &[Slot]) -> Vec<[usize; 3]> {
    slots.iter().map(|slot| [slot.at, slot.symbol << 32 | slot.kind, slot.addend]).collect()
}

fn check(with_stubs: bool) {
    let (malloc, free) = (ours(0), ours(1));
    let with = |slot: Slot, symbol: usize, addend: usize| Slot { symbol, addend, ..slot };
    let rela = [
        // The first is one of the relative ones, which name no function.
        slot(DATA, DATA_64, MALLOC, MALLOC),
        slot(DATA + 0x08, GLOBAL, MALLOC, malloc),
        slot(DATA + 0x10, DATA_64, FREE, free),
        with(slot(DATA + 0x18, DATA_64, MALLOC, MALLOC), 0, 8),
        slot(DATA + 0x20, COPY, MALLOC, MALLOC),
        slot(DATA + 0x2c, GLOBAL, MALLOC, MALLOC),
        slot(DATA + 0x40, GLOBAL, 0, 0),
        slot(DATA + 0x48, GLOBAL, MALLOC + 8, MALLOC + 8),
        slot(CODE + 0x800, GLOBAL, MALLOC, MALLOC),
        slot(DATA + 0x7f8, GLOBAL, MALLOC, malloc),
        slot(DATA + 0x800, GLOBAL, MALLOC, MALLOC),
        slot(READ_ONLY, GLOBAL, MALLOC, malloc),
        slot(READ_ONLY + 0x10, GLOBAL, FREE, free),
        slot(END - 8, GLOBAL, FREE, free),
        with(slot(DATA + 0x50, GLOBAL, usize::MAX, usize::MAX), 1, 0),
    ];
    let stub = if with_stubs { malloc } else { usize::MAX };
    let lazy = [
        with(slot(DATA + 0x60, JUMP, usize::MAX, stub), 1, 0),
        with(slot(DATA + 0x68, JUMP, usize::MAX, usize::MAX), 2, 0),
        with(slot(DATA + 0x70, JUMP, usize::MAX, usize::MAX), 3, 0),
        with(slot(DATA + 0x78, JUMP, usize::MAX, usize::MAX), 4, 0),
        with(slot(DATA + 0x80, JUMP, 1, 1), 1, 0),
        with(slot(DATA + 0x88, JUMP, FREE, free), 1, 0),
    ];
    let made = Made::new(&relocations(&rela), &relocations(&lazy));
    // An address of code stands for a stub, one of data for anything else: both are known now.
    let address = |word: usize| match word {
        usize::MAX => made.base + CODE + 0x10,
        1 => made.base + DATA + 0x10,
        other => other,
    };
    let all: Vec<&Slot> = rela.iter().chain(&lazy).collect();
    all.iter().for_each(|slot| made.put(slot.at, address(slot.held)));
    // What follows the relocations is none.
    let beyond = slot(DATA + 0x98, GLOBAL, MALLOC, MALLOC);
    made.put(beyond.at, MALLOC);
    let words = relocations(std::slice::from_ref(&beyond));
    words[0].iter().enumerate().for_each(|(at, word)| made.put(RELA + rela.len() * 24 + at * 8, *word));
    assert!(sys::protect(made.base + READ_ONLY, END - READ_ONLY, sys::PROT_READ));
    let order = made.order(u64::from(with_stubs));
    let expected = all.iter().filter(|slot| slot.held != slot.led).count() as u64;
    let held = |expected: fn(&Slot) -> usize, when: &str| {
        assert_eq!(made.get(beyond.at), MALLOC, "{when}");
        for slot in &all {
            assert_eq!(made.get(slot.at), address(expected(slot)), "{:x} {when}", slot.at);
        }
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        let begin = format!("{:x}-{:x} ", made.base + READ_ONLY, made.base + END);
        let line = maps.lines().find(|line| line.starts_with(&begin)).expect("the read-only page");
        assert!(line.contains(" r--"), "{line}");
    };
    assert_eq!(made.change(&order, Way::Here), expected);
    held(|slot| slot.led, "led here");
    assert_eq!(made.change(&order, Way::Here), 0, "a second time");
    assert_eq!(made.change(&order, Way::Back), expected);
    held(|slot| slot.held, "put back");
    assert_eq!(made.change(&order, Way::Back), 0);
}

#[test]
fn only_slots_that_hold_the_real_function_or_its_stub_are_led_here() {
    let _alone = crate::tests::alone();
    for with_stubs in [true, false] {
        forget();
        check(with_stubs);
    }
    forget();
}

#[test]
fn tables_of_relocations_lie_inside_of_their_module() {
    let _alone = crate::tests::alone();
    forget();
    let relocation = [DATA + 8, GLOBAL, 0];
    for table in [Table::Rela, Table::Lazy] {
        for (begin, bytes, expected) in [
            (END - 24, 24, 1),
            (END - 24, 23, 0),
            (END - 24, 47, 0),
            (END - 24, 48, 0),
            (END, 24, 0),
            (2 * END, 24, 0),
            (0x7f00_0000_0000, 24, 0),
            (END - 24, usize::MAX, 0),
        ] {
            let made = Made::new(&[], &[]);
            relocation.iter().enumerate().for_each(|(at, word)| made.put(END - 24 + at * 8, *word));
            made.put(DATA + 8, MALLOC);
            made.put_table(table, begin, bytes);
            assert_eq!(made.change(&made.order(0), Way::Here), expected, "{bytes} bytes at {begin:x}");
        }
    }
}

#[test]
fn a_dynamic_section_ends_where_its_header_says() {
    let _alone = crate::tests::alone();
    let mut made = Made::new(&[[0; 3], [DATA + 8, GLOBAL, 0]], &[]);
    made.put(DATA + 8, MALLOC);
    // No entry ends it; the next one would lead the symbols elsewhere.
    made.put(DYNAMIC + 7 * 16, 6);
    made.put(DYNAMIC + 7 * 16 + 8, 0x7fff_ffff_0000);
    made.headers[3].bytes = 7 * 16;
    assert_eq!(made.change(&made.order(0), Way::Here), 1);
    forget();
}

#[test]
fn an_address_belongs_to_one_segment() {
    let made = Made::new(&[], &[]);
    let info = Info {
        base: made.base,
        name: core::ptr::null(),
        headers: made.headers.as_ptr(),
        header_count: made.headers.len() as u16,
    };
    // SAFETY: a module as the loader describes it.
    let module = unsafe { Module::of(&info) }.expect("a whole module");
    let flags = |at: usize| module.segment(made.base.wrapping_add(at)).map(|segment| segment.flags);
    let expected = [None, Some(4), Some(4), Some(5), Some(5), Some(6), Some(6), None];
    assert_eq!([usize::MAX, 0, CODE - 1, CODE, DATA - 1, DATA, END - 1, END].map(flags), expected);
}

#[test]
fn a_module_without_its_tables_is_left_alone() {
    let made = Made::new(&[], &[]);
    let of = |headers: &[Header]| {
        let info = Info {
            base: made.base,
            name: core::ptr::null(),
            headers: headers.as_ptr(),
            header_count: headers.len() as u16,
        };
        // SAFETY: a module as the loader describes it.
        unsafe { Module::of(&info) }.is_some()
    };
    assert!(of(&made.headers) && !of(&made.headers[..3]), "no dynamic section");
    made.put(DYNAMIC + 5 * 8, 0x7fff_ffff_0000);
    assert!(!of(&made.headers), "symbols outside");
}

#[test]
fn an_address_is_in_a_range_from_its_begin_to_before_its_end() {
    let made = Made::new(&[], &[]);
    let order = made.order(0);
    for (at, expected) in
        [(DATA - 1, false), (DATA, true), (DATA + 0x7ff, true), (DATA + 0x800, false), (READ_ONLY, true), (END, false)]
    {
        assert_eq!(order.range(made.base + at).is_some(), expected, "{at:x}");
    }
    assert!(order.range(0).is_none());
}
