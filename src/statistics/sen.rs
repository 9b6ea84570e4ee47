//! The Theil-Sen slope: the median of the slopes between all pairs of points.
//!
//! Up to 29 % of the points can be anything without moving it far. Its interval comes from the variance of
//! Kendall's S (Sen, *Estimates of the Regression Coefficient Based on Kendall's Tau*, 1968). A variance factor
//! above 1 widens it for values that depend on their neighbours.

use super::quantile::{median, median_of, normal_quantile};

/// The slopes between all pairs of points that lie apart on the axis, and how many points there were.
#[derive(Clone, Debug)]
pub struct Slopes {
    slopes: Vec<f64>,
    points: usize,
}

impl Slopes {
    /// The slopes in units of `y` per unit of `x`; `None` without two points apart.
    pub fn between(x: &[f64], y: &[f64]) -> Option<Self> {
        let points = x.len().min(y.len());
        let mut slopes = Vec::new();
        for i in 0..points {
            for j in i + 1..points {
                let run = x[j] - x[i];
                if run != 0.0 {
                    slopes.push((y[j] - y[i]) / run);
                }
            }
        }
        (!slopes.is_empty()).then_some(Self { slopes, points })
    }

    /// The Theil-Sen slope.
    pub fn median(&mut self) -> f64 {
        median_of(&mut self.slopes).unwrap_or(0.0)
    }

    /// The two-sided interval at `level` (0.95), with the variance of Kendall's S times `variance_factor`.
    pub fn interval(&mut self, level: f64, variance_factor: f64) -> (f64, f64) {
        let reach = self.reach((1.0 + level) / 2.0, variance_factor);
        (self.below_middle(reach), self.above_middle(reach))
    }

    /// The one-sided upper bound at `level` (0.95).
    pub fn upper_bound(&mut self, level: f64, variance_factor: f64) -> f64 {
        let reach = self.reach(level, variance_factor);
        self.above_middle(reach)
    }

    /// The one-sided lower bound at `level` (0.95).
    pub fn lower_bound(&mut self, level: f64, variance_factor: f64) -> f64 {
        let reach = self.reach(level, variance_factor);
        self.below_middle(reach)
    }

    /// How many ranks from the middle the bound lies: half of z times the deviation of S.
    fn reach(&self, level: f64, variance_factor: f64) -> f64 {
        let n = self.points as f64;
        let variance = n * (n - 1.0) * (2.0 * n + 5.0) / 18.0 * variance_factor.max(0.0);
        normal_quantile(level) * variance.sqrt() / 2.0
    }

    /// The slope this many ranks below the middle, rounded outwards and cut at the end.
    fn below_middle(&mut self, reach: f64) -> f64 {
        self.at_rank((self.last_rank() / 2.0 - reach).floor())
    }

    /// The slope this many ranks above the middle, rounded outwards and cut at the end.
    fn above_middle(&mut self, reach: f64) -> f64 {
        self.at_rank((self.last_rank() / 2.0 + reach).ceil())
    }

    fn last_rank(&self) -> f64 {
        (self.slopes.len() - 1) as f64
    }

    fn at_rank(&mut self, rank: f64) -> f64 {
        let rank = rank.clamp(0.0, self.last_rank()) as usize;
        *self.slopes.select_nth_unstable_by(rank, f64::total_cmp).1
    }
}

/// The Theil-Sen slope alone.
pub fn slope(x: &[f64], y: &[f64]) -> Option<f64> {
    Slopes::between(x, y).map(|mut slopes| slopes.median())
}

