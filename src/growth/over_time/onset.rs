//! Where a curve changed last: the place that cuts it best into two straight parts.

use super::super::Point;
use super::super::judge::Summary;
use crate::statistics::quantile::{median, sigma_by_mad};
use crate::statistics::sen;

/// Pieces that a curve is cut into to find the place.
const PIECES: usize = 200;
/// Fewest samples of a piece: one that is low by chance is not alone.
const FEWEST_IN_PIECE: usize = 3;
/// Fewest pieces on each side of the place.
const FEWEST_PIECES: usize = 4;
/// A rise is a jump when its first pieces already hold this share of it.
const JUMP_SHARE: f64 = 0.7;
/// The slope since a change beside that before it: what slows down has no onset.
const STEEPER: f64 = 1.5;
/// A change must stand so many standard deviations over the noise.
pub(super) const OVER_NOISE: f64 = 4.0;

/// How a curve rises after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rise {
    /// At once.
    Jump,
    /// On and on.
    Ramp,
}

/// A change for good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Onset {
    /// The index of the first sample after it.
    pub first: usize,
    /// When, in seconds.
    pub t: f64,
    /// How far the end lies above what was before.
    pub height: f64,
    pub rise: Rise,
    /// Whether the end lies above all that was before.
    pub is_new_high: bool,
    /// Whether it rises faster since than before.
    pub is_steeper: bool,
}

/// The last change of a curve, if its end lies above what was before it.
pub(super) fn of(points: &[Point], pieces: &[Piece], summary: &Summary) -> Option<Onset> {
    let place = best_cut(pieces)?;
    let (before, after) = pieces.split_at(place);
    let values = |part: &[Piece]| part.iter().map(|piece| piece.value).collect::<Vec<_>>();
    let (early, late) = (values(before), values(after));
    let tail = &late[late.len() - late.len().div_ceil(4).max(2)..];
    let level = median(&early[early.len() - early.len().div_ceil(4).max(2)..])?;
    let height = median(tail)? - level;
    let noise = noise(pieces).max(summary.quantum);
    if height < OVER_NOISE * noise {
        return None;
    }
    let first_part = median(&late[..late.len().div_ceil(8).max(2)])? - level;
    let highest = early.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let rise = if first_part >= JUMP_SHARE * height { Rise::Jump } else { Rise::Ramp };
    let cut = after[0].first;
    // A jump has a moment, which lies in one of the two pieces beside the cut.
    let is_past = |index: &usize| points[*index].value > level + height / 2.0;
    let from = before[before.len() - 1].first;
    let first = if rise == Rise::Jump { (from..points.len()).find(is_past).unwrap_or(cut) } else { cut };
    Some(Onset {
        first,
        t: points[first].t,
        height,
        rise,
        is_new_high: median(tail)? > highest + noise,
        is_steeper: slope(after)? > STEEPER * slope(before)?.max(0.0),
    })
}

/// The lowest value of a few neighbouring samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The index of the first of them.
    pub first: usize,
    pub t: f64,
    pub value: f64,
}

/// A curve in pieces.
pub(super) fn pieces(points: &[Point]) -> Vec<Piece> {
    let length = points.len().div_ceil(PIECES).max(FEWEST_IN_PIECE);
    let chunks = points.chunks(length).enumerate();
    let piece = |(number, chunk): (usize, &[Point])| {
        let lowest = chunk.iter().map(|point| point.value).fold(f64::INFINITY, f64::min);
        Piece { first: number * length, t: chunk[0].t, value: lowest }
    };
    chunks.map(piece).collect()
}

/// The place that leaves the least squares around a line on each side.
fn best_cut(pieces: &[Piece]) -> Option<usize> {
    let t0 = pieces.first()?.t;
    let sums = Sums::of(pieces.iter().map(|piece| (piece.t - t0, piece.value)));
    let last = pieces.len().checked_sub(FEWEST_PIECES)?;
    let cost = |place: usize| sums.around_line(0, place) + sums.around_line(place, pieces.len());
    (FEWEST_PIECES..=last).min_by(|a, b| cost(*a).total_cmp(&cost(*b)))
}

