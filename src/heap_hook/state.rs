//! Whether the sampler works, for whom, and into which table.
//!
//! It begins when the environment names a folder, or when a caller gives it a file. It ends in a child of `fork`: the
//! word that says it works lies on a page that the kernel clears there, because the table belongs to the parent.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

pub use crate::table::Table;
use crate::wire::{
    self, HEADER_BYTES, STATE_ACTIVE, STATE_DETACHED, STATE_NO_ROOM, TABLE_BYTES, UNWINDER_CFI, UNWINDER_NONE,
};
use crate::{figures, real, sys, table, unwind};

/// The variable: a folder, a colon, the mean interval in bytes, and for tests a colon and a seed.
const VARIABLE: &[u8] = b"TIDEWATCH_HEAP=";
/// The longest name of a table.
const PATH: usize = 1024;

/// Whether anything is recorded.
pub enum Phase {
    /// It is too early to know.
    Unready,
    /// No.
    Off,
    /// Yes, here.
    On(Table),
}

/// The page that says that this process is the one that was told to record.
static ALIVE: AtomicPtr<AtomicU64> = AtomicPtr::new(core::ptr::null_mut());
static TABLE: AtomicUsize = AtomicUsize::new(0);
static IS_DECIDED: AtomicBool = AtomicBool::new(false);
static INTERVAL: AtomicU64 = AtomicU64::new(1);
static SEED: AtomicU64 = AtomicU64::new(0);
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// How often somebody has begun by [`attach`]. A count that a thread has drawn before is of another interval.
pub fn epoch() -> u64 {
    EPOCH.load(Ordering::Relaxed)
}

/// The mean number of bytes between samples, before doublings.
pub fn interval() -> u64 {
    INTERVAL.load(Ordering::Relaxed)
}

/// What the generators of the threads begin with.
pub fn seed() -> u64 {
    SEED.load(Ordering::Relaxed)
}

/// The table, if this process records.
pub fn table() -> Option<Table> {
    let alive = ALIVE.load(Ordering::Acquire);
    // SAFETY: the page is mapped before its address is stored, and never unmapped.
    if alive.is_null() || unsafe { (*alive).load(Ordering::Acquire) } == 0 {
        return None;
    }
    // SAFETY: whoever sets the page has stored the place of a table before. It stays mapped; another table takes its place, not its address.
    Some(unsafe { Table::at(TABLE.load(Ordering::Relaxed)) })
}

/// Whether anything is recorded. Decides it when that can be done.
pub fn phase() -> Phase {
    if !IS_DECIDED.load(Ordering::Acquire) {
        // SAFETY: the C library's variable; null before it is set up.
        let environment = unsafe { sys::environ };
        if environment.is_null() {
            return Phase::Unready;
        }
        // SAFETY: the environment as the program has it now.
        unsafe { begin(environment) };
    }
    table().map_or(Phase::Off, Phase::On)
}

/// Begins if the environment says so. Does nothing the second time.
///
/// # Safety
///
/// A null-terminated list of strings.
pub unsafe fn begin(environment: *const *const c_char) {
    if environment.is_null() || IS_DECIDED.swap(true, Ordering::AcqRel) {
        return;
    }
    let mut entry = environment;
    // SAFETY: promised by the caller.
    unsafe {
        while !(*entry).is_null() {
            if let Some(value) = CStr::from_ptr(*entry).to_bytes().strip_prefix(VARIABLE) {
                // Any failure leaves the sampler off; the missing table tells the reader.
                let _ = begin_with(value);
                return;
            }
            entry = entry.add(1);
        }
    }
}

fn begin_with(value: &[u8]) -> Option<()> {
    let wish = wish(value)?;
    let (mut made, mut name) = ([0; PATH], [0; PATH - 1]);
    let pid = sys::pid();
    let made = write_path(&mut made, wish.folder, pid, b".new")?;
    let name = write_path(&mut name, wish.folder, pid, b"")?;
    let file = sys::create(made)?;
    let table = if sys::take_room(file, 0, HEADER_BYTES) { sys::map(file, TABLE_BYTES) } else { None };
    sys::close(file);
    let begun = table.and_then(|table| start(table, wish.interval, wish.seed.unwrap_or_else(any_seed)));
    if begun.is_none() || !sys::rename(made, name) {
        sys::unlink(made);
        stop();
        return None;
    }
    // SAFETY: nobody reads the path before `ROOM` says that it is there.
    unsafe { (*PATH_OF_TABLE.0.get()).get_mut(..name.count_bytes())?.copy_from_slice(name.to_bytes()) };
    ROOM.store(HEADER_ONLY, Ordering::Release);
    Some(())
}

struct PathOfTable(UnsafeCell<[u8; PATH]>);

// SAFETY: written once, before `ROOM` leaves its first value, and read after that.
unsafe impl Sync for PathOfTable {}

static PATH_OF_TABLE: PathOfTable = PathOfTable(UnsafeCell::new([0; PATH]));

const NONE: u32 = 0;
const HEADER_ONLY: u32 = 1;
const TAKING: u32 = 2;
const ALL: u32 = 3;

/// How much of the table has room on its disk. Most programs end before their first sample, and need a page.
static ROOM: AtomicU32 = AtomicU32::new(NONE);

/// Whether records were written, or can be.
pub fn is_roomy() -> bool {
    ROOM.load(Ordering::Acquire) == ALL
}

