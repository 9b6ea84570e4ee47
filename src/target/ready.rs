//! Waiting until a target says that it is ready, and the last things that it said.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use regex::Regex;
use tokio::time::{Instant, sleep_until};

use super::text::plain;
use super::{EndWatch, Logs, Stream, TargetError, describe};

/// How much of a line is kept: what a target says of its readiness is short.
const MOST_LINE_BYTES: usize = 64 * 1024;
/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A line without an end is taken as it is when nothing was added for so long: a prompt.
const UNFINISHED_AFTER: Duration = Duration::from_millis(300);
/// How much of the end of a log is quoted.
const TAIL_LINES: usize = 10;
const TAIL_BYTES: u64 = 4096;

type Captures = BTreeMap<String, String>;

/// Waits until a line of a target's log fits the pattern, and returns the pattern's named groups. ANSI colours
/// are taken out of the lines first. The log is read from where this target's output begins; never more than
/// one line and one chunk of it are held.
pub async fn wait_for_line(
    logs: &Logs,
    stream: Stream,
    pattern: &Regex,
    within: Duration,
    end: &EndWatch,
) -> Result<Captures, TargetError> {
    let deadline = Instant::now() + within;
    let failed = |source| TargetError::Read { path: logs.path(stream), source };
    let (file, begin) = logs.open(stream).map_err(failed)?;
    let mut follower = Follower::begin(file, begin, pattern).map_err(failed)?;
    loop {
        // Asked before reading: what it wrote until its end is read in full before the end counts.
        let ending = end.ending();
        match (follower.step(ending.is_some()).map_err(failed)?, ending) {
            (Step::Found(captures), _) => return Ok(captures),
            (Step::Idle, Some(ending)) => {
                return Err(TargetError::EndedBeforeReady { how: describe(ending.how), tail: last_words(logs) });
            }
            (step, _) if Instant::now() >= deadline => {
                let pattern = pattern.as_str().to_owned();
                drop(step);
                return Err(TargetError::NotReady { pattern, stream, within, tail: tail(logs, stream) });
            }
            (Step::Idle, None) => sleep_until((Instant::now() + LOOK_EVERY).min(deadline)).await,
            (Step::More, _) => tokio::task::yield_now().await,
        }
    }
}

enum Step {
    Found(Captures),
    /// Something was read, and more may be there.
    More,
    /// The end of what is there.
    Idle,
}

/// Follows a file that grows, line by line.
struct Follower<'a> {
    file: File,
    pattern: &'a Regex,
    line: Vec<u8>,
    last_growth: Instant,
}

impl<'a> Follower<'a> {
    fn begin(mut file: File, begin: u64, pattern: &'a Regex) -> std::io::Result<Self> {
        file.seek(SeekFrom::Start(begin))?;
        Ok(Self { file, pattern, line: Vec::new(), last_growth: Instant::now() })
    }

    fn step(&mut self, ended: bool) -> std::io::Result<Step> {
        let mut chunk = [0; 16 * 1024];
        let count = self.file.read(&mut chunk)?;
        if count == 0 {
            let settled = ended || self.last_growth.elapsed() >= UNFINISHED_AFTER;
            let found = if settled && !self.line.is_empty() { self.test() } else { None };
            return Ok(found.map_or(Step::Idle, Step::Found));
        }
        self.last_growth = Instant::now();
        for piece in chunk[..count].split_inclusive(|&b| b == b'\n') {
            let (text, is_whole) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = MOST_LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if is_whole {
                if let Some(captures) = self.test() {
                    return Ok(Step::Found(captures));
                }
                self.line.clear();
            }
        }
        Ok(Step::More)
    }

    fn test(&self) -> Option<Captures> {
        let text = String::from_utf8_lossy(&self.line);
        let text = console::strip_ansi_codes(text.trim_end_matches('\r'));
        let captures = self.pattern.captures(&text)?;
        let named = self.pattern.capture_names().flatten();
        Some(named.filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned()))).collect())
    }
}

