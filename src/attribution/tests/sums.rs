//! The ledgers add up, and growth in time is told once.

use proptest::prelude::*;

use super::made_up::{CYCLE_S, Level, MIB, Run, Story, gauges, plan, quiet, scenario, subsystem};
use super::{ledger, near};
use crate::attribution::{Findings, Resource, UNATTRIBUTED};
use crate::growth::Verdict;
use crate::recording::Recording;
use crate::sample::*;

/// Rises in time alone: 100 KiB and two threads a second.
fn in_time(seconds: f64) -> Level {
    let threads = vec![("worker", 4.0), ("timer", (2.0 * seconds).floor())];
    Level { private: Some(20.0 * MIB + 102_400.0 * seconds), threads, ..quiet() }
}

fn idle_then_floods(level: impl Fn(f64, f64) -> Level) -> Recording {
    let scenarios = vec![
        scenario("still", Shape::Idle, Some("Startup")),
        scenario("adds", Shape::Flood, Some("Queue")),
        scenario("reads", Shape::Flood, None),
    ];
    let subsystems = ["Startup", "Queue"].map(|name| subsystem(name, SubsystemRules::default()));
    let mut story = Story::new(plan(subsystems.to_vec(), scenarios));
    story.scenario(&Run::of("still", 33, 0), |_, t| in_time(t));
    story.scenario(&Run::of("adds", 33, 1000), &level).scenario(&Run::of("reads", 33, 1000), |_, t| in_time(t));
    story.finish()
}

#[test]
fn growth_in_time_is_one_row_and_no_later_scenario_is_blamed() {
    let findings = Findings::of(&idle_then_floods(|_, t| in_time(t)));
    let seconds = 3.0 * 33.0 * CYCLE_S;
    for (resource, per_second) in [(Resource::Memory, 102_400.0), (Resource::Threads, 2.0)] {
        let ledger = ledger(&findings, resource);
        let endless: Vec<_> = ledger.rows.iter().filter(|row| row.verdict == Verdict::Unbounded).collect();
        let [row] = endless.as_slice() else { panic!("one row: {endless:#?}") };
        assert_eq!((row.subsystem.as_str(), row.scenario.as_str()), ("Startup", "still"));
        assert!(row.evidence.iter().any(|sentence| sentence.starts_with("time-driven: ")), "{row:#?}");
        near(row.per_op.expect("a figure").value, per_second, 0.02);
        // Of three scenarios, though one row tells it; the warm-ups come to 5 %.
        near(row.growth, per_second * seconds, 0.06);
        near(row.growth, ledger.total, 0.02);
    }
    for later in &findings.scenarios[1..] {
        assert_eq!(later.growing().count(), 0, "{}", later.plan.name);
    }
}

#[test]
fn a_leak_under_growth_in_time_keeps_its_own_row_and_figure() {
    let leak = |n: f64, t: f64| Level { private: in_time(t).private.map(|private| private + 1024.0 * n), ..in_time(t) };
    let findings = Findings::of(&idle_then_floods(leak));
    let memory = ledger(&findings, Resource::Memory);
    let row = memory.rows.iter().find(|row| row.scenario == "adds").expect("a row");
    assert_eq!((row.subsystem.as_str(), row.verdict), ("Queue", Verdict::Unbounded));
    near(row.per_op.expect("a figure").value, 1024.0, 0.03);
    near(row.growth, 1024.0 * findings.scenarios[1].operations as f64, 0.05);
    let rows: f64 = memory.rows.iter().map(|row| row.growth).sum();
    near(rows, memory.total, 1e-6);
}

