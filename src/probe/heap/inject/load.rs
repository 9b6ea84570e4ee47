//! Bringing the library into a target, and giving it orders, on a borrowed thread.
//!
//! What the thread does is laid out beforehand, as a [`Visit`]: it loads the library, hands over the order, closes the files and
//! puts itself back, all without us. The visit lies in the file of the library, behind the library, and is mapped from there; so
//! it can be read after the thread has gone, and found by its name if it is left behind.

use std::fs::File;
use std::io::{self, Write as _};
use std::mem::{offset_of, size_of};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use super::borrow::Failure;
use super::frame::{Step, Stubs};
use super::image::{Image, Loaded, find, headers};
use super::modules::Modules;
use super::order::{self, FUNCTIONS, NAMES, Order, RANGES, Range, Room, STACK_BYTES, TEXT_BYTES, Visit};
use super::strays::Owner;
use super::target::{Mapping, Target, folder_of};
use super::trace::{CallError, FOR_A_VISIT, Place, Stopped};
use crate::probe::heap::refusal::Refusal;
use crate::probe::heap::{library, wire};

/// What is called in the target, found beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Functions {
    errno_location: u64,
    dlopen: u64,
    dlerror: u64,
    pub(super) stubs: Stubs,
}

impl Functions {
    pub(super) fn of(target: &Target, modules: &Modules) -> Result<Self, Refusal> {
        let find = |name| modules.function(target, name);
        Ok(Self {
            errno_location: find("__errno_location")?,
            dlopen: find("dlopen")?,
            dlerror: find("dlerror")?,
            stubs: stubs(target, modules).ok_or(Refusal::Unreadable { pid: target.pid() })?,
        })
    }
}

/// `mov $15, %rax; syscall`.
pub(super) const RESTORER: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
/// `syscall; ret`.
const SYSTEM_CALL: [u8; 3] = [0x0f, 0x05, 0xc3];

fn stubs(target: &Target, modules: &Modules) -> Option<Stubs> {
    let is_code = |mapping: &&Mapping| mapping.is_code() && modules.libc.holds(mapping.begin);
    let (mut system_call, mut restorer) = (None, None);
    for mapping in modules.maps.iter().filter(is_code) {
        let bytes = target.bytes(mapping.begin, (mapping.end - mapping.begin) as usize).ok()?;
        let place = |wanted: &[u8]| find(&bytes, wanted).map(|at| mapping.begin + at as u64);
        system_call = system_call.or_else(|| place(&SYSTEM_CALL));
        restorer = restorer.or_else(|| place(&RESTORER));
    }
    Some(Stubs { system_call: system_call?, restorer: restorer? })
}

/// Where the library keeps what is needed of it, from its begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offsets {
    pub(super) room: u64,
    obey: u64,
    visit: u64,
    code: Code,
}

/// The library's code in its file.
#[derive(Clone, Copy, Debug)]
struct Code {
    /// Where its pages begin in the file.
    offset: u64,
    bytes: u64,
    /// From there to `tidewatch_heap_visit`.
    visit: u64,
}

impl Offsets {
    pub(super) fn of_library() -> Option<Self> {
        const LOAD: u32 = 1;
        let file = Loaded(library());
        let image = Image::at(&file, 0, "")?;
        let visit = image.symbol(&file, "tidewatch_heap_visit")?;
        let headers = headers(library())?;
        let code = headers.iter().find(|header| {
            header.kind == LOAD && (header.address..header.address + header.file_bytes).contains(&visit)
        })?;
        let offset = code.offset & !(PAGE - 1);
        let code = Code {
            offset,
            bytes: (code.offset - offset + code.file_bytes).next_multiple_of(PAGE),
            visit: visit - code.address + code.offset - offset,
        };
        let [room, obey] = ["tidewatch_heap_room", "tidewatch_heap_obey"].map(|name| image.symbol(&file, name));
        Some(Self { room: room?, obey: obey?, visit, code })
    }
}

const PAGE: u64 = 4096;
const ORDER_AT: u64 = offset_of!(Room, order) as u64;
const VISIT_AT: u64 = offset_of!(Room, visit) as u64;
const STACK_AT: u64 = offset_of!(Room, stack) as u64;
const ORDER_HEAD: usize = offset_of!(Order, ranges);

/// An order, before it is written.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) task: u64,
    pub(super) interval: u64,
    pub(super) real: [u64; FUNCTIONS],
    pub(super) owner: (u64, u64),
    pub(super) with_stubs: bool,
    pub(super) ranges: Vec<Range>,
}

