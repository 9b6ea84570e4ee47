//! The numbers that the target exports, read at borders.

use std::collections::{BTreeMap, BTreeSet};

use crate::probe::OwnSockets;
use crate::probe::gauges::{self, GaugeSource, Scraper};
use crate::sample::{Event, Metric};
use crate::scenario::template::{Fixed, Values};
use crate::scenario::{GaugeFormat, GaugeSpec};

use super::SessionError;
use super::recorder::Recorder;

/// Whether a target may be silent at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It may not: it runs already.
    None,
    /// It may, until its first answer: it is starting.
    UntilFirst,
}

/// The gauges of one target; none where the scenario file names none.
pub struct Gauges {
    scraper: Option<Scraper>,
    names: Vec<String>,
    patience: Patience,
    /// The reason that was told last, or is to be told if no answer ever comes.
    told: Option<String>,
    unsaid: Option<String>,
    seen: BTreeSet<String>,
}

impl Gauges {
    /// Reads what `spec` names.
    pub fn new(spec: Option<&GaugeSpec>, fixed: &Fixed) -> Result<Self, SessionError> {
        let Some(spec) = spec else { return Ok(Self::reading(None, Vec::new(), Patience::None)) };
        let url = render_once("[gauges]", &spec.url, fixed)?;
        let format = match spec.format {
            GaugeFormat::Prometheus => gauges::GaugeFormat::Prometheus,
            GaugeFormat::Json => gauges::GaugeFormat::Json,
        };
        let source = GaugeSource::parse(&url, format, spec.names.clone())?;
        Ok(Self::of(source, Patience::None))
    }

    /// Reads a source.
    pub fn of(source: GaugeSource, patience: Patience) -> Self {
        let names = source.names.clone();
        Self::reading(Some(Scraper::new(source)), names, patience)
    }

    fn reading(scraper: Option<Scraper>, names: Vec<String>, patience: Patience) -> Self {
        Self { scraper, names, patience, told: None, unsaid: None, seen: BTreeSet::new() }
    }

    /// The first reading of a target that must have every number.
    pub async fn first(&mut self) -> Result<BTreeMap<String, f64>, SessionError> {
        let Some(scraper) = &mut self.scraper else { return Ok(BTreeMap::new()) };
        let numbers = scraper.read().await?;
        self.seen.extend(numbers.keys().cloned());
        let Some(absent) = self.names.iter().find(|name| !numbers.contains_key(*name)) else { return Ok(numbers) };
        let there = scraper.names().await?;
        let near = crate::units::nearest(absent, there.iter().map(String::as_str));
        let near = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        Err(SessionError::NotExported(format!(
            "`{absent}` is not among the {} numbers that {} exports{near}",
            there.len(),
            scraper.address()
        )))
    }

    /// Tells which names never came, with the reason.
    pub fn tell_never_seen(&self, recorder: &Recorder) {
        let Some(scraper) = &self.scraper else { return };
        let absent = || format!("it was never among the numbers that {} exports", scraper.address());
        let reason = self.unsaid.clone().filter(|_| self.seen.is_empty()).unwrap_or_else(absent);
        for name in self.names.iter().filter(|name| !self.seen.contains(*name)) {
            recorder.event(Event::Missing { metric: Metric::Gauge(name.clone()), reason: reason.clone() });
        }
    }

    /// Our ends of the connections by which the numbers come, as far as they have an address.
    pub fn own(&self) -> OwnSockets {
        self.scraper.iter().filter_map(Scraper::local_address).collect()
    }

    /// The numbers now. A target that does not answer is told once; the run goes on without them.
    pub async fn read(&mut self, recorder: &Recorder) -> BTreeMap<String, f64> {
        let Some(scraper) = &mut self.scraper else { return BTreeMap::new() };
        match scraper.read().await {
            Ok(numbers) => {
                self.seen.extend(numbers.keys().cloned());
                numbers
            }
            Err(error) if self.patience == Patience::UntilFirst && self.seen.is_empty() => {
                self.unsaid = Some(error.to_string());
                BTreeMap::new()
            }
            Err(error) => {
                let reason = error.to_string();
                if self.told.as_ref() != Some(&reason) {
                    for name in &self.names {
                        recorder.event(Event::Missing { metric: Metric::Gauge(name.clone()), reason: reason.clone() });
                    }
                    self.told = Some(reason);
                }
                BTreeMap::new()
            }
        }
    }

    /// Connections of ours that the target holds for this.
    pub fn connections(&self) -> u64 {
        self.scraper.as_ref().map_or(0, Scraper::connections)
    }
}

/// Renders a text that does not change during a run.
pub fn render_once(
    what: &'static str,
    template: &crate::scenario::template::Template,
    fixed: &Fixed,
) -> Result<String, SessionError> {
    let captured = BTreeMap::new();
    let values = Values { fixed, key: 0, session: 0, seed: 0, captured: &captured };
    template
        .render(&values)
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| SessionError::Template { what, reason: error.to_string() })
}
