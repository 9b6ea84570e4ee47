use core::ffi::c_int;
use std::fs;

use super::*;
use crate::attach;
use crate::order::{FUNCTIONS, NAMES, RANGES, Range};
use crate::wire::TABLE_BYTES;

/// An order that changes no slot: it names no mapping. The functions are those that this program calls anyway.
fn order_to(task: u64, table_file: c_int) -> Box<Order> {
    // SAFETY: the names end with a zero.
    let real = NAMES.map(|name| unsafe { sys::dlsym(sys::RTLD_DEFAULT, name.as_ptr()) } as u64);
    Box::new(Order {
        version: VERSION,
        task,
        table_file: table_file.into(),
        interval: 1 << 30,
        real,
        owner_pid: 71,
        owner_start: 72,
        with_stubs: 0,
        ranges_used: 0,
        ranges: [Range { begin: 0, end: 0, is_writable: 0 }; RANGES],
    })
}

fn table_file() -> c_int {
    let file = crate::tests::table_file();
    assert!(sys::take_room(file, 0, TABLE_BYTES));
    file
}

/// Puts an order into the room, and has it obeyed as an injector does.
fn obey_in_room(order: &Order) -> i64 {
    // SAFETY: nobody reads the room meanwhile: who uses it is alone.
    unsafe { core::ptr::copy_nonoverlapping(order, &raw mut (*room()).order, 1) };
    tidewatch_heap_obey()
}

#[test]
fn a_sampler_begins_follows_and_ends_by_order() {
    let _alone = crate::tests::alone();
    let file = table_file();
    let mut hold = Hold::default();
    let mut give = |order: &Order, changed: Option<u64>| {
        sys::set_errno(5);
        let answer = obey(order, &mut hold, || {
            sys::set_errno(6);
            changed
        });
        assert_eq!(sys::errno(), 5);
        (answer, hold)
    };
    let held = |slots| Hold { is_held: 1, owner_pid: 71, owner_start: 72, slots };
    let mut begin = order_to(BEGIN, file);
    let (answer, nobody) = give(&begin, None);
    assert_eq!((answer, nobody.is_held, state::table().is_some()), (NO_LOCK, 0, false));
    assert_eq!(give(&begin, Some(7)), (DONE, held(7)));
    assert!(state::table().is_some() && state::interval() == 1 << 30);
    assert_eq!(real::allocator() as u64, begin.real[0]);
    begin.owner_pid = 73;
    assert_eq!(give(&begin, Some(1)), (IS_BUSY, held(7)), "it is another's");
    let follow = order_to(FOLLOW, -1);
    assert_eq!(give(&follow, None), (NO_LOCK, held(7)));
    assert_eq!(give(&follow, Some(3)), (DONE, held(10)));
    for wrong in [0, END + 1] {
        assert_eq!(give(&order_to(wrong, -1), Some(1)), (OTHER_VERSION, held(10)));
    }
    let other = Order { version: VERSION + 1, ..*order_to(END, -1) };
    assert_eq!(give(&other, Some(1)), (OTHER_VERSION, held(10)));
    assert!(state::table().is_some(), "it records on");
    let end = order_to(END, -1);
    assert_eq!(give(&end, None), (NO_LOCK, held(10)));
    assert!(state::table().is_none(), "what its slots call is passed on");
    assert_eq!(give(&end, Some(10)), (DONE, Hold { is_held: 0, ..held(10) }));
    begin.table_file = -1;
    let (answer, after) = give(&begin, Some(4));
    assert_eq!((answer, after.is_held, after.slots), (NO_TABLE, 1, 4), "slots lead here, and an order must end that");
    sys::close(file);
}

#[test]
fn the_order_in_the_room_is_obeyed() {
    let _alone = crate::tests::alone();
    assert_eq!(obey_in_room(&Order { version: 0, ..*order_to(BEGIN, -1) }), OTHER_VERSION);
    // The tests export no function that the loader would run under its lock.
    assert_eq!(obey_in_room(&order_to(BEGIN, -1)), NO_LOCK);
    hold().is_held = 1;
    assert_eq!(obey_in_room(&order_to(BEGIN, -1)), IS_BUSY);
    hold().is_held = 0;
    assert_eq!(tidewatch_heap_under_lock(), room().cast_const().cast());
    let look_up = || {
        tidewatch_heap_under_lock();
    };
    assert_eq!(under_lock(look_up), Some(0), "run, with no slot to change");
    assert_eq!(under_lock(|| ()), None);
    assert_eq!(under_lock(|| CHANGED.store(8, Ordering::Relaxed)), Some(7));
}

/// Data of modules of this process by the end of their path, as an order names it.
fn data_of(module: &str) -> Vec<Range> {
    let maps = fs::read_to_string("/proc/self/maps").expect("maps");
    let data = maps.lines().filter(|line| line.contains(module) && line.contains(" r") && !line.contains("r-x"));
    let range = |line: &str| {
        let (begin, end) = line.split_once(' ')?.0.split_once('-')?;
        let address = |digits: &str| u64::from_str_radix(digits, 16).ok();
        Some(Range { begin: address(begin)?, end: address(end)?, is_writable: u64::from(line.contains(" rw")) })
    };
    data.filter_map(range).collect()
}

/// The words of these mappings.
fn words(ranges: &[Range]) -> Vec<(u64, usize)> {
    let places = ranges.iter().flat_map(|range| (range.begin..range.end).step_by(8));
    // SAFETY: words of mappings that can be read, of modules that stay.
    let held = places.map(|at| (at, unsafe { (*(at as *const AtomicU64)).load(Ordering::Relaxed) }));
    held.map(|(at, word)| (at, word as usize)).collect()
}

#[test]
fn slots_of_every_module_but_the_samplers_own_are_changed() {
    let _alone = crate::tests::alone();
    let program = std::env::current_exe().expect("a program");
    let (theirs, own) = (data_of("/libgcc_s.so"), data_of(program.to_str().expect("text")));
    let mut ranges = [theirs.clone(), own.clone()].concat();
    ranges.sort_by_key(|range| range.begin);
    let mut order = order_to(BEGIN, -1);
    order.ranges[..ranges.len()].copy_from_slice(&ranges);
    (order.ranges_used, order.with_stubs) = (ranges.len() as u64, 1);
    real::take(&order.real);
    let ours: [usize; FUNCTIONS] = attach::ours();
    let (before, reals) = (words(&theirs), order.real.map(|real| real as usize));
    let calls = |held: Vec<(u64, usize)>| held.into_iter().filter(|(_, word)| reals.contains(word)).collect::<Vec<_>>();
    let own_before = calls(words(&own));
    assert!(own_before.len() > 3, "this program calls the allocator, too");
    let changed = change(&order);
    let led: Vec<_> = before.iter().zip(words(&theirs)).filter(|(before, now)| **before != *now).collect();
    assert_eq!(led.len() as u64, changed);
    assert!(led.len() >= 4 && led.iter().all(|(_, (_, word))| ours.contains(word)), "{led:x?}");
    assert_eq!(calls(words(&own)), own_before);
    // The library that unwinds the stack calls the allocator through these slots.
    assert!(std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(7))).is_err());
    order.task = FOLLOW;
    assert_eq!(change(&order), 0, "no module came");
    order.task = 0;
    assert_eq!(change(&order), 0);
    order.task = END;
    assert_eq!(change(&order), changed);
    let after = words(&theirs);
    assert!(led.iter().all(|(before, _)| after.contains(before)), "what they held before");
    slots::forget();
}
