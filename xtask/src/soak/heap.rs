//! The orchestrator with all leaks on and its heap sampled: each row that keeps memory must name the line that holds the bytes, and
//! its share of the growth must be the share that the fixture itself tells.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::truth::Truth;
use crate::root;
use crate::runs::{Profile, scratch, summary};

/// How far a share may be from the truth, in hundredths of the growth.
const NEAR: f64 = 10.0;
const SOURCES: &str = "fixtures/orchestrator/src/systems";

/// A row that keeps memory, and the code that does.
struct Row {
    name: &'static str,
    subsystem: &'static str,
    /// The file that holds the bytes.
    file: &'static str,
    /// The function in it, or how the names of several begin.
    function: &'static str,
    /// The number of the fixture that says how many.
    truth: &'static str,
}

const fn row(
    name: &'static str,
    subsystem: &'static str,
    file: &'static str,
    function: &'static str,
    truth: &'static str,
) -> Row {
    Row { name, subsystem, file, function, truth }
}

static ROWS: [Row; 7] = [
    row("startup", "Startup", "startup.rs", "grow", "truth_bytes{system=\"startup\"}"),
    row("work-items", "WorkQueue", "work_queue.rs", "from_new", "truth_bytes{system=\"work-items\"}"),
    row("completed-ids", "Completed ids", "completed.rs", "complete", "truth_bytes{system=\"completed-ids\"}"),
    row("embeddings", "Embeddings cache", "embeddings.rs", "embed", "truth_bytes{system=\"embeddings\"}"),
    row(
        "session-counters",
        "Session counters",
        "session_counters.rs",
        "increment",
        "truth_bytes{system=\"session-counters\"}",
    ),
    row("crdt-history", "CRDT history", "documents.rs", "insert", "truth_bytes{system=\"crdt-history\"}"),
    row("connections", "Database connections", "connections.rs", "ask", "truth_bytes{system=\"connections\"}"),
];

/// What a row came to in one run.
struct Outcome {
    name: String,
    told: String,
    share: Share,
    truth: f64,
    wrong: Vec<String>,
}

/// Hundredths of what private memory grew by.
struct Share {
    value: f64,
    low: f64,
    high: f64,
}

/// Checks the whole scenario file so many times with all leaks on, prints the tables, and hands out the names of the rows that
/// were wrong.
pub fn run(times: usize, profile: Profile) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for number in 1..=times {
        let folder = scratch(&format!("heap-{number}"));
        let truth = check(&folder, profile)?;
        println!(
            "{:<20} {:>7} {:>14} {:>7} {:>5}  held by",
            format!("heap, run {number}"),
            "share",
            "95 %",
            "truth",
            "off"
        );
        let summary = summary(&folder)?;
        for row in &ROWS {
            let outcome = row.compare(&summary, &folder, &truth)?;
            outcome.print();
            if !outcome.wrong.is_empty() {
                wrong.push(format!("{} of heap run {number}", outcome.name));
            }
        }
        println!("{}", folder.join("report.md").display());
    }
    Ok(wrong)
}

fn check(folder: &Path, profile: Profile) -> Result<Truth> {
    let mut check = Command::new(profile.program("tidewatch"))
        .arg("check")
        .arg(root().join("fixtures/orchestrator"))
        .args(["--heap", "--var", "leak=all"])
        .args(profile.vars())
        .arg("--out")
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("could not start tidewatch")?;
    let truth = Truth::during(&mut check, folder)?;
    check.wait()?;
    Ok(truth)
}

impl Outcome {
    fn print(&self) {
        let Share { value, low, high } = self.share;
        let interval = format!("{low:.0} to {high:.0} %");
        println!(
            "{:<20} {value:>5.1} % {interval:>14} {:>5.1} % {:>5.1}  {}",
            self.name,
            self.truth,
            value - self.truth,
            self.told,
        );
        self.wrong.iter().for_each(|problem| println!("    WRONG: {problem}"));
    }
}