#[test]
fn growth_under_load_before_an_idle_scenario_is_not_taken_off_again() {
    let scenarios = vec![scenario("adds", Shape::Flood, None), scenario("still", Shape::Idle, None)];
    let mut story = Story::new(plan(Vec::new(), scenarios));
    story.scenario(&Run::of("adds", 33, 1000), |_, t| in_time(t));
    story.scenario(&Run::of("still", 33, 0), |_, t| in_time(t));
    let findings = Findings::of(&story.finish());
    let memory = ledger(&findings, Resource::Memory);
    assert_eq!(memory.rows.iter().filter(|row| row.metric == Metric::Private).count(), 2, "{memory:#?}");
    assert!(memory.rows.iter().all(|row| row.subsystem == UNATTRIBUTED));
    assert!(memory.rows.iter().flat_map(|row| &row.evidence).all(|sentence| !sentence.contains("time-driven")));
    near(memory.rows.iter().map(|row| row.growth).sum(), memory.total, 1e-6);
}

#[test]
fn growth_in_time_goes_to_the_idle_scenario_that_found_it() {
    let scenarios = vec![
        scenario("calm", Shape::Idle, Some("Calm")),
        scenario("still", Shape::Idle, Some("Startup")),
        scenario("adds", Shape::Flood, Some("Queue")),
    ];
    let mut story = Story::new(plan(Vec::new(), scenarios));
    story.scenario(&Run::of("calm", 33, 0), |_, _| quiet());
    story.scenario(&Run::of("still", 33, 0), |_, t| in_time(t));
    story.scenario(&Run::of("adds", 33, 1000), |_, t| in_time(t));
    let findings = Findings::of(&story.finish());
    let memory = ledger(&findings, Resource::Memory);
    let told = |row: &&crate::attribution::Row| row.evidence.iter().any(|text| text.starts_with("time-driven: "));
    let rows: Vec<&str> = memory.rows.iter().filter(told).map(|row| row.scenario.as_str()).collect();
    assert_eq!(rows, ["still"], "{memory:#?}");
}

/// A scenario of any kind over a target of any kind.
#[derive(Clone, Debug)]
struct Any {
    shape: Shape,
    driven: Option<&'static str>,
    cycles: u32,
    per_op: f64,
    cap: f64,
    in_time: f64,
    shared: f64,
    sockets: f64,
    files: f64,
    beats: f64,
    lift: f64,
    items: f64,
    entries: f64,
}

impl Any {
    fn level(&self, n: f64, t: f64) -> Level {
        let grown = |each: f64| (200.0 + each * n / 100.0).floor().max(0.0);
        let private = (60.0 * MIB + (self.per_op * n).clamp(-self.cap, self.cap) + self.in_time * t).max(0.0);
        Level {
            private: Some(private),
            shared: (MIB + self.shared * n).max(0.0),
            anonymous: Some(private + self.lift * n),
            fds: vec![
                (FdKind::Tcp, "LISTEN 127.0.0.1:80", grown(self.sockets)),
                (FdKind::File, "/x", grown(self.files)),
            ],
            threads: vec![("worker", 4.0), ("beat", grown(self.beats) + (self.in_time / 5e4 * t).floor().max(0.0))],
            children: vec![("helper", grown(self.beats / 2.0))],
            gauges: vec![("items", self.items * n), ("entries", self.entries * n)],
            ..Level::default()
        }
    }

    fn run(&self, name: &'static str) -> Run {
        Run::of(name, self.cycles, if self.shape == Shape::Idle { 0 } else { 500 })
    }
}

fn any() -> impl Strategy<Value = Any> {
    let per = |most: f64| prop_oneof![Just(0.0), 0.0..most, -most / 4.0..most];
    let driven = proptest::option::of(proptest::sample::select(vec!["Queue", "Cache", "Beats"]));
    let shape = proptest::sample::select(vec![Shape::Idle, Shape::Flood, Shape::Abandon, Shape::Churn]);
    let memory = (per(2e3), prop_oneof![Just(1e12), 1e5..1e7], per(2e5), per(100.0), per(500.0));
    let counts = (per(4.0), per(4.0), per(4.0), per(2.0), per(2.0));
    (shape, driven, 0u32..36, memory, counts).prop_map(|(shape, driven, cycles, memory, counts)| {
        let (per_op, cap, in_time, shared, lift) = memory;
        let (sockets, files, beats, items, entries) = counts;
        // Long enough for growth in time to be found.
        let cycles = if shape == Shape::Idle { 33 } else { cycles };
        Any { shape, driven, cycles, per_op, cap, in_time, shared, sockets, files, beats, lift, items, entries }
    })
}

