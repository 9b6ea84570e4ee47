//! Whether the target did anything at all: one that was stopped, or used no CPU time, says nothing by not growing.

use crate::sample::{Record, Sample, Shape};

/// A target that was stopped for more than this share of the samples was not watched at work.
const MOST_STOPPED: f64 = 0.5;

/// What the samples of one scenario say of the target's activity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    samples: usize,
    stopped: usize,
    seconds: f64,
    /// Whether it used CPU time; `None` where that is not known.
    used_cpu: Option<bool>,
}

impl Activity {
    /// The activity in the records of one scenario.
    pub fn of(records: &[Record]) -> Self {
        let samples = || {
            records.iter().filter_map(|record| match record {
                Record::Sample(sample) if sample.processes > 0 => Some(sample),
                _ => None,
            })
        };
        let (Some(first), Some(last)) = (samples().next(), samples().next_back()) else { return Self::default() };
        let cpu = |sample: &Sample| sample.cpu_us;
        let used_cpu = samples().all(|sample| sample.cpu_us.is_some()).then(|| samples().any(|s| cpu(s) != cpu(first)));
        Self {
            samples: samples().count(),
            stopped: samples().filter(|sample| sample.stopped).count(),
            seconds: last.at.since(first.at).as_secs_f64(),
            used_cpu: used_cpu.filter(|_| samples().nth(1).is_some()),
        }
    }

    /// Whether it was stopped most of the time.
    pub fn is_mostly_stopped(&self) -> bool {
        self.stopped as f64 > MOST_STOPPED * self.samples as f64
    }

    /// Why not growing says nothing, where that is so. An idle scenario watches a target that waits: there, only being
    /// stopped counts.
    pub fn says_nothing(&self, shape: Shape) -> Option<String> {
        if self.is_mostly_stopped() {
            return Some(format!("the process was stopped (state T) for {}: nothing can be said", self.stopped_time()));
        }
        let watched = matches!(shape, Shape::Watch | Shape::Counted);
        (watched && self.used_cpu == Some(false)).then(|| {
            "the process used no CPU time during the watch (less than 10 ms): it was idle or waiting, so this says nothing \
             about growth under load"
                .to_owned()
        })
    }

    /// What a reader should know of a target that was stopped for a part of the time.
    pub fn remark(&self) -> Option<String> {
        (self.stopped > 0 && !self.is_mostly_stopped()).then(|| {
            format!("the process was stopped (state T) for {}: samples of that time are left out", self.stopped_time())
        })
    }

    /// `39 of 40 s`.
    fn stopped_time(&self) -> String {
        let share = self.stopped as f64 / self.samples.max(1) as f64;
        format!("{:.0} of {:.0} s", share * self.seconds, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Moment;

    fn records(samples: impl IntoIterator<Item = (bool, u64)>) -> Vec<Record> {
        let sample = |(n, (stopped, cpu))| {
            let at = Moment(n as u64 * 1_000_000);
            Record::Sample(Sample { at, processes: 1, stopped, cpu_us: Some(cpu), ..Sample::default() })
        };
        samples.into_iter().enumerate().map(sample).collect()
    }

    #[test]
    fn a_target_that_did_nothing_says_nothing() {
        let stopped = "the process was stopped (state T) for 40 of 40 s: nothing can be said";
        let table = [
            (records((0..41).map(|_| (true, 5))), Shape::Idle, Some(stopped)),
            (records((0..41).map(|n| (n % 3 > 0, n))), Shape::Flood, Some("the process was stopped (state T) for 26")),
            (records((0..41).map(|n| (n % 3 == 0, n))), Shape::Watch, None),
            (records((0..41).map(|_| (false, 5))), Shape::Watch, Some("the process used no CPU time")),
            (records((0..41).map(|_| (false, 5))), Shape::Idle, None),
            (records((0..41).map(|n| (false, n / 40))), Shape::Watch, None),
            (records([(false, 5)]), Shape::Watch, None),
            (Vec::new(), Shape::Watch, None),
        ];
        for (number, (records, shape, expected)) in table.into_iter().enumerate() {
            let said = Activity::of(&records).says_nothing(shape);
            assert_eq!(said.is_some(), expected.is_some(), "{number}: {said:?}");
            assert!(said.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{number}");
        }
    }

    #[test]
    fn a_part_of_the_time_is_remarked() {
        let remark = |stopped: u64| Activity::of(&records((0..41).map(|n| (n < stopped, n)))).remark();
        let told = "the process was stopped (state T) for 14 of 40 s: samples of that time are left out";
        assert_eq!([0, 14, 41].map(remark), [None, Some(told.to_owned()), None]);
    }

    #[test]
    fn half_of_the_time_is_not_most_of_it() {
        let mostly = |stopped: u64| Activity::of(&records((0..40).map(|n| (n < stopped, n)))).is_mostly_stopped();
        assert_eq!([20, 21].map(mostly), [false, true]);
    }

    #[test]
    fn samples_without_a_process_are_none() {
        let mut ended = records([(true, 5), (false, 5), (false, 5), (false, 5)]);
        for record in &mut ended[1..] {
            let Record::Sample(sample) = record else { panic!("a sample") };
            sample.processes = 0;
        }
        let activity = Activity::of(&ended);
        assert!(activity.is_mostly_stopped() && activity.used_cpu.is_none(), "{activity:?}");
        assert_eq!(Activity::of(&ended[1..]), Activity::default());
        // Where the CPU time is not known at one sample, nothing is said of it.
        let mut unknown = records((0..41).map(|_| (false, 5)));
        let Record::Sample(sample) = &mut unknown[7] else { panic!("a sample") };
        sample.cpu_us = None;
        assert_eq!(Activity::of(&unknown).says_nothing(Shape::Watch), None);
    }
}
