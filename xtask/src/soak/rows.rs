//! Every row of the orchestrator alone with its own scenario, leaking and fixed, held to what the fixture says it keeps.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::checks::{named, undecided};
use super::table;
use super::truth::Truth;
use crate::root;
use crate::runs::{Profile, judgement, scratch, side_by_side, summary};

/// How far a figure may be from the truth, as a share of it.
const NEAR: f64 = 0.15;
/// The share of operations not begun in time from which a wrong run is told to have been strained.
const STRAINED: f64 = 0.02;

/// A row: the scenario (and the word for `--var leak=`), and what has to come out.
pub struct Row {
    pub name: &'static str,
    subsystem: &'static str,
    /// The metrics that grow, each with the number of the fixture that says by how much. None: it never leaks.
    grows: &'static [(&'static str, &'static str)],
    /// The verdict on private memory, in both forms, where it is not enough that nothing else is named.
    private: Option<&'static str>,
}

const fn row(name: &'static str, subsystem: &'static str, grows: &'static [(&'static str, &'static str)]) -> Row {
    Row { name, subsystem, grows, private: None }
}

pub static ROWS: [Row; 11] = [
    row("startup", "Startup", &[("private", "truth_bytes{system=\"startup\"}")]),
    row("work-items", "WorkQueue", &[("private", "truth_bytes{system=\"work-items\"}")]),
    row("completed-ids", "Completed ids", &[("private", "truth_bytes{system=\"completed-ids\"}")]),
    row("embeddings", "Embeddings cache", &[("private", "truth_bytes{system=\"embeddings\"}")]),
    Row { private: Some("bounded"), ..row("events", "Event broadcaster", &[]) },
    row("session-counters", "Session counters", &[("private", "truth_bytes{system=\"session-counters\"}")]),
    row("heartbeats", "Heartbeats", &[("threads", "truth_items{system=\"heartbeats\"}")]),
    row(
        "helpers",
        "Background processes",
        &[
            ("zombies", "truth_items{system=\"helpers-zombies\"}"),
            ("children", "truth_items{system=\"helpers-children\"}"),
            ("orphans", "truth_items{system=\"helpers-orphans\"}"),
        ],
    ),
    row("crdt-history", "CRDT history", &[("private", "truth_bytes{system=\"crdt-history\"}")]),
    row("response-size", "Response size", &[("peak", "truth_largest_answer_bytes")]),
    // A connection is one descriptor: its journal is in memory.
    row(
        "connections",
        "Database connections",
        &[("private", "truth_bytes{system=\"connections\"}"), ("fds", "truth_items{system=\"connections\"}")],
    ),
];

/// The form of the service in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Leaking,
    Fixed,
}

/// One run to be made.
struct Job {
    row: &'static Row,
    form: Form,
    number: usize,
}

/// What one run came to.
pub struct Outcome {
    pub row: &'static Row,
    pub form: Form,
    number: usize,
    pub seconds: f64,
    pub figures: Vec<Figure>,
    wrong: Vec<String>,
    report: PathBuf,
}

impl Outcome {
    pub fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// A figure beside its truth.
pub struct Figure {
    pub metric: &'static str,
    pub unit: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub truth: f64,
}

impl Figure {
    /// One where the figure is true.
    pub fn ratio(&self) -> f64 {
        self.value / self.truth
    }
}

/// The rows that are named.
pub fn names_of(names: &str) -> Result<Vec<&str>> {
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    match names.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
        Some(unknown) => {
            bail!("no row `{unknown}`; rows are {}", ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", "))
        }
        None => Ok(names),
    }
}

/// Runs each form of each row (or of those that are named) so many times, prints the table, and hands out the names of
/// the runs that were wrong.
pub fn run(names: &[&str], times: usize, at_once: usize, profile: Profile) -> Result<Vec<String>> {
    let rows = || ROWS.iter().filter(|row| names.is_empty() || names.contains(&row.name));
    // Round by round, so that a bad minute of the machine does not hit one row alone.
    let jobs: Vec<Job> = (1..=times)
        .flat_map(|number| {
            rows().flat_map(move |row| [Form::Leaking, Form::Fixed].map(|form| Job { row, form, number }))
        })
        .collect();
    let outcomes = side_by_side(jobs, at_once, |job| {
        let outcome = job.run(profile);
        if let Ok(outcome) = &outcome {
            table::print_run(outcome);
        }
        outcome
    });
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    table::print(&rows().collect::<Vec<_>>(), &outcomes);
    let wrong: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.is_right()).collect();
    for outcome in &wrong {
        println!("{}: {}\n    {}", outcome.name(), outcome.report.display(), outcome.wrong.join("\n    "));
    }
    Ok(wrong.into_iter().map(Outcome::name).collect())
}

impl Outcome {
    pub fn name(&self) -> String {
        format!("{} {} {}", self.row.name, self.form.word(), self.number)
    }
}

impl Form {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Leaking => "leaking",
            Self::Fixed => "fixed",
        }
    }
}

