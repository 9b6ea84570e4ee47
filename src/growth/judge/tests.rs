//! What stands against a decision, and what would let a run decide.

mod at_limit;

use super::*;
use crate::growth::stair::Stair;
use crate::growth::tail::Rest;
use crate::growth::window_test::Passed;
use crate::growth::{Budget, Collector, counts};

fn question(demand: Demand) -> Question {
    let (time_driven, expect_cap, budget, collector) = (None, None, Budget::Spent, Collector::None);
    Question { smallest: 100.0, demand, time_driven, expect_cap, budget, collector }
}

fn ground(demand: Demand) -> Ground {
    Ground::of(&question(demand), Unit::Bytes, 0.0)
}

/// Cycles of 1,000 operations after pieces of warm-up.
fn series(warmup: usize, cycles: usize, value: impl Fn(f64) -> f64) -> Series {
    let x: Vec<f64> = (1..=warmup + cycles).map(|i| i as f64 * 1000.0).collect();
    Series { y: x.iter().map(|&x| value(x)).collect(), x, warmup }
}

fn figures(per_unit: Option<(f64, f64, f64)>) -> Figures {
    let per_unit = per_unit.map(|(low, value, high)| Estimate { value, low, high });
    Figures { per_unit, window: None, per_hour: None, sensitivity: None, cycle_length: Some(1000.0) }
}

fn rising(drop: f64) -> Why {
    Why::Rising { passed: Passed { drop, chance: 1e-9, slope: 50.0, late_share: 1.0 }, keeps: 1.0 }
}

fn rest(start: usize) -> Why {
    Why::Rest(Rest { start, length: 1.0, bound: 1.0, after_growth: false, creeps: false })
}

fn stairs(next_x: f64) -> Stair {
    let per_unit = Estimate { value: 1.0, low: 1.0, high: 1.0 };
    Stair { last_x: 1.0, height: 1.0, next_x, overdue_x: 2.0 * next_x, per_unit }
}

fn course(change: impl FnOnce(&mut Course)) -> Course {
    let mut course = Course {
        decision: None,
        suspicions: Vec::new(),
        stairs: None,
        events: None,
        failure: Failure::NoTrend,
        unrest: Unrest::TooShort,
        before_cap: false,
    };
    change(&mut course);
    course
}

#[test]
fn growth_needs_a_figure_that_is_surely_growth() {
    use Objection::{Creep, MayBeCreep, TimeDriven};
    let named = Demand::Named;
    for (demand, per_unit, less, seen, expected) in [
        (named, None, 0.0, 50, Some(MayBeCreep)),
        (named, Some((50.0, 60.0, 70.0)), 0.0, 50, None),
        (named, Some((49.9, 60.0, 120.0)), 0.0, 50, Some(MayBeCreep)),
        // Surely below what matters: told as creep from 33 cycles on.
        (named, Some((10.0, 60.0, 99.9)), 0.0, 33, Some(Creep)),
        (named, Some((10.0, 60.0, 99.9)), 0.0, 32, Some(MayBeCreep)),
        (named, Some((10.0, 60.0, 100.0)), 0.0, 33, Some(MayBeCreep)),
        // A part of what grows: any growth is growth.
        (Demand::Part, Some((1e-9, 1.0, 2.0)), 0.0, 50, None),
        (Demand::Part, Some((0.0, 1.0, 2.0)), 0.0, 50, Some(MayBeCreep)),
        (Demand::Part, Some((-2.0, 1.0, -1.0)), 0.0, 50, Some(MayBeCreep)),
        // Growth in time may have been taken off by so much too little.
        (named, Some((60.0, 80.0, 90.0)), 80.0, 50, Some(TimeDriven)),
        (named, Some((60.0, 80.0, 90.0)), 79.9, 50, None),
        (named, Some((-1.0, 0.0, 200.0)), 0.0, 50, Some(MayBeCreep)),
    ] {
        let course = course(|course| course.decision = Some(Decision { at: 10, seen, why: rising(0.25) }));
        let slack = Slack { more: 0.0, less };
        let found = objection(&course, &figures(per_unit), &slack, &ground(demand));
        assert_eq!(found, expected, "{demand:?} {per_unit:?} {less} {seen}");
    }
    let rests = course(|course| course.decision = Some(Decision { at: 10, seen: 50, why: rest(0) }));
    assert_eq!(objection(&rests, &figures(None), &Slack::default(), &ground(named)), None);
    assert_eq!(objection(&course(|_| {}), &figures(None), &Slack::default(), &ground(named)), None);
}

