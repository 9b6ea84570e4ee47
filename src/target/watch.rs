//! A process that we did not start, watched until it ends. It is never signalled.

use std::time::Duration;

use super::{EndContext, EndWatch, OomWatch, TargetError, diagnose, is_same, limits};
use crate::sample::{Ending, How, Process};

/// Its status when nobody tells us.
const NOT_OURS: &str = "exit status unknown: not our child";
/// How often identity is asked for where the kernel cannot tell us of the end.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// A running process that we watch. Letting go of it does nothing to it.
#[derive(Debug)]
pub struct Watched {
    process: Process,
    end: EndWatch,
    /// Closed when we let go: the thread that waits goes away.
    _release: release::Release,
}

impl Watched {
    /// Joins a running process, if it is still the one that was meant.
    pub fn attach(process: Process) -> Result<Self, TargetError> {
        let waiter = waiting::Waiter::new(process)?;
        if !is_same(process) {
            return Err(TargetError::Gone { process });
        }
        let (release, released) = release::pair().map_err(|error| cannot_watch(&error))?;
        let (sender, end) = EndWatch::pair();
        let mut oom = OomWatch::before(process);
        let memory_limit_bytes = limits(process).get("memory").copied();
        std::thread::Builder::new()
            .name(format!("end of {}", process.pid))
            .spawn(move || {
                let Some(seen) = waiter.wait(&released) else { return };
                let context = EndContext {
                    core_dumped: seen.core_dumped,
                    oom: Some(oom.after()),
                    memory_limit_bytes,
                    notes: seen.notes,
                    ..EndContext::default()
                };
                sender.send_replace(Some(diagnose(seen.how, false, &context)));
            })
            .map_err(|error| cannot_watch(&error))?;
        Ok(Self { process, end, _release: release })
    }

    /// The process.
    pub fn process(&self) -> Process {
        self.process
    }

    /// A handle on its end, to be passed on.
    pub fn end(&self) -> EndWatch {
        self.end.clone()
    }

    /// How it ended, once it has.
    pub fn ending(&self) -> Option<Ending> {
        self.end.ending()
    }

    /// Waits for its end.
    pub async fn wait_ended(&self) -> Ending {
        self.end.wait().await
    }
}

fn cannot_watch(error: &std::io::Error) -> TargetError {
    TargetError::Guardian { reason: format!("no thread could be started to wait for the target's end: {error}") }
}

/// What was seen of an end.
struct Seen {
    how: How,
    core_dumped: bool,
    notes: Vec<String>,
}

impl Seen {
    fn unknown() -> Self {
        Self { how: How::Unknown, core_dumped: false, notes: vec![NOT_OURS.to_owned()] }
    }
}

/// Asks again and again whether the process is still itself; `None` when we let go first.
fn ask_until_gone(process: Process, is_released: impl Fn(Duration) -> bool) -> Option<Seen> {
    while is_same(process) {
        if is_released(ASK_EVERY) {
            return None;
        }
    }
    Some(Seen::unknown())
}

#[cfg(target_os = "linux")]
mod release {
    //! A pipe whose end means that nobody waits any more.

    use std::io::{PipeReader, PipeWriter};

    pub(super) type Release = PipeWriter;
    pub(super) type Released = PipeReader;

    pub(super) fn pair() -> std::io::Result<(Release, Released)> {
        std::io::pipe().map(|(reader, writer)| (writer, reader))
    }
}

#[cfg(not(target_os = "linux"))]
mod release {
    //! A channel whose end means that nobody waits any more.

    use std::sync::mpsc;

    pub(super) type Release = mpsc::Sender<()>;
    pub(super) type Released = mpsc::Receiver<()>;

    pub(super) fn pair() -> std::io::Result<(Release, Released)> {
        Ok(mpsc::channel())
    }
}

#[cfg(not(target_os = "linux"))]
mod waiting {
    use std::sync::mpsc::RecvTimeoutError;

    use super::release::Released;
    use super::{Process, Seen, TargetError, ask_until_gone};

    pub(super) struct Waiter(Process);

    impl Waiter {
        pub(super) fn new(process: Process) -> Result<Self, TargetError> {
            Ok(Self(process))
        }

