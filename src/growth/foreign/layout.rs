//! Which column of a sheet is what: the one place where that is decided.
//!
//! What a user says comes first, then what the reader knows, then what the names say, then what stands in the first rows. Where
//! several answers are left, all of them are named and none is chosen.

use std::collections::BTreeSet;

use super::cell::{self, Cell, Decimal};
use super::name::{Meaning, Name};
use super::query::Query;
use super::series::{Doubt, Measure, Zeros};
use super::sheet::{Column, Role, Row, percentage};
use super::time::Short;
use crate::units::Unit;

/// From here on a number without a name or a unit may be bytes of a process.
const LARGE: f64 = 1e7;

/// Rows that share their time with another one are of several subjects.
const SHARED_TIMES: f64 = 0.2;

/// Where the time of a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeSource {
    Column(usize),
    DateAndClock(usize, usize),
    /// A time in front of the row, or on a line before it.
    Stamp,
    /// Nowhere: the user says how far apart samples are.
    Steps,
}

/// A column that is judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ValueColumn {
    pub index: usize,
    pub measure: Measure,
}

/// Which column is what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub time: TimeSource,
    /// Seconds in one of a bare number.
    pub time_unit: Option<f64>,
    pub short: Short,
    pub is_elapsed: bool,
    pub labels: Vec<usize>,
    pub values: Vec<ValueColumn>,
    pub operations: Option<usize>,
    pub phase: Option<usize>,
    pub cycle: Option<usize>,
}

/// A column with what is known of it.
struct Known<'a> {
    index: usize,
    column: &'a Column,
    name: Name,
    meaning: Meaning,
    cells: Cells,
}

/// What stands in the first rows of a column.
#[derive(Clone, Copy, Debug, Default)]
struct Cells {
    amounts: usize,
    percents: usize,
    texts: usize,
    highest: f64,
}

impl Layout {
    pub fn of(columns: &[Column], rows: &[Row], decimal: Decimal, query: &Query) -> Result<Self, String> {
        let known: Vec<Known<'_>> =
            columns.iter().enumerate().map(|(index, column)| Known::of(index, column, rows, decimal)).collect();
        let chosen = |names: &[String], option: &str| -> Result<Vec<usize>, String> {
            names.iter().map(|name| find(&known, name, option)).collect()
        };
        let (asked, by) = (chosen(&query.columns, "--column")?, chosen(&query.by, "--by")?);
        let free = |index: usize| !asked.contains(&index) && !by.contains(&index);
        let place = |meaning: Meaning| {
            let fits = |known: &&Known<'_>| known.meaning == meaning && free(known.index);
            known.iter().find(fits).map(|known| known.index)
        };
        let (operations, phase, cycle) = (place(Meaning::Operations), place(Meaning::Phase), place(Meaning::Cycle));
        let time = time(&known, rows, query, &free)?;
        let times = match time {
            TimeSource::Column(index) => vec![index],
            TimeSource::DateAndClock(date, clock) => vec![date, clock],
            TimeSource::Stamp | TimeSource::Steps => Vec::new(),
        };
        let labels = if by.is_empty() {
            let is_label = |known: &&Known<'_>| known.meaning == Meaning::Label && free(known.index);
            let named = known.iter().filter(is_label).map(|known| known.index).collect();
            with_unnamed(named, &known, rows, &times)
        } else {
            by.clone()
        };
        let candidates: Vec<&Known<'_>> = known.iter().filter(|known| !labels.contains(&known.index)).collect();
        let values = if asked.is_empty() {
            values(&candidates, &known, query)?
        } else {
            asked.iter().map(|index| &known[*index]).collect()
        };
        let values: Vec<ValueColumn> =
            values.into_iter().map(|known| known.as_value(query)).collect::<Result<_, _>>()?;
        let clock = times.last().map(|index| &known[*index].name);
        let is_elapsed = clock.is_some_and(Name::is_elapsed);
        Ok(Self {
            time,
            time_unit: clock.and_then(Name::time_unit),
            short: if is_elapsed { Short::MinutesSeconds } else { Short::HoursMinutes },
            is_elapsed,
            labels,
            values,
            operations,
            phase,
            cycle,
        })
    }
}

impl<'a> Known<'a> {
    fn of(index: usize, column: &'a Column, rows: &[Row], decimal: Decimal) -> Self {
        let name = Name::of(&column.name);
        let mut cells = Cells::default();
        for row in rows {
            let text = row.cells.get(index).map_or("", String::as_str);
            match cell::read(text, decimal) {
                Cell::Missing => {}
                Cell::Number(number) => cells.highest = cells.highest.max(number),
                Cell::Bytes(bytes) => {
                    cells.amounts += 1;
                    cells.highest = cells.highest.max(bytes);
                }
                Cell::Percent => cells.percents += 1,
                Cell::Text => cells.texts += 1,
            }
        }
        let meaning = match column.role {
            Role::ByName => name.meaning(),
            Role::Time => Meaning::Time,
            Role::Label => Meaning::Label,
            Role::Memory => Meaning::Memory,
            Role::Bare => Meaning::Value,
            Role::Beside => Meaning::Other,
        };
        Self { index, column, name, meaning, cells }
    }

