//! `top -b`: a banner with the time of day, then a table of processes. RES is in KiB where it has no unit of its own.

use super::Format;
use super::by_blanks::{begin, column, row};
use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::sheet::Sheet;

pub(super) const FORMAT: Format = Format { name: "top", sees, read, only_memory: false, stamps: Stamps::Lines };

fn sees(head: &Head<'_>) -> bool {
    head.any(|line| line.starts_with("top - ")) && head.any(is_header)
}

fn is_header(line: &str) -> bool {
    let has = |wanted: &str| line.split_whitespace().any(|word| word == wanted);
    has("PID") && has("RES") && has("COMMAND")
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut stamp: Option<String> = None;
    let mut columns = 0;
    let mut in_table = false;
    while let Some(line) = lines.advance()? {
        if let Some(rest) = line.text.trim_start().strip_prefix("top - ") {
            stamp = rest.split_whitespace().next().map(str::to_owned);
            in_table = false;
        } else if is_header(line.text) {
            let names: Vec<&str> = line.text.split_whitespace().collect();
            columns = names.len();
            begin(sheet, line, names.into_iter().map(|name| column(name, "RES")).collect())?;
            in_table = true;
        } else if in_table {
            row(sheet, line, stamp.as_deref(), columns)?;
        }
    }
    Ok(())
}
