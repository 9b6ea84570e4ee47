//! `summary.json`: what came out, for machines. The form is `tidewatch-summary/1`; `docs/summary.schema.json`
//! describes it. Fields are only ever added to it.

mod heap;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub use self::heap::HeapSummary;
use super::limits::LimitTime;
use super::{Report, story};
use crate::attribution::{Row, ScenarioFinding};
use crate::exit::ExitCode;
use crate::gate::{Check, Standing};
use crate::growth::{Axis, Estimate, Floor, Growth, Verdict, Window};
use crate::recording::{Host, Mode, Overhead};
use crate::sample::{Ending, Metric, Priority, Shape, Stop, Tally};
use crate::units::Unit;

/// The name of the form.
pub const FORMAT: &str = "tidewatch-summary/1";

/// What came out of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Always `FORMAT`.
    pub format: &'static str,
    /// `pass`, `fail`, `inconclusive` or `error`.
    pub outcome: Outcome,
    /// The code that the run exits with.
    pub exit_code: u8,
    /// What came out, in one sentence.
    pub headline: String,
    /// Version of tidewatch that recorded it.
    pub tidewatch: String,
    /// When the run began, RFC 3339 in UTC.
    pub started: String,
    /// What was watched.
    pub target: Target,
    /// The machine.
    pub host: Host,
    /// Each scenario in the order in which it ran.
    pub scenarios: Vec<Scenario>,
    /// What grew, by subsystem.
    pub ledger: Vec<LedgerRow>,
    /// What each ledger sums to.
    pub totals: Vec<Total>,
    /// Every threshold on every scenario.
    pub thresholds: Vec<Threshold>,
    /// What went wrong besides growth.
    pub problems: Vec<String>,
    /// When growth without end meets a limit.
    pub time_to_limit: Vec<LimitTime>,
    /// Numbers that could not be read, with the reason.
    pub missing: BTreeMap<Metric, String>,
    /// Why the heap of a process was not sampled though that was asked for.
    pub no_heap: Vec<String>,
    /// What the reader of the recording had to drop or repair.
    pub remarks: Vec<String>,
    /// What watching cost; null when the recording was not finished.
    pub overhead: Option<OverheadSummary>,
}

/// How a run came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every threshold held.
    Pass,
    /// Growth crossed a threshold.
    Fail,
    /// The run could not decide.
    Inconclusive,
    /// The run could not be finished.
    Error,
}

impl From<ExitCode> for Outcome {
    fn from(exit: ExitCode) -> Self {
        match exit {
            ExitCode::Held => Self::Pass,
            ExitCode::Crossed => Self::Fail,
            ExitCode::Inconclusive => Self::Inconclusive,
            ExitCode::Usage | ExitCode::Target | ExitCode::Interrupted => Self::Error,
        }
    }
}

/// What was watched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// The name of the run.
    pub name: String,
    /// How the run was asked for.
    pub mode: Mode,
    /// Whether tidewatch launched it.
    pub launched: bool,
    /// Each process that was watched as a target, in order.
    pub processes: Vec<TargetProcess>,
    /// The memory limit reported against, in bytes.
    pub memory_limit: Option<u64>,
    /// Seed of everything random in the run.
    pub seed: u64,
}

/// A process that was watched as a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetProcess {
    /// `PID@START`.
    pub process: String,
    /// Its command line: untrusted text.
    pub command: Vec<String>,
    /// How it ended; null when it was alive at the end of the recording.
    pub ending: Option<Ending>,
}

/// One scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The subsystem that it drives.
    pub subsystem: Option<String>,
    /// How it loads.
    pub shape: Shape,
    /// Cycles that were finished.
    pub cycles: u32,
    /// Operations that were completed.
    pub operations: u64,
    /// Every metric that was seen.
    pub verdicts: Vec<Judgement>,
    /// Why it stopped; null when the recording was cut.
    pub stop: Option<Stop>,
    /// What its operations came to.
    pub tally: Tally,
    /// How the target ended, when it ended under the scenario.
    pub ending: Option<Ending>,
    /// Whose live heap bytes grew; null where the heap was not sampled.
    pub heap: Option<HeapSummary>,
}

