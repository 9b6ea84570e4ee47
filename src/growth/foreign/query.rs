//! What a user says about a file, where the file does not say it itself.

use super::name::unit_named;
use super::time::{Kind, Short, Stamp, parse};
use crate::growth::Point;
use crate::units::{Unit, parse_duration};

const DAY_S: f64 = 86_400.0;

/// What is asked of a file of curves. By default its names decide everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// What the values count.
    pub resource: Option<Unit>,
    /// Bytes in one of the values that have no unit of their own.
    pub unit: Option<f64>,
    /// The columns to judge.
    pub columns: Vec<String>,
    /// The columns that say whose value it is.
    pub by: Vec<String>,
    /// Seconds from one sample to the next, for files without times.
    pub every_s: Option<f64>,
    /// Samples before this are left out.
    pub since: Option<Bound>,
    /// Samples after this are left out.
    pub until: Option<Bound>,
}

impl Query {
    /// Only what the values count.
    pub fn of(unit: Unit) -> Self {
        Self { resource: Some(unit), ..Self::default() }
    }
}

/// A point in the time of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound(Place);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    At(Stamp),
    AfterStart(f64),
    BeforeEnd(f64),
}

impl Bound {
    /// Reads `2h` (after the first sample), `-2h` (before the last one), or a time as the file writes its own.
    ///
    /// # Errors
    ///
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let duration = |text: &str| parse_duration(text).ok().map(|duration| duration.as_secs_f64());
        let place = if let Some(seconds) = text.strip_prefix('-').and_then(duration) {
            Place::BeforeEnd(seconds)
        } else if let Some(seconds) = duration(text.strip_prefix('+').unwrap_or(text)) {
            Place::AfterStart(seconds)
        } else if let Some(stamp) = parse(text, Short::HoursMinutes) {
            Place::At(stamp)
        } else {
            return Err(format!(
                "`{text}` is not a time; write a duration after the first sample (2h), one before the last (-2h), or a time \
                 (2025-03-01 09:00, 09:00, or seconds as in the file)"
            ));
        };
        Ok(Self(place))
    }

    /// Seconds in the time of these samples.
    fn seconds(self, points: &[Point]) -> Option<f64> {
        let (first, last) = (points.first()?.t, points.last()?.t);
        Some(match self.0 {
            Place::AfterStart(seconds) => first + seconds,
            Place::BeforeEnd(seconds) => last - seconds,
            // A time of day is the first such one, where the file has dates.
            Place::At(Stamp { seconds, kind: Kind::Day, .. }) if first >= DAY_S => {
                let today = (first / DAY_S).floor() * DAY_S + seconds;
                if today < first { today + DAY_S } else { today }
            }
            Place::At(stamp) => stamp.seconds,
        })
    }
}

/// Which of the points lie between the bounds of a query, as a range of indices.
pub(super) fn between(query: &Query, points: &[Point]) -> std::ops::Range<usize> {
    let from = query.since.and_then(|bound| bound.seconds(points));
    let to = query.until.and_then(|bound| bound.seconds(points));
    let begin = from.map_or(0, |from| points.partition_point(|point| point.t < from));
    let end = to.map_or(points.len(), |to| points.partition_point(|point| point.t <= to));
    begin..end.max(begin)
}

/// Reads the unit of values, as bytes in one.
///
/// # Errors
///
/// It is not a unit of memory.
pub fn parse_value_unit(text: &str) -> Result<f64, String> {
    unit_named(text).ok_or_else(|| {
        format!("`{text}` is not a unit of memory; write B, KiB, MiB, GiB or TiB (kB and MB are powers of 1,024 here), or pages")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times that are kept of samples at these times.
    fn kept(times: &[f64], since: Option<&str>, until: Option<&str>) -> Vec<f64> {
        let bound = |text: &str| Bound::parse(text).unwrap_or_else(|error| panic!("{error}"));
        let query = Query { since: since.map(bound), until: until.map(bound), ..Query::default() };
        let points: Vec<Point> =
            times.iter().map(|t| Point { t: *t, x: 0.0, value: 1.0, cycle: 0, phase: None }).collect();
        points[between(&query, &points)].iter().map(|point| point.t).collect()
    }

    #[test]
    fn bounds_keep_what_lies_between_them_both_ends_included() {
        let times = [100.0, 110.0, 120.0, 130.0, 140.0];
        for (since, until, expected) in [
            (None, None, &times[..]),
            (Some("20s"), None, &times[2..]),
            (Some("+20s"), None, &times[2..]),
            (Some("-20s"), None, &times[2..]),
            (None, Some("20s"), &times[..3]),
            (None, Some("-30s"), &times[..2]),
            (Some("110"), Some("130"), &times[1..4]),
            (Some("111"), Some("129"), &times[2..3]),
            (Some("130"), Some("110"), &[]),
        ] {
            assert_eq!(kept(&times, since, until), expected, "{since:?} {until:?}");
        }
        assert!(kept(&[], Some("20s"), Some("-20s")).is_empty());
    }

    #[test]
    fn a_time_of_day_is_the_first_one_that_the_samples_reach() {
        // From 09:00 on the third day of 1970, every six hours.
        let from = 2.0 * DAY_S + 32_400.0;
        let times: Vec<f64> = (0..8).map(|n| from + 21_600.0 * f64::from(n)).collect();
        for (since, first) in [("09:00", 0), ("10:00", 1), ("08:00", 4), ("03:00", 3)] {
            assert_eq!(kept(&times, Some(since), None).first(), Some(&times[first]), "{since}");
        }
        // Times of day without a date are taken as they are.
        let clock = [32_400.0, 36_000.0, 39_600.0];
        assert_eq!(kept(&clock, Some("10:00"), None), clock[1..]);
        assert_eq!(kept(&clock, Some("08:00"), None), clock);
        // A day after the start of a count is a day with a date.
        assert_eq!(kept(&[DAY_S, DAY_S + 60.0, 2.0 * DAY_S], Some("00:01"), None), [DAY_S + 60.0, 2.0 * DAY_S]);
    }

    #[test]
    fn what_is_no_bound_and_no_unit_is_refused() {
        assert!(Bound::parse("yesterday").expect_err("no time").contains("`yesterday` is not a time"));
        assert_eq!([parse_value_unit("KiB"), parse_value_unit("b")], [Ok(1024.0), Ok(1.0)]);
        assert!(parse_value_unit("parsec").expect_err("no unit").contains("`parsec` is not a unit"));
    }
}
