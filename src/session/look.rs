//! What a snapshot of the target is to read.

use std::collections::BTreeMap;

use crate::probe::OwnSockets;

/// How much a snapshot reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Everything, whatever it costs: the first and the last of a scenario.
    Full,
    /// At the border of a phase: exact memory where that is the source; the rest where the pace allows it.
    Border,
    /// The first and the last of a watch: everything that does not hold up the ticks.
    FirstOrLast,
    /// In between, in a watch: only what the pace allows, a large tree in several steps.
    Regular,
}

impl Look {
    /// Whether what is cheap is read without asking the pace.
    pub fn is_forced(self) -> bool {
        matches!(self, Self::Full | Self::FirstOrLast)
    }
}

/// What goes with a look: what the target tells of itself, and by which connections of ours.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Numbers that it exports.
    pub gauges: BTreeMap<String, f64>,
    /// Our ends of the connections that these came by: what they hold open in the target is ours.
    pub own: OwnSockets,
}

/// What to do with the peak after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peak {
    /// Set it back: only for what tidewatch launched.
    Reset,
    /// Leave it.
    Keep,
}
