//! Who a process is: its pid together with its start time, and the words by which people know it.

use super::TargetError;
use crate::sample::Process;

/// Most arguments of a command line that are kept.
const MOST_ARGUMENTS: usize = 128;
/// Most bytes of one argument that are kept.
const MOST_ARGUMENT_BYTES: usize = 1024;

/// The identity of the process that has this pid now.
pub fn identify(pid: u32) -> Result<Process, TargetError> {
    system::identify(pid)
}

/// Whether the process is still there and is the same one. A zombie is still the same one.
pub fn is_same(process: Process) -> bool {
    identify(process.pid).is_ok_and(|now| now == process)
}

/// Its command line, bounded, bytes that are no UTF-8 replaced; its command name when it has none (kernel
/// threads, zombies). Untrusted text.
pub fn command_line(process: Process) -> Result<Vec<String>, TargetError> {
    let line = system::command_line(process.pid)?;
    let line = if line.is_empty() { vec![command_name(process)?] } else { line };
    // Read first, then asked who it was: a reused pid cannot lend its words to the one we meant.
    if is_same(process) { Ok(line) } else { Err(TargetError::Gone { process }) }
}

/// Its command name (at most 15 bytes on Linux). Untrusted text.
pub fn command_name(process: Process) -> Result<String, TargetError> {
    let name = system::command_name(process.pid)?;
    if is_same(process) { Ok(name) } else { Err(TargetError::Gone { process }) }
}

/// The arguments in the bytes of a cmdline file.
pub(crate) fn parse_command_line(bytes: &[u8]) -> Vec<String> {
    // Programs that rewrite their title leave a train of empty arguments.
    let end = bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    let mut arguments: Vec<String> = bytes[..end].split(|&b| b == 0).take(MOST_ARGUMENTS + 1).map(bounded).collect();
    if arguments.len() > MOST_ARGUMENTS {
        arguments[MOST_ARGUMENTS] = "…".to_owned();
    }
    arguments
}

fn bounded(argument: &[u8]) -> String {
    let cut = &argument[..argument.len().min(MOST_ARGUMENT_BYTES)];
    let mut text = String::from_utf8_lossy(cut).into_owned();
    if cut.len() < argument.len() {
        text.push('…');
    }
    text
}

#[cfg(target_os = "linux")]
mod system {
    use std::io::{ErrorKind, Read};
    use std::path::{Path, PathBuf};

    use super::super::stat::Stat;
    use super::{Process, TargetError};

    const PROC: &str = "/proc";
    const MOST_BYTES: u64 = 256 * 1024;

    pub(super) fn identify(pid: u32) -> Result<Process, TargetError> {
        identify_below(Path::new(PROC), pid)
    }

    pub(super) fn identify_below(root: &Path, pid: u32) -> Result<Process, TargetError> {
        let stat = Stat::read(root, pid).map_err(|error| failed(pid, root.join(format!("{pid}/stat")), error))?;
        // The folder of a thread can be opened by its number; it is not a process.
        if is_thread(root, pid) {
            return Err(TargetError::NoSuchPid { pid });
        }
        Ok(Process { pid, start: stat.start })
    }

