//! A log that is followed: each new line that matches counts.
//!
//! The file is read on from where it ended when the watch began, in pieces, so that memory stays bounded however much
//! is appended. A file that is replaced (its name leads to another file) is read to its end, then the new one from its
//! beginning. One that becomes shorter was emptied, and is read from its beginning; one that was emptied and written
//! past the old length between two readings cannot be told from one that was appended to.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;

use super::SessionError;

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;
/// The longest line that is matched whole; of a longer one the beginning is.
const LONGEST_LINE: usize = 64 * 1024;
/// Most bytes of one turn: the rest has to wait for the next, which must not come late.
const MOST_AT_ONCE: u64 = 64 * 1024 * 1024;
/// The group that carries how many operations a line stands for.
const COUNT_GROUP: &str = "n";

/// Where in a file to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// At its present end: what stands there was before us. It must be there.
    End,
    /// At its beginning; it may come later.
    Beginning,
}

/// Follows one log.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    pattern: Regex,
    open: Option<Open>,
    line: Vec<u8>,
    counted: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    id: (u64, u64),
    read: u64,
}

impl Follower {
    /// Begins to follow a file.
    pub fn begin(path: &Path, pattern: Regex, from: From) -> Result<Self, SessionError> {
        let mut follower =
            Self { path: path.to_owned(), pattern, open: None, line: Vec::with_capacity(256), counted: 0 };
        let refused = |problem: String| SessionError::Log { path: path.to_owned(), problem };
        match (follower.reopen(), from) {
            (Ok(()), From::End) => {
                if let Some(open) = &mut follower.open {
                    open.read = open.file.seek(SeekFrom::End(0)).map_err(|error| refused(error.to_string()))?;
                }
            }
            (Err(error), From::Beginning) if error.kind() == ErrorKind::NotFound => {}
            (Ok(()), From::Beginning) => {}
            (Err(error), _) => return Err(refused(error.to_string())),
        }
        Ok(follower)
    }

    /// Reads what is new; operations so far. A file that cannot be read for a while counts nothing meanwhile.
    pub fn poll(&mut self) -> u64 {
        let mut left = MOST_AT_ONCE;
        // Each turn reads one file to its end; more than a few replaced within one turn wait for the next.
        for _ in 0..8 {
            left = self.read_on(left);
            if left == 0 || !self.moves_on(&mut left) {
                break;
            }
        }
        self.counted
    }

    /// Goes to the file that the name leads to now, where that is not the one that was read or it was emptied.
    fn moves_on(&mut self, left: &mut u64) -> bool {
        let Ok(now) = std::fs::metadata(&self.path) else { return false };
        match &mut self.open {
            Some(open) if open.id != id(&now) => {
                // Lines may have come between its end and the change of its name.
                *left = self.read_on(*left);
                self.line.clear();
                self.reopen().is_ok()
            }
            Some(open) if now.len() < open.read => {
                open.read = 0;
                self.line.clear();
                open.file.seek(SeekFrom::Start(0)).is_ok()
            }
            Some(_) => false,
            None => self.reopen().is_ok(),
        }
    }

    /// Opens the file at its beginning. Anything but a file of lines is refused: a pipe would never end.
    fn reopen(&mut self) -> std::io::Result<()> {
        if !std::fs::metadata(&self.path)?.is_file() {
            return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is not a plain file"));
        }
        let file = File::open(&self.path)?;
        let id = id(&file.metadata()?);
        self.open = Some(Open { file, id, read: 0 });
        Ok(())
    }

    /// Reads to the end of the open file, at most `left` bytes; what is left of them.
    fn read_on(&mut self, mut left: u64) -> u64 {
        let mut piece = [0; PIECE];
        while left > 0 {
            let Some(open) = &mut self.open else { break };
            let length = match open.file.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            open.read += length as u64;
            left = left.saturating_sub(length as u64);
            self.take(&piece[..length]);
        }
        left
    }

