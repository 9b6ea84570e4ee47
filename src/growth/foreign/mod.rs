//! Curves from elsewhere: what other programs wrote, read as curves.
//!
//! The format is recognised by what a file holds, never by its name: tables (CSV, TSV, columns apart by blanks), logs of
//! psrecord, `.dat` files of mprof, answers of Prometheus to a range query. Nothing is skipped in silence: what cannot be
//! read is an error with its line, and what a format may leave out of a curve is told in [`Foreign::remarks`].

mod header;
mod lines;
mod mprof;
mod prometheus;
mod psrecord;
mod table;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use self::lines::{Lines, Opening};
use super::{Axis, Budget, Collector, Curve, Growth, Point, Question, judge};
use crate::sample::Metric;
use crate::units::Unit;

/// psrecord, mprof, ps and `/proc` all count so, whatever they call it.
const MIB: f64 = 1024.0 * 1024.0;

/// A curve that another program recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// Which of the file's series it is, like `{job="api"}`; `None` where a file holds one. Untrusted text.
    pub series: Option<String>,
    /// Its values.
    pub curve: Curve,
    /// What was left out or put together, a sentence each.
    pub remarks: Vec<String>,
}

/// A file that holds no curve that can be read.
#[derive(Debug, thiserror::Error)]
pub enum CurveError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[source] std::io::Error),
    /// A line does not fit.
    #[error("line {line}: {what}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// There is no value in it.
    #[error("holds no values")]
    Empty,
}

impl CurveError {
    fn line(line: usize, what: impl Into<String>) -> Self {
        Self::Line { line, what: what.into() }
    }

    /// The error with the place where it is, `FILE:LINE: what`.
    pub fn in_file(&self, file: &str) -> String {
        match self {
            Self::Line { line, what } => format!("{file}:{line}: {what}"),
            other => format!("{file}: {other}"),
        }
    }
}

/// Reads every curve of a file, whatever its format: private memory for bytes, descriptors for counts.
pub fn read_curves(input: impl BufRead, unit: Unit) -> Result<Vec<Foreign>, CurveError> {
    let mut lines = Lines::new(input);
    let curves = match lines.opening()? {
        Opening::Json => {
            let (input, before) = lines.into_rest();
            prometheus::read(input, before, unit)?
        }
        Opening::Text(line) if psrecord::begins(&line) => vec![alone(psrecord::read(&mut lines, unit)?)],
        Opening::Text(line) if mprof::begins(&line) => mprof::read(&mut lines, unit)?,
        Opening::Text(_) => vec![alone(table::read(&mut lines, unit)?)],
        Opening::Nothing => return Err(CurveError::Empty),
    };
    Ok(curves)
}

/// Reads the curve of a table.
pub fn read_curve(input: impl BufRead, unit: Unit) -> Result<Curve, CurveError> {
    let mut lines = Lines::new(input);
    match lines.opening()? {
        Opening::Json => Err(CurveError::line(lines.number(), "is JSON, not a table")),
        Opening::Text(_) => table::read(&mut lines, unit),
        Opening::Nothing => Err(CurveError::Empty),
    }
}

/// Judges the curve of a table in a file, as the end of a run that looked for the smallest growth of the defaults.
pub fn judge_csv(path: &Path, unit: Unit) -> Result<Growth, CurveError> {
    let curve = read_curve(BufReader::new(File::open(path).map_err(CurveError::Read)?), unit)?;
    let smallest = curve.usual_smallest();
    let question =
        Question { smallest, time_driven: None, expect_cap: None, budget: Budget::Spent, collector: Collector::None };
    Ok(judge(&curve, &question))
}

fn alone(curve: Curve) -> Foreign {
    Foreign { series: None, curve, remarks: Vec::new() }
}

/// Points of a curve in the making: time and operations never go back.
#[derive(Debug, Default)]
struct Gathered {
    points: Vec<Point>,
}

impl Gathered {
    fn push(&mut self, mut point: Point) -> Result<(), String> {
        plausible(point.value)?;
        if point.t.abs() > LATEST_S || !(0.0..=MOST).contains(&point.x) {
            return Err(format!("time {} s or operations {} are out of range", point.t, point.x));
        }
        (point.t, point.x) = (snapped(point.t), snapped(point.x));
        if self.points.len() >= MOST_POINTS {
            return Err(format!("is past the {MOST_POINTS} samples that one curve may have; thin it out"));
        }
        if let Some(before) = self.points.last() {
            if before.t > point.t {
                return Err(format!("goes back in time, from {} to {} s", before.t, point.t));
            }
            if before.x > point.x {
                return Err(format!("goes back in operations, from {} to {}", before.x, point.x));
            }
        }
        self.points.push(point);
        Ok(())
    }

    /// A value at a time, and nothing else known.
    fn push_value(&mut self, t: f64, value: f64) -> Result<(), String> {
        self.push(Point { t, x: 0.0, value, cycle: 0, phase: None })
    }

    /// The curve. Without any operation the axis is seconds; without any cycle, windows of time are the cycles.
    fn into_curve(mut self, unit: Unit) -> Curve {
        let began = self.points.first().map_or(0.0, |point| point.t);
        let operations = self.points.last().map_or(0.0, |point| point.x);
        let axis = if operations > 0.0 { Axis::Operations } else { Axis::Seconds };
        if axis == Axis::Seconds {
            self.points.iter_mut().for_each(|point| point.x = point.t - began);
        }
        let metric = match unit {
            Unit::Bytes => Metric::Private,
            Unit::Count => Metric::Fds,
        };
        let has_cycles = self.points.iter().any(|point| point.cycle > 0);
        let mut curve = Curve { metric, axis, points: self.points };
        if !has_cycles {
            curve.cut_into_windows();
        }
        curve
    }

    /// The curve of a file that must hold one.
    fn into_some_curve(self, unit: Unit) -> Result<Curve, CurveError> {
        if self.points.is_empty() { Err(CurveError::Empty) } else { Ok(self.into_curve(unit)) }
    }
}

/// No process has more, of anything: 2^63.
const MOST: f64 = 9_223_372_036_854_775_808.0;
/// Times of 1970 lie far below, whatever the century.
const LATEST_S: f64 = 1e13;
/// Differences of time and of operations that are nearer to nothing are nothing: a quotient by one would be no figure.
const SMALLEST_STEP: f64 = 1e-9;
/// Samples of one curve: at 10 Hz more than a week.
const MOST_POINTS: usize = 10_000_000;

/// Refuses what no process can have.
fn plausible(value: f64) -> Result<(), String> {
    if (0.0..=MOST).contains(&value) {
        return Ok(());
    }
    let shown = if value.is_finite() { format!("value {value:e}") } else { "value".to_owned() };
    let why = if value < 0.0 { "it is negative" } else { "it is more than 2^63" };
    Err(format!("{shown} is none that a process can have: {why}; correct it or take the line out"))
}

fn snapped(number: f64) -> f64 {
    if number.abs() < SMALLEST_STEP { 0.0 } else { number }
}

/// A number that is one: neither infinite nor not a number.
fn number(name: &str, text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("{name} `{text}` is not a number"))
}

/// Some formats hold memory and nothing else.
fn only_memory(unit: Unit, format: &str) -> Result<(), CurveError> {
    match unit {
        Unit::Bytes => Ok(()),
        Unit::Count => {
            Err(CurveError::line(1, format!("begins a file of {format}, which holds memory: no count is in it")))
        }
    }
}
