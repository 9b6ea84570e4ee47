//! The samples of one subject, and the curve that they become.

use super::order::{Disorder, Ordered, order};
use super::query::{Query, between};
use super::time::{Kind, Stamp};
use super::{CurveError, Foreign};
use crate::growth::{Axis, Curve, Point};
use crate::sample::Metric;
use crate::units::Unit;

/// No process has more, of anything: 2^63.
const MOST: f64 = 9_223_372_036_854_775_808.0;
/// Times of 1970 lie far below, whatever the century.
const LATEST_S: f64 = 1e13;
/// Differences of time and of operations that are nearer to nothing are nothing: a quotient by one would be no figure.
const SMALLEST_STEP: f64 = 1e-9;
/// Samples of one curve: at 10 Hz more than a week.
const MOST_POINTS: usize = 10_000_000;
/// A process with less resident memory is rare enough to ask for the unit of its figures.
const SMALL_PROCESS: f64 = 1e7;
/// Values without any name that are smaller than this and broken are no bytes.
const SMALL_BROKEN: f64 = 1e6;
/// A counter of operations that falls below this share of what it was began again.
const RESET_BELOW: f64 = 0.5;
/// Several samples at the same time are several subjects if nearly all times have as many.
const SAME_TIMES: f64 = 0.9;
const FEWEST_TIMES: usize = 5;

/// What is measured, and how sure its unit is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measure {
    /// The name of the column or the metric.
    pub title: String,
    pub unit: Unit,
    /// Bytes in one, where it is known.
    pub scale: Option<f64>,
    pub doubt: Doubt,
    pub zeros: Zeros,
}

/// What would show that values without a unit are no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The format says that they are bytes, or things.
    Settled,
    /// A name says that it is memory and not in which unit.
    Unit,
    /// The name says nothing.
    Meaning,
    /// Its name is `value`: bytes are agreed upon, and broken numbers are none.
    Broken,
    /// There is no name.
    Bare,
}

/// What a zero is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zeros {
    /// A value like others.
    Values,
    /// No process was there: a living one has memory.
    NoProcess,
}

/// The samples of one subject.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub labels: Vec<(String, String)>,
    pub measure: Measure,
    pub points: Vec<Point>,
    /// The line of each point.
    pub lines: Vec<u32>,
    /// The times with day and month the other way round, where both could be.
    day_first: Option<Vec<f64>>,
    pub kind: Option<Kind>,
    pub missing: usize,
    /// Samples whose unit stood in their cells.
    pub with_unit: usize,
}

impl Series {
    pub fn new(labels: Vec<(String, String)>, measure: Measure) -> Self {
        Self {
            labels,
            measure,
            points: Vec::new(),
            lines: Vec::new(),
            day_first: None,
            kind: None,
            missing: 0,
            with_unit: 0,
        }
    }

    pub fn samples(&self) -> usize {
        self.points.len() + self.missing
    }

    /// Adds a sample. Its value is in bytes where that is known by now.
    pub fn push(&mut self, line: usize, stamp: Stamp, mut point: Point) -> Result<(), String> {
        plausible(point.value)?;
        if point.t.abs() > LATEST_S || !(0.0..=MOST).contains(&point.x) {
            return Err(format!("time {} s or operations {} are out of range", point.t, point.x));
        }
        if self.points.len() >= MOST_POINTS {
            return Err(format!("is past the {MOST_POINTS} samples that one curve may have; thin it out"));
        }
        self.kind = Some(match (self.kind.unwrap_or(stamp.kind), stamp.kind) {
            (before, same) if before == same => same,
            // From 24 hours on it is seen to be time since a start.
            (Kind::Day, Kind::Elapsed) | (Kind::Elapsed, Kind::Day) => Kind::Elapsed,
            _ => {
                return Err(
                    "has a time of another kind than the lines before it; write all times in the same way".into()
                );
            }
        });
        (point.t, point.x) = (snapped(point.t), snapped(point.x));
        match (&mut self.day_first, stamp.day_first) {
            (Some(times), other) => times.push(other.unwrap_or(stamp.seconds)),
            (None, Some(other)) => {
                self.day_first = Some(self.points.iter().map(|point| point.t).chain([other]).collect());
            }
            (None, None) => {}
        }
        self.lines.push(u32::try_from(line).unwrap_or(u32::MAX));
        self.points.push(point);
        Ok(())
    }

    /// The time of the first sample and of the last.
    pub fn span(&self) -> Option<(f64, f64)> {
        let times = || self.points.iter().map(|point| point.t);
        Some((times().min_by(f64::total_cmp)?, times().max_by(f64::total_cmp)?))
    }

