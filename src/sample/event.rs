//! What happens around the samples, and how a process ended.

use serde::{Deserialize, Serialize};

use super::{HeapEntry, Metric, Process};

/// Something that happened during a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A target is under watch: operation counts start anew when `fresh`.
    TargetBegins {
        /// The root process.
        process: Process,
        /// Its command line: untrusted text, bounded.
        command: Vec<String>,
        /// Whether tidewatch launched it just now.
        fresh: bool,
    },
    /// A target is over.
    TargetEnds {
        /// Which.
        process: Process,
        /// How, with the evidence.
        ending: Ending,
    },
    /// A process joined the tree.
    Appeared {
        /// Which.
        process: Process,
        /// Its command name.
        command: String,
    },
    /// A process left the tree.
    Vanished {
        /// Which.
        process: Process,
    },
    /// A number cannot be read; told once per reason.
    Missing {
        /// Which number.
        metric: Metric,
        /// Why, for a person: `permission denied reading /proc/7/fd (run as the same user or root)`.
        reason: String,
    },
    /// A process of the tree is run by a managed runtime.
    Runtime {
        /// Which process.
        process: Process,
        /// Which runtime.
        runtime: Runtime,
    },
    /// The heap of a process is sampled by call stack from here on.
    HeapBegins {
        /// Which process.
        process: Process,
        /// How the sampler came into it.
        entry: HeapEntry,
        /// The mean number of bytes between two samples.
        interval_bytes: u64,
        /// How long a thread of the target was stopped for it, in microseconds, where one was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pause_us: Option<u64>,
    },
    /// The heap of a process is not sampled, though that was asked for.
    NoHeap {
        /// Which process.
        process: Process,
        /// Why, and what to do instead, for a person.
        reason: String,
    },
    /// The peak (VmHWM) of the tree was set back to its present size.
    PeakReset,
    /// Earlier samples were thinned to keep the file within its bound.
    Thinned {
        /// Samples of the spans before this point that were dropped.
        dropped: u64,
    },
    /// Something that a reader of the report should know.
    Note {
        /// The sentence.
        text: String,
    },
}

/// Why a scenario stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stop", rename_all = "kebab-case")]
pub enum Stop {
    /// Every gated metric is decided.
    Decided,
    /// All its cycles, its operations or its time are spent.
    Spent,
    /// Its share of the time that the whole run may take is over.
    OutOfTime,
    /// More answers than `max_errors` allows were not the expected ones.
    Errors,
    /// The target ended under it.
    TargetEnded,
    /// It could not be driven: the sentence says why.
    Failed {
        /// What happened, and what to do.
        reason: String,
    },
    /// The user interrupted.
    Interrupted,
}

/// A runtime that manages the memory of the programs it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// A Java virtual machine.
    Jvm,
    /// Node.js, and what else embeds it.
    Node,
    /// CPython.
    Python,
    /// Go.
    Go,
    /// .NET.
    Dotnet,
    /// Ruby.
    Ruby,
}

impl Runtime {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jvm => "JVM",
            Self::Node => "Node.js",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::Dotnet => ".NET",
            Self::Ruby => "Ruby",
        }
    }

    /// Whether it gives garbage back only when its collector runs. Python counts references and frees most of it at
    /// once; Ruby's collector runs often and frees in place.
    pub const fn waits_for_collector(self) -> bool {
        match self {
            Self::Jvm | Self::Node | Self::Go | Self::Dotnet => true,
            Self::Python | Self::Ruby => false,
        }
    }
}

/// How a process ended, and what is known about why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// What the kernel says.
    pub how: How,
    /// Whether tidewatch ended it as part of its work (a launched target at the end of its scenario).
    pub expected: bool,
    /// Everything that speaks to the cause, a sentence each: the signal explained, OOM kills counted, limits.
    pub evidence: Vec<String>,
}

/// What the kernel says of an ended process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It exited with this code.
    Exited(i32),
    /// It was ended by this signal.
    Signalled(i32),
    /// Not known: it was not our child and the kernel does not tell (before Linux 6.15).
    Unknown,
}
