//! What one look leaves to the next.

use super::*;

#[test]
fn the_end_of_the_budget_is_a_look_while_looks_are_left() {
    assert_eq!(due(60, Budget::Open), [10, 15, 22, 33, 50]);
    assert_eq!(due(50, Budget::Open), [10, 15, 22, 33, 50]);
    assert_eq!(due(60, Budget::Spent), [10, 15, 22, 33, 50, 60]);
    assert_eq!(due(50, Budget::Spent), [10, 15, 22, 33, 50]);
    assert_eq!(due(120, Budget::Spent), [10, 15, 22, 33, 50, 75, 110]);
    assert!(due(9, Budget::Spent).is_empty());
}

const PASSED: Passed = Passed { drop: 0.25, chance: 1e-9, slope: 100.0, late_share: 1.0 };

fn axis(n: usize) -> Vec<f64> {
    (1..=n).map(|i| i as f64 * 1000.0).collect()
}

fn question() -> Question {
    use crate::growth::{Collector, Demand};
    let (time_driven, expect_cap, budget, collector) = (None, None, Budget::Spent, Collector::None);
    Question { smallest: 100.0, demand: Demand::Named, time_driven, expect_cap, budget, collector }
}

fn ground() -> Ground {
    Ground::of(&question(), Unit::Bytes, 0.0)
}

/// A run of so many cycles of 1,000 operations.
fn run(cycles: usize, question: &Question, value: impl Fn(f64) -> f64) -> Course {
    let x = axis(cycles);
    let y = x.iter().map(|&x| value(x)).collect();
    Course::run(&Series { x, y, warmup: 0 }, question, &ground())
}

fn decided(seen: usize, why: Why) -> Decision {
    Decision { at: seen, seen, why }
}

fn stairs(height: f64, overdue_x: f64) -> Why {
    let per_unit = crate::growth::Estimate { value: 1.0, low: 1.0, high: 1.0 };
    Why::Stairs(Stair { last_x: 0.0, height, next_x: 0.0, overdue_x, per_unit })
}

fn rest() -> Why {
    Why::Rest(Rest { start: 0, length: 1.0, bound: 1.0, after_growth: false, creeps: false })
}

#[test]
fn any_sign_of_growth_is_a_suspicion() {
    let nothing = || run(9, &question(), |_| 1e6);
    assert!(!nothing().suspects());
    let Why::Stairs(stair) = stairs(1.0, 1.0) else { panic!("stairs") };
    assert!(Course { stairs: Some(stair), ..nothing() }.suspects());
    assert!(Course { suspicions: vec![Suspicion { at: 10, slope: 1.0 }], ..nothing() }.suspects());
    let events: Vec<f64> = axis(40).iter().map(|x| (x / 4000.0).floor()).collect();
    let Seen::Suspected(events) = counts::count_rule(&axis(40), &events, None) else { panic!("events") };
    assert!(Course { events: Some(events), ..nothing() }.suspects());
}

#[test]
fn a_suspicion_is_confirmed_at_more_than_the_cycles_done() {
    let suspected = run(15, &question(), |x| 200.0 * x);
    assert_eq!(
        [15, 19, 20, 29, 30].map(|done| suspected.next_confirmation(done)),
        [Some(20), Some(20), Some(30), Some(30), None]
    );
}

#[test]
fn growth_keeps_the_cycles_at_which_it_first_stood() {
    let found = run(110, &question(), |x| 200.0 * x).decision.expect("growth");
    assert_eq!((found.at, found.seen), (22, 110));
    let found = run(20, &question(), |x| 200.0 * x).decision.expect("growth at exactly twice the cycles");
    assert_eq!((found.at, found.seen), (20, 20));
    let found = run(110, &question(), |_| 1e6).decision.expect("rest");
    assert_eq!((found.at, found.seen), (10, 110));
    // At rest before: growth is a decision of its own.
    let found = run(110, &question(), |x| 200.0 * (x - 15_000.0).max(0.0)).decision.expect("growth");
    assert!(found.is_growth() && found.at > 22, "{found:?}");
}

#[test]
fn a_cap_is_passed_at_one_and_a_quarter_of_it() {
    for (cap, before_cap) in [(40_000, false), (40_001, true)] {
        let asked = Question { expect_cap: Some(cap), ..question() };
        let found = run(50, &asked, |x| 200.0 * x);
        assert_eq!((found.before_cap, found.decision.is_some()), (before_cap, !before_cap), "{cap}");
    }
    let asked = Question { expect_cap: Some(1_000_000), ..question() };
    assert!(!run(50, &asked, |_| 1e6).before_cap, "nothing grows");
}