    /// Takes in the samples of another.
    pub fn join(&mut self, other: Self) {
        if self.kind != other.kind {
            self.kind = self.kind.filter(|_| other.kind.is_none()).or(other.kind);
        }
        self.points.extend(other.points);
        self.lines.extend(other.lines);
        self.missing += other.missing;
        self.with_unit += other.with_unit;
        if let (Some(times), Some(others)) = (&mut self.day_first, other.day_first) {
            times.extend(others);
        } else {
            self.day_first = None;
        }
    }

    /// Decides which number of a date is the day: months apart is not how samples are taken.
    fn choose_day(&mut self) {
        let Some(times) = self.day_first.take() else { return };
        let span = |times: &mut dyn Iterator<Item = f64>| {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            times.for_each(|t| (low, high) = (low.min(t), high.max(t)));
            high - low
        };
        let month_first = span(&mut self.points.iter().map(|point| point.t));
        if span(&mut times.iter().copied()) < month_first {
            self.points.iter_mut().zip(times).for_each(|(point, t)| point.t = t);
        }
    }

    /// The curve, with what was done to it.
    pub fn finish(mut self, name: Option<String>, query: &Query, disorder: Disorder) -> Result<Foreign, CurveError> {
        let mut remarks = Vec::new();
        if self.missing > 0 {
            remarks.push(left_out(self.missing, "without a number"));
        }
        self.choose_day();
        let kind = self.kind.unwrap_or(Kind::Number);
        let ordered = order(&mut self.points, &mut self.lines, kind, disorder).map_err(|back| {
            let line = self.lines.get(back.index).map_or(1, |line| *line as usize);
            let what = format!(
                "goes back in time, from {} to {} s; sort the file by time, or say with --by which column holds the subject",
                back.from, back.to
            );
            CurveError::line(line, what)
        })?;
        tell_order(&ordered, &mut remarks);
        self.refuse_several_subjects()?;
        let kept = between(query, &self.points);
        if kept.len() < self.points.len() {
            remarks.push(left_out(self.points.len() - kept.len(), "outside --since and --until"));
            self.points.truncate(kept.end);
            self.points.drain(..kept.start);
            self.lines.truncate(kept.end);
            self.lines.drain(..kept.start);
            if self.points.is_empty() {
                return Err(CurveError::line(1, "has no sample between --since and --until"));
            }
        }
        self.leave_out_zeros(&mut remarks);
        self.settle_unit(query)?;
        self.count_on(&mut remarks)?;
        let unit = self.measure.unit;
        let curve = into_curve(self.points, metric(unit, &self.measure.title));
        Ok(Foreign { series: name, curve, remarks, sums: None })
    }

    fn leave_out_zeros(&mut self, remarks: &mut Vec<String>) {
        let zeros = self.points.iter().filter(|point| point.value == 0.0).count();
        if self.measure.zeros != Zeros::NoProcess || zeros == 0 || zeros == self.points.len() {
            return;
        }
        let mut lines = std::mem::take(&mut self.lines).into_iter();
        let mut kept = Vec::new();
        self.points.retain(|point| {
            let line = lines.next().unwrap_or(1);
            let stays = point.value != 0.0;
            if stays {
                kept.push(line);
            }
            stays
        });
        self.lines = kept;
        remarks.push(left_out(zeros, "of zero bytes (no process was there)"));
    }

    /// Values become bytes, or the user is asked what they are.
    fn settle_unit(&mut self, query: &Query) -> Result<(), CurveError> {
        let measure = &self.measure;
        if measure.unit == Unit::Count || measure.scale.is_some() || self.points.is_empty() {
            return Ok(());
        }
        if self.with_unit > 0 {
            if self.with_unit < self.points.iter().filter(|point| point.value > 0.0).count() {
                return Err(CurveError::line(
                    self.lines.first().map_or(1, |line| *line as usize),
                    format!(
                        "begins `{}`, where some values have a unit and some have none; say with --unit what those without are",
                        measure.title
                    ),
                ));
            }
            return Ok(());
        }
        if let Some(unit) = query.unit {
            self.points.iter_mut().for_each(|point| point.value *= unit);
            return self
                .points
                .iter()
                .try_for_each(|point| plausible(point.value))
                .map_err(|what| CurveError::line(1, what));
        }
        let highest = self.points.iter().map(|point| point.value).fold(0.0, f64::max);
        let broken = self.points.iter().any(|point| point.value.fract() != 0.0);
        let asks = match measure.doubt {
            Doubt::Settled => false,
            Doubt::Unit | Doubt::Meaning => highest < SMALL_PROCESS,
            Doubt::Broken => highest < SMALL_BROKEN && broken,
            // What never changes is flat in every unit.
            Doubt::Bare => highest < SMALL_PROCESS && self.points.iter().any(|point| point.value != highest),
        };
        if !asks {
            return Ok(());
        }
        let title = &measure.title;
        let line = self.lines.first().map_or(1, |line| *line as usize);
        let what = match measure.doubt {
            Doubt::Meaning => format!(
                "begins `{title}`, and neither its name nor its values (up to {highest}) say what it is; say --resource count, or \
                 --unit MiB (or B, KiB, GiB) if it is memory"
            ),
            _ => format!(
                "begins `{title}` without a unit, and its values (up to {highest}) are too small to be bytes of a process; say \
                 what they are with --unit KiB, MiB or GiB, or --unit B if they are bytes after all"
            ),
        };
        Err(CurveError::line(line, what))
    }