/// The verdict on one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The metric.
    pub metric: Metric,
    /// `bytes` or `count`.
    pub unit: Unit,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether growth was suspected and not confirmed.
    pub suspected: bool,
    /// The cycle at which the verdict stood.
    pub decided_at: Option<u32>,
    /// Growth per operation, or per second where nothing is driven.
    pub per_op: Option<Estimate>,
    /// The cycles over which `per_op` was taken.
    pub window: Option<JudgedWindow>,
    /// Growth per hour at the pace of the run.
    pub per_hour: Option<Estimate>,
    /// Rise from before the first operation to the last floor.
    #[serde(serialize_with = "finite")]
    pub growth: f64,
    /// The last floor.
    #[serde(serialize_with = "finite", rename = "final")]
    pub last: f64,
    /// The highest value.
    #[serde(serialize_with = "finite")]
    pub peak: f64,
    /// The smallest growth that this run finds with 90 % power.
    pub sensitivity: Option<f64>,
    /// How many more cycles would decide.
    pub more_cycles: Option<u32>,
    /// About how many seconds these take.
    pub more_seconds: Option<f64>,
    /// Why.
    pub reason: String,
}

/// Where in the recording a figure comes from: from one floor to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct JudgedWindow {
    /// The cycle of the first floor.
    pub first_cycle: u32,
    /// The cycle of the last floor.
    pub last_cycle: u32,
    /// When the first was, in seconds of the recording.
    pub from_s: f64,
    /// When the last was.
    pub to_s: f64,
    /// Operations at the first; null where nothing is driven.
    pub from_operations: Option<u64>,
    /// Operations at the last.
    pub to_operations: Option<u64>,
}

impl JudgedWindow {
    fn of(growth: &Growth) -> Option<Self> {
        let Window { first, last } = growth.window?;
        let operations = |floor: Floor| match growth.axis {
            Axis::Operations => Some(floor.x as u64),
            Axis::Seconds => None,
        };
        Some(Self {
            first_cycle: first.cycle,
            last_cycle: last.cycle,
            from_s: first.t,
            to_s: last.t,
            from_operations: operations(first),
            to_operations: operations(last),
        })
    }
}

/// One increment and its owner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerRow {
    /// The owner.
    pub subsystem: String,
    /// Of which metric.
    pub metric: Metric,
    /// The scenario that showed it.
    pub scenario: String,
    /// How much, in the metric's unit.
    #[serde(serialize_with = "finite")]
    pub growth: f64,
    /// Whether it ends.
    pub verdict: Verdict,
    /// How soon it should be fixed.
    pub priority: Option<Priority>,
    /// Where its code is.
    pub source: Option<String>,
    /// Growth per operation.
    pub per_op: Option<Estimate>,
    /// What is counted, how many more there are, and how much one costs.
    pub items: Option<serde_json::Value>,
    /// What speaks for it.
    pub evidence: Vec<String>,
}

/// What a ledger sums to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Total {
    /// The resource.
    pub resource: &'static str,
    /// The growth that was measured, all scenarios together.
    #[serde(serialize_with = "finite")]
    pub growth: f64,
}

/// One threshold on one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// The threshold.
    pub expression: String,
    /// The scenario.
    pub scenario: String,
    /// The metric.
    pub metric: Metric,
    /// Whether it holds; null when the run could not tell.
    pub held: Option<bool>,
    /// What was seen.
    pub observed: String,
    /// For a crossed one: where, and what speaks for it.
    pub evidence: Vec<String>,
}

/// What watching cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverheadSummary {
    /// The figures as recorded.
    #[serde(flatten)]
    pub recorded: Overhead,
    /// Processor time of tidewatch over wall time.
    pub cpu_share: Option<f64>,
    /// Time of one fast sample in microseconds.
    pub fast_sample_us: Option<f64>,
    /// Share of wall time in expensive reads.
    pub expensive_share: Option<f64>,
}

impl From<&Overhead> for OverheadSummary {
    fn from(recorded: &Overhead) -> Self {
        let over = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            cpu_share: over(recorded.cpu_us, recorded.wall_us),
            fast_sample_us: over(recorded.fast_us, recorded.ticks),
            expensive_share: over(recorded.expensive_us, recorded.wall_us),
            recorded: recorded.clone(),
        }
    }
}

/// JSON has no infinity and no NaN; what is none is null, not zero.
pub(super) fn finite<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    value.is_finite().then_some(*value).serialize(serializer)
}

