//! The form that every reader yields: a table of rows with a time, columns with a name and a unit, and cells of text.
//!
//! A reader tells what it knows of its columns ([`Role`]) and hands over rows. What it leaves open (which column is the value,
//! whose it is, what its unit is) is decided in one place, `layout`, by names, by the first rows, and by what the user says.
//! Rows are not kept: as soon as the layout is known their samples go into the series of their subject.

use std::collections::HashMap;

use super::cell::{self, Cell, Decimal};
use super::layout::{Layout, TimeSource, ValueColumn};
use super::name::{Meaning, Name};
use super::order::Disorder;
use super::query::Query;
use super::series::{Doubt, Measure, Series, plausible};
use super::subjects;
use super::time::{Kind, Stamp, parse};
use super::{CurveError, Foreign};
use crate::growth::Point;
use crate::sample::Phase;
use crate::units::Unit;

/// So many rows are looked at before it is decided what the columns are.
const FIRST_ROWS: usize = 256;
/// Times as large as these are times of 1970 in finer units than seconds: in seconds they lie beyond the year 5000.
const FINER: [(f64, f64); 3] = [(1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3)];
/// Labels that name what is measured.
const METRIC_LABELS: [&str; 7] = ["metric", "metric_name", "metric name", "name", "series", "field", "measurement"];
/// More subjects than this are no table of processes.
const MOST_SERIES: usize = 20_000;

/// What a reader knows of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// What its name says.
    ByName,
    Time,
    Label,
    /// Memory of the subject.
    Memory,
    /// The value of a table without names.
    Bare,
    /// Something that only `--column` asks for.
    Beside,
}

/// A column of a sheet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub name: String,
    pub role: Role,
    /// Bytes in one, where the format fixes it.
    pub unit: Option<f64>,
}

impl Column {
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role, unit: None }
    }

    pub fn by_name(name: impl Into<String>) -> Self {
        Self::new(name, Role::ByName)
    }

    pub fn memory(name: impl Into<String>, unit: f64) -> Self {
        Self { name: name.into(), role: Role::Memory, unit: Some(unit) }
    }
}

/// A row that waits until the layout is known.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub line: usize,
    pub stamp: Option<String>,
    pub cells: Vec<String>,
}

/// Rows on their way into series.
pub(super) struct Sheet<'q> {
    pub query: &'q Query,
    columns: Vec<Column>,
    /// The line of the names.
    begun_at: usize,
    waiting: Vec<Row>,
    layout: Option<Layout>,
    series: Vec<Series>,
    index: HashMap<String, usize>,
    /// Seconds in one of a bare number of time.
    time_unit: Option<f64>,
    pub decimal: Decimal,
    /// Samples come in any order.
    pub disorder: Disorder,
    /// Every label is told, also one that all series have in common.
    pub tells_all_labels: bool,
    remarks: Vec<String>,
    phase: Option<Phase>,
    cycle: u32,
}

impl<'q> Sheet<'q> {
    pub fn new(query: &'q Query) -> Self {
        Self {
            query,
            columns: Vec::new(),
            begun_at: 1,
            waiting: Vec::new(),
            layout: None,
            series: Vec::new(),
            index: HashMap::new(),
            time_unit: None,
            decimal: Decimal::Point,
            disorder: Disorder::Unusual,
            tells_all_labels: false,
            remarks: Vec::new(),
            phase: None,
            cycle: 0,
        }
    }

    /// The columns, before the first row.
    pub fn begin(&mut self, line: usize, columns: Vec<Column>) {
        (self.begun_at, self.columns) = (line, columns);
    }

