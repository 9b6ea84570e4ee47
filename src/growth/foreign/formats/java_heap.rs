//! Loops of `jcmd PID GC.heap_info`: `garbage-first heap   total 262144K, used 12345K`, of each generation or of the whole. They are
//! added up; what classes take is left out. The time stands on a line before each.

use super::Format;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::cell::{self, Cell, Decimal};
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::sheet::{Column, Role, Sheet};

pub(super) const FORMAT: Format =
    Format { name: "jcmd GC.heap_info", sees, read, only_memory: true, stamps: Stamps::Lines };

fn sees(head: &Head<'_>) -> bool {
    head.any(|line| used(line).is_some())
}

/// The bytes that a line tells as used of a total, which what classes take has not.
fn used(line: &str) -> Option<f64> {
    let (before, rest) = line.split_once(" used ")?;
    let total = before.trim_end().trim_end_matches(',').rsplit(' ').next()?;
    let has_total = before.contains(" total ") && matches!(cell::read(total, Decimal::Point), Cell::Bytes(_));
    let is_zgc = before.contains("ZHeap");
    let amount = rest.split([' ', ',', '[']).next()?;
    match cell::read(amount, Decimal::Point) {
        Cell::Bytes(bytes) if has_total || is_zgc => Some(bytes),
        _ => None,
    }
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut block: Option<(usize, Option<String>, f64)> = None;
    sheet.begin(1, vec![Column { unit: Some(1.0), ..Column::new("heap used", Role::Memory) }]);
    let put = |sheet: &mut Sheet<'_>, block: Option<(usize, Option<String>, f64)>| match block {
        Some((line, stamp, bytes)) => sheet.row(line, stamp.as_deref(), &[&bytes.to_string()]),
        None => Ok(()),
    };
    while let Some(line) = lines.advance()? {
        // jcmd names the process above each answer.
        let is_process = line.text.strip_suffix(':').is_some_and(|pid| pid.parse::<u32>().is_ok());
        let is_next = block.as_ref().is_some_and(|(_, stamp, _)| stamp.as_deref() != line.stamp);
        if is_process || is_next {
            put(sheet, block.take())?;
        }
        if let Some(bytes) = used(line.text) {
            let before = block.take().map_or(0.0, |(_, _, bytes)| bytes);
            block = Some((line.number, line.stamp.map(str::to_owned), before + bytes));
        }
    }
    put(sheet, block)
}
