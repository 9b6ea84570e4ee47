//! Which allocations are sampled.
//!
//! Bytes are samples of a Poisson process: each thread counts down from a number of bytes drawn from an exponential distribution,
//! and the allocation that takes the count below zero is recorded. So a block of `size` bytes is recorded with the chance
//! `1 - exp(-size / interval)`, whatever came before it, and the reader can undo that. The interval goes up where
//! samples come fast, and down again; each record keeps the one that its count was drawn with.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use crate::state::{self, Phase, Table};
use crate::sys;
use crate::wire::{MAX_LEVEL, mix};

// The count of a thread lies in memory that comes with the thread (initial-exec), so that reaching it is one instruction.
global_asm!(
    ".pushsection .tbss, \"awT\", @nobits",
    ".p2align 5",
    ".globl tidewatch_local",
    ".hidden tidewatch_local",
    ".type tidewatch_local, @object",
    ".size tidewatch_local, 32",
    "tidewatch_local: .zero 32",
    ".popsection",
);

/// What each thread has. A new thread's is all zeros. Signal handlers of the thread come in between at any place, and subtract too, so the
/// words are atomics, without any order among them: nobody but this thread reads them.
#[repr(C)]
pub struct Local {
    /// Bytes until the next sample. Allocations subtract their size; below zero they ask [`crossed`].
    left: AtomicU64,
    /// The state of the generator; 0 before the first draw.
    random: AtomicU64,
    /// The doublings of the interval that `left` was drawn with, and from [`EPOCH_AT`] on the epoch.
    level: AtomicU64,
    /// Not 0 while this thread is inside the sampler, or in a signal handler on top of it.
    busy: AtomicU64,
}

const _: () = assert!(size_of::<Local>() == 32);

/// Where the epoch stands in [`Local::level`].
const EPOCH_AT: u32 = 8;
const MAX_LEVEL_BITS: u64 = (1 << EPOCH_AT) - 1;

/// Bytes until a thread looks again whether sampling was switched on.
const REST: u64 = 1 << 20;
/// A second with more samples than this doubles the interval.
const MOST: u64 = 1500;
/// A second with fewer samples than this halves the interval, if it was doubled. A little less than half the most, so that the
/// halved interval stays within it.
const FEWEST: u64 = 700;
const _: () = assert!(2 * FEWEST < MOST);
const SECOND: u64 = 1_000_000_000;

fn local() -> &'static Local {
    let place: *const Local;
    // SAFETY: the address of this thread's block, then the offset of the variable in it. Neither ever changes for a thread.
    unsafe {
        asm!("mov {0}, qword ptr fs:0", "add {0}, qword ptr [rip + tidewatch_local@GOTTPOFF]", out(reg) place,
            options(pure, readonly, nostack));
    }
    // SAFETY: this thread's own block, which is as long as the thread. It goes to no other thread: nothing in here keeps it.
    unsafe { &*place }
}

/// Keeps this thread's allocations out of the sampler, and `errno` as it was, while it lives.
pub struct Guard {
    local: &'static Local,
    errno: i32,
}

impl Guard {
    /// Nothing if this thread is inside already.
    pub fn enter() -> Option<Self> {
        let local = local();
        if local.busy.load(Ordering::Relaxed) != 0 {
            return None;
        }
        local.busy.store(1, Ordering::Relaxed);
        // What comes next must not be moved before this: a handler in between looks at it.
        compiler_fence(Ordering::SeqCst);
        Some(Self { local, errno: sys::errno() })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        sys::set_errno(self.errno);
        compiler_fence(Ordering::SeqCst);
        self.local.busy.store(0, Ordering::Relaxed);
    }
}

/// Takes bytes from the count, for paths that are not written by hand. Whether the count was crossed.
pub fn take(size: u64) -> bool {
    local().left.fetch_sub(size, Ordering::Relaxed) < size
}

