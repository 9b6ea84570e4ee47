use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::tests::{Attached, pages};
use crate::wire::{MAX_FRAMES, UNWINDER_NONE};

fn walk(end: End, is_in_handler: bool) -> Walk {
    Walk { frames: [0; MAX_FRAMES], length: 1, end, is_in_handler }
}

#[test]
fn the_allocator_is_asked_only_where_the_program_itself_has_called_it() {
    let ends = [End::Whole, End::Truncated, End::Deep];
    for kind in [Kind::Block, Kind::Mapping] {
        for (end, is_in_handler) in ends.into_iter().flat_map(|end| [(end, false), (end, true)]) {
            let expected = kind == Kind::Block && end == End::Whole && !is_in_handler;
            assert_eq!(
                is_outside_allocator(kind, &walk(end, is_in_handler)),
                expected,
                "{kind:?} {end:?} {is_in_handler}"
            );
        }
    }
}

/// The function that a program's slot would lead to.
fn entry_malloc() -> extern "C" fn(usize) -> Block {
    // SAFETY: the function has this type, as the C library's has.
    unsafe { core::mem::transmute::<*const (), extern "C" fn(usize) -> Block>(crate::entry::malloc as *const ()) }
}

#[test]
fn stacks_are_one_frame_where_none_can_be_followed() {
    let attached = Attached::begin(1);
    let table = attached.table;
    let depth = || {
        let malloc = entry_malloc();
        // The first call draws the count of this thread.
        let blocks = [malloc(64), malloc(64)];
        let depth = blocks.map(|block| table.remove(block as u64).and_then(|record| table.depth(record.facts.stack)));
        // SAFETY: blocks of the allocator.
        blocks.into_iter().for_each(|block| unsafe { free_known(block) });
        depth[1]
    };
    let all = std::thread::scope(|all| all.spawn(depth).join()).expect("recorded");
    assert!(all.is_some_and(|depth| depth > 3), "{all:?}");
    table.header().unwinder.store(UNWINDER_NONE, Ordering::Relaxed);
    assert_eq!(std::thread::scope(|all| all.spawn(depth).join()).expect("recorded"), Some(1));
}

#[test]
fn nothing_is_recorded_once_the_sampler_has_stopped() {
    let attached = Attached::begin(1 << 40);
    let table = attached.table;
    let at = 0x7e00_0010_usize as Block;
    let stack = [0_usize; 4];
    let chosen = |at| record(Some((table, 0)), Kind::Block, at, 100, stack.as_ptr() as usize, 0);
    chosen(at);
    assert_eq!(table.remove(at as u64).map(|record| record.size), Some(100));
    chosen(core::ptr::null_mut());
    assert_eq!(table.remove(0), None);
    state::stop();
    chosen(at);
    assert_eq!(table.remove(at as u64), None, "it was chosen before");
}

#[test]
fn a_block_of_the_arena_is_given_another_size_by_the_allocator() {
    let attached = Attached::begin(1 << 40);
    let stack = [0_usize; 4];
    let sp = stack.as_ptr() as usize;
    let early = real::early(40, 16);
    // SAFETY: blocks are read and written no further than they are long.
    unsafe {
        early.cast::<u8>().write_bytes(9, 40);
        assert!(realloc_known(early, usize::MAX / 2, sp, 0).is_null());
        for (size, kept) in [(100, 40), (10, 10)] {
            let block = realloc_known(early, size, sp, 0);
            assert!(!real::is_early(block));
            assert!(core::slice::from_raw_parts(block.cast::<u8>(), kept).iter().all(|byte| *byte == 9));
            free_known(block);
        }
        free_known(early);
    }
    drop(attached);
}

#[test]
fn a_mapping_takes_the_place_of_another_only_where_it_is_told_to() {
    const PRIVATE_ANONYMOUS: i32 = 0x22;
    const FIXED: i32 = 0x10;
    const POPULATE: i32 = 0x8000;
    let attached = Attached::begin(1);
    let table = attached.table;
    let check = || {
        assert!(sampling::crossed(1 << 20).is_some(), "the count of this thread is drawn");
        let stack = [0_usize; 4];
        let sp = stack.as_ptr() as usize;
        let at = pages(2);
        let old = Record { size: 8192, facts: Facts { stack: 0, level: 0, kind: Kind::Mapping } };
        table.insert(at as u64, old);
        // SAFETY: pages of our own.
        unsafe {
            let map = |at: usize, flags: i32| mmap_anonymous(at as Block, 8192, 3, flags, -1, 0, sp, 0) as usize;
            let beside = map(at, PRIVATE_ANONYMOUS);
            assert!(beside != at && table.remove(beside as u64).is_some());
            assert_eq!(table.remove(at as u64), Some(old), "the address was a wish");
            table.insert(at as u64, old);
            let missed = table.header().missed_frees.load(Ordering::Relaxed);
            assert_eq!(map(at, PRIVATE_ANONYMOUS | FIXED | POPULATE), at);
            assert_eq!(table.header().missed_frees.load(Ordering::Relaxed), missed, "the old one is gone");
            assert!(table.remove(at as u64).is_some_and(|new| new != old), "a new one is there");
            munmap_known(beside as Block, 8192);
            munmap_known(at as Block, 8192);
        }
    };
    std::thread::scope(|all| all.spawn(check).join()).expect("mapped");
}

static CLOSED: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn close_stand_in(handle: Block) -> i32 {
    CLOSED.store(handle as u64, Ordering::Relaxed);
    77
}

#[test]
fn a_module_is_closed_by_the_loader() {
    let _alone = crate::tests::alone();
    let before = real::DLCLOSE.swap(close_stand_in as *mut c_void, Ordering::Relaxed);
    // SAFETY: the stand-in reads nothing.
    let results = unsafe { (dlclose_and_forget(5 as Block), crate::entry::dlclose(6 as Block)) };
    real::DLCLOSE.store(before, Ordering::Relaxed);
    assert_eq!((results, CLOSED.load(Ordering::Relaxed)), ((77, 77), 6));
}
