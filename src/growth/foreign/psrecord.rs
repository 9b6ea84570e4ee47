//! Logs of psrecord (`psrecord PID --log FILE`): columns apart by blanks under a line like
//! `# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)`. `Real` is the resident set in units of 1,024 x 1,024 bytes. With
//! `--include-children` it is that of the whole tree.

use std::io::BufRead;

use super::lines::Lines;
use super::{CurveError, Gathered, MIB, number, only_memory};
use crate::growth::Curve;
use crate::units::Unit;

const TIME: &str = "Elapsed time";
const REAL: &str = "Real (MB)";

/// Whether a file that begins with this line is such a log.
pub(super) fn begins(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|titles| {
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

/// Reads the log.
pub(super) fn read<R: BufRead>(lines: &mut Lines<R>, unit: Unit) -> Result<Curve, CurveError> {
    only_memory(unit, "psrecord")?;
    let titles = columns(lines.advance()?.unwrap_or_default().trim_start_matches('#'));
    let place = |wanted: &str| titles.iter().position(|title| title == wanted).unwrap_or_default();
    let (time, real, most) = (place(TIME), place(REAL), titles.len());
    let mut gathered = Gathered::default();
    while let Some(line) = lines.advance()? {
        let fields = line.split_whitespace().count();
        let read = if fields == most {
            let field = |index| line.split_whitespace().nth(index).unwrap_or_default();
            number(TIME, field(time)).and_then(|t| gathered.push_value(t, number(REAL, field(real))? * MIB))
        } else {
            Err(format!("has {fields} fields, not {most}"))
        };
        read.map_err(|what| lines.misfit(what))?;
    }
    gathered.into_some_curve(unit)
}
