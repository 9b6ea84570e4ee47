//! The files of one process, opened through its directory: that handle belongs to the process itself, so
//! once the process is gone every use of it fails, even when its pid has been given to another.

use std::ffi::CStr;
use std::fs::File;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;

use crate::procfs::stat::{Stat, number, parse_stat};
use crate::sample::Process;

/// Enough for the longest `stat` line: 52 numbers of 20 digits and a name of 64 bytes.
pub(crate) const LINE: usize = 2048;

/// Where processes are found: `/proc`, or a folder that a test made.
#[derive(Debug)]
pub(crate) struct ProcRoot {
    path: PathBuf,
    dir: OwnedFd,
}

impl ProcRoot {
    /// Opens the folder.
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        Ok(Self { path: path.to_owned(), dir: open_dir(CWD, path)? })
    }

    /// The path of a file of a process, for messages.
    pub(crate) fn path(&self, pid: u32, name: &str) -> PathBuf {
        self.path.join(pid.to_string()).join(name)
    }

    /// The handle of the folder itself.
    pub(crate) fn dir(&self) -> &OwnedFd {
        &self.dir
    }
}

/// Open handles of one process.
#[derive(Debug)]
pub(crate) struct Files {
    /// `/proc/PID`, or the folder of a living thread where the first one has ended: the files of memory and descriptors
    /// in the folder of a thread that has ended are empty.
    pub(crate) dir: OwnedFd,
    /// `/proc/PID/task`.
    pub(crate) tasks: Option<OwnedFd>,
    /// `stat` of the process.
    pub(crate) stat: OwnedFd,
    /// `statm`.
    pub(crate) statm: OwnedFd,
    /// The folder `fd`; opening it needs permission.
    pub(crate) fd: Result<OwnedFd, Errno>,
}

impl Files {
    /// Opens what a tick reads of whatever process has this pid now. Ask [`Files::identity`] who it is.
    pub(crate) fn open(proc: &ProcRoot, pid: u32) -> Result<Self, Errno> {
        let dir = open_dir(proc.dir(), pid.to_string())?;
        let stat = open_file(&dir, c"stat")?;
        let mut line = [0; LINE];
        let headless = read_line(&stat, &mut line).ok().and_then(parse_stat).is_some_and(|stat| stat.headless());
        let (dir, tasks) = if headless {
            let tasks = open_dir(&dir, c"task")?;
            (living_thread(&tasks)?, Some(tasks))
        } else {
            (dir, None)
        };
        let statm = open_file(&dir, c"statm")?;
        let fd = match open_dir(&dir, c"fd") {
            Err(full @ (Errno::MFILE | Errno::NFILE)) => return Err(full),
            other => other,
        };
        Ok(Self { dir, tasks, stat, statm, fd })
    }

    /// The files of exactly this process; `SRCH` when its pid belongs to another by now.
    pub(crate) fn open_exactly(proc: &ProcRoot, process: Process) -> Result<Self, Errno> {
        let files = Self::open(proc, process.pid)?;
        let mut line = [0; LINE];
        if files.read_stat(&mut line)?.start == process.start { Ok(files) } else { Err(Errno::SRCH) }
    }

    /// Reads and parses `stat`.
    pub(crate) fn read_stat<'b>(&self, line: &'b mut [u8]) -> Result<Stat<'b>, Errno> {
        parse_stat(read_line(&self.stat, line)?).ok_or(Errno::INVAL)
    }

    /// Opens another of its files for buffered reading.
    pub(crate) fn reader(&self, name: &CStr) -> Result<File, Errno> {
        open_file(&self.dir, name).map(File::from)
    }
}

/// The folder of a thread that has not ended.
fn living_thread(tasks: &OwnedFd) -> Result<OwnedFd, Errno> {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut threads = Vec::new();
    each_number(tasks, &mut space, |tid| threads.push(tid))?;
    let mut line = [0; LINE];
    for tid in threads {
        let Ok(dir) = open_dir(tasks, tid.to_string()) else { continue };
        let stat = open_file(&dir, c"stat").and_then(|file| {
            let state = parse_stat(read_line(&file, &mut line)?).map(|stat| stat.state);
            state.ok_or(Errno::INVAL)
        });
        if stat.is_ok_and(|state| !matches!(state, b'Z' | b'X' | b'x')) {
            return Ok(dir);
        }
    }
    Err(Errno::SRCH)
}

/// Opens a folder.
pub(crate) fn open_dir(at: impl AsFd, path: impl Arg) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens a file for reading.
pub(crate) fn open_file(at: impl AsFd, path: impl Arg) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(at, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Reads a short file from its start in one call.
pub(crate) fn read_line<'b>(file: &OwnedFd, line: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    let length = retry_on_intr(|| rustix::io::pread(file, &mut *line, 0))?;
    Ok(&line[..length])
}

/// Reads a whole file into `text`, which is emptied first. At most `limit` bytes.
pub(crate) fn read_whole(at: impl AsFd, path: impl Arg, text: &mut Vec<u8>, limit: usize) -> Result<(), Errno> {
    use std::io::Read as _;
    text.clear();
    let file = File::from(open_file(at, path)?);
    match file.take(limit as u64).read_to_end(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}

/// Calls `each` with every entry of an open folder whose name is a number, from its beginning.
pub(crate) fn each_number(
    dir: &OwnedFd,
    space: &mut [MaybeUninit<u8>],
    mut each: impl FnMut(u32),
) -> Result<(), Errno> {
    rustix::fs::seek(dir, rustix::fs::SeekFrom::Start(0))?;
    let mut entries = RawDir::new(dir, space);
    while let Some(entry) = entries.next() {
        if let Some(n) = number(entry?.file_name().to_bytes()).and_then(|n| u32::try_from(n).ok()) {
            each(n);
        }
    }
    Ok(())
}

/// How the number of open descriptors is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FdCount {
    /// The size of the folder is the count (Linux 6.2 and later).
    Size,
    /// The folder is listed.
    Listing,
}

impl FdCount {
    /// Compares size and listing of our own folder. Older kernels say size 0. Other threads of ours may open
    /// and close descriptors meanwhile, so it is tried a few times; listing is right in any case.
    pub(crate) fn detect(proc: &ProcRoot, space: &mut [MaybeUninit<u8>]) -> Self {
        let Ok(own) = open_dir(proc.dir(), c"self/fd") else { return Self::Listing };
        let agrees = (0..8).any(|_| {
            let listed = Self::Listing.count(&own, space);
            listed.is_ok_and(|n| n > 0) && listed == Self::Size.count(&own, space)
        });
        if agrees { Self::Size } else { Self::Listing }
    }

    /// Counts the descriptors in an open `fd` folder.
    pub(crate) fn count(self, dir: &OwnedFd, space: &mut [MaybeUninit<u8>]) -> Result<u64, Errno> {
        match self {
            Self::Size => Ok(rustix::fs::fstat(dir)?.st_size.max(0) as u64),
            Self::Listing => {
                let mut count = 0;
                each_number(dir, space, |_| count += 1)?;
                Ok(count)
            }
        }
    }
}

/// Whether a file is there at all, permission aside.
pub(crate) fn exists(at: impl AsFd, path: impl Arg) -> bool {
    rustix::fs::statat(at, path, AtFlags::empty()).is_ok()
}
