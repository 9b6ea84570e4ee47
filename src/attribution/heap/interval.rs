//! What sampling leaves open: 95 % intervals of live bytes, and of what they grew by.

use crate::growth::Estimate;
use crate::statistics::quantile::{normal_quantile, poisson_upper_bound};

/// Two-sided.
const LEVEL: f64 = 0.95;
/// More bytes than any process holds: what a recording says beyond it is not believed.
const MOST: f64 = 1e18;

/// What is alive at one moment, as sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Live {
    /// Footprint in bytes.
    pub footprint: f64,
    /// The square of its standard error.
    pub variance: f64,
    /// Live blocks.
    pub blocks: f64,
    /// Live samples.
    pub samples: u64,
}

impl Live {
    /// What a recording says, as far as it can be.
    pub fn of(live: &crate::sample::HeapLive) -> Self {
        let sane = |value: f64| if value.is_finite() { value.clamp(0.0, MOST) } else { 0.0 };
        Self {
            footprint: sane(live.footprint),
            variance: sane(live.error).powi(2),
            blocks: sane(live.blocks),
            samples: live.samples,
        }
    }

    /// The standard error of the footprint.
    pub fn error(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Both together: samples of different stacks are independent.
    pub fn add(&mut self, other: Self) {
        self.footprint += other.footprint;
        self.variance += other.variance;
        self.blocks += other.blocks;
        self.samples = self.samples.saturating_add(other.samples);
    }

    /// Where the footprint lies. The weighted sum is taken as a Poisson count of as many equal samples as have its relative
    /// error (Byar's approximation of Garwood's limits); with no sample, as many bytes may be alive as a count of
    /// none leaves open.
    pub fn interval(&self, interval_bytes: u64) -> (f64, f64) {
        if self.samples == 0 || self.footprint <= 0.0 {
            return (0.0, poisson_upper_bound(0, (1.0 + LEVEL) / 2.0) * interval_bytes as f64);
        }
        if self.variance <= 0.0 {
            return (self.footprint, self.footprint);
        }
        let n = self.footprint.powi(2) / self.variance;
        let z = normal_quantile((1.0 + LEVEL) / 2.0) / 3.0;
        let cube = |count: f64, z: f64| count * (1.0 - 1.0 / (9.0 * count) + z / count.sqrt()).max(0.0).powi(3);
        let each = self.footprint / n;
        ((cube(n, -z) * each).min(self.footprint), (cube(n + 1.0, z) * each).max(self.footprint))
    }
}

/// What it grew by from one moment to another, `value` being the best figure. Each end is as far away as the ends of the two
/// intervals put it (Zou and Donner's recovery of variance estimates), the two moments taken as independent. They are not
/// where the same blocks live through both, so that the interval is rather too wide.
pub fn grown(value: f64, before: Live, after: Live, interval_bytes: u64) -> Estimate {
    let (before_low, before_high) = before.interval(interval_bytes);
    let (after_low, after_high) = after.interval(interval_bytes);
    let down = (after.footprint - after_low).hypot(before_high - before.footprint);
    let up = (after_high - after.footprint).hypot(before.footprint - before_low);
    Estimate { value, low: value - down, high: value + up }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: u64 = 65_536;

    fn live(samples: u64, each: f64) -> Live {
        let count = samples as f64;
        Live { footprint: count * each, variance: count * each * each, blocks: count, samples }
    }

    /// The limits of Garwood's table, in counts.
    #[test]
    fn few_samples_have_the_limits_of_a_poisson_count() {
        for (count, low, high) in [(1, 0.025, 5.572), (5, 1.624, 11.668), (20, 12.217, 30.888), (100, 81.36, 121.63)] {
            let (found_low, found_high) = live(count, 1000.0).interval(INTERVAL);
            assert!((found_low / 1000.0 - low).abs() < 0.03, "{count}: {found_low}");
            assert!((found_high / 1000.0 - high).abs() < 0.05, "{count}: {found_high}");
        }
        let (low, high) = Live::default().interval(INTERVAL);
        assert!(low == 0.0 && (high / INTERVAL as f64 - 3.689).abs() < 1e-3);
        // Blocks much larger than the interval are all seen.
        let exact = Live { footprint: 5e6, samples: 5, ..Live::default() };
        assert_eq!(exact.interval(INTERVAL), (5e6, 5e6));
    }

    #[test]
    fn growth_is_as_open_as_the_ends_of_both_intervals_are_far() {
        // 5 samples: 1.624 to 11.668 thousand; 20: 12.217 to 30.888.
        let found = grown(15_000.0, live(5, 1000.0), live(20, 1000.0), INTERVAL);
        let (down, up) = (7783f64.hypot(6668.0), 10_888f64.hypot(3376.0));
        assert!((found.value - found.low - down).abs() < 80.0, "{found:?} {down}");
        assert!((found.high - found.value - up).abs() < 80.0, "{found:?} {up}");
    }

    #[test]
    fn live_bytes_of_several_stacks_add_up_as_independent_samples() {
        let of = |footprint, error, blocks, samples| {
            Live::of(&crate::sample::HeapLive { footprint, error, blocks, samples, ..Default::default() })
        };
        let mut sum = of(30.0, 3.0, 2.0, 4);
        sum.add(of(50.0, 4.0, 5.0, 6));
        assert_eq!(sum, Live { footprint: 80.0, variance: 25.0, blocks: 7.0, samples: 10 });
        assert_eq!(sum.error(), 5.0);
        let odd = of(f64::NAN, f64::INFINITY, -3.0, 1);
        assert_eq!(odd, Live { samples: 1, ..Live::default() });
        assert_eq!(of(1e300, 0.0, 0.0, 1).footprint, MOST);
        // Samples of nothing leave open what no sample leaves open.
        assert_eq!(odd.interval(INTERVAL), Live::default().interval(INTERVAL));
        let unseen = Live { samples: 0, ..live(5, 1000.0) };
        assert_eq!(unseen.interval(INTERVAL), Live::default().interval(INTERVAL));
    }

    proptest::proptest! {
        #[test]
        fn the_growth_lies_in_its_interval(
            before in (0u64..1000, 1.0..1e6f64), after in (0u64..1000, 1.0..1e6f64), odd in proptest::num::f64::ANY,
        ) {
            let (before, after) = (live(before.0, before.1), live(after.0, after.1));
            let found = grown(after.footprint - before.footprint, before, after, INTERVAL);
            proptest::prop_assert!(found.low <= found.value && found.value <= found.high);
            let odd = crate::sample::HeapLive { footprint: odd, error: odd, samples: 3, ..Default::default() };
            let (low, high) = Live::of(&odd).interval(INTERVAL);
            proptest::prop_assert!(low.is_finite() && high.is_finite() && low <= high);
        }
    }
}
