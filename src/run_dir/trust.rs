//! Whether a path can be trusted: nobody but root and this user can replace any part of it.
//!
//! The test that sshd makes of its files: every directory from `/` down belongs to root or to this user, and nobody else may
//! write to it. A directory with the sticky bit, such as `/tmp`, is fine: what is ours in it only we can rename. Each directory is
//! opened from the one above it, without following symbolic links, so that what was checked is what is used.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, Stat};

use super::Directory;
use super::directory::{OPEN_DIRECTORY, WRITE_BY_OTHERS};

/// Passing through needs no permission to list.
#[cfg(target_os = "linux")]
const STEP: OFlags = OPEN_DIRECTORY.union(OFlags::PATH);
#[cfg(not(target_os = "linux"))]
const STEP: OFlags = OPEN_DIRECTORY;
const STICKY: u32 = 0o1000;
const ENTER_BY_OTHERS: u32 = 0o001;

/// Why a path cannot be trusted.
#[derive(Debug)]
pub(super) enum Untrusted {
    /// It cannot be looked at.
    Unreadable(PathBuf, io::Error),
    /// Another user owns a part of it.
    Owner(PathBuf, u32),
    /// Other users may write to a part of it.
    Writable(PathBuf, u32),
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Owner(path, owner) => write!(f, "{} belongs to user {owner}", path.display()),
            Self::Writable(path, mode) => write!(f, "other users can write to {} (mode {mode:o})", path.display()),
        }
    }
}

/// Who can enter a directory by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Every user.
    Everyone,
    /// Not every user.
    Some,
}

/// Opens a directory whose whole path can be trusted.
pub(super) fn open_trusted(path: &Path) -> Result<(Directory, Reach), Untrusted> {
    let whole = path.canonicalize().map_err(|error| Untrusted::Unreadable(path.to_owned(), error))?;
    let mut here = PathBuf::from("/");
    let mut reach = Reach::Everyone;
    let mut fd = rustix::fs::open("/", STEP, Mode::empty()).map_err(|error| unreadable(&here, error))?;
    check(&here, &fd, &mut reach)?;
    for part in whole.components() {
        let Component::Normal(name) = part else { continue };
        here.push(name);
        fd = open(&fd, name, STEP, &here)?;
        check(&here, &fd, &mut reach)?;
    }
    // The same directory once more, so that its names can be listed.
    let listed = open(&fd, OsStr::new("."), OPEN_DIRECTORY, &here)?;
    Ok((Directory::of(listed, here), reach))
}

fn open(at: &OwnedFd, name: &OsStr, how: OFlags, shown: &Path) -> Result<OwnedFd, Untrusted> {
    rustix::fs::openat(at, name, how, Mode::empty()).map_err(|error| unreadable(shown, error))
}

fn unreadable(path: &Path, error: rustix::io::Errno) -> Untrusted {
    Untrusted::Unreadable(path.to_owned(), error.into())
}

fn check(path: &Path, fd: &OwnedFd, reach: &mut Reach) -> Result<(), Untrusted> {
    let stat = rustix::fs::fstat(fd).map_err(|error| unreadable(path, error))?;
    if stat.st_mode & ENTER_BY_OTHERS == 0 {
        *reach = Reach::Some;
    }
    verdict(path, &stat, rustix::process::geteuid().as_raw())
}

fn verdict(path: &Path, stat: &Stat, user: u32) -> Result<(), Untrusted> {
    let mode = stat.st_mode & 0o7777;
    if stat.st_uid != 0 && stat.st_uid != user {
        return Err(Untrusted::Owner(path.to_owned(), stat.st_uid));
    }
    if mode & WRITE_BY_OTHERS != 0 && mode & STICKY == 0 {
        return Err(Untrusted::Writable(path.to_owned(), mode));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_that_became_a_link_or_a_file_is_refused() {
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(folder.path().join("directory")).expect("made");
        std::fs::write(folder.path().join("file"), "").expect("written");
        std::os::unix::fs::symlink("directory", folder.path().join("link")).expect("a link");
        let (parent, _) = open_trusted(folder.path()).expect("trusted");
        let is_open = |name: &str| open(parent.fd(), OsStr::new(name), STEP, folder.path()).is_ok();
        assert_eq!(["directory", "file", "link"].map(is_open), [true, false, false]);
        assert_eq!(parent.names().expect("listed"), ["directory", "file", "link"]);
        let flags = rustix::io::fcntl_getfd(parent.fd()).expect("open");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "no child inherits it");
    }

    #[test]
    fn who_can_enter_and_who_may_own_a_part() {
        let folder = tempfile::tempdir().expect("a directory");
        assert_eq!(open_trusted(Path::new("/")).expect("trusted").1, Reach::Everyone);
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(folder.path(), closed).expect("our own");
        assert_eq!(open_trusted(folder.path()).expect("trusted").1, Reach::Some, "mode 700");
        let root = rustix::fs::stat("/").expect("there");
        assert!(verdict(Path::new("/"), &root, 65534).is_ok(), "the superuser may own it");
        let mut theirs = root;
        theirs.st_uid = 1;
        assert!(matches!(verdict(Path::new("/"), &theirs, 65534), Err(Untrusted::Owner(_, 1))));
        assert!(verdict(Path::new("/"), &theirs, 1).is_ok());
    }
}
