//! The words of `attach` and `run` about what the target tells of itself.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use regex::bytes::Regex;

use super::failure::Failure;
use crate::probe::gauges::{GaugeAddress, GaugeFormat, GaugeSource};
use crate::sample::Metric;
use crate::scenario::script;
use crate::session::{Counting, Exports, Watch};
use crate::units::{Unit, parse_per_second};

/// What the target tells of itself.
#[derive(Debug, Args)]
pub struct Exported {
    /// Where the target exports numbers as Prometheus text: http://127.0.0.1:PORT/PATH or unix:/SOCKET:/PATH
    #[arg(long, value_name = "URL")]
    gauges: Option<String>,
    /// A number to read there and to judge (repeatable)
    #[arg(long = "gauge", value_name = "NAME")]
    names: Vec<String>,
    /// What counts the target's operations, so that growth is told for each: gauge:NAME, log:FILE:REGEX, or with `run`
    /// stdout:REGEX [default: nothing; growth is told over time]
    #[arg(long, value_name = "SOURCE")]
    ops_from: Option<String>,
    /// A host other than this machine that --gauges may name (repeatable)
    #[arg(long, value_name = "HOST")]
    allow_remote: Vec<String>,
    /// The smallest growth that matters, memory=SIZE or count=NUMBER: per operation where they are counted, else per
    /// second, like memory=1KiB/s (repeatable)
    #[arg(long, value_name = "WHAT=AMOUNT")]
    smallest: Vec<String>,
}

/// How the target comes about: whether its output can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It runs already.
    Running,
    /// It is launched.
    Launched,
}

impl Exported {
    /// The words understood, and known to make sense together.
    pub fn checked(&self, target: Target) -> Result<Exports, Failure> {
        let operations = self.ops_from.as_deref().map(|word| counting(word, target)).transpose()?;
        let mut names = self.names.clone();
        if let Some(Counting::Gauge(name)) = &operations
            && !names.contains(name)
        {
            names.push(name.clone());
        }
        Ok(Exports { gauges: self.source(names)?, operations })
    }

    fn source(&self, names: Vec<String>) -> Result<Option<GaugeSource>, Failure> {
        let Some(url) = &self.gauges else {
            return match names.first() {
                None => Ok(None),
                Some(name) => Err(usage(format!(
                    "gauge `{name}`: say where the target exports it, with --gauges http://127.0.0.1:PORT/metrics"
                ))),
            };
        };
        if names.is_empty() {
            return Err(usage(format!(
                "--gauges {url}: nothing of it would be read; name numbers with --gauge NAME or --ops-from gauge:NAME"
            )));
        }
        let source =
            GaugeSource::parse(url, GaugeFormat::Prometheus, names).context("--gauges").map_err(Failure::usage)?;
        if let GaugeAddress::Tcp { authority, .. } = &source.address {
            let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
            if !script::is_here(&host) && !self.allow_remote.iter().any(|allowed| allowed.eq_ignore_ascii_case(&host)) {
                return Err(usage(format!(
                    "--gauges {url}: `{host}` is not this machine; if it may be asked once a second, add --allow-remote {host}"
                )));
            }
        }
        Ok(Some(source))
    }

    /// Puts the words into a watch.
    pub fn put_into(&self, watch: Watch, exports: Exports) -> Result<Watch, Failure> {
        let counted = exports.operations.is_some();
        let (mut memory, mut count) = (None, None);
        for word in &self.smallest {
            let (kind, amount) = word.split_once('=').unwrap_or((word, ""));
            let (unit, place) = match kind {
                "memory" => (Unit::Bytes, &mut memory),
                "count" => (Unit::Count, &mut count),
                _ => return Err(usage(format!("--smallest {word}: write memory=SIZE or count=NUMBER"))),
            };
            let value = if counted { unit.parse(amount) } else { parse_per_second(unit, amount) };
            let value = value.with_context(|| format!("--smallest {word}")).map_err(Failure::usage)?;
            if value <= 0.0 {
                return Err(usage(format!("--smallest {word}: it must be more than nothing: no run could see that")));
            }
            *place = Some(value);
        }
        Ok(watch.told_by(exports).asking(memory, count))
    }
}

