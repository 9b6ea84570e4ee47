//! Where a tail begins, what it bounds, and what keeps it from being at rest.

use crate::growth::tail::{Ground, Rest, Unrest, tail};
use crate::growth::{Demand, Question};
use crate::statistics::quantile::poisson_upper_bound;
use crate::units::Unit;

const PAGE: f64 = 4096.0;
const MEMORY: Ground = Ground {
    unit: Unit::Bytes,
    quantum: PAGE,
    smallest: 100.0,
    creep: 50.0,
    creep_bound: 50.0,
    steps: 50.0,
    least: 50.0,
    slack: 0.0,
};
const COUNTS: Ground = Ground {
    unit: Unit::Count,
    quantum: 1.0,
    smallest: 1e-4,
    creep: 5e-5,
    creep_bound: 5e-5,
    steps: 5e-5,
    least: 5e-5,
    slack: 0.0,
};

/// So many cycles, 1,500 operations each.
fn asked(n: u32, ground: &Ground, value: impl Fn(f64) -> f64) -> Result<Rest, Unrest> {
    spaced(1500.0, n, ground, value)
}

fn spaced(length: f64, n: u32, ground: &Ground, value: impl Fn(f64) -> f64) -> Result<Rest, Unrest> {
    let x: Vec<f64> = (1..=n).map(|i| f64::from(i) * length).collect();
    let y: Vec<f64> = (1..=n).map(|i| value(f64::from(i))).collect();
    tail(&x, &y, n as usize, ground)
}

/// A rest without growth before it.
fn rest(start: usize, length: f64, bound: f64, creeps: bool) -> Result<Rest, Unrest> {
    Ok(Rest { start, length, bound, after_growth: false, creeps })
}

/// What steps of this height leave possible over a length in which so many were seen.
fn chance_of(events: usize, height: f64, length: f64) -> f64 {
    poisson_upper_bound(events, 0.95) * height / length
}

#[test]
fn what_matters_says_what_may_creep_and_what_is_growth() {
    for (demand, unit, smallest, creep, least) in [
        (Demand::Named, Unit::Bytes, 100.0, 50.0, 50.0),
        (Demand::Named, Unit::Count, 1e-4, 5e-5, 5e-5),
        (Demand::Usual, Unit::Bytes, 100.0, 50.0, 25.0),
        (Demand::Usual, Unit::Count, 1e-4, 5e-5, 0.0),
        (Demand::Part, Unit::Bytes, 100.0, 50.0, 0.0),
    ] {
        let ground = Ground::of(&Question { demand, ..super::question(smallest) }, unit, 3.0);
        assert_eq!((ground.creep, ground.least, ground.slack), (creep, least, 3.0), "{demand:?} {unit:?}");
    }
}

#[test]
fn a_detection_limit_takes_the_place_of_what_matters() {
    let found = MEMORY.down_to(300.0);
    assert_eq!((found.smallest, found.creep, found.creep_bound), (300.0, 150.0, 300.0));
    assert_eq!((found.steps, found.least), (50.0, 50.0), "steps and the least growth are asked for as before");
}

#[test]
fn the_tail_is_the_longest_share_of_the_operations_that_rests() {
    // Nine tenths of 60,000 operations lie after the fourth of 40 floors.
    let flat = |_: f64| 5e6;
    assert_eq!(asked(40, &MEMORY, flat), rest(3, 54_000.0, chance_of(0, PAGE, 54_000.0), false));
    let just = Ground { smallest: chance_of(0, PAGE, 54_000.0), ..MEMORY };
    assert_eq!(asked(40, &just, flat).map(|rest| rest.length), Ok(54_000.0), "exactly what matters may be left");
    let slack = Ground { slack: 7.0, ..MEMORY };
    assert_eq!(asked(40, &slack, flat).map(|rest| rest.bound), Ok(chance_of(0, PAGE, 54_000.0) + 7.0));
    // One step: no stretch that holds it rests, and the half after it, six floors, does.
    let step = |i: f64| if i < 5.0 { 5e6 } else { 5e6 + 240_000.0 };
    assert_eq!(asked(10, &MEMORY, step), rest(4, 7_500.0, chance_of(0, 240_000.0, 7_500.0), false));
    let short = |i: f64| if i < 4.0 { 5e6 } else { 5e6 + 200_000.0 };
    assert!(asked(8, &MEMORY, short).is_err(), "five floors");
    // Two steps of 375,000 bytes in 7,500 operations are no more than half of what matters: nothing is asked after them.
    let steps = |i: f64| 375_000.0 * f64::from(u8::from(i >= 5.0) + u8::from(i >= 10.0));
    assert_eq!(asked(20, &MEMORY, steps).map(|rest| rest.length), Ok(15_000.0));
}

