//! Numbers of a live target. Each file reads one kind; [`Watcher`] holds them together for a process tree.
//!
//! A probe reads and never decides: what the numbers mean is said elsewhere. It never stops a run either:
//! a number that cannot be read is `None` in the sample, its reason comes once from [`Watcher::missing`],
//! and the other numbers go on. The one thing a probe ever writes to a target is the reset of its peak
//! ([`Watcher::reset_peak`]), and that is for launched targets alone.
//!
//! Whatever a target chose itself (names, paths, socket addresses) is untrusted: bounded to
//! [`MAX_NAME`] characters, control characters replaced.

mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod gauges;
pub mod heap;
mod missing;
pub mod portable;
mod text;

#[cfg(target_os = "linux")]
mod linux {
    pub(super) mod cgroup;
    pub(super) mod descriptors;
    pub(super) mod detail;
    pub(super) mod files;
    pub(super) mod member;
    pub(super) mod memory;
    pub(super) mod runtime;
    pub(super) mod smaps;
    pub(super) mod sockets;
    pub(super) mod tasks;
    pub(super) mod tree;
    pub(super) mod watcher;

    #[cfg(test)]
    mod family;
    #[cfg(test)]
    mod live;
    #[cfg(test)]
    mod live_child;
}

use std::collections::BTreeSet;
use std::net::SocketAddr;

pub use error::ProbeError;
#[cfg(target_os = "linux")]
pub use linux::watcher::Watcher;
#[cfg(not(target_os = "linux"))]
pub use portable::Watcher;
pub use text::MAX_NAME;

use crate::sample::Process;

/// What is to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The processes whose trees are watched.
    pub roots: Vec<Process>,
    /// The subreaper of a launched target: its other live children are orphans of the target.
    pub guardian: Option<Process>,
}

/// Addresses of our own ends of connections to the target: what they hold open there is ours, not a leak.
///
/// Unix sockets have no address by which the other end could be told, so they are not in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnSockets {
    local: BTreeSet<SocketAddr>,
}

impl OwnSockets {
    /// Remembers a connection by the address of our end.
    pub fn add(&mut self, local: SocketAddr) {
        self.local.insert(SocketAddr::new(local.ip().to_canonical(), local.port()));
    }

    /// Forgets a connection.
    pub fn remove(&mut self, local: SocketAddr) {
        self.local.remove(&SocketAddr::new(local.ip().to_canonical(), local.port()));
    }

    /// Adds all connections of another set.
    pub fn extend(&mut self, other: &Self) {
        self.local.extend(&other.local);
    }

    /// Whether this peer of a target's socket is one of our ends.
    pub fn holds(&self, peer: SocketAddr) -> bool {
        self.local.contains(&SocketAddr::new(peer.ip().to_canonical(), peer.port()))
    }
}

impl FromIterator<SocketAddr> for OwnSockets {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addresses: I) -> Self {
        let mut own = Self::default();
        addresses.into_iter().for_each(|address| own.add(address));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchers_can_move_to_the_thread_that_samples() {
        fn is_send<T: Send + 'static>() {}
        is_send::<Watcher>();
        is_send::<portable::Watcher>();
        is_send::<gauges::Scraper>();
    }
}
