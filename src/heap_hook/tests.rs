//! The sampler at work in this process, with no slot led into it: the tests make the calls that a program's slots would.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::state::{self, Phase};
use crate::table::{Record, Table};
use crate::wire::{Facts, Kind};
use crate::{blocks, sampling, sys};

unsafe extern "C" {
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
    fn malloc(size: usize) -> *mut c_void;
    fn malloc_usable_size(block: *mut c_void) -> usize;
}

/// Held by whoever uses what the whole process has once: the filter, and the table that is recorded into.
pub static ALONE: Mutex<()> = Mutex::new(());

pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Recording, until it is dropped.
pub struct Attached {
    pub table: Table,
    _alone: MutexGuard<'static, ()>,
}

pub fn table_file() -> c_int {
    // SAFETY: the name ends with a zero.
    unsafe { memfd_create(c"table".as_ptr(), 1) }
}

impl Attached {
    pub fn begin(interval: u64) -> Self {
        let alone = alone();
        let file = table_file();
        assert!(!state::attach(file, 0), "no interval");
        assert!(state::table().is_none());
        assert!(state::attach(file, interval));
        sys::close(file);
        Self { table: state::table().unwrap(), _alone: alone }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        state::stop();
    }
}

/// Samples of so many allocations of a size, each with its doublings.
fn levels(allocations: u64, size: u64) -> Vec<u64> {
    let crossed = |_| if sampling::take(size) { sampling::crossed(size).map(|(_, level)| level) } else { None };
    (0..allocations).filter_map(crossed).collect()
}

#[test]
fn samples_stand_for_the_bytes_that_were_allocated() {
    let attached = Attached::begin(1000);
    assert!(!state::attach(-1, 1000), "it records already");
    assert_eq!((state::interval(), state::is_roomy(), state::has_room()), (1000, true, true));
    let first = std::thread::spawn(|| levels(400_000, 100)).join().unwrap();
    // The window opens with the first sample; 1,500 more in a second double the interval. Other tests may have drawn before.
    let raised = first.iter().position(|level| *level == 1).unwrap();
    assert!((1300..=1502).contains(&raised), "{raised}");
    let bytes: u64 = first.iter().map(|level| 1000 << level).sum();
    assert!((36_000_000..44_000_000).contains(&bytes), "{bytes} of 40,000,000 bytes");
    // A new thread draws for itself: the first count of two threads is not the same.
    let starts = [(); 8].map(|()| {
        std::thread::spawn(|| (0..1_000_000).position(|_| sampling::take(10) && sampling::crossed(10).is_some()))
            .join()
            .unwrap()
    });
    assert!(starts.iter().any(|start| *start != starts[0]), "{starts:?}");
    let epoch = state::epoch();
    state::stop();
    assert!(matches!(state::phase(), Phase::Off) && state::table().is_none());
    let later = || {
        assert!(sampling::take(1) && sampling::crossed(1).is_none());
        assert_eq!(levels(1000, 1000), [], "nothing is recorded");
        // A count that was drawn before somebody else attached is of another interval.
        let file = table_file();
        assert!(state::attach(file, 1 << 30));
        sys::close(file);
        assert_eq!(state::epoch(), epoch + 1);
        assert!(levels(100, 1 << 20).len() < 10, "a small part of an interval");
    };
    std::thread::scope(|all| all.spawn(later).join().unwrap());
    drop(attached);
}

#[test]
fn a_thread_inside_the_sampler_records_nothing() {
    let _attached = Attached::begin(1);
    let check = || {
        assert!(sampling::crossed(8).is_some(), "each byte is a sample");
        sys::set_errno(5);
        let guard = sampling::Guard::enter().unwrap();
        sys::set_errno(6);
        assert!(sampling::Guard::enter().is_none() && sampling::crossed(8).is_none());
        drop(guard);
        assert_eq!(sys::errno(), 5);
        assert!(sampling::Guard::enter().is_some());
    };
    std::thread::spawn(check).join().unwrap();
}

fn record(size: u64) -> Record {
    Record { size, facts: Facts { stack: 0, level: 0, kind: Kind::Mapping } }
}

pub fn pages(count: usize) -> usize {
    // SAFETY: new memory at an address of the kernel's choice.
    unsafe { sys::mmap(0, count * 4096, 3, 0x22, -1, 0) }
}

#[test]
fn what_is_left_of_a_mapping_stays_on_record() {
    let attached = Attached::begin(1 << 40);
    let table = &attached.table;
    // SAFETY: pages of our own.
    let unmap = |at: usize, size: usize| unsafe { blocks::munmap_known(at as *mut c_void, size) };
    for (unmapped, rest) in [(4096, Some((1, 8192))), (4097, Some((2, 4096))), (1, Some((1, 8192))), (3 * 4096, None)] {
        let at = pages(3);
        table.insert(at as u64, record(3 * 4096));
        assert_eq!(unmap(at, unmapped), 0);
        let found = (0..4).find_map(|page| table.remove((at + page * 4096) as u64).map(|left| (page, left.size)));
        assert_eq!(found, rest, "{unmapped} bytes unmapped");
    }
    let at = pages(1);
    table.insert(at as u64, record(4096));
    assert_eq!(unmap(at, 0), -1, "the kernel refuses");
    assert_eq!(table.remove(at as u64), Some(record(4096)));
    table.insert(at as u64, record(4096));
    // SAFETY: a page of our own, which may move.
    let moved = unsafe { blocks::mremap_known(at as *mut c_void, 4096, 8 * 4096, 1, core::ptr::null_mut()) };
    assert_eq!(table.remove(moved as u64), Some(record(8 * 4096)));
    table.insert(moved as u64, record(8 * 4096));
    // SAFETY: the kernel refuses a size of zero.
    let failed = unsafe { blocks::mremap_known(moved, 8 * 4096, 0, 1, core::ptr::null_mut()) };
    assert_eq!((failed as isize, table.remove(moved as u64)), (-1, Some(record(8 * 4096))));
}

