//! The reason of each verdict, word for word.

use super::*;
use crate::growth::stair::Stair;
use crate::growth::window_test::Passed;
use crate::growth::{Demand, Estimate};
use crate::statistics::models::Shape;

/// A cycle for each value, a thousand operations apart.
fn series(y: &[f64]) -> Series {
    Series { x: (1..=y.len()).map(|i| i as f64 * 1000.0).collect(), y: y.to_vec(), warmup: 0 }
}

/// Flat values, which leave a course undecided that the tests fill in.
fn level(n: usize) -> Vec<f64> {
    vec![2e6; n]
}

struct Case {
    series: Series,
    question: Question,
    ground: Ground,
    figures: Figures,
}

impl Case {
    fn of(y: &[f64]) -> Self {
        let question = Question {
            smallest: 100.0,
            demand: Demand::Named,
            time_driven: None,
            expect_cap: None,
            budget: Budget::Spent,
            collector: crate::growth::Collector::None,
        };
        let per_unit = Some(Estimate { value: 200.0, low: 150.0, high: 250.0 });
        let figures = Figures { per_unit, window: None, per_hour: None, sensitivity: None, cycle_length: Some(1000.0) };
        let ground = Ground::of(&question, Unit::Bytes, 0.0);
        Self { series: series(y), question, ground, figures }
    }

    fn facts(&self) -> Facts<'_> {
        let Self { series, question, ground, figures } = self;
        Facts { axis: Axis::Operations, ground, series, question, figures, baseline: 1024.0 }
    }

    fn decided(&self, why: Why) -> String {
        decided(&self.facts(), &Decision { at: 20, seen: 20, why })
    }

    /// What the looks saw, changed.
    fn undecided(&self, change: impl FnOnce(&mut Course)) -> String {
        let mut course = Course::run(&self.series, &self.question, &self.ground);
        (course.failure, course.unrest) = (Failure::NoTrend, Unrest::TooShort);
        change(&mut course);
        undecided(&self.facts(), &course)
    }
}

#[test]
fn growth_is_told_with_what_showed_it() {
    let case = Case::of(&[&level(19)[..], &[3.0 * 1048576.0]].concat());
    let passed = Passed { drop: 0.25, chance: 2e-8, slope: 200.0, late_share: 0.98 };
    let end = "200 B per operation (150 B to 250 B); no plateau up to 20,000 operations / 3 MiB";
    assert_eq!(
        case.decided(Why::Rising { passed, keeps: 0.97 }),
        format!(
            "rises in every part of the run (Mann-Kendall p = 2e-8), late slope 0.98 of early, confirmed after twice \
             the cycles at 0.97 of the slope: {end}"
        )
    );
    let sudden = Passed { late_share: f64::INFINITY, chance: 9e-13, ..passed };
    let told = case.decided(Why::Rising { passed: sudden, keeps: 0.97 });
    assert!(told.contains("(Mann-Kendall p < 1e-12), the rise began within the window, confirmed"), "{told}");
    let told = case.decided(Why::Rising { passed: Passed { chance: 1e-12, ..passed }, keeps: 0.97 });
    assert!(told.contains("(Mann-Kendall p = 1e-12), late slope"), "{told}");
    let stair = Stair {
        last_x: 8000.0,
        height: 4096.0,
        next_x: 16_000.4,
        overdue_x: 17_000.0,
        per_unit: Estimate { value: 1.0, low: 1.0, high: 1.0 },
    };
    let told = case.decided(Why::Stairs(stair));
    assert!(
        told.contains("the last by 4 KiB at 8,000 operations, the next expected near 16,000 operations, with old"),
        "{told}"
    );
    assert!(told.ends_with(&format!("on average {end}")), "{told}");
    assert_eq!(
        case.decided(Why::Events { events: 9, mean_gap: 1.0 }),
        format!(
            "never falls and rises again and again at even distances: 9 rises, at the same rate after twice the \
             operations: {end}"
        )
    );
}

