//! Thresholds: parsed, applied to findings, explained. A threshold says what must HOLD.

mod apply;
#[cfg(test)]
mod tests;
mod threshold;

pub use apply::{Check, Gate, Standing, apply};
pub use threshold::{Comparison, Demand, Statistic, Threshold, ThresholdError};
