//! What tidewatch says when it is attacked: an allowed exit code in time, no panic, no control characters.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::context::Context;
use super::processes::Running;

/// The texts of one command that ended.
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end, its output in files so that a full pipe blocks nothing.
pub fn said(command: &mut Command, folder: &Path, within: Duration) -> Result<Said> {
    let (stdout, stderr) = (folder.join("said.out"), folder.join("said.err"));
    command.stdout(Stdio::from(fs::File::create(&stdout)?)).stderr(Stdio::from(fs::File::create(&stderr)?));
    let status = Running::start(command)?.wait(within)?;
    let read = |path| -> Result<String> { Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned()) };
    Ok(Said { code: status.code(), stdout: read(&stdout)?, stderr: read(&stderr)? })
}

impl Said {
    /// Fails unless the end is one of those that are documented and the texts are harmless.
    pub fn is_harmless(&self) -> Result<()> {
        let known = matches!(self.code, Some(0 | 1 | 2 | 3 | 4 | 130));
        ensure!(known && !self.stderr.contains("panicked"), "exit {:?}: {}", self.code, self.stderr.escape_debug());
        for text in [&self.stdout, &self.stderr] {
            let raw = text.chars().find(|c| *c != '\n' && c.is_control());
            ensure!(raw.is_none(), "the output holds {raw:?}: {}", text.escape_debug());
        }
        Ok(())
    }
}

/// A command with nothing on its standard input.
pub fn tidewatch(context: &Context, words: &[&str]) -> Command {
    let mut command = context.tidewatch();
    command.args(words);
    command
}