    fn shown(&self) -> String {
        format!("`{}`", self.column.name.trim())
    }

    fn is_percent(&self) -> bool {
        self.name.meaning() == Meaning::Percent || self.cells.percents > 0
    }

    /// Holds numbers, as far as the first rows show.
    fn is_numeric(&self) -> bool {
        self.cells.texts == 0 && !self.is_percent()
    }

    fn scale(&self) -> Option<f64> {
        self.column.unit.or_else(|| self.name.unit())
    }

    fn is_large(&self) -> bool {
        self.scale().is_some() || self.cells.amounts > 0 || self.cells.highest >= LARGE
    }

    fn as_value(&self, query: &Query) -> Result<ValueColumn, String> {
        if self.is_percent() {
            return Err(percentage(self.column.name.trim()));
        }
        let by_name = match self.meaning {
            Meaning::Count => Unit::Count,
            _ => Unit::Bytes,
        };
        let unit = query.resource.unwrap_or(by_name);
        let doubt = match (self.meaning, query.resource) {
            _ if self.column.role == Role::Bare => Doubt::Bare,
            (Meaning::Value, _) => Doubt::Broken,
            (Meaning::Unknown, None) => Doubt::Meaning,
            (Meaning::Unknown, Some(_)) => Doubt::Unit,
            _ => Doubt::Unit,
        };
        // What the user says of the unit comes before what a name says.
        let scale = match unit {
            Unit::Bytes => query.unit.filter(|_| self.column.role != Role::Memory).or_else(|| self.scale()),
            Unit::Count => None,
        };
        let zeros = if unit == Unit::Bytes && !self.name.words.iter().any(|word| word == "heap") {
            Zeros::NoProcess
        } else {
            Zeros::Values
        };
        let measure = Measure { title: self.column.name.trim().to_owned(), unit, scale, doubt, zeros };
        Ok(ValueColumn { index: self.index, measure })
    }
}

