//! The looks of a run, one after the other: what each saw, and what stands after the last.
//!
//! Growth is suspected first and confirmed only by a later look. Where a run goes on after a decision, the later cycles
//! are evidence too. What came to rest stands until the floors rise above all that look had seen. Growth stands until a
//! later look finds a tail at rest, or until the cycles since contradict it.

use super::counts::{self, Seen};
use super::looks::{LOOKS_PLANNED, looks};
use super::stair::{Stair, stair};
use super::tail::{CONFIDENCE, CREEP_FROM, Ground, Rest, Unrest, VARIANCE_FACTOR, tail};
use super::window_test::{ALPHA, BROKEN_LINE_KEEPS, Failure, LEAST_LATE_SHARE, Passed, window_test};
use super::{Budget, Floors, Question};
use crate::sample::PAST_CAP;
use crate::statistics::{sen, series};
use crate::units::Unit;

/// Cycles at which a suspicion can be confirmed, in multiples of those at which it arose.
pub(super) const TIMES_CYCLES: usize = 2;
/// The slope since the suspicion as a share of the slope at it.
const SLOPE_KEEPS: f64 = 0.8;
/// Fewest floors from which the slope before the last doubling is taken: as many as the first look judges.
const FEWEST_BEFORE_DOUBLING: usize = 8;
/// The confidence of each end where two slopes are in doubt: 1.645 / sqrt(2) deviations of each are about 1.645 of their
/// ratio, which is the confidence of one end alone.
const END_CONFIDENCE: f64 = 0.88;

/// Growth is contradicted by a slope since that is, with 95 % confidence, below this share of it, over as many cycles
/// again: the share that a broken line must keep to be growth that goes on.
const FLATTER: f64 = BROKEN_LINE_KEEPS;

/// The floors of a curve as the looks see them.
#[derive(Debug)]
pub(super) struct Series {
    /// Axis and values, warm-up first.
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    /// Pieces of the warm-up at their begin.
    pub warmup: usize,
}

impl Series {
    pub(super) fn of(floors: &Floors) -> Self {
        let all = || floors.warmup.iter().chain(&floors.cycles);
        Self { x: all().map(|f| f.x).collect(), y: all().map(|f| f.value).collect(), warmup: floors.warmup.len() }
    }

    /// Complete cycles.
    pub(super) fn cycles(&self) -> usize {
        self.y.len() - self.warmup
    }

    /// Axis and values of the cycles from one on, the first being 0.
    pub(super) fn cycles_from(&self, start: usize) -> (&[f64], &[f64]) {
        let start = (self.warmup + start).min(self.y.len());
        (&self.x[start..], &self.y[start..])
    }
}