#[test]
fn a_rise_before_the_tail_is_growth_where_it_is_over_noise_and_matters() {
    let rounding = 5.0 * (PAGE / 12f64.sqrt());
    for (length, n, rise, after_growth) in [
        // A quarter of what matters over 220 operations is 5,500 bytes: the noise of rounding, 5 deviations, is more.
        (20.0, 11, 5900.0, false),
        (20.0, 11, rounding, false),
        (20.0, 11, 5920.0, true),
        // Over 600 operations it is 15,000 bytes.
        (20.0, 30, 10_000.0, false),
        (20.0, 30, 15_000.0, false),
        (20.0, 30, 15_001.0, true),
    ] {
        // The noise of rounding to the last bit is told from zero on alone.
        for origin in if rise == rounding { [0.0, 0.0] } else { [0.0, 5e6] } {
            let x: Vec<f64> = (1..=n).map(|i| f64::from(i) * length).collect();
            let y: Vec<f64> = (1..=n).map(|i| if i == 1 { origin } else { origin + rise }).collect();
            // The rise lies in the warm-up.
            let found = tail(&x, &y, n as usize - 1, &MEMORY).expect("rest");
            assert_eq!(found.after_growth, after_growth, "{rise} of {n} from {origin}");
        }
    }
}

#[test]
fn a_small_creep_rests_from_33_cycles_on() {
    let creeps = |per_op: f64| move |i: f64| per_op * 1500.0 * i;
    let tail_of =
        |n: u32, ground: &Ground, per_op: f64| asked(n, ground, creeps(per_op)).map(|rest| (rest.bound, rest.creeps));
    assert_eq!(tail_of(33, &MEMORY, 20.0), Ok((20.0, true)));
    assert_eq!(tail_of(32, &MEMORY, 20.0), Err(Unrest::Creeps(20.0)));
    assert_eq!(tail_of(33, &MEMORY, 50.0), Ok((50.0, true)), "half of what matters");
    assert_eq!(tail_of(33, &MEMORY, 51.0), Err(Unrest::Creeps(51.0)));
    assert_eq!(tail_of(33, &MEMORY, 101.0), Err(Unrest::Loose(101.0)));
    let slack = Ground { slack: 5.0, ..MEMORY };
    assert_eq!(tail_of(33, &slack, 20.0), Ok((25.0, true)));
    assert_eq!(tail_of(33, &slack, 46.0), Err(Unrest::Creeps(51.0)));
    let many = Ground { smallest: 100.0, creep: 50.0, ..COUNTS };
    assert_eq!(tail_of(33, &many, 20.0), Err(Unrest::Creeps(20.0)), "counts are exact: they do not creep");
}

#[test]
fn a_creep_is_its_fastest_part() {
    // Flat up to the 22nd of 40 cycles: the later half alone rises by 40, or by 60, bytes per operation.
    let late = |per_op: f64| move |i: f64| (i - 22.0).max(0.0) * 1500.0 * per_op;
    let found = asked(40, &MEMORY, late(40.0)).expect("rest");
    assert_eq!((found.bound, found.creeps, found.length), (40.0, true, 54_000.0));
    assert_eq!(asked(40, &MEMORY, late(60.0)), Err(Unrest::Creeps(60.0)));
    // Slower from the 29th cycle on: the first quarter of the last half lies around the 22nd, its last around the 38th.
    let early = |i: f64| 1500.0 * (72.0 * i.min(29.0) + 52.0 * (i - 29.0).max(0.0));
    let Err(Unrest::Creeps(rate)) = asked(40, &MEMORY, early) else { panic!("creeps") };
    assert_eq!(rate, (7.0 * 72.0 + 9.0 * 52.0) / 16.0);
}

