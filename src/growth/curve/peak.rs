//! The highest anonymous memory: what ticks see, and what the kernel's high-water mark saw between them.
//!
//! The high-water mark (VmHWM) is the highest resident set since it was last reset, so a reading belongs to a cycle
//! only if the reset was made for that cycle, or if the mark rose since it was last read. Files and shared memory
//! are taken off by what they are at the tick of the reading. So are pages that the target gave back and the kernel may take
//! (LazyFree): only an exact reading tells how many they are, so where there are any, ticks without one are no points.

use crate::sample::{Event, Phase, Sample};

/// What is known of the mark so far.
#[derive(Debug, Default)]
pub(super) struct Peaks {
    /// The cycle for which the mark was last reset.
    reset_for: Option<u32>,
    /// The last reading since the reset.
    last_mark: Option<u64>,
    /// Resident pages that the target had given back at the last exact reading.
    lazily_freed: u64,
}

impl Peaks {
    /// Takes in an event. A reset while a warm-up or a cycle ends is made for the cycle to come.
    pub(super) fn note(&mut self, event: &Event, phase: Option<Phase>, cycle: u32) {
        if matches!(event, Event::PeakReset) {
            self.reset_for = Some(match phase {
                None | Some(Phase::Load) => cycle,
                Some(Phase::Warmup | Phase::Settle) => cycle.saturating_add(1),
            });
            self.last_mark = None;
        }
    }

    /// The highest anonymous memory known at this tick, in bytes.
    pub(super) fn value(&mut self, sample: &Sample, cycle: u32) -> Option<f64> {
        if let Some(memory) = sample.memory {
            self.lazily_freed = memory.lazily_freed;
        }
        let seen = sample.anonymous;
        let between = self.of_mark(sample, cycle);
        // How much of it was given back since is not known.
        if self.lazily_freed > 0 && sample.memory.is_none() {
            return None;
        }
        seen.max(between).map(|bytes| bytes.saturating_sub(self.lazily_freed) as f64)
    }

    fn of_mark(&mut self, sample: &Sample, cycle: u32) -> Option<u64> {
        let mark = sample.high_water?;
        let rose = self.last_mark.replace(mark).is_some_and(|before| mark > before);
        let belongs = rose || self.reset_for == Some(cycle);
        let not_anonymous = sample.rss?.saturating_sub(sample.anonymous?);
        belongs.then(|| mark.saturating_sub(not_anonymous))
    }
}
