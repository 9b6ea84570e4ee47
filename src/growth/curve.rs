//! One metric over time, with the operations done at each point.
//!
//! A curve is read from the records of one scenario and from nothing else. A number that a tick does not have
//! makes no point: nothing is filled in.

mod heap;
mod peak;
mod value;

use serde::{Deserialize, Serialize};

use self::peak::Peaks;
use super::Activity;
use super::looks::{quantum as looks_quantum, reach_shows};
use crate::sample::{Border, Event, MemorySource, Metric, Moment, Phase, Record, Smallest};
use crate::statistics::quantile::{median, quantile, sigma_by_mad};

/// Windows that a recording without cycles is cut into, at most; and seconds that a window lasts at least. Fifty is
/// a look of the judge, and the budget of a scenario by default.
const WINDOWS: f64 = 50.0;
const WINDOW_AT_LEAST_S: f64 = 1.0;
/// Samples of a window in a part of a curve, on average.
const SAMPLES_IN_WINDOW: usize = 3;
/// The share of the windows that must hold samples, else windows of equal time say little.
const FEWEST_FILLED: f64 = 0.5;
/// What growth over a whole curve comes to when it begins to matter: this share of the level, ...
const SHARE_OF_LEVEL: f64 = 0.05;
/// ... or what so many standard deviations of the noise from window to window hide, up to this share of the level, ...
const TIMES_NOISE: f64 = 4.0;
pub(super) const MOST_OF_LEVEL: f64 = 0.1;
/// ... and at least so many steps of the metric. A tail of half the curve without an event bounds it to six (rule of three).
const LEAST_STEPS: f64 = 8.0;
/// How many of the last cycles count as recent, and which quantile of them stands for the level under load.
const RECENT_CYCLES: u32 = 5;
const RECENT_LEVEL: f64 = 0.95;

/// What growth is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Operations completed.
    Operations,
    /// Seconds: nothing is driven.
    Seconds,
}

impl Axis {
    /// What a person calls one step on it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Operations => "operation",
            Self::Seconds => "second",
        }
    }

    /// What matters for one step on it when nobody says.
    pub const fn usual_smallest(self) -> Smallest {
        match self {
            Self::Operations => Smallest::PER_OPERATION,
            Self::Seconds => Smallest::PER_SECOND,
        }
    }
}

/// One value of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Seconds since the recording began.
    pub t: f64,
    /// Operations completed, or seconds since the scenario began.
    pub x: f64,
    /// The value in the metric's unit.
    pub value: f64,
    /// The cycle, from 1; 0 during warm-up.
    pub cycle: u32,
    /// The phase; `None` before the warm-up.
    pub phase: Option<Phase>,
}

/// One metric over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Which metric.
    pub metric: Metric,
    /// What its growth is counted against.
    pub axis: Axis,
    /// Its values in the order of time.
    pub points: Vec<Point>,
    /// When processes of the tree began or ended, in seconds as those of the points; none where nobody watched them.
    pub restarts: Option<Vec<f64>>,
}

impl Curve {
    /// The curve of a metric over the records of one scenario. Records may be a little out of order. What lies before
    /// the first phase holds the baseline; what lies after the scenario's end is not part of it.
    pub fn of(metric: &Metric, axis: Axis, source: MemorySource, records: &[Record]) -> Self {
        let mut reader = Reader::new(metric, axis, source);
        // While it is stopped it cannot grow. Where it hardly ran there is nothing else to show.
        reader.skips_stopped = !Activity::of(records).is_mostly_stopped();
        in_order(records, |record| reader.take(record));
        Self { metric: metric.clone(), axis, points: reader.points, restarts: Some(reader.restarts) }
    }

    /// The curve of a metric over records without phases: seconds are the axis, and equal windows of time the cycles.
    pub fn windowed(metric: &Metric, source: MemorySource, records: &[Record]) -> Self {
        Self::windowed_along(metric, Axis::Seconds, source, records)
    }

    /// The same along another axis: operations that the target counts itself.
    pub fn windowed_along(metric: &Metric, axis: Axis, source: MemorySource, records: &[Record]) -> Self {
        let mut curve = Self::of(metric, axis, source, records);
        if axis == Axis::Operations {
            curve.between_readings(records);
        }
        curve.cut_into_windows();
        curve
    }

