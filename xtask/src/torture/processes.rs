//! Processes of the attacks, and what `/proc` shows of them.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A child that ends when it is dropped.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self(child))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.0.id().cast_signed()).context("a pid is not 0")?;
        kill_process(pid, signal).with_context(|| format!("cannot send {signal:?} to process {}", self.0.id()))
    }

    /// Its status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        wait_for("the end of a process", within, || self.0.try_wait().ok().flatten())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Servers end their own children at SIGTERM. It may have ended by itself.
        if self.ended().is_ok_and(|status| status.is_none()) {
            let _ = self.signal(Signal::TERM);
            // One that rests meets it when it goes on.
            let _ = self.signal(Signal::CONT);
        }
        let _ = self.wait(Duration::from_secs(2));
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a condition holds.
pub fn wait_for<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {within:?} for {what}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Descriptors of a process that an injection opened.
pub fn stray_files(pid: u32) -> usize {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    let links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    links.filter(|link| link.to_string_lossy().contains("tidewatch_")).count()
}

/// Mappings of a process through which an injection was filled.
pub fn stray_mappings(pid: u32) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.lines().filter(|line| line.contains("tidewatch_heap") && line.contains("rw-s")).count()
}

fn of_threads(pid: u32, file: &str) -> Vec<String> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join(file)).ok()).collect()
}

/// Whether an injection has begun: other files of it than were left before, or a traced thread.
pub fn is_injecting(pid: u32, left_before: usize) -> bool {
    stray_files(pid) != left_before || of_threads(pid, "status").iter().any(|status| !status.contains("TracerPid:\t0"))
}

/// How many threads of a process are stopped or traced.
pub fn held_threads(pid: u32) -> usize {
    let is_held = |stat: &String| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['t', 'T']));
    of_threads(pid, "stat").iter().filter(|stat| is_held(stat)).count()
}

/// Live processes whose environment holds an entry.
pub fn family_of(entry: &str) -> BTreeSet<u32> {
    let Ok(all) = fs::read_dir("/proc") else { return BTreeSet::new() };
    let pids = all.flatten().filter_map(|one| one.file_name().to_str()?.parse::<u32>().ok());
    let has_entry = |pid: &u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|one| one == entry.as_bytes())
    };
    let is_alive = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
    };
    pids.filter(has_entry).filter(is_alive).collect()
}

/// Waits until no process with this entry lives.
pub fn all_gone(entry: &str) -> Result<()> {
    // A process that is being executed shows no environment for a moment, so several looks must be empty.
    let is_gone = || {
        (0..3).all(|_| {
            std::thread::sleep(Duration::from_millis(15));
            family_of(entry).is_empty()
        })
    };
    let gone = wait_for("everything launched to end", Duration::from_secs(15), || is_gone().then_some(()));
    gone.with_context(|| format!("processes are left: {:?}", family_of(entry)))
}
