//! Which numbers of a recording are judged, and by which source.

use super::made_up::{Level, MIB, Run, Story, plan, quiet, scenario};
use super::{flooded, near};
use crate::attribution::{Findings, ScenarioFinding};
use crate::recording::Recording;
use crate::sample::*;

fn judged(recording: &Recording) -> ScenarioFinding {
    Findings::of(recording).scenarios.remove(0)
}

#[test]
fn private_memory_is_read_from_the_source_that_the_recording_names() {
    let mut recording = flooded(Vec::new(), None, |n| Level { anonymous: Some(21.0 * MIB + 2048.0 * n), ..quiet() });
    let rise = |recording: &Recording| {
        let finding = judged(recording);
        (finding.growth(&Metric::Private).expect("judged").growth(), finding.operations as f64)
    };
    assert!(rise(&recording).0.abs() < 16_384.0);
    for record in &mut recording.records {
        if let Record::Mark(Mark { border: Border::ScenarioBegins { memory_source, .. }, .. }) = record {
            *memory_source = MemorySource::Statm;
        }
    }
    let (rise, operations) = rise(&recording);
    near(rise, 2048.0 * operations, 0.05);
}

/// A flood whose closer looks hold more than the usual, as `change` says.
fn with_looks(change: impl Fn(&mut Detail)) -> Recording {
    let mut recording = flooded(Vec::new(), None, |_| quiet());
    for record in &mut recording.records {
        if let Record::Detail(detail) = record {
            change(detail);
        }
    }
    recording
}

#[test]
fn every_number_that_the_looks_hold_is_judged() {
    let more = [
        Metric::Heap,
        Metric::Stack,
        Metric::Cgroup("anon".into()),
        Metric::FdsOf(FdKind::Tcp),
        Metric::Gauge("items".into()),
    ];
    let found = |recording: &Recording| {
        let finding = judged(recording);
        assert!(finding.growth(&Metric::Private).is_some() && finding.growth(&Metric::Fds).is_some());
        more.clone().map(|metric| finding.growth(&metric).is_some())
    };
    let all = |detail: &mut Detail| {
        detail.mappings = Some(Mappings { heap: 7, stack: 8, ..Mappings::default() });
        detail.cgroup = Some(Cgroup { anon: Some(9), ..Cgroup::default() });
        let by_kind = [(FdKind::Tcp, 3)].into();
        detail.descriptors = detail.descriptors.take().map(|found| Descriptors { by_kind, ..found });
        detail.gauges.insert("items".into(), 5.0);
    };
    assert_eq!(found(&with_looks(|_| {})), [false; 5]);
    assert_eq!(found(&with_looks(all)), [true; 5]);
    // Sums over a large tree that were not read at one moment are none; a cgroup and a gauge are single numbers.
    let spread = with_looks(|detail| {
        all(detail);
        detail.span_us = Some(60_000_000);
    });
    assert_eq!(found(&spread), [false, false, true, false, true]);
}

#[test]
fn the_counter_of_operations_is_not_judged_against_itself() {
    let level = |n: f64, _| Level { gauges: vec![("requests", n), ("items", 2.0 * n)], ..quiet() };
    let counter = |name: &str| Some(OperationsFrom::Gauge { name: name.to_owned() });
    for (operations_from, requests, items) in
        [(None, true, true), (counter("requests"), false, true), (counter("items"), true, false)]
    {
        let plan = Plan { operations_from, ..plan(Vec::new(), vec![scenario("flood", Shape::Flood, None)]) };
        let mut story = Story::new(plan);
        story.scenario(&Run::of("flood", 12, 700), level);
        let finding = judged(&story.finish());
        let is_judged = |name: &str| finding.growth(&Metric::Gauge(name.into())).is_some();
        assert_eq!((is_judged("requests"), is_judged("items")), (requests, items));
    }
}

#[test]
fn a_target_that_was_stopped_says_nothing() {
    let mut recording = flooded(Vec::new(), None, |_| quiet());
    let why = |recording: &Recording| judged(recording).says_nothing();
    assert_eq!(why(&recording), None);
    for record in &mut recording.records {
        if let Record::Sample(sample) = record {
            sample.stopped = true;
        }
    }
    let said = why(&recording).expect("it was stopped all the time");
    assert!(said.starts_with("the process was stopped (state T) for "), "{said}");
}
