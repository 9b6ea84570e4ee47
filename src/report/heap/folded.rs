//! Collapsed stacks: `outermost;..;innermost BYTES`, a line for each stack that grew.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{StackAmount, StackFrame, harmless};

/// The most bytes of one line: readers add lines up.
const MOST: f64 = (1_u64 << 50) as f64;

/// Writes the stacks that grew as collapsed stacks, in the order of their names. Stacks with the same names are one line. Growth of
/// less than half a byte is none.
///
/// In names, `;` is written as `:`, and what would end a line or be taken for a number is replaced.
///
/// # Errors
///
/// The output cannot be written.
pub fn write_folded(stacks: &[StackAmount], mut out: impl Write) -> io::Result<()> {
    for line in lines(stacks) {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// The lines without their ends.
pub(super) fn lines(stacks: &[StackAmount]) -> Vec<String> {
    let mut sums = BTreeMap::<String, f64>::new();
    for stack in stacks.iter().filter(|stack| stack.bytes > 0.0 && !stack.frames.is_empty()) {
        let names: Vec<String> = stack.frames.iter().rev().map(name).collect();
        *sums.entry(names.join(";")).or_default() += stack.bytes;
    }
    let line = |(names, bytes): (String, f64)| (bytes >= 0.5).then(|| format!("{names} {}", bytes.min(MOST).round()));
    sums.into_iter().filter_map(line).collect()
}

/// A frame's name as it stands in a line.
pub(super) fn name(frame: &StackFrame) -> String {
    let name = harmless(frame.function.trim()).replace(';', ":");
    if name.is_empty() {
        return "?".to_owned();
    }
    // Readers take numbers at the end of a line for amounts, and lines that begin so for remarks.
    let words = |c: char| c.is_ascii_digit() || matches!(c, '.' | ' ');
    let head = name.trim_end_matches(words).len();
    let tail = name[head..].replace(' ', "_");
    let name = name[..head].to_owned() + &tail;
    match name.strip_prefix('#') {
        Some("") => "#_".to_owned(),
        Some(rest) if rest.starts_with(' ') => format!("#_{}", &rest[1..]),
        _ => name,
    }
}