impl Summary {
    pub(super) fn of(report: &Report) -> Self {
        let Report { recording, findings, gate } = report;
        let header = &recording.header;
        Self {
            format: FORMAT,
            outcome: gate.exit.into(),
            exit_code: gate.exit.code(),
            headline: story::headline(&header.plan, findings, gate),
            tidewatch: header.tidewatch.clone(),
            started: header.started.clone(),
            target: target(report),
            host: header.host.clone(),
            scenarios: findings.scenarios.iter().map(scenario).collect(),
            ledger: findings.ledgers.iter().flat_map(|ledger| &ledger.rows).map(ledger_row).collect(),
            totals: findings
                .ledgers
                .iter()
                .map(|ledger| Total { resource: ledger.resource.name(), growth: ledger.total })
                .collect(),
            thresholds: gate.checks.iter().map(threshold).collect(),
            problems: gate.problems.clone(),
            time_to_limit: super::limits::of(recording, findings),
            missing: findings.missing.clone(),
            no_heap: findings.no_heap.clone(),
            remarks: recording.remarks.clone(),
            overhead: recording.footer.as_ref().map(|footer| (&footer.overhead).into()),
        }
    }
}

fn target(report: &Report) -> Target {
    let header = &report.recording.header;
    let process = |target: crate::recording::Target<'_>| TargetProcess {
        process: target.process.to_string(),
        command: target.command.to_vec(),
        ending: target.ended.map(|(_, ending)| ending.clone()),
    };
    Target {
        name: header.plan.name.clone(),
        mode: header.mode,
        launched: header.launched,
        processes: report.recording.targets().into_iter().map(process).collect(),
        memory_limit: header.plan.memory_limit,
        seed: header.plan.seed,
    }
}

fn scenario(finding: &ScenarioFinding) -> Scenario {
    Scenario {
        name: finding.plan.name.clone(),
        subsystem: finding.plan.subsystem.clone(),
        shape: finding.plan.shape,
        cycles: finding.cycles,
        operations: finding.operations,
        verdicts: finding.growths.iter().map(|growth| judgement(finding, growth)).collect(),
        stop: finding.stop.clone(),
        tally: finding.tally.clone(),
        ending: finding.ending.clone(),
        heap: finding.heap.as_ref().map(|heap| HeapSummary::of(finding, heap)),
    }
}

pub(super) fn judgement(finding: &ScenarioFinding, growth: &Growth) -> Judgement {
    Judgement {
        metric: growth.metric.clone(),
        unit: growth.metric.unit(),
        verdict: growth.verdict,
        suspected: growth.suspected,
        decided_at: growth.decided_at,
        per_op: growth.per_op.filter(is_finite),
        window: JudgedWindow::of(growth),
        per_hour: growth.per_hour.filter(is_finite),
        growth: growth.growth(),
        last: growth.last,
        peak: growth.highest,
        sensitivity: growth.sensitivity.filter(|figure| figure.is_finite()),
        more_cycles: growth.more_cycles,
        more_seconds: super::more::seconds(finding, growth).filter(|seconds| seconds.is_finite()),
        reason: growth.reason.clone(),
    }
}

pub(super) fn is_finite(estimate: &Estimate) -> bool {
    estimate.value.is_finite() && estimate.low.is_finite() && estimate.high.is_finite()
}

fn ledger_row(row: &Row) -> LedgerRow {
    LedgerRow {
        subsystem: row.subsystem.clone(),
        metric: row.metric.clone(),
        scenario: row.scenario.clone(),
        growth: row.growth,
        verdict: row.verdict,
        priority: row.priority,
        source: row.source.clone(),
        per_op: row.per_op.filter(is_finite),
        items: row.items.as_ref().and_then(|items| serde_json::to_value(items).ok()),
        evidence: row.evidence.clone(),
    }
}

fn threshold(check: &Check) -> Threshold {
    Threshold {
        expression: check.expression.clone(),
        scenario: check.scenario.clone(),
        metric: check.metric.clone(),
        held: match check.standing {
            Standing::Held => Some(true),
            Standing::Crossed => Some(false),
            Standing::Undecided => None,
        },
        observed: check.observed.clone(),
        evidence: check.evidence.clone(),
    }
}
