//! The figures beside the verdict: growth per unit of the axis, per hour, and the least that would have been seen.

use super::steps::isolated;
use super::tail::{VARIANCE_FACTOR, spread};
use super::{Estimate, Floor};
use crate::statistics::newey_west::MeanRate;
use crate::statistics::sen::{Slopes, residuals, slope};
use crate::statistics::series::lag_one_autocorrelation;

const LEVEL: f64 = 0.95;
/// Fewest floors for a figure: three increments.
const FEWEST_FLOORS: usize = 4;
/// Autocorrelation is not believed beyond this: the factor would have no end.
const MOST_AUTOCORRELATION: f64 = 0.9;
/// From this share of the rise in isolated steps the net rate counts too: the slope leaves them out, and a figure that lacks
/// more than a tenth is wrong.
const STEPS_CARRY: f64 = 0.1;
/// The fit of the sensitivity: noise, rounding (verdict.md; +-30 %).
const NOISE_TERM: f64 = 400.0;
const QUANTUM_TERM: f64 = 30.0;

/// Growth per unit of the axis over some floors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// The figure, with the union of the interval of the Theil-Sen slope, its variance widened for dependent floors, and that
    /// of the mean rate by Newey-West, widened by one step at each end.
    pub figure: Estimate,
    /// The lower end of the interval of the slope alone, as the rule has it elsewhere. Unlike that of the mean rate it takes no wave
    /// for doubt.
    slope_low: f64,
}

impl Rate {
    pub(super) fn of(x: &[f64], y: &[f64], quantum: f64) -> Option<Self> {
        if y.len() < FEWEST_FLOORS {
            return None;
        }
        let mut slopes = Slopes::between(x, y)?;
        let net = MeanRate::of(x, y)?;
        let typical = slopes.median();
        let rho = lag_one_autocorrelation(&residuals(x, y, typical)).min(MOST_AUTOCORRELATION);
        let (slope_low, _) = slopes.interval(LEVEL, VARIANCE_FACTOR);
        let (low, high) = slopes.interval(LEVEL, VARIANCE_FACTOR.max((1.0 + rho) / (1.0 - rho)));
        let range = x[x.len() - 1] - x[0];
        let half = net.half_interval(LEVEL) + quantum / range;
        let stepped: f64 = isolated(x, y, quantum).iter().map(|step| step.height).sum();
        let rise = y[y.len() - 1] - y[0];
        let value = if rise > 0.0 && stepped > STEPS_CARRY * rise { typical.max(net.value) } else { typical };
        let figure = Estimate {
            value,
            low: low.min(net.value - half).min(value).min(falls_to(x, y).unwrap_or(value)),
            high: high.max(net.value + half).max(value),
        };
        figure.is_finite().then_some(Self { figure, slope_low: slope_low.min(value) })
    }

    /// The figure of growth that was seen to go on. Where its interval begins below what is growth at all, it is that of the
    /// slope: what the mean rate and creep that levels off leave possible beyond it, the rule has ruled out.
    pub(super) fn of_growth(self, least: f64) -> Estimate {
        let Estimate { value, low, high } = self.figure;
        Estimate { value, low: if low < least { self.slope_low } else { low }, high }
    }
}

/// Where the slope may be going, if it clearly falls from the first half to the second (their intervals lie apart). The
/// slowest creep that levels off is like log N. What it adds to the slope of each half is known, so what would be
/// left without it is too; the ends of both intervals are taken that make it least.
fn falls_to(x: &[f64], y: &[f64]) -> Option<f64> {
    let half = y.len() / 2;
    let (early_low, early_high) = Slopes::between(&x[..half], &y[..half])?.interval(LEVEL, 1.0);
    let (late_low, late_high) = Slopes::between(&x[half..], &y[half..])?.interval(LEVEL, 1.0);
    if late_high >= early_low {
        return None;
    }
    let logarithm: Vec<f64> = x.iter().map(|x| x.max(f64::MIN_POSITIVE).ln()).collect();
    let (creep_early, creep_late) = (slope(&x[..half], &logarithm[..half])?, slope(&x[half..], &logarithm[half..])?);
    let left = late_low - (early_high - late_low) * creep_late / (creep_early - creep_late);
    left.is_finite().then_some(left)
}

impl Estimate {
    pub(super) fn is_finite(&self) -> bool {
        self.value.is_finite() && self.low.is_finite() && self.high.is_finite()
    }

    /// The same figure when up to `below` too much or `above` too little was taken off before.
    pub(super) fn widened(self, below: f64, above: f64) -> Self {
        Self { value: self.value, low: self.low - below, high: self.high + above }
    }
}

