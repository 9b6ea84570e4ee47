//! What grew, by subsystem; each ledger sums to the whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::findings::{ScenarioFinding, curve};
use super::owners::{self, Part};
use crate::growth::{Axis, Estimate, Growth, Verdict};
use crate::recording::{Passage, Recording};
use crate::sample::{Metric, Plan, Priority};
use crate::units::Unit;

/// The row of what no rule claims.
pub const UNATTRIBUTED: &str = "unattributed";

/// What a ledger keeps account of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Private and shared memory, in bytes.
    Memory,
    /// Descriptors.
    Descriptors,
    /// OS threads.
    Threads,
    /// Children, zombies and orphans.
    Processes,
    /// The highest memory within a cycle, in bytes: a resource apart, since it is given back.
    Peak,
}

impl Resource {
    /// Every resource in the order of a report.
    pub const ALL: [Self; 5] = [Self::Memory, Self::Descriptors, Self::Threads, Self::Processes, Self::Peak];

    /// The metrics that make it up.
    pub fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Memory => &[Metric::Private, Metric::Shared],
            Self::Descriptors => &[Metric::Fds],
            Self::Threads => &[Metric::Threads],
            Self::Processes => &[Metric::Children, Metric::Zombies, Metric::Orphans],
            Self::Peak => &[Metric::Peak],
        }
    }

    /// What it is counted in.
    pub fn unit(self) -> Unit {
        match self {
            Self::Memory | Self::Peak => Unit::Bytes,
            Self::Descriptors | Self::Threads | Self::Processes => Unit::Count,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::Peak => "peak memory",
        }
    }
}

/// The account of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    /// Of what.
    pub resource: Resource,
    /// The rows: unbounded ones first, then by size.
    pub rows: Vec<Row>,
    /// The growth that was measured, all scenarios together.
    pub total: f64,
}

/// One increment and its owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The owner.
    pub subsystem: String,
    /// Of which metric.
    pub metric: Metric,
    /// The scenario that showed it; several for growth in time.
    pub scenario: String,
    /// How much, in the metric's unit.
    pub growth: f64,
    /// Whether it ends.
    pub verdict: Verdict,
    /// How soon it should be fixed.
    pub priority: Option<Priority>,
    /// Where its code is: file and line where the heap tells, else as the scenario file says.
    pub source: Option<String>,
    /// Growth per operation (per second where nothing is driven).
    pub per_op: Option<Estimate>,
    /// Items that the subsystem counts itself and how much one costs.
    pub items: Option<Items>,
    /// What speaks for it, a sentence each: untrusted names inside.
    pub evidence: Vec<String>,
}

/// `count x each = growth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Items {
    /// What is counted: a gauge's name, or `operations`.
    pub of: String,
    /// How many more there were at the end.
    pub count: f64,
    /// How much one costs in the metric's unit.
    pub each: f64,
}

/// Draws up one ledger for each resource.
pub(super) fn draw_up(
    recording: &Recording,
    findings: &[ScenarioFinding],
    time_driven: &BTreeMap<Metric, Estimate>,
) -> Vec<Ledger> {
    let passages = recording.passages();
    Resource::ALL
        .into_iter()
        .map(|resource| {
            let mut rows: Vec<Row> = resource
                .metrics()
                .iter()
                .flat_map(|metric| rows_of(metric, recording, &passages, findings, time_driven))
                .collect();
            rows.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(b.growth.total_cmp(&a.growth)));
            let metrics = resource.metrics().iter();
            let total =
                metrics.map(|metric| passages.iter().map(|passage| measured(metric, passage)).sum::<f64>()).sum();
            Ledger { resource, total, rows }
        })
        .collect()
}

