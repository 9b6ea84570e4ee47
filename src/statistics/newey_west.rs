//! The mean rate of a rise, with an error that holds when neighbouring increments depend on each other.
//!
//! The variance of the mean increment is estimated with Bartlett weights over a few lags (Newey and West,
//! *A Simple, Positive Semi-Definite, Heteroskedasticity and Autocorrelation Consistent Covariance Matrix*,
//! 1987; number of lags by their rule of 1994, 4 (n / 100)^(2/9)). Where the Theil-Sen slope asks what the typical
//! pair does, this asks what the whole came to: rare large steps count here.

use super::quantile::student_quantile;

/// A mean rate and its standard error, in units of `y` per unit of `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanRate {
    /// Last minus first over the range of the axis.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Increments it rests on.
    pub increments: usize,
}

impl MeanRate {
    /// Of a series in the order of the axis; `None` below three increments or without a range.
    pub fn of(x: &[f64], y: &[f64]) -> Option<Self> {
        let points = x.len().min(y.len());
        let increments = points.checked_sub(1).filter(|&n| n >= 3)?;
        let range = x[points - 1] - x[0];
        if range <= 0.0 {
            return None;
        }
        let value = (y[points - 1] - y[0]) / range;
        let surprises: Vec<f64> = (0..increments).map(|i| (y[i + 1] - y[i]) - value * (x[i + 1] - x[i])).collect();
        let variance_of_sum = long_run_sum(&surprises);
        Some(Self { value, standard_error: variance_of_sum.max(0.0).sqrt() / range, increments })
    }

    /// Half the two-sided interval at `level` (0.95).
    pub fn half_interval(&self, level: f64) -> f64 {
        student_quantile((1.0 + level) / 2.0, (self.increments - 1) as f64) * self.standard_error
    }
}

/// The variance of the sum of these centred values: squares plus weighted products at each lag.
fn long_run_sum(values: &[f64]) -> f64 {
    let n = values.len();
    let lags = (4.0 * (n as f64 / 100.0).powf(2.0 / 9.0)).floor() as usize;
    let lags = lags.min(n - 1);
    let product = |lag: usize| values.iter().zip(&values[lag..]).map(|(a, b)| a * b).sum::<f64>();
    let weighted: f64 = (1..=lags).map(|lag| (1.0 - lag as f64 / (lags + 1) as f64) * product(lag)).sum();
    product(0) + 2.0 * weighted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_straight_line_has_no_error() {
        let x: Vec<f64> = (0..12).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| 7.0 * x).collect();
        let rate = MeanRate::of(&x, &y).expect("enough");
        assert!((rate.value - 7.0).abs() < 1e-12 && rate.standard_error < 1e-9);
        assert_eq!(MeanRate::of(&x[..4], &y[..4]).map(|rate| rate.increments), Some(3));
        assert_eq!(MeanRate::of(&x[..3], &y[..3]), None);
        assert_eq!(MeanRate::of(&[1.0; 9], &y), None);
    }

    #[test]
    fn a_rate_and_its_interval_are_those_worked_out_by_hand() {
        // From 10 to 22 in 4 steps: 3 a step. The surprises are -1, 1, 1, -1; 4 (4 / 100)^(2/9) gives one lag, of weight 1/2: the
        // variance of their sum is 4 + 2 / 2 * (-1 + 1 - 1) = 3.
        let rate = MeanRate::of(&[5.0, 6.0, 7.0, 8.0, 9.0], &[10.0, 12.0, 16.0, 20.0, 22.0]).expect("enough");
        assert_eq!((rate.value, rate.increments), (3.0, 4));
        assert!((rate.standard_error - 3.0_f64.sqrt() / 4.0).abs() < 1e-12, "{rate:?}");
        // Student's t at 97.5 % with 3 degrees of freedom is 3.182.
        let half = rate.half_interval(0.95);
        assert!((half - 3.182_446 * rate.standard_error).abs() < 1e-4, "{half}");
        // Places need not be evenly apart: a line stays one.
        let uneven = MeanRate::of(&[1.0, 2.0, 5.0, 7.0], &[12.0, 14.0, 20.0, 24.0]).expect("enough");
        assert!(uneven.value == 2.0 && uneven.standard_error == 0.0, "{uneven:?}");
    }

    #[test]
    fn values_that_swing_back_cancel_and_values_that_follow_add_up() {
        let swinging: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let following: Vec<f64> = (0..40).map(|i| if i / 10 % 2 == 0 { 1.0 } else { -1.0 }).collect();
        assert!(long_run_sum(&swinging) < 40.0 / 3.0);
        assert!(long_run_sum(&following) > 80.0);
    }

    proptest! {
        #[test]
        fn the_variance_is_never_negative(values in proptest::collection::vec(-1e3..1e3f64, 3..60)) {
            prop_assert!(long_run_sum(&values) >= -1e-6);
        }

        #[test]
        fn few_lags_are_the_sum_written_out(values in proptest::collection::vec(-1e3..1e3f64, 4..10)) {
            // Below 13 values the rule gives two lags: weights 2/3 and 1/3.
            let lags = (4.0 * (values.len() as f64 / 100.0).powf(2.0 / 9.0)).floor() as usize;
            let mut brute = 0.0;
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values.iter().enumerate() {
                    let apart = i.abs_diff(j);
                    if apart <= lags { brute += (1.0 - apart as f64 / (lags + 1) as f64) * a * b; }
                }
            }
            prop_assert!((long_run_sum(&values) - brute).abs() <= 1e-6 * brute.abs().max(1.0));
        }
    }
}