/// Told when an allocation of this size took the count below zero. If it is to be recorded: the table, and the doublings
/// of the interval that it was drawn with.
pub fn crossed(size: u64) -> Option<(Table, u64)> {
    let local = local();
    let Some(_guard) = Guard::enter() else {
        // The count goes back to what it was.
        local.left.fetch_add(size, Ordering::Relaxed);
        return None;
    };
    // Handlers that come in between find the thread busy, and only add what they subtracted.
    let table = match state::phase() {
        Phase::On(table) => table,
        Phase::Unready => {
            local.left.store(0, Ordering::Relaxed);
            return None;
        }
        Phase::Off => {
            // What comes after the rest is drawn anew: its end is no sample.
            local.left.store(REST, Ordering::Relaxed);
            local.random.store(0, Ordering::Relaxed);
            return None;
        }
    };
    let is_new = local.random.load(Ordering::Relaxed) == 0;
    if is_new || local.level.load(Ordering::Relaxed) >> EPOCH_AT != state::epoch() {
        let thread = THREADS.fetch_add(1, Ordering::Relaxed);
        local.random.store(seed(state::seed(), thread), Ordering::Relaxed);
        draw(local, &table);
        if local.left.load(Ordering::Relaxed) >= size {
            local.left.fetch_sub(size, Ordering::Relaxed);
            return None;
        }
    }
    let drawn = local.level.load(Ordering::Relaxed) & MAX_LEVEL_BITS;
    pace(&table);
    draw(local, &table);
    Some((table, drawn))
}

/// Threads that have drawn.
static THREADS: AtomicU64 = AtomicU64::new(0);

/// What the generator of a thread begins with: never 0, and another for each thread.
fn seed(process: u64, thread: u64) -> u64 {
    mix(process ^ mix(thread)) | 1
}

fn draw(local: &Local, table: &Table) {
    let level = table.header().level.load(Ordering::Relaxed).min(MAX_LEVEL);
    local.level.store(level | state::epoch() << EPOCH_AT, Ordering::Relaxed);
    let random = local.random.load(Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    local.random.store(random, Ordering::Relaxed);
    // 53 bits, never 0.
    let uniform = ((mix(random) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    let interval = state::interval() << level;
    local.left.store((-logarithm(uniform) * interval as f64) as u64, Ordering::Relaxed);
}

/// The natural logarithm of a number above 0 that is not subnormal, to about 11 digits.
pub fn logarithm(number: f64) -> f64 {
    let bits = number.to_bits();
    let mut exponent = (bits >> 52).cast_signed() - 1023;
    let mut mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    if mantissa > core::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)), where the argument is below .172.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series =
        1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square * (1.0 / 9.0 + square / 11.0))));
    exponent as f64 * core::f64::consts::LN_2 + 2.0 * s * series
}

static WINDOW_BEGIN: AtomicU64 = AtomicU64::new(0);
static WINDOW_SAMPLES: AtomicU64 = AtomicU64::new(0);