        pub(super) fn wait(&self, released: &Released) -> Option<Seen> {
            ask_until_gone(self.0, |for_so_long| released.recv_timeout(for_so_long) != Err(RecvTimeoutError::Timeout))
        }
    }
}

#[cfg(target_os = "linux")]
mod waiting {
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::Path;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::super::pidfd::{self, Opened};
    use super::super::stat::Stat;
    use super::release::Released;
    use super::{How, Process, Seen, TargetError, ask_until_gone};

    /// How long a zombie may wait for its parent before we call its end an end.
    const COLLECTED_WITHIN: Duration = Duration::from_secs(2);

    pub(super) struct Waiter {
        process: Process,
        /// `None` where the kernel has no pidfds.
        fd: Option<OwnedFd>,
    }

    impl Waiter {
        pub(super) fn new(process: Process) -> Result<Self, TargetError> {
            match pidfd::open(process) {
                Ok(Opened::Open(fd)) => Ok(Self { process, fd: Some(fd) }),
                Ok(Opened::Gone) => Err(TargetError::Gone { process }),
                // Asking again and again does not need a descriptor.
                Ok(Opened::Unavailable) | Err(_) => Ok(Self { process, fd: None }),
            }
        }

        pub(super) fn wait(&self, released: &Released) -> Option<Seen> {
            let Some(fd) = &self.fd else {
                return ask_until_gone(self.process, |for_so_long| is_released(released, for_so_long));
            };
            loop {
                let mut fds = [PollFd::new(fd, PollFlags::IN), PollFd::new(released, PollFlags::IN)];
                if poll(&mut fds, None).is_err() {
                    continue;
                }
                if !fds[1].revents().is_empty() {
                    return None;
                }
                if !fds[0].revents().is_empty() {
                    return self.learn(fd, released);
                }
            }
        }

        /// It has ended. The kernel tells its status once its parent has collected it; a zombie shows it too.
        fn learn(&self, fd: &OwnedFd, released: &Released) -> Option<Seen> {
            let begin = Instant::now();
            let mut as_zombie = None;
            while begin.elapsed() < COLLECTED_WITHIN {
                if let Some(status) = pidfd::exit_status(fd.as_fd()) {
                    return Some(seen(status));
                }
                match self.zombie_status() {
                    Zombie::Shows(status) => as_zombie = Some(status),
                    Zombie::Hides => {}
                    // Collected, and the kernel is older than its habit of telling.
                    Zombie::Gone => {
                        return Some(pidfd::exit_status(fd.as_fd()).or(as_zombie).map_or_else(Seen::unknown, seen));
                    }
                }
                if is_released(released, Duration::from_millis(2)) {
                    return None;
                }
            }
            let mut seen = as_zombie.map_or_else(Seen::unknown, seen);
            seen.notes.push("It is a zombie: its parent has not collected it.".to_owned());
            Some(seen)
        }

        fn zombie_status(&self) -> Zombie {
            match Stat::read(Path::new("/proc"), self.process.pid) {
                Ok(stat) if stat.start != self.process.start => Zombie::Gone,
                Err(_) => Zombie::Gone,
                Ok(stat) => match stat.exit_code {
                    // Zero is also what the kernel shows to those who may not know.
                    Some(code) if stat.is_over() && (code != 0 || self.may_know()) => Zombie::Shows(code),
                    _ => Zombie::Hides,
                },
            }
        }

        fn may_know(&self) -> bool {
            use std::os::unix::fs::MetadataExt;
            let us = rustix::process::geteuid();
            let owner = std::fs::metadata(format!("/proc/{}", self.process.pid)).map(|folder| folder.uid());
            us.is_root() || owner.is_ok_and(|owner| owner == us.as_raw())
        }
    }

    /// What an ended process shows of its status.
    enum Zombie {
        Shows(i32),
        Hides,
        Gone,
    }

    fn seen(status: i32) -> Seen {
        let (how, core_dumped) = pidfd::from_wait_status(status);
        debug_assert!(how != How::Unknown);
        Seen { how, core_dumped, notes: Vec::new() }
    }

