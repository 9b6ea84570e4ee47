//! From values to pixels, and the round numbers between.

use crate::units::Unit;

/// A stretch of values laid over a stretch of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// The value at the first pixel.
    pub low: f64,
    /// The value at the last pixel.
    pub high: f64,
    /// The first pixel.
    pub from: i32,
    /// The last pixel; less than `from` where values rise upwards.
    pub to: i32,
}

impl Scale {
    /// The pixel of a value, held within the stretch.
    pub fn pixel(&self, value: f64) -> i32 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + (share * f64::from(self.to - self.from)).round() as i32
    }
}

/// Marks along an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ticks {
    /// Value and label of each.
    pub marks: Vec<(f64, String)>,
    /// What the labels are counted in: `MiB`, `seconds`.
    pub caption: String,
}

/// Units that an axis is labelled in: the name and how much of the base unit it is.
type Steps = &'static [(&'static str, f64)];

const BYTES: Steps =
    &[("B", 1.0), ("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("TiB", 1_099_511_627_776.0)];
const SECONDS: Steps = &[("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0), ("days", 86_400.0)];

/// Ticks of a value axis in the metric's unit.
pub(super) fn value_ticks(unit: Unit, low: f64, high: f64, wanted: usize) -> Ticks {
    match unit {
        Unit::Bytes => in_steps(BYTES, 4.0, low, high, wanted),
        Unit::Count => Ticks { marks: marks(low, high, wanted, 1.0, high - low > 1.5), caption: "count".into() },
    }
}

/// Ticks of an axis in seconds.
pub(super) fn time_ticks(low: f64, high: f64, wanted: usize) -> Ticks {
    in_steps(SECONDS, 3.0, low, high, wanted)
}

/// Ticks of an axis in operations.
pub(super) fn operation_ticks(low: f64, high: f64, wanted: usize) -> Ticks {
    Ticks { marks: marks(low, high, wanted, 1.0, true), caption: "operations".into() }
}

/// The largest unit of which the axis reaches at least `least`.
fn in_steps(steps: Steps, least: f64, low: f64, high: f64, wanted: usize) -> Ticks {
    let reach = low.abs().max(high.abs());
    let (name, step) = steps.iter().rev().find(|(_, step)| reach >= step * least).unwrap_or(&steps[0]);
    Ticks { marks: marks(low, high, wanted, *step, false), caption: (*name).to_owned() }
}

fn marks(low: f64, high: f64, wanted: usize, unit: f64, whole: bool) -> Vec<(f64, String)> {
    let (low, high) = (low / unit, high / unit);
    let mut step = round_step((high - low) / wanted.max(1) as f64);
    if whole {
        step = step.max(1.0);
    }
    if !(step.is_finite() && step > 0.0) {
        return Vec::new();
    }
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last.min(first + 50))
        .map(|n| {
            let value = n as f64 * step;
            (value * unit, label(value, step))
        })
        .collect()
}

/// The round number (1, 2 or 5 times a power of ten) that is not below `step`.
fn round_step(step: f64) -> f64 {
    if !(step.is_finite() && step > 0.0) {
        return f64::NAN;
    }
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

/// A tick's number with as many decimals as its step needs, thousands short.
fn label(value: f64, step: f64) -> String {
    let (value, step, suffix) = match step {
        s if s >= 1e6 => (value / 1e6, step / 1e6, "M"),
        s if s >= 1e3 => (value / 1e3, step / 1e3, "k"),
        _ => (value, step, ""),
    };
    if value == 0.0 {
        return "0".into();
    }
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.decimals$}{suffix}")
}

/// The stretch that an axis shows: what the values take, a little air, and at least `least_share` of the highest
/// value. Zero is shown where it is near.
pub(super) fn value_range(unit: Unit, least_share: f64, values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    // Noise must not fill the picture: the range is a share of the whole value, or some pages, or some things.
    let least = match unit {
        Unit::Bytes => (high.abs() * least_share).max(65_536.0),
        Unit::Count => (high.abs() * least_share).max(4.0),
    };
    let missing = (least - (high - low)).max(0.0);
    let (mut bottom, mut top) = (low - missing / 2.0, high + missing / 2.0);
    let air = (top - bottom) * 0.08;
    (bottom, top) = (bottom - air, top + air);
    if low >= 0.0 && (bottom < 0.0 || low < 0.35 * high) {
        (bottom, top) = (0.0, top.max(least));
    }
    (bottom, top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &Ticks) -> Vec<&str> {
        ticks.marks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers_in_a_fitting_unit() {
        let ticks = value_ticks(Unit::Bytes, 0.0, 52e6, 5);
        assert_eq!((labels(&ticks), ticks.caption.as_str()), (vec!["0", "10", "20", "30", "40"], "MiB"));
        let ticks = value_ticks(Unit::Bytes, 512.0 * 1048576.0, 512.5 * 1048576.0, 5);
        assert_eq!(labels(&ticks), ["512.0", "512.1", "512.2", "512.3", "512.4", "512.5"]);
        let ticks = value_ticks(Unit::Count, 10.0, 14.0, 8);
        assert_eq!(labels(&ticks), ["10", "11", "12", "13", "14"]);
        let ticks = operation_ticks(0.0, 42_000.0, 4);
        assert_eq!((labels(&ticks), ticks.caption.as_str()), (vec!["0", "20k", "40k"], "operations"));
        let ticks = time_ticks(0.0, 600.0, 6);
        assert_eq!((labels(&ticks), ticks.caption.as_str()), (vec!["0", "2", "4", "6", "8", "10"], "minutes"));
    }

    #[test]
    fn noise_does_not_fill_the_picture() {
        let (low, high) = value_range(Unit::Bytes, 0.05, [100e6, 100.1e6].into_iter());
        assert!(high - low >= 5e6, "{low} {high}");
        let (low, high) = value_range(Unit::Count, 0.05, [17.0, 17.0].into_iter());
        assert!(low < 16.0 && high > 18.0, "{low} {high}");
        assert_eq!(value_range(Unit::Count, 0.05, [0.0, 0.0].into_iter()).0, 0.0);
        assert_eq!(value_range(Unit::Bytes, 0.05, std::iter::empty()), (0.0, 1.0));
    }

    #[test]
    fn values_outside_stay_at_the_edge() {
        let scale = Scale { low: 0.0, high: 10.0, from: 100, to: 0 };
        assert_eq!([-5.0, 0.0, 5.0, 10.0, 99.0].map(|value| scale.pixel(value)), [100, 100, 50, 0, 0]);
    }

    proptest::proptest! {
        #[test]
        fn ticks_lie_within_and_are_few(low in -1e12..1e12f64, range in 1e-6..1e12f64, wanted in 1usize..10) {
            for ticks in [value_ticks(Unit::Bytes, low, low + range, wanted), operation_ticks(low, low + range, wanted)] {
                proptest::prop_assert!(ticks.marks.len() <= wanted + 2);
                for (value, _) in ticks.marks {
                    let slack = range * 1e-6 + low.abs() * 1e-9;
                    proptest::prop_assert!(value >= low - slack && value <= low + range + slack);
                }
            }
        }
    }
}
