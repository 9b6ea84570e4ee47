//! How densely the heap is sampled in a scenario.

use super::decide::most_operations;
use crate::scenario::{Restart, Scenario, Script};

/// Samples that the smallest growth anyone cares about is to be worth. The standard error of a share of it is
/// `1 / sqrt(samples)`: 5 %.
const SAMPLES: f64 = 400.0;
/// Denser than this, sampling itself takes time that would be noticed; the sampler would thin its samples anyway.
const LEAST_BYTES: u64 = 4 << 10;
/// Sparser than this, what is found would be the largest owners alone.
const MOST_BYTES: u64 = 512 << 10;
/// Where the number of operations depends on the target's speed.
const USUAL_BYTES: u64 = 64 << 10;

/// The mean number of bytes between two samples of the heap in a scenario: `smallest.memory` times the fewest operations that it
/// makes (seconds, where it is idle), divided by 400, and at least 4 KiB and at most 512 KiB. A target that stays for several
/// scenarios has the smallest interval of these. What the command line says goes before.
pub fn heap_interval_bytes(script: &Script, scenario: &Scenario) -> u64 {
    let chosen = || match script.target.restart {
        Restart::PerScenario => interval(scenario),
        Restart::Never => script.scenarios.iter().map(interval).min().unwrap_or(USUAL_BYTES),
    };
    script.heap_interval_bytes.unwrap_or_else(chosen)
}

fn interval(scenario: &Scenario) -> u64 {
    let fewest = Scenario { max_cycles: scenario.min_cycles, ..scenario.clone() };
    let asked = scenario.min_operations.map(|operations| operations as f64);
    let operations = most_operations(&fewest).map(|operations| operations.max(asked.unwrap_or(0.0))).or(asked);
    let bytes = operations.map(|operations| scenario.plan.smallest.memory * operations / SAMPLES);
    bytes.map_or(USUAL_BYTES, |bytes| (bytes as u64).clamp(LEAST_BYTES, MOST_BYTES))
}
