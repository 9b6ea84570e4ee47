//! Starting the target from the guardian.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::super::stat::Stat;
use super::wire::{Failure, Start};
use crate::sample::Process;

/// Starts the target in a process group of its own. Its standard input is the guardian's; the guardian lets
/// go of that, so that the target alone decides when the pipe is closed.
pub(super) fn spawn(start: &Start) -> Result<Process, Failure> {
    let [program, arguments @ ..] = start.argv.as_slice() else {
        return Err(Failure::Program("the command is empty".to_owned()));
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(start.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::inherit())
        .stdout(inherited(start.stdout)?)
        .stderr(inherited(start.stderr)?)
        .process_group(0);
    if let Some(cwd) = &start.cwd {
        command.current_dir(cwd);
    }
    let guardian = rustix::process::getpid();
    // SAFETY: the closure runs between fork and exec and calls async-signal-safe functions only; it
    // neither allocates nor locks.
    unsafe { command.pre_exec(move || become_target(guardian)) };
    let child = command.spawn().map_err(|error| Failure::Program(reason(program, start.cwd.as_deref(), &error)))?;
    let_go_of(Standard::Input).map_err(guardian_failed)?;
    // Not collected yet, so its pid is its own and the file is there even if it has ended already.
    let stat = Stat::read(Path::new("/proc"), child.id()).map_err(guardian_failed)?;
    Ok(Process { pid: child.id(), start: stat.start })
}

/// A standard descriptor of the guardian.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standard {
    Input,
    Output,
}

/// Puts nothing in the place of a standard descriptor, so that what it was can be closed by others.
pub(super) fn let_go_of(standard: Standard) -> Result<(), Error> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let number = match standard {
        Standard::Input => libc::STDIN_FILENO,
        Standard::Output => libc::STDOUT_FILENO,
    };
    // SAFETY: the descriptor is one that nothing in this process owns, and stays open as another file.
    let done = unsafe { libc::dup2(null.as_raw_fd(), number) };
    if done < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

fn guardian_failed(error: Error) -> Failure {
    Failure::Guardian(error.to_string())
}

/// Takes over a descriptor that tidewatch left open for us; the target has it as a standard one alone.
fn inherited(number: RawFd) -> Result<OwnedFd, Failure> {
    // SAFETY: fcntl on a number takes and gives numbers alone.
    if number <= libc::STDERR_FILENO || unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(Failure::Guardian(format!("descriptor {number} for the target's output is not open")));
    }
    // SAFETY: it is open, and nothing else in this process owns it: it came over exec.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Between fork and exec: dies with the guardian, and has ordinary signals.
fn become_target(guardian: rustix::process::Pid) -> Result<(), Error> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(guardian) {
        return Err(Error::from_raw_os_error(libc::ESRCH));
    }
    super::keeper::reset_signals();
    Ok(())
}

/// What went wrong, and what to do.
fn reason(program: &str, cwd: Option<&Path>, error: &Error) -> String {
    let path = cwd.map_or_else(|| Path::new(program).to_owned(), |cwd| cwd.join(program));
    let is_path = program.contains('/');
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) if is_path && path.exists() => {
            "the file is there, but the interpreter that it names is not (its #! line, or the dynamic loader of \
             another system); install that, or build it for this system"
                .to_owned()
        }
        (ErrorKind::NotFound, _) if is_path => {
            format!("there is no file {}; build it first, or correct the path", path.display())
        }
        (ErrorKind::NotFound, _) => {
            "command not found in PATH; install it, or give its path (one with a slash)".to_owned()
        }
        (ErrorKind::PermissionDenied, _) if path.is_dir() => "it is a folder, not a program".to_owned(),
        (ErrorKind::PermissionDenied, _) => {
            format!("permission denied; is it executable? (chmod +x {program})")
        }
        (_, Some(libc::ENOEXEC)) => {
            "it is not a program that this system can run; a script needs a #! line, a binary has to be built for \
             this processor"
                .to_owned()
        }
        (_, Some(libc::E2BIG)) => "arguments and environment together are too long".to_owned(),
        _ => error.to_string(),
    }
}
