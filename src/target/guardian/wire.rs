//! What tidewatch and its guardian say to each other: one JSON line each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::sample::{How, Process};

/// From tidewatch to the guardian.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Start this. Always the first, and once.
    Start(Start),
    /// End everything: SIGTERM now, SIGKILL after the grace.
    Stop {
        /// Milliseconds between the two.
        grace_ms: u64,
    },
}

/// What to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Start {
    pub argv: Vec<String>,
    pub cwd: Option<PathBuf>,
    pub env: Vec<(String, String)>,
    /// The descriptor that it inherits as its standard output.
    pub stdout: i32,
    /// The same for standard error.
    pub stderr: i32,
}

/// From the guardian to tidewatch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// The target runs.
    Started(Process),
    /// It could not be started.
    Failed(Failure),
    /// A descendant lost its parent and came to the guardian.
    Orphan {
        process: Process,
        command: String,
        /// Whether it had already ended when it was seen.
        over: bool,
    },
    /// An orphan has ended.
    OrphanEnded(Process),
    /// The target has ended.
    Ended(End),
    /// These could not be ended: another user's, as a rule.
    LeftBehind(Vec<Process>),
}

/// Why the target could not be started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Failure {
    /// The program: what happened, and what to do.
    Program(String),
    /// The guardian itself.
    Guardian(String),
}

/// How the target ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    pub how: How,
    pub core_dumped: bool,
    /// Whether it ended after we had asked for it.
    pub asked: bool,
    /// Processor time of it and of the children that it waited for, in microseconds.
    pub cpu_us: u64,
    /// Its highest resident set in bytes.
    pub peak_rss: u64,
    /// Living descendants that outlived it.
    pub survivors: Vec<(Process, String)>,
}
