//! Why numbers are missing, each reason told once.

use std::collections::BTreeMap;

use crate::sample::{Event, Metric};

/// Reasons kept per metric. Respawned workers have new pids and so new reasons: they must not fill the recording.
const MAX_REASONS: usize = 16;

/// Collects reasons and hands each out once.
#[derive(Debug, Default)]
pub(super) struct MissingLog {
    told: BTreeMap<Metric, Vec<String>>,
    pending: Vec<Event>,
}

impl MissingLog {
    /// Notes that `metric` could not be read for `reason`.
    pub(super) fn note(&mut self, metric: Metric, reason: &str) {
        let told = self.told.entry(metric.clone()).or_default();
        if told.len() >= MAX_REASONS || told.iter().any(|known| known == reason) {
            return;
        }
        told.push(reason.to_owned());
        self.pending.push(Event::Missing { metric, reason: reason.to_owned() });
    }

    /// What was noted since the last call.
    pub(super) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_and_their_number_is_bounded() {
        let mut log = MissingLog::default();
        log.note(Metric::Fds, "a");
        log.note(Metric::Fds, "a");
        log.note(Metric::Private, "a");
        assert_eq!(log.take().len(), 2);
        log.note(Metric::Fds, "a");
        assert_eq!(log.take(), []);
        (0..1000).for_each(|n| log.note(Metric::Fds, &n.to_string()));
        assert_eq!(log.take().len(), MAX_REASONS - 1);
    }
}