    fn is_thread(root: &Path, pid: u32) -> bool {
        std::fs::read_to_string(root.join(format!("{pid}/status")))
            .ok()
            .and_then(|text| text.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse::<u32>().ok()))
            .is_some_and(|leader| leader != pid)
    }

    pub(super) fn command_name(pid: u32) -> Result<String, TargetError> {
        let root = Path::new(PROC);
        let stat = Stat::read(root, pid).map_err(|error| failed(pid, root.join(format!("{pid}/stat")), error))?;
        Ok(stat.comm)
    }

    pub(super) fn command_line(pid: u32) -> Result<Vec<String>, TargetError> {
        let path = Path::new(PROC).join(format!("{pid}/cmdline"));
        let mut bytes = Vec::new();
        std::fs::File::open(&path)
            .and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes))
            .map_err(|error| failed(pid, path, error))?;
        Ok(super::parse_command_line(&bytes))
    }

    fn failed(pid: u32, path: PathBuf, source: std::io::Error) -> TargetError {
        let gone = source.kind() == ErrorKind::NotFound || source.raw_os_error() == Some(libc::ESRCH);
        if gone { TargetError::NoSuchPid { pid } } else { TargetError::Read { path, source } }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    //! Start times here are seconds since the epoch, as sysinfo gives them.

    use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

    use super::{Process, TargetError};

    fn with<T>(pid: u32, f: impl FnOnce(&sysinfo::Process) -> T) -> Result<T, TargetError> {
        let mut system = System::new().map_err(|_| TargetError::Unsupported { what: "reading processes" })?;
        let wanted = [Pid::from_u32(pid)];
        let kind = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&wanted), true, kind);
        system.process(wanted[0]).map(f).ok_or(TargetError::NoSuchPid { pid })
    }

    pub(super) fn identify(pid: u32) -> Result<Process, TargetError> {
        with(pid, |process| Process { pid, start: process.start_time() })
    }

    pub(super) fn command_name(pid: u32) -> Result<String, TargetError> {
        with(pid, |process| process.name().to_string_lossy().into_owned())
    }

    pub(super) fn command_line(pid: u32) -> Result<Vec<String>, TargetError> {
        with(pid, |process| {
            let words: Vec<Vec<u8>> =
                process.cmd().iter().map(|word| word.to_string_lossy().into_owned().into_bytes()).collect();
            super::parse_command_line(&words.join(&0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_know_ourselves() {
        let me = identify(std::process::id()).expect("self");
        assert!(is_same(me));
        assert!(!is_same(Process { start: me.start + 1, ..me }));
        assert!(!command_line(me).expect("command line").is_empty());
        assert!(!command_name(me).expect("name").is_empty());
    }

    #[test]
    fn another_start_time_is_another_process() {
        let me = identify(std::process::id()).expect("self");
        let other = Process { start: me.start + 1, ..me };
        assert!(matches!(command_line(other), Err(TargetError::Gone { process }) if process == other));
        assert!(matches!(command_name(other), Err(TargetError::Gone { process }) if process == other));
    }

    #[test]
    fn a_pid_that_is_not_in_use_is_said() {
        // Past the largest pid that a kernel gives out (2^22).
        let error = identify(4_194_305).expect_err("no such pid");
        assert!(matches!(error, TargetError::NoSuchPid { pid: 4_194_305 }), "{error}");
    }

    #[test]
    fn command_lines_are_bounded_and_keep_empty_arguments() {
        let words = |bytes: &[u8]| parse_command_line(bytes);
        assert_eq!(words(b"sh\0-c\0\0x y\0"), ["sh", "-c", "", "x y"]);
        assert_eq!(words(b"postgres: writer \0\0\0\0"), ["postgres: writer "]);
        assert_eq!(words(b""), [] as [&str; 0]);
        assert_eq!(words(b"\0\0"), [] as [&str; 0]);
        assert_eq!(words(b"a\xff\0"), ["a\u{fffd}"]);
        let long = words(&vec![b'x'; 5000]);
        assert_eq!(long[0].chars().count(), MOST_ARGUMENT_BYTES + 1);
        let many = words(&b"x\0".repeat(1000));
        assert_eq!((many.len(), many[MOST_ARGUMENTS].as_str()), (MOST_ARGUMENTS + 1, "…"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_are_not_processes() {
        let root = tempfile::tempdir().expect("dir");
        std::fs::create_dir(root.path().join("9")).expect("folder");
        let fields = "S 1 9 9 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 77 1000 100";
        std::fs::write(root.path().join("9/stat"), format!("9 (x) {fields}\n")).expect("stat");
        std::fs::write(root.path().join("9/status"), "Name:\tx\nTgid:\t9\n").expect("status");
        assert_eq!(system::identify_below(root.path(), 9).expect("process"), Process { pid: 9, start: 77 });
        std::fs::write(root.path().join("9/status"), "Name:\tx\nTgid:\t8\n").expect("status");
        assert!(matches!(system::identify_below(root.path(), 9), Err(TargetError::NoSuchPid { pid: 9 })));
    }
}
