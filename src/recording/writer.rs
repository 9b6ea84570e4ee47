//! Writes a recording so that it can be read after any end of the writer.
//!
//! Each record is one line and one `write` on a file opened for appending: when tidewatch is killed at any
//! moment, what was written is in the hands of the kernel and at most the last line is cut. Past a set size the
//! older samples are thinned into a new file that takes the place of the old one in one step.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{FILE_NAME, Line, decode, encode_footer, encode_header, encode_record};
use super::reader::Lines;
use super::thin::{Decision, Pass, ShortLived, Thinner};
use super::{Footer, Header, RecordingError};
use crate::redact::{Redactor, redact_json};
use crate::run_dir::RunDir;
use crate::sample::{Event, Moment, Record};

/// How large a recording may become before its older samples are thinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeBound {
    /// At most about this many bytes.
    Bytes(u64),
    /// Never thinned.
    Unbounded,
}

impl Default for SizeBound {
    /// 64 MiB.
    fn default() -> Self {
        Self::Bytes(64 * 1024 * 1024)
    }
}

/// Thinning goes on until the file is below this share of its bound, so that it need not begin anew at once.
const TARGET_SHARE: f64 = 0.75;

/// Passes over the file in one thinning; each takes more than the one before.
const PASSES: u32 = 6;

/// The temporary file of a thinning, next to the recording.
const THINNING_NAME: &str = "recording.jsonl.thinning";

/// Appends to the recording of one run.
#[derive(Debug)]
pub struct Writer {
    run_dir: Arc<RunDir>,
    /// For messages.
    path: PathBuf,
    file: File,
    bound: SizeBound,
    /// Bytes in whole lines.
    size: u64,
    /// The size at which the next thinning begins.
    thin_at: u64,
    samples: u64,
    last: Moment,
    line: Vec<u8>,
    redactor: Redactor,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The file ends with a whole line.
    Whole,
    /// The file ends in half a line that could not be taken back.
    Torn,
}

