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
    if module.is_some() && module == modules::of(real::allocator()).map(|module| module.start) {
        ASK.store(ask, Ordering::Relaxed);
        NEXT.store(0, Ordering::Relaxed);
    }
}

/// How long the allocator is left alone after a reading.
fn rest(before: u64, after: u64) -> u64 {
    SECOND.max(after.saturating_sub(before).saturating_mul(PART))
}

/// Reads the figures, if it is time.
pub fn refresh(table: &Table) {
    let ask = ASK.load(Ordering::Relaxed);
    let next = NEXT.load(Ordering::Relaxed);
    let before = sys::now();
    if ask == 0 || before < next {
        return;
    }
    if NEXT.compare_exchange(next, before + SECOND, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    // SAFETY: `prepare` found glibc's function under this name.
    let info = unsafe { core::mem::transmute::<usize, Ask>(ask)() };
    let after = sys::now();
    NEXT.store(after + rest(before, after), Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    static CALLS: AtomicU64 = AtomicU64::new(0);
    /// When the next reading was due while one was going on.
    static DUE: AtomicU64 = AtomicU64::new(0);

    unsafe extern "C" fn stand_in() -> Info {
        CALLS.fetch_add(1, Ordering::Relaxed);
        DUE.store(NEXT.load(Ordering::Relaxed), Ordering::Relaxed);
        Info {
            arena: 1,
            free_blocks: 99,
            small_blocks: 99,
            mapped_blocks: 99,
            mapped: 2,
            unused: 99,
            small_free: 99,
            used: 3,
            free: 4,
            top: 5,
        }
    }

    #[test]
    fn a_reading_rests_for_a_second_or_a_thousand_times_as_long_as_it_took() {
        for (before, after, expected) in [
            (5, 5, SECOND),
            (5, 4, SECOND),
            (0, 1_000_000, SECOND),
            (1, 1_000_002, 1_000_001_000),
            (0, 1 << 60, u64::MAX),
        ] {
            assert_eq!(rest(before, after), expected, "{before} to {after}");
        }
    }

    #[test]
    fn figures_are_read_when_it_is_time() {
        let _alone = crate::tests::alone();
        let table = crate::table::tests::table();
        let figures = || {
            let header = table.header();
            [&header.info_arena, &header.info_mapped, &header.info_used, &header.info_free, &header.info_top]
                .map(|figure| figure.load(Ordering::Relaxed))
        };
        let read_at = || table.header().info_at.load(Ordering::Relaxed);
        ASK.store(0, Ordering::Relaxed);
        NEXT.store(0, Ordering::Relaxed);
        refresh(&table);
        assert_eq!((read_at(), NEXT.load(Ordering::Relaxed)), (0, 0), "this allocator has no figures");
        ASK.store(stand_in as *const () as usize, Ordering::Relaxed);
        let before = sys::now();
        refresh(&table);
        let first = read_at();
        assert_eq!((figures(), CALLS.load(Ordering::Relaxed)), ([1, 2, 3, 4, 5], 1));
        assert!((before..=sys::now()).contains(&first));
        assert!(DUE.load(Ordering::Relaxed) >= before + SECOND, "no other thread reads meanwhile");
        assert!((first + SECOND..=first + 1_000 * SECOND).contains(&NEXT.load(Ordering::Relaxed)));
        refresh(&table);
        assert_eq!((read_at(), CALLS.load(Ordering::Relaxed)), (first, 1), "it is not time");
        NEXT.store(first, Ordering::Relaxed);
        refresh(&table);
        assert_eq!(CALLS.load(Ordering::Relaxed), 2);
        assert!(read_at() > first);
    }

    #[test]
    fn only_an_allocator_that_has_figures_is_asked() {
        let _alone = crate::tests::alone();
        assert!(modules::prepare() && real::find());
        let asked = || ASK.swap(0, Ordering::Relaxed);
        asked();
        NEXT.store(7, Ordering::Relaxed);
        prepare();
        // SAFETY: the name ends with a zero.
        let there = unsafe { sys::dlsym(sys::RTLD_DEFAULT, c"mallinfo2".as_ptr()) } as usize;
        assert_eq!((asked(), NEXT.load(Ordering::Relaxed)), (there, 0));
        // The functions of another allocator are not in the C library, whose figures are then nobody's.
        let malloc = real::MALLOC.swap(stand_in as *mut core::ffi::c_void, Ordering::Relaxed);
        prepare();
        real::MALLOC.store(malloc, Ordering::Relaxed);
        assert_eq!(asked(), 0);
    }
}
