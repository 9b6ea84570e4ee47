//! A target that we started, through its guardian.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::guardian::SUBCOMMAND;
use super::guardian::wire::{Failure, Order, Report, Start};
use super::launch::{Background, GuardianProgram, LaunchSpec, Logs, StdinMode, Stream};
use super::{EndContext, EndWatch, OomWatch, TargetError, diagnose, identify, limits, pidfd, ready};
use crate::sample::{Ending, How, Process};

/// How long the guardian may take to start the target.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How long the guardian may take beyond the grace before it is ended itself.
const BEYOND_GRACE: Duration = Duration::from_secs(10);
/// Grace of a target whose owner just lets it go.
const DROP_GRACE: Duration = Duration::from_millis(500);
/// Most orphans that are remembered one by one.
const MOST_ORPHANS: usize = 10_000;

/// A target that we started. Letting it go ends it, and everything that it started.
#[derive(Debug)]
pub struct Launched {
    root: Process,
    guardian: Process,
    logs: Logs,
    stdin: Option<ChildStdin>,
    orders: UnixStream,
    end: EndWatch,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    orphans: Mutex<Vec<Orphan>>,
    /// Who is the target since the launched process put itself into the background.
    background: tokio::sync::watch::Sender<Option<Vec<(Process, String)>>>,
    /// Whether the guardian has ended and was collected.
    over: Mutex<bool>,
    over_now: Condvar,
}

