//! ELF files: mapped, parsed, and their addresses.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;

use lzma_rust2::XzReader;
use memmap2::Mmap;
use object::read::CompressionFormat;
use object::{Object as _, ObjectSection as _, ObjectSegment as _};

use super::store::Store;

/// The most bytes of a symbol table that is packed into its module.
const MOST_PACKED: u64 = 64 << 20;

/// How many bytes one byte can unpack to. A section that claims more is broken, and room for its claim would be lost.
const MOST_RATIO: u64 = 1100;

/// A file in memory.
pub(super) struct Mapped(Mmap);

impl Mapped {
    /// Maps a regular file that holds something.
    pub(super) fn of(file: &File) -> Option<Self> {
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.len() == 0 {
            return None;
        }
        // SAFETY: the mapping is private and only read. Whoever cuts the file short in this moment ends every process that runs code
        // from it, and this one; linkers and package managers write a new file instead.
        unsafe { Mmap::map(file) }.ok().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The file, if it is an executable, a library, or debug information of one.
pub(super) fn parsed(bytes: &[u8]) -> Option<object::File<'_>> {
    let file = object::File::parse(bytes).ok()?;
    matches!(
        file.kind(),
        object::ObjectKind::Executable | object::ObjectKind::Dynamic | object::ObjectKind::Relocatable
    )
    .then_some(file)
}

/// Offsets in a file as addresses, as its loadable segments say. `None` for what no segment loads.
pub(super) fn addresses(file: &object::File<'_>, offsets: &[u64]) -> Vec<Option<u64>> {
    let mut segments: Vec<(u64, u64, u64, bool)> = file
        .segments()
        .map(|segment| {
            let (at, size) = segment.file_range();
            (at, size, segment.address(), segment.permissions().executable())
        })
        .collect();
    // Code first, should segments share bytes of the file.
    segments.sort_by_key(|segment| !segment.3);
    let address = |offset: u64| {
        segments.iter().find_map(|(at, size, address, _)| {
            let inside = offset.checked_sub(*at).filter(|inside| inside < size)?;
            address.checked_add(inside)
        })
    };
    offsets.iter().map(|offset| address(*offset)).collect()
}

/// A section, unpacked where it is compressed. `None` where it is missing or broken, or where it would take too much memory.
pub(super) fn section<'a>(file: &object::File<'a>, name: &str, store: &'a Store) -> Option<&'a [u8]> {
    let data = file.section_by_name(name)?.compressed_data().ok()?;
    if data.format == CompressionFormat::None {
        return Some(data.data);
    }
    if data.uncompressed_size / MOST_RATIO > data.data.len() as u64 {
        return None;
    }
    store.reserve(data.uncompressed_size)?;
    match data.decompress().ok()? {
        Cow::Borrowed(bytes) => Some(bytes),
        Cow::Owned(bytes) => store.keep_section(bytes),
    }
}

/// The symbol table that some distributions leave in stripped files (`.gnu_debugdata`).
pub(super) fn packed_symbols<'a>(file: &object::File<'a>, store: &'a Store) -> Option<object::File<'a>> {
    let packed = section(file, ".gnu_debugdata", store)?;
    store.reserve(MOST_PACKED)?;
    let mut bytes = Vec::new();
    XzReader::new_mem_limit(packed, false, (MOST_PACKED >> 10) as u32)
        .take(MOST_PACKED)
        .read_to_end(&mut bytes)
        .ok()?;
    parsed(store.keep_section(bytes)?)
}

/// Bytes in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
