//! Which file the code at an address was mapped from, and where in it.
//!
//! An address means something only while its process lives, and only until it unloads the library: so addresses are turned
//! into a file and an offset when they are first seen, and the file is held open, so that its functions can be named after
//! the process has ended or the file was replaced. Code that no file stands behind (the kernel's own page, code made at
//! run time) stays an address. Nothing is named here.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::maps::{self, MappedFile, Mapping, Name, start_of};
use crate::sample::{CodeAddress, Module, Process};

/// Most files that are held open.
const MOST_OPEN: usize = 256;
/// Most characters of a path that are kept: the last ones.
const MOST_PATH: usize = 1024;

/// A file that code was mapped from, open.
#[derive(Debug)]
pub struct OpenModule {
    /// Its path as the target sees it: untrusted.
    pub path: PathBuf,
    /// The root folder of the target, such as `/proc/PID/root`. It may be gone.
    pub root: PathBuf,
    /// The file itself, whatever has become of its path.
    pub file: File,
    /// Its build-id in hexadecimal, where it has one.
    pub build_id: Option<String>,
}

/// The code of one process.
#[derive(Debug)]
pub(super) struct Code {
    process: Process,
    /// With the number of the file, once it has one.
    mappings: Vec<(Mapping, Option<u32>)>,
    /// Whether the mappings were read since the last look began.
    is_fresh: bool,
}

/// What a list of mappings tells of a table.
#[derive(Debug)]
pub(super) enum Mapped {
    /// The process has it mapped here.
    Here(Range<u64>, Code),
    /// It has another of the same folder: it was forked, and that one is its parent's.
    Parents,
    /// It has none.
    Nowhere,
}

impl Code {
    /// The code of a process that has a table mapped, and where.
    pub(super) fn around(process: Process, table: &Path) -> io::Result<Mapped> {
        let text = maps::read(process)?;
        Ok(match (maps::range_of(&text, table), table.parent()) {
            (Some(range), _) => Mapped::Here(range, Self::new(process, &text)),
            (None, Some(folder)) if maps::has_mapped(&text, folder, "heap.") => Mapped::Parents,
            (None, _) => Mapped::Nowhere,
        })
    }

    /// The code of a process.
    pub(super) fn of(process: Process) -> io::Result<Self> {
        Ok(Self::new(process, &maps::read(process)?))
    }

    fn new(process: Process, maps: &[u8]) -> Self {
        Self { process, mappings: numberless(maps), is_fresh: true }
    }

    /// A look begins: from now on the mappings may be read once more, if they do not suffice.
    pub(super) fn begin_look(&mut self) {
        self.is_fresh = false;
    }

    /// Where an address lies.
    pub(super) fn place(&mut self, address: u64, modules: &mut Modules) -> CodeAddress {
        if self.find(address).is_none() && !std::mem::replace(&mut self.is_fresh, true) {
            // A process that ended meanwhile keeps the mappings that were known.
            if let Ok(text) = maps::read(self.process) {
                self.mappings = numberless(&text);
            }
        }
        let process = self.process;
        let nowhere = CodeAddress { module: None, offset: address };
        let Some((mapping, number)) = self.find(address) else { return nowhere };
        if number.is_none() {
            *number = modules.number(process, mapping);
        }
        let offset = (address - mapping.addresses.start).saturating_add(mapping.offset);
        if number.is_some() { CodeAddress { module: *number, offset } } else { nowhere }
    }

    fn find(&mut self, address: u64) -> Option<&mut (Mapping, Option<u32>)> {
        let after = self.mappings.partition_point(|(mapping, _)| mapping.addresses.start <= address);
        let found = self.mappings.get_mut(after.checked_sub(1)?)?;
        found.0.addresses.contains(&address).then_some(found)
    }
}

fn numberless(maps: &[u8]) -> Vec<(Mapping, Option<u32>)> {
    maps::code_in(maps).into_iter().map(|mapping| (mapping, None)).collect()
}

/// The files that code was seen in, numbered, and held open.
#[derive(Debug, Default)]
pub(super) struct Modules {
    numbers: HashMap<MappedFile, u32>,
    known: Vec<Known>,
    remarks: Vec<String>,
}

#[derive(Debug)]
struct Known {
    /// For the recording, until it was handed out.
    untold: Option<Module>,
    open: Option<OpenModule>,
}

