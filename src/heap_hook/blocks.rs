//! The slow paths: an allocation that is sampled, a free of a block that may be recorded.
//!
//! Each is reached by a jump from its function in [`crate::entry`], with the caller's stack and frame pointers. The real function
//! does the work in every case; `errno` is left as it sets it.

use core::ffi::c_void;

use crate::figures;
use crate::real::{self, call};
use crate::sampling::{self, Guard};
use crate::state::{self, Table};
use crate::sys::{self, MAP_PRIVATE_ANONYMOUS, PROT_WRITE};
use crate::table::{Record, count};
use crate::unwind::{self, End, Walk};
use crate::wire::{Facts, Kind, UNWINDER_CFI};

type Block = *mut c_void;
/// A sample to be taken: the table, and the doublings of its interval.
type Chosen = Option<(Table, u64)>;

/// Records a block with the stack of the caller.
fn record(chosen: Chosen, kind: Kind, block: Block, size: usize, sp: usize, bp: usize) {
    let Some((table, level)) = chosen else { return };
    if block.is_null() {
        return;
    }
    let Some(_guard) = Guard::enter() else { return };
    // A child of vfork runs on its parent's table; one of fork has none.
    if state::table().is_none() || !state::has_room() {
        return;
    }
    // SAFETY: `sp` is where the caller's call has put the return address.
    let mut walk = unsafe { unwind::walk(sp, bp) };
    let header = table.header();
    match walk.end {
        End::Whole => {}
        End::Truncated => count(&header.truncated),
        End::Deep => count(&header.deep),
    }
    if header.unwinder.load(core::sync::atomic::Ordering::Relaxed) != UNWINDER_CFI {
        walk.length = 1;
    }
    let frames = walk.frames.get(..walk.length).unwrap_or_default();
    let facts = Facts { stack: table.stack(frames, kind), level, kind };
    count(&header.samples);
    table.insert(block as u64, Record { size: size as u64, facts });
    if is_outside_allocator(kind, &walk) {
        figures::refresh(&table);
    }
}

/// Whether this thread is known to hold no lock of the allocator, so that it may be asked for its figures: the program called it, and
/// no signal handler is at work that may have interrupted another call. A stack that was not followed to its end says nothing.
fn is_outside_allocator(kind: Kind, walk: &Walk) -> bool {
    kind == Kind::Block && walk.end == End::Whole && !walk.is_in_handler
}

/// Takes out the record of a block that goes away now.
fn remove(block: Block) -> Option<(Table, Record)> {
    let table = state::table().filter(|_| state::is_roomy())?;
    table.remove(block as u64).map(|record| (table, record))
}

/// `malloc` of the allocation that crossed the count.
pub unsafe extern "C" fn malloc_crossed(size: usize, sp: usize, bp: usize) -> Block {
    let chosen = sampling::crossed(size as u64);
    let block = call!(MALLOC(size): fn(usize) -> Block);
    record(chosen, Kind::Block, block, size, sp, bp);
    block
}

/// `calloc` of the allocation that crossed the count.
pub unsafe extern "C" fn calloc_crossed(number: usize, size: usize, sp: usize, bp: usize) -> Block {
    let bytes = number.saturating_mul(size);
    let chosen = sampling::crossed(bytes as u64);
    let block = call!(CALLOC(number, size): fn(usize, usize) -> Block);
    record(chosen, Kind::Block, block, bytes, sp, bp);
    block
}

/// `memalign` of the allocation that crossed the count.
pub unsafe extern "C" fn memalign_crossed(align: usize, size: usize, sp: usize, bp: usize) -> Block {
    let chosen = sampling::crossed(size as u64);
    let block = call!(MEMALIGN(align, size): fn(usize, usize) -> Block);
    record(chosen, Kind::Block, block, size, sp, bp);
    block
}

/// `aligned_alloc` of the allocation that crossed the count.
pub unsafe extern "C" fn aligned_alloc_crossed(align: usize, size: usize, sp: usize, bp: usize) -> Block {
    let chosen = sampling::crossed(size as u64);
    let block = call!(ALIGNED_ALLOC(align, size): fn(usize, usize) -> Block);
    record(chosen, Kind::Block, block, size, sp, bp);
    block
}

/// `posix_memalign` of the allocation that crossed the count.
pub unsafe extern "C" fn posix_memalign_crossed(
    to: *mut Block,
    align: usize,
    size: usize,
    sp: usize,
    bp: usize,
) -> i32 {
    let chosen = sampling::crossed(size as u64);
    let result = call!(POSIX_MEMALIGN(to, align, size): fn(*mut Block, usize, usize) -> i32);
    if result == 0 {
        // SAFETY: the real function has written the block there.
        record(chosen, Kind::Block, unsafe { *to }, size, sp, bp);
    }
    result
}

/// `valloc` of the allocation that crossed the count.
pub unsafe extern "C" fn valloc_crossed(size: usize, sp: usize, bp: usize) -> Block {
    let chosen = sampling::crossed(size as u64);
    let block = call!(VALLOC(size): fn(usize) -> Block);
    record(chosen, Kind::Block, block, size, sp, bp);
    block
}

