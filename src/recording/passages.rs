//! The parts of a recording that belong together: one passage per scenario, one entry per target.

use super::{Passage, Recording};
use crate::sample::{Border, Ending, Event, Moment, Process, Record, Stop, Tally};

/// A process that was watched, as the recording tells of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target<'a> {
    /// The root process.
    pub process: Process,
    /// Its command line: untrusted text.
    pub command: &'a [String],
    /// Whether tidewatch launched it.
    pub fresh: bool,
    /// Since when it was watched.
    pub begun: Moment,
    /// When and how it ended; `None` when it was alive at the end of the recording.
    pub ended: Option<(Moment, &'a Ending)>,
}

impl Recording {
    /// One passage for each scenario, in the order of the recording.
    ///
    /// A passage begins with the begin of its target, or after the end of the scenario before where the target
    /// stayed; it ends with the scenario's last mark, or where the recording was cut. A scenario that the
    /// header's plan does not know is left out.
    pub fn passages(&self) -> Vec<Passage<'_>> {
        let mut passages = Vec::new();
        let mut former_end = 0;
        for (index, record) in self.records.iter().enumerate() {
            let Some(name) = begun_scenario(record) else { continue };
            let start = start_of_passage(&self.records, former_end, index);
            let (end, how) = end_of_passage(&self.records, index);
            former_end = end;
            if let Some(plan) = self.header.plan.scenario(name) {
                passages.push(Passage { plan, records: &self.records[start..end], end: how });
            }
        }
        passages
    }

    /// Every target that was watched, in the order in which they came.
    pub fn targets(&self) -> Vec<Target<'_>> {
        let mut targets: Vec<Target<'_>> = Vec::new();
        for record in &self.records {
            let Record::Event { at, event } = record else { continue };
            match event {
                Event::TargetBegins { process, command, fresh } => {
                    targets.push(Target { process: *process, command, fresh: *fresh, begun: *at, ended: None });
                }
                Event::TargetEnds { process, ending } => {
                    let open = targets.iter_mut().rev().find(|t| t.process == *process && t.ended.is_none());
                    if let Some(target) = open {
                        target.ended = Some((*at, ending));
                    }
                }
                _ => {}
            }
        }
        targets
    }
}

fn begun_scenario(record: &Record) -> Option<&str> {
    match record {
        Record::Mark(mark) => match &mark.border {
            Border::ScenarioBegins { scenario, .. } => Some(scenario),
            _ => None,
        },
        _ => None,
    }
}

/// Where the passage begins whose first mark is at `begin`: at the last fresh target since `former_end` (an
/// earlier one did not become ready), else at the first target watched since then, else at `former_end`.
fn start_of_passage(records: &[Record], former_end: usize, begin: usize) -> usize {
    let former_end = former_end.min(begin);
    let begins = |wanted: fn(bool) -> bool| {
        move |record: &Record| match record {
            Record::Event { event: Event::TargetBegins { fresh, .. }, .. } => wanted(*fresh),
            _ => false,
        }
    };
    let between = &records[former_end..begin];
    let offset = between.iter().rposition(begins(|fresh| fresh)).or_else(|| between.iter().position(begins(|_| true)));
    former_end + offset.unwrap_or(0)
}

/// The end (exclusive) of the passage whose first mark is at `begin`, and how its scenario ended.
fn end_of_passage(records: &[Record], begin: usize) -> (usize, Option<(&Stop, &Tally)>) {
    for (index, record) in records.iter().enumerate().skip(begin + 1) {
        if begun_scenario(record).is_some() {
            return (index, None);
        }
        if let Record::Mark(mark) = record
            && let Border::ScenarioEnds { stop, tally, .. } = &mark.border
        {
            return (index + 1, Some((stop, tally)));
        }
    }
    (records.len(), None)
}
