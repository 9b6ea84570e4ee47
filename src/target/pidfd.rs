//! A descriptor that means one process, whoever has its pid later.

use std::io::Error;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::stat::Stat;
use crate::sample::{How, Process};

/// What opening came to.
#[derive(Debug)]
pub(crate) enum Opened {
    Open(OwnedFd),
    /// The process has ended and was collected.
    Gone,
    /// The kernel has no pidfds (before Linux 5.3), or a sandbox forbids them.
    Unavailable,
}

/// Opens a process, and makes sure that it is the one that was meant: identity is read after opening, so
/// that a pid reused in between is noticed.
pub(crate) fn open(process: Process) -> Result<Opened, Error> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Ok(Opened::Gone) };
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) if is_still(process) => Ok(Opened::Open(fd)),
        Ok(_) | Err(Errno::SRCH) => Ok(Opened::Gone),
        Err(Errno::NOSYS | Errno::PERM) => Ok(Opened::Unavailable),
        Err(errno) => Err(errno.into()),
    }
}

fn is_still(process: Process) -> bool {
    Stat::read(Path::new("/proc"), process.pid).is_ok_and(|stat| stat.start == process.start)
}

/// Signals a process that we started. One that is gone, or whose pid is another's now, is left alone.
pub(crate) fn signal(process: Process, signal: Signal) -> Result<(), Errno> {
    let done = match open(process) {
        Ok(Opened::Open(fd)) => rustix::process::pidfd_send_signal(&fd, signal),
        Ok(Opened::Gone) => Ok(()),
        Ok(Opened::Unavailable) | Err(_) => match i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
            Some(pid) if is_still(process) => rustix::process::kill_process(pid, signal),
            _ => Ok(()),
        },
    };
    if done == Err(Errno::SRCH) { Ok(()) } else { done }
}

/// How a wait status says that a process ended, and whether it left a core dump.
pub(crate) fn from_wait_status(status: i32) -> (How, bool) {
    if libc::WIFSIGNALED(status) {
        (How::Signalled(libc::WTERMSIG(status)), libc::WCOREDUMP(status))
    } else {
        (How::Exited(libc::WEXITSTATUS(status)), false)
    }
}

/// The wait status of a collected process (Linux 6.15 and later), whoever its parent was.
pub(crate) fn exit_status(fd: impl AsFd) -> Option<i32> {
    // SAFETY: pidfd_info is a plain struct of numbers, for which all zeros is a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: the request carries the size of the struct that the pointer is to, and the kernel writes no
    // more than that.
    let done = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    (done == 0 && info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0).then_some(info.exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::identify;

    #[test]
    fn wait_statuses_are_taken_apart() {
        for (status, expected) in [
            (0, (How::Exited(0), false)),
            (3 << 8, (How::Exited(3), false)),
            (143 << 8, (How::Exited(143), false)),
            (9, (How::Signalled(9), false)),
            (11 | 0x80, (How::Signalled(11), true)),
        ] {
            assert_eq!(from_wait_status(status), expected);
        }
    }

    #[test]
    fn a_reused_pid_is_not_opened_and_not_signalled() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep");
        let process = identify(child.id()).expect("identity");
        let other = Process { start: process.start + 1, ..process };
        assert!(matches!(open(other).expect("opened"), Opened::Gone));
        signal(other, Signal::KILL).expect("left alone");
        assert!(child.try_wait().expect("wait").is_none());
        assert!(matches!(open(process).expect("opened"), Opened::Open(_)));
        signal(process, Signal::KILL).expect("ended");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().expect("wait")), Some(9));
        signal(process, Signal::KILL).expect("gone is fine");
    }
}