/// What is left of `y` after the line of this slope through the medians.
pub fn residuals(x: &[f64], y: &[f64], slope: f64) -> Vec<f64> {
    let mut left: Vec<f64> = x.iter().zip(y).map(|(x, y)| y - slope * x).collect();
    let centre = median(&left).unwrap_or(0.0);
    left.iter_mut().for_each(|value| *value -= centre);
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sens_own_example_comes_out_as_printed() {
        // Sen 1968, section 6: slope 4.000 with the 93 % limits 3.71 and 4.26, from seven points.
        let x = [1.0, 2.0, 3.0, 4.0, 10.0, 12.0, 18.0];
        let y = [9.0, 15.0, 19.0, 20.0, 45.0, 55.0, 78.0];
        let mut slopes = Slopes::between(&x, &y).expect("points apart");
        assert!((slopes.median() - 4.0).abs() < 1e-9);
        let (low, high) = slopes.interval(0.93, 1.0);
        assert!((3.6..3.8).contains(&low) && (4.2..4.5).contains(&high), "{low} {high}");
        assert!(slopes.lower_bound(0.93, 1.0) < 3.9 && slopes.upper_bound(0.93, 1.0) > 4.1);
    }

    #[test]
    fn bounds_are_rounded_outwards() {
        // The six slopes are 1, 1.5, 2, 7/3, 2.5 and 4: without a variance, the upper bound is above the middle.
        let mut slopes = Slopes::between(&[0.0, 1.0, 2.0, 3.0], &[0.0, 2.0, 3.0, 7.0]).expect("points apart");
        assert_eq!(slopes.upper_bound(0.95, 0.0), 7.0 / 3.0);
        assert_eq!(slopes.lower_bound(0.95, 0.0), 2.0);
        assert_eq!(slopes.interval(0.95, 0.0), (2.0, 7.0 / 3.0));
    }

    #[test]
    fn bounds_lie_where_the_variance_of_kendalls_s_puts_them() {
        // Each slope is its own rank. For 20 points the variance of S is 20 * 19 * 45 / 18 = 950: the bounds are 1.960 (two-sided)
        // and 1.645 (one-sided) times sqrt(950) / 2 = 15.41 ranks from the middle, 94.5; twice the variance, 1.414 times as far.
        let mut slopes = Slopes { slopes: (0..190).map(f64::from).collect(), points: 20 };
        assert_eq!(slopes.interval(0.95, 1.0), (64.0, 125.0));
        assert_eq!((slopes.lower_bound(0.95, 1.0), slopes.upper_bound(0.95, 1.0)), (69.0, 120.0));
        assert_eq!(slopes.interval(0.95, 2.0), (51.0, 138.0));
        // Past the ends the outermost slopes bound it.
        assert_eq!(slopes.interval(0.95, 100.0), (0.0, 189.0));
    }

    #[test]
    fn no_two_points_apart_is_no_slope() {
        assert_eq!(slope(&[], &[]), None);
        assert_eq!(slope(&[1.0, 1.0], &[1.0, 9.0]), None);
    }

    #[test]
    fn one_wild_value_does_not_move_it() {
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let mut y: Vec<f64> = x.iter().map(|x| 3.0 * x).collect();
        y[7] = 1e9;
        assert_eq!(slope(&x, &y), Some(3.0));
    }

    proptest! {
        #[test]
        fn it_is_the_median_of_all_slopes(y in proptest::collection::vec(-1e6..1e6f64, 2..15)) {
            let x: Vec<f64> = (0..y.len()).map(|i| (i * i + i) as f64).collect();
            let mut all: Vec<f64> = Vec::new();
            for j in 1..y.len() { for i in 0..j { all.push((y[j] - y[i]) / (x[j] - x[i])); } }
            all.sort_by(f64::total_cmp);
            let brute = (all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2.0;
            prop_assert!((slope(&x, &y).expect("apart") - brute).abs() <= 1e-9 * brute.abs().max(1.0));
        }

        #[test]
        fn intervals_hold_the_slope_and_grow_with_the_factor(y in proptest::collection::vec(-1e6..1e6f64, 3..25)) {
            let x: Vec<f64> = (0..y.len()).map(|i| i as f64).collect();
            let mut slopes = Slopes::between(&x, &y).expect("apart");
            let middle = slopes.median();
            let (low, high) = slopes.interval(0.95, 1.0);
            let (wide_low, wide_high) = slopes.interval(0.95, 2.0);
            prop_assert!(wide_low <= low && low <= middle && middle <= high && high <= wide_high);
            prop_assert!(slopes.upper_bound(0.95, 1.0) <= high && slopes.upper_bound(0.95, 1.0) >= middle);
        }

        #[test]
        fn residuals_centre_on_zero(y in proptest::collection::vec(-1e6..1e6f64, 1..25), slope in -10.0..10.0f64) {
            let x: Vec<f64> = (0..y.len()).map(|i| i as f64).collect();
            prop_assert!(median(&residuals(&x, &y, slope)).expect("values").abs() < 1e-6);
        }
    }
}