    /// Adds columns that turned up later; their cells are empty in the rows before.
    pub fn widen(&mut self, columns: impl IntoIterator<Item = Column>) {
        if self.layout.is_none() {
            self.columns.extend(columns);
        }
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn remark(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.remarks.contains(&text) {
            self.remarks.push(text);
        }
    }

    /// A row; `stamp` is its time where that is no cell.
    pub fn row(&mut self, line: usize, stamp: Option<&str>, cells: &[&str]) -> Result<(), CurveError> {
        if self.layout.is_none() {
            let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
            self.waiting.push(Row { line, stamp: stamp.map(str::to_owned), cells });
            return if self.waiting.len() >= FIRST_ROWS { self.decide() } else { Ok(()) };
        }
        self.place(line, stamp, cells).map_err(|what| CurveError::line(line, what))
    }

    fn decide(&mut self) -> Result<(), CurveError> {
        let layout = Layout::of(&self.columns, &self.waiting, self.decimal, self.query);
        self.layout = Some(layout.map_err(|what| CurveError::line(self.begun_at, what))?);
        for row in std::mem::take(&mut self.waiting) {
            let cells: Vec<&str> = row.cells.iter().map(String::as_str).collect();
            self.place(row.line, row.stamp.as_deref(), &cells).map_err(|what| CurveError::line(row.line, what))?;
        }
        Ok(())
    }

    fn place(&mut self, line: usize, stamp: Option<&str>, cells: &[&str]) -> Result<(), String> {
        let Some(layout) = self.layout.take() else { return Ok(()) };
        let placed = self.place_by(&layout, line, stamp, cells);
        self.layout = Some(layout);
        placed
    }

    fn place_by(&mut self, layout: &Layout, line: usize, stamp: Option<&str>, cells: &[&str]) -> Result<(), String> {
        let cell = |index: usize| cells.get(index).copied().unwrap_or_default();
        let time = self.time_of(layout, stamp, &cell)?;
        let x = match layout.operations {
            None => 0.0,
            Some(index) => match cell::read(cell(index), self.decimal) {
                Cell::Number(number) => number,
                _ => return Err(format!("ops `{}` is not a number", cell(index))),
            },
        };
        self.enter(layout.phase.map(cell), layout.cycle.map(cell))?;
        let labels: Vec<(String, String)> = layout
            .labels
            .iter()
            .map(|index| (self.columns[*index].name.trim().to_lowercase(), cell(*index).to_owned()))
            .collect();
        for value in &layout.values {
            let series = self.series_of(value, &labels)?;
            let text = cell(value.index);
            let stamp = match time {
                Some(stamp) => stamp,
                None => {
                    let step = self.query.every_s.unwrap_or(1.0);
                    let seconds = step * self.series[series].samples() as f64;
                    Stamp { seconds, kind: Kind::Elapsed, day_first: None }
                }
            };
            // In a table of many metrics each series has a unit of its own.
            let Measure { scale, unit, .. } = self.series[series].measure;
            let read = cell::read(text, self.decimal);
            let (number, has_unit) = match (read, unit) {
                (Cell::Missing, _) => {
                    self.series[series].missing += 1;
                    continue;
                }
                (Cell::Number(number), Unit::Bytes) => (number * scale.unwrap_or(1.0), false),
                (Cell::Number(number), Unit::Count) => (number, false),
                (Cell::Bytes(bytes), Unit::Bytes) => (bytes, true),
                (Cell::Percent, _) => return Err(percentage(&value.measure.title)),
                (Cell::Text | Cell::Bytes(_), _) => return Err(format!("value `{text}` is not a number")),
            };
            let point = Point { t: stamp.seconds, x, value: number, cycle: self.cycle, phase: self.phase };
            self.series[series].push(line, stamp, point)?;
            self.series[series].with_unit += usize::from(has_unit && number > 0.0);
        }
        Ok(())
    }

    fn time_of<'c>(
        &mut self,
        layout: &Layout,
        stamp: Option<&str>,
        cell: &dyn Fn(usize) -> &'c str,
    ) -> Result<Option<Stamp>, String> {
        let joined;
        let text = match layout.time {
            TimeSource::Column(index) => cell(index),
            TimeSource::DateAndClock(date, clock) => {
                joined = format!("{} {}", cell(date), cell(clock));
                &joined
            }
            TimeSource::Stamp => match stamp {
                Some(stamp) => stamp.trim_matches(|c: char| !c.is_alphanumeric()),
                None => return Err("has no time; the lines before it have one".into()),
            },
            TimeSource::Steps => return Ok(None),
        };
        let Some(mut time) = parse(text, layout.short) else {
            return Err(format!("time `{text}` is not a number or a date"));
        };
        if time.kind == Kind::Number {
            let unit =
                *self.time_unit.get_or_insert_with(|| layout.time_unit.unwrap_or_else(|| unit_of_time(time.seconds)));
            time.seconds *= unit;
        }
        if layout.is_elapsed && time.kind == Kind::Day {
            time.kind = Kind::Elapsed;
        }
        Ok(Some(time))
    }

    /// Goes to a phase and a cycle. One of them tells of the other where that is missing.
    fn enter(&mut self, phase: Option<&str>, cycle: Option<&str>) -> Result<(), String> {
        let phase = phase.map(read_phase).transpose()?;
        let cycle =
            cycle.map(|text| text.parse().map_err(|_| format!("cycle `{text}` is not a whole number"))).transpose()?;
        let loads_anew = phase == Some(Some(Phase::Load)) && self.phase != Some(Phase::Load);
        self.cycle = cycle.unwrap_or(self.cycle.saturating_add(u32::from(loads_anew)));
        self.phase = phase.unwrap_or(match (cycle, self.cycle) {
            (None, _) => None,
            (Some(_), 0) => Some(Phase::Warmup),
            (Some(_), _) => Some(Phase::Load),
        });
        Ok(())
    }