impl Row {
    /// Holds a row to what has to come out.
    fn compare(&self, summary: &Value, folder: &Path, truth: &Truth) -> Result<Outcome> {
        let mut scenarios = summary["scenarios"].as_array().into_iter().flatten();
        let scenario = scenarios.find(|scenario| scenario["name"] == self.name);
        let heap = &scenario.with_context(|| format!("{} did not run", self.name))?["heap"];
        let whole = heap["private_growth"].as_f64().unwrap_or(f64::NAN);
        let of_row = |owner: &&Value| owner["name"] == self.subsystem;
        let owners: Vec<&Value> = heap["owners"].as_array().into_iter().flatten().filter(of_row).collect();
        let sum = |key: &str| owners.iter().filter_map(|owner| owner["share"][key].as_f64()).sum::<f64>() * 100.0;
        let (from_s, to_s) = span(folder, self.name)?;
        let mut outcome = Outcome {
            name: self.name.to_owned(),
            told: "nobody".to_owned(),
            share: Share { value: sum("value"), low: sum("low"), high: sum("high") },
            truth: truth.rise(self.truth, from_s, to_s)? / whole * 100.0,
            wrong: Vec::new(),
        };
        let off = (outcome.share.value - outcome.truth).abs();
        if off.is_nan() || off > NEAR {
            outcome.wrong.push(format!("its share is {off:.1} hundredths off"));
        }
        match owners.first() {
            Some(first) => {
                outcome.told = format!("{} {}:{}", text(first, "function"), self.file, first["line"]);
                outcome.wrong.extend(self.holds(first).err().map(|problem| problem.to_string()));
            }
            None => outcome.wrong.push(format!("{} is no owner", self.subsystem)),
        }
        if !names(summary, self.name, self.subsystem) {
            outcome.wrong.push("its row of the ledger does not name it as growing without end".to_owned());
        }
        Ok(outcome)
    }

    /// Whether an owner's function, file and line are those of the code that holds the bytes.
    fn holds(&self, owner: &Value) -> Result<()> {
        if !text(owner, "file").ends_with(self.file) {
            bail!("held by {} in {}, not in {}", text(owner, "function"), text(owner, "file"), self.file);
        }
        let line = owner["line"].as_u64().unwrap_or_default() as usize;
        let source: PathBuf = root().join(SOURCES).join(self.file);
        let source = std::fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        match function_at(&source, line) {
            Some(function) if function.starts_with(self.function) => Ok(()),
            found => bail!("line {line} is in {found:?}, not in `{}`", self.function),
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// When a scenario began and ended, in seconds of the recording.
fn span(folder: &Path, scenario: &str) -> Result<(f64, f64)> {
    let recording = std::fs::read_to_string(folder.join("recording.jsonl"))?;
    let at = |border: &str| {
        let marks = recording.lines().filter(|line| line.starts_with("{\"kind\":\"mark\""));
        let mut marks = marks.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mark = marks.find(|mark| mark["border"] == border && mark["scenario"] == scenario);
        mark.and_then(|mark| mark["at"].as_f64()).with_context(|| format!("{scenario} has no mark `{border}`"))
    };
    Ok((at("scenario-begins")? / 1e6, at("scenario-ends")? / 1e6))
}

fn names(summary: &Value, scenario: &str, subsystem: &str) -> bool {
    let mut rows = summary["ledger"].as_array().into_iter().flatten();
    rows.any(|row| {
        text(row, "scenario") == scenario
            && text(row, "subsystem") == subsystem
            && row["metric"] == "private"
            && row["verdict"] == "unbounded"
    })
}

/// The function that a line of a source file is in: the last one that begins at or before it.
fn function_at(source: &str, line: usize) -> Option<&str> {
    let until = source.lines().take(line).filter_map(|line| {
        let (_, rest) = line.split_once("fn ")?;
        rest.split(['(', '<']).next()
    });
    until.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_code_that_there_is() {
        for row in &ROWS {
            let source = std::fs::read_to_string(root().join(SOURCES).join(row.file)).expect("the file");
            let line =
                1 + source.lines().position(|line| line.contains(&format!("fn {}", row.function))).expect(row.name);
            for line in [line, line + 1] {
                assert!(
                    function_at(&source, line).is_some_and(|found| found.starts_with(row.function)),
                    "{}",
                    row.name
                );
            }
        }
    }
}
