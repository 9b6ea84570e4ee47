//! How far the figures can be trusted, in sentences.

use super::ground::Ground;
use super::looks::Looks;
use crate::recording::Passage;
use crate::sample::{Event, HeapEntry, Record};

/// From this share of the samples on, what was not seen of them bends the figures.
pub(super) const MANY: f64 = 0.01;

/// What a reader must know of the looks of a scenario.
pub fn of(ground: &Ground<'_>, passage: &Passage<'_>, looks: &Looks<'_>) -> Vec<String> {
    let mut remarks = Vec::new();
    let Some(last) = looks.last() else { return remarks };
    let seen = last.coverage;
    let share = |count: u64| count as f64 / (seen.samples.max(1)) as f64;
    if !ground.knows_functions() {
        remarks.push("no functions were looked up (the recording was cut): code is shown as file and offset".into());
    }
    if is_injected(passage.records) {
        remarks.push(
            "the sampler came into a process that was running: blocks from before are not seen, and what takes their place \
             looks like growth at first"
                .into(),
        );
    }
    let (before, after) = looks.ends();
    if after.processes > before.processes {
        remarks.push(format!(
            "{} processes were looked at in the end and {} before: what each began with is growth of none of them, and is left to \
             whoever the processes are of",
            after.processes, before.processes
        ));
    }
    if seen.dropped_records > 0 {
        remarks.push(format!(
            "{} of {} samples found no room in the sampler's table: what they stand for is missing",
            seen.dropped_records, seen.samples
        ));
    }
    if seen.dropped_stacks > 0 {
        remarks.push(format!(
            "the call stacks of {} samples found no room: they are among the others",
            seen.dropped_stacks
        ));
    }
    if share(seen.missed_frees) >= MANY {
        remarks.push(format!(
            "{} frees were not seen ({:.0} % of the samples): live bytes may be too many by that share, or by more",
            seen.missed_frees,
            share(seen.missed_frees) * 100.0
        ));
    }
    for (count, what) in [
        (seen.truncated_stacks, "ended before the first function of their thread (code without unwind tables)"),
        (seen.deep_stacks, "were cut off because they were too deep"),
    ] {
        if share(count) >= MANY {
            remarks.push(format!(
                "{:.0} % of the call stacks {what}: their owner may lie further out",
                share(count) * 100.0
            ));
        }
    }
    remarks
}

/// Whether the sampler came into a process that was running.
pub(super) fn is_injected(records: &[Record]) -> bool {
    records.iter().any(|record| {
        matches!(record, Record::Event { event: Event::HeapBegins { entry: HeapEntry::Injected, .. }, .. })
    })
}
