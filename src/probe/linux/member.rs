//! One living process of the tree, and what a tick reads of it.

use std::mem::MaybeUninit;

use rustix::io::Errno;

use super::files::{FdCount, Files, LINE, ProcRoot, read_line};
use crate::probe::text::clean;
use crate::procfs::stat::parse_statm;
use crate::sample::Process;

/// Where a member stands in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// What the user named.
    Root,
    /// A descendant whose parent lives.
    Child,
    /// A descendant whose parent has ended.
    Orphan,
}

/// One living process of the tree.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) process: Process,
    pub(crate) standing: Standing,
    pub(crate) command: String,
    /// Held open; `None` in a tree so large that our own descriptors would not last: opened at each use then.
    files: Option<Files>,
    pub(crate) gone: bool,
    /// Whether it was told why its descriptors cannot be counted.
    pub(crate) fds_told: bool,
    /// What was read last, for a process that may have done nothing since.
    last: Option<Tick>,
}

/// How much of a process a tick reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Everything.
    All,
    /// Its state alone, if its CPU time (in steps of 10 ms) and threads are as when everything was read: most likely nothing has changed.
    Idle,
}

/// What a tick reads of one process.
#[derive(Clone, Debug)]
pub(crate) struct Tick {
    pub(crate) memory: Result<(u64, u64), Errno>,
    pub(crate) fds: Result<u64, Errno>,
    pub(crate) threads: u64,
    pub(crate) cpu_ticks: u64,
    /// Its first thread has ended, and others run.
    headless: bool,
    /// A signal or a tracer has stopped it.
    pub(crate) stopped: bool,
}

/// Whether a process still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It runs, and this is its parent.
    Under(u32),
    /// It has ended, though it may be a zombie still.
    Over,
    /// It could not be asked: too many files are open here.
    Unknown,
}

/// Why a number of a living process cannot be read.
pub(crate) enum Unread {
    /// The process is gone: what it held is gone with it.
    Vanished,
    /// The number is missing, and this is why.
    Missing(String),
}

impl Member {
    /// A member that was just found under the handles that will read it.
    pub(crate) fn new(process: Process, standing: Standing, command: &[u8], files: Option<Files>) -> Self {
        Self { process, standing, command: clean(command), files, gone: false, fds_told: false, last: None }
    }

    /// The same member, keeping these files open.
    pub(crate) fn holding(self, files: Files) -> Self {
        Self { files: Some(files), ..self }
    }

    /// Does something with the files of the process, opening them for the occasion where they are not held.
    pub(crate) fn with_files<T>(
        &self,
        proc: &ProcRoot,
        act: impl FnOnce(&Files) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        match &self.files {
            Some(files) => act(files),
            None => act(&Files::open_exactly(proc, self.process)?),
        }
    }

    /// Resident pages as they were read last, 0 where they were not.
    pub(crate) fn resident_pages(&self) -> u64 {
        self.last.as_ref().and_then(|tick| tick.memory.ok()).map_or(0, |(pages, _)| pages)
    }

    /// Whether the process still runs. A zombie does not.
    pub(crate) fn runs(&self, proc: &ProcRoot) -> bool {
        self.life(proc) != Life::Over
    }

    /// Whether it still runs, and under which parent.
    pub(crate) fn life(&self, proc: &ProcRoot) -> Life {
        let state = self.with_files(proc, |files| {
            let mut line = [0; LINE];
            let stat = files.read_stat(&mut line)?;
            Ok((stat.ended(), stat.parent))
        });
        match state {
            Ok((true, _)) => Life::Over,
            Ok((false, parent)) => Life::Under(parent),
            // Too many of our own files are open: that says nothing about the process.
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Life::Unknown,
            Err(_) => Life::Over,
        }
    }

    /// Whether it gave up its memory on its way out, and is no zombie yet. One whose first thread ended stays.
    fn exits(&self, proc: &ProcRoot) -> bool {
        let exiting = |files: &Files| {
            let mut line = [0; LINE];
            let stat = files.read_stat(&mut line)?;
            Ok(stat.exiting() && !stat.headless())
        };
        self.with_files(proc, exiting).unwrap_or(true)
    }

    /// The fast set.
    pub(crate) fn tick(
        &mut self,
        proc: &ProcRoot,
        count: FdCount,
        space: &mut [MaybeUninit<u8>],
        reading: Reading,
    ) -> Result<Tick, Errno> {
        if reading == Reading::Idle
            && let Some(tick) = self.unchanged(proc)?
        {
            return Ok(tick);
        }
        let tick = self.read_tick(proc, count, space)?;
        self.last = Some(tick.clone());
        if tick.headless && self.files.take().is_some() {
            // The files that are held may be those of the thread that ended: from now on they are opened at each use.
            return self.read_tick(proc, count, space);
        }
        Ok(tick)
    }

    /// What was read last, with the state of now, if the process has done nothing since.
    fn unchanged(&self, proc: &ProcRoot) -> Result<Option<Tick>, Errno> {
        let Some(last) = self.last.clone() else { return Ok(None) };
        let read = |files: &Files| {
            let mut line = [0; LINE];
            let stat = files.read_stat(&mut line)?;
            if stat.ended() {
                return Err(Errno::SRCH);
            }
            let is_same =
                (stat.cpu_ticks, stat.threads, stat.headless()) == (last.cpu_ticks, last.threads, last.headless);
            Ok(is_same.then(|| Tick { stopped: stat.stopped(), ..last.clone() }))
        };
        self.with_files(proc, read)
    }

    fn read_tick(&self, proc: &ProcRoot, count: FdCount, space: &mut [MaybeUninit<u8>]) -> Result<Tick, Errno> {
        let read = |files: &Files| {
            let mut line = [0; LINE];
            let memory = read_line(&files.statm, &mut line).and_then(|text| parse_statm(text).ok_or(Errno::INVAL));
            let fds = match &files.fd {
                Ok(dir) => count.count(dir, space),
                Err(error) => Err(*error),
            };
            // Last: when this succeeds, the process was there all the while.
            let stat = files.read_stat(&mut line)?;
            if stat.ended() {
                return Err(Errno::SRCH);
            }
            let (headless, stopped) = (stat.headless(), stat.stopped());
            Ok(Tick { memory, fds, threads: stat.threads, cpu_ticks: stat.cpu_ticks, headless, stopped })
        };
        self.with_files(proc, read)
    }

    /// What an error on one of its files means: the process is gone, or a number is missing for a reason.
    pub(crate) fn explain(&self, proc: &ProcRoot, file: &str, error: Errno) -> Unread {
        if !self.runs(proc) || (error == Errno::SRCH && self.exits(proc)) {
            return Unread::Vanished;
        }
        let path = proc.path(self.process.pid, file);
        let path = path.display();
        Unread::Missing(match error {
            Errno::ACCESS | Errno::PERM => {
                format!("permission denied reading {path} (run as the same user or as root)")
            }
            Errno::NOENT => format!("{path} does not exist (this kernel was built without it or is too old for it)"),
            Errno::SRCH | Errno::NXIO => format!(
                "{path} shows no memory: process {} is a kernel thread, or its first thread has ended",
                self.process.pid
            ),
            Errno::MFILE | Errno::NFILE => {
                format!("cannot open {path}: too many files are open here (raise the limit with ulimit -n)")
            }
            Errno::INVAL => format!("{path} reads in a form that is not known"),
            other => format!("cannot read {path}: {}", std::io::Error::from(other)),
        })
    }
}
