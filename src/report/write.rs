//! The report's files, each written whole or not at all.

use std::io;
use std::path::PathBuf;

use super::chart::{self, ChartError};
use super::heap::{Profile, write_flame_graph, write_folded, write_pprof};
use super::heap_files::HeapGrowth;
use super::{Report, picture, story};
use crate::run_dir::RunDir;

/// Where the files of a report are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// `summary.json`.
    pub summary: PathBuf,
    /// `growth.svg`.
    pub svg: PathBuf,
    /// `growth.png`.
    pub png: PathBuf,
    /// `report.md`.
    pub markdown: PathBuf,
    /// The growth of the live heap, where it was sampled.
    pub heap: Option<HeapFiles>,
}

/// Where growth by call stack is, for other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapFiles {
    /// `heap.folded`.
    pub folded: PathBuf,
    /// `heap.pprof`.
    pub pprof: PathBuf,
    /// `heap.svg`.
    pub svg: PathBuf,
}

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file could not be written.
    #[error("could not write {}: {source}; make room or choose another folder, then run `tidewatch report` on the recording", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that tidewatch did not make has come to stand there.
    #[error("{} is in the way: tidewatch did not make it; move it and run `tidewatch report` on the recording, or use --force", path.display())]
    InTheWay {
        /// Which file.
        path: PathBuf,
    },
    /// The chart could not be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
}

/// Writes every file, the summary first: by it a directory of reports is known as ours.
pub(super) fn all(report: &Report, directory: &RunDir) -> Result<Written, ReportError> {
    let Report { recording, findings, gate } = report;
    let headline = story::headline(&recording.header.plan, findings, gate);
    let chart = picture::picture(recording, findings, &format!("{}: {headline}", story::outcome(gate.exit)));
    let summary = put(directory, "summary.json", report.summary_json().as_bytes())?;
    Ok(Written {
        summary,
        heap: heap(report, directory)?,
        svg: put(directory, "growth.svg", chart::svg(&chart)?.as_bytes())?,
        png: put(directory, "growth.png", &chart::png(&chart)?)?,
        markdown: put(directory, "report.md", report.markdown().as_bytes())?,
    })
}

/// Writes growth by call stack, where the heap was sampled.
fn heap(report: &Report, directory: &RunDir) -> Result<Option<HeapFiles>, ReportError> {
    let Some(growth) = HeapGrowth::of(report) else { return Ok(None) };
    let HeapGrowth { stacks, modules, interval_bytes, time_ns, duration_ns, title, subtitle } = &growth;
    let profile = Profile { modules, interval_bytes: *interval_bytes, time_ns: *time_ns, duration_ns: *duration_ns };
    let file = |name: &str, make: &dyn Fn(&mut Vec<u8>) -> io::Result<()>| {
        let mut bytes = Vec::new();
        make(&mut bytes).map_err(|source| ReportError::Write { path: directory.path_of(name), source })?;
        put(directory, name, &bytes)
    };
    Ok(Some(HeapFiles {
        folded: file("heap.folded", &|to| write_folded(stacks, to))?,
        pprof: file("heap.pprof", &|to| write_pprof(stacks, &profile, to))?,
        svg: file("heap.svg", &|to| write_flame_graph(stacks, title, subtitle, to))?,
    }))
}

/// Puts a whole file in its place: a reader never sees half of it.
fn put(directory: &RunDir, name: &str, bytes: &[u8]) -> Result<PathBuf, ReportError> {
    let path = directory.path_of(name);
    match directory.publish(name, bytes) {
        Ok(()) => Ok(path),
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Err(ReportError::InTheWay { path }),
        Err(source) => Err(ReportError::Write { path, source }),
    }
}
