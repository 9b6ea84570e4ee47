//! What can go wrong with a heap table or its sampler.

use std::io;
use std::path::PathBuf;

use super::refusal::Refusal;

/// A table that could not be read, or a sampler that could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum HeapError {
    /// The sampler was not built for this system.
    #[error("heap sampling works on Linux with glibc on x86_64 alone; watch this target without it")]
    Unsupported,
    /// The table cannot be opened.
    #[error(
        "cannot open the heap table {path}: {source}; if the target runs, it did not load the sampler: a static binary, \
         another C library than glibc 2.34 or newer, a set-user-id program, or a run folder that is mounted noexec",
        path = path.display()
    )]
    Open {
        /// The table.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The table, or the folder of tables, cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is something else, or is cut off.
    #[error("{path} is no heap table; give the file heap.PID of a run", path = path.display())]
    NotATable {
        /// The file.
        path: PathBuf,
    },
    /// Another version of the sampler wrote the table.
    #[error(
        "{path} is a heap table of version {found}, and this tidewatch reads version {known}; read it with the tidewatch \
         that launched the target",
        path = path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The version that can be read.
        known: u64,
    },
    /// The loader would take the path of the sampler apart.
    #[error(
        "the loader cannot preload from {folder}: the path holds a space or a colon; choose another folder for the run",
        folder = folder.display()
    )]
    Folder {
        /// The folder of the run.
        folder: PathBuf,
    },
    /// There is no directory that nobody else could replace the sampler in.
    #[error(
        "there is no safe place for the heap sampler: {reasons}; set TMPDIR to a directory that only you can write to"
    )]
    NoPlace {
        /// What is wrong with each place.
        reasons: String,
    },
    /// The sampler cannot be written for the loader.
    #[error("cannot write the heap sampler to {path}: {source}; is there room, and may this user write there?", path = path.display())]
    Write {
        /// The library.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A sampler could not be put into a process.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// The process is not fit for it, or not now. It goes on as it was.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The table cannot be read.
    #[error(transparent)]
    Table(#[from] HeapError),
}
