//! Room for the records of a recording, however long it is.
//!
//! The writer keeps its file small by thinning older samples. A file that is larger all the same is thinned here while it is
//! read, by the same rule: in the older half every second sample goes, except those that carry the floor or the peak of a
//! span. How many went is told by an event, as the writer tells it. So a day of samples at 10 Hz can be judged in the
//! memory that some hours take.

use super::thin::{Pass, ShortLived, Thinner};
use crate::sample::{Event, Record};

/// Samples that are kept: with their curves, some 150 MB. A file that the writer kept to its bound holds fewer, or little more.
const MOST_SAMPLES: u64 = 400_000;
/// Samples for each window that the recording is seen in, were all of equal length. A window keeps at most 22 for their floors
/// and peaks, so that thinning makes room.
const SAMPLES_A_WINDOW: u64 = 200;

/// Records in the order of the file, with a bounded number of samples among them.
#[derive(Debug)]
pub(super) struct Bounded {
    records: Vec<Record>,
    samples: u64,
    most: u64,
    /// The number of samples that is one too many now.
    thin_at: u64,
}

impl Default for Bounded {
    fn default() -> Self {
        Self::with_room_for(MOST_SAMPLES)
    }
}

impl Bounded {
    /// Room for so many samples.
    pub fn with_room_for(most: u64) -> Self {
        Self { records: Vec::new(), samples: 0, most, thin_at: most }
    }

    /// Takes the next record.
    pub fn push(&mut self, record: Record) {
        self.samples += u64::from(matches!(record, Record::Sample(_)));
        self.records.push(record);
        if self.samples > self.thin_at {
            self.thin();
        }
    }

    /// The records that are left.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    fn thin(&mut self) {
        let last = self.records.last().map_or(0, |record| record.at().0);
        let windows = (self.most / SAMPLES_A_WINDOW).max(1);
        let seconds = last.div_ceil(1_000_000).div_ceil(windows).max(1);
        let pass = Pass {
            older_samples: self.samples / 2,
            window_us: seconds.next_power_of_two() * 1_000_000,
            events: ShortLived::Keep,
        };
        let mut thinner = Thinner::new(pass);
        // The count of those it takes is not needed: its decision has a word for each.
        let _ = self.records.iter().take_while(|record| thinner.see(record)).count();
        let decision = thinner.finish();
        let mut keep = decision.keep.iter();
        self.records.retain(|_| keep.next().is_none_or(|keep| *keep));
        self.samples -= decision.dropped;
        let dropped = decision.dropped + decision.dropped_before;
        if dropped > 0 {
            let older = decision.keep.iter().filter(|keep| **keep).count();
            self.records.insert(older, Record::Event { at: decision.until, event: Event::Thinned { dropped } });
        }
        // What marks cut into very short spans cannot be thinned. What does not help must not be tried at every record.
        self.thin_at = self.most.max(self.samples + self.most / 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Moment, Sample};

    fn sample(second: u64, anonymous: u64) -> Record {
        Record::Sample(Sample { at: Moment(second * 100_000), anonymous: Some(anonymous), ..Sample::default() })
    }

    fn anonymous(record: &Record) -> Option<u64> {
        match record {
            Record::Sample(sample) => sample.anonymous,
            _ => None,
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let records: Vec<Record> = (0..100).map(|n| sample(n, n)).collect();
        let mut room = Bounded::with_room_for(100);
        records.iter().cloned().for_each(|record| room.push(record));
        assert_eq!(room.into_records(), records);
    }

    #[test]
    fn a_long_recording_keeps_its_floors_its_peaks_its_end_and_the_count() {
        const MANY: u64 = 40_000;
        // Windows double as the recording grows; at its end there are 20 or fewer, of 256 s.
        const WINDOW: u64 = 2560;
        let value = |n: u64| (n as u32).wrapping_mul(2_654_435_761).into();
        let mut room = Bounded::with_room_for(4_000);
        (0..MANY).for_each(|n| room.push(sample(n, value(n))));
        let records = room.into_records();
        let samples: Vec<(u64, u64)> =
            records.iter().filter_map(|record| Some((record.at().0 / 100_000, anonymous(record)?))).collect();
        assert!(samples.len() <= 4_500, "{}", samples.len());
        let told: Vec<u64> = records
            .iter()
            .filter_map(|record| match record {
                Record::Event { event: Event::Thinned { dropped }, .. } => Some(*dropped),
                _ => None,
            })
            .collect();
        assert_eq!(told, [MANY - samples.len() as u64]);
        for window in 0..MANY / WINDOW {
            let of_window = window * WINDOW..(window + 1) * WINDOW;
            let kept = || samples.iter().filter(|(n, _)| of_window.contains(n)).map(|(_, value)| *value);
            assert_eq!(kept().min(), of_window.clone().map(value).min(), "{window}");
            assert_eq!(kept().max(), of_window.clone().map(value).max(), "{window}");
        }
        assert!(records.is_sorted_by_key(Record::at));
        assert_eq!(records.last(), Some(&sample(MANY - 1, value(MANY - 1))));
    }
}
