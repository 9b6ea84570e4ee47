//! Names with values, as loggers print them: `rss=204800 threads=12`, `VmRSS:  204800 kB`, `{ rss: 45678592, heapUsed: 123 }`,
//! `pmem(rss=1234, vms=5678)`. A name that comes again begins the next sample; the time stands in front of the line or on one before it.

use super::Format;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::name::{Meaning, Name};
use crate::growth::foreign::sheet::{Column, Sheet};

pub(super) const FORMAT: Format =
    Format { name: "names with values", sees, read, only_memory: false, stamps: Stamps::Lines };

fn sees(head: &Head<'_>) -> bool {
    let is_value = |(name, _): &(&str, &str)| matches!(Name::of(name).meaning(), Meaning::Memory | Meaning::Count);
    let lines = head.lines.iter().take(8).filter(|line| pairs(line).iter().any(is_value)).count();
    lines >= 2 || (lines == 1 && head.lines.len() == 1)
}

/// The pairs of a line. A value is a number, with its unit where that follows at once or behind one blank.
fn pairs(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    for (at, sign) in line.match_indices([':', '=']) {
        let before = line[..at].trim_end().trim_end_matches('"');
        let begin = before.len() - before.chars().rev().take_while(|c| is_name(*c)).count();
        let name = &before[begin..];
        let behind = line[at + sign.len()..].trim_start().trim_start_matches('"');
        let number = behind.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(behind.len());
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || behind[..number].parse::<f64>().is_err() {
            continue;
        }
        // `09:00:00` is no pair, and neither is `2025-03-01T09:00`.
        let rest = &behind[number..];
        if rest.starts_with(':') {
            continue;
        }
        let unit = rest.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let blanks = rest.len() - rest.trim_start().len();
        let is_unit = blanks <= 1 && crate::growth::foreign::name::unit_named(unit).is_some();
        let end = if is_unit && !rest[blanks + unit.len()..].starts_with(['=', ':']) {
            number + blanks + unit.len()
        } else {
            number
        };
        found.push((name, &behind[..end]));
    }
    found
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut sample = Sample::default();
    sheet.begin(1, Vec::new());
    while let Some(line) = lines.advance()? {
        let found = pairs(line.text);
        let again = found.iter().any(|(name, _)| sample.cells.iter().any(|(known, _)| known == name));
        if again || sample.stamp.as_deref() != line.stamp {
            std::mem::take(&mut sample).put_into(sheet)?;
        }
        if sample.cells.is_empty() {
            (sample.line, sample.stamp) = (line.number, line.stamp.map(str::to_owned));
        }
        for (name, text) in found {
            if !sample.cells.iter().any(|(known, _)| known == name) {
                sample.cells.push((name.to_owned(), text.to_owned()));
            }
        }
    }
    sample.put_into(sheet)
}

/// One sample in the making.
#[derive(Default)]
struct Sample {
    line: usize,
    stamp: Option<String>,
    cells: Vec<(String, String)>,
}

impl Sample {
    fn put_into(self, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
        if self.cells.is_empty() {
            return Ok(());
        }
        let new: Vec<Column> = self
            .cells
            .iter()
            .filter(|(name, _)| !sheet.columns().iter().any(|column| column.name == *name))
            .map(|(name, _)| Column::by_name(name))
            .collect();
        sheet.widen(new);
        let find = |name: &str| self.cells.iter().find(|(known, _)| known == name);
        let row: Vec<&str> =
            sheet.columns().iter().map(|column| find(&column.name).map_or("", |(_, text)| text.as_str())).collect();
        let row: Vec<String> = row.into_iter().map(str::to_owned).collect();
        let row: Vec<&str> = row.iter().map(String::as_str).collect();
        sheet.row(self.line, self.stamp.as_deref(), &row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_number_with_the_unit_behind_it() {
        for (line, expected) in [
            ("rss=5 fds: 6", &[("rss", "5"), ("fds", "6")][..]),
            ("{ \"rss\": \"5\", heapUsed: 6 }", &[("rss", "5"), ("heapUsed", "6")]),
            ("VmRSS:\t  204800 kB", &[("VmRSS", "204800 kB")]),
            ("rss=5MB,fds=6", &[("rss", "5MB"), ("fds", "6")]),
            // Two blanks part a value from what comes next, and a name is no unit.
            ("rss=5  MB", &[("rss", "5")]),
            ("rss=5 kb=7 m=8 g:9", &[("rss", "5"), ("kb", "7"), ("m", "8"), ("g", "9")]),
            ("rss=5kb=7", &[("rss", "5")]),
            ("rss=5 parsecs", &[("rss", "5")]),
            ("rss=5 ", &[("rss", "5")]),
            ("5=3 rss=abc fds=4 at=09:00:00", &[("fds", "4")]),
        ] {
            assert_eq!(pairs(line), expected, "{line}");
        }
    }
}
