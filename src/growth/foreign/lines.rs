//! The lines of a text, one at a time in the same buffer, and how a text begins.

use std::borrow::Cow;
use std::io::{BufRead, Read};

use super::CurveError;
use super::time::{is_time_line, prefix};

/// No line of a table comes near this; a longer one is something else.
const LONGEST_LINE: u64 = 1 << 20;
/// So much of a file is looked at to recognise its format.
pub(super) const HEAD: u64 = 1 << 16;
/// So many lines of it.
const HEAD_LINES: usize = 60;

/// Where times stand that are no part of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamps {
    /// Nowhere: every line is the format's.
    None,
    /// On lines of their own, before those they belong to.
    Lines,
    /// In front of each line, or on lines of their own.
    Prefixes,
}

/// How a file begins.
pub(super) struct Head<'a> {
    /// Lines that are not blank and hold more than a time.
    pub lines: Vec<&'a str>,
}

impl<'a> Head<'a> {
    pub fn of(text: &'a str) -> Self {
        let lines = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
        Self { lines: lines.filter(|line| !is_time_line(line)).take(HEAD_LINES).collect() }
    }

    /// The same without the time in front of each line, if its first lines have one.
    pub fn without_prefixes(&self) -> Option<Self> {
        let rest = |line: &&'a str| prefix(line).map(|end| line[end..].trim_start());
        let first = self.lines.first().and_then(rest)?;
        self.lines.get(1).is_none_or(|line| rest(line).is_some()).then_some(())?;
        let lines = [first].into_iter().chain(self.lines.iter().skip(1).map(|line| rest(line).unwrap_or(line)));
        Some(Self { lines: lines.collect() })
    }

    pub fn first(&self) -> &'a str {
        self.lines.first().copied().unwrap_or_default()
    }

    pub fn any(&self, is: impl Fn(&str) -> bool) -> bool {
        self.lines.iter().any(|line| is(line))
    }
}

/// A line without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub text: &'a str,
    /// From 1.
    pub number: usize,
    /// The time in front of it or on a line before.
    pub stamp: Option<&'a str>,
}

impl Line<'_> {
    pub fn misfit(&self, what: impl Into<String>) -> CurveError {
        CurveError::line(self.number, what)
    }
}

/// The lines of a text. Blank ones hold nothing and are passed over.
pub(super) struct Lines<'r> {
    input: Box<dyn BufRead + 'r>,
    line: Vec<u8>,
    number: usize,
    pub stamps: Stamps,
    stamp: Option<String>,
}

impl<'r> Lines<'r> {
    pub fn new(input: Box<dyn BufRead + 'r>, before: usize) -> Self {
        Self { input, line: Vec::new(), number: before, stamps: Stamps::None, stamp: None }
    }

    /// How many lines were passed over.
    pub fn passed(&self) -> usize {
        self.number
    }

    /// What was not read yet.
    pub fn rest(&mut self) -> &mut (dyn BufRead + 'r) {
        &mut *self.input
    }

    /// The next line that is not blank; `None` at the end.
    pub fn advance(&mut self) -> Result<Option<Line<'_>>, CurveError> {
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            if std::str::from_utf8(&self.line).is_err() {
                return Err(CurveError::line(self.number, "is not text"));
            }
            if self.stamps == Stamps::None || !self.take_stamp() {
                break;
            }
        }
        let begin = if self.stamps == Stamps::Prefixes { self.take_prefix() } else { 0 };
        let text = std::str::from_utf8(&self.line[begin..]).unwrap_or_default();
        Ok(Some(Line { text, number: self.number, stamp: self.stamp.as_deref() }))
    }

    /// Whether the present line is a time and nothing else, which is kept.
    fn take_stamp(&mut self) -> bool {
        let text = std::str::from_utf8(&self.line).unwrap_or_default();
        let is = is_time_line(text);
        if is {
            self.stamp = Some(text.trim().to_owned());
        }
        is
    }

    /// Keeps the time in front of the present line, and says where the rest begins.
    fn take_prefix(&mut self) -> usize {
        let text = std::str::from_utf8(&self.line).unwrap_or_default();
        let Some(end) = prefix(text) else { return 0 };
        self.stamp = Some(text[..end].trim().to_owned());
        end + (text[end..].len() - text[end..].trim_start().len())
    }

    fn fill(&mut self) -> Result<bool, CurveError> {
        loop {
            self.line.clear();
            let read =
                (&mut self.input).take(LONGEST_LINE).read_until(b'\n', &mut self.line).map_err(CurveError::Read)?;
            if read == 0 {
                return Ok(false);
            }
            self.number += 1;
            if read as u64 == LONGEST_LINE {
                return Err(CurveError::line(self.number, format!("is longer than {LONGEST_LINE} bytes")));
            }
            if self.line.contains(&b'\x1b') {
                self.line = without_cursor(&self.line);
            }
            let end = self.line.trim_ascii_end().len();
            // A tab at the end may be an empty field.
            let end = end + self.line[end..].iter().take_while(|byte| **byte == b'\t').count();
            self.line.truncate(end);
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }
}

