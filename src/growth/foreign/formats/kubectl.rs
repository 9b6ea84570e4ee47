//! Loops of `kubectl top pod` and `kubectl top node`, with or without the header and `--containers`. It holds no times: they stand in
//! front of the lines, on lines between, or are said with `--every`.

use super::Format;
use super::by_blanks::begin;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::cell::{self, Cell, Decimal};
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::sheet::{Column, Role, Sheet};
use crate::growth::foreign::time::{Short, parse};

pub(super) const FORMAT: Format = Format { name: "kubectl top", sees, read, only_memory: true, stamps: Stamps::Lines };

const MEMORY: &str = "MEMORY(bytes)";

fn sees(head: &Head<'_>) -> bool {
    head.any(is_header) || head.lines.first().is_some_and(|line| is_row(line))
}

fn is_header(line: &str) -> bool {
    line.contains(MEMORY) && line.contains("CPU(cores)")
}

/// A name or several, CPU in thousandths of a core, memory with its unit.
fn is_row(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [names @ .., cpu, memory] = fields.as_slice() else { return false };
    let is_cpu = cpu.strip_suffix('m').is_some_and(|number| number.parse::<u32>().is_ok());
    let is_memory = memory.ends_with('i') && matches!(cell::read(memory, Decimal::Point), Cell::Bytes(_));
    // A time is no name: it stands in front of the row.
    let is_name = |name: &&str| parse(name, Short::HoursMinutes).is_none();
    (1..=3).contains(&names.len()) && names.iter().all(is_name) && is_cpu && is_memory
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    while let Some(line) = lines.advance()? {
        let fields: Vec<&str> = line.text.split_whitespace().collect();
        if is_header(line.text) {
            let column = |name: &str| match name {
                MEMORY => Column::new(name, Role::Memory),
                "NAME" | "POD" | "NAMESPACE" => Column::new(name, Role::Label),
                name => Column::new(name, Role::Beside),
            };
            begin(sheet, line, fields.into_iter().map(column).collect())?;
            continue;
        }
        if sheet.columns().is_empty() {
            let names: &[&str] = match fields.len() {
                3 => &["pod"],
                4 => &["pod", "container"],
                _ => &["namespace", "pod", "container"],
            };
            let mut columns: Vec<Column> = names.iter().map(|name| Column::new(*name, Role::Label)).collect();
            columns.extend([Column::new("CPU(cores)", Role::Beside), Column::new(MEMORY, Role::Memory)]);
            sheet.begin(line.number, columns);
        }
        if fields.len() != sheet.columns().len() {
            return Err(line.misfit(format!("has {} fields, not {}", fields.len(), sheet.columns().len())));
        }
        sheet.row(line.number, line.stamp, &fields)?;
    }
    Ok(())
}
