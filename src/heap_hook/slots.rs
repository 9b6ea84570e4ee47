//! The slots of loaded modules through which they call the allocator: led here, and put back.
//!
//! A slot is a word that the loader has filled with the address of a function: a `JUMP_SLOT`, a `GLOB_DAT`, or a pointer in data. It is
//! changed by one aligned store, so that a thread which calls through it meanwhile finds one address or the other; and only where
//! it holds the real function, or the stub that would look for it. All of this runs under the loader's lock ([`crate::orders`]): no module comes,
//! goes or is being relocated. Read-only data is made writable for the change, if the order names its mapping as read-only, and
//! put back. What the order does not name is left alone.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::attach;
use crate::order::{FUNCTIONS, NAMES, Order};
use crate::sys;

#[repr(C)]
struct Info {
    base: usize,
    name: *const c_char,
    headers: *const Header,
    header_count: u16,
}

#[repr(C)]
struct Header {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    physical: usize,
    file_bytes: usize,
    bytes: usize,
    align: usize,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PF_X: u32 = 1;
const PF_W: u32 = 2;

#[repr(C)]
struct Relocation {
    offset: usize,
    info: usize,
    addend: usize,
}

const R_64: u32 = 1;
const R_GLOB_DAT: u32 = 6;
const R_JUMP_SLOT: u32 = 7;

#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: usize,
    size: usize,
}

unsafe extern "C" {
    fn dl_iterate_phdr(
        visit: unsafe extern "C" fn(*const Info, usize, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
}

/// Which way slots are changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Here,
    Back,
}

struct Change<'a> {
    way: Way,
    order: &'a Order,
    ours: [usize; FUNCTIONS],
    changed: u64,
}

/// Leads slots here. How many.
pub fn hook(order: &Order) -> u64 {
    change(order, Way::Here)
}

/// Puts slots back. How many.
pub fn unhook(order: &Order) -> u64 {
    change(order, Way::Back)
}

fn change(order: &Order, way: Way) -> u64 {
    let mut change = Change { way, order, ours: attach::ours(), changed: 0 };
    // SAFETY: `visit` gets this change back, which outlives the call.
    unsafe { dl_iterate_phdr(visit, (&raw mut change).cast()) };
    change.changed
}

unsafe extern "C" fn visit(info: *const Info, _: usize, change: *mut c_void) -> c_int {
    // SAFETY: the loader hands over a module that stays meanwhile; the rest is ours.
    unsafe {
        let change = &mut *change.cast::<Change<'_>>();
        if let Some(module) = Module::of(&*info).filter(|module| !module.holds(visit as *const () as usize)) {
            module.change(change);
        }
    }
    0
}

struct Module<'a> {
    base: usize,
    headers: &'a [Header],
    symbols: usize,
    names: usize,
    tables: [(usize, usize); 2],
}

impl<'a> Module<'a> {
    /// # Safety
    ///
    /// What the loader says of a module that is loaded.
    unsafe fn of(info: &'a Info) -> Option<Self> {
        if info.headers.is_null() {
            return None;
        }
        // SAFETY: promised by the caller.
        let headers = unsafe { core::slice::from_raw_parts(info.headers, usize::from(info.header_count)) };
        let mut module = Self { base: info.base, headers, symbols: 0, names: 0, tables: [(0, 0); 2] };
        let dynamic = headers.iter().find(|header| header.kind == PT_DYNAMIC)?;
        let entries = (module.base.wrapping_add(dynamic.address)) as *const [usize; 2];
        let (mut lazy, mut lazy_bytes, mut rela, mut rela_bytes, mut relative) = (0, 0, 0, 0, 0);
        for number in 0..dynamic.bytes / 16 {
            // SAFETY: the dynamic section is loaded, and this long.
            let [tag, value] = unsafe { entries.add(number).read() };
            match tag {
                0 => break,
                2 => lazy_bytes = value,
                5 => module.names = module.at(value),
                6 => module.symbols = module.at(value),
                7 => rela = module.at(value),
                8 => rela_bytes = value,
                23 => lazy = module.at(value),
                0x6fff_fff9 => relative = value,
                _ => {}
            }
        }
        // Relative relocations come first, and name no function.
        let skipped = relative.saturating_mul(size_of::<Relocation>()).min(rela_bytes);
        module.tables = [(lazy, lazy_bytes), (rela.wrapping_add(skipped), rela_bytes - skipped)];
        let is_whole = [module.symbols, module.names].iter().all(|at| module.holds(*at));
        is_whole.then_some(module)
    }

    /// An address of the dynamic section, which the loader has made absolute or not.
    fn at(&self, value: usize) -> usize {
        if self.holds(value) { value } else { self.base.wrapping_add(value) }
    }

    fn segment(&self, address: usize) -> Option<&Header> {
        self.headers.iter().find(|header| {
            let begin = self.base.wrapping_add(header.address);
            header.kind == PT_LOAD && address >= begin && address - begin < header.bytes
        })
    }

    fn holds(&self, address: usize) -> bool {
        self.segment(address).is_some()
    }

    fn change(&self, change: &mut Change<'_>) {
        let mut open = None;
        for (begin, bytes) in self.tables {
            if bytes < size_of::<Relocation>() || !self.holds(begin) || !self.holds(begin.saturating_add(bytes - 1)) {
                continue;
            }
            for number in 0..bytes / size_of::<Relocation>() {
                // SAFETY: inside a loaded segment of the module, as was just shown.
                let relocation = unsafe { &*(begin as *const Relocation).add(number) };
                self.change_one(relocation, change, &mut open);
            }
        }
        close(open);
    }

