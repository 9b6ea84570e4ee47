//! The numbers that the target exports, read at borders.

use std::collections::BTreeMap;

use crate::probe::gauges::{self, GaugeSource, Scraper};
use crate::sample::{Event, Metric};
use crate::scenario::template::{Fixed, Values};
use crate::scenario::{GaugeFormat, GaugeSpec};

use super::SessionError;
use super::recorder::Recorder;

/// The gauges of one target; none where the scenario file names none.
pub struct Gauges {
    scraper: Option<Scraper>,
    names: Vec<String>,
    told: Option<String>,
    /// Connections of ours that were added to the account of own connections.
    counted: u64,
}

impl Gauges {
    /// Reads what `spec` names.
    pub fn new(spec: Option<&GaugeSpec>, fixed: &Fixed) -> Result<Self, SessionError> {
        let Some(spec) = spec else { return Ok(Self { scraper: None, names: Vec::new(), told: None, counted: 0 }) };
        let url = render_once("[gauges]", &spec.url, fixed)?;
        let format = match spec.format {
            GaugeFormat::Prometheus => gauges::GaugeFormat::Prometheus,
            GaugeFormat::Json => gauges::GaugeFormat::Json,
        };
        let source = GaugeSource::parse(&url, format, spec.names.clone())?;
        Ok(Self { scraper: Some(Scraper::new(source)), names: spec.names.clone(), told: None, counted: 0 })
    }

    /// The numbers now, and how many connections the target held for them at the last reading and holds now.
    pub async fn read_and_count(&mut self, recorder: &Recorder) -> (BTreeMap<String, f64>, u64, u64) {
        let numbers = self.read(recorder).await;
        let before = self.counted;
        self.counted = self.connections();
        (numbers, before, self.counted)
    }

    /// The numbers now. A target that does not answer is told once; the run goes on without them.
    async fn read(&mut self, recorder: &Recorder) -> BTreeMap<String, f64> {
        let Some(scraper) = &mut self.scraper else { return BTreeMap::new() };
        match scraper.read().await {
            Ok(numbers) => numbers,
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
    fn connections(&self) -> u64 {
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
