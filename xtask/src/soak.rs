//! The long matrices: too long for every change, run before a release.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
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

const PARTS: [&str; 5] = ["none", "all", "single-leaks", "renamed", "kills"];

/// Runs the parts that are named, or all; prints a line for each run and fails if one is wrong.
pub fn run(parts: &[&str]) -> Result<()> {
    if let Some(wrong) = parts.iter().find(|part| !PARTS.contains(part)) {
        bail!("no part `{wrong}`; parts are {}", PARTS.join(", "));
    }
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    cargo(&["build", "--release", "--package", "tidewatch", "--package", "orchestrator"])?;
    let mut failures = Vec::new();
    println!("{:<28} {:>4} {:>8}  {:<7} named as growing without end", "run", "exit", "seconds", "");
    if wanted("none") {
        for n in 1..=3 {
            check(&format!("none, run {n}"), &["leak=none"], &[], &mut failures)?;
        }
    }
    let every: Vec<&str> = LEAKS.iter().map(|(_, subsystem)| *subsystem).collect();
    if wanted("all") {
        check("all", &["leak=all"], &every, &mut failures)?;
    }
    if wanted("single-leaks") {
        for (leak, subsystem) in LEAKS {
            check(leak, &[&format!("leak={leak}")], &[subsystem], &mut failures)?;
        }
    }
    if wanted("renamed") {
        renamed(&every, &mut failures)?;
    }
    if wanted("kills") {
        // The test's own story, fifty times.
        let status = Command::new("cargo")
            .args(["test", "--package", "tidewatch", "--test", "it", "kill_nine", "--", "--nocapture"])
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

/// Checks the orchestrator with these variables and compares what is named.
fn check(name: &str, vars: &[&str], expected: &[&str], failures: &mut Vec<String>) -> Result<()> {
    check_file(name, &root().join("fixtures/orchestrator"), vars, expected, failures)
}

fn check_file(name: &str, file: &Path, vars: &[&str], expected: &[&str], failures: &mut Vec<String>) -> Result<()> {
    let out = scratch(name);
    let began = Instant::now();
    let mut command = Command::new(root().join("target/release/tidewatch"));
    command.arg("check").arg(file).args(["--var", "cargo=true", "--json"]).arg("--out").arg(&out);
    for var in vars {
        command.args(["--var", var]);
    }
    let output = command.output().context("could not start tidewatch")?;
    let exit = output.status.code();
    let Ok(summary) = serde_json::from_slice::<Value>(&output.stdout) else {
        println!("{name:<28} no summary; {}", String::from_utf8_lossy(&output.stderr).trim());
        failures.push(name.to_owned());
        return Ok(());
    };
    let named = named(&summary);
    let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
    let right = named == expected && exit == Some(i32::from(!expected.is_empty()));
    println!(
        "{name:<28} {:>4} {:>8.0}  {:<7} {}",
        exit.map_or("-".into(), |code| code.to_string()),
        began.elapsed().as_secs_f64(),
        if right { "right" } else { "WRONG" },
        named.iter().cloned().collect::<Vec<_>>().join(", ")
    );
    if !right {
        for line in undecided(&summary) {
            println!("    {line}");
        }
        println!("    report: {}", out.join("report.md").display());
        failures.push(name.to_owned());
    }
    Ok(())
}

/// The subsystems with a row that grows without end.
fn named(summary: &Value) -> BTreeSet<String> {
    let rows = summary["ledger"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .filter(|row| row["verdict"] == "unbounded")
        .filter_map(|row| row["subsystem"].as_str().map(str::to_owned))
        .collect()
}

fn undecided(summary: &Value) -> Vec<String> {
    let checks = summary["thresholds"].as_array().cloned().unwrap_or_default();
    checks
        .iter()
        .filter(|check| check["held"] != true)
        .map(|check| format!("{}: {} ({})", check["scenario"], check["expression"], check["observed"]))
        .collect()
}

/// The same service under another name and with its ordinary gauges switched off: only scenarios can name it.
fn renamed(every: &[&str], failures: &mut Vec<String>) -> Result<()> {
    let folder = scratch("renamed-target");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join("nightjar");
    std::fs::copy(root().join("target/release/orchestrator"), &program)?;
    let text = std::fs::read_to_string(root().join("fixtures/orchestrator/tidewatch.toml"))?;
    let file = folder.join("tidewatch.toml");
    std::fs::write(&file, without_gauges(&text, &program.display().to_string()))?;
    check_file("renamed, no gauges", &file, &["leak=all"], every, failures)
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

fn scratch(name: &str) -> PathBuf {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    root().join("target/soak").join(format!("{plain}-{}", std::process::id()))
}
