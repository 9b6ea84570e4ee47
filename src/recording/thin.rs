//! Thinning: which lines of a long recording can go without changing what it says.
//!
//! The recording is seen as spans: between two marks, and within those in windows of equal length, so that an
//! attach without marks has spans too. In the older part of the file every second sample goes, except those
//! that carry the floor or the peak of a span in any figure that is judged. Of the details the first and the
//! last of each span stay. Marks and events stay; only when that is not enough do processes go that both
//! appeared and vanished within the older part.

use std::collections::HashMap;

use crate::sample::{Event, Moment, Process, Record, Sample};

/// Figures of a sample that must keep their extremes.
const FIGURES: usize = 11;

/// How much is asked of one pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    /// Samples that count as older, from the start of the file.
    pub older_samples: u64,
    /// Length of a window in microseconds.
    pub window_us: u64,
    /// What may go beside samples and details.
    pub events: ShortLived,
}

/// Looks of which a span keeps the first and the last.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Detail,
    Heap,
}

/// What becomes of processes that came and went within the older part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShortLived {
    /// Their events stay.
    Keep,
    /// Their events go, in pairs.
    Drop,
}

/// What a pass decided.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// For each line of the older part, in order: whether it stays.
    pub keep: Vec<bool>,
    /// Samples that go now.
    pub dropped: u64,
    /// Samples that went in earlier passes, by their notes, which go too.
    pub dropped_before: u64,
    /// When the older part ends.
    pub until: Moment,
}

/// Sees the records of the older part one after the other and decides at the end.
#[derive(Debug)]
pub(super) struct Thinner {
    pass: Pass,
    samples: u64,
    keep: Vec<bool>,
    dropped: u64,
    dropped_before: u64,
    until: Moment,
    marks: u64,
    span: Option<(u64, u64)>,
    extremes: [Extremes; FIGURES],
    candidates: Vec<usize>,
    last_looks: [Option<usize>; 2],
    appeared: HashMap<Process, usize>,
}

/// Where the lowest and the highest value of one figure stand within a span.
#[derive(Clone, Copy, Debug, Default)]
struct Extremes {
    floor: Option<(u64, usize)>,
    peak: Option<(u64, usize)>,
}

impl Thinner {
    pub fn new(pass: Pass) -> Self {
        Self {
            pass,
            samples: 0,
            keep: Vec::new(),
            dropped: 0,
            dropped_before: 0,
            until: Moment::default(),
            marks: 0,
            span: None,
            extremes: [Extremes::default(); FIGURES],
            candidates: Vec::new(),
            last_looks: [None; 2],
            appeared: HashMap::new(),
        }
    }

    /// Takes the next record; `false` once the older part is over, and then the record is not part of it.
    pub fn see(&mut self, record: &Record) -> bool {
        if self.samples >= self.pass.older_samples {
            return false;
        }
        self.until = record.at();
        let index = self.keep.len();
        self.keep.push(true);
        match record {
            Record::Mark(_) => self.marks += 1,
            Record::Sample(sample) => {
                self.samples += 1;
                self.enter_span(sample.at);
                self.candidates.push(index);
                for (extremes, value) in self.extremes.iter_mut().zip(figures(sample)) {
                    extremes.see(value, index);
                }
            }
            Record::Detail(detail) => self.see_look(detail.at, Kind::Detail, index),
            Record::Heap(look) => self.see_look(look.at, Kind::Heap, index),
            // Numbers and names that any later look may need.
            Record::Stacks(_) | Record::Symbols(_) => {}
            Record::Event { event, .. } => self.see_event(event, index),
        }
        true
    }

    /// Decides about everything seen.
    pub fn finish(mut self) -> Decision {
        self.close_span();
        Decision { keep: self.keep, dropped: self.dropped, dropped_before: self.dropped_before, until: self.until }
    }

    fn see_look(&mut self, at: Moment, kind: Kind, index: usize) {
        self.enter_span(at);
        // The first of a span has none before it and stays; of the rest each gives way to the next.
        let last = &mut self.last_looks[kind as usize];
        match *last {
            None => *last = Some(usize::MAX),
            Some(usize::MAX) => *last = Some(index),
            Some(former) => {
                self.keep[former] = false;
                *last = Some(index);
            }
        }
    }

    fn see_event(&mut self, event: &Event, index: usize) {
        match event {
            Event::Thinned { dropped } => {
                self.dropped_before += dropped;
                self.keep[index] = false;
            }
            Event::Appeared { process, .. } => {
                self.appeared.insert(*process, index);
            }
            Event::Vanished { process } if self.pass.events == ShortLived::Drop => {
                if let Some(appeared) = self.appeared.remove(process) {
                    self.keep[appeared] = false;
                    self.keep[index] = false;
                }
            }
            _ => {}
        }
    }

    fn enter_span(&mut self, at: Moment) {
        let span = (self.marks, at.0 / self.pass.window_us.max(1));
        if self.span != Some(span) {
            self.close_span();
            self.span = Some(span);
        }
    }

    fn close_span(&mut self) {
        let extremes = std::mem::replace(&mut self.extremes, [Extremes::default(); FIGURES]);
        let mut kept: Vec<usize> = extremes.iter().flat_map(|e| [e.floor, e.peak]).flatten().map(|(_, i)| i).collect();
        kept.sort_unstable();
        let plain = self.candidates.drain(..).filter(|index| kept.binary_search(index).is_err());
        for index in plain.skip(1).step_by(2) {
            self.keep[index] = false;
            self.dropped += 1;
        }
        self.last_looks = [None; 2];
    }
}

