//! Tables: CSV, TSV, or columns apart by blanks.
//!
//! The columns are `t_s,ops,phase,cycle,value` in any order; all but time and value may be missing, others may stand beside them.
//! `phase` is `warmup`, `load` or `settle`, or empty before the warm-up. Without a header there are two columns, time and
//! value. A line that does not fit is an error with its number.

use std::io::BufRead;

use super::header::Columns;
use super::lines::Lines;
use super::{CurveError, Gathered, number};
use crate::growth::{Curve, Point};
use crate::sample::Phase;
use crate::units::Unit;

/// Times as large as these are times of 1970 in finer units than seconds: in seconds they lie beyond the year 5000.
const FINER: [(f64, f64); 3] = [(1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3)];

/// What parts the fields of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    Char(char),
    Blanks,
}

impl Separator {
    fn of(line: &str) -> Self {
        ['\t', ';', ','].into_iter().find(|c| line.contains(*c)).map_or(Self::Blanks, Self::Char)
    }

    /// Puts the fields of a line in place of those that are there.
    fn split<'a>(self, line: &'a str, fields: &mut Vec<&'a str>) {
        fields.clear();
        match self {
            Self::Blanks => fields.extend(line.split_whitespace()),
            Self::Char(c) if line.contains('"') => fields.extend(split_quoted(line, c)),
            Self::Char(c) => fields.extend(line.split(c).map(str::trim)),
        }
    }
}

/// Fields of which some stand in quotes. A quote within quotes stays doubled: no number and no name that matters has one.
fn split_quoted(line: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut inside = false;
    let parts = line.split(move |c| {
        inside ^= c == '"';
        c == separator && !inside
    });
    parts.map(|field| {
        let field = field.trim();
        field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field).trim()
    })
}

/// Reads the table.
pub(super) fn read<R: BufRead>(lines: &mut Lines<R>, unit: Unit) -> Result<Curve, CurveError> {
    let mut reader = loop {
        let Some(line) = lines.advance()? else { return Err(CurveError::Empty) };
        // Comments may stand above the table, and the names of its columns may be one.
        let begun = match line.strip_prefix('#') {
            Some(comment) => match Reader::named(comment, unit) {
                Ok(reader) => Ok(reader),
                Err(_) => continue,
            },
            None => Reader::begin(line, unit),
        };
        break begun.map_err(|what| lines.misfit(what))?;
    };
    while let Some(line) = lines.advance()? {
        if line.starts_with('#') {
            continue;
        }
        reader.take(line).map_err(|what| lines.misfit(what))?;
    }
    reader.gathered.into_some_curve(unit)
}

/// Reads lines of a table whose columns are known.
struct Reader {
    separator: Separator,
    columns: Columns,
    gathered: Gathered,
    phase: Option<Phase>,
    cycle: u32,
}

impl Reader {
    /// Begins with the names of the columns, or with the first row of two columns without names.
    fn begin(line: &str, unit: Unit) -> Result<Self, String> {
        let separator = Separator::of(line.trim());
        let mut fields = Vec::new();
        separator.split(line, &mut fields);
        if !fields.iter().all(|field| seconds(field).is_some()) {
            return Self::named(line, unit);
        }
        let [_, _] = fields.as_slice() else {
            return Err(format!("has {} columns and no names above them: only time and value need none", fields.len()));
        };
        let mut reader = Self::of(separator, Columns::BARE);
        reader.take(line)?;
        Ok(reader)
    }

    fn named(line: &str, unit: Unit) -> Result<Self, String> {
        let separator = Separator::of(line.trim());
        let mut names = Vec::new();
        separator.split(line.trim(), &mut names);
        Ok(Self::of(separator, Columns::named(&names, unit)?))
    }

    fn of(separator: Separator, columns: Columns) -> Self {
        Self { separator, columns, gathered: Gathered::default(), phase: None, cycle: 0 }
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        let mut fields = Vec::with_capacity(self.columns.count);
        self.separator.split(line, &mut fields);
        if fields.len() != self.columns.count {
            return Err(format!("has {} fields, not {}", fields.len(), self.columns.count));
        }
        let columns = self.columns;
        let t =
            seconds(fields[columns.time]).ok_or_else(|| format!("time `{}` is not a number", fields[columns.time]))?;
        let time_unit = columns.time_unit.unwrap_or_else(|| unit_of_time(t));
        self.columns.time_unit = Some(time_unit);
        let x = columns.operations.map_or(Ok(0.0), |index| number("ops", fields[index]))?;
        let value = number("value", fields[columns.value])? * columns.value_unit;
        self.enter(columns.phase.map(|index| fields[index]), columns.cycle.map(|index| fields[index]))?;
        self.gathered.push(Point { t: t * time_unit, x, value, cycle: self.cycle, phase: self.phase })
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

/// A time as a number, or a date and time (of no zone: as of UTC) in seconds of 1970.
fn seconds(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return Some(number).filter(|number| number.is_finite());
    }
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let plain = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let time = zoned.or_else(|| plain().map(|time| time.timestamp()))?;
    Some(time.as_nanosecond() as f64 / 1e9)
}

fn unit_of_time(first: f64) -> f64 {
    FINER.into_iter().find(|(from, _)| first >= *from).map_or(1.0, |(_, unit)| unit)
}