#[test]
fn blocks_are_recorded_until_they_are_freed() {
    let attached = Attached::begin(1);
    let table = &attached.table;
    let here = || {
        let stack = [0_u64; 4];
        let sp = stack.as_ptr() as usize;
        assert!(sampling::crossed(8).is_some(), "the count of this thread is drawn");
        // SAFETY: sizes and alignments that the allocator takes; the stack pointer leads to zeros, where a walk ends.
        unsafe {
            let mut place = core::ptr::null_mut();
            assert_eq!(blocks::posix_memalign_crossed(&raw mut place, 64, 100, sp, 0), 0);
            let made = [
                blocks::malloc_crossed(100, sp, 0),
                blocks::calloc_crossed(4, 25, sp, 0),
                blocks::memalign_crossed(64, 100, sp, 0),
                blocks::aligned_alloc_crossed(4, 100, sp, 0),
                blocks::valloc_crossed(100, sp, 0),
                blocks::pvalloc_crossed(100, sp, 0),
                blocks::realloc_crossed(core::ptr::null_mut(), 100, sp, 0),
                place,
            ];
            for (number, block) in made.into_iter().enumerate() {
                assert!(malloc_usable_size(block) >= 100, "function {number}");
                let found = table.remove(block as u64).unwrap_or_else(|| panic!("function {number} is not recorded"));
                assert_eq!((found.size, found.facts.kind), (100, Kind::Block));
                table.restore(block as u64, found);
                blocks::free_known(block);
                assert_eq!(table.remove(block as u64), None, "function {number}");
            }
            let freed = table.header().freed.load(Ordering::Relaxed);
            let block = malloc(100);
            table.insert(block as u64, record(100));
            assert!(blocks::realloc_known(block, usize::MAX / 4, sp, 0).is_null());
            assert_eq!(table.remove(block as u64), Some(record(100)), "it was not moved");
            table.insert(block as u64, record(100));
            let block = blocks::realloc_known(block, 5000, sp, 0);
            assert_eq!(table.remove(block as u64), None, "its record went, and this one is no sample");
            assert_eq!(table.header().freed.load(Ordering::Relaxed), freed + 2);
            let mapped = |size: usize, prot, flags| {
                let at = blocks::mmap_anonymous(core::ptr::null_mut(), size, prot, flags, -1, 0, sp, 0);
                let found = table.remove(at as u64).map(|record| (record.size, record.facts.kind));
                blocks::munmap_known(at, size);
                found
            };
            assert_eq!(mapped(8192, 3, 0x22), Some((8192, Kind::Mapping)));
            assert_eq!(mapped(8192, 1, 0x22), None, "it cannot be written");
            assert_eq!(mapped(8192, 3, 0x4022), None, "it is only reserved");
            assert_eq!(mapped(8192, 3, 0x21), None, "it is shared");
            blocks::free_known(block);
        }
    };
    std::thread::scope(|all| all.spawn(here).join().unwrap());
}

#[test]
fn a_child_of_fork_records_nothing() {
    unsafe extern "C" {
        fn fork() -> c_int;
        fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
        fn _exit(status: c_int) -> !;
    }
    let _attached = Attached::begin(1 << 40);
    // SAFETY: the child reads two words and ends.
    let status = unsafe {
        let child = fork();
        if child == 0 {
            _exit(c_int::from(state::table().is_some()));
        }
        let mut status = -1;
        assert_eq!(waitpid(child, &raw mut status, 0), child);
        status
    };
    assert_eq!(status, 0);
    assert!(state::table().is_some());
}

#[test]
fn files_of_the_sampler_are_for_this_user_alone_and_no_links() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("tidewatch-hook-{}", sys::pid()));
    std::fs::create_dir(&folder).unwrap();
    let name = |name: &str| std::ffi::CString::new(folder.join(name).to_str().unwrap()).unwrap();
    let (made, moved, link) = (name("made"), name("moved"), name("link"));
    let exists = |path: &CStr| std::fs::symlink_metadata(path.to_str().unwrap()).is_ok();
    let file = sys::create(&made).unwrap();
    let mode = std::fs::metadata(folder.join("made")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(sys::take_room(file, 0, 4096) && sys::map(file, 4096).is_some());
    sys::close(file);
    assert_eq!(std::fs::metadata(folder.join("made")).unwrap().len(), 4096);
    assert!(sys::rename(&made, &moved) && !sys::rename(&made, &moved));
    assert!(!exists(&made) && exists(&moved));
    std::os::unix::fs::symlink(folder.join("moved"), folder.join("link")).unwrap();
    assert!(sys::reopen(&link).is_none() && sys::create(&link).is_none() && sys::reopen(&made).is_none());
    let again = sys::reopen(&moved).unwrap();
    sys::close(again);
    assert!(!sys::take_room(again, 0, 4096), "a file that was closed");
    assert!(sys::map(again, 4096).is_none());
    sys::unlink(&moved);
    assert!(!exists(&moved));
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(sys::pid(), u64::from(std::process::id()));
    let before = sys::now();
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!((2_000_000..60_000_000_000).contains(&(sys::now() - before)));
}
