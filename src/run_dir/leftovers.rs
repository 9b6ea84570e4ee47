//! What a run that was killed has left where temporary files are: the next one removes it.

use std::io;

use rustix::fs::FlockOperation;

use super::Directory;
use super::private::places;
use super::trust::open_trusted;

/// How directories for lending begin; the owner and random digits follow.
const BEGINNING: &str = "tidewatch-heap-";
/// Digits of the random part.
const RANDOM_DIGITS: usize = 16;

/// The process that a directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pid: u32,
    start: u64,
}

impl Owner {
    pub fn this_process() -> Self {
        let pid = std::process::id();
        Self { pid, start: start_of(pid).unwrap_or_default() }
    }

    /// How the names of its directories begin.
    pub fn beginning(self) -> String {
        format!("{BEGINNING}{}-{}-", self.pid, self.start)
    }

    /// The owner that a name says.
    fn of(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(BEGINNING)?.split('-');
        let (pid, start, random) = (parts.next()?, parts.next()?, parts.next()?);
        let is_random = random.len() == RANDOM_DIGITS && random.bytes().all(|digit| digit.is_ascii_hexdigit());
        let owner = Self { pid: pid.parse().ok()?, start: start.parse().ok()? };
        // Only a name that we would write so.
        (is_random && parts.next().is_none() && name.starts_with(&owner.beginning())).then_some(owner)
    }

    fn lives(self) -> bool {
        start_of(self.pid) == Some(self.start)
    }
}

/// When the process with this pid started; `None` when it has ended, a zombie included.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    // Fields are numbered from 1 in proc(5); the third, the state, is the first behind the name.
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(22 - 4)?.parse().ok()
}

/// Removes what runs of this user that were killed have left. A directory of a living run, of another user, or with anything in it
/// that tidewatch does not make, is left alone.
pub fn remove_leftovers() {
    for place in places() {
        let Ok((parent, _)) = open_trusted(&place) else { continue };
        for name in parent.names().unwrap_or_default() {
            if Owner::of(&name).is_some_and(|owner| !owner.lives()) {
                // Another run may remove it at the same moment.
                let _ = remove_abandoned(&parent, &name);
            }
        }
    }
}

fn remove_abandoned(parent: &Directory, name: &str) -> io::Result<()> {
    let directory = parent.directory(name)?;
    if directory.stat()?.st_uid != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    // A pid says nothing across containers that share the place; the lock does.
    if rustix::fs::flock(directory.fd(), FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    remove(parent, name, &directory)
}

/// Removes a directory with its library and its tables; one with anything else in it stays as it is.
pub(super) fn remove(parent: &Directory, name: &str, directory: &Directory) -> io::Result<()> {
    let names = directory.names()?;
    if !names.iter().all(|name| is_library(name) || is_table(name)) {
        return Ok(());
    }
    for file in names {
        directory.unlink(&file)?;
    }
    parent.remove_directory(name, directory)
}

/// The library, or the beginning of one.
fn is_library(name: &str) -> bool {
    name.trim_start_matches('.').starts_with("libtidewatch_heap-")
}

/// The table of a process, as the sampler names it, or the beginning of one.
fn is_table(name: &str) -> bool {
    let pid = name.strip_prefix("heap.").map(|rest| rest.strip_suffix(".new").unwrap_or(rest));
    pid.is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Clock ticks since the machine started.
    fn now() -> u64 {
        let uptime = std::fs::read_to_string("/proc/uptime").expect("uptime");
        let seconds: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).expect("seconds");
        (seconds * 100.0) as u64
    }

    #[test]
    fn a_process_has_its_start_until_it_ends() {
        let before = now();
        let mut child = Command::new("sleep").arg("60").spawn().expect("a child");
        let start = start_of(child.id()).expect("it lives");
        assert!((before.saturating_sub(1)..=now() + 1).contains(&start), "{before} {start}");
        child.kill().expect("ended");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while start_of(child.id()).is_some() {
            assert!(std::time::Instant::now() < end, "a zombie has no start");
            std::thread::yield_now();
        }
        child.wait().expect("reaped");
        assert_eq!(start_of(child.id()), None);
    }

    fn make(parent: &Path, owner: Owner, files: &[&str]) -> std::path::PathBuf {
        let path = parent.join(crate::run_dir::directory::random_name(&owner.beginning()));
        std::fs::create_dir(&path).expect("made");
        files.iter().for_each(|file| std::fs::write(path.join(file), "").expect("written"));
        path
    }

    #[test]
    fn only_what_a_dead_run_left_is_removed() {
        let places = std::env::temp_dir();
        let living = Owner::this_process();
        let dead = Owner { start: 1, ..living };
        let ours = ["libtidewatch_heap-0.so", "heap.12", "heap.13.new"];
        let gone = [make(&places, dead, &ours), make(&places, dead, &[])];
        let used = make(&places, dead, &ours);
        let open = std::fs::File::open(&used).expect("open");
        rustix::fs::flock(&open, FlockOperation::NonBlockingLockExclusive).expect("locked");
        let kept = [make(&places, living, &ours), make(&places, dead, &["heap.12", "notes"]), used];
        remove_leftovers();
        let is_there = |path: &std::path::PathBuf| path.exists();
        let found = (gone.iter().any(is_there), kept.iter().all(is_there));
        let files: Vec<usize> = kept.iter().map(|path| path.read_dir().map_or(0, Iterator::count)).collect();
        kept.iter().for_each(|path| std::fs::remove_dir_all(path).expect("our own"));
        assert_eq!((found, files), ((false, true), vec![3, 2, 3]));
    }

    #[test]
    fn names_say_their_owner() {
        let owner = Owner { pid: 12, start: 345 };
        assert_eq!(Owner::of("tidewatch-heap-12-345-0123456789abcdef"), Some(owner));
        for name in [
            "tidewatch-heap-12-345",
            "tidewatch-heap-12-345-0123456789abcde",
            "tidewatch-heap-12-345-0123456789abcdeg",
            "tidewatch-heap-12-345-0123456789abcdef-1",
            "tidewatch-heap-+12-345-0123456789abcdef",
            "tidewatch-heap-012-345-0123456789abcdef",
            "heap-12-345-0123456789abcdef",
        ] {
            assert_eq!(Owner::of(name), None, "{name}");
        }
        assert!(Owner::this_process().lives());
        assert!(!Owner { start: 1, ..Owner::this_process() }.lives());
    }

    #[test]
    fn tables_and_libraries_are_known_by_their_names() {
        for name in ["heap.1", "heap.4071.new"] {
            assert!(is_table(name), "{name}");
        }
        for name in ["heap.", "heap.x", "heap.1.old", "heap.svg", "heap.folded", "heap-1"] {
            assert!(!is_table(name) && !is_library(name), "{name}");
        }
        assert!(is_library("libtidewatch_heap-0011223344556677.so"));
    }
}