/// A line without the orders that programs give a terminal to clear it and to go to its begin.
fn without_cursor(line: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        if line[at..].starts_with(b"\x1b[") {
            let order = &line[at + 2..];
            let length = order.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
            if order.get(length).is_some_and(|last| b"HJKfABCDG".contains(last)) {
                at += length + 3;
                continue;
            }
        }
        kept.push(line[at]);
        at += 1;
    }
    kept
}

/// The beginning of a file as text. The last line may be cut.
pub(super) fn as_text(head: &[u8]) -> Cow<'_, str> {
    if head.contains(&b'\x1b') {
        return Cow::Owned(String::from_utf8_lossy(&without_cursor(head)).into_owned());
    }
    String::from_utf8_lossy(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number, time and text of every line.
    fn lines(text: &[u8], stamps: Stamps) -> Result<Vec<(usize, Option<String>, String)>, String> {
        let mut lines = Lines::new(Box::new(text), 0);
        lines.stamps = stamps;
        let mut found = Vec::new();
        while let Some(line) = lines.advance().map_err(|error| error.in_file("f"))? {
            found.push((line.number, line.stamp.map(str::to_owned), line.text.to_owned()));
        }
        Ok(found)
    }

    #[test]
    fn blank_lines_count_and_hold_nothing() {
        let found = lines(b"\n a \r\n\t\nb\t\t \nc", Stamps::None);
        assert_eq!(
            found.map(|found| found.into_iter().map(|(n, _, text)| (n, text)).collect::<Vec<_>>()),
            Ok(vec![(2, " a".to_owned()), (4, "b\t\t".to_owned()), (5, "c".to_owned()),])
        );
        assert_eq!(lines(b"a\n\xff\n", Stamps::None), Err("f:2: is not text".to_owned()));
    }

    #[test]
    fn times_on_lines_of_their_own_belong_to_the_lines_after_them() {
        let row = |n: usize, stamp: Option<&str>, text: &str| (n, stamp.map(str::to_owned), text.to_owned());
        let text = b"a\n 09:00:00 \nb\nc\n09:01:00 d\n";
        let (nine, later) = (Some("09:00:00"), Some("09:01:00"));
        let as_they_are = [row(1, None, "a"), row(2, None, " 09:00:00"), row(3, None, "b")];
        assert_eq!(lines(text, Stamps::None).map(|found| found[..3].to_vec()), Ok(as_they_are.to_vec()));
        let own = vec![row(1, None, "a"), row(3, nine, "b"), row(4, nine, "c"), row(5, nine, "09:01:00 d")];
        assert_eq!(lines(text, Stamps::Lines), Ok(own));
        let prefixes = vec![row(1, None, "a"), row(3, nine, "b"), row(4, nine, "c"), row(5, later, "d")];
        assert_eq!(lines(text, Stamps::Prefixes), Ok(prefixes));
    }

    #[test]
    fn a_line_has_a_longest_length() {
        let fits = "7".repeat(LONGEST_LINE as usize - 1);
        assert_eq!(lines(fits.as_bytes(), Stamps::None).map(|found| found.len()), Ok(1));
        let long = lines(format!("a\n{fits}7").as_bytes(), Stamps::None).expect_err("too long");
        assert!(long.starts_with("f:2: is longer than"), "{long}");
    }

    #[test]
    fn orders_to_a_terminal_are_no_text() {
        for (line, kept) in [
            ("\x1b[2J\x1b[Habc", "abc"),
            ("\x1b[12;40Hx", "x"),
            ("a\x1b[Kb", "ab"),
            ("\x1b[31mred", "\x1b[31mred"),
            ("a\x1b[", "a\x1b["),
            ("a\x1b[5", "a\x1b[5"),
            ("a\x1bc", "a\x1bc"),
        ] {
            assert_eq!(without_cursor(line.as_bytes()), kept.as_bytes(), "{line:?}");
            assert_eq!(as_text(line.as_bytes()), kept);
        }
    }

    #[test]
    fn a_head_holds_lines_that_are_more_than_a_time() {
        let many = "x\n".repeat(HEAD_LINES + 1);
        assert_eq!(Head::of(&many).lines.len(), HEAD_LINES);
        let head = Head::of("09:00:00\n\n a \nb\n");
        assert_eq!((head.lines.as_slice(), head.first()), (&[" a", "b"][..], " a"));
        assert!(head.any(|line| line == "b") && !head.any(|line| line == "c") && head.without_prefixes().is_none());
        let rest = |text: &str| Head::of(text).without_prefixes().map(|head| head.lines.join("|"));
        assert_eq!(rest("09:00:00 a\n09:00:01 b\nc\n").as_deref(), Some("a|b|c"));
        assert_eq!(rest("09:00:00 a\n").as_deref(), Some("a"));
        assert_eq!(rest("09:00:00 a\nb\n"), None);
        assert_eq!((Head::of("").first(), rest("")), ("", None));
    }
}
