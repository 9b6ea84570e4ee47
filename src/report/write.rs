//! The report's files, each written whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::chart::{self, ChartError, Format};
use super::heap::{Profile, write_flame_graph, write_folded, write_pprof};
use super::heap_files::HeapGrowth;
use super::{Report, picture, story};

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
    /// The chart could not be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
}

/// Writes every file.
pub(super) fn all(report: &Report, folder: &Path) -> Result<Written, ReportError> {
    let written = Written {
        summary: folder.join("summary.json"),
        svg: folder.join("growth.svg"),
        png: folder.join("growth.png"),
        markdown: folder.join("report.md"),
        heap: heap(report, folder)?,
    };
    let Report { recording, findings, gate } = report;
    let headline = story::headline(&recording.header.plan, findings, gate);
    let chart = picture::picture(recording, findings, &format!("{}: {headline}", story::outcome(gate.exit)));
    put(&written.summary, |place| Ok(fs::write(place, report.summary_json())?))?;
    put(&written.svg, |place| Ok(chart::draw(place, Format::Svg, &chart)?))?;
    put(&written.png, |place| Ok(chart::draw(place, Format::Png, &chart)?))?;
    put(&written.markdown, |place| Ok(fs::write(place, report.markdown())?))?;
    Ok(written)
}

/// Writes growth by call stack, where the heap was sampled.
fn heap(report: &Report, folder: &Path) -> Result<Option<HeapFiles>, ReportError> {
    let Some(growth) = HeapGrowth::of(report) else { return Ok(None) };
    let HeapGrowth { stacks, modules, interval_bytes, time_ns, duration_ns, title, subtitle } = &growth;
    let files = HeapFiles {
        folded: folder.join("heap.folded"),
        pprof: folder.join("heap.pprof"),
        svg: folder.join("heap.svg"),
    };
    let profile = Profile { modules, interval_bytes: *interval_bytes, time_ns: *time_ns, duration_ns: *duration_ns };
    put(&files.folded, |place| Ok(write_folded(stacks, create(place)?)?))?;
    put(&files.pprof, |place| Ok(write_pprof(stacks, &profile, create(place)?)?))?;
    put(&files.svg, |place| Ok(write_flame_graph(stacks, title, subtitle, create(place)?)?))?;
    Ok(Some(files))
}

fn create(place: &Path) -> io::Result<io::BufWriter<fs::File>> {
    fs::File::create(place).map(io::BufWriter::new)
}

/// What stands in the way of one file.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Chart(#[from] ChartError),
}

/// Makes a file beside its place first, then puts it there: a reader never sees half of it.
fn put(path: &Path, make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), ReportError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The ending stays: the drawing library goes by it.
    let beside = path.with_file_name(format!(".{}-{name}", std::process::id()));
    make(&beside).and_then(|()| Ok(fs::rename(&beside, path)?)).map_err(|failure| {
        // The first failure is the one to tell.
        let _ = fs::remove_file(&beside);
        match failure {
            Failure::Io(source) => ReportError::Write { path: path.to_owned(), source },
            Failure::Chart(chart) => chart.into(),
        }
    })
}
