//! Which process of a tree grew: most of its growth may be that of one of many equal workers.

use std::collections::HashMap;

use super::Report;
use super::escape::plain;
use crate::growth::Verdict;
use crate::recording::Passage;
use crate::sample::{Detail, Metric, Process, ProcessMemory, Record};
use crate::units::Unit;

/// One process is told of where it holds this share of the growth.
const MOST_OF_IT: f64 = 0.6;
/// Less growth than this between two closer looks, in bytes, has no owner worth a line.
const LEAST_GROWTH: f64 = 1024.0 * 1024.0;

/// A sentence for each scenario whose memory grew for the most part in one process of several.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let passages = report.recording.passages();
    let told = passages.iter().zip(&report.findings.scenarios).filter_map(|(passage, finding)| {
        let growth = finding.growth(&Metric::Private).filter(|growth| growth.verdict != Verdict::Flat)?;
        let holder = holder(passage)?;
        // What is at rest did not grow in a process that only replaced another.
        if holder.is_new && growth.verdict == Verdict::Bounded {
            return None;
        }
        let sentence = holder.sentence();
        Some(if passages.len() > 1 { format!("{}: {sentence}", plain(&finding.plan.name)) } else { sentence })
    });
    told.collect()
}

/// The process that holds most of the growth from the first closer look to the last.
#[derive(Debug, PartialEq)]
struct Holder<'a> {
    process: &'a ProcessMemory,
    is_new: bool,
    growth: f64,
    /// Of all processes together.
    whole: f64,
    others: usize,
}

fn holder<'a>(passage: &Passage<'a>) -> Option<Holder<'a>> {
    let details = || {
        passage.records.iter().filter_map(|record| match record {
            Record::Detail(detail) if !detail.per_process.is_empty() => Some(&**detail),
            _ => None,
        })
    };
    between(details().next()?, details().next_back()?)
}

/// What a process that came in between holds is growth.
fn between<'a>(first: &Detail, last: &'a Detail) -> Option<Holder<'a>> {
    let before: HashMap<Process, u64> = first.per_process.iter().map(|one| (one.process, one.private)).collect();
    let grown = |one: &ProcessMemory| one.private as f64 - before.get(&one.process).copied().unwrap_or(0) as f64;
    let sum = |detail: &Detail| detail.per_process.iter().map(|one| one.private as f64).sum::<f64>();
    let whole = sum(last) - sum(first);
    let process = last.per_process.iter().max_by(|a, b| grown(a).total_cmp(&grown(b)))?;
    let (growth, others) = (grown(process), last.per_process.len() - 1);
    (others > 0 && whole >= LEAST_GROWTH && growth >= MOST_OF_IT * whole).then_some(Holder {
        process,
        is_new: !before.contains_key(&process.process),
        growth,
        whole,
        others,
    })
}

impl Holder<'_> {
    fn sentence(&self) -> String {
        let show = |bytes| Unit::Bytes.show(bytes);
        let others =
            if self.others == 1 { "the other one".into() } else { format!("the {} others together", self.others) };
        format!(
            "process {} ({}) {} {}, {others} grew by {}",
            self.process.process.pid,
            plain(&self.process.command),
            if self.is_new { "began during the watch and holds" } else { "grew by" },
            show(self.growth),
            show(self.whole - self.growth),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn detail(private: &[(u32, u64)]) -> Detail {
        let one = |&(pid, mib): &(u32, u64)| ProcessMemory {
            process: Process { pid, start: 1 },
            command: "worker".into(),
            private: mib * MIB,
        };
        Detail { per_process: private.iter().map(one).collect(), ..Detail::default() }
    }

    #[test]
    fn one_of_several_holds_most_of_it_or_nobody_is_named() {
        for (first, last, expected) in [
            (vec![(1, 4), (2, 9), (3, 9)], vec![(3, 25), (2, 9), (1, 4)], Some((3, 16, 16))),
            (vec![(1, 4), (2, 9)], vec![(1, 10), (2, 13)], Some((1, 6, 10))),
            (vec![(1, 4), (2, 9)], vec![(1, 9), (2, 14)], None),
            // One that came in between, one that gave back, one that ended.
            (vec![(1, 4)], vec![(1, 4), (7, 20)], Some((7, 20, 20))),
            (vec![(1, 4), (2, 9)], vec![(1, 24), (2, 4)], Some((1, 20, 15))),
            (vec![(1, 4), (2, 30)], vec![(1, 24), (3, 1)], None),
            (vec![(1, 4), (2, 9)], vec![(2, 9), (1, 4)], None),
            (vec![(1, 4)], vec![(1, 40)], None),
        ] {
            let (first, last) = (detail(&first), detail(&last));
            let found = between(&first, &last);
            let mib = |bytes: f64| (bytes / MIB as f64) as u64;
            let shown = found.as_ref().map(|found| (found.process.process.pid, mib(found.growth), mib(found.whole)));
            assert_eq!(shown, expected, "{first:?} {last:?}");
        }
        let (first, last) = (detail(&[(1, 4), (2, 9)]), detail(&[(1, 5), (2, 25)]));
        let sentence = between(&first, &last).expect("a holder").sentence();
        assert_eq!(sentence, "process 2 (worker) grew by 16 MiB, the other one grew by 1 MiB");
        let last = detail(&[(1, 5), (9, 25), (2, 9)]);
        let sentence = between(&first, &last).expect("a holder").sentence();
        assert_eq!(
            sentence,
            "process 9 (worker) began during the watch and holds 25 MiB, the 2 others together grew by 1 MiB"
        );
    }
}