/// Why a look decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Why {
    /// It rises in every part and went on at the same rate.
    Rising { passed: Passed, keeps: f64 },
    /// It doubles.
    Stairs(Stair),
    /// Rare events at even distances.
    Events { events: usize, mean_gap: f64 },
    /// It came to rest.
    Rest(Rest),
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decision {
    /// The cycles after which it first stood.
    pub at: usize,
    /// The cycles of the last look that came to it again.
    pub seen: usize,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Suspicion {
    /// Cycles at that look.
    pub at: usize,
    /// The slope it had then.
    slope: f64,
}

/// What is known after some looks.
#[derive(Debug)]
pub(super) struct Course {
    pub decision: Option<Decision>,
    /// The looks that passed, one after another.
    pub suspicions: Vec<Suspicion>,
    pub stairs: Option<Stair>,
    pub events: Option<counts::Suspicion>,
    /// What the last look missed for growth, and for rest.
    pub failure: Failure,
    pub unrest: Unrest,
    /// Growth was confirmed, but a known cap is not far enough behind.
    pub before_cap: bool,
}

impl Course {
    /// Goes through all looks of a run so far.
    pub(super) fn run(series: &Series, question: &Question, ground: &Ground) -> Self {
        let mut course = Self {
            decision: None,
            suspicions: Vec::new(),
            stairs: None,
            events: None,
            failure: Failure::TooShort,
            unrest: Unrest::TooShort,
            before_cap: false,
        };
        for cycles in due(series.cycles(), question.budget) {
            course.look(series, cycles, question, ground);
        }
        course
    }

    /// Whether growth is suspected and not confirmed.
    pub(super) fn suspects(&self) -> bool {
        !self.suspicions.is_empty() || self.stairs.is_some() || self.events.is_some()
    }

    /// The next number of cycles at which a suspicion can be confirmed.
    pub(super) fn next_confirmation(&self, done: usize) -> Option<usize> {
        self.suspicions.iter().map(|suspicion| TIMES_CYCLES * suspicion.at).find(|cycles| *cycles > done)
    }

    /// Asks at the end of a run that decided nothing and suspects nothing whether it is at rest on this ground, and takes
    /// that as its decision.
    pub(super) fn ask_rest_at_end(&mut self, series: &Series, ground: &Ground) -> bool {
        let cycles = series.cycles();
        if let Ok(rest) = tail(&series.x, &series.y, cycles, ground) {
            self.decision = Some(Decision { at: cycles, seen: cycles, why: Why::Rest(rest) });
        }
        self.decision.is_some()
    }

    fn forget(&mut self) {
        self.suspicions.clear();
        (self.stairs, self.events) = (None, None);
    }

    fn look(&mut self, series: &Series, cycles: usize, question: &Question, ground: &Ground) {
        let end = series.warmup + cycles;
        let (x, y) = (&series.x[..end], &series.y[..end]);
        let (cycle_x, cycle_y) = (&x[series.warmup..], &y[series.warmup..]);
        if self.decision.is_some_and(|decision| decision.is_contradicted(cycle_x, cycle_y)) {
            self.decision = None;
            self.forget();
        }
        let rising = self.ask_trend(cycle_x, cycle_y, ground);
        let stairs = self.ask_stairs(x, y);
        let events = self.ask_events(cycle_x, cycle_y, ground);
        let growth = rising.or(stairs).or(events);
        let cap_passed =
            question.expect_cap.is_none_or(|cap| x.last().is_some_and(|now| *now >= PAST_CAP * cap as f64));
        self.before_cap = growth.is_some() && !cap_passed;
        if let Some(why) = growth.filter(|_| cap_passed) {
            let at = self.decision.filter(Decision::is_growth).map_or(cycles, |before| before.at);
            self.decision = Some(Decision { at, seen: cycles, why });
            return;
        }
        self.ask_rest(x, y, cycles, ground);
    }

    fn ask_trend(&mut self, x: &[f64], y: &[f64], ground: &Ground) -> Option<Why> {
        let passed = match window_test(x, y, ground.quantum) {
            Ok(passed) => passed,
            Err(failure) => {
                self.failure = failure;
                if !failure.rises() {
                    self.suspicions.clear();
                }
                return None;
            }
        };
        let half_way = self.suspicions.iter().rfind(|earlier| TIMES_CYCLES * earlier.at <= y.len()).copied();
        self.suspicions.push(Suspicion { at: y.len(), slope: passed.slope });
        self.failure = Failure::TooShort;
        let suspicion = half_way?;
        let size = if passed.slope > ground.creep { Size::Matters } else { Size::Small };
        let keeps = keeps(x, y, &suspicion, size);
        if keeps < SLOPE_KEEPS {
            self.failure = Failure::SlowsDown(keeps);
        } else if size == Size::Small && y.len() < CREEP_FROM {
            self.failure = Failure::Creeps;
        } else {
            return Some(Why::Rising { passed, keeps });
        }
        None
    }

    fn ask_stairs(&mut self, x: &[f64], y: &[f64]) -> Option<Why> {
        let seen = stair(x, y)?;
        let before = *self.stairs.get_or_insert(seen);
        (seen.last_x > before.last_x).then_some(Why::Stairs(seen))
    }

    fn ask_events(&mut self, x: &[f64], y: &[f64], ground: &Ground) -> Option<Why> {
        if ground.unit != Unit::Count {
            return None;
        }
        match counts::count_rule(x, y, self.events) {
            Seen::Confirmed { events, mean_gap } => return Some(Why::Events { events, mean_gap }),
            Seen::Suspected(suspicion) => self.events = Some(suspicion),
            Seen::Nothing => self.events = None,
        }
        None
    }

    fn ask_rest(&mut self, x: &[f64], y: &[f64], cycles: usize, ground: &Ground) {
        match tail(x, y, cycles, ground) {
            Ok(rest) => {
                let at = self.decision.filter(|decision| !decision.is_growth()).map_or(cycles, |rested| rested.at);
                self.decision = Some(Decision { at, seen: cycles, why: Why::Rest(rest) });
                self.forget();
            }
            Err(unrest) => {
                self.unrest = unrest;
                let warmup = y.len() - cycles;
                if self.decision.is_some_and(|decision| decision.is_overtaken(&x[warmup..], &y[warmup..], ground)) {
                    self.decision = None;
                }
            }
        }
    }
}

impl Decision {
    pub(super) fn is_growth(&self) -> bool {
        !matches!(self.why, Why::Rest(_))
    }

    /// Whether growth no longer stands: the cycles since the look are clearly flatter, the step that was due did not come,
    /// or no event did for so long that its chance is below that of a false alarm.
    fn is_contradicted(&self, x: &[f64], y: &[f64]) -> bool {
        let (Some(&then), Some(&now)) = (x.get(self.seen.wrapping_sub(1)), x.last()) else { return false };
        let risen = y[y.len() - 1] - y[self.seen - 1];
        match self.why {
            Why::Rising { passed, .. } if y.len() >= TIMES_CYCLES * self.seen => {
                let less = FLATTER * passed.slope;
                risen < less * (now - then)
                    && sen::Slopes::between(&x[self.seen..], &y[self.seen..])
                        .is_some_and(|mut since| since.upper_bound(CONFIDENCE, VARIANCE_FACTOR) < less)
            }
            Why::Stairs(stair) => now > stair.overdue_x && risen < FLATTER * stair.height,
            Why::Events { mean_gap, .. } => now - then > -ALPHA.ln() * mean_gap && risen <= 0.0,
            Why::Rising { .. } | Why::Rest(_) => false,
        }
    }

    /// Whether a rest no longer stands: the later half of the floors since lies above all that were seen then, or over as
    /// many cycles again they rise by more than what matters, with 95 % confidence.
    fn is_overtaken(&self, x: &[f64], y: &[f64], ground: &Ground) -> bool {
        if self.is_growth() || y.len() < self.seen + 2 {
            return false;
        }
        let highest = y[..self.seen].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let is_above = series::minimum(&y[self.seen + (y.len() - self.seen) / 2..]) > highest;
        let rises = || {
            sen::Slopes::between(&x[self.seen..], &y[self.seen..])
                .is_some_and(|mut since| since.lower_bound(CONFIDENCE, VARIANCE_FACTOR) > ground.smallest)
        };
        is_above || (y.len() >= TIMES_CYCLES * self.seen && rises())
    }
}

/// What a slope comes to beside what matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// It may matter.
    Matters,
    /// Creep that levels off is of this size.
    Small,
}

