//! What each finding comes to at the gate.

mod ends;

use super::{Gate, Standing, apply};
use crate::attribution::{Findings, Ledger, Resource, Row, ScenarioFinding};
use crate::exit::ExitCode;
use crate::growth::{Axis, Estimate, Floor, Growth, Verdict};
use crate::sample::{Inconclusive, Metric, Plan, ScenarioPlan, Shape, Smallest, Stop, Tally, Usual};

fn estimate(low: f64, value: f64, high: f64) -> Estimate {
    Estimate { value, low, high }
}

fn growth(metric: Metric, verdict: Verdict) -> Growth {
    Growth {
        metric,
        axis: Axis::Operations,
        verdict,
        suspected: false,
        decided_at: Some(22),
        per_op: Some(estimate(50.0, 60.0, 70.0)),
        window: None,
        per_hour: Some(estimate(5e5, 6e5, 7e5)),
        baseline: 1000.0,
        last: 3000.0,
        highest: 4000.0,
        sensitivity: None,
        more_cycles: None,
        since: None,
        reason: "the reason of the judge".into(),
        floors: vec![Floor { cycle: 1, t: 1.0, x: 100.0, value: 3000.0 }],
    }
}

fn finding(name: &str, growths: Vec<Growth>) -> ScenarioFinding {
    let plan = ScenarioPlan {
        name: name.into(),
        shape: Shape::Flood,
        subsystem: None,
        steps: Vec::new(),
        load: crate::sample::LoadPlan::default(),
        smallest: Smallest::PER_OPERATION,
        usual: Usual::default(),
        expect_cap: None,
        thresholds: Vec::new(),
        production: Vec::new(),
    };
    ScenarioFinding {
        heap: None,
        plan,
        growths,
        activity: crate::growth::Activity::default(),
        stop: Some(Stop::Spent),
        tally: Tally::default(),
        cycles: 33,
        operations: 3300,
        ending: None,
    }
}

/// Every gated metric at rest, but this one.
fn all_but(metric: Metric, verdict: Verdict) -> ScenarioFinding {
    let of = |gated: &Metric| if *gated == metric { verdict } else { Verdict::Flat };
    finding("flood", Metric::GATED.iter().map(|gated| growth(gated.clone(), of(gated))).collect())
}

fn at_rest() -> ScenarioFinding {
    all_but(Metric::Private, Verdict::Flat)
}

fn findings(scenarios: Vec<ScenarioFinding>) -> Findings {
    Findings { scenarios, ledgers: Vec::new(), missing: std::collections::BTreeMap::new(), no_heap: Vec::new() }
}

/// A plan that is no more than these scenarios.
fn plan(findings: &Findings, thresholds: &[&str], inconclusive: Inconclusive) -> Plan {
    Plan {
        scenarios: findings.scenarios.iter().map(|scenario| scenario.plan.clone()).collect(),
        thresholds: thresholds.iter().map(|text| (*text).to_owned()).collect(),
        inconclusive,
        ..Plan::default()
    }
}

fn gate(scenarios: Vec<ScenarioFinding>, thresholds: &[&str]) -> Gate {
    let findings = findings(scenarios);
    apply(&plan(&findings, thresholds, Inconclusive::Fails), &findings)
}

fn standings(gate: &Gate) -> Vec<Standing> {
    gate.checks.iter().map(|check| check.standing).collect()
}