    fn change_one(&self, relocation: &Relocation, change: &mut Change<'_>, open: &mut Option<Open>) {
        let kind = relocation.info as u32;
        if !matches!(kind, R_64 | R_GLOB_DAT | R_JUMP_SLOT) || kind == R_64 && relocation.addend != 0 {
            return;
        }
        let at = self.base.wrapping_add(relocation.offset);
        if !at.is_multiple_of(8) || self.segment(at).is_none_or(|segment| segment.flags & PF_W == 0) {
            return;
        }
        let Some(range) = change.order.range(at) else { return };
        // SAFETY: an aligned word of a mapping that can be read, in a module that stays.
        let slot = unsafe { &*(at as *const AtomicUsize) };
        let held = slot.load(Ordering::Relaxed);
        let Some(new) = (match change.way {
            Way::Here => self.here(relocation, kind, held, change),
            Way::Back => back(at, held, change),
        }) else {
            return;
        };
        if change.way == Way::Here && !keep(at, held, change.order.real.contains(&(held as u64))) {
            return;
        }
        if range.is_writable == 0 && !reopen(open, at, range.begin as usize, range.end as usize) {
            return;
        }
        if slot.compare_exchange(held, new, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            change.changed += 1;
        }
    }

    /// Our function for a slot that holds the real one, or the stub that would look for it.
    fn here(&self, relocation: &Relocation, kind: u32, held: usize, change: &Change<'_>) -> Option<usize> {
        if held == 0 {
            return None;
        }
        let found = change.order.real.iter().position(|real| *real == held as u64);
        let found = found.or_else(|| {
            let is_stub = change.order.with_stubs == 1
                && kind == R_JUMP_SLOT
                && self.segment(held).is_some_and(|segment| segment.flags & PF_X != 0);
            if is_stub { self.name(relocation) } else { None }
        })?;
        if *change.order.real.get(found)? == 0 { None } else { change.ours.get(found).copied() }
    }

    /// Which function a relocation names, that another module defines.
    fn name(&self, relocation: &Relocation) -> Option<usize> {
        let at = self.symbols.wrapping_add((relocation.info >> 32) * size_of::<Symbol>());
        if !self.holds(at) {
            return None;
        }
        // SAFETY: a symbol inside a loaded segment.
        let symbol = unsafe { &*(at as *const Symbol) };
        let name = self.names.wrapping_add(symbol.name as usize);
        if symbol.section != 0 || !self.holds(name) {
            return None;
        }
        // SAFETY: a string of the module's table, which ends with a zero.
        let name = unsafe { CStr::from_ptr(name as *const c_char) };
        NAMES.iter().position(|known| *known == name)
    }
}

/// What a slot of ours held before.
fn back(at: usize, held: usize, change: &Change<'_>) -> Option<usize> {
    let which = change.ours.iter().position(|ours| *ours == held)?;
    let real = *change.order.real.get(which)? as usize;
    kept(at).or(Some(real)).filter(|address| *address != 0)
}

/// A mapping that was made writable.
struct Open {
    begin: usize,
    end: usize,
}

fn reopen(open: &mut Option<Open>, at: usize, begin: usize, end: usize) -> bool {
    if open.as_ref().is_some_and(|open| (open.begin..open.end).contains(&at)) {
        return true;
    }
    close(open.take());
    if !sys::protect(begin, end - begin, sys::PROT_READ_WRITE) {
        return false;
    }
    *open = Some(Open { begin, end });
    true
}

fn close(open: Option<Open>) {
    if let Some(Open { begin, end }) = open {
        sys::protect(begin, end - begin, sys::PROT_READ);
    }
}

/// Stubs that can be kept: unresolved calls of all modules.
const STUBS: usize = 4096;

struct Stubs(UnsafeCell<([[usize; 2]; STUBS], usize, usize)>);

// SAFETY: used under the loader's lock alone.
unsafe impl Sync for Stubs {}

/// Slots and the stubs that they held, how many, and where the last search ended.
static KEPT: Stubs = Stubs(UnsafeCell::new(([[0; 2]; STUBS], 0, 0)));

/// Forgets all stubs.
pub fn forget() {
    // SAFETY: under the loader's lock.
    let (_, used, next) = unsafe { &mut *KEPT.0.get() };
    (*used, *next) = (0, 0);
}

/// Keeps what a slot holds, if that is a stub. False where there is no room.
fn keep(at: usize, held: usize, is_real: bool) -> bool {
    // SAFETY: under the loader's lock.
    let (stubs, used, _) = unsafe { &mut *KEPT.0.get() };
    let there = stubs.iter_mut().take(*used).find(|stub| stub[0] == at);
    match there {
        Some(stub) => stub[1] = if is_real { 0 } else { held },
        None if is_real => {}
        None => {
            let Some(free) = stubs.get_mut(*used) else { return false };
            *free = [at, held];
            *used += 1;
        }
    }
    true
}

/// The stub that a slot held. Slots are put back in the order in which they were changed, so the next is mostly the one.
fn kept(at: usize) -> Option<usize> {
    // SAFETY: under the loader's lock.
    let (stubs, used, next) = unsafe { &mut *KEPT.0.get() };
    let stubs = stubs.get(..*used)?;
    let found = (*next..*used).chain(0..*next).find(|index| stubs.get(*index).is_some_and(|stub| stub[0] == at))?;
    *next = found + 1;
    stubs.get(found).map(|stub| stub[1]).filter(|stub| *stub != 0)
}

impl Order {
    fn range(&self, at: usize) -> Option<&crate::order::Range> {
        let ranges = self.ranges.get(..self.ranges_used as usize)?;
        let after = ranges.partition_point(|range| range.begin <= at as u64);
        ranges.get(after.checked_sub(1)?).filter(|range| (at as u64) < range.end)
    }
}

#[cfg(test)]
mod tests;