impl Wish {
    fn bytes(&self, table_file: i64) -> Vec<u8> {
        let mut words = vec![order::VERSION, self.task, table_file.cast_unsigned(), self.interval];
        words.extend(self.real);
        words.extend([self.owner.0, self.owner.1, u64::from(self.with_stubs), self.ranges.len() as u64]);
        debug_assert_eq!(words.len() * 8, ORDER_HEAD);
        words.extend(self.ranges.iter().flat_map(|range| [range.begin, range.end, range.is_writable]));
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// The mappings of modules' data, in which slots may lie.
pub(super) fn ranges(maps: &[Mapping], images: &[Image]) -> Vec<Range> {
    let is_data = |mapping: &&Mapping| {
        let is_private = mapping.rights[0] == b'r' && !mapping.is_code() && mapping.rights[3] == b'p';
        is_private && mapping.inode != 0 && images.iter().any(|image| image.holds(mapping.begin))
    };
    let range =
        |mapping: &Mapping| Range { begin: mapping.begin, end: mapping.end, is_writable: mapping.is_writable().into() };
    maps.iter().filter(is_data).map(range).take(RANGES).collect()
}

/// The functions behind the slots, and whether unresolved calls may be led away too.
pub(super) fn real(target: &Target, modules: &Modules) -> ([u64; FUNCTIONS], bool) {
    let mut real = [0; FUNCTIONS];
    for (index, (place, name)) in real.iter_mut().zip(NAMES).enumerate() {
        let Ok(name) = name.to_str() else { continue };
        let own = if index < order::ALLOCATOR { modules.allocator.symbol(target, name) } else { None };
        *place = own.or_else(|| modules.libc.symbol(target, name)).unwrap_or(0);
    }
    let known = [&modules.libc, &modules.loader, &modules.allocator].map(|image| image.begin);
    let others = modules
        .images
        .iter()
        .filter(|image| !known.contains(&image.begin) && !image.path.starts_with(super::modules::INJECTED));
    let defines =
        |image: &Image| NAMES.iter().any(|name| name.to_str().is_ok_and(|name| image.symbol(target, name).is_some()));
    (real, !others.into_iter().any(defines))
}

/// A file in the target's memory, as the target knows it and as we do.
#[derive(Debug)]
pub(super) struct MemoryFile {
    number: u64,
    pub(super) ours: File,
}

impl MemoryFile {
    /// Whether the number still means this file in the target, which may close whatever it likes.
    fn is_open(&self, pid: u32) -> bool {
        let there = std::fs::metadata(format!("{}/fd/{}", folder_of(pid), self.number));
        let same =
            |there: std::fs::Metadata, ours: std::fs::Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        there.ok().zip(self.ours.metadata().ok()).is_some_and(|(there, ours)| same(there, ours))
    }
}

/// What is handed over.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) table: MemoryFile,
    library: Option<MemoryFile>,
}

/// Where the visit lies in the file of the library, and what is mapped of it: the visit, the order, a stack.
fn region_in_file() -> u64 {
    (library().len() as u64).next_multiple_of(PAGE)
}
const REGION_ORDER: u64 = PAGE;
const REGION_STACK: u64 = REGION_ORDER + (size_of::<Order>() as u64).next_multiple_of(PAGE);
const REGION_BYTES: u64 = REGION_STACK + ROOM_FOR_LOADING;
const ROOM_FOR_LOADING: u64 = 256 << 10;
const _: () = assert!(size_of::<Visit>() as u64 <= PAGE);

impl Files {
    /// Gives them their contents and their room, from our side: the target goes on meanwhile.
    pub(super) fn fill(&self, pid: u32, wish: &Wish) -> Result<(), Refusal> {
        let loader = |message: String| Refusal::Loader { pid, message };
        if let Some(MemoryFile { ours, .. }) = &self.library {
            let mut file = ours;
            let order = wish.bytes(self.table.number as i64);
            let filled = file
                .write_all(library())
                .and_then(|()| ours.set_len(region_in_file() + REGION_BYTES))
                .and_then(|()| ours.write_all_at(&order, region_in_file() + REGION_ORDER));
            filled.map_err(|error| loader(format!("no memory for it: {error}")))?;
        }
        let how = rustix::fs::FallocateFlags::empty();
        let room = rustix::fs::fallocate(&self.table.ours, how, 0, wire::TABLE_BYTES as u64);
        room.map_err(|error| loader(format!("no memory for its table: {error}")))
    }

