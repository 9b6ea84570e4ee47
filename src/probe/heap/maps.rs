//! Lists of mappings, `/proc/PID/maps`: what of them tells where code and tables lie.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::procfs::stat::{folder_of, parse_stat};
use crate::sample::Process;

/// What the kernel puts behind the path of a file that has lost its name.
const DELETED: &[u8] = b" (deleted)";
/// Beginnings of paths behind which no file is to be found.
const NO_FILES: [&[u8]; 4] = [b"/memfd:", b"/SYSV", b"/dev/", b"/anon_hugepage"];
/// Most bytes of a list of mappings: some 600,000 of them.
const MOST_BYTES: u64 = 64 << 20;

/// A file as the kernel tells of it in a list of mappings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MappedFile {
    /// Its path, as the target sees it.
    pub(super) path: PathBuf,
    /// Its device, as lists of mappings tell it.
    pub(super) device: (u32, u32),
    /// Its inode.
    pub(super) inode: u64,
}

/// Whether the path of a mapped file still leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// It does.
    Leads,
    /// The file was deleted, or another took its place.
    Lost,
}

/// Code at a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Where it lies.
    pub(super) addresses: Range<u64>,
    /// What of the file begins there.
    pub(super) offset: u64,
    /// The file.
    pub(super) file: Option<(MappedFile, Name)>,
}

/// The executable mappings in a list of them, in the order of their addresses.
pub(super) fn code_in(maps: &[u8]) -> Vec<Mapping> {
    maps.split(|byte| *byte == b'\n').filter_map(code).collect()
}

/// The mapping of a file in a list of them.
pub(super) fn range_of(maps: &[u8], path: &Path) -> Option<Range<u64>> {
    let mut lines = maps.split(|byte| *byte == b'\n').filter_map(line);
    lines.find(|line| line.path == path.as_os_str().as_bytes()).map(|line| line.addresses)
}

/// Whether a file below a folder is mapped whose name begins like this.
pub(super) fn has_mapped(maps: &[u8], folder: &Path, beginning: &str) -> bool {
    let mut lines = maps.split(|byte| *byte == b'\n').filter_map(line);
    lines.any(|line| {
        let path = Path::new(OsStr::from_bytes(line.path));
        path.parent() == Some(folder)
            && path.file_name().is_some_and(|name| name.as_bytes().starts_with(beginning.as_bytes()))
    })
}

/// A line of a list of mappings.
struct Line<'a> {
    addresses: Range<u64>,
    rights: &'a [u8],
    offset: u64,
    device: (u32, u32),
    inode: u64,
    path: &'a [u8],
}

fn line(text: &[u8]) -> Option<Line<'_>> {
    let mut rest = text;
    let mut word = || {
        let begin = rest.iter().position(|byte| *byte != b' ')?;
        let words = rest.get(begin..)?;
        let end = words.iter().position(|byte| *byte == b' ').unwrap_or(words.len());
        let (word, after) = words.split_at(end);
        rest = after;
        Some(word)
    };
    let (range, rights, offset, device, inode) = (word()?, word()?, word()?, word()?, word()?);
    let (begin, end) = pair(range, b'-')?;
    let (major, minor) = pair(device, b':')?;
    Some(Line {
        addresses: hexadecimal(begin)?..hexadecimal(end)?,
        rights,
        offset: hexadecimal(offset)?,
        device: (u32::try_from(hexadecimal(major)?).ok()?, u32::try_from(hexadecimal(minor)?).ok()?),
        inode: std::str::from_utf8(inode).ok()?.parse().ok()?,
        path: rest.trim_ascii_start(),
    })
}

fn pair(text: &[u8], between: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == between)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn code(text: &[u8]) -> Option<Mapping> {
    let line = line(text)?;
    if line.rights.get(2) != Some(&b'x') {
        return None;
    }
    let is_file = line.inode > 0 && line.path.starts_with(b"/") && !NO_FILES.iter().any(|no| line.path.starts_with(no));
    let file = is_file.then(|| {
        let (path, name) = match line.path.strip_suffix(DELETED) {
            Some(path) => (path, Name::Lost),
            None => (line.path, Name::Leads),
        };
        (MappedFile { path: unescaped(path), device: line.device, inode: line.inode }, name)
    });
    Some(Mapping { addresses: line.addresses, offset: line.offset, file })
}