impl Modules {
    /// The number of a mapping's file, which is opened when it is new; `None` without a file.
    fn number(&mut self, process: Process, mapping: &Mapping) -> Option<u32> {
        let (file, _) = mapping.file.as_ref()?;
        if let Some(number) = self.numbers.get(file) {
            return Some(*number);
        }
        let id = u32::try_from(self.known.len()).ok()?;
        let is_room = self.known.iter().filter(|known| known.open.is_some()).count() < MOST_OPEN;
        let opened = if is_room { open(process, mapping) } else { Err("too many files are open already".into()) };
        let open = opened.map_err(|reason| self.remarks.push(format!("{}: {reason}", file.path.display()))).ok();
        let build_id = open.as_ref().and_then(|open| open.build_id.clone());
        self.known.push(Known { untold: Some(Module { id, path: shown(&file.path), build_id }), open });
        self.numbers.insert(file.clone(), id);
        Some(id)
    }

    /// What a recording keeps of these modules, of each the first time alone.
    pub(super) fn untold(&mut self, numbers: impl IntoIterator<Item = u32>) -> Vec<Module> {
        let mut modules = Vec::new();
        for number in numbers {
            if let Some(known) = self.known.get_mut(number as usize) {
                modules.extend(known.untold.take());
            }
        }
        modules
    }

    /// A module's file, where it could be opened.
    pub(super) fn open(&self, number: u32) -> Option<&OpenModule> {
        self.known.get(number as usize)?.open.as_ref()
    }

    /// What is to be said of modules that were met since the last time.
    pub(super) fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }
}

/// A path as text, its end where it is too long.
fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.chars().count().checked_sub(MOST_PATH) {
        None | Some(0) => text.into_owned(),
        Some(over) => std::iter::once('…').chain(text.chars().skip(over + 1)).collect(),
    }
}

/// Opens the file behind a mapping: by its path, or where that does not lead to it any more, by the kernel's links to the mapping
/// and to the program.
fn open(process: Process, mapping: &Mapping) -> Result<OpenModule, String> {
    let Some((file, name)) = &mapping.file else { return Err("no file stands behind it".into()) };
    let proc = maps::proc(process.pid);
    let module = |open: File| {
        let build_id = build_id(&open);
        OpenModule { path: file.path.clone(), root: proc.join("root"), file: open, build_id }
    };
    let by_path = match name {
        Name::Leads => {
            // The path is one of the target's file system.
            let path = proc.join("root").join(file.path.strip_prefix("/").unwrap_or(&file.path));
            opened(&path).map(|(open, about)| is_it(&about, file).then_some(open))
        }
        Name::Lost => Ok(None),
    };
    let trouble = match by_path {
        Ok(Some(open)) => return Ok(module(open)),
        Ok(None) => "the file was deleted or replaced while the target ran: its functions have no names".to_owned(),
        Err(error) => format!("it cannot be opened, so that its functions have no names: {error}"),
    };
    let Range { start, end } = &mapping.addresses;
    let by_mapping = || opened(&proc.join(format!("map_files/{start:x}-{end:x}"))).ok();
    let by_program = || opened(&proc.join("exe")).ok().filter(|(_, about)| about.ino() == file.inode);
    let by_link = by_mapping().or_else(by_program).map(|(open, _)| module(open));
    by_link.filter(|_| start_of(process.pid) == Some(process.start)).ok_or(trouble)
}

#[cfg(target_os = "linux")]
use super::symbols::build_id;

#[cfg(not(target_os = "linux"))]
fn build_id(_: &File) -> Option<String> {
    None
}

