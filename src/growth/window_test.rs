//! Does a series rise in every part, without falling back and without slowing down?
//!
//! Six conditions, all of which must hold (docs/statistics.md gives the reason of each constant). The first three ask
//! whether it rises at all, the last three whether that rise is the kind that goes on.

use super::looks::LOOKS_PLANNED;
use crate::statistics::mann_kendall::rising_chance;
use crate::statistics::models::{self, Shape};
use crate::statistics::{sen, series};

/// The chance of a false alarm that a whole run may have.
pub(super) const ALPHA: f64 = 1e-3;
/// Shares of the cycles that are left out as warm-up, tried in this order.
const DROPS: [f64; 2] = [0.25, 0.5];
/// The least number of cycles left, before rounding up: eight floors are the fewest that can be significant.
const LEAST_LEFT: f64 = 7.5;
const LATE_HALF_CHANCE: f64 = 0.05;
/// Fewest floors that are cut into five blocks instead of four.
const FIVE_BLOCKS_FROM: usize = 16;
/// Steps of the metric (pages, things) that the rise must come to.
const LEAST_STEPS: f64 = 4.0;
pub(super) const LEAST_LATE_SHARE: f64 = 0.7;
const MODEL_LEAD: f64 = 2.0;
const SLOWED_END_SHARE: f64 = 0.65;
pub(super) const BROKEN_LINE_KEEPS: f64 = 0.35;

/// A window that passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Passed {
    /// The share of the cycles left out before it.
    pub drop: f64,
    /// The chance of such a rise without a trend.
    pub chance: f64,
    /// Its slope.
    pub slope: f64,
    /// The slope of its second half as a share of that of its first half.
    pub late_share: f64,
}

/// What kept a series from passing, for the window that came furthest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Failure {
    /// There are too few floors.
    TooShort,
    /// It does not rise, or not in every part.
    NoTrend,
    /// It falls back by more than it rises.
    FallsBack,
    /// It rises, but slower and slower: the late slope as a share of the early.
    SlowsDown(f64),
    /// A shape that slows down fits better.
    BetterShape(Shape),
    /// It rises by too little for so few cycles: creep that levels off looks the same.
    Creeps,
}

impl Failure {
    /// Whether it rises at all: conditions 1 to 3 held.
    pub(super) fn rises(self) -> bool {
        matches!(self, Self::FallsBack | Self::SlowsDown(_) | Self::BetterShape(_) | Self::Creeps)
    }
}

/// Tests floors at `x` with values `y`, measured in steps of `quantum`.
pub(super) fn window_test(x: &[f64], y: &[f64], quantum: f64) -> Result<Passed, Failure> {
    let mut furthest = Failure::TooShort;
    for drop in DROPS {
        let left_out = y.len() as f64 * drop;
        if y.len() as f64 - left_out < LEAST_LEFT {
            continue;
        }
        let start = left_out.floor() as usize;
        match one_window(&x[start..], &y[start..], quantum).map(|passed| Passed { drop, ..passed }) {
            // The shape is asked of all floors and only once a window has come so far: it costs the most.
            Ok(passed) => match slowing_shape(x, y, quantum) {
                Some(shape) => return Err(Failure::BetterShape(shape)),
                None => return Ok(passed),
            },
            Err(failure) if failure.rises() || !furthest.rises() => furthest = failure,
            Err(_) => {}
        }
    }
    Err(furthest)
}

/// Conditions 1 to 5 on one window.
fn one_window(x: &[f64], y: &[f64], quantum: f64) -> Result<Passed, Failure> {
    let half = y.len() / 2;
    let chance = rising_chance(y);
    let significant = chance <= ALPHA / LOOKS_PLANNED as f64 / DROPS.len() as f64;
    if !significant || rising_chance(&y[half..]) > LATE_HALF_CHANCE {
        return Err(Failure::NoTrend);
    }
    let blocks = if y.len() >= FIVE_BLOCKS_FROM { 5 } else { 4 };
    let minima = series::block_minima(y, blocks).unwrap_or_default();
    let rise = minima.last().zip(minima.first()).map_or(0.0, |(last, first)| last - first);
    if !minima.is_sorted_by(|a, b| a < b) || rise < LEAST_STEPS * quantum {
        return Err(Failure::NoTrend);
    }
    if rise < series::largest_drawdown(y) {
        return Err(Failure::FallsBack);
    }
    let early = sen::slope(&x[..half], &y[..half]).unwrap_or(0.0);
    let late = sen::slope(&x[half..], &y[half..]).unwrap_or(0.0);
    // A first half that does not rise at all has nothing to slow down from.
    let late_share = if early > 0.0 { late / early } else { f64::INFINITY };
    if late_share.is_nan() || late_share < LEAST_LATE_SHARE {
        return Err(Failure::SlowsDown(late_share));
    }
    let slope = sen::slope(x, y).filter(|slope| *slope > 0.0).ok_or(Failure::NoTrend)?;
    Ok(Passed { drop: 0.0, chance, slope, late_share })
}

