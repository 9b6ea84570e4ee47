//! Which managed runtime runs a process: told by its executable's name, a library that it maps, or, for Go, a section
//! of the executable. A program that hides all three is not recognised, and nothing is guessed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use rustix::io::Errno;

use super::files::{Files, ProcRoot, read_whole};
use super::member::Member;
use crate::sample::{Event, Process, Runtime};

/// How often a process is looked at: one that was just launched may not have become what it is to be.
const TRIES: u8 = 3;
/// Most processes looked at in one go, roots first.
const MOST_AT_ONCE: usize = 16;
/// Most bytes of a list of mappings, of a table of sections, of their names.
const MOST_MAPS: usize = 1 << 20;
const MOST_SECTIONS: usize = 1 << 16;
const MOST_NAMES: usize = 1 << 16;

/// Libraries by the begin of their name.
const LIBRARIES: [(&str, Runtime); 6] = [
    ("libjvm.so", Runtime::Jvm),
    ("libcoreclr.so", Runtime::Dotnet),
    ("libclrjit.so", Runtime::Dotnet),
    ("libnode.so", Runtime::Node),
    ("libpython3", Runtime::Python),
    ("libruby", Runtime::Ruby),
];

/// The section that every Go executable has, stripped or not.
const GO_SECTION: &[u8] = b".go.buildinfo";

/// What is known of the runtimes of a tree.
#[derive(Debug, Default)]
pub(crate) struct Runtimes {
    tried: BTreeMap<Process, u8>,
}

impl Runtimes {
    /// Looks at members that were not looked at enough; an event for each that a runtime runs.
    pub(crate) fn look(&mut self, proc: &ProcRoot, members: &[Member]) -> Vec<Event> {
        self.tried.retain(|process, _| members.iter().any(|member| member.process == *process));
        let mut events = Vec::new();
        let mut looked_at = 0;
        for member in members.iter().filter(|member| !member.gone) {
            let tries = self.tried.entry(member.process).or_default();
            if *tries >= TRIES || looked_at >= MOST_AT_ONCE {
                continue;
            }
            *tries += 1;
            looked_at += 1;
            // What may not be read, or has ended, is not known.
            if let Ok(Some(runtime)) = member.with_files(proc, of) {
                *tries = TRIES;
                events.push(Event::Runtime { process: member.process, runtime });
            }
        }
        events
    }
}

/// The runtime of a process.
fn of(files: &Files) -> Result<Option<Runtime>, Errno> {
    let link = rustix::fs::readlinkat(&files.dir, c"exe", Vec::new())?;
    let path = String::from_utf8_lossy(link.as_bytes()).into_owned();
    let name = path.rsplit('/').next().unwrap_or_default();
    if let Some(runtime) = by_executable(name.trim_end_matches(" (deleted)")) {
        return Ok(Some(runtime));
    }
    let mut maps = Vec::new();
    read_whole(&files.dir, c"maps", &mut maps, MOST_MAPS)?;
    if let Some(runtime) = by_libraries(&String::from_utf8_lossy(&maps)) {
        return Ok(Some(runtime));
    }
    let executable = files.reader(c"exe")?;
    Ok(has_section(&executable, GO_SECTION).unwrap_or(false).then_some(Runtime::Go))
}

fn by_executable(name: &str) -> Option<Runtime> {
    // `python3.13`, `ruby3.1`: a version may follow.
    let versioned = |word: &str| {
        name.strip_prefix(word).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || ".dt".contains(c)))
    };
    match name {
        "java" | "javaw" => Some(Runtime::Jvm),
        "node" | "nodejs" => Some(Runtime::Node),
        "dotnet" => Some(Runtime::Dotnet),
        _ if versioned("python") => Some(Runtime::Python),
        _ if versioned("ruby") => Some(Runtime::Ruby),
        _ => None,
    }
}

fn by_libraries(maps: &str) -> Option<Runtime> {
    let mapped = |library: &str| {
        maps.lines().filter_map(|line| line.rsplit_once('/')).any(|(_, name)| name.starts_with(library))
    };
    LIBRARIES.iter().find(|(library, _)| mapped(library)).map(|(_, runtime)| *runtime)
}

