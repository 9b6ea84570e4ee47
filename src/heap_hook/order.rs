//! What the injector writes into the library that it has loaded into a running process, and what stands there to be read.
//!
//! Both sides include this file. The library keeps a room of its own ([`Room`]) in its zeros: a stack for the thread that is
//! borrowed, an order, and who holds the library. A change of any size or meaning takes a new [`VERSION`].

/// The version of this file.
pub const VERSION: u64 = 2;
/// Bytes of the stack for the thread that is borrowed.
pub const STACK_BYTES: usize = 64 << 10;
/// Functions that the sampler stands before.
pub const FUNCTIONS: usize = 14;
/// Their names, in the order of [`Order::real`].
pub const NAMES: [&core::ffi::CStr; FUNCTIONS] = [
    c"malloc",
    c"free",
    c"calloc",
    c"realloc",
    c"memalign",
    c"aligned_alloc",
    c"posix_memalign",
    c"valloc",
    c"pvalloc",
    c"mmap",
    c"mmap64",
    c"munmap",
    c"mremap",
    c"dlclose",
];
/// How many of [`NAMES`] are the allocator's.
pub const ALLOCATOR: usize = 9;
/// The most mappings of an order.
pub const RANGES: usize = 5000;

/// [`Order::task`]: change the slots, and begin to record.
pub const BEGIN: u64 = 1;
/// [`Order::task`]: change the slots of modules that were loaded since.
pub const FOLLOW: u64 = 2;
/// [`Order::task`]: stop recording, and put the slots back.
pub const END: u64 = 3;

/// The order was carried out.
pub const DONE: i64 = 0;
/// The order is of another version.
pub const OTHER_VERSION: i64 = -1;
/// The loader's lock could not be used.
pub const NO_LOCK: i64 = -2;
/// The table found no room, or could not be mapped.
pub const NO_TABLE: i64 = -3;
/// A sampler records already.
pub const IS_BUSY: i64 = -4;

/// A mapping of a module's data.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its first byte.
    pub begin: u64,
    /// The byte after its last.
    pub end: u64,
    /// 1 if it can be written, 0 if it can be read alone.
    pub is_writable: u64,
}

/// What is to be done.
#[repr(C)]
pub struct Order {
    /// [`VERSION`].
    pub version: u64,
    /// [`BEGIN`], [`FOLLOW`] or [`END`].
    pub task: u64,
    /// The file for the table; it stays the caller's.
    pub table_file: i64,
    /// The mean number of bytes between samples.
    pub interval: u64,
    /// The real functions of [`NAMES`]; 0 for one that is left alone.
    pub real: [u64; FUNCTIONS],
    /// The pid of the injector, as it sees itself.
    pub owner_pid: u64,
    /// When that process began.
    pub owner_start: u64,
    /// 1 if calls that the loader has not resolved yet may be led here too: no module but the allocator's and the C library
    /// defines functions of these names.
    pub with_stubs: u64,
    /// How many of `ranges` are set.
    pub ranges_used: u64,
    /// Mappings of modules' data, by address. Slots elsewhere are left alone.
    pub ranges: [Range; RANGES],
}

/// Who holds the library.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// 1 while slots lead into the library.
    pub is_held: u64,
    /// [`Order::owner_pid`] of the order that began.
    pub owner_pid: u64,
    /// [`Order::owner_start`] of that order.
    pub owner_start: u64,
    /// Slots that lead into the library.
    pub slots: u64,
}

/// [`Visit::state`]: a thread is about to be sent, or was.
pub const VISIT_SENT: u64 = 4;
/// [`Visit::state`]: the thread is on its way.
pub const VISIT_BEGUN: u64 = 1;
/// [`Visit::state`]: everything is done, and the thread waits for the injector to put it back.
pub const VISIT_DONE: u64 = 2;
/// [`Visit::state`]: nobody came, and the thread puts itself back. It reads nothing of the visit and of the stack beside it any more,
/// so another may be sent. Or somebody came, and the visit is over.
pub const VISIT_LEFT: u64 = 3;
/// [`Visit::answer`]: the loader did not take the library; why stands in [`Visit::text`].
pub const NO_LIBRARY: i64 = -5;
/// Bytes of [`Visit::path`] and [`Visit::text`].
pub const TEXT_BYTES: usize = 224;

/// What a borrowed thread does, all of it by itself: whoever borrowed it may end at any moment. Written by the injector; the thread writes
/// `state`, `library`, `answer` and `text`.
#[repr(C)]
pub struct Visit {
    /// 0 before the first visit; then [`VISIT_SENT`], [`VISIT_BEGUN`], [`VISIT_DONE`], [`VISIT_LEFT`].
    pub state: u64,
    /// What the order came to: [`DONE`], or why not.
    pub answer: i64,
    /// Where the library lies; 0 if it is to be loaded first.
    pub library: u64,
    /// The target's `__errno_location`, so that `errno` stays what it was.
    pub errno_location: u64,
    /// The target's `dlopen`.
    pub dlopen: u64,
    /// The target's `dlerror`.
    pub dlerror: u64,
    /// The order to be copied into the library's room; 0 bytes if it is there already.
    pub order: u64,
    /// How long it is.
    pub order_bytes: u64,
    /// Where orders lie, from the begin of the library.
    pub room: u64,
    /// Where `tidewatch_heap_obey` lies, from the begin of the library.
    pub obey: u64,
    /// Files to be closed at the end; negative for none.
    pub files: [i64; 2],
    /// How long the thread waits to be put back: seconds and nanoseconds.
    pub patience: [u64; 2],
    /// The stack pointer with which it puts itself back.
    pub way_back: u64,
    /// The path of the library, ended by a zero.
    pub path: [u8; TEXT_BYTES],
    /// What the loader says, ended by a zero.
    pub text: [u8; TEXT_BYTES],
}

/// The room of the library. What is read of a library of any version comes first.
#[repr(C, align(4096))]
pub struct Room {
    /// Read from outside, before an order is given.
    pub hold: Hold,
    /// The order.
    pub order: Order,
    /// What a borrowed thread does here.
    pub visit: Visit,
    /// For the thread that is borrowed.
    pub stack: [u8; STACK_BYTES],
}
