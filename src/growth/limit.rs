//! When a growing number meets its limit.

use serde::{Deserialize, Serialize};

use super::Estimate;

/// When a limit is met, in hours from now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "kebab-case")]
pub enum TimeToLimit {
    /// It is met already.
    Reached,
    /// It does not grow: not even the upper end of the interval does.
    Never,
    /// After so many hours.
    Hours {
        /// By the upper end of the growth.
        soonest: f64,
        /// By the figure itself; `None` where that does not grow.
        likely: Option<f64>,
        /// By the lower end; `None` where that does not grow: no upper bound.
        latest: Option<f64>,
    },
}

/// From the level under load ([`super::Curve::recent_high`]), the limit, and the growth per hour, in the metric's unit.
pub fn time_to_limit(current: f64, limit: f64, per_hour: &Estimate) -> TimeToLimit {
    let left = limit - current;
    if left <= 0.0 {
        return TimeToLimit::Reached;
    }
    let hours = |rate: f64| Some(left / rate).filter(|hours| rate > 0.0 && hours.is_finite());
    match hours(per_hour.high) {
        Some(soonest) => TimeToLimit::Hours { soonest, likely: hours(per_hour.value), latest: hours(per_hour.low) },
        None => TimeToLimit::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_the_growth_give_both_ends_of_the_time() {
        let growth = |low, value, high| Estimate { value, low, high };
        for (current, growth, expected) in [
            (
                100.0,
                growth(1.0, 2.0, 4.0),
                TimeToLimit::Hours { soonest: 25.0, likely: Some(50.0), latest: Some(100.0) },
            ),
            (100.0, growth(-1.0, 2.0, 4.0), TimeToLimit::Hours { soonest: 25.0, likely: Some(50.0), latest: None }),
            (100.0, growth(-3.0, -2.0, 0.0), TimeToLimit::Never),
            (200.0, growth(1.0, 2.0, 4.0), TimeToLimit::Reached),
            (100.0, growth(0.0, 0.0, 1e-320), TimeToLimit::Never),
            (100.0, growth(f64::NAN, f64::NAN, f64::NAN), TimeToLimit::Never),
        ] {
            assert_eq!(time_to_limit(current, 200.0, &growth), expected);
        }
    }
}
