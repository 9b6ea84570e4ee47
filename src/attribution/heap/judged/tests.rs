//! What sampling leaves open of a figure, and which function holds what grew.

use super::*;
use crate::attribution::Findings;
use crate::attribution::heap::Call;
use crate::attribution::tests::made_up::{Level, MIB, Run, Site, Story, plan, quiet, scenario};
use crate::growth::{Curve, Point};
use crate::recording::Recording;
use crate::sample::{CodeAddress, Record, Shape};

fn frame(function: &str, file: &str, line: u32) -> HeapFrame {
    HeapFrame {
        function: function.to_owned(),
        file: Some(file.to_owned()).filter(|file| !file.is_empty()),
        line: Some(line),
        module: "app".to_owned(),
        address: CodeAddress { module: Some(0), offset: 1 },
        call: Call::Real,
    }
}

/// A stack that grew by so much, held by the frame after the allocator.
fn stack(frames: &[(&str, &str, u32)], growth: f64) -> HeapStack {
    let allocator = frame("malloc", "", 0);
    let others = frames.iter().map(|&(function, file, line)| frame(function, file, line));
    HeapStack {
        id: 0,
        kind: HeapKind::Block,
        frames: std::iter::once(allocator).chain(others).collect(),
        owner: "x".to_owned(),
        owned_at: 1,
        before: 0.0,
        after: growth,
        growth: Estimate { value: growth, low: growth, high: growth },
        blocks: 1.0,
        blocks_growth: 1.0,
        samples: 1,
        verdict: Verdict::Inconclusive,
    }
}

#[test]
fn a_closure_is_known_by_the_function_around_it_in_the_same_file() {
    let closure = ("app::run::{closure#0}", "a.rs", 5);
    let (inner, other) = (("app::run::{{closure}}", "a.rs", 6), ("core::call", "b.rs", 1));
    let around = ("app::run", "a.rs", 9);
    for (frames, known) in [
        (vec![around, ("app::main", "a.rs", 20)], "app::run"),
        (vec![closure, around], "app::run"),
        (vec![closure, other, inner, other, around], "app::run"),
        (vec![closure, other, inner, other, other, around], "app::run::{closure#0}"),
        (vec![closure, other], "app::run::{closure#0}"),
        (vec![("app::run::{closure#0}", "", 0), ("app::run", "", 0)], "app::run::{closure#0}"),
    ] {
        assert_eq!(named(&stack(&frames, 1.0)), Some(known), "{frames:?}");
    }
}

#[test]
fn the_holder_is_where_most_of_the_growth_is() {
    let stacks = [
        stack(&[("app::add", "a.rs", 5)], 30.0),
        stack(&[("app::add", "a.rs", 7)], 25.0),
        stack(&[("app::put", "b.rs", 1)], 40.0),
        stack(&[("app::add", "a.rs", 7)], 15.0),
        stack(&[("app::nowhere", "", 1)], 200.0),
    ];
    let place = |file: &str, line| Some(Place { file: file.to_owned(), line: Some(line) });
    for (list, function, at) in [
        (vec![0, 1, 2, 3], "app::add", place("a.rs", 7)),
        (vec![0, 2], "app::put", place("b.rs", 1)),
        (vec![0, 1, 2, 3, 4], "app::nowhere", None),
        (vec![], "", None),
    ] {
        assert_eq!(holder(&list, &stacks), (function.to_owned(), at), "{list:?}");
    }
}

#[test]
fn what_can_be_seen_is_bounded_by_two_looks_half_of_the_axis_apart() {
    let point = |x: f64| Point { t: x, x, value: 0.0, cycle: 1, phase: None };
    let curve = |xs: &[f64]| Curve {
        metric: Metric::Live("x".into()),
        axis: Axis::Operations,
        points: xs.iter().map(|x| point(*x)).collect(),
        restarts: None,
    };
    // 1.96 standard errors of a difference, 1.414 times 300, over half of 100 to 700.
    let found = visible(&curve(&[100.0, 200.0, 700.0]), &[200.0, 300.0, 900.0]);
    assert!((found - 1.959_964 * 2f64.sqrt() * 300.0 / 300.0).abs() < 1e-5, "{found}");
    for (xs, errors) in [(vec![], vec![]), (vec![5.0], vec![3.0]), (vec![5.0, 9.0], vec![])] {
        assert_eq!(visible(&curve(&xs), &errors), 0.0, "{xs:?}");
    }
}

#[test]
fn mappings_of_an_owner_are_judged_apart_from_its_blocks() {
    let name = |kind| super::super::metric_name("Queue", kind);
    assert_eq!([name(HeapKind::Block), name(HeapKind::Mapping)], ["Queue", "Queue (mappings)"]);
}

static QUEUE: Site =
    Site { frames: &[("malloc", "", 0), ("app::add", "/src/queue.rs", 7)], kind: HeapKind::Block, churn: 0 };

