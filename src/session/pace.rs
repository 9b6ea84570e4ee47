//! How often the target may be read: ticks and expensive readings share one budget, a part of one CPU that nobody notices.
//!
//! Ticks may take half of it, and come further apart where that is not enough. Expensive readings have what the ticks leave. All of it
//! is counted as CPU time of the thread that reads, writing the records included: wall time would count what others do on a busy machine.

use std::time::{Duration, Instant};

use crate::sample::MemorySource;

/// The part of the budget that ticks may take. The other half is for exact memory, the tree and closer looks.
const TICKS: f64 = 0.5;
/// The longest time between two ticks: a curve needs points.
const LONGEST: Duration = Duration::from_secs(60);
/// The weight of a new cost in the mean cost of a tick.
const WEIGHT: u32 = 8;

/// The part of the budget of a watch that snapshots of the heap may take, where there are any.
const HEAP: f64 = 0.3;
/// Heap snapshots of a driven run may take this many times the budget: they are read at the borders of cycles, from our own tables.
const HEAP_DRIVEN: f64 = 2.0;

/// What a reading is for: each use has a share of its own, so that none starves the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A tick between borders: more points on the curve.
    Tick,
    /// A snapshot of who holds what.
    Look,
    /// A snapshot of the heap by call stack, which has a [`Pace`] of its own. It does not touch the target.
    Heap,
}

impl Use {
    /// Its part of what the ticks leave. Where ticks need no exact memory, most is left for snapshots.
    fn part(self, source: MemorySource) -> f64 {
        match (self, source) {
            (Self::Tick, MemorySource::SmapsRollup) | (Self::Look, MemorySource::Statm) => 0.6,
            (Self::Look, MemorySource::SmapsRollup) | (Self::Tick, MemorySource::Statm) => 0.3,
            (Self::Heap, _) => 1.0,
        }
    }
}

/// The parts of one CPU that the reader of the target and the snapshots of the heap may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Ticks, the tree, exact memory, details.
    pub reading: f64,
    /// Snapshots of the heap.
    pub heap: f64,
}

impl Shares {
    /// For a target that is driven.
    pub fn driven(budget: f64) -> Self {
        Self { reading: budget, heap: HEAP_DRIVEN * budget }
    }

    /// For a target that is watched: both together are the budget.
    pub fn watched(budget: f64, samples_heap: bool) -> Self {
        let heap = if samples_heap { HEAP * budget } else { 0.0 };
        Self { reading: budget - heap, heap }
    }
}

/// What this thread has used of a CPU.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Keeps all reading within its budget.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
    /// The part of one CPU that is the budget.
    share: f64,
    source: MemorySource,
    /// CPU time of all ticks, and the mean of the last ones.
    fast: Duration,
    fast_mean: Duration,
    ticks: Duration,
    looks: Duration,
    heap: Duration,
}

impl Pace {
    /// Nothing spent yet of this part of one CPU.
    pub fn new(share: f64, source: MemorySource) -> Self {
        let (began, none) = (Instant::now(), Duration::ZERO);
        Self { began, share, source, fast: none, fast_mean: none, ticks: none, looks: none, heap: none }
    }

    /// Whether a reading of this cost fits now.
    pub fn allows(&self, cost: Duration, what_for: Use) -> bool {
        let budget = self.share * self.began.elapsed().as_secs_f64();
        let left = (budget - self.fast.as_secs_f64()).max(0.0);
        (self.spent_on(what_for) + cost).as_secs_f64() <= what_for.part(self.source) * left
    }

    /// Counts the CPU time of a tick.
    pub fn ticked(&mut self, cost: Duration) {
        self.fast += cost;
        self.fast_mean = match self.fast_mean {
            Duration::ZERO => cost,
            mean => (mean * (WEIGHT - 1) + cost) / WEIGHT,
        };
    }

    /// The time between two ticks: as asked for, or longer, so that ticks stay within their part of the budget.
    pub fn between_ticks(&self, asked: Duration) -> Duration {
        asked.max(self.fast_mean.div_f64(self.share * TICKS).min(LONGEST))
    }

    /// Takes a reading and counts what it cost; hands out that cost too.
    pub fn spend<T>(&mut self, what_for: Use, reading: impl FnOnce() -> T) -> (T, Duration) {
        let start = cpu_time();
        let result = reading();
        let cost = cpu_time().saturating_sub(start);
        self.count(what_for, cost);
        (result, cost)
    }

    /// Counts what a reading has cost.
    pub fn count(&mut self, what_for: Use, cost: Duration) {
        match what_for {
            Use::Tick => self.ticks += cost,
            Use::Look => self.looks += cost,
            Use::Heap => self.heap += cost,
        }
    }

