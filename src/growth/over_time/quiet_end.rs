//! Is the end as quiet as the rest?
//!
//! A curve is at rest only if its newest part does not lie above all that came before. A part is compared with every earlier
//! stretch of the same length, so that what a curve does again and again (waves, dependent noise) is no rise.

use super::super::judge::Summary;
use super::onset::Piece;
use crate::statistics::quantile::{median, quantile};

/// The newest parts that are looked at, as shares of the curve: whatever began in the last third fills one of them at least.
const PARTS: [f64; 5] = [0.015, 0.03, 0.06, 0.12, 0.24];
/// Fewest floors of a part, and of what it is compared with, in multiples of the part.
const FEWEST_FLOORS: usize = 3;
const TIMES_THE_PART: usize = 3;
/// How far a part must lie above the highest earlier one, in multiples of the range of the earlier ones (5 to 95 %) and of
/// the noise. Three parts are asked, so one range is more than three chances of one in ten would bear.
const OVER_RANGE: f64 = 0.5;
const OVER_NOISE: f64 = 2.0;
const LEAST_STEPS: f64 = 4.0;

/// How far the newest part lies above all before, where that is more than noise explains. `None` where the end is quiet.
pub(super) fn rise(pieces: &[Piece], summary: &Summary) -> Option<f64> {
    let y: Vec<f64> = pieces.iter().map(|piece| piece.value).collect();
    let rises = PARTS.iter().filter_map(|share| {
        let length = ((y.len() as f64 * share).round() as usize).max(FEWEST_FLOORS);
        let before = y.len().checked_sub(length).filter(|before| *before >= TIMES_THE_PART * length)?;
        // What lies between may belong to the same rise.
        let earlier: Vec<f64> = y[..before - length].windows(length).filter_map(median).collect();
        let (low, high) = (quantile(&earlier, 0.05)?, quantile(&earlier, 0.95)?);
        let highest = earlier.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let needed = (OVER_RANGE * (high - low)).max(OVER_NOISE * summary.noise).max(LEAST_STEPS * summary.quantum);
        let rise = median(&y[before..])? - highest;
        (rise > needed && rise > summary.smallest * (pieces.last()?.t - pieces[before].t)).then_some(rise)
    });
    rises.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::Point;
    use crate::growth::over_time::onset;
    use crate::units::Unit;

    const STEPS: Summary = Summary { noise: 0.0, quantum: 1.0, smallest: 0.0, unit: Unit::Bytes };

    /// A piece every 30 seconds.
    fn found(values: &[f64], summary: &Summary) -> Option<f64> {
        let point = |n: usize| Point { t: n as f64 * 10.0, x: 0.0, value: values[n / 3], cycle: 1, phase: None };
        let points: Vec<Point> = (0..values.len() * 3).map(point).collect();
        rise(&onset::pieces(&points), summary)
    }

    /// So many pieces at rest, and then some.
    fn ends(quiet: usize, end: &[f64]) -> Vec<f64> {
        [&vec![7.0; quiet], end].concat()
    }

    #[test]
    fn an_end_that_lies_above_all_before_is_a_rise() {
        assert_eq!(found(&ends(97, &[12.0; 3]), &STEPS), Some(5.0));
        assert_eq!(found(&ends(97, &[11.0; 3]), &STEPS), None, "four steps");
        let coarse = Summary { quantum: 2.0, ..STEPS };
        assert_eq!((found(&ends(97, &[15.0; 3]), &coarse), found(&ends(97, &[16.0; 3]), &coarse)), (None, Some(9.0)));
        let noisy = Summary { noise: 3.0, ..STEPS };
        assert_eq!(found(&ends(97, &[13.0; 3]), &noisy), None, "two deviations");
        assert_eq!(found(&ends(97, &[13.5; 3]), &noisy), Some(6.5));
        // Over the 60 seconds of its last three pieces it matters, or it does not.
        assert_eq!(found(&ends(97, &[13.0; 3]), &Summary { smallest: 0.1, ..STEPS }), None);
        assert_eq!(found(&ends(97, &[13.0; 3]), &Summary { smallest: 0.099, ..STEPS }), Some(6.0));
    }

    #[test]
    fn a_part_is_compared_with_all_before_but_its_like() {
        assert_eq!(found(&ends(94, &[16.0, 16.0, 16.0, 17.0, 17.0, 17.0]), &STEPS), Some(10.0));
        // As high for a while, long before.
        let mut again = ends(97, &[17.0; 3]);
        again[50..53].fill(15.0);
        assert_eq!(found(&again, &STEPS), None);
        // What it does again and again: half of the range of what was before, 10, is allowed.
        let wave = |end: f64| {
            let mut wave: Vec<f64> = (0..97).map(|n| if n / 10 % 2 == 0 { 7.0 } else { 17.0 }).collect();
            wave.extend([end; 3]);
            found(&wave, &STEPS)
        };
        assert_eq!((wave(22.0), wave(22.5)), (None, Some(5.5)));
    }

    #[test]
    fn the_largest_rise_of_any_part_is_told() {
        assert_eq!(found(&ends(76, &[&[12.0; 21][..], &[27.0; 3]].concat()), &STEPS), Some(15.0));
        assert_eq!(found(&ends(76, &[15.0; 24]), &STEPS), Some(8.0));
    }

    #[test]
    fn three_times_the_part_must_lie_before_it() {
        assert_eq!(found(&ends(9, &[17.0; 3]), &STEPS), Some(10.0));
        assert_eq!(found(&ends(8, &[17.0; 3]), &STEPS), None);
        assert_eq!(found(&[], &STEPS), None);
    }
}
