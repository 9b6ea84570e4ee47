//! Times as programs and people write them.
//!
//! A time is a number, a date with a time of day, a time of day alone, or time elapsed. What a text leaves open (its zone, its
//! year, whether day or month stands first) stays open in [`Stamp`]: the whole of a series decides (see `order`).

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// The year of dates that have none: a leap year, so that every day is one.
const NO_YEAR: i16 = 2000;
const DAY_S: f64 = 86_400.0;

/// What a time counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare number: seconds of 1970, of a start, or of finer units.
    Number,
    /// A moment, with its zone.
    Moment,
    /// A date and a time of day on a clock that may be set back once a year.
    Wall,
    /// The same without a year.
    Yearless,
    /// A time of day.
    Day,
    /// Time since a start.
    Elapsed,
}

/// A time that was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stamp {
    /// Seconds; of 1970 where a date is known.
    pub seconds: f64,
    pub kind: Kind,
    /// The seconds if the day stands before the month, where both could be.
    pub day_first: Option<f64>,
}

/// What a bare `01:30` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Short {
    HoursMinutes,
    MinutesSeconds,
}

/// Reads a time. `short` says what two numbers around a colon are.
pub(super) fn parse(text: &str, short: Short) -> Option<Stamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(Stamp { seconds: number, kind: Kind::Number, day_first: None });
    }
    if !text.bytes().any(|byte| byte.is_ascii_digit()) || text.len() > 64 {
        return None;
    }
    if text.as_bytes().get(4) == Some(&b'-') {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(stamp(moment.as_nanosecond() as f64 / 1e9, Kind::Moment));
        }
        if let Ok(wall) = text.parse::<DateTime>() {
            return Some(stamp(seconds_of(wall)?, Kind::Wall));
        }
    }
    let mut parts = Parts::default();
    for token in text.split(|c: char| c.is_whitespace() || c == ',' || c == '[' || c == ']' || c == '"') {
        if !token.is_empty() && !parts.take(token) {
            return None;
        }
    }
    parts.stamp(short)
}

/// Whether a text is a time and more than a small number: a line like this belongs to the lines after it. It may be decorated,
/// `=== 09:00:00 ===`; a time with something only behind it is a row whose value is missing.
pub(super) fn is_time_line(text: &str) -> bool {
    let text = text.trim_matches([' ', '\r']);
    let is_row =
        text.contains([';', '\t', '|']) || text.match_indices(',').any(|(at, _)| !text[at + 1..].starts_with(' '));
    if is_row {
        return false;
    }
    let inner = text.trim_matches(|c: char| !c.is_alphanumeric());
    let is_decorated = !text.starts_with(inner);
    if !is_decorated && text.len() > inner.len() && &text[inner.len()..] != ":" {
        return false;
    }
    parse(inner, Short::HoursMinutes).is_some_and(|stamp| match stamp.kind {
        Kind::Number => inner == text && text.len() >= 9 && (1e8..1e20).contains(&stamp.seconds),
        Kind::Elapsed => false,
        Kind::Moment | Kind::Wall | Kind::Yearless | Kind::Day => true,
    })
}

/// How many bytes of a line are a time in front of the rest: as `ts` of moreutils writes it, or a shell loop.
pub(super) fn prefix(line: &str) -> Option<usize> {
    let begin = line.len() - line.trim_start().len();
    let ends = line[begin..].match_indices([' ', '\t']).map(|(at, _)| begin + at);
    let is_time = |end: &usize| {
        let text = &line[begin..*end];
        // `09:00:00 12` is no longer time: a bare number only counts as a day or a year beside a month.
        !text.ends_with(char::is_whitespace) && is_time_line(text.trim_matches(['[', ']']))
    };
    ends.take(7).filter(is_time).last()
}

fn stamp(seconds: f64, kind: Kind) -> Stamp {
    Stamp { seconds, kind, day_first: None }
}

fn seconds_of(time: DateTime) -> Option<f64> {
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_nanosecond() as f64 / 1e9)
}

/// The parts of a time as its tokens tell them.
#[derive(Default)]
struct Parts {
    /// Year, month, day where their order is known; else the first two numbers and the year.
    date: Option<(i16, u8, u8)>,
    slashed: Option<(u8, u8, i16)>,
    month: Option<u8>,
    day: Option<u8>,
    year: Option<i16>,
    clock: Option<Clock>,
    afternoon: Option<bool>,
    /// Seconds east of Greenwich.
    offset: Option<f64>,
    weekday: bool,
    /// Whole days, as Python writes them: `1 day, 2:03:04`.
    days: Option<u8>,
    duration: Option<f64>,
}

#[derive(Clone, Copy)]
struct Clock {
    days: Option<f64>,
    first: f64,
    second: f64,
    third: Option<f64>,
}

