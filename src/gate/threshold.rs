//! `METRIC.STATISTIC OP VALUE`, or `METRIC != unbounded`.

use std::fmt;
use std::str::FromStr;

use crate::sample::{Metric, MetricError};
use crate::units::{UnitError, nearest};

/// Something that must hold of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// Of which metric.
    pub metric: Metric,
    /// What is demanded of it.
    pub demand: Demand,
}

/// What is demanded of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Demand {
    /// It does not grow without end.
    NotUnbounded,
    /// A figure of it lies on the right side of a value.
    Figure {
        /// Which figure.
        statistic: Statistic,
        /// On which side.
        comparison: Comparison,
        /// Of which value, in the metric's unit.
        value: f64,
    },
}

/// A figure of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Rise from before the first operation to the last floor.
    Growth,
    /// Rise per operation (per second where nothing is driven).
    PerOp,
    /// Rise per hour at the pace of the run.
    PerHour,
    /// The highest value.
    Peak,
    /// The last floor.
    Final,
}

impl Statistic {
    const NAMES: [(&'static str, Self); 5] = [
        ("growth", Self::Growth),
        ("per_op", Self::PerOp),
        ("per_hour", Self::PerHour),
        ("peak", Self::Peak),
        ("final", Self::Final),
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, statistic)| *statistic == self).map_or("?", |(name, _)| name)
    }
}

/// A side of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Below it.
    Below,
    /// Below it or on it.
    AtMost,
}

impl Comparison {
    /// Whether a figure is on this side.
    pub fn holds(self, figure: f64, value: f64) -> bool {
        match self {
            Self::Below => figure < value,
            Self::AtMost => figure <= value,
        }
    }
}

/// Why a text is no threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// It has not the form of one.
    #[error(
        "`{0}` is not a threshold; write `METRIC.STATISTIC < VALUE` (or <=), like `private.per_op < 64B`, or `METRIC != unbounded`"
    )]
    Form(String),
    /// Its metric is none.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// Its statistic is none.
    #[error("`{word}` is not a statistic{}", .nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_else(|| "; statistics are growth, per_op, per_hour, peak and final".into()))]
    Statistic {
        /// The word.
        word: String,
        /// The nearest valid one.
        nearest: Option<&'static str>,
    },
    /// A lower bound: growth has only upper ones.
    #[error("`{0}` asks for growth to be large; a threshold says what must hold: use < or <=")]
    Direction(String),
    /// Its metric is the live heap of an owner.
    #[error(
        "`{0}` cannot be a threshold: whose live heap it is, is known only after the run, and is an estimate; set one on `private`, and the report names the owners of what grew"
    )]
    Live(Metric),
    /// Its value has not the metric's unit.
    #[error(transparent)]
    Value(#[from] UnitError),
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let form = || ThresholdError::Form(text.to_owned());
        if let Some((metric, verdict)) = text.split_once("!=") {
            let metric = gateable(metric.trim().parse()?)?;
            return match verdict.trim() {
                "unbounded" => Ok(Self { metric, demand: Demand::NotUnbounded }),
                _ => Err(form()),
            };
        }
        if text.contains('>') {
            return Err(ThresholdError::Direction(text.to_owned()));
        }
        let (figure, value) = text.split_once('<').ok_or_else(form)?;
        let (comparison, value) = match value.strip_prefix('=') {
            Some(value) => (Comparison::AtMost, value),
            None => (Comparison::Below, value),
        };
        let (metric, statistic) = figure.trim().rsplit_once('.').ok_or_else(form)?;
        let metric = gateable(metric.parse()?)?;
        let statistic = statistic_from(statistic)?;
        let value = metric.unit().parse(value.trim())?;
        Ok(Self { metric, demand: Demand::Figure { statistic, comparison, value } })
    }
}

/// Estimates of sampling are no measure to gate on: they differ from run to run.
fn gateable(metric: Metric) -> Result<Metric, ThresholdError> {
    match metric {
        Metric::Live(_) => Err(ThresholdError::Live(metric)),
        _ => Ok(metric),
    }
}

fn statistic_from(word: &str) -> Result<Statistic, ThresholdError> {
    Statistic::NAMES.iter().find(|(name, _)| *name == word).map(|(_, statistic)| *statistic).ok_or_else(|| {
        ThresholdError::Statistic {
            word: word.to_owned(),
            nearest: nearest(word, Statistic::NAMES.iter().map(|(name, _)| *name)),
        }
    })
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.demand {
            Demand::NotUnbounded => write!(f, "{} != unbounded", self.metric),
            Demand::Figure { statistic, comparison, value } => {
                let sign = if comparison == Comparison::Below { "<" } else { "<=" };
                let unit = self.metric.unit();
                write!(f, "{}.{} {sign} {}", self.metric, statistic.name(), unit.show(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read() {
        for (text, metric, demand) in [
            ("private != unbounded", Metric::Private, Demand::NotUnbounded),
            ("private.per_op < 64B", Metric::Private, figure(Statistic::PerOp, Comparison::Below, 64.0)),
            ("fds.growth <= 2", Metric::Fds, figure(Statistic::Growth, Comparison::AtMost, 2.0)),
            ("gauge:a.b.final<10", Metric::Gauge("a.b".into()), figure(Statistic::Final, Comparison::Below, 10.0)),
        ] {
            assert_eq!(text.parse(), Ok(Threshold { metric, demand }), "{text}");
        }
    }

    fn figure(statistic: Statistic, comparison: Comparison, value: f64) -> Demand {
        Demand::Figure { statistic, comparison, value }
    }

    #[test]
    fn what_is_no_threshold_is_refused_with_a_hint() {
        for (text, hint) in [
            ("private", "is not a threshold"),
            ("private < 3B", "is not a threshold"),
            ("private != bounded", "is not a threshold"),
            ("privat.growth < 3B", "did you mean `private`?"),
            ("private.grwth < 3B", "did you mean `growth`?"),
            ("private.growth < 3", "is not an amount of memory"),
            ("fds.growth < 3B", "is not a count"),
            ("fds.growth > 3", "use < or <="),
            ("live:Queue != unbounded", "set one on `private`"),
            ("live:app::queue.growth < 3MB", "set one on `private`"),
        ] {
            let message = text.parse::<Threshold>().expect_err(text).to_string();
            assert!(message.contains(hint), "{text}: {message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Threshold>();
        }
    }
}