/// The kernel writes a line feed in a path as `\012`, and nothing else so.
fn unescaped(path: &[u8]) -> PathBuf {
    const LINE_FEED: &[u8] = b"\\012";
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(LINE_FEED) {
            Some(after) => (plain.push(b'\n'), rest = after).1,
            None => (plain.push(*first), rest = after).1,
        }
    }
    PathBuf::from(OsStr::from_bytes(&plain))
}

/// Whether a process still has a table mapped where it had. Asks the kernel for one link.
pub(super) fn is_mapped(process: Process, addresses: &Range<u64>, table: &Path) -> bool {
    let link = proc(process.pid).join(format!("map_files/{:x}-{:x}", addresses.start, addresses.end));
    match fs::read_link(link) {
        Ok(path) => path == table,
        // Who may not ask has to believe the name of the table.
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

/// The folder of a process.
pub(super) fn proc(pid: u32) -> PathBuf {
    PathBuf::from(folder_of(pid))
}

/// The mappings of a process, and of no other.
pub(super) fn read(process: Process) -> io::Result<Vec<u8>> {
    let mut maps = Vec::new();
    let file = File::open(proc(process.pid).join("maps"))?;
    io::Read::read_to_end(&mut io::Read::take(file, MOST_BYTES), &mut maps)?;
    // Read first, then asked whose they are: a pid that was used again cannot lend its mappings to the one that was meant.
    match start_of(process.pid) {
        Some(start) if start == process.start => Ok(maps),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// When the process with this pid started: the field of `stat` that makes its identity. One that has ended has it too.
pub(super) fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat).map(|stat| stat.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"\
559e3c6a5000-559e3c6a7000 r--p 00000000 fd:01 1234                       /usr/bin/server
559e3c6a7000-559e3c6a9000 r-xp 00002000 fd:01 1234                       /usr/bin/server
7f0000000000-7f0000001000 rwxp 00000000 00:00 0
7f0000002000-7f0000003000 r-xp 00000000 00:2a 99                         /opt/a b/new\\012line.so (deleted)
7f0000004000-7f0000405000 rw-s 00000000 fd:01 77                         /tmp/run/heap-1/heap.42
7f0000600000-7f0000601000 r-xp 00000000 00:01 5                          /memfd:jit (deleted)
7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn code_is_what_can_be_executed() {
        let code = code_in(MAPS);
        let files: Vec<_> =
            code.iter().map(|mapping| mapping.file.as_ref().map(|(file, name)| (&*file.path, *name))).collect();
        let server = Some((Path::new("/usr/bin/server"), Name::Leads));
        let lost = Some((Path::new("/opt/a b/new\nline.so"), Name::Lost));
        assert_eq!(files, [server, None, lost, None, None, None]);
        assert_eq!((code[0].offset, code[0].addresses.clone()), (0x2000, 0x559e_3c6a_7000..0x559e_3c6a_9000));
        let file = &code[0].file.as_ref().expect("a file").0;
        assert_eq!((file.device, file.inode), ((0xfd, 1), 1234));
    }

    #[test]
    fn a_table_is_found_by_its_path() {
        let own = Path::new("/tmp/run/heap-1/heap.42");
        assert_eq!(range_of(MAPS, own), Some(0x7f00_0000_4000..0x7f00_0040_5000));
        assert_eq!(range_of(MAPS, Path::new("/tmp/run/heap-1/heap.4")), None);
        assert!(has_mapped(MAPS, Path::new("/tmp/run/heap-1"), "heap."));
        assert!(!has_mapped(MAPS, Path::new("/tmp/run"), "heap."));
    }

    #[test]
    fn what_is_no_list_of_mappings_is_passed_over() {
        for text in ["", "\n\n", "x", "1-2 r-xp", "1-2 r-xp 0 0:0 x y", "1 r-xp 0 0:0 0", "zz-2 r-xp 0 0:0 0 /x"] {
            assert_eq!(code_in(text.as_bytes()), [], "{text}");
        }
    }

    #[test]
    fn mappings_are_those_of_the_process_that_was_meant() {
        let pid = std::process::id();
        let own = Process { pid, start: start_of(pid).expect("our own start") };
        let here = mappings_are_those_of_the_process_that_was_meant as *const () as u64;
        let code = code_in(&read(own).expect("our own mappings"));
        assert!(code.iter().any(|mapping| mapping.addresses.contains(&here)));
        assert!(read(Process { start: own.start + 1, ..own }).is_err());
    }
}