    fn is_released(released: &Released, for_so_long: Duration) -> bool {
        let timeout = Timespec { tv_sec: for_so_long.as_secs() as i64, tv_nsec: i64::from(for_so_long.subsec_nanos()) };
        let mut fds = [PollFd::new(released, PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).is_ok_and(|count| count > 0)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::target::identify;

    /// A child that ends with `ending` as soon as its standard input is closed.
    fn child(ending: &str) -> (Child, Process) {
        let script = format!("read x; {ending}");
        let child = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().expect("sh");
        let process = identify(child.id()).expect("identity");
        (child, process)
    }

    fn soon<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), future).await.expect("in time") })
    }

    #[test]
    fn the_status_of_a_collected_process_is_known() {
        for (ending, how) in [
            ("exit 7", How::Exited(7)),
            ("exit 0", How::Exited(0)),
            ("kill -9 $$", How::Signalled(9)),
            ("kill -15 $$", How::Signalled(15)),
        ] {
            let (mut child, process) = child(ending);
            let watched = Watched::attach(process).expect("attached");
            assert_eq!(watched.ending(), None);
            drop(child.stdin.take());
            child.wait().expect("collected");
            let seen = soon(watched.wait_ended());
            assert_eq!((seen.how, seen.expected), (how, false), "{seen:?}");
        }
    }

    #[test]
    fn a_grandchild_that_is_not_ours_tells_its_status_too() {
        // The shell in between collects it; we are not its parent.
        let script = "sh -c 'read x; exit 9' <&3 & echo $!; wait $!; read y";
        let mut outer = Command::new("sh")
            .args(["-c", &format!("exec 3<&0; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut line = String::new();
        let mut output = std::io::BufReader::new(outer.stdout.take().expect("stdout"));
        std::io::BufRead::read_line(&mut output, &mut line).expect("pid");
        let inner = identify(line.trim().parse().expect("pid")).expect("identity");
        let watched = Watched::attach(inner).expect("attached");
        drop(outer.stdin.take());
        assert_eq!(soon(watched.wait_ended()).how, How::Exited(9));
        outer.wait().expect("collected");
    }

    #[test]
    fn a_zombie_that_nobody_collects_has_ended() {
        let (mut child, process) = child("exit 5");
        let watched = Watched::attach(process).expect("attached");
        drop(child.stdin.take());
        let seen = soon(watched.wait_ended());
        assert_eq!(seen.how, How::Exited(5));
        assert!(seen.evidence.iter().any(|sentence| sentence.contains("zombie")), "{seen:?}");
        assert_eq!(child.wait().expect("still ours to collect").code(), Some(5));
    }

    #[test]
    fn a_reused_pid_is_not_joined() {
        let (mut child, process) = child("exit 0");
        let other = Process { start: process.start + 1, ..process };
        assert!(matches!(Watched::attach(other), Err(TargetError::Gone { process }) if process == other));
        drop(child.stdin.take());
        child.wait().expect("collected");
        assert!(matches!(Watched::attach(process), Err(TargetError::Gone { .. })));
    }

    #[test]
    fn letting_go_leaves_the_process_alone() {
        let (mut child, process) = child("exit 3");
        let watched = Watched::attach(process).expect("attached");
        let end = watched.end();
        drop(watched);
        // The waiting thread has gone away without a verdict.
        assert_eq!(soon(end.wait()).how, How::Unknown);
        assert!(child.try_wait().expect("wait").is_none());
        drop(child.stdin.take());
        assert_eq!(child.wait().expect("wait").code(), Some(3));
    }

    #[test]
    fn without_pidfds_the_end_is_seen_by_asking() {
        let (mut child, process) = child("exit 3");
        let (mut release, released) = release::pair().expect("pipe");
        let waiting = std::thread::spawn(move || ask_until_gone(process, |_| is_closed(&released)));
        drop(child.stdin.take());
        child.wait().expect("collected");
        let seen = waiting.join().expect("thread").expect("seen");
        assert_eq!((seen.how, seen.notes.as_slice()), (How::Unknown, [NOT_OURS.to_owned()].as_slice()));
        drop(std::io::Write::write(&mut release, b"."));
    }

    fn is_closed(_: &release::Released) -> bool {
        std::thread::yield_now();
        false
    }
}