    fn series_of(&mut self, value: &ValueColumn, labels: &[(String, String)]) -> Result<usize, String> {
        let mut key = value.index.to_string();
        for (_, label) in labels {
            key.push('\u{1f}');
            key.push_str(label);
        }
        if let Some(index) = self.index.get(&key) {
            return Ok(*index);
        }
        let index = self.add_series(labels.to_vec(), self.measure_of(value, labels)?)?;
        self.index.insert(key, index);
        Ok(index)
    }

    /// In a table of many metrics the label that names one says what is measured.
    fn measure_of(&self, value: &ValueColumn, labels: &[(String, String)]) -> Result<Measure, String> {
        let mut measure = value.measure.clone();
        let named = |(name, _): &&(String, String)| METRIC_LABELS.contains(&name.as_str());
        let Some((_, metric)) = labels.iter().find(named).filter(|_| measure.doubt != Doubt::Unit) else {
            return Ok(measure);
        };
        let name = Name::of(metric);
        match name.meaning() {
            Meaning::Percent => return Err(percentage(metric)),
            Meaning::Count if self.query.resource.is_none() => measure.unit = Unit::Count,
            Meaning::Memory => {
                measure.scale = measure.scale.or_else(|| name.unit());
                measure.doubt = Doubt::Unit;
            }
            _ => {}
        }
        metric.clone_into(&mut measure.title);
        Ok(measure)
    }

    /// A series that a reader fills by itself, with [`Sheet::sample`].
    pub fn add_series(&mut self, labels: Vec<(String, String)>, measure: Measure) -> Result<usize, String> {
        if self.series.len() >= MOST_SERIES {
            return Err(format!(
                "holds more than {MOST_SERIES} subjects; name fewer columns with --by, or thin the file out"
            ));
        }
        self.series.push(Series::new(labels, measure));
        Ok(self.series.len() - 1)
    }

    /// A number at a number of seconds; `None` is a sample without one.
    pub fn sample(&mut self, series: usize, line: usize, t: f64, value: Option<f64>) -> Result<(), String> {
        let Some(series) = self.series.get_mut(series) else { return Ok(()) };
        let Some(value) = value else {
            series.missing += 1;
            return Ok(());
        };
        let stamp = Stamp { seconds: t, kind: Kind::Number, day_first: None };
        let value = value * series.measure.scale.unwrap_or(1.0);
        series.push(line, stamp, Point { t, x: 0.0, value, cycle: 0, phase: None })
    }

    /// A sample whose time was read already.
    pub fn stamped(&mut self, series: usize, line: usize, stamp: Stamp, point: Point) -> Result<(), String> {
        self.series.get_mut(series).map_or(Ok(()), |series| series.push(line, stamp, point))
    }

    /// Adds to the value of the last sample: a part of the same subject.
    pub fn add_to_last(&mut self, series: usize, value: f64) -> Result<(), String> {
        let series = self.series.get_mut(series).filter(|series| !series.points.is_empty());
        let Some(point) = series.and_then(|series| series.points.last_mut()) else {
            return Err("is a part of a sample, and there is none before it".into());
        };
        plausible(value).and_then(|()| plausible(point.value + value))?;
        point.value += value;
        Ok(())
    }

    /// The curves of all subjects.
    pub fn finish(mut self) -> Result<Vec<Foreign>, CurveError> {
        if self.layout.is_none() && !self.columns.is_empty() {
            self.decide()?;
        }
        let values = self.layout.as_ref().map_or(&[][..], |layout| &layout.values);
        let memory = values.iter().filter(|value| value.measure.unit == Unit::Bytes).count();
        let (several_columns, is_wide) = (values.len() > 1, memory > 1 && self.query.columns.is_empty());
        let sheet = subjects::Found {
            series: self.series,
            several_columns,
            is_wide,
            tells_all_labels: self.tells_all_labels,
            by: !self.query.by.is_empty(),
        };
        let mut curves = sheet.into_curves(self.query, self.disorder)?;
        if let Some(first) = curves.first_mut() {
            first.remarks.extend(self.remarks);
        }
        Ok(curves)
    }
}

pub(super) fn percentage(title: &str) -> String {
    format!("`{title}` is a percentage, and nobody knows of what; record bytes, or choose another column with --column")
}

fn read_phase(text: &str) -> Result<Option<Phase>, String> {
    match text {
        "" => Ok(None),
        "warmup" => Ok(Some(Phase::Warmup)),
        "load" => Ok(Some(Phase::Load)),
        "settle" => Ok(Some(Phase::Settle)),
        other => Err(format!("phase `{other}` is not warmup, load or settle")),
    }
}

fn unit_of_time(first: f64) -> f64 {
    FINER.into_iter().find(|(from, _)| first >= *from).map_or(1.0, |(_, unit)| unit)
}
