//! What a reader is told about how far the figures of a heap can be trusted.

use super::heap::{heap, leak_among_steady, recorded};
use crate::attribution::Findings;
use crate::sample::*;

/// The remarks on a heap whose looks were changed so, before and after.
fn remarks(change: impl Fn(&mut HeapLook, Side)) -> Vec<String> {
    let mut recording = recorded(Vec::new(), leak_among_steady);
    let mut side = Side::Before;
    for record in &mut recording.records {
        if let Record::Heap(look) = record {
            change(look, side);
            side = Side::After;
        }
    }
    heap(&Findings::of(&recording)).remarks.clone()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

#[test]
fn nothing_is_remarked_where_all_was_seen() {
    assert!(remarks(|_, _| {}).is_empty());
    // Less than 1 % of 1,000 samples bends no figure.
    let few = |look: &mut HeapLook, _| {
        (look.coverage.missed_frees, look.coverage.truncated_stacks, look.coverage.deep_stacks) = (9, 9, 9);
    };
    assert!(remarks(few).is_empty());
    assert!(remarks(|look, _| look.coverage.samples = 0).is_empty());
}

#[test]
fn what_bends_the_figures_is_remarked() {
    let found = remarks(|look, side| {
        look.coverage = HeapCoverage {
            samples: 1000,
            dropped_records: 1,
            dropped_stacks: 1,
            missed_frees: 10,
            truncated_stacks: 30,
            deep_stacks: 10,
            ..HeapCoverage::default()
        };
        look.processes = if side == Side::Before { 1 } else { 3 };
    });
    let begins = [
        "3 processes were looked at in the end and 1 before: ",
        "1 of 1000 samples found no room in the sampler's table: ",
        "the call stacks of 1 samples found no room: ",
        "10 frees were not seen (1 % of the samples): ",
        "3 % of the call stacks ended before the first function of their thread",
        "1 % of the call stacks were cut off because they were too deep",
    ];
    assert_eq!(found.len(), begins.len(), "{found:#?}");
    for (remark, begin) in found.iter().zip(begins) {
        assert!(remark.starts_with(begin), "{remark}");
    }
}

#[test]
fn a_sampler_that_was_injected_is_remarked() {
    for (entry, is_remarked) in [(HeapEntry::Injected, true), (HeapEntry::Preloaded, false)] {
        let mut recording = recorded(Vec::new(), leak_among_steady);
        let at = recording.records[1].at();
        let event =
            Event::HeapBegins { process: Process { pid: 7, start: 1 }, entry, interval_bytes: 65_536, pause_us: None };
        recording.records.insert(1, Record::Event { at, event });
        let remarks = heap(&Findings::of(&recording)).remarks.clone();
        let is_there =
            remarks.iter().any(|remark| remark.starts_with("the sampler came into a process that was running"));
        assert_eq!(is_there, is_remarked, "{remarks:?}");
    }
}
