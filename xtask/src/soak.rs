//! The long matrices: too long for every change, run before a release.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{cargo, root};

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

const PARTS: [&str; 6] = ["none", "all", "single-leaks", "renamed", "kills", "servers"];

/// One check of the orchestrator and what it has to name.
struct Check {
    name: String,
    file: PathBuf,
    vars: Vec<String>,
    expected: BTreeSet<String>,
}

/// Runs the parts that are named, or all, so many at once; prints a line for each run and fails if one is wrong.
pub fn run(words: &[&str]) -> Result<()> {
    let (parts, jobs) = words_of(words)?;
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    cargo(&["build", "--release", "--package", "tidewatch", "--package", "orchestrator"])?;
    let checks = checks(wanted)?;
    if !checks.is_empty() {
        println!("{:<28} {:>4} {:>8}  {:<7} named as growing without end", "run", "exit", "seconds", "");
    }
    let mut failures = carry_out(checks, jobs);
    if wanted("servers") {
        failures.extend(crate::servers::run(jobs)?);
    }
    if wanted("kills") {
        // The test's own story, fifty times.
        let status = Command::new("cargo")
            .args(["test", "--package", "tidewatch", "--test", "it", "kills_leave", "--", "--nocapture"])
            .env("TIDEWATCH_KILLS", "50")
            .current_dir(root())
            .status()?;
        if !status.success() {
            failures.push("kills".to_owned());
        }
    }
    if !failures.is_empty() {
        bail!("{} of the runs were wrong: {}", failures.len(), failures.join(", "));
    }
    println!("every run was right");
    Ok(())
}

fn words_of<'a>(words: &[&'a str]) -> Result<(Vec<&'a str>, usize)> {
    let (mut parts, mut jobs) = (Vec::new(), 1);
    for word in words {
        match word.strip_prefix("--jobs=") {
            Some(number) => jobs = number.parse().with_context(|| format!("`{word}` names no number"))?,
            None if PARTS.contains(word) => parts.push(*word),
            None => bail!("no part `{word}`; parts are {}, and --jobs=N runs N checks at once", PARTS.join(", ")),
        }
    }
    Ok((parts, jobs))
}

fn checks(wanted: impl Fn(&str) -> bool) -> Result<Vec<Check>> {
    let every: BTreeSet<String> = LEAKS.iter().map(|(_, subsystem)| (*subsystem).to_owned()).collect();
    let check = |name: &str, leak: &str, expected: &BTreeSet<String>| Check {
        name: name.to_owned(),
        file: root().join("fixtures/orchestrator"),
        vars: vec![format!("leak={leak}")],
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
        checks.push(Check { file: renamed()?, ..check("renamed, no gauges", "all", &every) });
    }
    Ok(checks)
}

/// Runs the checks, so many at once, and hands out the names of those that were wrong.
fn carry_out(checks: Vec<Check>, jobs: usize) -> Vec<String> {
    let (queue, failures) = (Mutex::new(checks.into_iter()), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|all| {
        for _ in 0..jobs.max(1) {
            all.spawn(|| {
                while let Some(check) = next() {
                    if let Err(problem) = check.run() {
                        println!("{:<28} {problem:#}", check.name);
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(check.name);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Check {
    fn run(&self) -> Result<()> {
        let out = scratch(&self.name);
        let began = Instant::now();
        let mut command = Command::new(root().join("target/release/tidewatch"));
        command.arg("check").arg(&self.file).args(["--var", "cargo=true", "--json"]).arg("--out").arg(&out);
        for var in &self.vars {
            command.args(["--var", var]);
        }
        let output = command.output().context("could not start tidewatch")?;
        let exit = output.status.code();
        let Ok(summary) = serde_json::from_slice::<Value>(&output.stdout) else {
            bail!("no summary; {}", String::from_utf8_lossy(&output.stderr).trim());
        };
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

/// The subsystems with a row that grows without end.
pub(crate) fn named(summary: &Value) -> BTreeSet<String> {
    let rows = summary["ledger"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .filter(|row| row["verdict"] == "unbounded")
        .filter_map(|row| row["subsystem"].as_str().map(str::to_owned))
        .collect()
}

pub(crate) fn undecided(summary: &Value) -> Vec<String> {
    let checks = summary["thresholds"].as_array().cloned().unwrap_or_default();
    checks
        .iter()
        .filter(|check| check["held"] != true)
        .map(|check| format!("{}: {} ({})", check["scenario"], check["expression"], check["observed"]))
        .collect()
}

/// The same service under another name and with its ordinary gauges switched off: only scenarios can name it.
fn renamed() -> Result<PathBuf> {
    let folder = scratch("renamed-target");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join("nightjar");
    std::fs::copy(root().join("target/release/orchestrator"), &program)?;
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

pub(crate) fn scratch(name: &str) -> PathBuf {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    root().join("target/soak").join(format!("{plain}-{}", std::process::id()))
}
