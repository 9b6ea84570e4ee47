//! A daily wave, taken off before growth is judged.
//!
//! The value at an hour is taken as the level of its day plus what this hour adds on every day. Both are had by medians
//! in turn (Tukey's median polish, *Exploratory Data Analysis*, 1977), so that one odd day moves neither. A steady rise within
//! the day is not the wave's: the slope from day to day is taken off it.

use super::super::Point;
use crate::statistics::quantile::median;

const DAY_S: f64 = 86_400.0;
const HOURS: usize = 24;
const HOUR_S: f64 = DAY_S / HOURS as f64;
/// Fewest full days that show a wave.
const FEWEST_DAYS: f64 = 2.0;
/// Fewest hours of all that must hold a sample.
const FEWEST_FILLED: f64 = 0.7;
/// The share of the days that the other days must tell of.
const LEAST_TOLD: f64 = 0.75;
const POLISHES: usize = 8;
/// The middle of the hours of a day.
const MIDDAY: f64 = (HOURS as f64 - 1.0) / 2.0;
/// Fewest hours with a sample of a day that is asked whether the other days tell of it.
const FEWEST_HOURS: usize = 12;
/// The wave must leave at most this share of the spread within days.
const LEAVES: f64 = 0.5;

/// The samples without their daily wave; nothing where none is seen.
pub(super) fn taken_off(points: &[Point]) -> Option<Vec<Point>> {
    let wave = Wave::of(points)?;
    Some(points.iter().map(|point| Point { value: point.value - wave.at(point.t), ..*point }).collect())
}

/// What each hour of the day adds.
struct Wave {
    hours: [f64; HOURS],
    /// What each hour of a day rises by beside the wave, by day.
    slopes: Vec<f64>,
}

impl Wave {
    fn of(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?.t, points.last()?.t);
        let hours = (last - first) / HOUR_S;
        if last - first < FEWEST_DAYS * DAY_S || (points.len() as f64) < FEWEST_FILLED * hours {
            return None;
        }
        let floors = hourly_floors(points);
        let filled = floors.iter().flatten().filter(|floor| floor.is_some()).count();
        if (filled as f64) < FEWEST_FILLED * hours {
            return None;
        }
        let wave = Self::polished(&floors, None)?;
        // A wave is one only if the other days tell of each.
        let (mut asked, mut told) = (0, 0);
        for day in 0..floors.len() {
            if floors[day].iter().flatten().count() < FEWEST_HOURS {
                continue;
            }
            let others = Self::polished(&floors, Some(day))?;
            // A step makes days rise from one to the next and none within: a wave that only undoes such a slope is none.
            let slope = wave.slopes[day];
            let before = [0.0, slope].map(|slope| spread(&floors[day], &[0.0; HOURS], slope));
            let before = before[0].min(before[1]);
            let after = spread(&floors[day], &others.hours, slope);
            asked += 1;
            told += u32::from(after < LEAVES * before);
        }
        (asked >= 2 && f64::from(told) >= LEAST_TOLD * f64::from(asked)).then_some(wave)
    }

    /// The wave of all days but one.
    fn polished(floors: &[[Option<f64>; HOURS]], left_out: Option<usize>) -> Option<Self> {
        let (mut days, mut hours) = (vec![f64::NAN; floors.len()], [0.0_f64; HOURS]);
        let mut slopes = vec![0.0; floors.len()];
        let used = || floors.iter().enumerate().filter(|(number, _)| Some(*number) != left_out);
        let rise = |slopes: &[f64], day: usize, hour: usize| slopes[day] * (hour as f64 - MIDDAY);
        for _ in 0..POLISHES {
            for (number, floors) in used() {
                let left: Vec<f64> = (0..HOURS)
                    .filter_map(|hour| Some(floors[hour]? - hours[hour] - rise(&slopes, number, hour)))
                    .collect();
                days[number] = median(&left).unwrap_or(f64::NAN);
            }
            slopes = slopes_of(&days);
            for (hour, adds) in hours.iter_mut().enumerate() {
                let left: Vec<f64> = used()
                    .filter_map(|(number, floors)| Some(floors[hour]? - days[number] - rise(&slopes, number, hour)))
                    .collect();
                *adds = median(&left).unwrap_or(0.0);
            }
        }
        let middle = median(&hours)?;
        hours.iter_mut().for_each(|adds| *adds -= middle);
        Some(Self { hours, slopes })
    }

    /// What the wave adds at a time: between the middles of two hours it is on the line between them.
    fn at(&self, t: f64) -> f64 {
        let place = (t / HOUR_S - 0.5).rem_euclid(HOURS as f64);
        let (hour, part) = (place.floor() as usize % HOURS, place.fract());
        self.hours[hour] * (1.0 - part) + self.hours[(hour + 1) % HOURS] * part
    }
}

