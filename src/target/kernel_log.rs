//! The kernel log from a point in time on, where we may read it.

use std::fs::File;
use std::io::{ErrorKind, Read};

use rustix::fs::{Mode, OFlags, SeekFrom};

/// A record is never longer (PRINTK_MESSAGE_MAX is 2 KiB; 8 KiB before Linux 6.6).
const RECORD_BYTES: usize = 8192;
/// Most records that are looked at.
const MOST_RECORDS: usize = 50_000;

/// A reader of `/dev/kmsg` that never blocks.
#[derive(Debug)]
pub(crate) struct KernelLog(File);

impl KernelLog {
    /// A reader of what is logged from now on; the reason in words when there is none.
    pub(crate) fn from_now() -> Result<Self, String> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open("/dev/kmsg", flags, Mode::empty())
            .map_err(|errno| format!("/dev/kmsg: {}", std::io::Error::from(errno)))?;
        rustix::fs::seek(&fd, SeekFrom::End(0))
            .map_err(|errno| format!("/dev/kmsg: {}", std::io::Error::from(errno)))?;
        Ok(Self(File::from(fd)))
    }

    /// What was logged since the last call.
    pub(crate) fn read(&mut self) -> Vec<String> {
        let mut records = Vec::new();
        let mut buffer = [0; RECORD_BYTES];
        while records.len() < MOST_RECORDS {
            match self.0.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => records.push(String::from_utf8_lossy(&buffer[..count]).into_owned()),
                // Records that were overwritten before we read them.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        records
    }
}
