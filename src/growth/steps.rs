//! The steps of a series: places where what is never given back goes up.

use crate::statistics::quantile::{median, sigma_by_mad};
use crate::statistics::series::suffix_minima;

/// One step up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    /// The index of the first value after it.
    pub to: usize,
    /// Where on the axis it was first seen.
    pub x: f64,
    /// How high it is.
    pub height: f64,
}

/// All rises of the suffix minimum higher than `least`; rises of neighbouring floors belong to one step.
pub(super) fn steps(x: &[f64], y: &[f64], least: f64) -> Vec<Step> {
    let kept = suffix_minima(y);
    let mut found: Vec<Step> = Vec::new();
    for to in 1..kept.len() {
        let height = kept[to] - kept[to - 1];
        if height <= least {
            continue;
        }
        match found.last_mut() {
            Some(step) if step.to + 1 == to => (step.to, step.height) = (to, step.height + height),
            _ => found.push(Step { to, x: x[to], height }),
        }
    }
    found
}

/// Steps that stand alone: over the noise from floor to floor, not part of a steady rise, which rises at neighbouring
/// floors too, and up to a level above that of most floors since the last one. Back from a dip is no step.
pub(super) fn isolated(x: &[f64], y: &[f64], quantum: f64) -> Vec<Step> {
    let kept = suffix_minima(y);
    let least = least_step(y, quantum);
    let rises = |to: usize| kept.get(to).is_some_and(|value| value - kept[to - 1] > least);
    let alone = |to: &usize| rises(*to) && !(*to > 1 && rises(to - 1)) && !rises(to + 1);
    let mut last = 0;
    let is_new = |to: &usize| {
        let since = &y[last..*to];
        last = *to;
        median(since).is_none_or(|usual| kept[*to] > usual)
    };
    let places = (1..kept.len()).filter(alone).filter(is_new);
    places.map(|to| Step { to, x: x[to], height: kept[to] - kept[to - 1] }).collect()
}

/// A step must be this many standard deviations over the noise.
const OVER_NOISE: f64 = 5.0;

/// The least height that is a step and not noise.
pub(super) fn least_step(y: &[f64], quantum: f64) -> f64 {
    quantum.max(OVER_NOISE * noise(y))
}

/// The noise from floor to floor, which steps and slow trends hardly touch: the spread of first differences.
fn noise(y: &[f64]) -> f64 {
    let differences: Vec<f64> = y.windows(2).map(|pair| pair[1] - pair[0]).collect();
    sigma_by_mad(&differences).unwrap_or(0.0) / std::f64::consts::SQRT_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_and_neighbours_joined() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let y = [0.0, 0.0, 9.0, 9.0, 2.0, 2.0, 5.0, 8.0, 8.0, 8.0];
        let found = steps(&x, &y, 1.0);
        assert_eq!(found, [Step { to: 2, x: 2.0, height: 2.0 }, Step { to: 7, x: 6.0, height: 6.0 }]);
        assert!(isolated(&x, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], 0.5).is_empty());
    }

    #[test]
    fn a_step_stands_alone_above_the_noise() {
        let x: Vec<f64> = (0..8).map(f64::from).collect();
        let found =
            |y: &[f64], quantum| isolated(&x, y, quantum).iter().map(|step| (step.to, step.height)).collect::<Vec<_>>();
        let none: [(usize, f64); 0] = [];
        assert_eq!(found(&[0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0], 4.0), [(1, 5.0)]);
        assert_eq!(found(&[0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0], 5.0), none);
        assert_eq!(found(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0], 4.0), [(7, 5.0)]);
        assert_eq!(found(&[0.0, 0.0, 5.0, 10.0, 10.0, 10.0, 10.0, 10.0], 4.0), none);
        assert_eq!(found(&[0.0, 5.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0], 4.0), none);
        // A rise that is no step leaves its neighbour alone.
        assert_eq!(found(&[0.0, 0.0, 4.0, 9.0, 9.0, 9.0, 9.0, 9.0], 4.0), [(3, 5.0)]);
        assert_eq!(found(&[0.0, 0.0, 5.0, 9.0, 9.0, 9.0, 9.0, 9.0], 4.0), [(2, 5.0)]);
    }

    #[test]
    fn back_from_a_dip_is_no_step() {
        let x: Vec<f64> = (0..9).map(f64::from).collect();
        let found = |y: &[f64]| isolated(&x, y, 1.0).iter().map(|step| (step.to, step.height)).collect::<Vec<_>>();
        let none: [(usize, f64); 0] = [];
        assert_eq!(found(&[9.0, 9.0, 9.0, 3.0, 3.0, 9.0, 9.0, 9.0, 9.0]), none);
        assert_eq!(found(&[9.0, 9.0, 9.0, 3.0, 3.0, 8.0, 8.0, 8.0, 8.0]), none);
        assert_eq!(found(&[9.0, 9.0, 9.0, 3.0, 3.0, 12.0, 12.0, 12.0, 12.0]), [(5, 9.0)]);
        // Most floors were low: it is the higher ones that were a bulge.
        assert_eq!(found(&[9.0, 9.0, 3.0, 3.0, 3.0, 8.0, 8.0, 8.0, 8.0]), [(5, 5.0)]);
        // Only what was there since the last step counts.
        assert_eq!(found(&[3.0, 3.0, 9.0, 9.0, 9.0, 5.0, 9.0, 9.0, 9.0]), [(2, 2.0)]);
        assert_eq!(found(&[3.0, 3.0, 3.0, 3.0, 9.0, 9.0, 9.0, 15.0, 15.0]), [(4, 6.0), (7, 6.0)]);
    }

    #[test]
    fn rises_of_the_least_height_are_no_steps() {
        let x: Vec<f64> = (0..4).map(f64::from).collect();
        assert_eq!(steps(&x, &[0.0, 1.0, 1.0, 3.0], 1.0), [Step { to: 3, x: 3.0, height: 2.0 }]);
        // Neighbours that are no steps part those that are.
        assert_eq!(steps(&x, &[0.0, 2.0, 3.0, 5.0], 1.0).len(), 2);
    }

    #[test]
    fn the_least_step_is_five_deviations_of_the_noise_or_the_quantum() {
        // Differences of -1, 0 and 1 in turn: 1.4826 is their spread, over the root of two that of a floor.
        let y = [0.0, -1.0, -1.0, 0.0, -1.0, -1.0, 0.0, -1.0, -1.0, 0.0];
        assert!((least_step(&y, 1.0) - 5.0 * 1.4826 / 2f64.sqrt()).abs() < 1e-9);
        assert_eq!(least_step(&y, 6.0), 6.0);
        assert!((least_step(&y.map(|y| 100.0 + y), 1.0) - least_step(&y, 1.0)).abs() < 1e-9, "at any level");
    }
}
