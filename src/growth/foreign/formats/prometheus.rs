//! Answers of Prometheus: to a range query (`/api/v1/query_range`), the bare list that `promtool query range -o json` prints, several
//! answers to instant queries one after the other, remote read and write as JSON (`timeseries` with `labels` and `samples`), and the
//! lines that VictoriaMetrics exports. Each series is a curve.
//!
//! Values are texts there, since JSON knows neither `NaN` nor infinity. Such values are samples without a number: they are left
//! out, and how many is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};

use super::Format;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::name::{Meaning, Name};
use crate::growth::foreign::series::{Doubt, Measure, Zeros};
use crate::growth::foreign::sheet::{Sheet, percentage};
use crate::units::Unit;
use serde::de::Deserialize as _;

mod samples;

use samples::{Number, Values};

pub(super) const FORMAT: Format = Format { name: "Prometheus", sees, read, only_memory: false, stamps: Stamps::None };

const KEYS: [&str; 6] = ["\"result\"", "\"metric\"", "\"timeseries\"", "\"resultType\"", "\"errorType\"", "\"status\""];
const NAME: &str = "__name__";

fn sees(head: &Head<'_>) -> bool {
    head.first().trim_start().starts_with(['{', '[']) && {
        let holds = |wanted: &str| head.any(|line| line.contains(wanted));
        KEYS.iter().any(|key| holds(key))
            && (holds("\"data\"") || holds("\"values\"") || holds("\"value\"") || holds("\"error\""))
    }
}

#[derive(serde::Deserialize)]
struct Answer {
    /// What a recording of our own begins with.
    format: Option<String>,
    status: Option<String>,
    error: Option<String>,
    data: Option<Data>,
    timeseries: Option<Vec<Series>>,
    results: Option<Vec<RemoteResult>>,
    #[serde(flatten)]
    series: Series,
}

#[derive(serde::Deserialize)]
struct Data {
    result: Option<Vec<Series>>,
}

#[derive(serde::Deserialize)]
struct RemoteResult {
    timeseries: Vec<Series>,
}

#[derive(Default, serde::Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    labels: Vec<Label>,
    values: Option<Values>,
    /// Milliseconds that belong to bare values.
    timestamps: Option<Vec<Number>>,
    samples: Option<Vec<RemoteSample>>,
    /// What an instant query answers.
    value: Option<(Number, Number)>,
    histograms: Option<serde::de::IgnoredAny>,
}

#[derive(serde::Deserialize)]
struct Label {
    name: String,
    value: String,
}

#[derive(serde::Deserialize)]
struct RemoteSample {
    timestamp: Number,
    value: Number,
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let before = lines.passed();
    let mut input = BufReader::new(lines.rest());
    let is_list = input.fill_buf().map_err(CurveError::Read)?.first() == Some(&b'[');
    sheet.tells_all_labels = true;
    let mut reader = Reader { sheet, line: before + 1, found: BTreeMap::new(), left_out: BTreeSet::new(), instants: 0 };
    let mut json = serde_json::Deserializer::from_reader(input);
    let whole = |what: String| CurveError::line(before + 1, what);
    if is_list {
        let series = Vec::<Series>::deserialize(&mut json).map_err(|error| broken(&error, before))?;
        json.end().map_err(|error| broken(&error, before))?;
        reader.take(series).map_err(whole)?;
    } else {
        let mut answers = 0;
        for answer in json.into_iter::<Answer>() {
            answers += 1;
            let series = answer.map_err(|error| broken(&error, before))?.into_series().map_err(whole)?;
            reader.take(series).map_err(whole)?;
        }
        if answers == 1 && reader.instants > 0 {
            return Err(whole("answers an instant query: one moment is no curve; ask /api/v1/query_range".into()));
        }
    }
    if !reader.left_out.is_empty() {
        let names: Vec<String> = reader.left_out.iter().map(|name| format!("`{name}`")).collect();
        reader.sheet.remark(format!("series that are neither memory nor a count are left out: {}", names.join(", ")));
    }
    if reader.found.is_empty() {
        return Err(whole("begins an answer without series: the query found nothing".into()));
    }
    Ok(())
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
        if let Some(series) = self.data.and_then(|data| data.result).or(self.timeseries) {
            return Ok(series);
        }
        if let Some(results) = self.results {
            return Ok(results.into_iter().flat_map(|result| result.timeseries).collect());
        }
        let has_values = self.series.values.is_some() || self.series.samples.is_some();
        if has_values { Ok(vec![self.series]) } else { Err("begins an object without data.result".into()) }
    }
}

