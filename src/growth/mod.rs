//! One curve, judged: flat, bounded, unbounded or inconclusive, with its figures.

//!
//! Everything here works on [`Curve`]s, which are made from records. It reads no live process, keeps no state between
//! two calls, and refuses to guess: what a run cannot decide is inconclusive, with what would decide it.
//! `docs/statistics.md` holds the rule and the reason of each constant.

mod activity;
mod collector;
mod counts;
mod course;
mod curve;
mod estimate;
mod explain;
mod floors;
mod foreign;
mod judge;
mod limit;
mod looks;
mod over_time;
mod stair;
mod steps;
mod tail;
#[cfg(test)]
mod tests;
mod window_test;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use activity::Activity;
pub use collector::Collector;
pub use curve::{Axis, Curve, Point};
pub use floors::Floors;
pub use foreign::{Bound, CurveError, Foreign, Query, judge_csv, parse_value_unit, read_curve, read_curves};
pub use judge::judge;
pub use limit::{TimeToLimit, time_to_limit};
pub use looks::{Needs, is_look, looks, needed_operations, reach_shows};

use crate::sample::{Metric, ScenarioPlan};

/// Whether a curve grows without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It did not grow.
    Flat,
    /// It grew, and came to rest.
    Bounded,
    /// The run could not decide.
    Inconclusive,
    /// It grows, and what the program holds does not: its allocator retains the rest. No curve shows that by itself.
    Retained,
    /// It grew and did not slow down.
    Unbounded,
}

/// A figure with the interval in which it lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The best single figure.
    pub value: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end of the 95 % interval.
    pub high: f64,
}

impl Estimate {
    /// The same estimate in another unit.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let (a, b) = (self.low * factor, self.high * factor);
        Self { value: self.value * factor, low: a.min(b), high: a.max(b) }
    }
}

/// Whether more cycles can still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// The run goes on if need be.
    Open,
    /// This is all there will be.
    Spent,
}

/// Who asks for the smallest growth that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A person: what may be less than half of it is not called endless.
    Named,
    /// Nobody: it is what is usual. What may be less than a quarter of it is not called endless; for counts, which have no noise,
    /// any growth is.
    Usual,
    /// It is that of a whole of which the curve is a part, such as one owner of memory: many small parts make what matters.
    Part,
}

/// What is asked of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question {
    /// The smallest growth per unit of the axis that anyone cares about (S), in the metric's unit.
    pub smallest: f64,
    /// Who asks for it.
    pub demand: Demand,
    /// Growth in time without operations, per second, to be taken off first: found by an idle scenario.
    pub time_driven: Option<Estimate>,
    /// Operations at which a known cap is reached: no verdict of growth before 1.25 times this.
    pub expect_cap: Option<u64>,
    /// Whether more can come.
    pub budget: Budget,
    /// Whether a collector decides when the target gives memory back.
    pub collector: Collector,
}

impl Question {
    /// What a scenario asks of a curve, when all has been done that will be. Where nobody named `smallest`, it is what is usual
    /// for a run that goes on until its axis reaches `reach`.
    pub fn of(plan: &ScenarioPlan, curve: &Curve, reach: f64) -> Self {
        let unit = curve.metric.unit();
        let named = (!plan.usual.of(unit)).then(|| plan.smallest.of(unit));
        Self { expect_cap: plan.expect_cap, ..Self::reaching(curve, named, reach) }
    }

    /// What is asked of a curve that is all there is: for the growth that somebody named, or for what is usual.
    pub fn about(curve: &Curve, named: Option<f64>) -> Self {
        Self::reaching(curve, named, curve.reach())
    }

    fn reaching(curve: &Curve, named: Option<f64>, reach: f64) -> Self {
        let smallest = named.unwrap_or_else(|| curve.usual_smallest(reach));
        let demand = if named.is_some() { Demand::Named } else { Demand::Usual };
        let (expect_cap, budget, collector) = (None, Budget::Spent, Collector::None);
        Self { smallest, demand, time_driven: None, expect_cap, budget, collector }
    }
}

/// The lowest (for peaks: the highest) value of one cycle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Which cycle, from 1; pieces of the warm-up are cycle 0.
    pub cycle: u32,
    /// When, in seconds of the recording.
    pub t: f64,
    /// Where on the axis: operations done, or seconds.
    pub x: f64,
    /// The value, growth in time taken off.
    pub value: f64,
}

/// The floors over which a figure was taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// The first of them.
    pub first: Floor,
    /// The last of them.
    pub last: Floor,
}

/// The verdict on one curve with everything that led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Of which metric.
    pub metric: Metric,
    /// Per what.
    pub axis: Axis,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether growth was suspected and not confirmed.
    pub suspected: bool,
    /// The cycle at which the verdict stood.
    pub decided_at: Option<u32>,
    /// Growth per unit of the axis, over the judged window.
    pub per_op: Option<Estimate>,
    /// The judged window, where there are floors.
    pub window: Option<Window>,
    /// Growth per hour at the pace of the run.
    pub per_hour: Option<Estimate>,
    /// The value before the first operation, warm-up included in the growth after it.
    pub baseline: f64,
    /// The last floor.
    pub last: f64,
    /// The highest value of all.
    pub highest: f64,
    /// The smallest growth per unit of the axis that this run finds with 90 % power (a fit, +-30 %).
    pub sensitivity: Option<f64>,
    /// How many more cycles would decide, where that can be said.
    pub more_cycles: Option<u32>,
    /// When the growth or the rise that the verdict speaks of began, in seconds of the recording, where it was not at the begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<f64>,
    /// Why, in words a person understands.
    pub reason: String,
    /// The floors that were judged.
    pub floors: Vec<Floor>,
}

impl Growth {
    /// Rise from before the first operation to the last floor, in the metric's unit.
    pub fn growth(&self) -> f64 {
        self.last - self.baseline
    }

    /// Takes the verdict back: not growing says nothing here, for this reason. Growth that was seen stays.
    pub fn take_back(&mut self, why: &str) {
        if self.verdict != Verdict::Unbounded {
            self.verdict = Verdict::Inconclusive;
            self.suspected = false;
            (self.decided_at, self.more_cycles) = (None, None);
            why.clone_into(&mut self.reason);
        }
    }

    /// Whether the metric goes on growing, whoever holds what it grows by.
    pub fn goes_on(&self) -> bool {
        matches!(self.verdict, Verdict::Unbounded | Verdict::Retained)
    }

    /// Whether the gate can act on it.
    pub fn is_decided(&self) -> bool {
        self.verdict != Verdict::Inconclusive
    }
}

/// Growth per second of the metrics that climb with no load, from the verdicts on an idle scenario: what is taken off
/// the curves of later ones.
pub fn growth_in_time<'a>(idle: impl IntoIterator<Item = &'a Growth>) -> BTreeMap<Metric, Estimate> {
    idle.into_iter()
        .filter(|growth| growth.verdict == Verdict::Unbounded)
        .filter_map(|growth| Some((growth.metric.clone(), growth.per_op?)))
        .collect()
}