/// Opens a plain file. The target chose the path: whatever else is there must neither block nor be read.
fn opened(path: &Path) -> io::Result<(File, Metadata)> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let about = file.metadata()?;
    if about.is_file() { Ok((file, about)) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Whether a file is the mapped one. File systems without a device of their own (overlays, subvolumes) tell other numbers in
/// lists of mappings than of files; there the path has to do, and the kernel says when it is lost.
fn is_it(about: &Metadata, mapped: &MappedFile) -> bool {
    about.ino() == mapped.inode || mapped.device.0 == 0
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Cat(Child);

    /// Another program copies it: a file that is open for writing here would be so in every child that is being started by
    /// another test at this moment, and could not be executed.
    fn copy_cat(to: &Path) {
        assert!(Command::new("cp").arg("/bin/cat").arg(to).status().expect("cp").success());
    }

    impl Cat {
        fn start(program: &Path) -> Self {
            Self(Command::new(program).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat starts"))
        }

        /// Its code, once its program is mapped.
        fn code(&self, program: &Path) -> Code {
            let process = Process { pid: self.0.id(), start: start_of(self.0.id()).expect("its start") };
            let is_it = |(mapping, _): &(Mapping, Option<u32>)| {
                mapping.file.as_ref().is_some_and(|(file, _)| file.path == program)
            };
            loop {
                let code = Code::of(process).expect("its mappings");
                if code.mappings.iter().any(is_it) {
                    return code;
                }
                std::thread::yield_now();
            }
        }
    }

    impl Drop for Cat {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            drop(self.0.wait());
        }
    }

    /// The first address of a program's code.
    fn first_of(code: &Code, program: &Path) -> (u64, u64) {
        let mapping = code.mappings.iter().map(|(mapping, _)| mapping);
        let mut own = mapping.filter(|mapping| mapping.file.as_ref().is_some_and(|(file, _)| file.path == program));
        own.next().map(|mapping| (mapping.addresses.start, mapping.offset)).expect("the program's code")
    }

    #[test]
    fn a_place_is_a_file_and_an_offset_the_same_in_every_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().canonicalize().expect("its path").join("our cat");
        copy_cat(&program);
        let mut modules = Modules::default();
        let mut places = Vec::new();
        for _ in 0..2 {
            let cat = Cat::start(&program);
            let mut code = cat.code(&program);
            let (begin, offset) = first_of(&code, &program);
            places.push(code.place(begin + 5, &mut modules));
            assert_eq!(places[0], CodeAddress { module: Some(0), offset: offset + 5 });
            // No mapping holds the first page.
            assert_eq!(code.place(7, &mut modules), CodeAddress { module: None, offset: 7 });
        }
        assert_eq!(places[0], places[1]);
        let told = modules.untold([0, 0]);
        let build_id = modules.open(0).and_then(|open| open.build_id.clone());
        assert_eq!(told, [Module { id: 0, path: program.display().to_string(), build_id }]);
        assert_eq!(modules.untold([0]), []);
        assert_eq!(modules.remarks(), [""; 0]);
        // The processes are gone; the file is not.
        let open = modules.open(0).expect("the file");
        assert_eq!(open.path, program);
        assert_eq!(open.file.metadata().expect("about it").len(), fs::metadata("/bin/cat").expect("about it").len());
    }

    #[test]
    fn a_program_that_was_replaced_is_not_taken_for_the_one_that_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().canonicalize().expect("its path").join("cat");
        copy_cat(&program);
        let cat = Cat::start(&program);
        let code = cat.code(&program);
        let mapping = code.mappings.iter().map(|(mapping, _)| mapping);
        let mut own = mapping.filter(|mapping| mapping.file.as_ref().is_some_and(|(file, _)| file.path == program));
        let stale = own.next().expect("the program's code").clone();
        let inode = fs::metadata(&program).expect("about it").ino();
        fs::write(folder.path().join("new"), "another").expect("written");
        fs::rename(folder.path().join("new"), &program).expect("replaced");
        // Both as it was read before, and as the kernel tells it now: the link to the program leads to what runs.
        for code in [vec![(stale, None)], Code::of(code.process).expect("its mappings").mappings] {
            let mut code = Code { process: code_process(&cat), mappings: code, is_fresh: true };
            let mut modules = Modules::default();
            let (begin, _) = first_of(&code, &program);
            assert_eq!(code.place(begin, &mut modules).module, Some(0));
            let open = modules.open(0).expect("the program that runs");
            assert_eq!(open.file.metadata().expect("about it").ino(), inode);
        }
    }

    fn code_process(cat: &Cat) -> Process {
        Process { pid: cat.0.id(), start: start_of(cat.0.id()).expect("its start") }
    }

    #[test]
    fn long_paths_keep_their_ends() {
        let path = format!("/{}/end.so", "x".repeat(2000));
        let kept = shown(Path::new(&path));
        assert!(kept.starts_with('…') && kept.ends_with("x/end.so") && kept.chars().count() == MOST_PATH, "{kept}");
        assert_eq!(shown(Path::new("/usr/bin/a")), "/usr/bin/a");
    }
}
