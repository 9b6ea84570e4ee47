//! Bringing the library into a target, and giving it orders, by calls on a borrowed thread.

use std::fs::File;
use std::io::{self, Write as _};

use super::borrow::Failure;
use super::image::{Image, Loaded};
use super::modules::Modules;
use super::order::{self, FUNCTIONS, NAMES, Order, RANGES, Range, Room, STACK_BYTES};
use super::target::{Mapping, Target};
use super::trace::{CallError, NOWHERE, Stopped};
use crate::probe::heap::refusal::Refusal;
use crate::probe::heap::{library, wire};

/// Functions of the target's C library that are called, found beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Functions {
    errno: u64,
    mmap: u64,
    munmap: u64,
    memfd_create: u64,
    close: u64,
    dlopen: u64,
    dlerror: u64,
}

impl Functions {
    pub(super) fn of(target: &Target, modules: &Modules) -> Result<Self, Refusal> {
        let find = |name| modules.function(target, name);
        Ok(Self {
            errno: find("__errno_location")?,
            mmap: find("mmap")?,
            munmap: find("munmap")?,
            memfd_create: find("memfd_create")?,
            close: find("close")?,
            dlopen: find("dlopen")?,
            dlerror: find("dlerror")?,
        })
    }
}

/// Where the library keeps what is needed of it, from its begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offsets {
    pub(super) room: u64,
    obey: u64,
}

impl Offsets {
    pub(super) fn of_library() -> Option<Self> {
        let file = Loaded(library());
        let image = Image::at(&file, 0, "")?;
        Some(Self {
            room: image.symbol(&file, "tidewatch_heap_room")?,
            obey: image.symbol(&file, "tidewatch_heap_obey")?,
        })
    }
}

const ORDER_AT: u64 = std::mem::offset_of!(Room, order) as u64;
const STACK_AT: u64 = std::mem::offset_of!(Room, stack) as u64;
const ORDER_HEAD: usize = std::mem::offset_of!(Order, ranges);

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
    fn bytes(&self, table_file: i64, library_file: i64) -> Vec<u8> {
        let mut words =
            vec![order::VERSION, self.task, table_file.cast_unsigned(), library_file.cast_unsigned(), self.interval];
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

/// What is handed over.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) table: MemoryFile,
    library: Option<MemoryFile>,
}

impl Files {
    /// Gives them their contents and their room, from our side: the target goes on meanwhile.
    pub(super) fn fill(&self, pid: u32) -> Result<(), Refusal> {
        let loader = |message: String| Refusal::Loader { pid, message };
        if let Some(MemoryFile { ours, .. }) = &self.library {
            let mut file = ours;
            file.write_all(library()).map_err(|error| loader(format!("no memory for it: {error}")))?;
        }
        let how = rustix::fs::FallocateFlags::empty();
        let room = rustix::fs::fallocate(&self.table.ours, how, 0, wire::TABLE_BYTES as u64);
        room.map_err(|error| loader(format!("no memory for its table: {error}")))
    }
}

/// Calls on a borrowed thread. It gives `errno` back.
pub(super) struct Calls<'a> {
    target: &'a Target,
    thread: &'a mut Stopped,
    functions: &'a Functions,
    own_stack: u64,
    errno_at: u64,
    errno: [u8; 4],
}

const EXEC: u64 = 0x10;
const CLOEXEC: u64 = 1;
const ROOM_FOR_LOADING: u64 = 256 << 10;

impl<'a> Calls<'a> {
    pub(super) fn on(target: &'a Target, functions: &'a Functions, thread: &'a mut Stopped) -> Result<Self, Failure> {
        // Below what the thread uses, and below what it may use without saying so.
        let own_stack = (thread.at().rsp - 128 - 64) & !15;
        let mut calls = Self { target, thread, functions, own_stack, errno_at: 0, errno: [0; 4] };
        // A stack without room for a word is no stack to work on.
        calls.land(own_stack).map_err(|_| Failure::Retry)?;
        calls.errno_at = calls.call(functions.errno, &[], own_stack)?;
        let mut errno = [0; 4];
        target.read(calls.errno_at, &mut errno).map_err(|_| Failure::Retry)?;
        calls.errno = errno;
        Ok(calls)
    }

