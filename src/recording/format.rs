//! The lines of a recording: how a header, a record and a footer become text, and text becomes them again.

use serde::{Deserialize, Serialize};

use super::{Footer, Header};
use crate::sample::{Record, Sample};

/// The file's name within the folder of a run.
pub const FILE_NAME: &str = "recording.jsonl";

/// The format's name and version, the first thing in the first line.
pub const FORMAT: &str = "tidewatch-recording/1";

/// How every version of the format begins.
pub(super) const FAMILY: &str = "tidewatch-recording/";

/// What stands at the start of the line of a sample; such lines are by far the most.
const SAMPLE_PREFIX: &[u8] = br#"{"kind":"sample","#;

/// What the first line tells before anything else of it is believed.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    /// Name and version of the format.
    pub format: String,
    /// Version of tidewatch that wrote the file.
    #[serde(default)]
    pub tidewatch: String,
}

/// A line after the first.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// Something in between.
    Record(Record),
    /// The last.
    Footer(Footer),
}

#[derive(Serialize)]
struct HeaderLine<'a> {
    format: &'static str,
    #[serde(flatten)]
    header: &'a Header,
}

#[derive(Serialize)]
struct FooterLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    footer: &'a Footer,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// Puts a header into `line`, its line end included.
pub(super) fn encode_header(header: &Header, line: &mut Vec<u8>) -> serde_json::Result<()> {
    encode(&HeaderLine { format: FORMAT, header }, line)
}

/// Puts a footer into `line`, its line end included.
pub(super) fn encode_footer(footer: &Footer, line: &mut Vec<u8>) -> serde_json::Result<()> {
    encode(&FooterLine { kind: "footer", footer }, line)
}

/// Puts a record into `line`, its line end included. JSON knows no NaN and no infinity: gauges with such
/// values are left out, for they are missing numbers.
pub(super) fn encode_record(record: &Record, line: &mut Vec<u8>) -> serde_json::Result<()> {
    match record {
        Record::Detail(detail) if detail.gauges.values().any(|value| !value.is_finite()) => {
            let mut detail = detail.clone();
            detail.gauges.retain(|_, value| value.is_finite());
            encode(&Record::Detail(detail), line)
        }
        record => encode(record, line),
    }
}

fn encode(value: &impl Serialize, line: &mut Vec<u8>) -> serde_json::Result<()> {
    line.clear();
    serde_json::to_writer(&mut *line, value)?;
    line.push(b'\n');
    Ok(())
}

/// Reads a line after the first. Samples take a short way: the tagged types read each line twice.
pub(super) fn decode(line: &[u8]) -> serde_json::Result<Line> {
    if line.starts_with(SAMPLE_PREFIX) {
        return Ok(Line::Record(Record::Sample(serde_json::from_slice::<Sample>(line)?)));
    }
    let Kind { kind } = serde_json::from_slice(line)?;
    match kind.as_str() {
        "footer" => Ok(Line::Footer(serde_json::from_slice(line)?)),
        _ => Ok(Line::Record(serde_json::from_slice(line)?)),
    }
}
