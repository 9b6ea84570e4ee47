//! How often the target may be read: ticks and expensive readings share one budget, a part of one CPU that nobody notices.
//!
//! Ticks may take half of it, and come further apart where that is not enough. Expensive readings have what the ticks leave.

use std::time::{Duration, Instant};

/// The part of one CPU that all reading may take, unless the user says otherwise.
pub const USUAL_SHARE: f64 = 0.01;
/// The part of the budget that ticks may take. The other half is for exact memory, the tree and closer looks.
const TICKS: f64 = 0.5;
/// The longest time between two ticks: a curve needs points.
const LONGEST: Duration = Duration::from_secs(60);
/// The weight of a new cost in the mean cost of a tick.
const WEIGHT: u32 = 8;

/// What a reading is for: each use has a share of its own, so that none starves the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A tick between borders: more points on the curve.
    Tick,
    /// A closer look at a border: who holds what.
    Look,
    /// A look at the heap by call stack. It does not touch the target: only our own processor time is spent.
    Heap,
}

impl Use {
    /// Its part of what the ticks leave; that of a look at the heap is a part of one CPU.
    fn part(self) -> f64 {
        match self {
            Self::Tick => 0.6,
            Self::Look => 0.3,
            Self::Heap => 0.02,
        }
    }
}

/// Keeps all reading within its budget.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
    /// The part of one CPU that is the budget.
    share: f64,
    /// CPU time of all ticks, and the mean of the last ones.
    fast: Duration,
    fast_mean: Duration,
    ticks: Duration,
    looks: Duration,
    heap: Duration,
}

impl Pace {
    /// Nothing spent yet of this part of one CPU.
    pub fn new(share: f64) -> Self {
        let (began, none) = (Instant::now(), Duration::ZERO);
        Self { began, share, fast: none, fast_mean: none, ticks: none, looks: none, heap: none }
    }

    /// Whether a reading of this cost fits now.
    pub fn allows(&self, cost: Duration, what_for: Use) -> bool {
        let elapsed = self.began.elapsed().as_secs_f64();
        let allowed = match what_for {
            Use::Heap => elapsed,
            Use::Tick | Use::Look => (self.share * elapsed - self.fast.as_secs_f64()).max(0.0),
        };
        (self.spent_on(what_for) + cost).as_secs_f64() <= what_for.part() * allowed
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
        let start = Instant::now();
        let result = reading();
        let cost = start.elapsed();
        match what_for {
            Use::Tick => self.ticks += cost,
            Use::Look => self.looks += cost,
            Use::Heap => self.heap += cost,
        }
        (result, cost)
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

/// Whether a reading of this cost can be taken in every cycle of this length without passing this part of one CPU.
pub fn affordable_each(cycle: Duration, cost: Duration, share: f64) -> bool {
    cost.as_secs_f64() <= share * cycle.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_costly_reading_waits_until_it_fits() {
        let spent = Duration::from_millis(20);
        let began = Instant::now() - Duration::from_secs(10);
        let pace = Pace { began, ticks: spent, looks: spent, heap: spent, ..Pace::new(USUAL_SHARE) };
        assert!(pace.allows(Duration::from_millis(30), Use::Tick));
        assert!(!pace.allows(Duration::from_millis(60), Use::Tick));
        assert!(!pace.allows(Duration::from_millis(30), Use::Look));
        assert!(pace.allows(Duration::from_millis(170), Use::Heap));
        assert!(!pace.allows(Duration::from_millis(190), Use::Heap));
    }

    #[test]
    fn what_is_spent_is_counted() {
        let mut pace = Pace::new(USUAL_SHARE);
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
            let mut pace = Pace::new(share);
            pace.ticked(Duration::from_micros(cost_us));
            let between = pace.between_ticks(asked);
            assert_eq!(between.as_millis(), expected_ms, "{cost_us} us of {share}");
        }
    }

    #[test]
    fn one_dear_tick_among_cheap_ones_hardly_counts() {
        let mut pace = Pace::new(USUAL_SHARE);
        (0..50).for_each(|_| pace.ticked(Duration::from_micros(30)));
        pace.ticked(Duration::from_millis(3));
        assert_eq!(pace.between_ticks(Duration::from_millis(100)), Duration::from_millis(100));
    }

    #[test]
    fn expensive_readings_have_what_the_ticks_leave() {
        let began = Instant::now() - Duration::from_secs(10);
        let pace = |fast_ms| Pace { began, fast: Duration::from_millis(fast_ms), ..Pace::new(USUAL_SHARE) };
        let cost = Duration::from_millis(25);
        assert!(pace(0).allows(cost, Use::Tick) && pace(50).allows(cost, Use::Tick));
        assert!(!pace(70).allows(cost, Use::Tick) && !pace(200).allows(Duration::ZERO + cost, Use::Look));
    }

    #[test]
    fn a_two_gigabyte_target_is_too_dear_for_short_cycles() {
        let cycle = Duration::from_millis(1150);
        assert!(affordable_each(cycle, Duration::from_micros(400), USUAL_SHARE));
        assert!(!affordable_each(cycle, Duration::from_millis(21), USUAL_SHARE));
        assert!(affordable_each(cycle, Duration::from_millis(21), 0.02));
    }
}
