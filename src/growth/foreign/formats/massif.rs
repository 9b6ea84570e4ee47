//! Files of massif (`valgrind --tool=massif`): snapshots with a time and what the heap and the stacks held.
//!
//! Without `--time-unit=ms` the time is instructions, or bytes that were allocated. A billion of them is taken as a second, and told.

use super::Format;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::series::{Doubt, Measure, Zeros};
use crate::growth::foreign::sheet::Sheet;
use crate::growth::foreign::{CurveError, number};
use crate::units::Unit;

pub(super) const FORMAT: Format = Format { name: "massif", sees, read, only_memory: true, stamps: Stamps::None };

/// Instructions, or bytes allocated, in a second of a report.
const PER_SECOND: f64 = 1e9;

fn sees(head: &Head<'_>) -> bool {
    head.any(|line| line.starts_with("time_unit: ")) && head.any(|line| line.starts_with("snapshot="))
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let measure = Measure {
        title: "heap".into(),
        unit: Unit::Bytes,
        scale: Some(1.0),
        doubt: Doubt::Settled,
        zeros: Zeros::Values,
    };
    let series = sheet.add_series(Vec::new(), measure).map_err(|what| CurveError::line(1, what))?;
    let mut unit = 1e-3;
    let (mut time, mut bytes) = (None, 0.0);
    while let Some(line) = lines.advance()? {
        let fits = |what: String| line.misfit(what);
        if let Some(name) = line.text.strip_prefix("time_unit: ") {
            if name.trim() != "ms" {
                unit = 1.0 / PER_SECOND;
                let what = if name.trim() == "i" { "instructions" } else { "bytes allocated" };
                sheet.remark(format!(
                    "its time is {what}: a second stands for a billion of them; record with --time-unit=ms for growth per hour"
                ));
            }
            continue;
        }
        let Some((name, value)) = line.text.split_once('=') else { continue };
        match name {
            "snapshot" => (time, bytes) = (None, 0.0),
            "time" => time = Some(number("time", value).map_err(fits)? * unit),
            "mem_heap_B" | "mem_heap_extra_B" | "mem_stacks_B" => {
                bytes += number(name, value).map_err(fits)?;
                if name == "mem_stacks_B" {
                    let time = time.take().ok_or_else(|| line.misfit("is in a snapshot without a time"))?;
                    sheet.sample(series, line.number, time, Some(bytes)).map_err(|what| line.misfit(what))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
