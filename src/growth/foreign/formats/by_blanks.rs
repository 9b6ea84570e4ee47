//! Rows of tools that part their columns by blanks and print their header again and again.

use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::Line;
use crate::growth::foreign::sheet::{Column, Role, Sheet};

/// The columns that memory tools have in common.
pub(super) const KIB: f64 = 1024.0;

/// A column of ps, top, pidstat or collectl.
pub(super) fn column(name: &str, memory: &str) -> Column {
    match name {
        _ if name == memory => Column::memory(name, KIB),
        "PID" | "Command" | "COMMAND" | "CMD" => Column::new(name, Role::Label),
        "RSS" | "RES" | "VSZ" | "VIRT" | "SHR" | "DATA" | "SWAP" | "USED" => {
            Column { name: name.to_owned(), role: Role::Beside, unit: Some(KIB) }
        }
        _ => Column::new(name, Role::Beside),
    }
}

/// Fields of a row of so many columns, of which the last one may hold blanks.
pub(super) fn fields(text: &str, columns: usize) -> Vec<&str> {
    let mut fields = Vec::with_capacity(columns);
    let mut rest = text.trim();
    while fields.len() + 1 < columns {
        let Some((field, behind)) = rest.split_once(char::is_whitespace) else { break };
        fields.push(field);
        rest = behind.trim_start();
    }
    if !rest.is_empty() {
        fields.push(rest);
    }
    fields
}

/// Hands over a row, if it has all columns.
pub(super) fn row(
    sheet: &mut Sheet<'_>,
    line: Line<'_>,
    stamp: Option<&str>,
    columns: usize,
) -> Result<(), CurveError> {
    let fields = fields(line.text, columns);
    if fields.len() != columns {
        return Err(line.misfit(format!("has {} fields, not {columns}", fields.len())));
    }
    sheet.row(line.number, stamp, &fields)
}

/// Begins the sheet with these columns, or goes on with the same ones.
pub(super) fn begin(sheet: &mut Sheet<'_>, line: Line<'_>, columns: Vec<Column>) -> Result<(), CurveError> {
    if sheet.columns().is_empty() {
        sheet.begin(line.number, columns);
    } else if sheet.columns() != columns.as_slice() {
        return Err(line.misfit("has other columns than the header before it; put each form into a file of its own"));
    }
    Ok(())
}
