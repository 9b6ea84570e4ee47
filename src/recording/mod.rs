//! Samples on disk: one JSON line each, readable after any end of the program that wrote them.
//!
//! A recording is one file, `recording.jsonl`, in the folder of its run: a [`Header`], then [`Record`]s in the
//! order in which things happened, then a [`Footer`] if the run came to an end in order. `docs/recording-format.md`
//! describes the lines. Nothing here judges what the numbers mean, and nothing here touches a live process.

mod bounded;
mod error;
mod format;
mod passages;
mod reader;
#[cfg(test)]
mod tests;
mod thin;
mod writer;

use serde::{Deserialize, Serialize};

use crate::sample::{Moment, Plan, Record, ScenarioPlan, Stop, Tally};

pub use error::RecordingError;
pub use format::{FILE_NAME, FORMAT};
pub use passages::Target;
pub use reader::{read, read_own};
pub use writer::{SizeBound, Writer};

/// The first line of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of tidewatch that wrote it.
    pub tidewatch: String,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// How the run was asked for.
    pub mode: Mode,
    /// Whether the target was launched (and is ended) by tidewatch.
    pub launched: bool,
    /// Time between two ticks in microseconds.
    pub interval_us: u64,
    /// The machine.
    pub host: Host,
    /// What the run set out to do.
    pub plan: Plan,
}

/// How a run was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `tidewatch check`.
    Check,
    /// `tidewatch attach`.
    Attach,
    /// `tidewatch run`.
    Run,
    /// `tidewatch demo`.
    Demo,
}

/// Facts of the machine that a reader of the report needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Kernel release.
    pub kernel: String,
    /// Processor architecture.
    pub architecture: String,
    /// Processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Page size in bytes.
    pub page_size: u64,
    /// Limits of the target at its start, by name: `nofile`, `pids`, `max_map_count`, `memory` (cgroup or machine).
    pub limits: std::collections::BTreeMap<String, u64>,
}

/// The last line of a recording that was finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Footer {
    /// When it was finished.
    pub at: Moment,
    /// Whether the user interrupted the run.
    pub interrupted: bool,
    /// What watching cost.
    pub overhead: Overhead,
}

/// What watching cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overhead {
    /// Processor time of tidewatch, load generation included, in microseconds.
    pub cpu_us: u64,
    /// Wall time of the run in microseconds.
    pub wall_us: u64,
    /// Ticks taken.
    pub ticks: u64,
    /// Time spent in the fast set, all ticks together, in microseconds.
    pub fast_us: u64,
    /// Time spent in expensive reads in microseconds.
    pub expensive_us: u64,
    /// Ticks that came late by more than an interval.
    pub late: u64,
    /// The part of one CPU that reading the target was allowed to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// How far apart the budget made ticks come, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stretched: Option<Stretched>,
}

/// Ticks that came further apart than was asked for, so that they stayed within the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretched {
    /// The interval that was asked for, in microseconds.
    pub asked_us: u64,
    /// The longest interval between two ticks, in microseconds.
    pub longest_us: u64,
}

/// A recording as read from disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Its first line.
    pub header: Header,
    /// Everything in between.
    pub records: Vec<Record>,
    /// Its last line, if it was finished.
    pub footer: Option<Footer>,
    /// What the reader had to drop or repair, a sentence each.
    pub remarks: Vec<String>,
}

/// The part of a recording that belongs to one scenario.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// What the scenario set out to do.
    pub plan: &'a ScenarioPlan,
    /// Its records, its own marks included, and before them those between the begin of its target (or the end
    /// of the scenario before) and its first mark: the baseline lies there.
    pub records: &'a [Record],
    /// How it ended; `None` when the recording was cut.
    pub end: Option<(&'a Stop, &'a Tally)>,
}
