//! When growth without end meets a limit of the target: memory, descriptors, tasks, mappings.
//!
//! Each finding is taken alone, at the pace of the run, and at the pace of production where the scenario file
//! tells it. Growth that is bounded meets no limit here, and none is made up where the limit is not known.

use serde::Serialize;

use super::words;
use crate::attribution::{Findings, ScenarioFinding, curve};
use crate::growth::{Axis, Estimate, Growth, TimeToLimit, time_to_limit};
use crate::recording::{Passage, Recording};
use crate::sample::{Metric, Record};
use crate::units::Unit;

/// When one finding meets one limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitTime {
    /// The scenario whose growth it is.
    pub scenario: String,
    /// What grows: a metric, or `mappings`.
    pub metric: String,
    /// Which limit: `memory`, `nofile`, `pids`, `max_map_count`.
    pub limit_name: &'static str,
    /// Its value in the metric's unit.
    pub limit: f64,
    /// The level under load at the end of the run.
    pub level: f64,
    /// At which pace: `this run`, or a production rate's name.
    pub pace: String,
    /// When it is met, in hours.
    #[serde(flatten)]
    pub when: TimeToLimit,
    #[serde(skip)]
    pub(super) unit: Unit,
}

impl LimitTime {
    /// One sentence: `the memory limit of 512 MiB is met in 2 h 10 min (1 h 50 min to 2 h 40 min) at the pace of this run`.
    pub fn sentence(&self) -> String {
        let limit = format!("{} of {}", self.limit_noun(), self.shown_limit());
        match self.when {
            TimeToLimit::Reached => format!("the {limit} is reached already"),
            TimeToLimit::Never => format!("the {limit} is not met {}", self.at_pace()),
            TimeToLimit::Hours { .. } => format!("the {limit} is met in {} {}", self.time(), self.at_pace()),
        }
    }

    /// The time with its interval: `2 h 10 min (1 h 50 min to 2 h 40 min)`, `6 h (4 h, no upper bound)`.
    pub fn time(&self) -> String {
        let hours = |hours: f64| words::seconds(hours * 3600.0);
        match self.when {
            TimeToLimit::Reached => "reached".into(),
            TimeToLimit::Never => "never".into(),
            TimeToLimit::Hours { soonest, likely, latest } => {
                let until = latest.map_or_else(|| ", no upper bound".into(), |latest| format!(" to {}", hours(latest)));
                match likely {
                    Some(likely) => format!("{} ({}{until})", hours(likely), hours(soonest)),
                    None => format!("{} at the soonest{until}", hours(soonest)),
                }
            }
        }
    }

    /// What the limit is called in a sentence.
    pub fn limit_noun(&self) -> &'static str {
        match self.limit_name {
            "nofile" => "descriptor limit of a process (nofile)",
            "pids" => "task limit (pids)",
            "max_map_count" => "mapping limit (max_map_count)",
            _ => "memory limit",
        }
    }

    /// The limit with its unit.
    pub fn shown_limit(&self) -> String {
        self.unit.show(self.limit)
    }

    fn at_pace(&self) -> String {
        match self.pace.as_str() {
            THIS_RUN => "at the pace of this run".into(),
            name => format!("at the production rate `{name}`"),
        }
    }
}

/// The pace that was measured.
pub(super) const THIS_RUN: &str = "this run";

/// Every limit that the findings run into.
pub(super) fn of(recording: &Recording, findings: &Findings) -> Vec<LimitTime> {
    let passages = recording.passages();
    passages
        .iter()
        .zip(&findings.scenarios)
        .flat_map(|(passage, finding)| {
            let mut times: Vec<LimitTime> =
                growing(finding).flat_map(|growth| of_growth(recording, passage, finding, growth)).collect();
            times.extend(of_mappings(recording, passage, finding));
            times
        })
        .collect()
}

