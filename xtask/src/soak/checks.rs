//! Checks of whole scenario files: which subsystems are named, and with which exit code.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::root;
use crate::runs::{Checked, Profile, check, scratch, side_by_side};

/// The leaking systems of the orchestrator and the subsystem that has to be named for each.
const LEAKS: [(&str, &str); 10] = [
    ("startup", "Startup"),
    ("work-items", "WorkQueue"),
    ("completed-ids", "Completed ids"),
    ("embeddings", "Embeddings cache"),
    ("session-counters", "Session counters"),
    ("heartbeats", "Heartbeats"),
    ("helpers", "Background processes"),
    ("crdt-history", "CRDT history"),
    ("response-size", "Response size"),
    ("connections", "Database connections"),
];

/// One check of a scenario file and the subsystems that it has to name.
pub struct Check {
    pub name: String,
    pub file: PathBuf,
    /// Words of the command line that set the file's variables.
    pub vars: Vec<String>,
    pub expected: BTreeSet<String>,
}

/// The checks of the whole orchestrator, of the parts that are wanted.
pub fn checks(wanted: impl Fn(&str) -> bool, profile: Profile) -> Result<Vec<Check>> {
    let every: BTreeSet<String> = LEAKS.iter().map(|(_, subsystem)| (*subsystem).to_owned()).collect();
    let check = |name: &str, leak: &str, expected: &BTreeSet<String>| Check {
        name: name.to_owned(),
        file: root().join("fixtures/orchestrator"),
        vars: [profile.vars(), vec!["--var".to_owned(), format!("leak={leak}")]].concat(),
        expected: expected.clone(),
    };
    let mut checks = Vec::new();
    if wanted("none") {
        checks.extend((1..=3).map(|n| check(&format!("none, run {n}"), "none", &BTreeSet::new())));
    }
    if wanted("all") {
        checks.push(check("all", "all", &every));
    }
    if wanted("single-leaks") {
        checks.extend(LEAKS.iter().map(|(leak, owner)| check(leak, leak, &BTreeSet::from([(*owner).to_owned()]))));
    }
    if wanted("renamed") {
        checks.push(Check { file: renamed(profile)?, ..check("renamed, no gauges", "all", &every) });
    }
    Ok(checks)
}

impl Check {
    /// Runs it and prints a line. What is wrong is the error.
    fn run(&self, profile: Profile) -> Result<()> {
        let out = scratch(&self.name);
        let began = Instant::now();
        let Checked { exit, summary } = check(profile, &self.file, &self.vars, &out)?;
        let named = named(&summary);
        let right = named == self.expected && exit == Some(i32::from(!self.expected.is_empty()));
        println!(
            "{:<28} {:>4} {:>8.0}  {:<7} {}",
            self.name,
            exit.map_or("-".into(), |code| code.to_string()),
            began.elapsed().as_secs_f64(),
            if right { "right" } else { "WRONG" },
            named.iter().cloned().collect::<Vec<_>>().join(", ")
        );
        if !right {
            bail!("report: {}\n    {}", out.join("report.md").display(), undecided(&summary).join("\n    "));
        }
        Ok(())
    }
}

/// Runs the checks, so many at once, and hands out the names of those that were wrong.
pub fn carry_out(checks: Vec<Check>, jobs: usize, profile: Profile) -> Vec<String> {
    if checks.is_empty() {
        return Vec::new();
    }
    println!("{:<28} {:>4} {:>8}  {:<7} named as growing without end", "run", "exit", "seconds", "");
    let outcomes = side_by_side(checks, jobs, |check| {
        let outcome = check.run(profile);
        if let Err(problem) = &outcome {
            println!("{:<28} {problem:#}", check.name);
        }
        (check.name, outcome.is_ok())
    });
    outcomes.into_iter().filter(|(_, right)| !right).map(|(name, _)| name).collect()
}

/// The subsystems with a row that grows without end.
pub fn named(summary: &Value) -> BTreeSet<String> {
    let rows = summary["ledger"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .filter(|row| row["verdict"] == "unbounded")
        .filter_map(|row| row["subsystem"].as_str().map(str::to_owned))
        .collect()
}

/// The thresholds that did not hold.
pub fn undecided(summary: &Value) -> Vec<String> {
    let checks = summary["thresholds"].as_array().cloned().unwrap_or_default();
    checks
        .iter()
        .filter(|check| check["held"] != true)
        .map(|check| format!("{}: {} ({})", check["scenario"], check["expression"], check["observed"]))
        .collect()
}

/// The same service under another name and with its ordinary gauges switched off: only scenarios can name it.
fn renamed(profile: Profile) -> Result<PathBuf> {
    let folder = scratch("renamed-target");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join("nightjar");
    std::fs::copy(profile.program("orchestrator"), &program)?;
    let text = std::fs::read_to_string(root().join("fixtures/orchestrator/tidewatch.toml"))?;
    let file = folder.join("tidewatch.toml");
    std::fs::write(&file, without_gauges(&text, &program.display().to_string()))?;
    Ok(file)
}

/// The scenario file without its gauges and build, launching another program.
fn without_gauges(text: &str, program: &str) -> String {
    let mut out = String::new();
    let mut in_gauges = false;
    for line in text.lines() {
        if line.starts_with('[') {
            in_gauges = line.starts_with("[gauges]");
        }
        if in_gauges || line.trim_start().starts_with("owns =") {
            continue;
        }
        if line.trim_start().starts_with("launch =") {
            out += &format!(
                "launch = [{program:?}, \"--port\", \"0\", \"--leak\", \"{{{{ var.leak }}}}\", \"--no-gauges\"]\n"
            );
        } else {
            out += line;
            out.push('\n');
        }
    }
    out
}
