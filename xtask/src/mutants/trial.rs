//! Unit tests run against mutants: each mutant meets the tests that reach it, and no others.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::build::Built;
use crate::runs::side_by_side;

/// Bytes of the file in which a process marks the switches that it reads; the same number stands in the switches.
const SWITCHES: usize = 1 << 16;
/// A mutant may make a test this much slower before it counts as hanging.
const SLOWER: u32 = 4;
const GRACE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Killed,
    TimedOut,
    Survived,
    Unreached,
    /// The time was up before.
    Untried,
}

pub struct Test {
    pub name: String,
    time: Duration,
    reached: Vec<u32>,
}

/// Runs every test alone, with no mutant on. Tests that fail so are named and left out.
pub fn baseline(built: &Built, jobs: usize) -> Result<Vec<Test>> {
    let listed = Command::new(&built.program).args(["--list", "--format", "terse"]).output();
    let listed = listed.with_context(|| format!("cannot start {}", built.program.display()))?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
    let one = |name: String| {
        let scratch = Scratch::new(built)?;
        let file = scratch.path.join("reached");
        fs::write(&file, vec![0; SWITCHES]).with_context(|| format!("cannot write {}", file.display()))?;
        let begin = Instant::now();
        let variable = ("MUTANT_REACHED", file.to_string_lossy().into_owned());
        let outcome = run(built, &scratch, &variable, &[&name], Duration::from_secs(120))?;
        let time = begin.elapsed();
        if outcome != Outcome::Survived {
            println!("left out, since it fails with no mutant on: {name}");
            return Ok(None);
        }
        let marks = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let reached = (0u32..).zip(marks).filter(|(_, mark)| *mark != 0).map(|(id, _)| id).collect();
        Ok(Some(Test { name, time, reached }))
    };
    side_by_side(names, jobs, one).into_iter().filter_map(Result::transpose).collect()
}

/// For each mutant what became of it, and the tests that reach it, the fastest first.
pub fn outcomes<'t>(
    built: &Built,
    tests: &'t [Test],
    jobs: usize,
    end: Option<Instant>,
) -> Result<HashMap<u32, (Outcome, Vec<&'t Test>)>> {
    let mut reaching: HashMap<u32, Vec<&Test>> = HashMap::new();
    for test in tests {
        for &id in &test.reached {
            reaching.entry(id).or_default().push(test);
        }
    }
    // The test that noticed the last mutant of a file is likely to notice the next.
    let killers: Mutex<HashMap<String, String>> = Mutex::default();
    let one = |mutant: &super::splice::Mutant| -> Result<_> {
        let mut tests = reaching.get(&mutant.id).cloned().unwrap_or_default();
        tests.sort_by_key(|test| test.time);
        let known = killers.lock().ok().and_then(|killers| killers.get(&mutant.file).cloned());
        let mut order = tests.clone();
        order.sort_by_key(|test| Some(&test.name) != known.as_ref());
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok((mutant.id, (Outcome::Untried, tests)));
        }
        let (outcome, killer) = meet(built, mutant.id, &order)?;
        if let (Some(name), Ok(mut killers)) = (killer, killers.lock()) {
            killers.insert(mutant.file.clone(), name);
        }
        if outcome == Outcome::Survived {
            println!("survived: {}:{} | {} | {}", mutant.file, mutant.line, mutant.function, mutant.shown);
        }
        Ok((mutant.id, (outcome, tests)))
    };
    side_by_side(built.mutants.iter().collect(), jobs, one).into_iter().collect()
}

/// One mutant against these tests: one alone, then more and more in one process, until one fails.
fn meet(built: &Built, id: u32, tests: &[&Test]) -> Result<(Outcome, Option<String>)> {
    if tests.is_empty() {
        return Ok((Outcome::Unreached, None));
    }
    let scratch = Scratch::new(built)?;
    let variable = ("MUTANT", id.to_string());
    let (mut left, mut count) = (tests, 1);
    while !left.is_empty() {
        let (now, later) = left.split_at(count.min(left.len()));
        let names: Vec<&str> = now.iter().map(|test| test.name.as_str()).collect();
        let limit = GRACE + now.iter().map(|test| test.time).sum::<Duration>() * SLOWER;
        let outcome = run(built, &scratch, &variable, &names, limit)?;
        if outcome != Outcome::Survived {
            return Ok((outcome, (now.len() == 1).then(|| now[0].name.clone())));
        }
        (left, count) = (later, count * 4);
    }
    Ok((Outcome::Survived, None))
}

/// Runs tests in a process group of its own, of which nothing is left.
fn run(
    built: &Built,
    scratch: &Scratch,
    variable: &(&str, String),
    tests: &[&str],
    limit: Duration,
) -> Result<Outcome> {
    let mut command = Command::new("sh");
    // A mutant may allocate or write without end.
    command.args(["-c", "ulimit -v 8000000 -f 2000000 -c 0; exec \"$0\" \"$@\""]).arg(&built.program);
    command.args(["--exact", "--test-threads", "1"]).args(tests).env(variable.0, &variable.1);
    command.env("TMPDIR", &scratch.path).env("XDG_RUNTIME_DIR", &scratch.path).env("RUST_BACKTRACE", "0");
    command.env("INSTA_WORKSPACE_ROOT", &built.tree).env("INSTA_UPDATE", "no").env("CARGO_MANIFEST_DIR", &built.tree);
    command.env("PROPTEST_FAILURE_PERSISTENCE", "off").env("CI", "true");
    command.current_dir(&built.tree).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.process_group(0).spawn().context("cannot start the unit tests")?;
    let group = Pid::from_child(&child);
    let end = Instant::now() + limit;
    let mut has_ended = false;
    while !has_ended && Instant::now() < end {
        // It stays a zombie until its group is ended: the number of the group is not given away.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        has_ended = waitid(WaitId::Pid(group), options)?.is_some();
        if !has_ended {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait()?;
    Ok(match (has_ended, status.success()) {
        (false, _) => Outcome::TimedOut,
        (true, true) => Outcome::Survived,
        (true, false) => Outcome::Killed,
    })
}

/// A temporary directory for tests, removed with what mutants left in it.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(built: &Built) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let parent = built.tree.parent().unwrap_or(Path::new("."));
        let path = parent.join(format!("tmp-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
