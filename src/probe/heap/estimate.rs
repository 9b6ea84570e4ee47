//! Live blocks and bytes, estimated from the samples of a Poisson process.

use std::ops::AddAssign;

use crate::sample::HeapKind;

/// What a set of live samples stands for.
///
/// A block of `size` bytes is sampled with the chance `p = 1 - exp(-size / interval)`, whatever else happens, so it stands for
/// `1 / p` blocks of its size (Horvitz and Thompson). The estimate has no bias; its variance is estimated from
/// the same samples, `sum of size^2 (1 - p) / p^2`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Samples that are alive.
    pub samples: u64,
    /// Live blocks.
    pub blocks: f64,
    /// Live bytes, as they were asked for.
    pub bytes: f64,
    /// What glibc takes for them, header and rounding included.
    pub footprint: f64,
    variance: f64,
}

/// Two-sided 95 % of the normal distribution.
const CONFIDENT: f64 = 1.959_964;

impl Estimate {
    /// What one live sample of so many bytes stands for. Nothing where no sample can be: at no bytes.
    pub(super) fn of(kind: HeapKind, size_bytes: u64, interval_bytes: u64) -> Option<Self> {
        let (size, interval) = (size_bytes as f64, interval_bytes as f64);
        let missed = (-size / interval).exp();
        let chance = -(-size / interval).exp_m1();
        (chance > 0.0).then(|| Self {
            samples: 1,
            blocks: 1.0 / chance,
            bytes: size / chance,
            footprint: footprint(kind, size_bytes) as f64 / chance,
            variance: (size / chance).powi(2) * missed,
        })
    }

    /// The same for one sample of which so many bytes really take memory.
    #[must_use]
    pub(super) fn taking(self, resident_bytes: u64) -> Self {
        Self { footprint: resident_bytes as f64 * self.blocks, ..self }
    }

    /// The standard error of the bytes.
    pub fn standard_error(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Where the live bytes lie with 95 % confidence. Below 20 samples or so it is rather too narrow, and without any it says
    /// nothing at all.
    pub fn interval(&self) -> (f64, f64) {
        let reach = CONFIDENT * self.standard_error();
        ((self.bytes - reach).max(0.0), self.bytes + reach)
    }
}

impl AddAssign for Estimate {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.blocks += other.blocks;
        self.bytes += other.bytes;
        self.footprint += other.footprint;
        self.variance += other.variance;
    }
}

/// Blocks of this size and more are mappings of their own, as long as the program frees none of them
/// (`M_MMAP_THRESHOLD`, mallopt(3)).
const MAPPED_FROM: u64 = 128 << 10;

/// What an allocation really takes, in bytes. A block of glibc's has a header of 8 bytes, and is rounded up to 16 and to 32
/// at least (`request2size` in glibc's malloc.c); a large one has 16 bytes and whole pages, as a mapping has.
fn footprint(kind: HeapKind, size_bytes: u64) -> u64 {
    let round = |size: u64, to: u64| size.saturating_add(to - 1) / to * to;
    match kind {
        HeapKind::Block if size_bytes < MAPPED_FROM => round(size_bytes + 8, 16).max(32),
        HeapKind::Block => round(size_bytes.saturating_add(16), 4096),
        HeapKind::Mapping => round(size_bytes, 4096),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_take_what_glibc_gives_them() {
        // What malloc_usable_size tells of blocks of these sizes, and 8 for the header.
        for (asked, taken) in [(0, 32), (1, 32), (24, 32), (25, 48), (40, 48), (41, 64), (500, 512), (1000, 1008)] {
            assert_eq!(footprint(HeapKind::Block, asked), taken, "{asked}");
        }
        assert_eq!(footprint(HeapKind::Block, 200_000), 200_704);
        assert_eq!(footprint(HeapKind::Mapping, 4097), 8192);
        assert!(footprint(HeapKind::Mapping, u64::MAX) > 1 << 60);
    }
}