/// What goes on growing, each once: a peak that rises with retained memory meets the limit with it.
fn growing(finding: &ScenarioFinding) -> impl Iterator<Item = &Growth> {
    finding.growing().filter(|growth| !finding.is_echo(growth))
}

fn of_growth(
    recording: &Recording,
    passage: &Passage<'_>,
    finding: &ScenarioFinding,
    growth: &Growth,
) -> Vec<LimitTime> {
    let limits = &recording.header.host.limits;
    let (name, limit, whole) = match growth.metric {
        Metric::Private | Metric::Shared | Metric::Peak => {
            ("memory", recording.header.plan.memory_limit.or(limits.get("memory").copied()), Metric::Rss)
        }
        Metric::Fds => ("nofile", limits.get("nofile").copied(), Metric::Fds),
        Metric::Threads | Metric::Children | Metric::Zombies | Metric::Orphans => {
            ("pids", limits.get("pids").copied(), Metric::Tasks)
        }
        _ => return Vec::new(),
    };
    let Some(limit) = limit else { return Vec::new() };
    let level = match growth.metric {
        // The highest of each cycle is what meets the limit.
        Metric::Peak => Some(growth.highest),
        _ => level(passage, &whole).or_else(|| level(passage, &growth.metric)),
    };
    let Some(level) = level else { return Vec::new() };
    paces(finding, growth)
        .into_iter()
        .map(|(pace, per_hour)| LimitTime {
            scenario: finding.plan.name.clone(),
            metric: growth.metric.to_string(),
            limit_name: name,
            limit: limit as f64,
            level,
            pace,
            when: time_to_limit(level, limit as f64, &per_hour),
            unit: growth.metric.unit(),
        })
        .collect()
}

fn level(passage: &Passage<'_>, metric: &Metric) -> Option<f64> {
    curve(passage, metric).recent_high()
}

/// Growth per hour in this run, and at each declared rate of production.
fn paces(finding: &ScenarioFinding, growth: &Growth) -> Vec<(String, Estimate)> {
    let mut paces: Vec<(String, Estimate)> =
        growth.per_hour.map(|rate| (THIS_RUN.to_owned(), rate)).into_iter().collect();
    if let (Axis::Operations, Some(per_op)) = (growth.axis, growth.per_op) {
        let rates = &finding.plan.production;
        paces.extend(rates.iter().map(|rate| (rate.name.clone(), per_op.scaled(rate.rate.as_per_hour()))));
    }
    paces
}

/// Mappings are no metric of the judge: where they rise over both halves of the closer looks, both halves'
/// slopes are the ends of the interval.
fn of_mappings(recording: &Recording, passage: &Passage<'_>, finding: &ScenarioFinding) -> Option<LimitTime> {
    let limit = *recording.header.host.limits.get("max_map_count")?;
    // Memory that is flat maps nothing anew for ever; what rises beside it is still filling up.
    finding.growing().next()?;
    let looks: Vec<(f64, f64)> = passage
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Detail(detail) if detail.is_of_one_moment() => {
                Some((detail.at.seconds() / 3600.0, detail.mappings?.count as f64))
            }
            _ => None,
        })
        .collect();
    let (first, middle, last) = (*looks.first()?, *looks.get(looks.len() / 2)?, *looks.last()?);
    let slope = |a: (f64, f64), b: (f64, f64)| (b.1 - a.1) / (b.0 - a.0);
    let (early, late, value) = (slope(first, middle), slope(middle, last), slope(first, last));
    let rises = looks.len() >= 6 && early > 0.0 && late > 0.5 * early && last.1 - first.1 >= 16.0;
    (rises && value.is_finite()).then(|| LimitTime {
        scenario: passage.plan.name.clone(),
        metric: "mappings".into(),
        limit_name: "max_map_count",
        limit: limit as f64,
        level: last.1,
        pace: THIS_RUN.into(),
        when: time_to_limit(last.1, limit as f64, &Estimate { value, low: early.min(late), high: early.max(late) }),
        unit: Unit::Count,
    })
}
