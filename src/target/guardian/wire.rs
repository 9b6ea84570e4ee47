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
    /// Whether a program that puts itself into the background is still the target.
    #[serde(default)]
    pub follow: bool,
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
    /// The process that was launched has ended well, and these descendants of it are the target now.
    Background(Vec<(Process, String)>),
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

/// The byte on the link of the guardian of commands that goes with the socket of a new step guardian.
pub(crate) const LINK_FORK: u8 = b'f';
/// The byte that asks it to end what is left.
pub(crate) const LINK_END: u8 = b'e';

/// A command to run: a length in four bytes, with the descriptors of its output, then this as JSON, to a step guardian.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommandRequest {
    pub argv: Vec<String>,
    pub cwd: PathBuf,
}

/// How a command ended: the answer of a step guardian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandEnd {
    /// Its wait status. It left nothing behind: its step guardian waits for another command.
    EndedAlone(i32),
    /// Its wait status. Its step guardian ends, and what it left behind goes to the guardian of commands.
    Ended(i32),
    /// It was not started: the number of the error.
    NotStarted(i32),
}

impl CommandEnd {
    /// The length of an answer.
    pub(crate) const BYTES: usize = 5;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let (kind, value) = match self {
            Self::EndedAlone(status) => (0, status),
            Self::Ended(status) => (1, status),
            Self::NotStarted(errno) => (2, errno),
        };
        let [a, b, c, d] = value.to_le_bytes();
        [kind, a, b, c, d]
    }

    pub(crate) fn from_bytes([kind, a, b, c, d]: [u8; Self::BYTES]) -> Self {
        let value = i32::from_le_bytes([a, b, c, d]);
        match kind {
            0 => Self::EndedAlone(value),
            1 => Self::Ended(value),
            _ => Self::NotStarted(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_command_survives_the_wire() {
        for end in [CommandEnd::EndedAlone(0x700), CommandEnd::Ended(9), CommandEnd::NotStarted(2)] {
            assert_eq!(CommandEnd::from_bytes(end.to_bytes()), end);
        }
    }
}
