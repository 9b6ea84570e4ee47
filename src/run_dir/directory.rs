//! One open directory; names in it are resolved from its descriptor and never through a symbolic link.

use std::fs::{DirBuilder, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use super::RunDirError;

/// Others may neither list nor enter it.
const DIRECTORY_MODE: u32 = 0o700;
/// Others may not read it.
const FILE_MODE: u32 = 0o600;
/// Those who may write besides the owner.
pub(super) const WRITE_BY_OTHERS: u32 = 0o022;

const OPEN_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = OFlags::CREATE.union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

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

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

/// A name that nobody can foresee, behind this beginning.
pub(super) fn random_name(beginning: &str) -> String {
    // The hashers are keyed from the random numbers of the system.
    let random = || RandomState::new().hash_one(0_u8);
    format!("{beginning}{:016x}", random() ^ random().rotate_left(32))
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
        let parent_fd = rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| create(error.into()))?;
        let is_new = match rustix::fs::mkdirat(&parent_fd, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(create(error.into())),
        };
        let directory = Self::open_at(parent_fd.as_fd(), name.as_ref(), path)?;
        // For messages; where this fails, the words of the user do.
        let path = path.canonicalize().unwrap_or(directory.path);
        Ok((Self { fd: directory.fd, path }, is_new))
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
        let flags = NEW_FILE | OFlags::WRONLY | OFlags::APPEND;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(FILE_MODE))?.into())
    }

    pub(super) fn append(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?.into())
    }

    /// Opens a plain file to read it. A pipe or a device is refused: reading it might never end.
    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a plain file")) }
    }

    /// Makes a whole file that everybody may read and execute, unless it is there with the same bytes.
    ///
    /// # Errors
    ///
    /// It cannot be written, or another file stands there.
    pub fn install(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        use io::{Read as _, Write as _};
        if let Ok(mut file) = self.read(name) {
            let mut there = Vec::new();
            file.read_to_end(&mut there)?;
            return if there == bytes { Ok(()) } else { Err(io::ErrorKind::AlreadyExists.into()) };
        }
        let beside = random_name(&format!(".{name}."));
        let mut file = self.create(&beside)?;
        let id = FileId::of(&file)?;
        let placed = file
            .write_all(bytes)
            .and_then(|()| Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(0o555))?))
            .and_then(|()| self.rename_new(&beside, name));
        match placed {
            // Another thread may have put the same there meanwhile.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                let _ = self.remove(&beside, id);
                Err(error)
            }
            Err(_) => self.remove(&beside, id),
            Ok(()) => Ok(()),
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
