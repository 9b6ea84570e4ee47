//! The TCP ports on which a process listens.

use std::collections::BTreeSet;

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process as Proc};

use super::identity::is_same;
use crate::sample::Process;

/// The TCP ports on which a process listens, in order; none where its descriptors cannot be read.
pub fn listening_ports(process: Process) -> Vec<u16> {
    let Ok(proc) = Proc::new(process.pid as i32) else { return Vec::new() };
    let sockets: BTreeSet<u64> = proc
        .fd()
        .into_iter()
        .flatten()
        .filter_map(|fd| match fd.ok()?.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect();
    let listening = [proc.tcp(), proc.tcp6()]
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.state == TcpState::Listen && sockets.contains(&entry.inode))
        .map(|entry| entry.local_address.port());
    let ports: BTreeSet<u16> = listening.collect();
    if is_same(process) { ports.into_iter().collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_listener_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let process = crate::target::identify(std::process::id()).expect("ourselves");
        assert!(listening_ports(process).contains(&port));
        drop(listener);
        assert!(!listening_ports(process).contains(&port));
    }
}
