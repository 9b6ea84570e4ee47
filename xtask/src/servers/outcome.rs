//! What the check of one scenario came to.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::table::amount;
use crate::runs::{Checked, judgement};

/// How long a reason may be in a line.
const LONGEST_REASON: usize = 160;

/// How a scenario of a clean server ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// Every threshold held.
    Clean,
    /// Growth was reported, and there is none.
    FalseAlarm,
    /// Some threshold was left undecided.
    Inconclusive,
    /// There is no verdict, for this reason.
    Failed(String),
}

/// The figures of a check that has verdicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Of the whole scenario, the start of the server not counted.
    pub seconds: f64,
    pub cycles: u64,
    pub operations: u64,
    /// Operations per second of load.
    pub reached: f64,
    /// The smallest growth of private memory that the report says it can find, in bytes per operation.
    pub memory_limit: Option<f64>,
    /// The same of counts; none where it is the default's.
    pub count_limit: Option<f64>,
    /// Each metric whose threshold did not hold, with the reason.
    pub open: Vec<(String, String)>,
}

/// A scenario of a server at a pace, checked.
pub struct Outcome {
    pub server: &'static str,
    pub scenario: String,
    /// The pace of the set that it belongs to.
    pub asked: u32,
    /// The pace that the server was driven at.
    pub pace: u32,
    pub ended: Ended,
    pub figures: Option<Figures>,
    pub report: PathBuf,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Clean => "clean",
            Self::FalseAlarm => "FALSE ALARM",
            Self::Inconclusive => "inconclusive",
            Self::Failed(_) => "FAILED",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<11} {:<18} {:>5}/s  {:<12}", self.server, self.scenario, self.pace, self.ended)?;
        if let Some(figures) = &self.figures {
            write!(
                f,
                "  {:>3.0} s  {:>3} cycles  {:>7} operations ({:.0}/s)  finds {} and {} per operation",
                figures.seconds,
                figures.cycles,
                figures.operations,
                figures.reached,
                amount(figures.memory_limit, " B"),
                amount(figures.count_limit, ""),
            )?;
            for (metric, reason) in &figures.open {
                let short: String = reason.chars().take(LONGEST_REASON).collect();
                write!(f, "\n    {metric}: {short}")?;
            }
        }
        if let Ended::Failed(reason) = &self.ended {
            write!(f, "\n    {reason}")?;
        }
        if self.ended != Ended::Clean {
            write!(f, "\n    {}", self.report.display())?;
        }
        Ok(())
    }
}

/// Reads the summary and the text of the report.
pub fn read(checked: &Checked, report: &str) -> Result<(Ended, Figures)> {
    let summary = &checked.summary;
    let scenario = &summary["scenarios"][0];
    let number = |value: &Value, what: &str| value.as_f64().with_context(|| format!("the summary has no {what}"));
    let operations = scenario["operations"].as_u64().context("the summary has no operations")?;
    let load_seconds = number(&scenario["tally"]["load_seconds"], "load_seconds")?;
    let thresholds = summary["thresholds"].as_array().context("the summary has no thresholds")?;
    let open: Vec<&Value> = thresholds.iter().filter(|one| one["held"] != true).collect();
    let ended = match open.as_slice() {
        [] => Ended::Clean,
        some if some.iter().any(|one| one["held"] == false) => Ended::FalseAlarm,
        _ => Ended::Inconclusive,
    };
    let figures = Figures {
        seconds: number(&summary["overhead"]["wall_us"], "overhead.wall_us")? / 1e6,
        cycles: scenario["cycles"].as_u64().context("the summary has no cycles")?,
        operations,
        reached: operations as f64 / load_seconds,
        memory_limit: judgement(summary, "private")["sensitivity"].as_f64(),
        count_limit: count_limit(report),
        open: open.into_iter().map(|one| reason(summary, one)).collect(),
    };
    Ok((ended, figures))
}

/// The metric of a threshold and why its verdict is what it is.
fn reason(summary: &Value, threshold: &Value) -> (String, String) {
    let metric = threshold["metric"].as_str().unwrap_or("?");
    let told = &judgement(summary, metric)["reason"];
    let told = told.as_str().or_else(|| threshold["observed"].as_str()).unwrap_or("no reason");
    (metric.to_owned(), told.to_owned())
}

/// From which growth of counts on a report says that it judges them.
fn count_limit(report: &str) -> Option<f64> {
    let (_, after) = report.split_once("judged for growth of ")?;
    after.split(' ').next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// One at 200/s that ended so.
    pub fn outcome(ended: Ended) -> Outcome {
        let figures = Figures {
            seconds: 62.4,
            cycles: 50,
            operations: 8000,
            reached: 199.6,
            memory_limit: Some(100.4),
            count_limit: Some(7.5e-4),
            open: Vec::new(),
        };
        let figures = (!matches!(ended, Ended::Failed(_))).then_some(figures);
        Outcome {
            server: "redis",
            scenario: "filling".into(),
            asked: 200,
            pace: 200,
            ended,
            figures,
            report: "run/report.md".into(),
        }
    }

    fn checked(held: &[(&str, Option<bool>)]) -> Checked {
        let thresholds: Vec<Value> =
            held.iter().map(|(metric, held)| json!({ "metric": metric, "held": held, "observed": "seen" })).collect();
        let summary = json!({
            "thresholds": thresholds,
            "overhead": { "wall_us": 40_200_000 },
            "scenarios": [{
                "cycles": 33, "operations": 530, "tally": { "load_seconds": 26.5 },
                "verdicts": [{ "metric": "private", "sensitivity": 266.0, "reason": "no steady rise" }],
            }],
        });
        Checked { exit: Some(0), summary }
    }

    #[test]
    fn a_crossed_threshold_is_a_false_alarm_and_an_undecided_one_is_inconclusive() {
        for (held, expected) in [
            (&[("private", Some(true)), ("fds", Some(true))][..], Ended::Clean),
            (&[("private", Some(true)), ("fds", None)], Ended::Inconclusive),
            (&[("private", None), ("fds", Some(false))], Ended::FalseAlarm),
        ] {
            assert_eq!(read(&checked(held), "").expect("figures").0, expected);
        }
    }

    #[test]
    fn figures_and_limits_are_read() {
        let report = "- clients: descriptors, threads and other counts are judged for growth of 0.0113 per operation and more: 530";
        let (_, figures) = read(&checked(&[("private", None), ("fds", None)]), report).expect("figures");
        assert_eq!((figures.seconds, figures.cycles, figures.operations, figures.reached), (40.2, 33, 530, 20.0));
        assert_eq!((figures.memory_limit, figures.count_limit), (Some(266.0), Some(0.0113)));
        let open = [("private", "no steady rise"), ("fds", "seen")].map(|(metric, why)| (metric.into(), why.into()));
        assert_eq!(figures.open, open);
        assert_eq!(read(&checked(&[]), "nothing").expect("figures").1.count_limit, None);
    }
}
