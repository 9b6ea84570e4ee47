//! The end of a run: reports made from the finished file, the outcome told, the exit code.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::failure::Failure;
use super::screen;
use crate::exit::ExitCode;
use crate::report::{ColorMode, Report};
use crate::run_dir::RunDir;

/// In which form the outcome is told on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A table for a person.
    Table,
    /// summary.json.
    Json,
}

impl Form {
    /// What `--json` asks for.
    pub fn asked(json: bool) -> Self {
        if json { Self::Json } else { Self::Table }
    }
}

/// Reads a recording that a person named.
pub fn read(recording: &Path) -> Result<Report, Failure> {
    Report::read(recording)
        .with_context(|| format!("could not read the recording in {}", recording.display()))
        .map_err(Failure::usage)
}

/// Tells the outcome of a run that has just ended.
pub fn tell_run(run_dir: &RunDir, form: Form) -> Result<ExitCode, Failure> {
    let report = Report::read_own(run_dir)
        .with_context(|| format!("could not read back the recording in {}", run_dir.path().display()))
        .map_err(Failure::target)?;
    publish(&report, run_dir, form)
}

/// Writes the reports, prints the outcome, and gives the exit code of the run.
pub fn publish(report: &Report, directory: &RunDir, form: Form) -> Result<ExitCode, Failure> {
    let written = report
        .write(directory)
        .with_context(|| {
            format!("could not write the reports to {}; the recording is safe", directory.path().display())
        })
        .map_err(Failure::target)?;
    let text = match form {
        Form::Json => report.summary_json(),
        Form::Table => report.terminal(colour(), width(), Some(&written)),
    };
    print(&text)?;
    Ok(report.gate.exit)
}

/// Whether stdout takes colour, and is to have it.
pub fn colour() -> ColorMode {
    let stdout = console::Term::stdout();
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && stdout.features().colors_supported() { ColorMode::Colour } else { ColorMode::Plain }
}

/// How wide the text on stdout may be.
pub fn width() -> usize {
    console::Term::stdout().size_checked().map_or(100, |(_, columns)| usize::from(columns).clamp(60, 140))
}

/// Writes to stdout, all of it. A reader that closes the pipe early has what it wanted; any other failure loses the answer.
pub fn print(text: &str) -> Result<(), Failure> {
    let text = screen::page(text);
    let mut out = std::io::stdout().lock();
    delivered(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What becomes of a command whose output was written, or was not.
pub fn delivered(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::target(anyhow!(
            "could not write the answer to stdout: {error}; make room there, or print elsewhere"
        ))),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a line to stderr. Where that is closed or full there is nobody left to tell.
pub fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "tidewatch: {}", screen::message(text));
}