/// The columns that name the subject, and one more whose name says nothing, if rows of the same time and subject are told apart by it
/// alone: `shard`, `tenant`.
fn with_unnamed(mut labels: Vec<usize>, known: &[Known<'_>], rows: &[Row], times: &[usize]) -> Vec<usize> {
    let repeated = |columns: &[usize]| {
        let key = |row: &Row| {
            let cells = columns.iter().map(|index| row.cells.get(*index).cloned().unwrap_or_default());
            row.stamp.iter().cloned().chain(cells).collect::<Vec<String>>()
        };
        rows.len() - rows.iter().map(key).collect::<BTreeSet<_>>().len()
    };
    let columns = |more: &[usize]| [times, labels.as_slice(), more].concat();
    let before = repeated(&columns(&[]));
    if times.is_empty() || (before as f64) < SHARED_TIMES * rows.len() as f64 {
        return labels;
    }
    let is_text = |known: &&Known<'_>| known.meaning == Meaning::Unknown && known.cells.texts > 0;
    let tells = |known: &&Known<'_>| repeated(&columns(&[known.index])) * 2 < before;
    let found = known.iter().filter(is_text).find(tells).map(|known| known.index);
    labels.extend(found);
    labels
}

/// The column that a user names.
fn find(known: &[Known<'_>], wanted: &str, option: &str) -> Result<usize, String> {
    let wanted = wanted.trim();
    let exact = known.iter().find(|known| known.column.name.trim() == wanted);
    let alike = || known.iter().find(|known| known.name == Name::of(wanted));
    exact
        .or_else(alike)
        .map(|known| known.index)
        .ok_or_else(|| format!("has no column `{wanted}` for {option}; its columns are {}", listed(known.iter())))
}

fn listed<'k, 'a: 'k>(known: impl Iterator<Item = &'k Known<'a>>) -> String {
    known.map(Known::shown).collect::<Vec<_>>().join(", ")
}

fn time(known: &[Known<'_>], rows: &[Row], query: &Query, free: &dyn Fn(usize) -> bool) -> Result<TimeSource, String> {
    let times: Vec<&Known<'_>> =
        known.iter().filter(|known| known.meaning == Meaning::Time && free(known.index)).collect();
    // What a reader calls the time comes before what has the name of one.
    if let Some(one) = times.iter().find(|known| known.column.role == Role::Time) {
        return Ok(TimeSource::Column(one.index));
    }
    let date = times.iter().find(|known| known.name.is_date_alone());
    let clock = times.iter().find(|known| !known.name.is_date_alone());
    match (date, clock) {
        (Some(date), Some(clock)) if !has_clock(rows, date.index) => {
            Ok(TimeSource::DateAndClock(date.index, clock.index))
        }
        (_, Some(one)) | (Some(one), None) => Ok(TimeSource::Column(one.index)),
        (None, None) if rows.first().is_some_and(|row| row.stamp.is_some()) => Ok(TimeSource::Stamp),
        (None, None) if query.every_s.is_some() => Ok(TimeSource::Steps),
        (None, None) if !known.iter().all(|known| known.column.role == Role::ByName) => Err(
            "holds no times; put one in front of each line (`.. | ts`) or print one before each sample (`date`), or say how far \
             apart samples are with --every 60s"
                .into(),
        ),
        (None, None) => Err(format!(
            "names no column of time: {}; call it `t_s`, write the time in front of each line or sample, or say how far apart \
             samples are with --every 60s",
            listed(known.iter())
        )),
    }
}

fn has_clock(rows: &[Row], date: usize) -> bool {
    rows.first().is_some_and(|row| row.cells.get(date).is_some_and(|cell| cell.contains(':')))
}

/// The columns to judge among those that are left.
fn values<'k, 'a>(
    candidates: &[&'k Known<'a>],
    all: &[Known<'a>],
    query: &Query,
) -> Result<Vec<&'k Known<'a>>, String> {
    let of = |meaning: Meaning| -> Vec<&'k Known<'a>> {
        candidates.iter().copied().filter(|known| known.meaning == meaning && !known.is_percent()).collect()
    };
    let (named, memory, counts) = (of(Meaning::Value), of(Meaning::Memory), of(Meaning::Count));
    let unknown: Vec<_> = of(Meaning::Unknown).into_iter().filter(|known| known.is_numeric()).collect();
    match named.as_slice() {
        [] => {}
        [one] => return Ok(vec![one]),
        several => return Err(ambiguous(several)),
    }
    let found = match query.resource {
        Some(Unit::Count) if !counts.is_empty() => counts,
        // The user knows better what they count than their names do.
        Some(Unit::Count) if unknown.len() == 1 || memory.is_empty() => unknown.clone(),
        Some(Unit::Count) => memory,
        Some(Unit::Bytes) => one_memory(&memory, all)?,
        None => {
            let mut found = one_memory(&memory, all)?;
            found.extend(counts);
            found
        }
    };
    match (found.as_slice(), unknown.as_slice()) {
        ([], []) => Err(nothing(candidates, all)),
        ([], [one]) => Ok(vec![one]),
        // A column for each subject, under its name: large enough for bytes, or with a unit.
        ([], several) if query.unit.is_some() || several.iter().all(|known| known.is_large()) => Ok(several.to_vec()),
        ([], _) => Err(nothing(candidates, all)),
        _ => Ok(found),
    }
}

/// The memory of a process among several columns of memory, or one column for each of several subjects.
fn one_memory<'k, 'a>(memory: &[&'k Known<'a>], all: &[Known<'_>]) -> Result<Vec<&'k Known<'a>>, String> {
    if memory.len() < 2 || memory.iter().all(|known| known.column.role == Role::Memory) {
        return Ok(memory.to_vec());
    }
    let is = |wanted: &[&str]| all.iter().any(|known| known.name.ends(wanted));
    // psutil and Node write several figures of one process under names of their own.
    let is_known = is(&["rss"]) && (is(&["vms"]) || is(&["heap", "total"]));
    if let Some(rss) = memory.iter().find(|known| is_known && known.name.ends(&["rss"])) {
        return Ok(vec![rss]);
    }
    let first = memory[0].name.measure();
    let same = memory.iter().all(|known| known.name.measure() == first && known.name.words.len() > first.len());
    let told = |known: &Known<'_>| known.name.words.iter().any(|word| QUALIFIERS.contains(&word.as_str()));
    if same && !memory.iter().any(|known| told(known)) {
        return Ok(memory.to_vec());
    }
    Err(ambiguous(memory))
}

/// Words that tell two figures of the same process apart, not two processes.
const QUALIFIERS: [&str; 16] = [
    "used", "size", "usage", "current", "average", "avg", "mean", "min", "minimum", "maximum", "peak", "p50", "p95",
    "p99", "young", "old",
];

fn ambiguous(several: &[&Known<'_>]) -> String {
    format!(
        "names several columns that can be the value: {}; choose with --column, or call the right one `value`",
        listed(several.iter().copied())
    )
}

fn nothing(candidates: &[&Known<'_>], all: &[Known<'_>]) -> String {
    if let Some(one) = candidates.iter().find(|known| known.is_percent())
        && !candidates.iter().any(|known| known.meaning == Meaning::Unknown && known.is_numeric())
    {
        return percentage(one.column.name.trim());
    }
    if let Some(one) = candidates.iter().find(|known| known.meaning == Meaning::Counter) {
        return format!(
            "names {}, a counter that only ever grows; record a gauge, or insist with --column {}",
            one.shown(),
            one.column.name.trim()
        );
    }
    format!(
        "names no column that can be the value: {}; choose with --column, call it `value`, or say with --unit what all of them are",
        listed(all.iter())
    )
}