/// Whether an ELF file of 64 bits, in this machine's byte order, has a section of this name; `None` where it is none.
fn has_section(file: &File, wanted: &[u8]) -> Option<bool> {
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0).ok()?;
    if header[..5] != *b"\x7fELF\x02" {
        return None;
    }
    let (size, count) = (usize::from(half(&header, 58)?), usize::from(half(&header, 60)?));
    let names_index = usize::from(half(&header, 62)?);
    if size < 64 || size * count > MOST_SECTIONS || names_index >= count {
        return None;
    }
    let mut sections = vec![0; size * count];
    file.read_exact_at(&mut sections, long(&header, 40)?).ok()?;
    let names_section = &sections[names_index * size..][..size];
    let length = usize::try_from(long(names_section, 32)?).ok()?.min(MOST_NAMES);
    let mut names = vec![0; length];
    file.read_exact_at(&mut names, long(names_section, 24)?).ok()?;
    let is_wanted = |section: &[u8]| {
        let start = word(section, 0).and_then(|start| usize::try_from(start).ok());
        let name = start.and_then(|start| names.get(start..)).unwrap_or_default();
        name.strip_prefix(wanted).is_some_and(|rest| rest.first() == Some(&0))
    };
    Some(sections.chunks(size).any(is_wanted))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn executables_are_known_by_their_names() {
        for (name, expected) in [
            ("java", Some(Runtime::Jvm)),
            ("node", Some(Runtime::Node)),
            ("dotnet", Some(Runtime::Dotnet)),
            ("python3.13", Some(Runtime::Python)),
            ("python3.13-dbg", None),
            ("python", Some(Runtime::Python)),
            ("ruby3.1", Some(Runtime::Ruby)),
            ("rubygems-thing", None),
            ("nodeful", None),
            ("redis-server", None),
        ] {
            assert_eq!(by_executable(name), expected, "{name}");
        }
    }

    #[test]
    fn libraries_are_known_by_the_mappings() {
        let maps =
            "7f00-7f10 r-xp 0 fe:00 1 /usr/lib/jvm/java-21/lib/server/libjvm.so\n7f20-7f30 rw-p 0 00:00 0 [heap]\n";
        assert_eq!(by_libraries(maps), Some(Runtime::Jvm));
        assert_eq!(by_libraries("7f00-7f10 r-xp 0 fe:00 1 /usr/lib/libpython3.13.so.1.0\n"), Some(Runtime::Python));
        assert_eq!(by_libraries("7f00-7f10 r-xp 0 fe:00 1 /srv/libjvm.so.d/app\n7f20-7f30 rw-p 0 00:00 0 \n"), None);
        assert_eq!(by_libraries(""), None);
    }

    #[test]
    fn sections_are_found_in_real_and_made_up_files() {
        let own = File::open("/proc/self/exe").expect("our own executable");
        assert_eq!(has_section(&own, b".text"), Some(true));
        assert_eq!(has_section(&own, GO_SECTION), Some(false));
        assert_eq!(has_section(&File::open("/proc/self/maps").expect("a text"), GO_SECTION), None);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cut");
        // A header whose table lies past the end of the file.
        let mut cut = std::fs::read("/proc/self/exe").expect("our own executable");
        cut.truncate(64);
        std::fs::write(&path, cut).expect("written");
        assert_eq!(has_section(&File::open(&path).expect("a file"), b".text"), None);
    }

    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            // It may have ended by itself.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_running_python_is_one_and_a_sleep_is_none() {
        let start = |program: &str, words: &[&str]| {
            let quiet = Command::new(program).args(words).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
            Ended(quiet.expect("the program starts"))
        };
        let proc = ProcRoot::open(Path::new("/proc")).expect("/proc");
        let seen = |child: &Ended| Files::open(&proc, child.0.id()).and_then(|files| of(&files));
        let python = start("python3", &["-c", "import time; time.sleep(60)"]);
        let sleep = start("sleep", &["60"]);
        let deadline = Instant::now() + Duration::from_secs(20);
        // Between fork and exec it is still a copy of this program.
        while seen(&python) != Ok(Some(Runtime::Python)) {
            assert!(Instant::now() < deadline, "{:?}", seen(&python));
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(seen(&sleep), Ok(None));
    }
}
