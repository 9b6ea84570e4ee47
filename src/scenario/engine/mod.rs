//! The engine: does what a scenario says, in phases and cycles, at its pace, and counts what comes back.
//!
//! A warm-up, then cycles of load and settling. A load phase is over when everything that began in it has
//! ended; then every connection of ours is closed, except the one of a long session, so that what the target
//! still holds while it settles is its own. The length of each load is jittered, so that the cycles do not
//! fall into step with something periodic in the target. The engine knows the rest of the program only as a
//! [`Stage`]; it neither measures the target nor judges it.

mod conduct;
mod feed;
mod ground;
mod notes;
mod own;
mod work;
mod worker;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use super::drivers::StdioChannel;
pub use conduct::run;
pub use own::{Entry, OwnConnections};

use super::template::Fixed;
use crate::sample::Border;
use crate::target::Commands;

/// What whoever conducts the run tells the engine and is told by it.
pub trait Stage: Send + Sync {
    /// The running numbers.
    fn counters(&self) -> &Arc<Counters>;

    /// A border is crossed. Returns when the mark is in the recording and the reading at it was taken.
    fn border(&self, border: Border) -> impl Future<Output = ()> + Send;

    /// A cycle has settled. The answer is heeded once the scenario's fewest cycles and operations are
    /// done.
    fn cycle_done(&self, cycle: u32) -> impl Future<Output = Go> + Send;

    /// All cycles are done; what is still open is closed when this returns.
    fn closing(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Resolves when the target has ended. May be asked more than once.
    fn target_ended(&self) -> impl Future<Output = ()> + Send;

    /// Resolves when the scenario's time is over, whatever it is at; never where it has no bound.
    fn time_over(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Resolves when the user interrupts. May be asked more than once.
    fn interrupted(&self) -> impl Future<Output = ()> + Send;
}

/// Whether a scenario goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// It does.
    On,
    /// Everything is decided.
    Decided,
    /// Another cycle would not end within its time.
    OutOfTime,
    /// All cycles that were planned are done, and those that may follow would not decide either.
    Spent,
}

/// Numbers that change while a scenario runs; anybody may read them at any time.
#[derive(Debug, Default)]
pub struct Counters {
    /// Operations completed and counted.
    pub operations: AtomicU64,
    /// Connections of ours that the target is known to hold.
    pub own_connections: OwnConnections,
    /// Answers that were not expected.
    pub unexpected: AtomicU64,
    /// Operations under way.
    pub in_flight: AtomicU64,
}

/// What a scenario needs to know of its surroundings.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Values for templates; the target's `port` is among the captures.
    pub fixed: Fixed,
    /// The run's seed. Texts and keys also depend on the scenario's name, so that two scenarios on one
    /// target do not repeat each other's keys.
    pub seed: u64,
    /// Hosts other than this machine that may be reached.
    pub allow_remote: Vec<String>,
    /// The launched target's standard input and output.
    pub stdio: Option<StdioChannel>,
    /// Where programs of command steps run.
    pub cwd: PathBuf,
    /// What starts and ends them.
    pub commands: Arc<Commands>,
}