#[test]
fn half_of_what_matters_is_small() {
    let small = run(22, &question(), |x| 50.0 * x);
    assert_eq!((small.decision.is_some(), small.failure), (false, Failure::Creeps));
    assert!(run(22, &question(), |x| 50.1 * x).decision.is_some());
}

#[test]
fn stairs_are_growth_once_a_new_step_came() {
    let table = |x: f64| 1e6 * 2f64.powf((x / 4000.0).log2().floor().max(0.0));
    let seen = run(50, &question(), table);
    assert!(seen.decision.is_none() && seen.stairs.is_some());
    let found = run(75, &question(), table).decision.expect("growth");
    assert!(matches!(found.why, Why::Stairs(stair) if stair.last_x == 64_000.0), "{found:?}");
}

#[test]
fn what_came_to_rest_is_suspected_no_more() {
    // A table that doubled at 8,000, 16,000 and 32,000 operations, and never again.
    let table = |x: f64| 1e6 * 2f64.powf((x / 4000.0).log2().floor().clamp(0.0, 3.0));
    let suspected = run(75, &question(), table);
    assert!(suspected.decision.is_none() && suspected.suspects());
    let rests = run(110, &question(), table);
    assert!(rests.decision.is_some_and(|decision| !decision.is_growth()) && !rests.suspects(), "{rests:?}");
}

#[test]
fn growth_is_contradicted_by_a_flatter_rise_over_as_many_cycles() {
    let rising = decided(20, Why::Rising { passed: PASSED, keeps: 1.0 });
    let after = |n: usize, slope: f64, last: f64| {
        let x = axis(n);
        let mut y: Vec<f64> = x.iter().map(|x| 100.0 * x.min(20_000.0) + slope * (x - 20_000.0).max(0.0)).collect();
        y[n - 1] += last;
        rising.is_contradicted(&x, &y)
    };
    for (n, slope, last, expected) in [
        (40, 34.0, 0.0, true),
        (39, 34.0, 0.0, false),
        (40, 35.0, 0.0, false),
        (40, 36.0, 0.0, false),
        // It fell at last, or rose at last: both the net rate and the slope must be less.
        (40, 40.0, -400_000.0, false),
        (40, 34.0, 100_000.0, false),
        (40, 34.0, 20_000.0, false),
        (40, 35.0, -1.0, false),
    ] {
        assert_eq!(after(n, slope, last), expected, "{n} {slope} {last}");
    }
}

#[test]
fn steps_and_events_that_do_not_come_contradict_growth() {
    let is_contradicted = |why: Why, now: f64, risen: f64| {
        let (x, y) = ([0.0, 1000.0, now], [0.0, 50.0, 50.0 + risen]);
        decided(2, why).is_contradicted(&x, &y)
    };
    let step = stairs(100.0, 5000.0);
    for (now, risen, expected) in
        [(5001.0, 34.0, true), (5000.0, 34.0, false), (5001.0, 35.0, false), (4000.0, 0.0, false)]
    {
        assert_eq!(is_contradicted(step, now, risen), expected, "{now} {risen}");
    }
    // The chance of no event over 6.91 mean gaps is one in a thousand.
    let events = Why::Events { events: 9, mean_gap: 1000.0 };
    for (now, risen, expected) in
        [(7908.0, 0.0, true), (7908.0, -1.0, true), (7907.0, 0.0, false), (7908.0, 1.0, false)]
    {
        assert_eq!(is_contradicted(events, now, risen), expected, "{now} {risen}");
    }
    let just = -ALPHA.ln() * 1000.0;
    assert!(!decided(2, events).is_contradicted(&[-1.0, 0.0, just], &[50.0; 3]));
    assert!(!is_contradicted(rest(), 1e9, 0.0));
}

#[test]
fn rest_is_overtaken_by_what_lies_above_all_before_or_rises_on() {
    let is_overtaken = |seen: usize, y: &[f64]| decided(seen, rest()).is_overtaken(&axis(y.len()), y, &ground());
    let after = |later: &[f64]| is_overtaken(10, &[&[5.0; 10][..], later].concat());
    for (later, expected) in [
        (&[6.0][..], false),
        (&[6.0, 6.0], true),
        (&[6.0, 5.0], false),
        (&[4.0, 4.0, 6.0, 6.0], true),
        (&[6.0, 6.0, 6.0, 4.0], false),
    ] {
        assert_eq!(after(later), expected, "{later:?}");
    }
    // Below what was highest, it rises by more than matters over as many cycles again.
    let rises = |n: u32, slope: f64| {
        let y: Vec<f64> = (0..n).map(|i| if i == 3 { 1e9 } else { f64::from(i) * 1000.0 * slope }).collect();
        is_overtaken(10, &y)
    };
    assert_eq!([rises(20, 101.0), rises(19, 101.0), rises(20, 100.0)], [true, false, false]);
    let growth = decided(10, Why::Events { events: 9, mean_gap: 1.0 });
    assert!(!growth.is_overtaken(&axis(12), &[&[5.0; 10][..], &[6.0; 2]].concat(), &ground()));
}

