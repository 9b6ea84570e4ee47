//! Thresholds applied to findings.

use serde::{Deserialize, Serialize};

use super::threshold::{Comparison, Demand, Statistic, Threshold};
use crate::attribution::{Findings, Row, ScenarioFinding};
use crate::exit::ExitCode;
use crate::growth::{Axis, Growth, Verdict};
use crate::sample::{Inconclusive, Metric, Plan, Shape, Stop};
use crate::units::Unit;

/// Whether a threshold holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It holds.
    Held,
    /// It is crossed.
    Crossed,
    /// The run cannot tell.
    Undecided,
}

/// One threshold on one scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The scenario.
    pub scenario: String,
    /// The metric.
    pub metric: Metric,
    /// The threshold.
    pub expression: String,
    /// Whether it holds.
    pub standing: Standing,
    /// What was seen, in one line.
    pub observed: String,
    /// For a crossed one: where, and what speaks for it.
    pub evidence: Vec<String>,
}

/// All thresholds on all scenarios, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Every check in the order of scenarios.
    pub checks: Vec<Check>,
    /// What went wrong besides growth: the target died, could not be driven, was interrupted.
    pub problems: Vec<String>,
    /// The code that this run exits with.
    pub exit: ExitCode,
}

/// Applies the plan's thresholds, or the default gate where it has none.
pub fn apply(plan: &Plan, findings: &Findings) -> Gate {
    let mut checks = Vec::new();
    let mut problems = Vec::new();
    let mut exit = ExitCode::Held;
    for finding in &findings.scenarios {
        for threshold in thresholds(plan, finding) {
            let check = check(&threshold, finding, findings);
            exit = exit.or(match check.standing {
                Standing::Held => ExitCode::Held,
                Standing::Crossed => ExitCode::Crossed,
                Standing::Undecided if plan.inconclusive == Inconclusive::Passes => ExitCode::Held,
                Standing::Undecided => ExitCode::Inconclusive,
            });
            checks.push(check);
        }
        if let Some((code, problem)) = problem(finding) {
            exit = exit.or(code);
            problems.push(problem);
        }
    }
    if findings.scenarios.is_empty() {
        exit = exit.or(ExitCode::Target);
        problems.push("nothing was recorded: the run ended before its first scenario".into());
    } else {
        for name in never_begun(plan, findings) {
            exit = exit.or(ExitCode::Inconclusive);
            problems.push(format!("scenario {name} was not run: the run was over before it"));
        }
    }
    Gate { checks, problems, exit }
}

/// The scenarios that were planned and of which nothing is known.
fn never_begun<'a>(plan: &'a Plan, findings: &'a Findings) -> impl Iterator<Item = &'a str> {
    let names = plan.scenarios.iter().map(|scenario| scenario.name.as_str());
    names.filter(|name| findings.scenarios.iter().all(|finding| finding.plan.name != *name))
}

fn thresholds(plan: &Plan, finding: &ScenarioFinding) -> Vec<Threshold> {
    // The command line and the file's reader have refused what does not parse.
    let mut all: Vec<Threshold> =
        plan.thresholds.iter().chain(&finding.plan.thresholds).filter_map(|text| text.parse().ok()).collect();
    if all.is_empty() {
        all = Metric::GATED.map(|metric| Threshold { metric, demand: Demand::NotUnbounded }).to_vec();
    }
    all
}

fn check(threshold: &Threshold, finding: &ScenarioFinding, findings: &Findings) -> Check {
    let growth = finding.growth(&threshold.metric);
    let (standing, observed) = match growth {
        Some(growth) if growth.floors.is_empty() => (Standing::Undecided, growth.reason.clone()),
        Some(growth) => match threshold.demand {
            Demand::NotUnbounded => verdict(growth, finding.axis()),
            Demand::Figure { statistic, comparison, value } => figure(growth, statistic, comparison, value),
        },
        None => (Standing::Undecided, not_seen(&threshold.metric, findings)),
    };
    let (standing, observed) = match (standing, finding.says_nothing()) {
        (Standing::Held, Some(why)) => (Standing::Undecided, why),
        _ => (standing, observed),
    };
    let evidence = match standing {
        Standing::Crossed => evidence(&threshold.metric, finding, findings),
        Standing::Held | Standing::Undecided => Vec::new(),
    };
    Check {
        scenario: finding.plan.name.clone(),
        metric: threshold.metric.clone(),
        expression: threshold.to_string(),
        standing,
        observed,
        evidence,
    }
}

fn not_seen(metric: &Metric, findings: &Findings) -> String {
    match findings.missing.get(metric) {
        Some(reason) => format!("{}: {reason}", metric.noun()),
        None => format!("{} was never read in this scenario", metric.noun()),
    }
}