fn rows_of(
    metric: &Metric,
    recording: &Recording,
    passages: &[Passage<'_>],
    findings: &[ScenarioFinding],
    time_driven: &BTreeMap<Metric, Estimate>,
) -> Vec<Row> {
    let plan = &recording.header.plan;
    let mut rows = Vec::new();
    let mut in_time = 0.0;
    for (passage, finding) in passages.iter().zip(findings) {
        let Some(growth) = finding.growth(metric) else { continue };
        if finding.axis() == Axis::Operations && time_driven.contains_key(metric) {
            in_time += measured(metric, passage) - growth.growth();
        }
        let parts = owners::parts(plan, finding, growth, passage.records);
        let whole = Whole::of(&parts, growth, finding);
        rows.extend(parts.into_iter().map(|part| row(plan, finding, growth, part, &whole)));
    }
    if in_time != 0.0 {
        add_growth_in_time(&mut rows, metric, in_time, findings);
    }
    rows.retain(|row| row.growth != 0.0 || row.verdict == Verdict::Unbounded);
    rows
}

/// What a metric rose by in a passage, growth in time included: straight from its floors.
fn measured(metric: &Metric, passage: &Passage<'_>) -> f64 {
    let floors = curve(passage, metric).floors();
    floors.cycles.last().zip(floors.baseline).map_or(0.0, |(last, baseline)| last.value - baseline)
}

/// What the parts of a growth come to.
struct Whole {
    amount: f64,
    /// What the parts without end come to, where the heap tells which these are.
    endless: Option<f64>,
}

impl Whole {
    fn of(parts: &[Part], growth: &Growth, finding: &ScenarioFinding) -> Self {
        let amount: f64 = parts.iter().map(|part| part.amount).sum();
        let endless = |part: &&Part| part.verdict(amount, growth.verdict) == Verdict::Unbounded;
        let seen = growth.metric == Metric::Private && finding.heap.is_some();
        Self { amount, endless: seen.then(|| parts.iter().filter(endless).map(|part| part.amount.max(0.0)).sum()) }
    }

    /// The part's share of the growth per operation. Where the heap tells which parts grow on and which came to rest, those
    /// that grow on share all of it: what came to rest costs no operation anything.
    fn per_op(&self, part: &Part, verdict: Verdict, growth: &Growth) -> Option<Estimate> {
        let share = match self.endless {
            Some(endless) if verdict == Verdict::Unbounded && endless > 0.0 => part.amount / endless,
            _ if self.amount == 0.0 => 1.0,
            _ => part.amount / self.amount,
        };
        let rate = growth.per_op?.scaled(share);
        // A part that is all of it is as sure as the whole.
        let doubt = if share < 1.0 { part.doubt * rate.value.abs() } else { 0.0 };
        Some(Estimate { value: rate.value, low: rate.low - doubt, high: rate.high + doubt })
    }
}

fn row(plan: &Plan, finding: &ScenarioFinding, growth: &Growth, part: Part, whole: &Whole) -> Row {
    let owner = plan.subsystem(&part.owner);
    let verdict = part.verdict(whole.amount, growth.verdict);
    Row {
        metric: growth.metric.clone(),
        scenario: finding.plan.name.clone(),
        growth: part.amount,
        verdict,
        priority: owner.and_then(|owner| owner.priority),
        per_op: whole.per_op(&part, verdict, growth),
        source: part.source.or_else(|| owner.and_then(|owner| owner.source.clone())),
        subsystem: part.owner,
        items: part.items,
        evidence: part.evidence,
    }
}

/// Growth in time that went on under the other scenarios goes to the row of the idle scenario that found it.
fn add_growth_in_time(rows: &mut Vec<Row>, metric: &Metric, amount: f64, findings: &[ScenarioFinding]) {
    let found_by = findings.iter().find(|finding| {
        finding.axis() == Axis::Seconds
            && finding.growth(metric).is_some_and(|growth| growth.verdict == Verdict::Unbounded)
    });
    let Some(finding) = found_by else { return };
    let sentence = format!(
        "time-driven: {} of it rose under the other scenarios, and was taken off their curves",
        metric.unit().show(amount)
    );
    let of_idle = rows.iter_mut().filter(|row| row.scenario == finding.plan.name);
    match of_idle.max_by(|a, b| a.verdict.cmp(&b.verdict).then(a.growth.total_cmp(&b.growth))) {
        Some(row) => {
            row.growth += amount;
            row.evidence.push(sentence);
        }
        None => rows.push(Row {
            subsystem: finding.plan.subsystem.clone().unwrap_or_else(|| UNATTRIBUTED.to_owned()),
            metric: metric.clone(),
            scenario: finding.plan.name.clone(),
            growth: amount,
            verdict: Verdict::Unbounded,
            priority: None,
            source: None,
            per_op: None,
            items: None,
            evidence: vec![sentence],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::owners::Standing;
    use crate::attribution::tests::made_up::{finding, judged};

    #[test]
    fn the_growth_per_operation_is_shared_among_the_parts_that_grow_on() {
        let growth = Growth {
            per_op: Some(Estimate { value: 60.0, low: 50.0, high: 70.0 }),
            ..judged(Metric::Private, Verdict::Unbounded, &[0.0, 120.0])
        };
        let part = |amount: f64| Part { doubt: 0.1, ..Part::new("Queue", amount, Standing::AsTheWhole) };
        let shared = |amount: f64, endless: Option<f64>, of: f64, verdict: Verdict| {
            let found = Whole { amount, endless }.per_op(&part(of), verdict, &growth).expect("a figure");
            [found.low, found.value, found.high].map(|figure| (figure * 1e6).round() / 1e6)
        };
        // A third of the figure, its doubt of a tenth added at both ends.
        let third = [16.666_667 - 2.0, 20.0, 23.333_333 + 2.0].map(|figure: f64| (figure * 1e6).round() / 1e6);
        assert_eq!(shared(120.0, None, 40.0, Verdict::Unbounded), third);
        // Where the heap tells that only half of it grows on, that half shares all of it.
        assert_eq!(shared(240.0, Some(120.0), 40.0, Verdict::Unbounded), third);
        assert_eq!(shared(120.0, Some(60.0), 40.0, Verdict::Bounded), third);
        // What is all of it is as sure as the whole.
        assert_eq!(shared(120.0, None, 120.0, Verdict::Unbounded), [50.0, 60.0, 70.0]);
        assert_eq!(shared(240.0, Some(120.0), 120.0, Verdict::Unbounded), [50.0, 60.0, 70.0]);
        // Nothing that grows on was seen, or nothing at all.
        assert_eq!(shared(120.0, Some(0.0), 40.0, Verdict::Unbounded), third);
        assert_eq!(shared(0.0, None, 0.0, Verdict::Unbounded), [50.0, 60.0, 70.0]);
    }

    #[test]
    fn without_a_heap_nothing_tells_which_parts_of_private_memory_grow_on() {
        let parts = [95.0, 5.0].map(|amount| Part::new("Pool", amount, Standing::AsTheWhole));
        let endless = |metric: Metric| {
            Whole::of(&parts, &judged(metric, Verdict::Unbounded, &[0.0, 100.0]), &finding(Vec::new())).endless
        };
        assert_eq!([Metric::Private, Metric::Threads].map(endless), [None, None], "its heap was not sampled");
    }

    #[test]
    fn resources_have_their_metrics_units_and_names() {
        let all = Resource::ALL.map(|resource| (resource.name(), resource.unit(), resource.metrics().len()));
        let expected = [
            ("memory", Unit::Bytes, 2),
            ("descriptors", Unit::Count, 1),
            ("threads", Unit::Count, 1),
            ("processes", Unit::Count, 3),
            ("peak memory", Unit::Bytes, 1),
        ];
        assert_eq!(all, expected);
        let mut of_all: Vec<&Metric> = Resource::ALL.iter().flat_map(|resource| resource.metrics()).collect();
        let mut gated: Vec<&Metric> = Metric::GATED.iter().collect();
        of_all.sort_unstable();
        gated.sort_unstable();
        assert_eq!(of_all, gated, "each gated metric has one ledger");
    }
}
