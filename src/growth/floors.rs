//! The floors of a curve: what each cycle came down to.

use super::{Curve, Floor, Point};
use crate::sample::{Metric, Phase};
use crate::statistics::quantile::median;

/// What a curve comes down to, cycle by cycle. For the peak it is what each cycle went up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Floors {
    /// The value before the first operation, where the curve has any point.
    pub baseline: Option<f64>,
    /// The warm-up in pieces of a cycle's length.
    pub warmup: Vec<Floor>,
    /// The cycles that are complete.
    pub cycles: Vec<Floor>,
}

impl Curve {
    /// The floors. A last cycle that has not settled yet is left out.
    pub fn floors(&self) -> Floors {
        self.floors_without(0.0)
    }

    /// The floors after growth in time, at `per_second` since the first point, is taken off.
    pub(super) fn floors_without(&self, per_second: f64) -> Floors {
        let began = self.points.first().map_or(0.0, |point| point.t);
        let even = |point: &Point| Point { value: point.value - per_second * (point.t - began), ..*point };
        let cycles = self.complete_cycles(even);
        Floors { baseline: self.baseline(even), warmup: self.warmup(even, &cycles), cycles }
    }

    fn baseline(&self, even: impl Fn(&Point) -> Point) -> Option<f64> {
        let before = self.points.iter().take_while(|point| point.phase.is_none()).last();
        before.or(self.points.first()).map(|point| even(point).value)
    }

    fn complete_cycles(&self, even: impl Fn(&Point) -> Point) -> Vec<Floor> {
        let in_cycle = |point: &&Point| matches!(point.phase, Some(Phase::Load | Phase::Settle)) && point.cycle > 0;
        let points: Vec<Point> = self.points.iter().filter(in_cycle).map(even).collect();
        let cycles: Vec<&[Point]> = points.chunk_by(|a, b| a.cycle == b.cycle).collect();
        // A curve that never settles is cut by time alone: each of its windows is whole.
        let settles = points.iter().any(|point| point.phase == Some(Phase::Settle));
        let last = cycles.len().saturating_sub(1);
        let complete = |(i, cycle): &(usize, &[Point])| {
            *i < last || !settles || cycle.iter().any(|point| point.phase == Some(Phase::Settle))
        };
        cycles.into_iter().enumerate().filter(complete).filter_map(|(_, cycle)| self.floor(cycle)).collect()
    }

    fn warmup(&self, even: impl Fn(&Point) -> Point, cycles: &[Floor]) -> Vec<Floor> {
        let points: Vec<Point> =
            self.points.iter().filter(|point| point.phase == Some(Phase::Warmup)).map(even).collect();
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
        let pieces = match cycle_length(cycles) {
            Some(length) => ((last.x - first.x) / length).floor().clamp(1.0, points.len() as f64),
            None => 1.0,
        };
        let length = (last.x - first.x) / pieces;
        // Without a length there is one piece, which holds whatever comes out of the division.
        let piece = |point: &Point| ((point.x - first.x) / length).floor().min(pieces - 1.0) as u64;
        points.chunk_by(|a, b| piece(a) == piece(b)).filter_map(|chunk| self.floor(chunk)).collect()
    }

    /// The lowest point of a piece, the first of equals; the highest for the peak.
    fn floor(&self, points: &[Point]) -> Option<Floor> {
        let lowest = match self.metric {
            Metric::Peak => points.iter().rev().max_by(|a, b| a.value.total_cmp(&b.value)),
            _ => points.iter().min_by(|a, b| a.value.total_cmp(&b.value)),
        };
        lowest.map(|point| Floor { cycle: point.cycle, t: point.t, x: point.x, value: point.value })
    }
}

