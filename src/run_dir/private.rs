//! Directories that go away with their owner, for the library that is lent to a target and the tables that it writes.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode};

use super::directory::random_name;
use super::leftovers::{self, Owner};
use super::trust::{Reach, Untrusted, open_trusted};
use super::{Directory, RunDir};

/// Others may enter it, so that a program of another user that a target starts finds the library; they can neither list nor write it.
const LENDING_MODE: u32 = 0o711;
/// Numbers that are tried for a directory in a run directory.
const TRIES: u32 = 10_000;

/// A directory of this process alone. It is removed with what is known to be in it when it is dropped.
#[derive(Debug)]
pub struct PrivateDir {
    parent: Directory,
    name: String,
    directory: Directory,
}

impl PrivateDir {
    /// A directory `<beginning>N` in a run directory, with the first number that is free. The whole path has to be trusted.
    ///
    /// # Errors
    ///
    /// The path cannot be trusted, the loader would take it apart, or the directory cannot be made.
    pub fn in_run_dir(run_dir: &RunDir, beginning: &str) -> Result<Self, String> {
        let (parent, _) = open_trusted(run_dir.path()).map_err(|why| why.to_string())?;
        let id = |directory: &Directory| directory.stat().map(|stat| (stat.st_dev, stat.st_ino));
        match (id(&parent), id(&run_dir.directory)) {
            (Ok(found), Ok(open)) if found == open => {}
            _ => return Err(format!("another directory took the place of {}", run_dir.path().display())),
        }
        if !is_plain(parent.path()) {
            return Err(split(parent.path()));
        }
        for number in 1..=TRIES {
            let name = format!("{beginning}{number}");
            let made = parent.make_directory(&name).map_err(|error| format!("{}: {error}", parent.path().display()))?;
            if let Some(directory) = made {
                return Ok(Self { parent, name, directory });
            }
        }
        Err(format!("{} holds {TRIES} directories {beginning}N already", parent.path().display()))
    }

    /// A directory that programs of every user can enter and none but this one can list or write, at a path that can be trusted
    /// and from which programs may be loaded. The place is the first of these that will do: the directory for temporary files,
    /// `/var/tmp`, the one of the user's session (`XDG_RUNTIME_DIR`), the run directory.
    ///
    /// # Errors
    ///
    /// None of them will do: the reason of each.
    pub fn for_lending(run_dir: &RunDir) -> Result<Self, String> {
        let mut reasons = Vec::new();
        let mut second_best = None;
        for place in places().into_iter().chain([run_dir.path().to_owned()]) {
            match open_trusted(&place).map_err(Reason::from).and_then(|(parent, reach)| fit(parent).map(|p| (p, reach)))
            {
                Ok((parent, Reach::Everyone)) => return Self::lend_in(parent).map_err(|error| error.to_string()),
                Ok((parent, Reach::Some)) => {
                    second_best.get_or_insert(parent);
                }
                Err(Reason(reason)) => reasons.push(reason),
            }
        }
        match second_best {
            Some(parent) => Self::lend_in(parent).map_err(|error| error.to_string()),
            None => Err(reasons.join("; ")),
        }
    }

    fn lend_in(parent: Directory) -> io::Result<Self> {
        loop {
            let name = random_name(&Owner::this_process().beginning());
            let Some(directory) = parent.make_directory(&name)? else { continue };
            // Held until the end of this process, however it ends: others then know that the directory is left over.
            rustix::fs::flock(directory.fd(), FlockOperation::NonBlockingLockExclusive)?;
            rustix::fs::fchmod(directory.fd(), Mode::from_raw_mode(LENDING_MODE))?;
            return Ok(Self { parent, name, directory });
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What is in it is reached through this.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // What cannot be removed is a few files of ours in a directory that says what they are.
        let _ = leftovers::remove(&self.parent, &self.name, &self.directory);
    }
}

struct Reason(String);

impl From<Untrusted> for Reason {
    fn from(why: Untrusted) -> Self {
        Self(why.to_string())
    }
}

/// Where a directory for lending may be.
pub(super) fn places() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let mut places = vec![std::env::temp_dir(), PathBuf::from("/var/tmp")];
    places.extend(runtime);
    places
}

/// The same, if a library can be loaded from there.
fn fit(parent: Directory) -> Result<Directory, Reason> {
    if !is_plain(parent.path()) {
        return Err(Reason(split(parent.path())));
    }
    let flags = rustix::fs::fstatvfs(parent.fd()).map(|found| found.f_flag);
    if flags.is_ok_and(|flags| flags.contains(rustix::fs::StatVfsMountFlags::NOEXEC)) {
        return Err(Reason(format!("{} is mounted noexec", parent.path().display())));
    }
    Ok(parent)
}

/// Whether the loader takes a path in this directory as one.
fn is_plain(path: &Path) -> bool {
    path.to_str().is_some_and(|path| !path.contains(|c: char| c.is_whitespace() || c == ':'))
}

fn split(path: &Path) -> String {
    format!("the loader cannot preload from {}: the path holds a space or a colon", path.display())
}