    /// A counter of operations that began again goes on from where it was.
    fn count_on(&mut self, remarks: &mut Vec<String>) -> Result<(), CurveError> {
        let (mut offset, mut before, mut resets) = (0.0, 0.0, 0);
        for (index, point) in self.points.iter_mut().enumerate() {
            let raw = point.x;
            if raw < before {
                if raw > before * RESET_BELOW || index < 2 {
                    let line = self.lines.get(index).map_or(1, |line| *line as usize);
                    return Err(CurveError::line(line, format!("goes back in operations, from {before} to {raw}")));
                }
                offset += before;
                resets += 1;
            }
            before = raw;
            point.x = raw + offset;
        }
        if resets > 0 {
            remarks.push(format!("operations began again at zero {}, and are counted on", times(resets)));
        }
        Ok(())
    }

    /// Two processes in one column without a name would make a curve of neither.
    fn refuse_several_subjects(&self) -> Result<(), CurveError> {
        let groups: Vec<&[Point]> = self.points.chunk_by(|a, b| a.t == b.t).collect();
        let most = groups.iter().map(|group| group.len()).max().unwrap_or(0);
        let alike = groups.iter().filter(|group| group.len() == most).count();
        if most < 2 || groups.len() < FEWEST_TIMES || (alike as f64) < SAME_TIMES * groups.len() as f64 {
            return Ok(());
        }
        let within: f64 =
            groups.iter().flat_map(|group| group.windows(2)).map(|pair| (pair[0].value - pair[1].value).abs()).sum();
        let across: f64 = groups
            .windows(2)
            .flat_map(|pair| pair[0].iter().zip(pair[1]))
            .map(|(a, b)| (a.value - b.value).abs())
            .sum();
        if within <= 4.0 * across {
            return Ok(());
        }
        let line = self.lines.first().map_or(1, |line| *line as usize);
        Err(CurveError::line(
            line,
            format!(
                "begins {most} samples at each time, and no column says whose they are; add one (pid, pod, name), or name it with --by"
            ),
        ))
    }
}

fn tell_order(ordered: &Ordered, remarks: &mut Vec<String>) {
    if ordered.reversed {
        remarks.push("the file is newest first and was turned round".into());
    }
    if ordered.repeated_hours > 0 {
        remarks.push("an hour comes twice, as when summer time ends: the second one goes on after the first".into());
    }
    if ordered.restarts > 0 {
        remarks.push(format!("its clock began again {}: the time goes on", times(ordered.restarts)));
    }
}

fn times(n: usize) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

fn left_out(samples: usize, which: &str) -> String {
    match samples {
        1 => format!("1 sample {which} is left out"),
        many => format!("{many} samples {which} are left out"),
    }
}

fn metric(unit: Unit, title: &str) -> Metric {
    match unit {
        Unit::Bytes => Metric::Private,
        Unit::Count if title.to_lowercase().contains("thread") => Metric::Threads,
        Unit::Count => Metric::Fds,
    }
}

/// The curve. Without any operation the axis is seconds; without any cycle, windows of time are the cycles.
fn into_curve(mut points: Vec<Point>, metric: Metric) -> Curve {
    let began = points.first().map_or(0.0, |point| point.t);
    let operations = points.last().map_or(0.0, |point| point.x);
    let axis = if operations > 0.0 { Axis::Operations } else { Axis::Seconds };
    if axis == Axis::Seconds {
        points.iter_mut().for_each(|point| point.x = point.t - began);
    }
    let has_cycles = points.iter().any(|point| point.cycle > 0);
    let mut curve = Curve { metric, axis, points, restarts: None };
    if !has_cycles {
        curve.cut_into_windows();
    }
    curve
}

/// Refuses what no process can have.
pub(super) fn plausible(value: f64) -> Result<(), String> {
    if (0.0..=MOST).contains(&value) {
        return Ok(());
    }
    let shown = if value.is_finite() { format!("value {value:e}") } else { "value".to_owned() };
    let why = if value.is_sign_negative() { "it is negative" } else { "it is more than 2^63" };
    Err(format!("{shown} is none that a process can have: {why}; correct it or take the line out"))
}

fn snapped(number: f64) -> f64 {
    if number.abs() < SMALLEST_STEP { 0.0 } else { number }
}

#[cfg(test)]
mod tests;
