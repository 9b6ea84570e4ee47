//! Words that several commands share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::exports::check_gauge;
use super::failure::Failure;
use crate::gate::Threshold;
use crate::run_dir::{ForeignReports, RunDir, RunDirError, remove_leftovers};
use crate::sample::{HeapSampling, Inconclusive};
use crate::session::Exports;
use crate::units::{Unit, parse_duration};

/// How a run is recorded and told.
#[derive(Debug, Args)]
pub struct Recorded {
    /// Time between two samples (from 10ms)
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = interval)]
    pub interval: Duration,
    /// How much of one CPU reading the target may take, in percent; samples come further apart where it is not enough
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = budget)]
    pub budget: f64,
    /// The run directory, new or empty [default: tidewatch-runs/<time>-<name>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub force: Force,
    /// Print summary.json on stdout instead of the table
    #[arg(long)]
    pub json: bool,
    /// What an inconclusive run counts as
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = InconclusiveWord::Fail)]
    pub inconclusive: InconclusiveWord,
}

/// Whether reports of somebody else are replaced.
#[derive(Clone, Copy, Debug, Args)]
pub struct Force {
    /// Accept a directory with other files in it, and replace reports (report.md, summary.json, growth.*, heap.*) that
    /// tidewatch did not make; other files are left alone
    #[arg(long)]
    force: bool,
}

impl From<Force> for ForeignReports {
    fn from(word: Force) -> Self {
        if word.force { Self::Replace } else { Self::Keep }
    }
}

/// What an inconclusive run counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InconclusiveWord {
    /// It exits with 4
    Fail,
    /// It exits with 0
    Pass,
}

impl From<InconclusiveWord> for Inconclusive {
    fn from(word: InconclusiveWord) -> Self {
        match word {
            InconclusiveWord::Fail => Self::Fails,
            InconclusiveWord::Pass => Self::Passes,
        }
    }
}

/// Whether the heap is sampled.
#[derive(Debug, Args)]
pub struct Heap {
    /// Sample the heap by call stack, to tell whose bytes grow (Linux on x86_64, glibc)
    #[arg(long)]
    pub heap: bool,
    /// The mean number of bytes between two samples of the heap, like 64KiB; implies --heap
    #[arg(long, value_name = "SIZE", value_parser = sampling_interval)]
    pub heap_interval: Option<u64>,
}

impl Heap {
    /// What the command line says.
    pub fn sampling(&self) -> HeapSampling {
        if self.heap || self.heap_interval.is_some() { HeapSampling::On } else { HeapSampling::Off }
    }
}

/// How long to watch, and what must hold.
#[derive(Debug, Args)]
pub struct Watched {
    /// How long to watch [default: until the target ends or Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub length: Option<Duration>,
    /// What must hold, like 'private.per_hour < 5MB' (repeatable) [default: nothing grows without end]
    #[arg(long = "threshold", value_name = "EXPRESSION")]
    pub thresholds: Vec<String>,
}

impl Watched {
    /// The thresholds, each known to be one.
    pub fn checked_thresholds(&self, exports: &Exports) -> Result<Vec<String>, Failure> {
        for text in &self.thresholds {
            let what = || format!("--threshold '{text}'");
            let threshold = text.parse::<Threshold>().with_context(what).map_err(Failure::usage)?;
            check_gauge(&threshold.metric, exports)?;
        }
        Ok(self.thresholds.clone())
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// The least is what the sampler can do at all; past the most nothing would ever be sampled.
fn sampling_interval(text: &str) -> Result<u64, String> {
    let bytes = Unit::Bytes.parse(text).map_err(|error| error.to_string())?;
    if !(1.0..=f64::from(1 << 30)).contains(&bytes) {
        return Err("an interval is from 1B to 1GiB; 64KiB is usual".into());
    }
    Ok(bytes as u64)
}

fn budget(text: &str) -> Result<f64, String> {
    let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| format!("'{text}' is no number of percent"))?;
    if !(0.1..=100.0).contains(&percent) {
        return Err("a budget is from 0.1 to 100 percent of one CPU; 1 is usual".into());
    }
    Ok(percent)
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(10) {
        return Err("the shortest interval is 10ms: below that, watching would hurt".into());
    }
    if interval > Duration::from_secs(3600) {
        return Err("the longest interval is 1h".into());
    }
    Ok(interval)
}

/// The run directory: made now, so that a place where it cannot be is reported before anything starts. What runs that were killed
/// have left in the temporary directory is removed first.
pub fn run_dir(recorded: &Recorded, name: &str) -> Result<Arc<RunDir>, Failure> {
    remove_leftovers();
    let made = match &recorded.out {
        Some(path) => RunDir::begin(path, recorded.force.into()),
        None => RunDir::begin_in(Path::new(DEFAULT_PARENT), default_names(name)),
    };
    Ok(Arc::new(made.map_err(run_dir_failure)?))
}

/// What a person is told when a directory cannot be written to.
pub fn run_dir_failure(error: RunDirError) -> Failure {
    if error.is_usage() { Failure::usage(error) } else { Failure::target(error) }
}

/// Where runs go without `--out`.
const DEFAULT_PARENT: &str = "tidewatch-runs";

/// `<time>-<name>`, with a number behind it where several runs begin within a second.
fn default_names(name: &str) -> impl Iterator<Item = String> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).take(60).collect();
    let first = format!("{time}-{name}");
    let others = (2..1000).map({
        let first = first.clone();
        move |n| format!("{first}-{n}")
    });
    std::iter::once(first).chain(others)
}
