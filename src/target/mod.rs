//! The process under watch: who it is, how it is found or started, and how it ended.
//!
//! A process is (pid, start time); a pid alone is never trusted. What tidewatch did not start it never
//! signals. What it starts, it starts through a guardian (a hidden subcommand of the same program) that
//! ends the whole family, whatever way tidewatch itself ends.
//!
//! Nothing here measures growth: memory, descriptors and tasks are read by the probes.

mod diagnose;
mod end;
mod error;
mod find;
pub mod guardian;
mod identity;
mod launch;
mod limits;
mod ready;
mod select;
mod signals;
mod text;
mod watch;

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod commands;
#[cfg(target_os = "linux")]
mod kernel_log;
#[cfg(target_os = "linux")]
mod launched;
#[cfg(target_os = "linux")]
mod listening;
#[cfg(target_os = "linux")]
mod pidfd;
#[cfg(target_os = "linux")]
mod stat;

#[cfg(not(target_os = "linux"))]
mod elsewhere;

pub mod oom;

#[cfg(target_os = "linux")]
pub use commands::{Commands, FirstBytes};
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Commands, FirstBytes, Launched, launch};
#[cfg(target_os = "linux")]
pub use launched::{Launched, launch};

pub use diagnose::{EndContext, describe, diagnose};
pub use end::EndWatch;
pub use error::{Blame, TargetError};
pub use find::{Many, Selector, find};
pub use identity::{command_line, command_name, identify, is_same};
pub use launch::{Background, GuardianProgram, LaunchSpec, Logs, StdinMode, Stream};
pub use limits::limits;
#[cfg(target_os = "linux")]
pub use listening::listening_ports;
pub use oom::{OomReport, OomWatch};
pub use ready::wait_for_line;
pub use select::Found;
pub use signals::signal_name;
pub use watch::Watched;
