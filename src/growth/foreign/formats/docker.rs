//! The table of `docker stats` and `podman stats`, whose columns are parted by two blanks or more. It holds no times: they stand in front of the
//! lines, on lines between, or are said with `--every`.

use super::Format;
use super::by_blanks::begin;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::sheet::{Column, Role, Sheet};

pub(super) const FORMAT: Format =
    Format { name: "docker stats", sees, read, only_memory: false, stamps: Stamps::Lines };

fn sees(head: &Head<'_>) -> bool {
    head.any(is_header)
}

fn is_header(line: &str) -> bool {
    line.contains("MEM USAGE") && !line.contains([',', '{', ';'])
}

/// Fields that two blanks or a tab part.
fn fields(text: &str) -> Vec<&str> {
    text.split("  ").flat_map(|field| field.split('\t')).map(str::trim).filter(|field| !field.is_empty()).collect()
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    while let Some(line) = lines.advance()? {
        let fields = fields(line.text);
        if is_header(line.text) {
            let column = |name: &str| match name {
                name if name.starts_with("MEM USAGE") => Column::new(name, Role::Memory),
                "NAME" | "CONTAINER ID" | "CONTAINER" | "ID" => Column::new(name, Role::Label),
                name => Column::new(name, Role::Beside),
            };
            begin(sheet, line, fields.into_iter().map(column).collect())?;
            continue;
        }
        if fields.len() != sheet.columns().len() {
            return Err(line.misfit(format!("has {} fields, not {}", fields.len(), sheet.columns().len())));
        }
        sheet.row(line.number, line.stamp, &fields)?;
    }
    Ok(())
}