    /// What was spent so far.
    pub fn spent(&self) -> Duration {
        self.ticks + self.looks + self.heap
    }

    fn spent_on(&self, what_for: Use) -> Duration {
        match what_for {
            Use::Tick => self.ticks,
            Use::Look => self.looks,
            Use::Heap => self.heap,
        }
    }
}

/// Whether a reading of this cost can be taken in every cycle of this length without passing the share.
pub fn affordable_each(cycle: Duration, cost: Duration, share: f64) -> bool {
    cost.as_secs_f64() <= share * cycle.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL_SHARE: f64 = 0.01;

    fn pace(share: f64) -> Pace {
        Pace::new(share, MemorySource::SmapsRollup)
    }

    #[test]
    fn a_costly_reading_waits_until_it_fits() {
        let spent = Duration::from_millis(20);
        let began = Instant::now() - Duration::from_secs(10);
        let pace = Pace { began, ticks: spent, looks: spent, heap: spent, ..pace(USUAL_SHARE) };
        assert!(pace.allows(Duration::from_millis(30), Use::Tick));
        assert!(!pace.allows(Duration::from_millis(60), Use::Tick));
        assert!(!pace.allows(Duration::from_millis(30), Use::Look));
        assert!(pace.allows(Duration::from_millis(79), Use::Heap));
        assert!(!pace.allows(Duration::from_millis(81), Use::Heap));
    }

    #[test]
    fn what_is_spent_is_counted() {
        let mut pace = pace(USUAL_SHARE);
        let (value, cost) = pace.spend(Use::Look, || 7);
        assert_eq!(value, 7);
        assert_eq!(pace.spent(), cost);
    }

    #[test]
    fn ticks_come_further_apart_where_they_cost_more_than_half_of_the_budget() {
        let asked = Duration::from_millis(100);
        for (share, cost_us, expected_ms) in [
            (0.01, 0, 100),
            (0.01, 35, 100),
            (0.01, 500, 100),
            (0.01, 2_000, 400),
            (0.01, 10_000, 2_000),
            (0.1, 10_000, 200),
            (0.001, 10_000, 20_000),
            (0.001, 1_000_000, 60_000),
        ] {
            let mut pace = pace(share);
            pace.ticked(Duration::from_micros(cost_us));
            let between = pace.between_ticks(asked);
            assert_eq!(between.as_millis(), expected_ms, "{cost_us} us of {share}");
        }
    }

    #[test]
    fn one_dear_tick_among_cheap_ones_hardly_counts() {
        let mut pace = pace(USUAL_SHARE);
        (0..50).for_each(|_| pace.ticked(Duration::from_micros(30)));
        pace.ticked(Duration::from_millis(3));
        assert_eq!(pace.between_ticks(Duration::from_millis(100)), Duration::from_millis(100));
    }

    #[test]
    fn expensive_readings_have_what_the_ticks_leave() {
        let began = Instant::now() - Duration::from_secs(10);
        let after = |fast_ms| Pace { began, fast: Duration::from_millis(fast_ms), ..pace(USUAL_SHARE) };
        let cost = Duration::from_millis(25);
        assert!(after(0).allows(cost, Use::Tick) && after(50).allows(cost, Use::Tick));
        assert!(!after(70).allows(cost, Use::Tick) && !after(200).allows(cost, Use::Look));
    }

    #[test]
    fn a_two_gigabyte_target_is_too_dear_for_short_cycles() {
        assert!(affordable_each(Duration::from_millis(1150), Duration::from_micros(400), USUAL_SHARE));
        assert!(!affordable_each(Duration::from_millis(1150), Duration::from_millis(21), USUAL_SHARE));
        assert!(affordable_each(Duration::from_millis(1150), Duration::from_millis(21), 0.05));
    }

    #[test]
    fn a_watch_with_heap_snapshots_divides_one_budget() {
        let shares = Shares::watched(0.01, true);
        assert!((shares.reading + shares.heap - 0.01).abs() < 1e-12 && shares.heap > 0.0);
        assert_eq!(Shares::watched(0.01, false), Shares { reading: 0.01, heap: 0.0 });
    }

    #[test]
    fn snapshots_have_more_where_ticks_need_no_exact_memory() {
        let began = Instant::now() - Duration::from_secs(10);
        let of = |source| Pace { began, ..Pace::new(USUAL_SHARE, source) };
        let cost = Duration::from_millis(50);
        assert!(of(MemorySource::Statm).allows(cost, Use::Look) && !of(MemorySource::Statm).allows(cost, Use::Tick));
        let exact = of(MemorySource::SmapsRollup);
        assert!(!exact.allows(cost, Use::Look) && exact.allows(cost, Use::Tick));
    }
}
