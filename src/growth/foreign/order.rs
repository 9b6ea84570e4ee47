//! Puts the samples of a series into the order of time.
//!
//! Files may be newest first, and clocks go back: at midnight where a time has no date, by an hour when summer time ends, to
//! zero when a program starts again. Each is recognised by what the whole series does. Anything else that goes back is an error.

use super::time::Kind;
use crate::growth::Point;

const HOUR_S: f64 = 3600.0;
const DAY_S: f64 = 86_400.0;
const LATE_EVENING_S: f64 = 23.0 * HOUR_S;
const YEAR_S: f64 = 365.0 * DAY_S;
/// Numbers from here on are seconds of 1970 and not of a start.
const FIRST_EPOCH_S: f64 = 1e8;
/// Fewer samples say nothing of an order.
const FEWEST: usize = 3;
/// A repeated hour goes on at the usual pace: the next sample is at most so many steps away.
const STEPS: f64 = 4.0;

/// What may be done to bring samples in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disorder {
    /// Whoever wrote them writes them in any order.
    Usual,
    /// They are written as they come.
    Unusual,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ordered {
    pub reversed: bool,
    pub repeated_hours: usize,
    pub midnights: usize,
    pub restarts: usize,
}

/// A sample that goes back in time, by its index, and from where to where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GoesBack {
    pub index: usize,
    pub from: f64,
    pub to: f64,
}

/// Puts points in order; `lines` go with them.
pub(super) fn order(
    points: &mut [Point],
    lines: &mut [u32],
    kind: Kind,
    disorder: Disorder,
) -> Result<Ordered, GoesBack> {
    let mut done = Ordered::default();
    if points.is_sorted_by_key(|point| point.t) {
        return Ok(done);
    }
    if disorder == Disorder::Usual {
        points.sort_by(|a, b| a.t.total_cmp(&b.t));
        return Ok(done);
    }
    let steps = || points.windows(2).map(|pair| pair[1].t - pair[0].t);
    let (down, up) = (steps().filter(|step| *step < 0.0).count(), steps().filter(|step| *step > 0.0).count());
    if points.len() >= FEWEST && down > 2 * up {
        points.reverse();
        lines.reverse();
        done.reversed = true;
    }
    let first = points[0].t;
    let step = usual_step(points);
    let (mut offset, mut before) = (0.0, first);
    for index in 1..points.len() {
        let raw = points[index].t;
        if raw < before {
            let reached = points[index - 1].t;
            let back = GoesBack { index, from: before, to: raw };
            offset =
                next_offset(&mut done, kind, Back { first, step, raw, before, offset, reached, index }).ok_or(back)?;
        }
        before = raw;
        points[index].t = raw + offset;
    }
    Ok(done)
}

/// A step back.
#[derive(Clone, Copy)]
struct Back {
    first: f64,
    step: f64,
    raw: f64,
    before: f64,
    offset: f64,
    /// The time of the sample before, as it was put.
    reached: f64,
    index: usize,
}

/// What is to be added from here on; `None` where nothing explains the step.
fn next_offset(done: &mut Ordered, kind: Kind, back: Back) -> Option<f64> {
    let after_hour = back.raw + HOUR_S - back.before;
    let is_repeated_hour = (0.0..=STEPS * back.step.max(1.0)).contains(&after_hour);
    match kind {
        Kind::Wall | Kind::Yearless | Kind::Day if is_repeated_hour && back.index >= 2 => {
            done.repeated_hours += 1;
            Some(back.offset + HOUR_S)
        }
        // A day that began with zero and was not over is time since a start.
        Kind::Day if back.first <= back.step && back.before < LATE_EVENING_S && back.starts_again() => {
            done.restarts += 1;
            Some(back.reached + back.step - back.raw)
        }
        Kind::Day => {
            done.midnights += 1;
            Some(back.offset + DAY_S)
        }
        Kind::Yearless if back.before - back.raw > YEAR_S / 2.0 => Some(back.offset + YEAR_S + DAY_S),
        Kind::Number | Kind::Elapsed => back.starts_again().then(|| {
            done.restarts += 1;
            back.reached + back.step - back.raw
        }),
        Kind::Wall | Kind::Yearless | Kind::Moment => None,
    }
}

impl Back {
    /// A clock that counts from a start began anew.
    fn starts_again(&self) -> bool {
        let at_start = self.raw <= self.first.max(0.0) + self.step && self.before - self.raw >= self.step;
        at_start && self.before < FIRST_EPOCH_S && self.index + 1 >= FEWEST
    }
}

