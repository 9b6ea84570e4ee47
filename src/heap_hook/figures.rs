//! What the allocator says about itself: `mallinfo2` of glibc, where glibc is the allocator.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::table::Table;
use crate::unwind::modules;
use crate::{real, sys};

#[repr(C)]
struct Info {
    arena: usize,
    free_blocks: usize,
    small_blocks: usize,
    mapped_blocks: usize,
    mapped: usize,
    unused: usize,
    small_free: usize,
    used: usize,
    free: usize,
    top: usize,
}

type Ask = unsafe extern "C" fn() -> Info;

static ASK: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Reading walks over every free block, so it may take long: it comes at most once a second, and takes at most this part of
/// the time.
const PART: u64 = 1000;
const SECOND: u64 = 1_000_000_000;

/// Looks whether the allocator in use has figures.
pub fn prepare() {
    // SAFETY: the name ends with a zero.
    let ask = unsafe { sys::dlsym(sys::RTLD_DEFAULT, c"mallinfo2".as_ptr()) } as usize;
    let module = modules::of(ask).map(|module| module.start);
    if ask != 0 && module.is_some() && module == modules::of(real::allocator()).map(|module| module.start) {
        ASK.store(ask, Ordering::Relaxed);
        NEXT.store(0, Ordering::Relaxed);
    }
}

/// Reads the figures, if it is time.
pub fn refresh(table: &Table) {
    let ask = ASK.load(Ordering::Relaxed);
    let next = NEXT.load(Ordering::Relaxed);
    if ask == 0 {
        return;
    }
    let before = sys::now();
    if before < next || NEXT.compare_exchange(next, before + SECOND, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    // SAFETY: `prepare` found glibc's function under this name.
    let info = unsafe { core::mem::transmute::<usize, Ask>(ask)() };
    let after = sys::now();
    NEXT.store(after + SECOND.max(after.saturating_sub(before) * PART), Ordering::Relaxed);
    let header = table.header();
    let figures = [
        (&header.info_arena, info.arena),
        (&header.info_mapped, info.mapped),
        (&header.info_used, info.used),
        (&header.info_free, info.free),
        (&header.info_top, info.top),
    ];
    for (place, value) in figures {
        place.store(value as u64, Ordering::Relaxed);
    }
    header.info_at.store(after, Ordering::Release);
}
