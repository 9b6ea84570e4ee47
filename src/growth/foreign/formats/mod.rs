//! The formats that are read, one file each. A new one is a file with a [`Format`] and a line in [`FORMATS`].

mod by_blanks;
mod cloudwatch;
mod collectl;
mod docker;
mod free;
mod gc_go;
mod gc_java;
mod gc_node;
mod java_heap;
mod json_rows;
mod kubectl;
mod massif;
mod mprof;
mod pairs;
mod pidstat;
mod prometheus;
mod psrecord;
mod sar;
mod table;
mod top;

use super::CurveError;
use super::lines::{Head, Lines, Stamps};
use super::sheet::Sheet;
use super::unread;

/// How a format is recognised and read.
pub(super) struct Format {
    /// What people call it.
    pub name: &'static str,
    /// Whether a file that begins so is one.
    pub sees: fn(&Head<'_>) -> bool,
    /// Reads all of it.
    pub read: fn(&mut Lines<'_>, &mut Sheet<'_>) -> Result<(), CurveError>,
    /// It holds memory and nothing that is counted.
    pub only_memory: bool,
    /// Where times stand that are no part of it.
    pub stamps: Stamps,
}

/// In the order in which they are tried: what is easily mistaken comes last.
const FORMATS: [&Format; 18] = [
    &psrecord::FORMAT,
    &mprof::FORMAT,
    &massif::FORMAT,
    &prometheus::FORMAT,
    &cloudwatch::JSON,
    &json_rows::FORMAT,
    &gc_go::FORMAT,
    &gc_java::FORMAT,
    &gc_node::FORMAT,
    &java_heap::FORMAT,
    &top::FORMAT,
    &pidstat::FORMAT,
    &sar::FORMAT,
    &collectl::FORMAT,
    &free::FORMAT,
    &docker::FORMAT,
    &kubectl::FORMAT,
    &cloudwatch::CSV,
];

/// The format of a file that begins so, and where its times are. What nothing recognises is a table.
pub(super) fn recognise(head: &Head<'_>) -> Result<(&'static Format, Stamps), CurveError> {
    let find = |head: &Head<'_>| FORMATS.into_iter().find(|format| (format.sees)(head));
    let stripped = head.without_prefixes();
    if let Some(format) = find(head) {
        let has_prefixes = format.stamps == Stamps::Lines && stripped.as_ref().is_some_and(|head| (format.sees)(head));
        return Ok((format, if has_prefixes { Stamps::Prefixes } else { format.stamps }));
    }
    if let Some(format) = stripped.as_ref().and_then(find) {
        return Ok((format, Stamps::Prefixes));
    }
    if let Some(what) = unread::by_first_lines(head) {
        return Err(CurveError::Unread(what));
    }
    let has_pairs = |head: &Head<'_>| (pairs::FORMAT.sees)(head);
    if stripped.as_ref().is_some_and(has_pairs) {
        return Ok((&pairs::FORMAT, Stamps::Prefixes));
    }
    if has_pairs(head) {
        return Ok((&pairs::FORMAT, Stamps::Lines));
    }
    if head.first().starts_with(['{', '[']) {
        return Ok((&prometheus::FORMAT, Stamps::None));
    }
    // A header behind a time is one that was printed again and again.
    let is_header = |head: &Head<'_>| head.first().starts_with(char::is_uppercase);
    let stamps = if stripped.as_ref().is_some_and(is_header) { Stamps::Prefixes } else { Stamps::Lines };
    Ok((&table::FORMAT, stamps))
}