/// Whether a threshold's gauge is read.
pub fn check_gauge(metric: &Metric, exports: &Exports) -> Result<(), Failure> {
    let Metric::Gauge(name) = metric else { return Ok(()) };
    let read = exports.gauges.as_ref().is_some_and(|source| source.names.contains(name));
    if read {
        return Ok(());
    }
    Err(usage(format!("gauge `{name}` is not read: add --gauge {name}, and --gauges URL that says where")))
}

fn usage(text: String) -> Failure {
    Failure::usage(anyhow!(text))
}

fn counting(word: &str, target: Target) -> Result<Counting, Failure> {
    let refused = |why: String| Err(usage(format!("--ops-from {word}: {why}")));
    match word.split_once(':') {
        Some(("gauge", name)) if !name.is_empty() => Ok(Counting::Gauge(name.to_owned())),
        Some(("log", rest)) => {
            let Some((path, text)) = split_log(rest) else {
                return refused("write log:FILE:REGEX".into());
            };
            log(word, path, pattern(word, text)?, target)
        }
        Some(("stdout", _)) if target == Target::Running => refused(
            "the output of a process that runs already cannot be read; follow its log with log:FILE:REGEX".into(),
        ),
        Some(("stdout", text)) => Ok(Counting::Stdout { pattern: pattern(word, text)? }),
        _ => refused("write gauge:NAME, log:FILE:REGEX or stdout:REGEX".into()),
    }
}

/// The file ends before the first colon behind which a file of that name is; the first colon where none is.
fn split_log(rest: &str) -> Option<(&str, &str)> {
    let colons = || rest.match_indices(':').map(|(at, _)| (&rest[..at], &rest[at + 1..]));
    let there = colons().find(|(path, _)| Path::new(path).is_file());
    there.or_else(|| colons().next()).filter(|(path, text)| !path.is_empty() && !text.is_empty())
}

fn pattern(word: &str, text: &str) -> Result<Regex, Failure> {
    if text.is_empty() {
        return Err(usage(format!(
            "--ops-from {word}: the pattern is empty, and would count every line; write `.` for that"
        )));
    }
    // The parser's message is a drawing over several lines; its last line says what is wrong.
    Regex::new(text).map_err(|error| {
        let text = error.to_string();
        let what = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
        usage(format!("--ops-from {word}: not a regular expression: {what}"))
    })
}

/// A log must be there and readable, before anything starts; one that a launched target will write may come later.
fn log(word: &str, path: &str, pattern: Regex, target: Target) -> Result<Counting, Failure> {
    let whole: PathBuf = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let trouble = match std::fs::metadata(&whole) {
        Ok(about) if !about.is_file() => Some("it is not a plain file".to_owned()),
        Ok(_) => std::fs::File::open(&whole).err().map(|error| error.to_string()),
        Err(error) if target == Target::Launched && error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(error.to_string()),
    };
    match trouble {
        None => Ok(Counting::Log { path: whole, pattern }),
        Some(trouble) => Err(Failure::target(anyhow!("--ops-from {word}: cannot follow {path}: {trouble}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_log_ends_where_a_file_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let odd = folder.path().join("a:b.log");
        std::fs::write(&odd, "").expect("written");
        let odd = odd.display().to_string();
        for (rest, expected) in [
            (format!("{odd}:done: (?<n>\\d+)"), Some((odd.as_str(), "done: (?<n>\\d+)"))),
            ("/nowhere/x.log:a:b".to_owned(), Some(("/nowhere/x.log", "a:b"))),
            ("/nowhere/x.log".to_owned(), None),
            ("/nowhere/x.log:".to_owned(), None),
            (":x".to_owned(), None),
        ] {
            assert_eq!(split_log(&rest), expected, "{rest}");
        }
    }
}