    fn land(&self, stack_end: u64) -> io::Result<()> {
        self.target.write(Stopped::landing(stack_end), &NOWHERE.to_le_bytes())
    }

    fn loader(&self, message: impl Into<String>) -> Failure {
        Failure::Refused(Refusal::Loader { pid: self.target.pid(), message: message.into() })
    }

    fn call(&mut self, function: u64, values: &[u64], stack_end: u64) -> Result<u64, Failure> {
        let pid = self.target.pid();
        self.land(stack_end).map_err(|error| self.loader(format!("its stack cannot be written: {error}")))?;
        self.thread.call(function, values, stack_end).map_err(|error| {
            Failure::Refused(match error {
                CallError::Gone => Refusal::Gone { pid },
                CallError::Waits => Refusal::LoaderBusy { pid },
                CallError::Refused => Refusal::NotPermitted { pid },
                CallError::Fault(signal) => {
                    Refusal::Loader { pid, message: format!("a call from outside ended with signal {signal}") }
                }
            })
        })
    }

    fn failed_with(&self) -> i32 {
        let mut errno = [0; 4];
        let _ = self.target.read(self.errno_at, &mut errno);
        i32::from_le_bytes(errno)
    }

    /// Ends the calls: `errno` is what it was.
    pub(super) fn end(self) {
        let _ = self.target.write(self.errno_at, &self.errno);
    }

    /// Makes the files in memory that are needed, empty.
    pub(super) fn make_files(&mut self, with_library: bool) -> Result<Files, Failure> {
        const NOEXEC_SEAL: u64 = 8;
        let table = self.memory_file("tidewatch_table", NOEXEC_SEAL)?;
        let library = if with_library {
            self.memory_file("tidewatch_heap", EXEC)
        } else {
            return Ok(Files { table, library: None });
        };
        if library.is_err() {
            self.call(self.functions.close, &[table.number], self.own_stack)?;
        }
        Ok(Files { table, library: Some(library?) })
    }

    /// Closes them, where they serve for nothing.
    pub(super) fn close_files(&mut self, files: &Files) -> Result<(), Failure> {
        for file in [Some(&files.table), files.library.as_ref()].into_iter().flatten() {
            self.call(self.functions.close, &[file.number], self.own_stack)?;
        }
        Ok(())
    }

    /// Loads the library, lets it begin, and gives its address.
    pub(super) fn load(&mut self, offsets: Offsets, wish: &Wish, files: &Files) -> Result<u64, Failure> {
        let values = [0, ROOM_FOR_LOADING, 3, 0x22, u64::MAX, 0];
        let stack = self.call(self.functions.mmap, &values, self.own_stack)?;
        if stack > u64::MAX - 4096 {
            let failure = self.loader(format!("no memory for a stack: {}", self.last_error()));
            self.close_files(files)?;
            return Err(failure);
        }
        let result = self.load_on(stack, offsets, wish, files);
        if result.as_ref().is_err_and(Failure::has_lost_thread) {
            return result;
        }
        self.call(self.functions.munmap, &[stack, ROOM_FOR_LOADING], self.own_stack)?;
        result
    }

    fn load_on(&mut self, stack: u64, offsets: Offsets, wish: &Wish, files: &Files) -> Result<u64, Failure> {
        let stack_end = stack + ROOM_FOR_LOADING;
        let handle = self.dlopen(stack, stack_end, files);
        if let Err(failure) = handle {
            if !failure.has_lost_thread() {
                self.close_files(files)?;
            }
            return Err(failure);
        }
        // The first word of what the loader keeps of a library is where it lies.
        let begin = self.target.word(handle?).map_err(|error| self.loader(error.to_string()))?;
        self.begin(begin, offsets, wish, files)?;
        Ok(begin)
    }