/// How much of its slope a rise kept over a doubling of its operations. It is measured twice: since the suspicion, and
/// where there are floors enough, over the last doubling, which holds none of the warm-up that an early suspicion was
/// measured under. Either will do for growth that may matter; small growth must keep it by both.
fn keeps(x: &[f64], y: &[f64], suspicion: &Suspicion, size: Size) -> f64 {
    let then = Before { slope: suspicion.slope, high: suspicion.slope, confidence: CONFIDENCE };
    let since = then.kept_by(&x[suspicion.at..], &y[suspicion.at..]).unwrap_or(0.0);
    match (last_doubling(x, y), size) {
        (Some(last), Size::Matters) => since.max(last),
        (Some(last), Size::Small) => since.min(last),
        (None, _) => since,
    }
}

/// How much the later half of all operations kept of the slope over the quarter before it.
fn last_doubling(x: &[f64], y: &[f64]) -> Option<f64> {
    let now = *x.last()?;
    let (quarter, half) = (x.partition_point(|at| *at < now / 4.0), x.partition_point(|at| *at < now / 2.0));
    if half - quarter < FEWEST_BEFORE_DOUBLING {
        return None;
    }
    let mut slopes = sen::Slopes::between(&x[quarter..half], &y[quarter..half])?;
    let before = Before {
        slope: slopes.median(),
        high: slopes.upper_bound(END_CONFIDENCE, VARIANCE_FACTOR),
        confidence: END_CONFIDENCE,
    };
    (before.slope > 0.0).then(|| before.kept_by(&x[half..], &y[half..])).flatten()
}

/// The slope before a doubling of the operations, and how steep it may have been.
#[derive(Clone, Copy, Debug)]
struct Before {
    slope: f64,
    high: f64,
    /// Of the lower end of the slope after it.
    confidence: f64,
}

impl Before {
    /// The slope of these floors as a share of it. Where the two are in doubt, the least share that they leave possible must
    /// come to what condition 5 asks: what it lacks is taken off.
    fn kept_by(self, x: &[f64], y: &[f64]) -> Option<f64> {
        let mut slopes = sen::Slopes::between(x, y)?;
        let least = slopes.lower_bound(self.confidence, VARIANCE_FACTOR) / self.high;
        Some((slopes.median() / self.slope).min(least + (SLOPE_KEEPS - LEAST_LATE_SHARE)))
    }
}

/// The looks of a run with so many cycles. The last cycle of a spent budget is a look too, as long as no more looks
/// share the chance of a false alarm than were planned.
fn due(cycles: usize, budget: Budget) -> Vec<usize> {
    let mut due: Vec<usize> = looks().map(|look| look as usize).take_while(|look| *look <= cycles).collect();
    let ends_between = due.last().is_some_and(|last| *last < cycles);
    if budget == Budget::Spent && ends_between && due.len() < LOOKS_PLANNED {
        due.push(cycles);
    }
    due
}

#[cfg(test)]
mod tests;
