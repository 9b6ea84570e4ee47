//! Tables: CSV, TSV, or columns apart by blanks.
//!
//! The columns are found by their names (`layout`). Without a header there are two columns, time and value. The header may come
//! again, as when files were put together or a shell loop ran `ps`; times may stand on lines of their own. A line that does not
//! fit is an error with its number.

use super::Format;
use super::by_blanks;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::cell::Decimal;
use crate::growth::foreign::lines::{Line, Lines, Stamps};
use crate::growth::foreign::name::{Meaning, Name};
use crate::growth::foreign::sheet::{Column, Role, Sheet};
use crate::growth::foreign::time::{Short, parse};

pub(super) const FORMAT: Format =
    Format { name: "a table", sees: |_| true, read, only_memory: false, stamps: Stamps::Lines };

/// What parts the fields of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    Char(char),
    Blanks,
}

impl Separator {
    pub fn of(line: &str) -> Self {
        ['\t', ';', ',', '|'].into_iter().find(|c| line.contains(*c)).map_or(Self::Blanks, Self::Char)
    }

    /// The fields of a line.
    pub fn split(self, line: &str) -> Vec<&str> {
        match self {
            Self::Blanks => line.split_whitespace().collect(),
            Self::Char('|') => line.trim().trim_matches('|').split('|').map(str::trim).collect(),
            Self::Char(c) => split_quoted(line, c).collect(),
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

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let table = loop {
        let Some(line) = lines.advance()? else { return Err(CurveError::Empty) };
        // Excel is told so what parts the fields.
        if matches!(line.text.trim(), "sep=" | "sep=," | "sep=;" | "sep=|") {
            continue;
        }
        // Comments may stand above the table, and the names of its columns may be one.
        match line.text.trim().strip_prefix('#') {
            Some(comment) if !names_time(comment) => {}
            Some(comment) => break Table::named(comment, line.number, sheet),
            None => break Table::begin(line, sheet)?,
        }
    };
    // Where rows have a time, a line that looks like one is a row.
    if sheet.columns().iter().any(has_time) {
        lines.stamps = Stamps::None;
    }
    while let Some(line) = lines.advance()? {
        let text = line.text.trim_start();
        if text.starts_with('#') || is_rule(text) || table.is_header(line.text) {
            continue;
        }
        table.take(line, sheet)?;
    }
    Ok(())
}

fn has_time(column: &Column) -> bool {
    column.role == Role::Time || (column.role == Role::ByName && Name::of(&column.name).meaning() == Meaning::Time)
}

/// Whether a comment is the header of a table.
fn names_time(comment: &str) -> bool {
    let fields = Separator::of(comment.trim()).split(comment.trim());
    fields.len() > 1 && fields.iter().any(|field| Name::of(field).meaning() == Meaning::Time)
}

/// A line that only draws: `----+----`.
fn is_rule(text: &str) -> bool {
    text.len() > 3 && text.chars().all(|c| "-+|=: ".contains(c)) && text.contains("--")
}

/// A table whose columns are known.
struct Table {
    separator: Separator,
    header: String,
    columns: usize,
    /// The last column holds blanks: a command with its words.
    ends_in_text: bool,
}

impl Table {
    /// Begins with the names of the columns, or with the first row of two columns without names.
    fn begin(line: Line<'_>, sheet: &mut Sheet<'_>) -> Result<Self, CurveError> {
        let separator = Separator::of(line.text.trim());
        let fields = together(line.text, 2).unwrap_or_else(|| separator.split(line.text));
        let is_time = |field: &&str| parse(field, Short::HoursMinutes).is_some();
        if !fields.iter().all(is_time) {
            return Ok(Self::named(line.text, line.number, sheet));
        }
        let [_, _] = fields.as_slice() else {
            return Err(line.misfit(format!(
                "has {} columns and no names above them: only time and value need none; write their names in the first line",
                fields.len()
            )));
        };
        sheet.begin(line.number, vec![Column::new("time", Role::Time), Column::new("value", Role::Bare)]);
        let table = Self { separator, header: String::new(), columns: 2, ends_in_text: false };
        table.take(line, sheet)?;
        Ok(table)
    }

    fn named(text: &str, line: usize, sheet: &mut Sheet<'_>) -> Self {
        let separator = Separator::of(text.trim());
        let names = separator.split(text.trim());
        if separator == Separator::Char(';') {
            sheet.decimal = Decimal::Comma;
        }
        let is_ps =
            separator == Separator::Blanks && names.iter().any(|name| ["PID", "RSS", "CMD", "COMMAND"].contains(name));
        let column = |name: &&str| if is_ps { of_ps(name) } else { Column::by_name(name.replace("\"\"", "\"")) };
        let columns: Vec<Column> = names.iter().map(column).collect();
        let ends_in_text = separator == Separator::Blanks
            && names.last().is_some_and(|name| ["COMMAND", "CMD", "ARGS", "Command"].contains(name));
        let count = columns.len();
        sheet.begin(line, columns);
        Self { separator, header: text.trim().to_owned(), columns: count, ends_in_text }
    }

    fn is_header(&self, text: &str) -> bool {
        text.split_whitespace().eq(self.header.split_whitespace())
    }

    fn take(&self, line: Line<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
        let mut fields = if self.ends_in_text {
            by_blanks::fields(line.text, self.columns)
        } else {
            self.separator.split(line.text)
        };
        // A date and a time of day are one field, whatever stands between them.
        if self.separator == Separator::Blanks && fields.len() > self.columns {
            fields = together(line.text, self.columns).unwrap_or(fields);
        }
        if fields.len() != self.columns {
            return Err(line.misfit(format!("has {} fields, not {}", fields.len(), self.columns)));
        }
        sheet.row(line.number, line.stamp, &fields)
    }
}

/// The fields of a line parted by blanks whose time holds some.
fn together(text: &str, columns: usize) -> Option<Vec<&str>> {
    let text = text.trim();
    let behind = columns.checked_sub(1)?;
    let mut starts: Vec<usize> = text.match_indices([' ', '\t']).map(|(at, _)| at).collect();
    starts.retain(|at| !text[at + 1..].starts_with([' ', '\t']));
    let at = *starts.get(starts.len().checked_sub(behind)?)?;
    let time = text[..at].trim_end();
    (parse(time, Short::HoursMinutes).is_some())
        .then(|| [time].into_iter().chain(text[at..].split_whitespace()).collect())
}

/// A column of ps, which counts memory in KiB and calls CPU time TIME.
fn of_ps(name: &str) -> Column {
    match name {
        "RSS" | "RSZ" => Column { name: name.to_owned(), role: Role::ByName, unit: Some(by_blanks::KIB) },
        "VSZ" | "SIZE" | "TRS" | "DRS" | "PSS" | "USS" | "Swap" => {
            Column { name: name.to_owned(), role: Role::Beside, unit: Some(by_blanks::KIB) }
        }
        "TIME" | "START" | "STARTED" | "S" | "STAT" | "TTY" | "UID" | "USER" | "NI" | "PRI" | "PPID" | "SZ" | "PSR" => {
            Column::new(name, Role::Beside)
        }
        _ => Column::by_name(name),
    }
}