impl Series {
    fn name(&self) -> Option<&str> {
        let label = || self.labels.iter().find(|label| label.name == NAME).map(|label| label.value.as_str());
        self.metric.get(NAME).map(String::as_str).or_else(label)
    }

    fn meaning(&self) -> Option<Meaning> {
        self.name().map(|name| Name::of(name).meaning())
    }
}

/// Puts series into a sheet.
struct Reader<'s, 'q> {
    sheet: &'s mut Sheet<'q>,
    line: usize,
    found: BTreeMap<Vec<(String, String)>, usize>,
    /// Names of metrics that are neither memory nor a count.
    left_out: BTreeSet<String>,
    instants: usize,
}

impl Reader<'_, '_> {
    /// Where an answer holds memory or counts, other metrics beside them are left out.
    fn take(&mut self, series: Vec<Series>) -> Result<(), String> {
        let is_value = |series: &Series| matches!(series.meaning(), Some(Meaning::Memory | Meaning::Count));
        let has_values = self.sheet.query.resource.is_none() && series.iter().any(is_value);
        for one in series {
            if has_values && one.meaning().is_some() && !is_value(&one) {
                self.left_out.insert(one.name().unwrap_or_default().to_owned());
            } else {
                self.take_series(one)?;
            }
        }
        Ok(())
    }

    fn take_series(&mut self, series: Series) -> Result<(), String> {
        let mut labels = series.metric;
        labels.extend(series.labels.into_iter().map(|label| (label.name, label.value)));
        let samples: Vec<(f64, f64)> = match (series.values, series.timestamps, series.samples, series.value) {
            (Some(values), None, _, _) => values.pairs()?,
            (Some(values), Some(times), _, _) => values.at(&times)?,
            (None, _, Some(samples), _) => {
                samples.into_iter().map(|sample| (sample.timestamp.0 / 1000.0, sample.value.0)).collect()
            }
            (None, _, None, Some((time, value))) => {
                self.instants += 1;
                vec![(time.0, value.0)]
            }
            (None, _, None, None) => {
                let labels = samples::braced(&labels);
                return Err(if series.histograms.is_some() {
                    format!("series {labels} holds histograms, which are no curve; ask for a number")
                } else {
                    format!("series {labels} holds no values")
                });
            }
        };
        let measure = measure(labels.get(NAME).map(String::as_str), self.sheet)
            .map_err(|what| format!("series {}: {what}", samples::braced(&labels)))?;
        let labels: Vec<(String, String)> = labels.into_iter().collect();
        let index = match self.found.get(&labels) {
            Some(index) => *index,
            None => {
                let index = self.sheet.add_series(labels.clone(), measure)?;
                self.found.insert(labels, index);
                index
            }
        };
        for (time, value) in samples {
            self.sheet.sample(index, self.line, time, Some(value).filter(|value| value.is_finite()))?;
        }
        Ok(())
    }
}

/// What the name of a metric says. Its units are base units: bytes.
fn measure(name: Option<&str>, sheet: &Sheet<'_>) -> Result<Measure, String> {
    let title = name.unwrap_or("value").to_owned();
    let parts = Name::of(&title);
    let (unit, doubt) = match (parts.meaning(), sheet.query.resource) {
        (Meaning::Percent, _) => return Err(percentage(&title)),
        (Meaning::Counter, None) => {
            return Err(format!(
                "`{title}` is a counter that only ever grows; ask for a gauge, or say --resource if it is one"
            ));
        }
        (Meaning::Count, None) => (Unit::Count, Doubt::Settled),
        (Meaning::Unknown | Meaning::Other, None) => (Unit::Bytes, Doubt::Meaning),
        (_, resource) => (resource.unwrap_or(Unit::Bytes), Doubt::Settled),
    };
    let scale = sheet.query.unit.or_else(|| parts.unit()).filter(|_| unit == Unit::Bytes);
    let zeros = if parts.meaning() == Meaning::Memory { Zeros::NoProcess } else { Zeros::Values };
    Ok(Measure { title, unit, scale, doubt, zeros })
}
