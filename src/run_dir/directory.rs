//! One open directory; names in it are resolved from its descriptor and never through a symbolic link.

use std::fs::{DirBuilder, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use super::RunDirError;

/// Others may neither list nor enter it.
const DIRECTORY_MODE: u32 = 0o700;
/// Others may not read it.
const FILE_MODE: u32 = 0o600;
/// Everybody may read and execute it.
const LENT_FILE_MODE: u32 = 0o555;
/// Those who may write besides the owner.
pub(super) const WRITE_BY_OTHERS: u32 = 0o022;

/// Where the user says, through whatever links.
const FOLLOW_TO_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
pub(super) const OPEN_DIRECTORY: OFlags = FOLLOW_TO_DIRECTORY.union(OFlags::NOFOLLOW);
const APPEND: OFlags = OFlags::WRONLY.union(OFlags::APPEND).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = APPEND.union(OFlags::CREATE).union(OFlags::EXCL);
/// Opening a pipe would wait for whoever is at its other end.
const APPEND_TO_FILE: OFlags = APPEND.union(OFlags::NONBLOCK);
const READ_FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Which file this is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|data| Self { device: data.dev(), inode: data.ino() })
    }

    fn of_stat(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }

    /// The file, if it is this one.
    pub fn require(self, file: File) -> io::Result<File> {
        if Self::of(&file)? == self { Ok(file) } else { Err(replaced()) }
    }
}

fn replaced() -> io::Error {
    io::Error::other("another program replaced it")
}

/// What becomes of a file that stands where a new one is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It stays, and the new one is refused.
    Stays,
    /// It is replaced.
    Replaced,
}

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

/// A name that nobody can foresee, behind this beginning.
pub(super) fn random_name(beginning: &str) -> String {
    // The hashers are keyed from the random numbers of the system.
    format!("{beginning}{:016x}", RandomState::new().hash_one(0_u8))
}