    /// Gives back the memory of a visit that is over.
    pub(super) fn forget_visit(&self) {
        use rustix::fs::FallocateFlags;
        if let Some(library) = &self.library {
            let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = rustix::fs::fallocate(&library.ours, how, region_in_file(), REGION_BYTES);
        }
    }
}

/// Calls on a borrowed thread.
pub(super) struct Calls<'a> {
    target: &'a Target,
    thread: &'a mut Stopped,
    functions: &'a Functions,
}

const EXEC: u64 = 0x10;
const CLOEXEC: u64 = 1;
const READ: u64 = 1;
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;
const SHARED: u64 = 1;
const PRIVATE_FIXED: u64 = 0x12;

impl<'a> Calls<'a> {
    /// `floor` is the lowest address of the thread's stack.
    pub(super) fn on(
        target: &'a Target,
        functions: &'a Functions,
        thread: &'a mut Stopped,
        floor: u64,
    ) -> Result<Self, Failure> {
        // A stack without room for the way back is no stack to work on.
        thread.prepare(target, functions.stubs, floor).map_err(|_| Failure::Retry)?;
        Ok(Self { target, thread, functions })
    }

    fn loader(&self, message: impl Into<String>) -> Failure {
        Failure::Refused(Refusal::Loader { pid: self.target.pid(), message: message.into() })
    }

    fn failed(&self, error: CallError) -> Failure {
        let pid = self.target.pid();
        Failure::Refused(match error {
            CallError::Gone => Refusal::Gone { pid },
            CallError::Waits => Refusal::LoaderBusy { pid },
            CallError::Lasts => Refusal::CallLasts { pid, seconds: FOR_A_VISIT.as_secs() },
            CallError::Refused => Refusal::NotPermitted { pid },
            CallError::NoStack => return Failure::Retry,
            CallError::Fault(signal) => {
                Refusal::Loader { pid, message: format!("a call on one of its threads ran into signal {signal}") }
            }
        })
    }

    /// A system call: what it returns, or the number of its error.
    fn kernel(&mut self, number: libc::c_long, values: &[u64]) -> Result<Result<u64, i32>, Failure> {
        let result = self.thread.system_call(number, values).map_err(|error| self.failed(error))?;
        Ok(if (-4095..0).contains(&result) { Err(-result as i32) } else { Ok(result.cast_unsigned()) })
    }

    /// Makes the files in memory that are needed, empty.
    pub(super) fn make_files(&mut self, with_library: bool, owner: Owner) -> Result<Files, Failure> {
        const NOEXEC_SEAL: u64 = 8;
        let table = self.memory_file(&owner.name("table"), NOEXEC_SEAL)?;
        if !with_library {
            return Ok(Files { table, library: None });
        }
        match self.memory_file(&owner.name("heap"), EXEC) {
            Ok(library) => Ok(Files { table, library: Some(library) }),
            Err(failure) => {
                self.close(&[table.number])?;
                Err(failure)
            }
        }
    }

    /// Closes files, where they serve for nothing.
    pub(super) fn close(&mut self, files: &[u64]) -> Result<(), Failure> {
        for file in files {
            let _ = self.kernel(libc::SYS_close, &[*file])?;
        }
        Ok(())
    }

    /// Takes a mapping away that nobody uses.
    pub(super) fn unmap(&mut self, begin: u64, bytes: u64) -> Result<(), Failure> {
        let _ = self.kernel(libc::SYS_munmap, &[begin, bytes])?;
        Ok(())
    }

    /// Closes the files that are still these.
    pub(super) fn close_files(&mut self, files: &Files) -> Result<(), Failure> {
        let pid = self.target.pid();
        let files = [Some(&files.table), files.library.as_ref()].into_iter().flatten();
        let open: Vec<u64> = files.filter(|file| file.is_open(pid)).map(|file| file.number).collect();
        self.close(&open)
    }

    fn memory_file(&mut self, name: &str, flags: u64) -> Result<MemoryFile, Failure> {
        let name_at = self.thread.scratch();
        let name = format!("{name}\0");
        debug_assert!(name.len() as u64 <= super::frame::SCRATCH_BYTES);
        self.target.write(name_at, name.as_bytes()).map_err(|error| self.loader(error.to_string()))?;
        let mut file = self.kernel(libc::SYS_memfd_create, &[name_at, CLOEXEC | flags])?;
        if file == Err(libc::EINVAL) {
            // Before Linux 6.3 such files are as they are wished.
            file = self.kernel(libc::SYS_memfd_create, &[name_at, CLOEXEC])?;
        }
        let number = match file {
            Ok(number) => number,
            Err(libc::EACCES | libc::EPERM) => {
                return Err(Failure::Refused(Refusal::NoexecMemory { pid: self.target.pid() }));
            }
            Err(error) => {
                return Err(self.loader(format!("no file in memory: {}", io::Error::from_raw_os_error(error))));
            }
        };
        let path = format!("{}/fd/{number}", folder_of(self.target.pid()));
        match File::options().read(true).write(true).open(path) {
            Ok(ours) => Ok(MemoryFile { number, ours }),
            Err(error) => {
                self.close(&[number])?;
                Err(self.loader(format!("its file cannot be opened from here: {error}")))
            }
        }
    }

