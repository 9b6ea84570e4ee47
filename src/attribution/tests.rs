//! Owners of made-up leaks, as the real judge sees them.

mod gauges;
mod heap;
mod kinds;
pub(crate) mod made_up;
mod owned;
mod parts;
mod remarks;
mod sums;

use made_up::{Level, MIB, Run, Story, gauges, plan, quiet, scenario, subsystem};

use super::{Findings, Ledger, Resource, Row, UNATTRIBUTED};
use crate::growth::{Axis, Verdict};
use crate::recording::Recording;
use crate::sample::*;

const CYCLES: u32 = 33;
const PER_CYCLE: u64 = 700;
const FROM_5432: &str = "ESTABLISHED to 127.0.0.1:5432";

/// Findings of one flood over a target at this level.
fn flood(subsystems: Vec<Subsystem>, driven: Option<&str>, level: impl Fn(f64) -> Level) -> Findings {
    Findings::of(&flooded(subsystems, driven, level))
}

fn flooded(subsystems: Vec<Subsystem>, driven: Option<&str>, level: impl Fn(f64) -> Level) -> Recording {
    let mut story = Story::new(plan(subsystems, vec![scenario("flood", Shape::Flood, driven)]));
    story.scenario(&Run::of("flood", CYCLES, PER_CYCLE), |n, _| level(n));
    story.finish()
}

/// What is known of a heap that only fragments.
pub(super) fn heap_at_rest() -> super::HeapFinding {
    let findings = Findings::of(&heap::recorded(Vec::new(), heap::fragmenting));
    findings.scenarios[0].heap.clone().expect("the heap was sampled")
}

