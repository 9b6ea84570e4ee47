//! How long a run may take, and what of it each scenario may have.
//!
//! The time is shared out evenly over the scenarios that are left; what one of them leaves over goes to the next. A
//! scenario ends after the last cycle that fits into its share. A load that takes longer than was to be expected is cut
//! at the end of the share; a settle phase is not, so that no floor is taken before the target has settled.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often it is asked whether a settle phase that passed the bound has ended.
const RETRY: Duration = Duration::from_millis(20);

/// The time of a run that is left.
#[derive(Debug)]
pub struct TimeLeft {
    until: Option<Instant>,
}

impl TimeLeft {
    /// Begins to count now. Without a bound, or with one past counting, there is no end.
    pub fn begin(max_time_s: Option<f64>) -> Self {
        let length = max_time_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self { until: length.and_then(|length| Instant::now().checked_add(length)) }
    }

    /// The share of one scenario that begins now, with so many left, itself included.
    pub fn share(&self, left: usize) -> TimeBound {
        let now = Instant::now();
        let parts = u32::try_from(left.max(1)).unwrap_or(u32::MAX);
        TimeBound::new(self.until.map(|until| now + until.saturating_duration_since(now) / parts))
    }
}

/// Until when one scenario may go on.
#[derive(Debug)]
pub struct TimeBound {
    until: Option<Instant>,
    cycles: Mutex<Cycles>,
}

/// The cycle under way and the longest so far: loads are jittered, so that the last one is no measure of the next.
#[derive(Debug, Default)]
struct Cycles {
    began: Option<Instant>,
    longest: Duration,
    now: At,
}

/// What a scenario is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Warming up or loading: this may be cut.
    #[default]
    Load,
    /// Settling, or ending.
    Settle,
}

impl TimeBound {
    fn new(until: Option<Instant>) -> Self {
        Self { until, cycles: Mutex::default() }
    }

    /// Whether there is no time at all.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// The same, where no cycle is expected to be longer than this.
    #[must_use]
    pub fn expecting(self, cycle: Duration) -> Self {
        self.cycles().longest = cycle;
        self
    }

    /// A cycle begins now.
    pub fn cycle_begins(&self) {
        let mut cycles = self.cycles();
        (cycles.began, cycles.now) = (Some(Instant::now()), At::Load);
    }

    /// The load of a cycle is over.
    pub fn settling_begins(&self) {
        self.cycles().now = At::Settle;
    }

    fn cycles(&self) -> MutexGuard<'_, Cycles> {
        self.cycles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At the end of a cycle: whether another one as long as the longest would end past the bound.
    pub fn ends_before_another_cycle(&self) -> bool {
        let mut cycles = self.cycles();
        let now = Instant::now();
        let length = cycles.began.take().map_or(Duration::ZERO, |began| now - began);
        cycles.longest = cycles.longest.max(length);
        let longest = cycles.longest;
        self.until.is_some_and(|until| now.checked_add(longest).is_none_or(|end| end > until))
    }

    /// Resolves at the bound, or at the first load past it: a settle phase under way is waited for.
    pub async fn over(&self) {
        match self.until {
            Some(until) => tokio::time::sleep_until(until.into()).await,
            None => std::future::pending().await,
        }
        while self.cycles().now == At::Settle {
            tokio::time::sleep(RETRY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_is_shared_evenly() {
        let time = TimeLeft { until: Some(Instant::now() + Duration::from_secs(3000)) };
        for (left, seconds) in [(3, 1000), (2, 1500), (1, 3000), (0, 3000)] {
            let until = time.share(left).until.expect("a bound");
            let share = until - Instant::now();
            assert!(share <= Duration::from_secs(seconds), "{share:?}");
            assert!(share > Duration::from_secs(seconds - 100), "{share:?}");
        }
    }

    #[test]
    fn a_cycle_that_would_not_fit_is_not_begun() {
        let of = |left: Duration, longest: Duration| TimeBound {
            until: Some(Instant::now() + left),
            cycles: Mutex::new(Cycles { longest, ..Cycles::default() }),
        };
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        assert!(of(minute, hour).ends_before_another_cycle());
        assert!(!of(hour, minute).ends_before_another_cycle());
        assert!(of(Duration::ZERO, Duration::ZERO).is_over());
        assert!(!of(hour, hour).is_over());
    }

    #[tokio::test]
    async fn a_settle_phase_is_not_cut() {
        let bound = TimeBound::new(Some(Instant::now()));
        bound.cycle_begins();
        bound.settling_begins();
        let over = bound.over();
        tokio::pin!(over);
        let soon = Duration::from_millis(60);
        assert!(tokio::time::timeout(soon, &mut over).await.is_err(), "it settles");
        assert!(bound.ends_before_another_cycle());
        bound.cycle_begins();
        tokio::time::timeout(Duration::from_secs(10), over).await.expect("a load is cut");
    }

    #[test]
    fn without_a_bound_there_is_no_end() {
        for none in [None, Some(f64::INFINITY), Some(-1.0), Some(1e300)] {
            let bound = TimeLeft::begin(none).share(1);
            assert!(!bound.is_over() && !bound.ends_before_another_cycle());
        }
    }
}
