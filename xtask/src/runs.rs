//! Runs of tidewatch on the fixtures: built programs, many at once, and what each came to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{cargo, root};

/// The profile that tidewatch and its targets are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Release,
    /// Quick to build: for work on the chores themselves.
    Dev,
}

impl Profile {
    /// The one of that name.
    pub fn named(name: &str) -> Result<Self> {
        let known = [Self::Release, Self::Dev].into_iter().find(|profile| profile.name() == name);
        known.with_context(|| format!("no profile `{name}`: release or dev"))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }

    /// A program that was built.
    pub fn program(self, name: &str) -> PathBuf {
        root().join("target").join(self.folder()).join(name)
    }

    /// Words for a scenario file whose target was built already.
    pub fn vars(self) -> Vec<String> {
        [("cargo", "true"), ("profile", self.name()), ("folder", self.folder())]
            .into_iter()
            .flat_map(|(name, value)| ["--var".to_owned(), format!("{name}={value}")])
            .collect()
    }

    /// Builds tidewatch and the targets: always together, since the features of a build depend on what is built with it.
    /// What is quick to build is what the tests have built already.
    pub fn build(self) -> Result<()> {
        let selection: &[&str] = match self {
            Self::Release => &["--package", "tidewatch", "--package", "orchestrator", "--package", "drip"],
            Self::Dev => &["--workspace", "--bins", "--examples"],
        };
        cargo(&[&["build", "--profile", self.name()], selection].concat())
    }
}

/// A check of a scenario file that is over.
pub struct Checked {
    /// The exit code; none where a signal ended it.
    pub exit: Option<i32>,
    /// What it came to.
    pub summary: Value,
}

/// Checks a scenario file with these words besides; the run directory is `out`.
pub fn check(profile: Profile, file: &Path, words: &[String], out: &Path) -> Result<Checked> {
    let mut command = Command::new(profile.program("tidewatch"));
    command.arg("check").arg(file).args(words).arg("--json").arg("--out").arg(out);
    let output = command.output().context("could not start tidewatch")?;
    let Ok(summary) = serde_json::from_slice::<Value>(&output.stdout) else {
        bail!("no summary; {}", String::from_utf8_lossy(&output.stderr).trim());
    };
    Ok(Checked { exit: output.status.code(), summary })
}

/// What a check came to, from its run directory.
pub fn summary(folder: &Path) -> Result<Value> {
    let file = folder.join("summary.json");
    let text = std::fs::read(&file).with_context(|| format!("there is no {}", file.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// The verdict of the first scenario on a metric.
pub fn judgement<'a>(summary: &'a Value, metric: &str) -> &'a Value {
    let verdicts = summary["scenarios"][0]["verdicts"].as_array();
    verdicts.and_then(|all| all.iter().find(|one| one["metric"] == metric)).unwrap_or(&Value::Null)
}

/// The middle; the upper one of two.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Does work on every item, on so many threads; the results come in the order in which they were ready.
pub fn side_by_side<T: Send, R: Send>(items: Vec<T>, jobs: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (queue, results) = (Mutex::new(items.into_iter()), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|all| {
        for _ in 0..jobs.max(1) {
            all.spawn(|| {
                while let Some(item) = next() {
                    let result = work(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A folder for one run of this process.
pub fn scratch(name: &str) -> PathBuf {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    root().join("target/soak").join(format!("{plain}-{}", std::process::id()))
}
