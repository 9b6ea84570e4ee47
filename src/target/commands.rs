//! Programs that tidewatch runs beside the target: the commands of steps, started and ended through a guardian.

use std::io::{Error, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::pin::pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::Receiver;

use super::guardian::wire::{CommandEnd, CommandRequest, LINK_END, LINK_FORK};
use super::guardian::{COMMANDS, SUBCOMMAND};
use super::launch::GuardianProgram;
use super::{identify, pidfd};

/// How long the guardian may take to end what is left, its own grace included.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How long output is read after a program has ended: what it left behind may keep its output open for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(50);

/// Starts programs, and ends whatever they leave behind: at [`Commands::end`], when this is dropped, and when tidewatch
/// ends in any other way. The guardian is started with the first program.
#[derive(Debug)]
pub struct Commands {
    guardian: GuardianProgram,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    guardian: Child,
    link: UnixStream,
    /// Step guardians that wait for a command.
    idle: Vec<tokio::net::UnixStream>,
}

impl Commands {
    /// Commands whose guardian is this program. Nothing is started yet.
    pub fn new(guardian: GuardianProgram) -> Self {
        Self { guardian, running: Mutex::default() }
    }

    /// Runs a program to its end in a folder, with the environment of tidewatch and without input. The first bytes of its
    /// output are kept; the rest is read and thrown away, so that the program never blocks on it. Dropped midway, it ends
    /// the program and all its descendants.
    pub async fn run(&self, argv: Vec<String>, cwd: &Path, output: &mut FirstBytes) -> Result<ExitStatus, Error> {
        let text = serde_json::to_vec(&CommandRequest { argv, cwd: cwd.to_owned() })?;
        let length = u32::try_from(text.len()).map_err(|_| Error::from_raw_os_error(libc::E2BIG))?;
        let (stdout, to_stdout) = std::io::pipe()?;
        let (stderr, to_stderr) = std::io::pipe()?;
        let mut guardian = self.step_guardian()?;
        pass(&guardian, &length.to_le_bytes(), &[to_stdout.as_fd(), to_stderr.as_fd()])?;
        drop((to_stdout, to_stderr));
        let (stdout, stderr) = (Receiver::from_owned_fd(stdout.into())?, Receiver::from_owned_fd(stderr.into())?);
        let FirstBytes { most, out, err } = output;
        let mut reading = pin!(async { tokio::join!(read_start(stdout, out, *most), read_start(stderr, err, *most)) });
        let end = {
            let mut ended = pin!(end_of(&mut guardian, &text));
            tokio::select! {
                biased;
                _ = &mut reading => ended.await,
                end = &mut ended => {
                    let _ = tokio::time::timeout(LAST_OUTPUT, reading).await;
                    end
                }
            }
        };
        match end {
            Ok(CommandEnd::EndedAlone(status)) => {
                self.keep(guardian);
                Ok(ExitStatus::from_raw(status))
            }
            Ok(CommandEnd::Ended(status)) => Ok(ExitStatus::from_raw(status)),
            Ok(CommandEnd::NotStarted(errno)) => Err(Error::from_raw_os_error(errno)),
            Err(error) => Err(Error::new(ErrorKind::BrokenPipe, format!("its guardian is gone: {error}"))),
        }
    }

    /// A step guardian that waits for a command: one that did so before, or a new one.
    fn step_guardian(&self) -> Result<tokio::net::UnixStream, Error> {
        let mut running = self.lock();
        if running.is_none() {
            *running = Some(start_guardian(&self.guardian)?);
        }
        let Some(running) = &mut *running else { return Err(ErrorKind::NotFound.into()) };
        if let Some(idle) = running.idle.pop() {
            return Ok(idle);
        }
        let (ours, theirs) = UnixStream::pair()?;
        pass(&running.link, &[LINK_FORK], &[theirs.as_fd()])?;
        ours.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(ours)
    }

    fn keep(&self, guardian: tokio::net::UnixStream) {
        if let Some(running) = &mut *self.lock() {
            running.idle.push(guardian);
        }
    }

    /// Ends what commands have left in the background: SIGTERM, a short grace, SIGKILL. Returns when it is gone; it
    /// blocks, so async code calls it where blocking is fine. A later command starts a new guardian.
    pub fn end(&self) {
        let Some(running) = self.lock().take() else { return };
        let Running { mut guardian, link, idle } = running;
        drop(idle);
        let identity = identify(guardian.id());
        // A guardian that does not listen has ended, or is about to.
        let asked = std::io::Write::write_all(&mut &link, &[LINK_END]);
        let deadline = Instant::now() + END_WITHIN;
        let mut pause = Duration::from_micros(200);
        while asked.is_ok() && Instant::now() < deadline && matches!(guardian.try_wait(), Ok(None)) {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        if let (Ok(None), Ok(identity)) = (guardian.try_wait(), identity) {
            let _ = pidfd::signal(identity, rustix::process::Signal::KILL);
        }
        drop(link);
        // It has ended, or cannot be waited for, which changes nothing.
        let _ = guardian.wait();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first bytes of what a program writes.
#[derive(Debug, Default)]
pub struct FirstBytes {
    /// How many of each stream are kept.
    pub most: usize,
    /// Of standard output.
    pub out: Vec<u8>,
    /// Of standard error.
    pub err: Vec<u8>,
}

impl Drop for Commands {
    fn drop(&mut self) {
        self.end();
    }
}

fn start_guardian(program: &GuardianProgram) -> Result<Running, Error> {
    let (link, theirs) = UnixStream::pair()?;
    let mut command = match program {
        // The file that runs, even when another has taken its name since.
        GuardianProgram::ThisProgram => Command::new("/proc/self/exe"),
        GuardianProgram::At(path) => Command::new(path),
    };
    let identity = identify(std::process::id()).map_err(Error::other)?;
    command.arg0("tidewatch").arg(SUBCOMMAND).arg(identity.to_string()).arg(COMMANDS);
    #[cfg(test)]
    tests::serve_in_this_test_program(&mut command, identity);
    let guardian = command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
    Ok(Running { guardian, link, idle: Vec::new() })
}

/// Sends a few bytes together with descriptors.
fn pass(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(fds));
    let sent = sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    if sent == bytes.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
}

async fn end_of(guardian: &mut tokio::net::UnixStream, request: &[u8]) -> Result<CommandEnd, Error> {
    let mut answer = [0; CommandEnd::BYTES];
    guardian.write_all(request).await?;
    guardian.read_exact(&mut answer).await?;
    Ok(CommandEnd::from_bytes(answer))
}

async fn read_start(mut pipe: impl AsyncRead + Unpin, kept: &mut Vec<u8>, most: usize) {
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut piece).await {
        let room = most.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&piece[..room]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Process;

    /// Set for the copy of this test program that is a guardian: the identity of its parent.
    const PARENT: &str = "TIDEWATCH_TEST_COMMANDS_PARENT";

    /// The program under test has no `main` of tidewatch's: a copy of it runs the guardian as a test.
    pub(super) fn serve_in_this_test_program(command: &mut Command, parent: Process) {
        *command = Command::new("/proc/self/exe");
        command.args(["--exact", "target::commands::tests::guardian_for_other_tests", "--nocapture"]);
        command.env(PARENT, parent.to_string());
    }

    #[test]
    fn guardian_for_other_tests() {
        let Ok(parent) = std::env::var(PARENT) else { return };
        super::super::guardian::main([parent.into(), COMMANDS.into()]);
    }
}