fn verdict(growth: &Growth, axis: Axis) -> (Standing, String) {
    let unit = growth.metric.unit();
    match growth.verdict {
        Verdict::Flat | Verdict::Bounded | Verdict::Retained => (Standing::Held, growth.reason.clone()),
        Verdict::Inconclusive => (Standing::Undecided, growth.reason.clone()),
        Verdict::Unbounded => {
            let rate = growth.per_op.map_or_else(String::new, |rate| {
                format!(
                    ", {} {} ({} to {})",
                    unit.show(rate.value),
                    per(axis),
                    unit.show(rate.low),
                    unit.show(rate.high)
                )
            });
            (Standing::Crossed, format!("{} grew by {}{rate}", growth.metric.noun(), unit.show(growth.growth())))
        }
    }
}

/// `an operation` or `a second`.
pub(crate) fn per(axis: Axis) -> &'static str {
    match axis {
        Axis::Operations => "an operation",
        Axis::Seconds => "a second",
    }
}

fn figure(growth: &Growth, statistic: Statistic, comparison: Comparison, value: f64) -> (Standing, String) {
    let unit = growth.metric.unit();
    let exact = |figure: f64| (Some((figure, figure)), unit.show(figure));
    let (interval, shown) = match statistic {
        Statistic::Growth => exact(growth.growth()),
        Statistic::Peak => exact(growth.highest),
        Statistic::Final => exact(growth.last),
        Statistic::PerOp => estimate(growth.per_op, unit),
        Statistic::PerHour => estimate(growth.per_hour, unit),
    };
    let standing = match interval {
        Some((_, high)) if comparison.holds(high, value) => Standing::Held,
        Some((low, _)) if !comparison.holds(low, value) => Standing::Crossed,
        _ => Standing::Undecided,
    };
    (standing, format!("{}.{} is {shown}", growth.metric, statistic.name()))
}

fn estimate(estimate: Option<crate::growth::Estimate>, unit: Unit) -> (Option<(f64, f64)>, String) {
    match estimate {
        Some(e) => {
            let shown = format!("{} ({} to {})", unit.show(e.value), unit.show(e.low), unit.show(e.high));
            (Some((e.low, e.high)), shown)
        }
        None => (None, "not known: too few cycles".into()),
    }
}

fn evidence(metric: &Metric, finding: &ScenarioFinding, findings: &Findings) -> Vec<String> {
    let rows = findings.ledgers.iter().flat_map(|ledger| &ledger.rows);
    rows.filter(|row| row.scenario == finding.plan.name && row.metric == *metric).flat_map(owner_and_evidence).collect()
}

fn owner_and_evidence(row: &Row) -> Vec<String> {
    let place = row.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    std::iter::once(format!("{}{place}", row.subsystem)).chain(row.evidence.iter().cloned()).collect()
}

fn problem(finding: &ScenarioFinding) -> Option<(ExitCode, String)> {
    let name = &finding.plan.name;
    let ended = || finding.ending.as_ref().map(|ending| ending.evidence.join("; ")).unwrap_or_default();
    let Some(stop) = &finding.stop else {
        let cut = format!("scenario {name} was cut: tidewatch was ended, or is still running");
        return Some((ExitCode::Inconclusive, cut));
    };
    match stop {
        Stop::Decided | Stop::Spent | Stop::OutOfTime => None,
        Stop::Errors => Some((ExitCode::Target, format!("scenario {name} stopped: {}", first_errors(finding)))),
        // A watched program that ends by itself is no failure of the watch; how it ended is in the report.
        Stop::TargetEnded if matches!(finding.plan.shape, Shape::Watch | Shape::Counted) && ended_well(finding) => None,
        Stop::TargetEnded => Some((ExitCode::Target, format!("the target ended during {name}: {}", ended()))),
        Stop::Failed { reason } => Some((ExitCode::Target, format!("scenario {name} could not go on: {reason}"))),
        Stop::Interrupted => Some((ExitCode::Interrupted, format!("interrupted during {name}"))),
    }
}

fn ended_well(finding: &ScenarioFinding) -> bool {
    use crate::sample::How;
    finding.ending.as_ref().is_none_or(|ending| matches!(ending.how, How::Exited(0) | How::Unknown) || ending.expected)
}

fn first_errors(finding: &ScenarioFinding) -> String {
    let tally = &finding.tally;
    let kinds: Vec<String> = tally
        .unexpected
        .iter()
        .map(|(kind, count)| match tally.first_of_kind.get(kind) {
            Some(first) => format!("{count} x {kind} (the first: {first})"),
            None => format!("{count} x {kind}"),
        })
        .collect();
    format!("{} of {} answers were not expected: {}", tally.unexpected_total(), tally.tried(), kinds.join("; "))
}