    /// Loads the library, lets it begin, and gives its address.
    pub(super) fn load(&mut self, offsets: Offsets, wish: &Wish, files: &Files) -> Result<u64, Failure> {
        let pid = self.target.pid();
        let Some(library) = files.library.as_ref().filter(|file| file.is_open(pid) && files.table.is_open(pid)) else {
            return Err(self.loader("the program has closed the files that were made for it"));
        };
        let region = match self.map_region(offsets, library.number) {
            Ok(region) => region,
            Err(failure) => {
                if !failure.has_lost_thread() {
                    self.close_files(files)?;
                }
                return Err(failure);
            }
        };
        let (begin, bytes) = (region.begin, region.bytes);
        let result = self.load_from(&region, offsets, wish, files);
        let is_lost = result.as_ref().is_err_and(Failure::has_lost_thread);
        if !is_lost && !self.thread.is_back() {
            if result.is_err() {
                self.close_files(files)?;
            }
            self.unmap(begin, bytes)?;
        }
        result
    }

    /// Maps the visit with its stack, and behind it the code that is to run.
    fn map_region(&mut self, offsets: Offsets, file: u64) -> Result<Region, Failure> {
        let Code { offset, bytes, visit } = offsets.code;
        let failed = |error: i32| format!("no memory for a stack: {}", io::Error::from_raw_os_error(error));
        let length = REGION_BYTES + bytes;
        let values = [0, length, READ | WRITE, SHARED, file, region_in_file()];
        let begin = self.kernel(libc::SYS_mmap, &values)?.map_err(|error| self.loader(failed(error)))?;
        let region = Region { begin, bytes: length, code: begin + REGION_BYTES + visit };
        let step = Step { number: libc::SYS_munmap, values: [begin, length] };
        self.thread.clean_up_with(self.target, step).map_err(|error| self.failed(error))?;
        let values = [begin + REGION_BYTES, bytes, READ | EXECUTE, PRIVATE_FIXED, file, offset];
        match self.kernel(libc::SYS_mmap, &values)? {
            Ok(_) => Ok(region),
            Err(error) => {
                self.unmap(begin, length)?;
                let what = io::Error::from_raw_os_error(error);
                Err(match error {
                    libc::EACCES | libc::EPERM => Failure::Refused(Refusal::NoexecMemory { pid: self.target.pid() }),
                    _ => self.loader(format!("its code cannot be mapped: {what}")),
                })
            }
        }
    }

    fn load_from(&mut self, region: &Region, offsets: Offsets, wish: &Wish, files: &Files) -> Result<u64, Failure> {
        let Some(library) = &files.library else { return Err(self.loader("there is no file of the library")) };
        let visit = Visit {
            order: region.begin + REGION_ORDER,
            order_bytes: (ORDER_HEAD + wish.ranges.len() * size_of::<Range>()) as u64,
            files: [files.table.number as i64, library.number as i64],
            // By a name that no program would use for itself: the loader knows its libraries by name.
            path: text(&format!("/proc/thread-self/fd/{}", library.number)),
            ..self.visit(offsets, 0)
        };
        let file = &library.ours;
        let at = region_in_file();
        file.write_all_at(&bytes_of(&visit), at).map_err(|error| self.loader(error.to_string()))?;
        let word = |offset: usize| {
            let mut word = [0; 8];
            file.read_exact_at(&mut word, at + offset as u64).ok().map(|()| u64::from_le_bytes(word))
        };
        let there = Place { code: region.code, visit: region.begin, stack_end: region.begin + REGION_BYTES };
        self.thread.visit(there, &|| word(offset_of!(Visit, state))).map_err(|error| self.failed(error))?;
        let begin = word(offset_of!(Visit, library)).unwrap_or(0);
        match word(offset_of!(Visit, answer)).map(u64::cast_signed) {
            Some(order::NO_LIBRARY) => {
                let mut said = [0; TEXT_BYTES];
                let _ = file.read_exact_at(&mut said, at + offset_of!(Visit, text) as u64);
                let said = said.split(|byte| *byte == 0).next().unwrap_or_default();
                Err(self.loader(String::from_utf8_lossy(said).into_owned()))
            }
            Some(order::NO_TABLE) if !self.thread.is_back() => {
                // Slots lead into the library already.
                self.order(begin, offsets, &Wish { task: order::END, ..wish.clone() }, -1)?;
                self.obeyed(Some(order::NO_TABLE)).map(|()| begin)
            }
            answer => self.obeyed(answer).map(|()| begin),
        }
    }

