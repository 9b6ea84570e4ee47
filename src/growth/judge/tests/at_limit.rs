//! Rest down to the growth that a run can detect, where nobody names a smaller one.

use super::super::*;
use super::{course, figures, ground, question, rest, series};
use crate::growth::{Axis, Collector, Point};
use crate::sample::{Metric, Phase};

/// The floors in KiB of a Python server, driven at 20 operations a second over 76 cycles of about 15.2: a cache of 150
/// pages that fills, then a page of memory now and then.
const PYTHON: [(u32, f64); 22] = [
    (1, 10808.0),
    (2, 10816.0),
    (3, 10824.0),
    (4, 10836.0),
    (5, 10872.0),
    (6, 10908.0),
    (7, 10956.0),
    (8, 10984.0),
    (9, 11016.0),
    (10, 11052.0),
    (11, 11064.0),
    (12, 11072.0),
    (14, 11076.0),
    (18, 11080.0),
    (21, 11084.0),
    (24, 11088.0),
    (25, 11092.0),
    (26, 11104.0),
    (32, 11108.0),
    (40, 11112.0),
    (48, 11116.0),
    (67, 11120.0),
];

fn curve(cycles: u32, value: impl Fn(u32) -> f64) -> Curve {
    let at = |cycle: u32, phase| Point {
        t: f64::from(cycle) * 1.15,
        x: f64::from(cycle) * 15.2,
        value: value(cycle),
        cycle,
        phase,
    };
    let points = std::iter::once(at(0, None))
        .chain((1..=cycles).flat_map(|cycle| [at(cycle, Some(Phase::Load)), at(cycle, Some(Phase::Settle))]))
        .collect();
    Curve { metric: Metric::Private, axis: Axis::Operations, points, restarts: None }
}

fn python() -> Curve {
    let level = |cycle| PYTHON.iter().rev().find(|(from, _)| *from <= cycle).map_or(10_800.0, |(_, level)| *level);
    curve(76, |cycle| 1024.0 * level(cycle))
}

fn asked(curve: &Curve, demand: Demand, budget: Budget) -> Growth {
    let question =
        Question { smallest: 100.0, demand, time_driven: None, expect_cap: None, budget, collector: Collector::None };
    judge(curve, &question)
}

#[test]
fn spent_budget_decides_at_the_detection_limit_where_nobody_named_smallest() {
    let python = python();
    let growth = asked(&python, Demand::Usual, Budget::Spent);
    assert_eq!(growth.verdict, Verdict::Bounded, "{}", growth.reason);
    assert_eq!((growth.decided_at, growth.more_cycles), (Some(76), None), "{}", growth.reason);
    for (demand, budget) in
        [(Demand::Named, Budget::Spent), (Demand::Part, Budget::Spent), (Demand::Usual, Budget::Open)]
    {
        let growth = asked(&python, demand, budget);
        assert_eq!(growth.verdict, Verdict::Inconclusive, "{demand:?}, {budget:?}: {}", growth.reason);
    }
}

/// Noise of so many bytes that has no pattern.
fn noise(seed: u32, cycle: u32) -> f64 {
    let mut z = u64::from(seed) << 32 | u64::from(cycle);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        z = (z ^ (z >> 30)).wrapping_mul(factor);
    }
    (z >> 11) as f64 / (1u64 << 53) as f64 - 0.5
}

#[test]
fn growth_above_the_detection_limit_is_not_at_rest() {
    let (mut decided, mut at_limit) = (0, 0);
    for seed in 1..=200 {
        let rest = curve(75, |cycle| 20e6 + 400e3 * noise(seed, cycle));
        let limit = asked(&rest, Demand::Named, Budget::Spent).sensitivity.expect("a limit");
        assert!(limit > 100.0, "{limit}");
        let growth = asked(&rest, Demand::Usual, Budget::Spent);
        decided += u32::from(growth.verdict != Verdict::Inconclusive);
        at_limit += u32::from(growth.reason.ends_with("to rule out 100 B per operation"));
        let rises = curve(75, |cycle| 20e6 + 1.2 * limit * 15.2 * f64::from(cycle) + 400e3 * noise(seed, cycle));
        let growth = asked(&rises, Demand::Usual, Budget::Spent);
        let is_rest = matches!(growth.verdict, Verdict::Flat | Verdict::Bounded);
        assert!(!is_rest, "{seed}: {}", growth.reason);
    }
    assert!(decided >= 180 && at_limit >= 20, "{decided} of 200 at rest were decided, {at_limit} at the limit");
}

#[test]
fn detection_limit_is_no_large_share_of_the_level() {
    let noisy = curve(75, |cycle| 20e6 + 16e6 * noise(7, cycle));
    let growth = asked(&noisy, Demand::Usual, Budget::Spent);
    assert_eq!(growth.verdict, Verdict::Inconclusive, "{}", growth.reason);
}

#[test]
fn detection_limit_is_asked_of_long_open_runs_of_memory_alone() {
    // A level of 20 MB at the end of 33 cycles of 15.2 operations: a tenth of it is 4 kB per operation.
    let quiet = curve(33, |_| 20e6);
    let most = 0.1 * 20e6 / (33.0 * 15.2);
    let found = |curve: &Curve, limit: f64, change: &dyn Fn(&mut Question, &mut Course)| {
        let mut question = Question { smallest: 100.0, ..question(Demand::Usual) };
        let mut course = course(|_| {});
        change(&mut question, &mut course);
        let figures = Figures { sensitivity: Some(limit), ..figures(None) };
        detection_limit(curve, &question, &Series::of(&curve.floors()), &course, &figures)
    };
    let plain = |curve: &Curve, limit: f64| found(curve, limit, &|_, _| {});
    assert_eq!(plain(&quiet, 200.0), Some(200.0));
    assert_eq!(plain(&quiet, 100.0), None, "no more than what matters anyway");
    assert_eq!(plain(&quiet, 1e9), Some(most));
    assert_eq!(plain(&curve(32, |_| 20e6), 200.0), None, "too short");
    assert_eq!(plain(&Curve { axis: Axis::Seconds, ..quiet.clone() }, 200.0), None);
    assert_eq!(plain(&Curve { metric: Metric::Fds, ..quiet.clone() }, 200.0), None);
    let suspicions = || {
        let rises = series(0, 15, |x| 500.0 * x);
        Course::run(&rises, &question(Demand::Named), &ground(Demand::Named)).suspicions
    };
    for change in [
        &(|_: &mut Question, course: &mut Course| course.decision = Some(Decision { at: 33, seen: 33, why: rest(0) }))
            as &dyn Fn(&mut Question, &mut Course),
        &|_, course| course.suspicions = suspicions(),
        &|_, course| course.before_cap = true,
        &|question, _| question.demand = Demand::Named,
        &|question, _| question.budget = Budget::Open,
    ] {
        assert_eq!(found(&quiet, 200.0, change), None);
    }
}