    /// Makes equal windows of time the cycles, where no others are known.
    pub fn cut_into_windows(&mut self) {
        let (Some(first), Some(last)) = (self.points.first().map(|p| p.t), self.points.last().map(|p| p.t)) else {
            return;
        };
        let most = ((last - first) / WINDOW_AT_LEAST_S).floor().min(self.points.len() as f64);
        self.cut_into(most);
    }

    /// Makes windows of a few samples each, for a part of a curve, which may be short.
    pub(super) fn cut_into_short_windows(&mut self) {
        self.cut_into((self.points.len() / SAMPLES_IN_WINDOW) as f64);
    }

    fn cut_into(&mut self, windows: f64) {
        let windows = windows.clamp(1.0, WINDOWS);
        let (Some(first), Some(last)) = (self.points.first().map(|p| p.t), self.points.last().map(|p| p.t)) else {
            return;
        };
        let length = (last - first) / windows;
        for point in &mut self.points {
            let window = if length > 0.0 { ((point.t - first) / length).floor() } else { 0.0 };
            point.cycle = window.min(windows - 1.0) as u32 + 1;
            point.phase = Some(Phase::Load);
        }
        let filled = self.points.chunk_by(|a, b| a.cycle == b.cycle).count();
        if (filled as f64) < FEWEST_FILLED * windows {
            // Where most windows are gaps, each holds as many samples instead.
            let in_window = self.points.len() as f64 / windows;
            for (number, point) in self.points.iter_mut().enumerate() {
                point.cycle = (number as f64 / in_window) as u32 + 1;
            }
        } else {
            // A window without a sample is none.
            let (mut number, mut before) = (0, 0);
            for point in &mut self.points {
                number += u32::from(point.cycle != before);
                before = std::mem::replace(&mut point.cycle, number);
            }
        }
    }

    /// Where its axis ends.
    pub fn reach(&self) -> f64 {
        self.points.last().map_or(0.0, |last| last.x)
    }

    /// The smallest growth that matters where nobody says, per unit of the axis. What matters over a week is less per second
    /// than what matters over a minute: along seconds it is no more than what comes to a small share of the level over the
    /// whole curve, or to what its noise hides.
    ///
    /// It is asked of a run that goes on until its axis reaches a place: what is driven in cycles is asked for no less than it can
    /// show: a tail at rest holds half of the axis, and must be long enough for it.
    pub fn usual_smallest(&self, reach: f64) -> f64 {
        let unit = self.metric.unit();
        let usual = self.axis.usual_smallest().of(unit);
        let (true, Some(first), Some(last)) = (self.is_cut_by_time(), self.points.first(), self.points.last()) else {
            let shown = reach_shows(unit, reach);
            return if shown.is_finite() { usual.max(shown) } else { usual };
        };
        let floors: Vec<f64> = self.floors().cycles.iter().map(|floor| floor.value).collect();
        let level = median(&floors).unwrap_or(0.0);
        let differences: Vec<f64> = floors.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let noise = sigma_by_mad(&differences).unwrap_or(0.0);
        let least = LEAST_STEPS * looks_quantum(unit);
        let over_all = (SHARE_OF_LEVEL * level).max((TIMES_NOISE * noise).min(MOST_OF_LEVEL * level)).max(least);
        usual.min(over_all / (last.t - first.t).max(f64::MIN_POSITIVE))
    }

    /// Whether nothing drove it: its cycles are windows of time.
    pub(super) fn is_cut_by_time(&self) -> bool {
        self.axis == Axis::Seconds && self.points.iter().all(|point| point.phase == Some(Phase::Load))
    }