#[derive(Debug)]
struct Orphan {
    process: Process,
    command: String,
    over: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole at any time: a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a target through a guardian, and returns once it runs.
pub fn launch(spec: &LaunchSpec) -> Result<Launched, TargetError> {
    let Some(program) = spec.argv.first().filter(|program| !program.is_empty()) else {
        return Err(TargetError::EmptyCommand);
    };
    if let Some(cwd) = &spec.cwd {
        check_folder(cwd)?;
    }
    let (logs, output) = create_logs(spec)?;
    let (mut guardian, orders) = start_guardian(spec, &output)?;
    let start = Start {
        argv: spec.argv.clone(),
        cwd: spec.cwd.clone(),
        env: spec.env.clone(),
        stdout: output.stdout.as_raw_fd(),
        stderr: output.stderr.as_raw_fd(),
        follow: spec.background == Background::Follow,
    };
    drop(output);
    let stdin = guardian.stdin.take();
    match begin(&guardian, orders, start) {
        Ok((identity, root, orders, reports)) => watch(spec, logs, stdin, guardian, identity, root, orders, reports),
        Err(why) => {
            // The socket is closed by now: the guardian ends what it may have started, then itself.
            drop(stdin);
            drop(guardian.wait());
            Err(why.into_error(program))
        }
    }
}

fn check_folder(path: &Path) -> Result<(), TargetError> {
    let failed = |source| TargetError::WorkingDirectory { path: path.to_owned(), source };
    let found = std::fs::metadata(path).map_err(failed)?;
    if found.is_dir() { Ok(()) } else { Err(failed(ErrorKind::NotADirectory.into())) }
}

/// The open files that a target writes to.
struct Output {
    stdout: File,
    stderr: File,
}

fn create_logs(spec: &LaunchSpec) -> Result<(Logs, Output), TargetError> {
    let create = |name: &str| -> Result<(String, File, u64), TargetError> {
        let name = format!("{name}{}.log", spec.log_suffix);
        let open = || -> std::io::Result<(File, u64)> {
            let file = spec.run_dir.append(&name)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        match open() {
            Ok((file, length)) => Ok((name, file, length)),
            Err(source) => Err(TargetError::Logs { path: spec.run_dir.path_of(&name), source }),
        }
    };
    let (stdout_name, stdout, stdout_begin) = create("stdout")?;
    let (stderr_name, stderr, stderr_begin) = create("stderr")?;
    let begin = (stdout_begin, stderr_begin);
    let logs = Logs { run_dir: Arc::clone(&spec.run_dir), stdout: stdout_name, stderr: stderr_name, begin };
    Ok((logs, Output { stdout, stderr }))
}

/// Lets the child have the files under the same numbers.
fn inherit(command: &mut Command, output: &Output) {
    let numbers = [output.stdout.as_raw_fd(), output.stderr.as_raw_fd()];
    let keep = move || {
        for number in numbers {
            // SAFETY: fcntl on a number takes and gives numbers alone.
            if unsafe { libc::fcntl(number, libc::F_SETFD, 0) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec; fcntl is async-signal-safe, and nothing is allocated.
    unsafe { command.pre_exec(keep) };
}

fn guardian_failed(reason: impl Into<String>) -> TargetError {
    TargetError::Guardian { reason: reason.into() }
}

fn start_guardian(spec: &LaunchSpec, output: &Output) -> Result<(Child, UnixStream), TargetError> {
    let failed = |error: std::io::Error| guardian_failed(format!("it could not be started: {error}"));
    let program = match &spec.guardian {
        // The file that runs, even when another has taken its name since.
        GuardianProgram::ThisProgram => Path::new("/proc/self/exe"),
        GuardianProgram::At(path) => path,
    };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut command = Command::new(program);
    inherit(&mut command, output);
    let guardian = command
        .arg0("tidewatch")
        .arg(SUBCOMMAND)
        .arg(identify(std::process::id())?.to_string())
        .stdin(match spec.stdin {
            StdinMode::Null => Stdio::null(),
            StdinMode::Piped => Stdio::piped(),
        })
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed)?;
    Ok((guardian, ours))
}

/// Why it did not begin.
enum NotBegun {
    Failed(Failure),
    Guardian(String),
}

impl NotBegun {
    fn into_error(self, program: &str) -> TargetError {
        match self {
            Self::Failed(Failure::Program(reason)) => TargetError::CannotStart { program: program.to_owned(), reason },
            Self::Failed(Failure::Guardian(reason)) | Self::Guardian(reason) => guardian_failed(reason),
        }
    }
}

type Reports = BufReader<UnixStream>;

/// Tells the guardian what to start, and waits until it did.
fn begin(
    guardian: &Child,
    mut orders: UnixStream,
    start: Start,
) -> Result<(Process, Process, UnixStream, Reports), NotBegun> {
    let io = |error: std::io::Error| NotBegun::Guardian(format!("talking to it failed: {error}"));
    let identity = identify(guardian.id()).map_err(|error| NotBegun::Guardian(error.to_string()))?;
    let reading = orders.try_clone().map_err(io)?;
    reading.set_read_timeout(Some(START_WITHIN)).map_err(io)?;
    send(&mut orders, &Order::Start(start)).map_err(io)?;
    let mut reports = BufReader::new(reading);
    match read_report(&mut reports) {
        Ok(Some(Report::Started(root))) => {
            reports.get_ref().set_read_timeout(None).map_err(io)?;
            Ok((identity, root, orders, reports))
        }
        Ok(Some(Report::Failed(failure))) => Err(NotBegun::Failed(failure)),
        Ok(Some(_) | None) => Err(NotBegun::Guardian("it ended before it had started the target".to_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(NotBegun::Guardian(format!("it did not start the target within {} s", START_WITHIN.as_secs())))
        }
        Err(error) => Err(io(error)),
    }
}

fn send(orders: &mut UnixStream, order: &Order) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    orders.write_all(&line)
}

fn read_report(reports: &mut Reports) -> std::io::Result<Option<Report>> {
    let mut line = Vec::new();
    reports.read_until(b'\n', &mut line)?;
    if line.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_slice(&line)?)) }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one value, put together in one place")]
fn watch(
    spec: &LaunchSpec,
    logs: Logs,
    stdin: Option<ChildStdin>,
    guardian: Child,
    identity: Process,
    root: Process,
    orders: UnixStream,
    reports: Reports,
) -> Result<Launched, TargetError> {
    let (sender, end) = EndWatch::pair();
    let shared = Arc::new(Shared::default());
    let listener = Listener {
        guardian,
        identity,
        oom: OomWatch::before(root),
        memory_limit_bytes: limits(root).get("memory").copied(),
        logs: logs.clone(),
        shared: Arc::clone(&shared),
        sender,
    };
    let name = format!("guardian{}", spec.log_suffix);
    std::thread::Builder::new()
        .name(name)
        .spawn(move || listener.listen(reports))
        .map_err(|error| guardian_failed(format!("no thread could be started to listen to it: {error}")))?;
    Ok(Launched { root, guardian: identity, logs, stdin, orders, end, shared })
}

impl Launched {
    /// The process that was started.
    pub fn root(&self) -> Process {
        self.root
    }

    /// Becomes `Some` when the target has put itself into the background: its processes with their command names
    /// (untrusted text), which are to be watched from then on.
    pub fn background(&self) -> tokio::sync::watch::Receiver<Option<Vec<(Process, String)>>> {
        self.shared.background.subscribe()
    }

    /// The processes whose trees are the target: the one that was started, or those in the background.
    pub fn roots(&self) -> Vec<Process> {
        match &*self.shared.background.borrow() {
            Some(background) => background.iter().map(|(process, _)| *process).collect(),
            None => vec![self.root],
        }
    }

    /// The guardian: the parent of the target and of its orphans. No part of what is measured.
    pub fn guardian(&self) -> Process {
        self.guardian
    }

    /// Where its output is.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// The pipe to its standard input, once, if it was started with [`StdinMode::Piped`].
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
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

    /// Descendants that lost their parent so far, with their command names (untrusted text), in the order in
    /// which they were seen.
    pub fn orphans(&self) -> Vec<(Process, String)> {
        self.orphans_where(|_| true)
    }

    /// Those orphans that have not ended.
    pub fn living_orphans(&self) -> Vec<(Process, String)> {
        self.orphans_where(|orphan| !orphan.over)
    }

    fn orphans_where(&self, wanted: impl Fn(&Orphan) -> bool) -> Vec<(Process, String)> {
        let orphans = lock(&self.shared.orphans);
        orphans.iter().filter(|orphan| wanted(orphan)).map(|orphan| (orphan.process, orphan.command.clone())).collect()
    }

    /// Ends the target and everything that it started: SIGTERM, the grace, SIGKILL. Returns when all of it is
    /// gone, or some seconds after the grace; it blocks, so async code calls it where blocking is fine. A target
    /// that had ended before keeps its own ending.
    pub fn stop(&mut self, grace: Duration) -> Ending {
        self.stdin = None;
        let order = Order::Stop { grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX) };
        // A guardian that does not listen has ended, or is about to.
        drop(send(&mut self.orders, &order));
        if !self.wait_over(grace.saturating_add(BEYOND_GRACE)) {
            // Its end is the target's end too; what is left is swept by the listener.
            let _ = pidfd::signal(self.guardian, rustix::process::Signal::KILL);
            self.wait_over(BEYOND_GRACE);
        }
        self.end.ending().unwrap_or_else(|| Ending {
            how: How::Unknown,
            expected: true,
            evidence: vec!["It was told to end, and its guardian did not say how it did.".to_owned()],
        })
    }

    fn wait_over(&self, at_most: Duration) -> bool {
        let over = lock(&self.shared.over);
        let waited = self.shared.over_now.wait_timeout_while(over, at_most, |over| !*over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if !*lock(&self.shared.over) {
            self.stop(DROP_GRACE);
        }
        // Whatever is still there hears that we are gone.
        drop(self.orders.shutdown(Shutdown::Both));
    }
}

/// Listens to a guardian until it ends.
struct Listener {
    guardian: Child,
    identity: Process,
    oom: OomWatch,
    memory_limit_bytes: Option<u64>,
    logs: Logs,
    shared: Arc<Shared>,
    sender: tokio::sync::watch::Sender<Option<Ending>>,
}

impl Listener {
    fn listen(mut self, mut reports: Reports) {
        while let Ok(Some(report)) = read_report(&mut reports) {
            self.hear(report);
        }
        let status = self.guardian.wait();
        if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            sweep(self.identity);
        }
        if self.sender.borrow().is_none() {
            let evidence = match status {
                Ok(status) => format!("Its guardian process ended ({status}), and the target with it."),
                Err(error) => format!("Its guardian process cannot be waited for: {error}."),
            };
            self.sender.send_replace(Some(Ending { how: How::Unknown, expected: false, evidence: vec![evidence] }));
        }
        *lock(&self.shared.over) = true;
        self.shared.over_now.notify_all();
    }

    fn hear(&mut self, report: Report) {
        match report {
            Report::Orphan { process, command, over } => {
                let mut orphans = lock(&self.shared.orphans);
                if orphans.len() < MOST_ORPHANS {
                    orphans.push(Orphan { process, command, over });
                }
            }
            Report::OrphanEnded(process) => {
                let mut orphans = lock(&self.shared.orphans);
                orphans.iter_mut().filter(|orphan| orphan.process == process).for_each(|orphan| orphan.over = true);
            }
            Report::Ended(end) => {
                let context = EndContext {
                    core_dumped: end.core_dumped,
                    oom: Some(self.oom.after()),
                    memory_limit_bytes: self.memory_limit_bytes,
                    peak_rss_bytes: Some(end.peak_rss),
                    last_words: ready::last_line(&self.logs, Stream::Stderr),
                    survivors: end.survivors,
                    notes: Vec::new(),
                };
                self.sender.send_replace(Some(diagnose(end.how, end.asked, &context)));
            }
            Report::LeftBehind(processes) => self.sender.send_modify(|ending| {
                let list: Vec<String> = processes.iter().map(|process| process.pid.to_string()).collect();
                let sentence = format!("These could not be ended (another user's?): pid {}.", list.join(", "));
                ending.as_mut().map(|ending| ending.evidence.push(sentence)).unwrap_or_default();
            }),
            Report::Background(processes) => {
                self.shared.background.send_replace(Some(processes));
            }
            Report::Started(_) | Report::Failed(_) => {}
        }
    }
}

/// When a guardian was ended by force, what is left in its session is ended from here: the kernel keeps the
/// number of a session while it has members, so none of them can be a stranger's.
fn sweep(guardian: Process) {
    for _ in 0..100 {
        let all = super::stat::every_process(Path::new("/proc")).unwrap_or_default();
        let left: Vec<Process> = all
            .iter()
            .filter(|stat| stat.session == guardian.pid && stat.start >= guardian.start && !stat.is_over())
            .map(|stat| Process { pid: stat.pid, start: stat.start })
            .collect();
        if left.is_empty() {
            return;
        }
        for process in left {
            let _ = pidfd::signal(process, rustix::process::Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