#[test]
fn growth_without_an_objection_is_unbounded_and_rest_is_flat_or_bounded() {
    let bounded = Why::Rest(Rest { start: 0, length: 1.0, bound: 1.0, after_growth: true, creeps: false });
    for (why, objection, expected) in [
        (None, None, Verdict::Inconclusive),
        (Some(rest(0)), None, Verdict::Flat),
        (Some(bounded), None, Verdict::Bounded),
        (Some(rising(0.25)), None, Verdict::Unbounded),
        (Some(rising(0.25)), Some(Objection::Creep), Verdict::Flat),
        (Some(rising(0.25)), Some(Objection::MayBeCreep), Verdict::Inconclusive),
        (Some(rising(0.25)), Some(Objection::TimeDriven), Verdict::Inconclusive),
    ] {
        let decision = why.map(|why| Decision { at: 22, seen: 22, why });
        assert_eq!(verdict(decision.as_ref(), objection), expected, "{why:?} {objection:?}");
    }
}

#[test]
fn a_rise_below_what_is_asked_for_is_little() {
    for (demand, value, expected) in [
        (Demand::Named, 99.9, true),
        (Demand::Named, 100.0, false),
        (Demand::Usual, 24.9, true),
        (Demand::Usual, 25.0, false),
        (Demand::Part, 0.0, false),
    ] {
        let per_unit = figures(Some((value, value, value))).per_unit;
        assert_eq!(is_little(per_unit, &question(demand), &ground(demand)), expected, "{demand:?} {value}");
    }
    assert!(!is_little(None, &question(Demand::Named), &ground(Demand::Named)));
}

#[test]
fn figures_are_those_of_the_window_that_decided() {
    let series = series(2, 22, |x| x);
    for (why, expected) in [
        (Some(rising(0.25)), 5),
        (Some(rising(0.5)), 11),
        (Some(Why::Stairs(stairs(1.0))), 0),
        (Some(Why::Events { events: 9, mean_gap: 1.0 }), 5),
        (Some(rest(7)), 5),
        (Some(rest(1)), 0),
        (None, 5),
    ] {
        let decision = why.map(|why| Decision { at: 22, seen: 22, why });
        assert_eq!(window(&series, decision.as_ref()), expected, "{why:?}");
    }
}

#[test]
fn more_cycles_are_those_to_the_look_that_can_decide() {
    let suspicions = || {
        let rises = series(0, 15, |x| 500.0 * x);
        let suspicions = Course::run(&rises, &question(Demand::Named), &ground(Demand::Named)).suspicions;
        assert_eq!(suspicions.iter().map(|suspicion| suspicion.at).collect::<Vec<_>>(), [10, 15]);
        suspicions
    };
    let x: Vec<f64> = (1..=50).map(f64::from).collect();
    let events = |floors: usize| {
        let y: Vec<f64> = x.iter().map(|x| (x / 4.0).floor()).collect();
        match counts::count_rule(&x[..floors], &y[..floors], None) {
            counts::Seen::Suspected(suspicion) => suspicion,
            other => panic!("{other:?}"),
        }
    };
    let more = |done, cap, length, change: &dyn Fn(&mut Course)| {
        let figures = Figures { cycle_length: length, ..figures(None) };
        let question = Question { expect_cap: cap, ..question(Demand::Named) };
        more_cycles(&series(0, done, |x| x), &course(change), &question, &figures)
    };
    let kilo = Some(1000.0);
    assert_eq!(more(6, None, kilo, &|_| {}), Some(4), "the fewest that decide");
    assert_eq!(more(10, None, kilo, &|_| {}), Some(5), "the next look");
    // Past 1.25 times a cap of 60,000 operations: the look at 75 cycles is there.
    for (cap, length, expected) in [
        (60_000, kilo, Some(25)),
        (60_001, kilo, Some(60)),
        (1000, kilo, Some(25)),
        (60_000, Some(2000.0), Some(25)),
        (60_000, Some(500.0), Some(60)),
        (60_000, None, None),
        (u64::MAX, kilo, None),
    ] {
        assert_eq!(more(50, Some(cap), length, &|course| course.before_cap = true), expected, "{cap} {length:?}");
    }
    assert_eq!(more(22, None, kilo, &|course| course.failure = Failure::Creeps), Some(11));
    assert_eq!(more(15, None, kilo, &|course| course.suspicions = suspicions()), Some(7), "twice 10");
    assert_eq!(more(22, None, kilo, &|course| course.suspicions = suspicions()), Some(11), "twice 15");
    assert_eq!(more(50, None, kilo, &|course| course.events = Some(events(37))), Some(25), "twice 37");
    assert_eq!(more(50, None, kilo, &|course| course.events = Some(events(38))), Some(60), "twice 38");
    assert_eq!(more(50, None, kilo, &|course| course.stairs = Some(stairs(75_000.0))), Some(25));
    assert_eq!(more(50, None, kilo, &|course| course.stairs = Some(stairs(75_001.0))), Some(60));
    for (bound, expected) in [(150.0, Some(25)), (153.0, Some(60)), (100.5, Some(25)), (2e6, None), (1e9, None)] {
        let found = more(50, None, kilo, &|course| course.unrest = Unrest::Loose(bound));
        assert_eq!(found, expected, "{bound}");
    }
    let nothing = Question { smallest: 0.0, ..question(Demand::Named) };
    let loose = course(|course| course.unrest = Unrest::Loose(1.0));
    assert_eq!(more_cycles(&series(0, 50, |x| x), &loose, &nothing, &figures(None)), Some(25));
}

