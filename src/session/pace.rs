//! How often the expensive readings may be taken: a share of wall time that nobody notices.

use std::time::{Duration, Instant};

/// The share of wall time that expensive readings may take, because they hold the target's mmap lock.
const SHARE: f64 = 0.01;

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
    fn share(self) -> f64 {
        match self {
            Self::Tick => 0.6 * SHARE,
            Self::Look => 0.3 * SHARE,
            Self::Heap => 2.0 * SHARE,
        }
    }
}

/// Keeps expensive readings under one percent of wall time.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
    ticks: Duration,
    looks: Duration,
    heap: Duration,
}

impl Pace {
    /// Nothing spent yet.
    pub fn new() -> Self {
        Self { began: Instant::now(), ticks: Duration::ZERO, looks: Duration::ZERO, heap: Duration::ZERO }
    }

    /// Whether a reading of this cost fits now.
    pub fn allows(&self, cost: Duration, what_for: Use) -> bool {
        (self.spent_on(what_for) + cost).as_secs_f64() <= what_for.share() * self.began.elapsed().as_secs_f64()
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

/// Whether a reading of this cost can be taken in every cycle of this length without passing the share.
pub fn affordable_each(cycle: Duration, cost: Duration) -> bool {
    cost.as_secs_f64() <= SHARE * cycle.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_costly_reading_waits_until_it_fits() {
        let spent = Duration::from_millis(20);
        let pace = Pace { began: Instant::now() - Duration::from_secs(10), ticks: spent, looks: spent, heap: spent };
        assert!(pace.allows(Duration::from_millis(30), Use::Tick));
        assert!(!pace.allows(Duration::from_millis(60), Use::Tick));
        assert!(!pace.allows(Duration::from_millis(30), Use::Look));
        assert!(pace.allows(Duration::from_millis(170), Use::Heap));
        assert!(!pace.allows(Duration::from_millis(190), Use::Heap));
    }

    #[test]
    fn what_is_spent_is_counted() {
        let mut pace = Pace::new();
        let (value, cost) = pace.spend(Use::Look, || 7);
        assert_eq!(value, 7);
        assert_eq!(pace.spent(), cost);
    }

    #[test]
    fn a_two_gigabyte_target_is_too_dear_for_short_cycles() {
        assert!(affordable_each(Duration::from_millis(1150), Duration::from_micros(400)));
        assert!(!affordable_each(Duration::from_millis(1150), Duration::from_millis(21)));
    }
}