    /// Where operations are a gauge, ticks between two readings of it hold the count of the former. Both readings are in
    /// the recording: between them the count is taken to have risen evenly.
    fn between_readings(&mut self, records: &[Record]) {
        let reading = |record: &Record| match record {
            Record::Detail(detail) if !detail.gauges.is_empty() => {
                Some((detail.at.seconds(), detail.operations as f64))
            }
            _ => None,
        };
        let readings: Vec<(f64, f64)> = records.iter().filter_map(reading).collect();
        for point in &mut self.points {
            let after = readings.partition_point(|(t, _)| *t <= point.t);
            let Some(((t0, x0), (t1, x1))) =
                after.checked_sub(1).map(|n| readings[n]).zip(readings.get(after).copied())
            else {
                continue;
            };
            point.x = (x0 + (x1 - x0) * (point.t - t0) / (t1 - t0)).clamp(x0, x1.max(x0));
        }
    }

    /// The level under load of late: the 95th percentile of the load samples of the last five cycles. Where nothing is
    /// driven, of all their samples.
    pub fn recent_high(&self) -> Option<f64> {
        let last = self.points.last()?.cycle;
        let recent = || self.points.iter().filter(|point| point.cycle.saturating_add(RECENT_CYCLES) > last);
        let loaded: Vec<f64> = recent().filter(|p| p.phase == Some(Phase::Load)).map(|p| p.value).collect();
        if loaded.is_empty() {
            quantile(&recent().map(|p| p.value).collect::<Vec<_>>(), RECENT_LEVEL)
        } else {
            quantile(&loaded, RECENT_LEVEL)
        }
    }
}

/// Visits records in the order of time; those that are in order already are not copied.
fn in_order<'a>(records: &'a [Record], mut visit: impl FnMut(&'a Record)) {
    if records.is_sorted_by_key(Record::at) {
        records.iter().for_each(visit);
    } else {
        let mut sorted: Vec<&Record> = records.iter().collect();
        sorted.sort_by_key(|record| record.at());
        sorted.into_iter().for_each(&mut visit);
    }
}

/// Where in a scenario the records have come to.
struct Reader<'a> {
    metric: &'a Metric,
    axis: Axis,
    source: MemorySource,
    began: Option<Moment>,
    over: bool,
    phase: Option<Phase>,
    cycle: u32,
    peaks: Peaks,
    skips_stopped: bool,
    points: Vec<Point>,
    restarts: Vec<f64>,
}

impl<'a> Reader<'a> {
    fn new(metric: &'a Metric, axis: Axis, source: MemorySource) -> Self {
        Self {
            metric,
            axis,
            source,
            began: None,
            over: false,
            phase: None,
            cycle: 0,
            peaks: Peaks::default(),
            skips_stopped: false,
            points: Vec::new(),
            restarts: Vec::new(),
        }
    }

    fn take(&mut self, record: &Record) {
        if self.over {
            return;
        }
        let began = *self.began.get_or_insert(record.at());
        match record {
            Record::Mark(mark) => self.cross(&mark.border),
            Record::Event { at, event } => {
                if matches!(event, Event::Appeared { .. } | Event::Vanished { .. } | Event::TargetEnds { .. }) {
                    self.restarts.push(at.seconds());
                }
                self.peaks.note(event, self.phase, self.cycle);
            }
            Record::Sample(sample) if sample.stopped && self.skips_stopped => {}
            Record::Sample(sample) => {
                let value = match self.metric {
                    Metric::Peak => self.peaks.value(sample, self.cycle),
                    metric => value::of_sample(metric, self.source, sample),
                };
                self.push(began, sample.at, sample.operations, value);
            }
            Record::Detail(detail) => {
                self.push(began, detail.at, detail.operations, value::of_detail(self.metric, detail));
            }
            // Live heap bytes become curves where their owners are known.
            Record::Stacks(_) | Record::Heap(_) | Record::Symbols(_) => {}
        }
    }

    fn cross(&mut self, border: &Border) {
        match border {
            Border::ScenarioBegins { .. } => {}
            Border::PhaseBegins { phase, cycle } => (self.phase, self.cycle) = (Some(*phase), *cycle),
            Border::Closing | Border::ScenarioEnds { .. } => self.over = true,
        }
    }

    fn push(&mut self, began: Moment, at: Moment, operations: u64, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let x = match self.axis {
            Axis::Operations => operations as f64,
            Axis::Seconds => at.since(began).as_secs_f64(),
        };
        self.points.push(Point { t: at.seconds(), x, value, cycle: self.cycle, phase: self.phase });
    }
}

#[cfg(test)]
mod tests;
