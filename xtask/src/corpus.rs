//! Labelled curves, judged: is the judge as right as it has to be?
//!
//! A folder holds curves and a `MANIFEST.json` that tells the truth of each. The chore fails when the judge says what a
//! label forbids, misses growth that it should have seen, or gives intervals that too often miss the truth.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::runs::Profile;

/// Growth of at least so many times the sensitivity must be found.
const TIMES_SENSITIVITY: f64 = 2.0;
/// The share of the growing curves that may be too slow to be found.
const MOST_EXCUSED: f64 = 0.10;
/// The share of linear leaks whose interval must hold the truth.
const LEAST_COVERED: f64 = 0.93;

const VERDICTS: [&str; 4] = ["unbounded", "bounded", "flat", "inconclusive"];
const LABELS: [&str; 4] = ["growth", "bounded", "flat", "ambiguous"];

/// A curve with its truth and what the judge said.
struct Case {
    id: String,
    label: String,
    class: String,
    shape: Option<String>,
    /// Growth per operation, where it is known.
    truth: Option<f64>,
    forbidden: Vec<String>,
    said: Value,
}

/// Judges every curve of the folder, prints what came out, and fails when a demand is not met.
pub fn run(folder: &str) -> Result<()> {
    let folder = std::env::current_dir()?.join(folder);
    Profile::Release.build()?;
    let cases = cases(&folder)?;
    let mut broken = forbidden(&cases);
    table(&cases);
    broken.extend(missed(&cases));
    broken.extend(coverage(&cases));
    if broken.is_empty() {
        println!("every demand is met");
        return Ok(());
    }
    bail!("{} demand(s) not met:\n  {}", broken.len(), broken.join("\n  "))
}

/// The curves of the manifest, judged with one call for each resource.
fn cases(folder: &Path) -> Result<Vec<Case>> {
    let manifest = folder.join("MANIFEST.json");
    let text = std::fs::read_to_string(&manifest).with_context(|| format!("could not read {}", manifest.display()))?;
    let manifest: Value = serde_json::from_str(&text).context("MANIFEST.json is not JSON")?;
    let curves = manifest["curves"].as_array().context("MANIFEST.json has no list `curves`")?;
    let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for curve in curves {
        files.entry(resource(curve)).or_default().push(file(folder, curve)?);
    }
    let mut said = HashMap::new();
    for (resource, files) in &files {
        said.extend(judge(resource, files)?);
    }
    let case = |curve: &Value| {
        let file = file(folder, curve)?;
        let text = |key: &str| curve[key].as_str().map(str::to_owned);
        let forbidden = curve["forbidden_verdicts"].as_array().cloned().unwrap_or_default();
        Ok(Case {
            id: text("id").unwrap_or_else(|| file.clone()),
            label: text("label").with_context(|| format!("{file} has no label"))?,
            class: text("class").unwrap_or_default(),
            shape: text("shape"),
            truth: curve["true_per_op"].as_f64(),
            forbidden: forbidden.iter().filter_map(Value::as_str).map(verdict_of_label).collect(),
            said: said.get(&file).cloned().with_context(|| format!("{file} got no verdict"))?,
        })
    };
    curves.iter().map(case).collect()
}

/// The manifest calls growth what the judge calls unbounded.
fn verdict_of_label(label: &str) -> String {
    if label == "growth" { "unbounded".into() } else { label.into() }
}

fn resource(curve: &Value) -> &'static str {
    match curve["resource"].as_str().unwrap_or_default() {
        "fds" | "threads" | "children" | "zombies" | "tasks" | "count" => "count",
        _ => "memory",
    }
}

/// `public/x.csv` in the manifest is `x.csv` in the folder.
fn file(folder: &Path, curve: &Value) -> Result<String> {
    let file = curve["file"].as_str().context("a curve of the manifest has no file")?;
    Ok(folder.join(file.strip_prefix("public/").unwrap_or(file)).display().to_string())
}