/// Moves the interval, by how many samples came in the last second.
fn pace(table: &Table) {
    let now = sys::now();
    let begin = WINDOW_BEGIN.load(Ordering::Relaxed);
    let samples = WINDOW_SAMPLES.fetch_add(1, Ordering::Relaxed) + 1;
    let elapsed = now.saturating_sub(begin);
    if samples <= MOST && elapsed < SECOND {
        return;
    }
    if WINDOW_BEGIN.compare_exchange(begin, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    WINDOW_SAMPLES.store(0, Ordering::Relaxed);
    let level = &table.header().level;
    let before = level.load(Ordering::Relaxed);
    level.store(next_level(before, samples, elapsed), Ordering::Relaxed);
}

/// The doublings after a window with so many samples in so many nanoseconds.
fn next_level(level: u64, samples: u64, elapsed: u64) -> u64 {
    if elapsed < SECOND {
        return (level + 1).min(MAX_LEVEL);
    }
    let mut rate = samples.saturating_mul(SECOND) / elapsed;
    let mut level = level;
    while rate < FEWEST && level > 0 {
        level -= 1;
        rate = (rate * 2).max(1);
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_the_logarithm() {
        for number in [f64::MIN_POSITIVE, 1e-300, 1.0 / 3.0, 0.5, 0.707, 0.999_999, 1.0, 1.4143, 2.0, 12345.678] {
            let error = (logarithm(number) - number.ln()).abs();
            assert!(error <= 1e-10 * number.ln().abs().max(1.0), "ln {number} is off by {error}");
        }
    }

    #[test]
    fn the_interval_follows_the_rate() {
        assert_eq!(next_level(0, MOST + 1, SECOND / 10), 1);
        assert_eq!(next_level(MAX_LEVEL, MOST + 1, SECOND / 10), MAX_LEVEL);
        assert_eq!(next_level(5, 1000, SECOND), 5);
        assert_eq!(next_level(5, FEWEST, SECOND), 5, "as many as are wanted");
        assert_eq!(next_level(5, FEWEST - 1, SECOND), 4);
        assert_eq!(next_level(5, 400, SECOND), 4);
        assert_eq!(next_level(5, 300, SECOND), 3, "as fine as the rate allows");
        assert_eq!(next_level(5, 1, 100 * SECOND), 0, "a quiet time undoes every doubling");
        assert_eq!(next_level(0, 1, 100 * SECOND), 0);
    }

    #[test]
    fn generators_of_threads_differ() {
        for process in [0, 7, u64::MAX] {
            let seeds: std::collections::HashSet<u64> = (0..1000).map(|thread| seed(process, thread)).collect();
            assert_eq!(seeds.len(), 1000);
            assert!(seeds.iter().all(|seed| seed % 2 == 1));
        }
    }

    #[test]
    fn a_count_is_crossed_below_zero() {
        let check = || {
            local().left.store(10, Ordering::Relaxed);
            assert_eq!([take(10), take(1)], [false, true]);
        };
        std::thread::scope(|all| all.spawn(check).join()).expect("counted");
    }

    #[test]
    fn a_count_of_another_watch_is_drawn_anew() {
        let _alone = crate::tests::alone();
        let attach = |interval: u64| {
            let file = crate::tests::table_file();
            assert!(state::attach(file, interval));
            sys::close(file);
        };
        let check = || {
            attach(1);
            assert!(crossed(1 << 20).is_some(), "far more than an interval");
            state::stop();
            attach(1 << 40);
            assert!(crossed(8).is_none());
            assert!(local().left.load(Ordering::Relaxed) > 1 << 10);
            state::stop();
        };
        std::thread::scope(|all| all.spawn(check).join()).expect("drawn anew");
    }

    #[test]
    fn more_samples_than_wanted_double_the_interval_at_once() {
        let _alone = crate::tests::alone();
        let table = crate::table::tests::table();
        let level = || table.header().level.load(Ordering::Relaxed);
        WINDOW_BEGIN.store(sys::now(), Ordering::Relaxed);
        WINDOW_SAMPLES.store(MOST - 1, Ordering::Relaxed);
        pace(&table);
        assert_eq!(level(), 0);
        pace(&table);
        assert_eq!((level(), WINDOW_SAMPLES.load(Ordering::Relaxed)), (1, 0));
    }

    #[test]
    fn draws_have_the_mean_of_their_interval() {
        const DRAWS: u64 = 20_000;
        let _alone = crate::tests::alone();
        let table = crate::table::tests::table();
        let word = |value: u64| AtomicU64::new(value);
        let local = Local { left: word(0), random: word(7), level: word(0), busy: word(0) };
        for level in [MAX_LEVEL - 1, MAX_LEVEL, MAX_LEVEL + 5] {
            table.header().level.store(level, Ordering::Relaxed);
            let draws = (0..DRAWS).map(|_| {
                draw(&local, &table);
                local.left.load(Ordering::Relaxed)
            });
            let draws: Vec<u64> = draws.collect();
            let sum: f64 = draws.iter().map(|draw| *draw as f64).sum();
            let expected = (state::interval() << level.min(MAX_LEVEL)) as f64;
            // Five standard errors of the mean.
            let error = (sum / DRAWS as f64 / expected - 1.0).abs();
            assert!(error < 5.0 / (DRAWS as f64).sqrt(), "{level}: off by {error}");
            // Exponential: 39 % of the draws are below half of the mean.
            let below = draws.iter().filter(|draw| (**draw as f64) < expected / 2.0).count() as f64 / DRAWS as f64;
            assert!((0.37..0.42).contains(&below), "{level}: {below} below half of the mean");
            assert_eq!(local.level.load(Ordering::Relaxed) & MAX_LEVEL_BITS, level.min(MAX_LEVEL));
        }
    }
}
