//! A process from outside: its memory, its mappings, its status.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

pub(in super::super) use crate::procfs::stat::{folder_of, start_of};
use crate::sample::Process;

/// A process whose memory this process may read and write.
#[derive(Debug)]
pub(in super::super) struct Target {
    process: Process,
    memory: File,
}

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Mapping {
    pub(in super::super) begin: u64,
    pub(in super::super) end: u64,
    /// `rwxp`, or dashes.
    pub(in super::super) rights: [u8; 4],
    pub(in super::super) offset: u64,
    pub(in super::super) inode: u64,
    pub(in super::super) path: String,
}

impl Mapping {
    pub(in super::super) fn is_code(&self) -> bool {
        self.rights[2] == b'x'
    }

    pub(in super::super) fn is_writable(&self) -> bool {
        self.rights[1] == b'w'
    }

    pub(in super::super) fn holds(&self, address: u64) -> bool {
        (self.begin..self.end).contains(&address)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(6, ' ');
        let (begin, end) = words.next()?.split_once('-')?;
        let rights = words.next()?.as_bytes().get(..4)?.try_into().ok()?;
        let offset = u64::from_str_radix(words.next()?, 16).ok()?;
        let inode = words.nth(1)?.parse().ok()?;
        let path = words.next().unwrap_or_default().trim().to_owned();
        let address = |digits| u64::from_str_radix(digits, 16).ok();
        Some(Self { begin: address(begin)?, end: address(end)?, rights, offset, inode, path })
    }
}

impl Target {
    /// Opens the memory of a process, with the rights that tracing it takes.
    pub(in super::super) fn open(process: Process) -> io::Result<Self> {
        let memory = File::options().read(true).write(true).open(format!("{}/mem", folder_of(process.pid)))?;
        let target = Self { process, memory };
        // The file belongs to the process that has the pid now; which one that is can be asked after it was opened.
        if target.runs() { Ok(target) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    }

    /// A lock that whoever may trace the process can take, and one at a time has.
    pub(in super::super) fn lock(&self) -> io::Result<File> {
        let file = File::open(format!("{}/mem", folder_of(self.process.pid)))?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        Ok(file)
    }

    pub(in super::super) fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Whether it is still the same process.
    pub(in super::super) fn runs(&self) -> bool {
        start_of(self.process.pid) == Some(self.process.start)
    }

    pub(in super::super) fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.memory.read_exact_at(bytes, at)
    }

    pub(in super::super) fn bytes(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    pub(in super::super) fn word(&self, at: u64) -> io::Result<u64> {
        let mut word = [0; 8];
        self.read(at, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    pub(in super::super) fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(bytes, at)
    }

    pub(in super::super) fn maps(&self) -> io::Result<Vec<Mapping>> {
        let text = fs::read(format!("{}/maps", folder_of(self.process.pid)))?;
        Ok(String::from_utf8_lossy(&text).lines().filter_map(Mapping::parse).collect())
    }

    /// The status of one of its threads.
    pub(in super::super) fn status(&self, thread: u32) -> Option<Status> {
        Status::of(&format!("/proc/{}/task/{thread}/status", self.process.pid))
    }

    pub(in super::super) fn threads(&self) -> Vec<u32> {
        let entries = fs::read_dir(format!("/proc/{}/task", self.process.pid)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }
}

/// `/proc/PID/status`.
pub(in super::super) struct Status(String);

impl Status {
    pub(in super::super) fn of(path: &str) -> Option<Self> {
        fs::read(path).ok().map(|text| Self(String::from_utf8_lossy(&text).into_owned()))
    }

    #[cfg(test)]
    pub(in super::super) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(in super::super) fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    }

    pub(in super::super) fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.split_ascii_whitespace().next()?.parse().ok()
    }

    /// A set of signals or rights.
    pub(in super::super) fn set(&self, name: &str) -> u64 {
        self.field(name).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
    }
}