impl Parts {
    /// Takes a token; false where it is no part of a time.
    fn take(&mut self, token: &str) -> bool {
        let lower = token.trim_end_matches('.').to_ascii_lowercase();
        let begins = |names: &[&str]| {
            let is_word = lower.chars().all(char::is_alphabetic);
            names.iter().position(|name| is_word && lower.starts_with(name))
        };
        match lower.as_str() {
            "am" | "pm" => return self.afternoon.replace(lower == "pm").is_none(),
            "day" | "days" => {
                self.days = self.day.take();
                return self.days.is_some();
            }
            "utc" | "gmt" | "z" => {
                self.offset = Some(0.0);
                return true;
            }
            _ => {}
        }
        if begins(&WEEKDAYS).is_some() {
            return !std::mem::replace(&mut self.weekday, true);
        }
        if let Some(month) = begins(&MONTHS) {
            return self.month.replace(month as u8 + 1).is_none();
        }
        if is_zone_name(token) {
            return self.clock.is_some();
        }
        self.take_numbers(token, &lower)
    }

    fn take_numbers(&mut self, token: &str, lower: &str) -> bool {
        // Apache writes `01/Mar/2025:09:00:00`, RFC 3339 `2025-03-01T09:00:00Z`.
        if let Some((date, clock)) = lower.split_once('t').filter(|(date, _)| date.contains(['-', '/'])) {
            return self.take(date) && self.take(clock);
        }
        if let Some((date, clock)) = token.split_once(':').filter(|(date, _)| date.contains('/')) {
            return self.take(date) && self.take(clock);
        }
        if let Some(offset) = self.clock.and_then(|_| zone_offset(token)) {
            return self.offset.replace(offset).is_none();
        }
        if token.contains(':') {
            return self.take_clock(lower);
        }
        for separator in ['-', '/', '.'] {
            if token.matches(separator).count() == 2 {
                return self.take_date(lower, separator);
            }
        }
        if let Some(duration) = duration(lower) {
            return self.duration.replace(duration).is_none();
        }
        let Ok(number) = lower.parse::<u32>() else { return false };
        match lower.len() {
            8 if self.date.is_none() => {
                self.date = Some(((number / 10_000) as i16, (number / 100 % 100) as u8, (number % 100) as u8));
                true
            }
            // Behind the time of day a year stands only where `date` writes it; else it is the first number of a row.
            4 if self.month.is_some() && (self.clock.is_none() || self.weekday) => {
                self.year.replace(number as i16).is_none()
            }
            1 | 2 => self.day.replace(number as u8).is_none(),
            _ => false,
        }
    }

    /// `09:00`, `09:00:00.5`, `9:00:00am`, `09:00:00Z`, `09:00:00+01:00`, and with days as ps writes them, `3-09:00:00`.
    fn take_clock(&mut self, token: &str) -> bool {
        let mut token = token;
        if let Some(rest) = token.strip_suffix('z') {
            (token, self.offset) = (rest, Some(0.0));
        }
        for (word, afternoon) in [("am", false), ("pm", true)] {
            if let Some(rest) = token.strip_suffix(word) {
                (token, self.afternoon) = (rest, Some(afternoon));
            }
        }
        if let Some(at) = token.rfind(['+', '-']).filter(|at| token[..*at].contains(':')) {
            let Some(offset) = zone_offset(&token[at..]) else { return false };
            (token, self.offset) = (&token[..at], Some(offset));
        }
        let (days, clock) = match token.split_once('-') {
            Some((days, clock)) => match days.parse::<u32>() {
                Ok(days) => (Some(f64::from(days)), clock),
                Err(_) => return false,
            },
            None => (None, token),
        };
        let numbers: Option<Vec<f64>> = clock.split(':').map(clock_number).collect();
        let clock = match numbers.as_deref() {
            Some([first, second]) => Clock { days, first: *first, second: *second, third: None },
            Some([first, second, third]) => Clock { days, first: *first, second: *second, third: Some(*third) },
            _ => return false,
        };
        let in_range = clock.second < 60.0 && clock.third.is_none_or(|third| third < 61.0);
        in_range && self.clock.replace(clock).is_none()
    }

    fn take_date(&mut self, token: &str, separator: char) -> bool {
        let parts: Vec<&str> = token.split(separator).collect();
        let [a, b, c] = parts.as_slice() else { return false };
        if let Some(month) = MONTHS.iter().position(|name| b.starts_with(name)) {
            self.month = Some(month as u8 + 1);
            let (Ok(day), Ok(year)) = (a.parse(), c.parse()) else { return false };
            (self.day, self.year) = (Some(day), Some(year));
            return true;
        }
        let (Ok(a_number), Ok(b_number), Ok(c_number)) = (a.parse::<i16>(), b.parse::<u8>(), c.parse::<i16>()) else {
            return false;
        };
        if a.len() == 4 {
            self.date = Some((a_number, b_number, c_number.clamp(0, 99) as u8));
            return true;
        }
        let year = if c.len() <= 2 { c_number + 2000 } else { c_number };
        let first = a_number.clamp(0, 99) as u8;
        match separator {
            // The day stands first wherever points part a date.
            '.' => self.date = Some((year, b_number, first)),
            _ => self.slashed = Some((first, b_number, year)),
        }
        true
    }