#[test]
fn memory_may_rise_by_its_step_or_its_noise_from_half_to_half() {
    // Half of the tail lies before the rise.
    let rise = |by: f64| move |i: f64| if i < 18.0 { 5e6 } else { 5e6 + by };
    assert_eq!(asked(32, &MEMORY, rise(PAGE)).map(|rest| rest.creeps), Ok(false));
    assert_eq!(asked(32, &MEMORY, rise(PAGE + 1.0)), Err(Unrest::Rises(1.0)));
    // In two parts, which do not stand alone: over half of the tail, 27,000 operations, 27 kB are one byte for each.
    let in_parts = |by: f64| {
        move |i: f64| {
            if i < 21.0 {
                5e6
            } else if i < 22.0 {
                5e6 + by / 2.0
            } else {
                5e6 + by
            }
        }
    };
    assert_eq!(asked(40, &MEMORY, in_parts(27_000.0)), rest(3, 54_000.0, 1.0, true));
    let slack = Ground { slack: 2.0, ..MEMORY };
    assert_eq!(asked(40, &slack, in_parts(27_000.0)).map(|rest| rest.bound), Ok(3.0));
    let just = Ground { creep: 1.0, ..MEMORY };
    assert_eq!(asked(40, &just, in_parts(27_000.0)).map(|rest| rest.bound), Ok(1.0), "exactly what may creep");
}

#[test]
fn what_came_soon_after_the_warm_up_is_counted_from_its_end() {
    // Twenty floors of warm-up; a step of a cycle is early within a twentieth of the fifty cycles after it.
    let found = |step: usize| {
        let x: Vec<f64> = (1..=70).map(|i| f64::from(i) * 100.0).collect();
        let y: Vec<f64> = (0..70).map(|i| if i < step { 15e6 } else { 35e6 }).collect();
        tail(&x, &y, 50, &MEMORY)
    };
    for (step, is_rest) in [(19, true), (20, true), (21, true), (22, false), (24, false)] {
        assert_eq!(found(step).is_ok(), is_rest, "{step}: {:?}", found(step));
    }
    // Of so few cycles no step is early, and the one to the first of them is none of a cycle.
    let few = |step: usize| {
        let x: Vec<f64> = (1..=15).map(|i| f64::from(i) * 1500.0).collect();
        let y: Vec<f64> = (0..15).map(|i| if i < step { 15e6 } else { 35e6 }).collect();
        tail(&x, &y, 12, &MEMORY).is_ok()
    };
    assert_eq!([few(2), few(3), few(4)], [true, true, false]);
}

#[test]
fn counts_may_not_rise_from_part_to_part() {
    let count = |value: fn(f64) -> f64| spaced(15_000.0, 40, &COUNTS, value);
    assert!(count(|_| 7.0).is_ok());
    assert_eq!(count(|i| 7.0 + f64::from(u8::from(i >= 31.0))), Err(Unrest::Rises(1.0)), "only its last quarter");
    // Lower in the second quarter of each tail: no quarter lies above the first, and the halves rise.
    let dips = |i: f64| if (16.0..22.0).contains(&i) { 7.0 } else { 8.0 };
    assert_eq!(count(dips), Err(Unrest::Rises(1.0)));
}

#[test]
fn events_in_the_tail_widen_its_bound() {
    let steps =
        |at: [(f64, f64); 2]| move |i: f64| at.iter().map(|(from, by)| if i >= *from { *by } else { 0.0 }).sum();
    for (at, events, height) in [
        // What came right after the warm-up is part of it.
        ([(2.0, 27_000.0), (3.0, 0.0)], 0, PAGE),
        ([(3.0, 27_000.0), (4.0, 0.0)], 0, 27_000.0),
        // The tail begins with the floor that shows the step.
        ([(4.0, 27_000.0), (5.0, 0.0)], 0, 27_000.0),
        ([(22.0, 27_000.0), (23.0, 0.0)], 1, 27_000.0),
        ([(2.0, 10_000.0), (22.0, 30_000.0)], 1, 20_000.0),
        ([(18.0, 10_000.0), (22.0, 30_000.0)], 2, 20_000.0),
    ] {
        let found = asked(40, &MEMORY, steps(at));
        assert_eq!(found, rest(3, 54_000.0, chance_of(events, height, 54_000.0), events > 0), "{at:?}");
    }
}
