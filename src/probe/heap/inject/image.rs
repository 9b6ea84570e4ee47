//! Modules of a process as its loader has put them into memory: their segments and their dynamic symbols.
//!
//! Everything is read from memory, so it does not matter whether the files can be reached from here, or are there at all.
//! What is read may be damaged or changing: every size is bounded, and what makes no sense is not there.

use std::io;

use super::target::{Mapping, Target};

/// Where the bytes of an image are read.
pub(in super::super) trait Memory {
    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()>;

    fn bytes(&self, at: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).ok().filter(|length| *length <= MOST)?];
        self.read(at, &mut bytes).ok()?;
        Some(bytes)
    }
}

/// The most that is read at once.
const MOST: usize = 64 << 20;

impl Memory for Target {
    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        Self::read(self, at, bytes)
    }
}

/// The bytes of a library's file, at the addresses that it gives its segments.
pub(in super::super) struct Loaded<'a>(pub(in super::super) &'a [u8]);

impl Memory for Loaded<'_> {
    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let headers = headers(self.0).ok_or_else(gone)?;
        let segment = headers
            .iter()
            .find(|header| header.kind == PT_LOAD && at >= header.address && at - header.address < header.file_bytes);
        let begin = segment.map_or(Some(at), |segment| (at - segment.address).checked_add(segment.offset));
        let begin = begin.and_then(|begin| usize::try_from(begin).ok()).ok_or_else(gone)?;
        let end = begin.checked_add(bytes.len()).ok_or_else(gone)?;
        let from = self.0.get(begin..end).ok_or_else(gone)?;
        bytes.copy_from_slice(from);
        Ok(())
    }
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;

/// A program header.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Header {
    pub(in super::super) kind: u32,
    pub(in super::super) flags: u32,
    pub(in super::super) offset: u64,
    pub(in super::super) address: u64,
    pub(in super::super) file_bytes: u64,
    pub(in super::super) bytes: u64,
}

/// A number at an offset, 0 past the end.
pub(in super::super) fn number<const BYTES: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes.get(at..).unwrap_or_default().iter().take(BYTES)) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}

/// The program headers that follow an ELF header of 64 bits.
pub(in super::super) fn headers(file: &[u8]) -> Option<Vec<Header>> {
    if file.get(..5)? != b"\x7fELF\x02" {
        return None;
    }
    let (begin, size, count) = (number::<8>(file, 32), number::<2>(file, 54), number::<2>(file, 56));
    if size != 56 {
        return None;
    }
    let table = file.get(usize::try_from(begin).ok()?..)?;
    let read = |header: &[u8]| Header {
        kind: number::<4>(header, 0) as u32,
        flags: number::<4>(header, 4) as u32,
        offset: number::<8>(header, 8),
        address: number::<8>(header, 16),
        file_bytes: number::<8>(header, 32),
        bytes: number::<8>(header, 40),
    };
    Some(table.chunks_exact(56).take(count as usize).map(read).collect())
}

/// The tables of a module.
#[derive(Clone, Debug, Default)]
struct Dynamic {
    symbols: u64,
    names: u64,
    name_bytes: u64,
    gnu_hash: u64,
    lazy: (u64, u64),
    rela: (u64, u64),
}

/// A module.
#[derive(Clone, Debug)]
pub(in super::super) struct Image {
    pub(in super::super) path: String,
    /// What is added to an address in its file.
    pub(in super::super) bias: u64,
    pub(in super::super) begin: u64,
    pub(in super::super) end: u64,
    dynamic: Dynamic,
}

impl Image {
    /// The modules that are mapped, in the order of their addresses.
    pub(in super::super) fn all(target: &Target, maps: &[Mapping]) -> Vec<Self> {
        let first =
            maps.iter().filter(|mapping| mapping.offset == 0 && mapping.inode != 0 && mapping.rights[0] == b'r');
        first.filter_map(|mapping| Self::at(target, mapping.begin, &mapping.path)).collect()
    }

    /// The module whose first segment begins at an address.
    pub(in super::super) fn at(memory: &impl Memory, begin: u64, path: &str) -> Option<Self> {
        let first = memory.bytes(begin, 4096).or_else(|| memory.bytes(begin, 1024))?;
        let headers = headers(&first)?;
        let loads = || headers.iter().filter(|header| header.kind == PT_LOAD);
        let bias = begin.wrapping_sub(loads().next()?.address & !4095);
        let end = loads().map(|header| bias.wrapping_add(header.address).wrapping_add(header.bytes)).max()?;
        let place = headers.iter().find(|header| header.kind == PT_DYNAMIC)?;
        let entries = memory.bytes(bias.wrapping_add(place.address), place.bytes.min(1 << 16))?;
        let mut image = Self { path: path.to_owned(), bias, begin, end, dynamic: Dynamic::default() };
        image.read_dynamic(&entries);
        Some(image)
    }

    fn read_dynamic(&mut self, entries: &[u8]) {
        let (mut relative, mut dynamic) = (0, Dynamic::default());
        for entry in entries.chunks_exact(16) {
            let (tag, value) = (number::<8>(entry, 0), number::<8>(entry, 8));
            // The loader has made addresses absolute, or not.
            let at = if (self.begin..self.end).contains(&value) { value } else { self.bias.wrapping_add(value) };
            match tag {
                0 => break,
                2 => dynamic.lazy.1 = value,
                5 => dynamic.names = at,
                6 => dynamic.symbols = at,
                7 => dynamic.rela.0 = at,
                8 => dynamic.rela.1 = value,
                10 => dynamic.name_bytes = value,
                23 => dynamic.lazy.0 = at,
                0x6fff_fef5 => dynamic.gnu_hash = at,
                0x6fff_fff9 => relative = value,
                _ => {}
            }
        }
        let skipped = relative.saturating_mul(24).min(dynamic.rela.1);
        dynamic.rela = (dynamic.rela.0.wrapping_add(skipped), dynamic.rela.1 - skipped);
        self.dynamic = dynamic;
    }

