//! Input that may be long in coming: it says what it waits for, and does not go on for ever.

use std::fs::File;
use std::io::{self, Read};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::screen;

/// After so long without anything to read, the person is told what is waited for.
const TOLD_AFTER: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// The most that is read of one input.
const MOST_BYTES: u64 = 512 << 20;

/// A file, a pipe or standard input.
pub struct Patient {
    input: File,
    name: String,
    is_told: bool,
    left: u64,
}

impl Patient {
    /// Reads `input`, which messages call `name`.
    pub fn new(input: File, name: String) -> Self {
        Self { input, name, is_told: false, left: MOST_BYTES }
    }

    fn ready(&mut self) -> io::Result<()> {
        let wait = |input: &File, timeout: Option<&Timespec>| loop {
            match poll(&mut [PollFd::new(input, PollFlags::IN)], timeout) {
                Err(rustix::io::Errno::INTR) => {}
                ready => return ready.map_err(io::Error::from),
            }
        };
        if wait(&self.input, Some(&TOLD_AFTER))? == 0 {
            if !self.is_told {
                self.is_told = true;
                tell(&format!("waiting for data from {}; Ctrl-C ends", self.name));
            }
            wait(&self.input, None)?;
        }
        Ok(())
    }
}

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.ready()?;
        let read = self.input.read(bytes)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {MOST_BYTES} bytes, the most that is read"),
            )
        })?;
        Ok(read)
    }
}

#[expect(clippy::print_stderr, reason = "a person who waits is told why")]
fn tell(text: &str) {
    eprintln!("tidewatch: {}", screen::message(text));
}
