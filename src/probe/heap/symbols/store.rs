//! What is unpacked or opened while addresses are looked up: kept until the look-up ends, and bounded.

use std::cell::{Cell, OnceCell};

use super::elf::Mapped;

/// The most bytes that are unpacked for one module.
const MOST_BYTES: u64 = 512 << 20;

/// The most files that are opened for one module: units that were split off have a file each where they are not packed.
const MOST_FILES: usize = 1024;

/// The most sections that are unpacked for one module.
const MOST_SECTIONS: usize = 1024;

/// Files and unpacked sections.
pub(super) struct Store {
    files: Slots<Mapped>,
    sections: Slots<Vec<u8>>,
    left: Cell<u64>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self { files: Slots::new(MOST_FILES), sections: Slots::new(MOST_SECTIONS), left: Cell::new(MOST_BYTES) }
    }

    /// Keeps a file, unless there are too many.
    pub(super) fn keep_file(&self, file: Mapped) -> Option<&[u8]> {
        self.files.keep(file).map(Mapped::bytes)
    }

    /// Keeps what was unpacked, unless there is too much.
    pub(super) fn keep_section(&self, bytes: Vec<u8>) -> Option<&[u8]> {
        self.sections.keep(bytes).map(Vec::as_slice)
    }

    /// Takes so many bytes from what may still be unpacked.
    pub(super) fn reserve(&self, bytes: u64) -> Option<()> {
        self.left.set(self.left.get().checked_sub(bytes)?);
        Some(())
    }
}

/// A fixed number of places that are filled one after the other, and borrowed while others are filled.
struct Slots<T> {
    places: Vec<OnceCell<T>>,
    used: Cell<usize>,
}

impl<T> Slots<T> {
    fn new(most: usize) -> Self {
        Self { places: (0..most).map(|_| OnceCell::new()).collect(), used: Cell::new(0) }
    }

    fn keep(&self, value: T) -> Option<&T> {
        let place = self.places.get(self.used.get())?;
        self.used.set(self.used.get() + 1);
        Some(place.get_or_init(|| value))
    }
}