/// How far the axis goes in a typical cycle.
pub(super) fn cycle_length(cycles: &[Floor]) -> Option<f64> {
    let lengths: Vec<f64> = cycles.windows(2).map(|pair| pair[1].x - pair[0].x).collect();
    median(&lengths).filter(|length| *length > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::Axis;

    fn point(t: f64, value: f64, cycle: u32, phase: Option<Phase>) -> Point {
        Point { t, x: t * 10.0, value, cycle, phase }
    }

    fn curve(metric: Metric, points: Vec<Point>) -> Curve {
        Curve { metric, axis: Axis::Operations, points, restarts: None }
    }

    fn three_cycles() -> Vec<Point> {
        let mut points = vec![point(0.0, 5.0, 0, None), point(1.0, 7.0, 0, None)];
        points.extend((2..8).map(|t| point(f64::from(t), 10.0 + f64::from(t), 0, Some(Phase::Warmup))));
        for cycle in 1..=3 {
            let t = f64::from(cycle) * 3.0 + 6.0;
            points.push(point(t, 50.0, cycle, Some(Phase::Load)));
            points.push(point(t + 1.0, 20.0 + f64::from(cycle), cycle, Some(Phase::Settle)));
            points.push(point(t + 2.0, 20.0 + f64::from(cycle), cycle, Some(Phase::Settle)));
        }
        points
    }

    #[test]
    fn a_floor_is_the_first_lowest_point_of_load_and_settle() {
        let floors = curve(Metric::Private, three_cycles()).floors();
        assert_eq!(floors.baseline, Some(7.0));
        let found: Vec<(u32, f64, f64)> = floors.cycles.iter().map(|f| (f.cycle, f.x, f.value)).collect();
        assert_eq!(found, [(1, 100.0, 21.0), (2, 130.0, 22.0), (3, 160.0, 23.0)]);
        assert_eq!(floors.warmup.iter().map(|f| f.value).collect::<Vec<_>>(), [12.0]);
    }

    #[test]
    fn the_peak_takes_the_highest() {
        let floors = curve(Metric::Peak, three_cycles()).floors();
        assert_eq!(floors.cycles.iter().map(|f| f.value).collect::<Vec<_>>(), [50.0; 3]);
        assert_eq!(floors.baseline, Some(7.0));
    }

    #[test]
    fn a_cycle_that_has_not_settled_is_left_out() {
        let mut points = three_cycles();
        points.push(point(18.0, 1.0, 4, Some(Phase::Load)));
        assert_eq!(curve(Metric::Private, points).floors().cycles.len(), 3);
    }

    #[test]
    fn growth_in_time_is_taken_off() {
        let points: Vec<Point> =
            (0..30).map(|t| point(f64::from(t) + 5.0, 3.0 * f64::from(t), 1 + t / 3, Some(Phase::Load))).collect();
        let floors = curve(Metric::Private, points).floors_without(3.0);
        assert!(floors.cycles.iter().all(|floor| floor.value.abs() < 1e-9));
        assert_eq!(floors.cycles.len(), 10);
    }

    #[test]
    fn no_points_are_no_floors() {
        assert_eq!(curve(Metric::Private, Vec::new()).floors(), Floors::default());
    }

    #[test]
    fn the_warm_up_is_cut_into_pieces_of_a_cycle() {
        // Cycles are 100 apart. A warm-up of 349 holds three of them: each piece is 116.3 long, the last point is in the third.
        let warmup = [(0.0, 9.0), (116.0, 3.0), (117.0, 2.0), (232.0, 4.0), (233.0, 8.0), (348.0, 7.0), (349.0, 6.0)];
        let mut points: Vec<Point> = warmup
            .iter()
            .map(|(x, value)| Point { x: 50.0 + x, ..point(*x, *value, 0, Some(Phase::Warmup)) })
            .collect();
        let cycle = |n: u32| point(f64::from(n) * 10.0 + 40.0, 1.0, n, Some(Phase::Load));
        points.extend((1..=4).map(cycle));
        let floors = curve(Metric::Private, points.clone()).floors();
        assert_eq!(
            floors.warmup.iter().map(|f| (f.x, f.value)).collect::<Vec<_>>(),
            [(166.0, 3.0), (167.0, 2.0), (399.0, 6.0)]
        );
        // Without two cycles it is one piece, and where its axis stands still as well.
        points.truncate(8);
        assert_eq!(curve(Metric::Private, points.clone()).floors().warmup.len(), 1);
        points.truncate(7);
        points.iter_mut().for_each(|point| point.x = 0.0);
        points.extend((1..=4).map(cycle));
        assert_eq!(curve(Metric::Private, points).floors().warmup.len(), 1);
    }

    #[test]
    fn a_warm_up_has_no_more_pieces_than_points() {
        let mut points = vec![point(0.0, 1.0, 0, Some(Phase::Warmup)), point(90.0, 2.0, 0, Some(Phase::Warmup))];
        points.extend((1..=4).map(|n| point(f64::from(n) + 90.0, 1.0, n, Some(Phase::Load))));
        assert_eq!(curve(Metric::Private, points).floors().warmup.len(), 2);
    }

    #[test]
    fn only_the_last_cycle_must_have_settled() {
        let mut points = three_cycles();
        points.retain(|point| point.cycle != 2 || point.phase == Some(Phase::Load));
        // Load before the first cycle is none.
        points.insert(8, point(8.5, 1.0, 0, Some(Phase::Load)));
        let floors = curve(Metric::Private, points).floors();
        assert_eq!(
            floors.cycles.iter().map(|f| (f.cycle, f.value)).collect::<Vec<_>>(),
            [(1, 21.0), (2, 50.0), (3, 23.0)]
        );
    }

    #[test]
    fn of_equal_values_the_first_is_the_floor() {
        for metric in [Metric::Private, Metric::Peak] {
            let points = (0..9).map(|t| point(f64::from(t), 7.0, 1 + t / 3, Some(Phase::Load))).collect();
            let floors = curve(metric, points).floors();
            assert_eq!(floors.cycles.iter().map(|f| f.t).collect::<Vec<_>>(), [0.0, 3.0, 6.0]);
        }
    }

    #[test]
    fn cycles_that_do_not_move_along_the_axis_have_no_length() {
        let floor = |x: f64| Floor { cycle: 1, t: 0.0, x, value: 0.0 };
        assert_eq!(cycle_length(&[floor(100.0), floor(130.0), floor(170.0), floor(200.0)]), Some(30.0));
        assert_eq!(cycle_length(&[floor(100.0), floor(100.0)]), None);
        assert_eq!(cycle_length(&[floor(100.0)]), None);
    }
}
