//! Standard input and output of a launched target: a line in, and an answer in what it writes.
//!
//! The target's output goes to a file of the run folder, never through us, so that it can neither block the
//! target nor be lost. Answers are found by reading that file on from where it ended when the line was sent.

use std::path::PathBuf;
#[cfg(unix)]
use std::sync::Arc;

/// The target's standard input and the file that its standard output goes to.
#[derive(Clone, Debug)]
pub struct StdioChannel {
    /// The writing end of the pipe that is the target's standard input.
    #[cfg(unix)]
    pub stdin: Arc<std::os::fd::OwnedFd>,
    /// Where its standard output is written.
    pub stdout: PathBuf,
}

#[cfg(unix)]
pub use unix::Stdio;

/// Not supported on this system: there is none.
#[cfg(not(unix))]
#[derive(Debug)]
pub enum Stdio {}

#[cfg(not(unix))]
impl Stdio {
    /// Refuses.
    pub fn open(_: &StdioChannel) -> std::io::Result<Self> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    /// Cannot be reached: there is none.
    pub async fn say(&mut self, _: &str, _: Option<&str>, _: &mut Vec<u8>) -> Result<(), super::trouble::Trouble> {
        match *self {}
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::unix::pipe::Sender;

    use super::StdioChannel;
    use crate::scenario::drivers::socket::find;
    use crate::scenario::drivers::trouble::{SHOWN, Trouble};

    const FIRST_LOOK: Duration = Duration::from_micros(500);
    const LAST_LOOK: Duration = Duration::from_millis(20);

    /// The conversation with a target. One operation at a time has it.
    #[derive(Debug)]
    pub struct Stdio {
        stdin: Sender,
        log: File,
    }

    impl Stdio {
        /// Takes up the conversation.
        pub fn open(channel: &StdioChannel) -> io::Result<Self> {
            Ok(Self { stdin: Sender::from_owned_fd(channel.stdin.try_clone()?)?, log: File::open(&channel.stdout)? })
        }

        /// Writes a line and waits for an answer that holds `until`, if one is wanted.
        pub async fn say(&mut self, text: &str, until: Option<&str>, shown: &mut Vec<u8>) -> Result<(), Trouble> {
            let failed = |error: io::Error| Trouble::io("the target's standard input or output", &error);
            let mut offset = self.log.metadata().map_err(failed)?.len();
            let mut line = Vec::with_capacity(text.len() + 1);
            line.extend_from_slice(text.trim_end_matches('\n').as_bytes());
            line.push(b'\n');
            self.stdin.write_all(&line).await.map_err(failed)?;
            let Some(until) = until else { return Ok(()) };
            let (mut look, mut tail, mut piece) = (FIRST_LOOK, Vec::new(), vec![0; 16 * 1024]);
            loop {
                let count = self.log.read_at(&mut piece, offset).map_err(failed)?;
                if count == 0 {
                    tokio::time::sleep(look).await;
                    look = (look * 2).min(LAST_LOOK);
                    continue;
                }
                offset += count as u64;
                tail.extend_from_slice(&piece[..count]);
                if find(&tail, until.as_bytes()).is_some() {
                    return Ok(());
                }
                shown.clear();
                shown.extend_from_slice(&tail[..tail.len().min(SHOWN)]);
                // The text may straddle two pieces.
                tail.drain(..tail.len().saturating_sub(until.len()));
            }
        }
    }
}
