//! Containers that double: they grow without end, in steps that get larger and rarer.
//!
//! To a test for trends such a curve is flat most of the time and slows down. What tells it is the pattern: each step
//! about twice as high as the last, after about twice as long.

use super::Estimate;
use super::steps::{Step, steps};
use crate::statistics::series::{largest_drawdown, suffix_minima};

/// A step counts from this share of the whole rise.
const LEAST_SHARE: f64 = 0.06;
/// Neighbouring rises from this share of the whole belong to one step: a table is copied over a border of cycles.
const PART_SHARE: f64 = LEAST_SHARE / 4.0;
/// All steps together, the small ones too, must make this share of the rise.
const TOGETHER: f64 = 0.85;
const FEWEST_STEPS: usize = 3;
const HEIGHTS_GROW: std::ops::RangeInclusive<f64> = 1.5..=2.7;
const GAPS_GROW: std::ops::RangeInclusive<f64> = 1.4..=2.9;
/// How far it may fall back, as a share of the last step.
const FALLS_BACK: f64 = 0.5;
/// How long ago the last step may be, in gaps between the last two.
const LAST_WITHIN: f64 = 2.2;

/// A staircase as seen at one look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stair {
    /// The axis at its last step.
    pub last_x: f64,
    /// Height of the last step.
    pub height: f64,
    /// The axis where the next step is expected.
    pub next_x: f64,
    /// The axis by which it must have come.
    pub overdue_x: f64,
    /// Growth per unit of the axis: along the foot of each step at least, along their tops at most.
    pub per_unit: Estimate,
}

/// Whether a series of floors (warm-up included) is a doubling staircase.
pub(super) fn stair(x: &[f64], y: &[f64]) -> Option<Stair> {
    let kept = suffix_minima(y);
    let rise = kept.last()? - kept.first()?;
    let mut found = steps(x, y, PART_SHARE * rise);
    // The first steps of a table are below the share that tells a step of the pattern, but they are steps.
    let together: f64 = found.iter().map(|step| step.height).sum();
    found.retain(|step| step.height >= LEAST_SHARE * rise);
    let &[.., first, second, last] = found.as_slice() else { return None };
    let now = *x.last()?;
    let (gap, next_gap) = (second.x - first.x, last.x - second.x);
    let doubles = HEIGHTS_GROW.contains(&(second.height / first.height))
        && HEIGHTS_GROW.contains(&(last.height / second.height))
        && GAPS_GROW.contains(&(next_gap / gap));
    let sound = found.len() >= FEWEST_STEPS
        && together >= TOGETHER * rise
        && largest_drawdown(y) <= FALLS_BACK * last.height
        && now - last.x <= LAST_WITHIN * next_gap
        && stayed(&last, y.len());
    (doubles && sound).then_some(Stair {
        last_x: last.x,
        height: last.height,
        next_x: last.x + next_gap * (next_gap / gap),
        overdue_x: last.x + LAST_WITHIN * next_gap,
        per_unit: per_unit(x, &kept, &first, &last),
    })
}

/// What is held lies between what the container holds just before each step and just after it. The line along the feet of the
/// steps is the slowest growth that the steps can come from, the line along their tops the fastest: each step is higher than the one
/// before. The figure is what came over the whole run, which is neither as high as after a step nor as low as before one.
fn per_unit(x: &[f64], kept: &[f64], first: &Step, last: &Step) -> Estimate {
    let range = last.x - first.x;
    let along = |value: fn(&[f64], &Step) -> f64| (value(kept, last) - value(kept, first)) / range;
    let (feet, tops) = (along(|kept, step| kept[step.to] - step.height), along(|kept, step| kept[step.to]));
    let net = (kept[kept.len() - 1] - kept[0]) / (x[x.len() - 1] - x[0]);
    Estimate { value: net.max(feet).min(tops), low: feet, high: tops }
}

