//! Medians, spread and quantiles.

use statrs::distribution::{ContinuousCDF, Gamma, Normal, StudentsT};

/// Makes the median absolute deviation an estimate of the standard deviation under normal noise: 1 / z(0.75).
const MAD_TO_SIGMA: f64 = 1.4826;

/// The middle value; the mean of the middle two for an even number.
pub fn median(values: &[f64]) -> Option<f64> {
    median_of(&mut values.to_vec())
}

/// Like [`median`], reordering the values instead of copying them.
pub fn median_of(values: &mut [f64]) -> Option<f64> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let (below, &mut middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return Some(middle);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(lower / 2.0 + middle / 2.0)
}

/// The value below which the share `level` of the values lies, between neighbours by linear interpolation
/// (type 7 of Hyndman and Fan, *Sample Quantiles in Statistical Packages*, 1996).
pub fn quantile(values: &[f64], level: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = level.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * at.fract())
}

/// The noise of values around their median, as a standard deviation: 1.4826 times the median absolute deviation.
pub fn sigma_by_mad(values: &[f64]) -> Option<f64> {
    let centre = median(values)?;
    let mut deviations: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    Some(MAD_TO_SIGMA * median_of(&mut deviations)?)
}

/// The point of the standard normal distribution below which the share `level` lies.
pub fn normal_quantile(level: f64) -> f64 {
    Normal::standard().inverse_cdf(level.clamp(0.0, 1.0))
}

/// The chance that a standard normal number is at most `z`.
pub fn normal_below(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// The same quantile for Student's t; normal where there are no degrees of freedom to speak of.
pub fn student_quantile(level: f64, degrees_of_freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, degrees_of_freedom)
        .map_or_else(|_| normal_quantile(level), |t| t.inverse_cdf(level.clamp(0.0, 1.0)))
}

/// The upper bound on how many events are to be expected where `events` were seen (Garwood, *Fiducial Limits for the
/// Poisson Distribution*, 1936). With none seen it is 3.00 at 95 %: the rule of three.
pub fn poisson_upper_bound(events: usize, level: f64) -> f64 {
    Gamma::new(events as f64 + 1.0, 1.0).map_or(f64::INFINITY, |gamma| gamma.inverse_cdf(level.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_tables_are_met() {
        for (level, z) in [(0.5, 0.0), (0.95, 1.644_854), (0.975, 1.959_964), (0.999, 3.090_232)] {
            assert!((normal_quantile(level) - z).abs() < 1e-5, "{level}");
            assert!((normal_below(z) - level).abs() < 1e-6, "{level}");
        }
        for (freedom, t) in [(5.0, 2.570_582), (10.0, 2.228_139), (30.0, 2.042_272)] {
            assert!((student_quantile(0.975, freedom) - t).abs() < 1e-4, "{freedom}");
        }
        for (events, bound) in [(0, 2.9957), (1, 4.7439), (2, 6.2958), (5, 10.5130)] {
            assert!((poisson_upper_bound(events, 0.95) - bound).abs() < 1e-3, "{events}");
        }
        assert!((student_quantile(0.975, 0.0) - 1.959_964).abs() < 1e-5);
    }

    #[test]
    fn medians_and_quantiles_of_small_sets() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95), Some(4.8));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(sigma_by_mad(&[1.0, 2.0, 3.0, 4.0, 100.0]), Some(1.4826));
    }

    proptest::proptest! {
        #[test]
        fn the_median_is_the_middle_of_the_sorted(mut values in proptest::collection::vec(-1e9..1e9f64, 1..40)) {
            let found = median(&values).expect("not empty");
            values.sort_unstable_by(f64::total_cmp);
            let n = values.len();
            let middle = (values[(n - 1) / 2] + values[n / 2]) / 2.0;
            proptest::prop_assert!((found - middle).abs() <= 1e-6);
        }
    }
}