/// The median of the steps forward.
fn usual_step(points: &[Point]) -> f64 {
    let mut steps: Vec<f64> = points.windows(2).map(|pair| pair[1].t - pair[0].t).filter(|step| *step > 0.0).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(times: &[f64], kind: Kind) -> Result<Vec<f64>, GoesBack> {
        let point = |t: &f64| Point { t: *t, x: 0.0, value: 0.0, cycle: 0, phase: None };
        let mut points: Vec<Point> = times.iter().map(point).collect();
        let mut lines: Vec<u32> = (1..=times.len() as u32).collect();
        order(&mut points, &mut lines, kind, Disorder::Unusual)?;
        Ok(points.iter().map(|point| point.t).collect())
    }

    #[test]
    fn clocks_that_go_back_go_on() {
        let minutes = |from: f64, n: u32| (0..n).map(move |i| from + 60.0 * f64::from(i));
        // 01:30 to 02:59, then 02:00 again.
        let hour: Vec<f64> = minutes(5400.0, 90).chain(minutes(7200.0, 30)).collect();
        let went_on: Vec<f64> = minutes(5400.0, 120).collect();
        for kind in [Kind::Wall, Kind::Day, Kind::Yearless] {
            assert_eq!(ordered(&hour, kind), Ok(went_on.clone()), "{kind:?}");
        }
        assert!(ordered(&hour, Kind::Moment).is_err());
        let night: Vec<f64> = minutes(86_100.0, 5).chain(minutes(0.0, 5)).collect();
        assert_eq!(ordered(&night, Kind::Day), Ok(minutes(86_100.0, 10).collect()));
        let restart: Vec<f64> = minutes(0.0, 20).chain(minutes(0.0, 10)).collect();
        assert_eq!(ordered(&restart, Kind::Number), Ok(minutes(0.0, 30).collect()));
        assert_eq!(ordered(&restart, Kind::Elapsed), Ok(minutes(0.0, 30).collect()));
        assert_eq!(ordered(&restart, Kind::Day), Ok(minutes(0.0, 30).collect()));
        let newest_first: Vec<f64> = minutes(0.0, 20).rev().collect();
        assert_eq!(ordered(&newest_first, Kind::Number), Ok(minutes(0.0, 20).collect()));
    }

    #[test]
    fn what_a_step_back_means_depends_on_where_it_leads() {
        use Kind::{Day, Number, Wall, Yearless};
        let day = |n: f64| n * DAY_S;
        for (times, kind, expected) in [
            // A restart: back to the first step of all, by one step at least, from the third sample on.
            (&[0.0, 60.0, 120.0, 60.0][..], Number, Some(&[0.0, 60.0, 120.0, 180.0][..])),
            (&[0.0, 60.0, 120.0, 61.0], Number, None),
            (&[10.0, 70.0, 130.0, 70.0], Number, Some(&[10.0, 70.0, 130.0, 190.0])),
            (&[10.0, 70.0, 130.0, 71.0], Number, None),
            (&[0.0, 60.0, 100.0, 41.0], Number, None),
            (&[0.0, 60.0, 100.0, 40.0], Number, Some(&[0.0, 60.0, 100.0, 160.0])),
            (&[0.0, 60.0, 0.0], Number, Some(&[0.0, 60.0, 120.0])),
            (&[60.0, 0.0, 60.0], Number, None),
            (&[0.0, 60.0, 120.0, 10.0, 70.0, 0.0], Number, Some(&[0.0, 60.0, 120.0, 180.0, 240.0, 300.0])),
            (&[0.0, 4e7, 8e7, 0.0], Number, Some(&[0.0, 4e7, 8e7, 12e7])),
            (&[0.0, 5e7, 1e8, 0.0], Number, None),
            // The usual step is that between samples that lie apart.
            (
                &[0.0, 0.0, 0.0, 0.0, 0.0, 60.0, 120.0, 0.0],
                Number,
                Some(&[0.0, 0.0, 0.0, 0.0, 0.0, 60.0, 120.0, 180.0]),
            ),
            // Of times of day: one that began with zero and ended before the late evening, else the next day.
            (&[60.0, 120.0, 180.0, 60.0], Day, Some(&[60.0, 120.0, 180.0, 240.0])),
            (&[61.0, 121.0, 181.0, 61.0], Day, Some(&[61.0, 121.0, 181.0, 86_461.0])),
            (
                &[0.0, 20_700.0, 41_400.0, 62_100.0, 82_799.0, 0.0],
                Day,
                Some(&[0.0, 20_700.0, 41_400.0, 62_100.0, 82_799.0, 103_499.0]),
            ),
            (
                &[0.0, 20_700.0, 41_400.0, 62_100.0, 82_800.0, 0.0],
                Day,
                Some(&[0.0, 20_700.0, 41_400.0, 62_100.0, 82_800.0, 86_400.0]),
            ),
            // The year after; half a year back is no new year.
            (
                &[day(364.0), day(365.0), 0.0, day(1.0)],
                Yearless,
                Some(&[day(364.0), day(365.0), day(366.0), day(367.0)]),
            ),
            (&[day(181.5), day(182.5), 0.0], Yearless, None),
            (&[day(200.0), day(201.0), day(100.0)], Yearless, None),
            // An hour back, and on at the usual pace: four steps at most, and not at the second sample.
            (&[10_740.0, 10_800.0, 7200.0], Wall, Some(&[10_740.0, 10_800.0, 10_800.0])),
            (&[10_740.0, 10_800.0, 7440.0], Wall, Some(&[10_740.0, 10_800.0, 11_040.0])),
            (&[10_740.0, 10_800.0, 7441.0], Wall, None),
            (&[10_740.0, 10_800.0, 7199.0], Wall, None),
            (&[10_800.0, 7200.0, 7260.0], Wall, None),
            (&[10_799.5, 10_800.0, 7204.0], Wall, Some(&[10_799.5, 10_800.0, 10_804.0])),
            (&[10_799.5, 10_800.0, 7204.5], Wall, None),
        ] {
            let found = ordered(times, kind).ok();
            assert_eq!(found.as_deref(), expected, "{times:?} {kind:?}");
        }
    }

    #[test]
    fn a_file_is_turned_round_where_most_of_it_goes_back() {
        let round = |times: &[f64]| ordered(times, Kind::Number);
        assert_eq!(round(&[3.0, 2.0, 1.0]), Ok(vec![1.0, 2.0, 3.0]));
        assert_eq!(round(&[3.0, 3.0, 3.0, 3.0, 2.0, 1.0]), Ok(vec![1.0, 2.0, 3.0, 3.0, 3.0, 3.0]));
        // Twice as many steps back as forward are too few.
        assert_eq!(round(&[20.0, 10.0, 5.0, 30.0]), Err(GoesBack { index: 1, from: 20.0, to: 10.0 }));
        // A time that stays is no step.
        let stays = [0.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 120.0, 0.0];
        assert_eq!(round(&stays).map(|times| times[9]), Ok(180.0));
    }

    #[test]
    fn what_was_done_is_counted_and_lines_go_with_their_points() {
        let done = |times: &[f64], kind: Kind, disorder: Disorder| {
            let point = |t: &f64| Point { t: *t, x: 0.0, value: 0.0, cycle: 0, phase: None };
            let mut points: Vec<Point> = times.iter().map(point).collect();
            let mut lines: Vec<u32> = (1..=times.len() as u32).collect();
            (order(&mut points, &mut lines, kind, disorder).expect("an order"), lines, points[0].t)
        };
        let ordered = Ordered::default();
        let twice = [0.0, 60.0, 120.0, 0.0, 60.0, 0.0];
        let restarts = Ordered { restarts: 2, ..ordered.clone() };
        assert_eq!(done(&twice, Kind::Elapsed, Disorder::Unusual).0, restarts);
        assert_eq!(done(&twice, Kind::Day, Disorder::Unusual).0, restarts);
        let nights = [80_000.0, 85_000.0, 3600.0, 85_000.0, 0.0];
        assert_eq!(done(&nights, Kind::Day, Disorder::Unusual).0, Ordered { midnights: 2, ..ordered.clone() });
        let hour = [10_740.0, 10_800.0, 7260.0];
        assert_eq!(done(&hour, Kind::Wall, Disorder::Unusual).0, Ordered { repeated_hours: 1, ..ordered.clone() });
        let back = [3.0, 2.0, 1.0];
        assert_eq!(
            done(&back, Kind::Wall, Disorder::Unusual),
            (Ordered { reversed: true, ..ordered.clone() }, vec![3, 2, 1], 1.0)
        );
        assert_eq!(done(&[2.0, 1.0, 3.0], Kind::Wall, Disorder::Usual), (ordered, vec![1, 2, 3], 1.0));
    }

    #[test]
    fn anything_else_that_goes_back_is_an_error() {
        for (times, kind) in [
            (&[0.0, 60.0, 120.0, 119.0, 180.0][..], Kind::Number),
            (&[2.0, 1.0], Kind::Number),
            (&[1.7e9, 1.7e9 + 60.0, 1.7e9 + 120.0, 1.7e9], Kind::Number),
            (&[0.0, 60.0, 120.0, 118.0, 180.0], Kind::Wall),
        ] {
            assert!(ordered(times, kind).is_err(), "{times:?}");
        }
    }
}
