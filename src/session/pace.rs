//! How often the expensive readings may be taken: a share of wall time that the target does not notice.

use std::time::{Duration, Instant};

/// The share of wall time that expensive readings may take, because they hold the target's mmap lock.
const SHARE: f64 = 0.01;

/// What a reading is for: each use leaves room for the ones after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A tick between borders: more points on the curve.
    Tick,
    /// A closer look at a border: who holds what.
    Look,
}

impl Use {
    fn share(self) -> f64 {
        match self {
            Self::Tick => 0.5 * SHARE,
            Self::Look => 0.85 * SHARE,
        }
    }
}

/// Keeps expensive readings under one percent of wall time.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
    spent: Duration,
}

impl Pace {
    /// Nothing spent yet.
    pub fn new() -> Self {
        Self { began: Instant::now(), spent: Duration::ZERO }
    }

    /// Whether a reading of this cost fits now.
    pub fn allows(&self, cost: Duration, what_for: Use) -> bool {
        (self.spent + cost).as_secs_f64() <= what_for.share() * self.began.elapsed().as_secs_f64()
    }

    /// Takes a reading and counts what it cost; hands out that cost too.
    pub fn spend<T>(&mut self, reading: impl FnOnce() -> T) -> (T, Duration) {
        let start = Instant::now();
        let result = reading();
        let cost = start.elapsed();
        self.spent += cost;
        (result, cost)
    }

    /// What was spent so far.
    pub fn spent(&self) -> Duration {
        self.spent
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
        let pace = Pace { began: Instant::now() - Duration::from_secs(10), spent: Duration::from_millis(60) };
        assert!(pace.allows(Duration::from_millis(20), Use::Look));
        assert!(!pace.allows(Duration::from_millis(60), Use::Look));
        assert!(!pace.allows(Duration::from_millis(20), Use::Tick));
    }

    #[test]
    fn what_is_spent_is_counted() {
        let mut pace = Pace::new();
        let (value, cost) = pace.spend(|| 7);
        assert_eq!(value, 7);
        assert_eq!(pace.spent(), cost);
    }

    #[test]
    fn a_two_gigabyte_target_is_too_dear_for_short_cycles() {
        assert!(affordable_each(Duration::from_millis(1150), Duration::from_micros(400)));
        assert!(!affordable_each(Duration::from_millis(1150), Duration::from_millis(21)));
    }
}
