//! collectl: its plot format (`-P`, a header that begins with `#Date Time`), and the processes that `-sZ` prints.

use super::Format;
use super::by_blanks::{begin, column, row};
use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::sheet::{Column, Role, Sheet};

pub(super) const FORMAT: Format = Format { name: "collectl", sees, read, only_memory: true, stamps: Stamps::None };

fn sees(head: &Head<'_>) -> bool {
    head.any(|line| is_plot(line) || is_processes(line))
}

fn is_plot(line: &str) -> bool {
    line.starts_with("#Date") && (line.contains("[MEM]Used") || line.contains("RSS"))
}

fn is_processes(line: &str) -> bool {
    let has = |wanted: &str| line.split_whitespace().any(|word| word == wanted);
    line.starts_with('#') && has("THRD") && has("RSS")
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut stamp: Option<String> = None;
    let mut columns = 0;
    while let Some(line) = lines.advance()? {
        if let Some(text) = line.text.strip_prefix("### RECORD") {
            // `### RECORD    1 >>> host <<< (1740819600.001) (Sat Mar  1 09:00:00 2025) ###`
            stamp = text.split(['(', ')']).nth(1).map(str::to_owned);
            continue;
        }
        if is_plot(line.text) || is_processes(line.text) {
            let names: Vec<&str> = line
                .text
                .trim_start_matches('#')
                .split(|c: char| c.is_whitespace() || c == ',')
                .filter(|name| !name.is_empty())
                .collect();
            columns = names.len();
            begin(sheet, line, names.into_iter().map(named).collect())?;
            continue;
        }
        if line.text.starts_with('#') || columns == 0 {
            continue;
        }
        row(sheet, line, stamp.as_deref(), columns)?;
    }
    Ok(())
}

fn named(name: &str) -> Column {
    match name {
        "Date" | "Time" => Column::by_name(name),
        "[MEM]Used" => Column::memory(name, 1024.0),
        "RSS" | "PID" | "Command" | "VSZ" => column(name, "RSS"),
        name => Column::new(name, Role::Beside),
    }
}
