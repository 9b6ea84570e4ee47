//! Loops of `free`: the line `Mem:` under a header, each with a time on a line before it. `used` of the machine is judged.
//!
//! `free`, `free -m` and `free -g` print the same words above different units. The total tells them apart where it can: no machine
//! has less than a gigabyte or more than a terabyte. Else the user is asked.

use super::Format;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::cell::{self, Cell, Decimal};
use crate::growth::foreign::lines::{Head, Line, Lines, Stamps};
use crate::growth::foreign::sheet::{Column, Role, Sheet};

pub(super) const FORMAT: Format = Format { name: "free", sees, read, only_memory: true, stamps: Stamps::Lines };

/// Totals that can only be KiB.
const TOTALS_IN_KIB: std::ops::Range<f64> = 1e6..1e9;

fn sees(head: &Head<'_>) -> bool {
    head.any(|line| line.trim_start().starts_with("Mem:")) && head.any(is_header)
}

fn is_header(line: &str) -> bool {
    line.split_whitespace().take(3).eq(["total", "used", "free"])
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut names: Vec<String> = Vec::new();
    sheet.remark("this is memory of the whole machine, not of a process");
    while let Some(line) = lines.advance()? {
        if is_header(line.text) {
            names = line.text.split_whitespace().map(str::to_owned).collect();
        }
        let Some(rest) = line.text.trim_start().strip_prefix("Mem:") else { continue };
        let cells: Vec<&str> = rest.split_whitespace().collect();
        if cells.len() != names.len() {
            return Err(line.misfit(format!("has {} fields, not {}", cells.len(), names.len())));
        }
        if sheet.columns().is_empty() {
            let unit = unit(line, cells[0], sheet)?;
            let column = |name: &String| match name.as_str() {
                "used" => Column { name: "used".into(), role: Role::Memory, unit },
                other => Column { name: other.to_owned(), role: Role::Beside, unit },
            };
            sheet.begin(line.number, names.iter().map(column).collect());
        }
        sheet.row(line.number, line.stamp, &cells)?;
    }
    Ok(())
}

fn unit(line: Line<'_>, total: &str, sheet: &Sheet<'_>) -> Result<Option<f64>, CurveError> {
    match (cell::read(total, Decimal::Point), sheet.query.unit) {
        (Cell::Bytes(_), _) => Ok(None),
        (_, Some(unit)) => Ok(Some(unit)),
        (Cell::Number(total), None) if TOTALS_IN_KIB.contains(&total) => Ok(Some(1024.0)),
        _ => Err(line.misfit(format!(
            "begins an output of free whose unit is not clear (total {total}); say --unit KiB, MiB (free -m) or B (free -b)"
        ))),
    }
}