impl Extremes {
    fn see(&mut self, value: Option<u64>, index: usize) {
        let Some(value) = value else { return };
        if self.floor.is_none_or(|(lowest, _)| value < lowest) {
            self.floor = Some((value, index));
        }
        if self.peak.is_none_or(|(highest, _)| value > highest) {
            self.peak = Some((value, index));
        }
    }
}

/// Every figure of a sample that is judged or shown with its extremes.
fn figures(sample: &Sample) -> [Option<u64>; FIGURES] {
    [
        sample.memory.map(|memory| memory.private),
        sample.memory.map(|memory| memory.shared),
        sample.memory.map(|memory| memory.rss),
        sample.anonymous,
        sample.rss,
        sample.fds.map(|fds| fds.saturating_sub(sample.own_connections)),
        sample.threads,
        sample.tree.map(|tree| tree.children),
        sample.tree.map(|tree| tree.zombies),
        sample.tree.map(|tree| tree.orphans),
        sample.high_water,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Border, CallStacks, Detail, HeapLook, Mark, Phase, Symbols};

    fn sample(at: u64, anonymous: u64) -> Record {
        Record::Sample(Sample { at: Moment(at), anonymous: Some(anonymous), ..Sample::default() })
    }

    fn pass(older_samples: u64, events: ShortLived) -> Pass {
        Pass { older_samples, window_us: 1_000, events }
    }

    fn decide(records: &[Record], pass: Pass) -> Decision {
        let mut thinner = Thinner::new(pass);
        let _ = records.iter().take_while(|record| thinner.see(record)).count();
        thinner.finish()
    }

    #[test]
    fn floors_and_peaks_stay_and_every_second_other_sample_goes() {
        // 5 is the floor, 9 the peak; 7, 7, 7, 7 are plain.
        let records: Vec<_> = [7, 7, 5, 7, 9, 7].iter().zip(0..).map(|(&v, at)| sample(at, v)).collect();
        let decision = decide(&records, pass(6, ShortLived::Keep));
        assert_eq!(decision.keep, [true, false, true, true, true, false]);
        assert_eq!(decision.dropped, 2);
    }

    #[test]
    fn a_mark_and_a_window_begin_new_spans() {
        let mark = Record::Mark(Mark {
            at: Moment(1),
            operations: 0,
            border: Border::PhaseBegins { phase: Phase::Load, cycle: 1 },
        });
        let records = [sample(0, 8), mark, sample(1, 9), sample(1_000, 10)];
        assert_eq!(decide(&records, pass(9, ShortLived::Keep)).keep, [true; 4]);
    }

    #[test]
    fn the_newer_part_is_not_looked_at() {
        let records: Vec<_> = (0..10).map(|at| sample(at, 7)).collect();
        let decision = decide(&records, pass(5, ShortLived::Keep));
        assert_eq!((decision.keep.len(), decision.dropped, decision.until), (5, 2, Moment(4)));
    }

    #[test]
    fn details_keep_the_first_and_the_last_of_a_span() {
        let detail = |at| Record::Detail(Box::new(Detail { at: Moment(at), ..Detail::default() }));
        let records = [detail(0), detail(1), detail(2), detail(3), detail(1_000)];
        assert_eq!(decide(&records, pass(1, ShortLived::Keep)).keep, [true, false, false, true, true]);
    }

    #[test]
    fn looks_at_the_heap_are_thinned_apart_and_names_stay() {
        let detail = |at| Record::Detail(Box::new(Detail { at: Moment(at), ..Detail::default() }));
        let heap = |at| Record::Heap(Box::new(HeapLook { at: Moment(at), ..HeapLook::default() }));
        let stacks = |at| Record::Stacks(Box::new(CallStacks { at: Moment(at), ..CallStacks::default() }));
        let symbols = Record::Symbols(Box::new(Symbols { at: Moment(4), ..Symbols::default() }));
        let records = [heap(0), detail(1), heap(1), stacks(2), heap(2), detail(3), stacks(3), symbols];
        assert_eq!(decide(&records, pass(1, ShortLived::Keep)).keep, [true, true, false, true, true, true, true, true]);
    }

    #[test]
    fn earlier_thinning_is_added_up() {
        let thinned = |dropped| Record::Event { at: Moment(0), event: Event::Thinned { dropped } };
        let decision = decide(&[thinned(3), thinned(4)], pass(1, ShortLived::Keep));
        assert_eq!((decision.keep, decision.dropped, decision.dropped_before), (vec![false, false], 0, 7));
    }

    #[test]
    fn short_lived_processes_go_in_pairs_and_only_when_asked() {
        let process = |pid| Process { pid, start: 1 };
        let event = |event| Record::Event { at: Moment(0), event };
        let records = [
            event(Event::Appeared { process: process(1), command: "a".into() }),
            event(Event::Appeared { process: process(2), command: "b".into() }),
            event(Event::Vanished { process: process(1) }),
            event(Event::Vanished { process: process(3) }),
        ];
        assert_eq!(decide(&records, pass(1, ShortLived::Keep)).keep, [true; 4]);
        assert_eq!(decide(&records, pass(1, ShortLived::Drop)).keep, [false, true, false, true]);
    }
}
