//! What the stories have in common: the program, its targets, waiting, and the lock on the machine.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

/// The program under test.
pub fn tidewatch() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewatch"));
    command.stdin(Stdio::null()).env("NO_COLOR", "1");
    command
}

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of built binaries, where the fixtures are too.
pub fn binaries() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_tidewatch")).parent().expect("a binary lies in a folder").to_owned()
}

/// Held while a test uses the machine: those that need it whole run one after the other, over all test programs,
/// and those that use a part of it run beside each other.
pub struct Machine {
    _lock: File,
}

/// Waits for the whole machine: for tests that put load on it, or whose verdicts load would disturb.
pub fn whole_machine() -> Machine {
    machine(FlockOperation::LockExclusive)
}

/// Waits until nobody needs the whole machine.
pub fn part_of_machine() -> Machine {
    machine(FlockOperation::LockShared)
}

fn machine(share: FlockOperation) -> Machine {
    let path = binaries().join("load.lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&path).expect("the lock's file");
    flock(&lock, share).expect("the lock");
    Machine { _lock: lock }
}

/// Waits until `condition` holds; fails the test past the deadline, saying what was waited for.
pub fn wait_for<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {within:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Copies a program that is to be executed. Another program does it: a file that is open for writing here would be so in every
/// child that another test starts at this moment, and could not be executed.
pub fn copy_program(from: impl AsRef<Path>, to: &Path) {
    assert!(Command::new("cp").arg(from.as_ref()).arg(to).status().expect("cp").success());
}

/// A process that ends with the test.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts it with its output thrown away.
    pub fn quiet(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().expect("the program starts") }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn wait(&mut self, what: &str, within: Duration) -> ExitStatus {
        wait_for(what, within, || self.child.try_wait().expect("our own child can be waited for"))
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("our own child can be waited for").is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        signal_pid(self.pid(), signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that a test started.
pub fn signal_pid(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a pid is not 0");
    rustix::process::kill_process(pid, signal).expect("the process can be signalled");
}

/// Whether a pid names a process that is not a zombie.
pub fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

/// The live processes whose environment holds the token.
pub fn family_of(token: &str) -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == token.as_bytes()))
        })
        .filter(|pid| is_alive(*pid))
        .collect()
}

/// What a program printed and how it ended.
pub struct Told {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Told {
    /// The summary on stdout.
    pub fn summary(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no summary ({error}): {self}"))
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Runs a command to its end.
pub fn told(command: &mut Command) -> Told {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    Told {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// The subsystems that a summary names as growing without end, in order.
pub fn named(summary: &Value) -> Vec<String> {
    let mut names: Vec<String> = summary["ledger"]
        .as_array()
        .expect("a ledger")
        .iter()
        .filter(|row| row["verdict"] == "unbounded")
        .filter_map(|row| row["subsystem"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Every threshold of a summary that does not hold, for a failing test's message.
pub fn not_held(summary: &Value) -> String {
    let checks = summary["thresholds"].as_array().expect("thresholds");
    let lines: Vec<String> = checks
        .iter()
        .filter(|check| check["held"] != true)
        .map(|check| format!("{} {}: {}", check["scenario"], check["expression"], check["observed"]))
        .collect();
    lines.join("\n")
}

/// The records of a recording, one JSON object a line.
pub fn records(folder: &Path) -> Vec<Value> {
    let mut text = String::new();
    File::open(folder.join("recording.jsonl"))
        .and_then(|mut file| file.read_to_string(&mut text))
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A port that was free a moment ago, for servers that cannot be asked to choose one.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Waits until something listens on a port of 127.0.0.1.
pub fn wait_for_port(port: u16) {
    wait_for(&format!("port {port} to accept"), Duration::from_secs(30), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
}
