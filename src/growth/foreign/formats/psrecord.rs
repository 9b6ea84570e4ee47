//! Logs of psrecord (`psrecord PID --log FILE`): columns apart by blanks under a line like
//! `# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)`. `Real` is the resident set in units of 1,024 x 1,024 bytes. With
//! `--include-children` it is that of the whole tree.

use super::Format;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::series::{Doubt, Measure, Zeros};
use crate::growth::foreign::sheet::Sheet;
use crate::growth::foreign::{CurveError, MIB, number};
use crate::units::Unit;

pub(super) const FORMAT: Format = Format { name: "psrecord", sees, read, only_memory: true, stamps: Stamps::None };

const TIME: &str = "Elapsed time";
const REAL: &str = "Real (MB)";

fn sees(head: &Head<'_>) -> bool {
    head.first().strip_prefix('#').is_some_and(|titles| {
        let titles = columns(titles);
        titles.iter().any(|title| title == TIME) && titles.iter().any(|title| title == REAL)
    })
}

/// The titles of the columns. They stand in fields of 12, but a single blank may part two of them: a word in brackets or
/// one of a few others goes on with the title before it.
fn columns(titles: &str) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for word in titles.split_whitespace() {
        let goes_on = word.starts_with('(') || ["time", "count", "bytes", "size"].contains(&word);
        match columns.last_mut().filter(|_| goes_on) {
            Some(title) => *title += &format!(" {word}"),
            None => columns.push(word.to_owned()),
        }
    }
    columns
}

/// Resident memory in one unit for the whole file.
pub(super) fn resident(title: &str, scale: f64) -> Measure {
    Measure {
        title: title.to_owned(),
        unit: Unit::Bytes,
        scale: Some(scale),
        doubt: Doubt::Settled,
        zeros: Zeros::NoProcess,
    }
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let titles = match lines.advance()? {
        Some(line) => columns(line.text.trim().trim_start_matches('#')),
        None => return Err(CurveError::Empty),
    };
    let place = |wanted: &str| titles.iter().position(|title| title == wanted).unwrap_or_default();
    let (time, real, most) = (place(TIME), place(REAL), titles.len());
    let series = sheet.add_series(Vec::new(), resident(REAL, MIB)).map_err(|what| CurveError::line(1, what))?;
    while let Some(line) = lines.advance()? {
        let fields: Vec<&str> = line.text.split_whitespace().collect();
        if fields.len() != most {
            return Err(line.misfit(format!("has {} fields, not {most}", fields.len())));
        }
        let read = number(TIME, fields[time])
            .and_then(|t| sheet.sample(series, line.number, t, Some(number(REAL, fields[real])?)));
        read.map_err(|what| line.misfit(what))?;
    }
    Ok(())
}