/// How many units of the axis pass in an hour, over these floors.
pub(super) fn pace_per_hour(floors: &[Floor]) -> Option<f64> {
    let (first, last) = (floors.first()?, floors.last()?);
    let pace = (last.x - first.x) / (last.t - first.t) * 3600.0;
    (pace.is_finite() && pace > 0.0).then_some(pace)
}

/// The smallest growth per unit of the axis that so many cycles find with 90 % power.
pub(super) fn sensitivity(x: &[f64], y: &[f64], cycle_length: f64, cycles: usize, quantum: f64) -> Option<f64> {
    if y.len() < FEWEST_FLOORS {
        return None;
    }
    let least = least_found(spread(x, y, 0.0), cycle_length, cycles as f64, quantum);
    least.is_finite().then_some(least)
}

fn least_found(noise: f64, cycle_length: f64, cycles: f64, quantum: f64) -> f64 {
    (NOISE_TERM * noise / (cycle_length * cycles.powf(1.5))).max(QUANTUM_TERM * quantum / (cycles * cycle_length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn axis(n: usize) -> Vec<f64> {
        (0..n).map(|i| i as f64 * 1000.0).collect()
    }

    #[test]
    fn a_line_gives_its_slope() {
        let x = axis(20);
        let y: Vec<f64> = x.iter().map(|x| 50.0 * x).collect();
        let Rate { figure: found, .. } = Rate::of(&x, &y, 4096.0).expect("a figure");
        assert!((found.value - 50.0).abs() < 1e-9 && found.low < 50.0 && found.high > 50.0);
        assert!(found.high - found.low < 1.0);
        assert!(Rate::of(&x[..3], &y[..3], 4096.0).is_none());
    }

    #[test]
    fn what_creeps_on_top_of_a_leak_is_in_the_interval_but_not_all_of_it() {
        let x: Vec<f64> = (15..60).map(|i| f64::from(i) * 1000.0).collect();
        let y: Vec<f64> = x.iter().map(|x| 50.0 * x + 3e5 * x.ln()).collect();
        let Rate { figure: found, .. } = Rate::of(&x, &y, 4096.0).expect("a figure");
        assert!(found.low < 50.1 && found.low > 40.0 && found.value > 55.0, "{found:?}");
    }

    #[test]
    fn rare_steps_count_by_what_they_came_to() {
        let x = axis(40);
        let y: Vec<f64> = (0..40).map(|i| f64::from(i / 10) * 1e6).collect();
        let Rate { figure: found, .. } = Rate::of(&x, &y, 4096.0).expect("a figure");
        assert!(found.value >= 3e6 / 39e3 - 1e-9);
    }

    #[test]
    fn what_is_found_shrinks_with_the_cycles_and_never_below_the_step() {
        assert_eq!(least_found(0.0, 1500.0, 30.0, 4096.0), 30.0 * 4096.0 / 45_000.0);
        assert!((least_found(1e5, 1000.0, 100.0, 4096.0) - 40.0).abs() < 1e-9);
        assert!(least_found(1e5, 1000.0, 50.0, 4096.0) > 2.0 * 40.0);
    }

    proptest! {
        #[test]
        fn the_figure_lies_in_its_interval(y in proptest::collection::vec(-1e9..1e9f64, 4..60)) {
            let Rate { figure: found, .. } = Rate::of(&axis(y.len()), &y, 4096.0).expect("a figure");
            prop_assert!(found.low <= found.value && found.value <= found.high);
        }
    }

    #[test]
    fn the_interval_of_an_exact_line_is_one_step_at_each_end() {
        let x: Vec<f64> = (5..25).map(|i| f64::from(i) * 1000.0).collect();
        let y: Vec<f64> = x.iter().map(|x| 1e6 + 50.0 * x).collect();
        let Rate { figure: found, slope_low } = Rate::of(&x, &y, 4096.0).expect("a figure");
        let step = 4096.0 / 19_000.0;
        assert!((found.low - 50.0 + step).abs() < 1e-6 && (found.high - 50.0 - step).abs() < 1e-6, "{found:?}");
        assert_eq!(slope_low, 50.0);
        assert!(Rate::of(&x[..4], &y[..4], 4096.0).is_some());
    }

    #[test]
    fn the_net_rate_counts_from_a_tenth_of_the_rise_in_steps_on() {
        // 450 bytes for each of 200 operations, and 9,500 more at once: that step of 9,950 is a tenth of the 99,500.
        let x: Vec<f64> = (0..=200).map(f64::from).collect();
        let rate = |more: f64, falls: f64| {
            let y: Vec<f64> =
                x.iter().map(|x| 1e6 + 450.0 * x + if *x > 150.0 { more } else { 0.0 } - falls * x).collect();
            Rate::of(&x, &y, 4096.0).expect("a figure").figure.value
        };
        assert!((rate(9_600.0, 0.0) - 99_600.0 / 200.0).abs() < 1e-9);
        assert!(rate(9_500.0, 0.0) < 460.0);
        // Where nothing came of it, steps carry nothing: at the end as high as at first, or lower.
        assert_eq!([rate(9_500.0, 497.5), rate(9_500.0, 500.0)], [-47.5, -50.0]);
    }

    #[test]
    fn floors_that_depend_on_their_neighbours_widen_the_interval() {
        // A slow wave is as dependent as is believed, 0.9: its variance counts (1 + 0.9) / (1 - 0.9) times.
        let x = axis(60);
        let y: Vec<f64> = (0..60).map(|i| 50.0 * x[i] + 1e5 * (i as f64 / 4.0).sin()).collect();
        let found = Rate::of(&x, &y, 1.0).expect("a figure");
        let mut slopes = Slopes::between(&x, &y).expect("slopes");
        let (low, high) = slopes.interval(LEVEL, 19.0);
        let is_met = (found.figure.low - low).abs() < 1e-9 || (found.figure.high - high).abs() < 1e-9;
        assert!(is_met, "{found:?} {low} {high}");
        assert_eq!(found.slope_low, slopes.interval(LEVEL, VARIANCE_FACTOR).0);
    }

    #[test]
    fn growth_that_goes_on_is_at_least_its_slope() {
        let figure = Estimate { value: 60.0, low: 40.0, high: 70.0 };
        let rate = Rate { figure, slope_low: 55.0 };
        assert_eq!(rate.of_growth(40.0), figure);
        assert_eq!(rate.of_growth(40.1), Estimate { low: 55.0, ..figure });
    }

    #[test]
    fn a_slope_that_falls_is_followed_to_what_is_left_of_it() {
        // A slope of 100 and then one of 60, without noise: what the logarithm adds on each half says what is left.
        let x: Vec<f64> = (1..=40).map(|i| f64::from(i) * 1000.0).collect();
        let bends = |late: f64| -> Vec<f64> {
            x.iter().map(|x| 100.0 * x.min(20_500.0) + late * (x - 20_500.0).max(0.0)).collect()
        };
        let logarithm: Vec<f64> = x.iter().map(|x| x.ln()).collect();
        let adds = |part: std::ops::Range<usize>| slope(&x[part.clone()], &logarithm[part]).expect("a slope");
        let share = adds(20..40) / adds(0..20);
        let left = falls_to(&x, &bends(60.0)).expect("falls");
        // It adds `share` as much late as early; the difference of 40 is the rest of what it adds early.
        assert!((left - (60.0 - 40.0 * share / (1.0 - share))).abs() < 1e-9, "{left}");
        assert_eq!(falls_to(&x, &bends(100.0)), None);
        assert_eq!(falls_to(&x, &bends(120.0)), None);
    }

    #[test]
    fn a_figure_without_an_end_is_none() {
        let figure = |low, value, high| Estimate { value, low, high };
        assert!(figure(1.0, 2.0, 3.0).is_finite());
        for (low, value, high) in [(f64::NEG_INFINITY, 2.0, 3.0), (1.0, f64::NAN, 3.0), (1.0, 2.0, f64::INFINITY)] {
            assert!(!figure(low, value, high).is_finite());
        }
    }

    #[test]
    fn the_pace_is_that_of_the_axis_per_hour() {
        let floor = |t: f64, x: f64| Floor { cycle: 1, t, x, value: 0.0 };
        assert_eq!(pace_per_hour(&[floor(10.0, 500.0), floor(11.0, 0.0), floor(20.0, 1500.0)]), Some(360_000.0));
        assert_eq!(pace_per_hour(&[floor(10.0, 500.0), floor(20.0, 500.0)]), None);
        assert_eq!(pace_per_hour(&[floor(10.0, 500.0), floor(10.0, 900.0)]), None);
        assert_eq!(pace_per_hour(&[floor(10.0, 500.0), floor(20.0, 400.0)]), None);
        assert_eq!(pace_per_hour(&[]), None);
    }

    #[test]
    fn what_is_found_needs_four_floors() {
        let y = [5.0; 4];
        assert_eq!(sensitivity(&axis(4), &y, 1000.0, 4, 4096.0), Some(30.0 * 4096.0 / 4000.0));
        assert_eq!(sensitivity(&axis(3), &y[..3], 1000.0, 3, 4096.0), None);
        assert_eq!(sensitivity(&axis(4), &y, 1e-320, 4, 4096.0), None);
    }
}
