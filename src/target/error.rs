//! Why a target could not be found, started, reached or kept.

use std::path::PathBuf;
use std::time::Duration;

use super::launch::Stream;
use super::select::Found;
use super::text::plain;
use crate::sample::Process;

/// What has to be changed for it to work: decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The words of the user: nothing was started.
    CommandLine,
    /// The target, or the machine that it is on.
    Target,
}

/// Why a target could not be found, started, reached or kept.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The pid is not in use.
    #[error("no process has pid {pid}: it may have ended; `ps -e` lists what runs")]
    NoSuchPid {
        /// The pid.
        pid: u32,
    },
    /// No process fits the name.
    #[error("no process is named `{}`, and no command line holds that text; `ps -e` lists what runs", plain(.name, 80))]
    NoSuchName {
        /// The name.
        name: String,
    },
    /// The name is no name.
    #[error("an empty name fits every process; give a pid or a name")]
    EmptyName,
    /// Several processes fit the name.
    #[error("`{}` fits {} processes:\n{}give one pid, or --all to watch all of them", plain(.name, 80), .found.len(), listing(.found))]
    Several {
        /// The name.
        name: String,
        /// What it fits.
        found: Vec<Found>,
    },
    /// No process is in such a container.
    #[error(
        "no running process is in a container whose id begins with `{}`; give the id that the runtime lists (a name is not in the kernel's view): `docker ps`, `podman ps` or `crictl ps`",
        plain(.id, 80)
    )]
    NoSuchContainer {
        /// What was asked for.
        id: String,
    },
    /// Several containers fit the id.
    #[error("`{}` fits {} containers: {}; give more of the id", plain(.id, 80), .found.len(), plain(&.found.join(", "), 400))]
    SeveralContainers {
        /// What was asked for.
        id: String,
        /// Their ids.
        found: Vec<String>,
    },
    /// No process is in such a unit.
    #[error("no running process is in the systemd unit `{}`; `systemctl status` lists units and their processes", plain(.unit, 80))]
    NoSuchUnit {
        /// What was asked for.
        unit: String,
    },
    /// The process that was meant has ended; another may have its pid.
    #[error("process {process} (pid@start) has ended; another process may have its pid by now, and it is not joined")]
    Gone {
        /// The process.
        process: Process,
    },
    /// Something of the kernel's view could not be read.
    #[error("cannot read {}: {source}; run as the same user as the target or as root", .path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// There is nothing to start.
    #[error("the launch command is empty; give a program and its arguments")]
    EmptyCommand,
    /// The program could not be started.
    #[error("cannot start `{}`: {reason}", plain(.program, 200))]
    CannotStart {
        /// The program as given.
        program: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// The folder to start it in is not there.
    #[error("cannot start the target in {}: {source}; create the folder or correct `cwd`", .path.display())]
    WorkingDirectory {
        /// The folder.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The files for its output could not be opened.
    #[error("cannot open {} for the target's output: {source}; choose another folder with --out", .path.display())]
    Logs {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The guardian could not do its work.
    #[error("the guardian process that keeps the target could not work: {reason}")]
    Guardian {
        /// What happened.
        reason: String,
    },
    /// It did not say that it was ready in time.
    #[error("the ready pattern `{pattern}` was not seen on {stream} within {}; {tail}", crate::units::show_duration(*.within))]
    NotReady {
        /// The pattern as written.
        pattern: String,
        /// Where it was looked for.
        stream: Stream,
        /// For how long.
        within: Duration,
        /// Its last lines.
        tail: String,
    },
    /// It ended before it said that it was ready.
    #[error("the target ended before it was ready: {how}; {tail}")]
    EndedBeforeReady {
        /// How.
        how: String,
        /// Its last lines.
        tail: String,
    },
    /// This system does not offer what is needed.
    #[error("{what} is not supported on this system; it works on Linux")]
    Unsupported {
        /// What is not supported.
        what: &'static str,
    },
}

impl TargetError {
    /// What has to be changed for it to work.
    pub fn blame(&self) -> Blame {
        match self {
            Self::EmptyName | Self::Several { .. } | Self::SeveralContainers { .. } | Self::EmptyCommand => {
                Blame::CommandLine
            }
            _ => Blame::Target,
        }
    }
}

const MOST_LISTED: usize = 20;

fn listing(found: &[Found]) -> String {
    let mut lines: String = found.iter().take(MOST_LISTED).map(|one| format!("  {one}\n")).collect();
    if found.len() > MOST_LISTED {
        lines.push_str(&format!("  and {} more\n", found.len() - MOST_LISTED));
    }
    lines
}
