//! `tidewatch` watches any Linux process from outside, drives it with scripted load in cycles, and says
//! which subsystem kept what it was given, whether that growth is bounded, and what one operation costs.
//!
//! The way of the data is one direction:
//!
//! ```text
//! target --probe--> Sample --> Recording (a file) --> Growth --> Ledger --> Gate --> Report, exit code
//!    ^                 ^
//!    |                 | marks: phase, cycle, operations done
//! scenario engine -----+
//! ```
//!
//! Everything right of `Recording` works from the file alone. `session` is the one place where the live
//! parts meet. `docs/architecture.md` holds the invariants; a test holds who may use whom.

pub mod attribution;
pub mod cli;
pub mod demo;
pub mod exit;
pub mod gate;
pub mod growth;
pub mod input;
pub mod probe;
#[cfg(target_os = "linux")]
mod procfs;
pub mod recording;
pub mod redact;
pub mod report;
pub mod run_dir;
pub mod sample;
pub mod scenario;
pub mod session;
pub mod statistics;
pub mod target;
pub mod units;
