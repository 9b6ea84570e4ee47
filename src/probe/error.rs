//! What can go wrong before or apart from a single number.

use std::io;
use std::path::PathBuf;

use crate::sample::Process;

/// A probe that could not do its work at all. Numbers that are merely missing are no errors.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The process is not there, or its pid belongs to another process by now.
    #[error("process {} (started at tick {}) is gone; look for its successor and give that pid", .0.pid, .0.start)]
    Gone(Process),
    /// Nothing to watch was given.
    #[error("no process to watch was given")]
    NoRoots,
    /// A file of the kernel could not be used.
    #[error("cannot {action} {path}: {source}{}", remedy(source))]
    File {
        /// What was tried: `open`, `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The address of a gauge source is not one that can be read.
    #[error("`{address}` is not an address of gauges: {problem}; give http://HOST:PORT/PATH or unix:SOCKET:/PATH")]
    GaugeAddress {
        /// The address as given.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The target's gauges could not be read.
    #[error("cannot read gauges from {address}: {problem}")]
    Gauges {
        /// Where from.
        address: String,
        /// What happened, and what to do.
        problem: String,
    },
    /// The portable backend could not start.
    #[error("the portable backend cannot read this machine: {0}")]
    Portable(String),
}

/// What to do about a failure of a kernel file, if that is known.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => " (run as the same user or as root)",
        _ => "",
    }
}