/// `pvalloc` of the allocation that crossed the count.
pub unsafe extern "C" fn pvalloc_crossed(size: usize, sp: usize, bp: usize) -> Block {
    let chosen = sampling::crossed(size as u64);
    let block = call!(PVALLOC(size): fn(usize) -> Block);
    record(chosen, Kind::Block, block, size, sp, bp);
    block
}

/// `free` of a block that may be recorded.
pub unsafe extern "C" fn free_known(block: Block) {
    if real::is_early(block) {
        return;
    }
    remove(block);
    call!(FREE(block): fn(Block) -> ());
}

/// `realloc` that crossed the count.
pub unsafe extern "C" fn realloc_crossed(block: Block, size: usize, sp: usize, bp: usize) -> Block {
    resize(sampling::crossed(size as u64), block, size, sp, bp)
}

/// `realloc` of a block that may be recorded.
pub unsafe extern "C" fn realloc_known(block: Block, size: usize, sp: usize, bp: usize) -> Block {
    resize(None, block, size, sp, bp)
}

/// A block that is given another size is one that is freed and another that is allocated, to the sampler alone.
fn resize(chosen: Chosen, block: Block, size: usize, sp: usize, bp: usize) -> Block {
    if real::is_early(block) {
        let new = call!(MALLOC(size): fn(usize) -> Block);
        if !new.is_null() {
            let bytes = real::early_size(block).min(size);
            // SAFETY: the old block holds so many bytes, and the new one was made for them.
            unsafe { core::ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast::<u8>(), bytes) };
        }
        record(chosen, Kind::Block, new, size, sp, bp);
        return new;
    }
    let before = remove(block);
    let new = call!(REALLOC(block, size): fn(Block, usize) -> Block);
    if let Some((table, record)) = before.filter(|_| new.is_null() && size != 0) {
        table.restore(block as u64, record);
    }
    record(chosen, Kind::Block, new, size, sp, bp);
    new
}

const FAILED: usize = usize::MAX;
const MAP_FIXED: usize = 0x10;
const MAP_NORESERVE: usize = 0x4000;

/// `mmap` of private memory without a file.
pub unsafe extern "C" fn mmap_anonymous(
    at: Block,
    size: usize,
    prot: i32,
    flags: i32,
    file: i32,
    offset: i64,
    sp: usize,
    bp: usize,
) -> Block {
    // SAFETY: `sp` is where the caller's call has put the return address.
    let caller = unsafe { *(sp as *const usize) };
    let is_ours = flags as usize & MAP_PRIVATE_ANONYMOUS == MAP_PRIVATE_ANONYMOUS && !real::is_allocator(caller);
    // What is reserved is no allocation.
    let is_writable = prot as usize & PROT_WRITE != 0 && flags as usize & MAP_NORESERVE == 0;
    let is_counted = is_ours && is_writable && sampling::take(size as u64);
    let chosen = if is_counted { sampling::crossed(size as u64) } else { None };
    if is_ours && flags as usize & MAP_FIXED != 0 {
        remove(at);
    }
    let place = call!(MMAP(at, size, prot, flags, file, offset): fn(Block, usize, i32, i32, i32, i64) -> Block);
    if place as usize != FAILED {
        record(chosen, Kind::Mapping, place, size, sp, bp);
    }
    place
}

/// `munmap` of memory that may be recorded. What is left of a mapping whose begin goes away stays on record.
pub unsafe extern "C" fn munmap_known(at: Block, size: usize) -> i32 {
    let before = remove(at);
    let result = call!(MUNMAP(at, size): fn(Block, usize) -> i32);
    if let Some((table, mut record)) = before {
        if result != 0 {
            table.restore(at as u64, record);
        } else if let Some(rest) = record.size.checked_sub(size.next_multiple_of(4096) as u64).filter(|rest| *rest > 0)
        {
            record.size = rest;
            table.restore(at as u64 + size.next_multiple_of(4096) as u64, record);
        }
    }
    result
}

/// `mremap` of memory that may be recorded.
pub unsafe extern "C" fn mremap_known(at: Block, old: usize, new: usize, flags: i32, to: Block) -> Block {
    let before = remove(at);
    let place = call!(MREMAP(at, old, new, flags, to): fn(Block, usize, usize, i32, Block) -> Block);
    if let Some((table, mut record)) = before {
        if place as usize == FAILED {
            table.restore(at as u64, record);
        } else {
            record.size = new as u64;
            table.restore(place as u64, record);
        }
    }
    place
}

/// `dlclose`: rules of functions that may be gone are forgotten.
pub unsafe extern "C" fn dlclose_and_forget(handle: Block) -> i32 {
    let result = call!(DLCLOSE(handle): fn(Block) -> i32);
    let errno = sys::errno();
    unwind::clear();
    sys::set_errno(errno);
    result
}

#[cfg(test)]
mod tests;
