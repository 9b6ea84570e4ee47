//! What can go wrong with a recording, in words that name the file, what happened and what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::format::FORMAT;

/// A recording that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The folder or the file could not be made.
    #[error("could not create the recording {}: {source}; {}", path.display(), remedy(source))]
    Create {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a recording already: it is not written over.
    #[error("there is a recording at {} already; choose another folder with --out or move it away", .0.display())]
    Exists(PathBuf),
    /// A record could not be appended. What was written before stays readable.
    #[error("could not write to the recording {}: {source}; what was recorded so far is readable; {}", path.display(), remedy(source))]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file ends in half a line that could not be taken back, so nothing can be appended.
    #[error(
        "the recording {} ends in half a line after an earlier failure, so nothing more is written to it; what was recorded before is readable",
        .0.display()
    )]
    Torn(PathBuf),
    /// A record could not be turned into a line.
    #[error("could not put a record for {} into words: {source}; please report this as a bug", path.display())]
    Encode {
        /// Which file.
        path: PathBuf,
        /// What the encoder said.
        source: serde_json::Error,
    },
    /// There is no recording to read.
    #[error("there is no recording at {}; name the folder of a run or its {}", path.display(), super::format::FILE_NAME)]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("could not read the recording {}: {source}; check the disk and the permissions of the file", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is empty or ends within its first line.
    #[error("the recording {} ends before its first line does: nothing was recorded", .0.display())]
    Empty(PathBuf),
    /// The file does not begin as a recording does.
    #[error("{} is not a tidewatch recording: {reason}; its first line should hold \"format\":\"{FORMAT}\"", path.display())]
    NotARecording {
        /// Which file.
        path: PathBuf,
        /// What was found in place of a header.
        reason: String,
    },
    /// The file is of a version that this program does not know.
    #[error(
        "{} was written by tidewatch {writer} ({format}); this is tidewatch {ours}, which reads {FORMAT}; use tidewatch {writer} or newer",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// The version of tidewatch that wrote it.
        writer: String,
        /// The format it names.
        format: String,
        /// The version of this program.
        ours: &'static str,
    },
    /// A line in the middle cannot be understood.
    #[error(
        "line {line} of {} is broken: {reason}; the file was changed after it was written: restore it, or remove that line",
        path.display()
    )]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl RecordingError {
    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path: path.to_owned() },
            _ => Self::Read { path: path.to_owned(), source },
        }
    }

    pub(super) fn broken(path: &Path, line: u64, reason: impl ToString) -> Self {
        Self::Broken { path: path.to_owned(), line, reason: reason.to_string() }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on that disk, or record elsewhere with --out"
        }
        io::ErrorKind::FileTooLarge => "raise the file size limit (ulimit -f), or record elsewhere with --out",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to with --out"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file stands where the folder should be: choose another with --out"
        }
        _ => "check the disk, or record elsewhere with --out",
    }
}