#[test]
fn without_floors_or_figures_the_baseline_stands() {
    let mut case = Case::of(&[]);
    case.figures.per_unit = None;
    let told = case.decided(Why::Events { events: 8, mean_gap: 1.0 });
    assert!(told.ends_with("operations: no figure; no plateau up to 0 operations / 1 KiB"), "{told}");
}

#[test]
fn rest_is_told_with_its_bound_and_the_rise_before_it() {
    let case = Case::of(&[&[2e6][..], &[2e6 + 8192.0; 19]].concat());
    let rest = Rest { start: 10, length: 9000.0, bound: 12.0, after_growth: false, creeps: false };
    for (rest, told) in [
        (rest, "no rise in the last 9,000 operations: at most 12 B per operation (95 %)"),
        (Rest { bound: -3.0, ..rest }, "no rise in the last 9,000 operations: at most 0 B per operation (95 %)"),
        (
            Rest { creeps: true, ..rest },
            "still creeps over the last 9,000 operations, but by at most 12 B per operation (95 %): below what \
             matters",
        ),
        (
            Rest { creeps: true, bound: 100.0, ..rest },
            "still creeps over the last 9,000 operations, but by at most 100 B per operation (95 %): below what \
             matters",
        ),
        (
            Rest { creeps: true, bound: 101.0, ..rest },
            "still creeps over the last 9,000 operations, but by at most 101 B per operation (95 %); this run has too \
             few operations, or too much noise, to rule out 100 B per operation",
        ),
        (
            Rest { after_growth: true, ..rest },
            "rose by 8 KiB early on, then came to rest; no rise in the last 9,000 operations: at most 12 B per \
             operation (95 %)",
        ),
    ] {
        assert_eq!(case.decided(Why::Rest(rest)), told);
    }
}

#[test]
fn growth_that_is_not_called_endless_is_told_beside_what_is() {
    let case = Case::of(&level(20));
    let facts = case.facts();
    let rate = "200 B per operation (150 B to 250 B)";
    assert_eq!(
        time_driven(&facts),
        format!(
            "rises by {rate}, but growth in time, found without load, may be as large: a longer idle scenario \
             narrows it"
        )
    );
    assert_eq!(creep(&facts), format!("creeps by {rate}: surely below 100 B per operation"));
    assert_eq!(
        may_be_creep(&facts),
        format!("rises by {rate}, which may be less than the least that is called growth, 50 B per operation")
    );
}

#[test]
fn what_kept_a_rise_from_being_confirmed_is_told() {
    let rising: Vec<f64> = (1..=15).map(|i| f64::from(i) * 2e5).collect();
    let case = Case::of(&rising);
    let since = "growth is suspected since cycle 10 (200 B per operation (150 B to 250 B))";
    for (failure, told) in [
        (Failure::SlowsDown(0.416), ", but it slows down: the later slope is 0.42 of the earlier"),
        (Failure::BetterShape(Shape::Logarithm), ", but growth by the logarithm fits better than a steady rise"),
        (Failure::FallsBack, ", but it has fallen back by more than it rose"),
        (Failure::Creeps, ", but by little beside what matters: creep is told from growth from 33 cycles on"),
        (Failure::TooShort, " and not confirmed: that takes twice the cycles"),
    ] {
        assert_eq!(case.undecided(|course| course.failure = failure), format!("{since}{told}"));
    }
}

