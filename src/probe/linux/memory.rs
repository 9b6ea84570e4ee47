//! Exact memory by `smaps_rollup`, and the high-water mark.
//!
//! The procfs crate parses `smaps_rollup` into a hash map with a new string per line; together with `smaps`,
//! which has the same lines for each of maybe 30,000 mappings, that costs more than the kernel's own work.
//! [`Fields`] picks the few fields out in place and serves both.

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::files::{Files, read_whole};
use crate::procfs::stat::number;
use crate::sample::Memory;

/// Most bytes read of `smaps_rollup` or `status`: both are a page at most.
const SHORT_FILE: usize = 64 * 1024;

/// The fields of one mapping, or of all together, that anything is made of. In bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) rss: Option<u64>,
    pub(crate) pss: u64,
    pub(crate) pss_anon: Option<u64>,
    pub(crate) pss_file: Option<u64>,
    pub(crate) pss_shmem: Option<u64>,
    pub(crate) private: u64,
    pub(crate) anonymous: u64,
    pub(crate) lazy_free: u64,
    pub(crate) swap: u64,
    pub(crate) swap_pss: Option<u64>,
}

impl Fields {
    /// Takes in one line, `Name:   12 kB`. Lines of other forms and unknown names are passed over.
    pub(crate) fn take(&mut self, line: &[u8]) {
        let Some((name, bytes)) = kilobytes(line) else { return };
        match name {
            b"Rss" => self.rss = Some(bytes),
            b"Pss" => self.pss = bytes,
            b"Pss_Anon" => self.pss_anon = Some(bytes),
            b"Pss_File" => self.pss_file = Some(bytes),
            b"Pss_Shmem" => self.pss_shmem = Some(bytes),
            b"Private_Clean" | b"Private_Dirty" => self.private = self.private.saturating_add(bytes),
            b"Anonymous" => self.anonymous = bytes,
            b"LazyFree" => self.lazy_free = bytes,
            b"Swap" => self.swap = bytes,
            b"SwapPss" => self.swap_pss = Some(bytes),
            _ => {}
        }
    }
}

/// `Name:  12 kB` as name and bytes.
pub(crate) fn kilobytes(line: &[u8]) -> Option<(&[u8], u64)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let value = line[colon + 1..].trim_ascii().strip_suffix(b"kB")?.trim_ascii();
    Some((&line[..colon], number(value)?.saturating_mul(1024)))
}

/// The figures of one `smaps_rollup`. Kernels before 5.3 do not split PSS: `shmem` (RssShmem of `status`) stands
/// in for the shared part there. `None` when the text has no `Rss`.
pub(crate) fn parse_rollup(text: &[u8], shmem: impl FnOnce() -> u64) -> Option<Memory> {
    let mut fields = Fields::default();
    text.split(|&byte| byte == b'\n').for_each(|line| fields.take(line));
    let rss = fields.rss?;
    let swap = fields.swap_pss.unwrap_or(fields.swap);
    let anonymous = fields.pss_anon.unwrap_or(fields.anonymous);
    let shared = fields.pss_shmem.unwrap_or_else(shmem);
    let file = fields.pss_file.unwrap_or_else(|| fields.pss.saturating_sub(anonymous).saturating_sub(shared));
    let private = anonymous.saturating_add(swap).saturating_sub(fields.lazy_free);
    Some(Memory { rss, pss: fields.pss, private, shared, file, swap, lazily_freed: fields.lazy_free })
}

/// Reads the exact figures of one process.
pub(crate) fn read_rollup(files: &Files, text: &mut Vec<u8>) -> Result<Memory, Errno> {
    read_whole(&files.dir, c"smaps_rollup", text, SHORT_FILE)?;
    let shmem = || status_field(&files.dir, b"RssShmem", &mut Vec::new()).ok().flatten().unwrap_or(0);
    // An empty text is how some kernels show a process without memory of its own.
    if text.is_empty() { Err(Errno::SRCH) } else { parse_rollup(text, shmem).ok_or(Errno::INVAL) }
}

/// Reads the highest resident set since the last reset, and the resident shared memory (zero before Linux 4.5).
pub(crate) fn read_high_water(files: &Files, text: &mut Vec<u8>) -> Result<(u64, u64), Errno> {
    // Kernel threads and processes that are ending have no such line.
    let mark = status_field(&files.dir, b"VmHWM", text)?.ok_or(Errno::SRCH)?;
    Ok((mark, parse_status_field(text, b"RssShmem").unwrap_or(0)))
}

fn status_field(dir: &OwnedFd, wanted: &[u8], text: &mut Vec<u8>) -> Result<Option<u64>, Errno> {
    read_whole(dir, c"status", text, SHORT_FILE)?;
    Ok(parse_status_field(text, wanted))
}

/// A field of `status` in bytes. The name of the process stands in the first line, escaped by the kernel.
pub(crate) fn parse_status_field(text: &[u8], wanted: &[u8]) -> Option<u64> {
    text.split(|&byte| byte == b'\n').filter_map(kilobytes).find(|(name, _)| *name == wanted).map(|(_, bytes)| bytes)
}

