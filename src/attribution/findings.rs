//! Every scenario of a recording, judged.

use std::collections::BTreeMap;

use super::heap::{self, HeapFinding};
use super::ledger::{self, Ledger};
use super::{pool, revised};
use crate::growth::{Activity, Axis, Collector, Curve, Estimate, Growth, Question, Verdict, growth_in_time, judge};
use crate::recording::{Passage, Recording};
use crate::sample::{
    Border, Ending, Event, FdKind, Mark, MemorySource, Metric, OperationsFrom, Record, ScenarioPlan, Shape, Stop, Tally,
};

/// What a recording shows.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Each scenario in the order in which it ran.
    pub scenarios: Vec<ScenarioFinding>,
    /// What grew, by subsystem: one ledger for each resource.
    pub ledgers: Vec<Ledger>,
    /// Numbers that could not be read, with the reason.
    pub missing: BTreeMap<Metric, String>,
    /// Why the heap of a process was not sampled though that was asked for, and what to do instead: each reason once.
    pub no_heap: Vec<String>,
}

/// One scenario, judged.
#[derive(Clone, Debug)]
pub struct ScenarioFinding {
    /// What it set out to do.
    pub plan: ScenarioPlan,
    /// Every metric that was seen, the gated ones first.
    pub growths: Vec<Growth>,
    /// Whether the target did anything.
    pub activity: Activity,
    /// Whose live heap bytes grew; none where the heap was not sampled.
    pub heap: Option<HeapFinding>,
    /// How it stopped; `None` when the recording was cut.
    pub stop: Option<Stop>,
    /// What its operations came to.
    pub tally: Tally,
    /// Cycles that were finished.
    pub cycles: u32,
    /// Operations from the start of the target (or of the scenario, where the target stays).
    pub operations: u64,
    /// How the target ended, when it ended under the scenario.
    pub ending: Option<Ending>,
}

impl ScenarioFinding {
    /// The verdict on one metric.
    pub fn growth(&self, metric: &Metric) -> Option<&Growth> {
        self.growths.iter().find(|growth| growth.metric == *metric)
    }

    /// Why not growing says nothing here, where that is so.
    pub fn says_nothing(&self) -> Option<String> {
        self.activity.says_nothing(self.plan.shape)
    }

    /// What growth is counted against.
    pub fn axis(&self) -> Axis {
        axis(self.plan.shape)
    }

    /// The gated metrics that go on growing.
    pub fn growing(&self) -> impl Iterator<Item = &Growth> {
        self.growths.iter().filter(|growth| growth.goes_on() && Metric::GATED.contains(&growth.metric))
    }

    /// Growth of private memory, where the allocator retains it.
    pub fn retained(&self) -> Option<&Growth> {
        self.growth(&Metric::Private).filter(|private| private.verdict == Verdict::Retained)
    }

    /// Whether a peak rises only with private memory: it is then no finding of its own.
    pub fn is_echo(&self, growth: &Growth) -> bool {
        let private = self.growth(&Metric::Private).filter(|private| private.goes_on());
        growth.metric == Metric::Peak && private.is_some_and(|private| revised::rises_with(growth, private))
    }
}

impl ScenarioFinding {
    /// Growth per second that this scenario found, where nothing is driven in it.
    fn in_time(&self) -> BTreeMap<Metric, Estimate> {
        let mut found = BTreeMap::new();
        if let Some((heap, private)) = self.heap.as_ref().zip(self.growth(&Metric::Private)) {
            found.extend(heap.in_time(private));
            found.extend(growth_in_time(heap.judged()));
        }
        found.extend(growth_in_time(&self.growths));
        found
    }

    fn look_at_heap(
        &mut self,
        ground: &heap::Ground<'_>,
        passage: &Passage<'_>,
        time_driven: &BTreeMap<Metric, Estimate>,
    ) {
        let collector = Collector::of(passage.plan, passage.records);
        self.heap = heap::finding(ground, passage, &heap::Asked { growths: &self.growths, time_driven, collector });
        let Some(heap) = &self.heap else { return };
        if heap.outlasts_collections() {
            revised::judge_without_collections(&mut self.growths, heap, |metric| {
                judge_metric(passage, metric, time_driven, Collector::None)
            });
        }
        revised::mark_retained(&mut self.growths, heap);
    }
}

/// What growth is counted against in a scenario of this shape.
pub(crate) fn axis(shape: Shape) -> Axis {
    match shape {
        Shape::Idle | Shape::Watch => Axis::Seconds,
        Shape::Flood | Shape::Abandon | Shape::LongSession | Shape::Churn | Shape::Counted => Axis::Operations,
    }
}

impl Findings {
    /// Judges every scenario of a recording and draws up the ledgers.
    pub fn of(recording: &Recording) -> Self {
        let mut time_driven = BTreeMap::new();
        let mut scenarios = Vec::new();
        let ground = heap::Ground::of(recording);
        for passage in recording.passages() {
            let mut finding = judge_passage(&passage, &time_driven, recording.header.plan.operations_from.as_ref());
            finding.look_at_heap(&ground, &passage, &time_driven);
            if passage.plan.shape == Shape::Idle {
                time_driven.extend(finding.in_time());
            }
            scenarios.push(finding);
        }
        let ledgers = ledger::draw_up(recording, &scenarios, &time_driven);
        Self { scenarios, ledgers, missing: missing(recording), no_heap: no_heap(recording) }
    }