/// What each hour of a day rises by, as its level rises from the day before and to the day after: the smaller of both, so that
/// a step between two days is no rise within them.
fn slopes_of(days: &[f64]) -> Vec<f64> {
    let known: Vec<(usize, f64)> = days.iter().copied().enumerate().filter(|(_, level)| level.is_finite()).collect();
    let rises: Vec<f64> =
        known.windows(2).map(|pair| (pair[1].1 - pair[0].1) / ((pair[1].0 - pair[0].0) * HOURS) as f64).collect();
    let mut slopes = vec![0.0; days.len()];
    for (place, (day, _)) in known.iter().enumerate() {
        // At either end, the two rises next to it.
        let from = place.saturating_sub(1).min(rises.len().saturating_sub(2));
        slopes[*day] = match rises[from..].get(..2).unwrap_or(&rises) {
            [before, after] => before.clamp(after.min(0.0), after.max(0.0)),
            [only] => *only,
            _ => 0.0,
        };
    }
    slopes
}

/// The lowest value of each hour of each day.
fn hourly_floors(points: &[Point]) -> Vec<[Option<f64>; HOURS]> {
    let day_of = |t: f64| (t / DAY_S).floor();
    let began = points.first().map_or(0.0, |point| day_of(point.t));
    let mut floors: Vec<[Option<f64>; HOURS]> = Vec::new();
    for point in points {
        let day = (day_of(point.t) - began) as usize;
        let hour = ((point.t.rem_euclid(DAY_S)) / HOUR_S) as usize % HOURS;
        if floors.len() <= day {
            floors.resize(day + 1, [None; HOURS]);
        }
        let floor = &mut floors[day][hour];
        *floor = Some(floor.map_or(point.value, |low: f64| low.min(point.value)));
    }
    floors
}

