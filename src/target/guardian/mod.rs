//! The guardian: a small process between tidewatch and a target, so that nothing that was launched outlives
//! tidewatch, whatever way tidewatch ends.
//!
//! ```text
//! tidewatch --socket: order, stop--> guardian --PDEATHSIG--> target --> its children, setsid ones too
//!           <--started, orphan, ended--      ^                              |
//!                                            +---- child subreaper: orphans come here
//! ```
//!
//! - It is told what to start over a socket that the target never inherits. The end of that socket, or of
//!   tidewatch itself (a pidfd), means SIGKILL for the whole family at once.
//! - It waits for known pids only while the target runs: a zombie whose parent lives is evidence and stays.
//! - It signals nothing but its own descendants, each through a pidfd whose start time was checked.
//!
//! Programs that tidewatch runs beside the target (command steps) have a guardian of their own: see `commands`.

#[cfg(target_os = "linux")]
mod commands;
#[cfg(target_os = "linux")]
mod family;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod spawn;
#[cfg(target_os = "linux")]
pub(crate) mod wire;

use std::ffi::OsString;
use std::process::ExitCode;

/// The hidden subcommand that starts a guardian.
pub const SUBCOMMAND: &str = "__guardian";

/// The word after the parent's identity that makes it a guardian of commands.
pub(crate) const COMMANDS: &str = "commands";

/// Runs a guardian to its end. `arguments` are those after [`SUBCOMMAND`].
///
/// To be called early, on the main thread of a program that has started no other.
#[cfg(target_os = "linux")]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut words = arguments.into_iter();
    let parent = words.next().and_then(|word| word.to_str()?.parse().ok());
    let guardian = if words.next().is_some_and(|word| word == COMMANDS) { commands::run } else { keeper::run };
    match parent.map(guardian) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::from(3),
    }
}

/// There is no guardian on this system.
#[cfg(not(target_os = "linux"))]
pub fn main(_: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(3)
}
