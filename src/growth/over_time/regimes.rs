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
    if depth == 0 {
        return;
    }
    let cost = |place: usize| sums.around_line(from, place) + sums.around_line(place, to);
    // Nowhere in what is shorter than two parts.
    let places = from + FEWEST_PIECES..=to.saturating_sub(FEWEST_PIECES);
    let Some(place) = places.min_by(|a, b| cost(*a).total_cmp(&cost(*b))) else { return };
    let whole = sums.around_line(from, to);
    let of_noise = OVER_NOISE_SQUARED * noise.powi(2) * (to - from) as f64;
    if whole > of_noise && cost(place) <= CLEAR * whole {
        cut(sums, from, place, noise, depth - 1, borders);
        borders.push(place);
        cut(sums, place, to, noise, depth - 1, borders);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Unit;

    /// A piece a second, each of three samples.
    fn pieces_from(t0: f64, values: &[f64]) -> Vec<Piece> {
        let piece = |(n, value): (usize, &f64)| Piece { first: n * 3, t: t0 + n as f64, value: *value };
        values.iter().enumerate().map(piece).collect()
    }

    fn levels(length: usize, levels: &[f64]) -> Vec<f64> {
        levels.iter().flat_map(|level| vec![*level; length]).collect()
    }

    fn lengths(values: &[f64], noise: f64) -> Vec<usize> {
        parts(&pieces_from(0.0, values), noise).iter().map(|part| part.len()).collect()
    }

    #[test]
    fn a_curve_has_four_parts_of_ten_pieces_or_more() {
        // Each half of each half could be cut once more.
        let curve = levels(10, &[0.0, 10.0, 100.0, 110.0, 1000.0, 1010.0, 1100.0, 1110.0]);
        assert_eq!(lengths(&curve, 0.1), [20; 4]);
        assert_eq!(lengths(&curve[..20], 0.1), [10, 10]);
        assert_eq!(lengths(&curve[1..20], 0.1), [19]);
        assert_eq!(lengths(&curve[..9], 0.1), [9]);
        assert!(lengths(&[], 0.1).is_empty());
    }

    #[test]
    fn straight_parts_are_not_level_ones() {
        // Twice the same rise, at the begin of time and as a system clock counts it.
        let twice: Vec<f64> = (0..40).map(|n| f64::from(n % 20) * 5.0).collect();
        for t0 in [0.0, 1.7e9] {
            let pieces = pieces_from(t0, &twice);
            let found: Vec<usize> = parts(&pieces, 1.0).iter().map(|part| part.len()).collect();
            assert_eq!(found, [20, 20], "{t0}");
        }
        assert_eq!(lengths(&twice[..20], 0.0), [20]);
        assert_eq!(lengths(&[7.0; 40], 0.0), [40], "nothing to cut");
    }

    #[test]
    fn a_cut_leaves_two_fifths_of_squares_that_are_twice_those_of_the_noise() {
        // A step of 80 in 20 pieces leaves 7,940 around a line: as much as 20 times twice the square of 14.09.
        let steps = levels(10, &[0.0, 0.0, 1000.0, 1080.0]);
        assert_eq!(lengths(&steps[20..], 14.0), [10, 10]);
        assert_eq!(lengths(&steps[20..], 14.2), [20]);
        assert_eq!(lengths(&steps, 14.0), [20, 10, 10]);
        assert_eq!(lengths(&steps, 14.2), [20, 20]);
        // Values that go up and down in turn leave squares on each side of the step as well.
        let unclear = |by: f64| {
            let values: Vec<f64> =
                steps[20..].iter().enumerate().map(|(n, value)| value + if n % 2 == 0 { by } else { -by }).collect();
            lengths(&values, 1.0)
        };
        assert_eq!(unclear(17.0), [10, 10]);
        assert_eq!(unclear(20.0), [20]);
    }

    fn fallen(values: &[f64], quantum: f64) -> Option<Fallen> {
        let summary = Summary { noise: 0.0, quantum, smallest: 0.0, unit: Unit::Bytes };
        last_fall(&pieces_from(0.0, values), &summary)
    }

    /// From the first level evenly to the last, each of which lasts three pieces.
    fn ramp(from: f64, to: f64) -> Vec<f64> {
        (0..20).map(|n| from + (to - from) * ((f64::from(n) - 2.0) / 15.0).clamp(0.0, 1.0)).collect()
    }

    #[test]
    fn a_fall_has_its_place_its_height_and_the_levels_before() {
        let found = fallen(&levels(20, &[110.0, 100.0, 40.0]), 1.0).expect("a fall");
        let before = vec![(110.0, 19.0), (100.0, 39.0)];
        assert_eq!(found, Fallen { first: 120, t: 40.0, height: 60.0, before });
        assert_eq!(fallen(&levels(20, &[40.0, 100.0]), 1.0), None, "a rise");
        assert_eq!(fallen(&levels(20, &[40.0]), 1.0), None);
        assert_eq!(fallen(&[], 1.0), None);
    }

    #[test]
    fn a_fall_is_four_deviations_and_a_fifth_of_the_range() {
        // What rises again makes the range.
        let falls = |by: f64, then: f64, quantum: f64| {
            fallen(&[vec![by; 20], ramp(0.0, then)].concat(), quantum).map(|fall| fall.height)
        };
        assert_eq!(falls(40.0, 190.0, 10.0), Some(40.0));
        assert_eq!(falls(40.0, 190.0, 10.1), None, "less than four times 10.1");
        assert_eq!(falls(40.0, 200.0, 1.0), Some(40.0));
        assert_eq!(falls(40.0, 210.0, 1.0), None, "less than a fifth of 210");
    }

    #[test]
    fn what_rose_by_a_fifth_of_the_range_before_is_a_cycle() {
        let rose = |by: f64| fallen(&[ramp(0.0, by), vec![by - 200.0; 20]].concat(), 1.0).is_none();
        assert_eq!([39.0, 40.0].map(rose), [false, true]);
    }
}
