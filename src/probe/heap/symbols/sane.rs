//! Whether debug information can be read without harm.
//!
//! Its reader follows functions within functions by calling itself, and keeps every range of every function. A file that was made to
//! do harm could exhaust the stack or the memory with a few bytes. What is walked here is no more than what is read afterwards.

use addr2line::gimli::{self, AttributeValue, Reader, Unit, UnitType};

/// The deepest nesting. Real functions have a few dozens of calls and blocks within each other.
const MOST_DEPTH: isize = 400;

/// The most ranges of addresses, of units or of functions.
const MOST_RANGES: usize = 4_000_000;

/// The most bytes of line tables that are unrolled: each may become a line of 24 bytes.
const MOST_LINE_BYTES: usize = 64 << 20;

/// Whether the units of these addresses can be read. The addresses are in order.
pub(super) fn is_sane<R: Reader<Offset = usize>>(dwarf: &gimli::Dwarf<R>, addresses: &[u64]) -> bool {
    let (mut ranges, mut lines) = (MOST_RANGES, MOST_LINE_BYTES);
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        if matches!(header.type_(), UnitType::Type { .. } | UnitType::SplitType { .. } | UnitType::Partial) {
            continue;
        }
        let Ok(unit) = dwarf.unit(header) else { continue };
        let Some(is_asked) = covers(dwarf, &unit, addresses, &mut ranges) else { return false };
        if !is_asked {
            continue;
        }
        let length = unit.line_program.as_ref().map_or(0, |program| program.header().raw_program_buf().len());
        match lines.checked_sub(length) {
            Some(left) => lines = left,
            None => return false,
        }
        if !is_sane_unit(dwarf, &unit) {
            return false;
        }
    }
    true
}

/// Whether a unit has one of the addresses. One that does not say where it is may have any. `None` where there are too many ranges.
fn covers<R: Reader<Offset = usize>>(
    dwarf: &gimli::Dwarf<R>,
    unit: &Unit<R>,
    addresses: &[u64],
    left: &mut usize,
) -> Option<bool> {
    let Ok(mut ranges) = dwarf.unit_ranges(unit) else { return Some(true) };
    let (mut any, mut has) = (false, false);
    while let Ok(Some(range)) = ranges.next() {
        *left = left.checked_sub(1)?;
        let next = addresses.partition_point(|address| *address < range.begin);
        has |= addresses.get(next).is_some_and(|address| *address < range.end);
        any = true;
    }
    Some(has || !any)
}

/// Whether the functions of a unit are neither nested too deeply nor in too many places.
pub(super) fn is_sane_unit<R: Reader<Offset = usize>>(dwarf: &gimli::Dwarf<R>, unit: &Unit<R>) -> bool {
    let mut left = MOST_RANGES;
    let Ok(mut entries) = unit.entries_raw(None) else { return true };
    // A broken entry ends the reading there as it does here.
    while !entries.is_empty() {
        let Ok(entry) = entries.read_abbreviation() else { return true };
        if entries.next_depth() > MOST_DEPTH {
            return false;
        }
        for attribute in entry.map(|entry| entry.attributes()).unwrap_or_default() {
            let Ok(attribute) = entries.read_attribute(*attribute) else { return true };
            if attribute.name() != gimli::DW_AT_ranges {
                continue;
            }
            match count(dwarf, unit, attribute.value(), left) {
                Some(ranges) => left -= ranges,
                None => return false,
            }
        }
    }
    true
}

/// How many ranges a list has; `None` if there are more than may be.
fn count<R: Reader<Offset = usize>>(
    dwarf: &gimli::Dwarf<R>,
    unit: &Unit<R>,
    list: AttributeValue<R>,
    most: usize,
) -> Option<usize> {
    let Ok(Some(offset)) = dwarf.attr_ranges_offset(unit, list) else { return Some(0) };
    let Ok(mut ranges) = dwarf.raw_ranges(unit, offset) else { return Some(0) };
    let mut number = 0;
    while let Ok(Some(_)) = ranges.next() {
        number += 1;
        if number > most {
            return None;
        }
    }
    Some(number)
}