/// Sets the peak back to the present size.
pub(crate) fn write_reset(files: &Files) -> Result<(), Errno> {
    use rustix::fs::{Mode, OFlags};
    let file = rustix::fs::openat(&files.dir, c"clear_refs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, b"5").map(|_| ())
}

/// The sum of two processes' figures.
pub(crate) fn add(sum: Memory, one: Memory) -> Memory {
    Memory {
        rss: sum.rss.saturating_add(one.rss),
        pss: sum.pss.saturating_add(one.pss),
        private: sum.private.saturating_add(one.private),
        shared: sum.shared.saturating_add(one.shared),
        file: sum.file.saturating_add(one.file),
        swap: sum.swap.saturating_add(one.swap),
        lazily_freed: sum.lazily_freed.saturating_add(one.lazily_freed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux 6.18.
    const NEW: &str = "56114f6ba000-7ffea5632000 ---p 00000000 00:00 0                          [rollup]\n\
        Rss:                1612 kB\nPss:                 321 kB\nPss_Dirty:           116 kB\n\
        Pss_Anon:            100 kB\nPss_File:            205 kB\nPss_Shmem:            16 kB\n\
        Shared_Clean:       1436 kB\nShared_Dirty:          0 kB\nPrivate_Clean:        60 kB\n\
        Private_Dirty:       116 kB\nReferenced:         1612 kB\nAnonymous:           116 kB\n\
        KSM:                   0 kB\nLazyFree:            30 kB\nAnonHugePages:         0 kB\n\
        ShmemPmdMapped:        0 kB\nFilePmdMapped:         0 kB\nShared_Hugetlb:        0 kB\n\
        Private_Hugetlb:       0 kB\nSwap:                 12 kB\nSwapPss:               8 kB\nLocked: 0 kB\n";

    /// Linux 4.14: PSS is not split.
    const OLD: &str = "00400000-7fffb0e1c000 ---p 00000000 00:00 0  [rollup]\nRss:  5000 kB\nPss:  3000 kB\n\
        Shared_Clean:  1000 kB\nShared_Dirty:  0 kB\nPrivate_Clean:  500 kB\nPrivate_Dirty: 2000 kB\n\
        Referenced:  5000 kB\nAnonymous:  1800 kB\nLazyFree:  0 kB\nAnonHugePages:  0 kB\nShmemPmdMapped: 0 kB\n\
        Shared_Hugetlb:  0 kB\nPrivate_Hugetlb:  0 kB\nSwap:  40 kB\nSwapPss:  40 kB\nLocked:  0 kB\n";

    #[test]
    fn rollups_of_old_and_new_kernels() {
        let kb = |n: u64| n * 1024;
        let new = Memory {
            rss: kb(1612),
            pss: kb(321),
            private: kb(78),
            shared: kb(16),
            file: kb(205),
            swap: kb(8),
            lazily_freed: kb(30),
        };
        assert_eq!(parse_rollup(NEW.as_bytes(), || panic!("not asked for")), Some(new));
        let old = Memory {
            rss: kb(5000),
            pss: kb(3000),
            private: kb(1840),
            shared: kb(300),
            file: kb(900),
            swap: kb(40),
            lazily_freed: 0,
        };
        assert_eq!(parse_rollup(OLD.as_bytes(), || kb(300)), Some(old));
    }

    #[test]
    fn more_lazily_freed_than_anonymous_is_nothing_not_a_huge_number() {
        let text = b"Rss: 8 kB\nPss: 8 kB\nPss_Anon: 4 kB\nPss_File: 0 kB\nPss_Shmem: 0 kB\nLazyFree: 8 kB\n";
        assert_eq!(parse_rollup(text, || 0).map(|memory| memory.private), Some(0));
        assert_eq!(parse_rollup(b"Pss: 8 kB\n", || 0), None);
    }

    #[test]
    fn status_fields() {
        let text = b"Name:\tVmHWM: 9 kB\nUmask:\t0022\nVmPeak:\t  20000 kB\nVmHWM:\t   1234 kB\nThreads:\t3\n";
        assert_eq!(parse_status_field(text, b"VmHWM"), Some(1234 * 1024));
        assert_eq!(parse_status_field(text, b"Threads"), None);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in proptest::collection::vec(proptest::num::u8::ANY, 0..500)) {
            let _ = (parse_rollup(&text, || u64::MAX), parse_status_field(&text, b"VmHWM"));
        }

        #[test]
        fn huge_numbers_never_panic(a: u64, b: u64, c: u64) {
            let text = format!("Rss: {a} kB\nPss: {b} kB\nAnonymous: {c} kB\nSwap: {a} kB\nLazyFree: {b} kB\n");
            let memory = parse_rollup(text.as_bytes(), || c);
            proptest::prop_assert!(memory.is_some_and(|m| add(m, m).rss >= m.rss));
        }
    }
}