#[test]
fn what_kept_a_curve_from_rest_is_told() {
    let case = Case::of(&level(9).into_iter().chain([3e6, 2e6, 2e6]).collect::<Vec<_>>());
    let mut counts = Case::of(&[7.0; 12]);
    counts.ground.unit = Unit::Count;
    let told = |case: &Case, failure, unrest| {
        case.undecided(|course| {
            course.decision = None;
            (course.failure, course.unrest) = (failure, unrest);
        })
    };
    for (failure, rises) in [
        (Failure::SlowsDown(0.416), "rises, but slows down (late slope 0.42 of early)"),
        (Failure::BetterShape(Shape::Logarithm), "rises, but growth by the logarithm fits better than a steady rise"),
        (Failure::FallsBack, "rises, but falls back by more than it rose"),
        (Failure::Creeps, "rises, by little beside what matters"),
        (Failure::NoTrend, "no steady rise"),
    ] {
        let told = told(&counts, failure, Unrest::TooShort);
        assert_eq!(told, format!("{rises}; too few floors in the later half to call it at rest"));
    }
    for (unrest, rest) in [
        (
            Unrest::RecentStep(5000.0),
            "the last step is too recent: the steps before it ask for 5,000 operations of rest",
        ),
        (Unrest::Creeps(12.0), "not at rest either: it still creeps by 12 per operation"),
        (Unrest::Loose(120.0), "up to 120 per operation cannot be ruled out (95 %)"),
        (Unrest::Rises(3.0), "not at rest either: its later half lies 3 above the earlier"),
    ] {
        assert_eq!(told(&counts, Failure::NoTrend, unrest), format!("no steady rise; {rest}"));
    }
    let memory = told(&case, Failure::NoTrend, Unrest::Rises(4096.0));
    assert!(memory.contains("its later half lies 4 KiB over its noise above the earlier"), "{memory}");
}

#[test]
fn no_verdict_says_what_the_run_could_see_and_what_is_expected_of_it() {
    assert_eq!(Case::of(&level(9)).undecided(|_| {}), "only 9 complete cycles: the fewest that can decide are 10");
    let no_rest = "no steady rise; too few floors in the later half to call it at rest";
    let mut case = Case::of(&level(10));
    assert_eq!(case.undecided(|_| {}), no_rest);
    case.figures.sensitivity = Some(100.0);
    assert_eq!(case.undecided(|_| {}), no_rest);
    case.figures.sensitivity = Some(300.0);
    assert_eq!(
        case.undecided(|_| {}),
        format!("{no_rest}; this run finds growth from 300 B per operation on, 100 B per operation is asked")
    );
    case.figures.sensitivity = None;
    case.question.budget = Budget::Open;
    assert_eq!(case.undecided(|_| {}), format!("so far: {no_rest}"));
    case.question.expect_cap = Some(8000);
    assert_eq!(
        case.undecided(|course| course.before_cap = true),
        "so far: rises by 200 B per operation (150 B to 250 B), but a cap is expected at 8,000 operations: growth is \
         called endless only past 10,000 operations"
    );
    let stairs = |course: &mut Course| {
        let per_unit = Estimate { value: 1.0, low: 1.0, high: 1.0 };
        course.stairs = Some(Stair { last_x: 8000.0, height: 1.0, next_x: 16_000.0, overdue_x: 17_000.0, per_unit });
    };
    assert_eq!(
        case.undecided(stairs),
        "so far: steps that double are suspected: the next, expected near 16,000 operations, would confirm it"
    );
}

#[test]
fn one_or_two_large_falls_are_told() {
    // The range is 10: a fall of 3 is large.
    for (falls, told) in [
        (vec![], None),
        (vec![2.9], None),
        (vec![3.0], Some(1)),
        (vec![3.0, 10.0], Some(2)),
        (vec![3.0, 10.0, 4.0], None),
    ] {
        let mut y = vec![100.0, 110.0];
        for fall in &falls {
            y.extend([110.0 - fall, 110.0]);
        }
        y.resize(14, 110.0);
        let reason = Case::of(&y).undecided(|course| course.decision = None);
        let expected = told.map_or(String::new(), |n| {
            format!("; only {n} large fall(s) seen, as of a collector: three show what it leaves")
        });
        assert_eq!(reason.split_once(';').is_some_and(|(_, rest)| rest.contains("large fall")), told.is_some());
        assert!(reason.ends_with(&expected), "{falls:?}: {reason}");
    }
}