/// Whether the table has room behind its header; takes it the first time. Without, the sampler stops.
pub fn has_room() -> bool {
    if let Err(room) = ROOM.compare_exchange(HEADER_ONLY, TAKING, Ordering::AcqRel, Ordering::Acquire) {
        return room == ALL;
    }
    // SAFETY: written before, and ended by zeros.
    let path = unsafe { CStr::from_ptr(PATH_OF_TABLE.0.get().cast()) };
    let is_taken = sys::reopen(path).is_some_and(|file| {
        let is_taken = sys::take_room(file, HEADER_BYTES, TABLE_BYTES);
        sys::close(file);
        is_taken
    });
    if is_taken {
        ROOM.store(ALL, Ordering::Release);
    } else {
        stop_as(STATE_NO_ROOM);
    }
    is_taken
}

struct Wish<'a> {
    folder: &'a [u8],
    interval: u64,
    seed: Option<u64>,
}

/// Reads `FOLDER:INTERVAL[:SEED]`. A folder may hold colons.
fn wish(value: &[u8]) -> Option<Wish<'_>> {
    let (before, last) = value.split_at(value.iter().rposition(|byte| *byte == b':')?);
    let last = number(last.get(1..)?)?;
    let second = before.iter().rposition(|byte| *byte == b':').map(|colon| before.split_at(colon));
    let second = second.and_then(|(folder, digits)| Some((folder, number(digits.get(1..)?)?)));
    let wish = match second {
        Some((folder, interval)) => Wish { folder, interval, seed: Some(last) },
        None => Wish { folder: before, interval: last, seed: None },
    };
    (wish.interval > 0 && wish.interval <= 1 << 40 && !wish.folder.is_empty()).then_some(wish)
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Writes `FOLDER/heap.PID` and an ending.
fn write_path<'a>(path: &'a mut [u8], folder: &[u8], pid: u64, ending: &[u8]) -> Option<&'a CStr> {
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut rest = pid;
    while rest > 0 || first == digits.len() {
        first -= 1;
        *digits.get_mut(first)? = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let parts: [&[u8]; 5] = [folder, b"/heap.", digits.get(first..)?, ending, b"\0"];
    let mut end = 0;
    for part in parts {
        path.get_mut(end..end + part.len())?.copy_from_slice(part);
        end += part.len();
    }
    // SAFETY: the last part is a zero, and a string of the environment holds none.
    Some(unsafe { CStr::from_bytes_with_nul_unchecked(path.get(..end)?) })
}

/// A seed that differs between processes, and from one time to the next.
fn any_seed() -> u64 {
    seed_of(sys::now(), sys::pid())
}

fn seed_of(now: u64, pid: u64) -> u64 {
    now ^ pid << 40
}

/// Begins to record into a table that is mapped here and holds zeros.
fn start(table: usize, interval: u64, seed: u64) -> Option<()> {
    let alive = match ALIVE.load(Ordering::Acquire) {
        page if page.is_null() => sys::page_wiped_on_fork()? as *mut AtomicU64,
        page => page,
    };
    INTERVAL.store(interval, Ordering::Relaxed);
    SEED.store(seed, Ordering::Relaxed);
    TABLE.store(table, Ordering::Relaxed);
    let unwinder = if unwind::prepare() { UNWINDER_CFI } else { UNWINDER_NONE };
    real::find();
    real::learn_allocator();
    figures::prepare();
    // SAFETY: the caller's mapping is a table's.
    let mapped = unsafe { Table::at(table) };
    let header = mapped.header();
    header.version.store(wire::VERSION, Ordering::Relaxed);
    header.table_bytes.store(TABLE_BYTES as u64, Ordering::Relaxed);
    header.pid.store(sys::pid(), Ordering::Relaxed);
    header.state.store(STATE_ACTIVE, Ordering::Relaxed);
    header.unwinder.store(unwinder, Ordering::Relaxed);
    header.base_interval.store(interval, Ordering::Relaxed);
    header.magic.store(wire::MAGIC, Ordering::Release);
    // SAFETY: the page is mapped, and stays.
    unsafe { (*alive).store(1, Ordering::Release) };
    ALIVE.store(alive, Ordering::Release);
    Some(())
}

/// Stops recording, for a reason. What stands in the table stays as it is.
fn stop_as(state: u64) {
    if let Some(table) = table() {
        table.header().state.store(state, Ordering::Release);
    }
    let alive = ALIVE.load(Ordering::Acquire);
    if !alive.is_null() {
        // SAFETY: the page is mapped, and stays.
        unsafe { (*alive).store(0, Ordering::Release) };
    }
}

/// Stops recording, because somebody said so.
pub fn stop() {
    stop_as(STATE_DETACHED);
}

/// Begins to record into a file that the caller made, empty. The file stays the caller's.
pub fn attach(file: c_int, interval: u64) -> bool {
    table().is_none() && sys::take_room(file, 0, TABLE_BYTES) && attach_roomy(file, interval)
}

/// The same with a file that has its room, and holds zeros.
pub fn attach_roomy(file: c_int, interval: u64) -> bool {
    IS_DECIDED.store(true, Ordering::Release);
    if table().is_some() || interval == 0 {
        return false;
    }
    let table = match TABLE.load(Ordering::Relaxed) {
        0 => sys::map(file, TABLE_BYTES),
        // The table of another time gives its place. A thread that is still about to write into it writes into this one.
        // SAFETY: it was mapped by `begin_with` or here, and nothing else was since.
        place => unsafe { sys::map_over(place, file, TABLE_BYTES) },
    };
    table::clear_filter();
    unwind::clear();
    EPOCH.fetch_add(1, Ordering::Relaxed);
    ROOM.store(if table.is_some() { ALL } else { NONE }, Ordering::Release);
    table.and_then(|table| start(table, interval, any_seed())).is_some()
}

#[cfg(test)]
mod tests;
