//! What all attacks share: the programs, a directory, and random numbers that a seed repeats.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::root;

/// The programs under attack and a directory for the files of cases.
pub struct Context {
    folder: tempfile::TempDir,
}

impl Context {
    /// Copies the built program, so that a later build does not change it, and compiles the program that checks itself.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("tidewatch-torture-").tempdir()?;
        let context = Self { folder };
        let built = root().join("target/debug/tidewatch");
        fs::copy(&built, context.path("tidewatch")).with_context(|| format!("cannot copy {}", built.display()))?;
        let compiled = Command::new("cc")
            .args(["-O1", "-pthread", "-o"])
            .arg(context.path("running"))
            .arg(root().join("fixtures/heap/running.c"))
            .arg("-ldl")
            .status()?;
        ensure!(compiled.success(), "cc could not compile fixtures/heap/running.c ({compiled})");
        Ok(context)
    }

    /// A file in the directory of this run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A directory for one case, removed with what it holds when it is dropped.
    pub fn scratch(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }

    /// The program under attack, its output thrown away.
    pub fn tidewatch(&self) -> Command {
        let mut command = quiet(&self.path("tidewatch"));
        command.env("NO_COLOR", "1");
        command
    }
}

/// A command without input and output.
pub fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Random numbers (SplitMix64).
pub struct Random(u64);

impl Random {
    /// Those of one case.
    pub fn new(seed: u64, attack: &str, case: u64) -> Self {
        let mut random = Self(seed);
        for byte in attack.bytes() {
            random.0 ^= u64::from(byte);
            random.next();
        }
        random.0 ^= case;
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed ^ (mixed >> 31);
        self.0
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A time up to `most`.
    pub fn time(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.next() % most.as_micros().max(1) as u64)
    }

    /// One of several.
    pub fn one<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
