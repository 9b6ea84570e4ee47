//! Logs of Java's collectors: `-Xlog:gc` (JDK 9 and later) and `-verbose:gc` with `-XX:+PrintGCDateStamps` (JDK 8). What the heap holds
//! after each collection is the curve: `24M->4M(256M)`. Where ten full collections are seen they alone are it.

use super::Format;
use crate::growth::Point;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::cell::{self, Cell, Decimal};
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::series::{Doubt, Measure, Zeros};
use crate::growth::foreign::sheet::Sheet;
use crate::growth::foreign::time::{Short, Stamp, parse};
use crate::units::Unit;

pub(super) const FORMAT: Format = Format { name: "Java's GC log", sees, read, only_memory: true, stamps: Stamps::None };

/// So many full collections say more than all collections.
pub(super) const FULL_COLLECTIONS: usize = 10;

/// The heap after a collection.
pub(super) fn after_collection(scale: f64) -> Measure {
    Measure {
        title: "heap after GC".into(),
        unit: Unit::Bytes,
        scale: Some(scale),
        doubt: Doubt::Settled,
        zeros: Zeros::Values,
    }
}

fn sees(head: &Head<'_>) -> bool {
    head.any(|line| collection(line).is_some())
}

/// A collection as a line tells it.
pub(super) struct Collection<'a> {
    pub time: Option<&'a str>,
    pub after: f64,
    pub full: bool,
}

fn collection(line: &str) -> Option<Collection<'_>> {
    let (is_collection, time) = match unified(line) {
        Some(what) => (collects(what), new_time(line)),
        None => (line.contains("[GC ") || line.contains("[Full GC"), old_time(line)),
    };
    if !is_collection {
        return None;
    }
    // Generations stand in brackets of their own: the whole heap does not.
    let is_whole = |at: usize| line[..at].matches('[').count() < line[..at].matches(']').count() + 2;
    let arrows = line.match_indices("->").filter(|(at, _)| is_whole(*at));
    let after = arrows.filter_map(|(at, _)| size(&line[..at], &line[at + 2..])).last()?;
    let full = line.contains("Full");
    Some(Collection { time, after, full })
}

/// What a line of `-Xlog` says of a collection: the text after its number, `GC(7)`. Which decorations stand before it
/// (`[gc]` is one) is up to the user.
fn unified(line: &str) -> Option<&str> {
    let (number, what) = line.split_once("GC(")?.1.split_once(") ")?;
    number.parse::<u32>().ok().map(|_| what)
}

/// Whether the sizes on a line of `-Xlog` are of the whole heap after a collection. `-Xlog:gc*` prints those of
/// generations and of classes too, each after its name and a colon.
fn collects(what: &str) -> bool {
    let before = what.split("->").next().unwrap_or_default();
    !["Pause Remark", "Pause Cleanup"].iter().any(|pause| before.starts_with(pause)) && !before.contains(':')
}

/// What stands behind an arrow, if both sides are sizes and the whole is in brackets behind: `24M->4M(256M)`.
fn size(before: &str, behind: &str) -> Option<f64> {
    let is_size = |c: &char| c.is_ascii_alphanumeric() || ".()%".contains(*c);
    let begin = before.len() - before.chars().rev().take_while(is_size).count();
    let before = &before[begin..];
    let end = behind.find(['(', ' ', ']', ',']).unwrap_or(behind.len());
    let amount = |text: &str| match cell::read(text.split('(').next().unwrap_or_default(), Decimal::Point) {
        Cell::Bytes(bytes) => Some(bytes),
        _ => None,
    };
    amount(before)?;
    amount(&behind[..end])
}

/// The first decoration that is a time: `[2025-03-01T09:00:00.123+0000]`, `[12.345s]`, `[12345ms]`.
fn new_time(line: &str) -> Option<&str> {
    let decorations = line.split('[').skip(1).filter_map(|part| part.split_once(']').map(|(text, _)| text.trim()));
    decorations.take_while(|text| !text.starts_with("GC")).find(|text| parse(text, Short::HoursMinutes).is_some())
}

/// `2025-03-01T09:00:00.123+0000: 12.345: [GC ..`: the date, else the seconds since the start.
fn old_time(line: &str) -> Option<&str> {
    let before = line.split("[GC").next()?.split("[Full GC").next()?;
    before.split(": ").map(str::trim).find(|text| parse(text, Short::HoursMinutes).is_some())
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut found = Collections::default();
    while let Some(line) = lines.advance()? {
        let Some(one) = collection(line.text) else { continue };
        let Some(stamp) = one.time.and_then(|text| parse(text, Short::HoursMinutes)) else {
            return Err(line.misfit(
                "is a collection without a time; log with `-Xlog:gc:file=gc.log:time,uptime` (JDK 8: -XX:+PrintGCDateStamps)",
            ));
        };
        found.samples.push((line.number, stamp, one.after, one.full));
    }
    found.put_into(sheet, Vec::new())
}

/// Collections of one heap.
#[derive(Default)]
pub(super) struct Collections {
    /// Line, time, bytes after it, and whether it was a full one.
    pub samples: Vec<(usize, Stamp, f64, bool)>,
}

impl Collections {
    /// The full ones where there are enough of them, else all.
    pub fn put_into(self, sheet: &mut Sheet<'_>, labels: Vec<(String, String)>) -> Result<(), CurveError> {
        let full = self.samples.iter().filter(|(.., full)| *full).count();
        let only_full = full >= FULL_COLLECTIONS;
        let series = sheet.add_series(labels, after_collection(1.0)).map_err(|what| CurveError::line(1, what))?;
        let all = self.samples.len();
        for (line, stamp, value, is_full) in self.samples {
            if only_full && !is_full {
                continue;
            }
            let point = Point { t: stamp.seconds, x: 0.0, value, cycle: 0, phase: None };
            sheet.stamped(series, line, stamp, point).map_err(|what| CurveError::line(line, what))?;
        }
        if only_full && full < all {
            sheet.remark(format!("{} smaller collections are left out: {full} full ones tell what lives", all - full));
        }
        Ok(())
    }
}