#[test]
fn a_recent_step_asks_for_half_of_all_operations() {
    // Two steps, 24 cycles apart: 52.8 cycles without a third must be half of all. 75 cycles are too few, 110 are enough.
    let steps = |x: f64| 1e6 + 1.6e6 * f64::from(u8::from(x >= 20_000.0) + u8::from(x >= 44_000.0));
    let at = |cycles: usize| {
        let series = series(0, cycles, steps);
        let (question, ground) = (question(Demand::Named), ground(Demand::Named));
        let course = Course::run(&series, &question, &ground);
        let more = more_cycles(&series, &course, &question, &figures(None));
        (course, more)
    };
    let (course, more) = at(50);
    assert!(matches!(course.unrest, Unrest::RecentStep(needed) if (needed - 52_800.0).abs() < 1e-6));
    assert_eq!((course.decision, more), (None, Some(60)));
    assert_eq!(at(75).0.decision, None);
    assert!(at(110).0.decision.is_some_and(|decision| !decision.is_growth()));
}

#[test]
fn the_doubt_about_growth_in_time_widens_the_figure() {
    // A thousand operations a second: what is uncertain by 20 and 10 bytes a second is by .02 and .01 per operation.
    let points = |cycles: u32| {
        (0..=cycles).map(|n| crate::growth::Point {
            t: f64::from(n),
            x: f64::from(n) * 1000.0,
            value: 1e6 + 200_000.0 * f64::from(n),
            cycle: n,
            phase: Some(if n == 0 { crate::sample::Phase::Warmup } else { crate::sample::Phase::Load }),
        })
    };
    let curve = |cycles: u32| Curve {
        metric: crate::sample::Metric::Private,
        axis: Axis::Operations,
        restarts: None,
        points: points(cycles).collect(),
    };
    let (longer, curve) = (curve(50), curve(40));
    let per_op =
        |time_driven| judge(&curve, &Question { time_driven, ..question(Demand::Named) }).per_op.expect("a figure");
    let known = per_op(None);
    let vague = per_op(Some(Estimate { value: 0.0, low: -10.0, high: 20.0 }));
    assert_eq!(vague.value, known.value);
    assert!((known.low - vague.low - 0.02).abs() < 1e-9, "{known:?} {vague:?}");
    assert!((vague.high - known.high - 0.01).abs() < 1e-9, "{known:?} {vague:?}");
    // What is taken off is all of it: 200 bytes per operation, of which 50 came with time.
    let less = per_op(Some(Estimate { value: 50_000.0, low: 50_000.0, high: 50_000.0 }));
    assert!((less.value - 150.0).abs() < 1e-6, "{less:?}");
    let doubted = per_op(Some(Estimate { value: 50_000.0, low: 49_990.0, high: 50_020.0 }));
    assert!((less.low - doubted.low - 0.02).abs() < 1e-9, "{less:?} {doubted:?}");
    assert!((doubted.high - less.high - 0.01).abs() < 1e-9, "{less:?} {doubted:?}");
    // Of 60 that are left, 20 may be too much, which the next look at 50 cycles may tell; or 70, which no look can.
    for (curve, high, reason, more_cycles) in [
        (&curve, 160_000.0, "which may be less than the least", Some(10)),
        (&longer, 160_000.0, "which may be less than the least", Some(25)),
        (&curve, 210_000.0, "growth in time", None),
    ] {
        let time_driven = Some(Estimate { value: 140_000.0, low: 90_000.0, high });
        let found = judge(curve, &Question { time_driven, ..question(Demand::Named) });
        assert_eq!((found.verdict, found.more_cycles), (Verdict::Inconclusive, more_cycles), "{}", found.reason);
        assert!(found.reason.contains(reason), "{}", found.reason);
    }
}