impl Writer {
    /// Starts the recording of a run in its directory. A recording that is there already is not overwritten.
    pub fn create(
        run_dir: &Arc<RunDir>,
        header: &Header,
        bound: SizeBound,
        redactor: Redactor,
    ) -> Result<Self, RecordingError> {
        let path = run_dir.path_of(FILE_NAME);
        let file = match run_dir.create(FILE_NAME) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(RecordingError::Exists(path)),
            Err(source) => return Err(RecordingError::Create { path, source }),
        };
        let thin_at = match bound {
            SizeBound::Bytes(bytes) => bytes,
            SizeBound::Unbounded => u64::MAX,
        };
        let mut writer = Self {
            run_dir: Arc::clone(run_dir),
            path,
            file,
            bound,
            size: 0,
            thin_at,
            samples: 0,
            last: Moment::default(),
            line: Vec::with_capacity(1024),
            redactor,
            state: State::Whole,
        };
        encode_header(header, &mut writer.line)
            .and_then(|()| {
                let is_header = |line: &[u8]| serde_json::from_slice::<Header>(line).is_ok();
                redact_json(&writer.redactor, &mut writer.line, &is_header)
            })
            .map_err(|source| writer.encode_error(source))?;
        writer.end_line();
        writer.append()?;
        Ok(writer)
    }

    /// The file that is written to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one record. When this fails the file still ends with a whole line, or nothing more is written
    /// to it.
    pub fn write(&mut self, record: &Record) -> Result<(), RecordingError> {
        self.put(record)?;
        if self.size > self.thin_at {
            self.thin()?;
        }
        Ok(())
    }

    /// Writes the last line and hands everything to the disk.
    pub fn finish(mut self, footer: &Footer) -> Result<(), RecordingError> {
        encode_footer(footer, &mut self.line).map_err(|source| self.encode_error(source))?;
        self.append()?;
        self.file.sync_data().map_err(|source| RecordingError::write(&self.path, source))
    }

    fn put(&mut self, record: &Record) -> Result<(), RecordingError> {
        encode_record(record, &mut self.line)
            .and_then(|()| match record {
                // A sample holds numbers alone.
                Record::Sample(_) => Ok(()),
                _ => redact_json(&self.redactor, &mut self.line, &|line| decode(line).is_ok()),
            })
            .map_err(|source| self.encode_error(source))?;
        self.end_line();
        self.append()?;
        self.last = record.at();
        if matches!(record, Record::Sample(_)) {
            self.samples += 1;
        }
        Ok(())
    }

    /// What was redacted has lost its line end.
    fn end_line(&mut self) {
        if self.line.last() != Some(&b'\n') {
            self.line.push(b'\n');
        }
    }

    fn encode_error(&self, source: serde_json::Error) -> RecordingError {
        RecordingError::Encode { path: self.path.clone(), source }
    }

    /// Appends the line in the buffer, or takes back what was written of it.
    fn append(&mut self) -> Result<(), RecordingError> {
        if self.state == State::Torn {
            return Err(RecordingError::Torn(self.path.clone()));
        }
        match self.file.write_all(&self.line) {
            Ok(()) => {
                self.size += self.line.len() as u64;
                Ok(())
            }
            Err(source) => {
                if self.file.set_len(self.size).is_err() {
                    self.state = State::Torn;
                }
                Err(RecordingError::write(&self.path, source))
            }
        }
    }

    /// Makes the file smaller. A failure leaves the old file in its place, and the recording tells of it.
    fn thin(&mut self) -> Result<(), RecordingError> {
        let SizeBound::Bytes(bound) = self.bound else { return Ok(()) };
        let target = (bound as f64 * TARGET_SHARE) as u64;
        let mut failure = None;
        for effort in 1..=PASSES {
            match self.thin_once(self.pass(bound, effort)) {
                Ok(_) if self.size <= target => break,
                Ok(_) => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        // What cannot be made smaller must not be tried at every record.
        self.thin_at = bound.max(self.size + bound / 4);
        match failure {
            None => Ok(()),
            Some(error) => {
                let text = format!("older samples could not be thinned, so the recording outgrows its bound: {error}");
                self.put(&Record::Event { at: self.last, event: Event::Note { text } })
            }
        }
    }

    /// Each effort reaches further: over half of the samples, three quarters, seven eighths, with longer windows.
    fn pass(&self, bound: u64, effort: u32) -> Pass {
        let windows = (bound / 32_768).clamp(16, 2048) >> (effort - 1).min(4);
        let seconds = self.last.0.div_ceil(1_000_000).div_ceil(windows).max(1);
        Pass {
            older_samples: self.samples - (self.samples >> effort),
            window_us: seconds.next_power_of_two() * 1_000_000,
            events: if effort == 1 { ShortLived::Keep } else { ShortLived::Drop },
        }
    }

    /// One pass: decides, copies what stays into a new file, and puts that in the place of the old one.
    fn thin_once(&mut self, pass: Pass) -> Result<(), RecordingError> {
        let decision = self.decide(pass)?;
        let result = self.copy_kept(&decision).and_then(|copied| {
            let renamed = self.run_dir.rename(THINNING_NAME, FILE_NAME);
            renamed.map_err(|source| RecordingError::write(&self.path, source))?;
            Ok(copied)
        });
        match result {
            Ok((file, size)) => {
                (self.file, self.size) = (file, size);
                self.samples -= decision.dropped;
                Ok(())
            }
            Err(error) => {
                // It may not exist; what matters is that the old file is whole.
                let _ = self.run_dir.remove(THINNING_NAME);
                Err(error)
            }
        }
    }

    fn lines(&self) -> Result<Lines<BufReader<File>>, RecordingError> {
        let file = self.run_dir.read(FILE_NAME).map_err(|source| RecordingError::read(&self.path, source))?;
        Ok(Lines::new(BufReader::with_capacity(1 << 16, file), self.path.clone()))
    }

    fn decide(&self, pass: Pass) -> Result<Decision, RecordingError> {
        let mut lines = self.lines()?;
        let mut thinner = Thinner::new(pass);
        lines.advance()?;
        while lines.advance()?.is_some() {
            match decode(&lines.line).map_err(|error| lines.broken(error))? {
                Line::Record(record) if thinner.see(&record) => {}
                _ => break,
            }
        }
        Ok(thinner.finish())
    }

    /// Copies the header, what stays of the older part, a note of what went, and everything newer.
    fn copy_kept(&self, decision: &Decision) -> Result<(File, u64), RecordingError> {
        let to = self.run_dir.path_of(THINNING_NAME);
        let failed = |source| RecordingError::write(&to, source);
        let file = self.run_dir.create(THINNING_NAME).map_err(failed)?;
        let mut copy = Copy { out: BufWriter::with_capacity(1 << 16, file), size: 0 };
        let mut lines = self.lines()?;
        lines.advance()?;
        copy.line(&lines.line).map_err(failed)?;
        for &keep in &decision.keep {
            lines.advance()?;
            if keep {
                copy.line(&lines.line).map_err(failed)?;
            }
        }
        let note = self.thinned_line(decision)?;
        copy.line(note.trim_ascii_end()).map_err(failed)?;
        while lines.advance()?.is_some() {
            copy.line(&lines.line).map_err(failed)?;
        }
        let size = copy.size;
        let file = copy.out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_data().map_err(failed)?;
        Ok((file, size))
    }

    fn thinned_line(&self, decision: &Decision) -> Result<Vec<u8>, RecordingError> {
        let dropped = decision.dropped + decision.dropped_before;
        let record = Record::Event { at: decision.until, event: Event::Thinned { dropped } };
        let mut line = Vec::new();
        encode_record(&record, &mut line).map_err(|source| self.encode_error(source))?;
        Ok(line)
    }
}

struct Copy {
    out: BufWriter<File>,
    size: u64,
}

impl Copy {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        self.size += line.len() as u64 + 1;
        self.out.write_all(line)?;
        self.out.write_all(b"\n")
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::recording::{Host, Mode, read};
    use crate::sample::{Plan, Sample};

    #[test]
    fn a_failed_write_is_told_and_what_was_written_stays() {
        let dir = tempfile::tempdir().expect("tempdir");
        let run_dir = Arc::new(RunDir::open(dir.path()).expect("open"));
        let header = Header {
            tidewatch: "0.1.0".into(),
            started: String::new(),
            mode: Mode::Run,
            launched: false,
            interval_us: 1,
            host: Host::default(),
            plan: Plan::default(),
        };
        let mut writer = Writer::create(&run_dir, &header, SizeBound::Unbounded, Redactor::default()).expect("create");
        let record = Record::Sample(Sample::default());
        writer.write(&record).expect("room");
        // Every write to this device fails as on a full disk, and nothing on it can be taken back.
        let full = File::options().append(true).open("/dev/full").expect("/dev/full");
        let good = std::mem::replace(&mut writer.file, full);
        let error = writer.write(&record).expect_err("full").to_string();
        assert!(error.contains("recording.jsonl: No space left") && error.contains("make room"), "{error}");
        writer.file = good;
        assert!(matches!(writer.write(&record), Err(RecordingError::Torn(_))), "nothing follows half a line");
        assert_eq!(read(dir.path()).expect("readable").records, [record]);
    }
}
