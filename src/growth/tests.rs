//! The judge on a small generated corpus of its own, and on anything at all.

mod tail;

use proptest::prelude::*;

use super::*;
use crate::sample::{Phase, Smallest};
use crate::units::Unit;

/// Numbers that look random and are the same every time (splitmix64, Steele and others 2014).
struct Dice(u64);

impl Dice {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, by the sum of twelve.
    fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

const PER_CYCLE: f64 = 1500.0;
const PAGE: f64 = 4096.0;

/// A run of so many cycles: three cycles of warm-up, loads of jittered length, six points a cycle.
fn run(metric: Metric, seed: u64, cycles: u32, mut value: impl FnMut(f64, &mut Dice) -> f64) -> Curve {
    let (mut dice, mut t, mut x) = (Dice(seed), 0.0, 0.0);
    let mut points = vec![Point { t, x, value: value(0.0, &mut dice), cycle: 0, phase: None }];
    for cycle in 0..=cycles {
        let length = if cycle == 0 { 3.0 } else { 0.7 + 0.6 * dice.even() } * PER_CYCLE;
        for part in 0..6 {
            let phase = match (cycle, part) {
                (0, _) => Phase::Warmup,
                (_, 0..4) => Phase::Load,
                _ => Phase::Settle,
            };
            if part < 4 {
                x += (length / 4.0).round();
            }
            t += if cycle == 0 { 0.5 } else { 0.2 };
            points.push(Point { t, x, value: value(x, &mut dice), cycle, phase: Some(phase) });
        }
    }
    Curve { metric, axis: Axis::Operations, points, restarts: None }
}

fn asked(curve: &Curve) -> Growth {
    let question = Question {
        smallest: Smallest::PER_OPERATION.of(curve.metric.unit()),
        demand: Demand::Named,
        time_driven: None,
        expect_cap: None,
        budget: Budget::Spent,
        collector: Collector::None,
    };
    judge(curve, &question)
}

fn pages(bytes: f64) -> f64 {
    (bytes / PAGE).floor() * PAGE
}

type Family = (&'static str, Unit, fn(f64, &mut Dice) -> f64);

/// Families that never grow without end.
const CLEAN: [Family; 8] = [
    ("noise", Unit::Bytes, |_, dice| pages(2e7 + 1e5 * dice.bell())),
    ("quiet", Unit::Bytes, |_, _| 2e7),
    ("saturating cache", Unit::Bytes, |x, dice| pages(2e7 + 3e7 * (1.0 - (-x / 2e4).exp()) + 3e4 * dice.bell())),
    ("cache with a cap", Unit::Bytes, |x, dice| pages(2e7 + (600.0 * x).min(1.2e7) + 3e4 * dice.bell())),
    ("collector", Unit::Bytes, |x, dice| pages(2e7 + 900.0 * (x % 2700.0) + 3e4 * dice.bell())),
    ("log creep", Unit::Bytes, |x, dice| pages(2e7 + 4e5 * (1.0 + x).ln() + 1e4 * dice.bell())),
    ("descriptors that come and go", Unit::Count, |_, dice| (20.0 + 5.0 * dice.even()).floor()),
    ("pool that fills", Unit::Count, |x, _| (8.0 + 16.0 * (1.0 - (-x / 8e3).exp())).floor()),
];

/// Families that do, with their true rate where they have one.
const LEAKING: [(Family, Option<f64>); 7] = [
    (("linear", Unit::Bytes, |x, dice| pages(2e7 + 112.0 * x + 2e4 * dice.bell())), Some(112.0)),
    (
        ("linear over a collector", Unit::Bytes, |x, dice| {
            pages(2e7 + 600.0 * x + 800.0 * (x % 2700.0) + 3e4 * dice.bell())
        }),
        Some(600.0),
    ),
    (
        ("after a cache", Unit::Bytes, |x, dice| {
            pages(2e7 + 2e6 * (1.0 - (-x / 2e3).exp()) + 300.0 * x + 2e4 * dice.bell())
        }),
        Some(300.0),
    ),
    (("superlinear", Unit::Bytes, |x, dice| pages(2e7 + 50.0 * x + 0.01 * x * x + 2e4 * dice.bell())), None),
    (("chunks", Unit::Bytes, |x, _| 2e7 + (x / 4000.0).floor() * 1_048_576.0), Some(262.144)),
    (("doubling table", Unit::Bytes, |x, _| 2e7 + 1e6 * 2f64.powf(((x + 1.0) / 4000.0).log2().floor().max(0.0))), None),
    (("one descriptor in 1,000", Unit::Count, |x, _| 12.0 + (x / 1000.0).floor()), Some(1e-3)),
];

fn metric(unit: Unit) -> Metric {
    match unit {
        Unit::Bytes => Metric::Private,
        Unit::Count => Metric::Fds,
    }
}

#[test]
fn what_is_clean_is_never_called_growing() {
    let mut at_rest = 0;
    for (name, unit, value) in CLEAN {
        for seed in 0..25 {
            for cycles in [12, 33, 60] {
                let found = asked(&run(metric(unit), seed, cycles, value));
                assert_ne!(found.verdict, Verdict::Unbounded, "{name}, seed {seed}, {cycles} cycles: {}", found.reason);
                at_rest += u32::from(found.is_decided() && cycles == 60);
            }
        }
    }
    assert!(at_rest >= 150, "only {at_rest} of 200 long clean runs were called clean");
}

#[test]
fn what_leaks_is_never_called_at_rest_and_is_found() {
    for ((name, unit, value), rate) in LEAKING {
        let mut covered = 0;
        for seed in 0..25 {
            let found = asked(&run(metric(unit), seed, 110, value));
            assert_eq!(found.verdict, Verdict::Unbounded, "{name}, seed {seed}: {}", found.reason);
            let growth = found.per_op.expect("a figure");
            covered += rate.map_or(1, |rate| u32::from(growth.low <= rate && rate <= growth.high));
            for cycles in [12, 22, 33, 50] {
                let early = asked(&run(metric(unit), seed, cycles, value));
                let rests = matches!(early.verdict, Verdict::Flat | Verdict::Bounded);
                assert!(!rests, "{name}, seed {seed}, {cycles} cycles: {}", early.reason);
            }
        }
        assert!(covered >= 22, "{name}: the interval holds the true rate in {covered} of 25 runs");
    }
}

#[test]
fn a_plain_leak_is_found_after_22_cycles_with_its_figures() {
    let found = asked(&run(Metric::Private, 3, 22, LEAKING[0].0.2));
    assert_eq!((found.verdict, found.decided_at, found.suspected), (Verdict::Unbounded, Some(22), false));
    assert!(found.reason.contains("Mann-Kendall") && found.reason.contains("no plateau up to"), "{}", found.reason);
    let (growth, hourly) = (found.per_op.expect("per operation"), found.per_hour.expect("per hour"));
    let pace = hourly.value / growth.value;
    assert!((pace / (PER_CYCLE / 1.2 * 3600.0) - 1.0).abs() < 0.2, "{pace}");
    assert!(found.sensitivity.is_some_and(|least| least < 112.0));
    assert_eq!(found.floors.len(), 22);
}

#[test]
fn a_leak_is_confirmed_by_its_last_doubling_when_the_warm_up_was_long() {
    let under_a_warm_up =
        |x: f64, dice: &mut Dice| pages(2e7 + 6e6 * (1.0 - (-x / 12e3).exp()) + 150.0 * x + 2e4 * dice.bell());
    let found = |seed| asked(&run(Metric::Private, seed, 75, under_a_warm_up)).verdict == Verdict::Unbounded;
    let found = (0..25).filter(|seed| found(*seed)).count();
    assert!(found >= 23, "only {found} of 25");
}

#[test]
fn creep_below_what_matters_is_not_growth() {
    for seed in 0..100 {
        let mut dice = Dice(seed ^ 79);
        let (height, noise) = (2e3 * (1.0 + 10.0 * dice.even()), 3e4 * dice.even());
        let creep = |x: f64, dice: &mut Dice| pages(2e7 + height * x.powf(0.45) + noise * dice.bell());
        for cycles in [22, 33, 50] {
            let found = asked(&run(Metric::Private, seed, cycles, creep));
            assert_ne!(found.verdict, Verdict::Unbounded, "seed {seed}, {cycles} cycles: {}", found.reason);
        }
    }
}

#[test]
fn small_growth_is_found_from_33_cycles_on() {
    let small = |x: f64, dice: &mut Dice| pages(2e7 + 33.0 * x + 1e4 * dice.bell());
    let ask = |cycles, demand| judge(&run(Metric::Private, 3, cycles, small), &Question { demand, ..question(100.0) });
    let early = ask(22, Demand::Usual);
    assert_eq!((early.verdict, early.suspected, early.more_cycles), (Verdict::Inconclusive, true, Some(11)));
    assert!(early.reason.contains("creep is told from growth from 33 cycles on"), "{}", early.reason);
    let later = ask(33, Demand::Usual);
    assert_eq!((later.verdict, later.decided_at), (Verdict::Unbounded, Some(33)), "{}", later.reason);
    // Of a part of what grows it is growth as well; somebody who asked for 100 B is told of creep.
    assert_eq!(ask(33, Demand::Part).verdict, Verdict::Unbounded);
    let named = ask(33, Demand::Named);
    assert_eq!((named.verdict, named.suspected), (Verdict::Flat, false), "{}", named.reason);
    assert!(named.reason.starts_with("creeps by 3"), "{}", named.reason);
}

#[test]
fn growth_that_may_be_less_than_half_of_what_matters_is_not_endless() {
    for (per_op, smallest, verdict) in [
        // Counts of few events, and bytes: what was asked for is between the ends of the interval, or it is not.
        (120.0, 100.0, Verdict::Unbounded),
        (60.0, 100.0, Verdict::Unbounded),
        (45.0, 100.0, Verdict::Flat),
        (45.0, 80.0, Verdict::Unbounded),
    ] {
        let rises = move |x: f64, _: &mut Dice| pages(2e7 + per_op * x);
        let found = judge(&run(Metric::Private, 3, 50, rises), &question(smallest));
        assert_eq!((found.verdict, found.suspected), (verdict, false), "{per_op} of {smallest}: {}", found.reason);
    }
    let wave = |x: f64, _: &mut Dice| pages(2e7 + 100.0 * x + 2e6 * (x / 4000.0).sin());
    let found = judge(&run(Metric::Private, 3, 50, wave), &question(100.0));
    let low = found.per_op.expect("a figure").low;
    assert!(found.verdict != Verdict::Unbounded || low >= 50.0, "{:?} {}", found.verdict, found.reason);
}

#[test]
fn an_estimate_in_another_unit_keeps_its_ends_in_order() {
    let estimate = Estimate { value: 2.0, low: 1.0, high: 4.0 };
    assert_eq!(estimate.scaled(3.0), Estimate { value: 6.0, low: 3.0, high: 12.0 });
    assert_eq!(estimate.scaled(-3.0), Estimate { value: -6.0, low: -12.0, high: -3.0 });
}

#[test]
fn where_nobody_asks_the_smallest_growth_follows_the_run() {
    let curve = |metric: Metric, cycles| run(metric, 1, cycles, |_, _| 30.0);
    for (metric, cycles, reach, smallest) in [
        (Metric::Fds, 50, 100_000.0, 1e-4),
        (Metric::Fds, 50, 3_000.0, 2e-3),
        (Metric::Private, 50, 3_000.0, 100.0),
        (Metric::Private, 50, 24.0, 1024.0),
        (Metric::Fds, 50, 0.0, 1e-4),
    ] {
        assert_eq!(curve(metric.clone(), cycles).usual_smallest(reach), smallest, "{metric:?} {reach}");
    }
    let few = curve(Metric::Fds, 50);
    let found = judge(&few, &Question::about(&few, None));
    assert_eq!(found.verdict, Verdict::Flat, "{}", found.reason);
}

/// What nobody says else: everything is named, and the budget is spent.
fn question(smallest: f64) -> Question {
    let (time_driven, expect_cap, budget, collector) = (None, None, Budget::Spent, Collector::None);
    Question { smallest, demand: Demand::Named, time_driven, expect_cap, budget, collector }
}

#[test]
fn few_cycles_say_how_many_more() {
    let found = asked(&run(Metric::Private, 1, 6, |x, _| 500.0 * x));
    assert_eq!((found.verdict, found.more_cycles), (Verdict::Inconclusive, Some(4)));
    assert!(found.reason.contains("only 6 complete cycles"), "{}", found.reason);
    let suspected = asked(&run(Metric::Private, 1, 15, |x, _| 500.0 * x));
    assert_eq!((suspected.suspected, suspected.more_cycles), (true, Some(7)));
}

#[test]
fn an_expected_cap_holds_the_verdict_back() {
    let curve = run(Metric::Private, 1, 50, |x, _| 500.0 * x);
    let question = |expect_cap| Question {
        smallest: 100.0,
        demand: Demand::Named,
        time_driven: None,
        expect_cap,
        budget: Budget::Spent,
        collector: Collector::None,
    };
    let held = judge(&curve, &question(Some(100_000)));
    assert_eq!((held.verdict, held.suspected), (Verdict::Inconclusive, true));
    assert!(
        held.more_cycles.is_some() && held.reason.contains("a cap is expected at 100k operations"),
        "{}",
        held.reason
    );
    assert_eq!(judge(&curve, &question(Some(20_000))).verdict, Verdict::Unbounded);
}

#[test]
fn growth_in_time_is_not_growth_per_operation() {
    // 100 kB a second and nothing per operation: six points of 0.2 s a cycle.
    let mut curve = run(Metric::Private, 1, 50, |_, _| 0.0);
    curve.points.iter_mut().for_each(|point| point.value = pages(2e7 + 1e5 * point.t));
    let ask = |time_driven| {
        judge(
            &curve,
            &Question {
                smallest: 100.0,
                demand: Demand::Named,
                time_driven,
                expect_cap: None,
                budget: Budget::Spent,
                collector: Collector::None,
            },
        )
    };
    assert_eq!(ask(None).verdict, Verdict::Unbounded);
    let known = ask(Some(Estimate { value: 1e5, low: 0.99e5, high: 1.01e5 }));
    assert_eq!(known.verdict, Verdict::Flat, "{}", known.reason);
    let vague = ask(Some(Estimate { value: 0.7e5, low: 0.3e5, high: 1.3e5 }));
    assert_eq!((vague.verdict, vague.suspected), (Verdict::Inconclusive, true), "{}", vague.reason);
}

#[test]
fn what_came_to_rest_and_rises_again_is_not_at_rest_any_more() {
    let late = |x: f64, dice: &mut Dice| pages(2e7 + 400.0 * (x - 60_000.0).max(0.0) + 1e4 * dice.bell());
    assert_eq!(asked(&run(Metric::Private, 5, 33, late)).verdict, Verdict::Flat);
    let later = asked(&run(Metric::Private, 5, 60, late));
    assert!(matches!(later.verdict, Verdict::Inconclusive | Verdict::Unbounded), "{}", later.reason);
}

#[test]
fn a_verdict_is_taken_back_unless_growth_was_seen() {
    let leak = asked(&run(Metric::Private, 1, 50, |x, _| 500.0 * x));
    let mut taken_back = leak.clone();
    taken_back.take_back("it was stopped");
    assert_eq!((taken_back.verdict, taken_back), (Verdict::Unbounded, leak));
    for value in [|_: f64| 2e7, |x: f64| 500.0 * x.min(12_000.0)] {
        let mut growth = asked(&run(Metric::Private, 1, 15, |x, _| value(x)));
        assert!(growth.is_decided() || growth.suspected, "{}", growth.reason);
        growth.take_back("it was stopped");
        assert_eq!((growth.verdict, growth.suspected), (Verdict::Inconclusive, false));
        assert_eq!((growth.decided_at, growth.more_cycles, &*growth.reason), (None, None, "it was stopped"));
    }
}

fn any_curve() -> impl Strategy<Value = Curve> {
    let value = prop_oneof![Just(0.0), 0.0..1e6f64, -1e18..1e18f64, Just(f64::MAX), Just(f64::MIN), Just(1e308)];
    let phase = prop_oneof![Just(None), Just(Some(Phase::Warmup)), Just(Some(Phase::Load)), Just(Some(Phase::Settle))];
    let point = (0.0..1e6f64, 0.0..1e9f64, value, 0..40u32, phase);
    let ordered = any::<bool>();
    (proptest::collection::vec(point, 0..120), ordered, 0..3usize).prop_map(|(raw, ordered, which)| {
        let mut points: Vec<Point> =
            raw.into_iter().map(|(t, x, value, cycle, phase)| Point { t, x, value, cycle, phase }).collect();
        if ordered {
            points.sort_by(|a, b| a.cycle.cmp(&b.cycle).then(a.x.total_cmp(&b.x)));
        }
        let metric = [Metric::Private, Metric::Fds, Metric::Peak][which].clone();
        Curve { metric, axis: Axis::Operations, points, restarts: None }
    })
}

proptest! {
    #[test]
    fn any_curve_gets_one_and_the_same_answer(
        curve in any_curve(), smallest in prop_oneof![Just(0.0), 1e-9..1e9f64], spent in any::<bool>(),
        cap in proptest::option::of(any::<u64>()), rate in proptest::option::of((-1e9..1e9f64, 0.0..1e9f64)),
    ) {
        let time_driven = rate.map(|(value, off)| Estimate { value, low: value - off, high: value + off });
        let budget = if spent { Budget::Spent } else { Budget::Open };
        let question = Question { smallest, demand: Demand::Named, time_driven, expect_cap: cap, budget, collector: Collector::None };
        let found = judge(&curve, &question);
        prop_assert_eq!(&found, &judge(&curve, &question));
        prop_assert_eq!(found.decided_at.is_some(), found.is_decided());
        prop_assert!(!found.reason.is_empty());
        if let Some(growth) = found.per_op { prop_assert!(growth.low <= growth.value && growth.value <= growth.high); }
    }

    #[test]
    fn runs_of_any_shape_are_judged(steps in proptest::collection::vec(-1e6..3e6f64, 1..80), seed in any::<u64>()) {
        let mut at = 0;
        let curve = run(Metric::Private, seed, steps.len() as u32, |_, _| {
            at += 1;
            1e8 + steps[..(at / 6).min(steps.len())].iter().sum::<f64>()
        });
        let found = asked(&curve);
        prop_assert!(found.more_cycles.is_none_or(|more| more > 0));
        prop_assert_eq!(found.floors.len(), steps.len());
    }
}
