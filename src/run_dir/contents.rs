//! What stands in a directory, and whether it is ours.
//!
//! A directory is ours when `recording.jsonl` in it begins as our recordings do, or `summary.json` as our summaries do. Reports in
//! a directory are ours when its summary is: all of them are written together, the summary first.

use std::collections::BTreeSet;
use std::io::Read as _;

use super::error::FORCE;
use super::{Directory, ForeignReports, RunDirError};

/// The recording of a run.
pub const RECORDING: &str = "recording.jsonl";
/// How our recordings begin.
pub const RECORDING_START: &str = "{\"format\":\"tidewatch-recording/";
/// How our summaries begin.
pub const SUMMARY_START: &str = "{\n  \"format\": \"tidewatch-summary/";

const SUMMARY: &str = "summary.json";

/// The reports, in the order in which they are written.
pub const REPORTS: [&str; 7] =
    [SUMMARY, "growth.svg", "growth.png", "report.md", "heap.folded", "heap.pprof", "heap.svg"];

/// Refuses a directory that cannot take a new run.
pub(super) fn check_for_run(directory: &Directory, foreign: ForeignReports) -> Result<(), RunDirError> {
    let names = names(directory)?;
    if names.iter().any(|name| name == RECORDING) {
        return Err(RunDirError::HoldsRecording { path: directory.path().to_owned() });
    }
    match foreign {
        ForeignReports::Keep => match first_of(&names) {
            Some(name) => Err(not_empty(directory, name)),
            None => Ok(()),
        },
        ForeignReports::Replace => match names.iter().find(|name| is_made_by_runs(name)) {
            Some(name) => Err(RunDirError::InTheWay { path: directory.path().join(name), hint: "" }),
            None => Ok(()),
        },
    }
}

/// Refuses a directory that cannot take reports; else gives those of ours in it.
pub(super) fn check_for_reports(
    directory: &Directory,
    foreign: ForeignReports,
) -> Result<BTreeSet<String>, RunDirError> {
    let names = names(directory)?;
    let reports: BTreeSet<String> = names.iter().filter(|name| REPORTS.contains(&name.as_str())).cloned().collect();
    if foreign == ForeignReports::Replace {
        return Ok(reports);
    }
    if begins_with(directory, SUMMARY, SUMMARY_START) {
        return Ok(reports);
    }
    let is_ours = begins_with(directory, RECORDING, RECORDING_START);
    match (reports.first(), first_of(&names)) {
        (Some(name), _) => Err(RunDirError::InTheWay { path: directory.path().join(name), hint: FORCE }),
        (None, Some(name)) if !is_ours => Err(not_empty(directory, name)),
        (None, _) => Ok(reports),
    }
}

fn names(directory: &Directory) -> Result<Vec<String>, RunDirError> {
    directory.names().map_err(|source| directory.create_error("", source))
}

/// The name to show: a report, if there is one.
fn first_of(names: &[String]) -> Option<&String> {
    names.iter().find(|name| REPORTS.contains(&name.as_str())).or_else(|| names.first())
}

fn not_empty(directory: &Directory, name: &str) -> RunDirError {
    RunDirError::NotEmpty { path: directory.path().to_owned(), name: name.to_owned(), hint: FORCE }
}

/// Whether a run makes files of this name besides its reports.
fn is_made_by_runs(name: &str) -> bool {
    let is_log = ["stdout", "stderr"].iter().any(|start| name.starts_with(start)) && name.ends_with(".log");
    is_log || name.starts_with(RECORDING)
}

fn begins_with(directory: &Directory, name: &str, start: &str) -> bool {
    let mut there = vec![0; start.len()];
    directory.read(name).is_ok_and(|mut file| file.read_exact(&mut there).is_ok()) && there == start.as_bytes()
}
