//! Every row of the orchestrator that keeps memory, its heap sampled: the finding must name the line that holds the bytes, and its
//! share of the growth must be the share that the fixture itself tells.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::truth::Truth;
use crate::root;
use crate::runs::{Profile, scratch, side_by_side, summary};

/// How far a share may be from the truth, in hundredths of the growth.
const NEAR: f64 = 10.0;
const SOURCES: &str = "fixtures/orchestrator/src/systems";

/// A row that keeps memory, and the code that does.
struct Row {
    name: &'static str,
    subsystem: &'static str,
    /// The file that holds the bytes.
    file: &'static str,
    /// The function in it.
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
    row("connections", "Database connections", "connections.rs", "ask_anew", "truth_bytes{system=\"connections\"}"),
];

/// What one run came to.
struct Outcome {
    name: String,
    told: String,
    share: f64,
    low: f64,
    high: f64,
    truth: f64,
    wrong: Vec<String>,
}

/// Runs each row so many times with all leaks on, prints the table, and hands out the names of the runs that were wrong.
pub fn run(names: &[&str], times: usize, at_once: usize, profile: Profile) -> Result<Vec<String>> {
    let rows = || ROWS.iter().filter(|row| names.is_empty() || names.contains(&row.name));
    let jobs: Vec<(&Row, usize)> = (1..=times).flat_map(|number| rows().map(move |row| (row, number))).collect();
    println!("{:<20} {:>7} {:>16} {:>7} {:>5}  held by", "row, heap sampled", "share", "95 %", "truth", "off");
    let outcomes = side_by_side(jobs, at_once, |(row, number)| {
        let outcome = row.run(number, profile);
        if let Ok(outcome) = &outcome {
            outcome.print();
        }
        outcome
    });
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    let wrong: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.wrong.is_empty()).collect();
    for outcome in &wrong {
        println!("{}: {}", outcome.name, outcome.wrong.join("; "));
    }
    Ok(wrong.into_iter().map(|outcome| outcome.name.clone()).collect())
}

impl Outcome {
    fn print(&self) {
        let interval = format!("{:.0} to {:.0} %", self.low, self.high);
        println!(
            "{:<20} {:>5.1} % {interval:>16} {:>5.1} % {:>5.1}  {}{}",
            self.name,
            self.share,
            self.truth,
            self.share - self.truth,
            self.told,
            if self.wrong.is_empty() { "" } else { "  WRONG" },
        );
    }
}

impl Row {
    fn run(&self, number: usize, profile: Profile) -> Result<Outcome> {
        let folder = scratch(&format!("heap-{}-{number}", self.name));
        let mut check = Command::new(profile.program("tidewatch"))
            .arg("check")
            .arg(root().join("fixtures/orchestrator"))
            .args(["--heap", "--scenario", self.name, "--var", "leak=all"])
            .args(profile.vars())
            .arg("--out")
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("could not start tidewatch")?;
        let truth = Truth::during(&mut check, &folder)?;
        check.wait()?;
        let name = format!("{} {number}", self.name);
        self.compare(name.clone(), &folder, &truth).with_context(|| format!("{name}: see {}", folder.display()))
    }

    fn compare(&self, name: String, folder: &Path, truth: &Truth) -> Result<Outcome> {
        let summary = summary(folder)?;
        let scenario = &summary["scenarios"][0];
        let heap = &scenario["heap"];
        let whole = heap["private_growth"].as_f64().context("private memory did not grow, or was not sampled")?;
        let owners: Vec<&Value> =
            heap["owners"].as_array().into_iter().flatten().filter(|owner| owner["name"] == self.subsystem).collect();
        let first = owners.first().with_context(|| format!("{} is no owner", self.subsystem))?;
        let sum = |key: &str| owners.iter().filter_map(|owner| owner["share"][key].as_f64()).sum::<f64>() * 100.0;
        let mut outcome = Outcome {
            name,
            told: format!("{}:{}", first["function"].as_str().unwrap_or("?"), first["line"]),
            share: sum("value"),
            low: sum("low"),
            high: sum("high"),
            truth: truth.rise(self.truth)? / whole * 100.0,
            wrong: Vec::new(),
        };
        if (outcome.share - outcome.truth).abs() > NEAR {
            outcome.wrong.push(format!("its share is {:.1} %, in truth {:.1} %", outcome.share, outcome.truth));
        }
        if let Err(problem) = self.holds(first) {
            outcome.wrong.push(problem.to_string());
        }
        if heap["owners"][0]["name"] != self.subsystem {
            outcome.wrong.push(format!("{} is said to hold more", heap["owners"][0]["name"]));
        }
        let named = scenario_row(&summary, self.subsystem);
        if !named {
            outcome.wrong.push("no row of the ledger names it as growing without end".to_owned());
        }
        Ok(outcome)
    }

    /// Whether an owner's function, file and line are those of the code that holds the bytes.
    fn holds(&self, owner: &Value) -> Result<()> {
        let text = |key: &str| owner[key].as_str().unwrap_or_default();
        if !text("file").ends_with(self.file) {
            bail!("held by {} in {}, not in {}", text("function"), text("file"), self.file);
        }
        let line = owner["line"].as_u64().unwrap_or_default() as usize;
        let source: PathBuf = root().join(SOURCES).join(self.file);
        let source = std::fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        match function_at(&source, line) {
            Some(function) if function == self.function => Ok(()),
            found => bail!("line {line} is in {found:?}, not in `{}`", self.function),
        }
    }
}

fn scenario_row(summary: &Value, subsystem: &str) -> bool {
    let ledgers = summary["ledgers"].as_array().into_iter().flatten();
    let mut rows = ledgers.flat_map(|ledger| ledger["rows"].as_array().into_iter().flatten());
    rows.any(|row| row["subsystem"] == subsystem && row["metric"] == "private" && row["verdict"] == "unbounded")
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
            assert_eq!(function_at(&source, line), Some(row.function));
            assert_eq!(function_at(&source, line + 1), Some(row.function));
        }
    }
}