/// A flood over a target at this level after so many operations and seconds.
fn flooded(level: impl Fn(f64, f64) -> Level) -> Recording {
    let mut story = Story::new(plan(Vec::new(), vec![scenario("flood", Shape::Flood, None)]));
    story.scenario(&Run::of("flood", 12, 1000), level);
    story.finish()
}

fn heap(recording: &Recording) -> HeapFinding {
    Findings::of(recording).scenarios[0].heap.clone().expect("the heap was sampled")
}

#[test]
fn what_private_memory_grew_by_before_the_first_look_is_not_part_of_the_account() {
    // 50 MiB at once within the last tick of the third cycle, and 4 KiB an operation from there on.
    let step = 4.75;
    let level = |n: f64, t: f64| {
        let later = (n - 5000.0).max(0.0);
        let stepped = if t >= step { 50.0 * MIB } else { 0.0 };
        Level {
            private: Some(20.0 * MIB + stepped + 4096.0 * later),
            heap: vec![(&QUEUE, MIB + 4096.0 * later)],
            ..quiet()
        }
    };
    let mut recording = flooded(level);
    let grew = |recording: &Recording| heap(recording).private_growth.expect("judged");
    let whole = grew(&recording);
    let mut looks = 0;
    recording.records.retain(|record| {
        looks += u32::from(matches!(record, Record::Heap(_)));
        looks > 3 || !matches!(record, Record::Heap(_))
    });
    // The first look that is left is of the same moment as the tick that saw the step.
    let left = grew(&recording);
    assert!(whole > 70.0 * MIB && (whole - left - 50.0 * MIB).abs() < 10_000.0, "{whole} {left}");
}

#[test]
fn an_owner_has_no_share_of_a_growth_that_was_none() {
    let mut recording = flooded(|n, _| Level { heap: vec![(&QUEUE, 512.0 * n)], ..quiet() });
    for record in &mut recording.records {
        if let Record::Sample(sample) = record
            && let Some(memory) = &mut sample.memory
        {
            memory.private = 20 << 20;
        }
    }
    let found = heap(&recording);
    assert_eq!((found.private_growth, found.owners.len(), found.owners[0].share), (Some(0.0), 1, None));
}

#[test]
fn what_did_not_grow_has_no_owner() {
    let found = heap(&flooded(|_, _| Level { heap: vec![(&QUEUE, 8.0 * MIB)], ..quiet() }));
    assert_eq!((&found.owners, found.stacks.len()), (&Vec::new(), 1));
    let modules: Vec<&str> = found.modules.iter().map(|module| module.path.as_str()).collect();
    assert_eq!(modules, ["/opt/app/server"]);
    assert!(found.live.verdict == Verdict::Flat && found.is_at_rest());
}

#[test]
fn looks_are_counted_and_the_end_is_the_last_floor() {
    let mut recording = flooded(|n, _| Level { heap: vec![(&QUEUE, 512.0 * n)], ..quiet() });
    let whole = heap(&recording);
    assert_eq!((whole.looks, whole.interval_bytes, whole.is_at_rest()), (13, 65_536, false));
    // One more look within the last cycle, at twice as much: the floor is that of the look before it.
    let last = recording.records.iter().rposition(|record| matches!(record, Record::Heap(_))).expect("a look");
    let Record::Heap(mut look) = recording.records[last].clone() else { panic!("a look") };
    look.live.iter_mut().for_each(|live| live.footprint *= 2.0);
    recording.records.insert(last + 1, Record::Heap(look));
    let more = heap(&recording);
    assert_eq!((more.looks, more.stacks[0].after), (14, whole.stacks[0].after));
}

#[test]
fn the_doubt_of_sampling_widens_a_figure_at_both_ends() {
    let recording = flooded(|n, _| Level { heap: vec![(&QUEUE, 512.0 * n)], ..quiet() });
    let passages = recording.passages();
    let ground = Ground::of(&recording);
    let looks = Looks::of(&passages[0], &ground).expect("looks");
    let asked = Asked { growths: &[], time_driven: &BTreeMap::new(), collector: Collector::None };
    let judge = Judge { looks: &looks, passage: &passages[0], asked: &asked };
    let mut values = looks.all(&ground);
    // So unsure that the figure's own limits are within the doubt.
    values.iter_mut().for_each(|live| live.variance = 4e6_f64.powi(2));
    let found = judge.of("x", &values);
    let (per_op, per_hour) = (found.per_op.expect("a figure"), found.per_hour.expect("a pace"));
    let window = found.window.expect("a window");
    let reach = 1.959_964 * 4e6 * 2f64.sqrt() / (window.last.x - window.first.x);
    for off in [per_op.value - per_op.low, per_op.high - per_op.value] {
        assert!((off - reach).abs() < 1e-6 * reach, "{per_op:?} {reach}");
    }
    // A thousand operations in each cycle of 1.1 s.
    let pace = per_hour.value / per_op.value;
    assert!((pace / (3600.0 * 1000.0 / 1.1) - 1.0).abs() < 0.1, "{pace}");
}