fn recorded(anys: &[Any]) -> Recording {
    let owners = vec![
        subsystem("Queue", SubsystemRules { fds: vec!["tcp".into()], ..gauges("item*") }),
        subsystem("Cache", SubsystemRules { fds: vec!["/x".into(), "udp".into()], ..gauges("entries") }),
        subsystem("Beats", SubsystemRules { tasks: vec!["beat*".into()], ..SubsystemRules::default() }),
    ];
    let named = || anys.iter().zip(["one", "two", "three"]);
    let scenarios = named().map(|(any, name)| scenario(name, any.shape, any.driven)).collect();
    let mut story = Story::new(plan(owners, scenarios));
    for (any, name) in named() {
        story.scenario(&any.run(name), |n, t| any.level(n, t));
    }
    story.finish()
}

/// Last floor minus baseline, scenario by scenario, read from the records with nothing of the judge: the last sample
/// before the first phase, and the lowest (for the peak: the highest) of the last cycle.
fn measured(recording: &Recording, value: Value, pick: Pick) -> f64 {
    let (mut total, mut baseline, mut floor, mut cycle) = (0.0, None, None, None);
    for record in &recording.records {
        match record {
            Record::Sample(sample) if cycle.is_none() => baseline = value(sample),
            Record::Sample(sample) if cycle > Some(0) => {
                floor = floor.zip(value(sample)).map(|(a, b)| pick(a, b)).or_else(|| value(sample));
            }
            Record::Mark(Mark { border: Border::PhaseBegins { cycle: begun, phase }, .. }) => {
                if *phase == Phase::Load {
                    floor = None;
                }
                cycle = Some(*begun);
            }
            Record::Mark(Mark { border: Border::ScenarioEnds { .. }, .. }) => {
                if let (Some(floor), Some(baseline)) = (floor, baseline) {
                    total += floor as f64 - baseline as f64;
                }
                (baseline, floor, cycle) = (None, None, None);
            }
            _ => {}
        }
    }
    total
}

type Value = fn(&Sample) -> Option<u64>;

type Pick = fn(u64, u64) -> u64;

const TOTALS: [(Resource, Value, Pick); 5] = [
    (Resource::Descriptors, |sample| sample.fds, u64::min),
    (Resource::Threads, |sample| sample.threads, u64::min),
    (Resource::Processes, |sample| Some(sample.tree?.children), u64::min),
    (Resource::Peak, |sample| sample.anonymous, u64::max),
    (Resource::Memory, |sample| Some(sample.memory?.private), u64::min),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_sum_to_the_total_and_the_total_is_what_was_measured(anys in proptest::collection::vec(any(), 1..=3)) {
        let recording = recorded(&anys);
        let findings = Findings::of(&recording);
        for (resource, value, pick) in TOTALS {
            let ledger = ledger(&findings, resource);
            let rows: f64 = ledger.rows.iter().map(|row| row.growth).sum();
            let scale = ledger.rows.iter().map(|row| row.growth.abs()).fold(ledger.total.abs(), f64::max);
            prop_assert!((rows - ledger.total).abs() <= 1e-6 * scale, "{:#?} is not {}", ledger.rows, ledger.total);
            let mut truth = measured(&recording, value, pick);
            if resource == Resource::Memory {
                truth += measured(&recording, |sample| Some(sample.memory?.shared), u64::min);
            }
            prop_assert!((ledger.total - truth).abs() <= 1e-6 * scale, "{} is not {truth}", ledger.total);
            prop_assert!(ledger.rows.is_sorted_by(|a, b| a.verdict >= b.verdict));
        }
    }
}
