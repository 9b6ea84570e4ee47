//! Live heap bytes of a target by call stack: the sampler that is preloaded, and the reader of its table.
//!
//! The sampler (`src/heap_hook`) runs inside the target and records a sample of its allocations in a table, a file
//! that both sides have. The reader here ([`HeapTable`]) never stops the target and never writes. It knows addresses alone: which
//! function they are of, and who owns it, is said elsewhere. A [`HeapCensus`] reads the tables of all processes of a target. It refuses tables of another version, and drops records that it caught half
//! written.

mod census;
mod error;
mod estimate;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod inject;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
#[path = "inject/elsewhere.rs"]
mod inject;
mod maps;
mod modules;
mod preload;
mod refusal;
mod resident;
mod snapshot;
mod stacks;
#[cfg(target_os = "linux")]
pub mod symbols;
#[path = "../../heap_hook/wire.rs"]
#[expect(dead_code, reason = "what only the sampler needs")]
mod wire;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

pub use crate::sample::{AllocatorFigures, HeapKind};
pub use census::{Arrival, HeapCensus, Looked};
pub use error::{HeapError, InjectError};
pub use estimate::Estimate;
pub use inject::{Injected, inject};
pub use modules::OpenModule;
pub use preload::{is_supported, library, preload, preload_before};
pub use refusal::{Refusal, Seccomp, Way, refusal};
pub use snapshot::{HeapSnapshot, HeapStack, HeapState};

/// Reads an image as an injector does, for the fuzzer.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub(super) fn read_image_for_fuzzing(bytes: &[u8]) {
    inject::read_image(bytes);
}

/// Reads a list of mappings, for the fuzzer.
pub(super) fn read_maps_for_fuzzing(bytes: &[u8]) {
    let _ =
        (maps::code_in(bytes), maps::range_of(bytes, Path::new("/x")), maps::has_mapped(bytes, Path::new("/"), "x"));
}

/// The table of one process.
#[derive(Debug)]
pub struct HeapTable {
    file: File,
    path: PathBuf,
    place: Place,
}

/// How it is found out whether the table is still in use.
#[derive(Debug)]
enum Place {
    /// It has the name.
    Path,
    /// The process has mapped it.
    Mapping { pid: u32, inode: u64 },
}

impl HeapTable {
    /// Opens a table: `heap.PID` in the folder of a launched target, or `/proc/PID/fd/N` of one that was attached to.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, is no table, or is one of another version.
    pub fn open(path: &Path) -> Result<Self, HeapError> {
        let file = File::open(path).map_err(|source| HeapError::Open { path: path.to_owned(), source })?;
        Self::of(file, path, Place::Path)
    }

    /// The table of a process that has mapped it, and has no name or descriptor for it.
    #[cfg_attr(
        not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")),
        expect(dead_code, reason = "what is never injected has no such table")
    )]
    fn of_process(file: File, pid: u32) -> Result<Self, HeapError> {
        let path = PathBuf::from(format!("/proc/{pid}/maps"));
        let inode = file.metadata().map_err(|source| HeapError::Read { path: path.clone(), source })?.ino();
        Self::of(file, &path, Place::Mapping { pid, inode })
    }

    fn of(file: File, path: &Path, place: Place) -> Result<Self, HeapError> {
        let table = Self { file, path: path.to_owned(), place };
        let mut head = [0; 24];
        table.read(&mut head, 0)?;
        let word = |number: usize| snapshot::word(&head, number * 8);
        if word(0) != wire::MAGIC {
            return Err(HeapError::NotATable { path: path.to_owned() });
        }
        if word(1) != wire::VERSION {
            return Err(HeapError::OtherVersion { path: path.to_owned(), found: word(1), known: wire::VERSION });
        }
        if word(2) != wire::TABLE_BYTES as u64 || table.size()? < wire::HEADER_BYTES as u64 {
            return Err(HeapError::NotATable { path: path.to_owned() });
        }
        Ok(table)
    }

    /// The mean number of bytes between two samples that was asked for.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn base_interval_bytes(&self) -> Result<u64, HeapError> {
        let mut bytes = [0; 8];
        self.read(&mut bytes, std::mem::offset_of!(wire::Header, base_interval))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn size(&self) -> Result<u64, HeapError> {
        Ok(self.file.metadata().map_err(|source| self.unreadable(source))?.len())
    }

    /// The tables in the folder of a launched target, with the processes that made them, in the order of their pids. Processes that
    /// have ended are among them.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn all(folder: &Path) -> Result<Vec<(u32, PathBuf)>, HeapError> {
        let unreadable = |source| HeapError::Read { path: folder.to_owned(), source };
        let mut tables = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let pid = path.file_name().and_then(|name| name.to_str()?.strip_prefix("heap.")?.parse().ok());
            tables.extend(pid.map(|pid| (pid, path)));
        }
        tables.sort();
        Ok(tables)
    }

    /// Whether this is still the table of its path. A process that executes another program begins a new one.
    pub fn is_current(&self) -> bool {
        if let Place::Mapping { pid, inode } = self.place {
            // A line is addresses, rights, offset, device, inode and name.
            let inode = inode.to_string();
            let maps = fs::read(maps::proc(pid).join("maps")).unwrap_or_default();
            let maps = String::from_utf8_lossy(&maps);
            return maps.lines().any(|line| line.split(' ').nth(4) == Some(&inode) && line.contains("tidewatch_table"));
        }
        let there = fs::metadata(&self.path).map(|there| (there.dev(), there.ino()));
        let here = self.file.metadata().map(|here| (here.dev(), here.ino()));
        matches!((there, here), (Ok(there), Ok(here)) if there == here)
    }

    /// What the table holds now. Takes less than a millisecond for a small table and about two for a full one; the
    /// target goes on meanwhile, so that the records are of slightly different moments.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn snapshot(&self) -> Result<HeapSnapshot, HeapError> {
        self.taken(&resident::Pages::default())
    }

    /// The same, with the footprint of mappings as far as the process has touched them. Its page tables are looked through.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn snapshot_of(&self, pid: u32) -> Result<HeapSnapshot, HeapError> {
        self.taken(&resident::Pages::of(pid))
    }

    fn taken(&self, pages: &resident::Pages) -> Result<HeapSnapshot, HeapError> {
        let mut header = vec![0; wire::HEADER_BYTES];
        if self.size()? < wire::TABLE_BYTES as u64 {
            // No sample was taken yet: the file is its header.
            self.read(&mut header, 0)?;
            return Ok(snapshot::take(&header, &[], &[], &[], pages));
        }
        // Records first: the stacks that they name were written before them.
        let mut records = vec![0; wire::STACKS_AT - wire::BUCKETS_AT];
        self.read(&mut records, wire::BUCKETS_AT)?;
        let mut stacks = vec![0; wire::POOL_AT - wire::STACKS_AT];
        self.read(&mut stacks, wire::STACKS_AT)?;
        self.read(&mut header, 0)?;
        let mut pool = vec![0; snapshot::pool_bytes(&header)];
        self.read(&mut pool, wire::POOL_AT)?;
        Ok(snapshot::take(&header, &records, &stacks, &pool, pages))
    }

    fn read(&self, bytes: &mut [u8], at: usize) -> Result<(), HeapError> {
        match self.file.read_exact_at(bytes, at as u64) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(HeapError::NotATable { path: self.path.clone() })
            }
            result => result.map_err(|source| self.unreadable(source)),
        }
    }

    fn unreadable(&self, source: std::io::Error) -> HeapError {
        HeapError::Read { path: self.path.clone(), source }
    }
}
