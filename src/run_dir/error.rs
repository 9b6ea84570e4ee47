//! Why a directory cannot be written to.

use std::io;
use std::path::PathBuf;

/// A directory that cannot be used for a run or a report.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The system refused it.
    #[error("could not create or open the directory {}: {source}; name another one with --out", path.display())]
    Create {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a file.
    #[error("could not write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is there already.
    #[error("{} is there already; name another file, or use --force to replace it", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Something that is not a file is there.
    #[error("{} is not a plain file, and tidewatch writes through no link; name another one", path.display())]
    NoFile {
        /// What is there.
        path: PathBuf,
    },
    /// A symbolic link stands where the directory should be.
    #[error("{} is a symbolic link, and tidewatch writes through none; name the directory itself with --out", path.display())]
    Symlink {
        /// Which link.
        path: PathBuf,
    },
    /// A file stands where the directory should be.
    #[error("{} is not a directory; name another one with --out", path.display())]
    NotADirectory {
        /// Which file.
        path: PathBuf,
    },
    /// Another user could replace what is recorded.
    #[error(
        "{} belongs to user {owner}, who could replace the recording; name a directory that does not exist yet with --out",
        path.display()
    )]
    OtherOwner {
        /// Which directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Other users could replace what is recorded.
    #[error(
        "other users can write to {} (mode {mode:o}) and could replace the recording; name a directory that does not exist yet \
         with --out, or take that permission away (chmod go-w)",
        path.display()
    )]
    WritableByOthers {
        /// Which directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is a recording already.
    #[error("{} holds a recording already; name another directory with --out", path.display())]
    HoldsRecording {
        /// Which directory.
        path: PathBuf,
    },
    /// Something else is there.
    #[error(
        "{} holds files that tidewatch did not make, like `{}`; name a new or an empty directory with --out{hint}",
        path.display(),
        name.escape_debug()
    )]
    NotEmpty {
        /// Which directory.
        path: PathBuf,
        /// The first name in it.
        name: String,
        /// What else helps.
        hint: &'static str,
    },
    /// A file of somebody else has the name of one that is to be written.
    #[error(
        "{} is in the way: tidewatch did not make it; move it, or name another directory with --out{hint}",
        path.display()
    )]
    InTheWay {
        /// Which file.
        path: PathBuf,
        /// What else helps.
        hint: &'static str,
    },
}

/// Where reports stand in the way.
pub(super) const FORCE: &str = ", or use --force to replace the reports in it and leave other files alone";

impl RunDirError {
    /// Whether the words of the user are wrong, and not the machine.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Create { .. } | Self::Write { .. })
    }
}
