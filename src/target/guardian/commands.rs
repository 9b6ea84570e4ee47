//! The guardian of commands: starts a program for each request, and ends whatever is left when tidewatch ends.
//!
//! ```text
//! tidewatch --link: a socket--> guardian of commands --fork--> step guardian --> program and its children
//!           --------------- socket: requests, and how the programs ended ------------+
//! ```
//!
//! - The guardian of commands only forks, and is a child subreaper. Each copy, a step guardian, reads from its socket
//!   what to run, one program after the other: a fork for each would cost as much as the program's own start.
//! - A step guardian is a child subreaper too. When tidewatch closes its socket, it ends the program and all its
//!   descendants, those in sessions of their own included. When the program ends by itself and left something in the
//!   background, the step guardian ends: what is left goes to the guardian of commands, which ends it when the link is
//!   closed.

use std::io::{Error, ErrorKind, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::wire::{CommandEnd, CommandRequest, LINK_FORK};
use super::{family, keeper, spawn};
use crate::sample::Process;

/// How often ended processes are collected while nothing is asked.
const COLLECT_EVERY: Duration = Duration::from_millis(100);
/// How often a step guardian looks where the kernel has no pidfds.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What is left in the background gets this long between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// The kernel itself refuses longer argument lists.
const MOST_REQUEST_BYTES: u32 = 8 * 1024 * 1024;

/// Runs the guardian of commands for tidewatch, which is `parent`, until the link on standard input is closed.
pub(super) fn run(parent: Process) -> Result<(), Error> {
    let link = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    spawn::let_go_of(spawn::Standard::Input)?;
    keeper::settle()?;
    let Some(parent) = keeper::watch_parent(parent)? else { return Ok(()) };
    let how = serve(link, parent);
    if how == Closing::Asked {
        family::ask_all_to_end(Instant::now() + GRACE);
    }
    family::kill_all();
    Ok(())
}

/// How the link was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// tidewatch asked for the end.
    Asked,
    /// tidewatch is gone.
    Gone,
}

fn serve(link: UnixStream, parent: Option<OwnedFd>) -> Closing {
    loop {
        let (asked, gone) = {
            let mut fds = vec![PollFd::new(&link, PollFlags::IN)];
            fds.extend(parent.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
            if poll(&mut fds, Some(&timespec(COLLECT_EVERY))).is_err() {
                continue;
            }
            (!fds[0].revents().is_empty(), fds.get(1).is_some_and(|fd| !fd.revents().is_empty()))
        };
        if gone {
            return Closing::Gone;
        }
        if asked {
            let mut byte = [0; 1];
            match receive(&link, &mut byte) {
                Ok((0, _)) | Err(_) => return Closing::Gone,
                Ok((_, fds)) if byte == [LINK_FORK] => {
                    // Descriptors are lost when too many are open: the asker then sees its socket closed.
                    let Some(socket) = fds.into_iter().next() else { continue };
                    // SAFETY: this process has one thread, so the copy may do whatever it could have done.
                    if unsafe { libc::fork() } == 0 {
                        drop((link, parent));
                        serve_steps(UnixStream::from(socket));
                        // SAFETY: ends the copy at once; nothing of the original is run at its end.
                        unsafe { libc::_exit(0) };
                    }
                }
                Ok(_) => return Closing::Asked,
            }
        }
        family::collect_all();
    }
}

/// Receives bytes and the descriptors that come with them: how many bytes, none at the end.
fn receive(socket: &UnixStream, bytes: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Error> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(bytes)];
    let received = retry_on_intr(|| recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC))?;
    let mut passed = Vec::with_capacity(2);
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            passed.extend(fds);
        }
    }
    Ok((received.bytes, passed))
}

/// The life of a step guardian: one program after the other.
fn serve_steps(mut socket: UnixStream) {
    keeper::reset_signals();
    if rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_err() {
        return;
    }
    while let Some((request, [stdout, stderr])) = read_request(&mut socket) {
        let end = match start(&request, stdout, stderr) {
            Err(error) => CommandEnd::NotStarted(error.raw_os_error().unwrap_or(libc::EINVAL)),
            Ok(pid) => match wait(pid, &socket) {
                Some(status) if family::collect_all() => CommandEnd::Ended(status),
                Some(status) => CommandEnd::EndedAlone(status),
                None => return family::kill_all(),
            },
        };
        // When nobody reads it any more, nobody needs it.
        if socket.write_all(&end.to_bytes()).is_err() || !matches!(end, CommandEnd::EndedAlone(_)) {
            return;
        }
    }
}

/// The next request, with the output of its program; `None` when there is none any more.
fn read_request(socket: &mut UnixStream) -> Option<(CommandRequest, [OwnedFd; 2])> {
    let mut length = [0; 4];
    let (count, fds) = receive(socket, &mut length).ok()?;
    let output = <[OwnedFd; 2]>::try_from(fds).ok()?;
    let length = u32::from_le_bytes(length);
    if count < 4 || length > MOST_REQUEST_BYTES {
        return None;
    }
    let mut text = vec![0; length as usize];
    socket.read_exact(&mut text).ok()?;
    Some((serde_json::from_slice(&text).ok()?, output))
}

fn start(request: &CommandRequest, stdout: OwnedFd, stderr: OwnedFd) -> Result<u32, Error> {
    let [program, arguments @ ..] = request.argv.as_slice() else { return Err(ErrorKind::InvalidInput.into()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&request.cwd);
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
    Ok(command.spawn()?.id())
}

/// The wait status of the program; `None` when tidewatch does not want it any more.
fn wait(pid: u32, socket: &UnixStream) -> Option<i32> {
    // Our own uncollected child: its pid is its own. Without pidfds it is asked for again and again.
    let ended =
        i32::try_from(pid).ok().and_then(Pid::from_raw).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let pause = if ended.is_some() { COLLECT_EVERY } else { LOOK_EVERY };
    loop {
        if let Some(status) = family::collect_until(pid) {
            return Some(status);
        }
        let mut fds = vec![PollFd::new(socket, PollFlags::IN)];
        fds.extend(ended.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        if poll(&mut fds, Some(&timespec(pause))).is_ok() && !fds[0].revents().is_empty() {
            return None;
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: i64::from(duration.subsec_nanos()) }
}