#[test]
fn the_default_gate_turns_each_verdict_into_a_standing_and_a_code() {
    for (verdict, standing, exit) in [
        (Verdict::Flat, Standing::Held, ExitCode::Held),
        (Verdict::Bounded, Standing::Held, ExitCode::Held),
        (Verdict::Inconclusive, Standing::Undecided, ExitCode::Inconclusive),
        (Verdict::Unbounded, Standing::Crossed, ExitCode::Crossed),
    ] {
        for metric in Metric::GATED {
            let gate = gate(vec![all_but(metric.clone(), verdict)], &[]);
            assert_eq!(gate.exit, exit, "{metric} {verdict:?}");
            assert_eq!(gate.checks.len(), Metric::GATED.len());
            for check in &gate.checks {
                let expected = if check.metric == metric { standing } else { Standing::Held };
                assert_eq!(check.standing, expected, "{metric} {verdict:?}");
                assert_eq!(
                    (check.scenario.as_str(), &check.expression),
                    ("flood", &format!("{} != unbounded", check.metric))
                );
            }
            assert!(gate.problems.is_empty());
        }
    }
}

#[test]
fn what_is_not_gated_by_default_crosses_nothing() {
    let mut rest = at_rest();
    rest.growths.push(growth(Metric::Rss, Verdict::Unbounded));
    rest.growths.push(growth(Metric::Tasks, Verdict::Inconclusive));
    assert_eq!(gate(vec![rest.clone()], &[]).exit, ExitCode::Held);
    let asked = gate(vec![rest], &["rss != unbounded"]);
    assert_eq!((asked.exit, asked.checks.len()), (ExitCode::Crossed, 1));
}

#[test]
fn a_check_tells_what_was_seen() {
    let seen = |verdict| gate(vec![all_but(Metric::Private, verdict)], &[]).checks[0].observed.clone();
    assert_eq!(seen(Verdict::Bounded), "the reason of the judge");
    assert_eq!(seen(Verdict::Inconclusive), "the reason of the judge");
    assert_eq!(seen(Verdict::Unbounded), "private memory grew by 1.95 KiB, 60 B an operation (50 B to 70 B)");
    let mut idle = all_but(Metric::Private, Verdict::Unbounded);
    idle.plan.shape = Shape::Idle;
    assert!(gate(vec![idle], &[]).checks[0].observed.contains("60 B a second"));
}

#[test]
fn a_figure_holds_by_its_upper_end_and_is_crossed_by_its_lower() {
    use Standing::{Crossed, Held, Undecided};
    for (threshold, standing) in [
        ("private.per_op < 71B", Held),
        ("private.per_op < 70B", Undecided),
        ("private.per_op <= 70B", Held),
        ("private.per_op < 60B", Undecided),
        ("private.per_op <= 50B", Undecided),
        ("private.per_op < 50B", Crossed),
        ("private.per_op <= 49B", Crossed),
        ("private.per_hour < 700001B", Held),
        ("private.per_hour < 600000B", Undecided),
        ("private.per_hour < 500000B", Crossed),
        ("private.growth < 2001B", Held),
        ("private.growth <= 2000B", Held),
        ("private.growth < 2000B", Crossed),
        ("private.final <= 3000B", Held),
        ("private.final <= 2999B", Crossed),
        ("private.peak <= 4000B", Held),
        ("private.peak <= 3999B", Crossed),
        ("fds.growth <= 2000", Held),
        ("fds.growth <= 1999", Crossed),
    ] {
        // A figure stands whatever the verdict is.
        for verdict in [Verdict::Flat, Verdict::Inconclusive, Verdict::Unbounded] {
            let growths = vec![growth(Metric::Private, verdict), growth(Metric::Fds, verdict)];
            let gate = gate(vec![finding("flood", growths)], &[threshold]);
            assert_eq!(standings(&gate), [standing], "{threshold}: {}", gate.checks[0].observed);
            let exit = match standing {
                Held => ExitCode::Held,
                Crossed => ExitCode::Crossed,
                Undecided => ExitCode::Inconclusive,
            };
            assert_eq!(gate.exit, exit, "{threshold}");
        }
    }
}

#[test]
fn a_figure_that_is_not_known_is_undecided() {
    let mut short = growth(Metric::Private, Verdict::Inconclusive);
    (short.per_op, short.per_hour) = (None, None);
    let gate = gate(vec![finding("flood", vec![short])], &["private.per_op < 64B", "private.per_hour < 1GiB"]);
    assert_eq!(standings(&gate), [Standing::Undecided; 2]);
    assert_eq!(gate.checks[0].observed, "private.per_op is not known: too few cycles");
    assert_eq!(gate.exit, ExitCode::Inconclusive);
}

