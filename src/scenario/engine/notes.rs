//! What did not count: kept per worker, so that workers never wait for each other, and put together at the end.

use std::collections::BTreeMap;

use crate::sample::Tally;
use crate::scenario::drivers::{Reach, Trouble};

/// Answers that were not operations.
#[derive(Debug, Default)]
pub struct Notes {
    backpressure: BTreeMap<u16, u64>,
    unexpected: BTreeMap<String, Kind>,
    nobody: u64,
}

#[derive(Debug)]
struct Kind {
    count: u64,
    first: u64,
    detail: String,
}

impl Notes {
    /// An answer that was expected and does not count.
    pub fn backpressure(&mut self, status: u16) {
        *self.backpressure.entry(status).or_default() += 1;
    }

    /// An answer that was not expected, to this operation.
    pub fn trouble(&mut self, operation: u64, trouble: Trouble) {
        self.nobody += u64::from(trouble.reach == Reach::Nobody);
        if let Some(kind) = self.unexpected.get_mut(&*trouble.kind) {
            kind.count += 1;
        } else {
            let kind = Kind { count: 1, first: operation, detail: trouble.detail };
            self.unexpected.insert(trouble.kind.into_owned(), kind);
        }
    }

    /// Takes over another worker's notes.
    pub fn absorb(&mut self, other: Self) {
        self.nobody += other.nobody;
        for (status, count) in other.backpressure {
            *self.backpressure.entry(status).or_default() += count;
        }
        for (name, theirs) in other.unexpected {
            match self.unexpected.get_mut(&name) {
                None => drop(self.unexpected.insert(name, theirs)),
                Some(ours) => {
                    ours.count += theirs.count;
                    if theirs.first < ours.first {
                        (ours.first, ours.detail) = (theirs.first, theirs.detail);
                    }
                }
            }
        }
    }

    /// How many answers were expected and do not count.
    pub fn backpressure_total(&self) -> u64 {
        self.backpressure.values().sum()
    }

    /// How many were not expected.
    pub fn unexpected_total(&self) -> u64 {
        self.unexpected.values().map(|kind| kind.count).sum()
    }

    /// When nothing was ever there to answer: the first failure in detail.
    pub fn nobody_there(&self, counted: u64) -> Option<&str> {
        let unreached = counted == 0 && self.backpressure.is_empty() && self.nobody == self.unexpected_total();
        self.unexpected.values().filter(|_| unreached).min_by_key(|kind| kind.first).map(|kind| kind.detail.as_str())
    }

    /// Puts it into a tally.
    pub fn fill(self, tally: &mut Tally) {
        tally.uncounted =
            self.backpressure.iter().map(|(status, count)| (format!("status {status}"), *count)).collect();
        for (name, kind) in self.unexpected {
            tally.unexpected.insert(name.clone(), kind.count);
            tally.first_of_kind.insert(name, kind.detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_workers_come_together_with_the_first_of_each_kind() {
        let (mut a, mut b) = (Notes::default(), Notes::default());
        a.trouble(9, Trouble::unexpected("status 500", "late"));
        b.trouble(3, Trouble::unexpected("status 500", "early"));
        b.trouble(4, Trouble::unexpected("status 404", "lost"));
        b.backpressure(429);
        a.backpressure(429);
        a.absorb(b);
        assert_eq!((a.backpressure_total(), a.unexpected_total(), a.nobody_there(0)), (2, 3, None));
        let mut tally = Tally::default();
        a.fill(&mut tally);
        assert_eq!(tally.uncounted["status 429"], 2);
        assert_eq!(tally.unexpected["status 500"], 2);
        assert_eq!(tally.first_of_kind["status 500"], "early");
        assert_eq!(tally.first_of_kind["status 404"], "lost");
    }

    #[test]
    fn nobody_is_there_only_when_nothing_ever_answered() {
        let refused = || Trouble::connect("127.0.0.1:1", &std::io::ErrorKind::ConnectionRefused.into());
        let mut notes = Notes::default();
        notes.trouble(1, refused());
        assert!(notes.nobody_there(0).is_some_and(|detail| detail.contains("127.0.0.1:1")));
        assert_eq!(notes.nobody_there(1), None);
        notes.trouble(2, Trouble::unexpected("status 500", ""));
        assert_eq!(notes.nobody_there(0), None);
    }
}
