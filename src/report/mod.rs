//! What a person or a machine is given at the end: charts, tables and texts, all from the recording alone.
//!
//! Nothing here decides: verdicts come from `growth`, owners from `attribution`, outcomes from `gate`. Whatever
//! comes from a target is untrusted text and passes [`escape`] on its way out. The reports of a live run are made
//! from its finished recording, so that `tidewatch report` makes the same bytes again.

pub mod chart;
mod equation;
pub mod escape;
pub mod heap;
mod heap_files;
mod holders;
pub mod judged;
mod limits;
mod markdown;
mod more;
mod owners;
pub mod picture;
pub mod projection;
mod restarts;
pub mod sparkline;
mod story;
mod summary;
pub mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod told;
mod words;
mod write;

use std::path::Path;

use crate::attribution::Findings;
use crate::exit::ExitCode;
use crate::gate::{self, Gate};
use crate::recording::{self, Recording, RecordingError};
use crate::run_dir::RunDir;

pub use limits::LimitTime;
pub use summary::{Outcome, Summary};
pub use table::ColorMode;
pub use write::{HeapFiles, ReportError, Written};

/// A recording with everything that follows from it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was seen.
    pub recording: Recording,
    /// What it shows.
    pub findings: Findings,
    /// What the thresholds say to it.
    pub gate: Gate,
}

impl Report {
    /// Reads the recording in the folder of a run, or the file itself, and judges it.
    pub fn read(run: &Path) -> Result<Self, RecordingError> {
        recording::read(run).map(Self::of)
    }

    /// Reads the recording that this process has made in a run directory, and judges it.
    pub fn read_own(run_dir: &RunDir) -> Result<Self, RecordingError> {
        recording::read_own(run_dir).map(Self::of)
    }

    /// Judges a recording.
    pub fn of(recording: Recording) -> Self {
        let findings = Findings::of(&recording);
        let mut gate = gate::apply(&recording.header.plan, &findings);
        if recording.footer.as_ref().is_some_and(|footer| footer.interrupted) {
            gate.exit = gate.exit.or(ExitCode::Interrupted);
        }
        Self { recording, findings, gate }
    }

    /// What came out, for machines.
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }

    /// The summary as the text of `summary.json`, the same bytes from the same recording.
    pub fn summary_json(&self) -> String {
        // Every key is a text and every number finite or null: there is nothing JSON could refuse. Should it do so
        // all the same, the error is the text.
        let text = serde_json::to_string_pretty(&self.summary());
        escape::json(&text.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())) + "\n"
    }

    /// What came out, for a person at a terminal of so many columns, with where the files are if there are any.
    pub fn terminal(&self, colour: ColorMode, width: usize, files: Option<&Written>) -> String {
        terminal::text(self, colour, width, files)
    }

    /// What came out, to be pasted into an incident report.
    pub fn markdown(&self) -> String {
        markdown::text(self)
    }

    /// Writes `summary.json`, `growth.svg`, `growth.png` and `report.md` into a directory, and `heap.folded`, `heap.pprof` and
    /// `heap.svg` where the heap was sampled: each whole or not at all, and the same bytes from the same recording.
    pub fn write(&self, directory: &RunDir) -> Result<Written, ReportError> {
        write::all(self, directory)
    }
}
