//! Every directory and file that tidewatch writes: made here, replaced here, removed here.
//!
//! A [`RunDir`] is an open directory. All that happens in it goes through its descriptor, so that whoever renames it, or puts
//! another directory or a symbolic link in its place, cannot make tidewatch write or remove anything elsewhere. Files are made
//! new (`O_EXCL`, `O_NOFOLLOW`, mode 0600) in a directory of mode 0700; a report of ours is replaced by a rename. Only what this
//! process made is removed, and only while it still is the same file.
//!
//! A [`PrivateDir`] is a directory that goes away with its owner. It stands where nobody but root and this user can rename any
//! part of its path (see `trust`), because a library is lent from it.
//!
//! It refuses to write in a directory that holds files of somebody else, and to write through a symbolic link.

mod contents;
mod directory;
mod error;
mod file_size;
mod leftovers;
mod private;
mod single_file;
#[cfg(test)]
mod tests;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use contents::{RECORDING, RECORDING_START, REPORTS, SUMMARY_START};
pub use directory::Directory;
pub use error::RunDirError;
pub use file_size::fail_writes_past_the_size_limit;
pub use leftovers::remove_leftovers;
pub use private::PrivateDir;
pub use single_file::{check_free, write_file};

use directory::{Existing, FileId};

/// What becomes of reports of somebody else that stand in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignReports {
    /// They stay, and the directory is refused.
    Keep,
    /// They are replaced (`--force`). Other files are never touched.
    Replace,
}

/// An open directory that a run, or a report, is written to.
#[derive(Debug)]
pub struct RunDir {
    directory: Directory,
    foreign: ForeignReports,
    /// Reports of ours that were there when the directory was opened.
    ours: BTreeSet<String>,
    /// What this process made, by name.
    made: Mutex<BTreeMap<String, FileId>>,
}

impl RunDir {
    /// The directory of a new run: it is created, or it is empty, belongs to this user, and nobody else may write to it.
    ///
    /// # Errors
    ///
    /// It cannot be created, is a symbolic link, is another user's, or holds something.
    pub fn begin(path: &Path, foreign: ForeignReports) -> Result<Self, RunDirError> {
        let (directory, _) = Directory::open_or_create(path)?;
        Self::for_run(directory, foreign)
    }

    /// The same, new in `parent`, with the first of these names that is free.
    ///
    /// # Errors
    ///
    /// As [`RunDir::begin`].
    pub fn begin_in(parent: &Path, names: impl IntoIterator<Item = String>) -> Result<Self, RunDirError> {
        let (parent, _) = Directory::open_or_create(parent)?;
        for name in names {
            if let Some(directory) = parent.make_directory(&name).map_err(|error| parent.create_error(&name, error))? {
                return Self::for_run(directory, ForeignReports::Keep);
            }
        }
        Err(parent.create_error("", io::ErrorKind::AlreadyExists.into()))
    }

    fn for_run(directory: Directory, foreign: ForeignReports) -> Result<Self, RunDirError> {
        directory.require_own()?;
        contents::check_for_run(&directory, foreign)?;
        Ok(Self::of(directory, foreign, BTreeSet::new()))
    }

    /// A directory for reports: it is created, is empty, or holds a recording or a summary of ours.
    ///
    /// # Errors
    ///
    /// It cannot be created, is a symbolic link, or holds files of somebody else.
    pub fn for_reports(path: &Path, foreign: ForeignReports) -> Result<Self, RunDirError> {
        let (directory, is_new) = Directory::open_or_create(path)?;
        if is_new {
            directory.require_own()?;
        }
        let ours = contents::check_for_reports(&directory, foreign)?;
        Ok(Self::of(directory, foreign, ours))
    }

    /// A directory that the caller knows to be its own, whatever it holds; it is created if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be created or opened, or is a symbolic link.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        let (directory, _) = Directory::open_or_create(path)?;
        Ok(Self::of(directory, ForeignReports::Keep, BTreeSet::new()))
    }

    fn of(directory: Directory, foreign: ForeignReports, ours: BTreeSet<String>) -> Self {
        Self { directory, foreign, ours, made: Mutex::default() }
    }

    /// Where it was when it was opened: for messages.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where a file in it is: for messages.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A path that leads to a file of this very directory as long as it is open, wherever the directory is by then.
    pub fn pinned(&self, name: &str) -> PathBuf {
        self.directory.pinned(name)
    }

    /// Makes a new file that is appended to.
    ///
    /// # Errors
    ///
    /// Something of that name is there, or the file cannot be made.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let file = self.directory.create(name)?;
        self.made().insert(name.to_owned(), FileId::of(&file)?);
        Ok(file)
    }

    /// Makes a new file that is appended to, or opens the one that this process made before.
    ///
    /// # Errors
    ///
    /// Something else of that name is there, or the file cannot be made.
    pub fn append(&self, name: &str) -> io::Result<File> {
        let Some(id) = self.made().get(name).copied() else { return self.create(name) };
        self.directory.append(name).and_then(|file| id.require(file))
    }

    /// Opens a plain file to read it; one that this process made has to be the same still.
    ///
    /// # Errors
    ///
    /// It is not there, is no plain file, was replaced, or cannot be read.
    pub fn read(&self, name: &str) -> io::Result<File> {
        let file = self.directory.read(name)?;
        match self.made().get(name) {
            Some(id) => id.require(file),
            None => Ok(file),
        }
    }

    /// Puts a report in its place in one step. What stands there is replaced when it is ours, or was asked to be.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or something of somebody else has come to stand there.
    pub fn publish(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if !REPORTS.contains(&name) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is not among the reports")));
        }
        let is_ours =
            self.foreign == ForeignReports::Replace || self.ours.contains(name) || self.made().contains_key(name);
        let existing = if is_ours { Existing::Replaced } else { Existing::Stays };
        let id = self.directory.place(name, bytes, existing)?;
        self.made().insert(name.to_owned(), id);
        Ok(())
    }

    /// Puts one file that this process made in the place of another.
    ///
    /// # Errors
    ///
    /// One of the two is not the file that this process made any more, or cannot be renamed.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut made = self.made();
        let (Some(source), Some(target)) = (made.get(from).copied(), made.get(to).copied()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        self.directory.require(from, source)?;
        self.directory.require(to, target)?;
        self.directory.rename(from, to)?;
        made.remove(from);
        made.insert(to.to_owned(), source);
        Ok(())
    }

    /// Removes a file that this process made; anything else stays.
    ///
    /// # Errors
    ///
    /// It is not the file that this process made any more, or cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let Some(id) = self.made().remove(name) else { return Err(io::ErrorKind::NotFound.into()) };
        self.directory.remove(name, id)
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<String, FileId>> {
        // The table is whole at any time: a panic elsewhere does not spoil it.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