/// Sums up to each place, so that a line through any part is had at once.
pub(super) struct Sums(Vec<[f64; 5]>);

impl Sums {
    pub(super) fn of(values: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut sums = vec![[0.0; 5]];
        for (x, y) in values {
            let mut next = sums[sums.len() - 1];
            [x, y, x * x, x * y, y * y].iter().zip(&mut next).for_each(|(value, sum)| *sum += value);
            sums.push(next);
        }
        Self(sums)
    }

    /// The sum of squares around the line through a part.
    pub(super) fn around_line(&self, from: usize, to: usize) -> f64 {
        let n = (to - from) as f64;
        let [x, y, xx, xy, yy] = std::array::from_fn(|k| self.0[to][k] - self.0[from][k]);
        let (sxx, sxy, syy) = (xx - x * x / n, xy - x * y / n, yy - y * y / n);
        if sxx > 0.0 { (syy - sxy * sxy / sxx).max(0.0) } else { syy.max(0.0) }
    }
}

fn slope(pieces: &[Piece]) -> Option<f64> {
    let (x, y): (Vec<f64>, Vec<f64>) = pieces.iter().map(|piece| (piece.t, piece.value)).unzip();
    sen::slope(&x, &y)
}

/// The noise from piece to piece.
pub(super) fn noise(pieces: &[Piece]) -> f64 {
    let differences: Vec<f64> = pieces.windows(2).map(|pair| pair[1].value - pair[0].value).collect();
    sigma_by_mad(&differences).unwrap_or(0.0) / std::f64::consts::SQRT_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Unit;

    const STEPS: Summary = Summary { noise: 0.0, quantum: 1.0, smallest: 0.0, unit: Unit::Bytes };

    /// A sample a second.
    fn points_from(t0: f64, values: &[f64]) -> Vec<Point> {
        let point =
            |(n, value): (usize, &f64)| Point { t: t0 + n as f64, x: n as f64, value: *value, cycle: 1, phase: None };
        values.iter().enumerate().map(point).collect()
    }

    /// Judged in steps of a quantum.
    fn found(values: &[f64], quantum: f64) -> Option<Onset> {
        let points = points_from(0.0, values);
        of(&points, &pieces(&points), &Summary { quantum, ..STEPS })
    }

    /// Twenty pieces of three samples.
    fn in_pieces(value: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..60).map(|n| value(n / 3)).collect()
    }

    #[test]
    fn a_jump_has_its_moment_and_its_height() {
        for at in 29..32 {
            let values: Vec<f64> = (0..60).map(|n| if n < at { 7.0 } else { 107.0 }).collect();
            let onset = found(&values, 1.0).expect("a change");
            let told = (onset.first, onset.t, onset.height, onset.rise, onset.is_new_high, onset.is_steeper);
            assert_eq!(told, (at, at as f64, 100.0, Rise::Jump, true, false));
        }
    }

    #[test]
    fn a_jump_is_past_half_of_its_height_above_the_level_just_before() {
        let mut values = in_pieces(|piece| {
            if piece < 7 {
                5.0
            } else if piece < 10 {
                0.0
            } else {
                100.0
            }
        });
        values[30] = 50.0;
        let onset = found(&values, 1.0).expect("a change");
        assert_eq!((onset.first, onset.height, onset.rise), (31, 100.0, Rise::Jump));
    }

    #[test]
    fn a_change_stands_four_deviations_over_the_noise() {
        // Pieces differ by -10, 0 and 10 in turn: four times 14.8 over the root of two are 41.9.
        let noisy = |height: f64| {
            let noise = |piece: usize| if piece.is_multiple_of(3) { 0.0 } else { 10.0 };
            found(&in_pieces(|piece| noise(piece) + if piece < 10 { 0.0 } else { height }), 1.0).is_some()
        };
        assert!(noisy(60.0) && !noisy(40.0));
    }

    #[test]
    fn a_change_stands_four_steps_over_what_was_before() {
        let jump = in_pieces(|piece| if piece < 10 { 7.0 } else { 107.0 });
        assert!(found(&jump, 25.0).is_some());
        assert_eq!(found(&jump, 25.1), None);
        assert_eq!(found(&in_pieces(|piece| if piece < 10 { 107.0 } else { 7.0 }), 1.0), None, "it falls");
    }

    #[test]
    fn a_jump_holds_seven_tenths_of_its_height_at_once() {
        let rises = |first: f64| {
            let values = in_pieces(|piece| {
                if piece < 10 {
                    0.0
                } else if piece < 17 {
                    first
                } else {
                    100.0
                }
            });
            found(&values, 1.0).map(|onset| (onset.first, onset.rise))
        };
        assert_eq!(rises(70.0), Some((30, Rise::Jump)));
        assert_eq!(rises(69.0), Some((30, Rise::Ramp)));
    }

    #[test]
    fn an_end_is_a_new_high_above_all_before_and_its_noise() {
        let is_new_high = |spike: f64| {
            let values = in_pieces(|piece| {
                if piece == 0 {
                    spike
                } else if piece < 10 {
                    0.0
                } else {
                    100.0
                }
            });
            found(&values, 1.0).map(|onset| (onset.first, onset.is_new_high))
        };
        assert_eq!(is_new_high(99.0), Some((30, false)));
        assert_eq!(is_new_high(98.0), Some((30, true)));
    }

    #[test]
    fn a_rise_is_an_onset_where_it_is_half_as_steep_again() {
        let is_steeper = |before: f64, after: f64| {
            let bends = (0..60).map(f64::from).map(|n| before * n.min(30.0) + after * (n - 30.0).max(0.0));
            found(&bends.collect::<Vec<_>>(), 1.0).map(|onset| (onset.rise, onset.is_steeper))
        };
        assert_eq!(is_steeper(10.0, 15.0), Some((Rise::Ramp, false)));
        assert_eq!(is_steeper(10.0, 16.0), Some((Rise::Ramp, true)));
        assert_eq!(is_steeper(-1.0, 10.0), Some((Rise::Ramp, true)));
    }

    #[test]
    fn a_ramp_begins_where_two_lines_meet_whatever_the_clock_counts_from() {
        // Hardly any rise, and then so steep a one that two levels would meet later.
        let bends: Vec<f64> = (0..60).map(f64::from).map(|n| n.min(30.0) + 10.0 * (n - 30.0).max(0.0)).collect();
        for t0 in [0.0, 1.7e9] {
            let points = points_from(t0, &bends);
            let onset = of(&points, &pieces(&points), &STEPS).expect("a change");
            assert_eq!((onset.first, onset.rise), (30, Rise::Ramp), "{t0}");
        }
    }

    #[test]
    fn values_of_one_moment_have_no_line_but_their_mean() {
        let sums = Sums::of([(5.0, 1.0), (5.0, 5.0), (6.0, 9.0)].into_iter());
        assert_eq!((sums.around_line(0, 2), sums.around_line(0, 1), sums.around_line(1, 3)), (8.0, 0.0, 0.0));
    }

    #[test]
    fn a_curve_has_200_pieces_at_most() {
        let lengths = |samples: usize| {
            let point = |n| Point { t: n as f64, x: 0.0, value: (samples - n) as f64, cycle: 1, phase: None };
            let points: Vec<Point> = (0..samples).map(point).collect();
            let pieces = pieces(&points);
            let second = pieces[1];
            (pieces.len(), second.first, second.t, second.value)
        };
        assert_eq!(lengths(59), (20, 3, 3.0, 54.0));
        assert_eq!(lengths(801), (161, 5, 5.0, 792.0));
    }

    #[test]
    fn both_sides_of_a_cut_have_four_pieces() {
        let onset =
            |at: usize| found(&in_pieces(|piece| if piece < at { 0.0 } else { 100.0 }), 1.0).map(|onset| onset.first);
        assert_eq!((onset(4), onset(16)), (Some(12), Some(48)));
        assert_eq!(found(&[0.0; 21], 1.0), None, "seven pieces");
        assert_eq!(found(&[], 1.0), None);
    }
}
