//! Debug information outside its module: where it may lie, and the proof that it belongs to it.
//!
//! Places are looked up in the target's root folder first, where links cannot lead out of it, and then in ours. A file is
//! taken if its build-id is the one asked for, or where there is none, if its checksum is.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use object::Object as _;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::super::OpenModule;
use super::elf::{self, Mapped};
use super::store::Store;

/// What the kernel adds to the path of a mapped file that was removed.
const REMOVED: &[u8] = b" (deleted)";

/// Finds the files that belong to one module.
pub(super) struct Finder<'m> {
    /// The module's path as the target sees it.
    path: PathBuf,
    /// The target's root folder, while it is there.
    root: Option<OwnedFd>,
    debug_folders: &'m [PathBuf],
}

impl<'m> Finder<'m> {
    pub(super) fn new(module: &OpenModule, debug_folders: &'m [PathBuf]) -> Self {
        let path = module.path.as_os_str().as_bytes();
        let path = PathBuf::from(OsStr::from_bytes(path.strip_suffix(REMOVED).unwrap_or(path)));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, &module.root, flags, Mode::empty()).ok();
        Self { path, root, debug_folders }
    }

    /// The separate debug file of a module that has no debug information inside.
    pub(super) fn debug_file<'a>(&self, elf: &object::File<'_>, store: &'a Store) -> Option<object::File<'a>> {
        if elf.section_by_name(".debug_info").is_some() {
            return None;
        }
        let id = elf.build_id().ok().flatten();
        let by_id = id.and_then(|id| self.by_build_id(id, store));
        by_id.or_else(|| {
            let (name, checksum) = elf.gnu_debuglink().ok()??;
            self.by_link(Path::new(OsStr::from_bytes(name)), id, checksum, store)
        })
    }

    /// The file that several debug files have their common parts in.
    pub(super) fn common_file<'a>(&self, debug: &object::File<'_>, store: &'a Store) -> Option<object::File<'a>> {
        let (name, id) = debug.gnu_debugaltlink().ok()??;
        let name = Path::new(OsStr::from_bytes(name));
        // A relative name is relative to the debug file, which lies in one of these.
        let beside = self.path.parent().map(Path::to_owned);
        let by_id = self.build_id_folders(elf_id(debug).unwrap_or_default());
        let places = beside.into_iter().chain(by_id).map(|folder| folder.join(name));
        let is_it = |_: &[u8], file: &object::File<'_>| elf_id(file) == Some(id);
        self.first(places, store, is_it).or_else(|| self.by_build_id(id, store))
    }

    /// A package of split units beside the module.
    pub(super) fn package<'a>(&self, store: &'a Store) -> Option<object::File<'a>> {
        let mut with_ending = self.path.clone().into_os_string();
        with_ending.push(".dwp");
        let places = [PathBuf::from(with_ending), self.path.with_extension("dwp")];
        // Each unit in it is asked for by its own id.
        self.first(places, store, |_, _| true)
    }

    /// A file at one place, whatever it is.
    pub(super) fn at<'a>(&self, place: PathBuf, store: &'a Store) -> Option<object::File<'a>> {
        self.first([place], store, |_, _| true)
    }

    fn by_build_id<'a>(&self, id: &[u8], store: &'a Store) -> Option<object::File<'a>> {
        let text = elf::hexadecimal(id);
        let rest = text.get(2..).filter(|rest| !rest.is_empty())?;
        let places = self.build_id_folders(id).map(|folder| folder.join(format!("{rest}.debug")));
        self.first(places, store, |_, file| elf_id(file) == Some(id))
    }

    fn build_id_folders(&self, id: &[u8]) -> impl Iterator<Item = PathBuf> {
        let first = elf::hexadecimal(&id[..id.len().min(1)]);
        self.debug_folders.iter().map(move |folder| folder.join(".build-id").join(&first))
    }

    fn by_link<'a>(&self, name: &Path, id: Option<&[u8]>, checksum: u32, store: &'a Store) -> Option<object::File<'a>> {
        let folder = self.path.parent()?;
        let beside = [folder.join(name), folder.join(".debug").join(name)];
        let inside = folder.strip_prefix("/").unwrap_or(folder);
        let below = self.debug_folders.iter().map(|debug| debug.join(inside).join(name));
        let is_it = |bytes: &[u8], file: &object::File<'_>| match (id, elf_id(file)) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => crc32fast::hash(bytes) == checksum,
        };
        self.first(beside.into_iter().chain(below), store, is_it)
    }

    /// The first of these places that has the right file.
    fn first<'a>(
        &self,
        places: impl IntoIterator<Item = PathBuf>,
        store: &'a Store,
        is_it: impl Fn(&[u8], &object::File<'_>) -> bool,
    ) -> Option<object::File<'a>> {
        places.into_iter().find_map(|place| {
            let files = [self.open_inside(&place), open_outside(&place)];
            files.into_iter().flatten().find_map(|file| {
                let mapped = Mapped::of(&file)?;
                elf::parsed(mapped.bytes()).filter(|file| is_it(mapped.bytes(), file))?;
                elf::parsed(store.keep_file(mapped)?)
            })
        })
    }

    fn open_inside(&self, place: &Path) -> Option<File> {
        let root = self.root.as_ref()?;
        let opened = rustix::fs::openat2(root, place, FLAGS, Mode::empty(), ResolveFlags::IN_ROOT);
        opened.ok().map(File::from)
    }
}

/// A queue or a device must not keep us waiting.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

fn open_outside(place: &Path) -> Option<File> {
    // A relative path would be relative to our own folder, which has nothing to do with the target.
    place.is_absolute().then(|| rustix::fs::openat(CWD, place, FLAGS, Mode::empty()).ok().map(File::from)).flatten()
}

fn elf_id<'a>(file: &object::File<'a>) -> Option<&'a [u8]> {
    file.build_id().ok().flatten()
}
