//! The guardian's end of the socket to tidewatch.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::spawn::{self, Standard};
use super::wire::{Order, Report};

/// An order is an argument list and an environment: the kernel itself refuses more than this.
const MOST_ORDER_BYTES: usize = 8 * 1024 * 1024;

/// What came over the socket.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    Order(Order),
    /// Nothing whole yet.
    Nothing,
    /// Tidewatch is gone, or speaks nonsense, which is as good.
    Closed,
}

#[derive(Debug)]
pub(super) struct Link {
    socket: UnixStream,
    pending: Vec<u8>,
}

impl Link {
    /// Takes over the socket that tidewatch passed as standard output.
    pub(super) fn take_stdout() -> std::io::Result<Self> {
        let socket = UnixStream::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        spawn::let_go_of(Standard::Output)?;
        Ok(Self::new(socket))
    }

    pub(super) fn new(socket: UnixStream) -> Self {
        Self { socket, pending: Vec::new() }
    }

    /// Waits for the first order.
    pub(super) fn wait(&mut self) -> Received {
        loop {
            match self.receive() {
                Received::Nothing => {}
                something => return something,
            }
        }
    }

    /// Reads once; to be called when there is something to read, else it blocks.
    pub(super) fn receive(&mut self) -> Received {
        if let Some(order) = self.next_line() {
            return order;
        }
        let mut chunk = [0; 16 * 1024];
        match self.socket.read(&mut chunk) {
            Ok(0) => Received::Closed,
            Ok(count) => {
                self.pending.extend_from_slice(&chunk[..count]);
                self.next_line().unwrap_or(Received::Nothing)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Received::Nothing,
            Err(_) => Received::Closed,
        }
    }

    fn next_line(&mut self) -> Option<Received> {
        let Some(end) = self.pending.iter().position(|&b| b == b'\n') else {
            return (self.pending.len() > MOST_ORDER_BYTES).then_some(Received::Closed);
        };
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        Some(serde_json::from_slice(&line).map_or(Received::Closed, Received::Order))
    }

    /// Tells tidewatch. When it is gone nobody needs to know: the reading side notices and acts.
    pub(super) fn tell(&mut self, report: &Report) {
        if let Ok(mut line) = serde_json::to_vec(report) {
            line.push(b'\n');
            drop(self.socket.write_all(&line));
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_whole_however_they_are_cut() {
        let (mut ours, theirs) = UnixStream::pair().expect("pair");
        let mut link = Link::new(theirs);
        ours.write_all(br#"{"stop":{"grace_"#).expect("write");
        assert_eq!(link.receive(), Received::Nothing);
        ours.write_all(b"ms\":5}}\n{\"stop\":{\"grace_ms\":6}}\n").expect("write");
        assert_eq!(link.receive(), Received::Order(Order::Stop { grace_ms: 5 }));
        assert_eq!(link.receive(), Received::Order(Order::Stop { grace_ms: 6 }));
        ours.write_all(b"nonsense\n").expect("write");
        assert_eq!(link.receive(), Received::Closed);
        drop(ours);
        assert_eq!(link.receive(), Received::Closed);
    }
}
