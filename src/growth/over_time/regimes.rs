//! Where a curve changed for good: a deploy, another configuration, other traffic.
//!
//! The curve is cut into straight parts. What began with a fall is judged by itself, as a curve from its first sample would be: its
//! level says nothing beside the one before. What fell once after it had risen may do so again, and is no change for good.

use super::super::judge::Summary;
use super::onset::{OVER_NOISE, Piece, Sums, noise};
use crate::statistics::quantile::median;

/// How often a part is cut in two: four parts at most.
const DEPTH: u32 = 2;
/// Fewest pieces of a part.
const FEWEST_PIECES: usize = 10;
/// A cut leaves this share of the squares around a line at most, ...
const CLEAR: f64 = 0.4;
/// ... which are so many times those of the noise at least.
const OVER_NOISE_SQUARED: f64 = 2.0;
/// A fall comes to this share of the range of the curve. An earlier part that rose by as much, and was taken back, is a cycle's.
const OF_RANGE: f64 = 0.2;
/// The part of a stretch that shows the level with which it begins, or ends.
const ENDS: usize = 8;

/// The last part of a curve, which began with a fall.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fallen {
    /// The index of its first sample.
    pub first: usize,
    /// When that is, in seconds.
    pub t: f64,
    /// How far it fell.
    pub height: f64,
    /// The level at the end of each earlier part, and when that was.
    pub before: Vec<(f64, f64)>,
}

/// The last part, where it began with a fall for good.
pub(super) fn last_fall(pieces: &[Piece], summary: &Summary) -> Option<Fallen> {
    let noise = noise(pieces).max(summary.quantum);
    let parts = parts(pieces, noise);
    let (last, earlier) = parts.split_last()?;
    let before = earlier.last()?;
    let lowest = pieces.iter().map(|piece| piece.value).fold(f64::INFINITY, f64::min);
    let highest = pieces.iter().map(|piece| piece.value).fold(f64::NEG_INFINITY, f64::max);
    let range = highest - lowest;
    let height = end(before)? - begin(last)?;
    let is_fall = height >= (OVER_NOISE * noise).max(OF_RANGE * range);
    let rose = |part: &&[Piece]| Some(end(part)? - begin(part)?);
    let is_cycle = earlier.iter().filter_map(rose).any(|rise| rise >= OF_RANGE * range);
    if !is_fall || is_cycle {
        return None;
    }
    let level = |part: &&[Piece]| Some((end(part)?, part.last()?.t));
    let before = earlier.iter().filter_map(level).collect();
    Some(Fallen { first: last[0].first, t: last[0].t, height, before })
}

/// The level with which a part begins.
fn begin(part: &[Piece]) -> Option<f64> {
    median(&values(&part[..part.len().div_ceil(ENDS)]))
}

/// The level with which it ends.
fn end(part: &[Piece]) -> Option<f64> {
    median(&values(&part[part.len() - part.len().div_ceil(ENDS)..]))
}

fn values(pieces: &[Piece]) -> Vec<f64> {
    pieces.iter().map(|piece| piece.value).collect()
}

/// The straight parts, in the order of time.
fn parts(pieces: &[Piece], noise: f64) -> Vec<&[Piece]> {
    let Some(t0) = pieces.first().map(|piece| piece.t) else { return Vec::new() };
    let sums = Sums::of(pieces.iter().map(|piece| (piece.t - t0, piece.value)));
    let mut borders = vec![0];
    cut(&sums, 0, pieces.len(), noise, DEPTH, &mut borders);
    borders.push(pieces.len());
    borders.windows(2).map(|pair| &pieces[pair[0]..pair[1]]).collect()
}

/// Adds the places at which a part is cut.
fn cut(sums: &Sums, from: usize, to: usize, noise: f64, depth: u32, borders: &mut Vec<usize>) {
    if depth == 0 || to - from < 2 * FEWEST_PIECES {
        return;
    }
    let cost = |place: usize| sums.around_line(from, place) + sums.around_line(place, to);
    let places = from + FEWEST_PIECES..=to - FEWEST_PIECES;
    let Some(place) = places.min_by(|a, b| cost(*a).total_cmp(&cost(*b))) else { return };
    let whole = sums.around_line(from, to);
    let of_noise = OVER_NOISE_SQUARED * noise.powi(2) * (to - from) as f64;
    if whole > of_noise && cost(place) <= CLEAR * whole {
        cut(sums, from, place, noise, depth - 1, borders);
        borders.push(place);
        cut(sums, place, to, noise, depth - 1, borders);
    }
}