impl Job {
    fn run(&self, profile: Profile) -> Result<Outcome> {
        let folder = scratch(&format!("row-{}-{}-{}", self.row.name, self.form.word(), self.number));
        let leak = match self.form {
            Form::Leaking => self.row.name,
            Form::Fixed => "none",
        };
        let began = Instant::now();
        let mut check = Command::new(profile.program("tidewatch"))
            .arg("check")
            .arg(root().join("fixtures/orchestrator"))
            .args(["--scenario", self.row.name, "--var", &format!("leak={leak}")])
            .args(profile.vars())
            .arg("--out")
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("could not start tidewatch")?;
        // What keeps nothing has no truth to be held to, and is left alone: requests from elsewhere make its heap creep.
        let truth = if self.leaks() { Truth::during(&mut check, &folder)? } else { Truth::default() };
        let exit = check.wait()?.code();
        let mut outcome = Outcome {
            row: self.row,
            form: self.form,
            number: self.number,
            seconds: began.elapsed().as_secs_f64(),
            figures: Vec::new(),
            wrong: Vec::new(),
            report: folder.join("report.md"),
        };
        match summary(&folder) {
            Ok(summary) => {
                self.compare(&mut outcome, exit, &summary, &truth);
                if !outcome.is_right() {
                    outcome.wrong.extend(strained(&summary));
                }
            }
            Err(problem) => outcome.wrong.push(format!("exit code {exit:?}, and {problem:#}")),
        }
        Ok(outcome)
    }

    fn leaks(&self) -> bool {
        self.form == Form::Leaking && !self.row.grows.is_empty()
    }

    /// Holds a run to what has to come out.
    fn compare(&self, outcome: &mut Outcome, exit: Option<i32>, summary: &Value, truth: &Truth) {
        let leaks = self.leaks();
        let expected: BTreeSet<String> = leaks.then(|| self.row.subsystem.to_owned()).into_iter().collect();
        let named = named(summary);
        if named != expected || exit != Some(i32::from(leaks)) {
            outcome.wrong.push(format!("exit code {exit:?}, named {named:?} instead of {expected:?}"));
            outcome.wrong.extend(undecided(summary));
        }
        let verdict = |metric: &str| judgement(summary, metric)["verdict"].as_str().unwrap_or("none").to_owned();
        if let Some(wanted) = self.row.private.filter(|wanted| verdict("private") != *wanted) {
            let reason = judgement(summary, "private")["reason"].to_string();
            outcome.wrong.push(format!("private is {} instead of {wanted}: {reason}", verdict("private")));
        }
        for (metric, name) in self.row.grows.iter().filter(|_| leaks) {
            if verdict(metric) != "unbounded" {
                outcome.wrong.push(format!(
                    "{metric} is {}: {}",
                    verdict(metric),
                    judgement(summary, metric)["reason"]
                ));
            }
            match figure(metric, name, judgement(summary, metric), truth) {
                Ok(figure) => {
                    if (figure.ratio() - 1.0).abs() > NEAR {
                        outcome.wrong.push(format!(
                            "{metric}: {} ({} to {}) against a truth of {}: {:.2}",
                            table::show(&figure.unit, figure.value),
                            table::show(&figure.unit, figure.low),
                            table::show(&figure.unit, figure.high),
                            table::show(&figure.unit, figure.truth),
                            figure.ratio(),
                        ));
                    }
                    outcome.figures.push(figure);
                }
                Err(problem) => outcome.wrong.push(format!("{metric}: {problem:#}")),
            }
        }
    }
}

/// Whether the machine could not keep the pace: then the run says little about the judge.
fn strained(summary: &Value) -> Option<String> {
    let tally = &summary["scenarios"][0]["tally"];
    let (missed, counted) = (tally["missed"].as_u64()?, tally["counted"].as_u64()?);
    let share = missed as f64 / (missed + counted) as f64;
    (share > STRAINED)
        .then(|| format!("the machine was too busy: {:.0} % of the operations were not begun in time", 100.0 * share))
}

/// The figure of a metric, and its truth: the net rise over the judged window by the operations (seconds) in it.
fn figure(metric: &'static str, name: &str, judgement: &Value, truth: &Truth) -> Result<Figure> {
    let number = |value: &Value, key: &str| value[key].as_f64().with_context(|| format!("the summary has no `{key}`"));
    let (per_op, window) = (&judgement["per_op"], &judgement["window"]);
    let (from, to) = (number(window, "from_s")?, number(window, "to_s")?);
    let length = match window["from_operations"] {
        Value::Null => to - from,
        _ => number(window, "to_operations")? - number(window, "from_operations")?,
    };
    Ok(Figure {
        metric,
        unit: judgement["unit"].as_str().unwrap_or_default().to_owned(),
        value: number(per_op, "value")?,
        low: number(per_op, "low")?,
        high: number(per_op, "high")?,
        truth: (truth.at(name, to)? - truth.at(name, from)?) / length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_scenario_and_its_subsystem() {
        let file = std::fs::read_to_string(root().join("fixtures/orchestrator/tidewatch.toml")).expect("the file");
        for row in &ROWS {
            assert!(file.contains(&format!("\nname = \"{}\"\n", row.name)), "{}", row.name);
            assert!(file.contains(&format!("\nsubsystem = \"{}\"\n", row.subsystem)), "{}", row.subsystem);
        }
    }

    #[test]
    fn rows_are_chosen_by_name() {
        assert_eq!(names_of("events, helpers").expect("known"), ["events", "helpers"]);
        assert!(names_of("events,helper").is_err());
    }
}
