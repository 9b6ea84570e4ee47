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
        let rho = lag_one_autocorrelation(&residuals(x, y, typical)).clamp(-MOST_AUTOCORRELATION, MOST_AUTOCORRELATION);
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
    if y.len() < FEWEST_FLOORS || cycle_length <= 0.0 {
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
}