/// The last lines of a log for a person, from where this target's output begins.
fn last_lines(logs: &Logs, stream: Stream) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let (mut file, begin) = logs.open(stream)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(begin.max(length.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let text = console::strip_ansi_codes(&text);
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(|line| plain(line, 300)).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec()
}

/// The very last line of a log.
#[cfg(target_os = "linux")]
pub(crate) fn last_line(logs: &Logs, stream: Stream) -> Option<String> {
    last_lines(logs, stream).pop()
}

fn tail(logs: &Logs, stream: Stream) -> String {
    let lines = last_lines(logs, stream);
    if lines.is_empty() {
        return format!("it wrote nothing to {stream}");
    }
    format!("the last lines of {stream} were:\n  {}", lines.join("\n  "))
}

/// What a target that ended said last: on stderr, else on stdout.
fn last_words(logs: &Logs) -> String {
    let stream = if last_lines(logs, Stream::Stderr).is_empty() { Stream::Stdout } else { Stream::Stderr };
    match last_lines(logs, stream).is_empty() {
        true => "it wrote nothing to stdout or stderr".to_owned(),
        false => tail(logs, stream),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;
    use crate::run_dir::RunDir;
    use crate::sample::{Ending, How};

    struct Fake {
        _folder: tempfile::TempDir,
        logs: Logs,
    }

    impl Fake {
        fn new(stdout: &str, stderr: &str) -> Self {
            let folder = tempfile::tempdir().expect("dir");
            let run_dir = Arc::new(RunDir::open(folder.path()).expect("open"));
            let logs = Logs { run_dir, stdout: "o".into(), stderr: "e".into(), begin: (0, 0) };
            std::fs::write(logs.path(Stream::Stdout), stdout).expect("stdout");
            std::fs::write(logs.path(Stream::Stderr), stderr).expect("stderr");
            Self { _folder: folder, logs }
        }
    }

    fn port() -> Regex {
        Regex::new(r"listening on port (?<port>\d+)").expect("pattern")
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn the_named_groups_of_the_first_fitting_line_are_returned() {
        let fake = Fake::new("hello\r\n\x1b[32mlistening\x1b[0m on port \x1b[1m8080\x1b[0m\nlistening on port 9\n", "");
        let (_sender, end) = EndWatch::pair();
        let found = wait_for_line(&fake.logs, Stream::Stdout, &port(), LONG, &end).await.expect("ready");
        assert_eq!(found, BTreeMap::from([("port".to_owned(), "8080".to_owned())]));
    }

    #[tokio::test]
    async fn a_line_is_not_judged_before_it_is_whole() {
        let fake = Fake::new("listening on port 80", "");
        let (_sender, end) = EndWatch::pair();
        let path = fake.logs.path(Stream::Stdout);
        let writer = tokio::task::spawn_blocking(move || {
            let mut file = File::options().append(true).open(path).expect("open");
            file.write_all(b"80\n").expect("write");
        });
        writer.await.expect("written");
        let found = wait_for_line(&fake.logs, Stream::Stdout, &port(), LONG, &end).await.expect("ready");
        assert_eq!(found["port"], "8080");
    }

    #[tokio::test]
    async fn output_of_an_earlier_target_does_not_count() {
        let mut fake = Fake::new("listening on port 1\nlistening on port 2\n", "");
        fake.logs.begin.0 = "listening on port 1\n".len() as u64;
        let (_sender, end) = EndWatch::pair();
        let found = wait_for_line(&fake.logs, Stream::Stdout, &port(), LONG, &end).await.expect("ready");
        assert_eq!(found["port"], "2");
    }

    #[tokio::test]
    async fn a_prompt_without_a_line_end_is_taken_in_the_end() {
        let fake = Fake::new("", "ready> ");
        let (_sender, end) = EndWatch::pair();
        let pattern = Regex::new("ready>").expect("pattern");
        let found = wait_for_line(&fake.logs, Stream::Stderr, &pattern, LONG, &end).await.expect("ready");
        assert!(found.is_empty());
    }

    #[tokio::test]
    async fn never_ready_shows_the_last_lines() {
        let fake = Fake::new("starting\nstill \x07starting\n", "");
        let (_sender, end) = EndWatch::pair();
        let within = Duration::from_millis(20);
        let error = wait_for_line(&fake.logs, Stream::Stdout, &port(), within, &end).await.expect_err("never");
        let text = error.to_string();
        for phrase in ["not seen on stdout within 20 ms", "the last lines of stdout", "starting", "\\u{7}"] {
            assert!(text.contains(phrase), "{text}");
        }
    }

    #[tokio::test]
    async fn an_early_end_shows_how_and_the_last_words() {
        let (sender, end) = EndWatch::pair();
        sender.send_replace(Some(Ending { how: How::Exited(1), expected: false, evidence: Vec::new() }));
        for (stdout, stderr, phrase) in [
            ("out", "address in use\n", "the last lines of stderr were:\n  address in use"),
            ("out", "", "the last lines of stdout were:\n  out"),
            ("", "", "it wrote nothing"),
        ] {
            let fake = Fake::new(stdout, stderr);
            let error = wait_for_line(&fake.logs, Stream::Stdout, &port(), LONG, &end).await.expect_err("ended");
            let text = error.to_string();
            assert!(text.contains("before it was ready: exit code 1"), "{text}");
            assert!(text.contains(phrase), "{text}");
        }
        // Ready and then ended is ready.
        let fake = Fake::new("listening on port 7", "");
        assert!(wait_for_line(&fake.logs, Stream::Stdout, &port(), LONG, &end).await.is_ok());
    }

    #[tokio::test]
    async fn endless_lines_are_held_in_bounds() {
        let fake = Fake::new(&format!("{}\nlistening on port 5\n", "x".repeat(3_000_000)), "");
        let (_sender, end) = EndWatch::pair();
        let found = wait_for_line(&fake.logs, Stream::Stdout, &port(), LONG, &end).await.expect("ready");
        assert_eq!(found["port"], "5");
        let pattern = port();
        let mut follower =
            Follower::begin(fake.logs.open(Stream::Stdout).expect("a log").0, 0, &pattern).expect("open");
        for _ in 0..10 {
            assert!(matches!(follower.step(false).expect("step"), Step::More));
            assert!(follower.line.len() <= MOST_LINE_BYTES);
        }
    }
}