impl Directory {
    /// An open descriptor and the path that it was opened by.
    pub(super) fn of(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// Opens a directory, and says whether it was created for that. Parents that are missing are created.
    pub(super) fn open_or_create(path: &Path) -> Result<(Self, bool), RunDirError> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let create = |source| RunDirError::Create { path: path.to_owned(), source };
        let Some(name) = path.file_name() else {
            let Self { fd, path: shown } = Self::open(path)?;
            return Ok((Self { fd, path: path.canonicalize().unwrap_or(shown) }, false));
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(parent).map_err(create)?;
        let above = Self::open_followed(parent).map_err(create)?;
        let is_new = match rustix::fs::mkdirat(&above.fd, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(create(error.into())),
        };
        let directory = Self::open_at(above.fd.as_fd(), name.as_ref(), path)?;
        // For messages; where this fails, the words of the user do.
        let path = path.canonicalize().unwrap_or(directory.path);
        Ok((Self { fd: directory.fd, path }, is_new))
    }

    /// Opens a directory that is there, through symbolic links as well.
    pub(super) fn open_followed(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, FOLLOW_TO_DIRECTORY, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens a directory that is there. A symbolic link is refused.
    ///
    /// # Errors
    ///
    /// It is not there, is no directory, or cannot be opened.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        Self::open_at(CWD, path, path)
    }

    fn open_at(at: impl AsFd, name: &Path, shown: &Path) -> Result<Self, RunDirError> {
        let path = shown.to_owned();
        match rustix::fs::openat(&at, name, OPEN_DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(error @ (rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR)) => {
                let stat = rustix::fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW);
                match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                    Ok(FileType::Symlink) => Err(RunDirError::Symlink { path }),
                    Ok(FileType::Directory) | Err(_) => Err(RunDirError::Create { path, source: error.into() }),
                    Ok(_) => Err(RunDirError::NotADirectory { path }),
                }
            }
            Err(error) => Err(RunDirError::Create { path, source: error.into() }),
        }
    }

    /// Makes a new directory in this one; `None` where something of that name is there.
    pub(super) fn make_directory(&self, name: &str) -> io::Result<Option<Self>> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) => {
                let fd = rustix::fs::openat(&self.fd, name, OPEN_DIRECTORY, Mode::empty())?;
                Ok(Some(Self { fd, path: self.path.join(name) }))
            }
            Err(rustix::io::Errno::EXIST) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a directory in this one.
    pub(super) fn directory(&self, name: &str) -> io::Result<Self> {
        let fd = rustix::fs::openat(&self.fd, name, OPEN_DIRECTORY, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    pub(super) fn create_error(&self, name: &str, source: io::Error) -> RunDirError {
        RunDirError::Create { path: self.path.join(name), source }
    }

    /// Refuses a directory that another user owns or can write to.
    pub(super) fn require_own(&self) -> Result<(), RunDirError> {
        let stat = self.stat().map_err(|source| self.create_error("", source))?;
        let (path, mode) = (self.path.clone(), stat.st_mode & 0o7777);
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(RunDirError::OtherOwner { path, owner: stat.st_uid });
        }
        if mode & WRITE_BY_OTHERS != 0 {
            return Err(RunDirError::WritableByOthers { path, mode });
        }
        Ok(())
    }

    /// Where it was when it was opened: for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(super) fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(&self.fd)?)
    }

    pub(super) fn pinned(&self, name: &str) -> PathBuf {
        if cfg!(target_os = "linux") {
            PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd())).join(name)
        } else {
            self.path.join(name)
        }
    }

    /// The names in it, in order.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Makes a new file that is appended to.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        Ok(rustix::fs::openat(&self.fd, name, NEW_FILE, Mode::from_raw_mode(FILE_MODE))?.into())
    }

    pub(super) fn append(&self, name: &str) -> io::Result<File> {
        Ok(rustix::fs::openat(&self.fd, name, APPEND_TO_FILE, Mode::empty())?.into())
    }

    /// Opens a plain file to read it. A pipe or a device is refused: reading it might never end.
    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        let file = File::from(rustix::fs::openat(&self.fd, name, READ_FILE, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a plain file")) }
    }

    /// Puts a whole report in its place in one step, and says which file it is.
    pub(super) fn place(&self, name: &str, bytes: &[u8], existing: Existing) -> io::Result<FileId> {
        self.place_as(name, bytes, FILE_MODE, existing)
    }

    /// Makes a whole file that everybody may read and execute, unless it is there with the same bytes.
    ///
    /// # Errors
    ///
    /// It cannot be written, or another file stands there.
    pub fn install(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let placed = self.place_as(name, bytes, LENT_FILE_MODE, Existing::Stays).map(drop);
        // It may have been there before, or another thread may have put it there meanwhile.
        placed.or_else(|error| if self.holds(name, bytes)? { Ok(()) } else { Err(error) })
    }

    fn holds(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let mut there = Vec::new();
        self.read(name)?.read_to_end(&mut there)?;
        Ok(there == bytes)
    }

    /// The file is written under a random name and renamed once it is whole.
    fn place_as(&self, name: &str, bytes: &[u8], mode: u32, existing: Existing) -> io::Result<FileId> {
        let beside = random_name(&format!(".{name}."));
        let mut file = self.create(&beside)?;
        let id = FileId::of(&file)?;
        let placed = file
            .write_all(bytes)
            .and_then(|()| Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?))
            .and_then(|()| match existing {
                Existing::Replaced => self.rename(&beside, name),
                Existing::Stays => self.rename_new(&beside, name),
            });
        match placed {
            Ok(()) => Ok(id),
            Err(error) => {
                // The first failure is the one to report.
                let _ = self.remove(&beside, id);
                Err(error)
            }
        }
    }

    /// Refuses a name that leads to something else than this file.
    pub(super) fn require(&self, name: &str, id: FileId) -> io::Result<()> {
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileId::of_stat(&stat) == id { Ok(()) } else { Err(replaced()) }
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Renames to a name that must be free.
    pub(super) fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::io::Errno;
            match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, rustix::fs::RenameFlags::NOREPLACE) {
                // This file system cannot do it in one step.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
                result => return Ok(result?),
            }
        }
        match rustix::fs::statat(&self.fd, to, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => self.rename(from, to),
        }
    }

    /// Removes a file, if the name still leads to this one.
    pub(super) fn remove(&self, name: &str, id: FileId) -> io::Result<()> {
        self.require(name, id)?;
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes a name, unless it is a directory.
    pub(super) fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes an empty directory in this one, if the name still leads to `directory`.
    pub(super) fn remove_directory(&self, name: &str, directory: &Self) -> io::Result<()> {
        self.require(name, FileId::of_stat(&directory.stat()?))?;
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }
}