    fn dlopen(&mut self, path_at: u64, stack_end: u64, files: &Files) -> Result<u64, Failure> {
        // By a name that no program would use for itself: the loader knows its libraries by name.
        let path = format!("/proc/thread-self/fd/{}\0", files.library.as_ref().map_or(0, |file| file.number));
        self.target.write(path_at, path.as_bytes()).map_err(|error| self.loader(error.to_string()))?;
        let handle = self.call(self.functions.dlopen, &[path_at, libc::RTLD_NOW as u64], stack_end)?;
        if handle != 0 {
            return Ok(handle);
        }
        let message = self.call(self.functions.dlerror, &[], stack_end)?;
        let message = self.target.bytes(message, 200).unwrap_or_default();
        let message = message.split(|byte| *byte == 0).next().unwrap_or_default();
        Err(self.loader(String::from_utf8_lossy(message).into_owned()))
    }

    /// Lets a library that is there begin.
    pub(super) fn begin(&mut self, begin: u64, offsets: Offsets, wish: &Wish, files: &Files) -> Result<(), Failure> {
        let library = files.library.as_ref().map_or(-1, |file| file.number as i64);
        let result = self.order(begin, offsets, wish, files.table.number as i64, library);
        if matches!(result, Err(Failure::Refused(Refusal::LoaderBusy { .. }))) {
            // Else the library has closed them.
            self.close_files(files)?;
        }
        result
    }

    fn memory_file(&mut self, name: &str, flags: u64) -> Result<MemoryFile, Failure> {
        // Between the word to return to and what the thread may use.
        let name_at = self.own_stack + 16;
        let name = format!("{name}\0");
        self.target.write(name_at, name.as_bytes()).map_err(|error| self.loader(error.to_string()))?;
        let create = self.functions.memfd_create;
        let mut file = self.call(create, &[name_at, CLOEXEC | flags], self.own_stack)?;
        if file as i32 == -1 && self.failed_with() == libc::EINVAL {
            // Before Linux 6.3 such files are as they are wished.
            file = self.call(create, &[name_at, CLOEXEC], self.own_stack)?;
        }
        if file as i32 == -1 {
            return Err(match self.failed_with() {
                libc::EACCES | libc::EPERM => Failure::Refused(Refusal::NoexecMemory { pid: self.target.pid() }),
                _ => self.loader(format!("no file in memory: {}", self.last_error())),
            });
        }
        let number = u64::from(file as u32);
        let path = format!("/proc/{}/fd/{number}", self.target.pid());
        match File::options().read(true).write(true).open(path) {
            Ok(ours) => Ok(MemoryFile { number, ours }),
            Err(error) => {
                self.call(self.functions.close, &[number], self.own_stack)?;
                Err(self.loader(format!("its file cannot be opened from here: {error}")))
            }
        }
    }

    fn last_error(&self) -> io::Error {
        io::Error::from_raw_os_error(self.failed_with())
    }

    /// Gives an order, and waits until it is carried out.
    pub(super) fn order(
        &mut self,
        begin: u64,
        offsets: Offsets,
        wish: &Wish,
        table_file: i64,
        library_file: i64,
    ) -> Result<(), Failure> {
        let room = begin + offsets.room;
        let bytes = wish.bytes(table_file, library_file);
        self.target.write(room + ORDER_AT, &bytes).map_err(|error| self.loader(error.to_string()))?;
        let stack_end = room + STACK_AT + STACK_BYTES as u64;
        let answer = self.call(begin + offsets.obey, &[], stack_end)?.cast_signed();
        if answer == order::NO_TABLE {
            // Slots lead into the library already.
            let back = Wish { task: order::END, ..wish.clone() };
            self.order(begin, offsets, &back, -1, -1)?;
        }
        match answer {
            order::DONE => Ok(()),
            order::NO_TABLE => Err(self.loader("no memory for its table, or a limit on the size of files")),
            order::NO_LOCK => Err(self.loader("the loader does not lend its lock, in this version of the C library")),
            order::IS_BUSY => Err(Failure::Refused(Refusal::AlreadySampled {
                pid: self.target.pid(),
                by: "by another watch".to_owned(),
            })),
            other => Err(self.loader(format!("the library answered {other}"))),
        }
    }
}

impl Failure {
    /// Whether the thread is not where its calls return, so that no more can be made.
    fn has_lost_thread(&self) -> bool {
        matches!(self, Self::Refused(Refusal::Gone { .. } | Refusal::NotPermitted { .. }))
            || matches!(self, Self::Refused(Refusal::Loader { message, .. }) if message.contains("ended with signal"))
    }
}