#[test]
fn what_was_not_seen_is_undecided_with_its_reason() {
    let mut empty = growth(Metric::Threads, Verdict::Flat);
    empty.floors.clear();
    empty.reason = "no cycle was finished".into();
    let mut seen = findings(vec![finding("flood", vec![empty])]);
    seen.missing.insert(Metric::Fds, "permission denied reading /proc/7/fd".into());
    let thresholds = ["fds != unbounded", "fds.growth <= 2", "zombies.final <= 0", "threads.growth <= 9"];
    let gate = apply(&plan(&seen, &thresholds, Inconclusive::Fails), &seen);
    assert_eq!(standings(&gate), [Standing::Undecided; 4]);
    let observed: Vec<&str> = gate.checks.iter().map(|check| check.observed.as_str()).collect();
    let denied = "descriptors: permission denied reading /proc/7/fd";
    assert_eq!(observed, [denied, denied, "zombies was never read in this scenario", "no cycle was finished"]);
    assert_eq!(gate.exit, ExitCode::Inconclusive);
}

#[test]
fn thresholds_of_the_file_and_of_the_scenario_count_together() {
    let mut own = at_rest();
    own.plan.thresholds = vec!["fds.growth <= 2".into()];
    let gate = gate(
        vec![own, ScenarioFinding { plan: finding("other", Vec::new()).plan, ..at_rest() }],
        &["private.per_op < 1KiB"],
    );
    let checks: Vec<_> = gate.checks.iter().map(|check| (check.scenario.as_str(), check.expression.as_str())).collect();
    let all = "private.per_op < 1 KiB";
    assert_eq!(checks, [("flood", all), ("flood", "fds.growth <= 2"), ("other", all)]);
    assert_eq!(standings(&gate), [Standing::Held, Standing::Crossed, Standing::Held]);
}

#[test]
fn inconclusive_passes_where_that_was_asked_and_stays_undecided() {
    for (verdict, exit) in [(Verdict::Inconclusive, ExitCode::Held), (Verdict::Unbounded, ExitCode::Crossed)] {
        let findings = findings(vec![all_but(Metric::Fds, verdict)]);
        let gate = apply(&plan(&findings, &[], Inconclusive::Passes), &findings);
        assert_eq!(gate.exit, exit);
        assert!(!gate.checks.iter().all(|check| check.standing == Standing::Held));
    }
}

#[test]
fn what_is_crossed_names_its_owner_and_the_evidence() {
    let row = |subsystem: &str, metric, scenario: &str, source: Option<&str>| Row {
        subsystem: subsystem.into(),
        metric,
        scenario: scenario.into(),
        growth: 2000.0,
        verdict: Verdict::Unbounded,
        priority: None,
        source: source.map(str::to_owned),
        per_op: None,
        items: None,
        evidence: vec![format!("{subsystem} speaks")],
    };
    let rows = vec![
        row("Queue", Metric::Private, "flood", Some("src/queue.rs")),
        row("Cache", Metric::Private, "flood", None),
        row("Shm", Metric::Shared, "flood", None),
        row("Else", Metric::Private, "other", None),
    ];
    let mut seen = findings(vec![all_but(Metric::Private, Verdict::Unbounded)]);
    seen.ledgers = vec![Ledger { resource: Resource::Memory, rows, total: 8000.0 }];
    let gate = apply(&plan(&seen, &[], Inconclusive::Fails), &seen);
    assert_eq!(gate.checks[0].evidence, ["Queue (src/queue.rs)", "Queue speaks", "Cache", "Cache speaks"]);
    assert!(gate.checks[1..].iter().all(|check| check.evidence.is_empty()));
}
