//! Debug information: functions, those in line among them, and lines.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use addr2line::gimli::{self, AbbreviationsCacheStrategy, DwarfPackage, EndianSlice, RunTimeEndian, SectionId};
use addr2line::{Context, FrameIter, Location, LookupContinuation, LookupResult, SplitDwarfLoad};
use object::Object as _;

use super::elf;
use super::sane::{is_sane, is_sane_unit};
use super::separate::Finder;
use super::store::Store;

type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;

/// The most functions in line at one address.
const MOST_FRAMES: usize = 200;

/// A function as debug information tells it: its name as linkers write it, if there is one.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) function: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

/// The debug information of one module.
pub(super) struct Debug<'a, 'm> {
    context: Context<Bytes<'a>>,
    package: Option<DwarfPackage<Bytes<'a>>>,
    finder: &'a Finder<'m>,
    store: &'a Store,
}

impl<'a, 'm> Debug<'a, 'm> {
    /// Reads what is needed of the module, or of its separate file.
    pub(super) fn open(
        elf: &object::File<'a>,
        separate: Option<&object::File<'a>>,
        finder: &'a Finder<'m>,
        store: &'a Store,
        addresses: &[Option<u64>],
    ) -> Option<Self> {
        let file = separate.unwrap_or(elf);
        file.section_by_name(".debug_info")?;
        let mut dwarf = gimli::Dwarf::load(|id| wanted(file, id, store)).ok()?;
        if let Some(common) = finder.common_file(file, store) {
            dwarf.load_sup(|id| wanted(&common, id, store)).ok()?;
        }
        let mut asked: Vec<u64> = addresses.iter().flatten().copied().collect();
        asked.sort_unstable();
        if !is_sane(&dwarf, &asked) {
            return None;
        }
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        let context = Context::from_dwarf(dwarf).ok()?;
        let package = finder.package(store).and_then(|file| package(&file, store));
        Some(Self { context, package, finder, store })
    }

    /// The functions at an address, innermost first. Nothing where debug information does not cover it.
    pub(super) fn frames(&self, address: u64) -> Vec<Found> {
        let mut looked_up = self.context.find_frames(address);
        let frames = loop {
            match looked_up {
                LookupResult::Output(frames) => break frames,
                LookupResult::Load { load, continuation } => looked_up = continuation.resume(self.split_unit(&load)),
            }
        };
        let frames = frames.and_then(collected);
        // Where the functions cannot be read, the line still may.
        frames
            .unwrap_or_else(|_| self.context.find_location(address).ok().flatten().map(found_at).into_iter().collect())
    }

    /// A unit that was split off, from the package or from a file of its own.
    fn split_unit(&self, load: &SplitDwarfLoad<Bytes<'a>>) -> Option<Arc<gimli::Dwarf<Bytes<'a>>>> {
        let packed =
            self.package.as_ref().and_then(|package| package.find_cu(load.dwo_id, &load.parent).ok().flatten());
        let dwarf = packed.or_else(|| self.split_file(load))?;
        // Of a split file, its first unit is read.
        let first = dwarf.units().next().ok()??;
        is_sane_unit(&dwarf, &dwarf.unit(first).ok()?).then(|| Arc::new(dwarf))
    }

    fn split_file(&self, load: &SplitDwarfLoad<Bytes<'a>>) -> Option<gimli::Dwarf<Bytes<'a>>> {
        let path = |bytes: &Bytes<'a>| PathBuf::from(OsStr::from_bytes(bytes.slice()));
        let folder = load.comp_dir.as_ref().map(path).unwrap_or_default();
        let file = self.finder.at(folder.join(path(load.path.as_ref()?)), self.store)?;
        let mut dwarf = gimli::Dwarf::load(|id| split(&file, id, self.store)).ok()?;
        let first = dwarf.units().next().ok()??;
        if dwarf.unit(first).ok()?.dwo_id != Some(load.dwo_id) {
            return None;
        }
        dwarf.make_dwo(&load.parent);
        Some(dwarf)
    }
}

fn package<'a>(file: &object::File<'a>, store: &'a Store) -> Option<DwarfPackage<Bytes<'a>>> {
    DwarfPackage::load(|id| split(file, id, store), EndianSlice::new(&[], endian(file))).ok()
}

fn collected(mut frames: FrameIter<'_, Bytes<'_>>) -> Result<Vec<Found>, gimli::Error> {
    let mut all = Vec::new();
    while let Some(frame) = frames.next()? {
        if all.len() == MOST_FRAMES {
            // The last one is the function that all others were put into: it stays.
            all.pop();
        }
        let mut found = frame.location.map(found_at).unwrap_or_default();
        found.function = frame.function.map(|name| name.raw_name().map(|name| name.into_owned())).transpose()?;
        all.push(found);
    }
    Ok(all)
}

fn found_at(location: Location<'_>) -> Found {
    Found { function: None, file: location.file.map(str::to_owned), line: location.line }
}

fn endian(file: &object::File<'_>) -> RunTimeEndian {
    if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big }
}

/// A section of a main file. Variables, types and macros are not asked for, and so not unpacked.
fn wanted<'a>(file: &object::File<'a>, id: SectionId, store: &'a Store) -> Result<Bytes<'a>, gimli::Error> {
    use SectionId::*;
    let is_wanted = matches!(
        id,
        DebugAbbrev
            | DebugAddr
            | DebugAranges
            | DebugInfo
            | DebugLine
            | DebugLineStr
            | DebugRanges
            | DebugRngLists
            | DebugStr
            | DebugStrOffsets
    );
    let name = is_wanted.then(|| id.name());
    Ok(bytes(file, name, store))
}

/// A section of a file of split units.
fn split<'a>(file: &object::File<'a>, id: SectionId, store: &'a Store) -> Result<Bytes<'a>, gimli::Error> {
    Ok(bytes(file, id.dwo_name(), store))
}

/// A section; empty where it is missing. What refers into it then fails, and has no name.
fn bytes<'a>(file: &object::File<'a>, name: Option<&str>, store: &'a Store) -> Bytes<'a> {
    let data = name.and_then(|name| elf::section(file, name, store)).unwrap_or_default();
    EndianSlice::new(data, endian(file))
}