/// Whether the step has been seen at more than the one last floor, which may be a bulge.
fn stayed(last: &Step, floors: usize) -> bool {
    last.to + 1 < floors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(n: usize, keeps: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = (1..=n).map(|i| i as f64).collect();
        let y = x.iter().map(|&x| keeps(x)).collect();
        (x, y)
    }

    #[test]
    fn a_table_that_doubles_is_a_staircase() {
        let (x, y) = table(36, |x| 1e6 * 2f64.powf((x / 4.0).log2().floor().max(0.0)));
        let found = stair(&x, &y).expect("a staircase");
        assert_eq!((found.last_x, found.next_x), (32.0, 64.0));
        // What is used rises by 125 kB for each x, what is held by twice as much at most; 7 MB came over a range of 35.
        assert_eq!(found.per_unit, Estimate { value: 200_000.0, low: 125_000.0, high: 250_000.0 });
    }

    #[test]
    fn lines_even_steps_and_tables_at_rest_are_not() {
        for (name, (x, y)) in [
            ("a line", table(40, |x| 1e5 * x)),
            ("even steps", table(40, |x| 1e6 * (x / 8.0).floor())),
            ("at rest", table(90, |x| 1e6 * 2f64.powf((x / 4.0).log2().floor().clamp(0.0, 3.0)))),
            ("nothing", table(40, |_| 3.0)),
        ] {
            assert_eq!(stair(&x, &y), None, "{name}");
        }
    }

    /// A rise of 100 over so many cycles: three steps that double, 13 + 24 + 43 of it at 10, 20 and 40, and what else there is.
    /// The rest comes in parts of 1, which are no steps.
    fn with(n: usize, others: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
        let steps = [&[(10.0, 13.0), (20.0, 24.0), (40.0, 43.0)], others].concat();
        let creep = 100.0 - steps.iter().map(|step| step.1).sum::<f64>();
        let creeps = move |x: f64| (x - 22.0).clamp(0.0, creep);
        table(n, |x| steps.iter().filter(|step| step.0 <= x).map(|step| step.1).sum::<f64>() + creeps(x))
    }

    #[test]
    fn a_staircase_is_doubling_steps_that_are_most_of_the_rise() {
        for (n, others, found) in [
            // 85 of 100 in steps is enough.
            (60, &[(5.0, 5.0)][..], true),
            (60, &[(5.0, 4.9)], false),
            // A step of 6 would be one of the pattern, and does not double; less is none.
            (60, &[(5.0, 5.0), (50.0, 6.0)], false),
            (60, &[(5.0, 5.0), (50.0, 5.9)], true),
            // It was seen at two floors, and up to 2.2 gaps (of 20) ago.
            (40, &[(5.0, 5.0)], false),
            (41, &[(5.0, 5.0)], true),
            (84, &[(5.0, 5.0)], true),
            (85, &[(5.0, 5.0)], false),
        ] {
            let (x, y) = with(n, others);
            assert_eq!(stair(&x, &y).is_some(), found, "{n} {others:?}");
        }
        let (x, y) = with(60, &[(5.0, 5.0)]);
        let found = stair(&x, &y).expect("a staircase");
        assert_eq!((found.last_x, found.height, found.next_x, found.overdue_x), (40.0, 43.0, 80.0, 84.0));
    }

    #[test]
    fn a_staircase_falls_back_by_half_of_its_last_step_at_most() {
        for (bulge, found) in [(21.5, true), (21.6, false)] {
            let (x, mut y) = with(60, &[(5.0, 5.0)]);
            y[14] += bulge;
            assert_eq!(stair(&x, &y).is_some(), found, "{bulge}");
        }
    }

    #[test]
    fn each_step_is_about_twice_as_high_after_about_twice_as_long() {
        for (n, steps, found) in [
            (60, [(10.0, 13.0), (20.0, 24.0), (40.0, 43.0)], true),
            (60, [(10.0, 22.0), (20.0, 24.0), (40.0, 43.0)], false),
            (60, [(10.0, 13.0), (20.0, 24.0), (40.0, 26.0)], false),
            (30, [(10.0, 13.0), (20.0, 24.0), (26.0, 43.0)], false),
        ] {
            let (x, y) = table(n, |x| steps.iter().filter(|step| step.0 <= x).map(|step| step.1).sum());
            assert_eq!(stair(&x, &y).is_some(), found, "{steps:?}");
        }
    }
}
