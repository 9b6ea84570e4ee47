//! Reads a recording, whole or cut.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::bounded::Bounded;
use super::format::{Envelope, FAMILY, FILE_NAME, FORMAT, Line, decode};
use super::{Header, Recording, RecordingError};
use crate::input::{self, Pipes};
use crate::run_dir::RunDir;
use crate::sample::{Border, Record};

/// No line that tidewatch writes comes near this; a longer one is no recording.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// Reads the recording in the folder of a run, or the file itself.
///
/// A last line that was cut by the end of its writer is dropped and said in [`Recording::remarks`]. A broken line
/// anywhere else is an error, and so is a format that is newer than this program. A recording of very many samples
/// is thinned while it is read, as its writer would have done: see `bounded`.
pub fn read(path: &Path) -> Result<Recording, RecordingError> {
    read_into(path, Bounded::default())
}

/// Reads a recording into so much room.
pub(super) fn read_into(path: &Path, records: Bounded) -> Result<Recording, RecordingError> {
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
    let file = input::open(&path, Pipes::Refused).map_err(|source| RecordingError::read(&path, source))?;
    read_file(file, path, records)
}

/// Reads the recording that this process has made in a run directory: this very file, whatever path leads where by now.
pub fn read_own(run_dir: &RunDir) -> Result<Recording, RecordingError> {
    let path = run_dir.path_of(FILE_NAME);
    let file = run_dir.read(FILE_NAME).map_err(|source| RecordingError::read(&path, source))?;
    read_file(file, path, Bounded::default())
}

fn read_file(file: impl Read, path: PathBuf, mut records: Bounded) -> Result<Recording, RecordingError> {
    let mut lines = Lines::new(BufReader::with_capacity(1 << 16, file), path);
    let header = read_header(&mut lines)?;
    let mut recording = Recording { header, records: Vec::new(), footer: None, remarks: Vec::new() };
    while let Some(end) = lines.advance()? {
        match decode(&lines.line) {
            Ok(line) if recording.footer.is_some() => {
                let what = if matches!(line, Line::Footer(_)) { "a second footer" } else { "a record" };
                return Err(lines.broken(format!("{what} stands after the footer")));
            }
            Ok(Line::Record(record)) => records.push(record),
            Ok(Line::Footer(footer)) => recording.footer = Some(footer),
            // Only the last line can be cut; whether it is the last is known once nothing follows.
            Err(error) => match end {
                LineEnd::Missing => recording.remarks.push(cut_remark(&lines)),
                LineEnd::Present if lines.at_end()? => recording.remarks.push(cut_remark(&lines)),
                LineEnd::Present => return Err(lines.broken(error)),
            },
        }
    }
    recording.records = records.into_records();
    remark_on(&mut recording);
    Ok(recording)
}

fn cut_remark<R: BufRead>(lines: &Lines<R>) -> String {
    format!("the last line (line {}, {} bytes) was cut and is left out", lines.number, lines.line.len())
}

fn remark_on(recording: &mut Recording) {
    if recording.footer.is_none() {
        let until = recording.records.last().map_or(0.0, |record| record.at().seconds());
        recording.remarks.push(format!(
            "the recording was not finished: tidewatch was ended, or is still running; it reaches to {until:.1} s"
        ));
    }
    for record in &recording.records {
        if let Record::Mark(mark) = record
            && let Border::ScenarioBegins { scenario, .. } = &mark.border
            && recording.header.plan.scenario(scenario).is_none()
        {
            recording.remarks.push(format!("scenario `{scenario}` is not in the header's plan and is left out"));
        }
    }
}

/// Reads and checks the first line.
pub(super) fn read_header<R: BufRead>(lines: &mut Lines<R>) -> Result<Header, RecordingError> {
    let path = lines.path.clone();
    let Some(end) = lines.advance()? else { return Err(RecordingError::Empty(path)) };
    let not_a_recording = |reason: String| RecordingError::NotARecording { path: path.clone(), reason };
    let envelope: Envelope = match (serde_json::from_slice(&lines.line), end) {
        (Ok(envelope), _) => envelope,
        (Err(_), LineEnd::Missing) if begins_as_a_recording(&lines.line) => return Err(RecordingError::Empty(path)),
        (Err(error), _) => return Err(not_a_recording(error.to_string())),
    };
    if envelope.format != FORMAT {
        let version = envelope.format.strip_prefix(FAMILY).and_then(|version| version.parse::<u32>().ok());
        return Err(match version {
            Some(2..) => RecordingError::Newer {
                path,
                writer: envelope.tidewatch,
                format: envelope.format,
                ours: env!("CARGO_PKG_VERSION"),
            },
            _ => not_a_recording(format!("its format is `{}`", envelope.format)),
        });
    }
    serde_json::from_slice(&lines.line).map_err(|error| RecordingError::broken(&path, 1, error))
}

/// Whether a cut first line can be the start of a recording's.
fn begins_as_a_recording(line: &[u8]) -> bool {
    let begin = format!("{{\"format\":\"{FAMILY}");
    let shared = line.len().min(begin.len());
    line[..shared] == begin.as_bytes()[..shared]
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// With a line feed.
    Present,
    /// With the end of the file.
    Missing,
}

/// The lines of a file, one at a time in the same buffer.
pub(super) struct Lines<R> {
    input: R,
    path: PathBuf,
    /// The present line, without its end.
    pub line: Vec<u8>,
    /// Its number, from 1.
    pub number: u64,
}

impl<R: BufRead> Lines<R> {
    pub fn new(input: R, path: PathBuf) -> Self {
        Self { input, path, line: Vec::new(), number: 0 }
    }

    /// Goes to the next line; `None` at the end.
    pub fn advance(&mut self) -> Result<Option<LineEnd>, RecordingError> {
        self.line.clear();
        let mut limited = self.input.by_ref().take(LONGEST_LINE);
        let read =
            limited.read_until(b'\n', &mut self.line).map_err(|source| RecordingError::read(&self.path, source))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Some(LineEnd::Present));
        }
        if read as u64 == LONGEST_LINE {
            return Err(self.broken(format!("it is longer than {LONGEST_LINE} bytes")));
        }
        Ok(Some(LineEnd::Missing))
    }

    /// Whether nothing follows the present line.
    fn at_end(&mut self) -> Result<bool, RecordingError> {
        let rest = self.input.fill_buf().map_err(|source| RecordingError::read(&self.path, source))?;
        Ok(rest.is_empty())
    }

    /// The error that the present line is broken.
    pub fn broken(&self, reason: impl ToString) -> RecordingError {
        RecordingError::broken(&self.path, self.number, reason)
    }
}
