//! What the fixture itself says that it keeps, read while a check runs.
//!
//! The fixture's `/truth` is asked about four times a second, over one connection that stays: the buffers of new ones
//! would lie between what the fixture keeps and make its heap creep. The clock begins when the recording does.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

const POLL: Duration = Duration::from_millis(250);
/// Until the recording is there. It sets the clock.
const WATCH: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(2);
/// The page of the fixture is below 2 KiB.
const LARGEST_PAGE: u64 = 64 * 1024;

/// Every number of the truth at some moments, in order.
#[derive(Debug, Default)]
pub struct Truth {
    polls: Vec<Poll>,
}

#[derive(Debug)]
struct Poll {
    /// Seconds of the recording.
    at: f64,
    numbers: BTreeMap<String, f64>,
}

impl Truth {
    /// Watches the run folder of a check until the check has ended.
    pub fn during(check: &mut Child, folder: &Path) -> Result<Self> {
        let mut truth = Self::default();
        let mut began = None;
        let mut page: Option<(u16, Page)> = None;
        while check.try_wait().context("could not wait for tidewatch")?.is_none() {
            let Some(start) = began else {
                began = folder.join("recording.jsonl").exists().then(Instant::now);
                std::thread::sleep(WATCH);
                continue;
            };
            // Each scenario has a target of its own, with a log of its own.
            let port = latest_port(folder);
            if page.as_ref().map(|(port, _)| *port) != port {
                page = port.and_then(|port| Some((port, Page::open(port).ok()?)));
            }
            let Some((_, open)) = &mut page else {
                std::thread::sleep(WATCH);
                continue;
            };
            // A target that has ended has nothing to say.
            if let Ok(poll) = Poll::take(open, start) {
                truth.polls.push(poll);
            }
            std::thread::sleep(POLL);
        }
        Ok(truth)
    }

    /// By how much a number rose from the first reading between two moments to the last.
    pub fn rise(&self, name: &str, from_s: f64, to_s: f64) -> Result<f64> {
        let mut polls = self.polls.iter().filter(|poll| (from_s..=to_s).contains(&poll.at));
        let Some(first) = polls.next() else { bail!("the truth was not read from {from_s:.0} s to {to_s:.0} s") };
        Ok(polls.next_back().unwrap_or(first).number(name)? - first.number(name)?)
    }

    /// A number at a moment of the recording: between two polls it is taken to rise evenly. A run ends in the settling
    /// of its last cycle, where nothing moves any more: for a moment the last poll still holds.
    pub fn at(&self, name: &str, seconds: f64) -> Result<f64> {
        if let Some(last) =
            self.polls.last().filter(|last| (0.0..2.0 * POLL.as_secs_f64()).contains(&(seconds - last.at)))
        {
            return last.number(name);
        }
        let after = self.polls.partition_point(|poll| poll.at < seconds);
        let (Some(before), Some(after)) = (after.checked_sub(1).and_then(|i| self.polls.get(i)), self.polls.get(after))
        else {
            bail!("the truth was not read around second {seconds:.1} ({} times in all)", self.polls.len());
        };
        let (low, high) = (before.number(name)?, after.number(name)?);
        Ok(low + (high - low) * (seconds - before.at) / (after.at - before.at))
    }
}

impl Poll {
    fn take(page: &mut Page, start: Instant) -> Result<Self> {
        let asked = start.elapsed();
        let text = page.read()?;
        // The page was made somewhere between question and answer.
        let at = (asked + start.elapsed()).as_secs_f64() / 2.0;
        Ok(Self { at, numbers: numbers(&text) })
    }

    fn number(&self, name: &str) -> Result<f64> {
        self.numbers.get(name).copied().with_context(|| format!("the fixture exports no `{name}`"))
    }
}

/// The port of the target that was started last.
fn latest_port(folder: &Path) -> Option<u16> {
    let later = (2..).map(|number| folder.join(format!("stdout-{number}.log"))).take_while(|log| log.exists());
    printed_port(&later.last().unwrap_or_else(|| folder.join("stdout.log")))
}

fn printed_port(log: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(log).ok()?;
    let (_, rest) = text.split_once("listening on port ")?;
    rest.split_once('\n')?.0.trim().parse().ok()
}

/// The page of the fixture, over a connection that stays.
struct Page {
    stream: BufReader<TcpStream>,
}

impl Page {
    fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    fn read(&mut self) -> Result<String> {
        self.stream.get_mut().write_all(b"GET /truth HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("the target has closed the connection");
            }
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse()?,
                None if line.trim_end().is_empty() => break,
                Some(_) | None => {}
            }
        }
        let mut body = String::new();
        (&mut self.stream).take(u64::min(length, LARGEST_PAGE)).read_to_string(&mut body)?;
        Ok(body)
    }
}

/// The numbers of a page in Prometheus' text form: `NAME VALUE` a line.
fn numbers(page: &str) -> BTreeMap<String, f64> {
    let number = |line: &str| line.rsplit_once(' ').and_then(|(name, value)| Some((name.into(), value.parse().ok()?)));
    page.lines().filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_polls_it_rises_evenly() {
        let poll = |at, value| Poll { at, numbers: numbers(&format!("truth_items{{system=\"a\"}} {value}\nb 7\n")) };
        let truth = Truth { polls: vec![poll(1.0, 100), poll(1.5, 200), poll(2.0, 200)] };
        let at = |seconds| truth.at("truth_items{system=\"a\"}", seconds).ok();
        assert_eq!([at(1.25), at(1.5), at(1.75)], [Some(150.0), Some(200.0), Some(200.0)]);
        assert_eq!([at(0.5), at(2.25), at(2.5)], [None, Some(200.0), None]);
        assert!(truth.at("c", 1.25).is_err());
    }
}
