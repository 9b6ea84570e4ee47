//! Bytes, rates, durations and counts: read from people, printed for people.
//!
//! A number without a unit in its type carries one in its name (`_bytes`, `_per_hour`). Parsers accept
//! what people write (`64B`, `512MiB`, `750ms`, `2000/s`, `1e-4`) and refuse the rest, naming the units
//! that would have been right.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A text that is not a number with a unit of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct UnitError {
    text: String,
    expected: &'static str,
}

impl UnitError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), expected }
    }
}

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes of memory.
    Bytes,
    /// Whole things: descriptors, threads, processes, whatever a gauge counts.
    Count,
}

impl Unit {
    /// A quantity of this unit for a person: `1.2 MiB`, `37`, `0.003`.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Bytes => show_bytes(value),
            Self::Count => show_count(value),
        }
    }

    /// Like [`Unit::show`], with a sign in front: `+1.2 MiB`, `-3`.
    pub fn show_signed(self, value: f64) -> String {
        if value > 0.0 { format!("+{}", self.show(value)) } else { self.show(value) }
    }

    /// Reads a quantity: for bytes `64B`, `1.5KiB`, `2MB`; for counts `3`, `1e-4`, `10k`.
    pub fn parse(self, text: &str) -> Result<f64, UnitError> {
        match self {
            Self::Bytes => parse_bytes(text),
            Self::Count => parse_count(text),
        }
    }
}

const BYTES_EXPECTED: &str =
    "an amount of memory (a number with B, kB, KB, KiB, MB, MiB, GB, GiB, TB or TiB, like 64B or 512MiB)";
const COUNT_EXPECTED: &str = "a count (a plain number, 1e-4, or with k or M, like 10k)";
const DURATION_EXPECTED: &str = "a duration (a number with us, ms, s, m, h or d, like 750ms or 30s)";
const RATE_EXPECTED: &str = "a rate (a number, a slash and s, m, min, h or d, like 2000/s or 10/h)";

fn split_number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    // The longest prefix that is a finite number; `1e-4` and `2E` must both come out right.
    (1..=text.len()).rev().filter(|&end| text.is_char_boundary(end)).find_map(|end| {
        let head = &text[..end];
        let starts_like_a_number = head.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        let ends_like_a_number = head.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        (starts_like_a_number && ends_like_a_number).then_some(())?;
        head.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| (n, text[end..].trim()))
    })
}

fn parse_bytes(text: &str) -> Result<f64, UnitError> {
    let error = || UnitError::new(text, BYTES_EXPECTED);
    let (number, unit) = split_number(text).ok_or_else(error)?;
    let factor = match unit {
        "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ if number == 0.0 && unit.is_empty() => 1.0,
        _ => return Err(error()),
    };
    within(number * factor).ok_or_else(error)
}

/// Amounts past this are slips: no machine holds as many bytes, or as many of anything.
const MOST: f64 = 1e18;
/// A duration past this is a slip, and sums of several must not overflow.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);
/// More often than this nothing happens.
const FASTEST_PER_S: f64 = 1e9;
/// Less often than this nothing happens: once in 30,000 years.
const SLOWEST_PER_S: f64 = 1e-12;

fn within(amount: f64) -> Option<f64> {
    Some(amount).filter(|amount| amount.abs() <= MOST)
}

fn parse_count(text: &str) -> Result<f64, UnitError> {
    let error = || UnitError::new(text, COUNT_EXPECTED);
    let (number, unit) = split_number(text).ok_or_else(error)?;
    let factor = match unit {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        _ => return Err(error()),
    };
    within(number * factor).ok_or_else(error)
}

/// Reads a duration: `750ms`, `30s`, `1.5m`, `2h`, `1d`. Negative and bare numbers are refused, and so is more than a century.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let error = || UnitError::new(text, DURATION_EXPECTED);
    let (number, unit) = split_number(text).ok_or_else(error)?;
    let seconds = number
        * match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(error()),
        };
    Duration::try_from_secs_f64(seconds).ok().filter(|time| *time <= LONGEST).ok_or_else(error)
}

/// How often something happens.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate {
    per_second: f64,
}

