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
