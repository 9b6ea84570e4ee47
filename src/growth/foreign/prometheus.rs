//! Answers of Prometheus to a range query (`/api/v1/query_range`), and the bare list that `promtool query range -o json`
//! prints. Each series is a curve.
//!
//! Values are texts there, since JSON knows neither `NaN` nor infinity. Such values are samples without a number: they are left
//! out, and how many is told.

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use super::{CurveError, Foreign, Gathered};
use crate::units::Unit;

#[derive(serde::Deserialize)]
struct Answer {
    /// What a recording of our own begins with.
    format: Option<String>,
    status: Option<String>,
    error: Option<String>,
    data: Option<Data>,
}

#[derive(serde::Deserialize)]
struct Data {
    result: Option<Vec<Series>>,
}

#[derive(serde::Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    values: Option<Values>,
    /// What an instant query answers.
    value: Option<IgnoredAny>,
    histograms: Option<IgnoredAny>,
}

/// The samples of a series.
#[derive(Default)]
struct Values {
    gathered: Gathered,
    /// Samples that have no number.
    without: usize,
}

/// A number, or a text that is one.
struct Number(f64);

/// Reads the answer; `before` lines lie before it.
pub(super) fn read(mut input: impl BufRead, before: usize, unit: Unit) -> Result<Vec<Foreign>, CurveError> {
    let is_list = input.fill_buf().map_err(CurveError::Read)?.first() == Some(&b'[');
    let mut json = serde_json::Deserializer::from_reader(input);
    let read = if is_list {
        Vec::<Series>::deserialize(&mut json).map(Ok)
    } else {
        Answer::deserialize(&mut json).map(Answer::into_series)
    };
    let whole = |what: String| CurveError::line(before + 1, what);
    let series = read.map_err(|error| broken(&error, before))?.map_err(whole)?;
    json.end().map_err(|error| broken(&error, before))?;
    if series.is_empty() {
        return Err(whole("begins an answer without series: the query found nothing".into()));
    }
    series.into_iter().map(|series| series.into_foreign(unit).map_err(whole)).collect()
}

fn broken(error: &serde_json::Error, before: usize) -> CurveError {
    if let Some(kind) = error.io_error_kind() {
        return CurveError::Read(kind.into());
    }
    let (line, column) = (before + error.line().max(1), error.column());
    let problem = if error.is_data() { "is not what Prometheus answers to a range query" } else { "is not whole JSON" };
    let what = error.to_string();
    let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
    CurveError::line(line, format!("{problem}: {what} (column {column})"))
}

impl Answer {
    fn into_series(self) -> Result<Vec<Series>, String> {
        if self.format.is_some_and(|format| format.starts_with("tidewatch-recording/")) {
            return Err("begins a recording of tidewatch: `tidewatch report` judges it".into());
        }
        if let Some(error) = self.error {
            return Err(format!("Prometheus answered with an error: {error}"));
        }
        if self.status.as_deref().is_some_and(|status| status != "success") {
            return Err("Prometheus answered with an error, and does not say which".into());
        }
        self.data.and_then(|data| data.result).ok_or_else(|| "begins an object without data.result".into())
    }
}

impl Series {
    fn into_foreign(self, unit: Unit) -> Result<Foreign, String> {
        let labels = labels(&self.metric);
        let Some(Values { gathered, without }) = self.values else {
            return Err(if self.value.is_some() {
                "answers an instant query: one moment is no curve; ask /api/v1/query_range".into()
            } else if self.histograms.is_some() {
                format!("series {labels} holds histograms, which are no curve; ask for a number")
            } else {
                format!("series {labels} holds no values")
            });
        };
        let remark = match without {
            0 => None,
            1 => Some("1 sample without a number is left out".to_owned()),
            many => Some(format!("{many} samples without a number are left out")),
        };
        Ok(Foreign { series: Some(labels), curve: gathered.into_curve(unit), remarks: remark.into_iter().collect() })
    }
}

/// The labels as a query writes them.
fn labels(metric: &BTreeMap<String, String>) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> = metric.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", labels.join(","))
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Samples;

        impl<'de> Visitor<'de> for Samples {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of [time, value]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
                let mut values = Values::default();
                while let Some((Number(time), Number(value))) = list.next_element()? {
                    if value.is_finite() {
                        values.gathered.push_value(time, value).map_err(A::Error::custom)?;
                    } else {
                        values.without += 1;
                    }
                }
                Ok(values)
            }
        }

        deserializer.deserialize_seq(Samples)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a text that is one")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom(format!("`{text}` is not a number")))
            }
        }

        deserializer.deserialize_any(Text)
    }
}