impl Rate {
    /// A rate in events per second.
    pub const fn per_second(per_second: f64) -> Self {
        Self { per_second }
    }

    /// Events per second.
    pub const fn as_per_second(self) -> f64 {
        self.per_second
    }

    /// Events per hour.
    pub fn as_per_hour(self) -> f64 {
        self.per_second * 3600.0
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError::new(text, RATE_EXPECTED);
        let (number, unit) = text.split_once('/').ok_or_else(error)?;
        let number = parse_count(number).map_err(|_| error())?;
        let seconds = seconds_in(unit.trim()).ok_or_else(error)?;
        let per_second = number / seconds;
        if !(SLOWEST_PER_S..=FASTEST_PER_S).contains(&per_second) {
            return Err(error());
        }
        Ok(Self { per_second })
    }
}

fn seconds_in(unit: &str) -> Option<f64> {
    Some(match unit {
        "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    })
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_hour = self.as_per_hour();
        if self.per_second >= 1.0 {
            write!(f, "{}/s", show_count(self.per_second))
        } else {
            write!(f, "{}/h", show_count(per_hour))
        }
    }
}

/// Reads an amount per time for one unit: `1KiB/s`, `0.2/s`, `5MB/h`. The result is per second.
pub fn parse_per_second(unit: Unit, text: &str) -> Result<f64, UnitError> {
    let expected = match unit {
        Unit::Bytes => "an amount of memory per time (like 1KiB/s or 5MB/h)",
        Unit::Count => "a count per time (like 0.2/s or 10/h)",
    };
    let error = || UnitError::new(text, expected);
    let (amount, time) = text.split_once('/').ok_or_else(error)?;
    let seconds = seconds_in(time.trim()).ok_or_else(error)?;
    Ok(unit.parse(amount).map_err(|_| error())? / seconds)
}

/// A number of bytes for a person, in binary units with three significant digits: `512 B`, `1.25 MiB`.
pub fn show_bytes(bytes: f64) -> String {
    const STEPS: [(&str, f64); 5] = [
        ("TiB", 1024.0 * 1024.0 * 1024.0 * 1024.0),
        ("GiB", 1024.0 * 1024.0 * 1024.0),
        ("MiB", 1024.0 * 1024.0),
        ("KiB", 1024.0),
        ("B", 1.0),
    ];
    // 1023.7 KiB would print as "1024 KiB" with three digits: the next unit takes over a little early.
    let magnitude = bytes.abs();
    let (name, step) =
        STEPS.into_iter().find(|&(_, step)| magnitude >= step * 0.9995 && step > 1.0).unwrap_or(("B", 1.0));
    format!("{} {name}", significant(bytes / step))
}

/// A count for a person: whole numbers plain, with `k` and `M` past 100,000; small ones with three digits.
pub fn show_count(count: f64) -> String {
    let magnitude = count.abs();
    if magnitude >= 1e6 {
        format!("{}M", significant(count / 1e6))
    } else if magnitude >= 1e5 {
        format!("{}k", significant(count / 1e3))
    } else if magnitude >= 1000.0 || (count - count.round()).abs() < 1e-9 {
        group_thousands(count.round() as i64)
    } else {
        significant(count)
    }
}

fn group_thousands(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::from(if n < 0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Three significant digits without an exponent where a person would not want one.
fn significant(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { "unknown".into() };
    }
    if magnitude < 1e-3 {
        return format!("{value:.1e}");
    }
    let decimals = (2 - magnitude.log10().floor() as i32).clamp(0, 5) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A duration for a person: `400 ms`, `12.3 s`, `4 min 5 s`, `3 h 20 min`, `12 d 4 h`, `47 years`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = seconds.round() as u64;
    let two = |big: u64, big_name: &str, small: u64, small_name: &str| match small {
        0 => format!("{big} {big_name}"),
        _ => format!("{big} {big_name} {small} {small_name}"),
    };
    if seconds < 1e-3 {
        format!("{} us", significant(seconds * 1e6))
    } else if seconds < 1.0 {
        format!("{} ms", significant(seconds * 1e3))
    } else if seconds < 99.5 {
        format!("{} s", significant(seconds))
    } else if whole < 3600 {
        two(whole / 60, "min", whole % 60, "s")
    } else if whole < 86_400 {
        two(whole / 3600, "h", whole % 3600 / 60, "min")
    } else if seconds < 3.0 * YEAR_S {
        two(whole / 86_400, "d", whole % 86_400 / 3600, "h")
    } else {
        format!("{} years", significant(seconds / YEAR_S))
    }
}

/// A year of the Julian calendar, in seconds.
const YEAR_S: f64 = 365.25 * 86_400.0;

/// Longer words are not compared.
const LONGEST_WORD: usize = 100;

/// The valid word nearest to a mistaken one, if any is near enough to be meant.
pub fn nearest<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes the product of the lengths, and so long a word is no slip of the finger.
    if word.len() > LONGEST_WORD {
        return None;
    }
    valid
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST_WORD)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= candidate.chars().count().max(3) / 2)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("64B", 64.0), ("1.5KiB", 1536.0), ("2 MB", 2e6), ("512MiB", 536_870_912.0), ("0", 0.0), ("-4kB", -4000.0)]
        {
            assert_eq!(Unit::Bytes.parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "64", "64Q", "B", "1e", "NaNB", "infB", "1 2B", "64b", "1e308TiB", "-1e300B"] {
            assert!(Unit::Bytes.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_durations_and_rates() {
        assert_eq!(Unit::Count.parse("1e-4"), Ok(1e-4));
        assert_eq!(Unit::Count.parse("10k"), Ok(10_000.0));
        assert!(Unit::Count.parse("10B").is_err());
        assert_eq!(parse_duration("750ms"), Ok(Duration::from_millis(750)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        for bad in ["750", "-1s", "1y", "s", "1e400s", "1e308s", "1e19s", "101d1", "40000d", "NaNs", "infs"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!("2000/s".parse::<Rate>().map(Rate::as_per_second), Ok(2000.0));
        assert_eq!("10/h".parse::<Rate>().map(Rate::as_per_hour), Ok(10.0));
        for bad in ["2000", "2000/x", "/s", "0/s", "-1/s", "1e308/s", "1e-300/s", "NaN/s", "inf/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        assert_eq!(parse_per_second(Unit::Bytes, "1KiB/s"), Ok(1024.0));
        assert_eq!(parse_per_second(Unit::Count, "720/h"), Ok(0.2));
    }

    #[test]
    fn numbers_are_printed_for_people() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (512.0, "512 B"),
            (93.26, "93.3 B"),
            (1536.0, "1.5 KiB"),
            (1023.9 * 1024.0, "1 MiB"),
            (-2_097_152.0, "-2 MiB"),
            (5.36870912e8, "512 MiB"),
        ] {
            assert_eq!(show_bytes(bytes), text);
        }
        for (count, text) in [
            (0.0, "0"),
            (37.0, "37"),
            (1234.0, "1,234"),
            (30_000.4, "30,000"),
            (250_000.0, "250k"),
            (0.00312, "0.00312"),
            (2e-5, "2.0e-5"),
        ] {
            assert_eq!(show_count(count), text);
        }
        for (ms, text) in
            [(0, "0 us"), (400, "400 ms"), (12_340, "12.3 s"), (245_000, "4 min 5 s"), (12_000_000, "3 h 20 min")]
        {
            assert_eq!(show_duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn the_nearest_word_is_named_or_none() {
        assert_eq!(nearest("treads", ["threads", "fds"]), Some("threads"));
        assert_eq!(nearest("zzzzzz", ["threads", "fds"]), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_as_bytes_reads_back(bytes in 0.0..1e13f64) {
            let back = Unit::Bytes.parse(&show_bytes(bytes)).expect("printed bytes parse");
            proptest::prop_assert!((back - bytes).abs() <= bytes * 0.01 + 0.005);
        }

        #[test]
        fn parsers_never_panic(text in "\\PC*") {
            let _ = (Unit::Bytes.parse(&text), Unit::Count.parse(&text), parse_duration(&text), text.parse::<Rate>());
        }
    }
}
