//! The modules of a target that matter: the program, its loader, its C library, and whose allocator is in use.

use std::fs;

use super::image::{Image, number};
use super::target::{Mapping, Target, folder_of};
use crate::probe::heap::refusal::Refusal;

/// Found by what the kernel and the loader have left in memory, not by names.
#[derive(Debug)]
pub(in super::super) struct Modules {
    pub(in super::super) maps: Vec<Mapping>,
    pub(in super::super) images: Vec<Image>,
    pub(in super::super) program: Image,
    pub(in super::super) loader: Image,
    pub(in super::super) libc: Image,
    /// The module that serves `malloc`.
    pub(in super::super) allocator: Image,
}

const AT_PHDR: u64 = 3;
const AT_BASE: u64 = 7;
const AT_SECURE: u64 = 23;

/// The values that the kernel has given to the program.
pub(in super::super) struct Given(Vec<u8>);

impl Given {
    pub(in super::super) fn of(pid: u32) -> Self {
        Self(fs::read(format!("{}/auxv", folder_of(pid))).unwrap_or_default())
    }

    fn value(&self, key: u64) -> Option<u64> {
        let found = self.0.chunks_exact(16).find(|pair| number::<8>(pair, 0) == key)?;
        Some(number::<8>(found, 8))
    }

    /// Whether the program has rights that its user has not.
    pub(in super::super) fn is_secure(&self) -> bool {
        self.value(AT_SECURE).is_some_and(|value| value != 0)
    }
}

impl Modules {
    pub(in super::super) fn of(target: &Target) -> Result<Self, Refusal> {
        let gone = |_| Refusal::Gone { pid: target.pid() };
        let maps = target.maps().map_err(gone)?;
        let images = Image::all(target, &maps);
        let given = Given::of(target.pid());
        let holding = |address: u64| images.iter().find(|image| image.holds(address)).cloned();
        let unknown = || Refusal::Unreadable { pid: target.pid() };
        let program = given.value(AT_PHDR).and_then(holding).ok_or_else(unknown)?;
        let loader = given.value(AT_BASE).and_then(holding).ok_or_else(unknown)?;
        let started = program.slot(target, "__libc_start_main").and_then(holding);
        let known = |image: &Image| image.symbol(target, "gnu_get_libc_version").is_some();
        let libc = started.filter(known).or_else(|| images.iter().find(|image| known(image)).cloned());
        let libc = libc.ok_or_else(unknown)?;
        // The C library calls `malloc` itself, and by a slot, so that it gets whosever the program gets.
        let mut allocator = libc.slot(target, "malloc").and_then(holding).unwrap_or_else(|| libc.clone());
        if allocator.begin == program.begin && program.symbol(target, "malloc").is_none() {
            // A program at a fixed address that takes the address of `malloc` has a stub for it, and the stub's address is everybody's.
            let behind = program.slot(target, "malloc").and_then(holding).filter(|image| image.begin != program.begin);
            let is_other = |image: &&Image| ![program.begin, loader.begin, libc.begin].contains(&image.begin);
            let other =
                || images.iter().filter(is_other).find(|image| image.symbol(target, "malloc").is_some()).cloned();
            allocator = behind.or_else(other).unwrap_or_else(|| libc.clone());
        }
        Ok(Self { maps, images, program, loader, libc, allocator })
    }

    /// The address of a function of the C library.
    pub(in super::super) fn function(&self, target: &Target, name: &str) -> Result<u64, Refusal> {
        self.libc.symbol(target, name).ok_or(Refusal::Unreadable { pid: target.pid() })
    }

    /// Libraries of the sampler that were loaded from memory: by an injector.
    pub(in super::super) fn injected(&self) -> impl Iterator<Item = &Image> {
        self.images.iter().filter(|image| image.path.starts_with(INJECTED))
    }
}

/// What the kernel calls the library in lists of mappings.
pub(in super::super) const INJECTED: &str = "/memfd:tidewatch_heap";
/// The begin of the name of the library's file where it is preloaded.
pub(in super::super) const PRELOADED: &str = "libtidewatch_heap";
