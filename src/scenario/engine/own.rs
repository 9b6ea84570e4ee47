//! The account of our own connections that the target is known to hold.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connections of ours that the target holds: they are taken off its descriptors. The account may be too small for a
/// moment, and is never too large.
///
/// A server may hand each connection to a process of its own. Its descriptors are counted from the first look at the
/// tree on that sees it, so a connection is taken off from that look on, and not before.
#[derive(Debug, Default)]
pub struct OwnConnections(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    /// How many looks at the tree there were.
    looks: u64,
    /// Proven before the last look.
    seen: u64,
    /// Proven since.
    fresh: u64,
    /// Held for gauges now, and of those how many at the last look.
    gauges: u64,
    gauges_seen: u64,
}

/// What a connection keeps of its entry, to be taken off again.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    after_look: u64,
}

impl OwnConnections {
    /// The target has proved that it holds one more.
    pub fn proven(&self) -> Entry {
        let mut account = self.lock();
        account.fresh += 1;
        Entry { after_look: account.looks }
    }

    /// One is closed, or about to be.
    pub fn over(&self, entry: &Entry) {
        let mut account = self.lock();
        let of = if entry.after_look == account.looks { &mut account.fresh } else { &mut account.seen };
        *of = of.saturating_sub(1);
    }

    /// So many are held to read gauges.
    pub fn for_gauges(&self, count: u64) {
        let mut account = self.lock();
        account.gauges = count;
        account.gauges_seen = account.gauges_seen.min(count);
    }

    /// The tree is about to be looked at: whoever holds a connection now will be seen.
    pub fn look_begins(&self) {
        let mut account = self.lock();
        account.looks += 1;
        account.seen += std::mem::take(&mut account.fresh);
        account.gauges_seen = account.gauges;
    }

    /// All that are held.
    pub fn held(&self) -> u64 {
        let account = self.lock();
        account.seen + account.fresh + account.gauges
    }

    /// Those held by processes that the last look has seen.
    pub fn seen(&self) -> u64 {
        let account = self.lock();
        account.seen + account.gauges_seen
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_from_the_next_look_on_until_it_is_over() {
        let own = OwnConnections::default();
        let first = own.proven();
        assert_eq!((own.held(), own.seen()), (1, 0), "its holder may be a process that nobody saw yet");
        own.look_begins();
        let second = own.proven();
        assert_eq!((own.held(), own.seen()), (2, 1));
        own.over(&second);
        assert_eq!((own.held(), own.seen()), (1, 1), "the one that was seen is still there");
        own.look_begins();
        own.over(&first);
        assert_eq!((own.held(), own.seen()), (0, 0));
    }

    #[test]
    fn connections_for_gauges_are_a_number_that_rises_at_a_look_and_falls_at_once() {
        let own = OwnConnections::default();
        own.for_gauges(2);
        assert_eq!((own.held(), own.seen()), (2, 0));
        own.look_begins();
        own.for_gauges(3);
        assert_eq!((own.held(), own.seen()), (3, 2));
        own.for_gauges(1);
        assert_eq!((own.held(), own.seen()), (1, 1));
    }
}
