//! What limits a verdict by the nature of the target or of the watch: a managed runtime, load that nobody counted.

use std::collections::{BTreeMap, BTreeSet};

use super::escape::plain;
use super::limits::{self, LimitTime, THIS_RUN};
use super::{Report, words};
use crate::attribution::ScenarioFinding;
use crate::growth::{self, Axis, Verdict};
use crate::sample::{BeforeSettle, Event, Metric, Record, Runtime, Shape};
use crate::units::{Unit, show_count};

/// Scenarios named in a sentence; of more, only their number is told.
const MOST_NAMES: usize = 3;
/// Pages that were freed lazily are told of from so many bytes on, ...
const MUCH_LAZILY_FREED: u64 = 4 << 20;
/// ... and from one part in so many of the resident memory.
const LEAST_PART: u64 = 20;

/// What is to be said of the managed runtimes of a run: one sentence for scenarios of the same kind.
pub(super) fn runtimes(report: &Report) -> Vec<String> {
    let passages = report.recording.passages();
    let mut groups = BTreeMap::<(BTreeSet<Runtime>, bool), Vec<&ScenarioFinding>>::new();
    for (passage, finding) in passages.iter().zip(&report.findings.scenarios) {
        let runtimes: BTreeSet<Runtime> = passage.records.iter().filter_map(runtime).collect();
        if !runtimes.is_empty() {
            let forced = finding.plan.load.before_settle == BeforeSettle::Step;
            groups.entry((runtimes, forced)).or_default().push(finding);
        }
    }
    groups.iter().map(|((runtimes, forced), findings)| managed(runtimes, *forced, findings)).collect()
}

fn runtime(record: &Record) -> Option<Runtime> {
    match record {
        Record::Event { event: Event::Runtime { runtime, .. }, .. } => Some(*runtime),
        _ => None,
    }
}

fn managed(runtimes: &BTreeSet<Runtime>, forced: bool, findings: &[&ScenarioFinding]) -> String {
    let names: Vec<String> = runtimes.iter().map(|runtime| runtime.name().to_owned()).collect();
    let what = format!("{}: private memory of a managed runtime ({})", scenarios(findings), words::listed(&names));
    let waits = runtimes.iter().any(|runtime| runtime.waits_for_collector());
    let found = sensitivity(findings).map(|least| format!("; {least}")).unwrap_or_default();
    let step = match findings.iter().all(|finding| matches!(finding.plan.shape, Shape::Watch | Shape::Counted)) {
        true => "`before_settle` in a scenario file",
        false => "`before_settle`",
    };
    match (forced, waits) {
        (true, _) => format!("{what}, `before_settle` done before each settle phase{found}"),
        (false, true) => format!(
            "{what}, collections not forced: garbage counts as kept until one runs, so that growth without end is told \
             only behind three collections that were seen; {step} can force one{found}"
        ),
        (false, false) => format!(
            "{what}, collections not forced: most garbage is freed at once, the rest counts as kept until one runs; \
             {step} can force one{found}"
        ),
    }
}

fn scenarios(findings: &[&ScenarioFinding]) -> String {
    if findings.len() > MOST_NAMES {
        return words::counted(findings.len(), "scenario");
    }
    words::listed(&findings.iter().map(|finding| finding.plan.name.clone()).collect::<Vec<_>>())
}

/// From which growth on private memory would have been found; the worst of several scenarios with the same axis.
fn sensitivity(findings: &[&ScenarioFinding]) -> Option<String> {
    let least = |axis: Axis| {
        let growths = findings.iter().filter_map(|finding| finding.growth(&Metric::Private));
        let figures = growths.filter(|growth| growth.axis == axis).filter_map(|growth| growth.sensitivity);
        figures.filter(|figure| figure.is_finite()).reduce(f64::max)
    };
    let told: Vec<String> = [Axis::Operations, Axis::Seconds]
        .into_iter()
        .filter_map(|axis| {
            let amount = Metric::Private.unit().show(least(axis)?);
            Some(format!("{amount} {}", words::per(axis)))
        })
        .collect();
    (!told.is_empty()).then(|| format!("growth is found from {} on (a fit, ±30 %)", words::listed(&told)))
}

/// From where on growth of counts can be seen at all, for each scenario that did too few operations for what is usual.
pub(super) fn detection(report: &Report) -> Vec<String> {
    report.findings.scenarios.iter().filter_map(detection_limit).collect()
}