/// What `tidewatch judge --json` says of each file.
fn judge(resource: &str, files: &[String]) -> Result<Vec<(String, Value)>> {
    let output = Command::new(Profile::Release.program("tidewatch"))
        .args(["judge", "--json", "--resource", resource, "--"])
        .args(files)
        .output()
        .context("could not start tidewatch")?;
    ensure!(
        matches!(output.status.code(), Some(0 | 1 | 4)),
        "tidewatch judge: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let lines = String::from_utf8(output.stdout).context("the verdicts are not text")?;
    let one = |line: &str| {
        let said: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        Ok((said["file"].as_str().unwrap_or_default().to_owned(), said))
    };
    lines.lines().map(one).collect()
}

impl Case {
    fn verdict(&self) -> &str {
        self.said["verdict"].as_str().unwrap_or("?")
    }

    fn is_found(&self) -> bool {
        self.verdict() == "unbounded"
    }

    fn figure(&self, key: &str) -> Option<f64> {
        self.said["per_op"][key].as_f64()
    }

    fn sensitivity(&self) -> Option<f64> {
        self.said["sensitivity"].as_f64()
    }

    fn line(&self) -> String {
        let number = |number: Option<f64>| number.map_or("unknown".into(), |number| format!("{number:.3e}"));
        format!(
            "{} ({}): truth {}, sensitivity {}, {}{}: {}",
            self.id,
            self.class,
            number(self.truth),
            number(self.sensitivity()),
            self.verdict(),
            if self.said["suspected"] == true { " (suspected)" } else { "" },
            self.said["reason"].as_str().unwrap_or_default()
        )
    }
}

/// Verdicts that a label forbids.
fn forbidden(cases: &[Case]) -> Vec<String> {
    let wrong: Vec<&Case> = cases.iter().filter(|case| case.forbidden.iter().any(|v| v == case.verdict())).collect();
    println!("\n{} curves; forbidden verdicts: {}", cases.len(), wrong.len());
    wrong.iter().for_each(|case| println!("  {} is {}: {}", case.label, case.verdict(), case.line()));
    wrong.iter().map(|case| format!("{} is labelled {} and called {}", case.id, case.label, case.verdict())).collect()
}

fn table(cases: &[Case]) {
    println!("\n{:<16} {}", "label", VERDICTS.map(|verdict| format!("{verdict:>13}")).join(""));
    for label in LABELS {
        let of: Vec<&Case> = cases.iter().filter(|case| case.label == label).collect();
        let counts = VERDICTS.map(|verdict| of.iter().filter(|case| case.verdict() == verdict).count());
        println!("{:<16} {}", format!("{label} ({})", of.len()), counts.map(|count| format!("{count:>13}")).join(""));
    }
}

/// Growth that was not found: excused where it is slow beside the sensitivity, or its true figure is not known.
fn missed(cases: &[Case]) -> Vec<String> {
    let growing: Vec<&Case> = cases.iter().filter(|case| case.label == "growth").collect();
    let missed: Vec<&&Case> = growing.iter().filter(|case| !case.is_found()).collect();
    println!("\ngrowth that was not found: {} of {}", missed.len(), growing.len());
    missed.iter().for_each(|case| println!("  {}", case.line()));
    let (known, unknown): (Vec<&&Case>, Vec<&&Case>) = missed.iter().copied().partition(|case| case.truth.is_some());
    let (excused, owed): (Vec<&&Case>, Vec<&&Case>) = known.into_iter().partition(|case| {
        // Without a sensitivity nothing was asked of the run yet.
        let reach = case.sensitivity().map(|least| TIMES_SENSITIVITY * least);
        case.truth.zip(reach).is_none_or(|(truth, reach)| truth < reach)
    });
    let share = excused.len() as f64 / growing.len().max(1) as f64;
    println!(
        "excused: {} whose true figure is under {TIMES_SENSITIVITY} x the sensitivity ({:.1} %, at most {:.0} %), {} whose \
         true figure is not known",
        excused.len(),
        100.0 * share,
        100.0 * MOST_EXCUSED,
        unknown.len()
    );
    let mut broken: Vec<String> = owed.iter().map(|case| format!("not found: {}", case.line())).collect();
    broken.extend(
        missed.iter().filter(|case| case.verdict() != "inconclusive").map(|case| format!("at rest: {}", case.line())),
    );
    if share > MOST_EXCUSED {
        broken.push(format!("{} of {} growing curves had to be excused", excused.len(), growing.len()));
    }
    broken
}

/// How often the interval holds the truth, over linear leaks with a known figure.
fn coverage(cases: &[Case]) -> Option<String> {
    let linear = |case: &&Case| case.label == "growth" && case.shape.as_deref() == Some("linear");
    let figures = |case: &Case| Some((case.truth?, case.figure("low"), case.figure("high")));
    let holds = |truth: f64, low: Option<f64>, high: Option<f64>| {
        low.zip(high).is_some_and(|(low, high)| low <= truth && truth <= high)
    };
    let judged: Vec<(&Case, bool)> = cases
        .iter()
        .filter(linear)
        .filter_map(|case| figures(case).map(|(truth, low, high)| (case, holds(truth, low, high))))
        .collect();
    let covered = judged.iter().filter(|(_, holds)| *holds).count();
    let share = covered as f64 / judged.len().max(1) as f64;
    println!(
        "\nthe interval holds the truth on {covered} of {} linear leaks ({:.1} %, at least {:.0} %)",
        judged.len(),
        100.0 * share,
        100.0 * LEAST_COVERED
    );
    for (case, _) in judged.iter().filter(|(_, holds)| !holds) {
        println!("  {:?} to {:?}: {}", case.figure("low"), case.figure("high"), case.line());
    }
    (!judged.is_empty() && share < LEAST_COVERED)
        .then(|| format!("the interval holds the truth on {covered} of {} linear leaks", judged.len()))
}