    /// The ledger rows that grow without end, over all resources.
    pub fn unbounded_rows(&self) -> impl Iterator<Item = &ledger::Row> {
        self.ledgers.iter().flat_map(|ledger| &ledger.rows).filter(|row| row.verdict == Verdict::Unbounded)
    }
}

fn judge_passage(
    passage: &Passage<'_>,
    time_driven: &BTreeMap<Metric, Estimate>,
    counted_by: Option<&OperationsFrom>,
) -> ScenarioFinding {
    let collector = Collector::of(passage.plan, passage.records);
    // A counter against itself says nothing.
    let is_axis = |metric: &Metric| match (metric, counted_by) {
        (Metric::Gauge(gauge), Some(OperationsFrom::Gauge { name })) => gauge == name,
        _ => false,
    };
    let mut growths: Vec<Growth> = metrics(passage.records)
        .into_iter()
        .filter(|metric| !is_axis(metric))
        .filter_map(|metric| judge_metric(passage, &metric, time_driven, collector))
        .collect();
    pool::mark_bounded(&mut growths, passage);
    let activity = Activity::of(passage.records);
    if let Some(why) = activity.says_nothing(passage.plan.shape) {
        growths.iter_mut().for_each(|growth| growth.take_back(&why));
    }
    let (stop, tally) =
        passage.end.map_or((None, Tally::default()), |(stop, tally)| (Some(stop.clone()), tally.clone()));
    ScenarioFinding {
        plan: passage.plan.clone(),
        cycles: growths.iter().filter_map(|growth| growth.floors.last()).map(|floor| floor.cycle).max().unwrap_or(0),
        operations: passage.records.iter().filter_map(operations).max().unwrap_or(0),
        growths,
        activity,
        heap: None,
        stop,
        tally,
        ending: passage.records.iter().rev().find_map(unexpected_end),
    }
}

/// The verdict on a metric; none where it was never read.
fn judge_metric(
    passage: &Passage<'_>,
    metric: &Metric,
    time_driven: &BTreeMap<Metric, Estimate>,
    collector: Collector,
) -> Option<Growth> {
    let curve = curve(passage, metric);
    let time_driven = match axis(passage.plan.shape) {
        Axis::Operations => time_driven.get(metric).copied(),
        Axis::Seconds => None,
    };
    let question = Question { time_driven, collector, ..Question::of(passage.plan, &curve, curve.reach()) };
    (!curve.points.is_empty()).then(|| judge(&curve, &question))
}

/// The curve of a metric in a scenario.
pub fn curve(passage: &Passage<'_>, metric: &Metric) -> Curve {
    let source = memory_source(passage.records);
    match passage.plan.shape {
        shape @ (Shape::Watch | Shape::Counted) => Curve::windowed_along(metric, axis(shape), source, passage.records),
        shape => Curve::of(metric, axis(shape), source, passage.records),
    }
}

fn memory_source(records: &[Record]) -> MemorySource {
    records
        .iter()
        .find_map(|record| match record {
            Record::Mark(Mark { border: Border::ScenarioBegins { memory_source, .. }, .. }) => Some(*memory_source),
            _ => None,
        })
        .unwrap_or_default()
}

fn operations(record: &Record) -> Option<u64> {
    match record {
        Record::Sample(sample) => Some(sample.operations),
        Record::Mark(mark) => Some(mark.operations),
        Record::Detail(_) | Record::Stacks(_) | Record::Heap(_) | Record::Symbols(_) | Record::Event { .. } => None,
    }
}

fn unexpected_end(record: &Record) -> Option<Ending> {
    match record {
        Record::Event { event: Event::TargetEnds { ending, .. }, .. } if !ending.expected => Some(ending.clone()),
        _ => None,
    }
}

/// Numbers of a cgroup.
const CGROUP: [&str; 5] = ["current", "anon", "file", "kernel", "sock"];

/// The metrics to judge: the gated ones, then whatever else the records hold.
fn metrics(records: &[Record]) -> Vec<Metric> {
    let mut kinds = std::collections::BTreeSet::<FdKind>::new();
    let mut gauges = std::collections::BTreeSet::<&str>::new();
    let (mut mappings, mut cgroup) = (false, false);
    for record in records {
        if let Record::Detail(detail) = record {
            cgroup |= detail.cgroup.is_some();
            if detail.is_of_one_moment() {
                mappings |= detail.mappings.is_some();
                kinds.extend(detail.descriptors.iter().flat_map(|descriptors| descriptors.by_kind.keys()));
            }
            gauges.extend(detail.gauges.keys().map(String::as_str));
        }
    }
    Metric::GATED
        .into_iter()
        .chain([Metric::Tasks, Metric::Rss])
        .chain([Metric::Heap, Metric::Stack].into_iter().filter(|_| mappings))
        .chain([Metric::File])
        .chain(CGROUP.into_iter().filter(|_| cgroup).map(|name| Metric::Cgroup(name.into())))
        .chain(kinds.into_iter().map(Metric::FdsOf))
        .chain(gauges.into_iter().map(|name| Metric::Gauge(name.to_owned())))
        .collect()
}

fn missing(recording: &Recording) -> BTreeMap<Metric, String> {
    recording
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Event { event: Event::Missing { metric, reason }, .. } => Some((metric.clone(), reason.clone())),
            _ => None,
        })
        .collect()
}

fn no_heap(recording: &Recording) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for record in &recording.records {
        if let Record::Event { event: Event::NoHeap { reason, .. }, .. } = record
            && !reasons.contains(reason)
        {
            reasons.push(reason.clone());
        }
    }
    reasons
}
