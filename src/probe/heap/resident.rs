//! What of a mapping takes memory: its pages that are resident or swapped out, by `/proc/PID/pagemap`.
//!
//! A table that has just doubled is half untouched, and untouched pages take nothing. The kernel tells of each page in eight bytes
//! (Documentation/admin-guide/mm/pagemap.rst): bit 63, it is present; bit 62, it is swapped. Huge pages are told page by page.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::procfs::stat::folder_of;

/// Larger mappings are not looked through: that would hold the target's map of its memory for too long.
const MOST_BYTES: u64 = 1 << 30;
/// Bytes of the file that are read at once: the words of 16 MiB.
const CHUNK: usize = 32 << 10;
const WORD: u64 = 8;
const PAGE: u64 = 4096;
const TAKES_MEMORY: u64 = 1 << 63 | 1 << 62;

/// The pages of a process. Where they may not be looked at, nothing is known of them.
#[derive(Debug, Default)]
pub struct Pages {
    file: Option<File>,
}

impl Pages {
    /// Those of a process.
    pub fn of(pid: u32) -> Self {
        Self { file: File::open(format!("{}/pagemap", folder_of(pid))).ok() }
    }

    /// How much of a mapping takes memory, in bytes; `None` where that is not known.
    pub fn resident_bytes(&self, address: u64, size_bytes: u64) -> Option<u64> {
        let file = self.file.as_ref().filter(|_| size_bytes <= MOST_BYTES)?;
        let first = address / PAGE;
        let pages = address.checked_add(size_bytes)?.div_ceil(PAGE) - first;
        let (mut seen, mut resident) = (0, 0);
        let mut words = [0; CHUNK];
        while seen < pages {
            let wanted = (((pages - seen) * WORD) as usize).min(CHUNK);
            let read = file.read_at(&mut words[..wanted], (first + seen) * WORD).ok()?;
            let words = words[..read].as_chunks::<8>().0;
            if words.is_empty() {
                // Past the end of the address space: the mapping is gone.
                return None;
            }
            resident += words.iter().filter(|word| u64::from_le_bytes(**word) & TAKES_MEMORY != 0).count() as u64;
            seen += words.len() as u64;
        }
        Some(resident * PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_touched_takes_memory_and_the_rest_does_not() {
        const SIZE: usize = 64 << 20;
        // From this size on the allocator maps.
        let mut block: Vec<u8> = Vec::with_capacity(SIZE);
        let address = block.as_ptr() as u64;
        let pages = Pages::of(std::process::id());
        // A huge page may be given for the first byte.
        let before = pages.resident_bytes(address, SIZE as u64).expect("our own pages");
        assert!(before <= 4 << 20, "{before}");
        block.resize(SIZE / 2, 7);
        let half = pages.resident_bytes(address, SIZE as u64).expect("our own pages");
        let expected = SIZE as u64 / 2;
        assert!(half.abs_diff(expected) <= 4 << 20, "{half} is not near {expected}");
        assert_eq!(block.iter().filter(|byte| **byte == 7).count(), SIZE / 2);
    }

    #[test]
    fn what_cannot_be_known_is_not_guessed() {
        assert_eq!(Pages::default().resident_bytes(0x1000, 4096), None);
        let own = Pages::of(std::process::id());
        assert_eq!(own.resident_bytes(u64::MAX - 4096, 8192), None);
        assert_eq!(own.resident_bytes(u64::MAX / 2, 4096), None);
        assert_eq!(own.resident_bytes(0x1000, MOST_BYTES + 1), None);
    }
}