fn leak(bytes: f64, n: f64, gauges: &[(&'static str, f64)]) -> Level {
    Level { private: Some(20.0 * MIB + bytes * n), gauges: gauges.to_vec(), ..quiet() }
}

fn ledger(findings: &Findings, resource: Resource) -> &Ledger {
    findings.ledgers.iter().find(|ledger| ledger.resource == resource).expect("a ledger for each resource")
}

/// The only row that grows without end, over all resources.
fn guilty(findings: &Findings) -> &Row {
    let rows: Vec<&Row> = findings.unbounded_rows().collect();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows[0]
}

#[track_caller]
fn near(value: f64, truth: f64, share: f64) {
    assert!((value - truth).abs() <= share * truth.abs(), "{value} is not {truth}");
}

#[test]
fn a_leak_is_named_by_the_subsystem_that_its_scenario_drives() {
    let subsystems = || vec![subsystem("Other", gauges("other_items")), subsystem("Queue", SubsystemRules::default())];
    let findings = flood(subsystems(), Some("Queue"), |n| leak(512.0, n, &[]));
    let row = guilty(&findings);
    assert_eq!((row.subsystem.as_str(), &row.metric, row.scenario.as_str()), ("Queue", &Metric::Private, "flood"));
    assert_eq!((row.priority, row.source.as_deref()), (Some(Priority::P1), Some("src/queue.rs")));
    assert!(row.evidence.iter().any(|sentence| sentence == "scenario flood drives it"), "{row:#?}");
    near(row.per_op.expect("a figure").value, 512.0, 0.02);
    let items = row.items.as_ref().expect("operations are counted");
    assert_eq!((items.of.as_str(), items.count), ("operations", findings.scenarios[0].operations as f64));
    near(items.each, 512.0, 0.02);
}

#[test]
fn a_leak_is_named_by_the_single_gauge_that_grows_with_it() {
    for rule in ["queue_items", "queue_*"] {
        let subsystems = vec![subsystem("Idle", gauges("idle_items")), subsystem("Queue", gauges(rule))];
        for driven in [None, Some("Idle")] {
            let level = |n: f64| leak(3.0 * 700.0, n, &[("queue_items", 40.0 + 3.0 * n), ("idle_items", 7.0)]);
            let findings = flood(subsystems.clone(), driven, level);
            let row = guilty(&findings);
            assert_eq!(row.subsystem, "Queue", "{rule} {driven:?}");
            let items = row.items.as_ref().expect("items");
            assert_eq!(items.of, "queue_items");
            near(items.each, 700.0, 0.02);
            near(items.count, 3.0 * findings.scenarios[0].operations as f64, 0.05);
            near(items.count * items.each, row.growth, 0.05);
            assert!(row.evidence.iter().any(|sentence| sentence.starts_with("gauge queue_items rose by")), "{row:#?}");
            assert!(!row.evidence.iter().any(|sentence| sentence.contains("drives it")), "{row:#?}");
        }
    }
}

#[test]
fn a_gauge_that_fills_up_is_not_the_owner_of_a_leak() {
    let subsystems = vec![subsystem("Ring", gauges("ring_items"))];
    let findings = flood(subsystems, None, |n| leak(512.0, n, &[("ring_items", n.min(12_000.0))]));
    assert_eq!(guilty(&findings).subsystem, UNATTRIBUTED);
}

#[test]
fn what_nobody_claims_is_unattributed() {
    let findings = flood(vec![subsystem("Queue", gauges("queue_items"))], None, |n| leak(512.0, n, &[]));
    let row = guilty(&findings);
    assert_eq!((row.subsystem.as_str(), row.priority, row.source.as_deref()), (UNATTRIBUTED, None, None));
    assert!(row.evidence.is_empty(), "{row:#?}");
}

#[test]
fn gauges_that_grow_together_are_not_separable_unless_the_scenario_drives_one() {
    let subsystems = || vec![subsystem("Queue", gauges("queue_items")), subsystem("Cache", gauges("cache_items"))];
    let level = |n: f64| leak(512.0, n, &[("queue_items", n), ("cache_items", 2.0 * n)]);
    for (driven, owner) in [
        (None, "Cache + Queue: not separable here"),
        (Some("Neither"), "Cache + Queue: not separable here"),
        (Some("Queue"), "Queue"),
    ] {
        let findings = flood(subsystems(), driven, level);
        let row = guilty(&findings);
        assert_eq!(row.subsystem, owner);
        // With two of them there is no single number of items.
        assert_eq!(row.items.as_ref().map(|items| items.of.as_str()), Some("operations"));
        assert_eq!(row.evidence.iter().filter(|sentence| sentence.starts_with("gauge ")).count(), 2, "{row:#?}");
    }
}

#[test]
fn descriptors_go_to_their_pattern_and_the_rest_to_the_scenario() {
    let sockets = SubsystemRules { fds: vec!["tcp:*:5432".into()], ..SubsystemRules::default() };
    let subsystems = vec![subsystem("Pool", sockets), subsystem("Files", SubsystemRules::default())];
    let findings = flood(subsystems, Some("Files"), |n| Level {
        fds: vec![
            (FdKind::Tcp, FROM_5432, 3.0 + (n / 50.0).floor()),
            (FdKind::File, "/var/log/x.log", 1.0 + (n / 100.0).floor()),
        ],
        ..quiet()
    });
    let ledger = ledger(&findings, Resource::Descriptors);
    let of = |name: &str| ledger.rows.iter().find(|row| row.subsystem == name).expect(name);
    assert_eq!(ledger.rows.len(), 2, "{ledger:#?}");
    let (pool, files) = (of("Pool"), of("Files"));
    assert!([pool, files].iter().all(|row| row.verdict == Verdict::Unbounded && row.metric == Metric::Fds));
    let operations = findings.scenarios[0].operations as f64;
    near(pool.growth, operations / 50.0, 0.02);
    near(pool.growth + files.growth, ledger.total, 1e-9);
    near(pool.per_op.expect("a share").value + files.per_op.expect("a share").value, 0.03, 0.05);
    assert_eq!(pool.evidence, [format!("its pattern: +{} tcp {FROM_5432}", (operations / 50.0).floor())]);
    assert!(files.growth > 0.0 && files.growth < pool.growth);
}

#[test]
fn a_pattern_claims_no_more_than_was_measured() {
    let sockets = SubsystemRules { fds: vec!["tcp".into()], ..SubsystemRules::default() };
    let findings = flood(vec![subsystem("Pool", sockets)], Some("Other"), |n| Level {
        fds: vec![(FdKind::Tcp, FROM_5432, 3.0 + (n / 50.0).floor())],
        ..quiet()
    });
    // The closer look at the end of a cycle sees more than its floor: the pattern is cut, and no rest is below zero.
    let ledger = ledger(&findings, Resource::Descriptors);
    assert_eq!(ledger.rows.iter().map(|row| row.subsystem.as_str()).collect::<Vec<_>>(), ["Pool"]);
    near(ledger.rows[0].growth, ledger.total, 1e-9);
}

#[test]
fn what_did_not_change_has_no_row() {
    let findings = flood(Vec::new(), None, |_| quiet());
    for resource in [Resource::Descriptors, Resource::Threads, Resource::Processes] {
        assert!(ledger(&findings, resource).rows.is_empty(), "{resource:?}");
    }
}

#[test]
fn threads_and_children_go_to_their_pattern() {
    let tasks = SubsystemRules { tasks: vec!["heartbeat*".into()], ..SubsystemRules::default() };
    let subsystems = || vec![subsystem("Heartbeats", tasks.clone())];
    let beats = |n: f64| vec![("worker", 4.0), ("heartbeat-*", 1.0 + (n / 50.0).floor())];
    let threads = flood(subsystems(), Some("Other"), |n| Level { threads: beats(n), ..quiet() });
    let children = flood(subsystems(), None, |n| Level { children: beats(n), ..quiet() });
    for (findings, metric) in [(threads, Metric::Threads), (children, Metric::Children)] {
        let row = guilty(&findings);
        assert_eq!((row.subsystem.as_str(), &row.metric), ("Heartbeats", &metric));
        assert!(row.evidence[0].contains("heartbeat-*") && !row.evidence[0].contains("worker"), "{row:#?}");
    }
}

#[test]
fn what_closed_with_the_sessions_is_still_what_grew() {
    let sockets = SubsystemRules { fds: vec!["tcp:*:5432".into()], ..SubsystemRules::default() };
    let fds = |n: f64| vec![(FdKind::Tcp, FROM_5432, 3.0 + (n / 50.0).floor())];
    let mut recording = flooded(vec![subsystem("Pool", sockets)], Some("Files"), |n| Level { fds: fds(n), ..quiet() });
    let end = recording.records.pop().expect("its end");
    let at = end.at();
    recording.records.push(Record::Mark(Mark { at, operations: 0, border: Border::Closing }));
    let mut after = Story::new(Plan::default());
    after.look(0, &Level { fds: fds(0.0), ..quiet() });
    recording.records.extend(after.recording.records.into_iter().map(|record| match record {
        Record::Detail(detail) => Record::Detail(Box::new(Detail { at, ..*detail })),
        other => other,
    }));
    recording.records.push(end);
    assert_eq!(guilty(&Findings::of(&recording)).subsystem, "Pool");
}

#[test]
fn the_peak_is_a_resource_apart() {
    let subsystems = vec![subsystem("Lists", SubsystemRules::default())];
    let level = |n: f64| Level { anonymous: Some(21.0 * MIB + 2048.0 * n), ..quiet() };
    let findings = flood(subsystems, Some("Lists"), level);
    let row = guilty(&findings);
    assert_eq!((row.subsystem.as_str(), &row.metric), ("Lists", &Metric::Peak));
    let peak = ledger(&findings, Resource::Peak);
    near(peak.total, 2048.0 * findings.scenarios[0].operations as f64, 0.01);
    assert!(ledger(&findings, Resource::Memory).total.abs() < 16_384.0);
}

#[test]
fn what_was_never_seen_has_no_row_and_no_verdict() {
    let mut recording =
        flooded(Vec::new(), None, |n| Level { fds: Vec::new(), children: Vec::new(), ..leak(512.0, n, &[]) });
    let missing = Event::Missing { metric: Metric::Fds, reason: "permission denied".into() };
    recording.records.insert(1, Record::Event { at: Moment(0), event: missing });
    let findings = Findings::of(&recording);
    for resource in [Resource::Descriptors, Resource::Processes] {
        let ledger = ledger(&findings, resource);
        assert!(ledger.rows.is_empty() && ledger.total == 0.0, "{ledger:#?}");
    }
    let finding = &findings.scenarios[0];
    assert!([Metric::Fds, Metric::Children, Metric::Zombies].iter().all(|metric| finding.growth(metric).is_none()));
    assert!(finding.growth(&Metric::Threads).is_some());
    assert_eq!(findings.missing, [(Metric::Fds, "permission denied".to_owned())].into());
}

#[test]
fn a_finding_tells_what_its_scenario_came_to() {
    let ending = Ending { how: How::Signalled(9), expected: false, evidence: vec!["SIGKILL".into()] };
    let tally = Tally { counted: 77, ..Tally::default() };
    let scenarios = vec![scenario("still", Shape::Idle, None), scenario("flood", Shape::Flood, None)];
    let mut story = Story::new(plan(Vec::new(), scenarios));
    story.scenario(
        &Run { ending: Some(Ending { expected: true, ..ending.clone() }), ..Run::of("still", 12, 0) },
        |_, _| quiet(),
    );
    let killed = Some(Stop::TargetEnded);
    let run =
        Run { stop: killed.clone(), tally: tally.clone(), ending: Some(ending.clone()), ..Run::of("flood", 15, 700) };
    story.scenario(&run, |_, _| quiet());
    let findings = Findings::of(&story.finish());
    let [still, flood] = findings.scenarios.as_slice() else { panic!("two scenarios") };
    assert_eq!((still.axis(), still.cycles, still.operations, &still.ending), (Axis::Seconds, 12, 0, &None));
    assert_eq!((flood.axis(), flood.cycles, &flood.ending), (Axis::Operations, 15, &Some(ending)));
    assert_eq!((&flood.stop, &flood.tally), (&killed, &tally));
    assert!(flood.operations > 9_000);
    assert_eq!(findings.unbounded_rows().count(), 0);
}
