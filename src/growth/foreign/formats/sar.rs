//! `sar -r`: the memory of the whole machine. `kbmemused` is judged; caches are not in it.

use super::Format;
use super::by_blanks::begin;
use super::pidstat::split_time;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::sheet::{Column, Role, Sheet};

pub(super) const FORMAT: Format = Format { name: "sar", sees, read, only_memory: true, stamps: Stamps::None };

const USED: &str = "kbmemused";

fn sees(head: &Head<'_>) -> bool {
    // sadf writes the same names into a table, which is read as one.
    head.any(|line| line.contains(USED) && !line.contains(';') && split_time(line.trim()).0.contains(':'))
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut columns = 0;
    sheet.remark("this is memory of the whole machine, not of a process");
    while let Some(line) = lines.advance()? {
        let text = line.text.trim();
        if text.starts_with("Linux ") || text.starts_with("Average:") || text.contains("LINUX RESTART") {
            continue;
        }
        let (time, rest) = split_time(text);
        let fields: Vec<&str> = rest.split_whitespace().collect();
        if fields.iter().all(|field| field.starts_with(|c: char| c.is_alphabetic() || c == '%')) {
            // Tables of other options lie between.
            columns = 0;
            if fields.contains(&USED) {
                columns = fields.len() + 1;
                let column = |name: &str| match name {
                    USED => Column::memory(name, 1024.0),
                    name => Column::new(name, Role::Beside),
                };
                let time = Column::new("Time", Role::Time);
                begin(sheet, line, [time].into_iter().chain(fields.into_iter().map(column)).collect())?;
            }
            continue;
        }
        if columns == 0 {
            continue;
        }
        if fields.len() + 1 != columns {
            return Err(line.misfit(format!("has {} fields, not {columns}", fields.len() + 1)));
        }
        let cells: Vec<&str> = [time].into_iter().chain(fields).collect();
        sheet.row(line.number, None, &cells)?;
    }
    Ok(())
}
