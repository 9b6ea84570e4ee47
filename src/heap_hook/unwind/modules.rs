//! The module of a program counter, and the entry of its unwind table.
//!
//! `_dl_find_object` (glibc 2.35) takes no lock and is safe in a signal handler. Without it no tables are found: walking the
//! list of modules takes the loader's lock, and an allocation may happen under any lock of the program.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use super::cursor::{Cursor, OMIT};
use crate::sys;

#[repr(C)]
struct Found {
    flags: u64,
    start: usize,
    end: usize,
    link_map: usize,
    eh_frame_hdr: usize,
    reserved: [u64; 7],
}

type Find = unsafe extern "C" fn(*mut c_void, *mut Found) -> c_int;

/// The address of `_dl_find_object`; 0 when this C library has none.
static FIND: AtomicUsize = AtomicUsize::new(0);

/// Looks for what is needed. Told once, before the first stack is taken.
pub fn prepare() -> bool {
    // SAFETY: the name ends with a zero.
    let find = unsafe { sys::dlsym(sys::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) };
    FIND.store(find as usize, Ordering::Relaxed);
    !find.is_null()
}

/// A loaded module.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    header: usize,
    /// Where its tables may lie.
    tables: (usize, usize),
}

impl Module {
    fn new(start: usize, end: usize, header: usize) -> Self {
        // A module with gaps between its segments is found by one of them. Its tables lie in another, whose borders are not
        // told; they are the linker's, and each entry says how long it is.
        let tables = if (start..end).contains(&header) { (start, end) } else { (0, usize::MAX) };
        Self { start, end, header, tables }
    }
}

/// The module that holds an address.
pub fn of(address: usize) -> Option<Module> {
    let find = FIND.load(Ordering::Relaxed);
    if find == 0 {
        return None;
    }
    let mut found = Found { flags: 0, start: 0, end: 0, link_map: 0, eh_frame_hdr: 0, reserved: [0; 7] };
    // SAFETY: `prepare` found this function under its name; `found` has the layout of its ABI.
    let result = unsafe {
        let find = core::mem::transmute::<usize, Find>(find);
        find(address as *mut c_void, &raw mut found)
    };
    (result == 0).then(|| Module::new(found.start, found.end, found.eh_frame_hdr))
}

/// A table of pairs of signed 32-bit offsets from the header: the one form that linkers write.
const SORTED: u8 = 0x3b;

impl Module {
    /// A module whose header is its begin.
    #[cfg(test)]
    pub fn for_tests(start: usize, end: usize) -> Self {
        Self::new(start, end, start)
    }

    /// A module without a header.
    #[cfg(test)]
    pub fn without_tables(start: usize, end: usize) -> Self {
        Self::new(start, end, 0)
    }

    /// A cursor at an address of this module.
    pub fn cursor(&self, at: usize) -> Option<Cursor> {
        let (begin, end) = self.tables;
        // SAFETY: the module is loaded while one of its functions is on the stack.
        (self.header != 0 && (begin..end).contains(&at)).then(|| unsafe { Cursor::new(at, end) })
    }

    /// The description of the function that holds an address, by the sorted table of the module.
    pub fn description(&self, pc: usize) -> Option<usize> {
        let mut header = self.cursor(self.header)?;
        let version = header.u8()?;
        let (pointer, count, table) = (header.u8()?, header.u8()?, header.u8()?);
        if version != 1 || table != SORTED || count == OMIT {
            return None;
        }
        header.pointer(pointer, self.header)?;
        let count = header.pointer(count, self.header)?;
        let rows = header.first(count.checked_mul(8)? as u64)?.at();
        let target = i32::try_from(pc.wrapping_sub(self.header).cast_signed()).ok()?;
        // SAFETY: `first` has shown that `count` pairs of 32 bits lie inside the module.
        let row = |index: usize| unsafe { ((rows + index * 8) as *const [i32; 2]).read_unaligned() };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if row(middle)[0] <= target { low = middle + 1 } else { high = middle }
        }
        let [_, offset] = row(low.checked_sub(1)?);
        Some(self.header.wrapping_add_signed(offset as isize))
    }
}