/// The median distance of a day's floors from their middle, the slope, and the wave.
fn spread(floors: &[Option<f64>; HOURS], hours: &[f64; HOURS], per_hour: f64) -> f64 {
    let left: Vec<f64> = floors
        .iter()
        .enumerate()
        .filter_map(|(hour, floor)| Some((*floor)? - hours[hour] - per_hour * hour as f64))
        .collect();
    let middle = median(&left).unwrap_or(0.0);
    median(&left.iter().map(|value| (value - middle).abs()).collect::<Vec<_>>()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample in the middle of every hour, from the 13th hour of some day on.
    fn samples(hours: usize, value: impl Fn(usize) -> f64) -> Vec<Point> {
        let began = 19_000.0 * DAY_S + 13.0 * HOUR_S;
        let point = |n: usize| {
            let t = n as f64 * HOUR_S;
            Point { t: began + t + HOUR_S / 2.0, x: t, value: value(n), cycle: 1, phase: None }
        };
        (0..hours).map(point).collect()
    }

    /// What an hour of the day adds.
    fn wave(hour: usize) -> f64 {
        [0.0, 3.0, 11.0, 40.0, 90.0, 70.0, 20.0, 5.0][(hour + 13) % 24 / 3]
    }

    #[test]
    fn a_day_rises_as_its_level_does_from_the_day_before_and_to_the_day_after() {
        let nan = f64::NAN;
        for (days, expected) in [
            (&[0.0, 0.0, 24.0, 48.0, 120.0][..], &[0.0, 0.0, 1.0, 1.0, 1.0][..]),
            (&[0.0, -24.0, -72.0], &[-1.0; 3]),
            // A step, and a spike.
            (&[0.0, 0.0, 48.0, 48.0], &[0.0; 4]),
            (&[0.0, 48.0, 0.0], &[0.0; 3]),
            (&[0.0, 24.0], &[1.0; 2]),
            (&[0.0, nan, 48.0, 72.0], &[1.0, 0.0, 1.0, 1.0]),
            (&[7.0], &[0.0]),
        ] {
            assert_eq!(slopes_of(days), expected, "{days:?}");
        }
    }

    #[test]
    fn what_every_day_adds_is_taken_off() {
        // The middle of what the hours add is 15.5.
        for slope in [0.0, 0.5, -0.5] {
            let points = samples(97, |n| 100.0 + wave(n) + slope * n as f64);
            let left = taken_off(&points).expect("a wave");
            let offs: Vec<f64> = left.iter().enumerate().map(|(n, point)| point.value - slope * n as f64).collect();
            let level = offs[0];
            assert!(offs.iter().all(|off| (off - level).abs() < 1e-6), "{slope}: {offs:?}");
            assert!((level - 115.5).abs() < 1e-6, "{slope}: {level}");
            assert!(left.iter().zip(&points).all(|(left, point)| left.t == point.t && left.x == point.x));
        }
    }

    #[test]
    fn between_the_middles_of_two_hours_a_wave_is_on_the_line_between_them() {
        let mut hours = [0.0; HOURS];
        (hours[0], hours[1], hours[23]) = (8.0, 4.0, 6.0);
        let wave = Wave { hours, slopes: Vec::new() };
        for (hour, expected) in
            [(0.5, 8.0), (0.75, 7.0), (1.0, 6.0), (1.5, 4.0), (0.0, 7.0), (23.5, 6.0), (23.75, 6.5), (24.5, 8.0)]
        {
            assert!((wave.at(hour * HOUR_S) - expected).abs() < 1e-9, "{hour}");
        }
    }

    #[test]
    fn two_full_days_with_samples_in_most_hours_show_a_wave() {
        let is_seen = |points: &[Point]| taken_off(points).is_some();
        let days = samples(49, wave);
        assert!(is_seen(&days));
        assert!(!is_seen(&days[..48]), "an hour less than two days");
        // Seven tenths of 100 hours.
        let long = samples(101, wave);
        let thinned = |hours: usize| {
            let step = 100.0 / (hours - 1) as f64;
            (0..hours).map(|n| long[(n as f64 * step).round() as usize]).collect::<Vec<_>>()
        };
        assert!(is_seen(&thinned(70)) && !is_seen(&thinned(69)));
        // Two samples of the same hour fill one.
        let twice: Vec<Point> = thinned(60).iter().flat_map(|point| [*point, *point]).collect();
        assert!(!is_seen(&twice));
        assert!(!is_seen(&[]));
    }

    #[test]
    fn a_wave_is_one_only_if_the_other_days_tell_of_it() {
        assert!(taken_off(&samples(97, |n| if (40..50).contains(&n) { 100.0 } else { 0.0 })).is_none(), "one odd day");
        assert!(taken_off(&samples(97, |_| 5.0)).is_none(), "nothing");
        // Of four days and a half, one is odd: it moves none of the others.
        let odd = |n: usize| if (35..59).contains(&n) { 300.0 - wave(n) } else { wave(n) };
        let left = taken_off(&samples(107, odd)).expect("a wave");
        let others: Vec<f64> =
            left.iter().enumerate().filter(|(n, _)| !(30..64).contains(n)).map(|(_, point)| point.value).collect();
        assert!(others.iter().all(|value| (value - others[0]).abs() < 1e-6), "{others:?}");
    }

    #[test]
    fn days_with_samples_in_twelve_hours_are_asked() {
        // 13 hours of the first day, 24 and 12: the first and the last are asked where each has twelve hours with a sample.
        let days = |first: usize, last: usize| {
            let mut points = samples(24 + 12 + 13, wave);
            points.iter_mut().for_each(|point| point.t -= 2.0 * HOUR_S);
            points.drain(37 + last - 1..48);
            points.drain(1..1 + 13 - first);
            assert_eq!(
                hourly_floors(&points).iter().map(|day| day.iter().flatten().count()).collect::<Vec<_>>(),
                [first, 24, last]
            );
            taken_off(&points).is_some()
        };
        assert!(days(12, 11) && days(11, 12));
        assert!(!days(11, 11), "one day alone");
    }

    #[test]
    fn a_steady_rise_within_a_day_is_no_spread() {
        let rising: [Option<f64>; HOURS] = std::array::from_fn(|hour| Some(7.0 + 2.0 * hour as f64));
        assert_eq!(spread(&rising, &[0.0; HOURS], 2.0), 0.0);
        assert_eq!(spread(&rising, &std::array::from_fn(|hour| hour as f64), 1.0), 0.0);
        assert_eq!(spread(&rising, &[0.0; HOURS], 1.0), 6.0);
    }

    #[test]
    fn the_floor_of_an_hour_is_its_lowest_sample() {
        let point =
            |hour: f64, value: f64| Point { t: 5.0 * DAY_S + hour * HOUR_S, x: 0.0, value, cycle: 1, phase: None };
        let floors =
            hourly_floors(&[point(22.1, 5.0), point(22.9, 3.0), point(22.95, 4.0), point(24.0, 9.0), point(71.5, 2.0)]);
        let filled: Vec<(usize, usize, f64)> = (0..floors.len())
            .flat_map(|day| {
                floors[day]
                    .iter()
                    .enumerate()
                    .filter_map(move |(hour, floor)| Some((day, hour, (*floor)?)))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(filled, [(0, 22, 3.0), (1, 0, 9.0), (2, 23, 2.0)]);
        assert_eq!(floors.len(), 3);
    }
}
