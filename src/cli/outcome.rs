//! The end of a run: reports made from the finished file, the outcome told, the exit code.

use std::path::Path;

use anyhow::Context as _;

use super::failure::Failure;
use super::screen;
use crate::exit::ExitCode;
use crate::report::{ColorMode, Report};

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

/// Makes the reports of a recording in `folder`, tells the outcome, and hands out the exit code of the run.
pub fn tell(recording: &Path, folder: &Path, form: Form) -> Result<ExitCode, Failure> {
    let report = Report::read(recording)
        .with_context(|| format!("could not read the recording in {}", recording.display()))
        .map_err(Failure::usage)?;
    publish(&report, folder, form)
}

/// Tells the outcome of a run that has just ended.
pub fn tell_run(folder: &Path, form: Form) -> Result<ExitCode, Failure> {
    let report = Report::read(folder)
        .with_context(|| format!("could not read back the recording in {}", folder.display()))
        .map_err(Failure::target)?;
    publish(&report, folder, form)
}

fn publish(report: &Report, folder: &Path, form: Form) -> Result<ExitCode, Failure> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("could not make {}", folder.display()))
        .map_err(Failure::target)?;
    let written = report
        .write(folder)
        .with_context(|| format!("could not write the reports to {}; the recording is safe", folder.display()))
        .map_err(Failure::target)?;
    let text = match form {
        Form::Json => report.summary_json(),
        Form::Table => report.terminal(colour(), width(), Some(&written)),
    };
    print(&text);
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

/// A reader that closes the pipe early has what it wanted.
pub fn print(text: &str) {
    use std::io::Write as _;
    let text = screen::page(text);
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
