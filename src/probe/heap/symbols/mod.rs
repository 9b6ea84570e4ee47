//! Which functions addresses are of: names, source lines, and what the compiler put in line.
//!
//! A [`Symbolizer`] reads the files that code was mapped from, never the target. It takes names from debug information, in the module
//! or in a separate file that provably belongs to it (by build-id, checksum or split-unit id), and else from a symbol
//! that covers the address. It refuses to guess: an address between two symbols has no name, and a debug file that is of another
//! build is not read. Files are untrusted: what is unpacked is bounded, and a broken file gives no names.

mod dwarf;
mod elf;
mod names;
mod sane;
mod separate;
mod store;
mod table;

use std::fs::File;
use std::path::PathBuf;

use object::Object as _;

use super::OpenModule;
use crate::sample::Frame;
use dwarf::{Debug, Found};
use elf::Mapped;
use names::demangled;
use separate::Finder;
use store::Store;

/// Where distributions keep debug files.
const DEBUG_FOLDER: &str = "/usr/lib/debug";

/// Finds the functions of addresses. It keeps no file open between two questions.
#[derive(Debug)]
pub struct Symbolizer {
    debug_folders: Vec<PathBuf>,
}

impl Default for Symbolizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Symbolizer {
    /// Looks for separate debug files beside each module and in `/usr/lib/debug`.
    pub fn new() -> Self {
        Self::with_debug_folders(vec![PathBuf::from(DEBUG_FOLDER)])
    }

    /// Looks for separate debug files beside each module and in these folders.
    pub fn with_debug_folders(debug_folders: Vec<PathBuf>) -> Self {
        Self { debug_folders }
    }

    /// The functions at each of these offsets in the module's file: those in line first, innermost first, and last the one that they
    /// were put into. Nothing where it is unknown.
    pub fn resolve(&mut self, module: &OpenModule, offsets: &[u64]) -> Vec<Vec<Frame>> {
        let unknown = || vec![Vec::new(); offsets.len()];
        let Some(mapped) = Mapped::of(&module.file) else { return unknown() };
        let Some(elf) = elf::parsed(mapped.bytes()) else { return unknown() };
        let addresses = elf::addresses(&elf, offsets);
        let store = Store::new();
        let finder = Finder::new(module, &self.debug_folders);
        let separate = finder.debug_file(&elf, &store);
        let symbols = symbols(&elf, separate.as_ref(), &store, &addresses);
        let debug = Debug::open(&elf, separate.as_ref(), &finder, &store, &addresses);
        let look_up = |(address, symbol): (&Option<u64>, Option<String>)| {
            let Some(address) = *address else { return Vec::new() };
            let found = debug.as_ref().map(|debug| debug.frames(address)).unwrap_or_default();
            frames(found, symbol)
        };
        addresses.iter().zip(symbols).map(look_up).collect()
    }
}

/// The build-id of a module in hexadecimal, where it has one.
pub fn build_id(file: &File) -> Option<String> {
    let mapped = Mapped::of(file)?;
    let id = elf::parsed(mapped.bytes())?.build_id().ok()??;
    (!id.is_empty()).then(|| elf::hexadecimal(id))
}

/// The names of the symbols that cover these addresses, as linkers write them: from the full table, then from the one that is
/// packed into the module, then from the one for the loader.
fn symbols<'a>(
    elf: &object::File<'a>,
    separate: Option<&object::File<'a>>,
    store: &'a Store,
    addresses: &[Option<u64>],
) -> Vec<Option<String>> {
    let mut wanted = table::Wanted::new(addresses);
    for file in [separate, Some(elf)].into_iter().flatten() {
        wanted.take(file.symbols());
    }
    if wanted.is_open()
        && let Some(packed) = elf::packed_symbols(elf, store)
    {
        wanted.take(packed.symbols());
    }
    wanted.take(elf.dynamic_symbols());
    wanted.names()
}

/// Puts together what debug information and the symbol table say of one address.
fn frames(mut found: Vec<Found>, symbol: Option<String>) -> Vec<Frame> {
    match (found.last_mut(), symbol) {
        // Debug information may have a bare name where the symbol has the whole path, and none at all for functions into which
        // nothing was put in line.
        (Some(outermost), Some(symbol)) => {
            let is_bare = outermost.function.as_deref().is_none_or(|name| !names::is_mangled(name));
            if outermost.function.is_none() || (is_bare && names::is_mangled(&symbol)) {
                outermost.function = Some(symbol);
            }
        }
        (None, Some(symbol)) => found.push(Found { function: Some(symbol), ..Found::default() }),
        (_, None) => {}
    }
    let frame = |found: Found| {
        let function = demangled(&found.function?);
        (!function.is_empty()).then_some(Frame {
            function,
            file: found.file.map(|file| names::shown(&file)),
            line: found.line,
        })
    };
    found.into_iter().filter_map(frame).collect()
}
