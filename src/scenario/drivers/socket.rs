//! A TCP or unix socket: text goes out, and an answer is waited for by what it holds.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::trouble::{Trouble, printable};
use super::wire::Wire;

/// How much of what came is kept to search in.
const LARGEST_UNREAD: usize = 64 * 1024;

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    wire: Wire,
    unread: Vec<u8>,
}

impl Socket {
    /// A session over this connection.
    pub fn new(wire: Wire) -> Self {
        Self { wire, unread: Vec::new() }
    }

    /// Sends a text.
    pub async fn send(&mut self, text: &str) -> Result<(), Trouble> {
        self.wire.write_all(text.as_bytes()).await.map_err(|error| Trouble::io("sending", &error))?;
        self.wire.flush().await.map_err(|error| Trouble::io("sending", &error))
    }

    /// Reads until this was seen, and leaves what came after it unread.
    pub async fn wait(&mut self, until: &str, shown: &mut Vec<u8>) -> Result<(), Trouble> {
        let needle = until.as_bytes();
        loop {
            if let Some(at) = find(&self.unread, needle) {
                self.unread.drain(..at + needle.len());
                return Ok(());
            }
            shown.clear();
            shown.extend_from_slice(&self.unread[..self.unread.len().min(super::trouble::SHOWN)]);
            if self.unread.len() > LARGEST_UNREAD {
                // The needle may straddle what is dropped and what comes.
                let drop = self.unread.len() - needle.len().min(LARGEST_UNREAD);
                self.unread.drain(..drop);
            }
            match self.wire.read_buf(&mut self.unread).await {
                Ok(0) => return Err(Trouble::closed("an answer")),
                Ok(_) => {}
                Err(error) => return Err(Trouble::io("an answer", &error)),
            }
        }
    }

    /// The connection, for the end.
    pub fn into_wire(self) -> Wire {
        self.wire
    }

    /// The connection.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

/// Where `needle` begins in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    hay.windows(needle.len()).position(|window| window == needle)
}

/// The trouble of an answer that came, but not the right one.
pub fn no_answer(within: Duration, until: &str, shown: &[u8]) -> Trouble {
    let mut trouble = Trouble::timeout(within, &format!("answer that holds `{until}`"));
    if !shown.is_empty() {
        trouble.detail.push_str(&format!("; what came: {}", printable(shown)));
    }
    trouble
}