    fn stamp(&self, short: Short) -> Option<Stamp> {
        let has_date = self.date.is_some() || self.slashed.is_some() || self.month.is_some();
        if !has_date {
            let is_elapsed = |clock: Clock| {
                clock.days.is_some() || clock.first >= 24.0 || (clock.third.is_none() && short == Short::MinutesSeconds)
            };
            if let (Some(days), Some(clock), None) = (self.days, self.clock, self.day) {
                return Some(stamp(f64::from(days) * DAY_S + clock.seconds(Short::HoursMinutes), Kind::Elapsed));
            }
            return match (self.clock, self.duration, self.day) {
                (Some(clock), None, None) if is_elapsed(clock) && self.afternoon.is_none() => {
                    Some(stamp(clock.seconds(short), Kind::Elapsed))
                }
                (Some(clock), None, None) => Some(stamp(self.time_of_day(clock)?, Kind::Day)),
                (None, Some(seconds), None) => Some(stamp(seconds, Kind::Elapsed)),
                _ => None,
            };
        }
        let time = match self.clock {
            Some(clock) if clock.days.is_none() => self.time_of_day(clock)?,
            Some(_) => return None,
            None => 0.0,
        };
        let shift = time - self.offset.unwrap_or(0.0);
        let kind = if self.offset.is_some() { Kind::Moment } else { Kind::Wall };
        if let Some((first, second, year)) = self.slashed {
            let (month_first, day_first) = (midnight(year, first, second), midnight(year, second, first));
            let swapped = day_first.filter(|_| month_first.is_some() && first != second);
            let seconds = month_first.or(day_first)? + shift;
            return Some(Stamp { seconds, kind, day_first: swapped.map(|day| day + shift) });
        }
        let (date, kind) = match (self.date, self.month, self.day, self.year) {
            (Some((year, month, day)), None, None, None) => (midnight(year, month, day)?, kind),
            (None, Some(month), Some(day), Some(year)) => (midnight(year, month, day)?, kind),
            (None, Some(month), Some(day), None) => (midnight(NO_YEAR, month, day)?, Kind::Yearless),
            _ => return None,
        };
        Some(stamp(date + shift, kind))
    }

    fn time_of_day(&self, clock: Clock) -> Option<f64> {
        let hours = match self.afternoon {
            None => clock.first,
            Some(_) if !(1.0..=12.0).contains(&clock.first) => return None,
            Some(afternoon) => clock.first % 12.0 + if afternoon { 12.0 } else { 0.0 },
        };
        (hours < 24.0).then(|| hours * 3600.0 + clock.second * 60.0 + clock.third.unwrap_or(0.0))
    }
}

impl Clock {
    fn seconds(self, short: Short) -> f64 {
        let days = self.days.unwrap_or(0.0) * DAY_S;
        match (self.third, short) {
            (Some(third), _) => days + self.first * 3600.0 + self.second * 60.0 + third,
            (None, Short::MinutesSeconds) => days + self.first * 60.0 + self.second,
            (None, Short::HoursMinutes) => days + self.first * 3600.0 + self.second * 60.0,
        }
    }
}

fn clock_number(text: &str) -> Option<f64> {
    let text = text.replace(',', ".");
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain)
}

fn midnight(year: i16, month: u8, day: u8) -> Option<f64> {
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    seconds_of(DateTime::from_parts(date, Time::midnight()))
}

/// Zones by name: the clock of one place, which is all that is needed.
fn is_zone_name(token: &str) -> bool {
    (2..=5).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_uppercase()) && token.ends_with('T')
}

/// `+0100`, `-05:00`.
fn zone_offset(token: &str) -> Option<f64> {
    let (sign, rest) = match token.split_at_checked(1)? {
        ("+", rest) => (1.0, rest),
        ("-", rest) => (-1.0, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    let number: u32 = digits.parse().ok().filter(|_| digits.len() == 4 || digits.len() == 2)?;
    let (hours, minutes) = if digits.len() == 2 { (number, 0) } else { (number / 100, number % 100) };
    Some(sign * f64::from(hours * 3600 + minutes * 60))
}

/// `1h30m`, `12.5s`, `450ms`.
fn duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        let letters = rest[digits..].find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len() - digits);
        seconds += number
            * match &rest[digits..digits + letters] {
                "d" => DAY_S,
                "h" => 3600.0,
                "m" | "min" => 60.0,
                "s" | "sec" => 1.0,
                "ms" => 1e-3,
                "us" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[digits + letters..];
    }
    (!text.is_empty()).then_some(seconds)
}

#[cfg(test)]
mod tests;
