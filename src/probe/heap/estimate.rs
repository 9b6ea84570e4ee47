//! Live blocks and bytes, estimated from the samples of a Poisson process.

use std::ops::AddAssign;

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
    variance: f64,
}

/// Two-sided 95 % of the normal distribution.
const CONFIDENT: f64 = 1.959_964;

impl Estimate {
    /// What one live sample of so many bytes stands for. Nothing where no sample can be: at no bytes.
    pub(super) fn of(size_bytes: u64, interval_bytes: u64) -> Option<Self> {
        let (size, interval) = (size_bytes as f64, interval_bytes as f64);
        let missed = (-size / interval).exp();
        let chance = -(-size / interval).exp_m1();
        (chance > 0.0).then(|| Self {
            samples: 1,
            blocks: 1.0 / chance,
            bytes: size / chance,
            variance: (size / chance).powi(2) * missed,
        })
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
        self.variance += other.variance;
    }
}
