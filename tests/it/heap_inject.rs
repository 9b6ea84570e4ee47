//! The allocation sampler on its way into running programs and out again: they do as they did, and the table says what they hold.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tidewatch::probe::heap::{self, HeapSnapshot, HeapStack, HeapState, Injected, Refusal, Seccomp, Way};
use tidewatch::sample::Process;

use crate::support::{part_of_machine, root, signal_pid, wait_for};

/// A process of a fixture.
struct Target {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Target {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn process(&self) -> Process {
        identify(self.pid())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// The function whose blocks stay alive.
    fn site(&mut self) -> u64 {
        let line = self.line();
        u64::from_str_radix(line.strip_prefix("site 0x").unwrap_or_else(|| panic!("{line}")), 16).unwrap()
    }

    fn inject(&self, interval_bytes: u64) -> Injected {
        heap::inject(self.process(), interval_bytes, Seccomp::Refuse).unwrap()
    }

    /// Ends it, and gives what it printed after the first line.
    fn end(mut self) -> String {
        signal_pid(self.pid(), Signal::TERM);
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {rest}");
        rest.trim().to_owned()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn identify(pid: u32) -> Process {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    Process { pid, start }
}

/// A folder, and the fixtures that are compiled into it.
struct Workshop {
    folder: TempDir,
}

impl Workshop {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn compile(&self, name: &str, flags: &[&str]) -> PathBuf {
        let to = self.path().join(name.trim_end_matches(".c"));
        let source = root().join("fixtures/heap").join(name);
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-g", "-pthread", "-fno-builtin-malloc", "-fomit-frame-pointer"]).args(flags);
        let output = compiler.arg(source).arg("-o").arg(&to).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        to
    }
}

fn inside(stack: &HeapStack, function: u64) -> bool {
    stack.frames.first().is_some_and(|frame| (function..function + 400).contains(frame))
}

/// Live bytes at a site.
fn bytes_at(snapshot: &HeapSnapshot, site: u64) -> f64 {
    snapshot.stacks.iter().filter(|stack| inside(stack, site)).map(|stack| stack.live.bytes).sum()
}

/// Waits until so many bytes are found at a site.
fn wait_for_bytes(injected: &Injected, site: u64, bytes: f64) {
    wait_for("samples at the site", Duration::from_secs(30), || {
        (bytes_at(&injected.table.snapshot().unwrap(), site) >= bytes).then_some(())
    });
}

#[test]
fn a_quiet_program_is_sampled_from_now_on() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let mut target = Target::start(Command::new(workshop.compile("running.c", &[])).arg("quiet"));
    let site = target.site();
    let injected = target.inject(4096);
    wait_for_bytes(&injected, site, 400_000.0);
    println!("{:?} {}", injected.pause, injected.threads_tried);
    assert!(injected.table.is_current());
    injected.detach().unwrap();
    assert_eq!(target.end(), "ok");
}
