//! What is wrong with a scenario file, and where.

use std::fmt;
use std::path::PathBuf;

/// One mistake in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and the nearest thing that would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key of the file may hold line ends; a message is one line.
        write!(f, "{}:{}: {}", self.line, self.column, self.message.replace('\n', "\\n"))
    }
}

/// Why a scenario file cannot be used. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// There is no such file.
    #[error("no scenario file at {}; `tidewatch init` writes one to start from", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is there and cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds mistakes: one line for each, in the order of the file.
    #[error("{}", lines(path, problems))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// At least one.
        problems: Vec<Problem>,
    },
    /// The command line names something that the file does not have.
    #[error("{message} ({})", path.display())]
    Request {
        /// The file.
        path: PathBuf,
        /// What.
        message: String,
    },
}

/// So many mistakes are shown; the rest is counted.
const SHOWN: usize = 20;

fn lines(path: &std::path::Path, problems: &[Problem]) -> String {
    let mut lines: Vec<String> =
        problems.iter().take(SHOWN).map(|problem| format!("{}:{problem}", path.display())).collect();
    if problems.len() > SHOWN {
        lines.push(format!("and {} more", problems.len() - SHOWN));
    }
    lines.join("\n")
}

/// Line and column, both from 1, of a byte offset.
pub(super) fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
