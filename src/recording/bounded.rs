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
/// Windows that the recording is seen in: as many as the writer sees at its usual bound.
const WINDOWS: u64 = 2048;

/// Records in the order of the file, with a bounded number of samples among them.
#[derive(Debug)]
pub(super) struct Bounded {
    records: Vec<Record>,
    samples: u64,
    most: u64,
}

impl Default for Bounded {
    fn default() -> Self {
        Self::with_room_for(MOST_SAMPLES)
    }
}

impl Bounded {
    /// Room for so many samples.
    pub fn with_room_for(most: u64) -> Self {
        Self { records: Vec::new(), samples: 0, most }
    }

    /// Takes the next record.
    pub fn push(&mut self, record: Record) {
        self.samples += u64::from(matches!(record, Record::Sample(_)));
        self.records.push(record);
        if self.samples > self.most {
            self.thin();
        }
    }

    /// The records that are left.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    fn thin(&mut self) {
        let last = self.records.last().map_or(0, |record| record.at().0);
        let seconds = last.div_ceil(1_000_000).div_ceil(WINDOWS).max(1);
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
        // Spans full of floors and peaks cannot be thinned. What does not help must not be tried at every record.
        self.most = self.most.max(self.samples + self.most / 4);
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
    fn a_long_recording_keeps_its_floors_its_end_and_the_count() {
        const MANY: u64 = 40_000;
        // The floor of each window of 4 s is at one sample of forty.
        let value = |n: u64| if n % 40 == 17 { 1_000 + n / 40 } else { 5_000 + n % 7 };
        let mut room = Bounded::with_room_for(4_000);
        (0..MANY).for_each(|n| room.push(sample(n, value(n))));
        let records = room.into_records();
        let kept = records.iter().filter(|record| matches!(record, Record::Sample(_))).count() as u64;
        assert!(kept <= 6_000, "{kept}");
        let told: Vec<u64> = records
            .iter()
            .filter_map(|record| match record {
                Record::Event { event: Event::Thinned { dropped }, .. } => Some(*dropped),
                _ => None,
            })
            .collect();
        assert_eq!(told, [MANY - kept]);
        let floors = records.iter().filter_map(anonymous).filter(|value| *value < 5_000).count() as u64;
        assert_eq!(floors, MANY / 40);
        assert!(records.is_sorted_by_key(Record::at));
        assert_eq!(records.last(), Some(&sample(MANY - 1, value(MANY - 1))));
    }
}
