//! Which subsystem grew: every scenario judged, and each increment given exactly one owner.
//!
//! Works from a recording alone. The ledgers add up: the rows of a resource, `unattributed` included, sum to
//! the growth that was measured.

mod census;
mod findings;
mod gauges;
mod heap;
mod ledger;
mod owners;
mod patterns;
mod pool;
mod revised;
#[cfg(test)]
pub(crate) mod tests;

pub use census::{Increment, increments};
pub use findings::{Findings, ScenarioFinding, curve};
pub use gauges::GaugeLink;
pub use heap::{
    Account, Call, HeapFinding, HeapFrame, HeapOwner, HeapStack, OTHERS, OwnedBy, Place, RETAINED, STACKS,
    short_function, short_place, tidy_function,
};
pub use ledger::{Ledger, Resource, Row, UNATTRIBUTED};