    /// What every visit begins with.
    fn visit(&self, offsets: Offsets, library: u64) -> Visit {
        Visit {
            state: order::VISIT_SENT,
            answer: 0,
            library,
            errno_location: self.functions.errno_location,
            dlopen: self.functions.dlopen,
            dlerror: self.functions.dlerror,
            order: 0,
            order_bytes: 0,
            room: offsets.room + ORDER_AT,
            obey: offsets.obey,
            files: [-1; 2],
            patience: [0, 20_000_000],
            way_back: self.thread.way_back(),
            path: [0; TEXT_BYTES],
            text: [0; TEXT_BYTES],
        }
    }

    /// Lets a library that is there begin.
    pub(super) fn begin(&mut self, begin: u64, offsets: Offsets, wish: &Wish, files: &Files) -> Result<(), Failure> {
        if !files.table.is_open(self.target.pid()) {
            return Err(self.loader("the program has closed the file that was made for it"));
        }
        let result = self.order(begin, offsets, wish, files.table.number as i64);
        if result.as_ref().is_err_and(|failure| !failure.has_lost_thread()) {
            self.close_files(files)?;
        }
        result
    }

    /// Gives an order to the library, and waits until it is carried out. The file of the table is closed then.
    pub(super) fn order(&mut self, begin: u64, offsets: Offsets, wish: &Wish, table_file: i64) -> Result<(), Failure> {
        let room = begin + offsets.room;
        let visit = Visit { files: [table_file, -1], ..self.visit(offsets, begin) };
        let (at, target) = (room + VISIT_AT, self.target);
        target
            .write(room + ORDER_AT, &wish.bytes(table_file))
            .and_then(|()| target.write(at, &bytes_of(&visit)))
            .map_err(|error| self.loader(error.to_string()))?;
        let word = |offset: usize| target.word(at + offset as u64).ok();
        let there = Place { code: begin + offsets.visit, visit: at, stack_end: room + STACK_AT + STACK_BYTES as u64 };
        self.thread.visit(there, &|| word(offset_of!(Visit, state))).map_err(|error| self.failed(error))?;
        let answer = word(offset_of!(Visit, answer)).map(u64::cast_signed);
        if answer == Some(order::NO_TABLE) && wish.task == order::BEGIN && !self.thread.is_back() {
            self.order(begin, offsets, &Wish { task: order::END, ..wish.clone() }, -1)?;
        }
        self.obeyed(answer)
    }

    fn obeyed(&self, answer: Option<i64>) -> Result<(), Failure> {
        match answer {
            Some(order::DONE) => Ok(()),
            Some(order::NO_TABLE) => Err(self.loader("no memory for its table, or a limit on the size of files")),
            Some(order::NO_LOCK) => {
                Err(self.loader("the loader does not lend its lock, in this version of the C library"))
            }
            Some(order::IS_BUSY) => Err(Failure::Refused(Refusal::AlreadySampled {
                pid: self.target.pid(),
                by: "by another watch".to_owned(),
            })),
            Some(other) => Err(self.loader(format!("the library answered {other}"))),
            None => Err(Failure::Refused(Refusal::Gone { pid: self.target.pid() })),
        }
    }
}

/// The mapping of a visit.
struct Region {
    begin: u64,
    bytes: u64,
    code: u64,
}

/// Text for a visit, ended by a zero; what is longer is cut.
fn text(text: &str) -> [u8; TEXT_BYTES] {
    let mut bytes = [0; TEXT_BYTES];
    bytes.iter_mut().take(TEXT_BYTES - 1).zip(text.bytes()).for_each(|(to, from)| *to = from);
    bytes
}

fn bytes_of(visit: &Visit) -> Vec<u8> {
    // SAFETY: a visit is words and bytes without gaps, for which any bits are valid.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(visit).cast::<u8>(), size_of::<Visit>()) }.to_vec()
}

impl Failure {
    /// Whether the thread is not in our hands any more, so that no more calls can be made on it.
    pub(super) fn has_lost_thread(&self) -> bool {
        matches!(self, Self::Refused(Refusal::Gone { .. } | Refusal::NotPermitted { .. } | Refusal::CallLasts { .. }))
    }
}