fn detection_limit(finding: &ScenarioFinding) -> Option<String> {
    let plan = &finding.plan;
    let is_driven = !matches!(plan.shape, Shape::Idle | Shape::Watch | Shape::Counted);
    let least = growth::reach_shows(Unit::Count, finding.operations as f64);
    (is_driven && plan.usual.count && least.is_finite() && least > plan.smallest.count).then(|| {
        format!(
            "{}: descriptors, threads and other counts are judged for growth of {} per operation and more: {} operations \
             show no less; raise its rate or `cycles.max`, or name `smallest.count` to demand less",
            plain(&plan.name),
            show_count(least),
            show_count(finding.operations as f64)
        )
    })
}

/// Memory that the target gave back and the kernel still counts as resident, where it is no little.
pub(super) fn lazily_freed(report: &Report) -> Option<String> {
    let last = report.recording.records.iter().rev().find_map(|record| match record {
        Record::Sample(sample) => sample.memory,
        _ => None,
    })?;
    let told = Unit::Bytes.show(last.lazily_freed as f64);
    (last.lazily_freed >= MUCH_LAZILY_FREED && last.lazily_freed.saturating_mul(LEAST_PART) >= last.rss).then(|| {
        format!(
            "{told} of the resident memory was freed by the target with MADV_FREE: the kernel takes it when it needs it. It counts in \
             RSS, and neither in private memory nor in its peak"
        )
    })
}

/// Private memory that its allocator retains: a sentence for each scenario, and one that says what to do.
pub(super) fn retained(report: &Report) -> Vec<String> {
    let limits = limits::of(&report.recording, &report.findings);
    let mut sentences: Vec<String> =
        report.findings.scenarios.iter().filter_map(|finding| retained_in(finding, &limits)).collect();
    if !sentences.is_empty() {
        sentences.push(
            "the usual gate passes what an allocator retains; `private.per_hour < 10MiB` would not. MALLOC_ARENA_MAX, `malloc_trim` or \
             another allocator may end it"
                .into(),
        );
    }
    sentences
}

fn retained_in(finding: &ScenarioFinding, limits: &[LimitTime]) -> Option<String> {
    let private = finding.retained()?;
    let unit = private.metric.unit();
    let each = private
        .per_op
        .map_or_else(String::new, |rate| format!(" by {} {}", unit.show(rate.value), words::per(private.axis)));
    let free = finding.heap.as_ref().and_then(|heap| heap.allocator).map_or_else(String::new, |(before, after)| {
        let show = |bytes: u64| unit.show(bytes as f64);
        format!(" ({} free in its arenas, {} before)", show(after.free_bytes), show(before.free_bytes))
    });
    let is_its = |time: &&LimitTime| {
        time.scenario == finding.plan.name && time.metric == private.metric.to_string() && time.pace == THIS_RUN
    };
    let limit = limits.iter().find(is_its).map_or_else(String::new, |time| format!("; {}", time.sentence()));
    Some(format!(
        "{}: private memory grows{each}, live heap does not: the allocator retains it{free}{limit}",
        plain(&finding.plan.name)
    ))
}

/// What a watch without a scenario can tell and cannot.
pub(super) fn watches(report: &Report) -> Vec<String> {
    report.findings.scenarios.iter().filter_map(|finding| watch(report, finding)).collect()
}

fn watch(report: &Report, finding: &ScenarioFinding) -> Option<String> {
    match finding.plan.shape {
        Shape::Watch if rises(finding) => Some(
            "this is growth over time at the load that happened: what rises may have risen because the load did, and \
             nothing can be said per operation"
                .into(),
        ),
        Shape::Watch => Some(
            "these are verdicts at the load that happened: whether there was any, and how much, is not known".into(),
        ),
        Shape::Counted => {
            let from = report.recording.header.plan.operations_from.as_ref();
            let from = from.map(|from| format!(" that {from} counted")).unwrap_or_default();
            let operations = match finding.operations {
                1 => "1 operation".to_owned(),
                n => format!("{} operations", show_count(n as f64)),
            };
            Some(format!(
                "growth is told for the {operations}{from}; what grows with time alone is spread over them, and other \
                 work of the target too"
            ))
        }
        _ => None,
    }
}

/// Whether anything that is gated grows, or may.
fn rises(finding: &ScenarioFinding) -> bool {
    let growths = finding.growths.iter().filter(|growth| Metric::GATED.contains(&growth.metric));
    growths.into_iter().any(|growth| growth.verdict == Verdict::Unbounded || growth.suspected)
}

/// What to do next where a watch saw growth over time.
pub(super) fn next_step(finding: &ScenarioFinding) -> Option<String> {
    (finding.plan.shape == Shape::Watch && rises(finding)).then(|| {
        "tell growth per operation from a rise of the load: count operations with --ops-from gauge:NAME or \
         log:FILE:REGEX, or drive the target by a scenario file (tidewatch init)"
            .into()
    })
}
