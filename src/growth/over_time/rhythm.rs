//! A daily wave, taken off before growth is judged.
//!
//! The value at an hour is taken as the level of its day plus what this hour adds on every day. Both are had by medians
//! in turn (Tukey's median polish, *Exploratory Data Analysis*, 1977), so that one odd day moves neither. A steady rise within
//! the day is not the wave's: the slope from day to day is taken off it.

use super::super::Point;
use crate::statistics::quantile::median;
use crate::statistics::sen;

const DAY_S: f64 = 86_400.0;
const HOURS: usize = 24;
const HOUR_S: f64 = DAY_S / HOURS as f64;
/// Fewest full days that show a wave.
const FEWEST_DAYS: f64 = 2.0;
/// Fewest hours of all that must hold a sample.
const FEWEST_FILLED: f64 = 0.7;
/// The share of the days that the other days must tell of.
const LEAST_TOLD: f64 = 0.75;
const POLISHES: usize = 4;
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
    /// The rise from day to day, for each hour.
    per_hour: f64,
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
            let before = [0.0, wave.per_hour].map(|slope| spread(&floors[day], &[0.0; HOURS], slope));
            let before = before[0].min(before[1]);
            let after = spread(&floors[day], &others.hours, wave.per_hour);
            asked += 1;
            told += u32::from(after < LEAVES * before);
        }
        (asked >= 2 && f64::from(told) >= LEAST_TOLD * f64::from(asked)).then_some(wave)
    }

    /// The wave of all days but one.
    fn polished(floors: &[[Option<f64>; HOURS]], left_out: Option<usize>) -> Option<Self> {
        let (mut days, mut hours) = (vec![f64::NAN; floors.len()], [0.0_f64; HOURS]);
        let used = || floors.iter().enumerate().filter(|(number, _)| Some(*number) != left_out);
        for _ in 0..POLISHES {
            for (number, floors) in used() {
                let left: Vec<f64> =
                    floors.iter().zip(hours).filter_map(|(floor, hour)| Some((*floor)? - hour)).collect();
                days[number] = median(&left).unwrap_or(f64::NAN);
            }
            for (hour, adds) in hours.iter_mut().enumerate() {
                let left: Vec<f64> = used().filter_map(|(number, floors)| Some(floors[hour]? - days[number])).collect();
                *adds = median(&left).unwrap_or(0.0);
            }
        }
        let (x, y): (Vec<f64>, Vec<f64>) =
            days.iter().enumerate().filter(|(_, day)| day.is_finite()).map(|(n, day)| (n as f64, *day)).unzip();
        let per_hour = sen::slope(&x, &y).unwrap_or(0.0) / HOURS as f64;
        for (hour, adds) in hours.iter_mut().enumerate() {
            *adds -= per_hour * hour as f64;
        }
        let middle = median(&hours)?;
        hours.iter_mut().for_each(|adds| *adds -= middle);
        Some(Self { hours, per_hour })
    }

    /// What the wave adds at a time: between the middles of two hours it is on the line between them.
    fn at(&self, t: f64) -> f64 {
        let place = (t / HOUR_S - 0.5).rem_euclid(HOURS as f64);
        let (hour, part) = (place.floor() as usize % HOURS, place.fract());
        self.hours[hour] * (1.0 - part) + self.hours[(hour + 1) % HOURS] * part
    }
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