/// Up to a quarter of the operations anything, then one slope, and another from half of them on, after a jump.
fn doubling(n: usize, early: f64, late: f64) -> (Vec<f64>, Vec<f64>) {
    let x = axis(n);
    let half = n as f64 * 500.0;
    let y = x.iter().map(|&x| if x < half { early * x } else { 1e7 + late * x }).collect();
    (x, y)
}

#[test]
fn the_last_doubling_is_the_later_half_beside_the_quarter_before() {
    let kept = |n: usize, early: f64, late: f64| {
        let (x, mut y) = doubling(n, early, late);
        y[..n / 4 - 1].fill(9e9);
        last_doubling(&x, &y)
    };
    // Eight floors lie between 8,000 and 16,000 operations, seven between 7,500 and 15,000.
    assert_eq!(kept(32, 100.0, 75.0), Some(0.75));
    assert_eq!(kept(30, 100.0, 75.0), None);
    assert_eq!(kept(32, 0.0, 75.0), None);
    assert_eq!(kept(32, -10.0, 75.0), None);
    assert_eq!(last_doubling(&[], &[]), None);
}

#[test]
fn small_growth_keeps_its_slope_by_both_measures_and_other_growth_by_one() {
    let (x, y) = doubling(40, 50.0, 100.0);
    // Since 20 floors its slope is half of what it was; over the last doubling it became twice as steep.
    let suspicion = Suspicion { at: 20, slope: 200.0 };
    assert_eq!(keeps(&x, &y, &suspicion, Size::Matters), 2.0);
    assert_eq!(keeps(&x, &y, &suspicion, Size::Small), 0.5);
    // Too few floors before the last doubling: what was kept since the suspicion is all that is known.
    assert_eq!(keeps(&x[..14], &y[..14], &Suspicion { at: 7, slope: 100.0 }, Size::Small), 0.5);
}

#[test]
fn the_least_share_that_doubt_leaves_counts_too() {
    // Slopes of 0.5, 1 and 1.5: the middle one is all of it, the lowest half; a tenth may lack.
    let before = Before { slope: 1.0, high: 1.0, confidence: 0.95 };
    let kept = before.kept_by(&[0.0, 1.0, 2.0], &[0.0, 0.5, 2.0]).expect("a share");
    assert!((kept - 0.6).abs() < 1e-9, "{kept}");
    let steeper = Before { high: 2.0, ..before };
    let kept = steeper.kept_by(&[0.0, 1.0, 2.0], &[0.0, 0.5, 2.0]).expect("a share");
    assert!((kept - 0.35).abs() < 1e-9, "{kept}");
    assert_eq!(before.kept_by(&[1.0], &[1.0]), None);
}

#[test]
fn a_slope_that_was_not_kept_confirms_nothing() {
    // A slope of 100 at the first look, and less from there on.
    let slows = |late: f64| run(22, &question(), move |x| 100.0 * x.min(10_000.0) + late * (x - 10_000.0).max(0.0));
    let slower = slows(75.0);
    assert_eq!((slower.decision, slower.failure), (None, Failure::SlowsDown(0.75)));
    assert!(slows(80.0).decision.is_some(), "four fifths");
}

#[test]
fn rare_events_are_asked_of_counts_alone() {
    let counted = |cycles: usize, unit: Unit| {
        let x = axis(cycles);
        let y = (1..=cycles).map(|i| (5.0 + i as f64 / 8.0).floor()).collect();
        let asked = Question { smallest: 1e-4, ..question() };
        Course::run(&Series { x, y, warmup: 0 }, &asked, &Ground::of(&asked, unit, 0.0))
    };
    assert!(counted(50, Unit::Count).events.is_some());
    assert_eq!(counted(50, Unit::Bytes).events, None);
}

#[test]
fn cycles_are_counted_after_the_warm_up() {
    let series = Series { x: axis(9), y: axis(9), warmup: 2 };
    assert_eq!(series.cycles(), 7);
    assert_eq!(series.cycles_from(5).0, [8000.0, 9000.0]);
    assert_eq!(series.cycles_from(0).1.len(), 7);
    assert!(series.cycles_from(70).0.is_empty());
}
