//! The trace of Go's collector (`GODEBUG=gctrace=1`): `gc 7 @12.3s 1%: .. ms clock, .. ms cpu, 4->5->3 MB, 5 MB goal, ..`. The third
//! number is the live heap after the collection, which is the best curve of all. Other output of the program may lie between.

use super::Format;
use super::gc_java::after_collection;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::sheet::Sheet;
use crate::growth::foreign::{CurveError, MIB, number};

pub(super) const FORMAT: Format = Format { name: "Go's gctrace", sees, read, only_memory: true, stamps: Stamps::None };

fn sees(head: &Head<'_>) -> bool {
    head.any(|line| parts(line).is_some())
}

/// The seconds and the live heap in MB.
fn parts(line: &str) -> Option<(&str, &str)> {
    let rest = &line[line.find("gc ")?..];
    let time = rest.split(" @").nth(1)?.split_once("s ")?.0;
    let heap =
        rest.split(", ").find_map(|part| part.strip_suffix(" MB").filter(|part| part.matches("->").count() == 2))?;
    Some((time, heap.rsplit("->").next()?))
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let series = sheet.add_series(Vec::new(), after_collection(MIB)).map_err(|what| CurveError::line(1, what))?;
    while let Some(line) = lines.advance()? {
        let Some((time, heap)) = parts(line.text) else { continue };
        let read =
            number("time", time).and_then(|t| sheet.sample(series, line.number, t, Some(number("live heap", heap)?)));
        read.map_err(|what| line.misfit(what))?;
    }
    Ok(())
}
