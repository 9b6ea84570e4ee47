//! Curves from elsewhere: what other programs wrote, read as curves.
//!
//! A file goes three steps. A *reader* (`formats`, one file for each format) recognises it by what it holds, never by its name,
//! and hands its rows to a *sheet* (`sheet`): times, cells, and columns with a name. `layout` decides in one place which
//! column is the time, which says whose value it is, which is judged and in which unit. Then each subject is a *series*
//! (`series`, `order`, `subjects`): put in the order of time, operations counted on, and made a curve.
//!
//! Nothing is skipped in silence: what cannot be read is an error with its line, what may be read in two ways is asked, and what is
//! left out of a curve is told in [`Foreign::remarks`]. How curves are judged is no business of these files.

mod cell;
mod formats;
mod layout;
mod lines;
mod name;
mod order;
mod query;
mod series;
mod sheet;
mod subjects;
#[cfg(test)]
mod tests;
mod time;
mod unread;

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read as _};
use std::path::Path;

use self::lines::{Head, Lines};
use self::sheet::Sheet;
use super::{Curve, Growth, Question, judge};
use crate::units::Unit;

pub use query::{Bound, Query, parse_value_unit};

/// psrecord, mprof, ps and `/proc` all count so, whatever they call it.
const MIB: f64 = 1024.0 * 1024.0;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A curve that another program recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// Which of the file's series it is, like `{job="api"}`; `None` where a file holds one. Untrusted text.
    pub series: Option<String>,
    /// Its values.
    pub curve: Curve,
    /// What was left out or put together, a sentence each.
    pub remarks: Vec<String>,
    /// What it is a part of, where the file holds several subjects whose sum says something.
    pub sums: Option<String>,
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
    /// None of its values is a number.
    #[error("holds no values: {0} samples are without a number")]
    OnlyMissing(usize),
    /// A format that is known and not read.
    #[error("is {0}")]
    Unread(&'static str),
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

/// Reads every curve of a file, whatever its format.
///
/// # Errors
///
/// It cannot be read, does not fit its format, or leaves open what the query does not say.
pub fn read_curves(mut input: impl BufRead, query: &Query) -> Result<Vec<Foreign>, CurveError> {
    let mut head = Vec::new();
    input.by_ref().take(lines::HEAD).read_to_end(&mut head).map_err(CurveError::Read)?;
    if head.starts_with(BYTE_ORDER_MARK) {
        head.drain(..BYTE_ORDER_MARK.len());
    }
    if let Some(format) = unread::by_first_bytes(&head) {
        return Err(CurveError::Unread(format));
    }
    let blank = head.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let before = head[..blank].iter().filter(|byte| **byte == b'\n').count();
    let is_json = matches!(head.get(blank), Some(b'{' | b'['));
    let text = lines::as_text(&head).into_owned();
    let start = Head::of(&text);
    let (format, stamps) = formats::recognise(&start)?;
    if format.only_memory && query.resource == Some(Unit::Count) {
        return Err(CurveError::line(
            1,
            format!("begins a file of {}, which holds memory: no count is in it", format.name),
        ));
    }
    // JSON counts lines by itself, from its first byte on.
    let (skipped, before) = if is_json { (blank, before) } else { (0, 0) };
    let whole = Cursor::new(head.split_off(skipped)).chain(input);
    let mut lines = Lines::new(Box::new(whole), before);
    lines.stamps = stamps;
    let mut sheet = Sheet::new(query);
    (format.read)(&mut lines, &mut sheet)?;
    sheet.finish()
}

/// Reads the curve of a table.
///
/// # Errors
///
/// As [`read_curves`]; it holds several curves.
pub fn read_curve(input: impl BufRead, unit: Unit) -> Result<Curve, CurveError> {
    let mut curves = read_curves(input, &Query::of(unit))?.into_iter();
    match (curves.next(), curves.next()) {
        (Some(one), None) => Ok(one.curve),
        (None, _) => Err(CurveError::Empty),
        (Some(_), Some(_)) => Err(CurveError::line(1, "begins a file of several curves")),
    }
}

/// Judges the curve of a table in a file, as the end of a run that looked for the smallest growth of the defaults.
///
/// # Errors
///
/// As [`read_curve`].
pub fn judge_csv(path: &Path, unit: Unit) -> Result<Growth, CurveError> {
    let curve = read_curve(BufReader::new(File::open(path).map_err(CurveError::Read)?), unit)?;
    Ok(judge(&curve, &Question::about(&curve, None)))
}

/// A number that is one: neither infinite nor not a number.
fn number(name: &str, text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("{name} `{text}` is not a number"))
}