    pub(in super::super) fn holds(&self, address: u64) -> bool {
        (self.begin..self.end).contains(&address)
    }

    /// The file name, without folders and without the mark of a deleted file.
    pub(in super::super) fn name(&self) -> &str {
        let path = self.path.trim_end_matches(" (deleted)");
        path.rsplit('/').next().unwrap_or(path)
    }

    /// The names in its table of dynamic strings, each ended by a zero.
    pub(in super::super) fn names(&self, memory: &impl Memory) -> Option<Vec<u8>> {
        memory.bytes(self.dynamic.names, self.dynamic.name_bytes)
    }

    /// The address of a symbol that it defines, by its hash table.
    pub(in super::super) fn symbol(&self, memory: &impl Memory, name: &str) -> Option<u64> {
        let head = memory.bytes(self.dynamic.gnu_hash, 16)?;
        let [buckets, first, blooms] = [0, 4, 8].map(|at| number::<4>(&head, at));
        let hash = name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
        // Numbers of 32 bits, so that no product overflows; sums lead to addresses that cannot be read at worst.
        let buckets_at = self.dynamic.gnu_hash.wrapping_add(16 + blooms * 8);
        let chains_at = buckets_at.wrapping_add(buckets * 4);
        let word = |at: u64| memory.bytes(at, 4).map(|bytes| number::<4>(&bytes, 0));
        let begin = word(buckets_at.wrapping_add(u64::from(hash).checked_rem(buckets)? * 4))?;
        // A chain is as long as its bucket is full: a handful.
        for index in begin.max(1)..begin.saturating_add(4096) {
            let link = word(chains_at.wrapping_add(index.checked_sub(first)? * 4))?;
            if (link as u32 | 1) == hash | 1 {
                let symbol = memory.bytes(self.dynamic.symbols.wrapping_add(index * 24), 24)?;
                let (section, value) = (number::<2>(&symbol, 6), number::<8>(&symbol, 8));
                if section != 0 && self.is_named(memory, number::<4>(&symbol, 0), name) {
                    return Some(self.bias.wrapping_add(value));
                }
            }
            if link & 1 == 1 {
                return None;
            }
        }
        None
    }

    fn is_named(&self, memory: &impl Memory, offset: u64, name: &str) -> bool {
        let there = memory.bytes(self.dynamic.names.wrapping_add(offset), name.len() as u64 + 1);
        there.is_some_and(|there| there.strip_suffix(b"\0") == Some(name.as_bytes()))
    }

    /// What its slot for a function holds: where its own calls of that name go.
    pub(in super::super) fn slot(&self, memory: &impl Memory, name: &str) -> Option<u64> {
        for (begin, bytes) in [self.dynamic.lazy, self.dynamic.rela] {
            let table = memory.bytes(begin, bytes.min(4 << 20)).unwrap_or_default();
            for relocation in table.chunks_exact(24) {
                let (kind, symbol) = (number::<4>(relocation, 8), number::<4>(relocation, 12));
                if !matches!(kind, 6 | 7) || symbol == 0 {
                    continue;
                }
                let symbol = memory.bytes(self.dynamic.symbols.wrapping_add(symbol * 24), 4)?;
                if self.is_named(memory, number::<4>(&symbol, 0), name) {
                    let held = memory.bytes(self.bias.wrapping_add(number::<8>(relocation, 0)), 8)?;
                    return Some(number::<8>(&held, 0));
                }
            }
        }
        None
    }

    /// A slot of its own that leads into a range, if there is one.
    pub(in super::super) fn slot_into(&self, memory: &impl Memory, range: &std::ops::Range<u64>) -> Option<u64> {
        let tables = [self.dynamic.lazy, self.dynamic.rela];
        tables.into_iter().find_map(|(begin, bytes)| {
            let table = memory.bytes(begin, bytes.min(4 << 20))?;
            let slots = table.chunks_exact(24).filter(|relocation| matches!(number::<4>(relocation, 8), 6 | 7));
            let mut slots = slots.map(|relocation| self.bias.wrapping_add(number::<8>(relocation, 0)));
            slots.find(|slot| memory.bytes(*slot, 8).is_some_and(|held| range.contains(&number::<8>(&held, 0))))
        })
    }

    /// Whether its table of dynamic strings holds a name, be it defined here or elsewhere.
    pub(in super::super) fn mentions(&self, memory: &impl Memory, name: &str) -> bool {
        let wanted: Vec<u8> = [b"\0", name.as_bytes(), b"\0"].concat();
        self.names(memory).is_some_and(|names| find(&names, &wanted).is_some())
    }
}

/// Where bytes begin among others.
pub(in super::super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() || bytes.len() < wanted.len() {
        return None;
    }
    // SAFETY: both slices are readable for their lengths.
    let found = unsafe { libc::memmem(bytes.as_ptr().cast(), bytes.len(), wanted.as_ptr().cast(), wanted.len()) };
    (!found.is_null()).then(|| found as usize - bytes.as_ptr() as usize)
}

/// Reads everything of an image that an injector asks for.
pub(in super::super) fn read_all(bytes: &[u8]) {
    let _ = headers(bytes);
    let file = Loaded(bytes);
    if let Some(image) = Image::at(&file, 0, "") {
        let _ = (image.symbol(&file, "malloc"), image.slot(&file, "dlsym"), image.mentions(&file, "x"));
        let _ = image.slot_into(&file, &(0..u64::MAX));
    }
}
