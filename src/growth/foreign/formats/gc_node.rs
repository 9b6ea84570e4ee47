//! The trace of V8's collector (`node --trace-gc`): `[42:0x5581f0]  1234 ms: Mark-sweep 20.5 (30.1) -> 10.2 (31.0) MB, ..`. What lives
//! after each collection is the curve, of each process for itself; where ten mark-sweeps are seen they alone are it.

use std::collections::BTreeMap;

use super::Format;
use super::gc_java::Collections;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::sheet::Sheet;
use crate::growth::foreign::time::{Kind, Stamp};
use crate::growth::foreign::{CurveError, MIB, number};

pub(super) const FORMAT: Format =
    Format { name: "Node's --trace-gc", sees, read, only_memory: true, stamps: Stamps::None };

fn sees(head: &Head<'_>) -> bool {
    head.any(|line| parts(line).is_some())
}

struct Parts<'a> {
    process: &'a str,
    ms: &'a str,
    after: &'a str,
    full: bool,
}

fn parts(line: &str) -> Option<Parts<'_>> {
    let (isolate, rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    let (ms, rest) = rest.trim_start().split_once(" ms: ")?;
    let (kind, behind) = rest.split_once(" -> ")?;
    let after = behind.split_whitespace().next()?;
    let is_collection = kind.starts_with("Scavenge") || kind.starts_with("Mark-") || kind.starts_with("Minor");
    is_collection.then_some(Parts {
        process: isolate.split(':').next()?,
        ms: ms.trim(),
        after,
        full: kind.starts_with("Mark-"),
    })
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut heaps: BTreeMap<String, Collections> = BTreeMap::new();
    while let Some(line) = lines.advance()? {
        let Some(parts) = parts(line.text) else { continue };
        let read = number("time", parts.ms).and_then(|ms| Ok((ms / 1000.0, number("heap", parts.after)? * MIB)));
        let (seconds, bytes) = read.map_err(|what| line.misfit(what))?;
        let stamp = Stamp { seconds, kind: Kind::Elapsed, day_first: None };
        let heap = heaps.entry(parts.process.to_owned()).or_default();
        heap.samples.push((line.number, stamp, bytes, parts.full));
    }
    // Processes count from their own start: those that follow each other overlap, and are curves of their own.
    heaps.into_iter().try_for_each(|(pid, heap)| heap.put_into(sheet, vec![("process".to_owned(), pid)]))
}