    fn take(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
            self.append(&piece[..end]);
            self.count();
            self.line.clear();
            piece = &piece[end + 1..];
        }
        self.append(piece);
    }

    fn append(&mut self, part: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn count(&mut self) {
        let more = match carries_count(&self.pattern) {
            false => u64::from(self.pattern.is_match(&self.line)),
            true => match self.pattern.captures(&self.line).map(|found| found.name(COUNT_GROUP)) {
                None => 0,
                Some(None) => 1,
                Some(Some(number)) => {
                    std::str::from_utf8(number.as_bytes()).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
                }
            },
        };
        self.counted = self.counted.saturating_add(more);
    }
}

/// Whether a line says itself how many operations it stands for.
fn carries_count(pattern: &Regex) -> bool {
    pattern.capture_names().flatten().any(|name| name == COUNT_GROUP)
}

fn id(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    struct Log {
        _folder: tempfile::TempDir,
        path: PathBuf,
    }

    impl Log {
        fn of(text: &str) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("service.log");
            fs::write(&path, text).expect("written");
            Self { _folder: folder, path }
        }

        fn append(&self, text: &str) {
            let mut file = File::options().append(true).create(true).open(&self.path).expect("the log");
            file.write_all(text.as_bytes()).expect("written");
        }

        fn follow(&self, pattern: &str, from: From) -> Follower {
            Follower::begin(&self.path, Regex::new(pattern).expect("a pattern"), from).expect("a follower")
        }
    }

    #[test]
    fn new_lines_that_match_count() {
        let log = Log::of("done 1\ndone 2\n");
        let (mut end, mut start) = (log.follow("done", From::End), log.follow("done", From::Beginning));
        assert_eq!((end.poll(), start.poll()), (0, 2));
        log.append("done 3\nother\ndo");
        assert_eq!((end.poll(), start.poll()), (1, 3));
        // A line counts when it is whole.
        log.append("ne 4\n");
        assert_eq!((end.poll(), start.poll()), (2, 4));
    }

    #[test]
    fn a_line_may_say_how_many_it_stands_for() {
        let log = Log::of("");
        let mut follower = log.follow(r"processed (?<n>\d+) items|one item", From::End);
        log.append("processed 500 items\none item\nprocessed 99999999999999999999999 items\nprocessed x items\n");
        assert_eq!(follower.poll(), 501);
    }

    #[test]
    fn a_log_that_is_rotated_is_followed_into_the_new_file() {
        let log = Log::of("done\n");
        let mut follower = log.follow("done", From::End);
        log.append("done\n");
        fs::rename(&log.path, log.path.with_extension("1")).expect("renamed");
        // Its writer has not opened the new one yet.
        File::options()
            .append(true)
            .open(log.path.with_extension("1"))
            .and_then(|mut old| old.write_all(b"done\n"))
            .expect("written");
        assert_eq!(follower.poll(), 2);
        log.append("done\ndone\n");
        assert_eq!(follower.poll(), 4);
    }

    #[test]
    fn a_log_that_is_emptied_is_read_anew() {
        let log = Log::of("done\ndone\ndone\n");
        let mut follower = log.follow("done", From::End);
        assert_eq!(follower.poll(), 0);
        fs::write(&log.path, "done\n").expect("written");
        assert_eq!(follower.poll(), 1);
        log.append("done\n");
        assert_eq!(follower.poll(), 2);
    }

    #[test]
    fn a_log_may_come_later_and_a_long_line_is_cut() {
        let log = Log::of("");
        fs::remove_file(&log.path).expect("removed");
        let mut follower = log.follow("^a.*b$", From::Beginning);
        assert_eq!(follower.poll(), 0);
        log.append(&format!("a{}b\nab\n", "x".repeat(3 * LONGEST_LINE)));
        assert_eq!(follower.poll(), 1);
        assert!(follower.line.capacity() <= 2 * LONGEST_LINE);
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let any = || Regex::new("x").expect("a pattern");
        for (path, from, words) in [
            (folder.path().join("none"), From::End, "No such file"),
            (folder.path().to_owned(), From::Beginning, "not a plain file"),
        ] {
            let message = Follower::begin(&path, any(), from).expect_err(words).to_string();
            assert!(message.contains(words) && message.contains("cannot follow"), "{message}");
        }
    }
}
