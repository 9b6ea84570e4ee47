//! `pidstat -r`, plain or with `-h`: the time in front of each row, RSS in KiB. Tables of other options beside it are passed over.

use super::Format;
use super::by_blanks::{begin, column, fields};
use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::sheet::{Column, Role, Sheet};

pub(super) const FORMAT: Format = Format { name: "pidstat", sees, read, only_memory: true, stamps: Stamps::None };

fn sees(head: &Head<'_>) -> bool {
    head.any(|line| header(line).is_some_and(|names| names.contains(&"RSS")))
}

/// The names of the columns behind the time, if a line is a header of pidstat.
fn header(line: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> = line.trim_start().trim_start_matches('#').split_whitespace().collect();
    let at = words.iter().position(|word| ["UID", "USER", "PID"].contains(word))?;
    let is_time = words[0] == "Time" || words[0].contains(':');
    let has = |wanted: &str| words.contains(&wanted);
    (is_time && has("PID") && has("Command")).then(|| words[at..].to_vec())
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut columns = 0;
    while let Some(line) = lines.advance()? {
        let text = line.text.trim();
        if text.starts_with("Linux ") || text.starts_with("Average:") || text.starts_with("Average ") {
            continue;
        }
        if let Some(names) = header(text) {
            columns = 0;
            if names.contains(&"RSS") {
                columns = names.len();
                let time = Column::new("Time", Role::Time);
                begin(
                    sheet,
                    line,
                    [time].into_iter().chain(names.into_iter().map(|name| column(name, "RSS"))).collect(),
                )?;
            }
            continue;
        }
        if columns == 0 {
            continue;
        }
        let (time, rest) = split_time(text);
        let cells: Vec<&str> = [time].into_iter().chain(fields(rest, columns)).collect();
        if cells.len() != columns + 1 {
            return Err(line.misfit(format!("has {} fields, not {}", cells.len(), columns + 1)));
        }
        sheet.row(line.number, None, &cells)?;
    }
    Ok(())
}

/// The time in front of a row, with its AM or PM, and the rest.
pub(super) fn split_time(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let rest = text[end..].trim_start();
    match rest.split_whitespace().next() {
        Some(word @ ("AM" | "PM")) => {
            let end = text.len() - rest.len() + word.len();
            (&text[..end], text[end..].trim_start())
        }
        _ => (&text[..end], rest),
    }
}