/// Condition 6: the shape that slows down, where it fits clearly better than any that goes on.
fn slowing_shape(x: &[f64], y: &[f64], quantum: f64) -> Option<Shape> {
    let found = models::compare(x, y, quantum, BROKEN_LINE_KEEPS)?;
    let slowing = found.slowing?;
    let clearly = slowing.aicc + MODEL_LEAD < found.steady.aicc && slowing.end_share < SLOWED_END_SHARE;
    clearly.then_some(slowing.shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(n: usize) -> Vec<f64> {
        (1..=n).map(|i| i as f64 * 1000.0).collect()
    }

    fn test(y: &[f64]) -> Result<Passed, Failure> {
        window_test(&axis(y.len()), y, 4096.0)
    }

    fn curve(n: usize, value: impl Fn(f64) -> f64) -> Vec<f64> {
        (1..=n).map(|i| value(i as f64)).collect()
    }

    #[test]
    fn a_line_passes_from_ten_floors_on() {
        let passed = test(&curve(10, |i| i * 1e5)).expect("passes");
        assert!((passed.slope - 100.0).abs() < 1e-9 && passed.drop == 0.25 && passed.late_share == 1.0);
        assert_eq!(test(&curve(9, |i| i * 1e5)), Err(Failure::TooShort));
    }

    #[test]
    fn what_rises_after_a_long_quiet_passes() {
        assert!(test(&curve(40, |i| (i - 8.0).max(0.0) * 1e5)).is_ok());
    }

    #[test]
    fn rises_that_end_or_slow_do_not_pass() {
        assert!(test(&curve(40, |i| (i * 1e5).min(2.5e6))).is_err());
        assert!(test(&curve(40, |i| 1e6 * (1.0 - (-i / 10.0).exp()))).is_err());
        assert!(test(&curve(40, |i| 1e6 * i.ln())).is_err());
        assert_eq!(test(&curve(40, |i| i)), Err(Failure::NoTrend));
        assert_eq!(test(&curve(40, |_| 7.0)), Err(Failure::NoTrend));
    }

    #[test]
    fn a_collector_that_took_it_all_back_once_is_no_trend_yet() {
        let saw = curve(40, |i| if i < 27.0 { i * 1e5 } else { (i - 26.0) * 1e5 });
        assert!(test(&saw).is_err());
    }

    #[test]
    fn sixteen_floors_are_cut_into_five_blocks() {
        // One floor falls back, at the border of the second and the third of five blocks, and within the second of four.
        let dips = |n: usize, start: usize| {
            curve(n, |i| if i == (start + 7) as f64 { (start as f64 + 3.5) * 1e5 } else { i * 1e5 })
        };
        assert_eq!(test(&dips(20, 5)).map(|passed| passed.drop), Ok(0.25), "fifteen floors");
        assert_eq!(test(&dips(21, 5)).map(|passed| passed.drop), Ok(0.5), "sixteen floors");
    }

    /// A window of floors after as many low ones as are left out before it: twelve have no later window.
    fn nine(floors: [f64; 9]) -> Result<Passed, Failure> {
        test(&[[0.0; 3].as_slice(), &floors.map(|y| y * 1e5)].concat())
    }

    #[test]
    fn a_rise_by_chance_of_one_in_14_000_is_no_trend() {
        // Of the orders of nine floors, 9 have at most one pair that falls, 44 at most two: one in 40,320 and one in 8,247.
        let passed = nine([1.0, 0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).expect("passes");
        assert!((passed.chance - 9.0 / 362_880.0).abs() < 1e-12, "{}", passed.chance);
        assert_eq!(nine([1.0, 0.0, 3.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0]), Err(Failure::NoTrend));
    }

    #[test]
    fn a_rise_must_be_there_late() {
        // The later half of sixteen floors has seven pairs of 28 that fall, or six: a chance of .054 or .031.
        let early = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let late = |last: [f64; 8]| one_window(&axis(16), &[early, last].concat(), 0.1);
        assert_eq!(late([11.0, 10.0, 9.0, 14.0, 13.0, 12.0, 16.0, 15.0]), Err(Failure::NoTrend));
        assert!(late([11.0, 10.0, 9.0, 14.0, 13.0, 12.0, 15.0, 16.0]).is_ok());
    }

    #[test]
    fn blocks_of_the_same_minimum_do_not_rise() {
        // The last floor of the second of five blocks falls back to the first floor of all, or not as far.
        let dips = |to: f64| one_window(&axis(16), &curve(16, |i| 1e5 * if i == 6.0 { to } else { i }), 4096.0);
        assert_eq!(dips(1.0), Err(Failure::NoTrend));
        assert!(dips(1.1).is_ok());
    }

    #[test]
    fn the_blocks_rise_by_four_steps_at_least() {
        let floors = |rise: f64| {
            [vec![0.0; 2], vec![0.0, 2700.0, 5400.0, 8100.0, 10_800.0, 13_500.0, rise, rise + 2700.0]].concat()
        };
        assert!(test(&floors(4.0 * 4096.0)).is_ok());
        assert_eq!(test(&floors(4.0 * 4096.0 - 1.0)), Err(Failure::NoTrend));
    }

    #[test]
    fn a_window_may_fall_back_by_what_it_rises() {
        // The blocks of the later 30 of 40 floors rise by 24e5; the bulge in the first of them is in no half.
        let bulge = |height: f64| curve(40, |i| i * 1e5 + if i == 16.0 { height } else { 0.0 });
        assert_eq!(test(&bulge(25e5)).map(|passed| passed.drop), Ok(0.25));
        assert_eq!(test(&bulge(25e5 + 1.0)).map(|passed| passed.drop), Ok(0.5));
        let falls_back = |x: f64| x * 1e5 + if x == 16.0 || x == 26.0 { 25e5 + 1.0 } else { 0.0 };
        assert_eq!(test(&curve(40, falls_back)), Err(Failure::FallsBack));
    }

    #[test]
    fn a_shape_that_slows_down_must_fit_better_by_two() {
        // Between a logarithm and two slopes, the later of which goes on, with a fixed wobble. The share decides which fits.
        let bends = |share_of_slopes: f64| {
            let y = curve(40, |i| {
                let u = i / 39.0;
                let logarithm = (1.0 + 2.0 * u).ln();
                let slopes = 1.4 * u.min(0.5) + 0.8 * (u - 0.5).max(0.0);
                let wobble = 2e4 * ((i as usize * 7 % 5) as f64 - 2.0);
                1e6 * ((1.0 - share_of_slopes) * logarithm + share_of_slopes * slopes) + wobble
            });
            let found = models::compare(&axis(40), &y, 4096.0, BROKEN_LINE_KEEPS).expect("enough floors");
            let lead = found.steady.aicc - found.slowing.expect("it rises").aicc;
            (lead, test(&y).map(|_| ()))
        };
        for (share, least, most, expected) in [
            (0.5, 2.0, 4.0, Err(Failure::BetterShape(Shape::Saturating))),
            (0.7, 0.0, 2.0, Ok(())),
            (0.9, -2.0, 0.0, Ok(())),
        ] {
            let (lead, found) = bends(share);
            assert!((least..most).contains(&lead), "{share}: {lead}");
            assert_eq!(found, expected, "{share}");
        }
    }

    #[test]
    fn a_late_half_keeps_seven_tenths_of_the_early_one() {
        let bends = |late: f64| curve(40, |i| 1e5 * i.min(26.0) + late * (i - 26.0).max(0.0));
        let passed = test(&bends(7e4)).expect("passes");
        assert_eq!((passed.drop, passed.late_share), (0.25, 0.7));
        assert_eq!(test(&bends(69_999.0)).map(|passed| passed.drop), Ok(0.5));
    }

    #[test]
    fn a_rise_that_began_within_the_window_has_nothing_to_slow_down_from() {
        let early = [10.0, 10.0, 10.0, 10.0, 10.0, 0.0, 10.0, 10.0, 10.0, 10.0, 10.0, 1.0, 10.0, 10.0, 2.0];
        let y: Vec<f64> =
            early.iter().copied().chain((1..=15).map(|i| 10.0 + 10.0 * f64::from(i))).map(|y| y * 1e5).collect();
        let passed = one_window(&axis(30), &y, 4096.0).expect("passes");
        assert_eq!(passed.late_share, f64::INFINITY);
    }

    #[test]
    fn what_is_told_is_the_failure_of_the_window_that_came_furthest() {
        for (failure, rises) in [
            (Failure::TooShort, false),
            (Failure::NoTrend, false),
            (Failure::FallsBack, true),
            (Failure::SlowsDown(0.5), true),
            (Failure::BetterShape(Shape::Logarithm), true),
            (Failure::Creeps, true),
        ] {
            assert_eq!(failure.rises(), rises, "{failure:?}");
        }
        // Over the later three quarters it slows down; over the later half it hardly rises.
        let Err(Failure::SlowsDown(share)) =
            test(&curve(40, |i| 1e5 * i.min(22.0) + 2e4 * (i - 22.0).max(0.0) - 15e4 * f64::from(u8::from(i > 38.0))))
        else {
            panic!("slows down")
        };
        assert!(share < 0.7, "{share}");
    }
}
