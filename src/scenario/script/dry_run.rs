//! What a run would do and how long it would take, without doing it.

use std::time::Duration;

use super::decide::most_operations;
use super::heap_interval_bytes;
use crate::sample::{HeapSampling, Shape};
use crate::scenario::{Load, Pace, Scenario, Script};

/// A script in plain words and numbers, for `check --dry-run`.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// The run's name.
    pub name: String,
    /// The scenarios in the order in which they run.
    pub scenarios: Vec<DryScenario>,
    /// All of them with their fewest and most cycles; building and starting the target not included.
    pub duration: Span<Duration>,
}

/// A least and a most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span<T> {
    /// At least.
    pub least: T,
    /// At most.
    pub most: T,
}

/// One scenario of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DryScenario {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// The subsystem it drives.
    pub subsystem: Option<String>,
    /// The steps, one line each.
    pub steps: Vec<String>,
    /// The pace in words: `2000/s, at most 40 at once`.
    pub pace: String,
    /// Cycles.
    pub cycles: Span<u32>,
    /// The cycle up to which it may go on where the judge expects that this decides.
    pub further_cycles: u32,
    /// How long it takes; `None` where that depends on the target's speed.
    pub duration: Option<Span<Duration>>,
    /// Operations, warm-up included; `None` where that depends on the target's speed, and for idle ones.
    pub operations: Option<Span<u64>>,
    /// The mean number of bytes between two samples of the heap, where it is sampled.
    pub heap_interval_bytes: Option<u64>,
}

/// Predicts a run. Load phases are jittered around their length, so that the figures are means.
pub fn describe(script: &Script) -> DryRun {
    let scenarios: Vec<DryScenario> = script.scenarios.iter().map(|one| scenario(script, one)).collect();
    let sum = |of: fn(&Span<Duration>) -> Duration| {
        scenarios.iter().filter_map(|scenario| scenario.duration.as_ref().map(of)).sum()
    };
    let duration = Span { least: sum(|span| span.least), most: sum(|span| span.most) };
    DryRun { name: script.plan.name.clone(), duration, scenarios }
}

fn scenario(script: &Script, scenario: &Scenario) -> DryScenario {
    let cycles = Span { least: scenario.min_cycles, most: scenario.max_cycles };
    let span = |of: &dyn Fn(u32) -> Option<f64>| of(cycles.least).zip(of(cycles.most));
    let duration = span(&|cycles| seconds(scenario, cycles))
        .map(|(least, most)| Span { least: Duration::from_secs_f64(least), most: Duration::from_secs_f64(most) });
    let operations = span(&|cycles| operations(scenario, cycles))
        .filter(|_| scenario.plan.shape != Shape::Idle)
        .map(|(least, most)| Span { least: least.round() as u64, most: most.round() as u64 });
    DryScenario {
        name: scenario.plan.name.clone(),
        shape: scenario.plan.shape,
        subsystem: scenario.plan.subsystem.clone(),
        steps: scenario.plan.steps.clone(),
        pace: pace(scenario),
        cycles,
        further_cycles: scenario.further_cycles,
        duration,
        operations,
        heap_interval_bytes: match script.plan.heap {
            HeapSampling::On => Some(heap_interval_bytes(script, scenario)),
            HeapSampling::Off => None,
        },
    }
}

fn pace(scenario: &Scenario) -> String {
    match scenario.pace {
        _ if scenario.plan.shape == Shape::Idle => "no load".into(),
        Pace::Open { per_second, most_at_once } if scenario.plan.shape != Shape::LongSession => {
            format!("{}, at most {most_at_once} at once", crate::units::Rate::per_second(per_second))
        }
        Pace::Open { per_second, .. } => crate::units::Rate::per_second(per_second).to_string(),
        Pace::Closed { workers: 1 } => "one after the other, as fast as it goes".into(),
        Pace::Closed { workers } => format!("{workers} workers, as fast as it goes"),
    }
}

fn seconds(scenario: &Scenario, cycles: u32) -> Option<f64> {
    let load = match (scenario.load, scenario.pace) {
        (Load::For(time), _) => time.as_secs_f64(),
        (Load::Operations(n), Pace::Open { per_second, .. }) => n as f64 / per_second,
        (Load::Operations(_), Pace::Closed { .. }) => return None,
    };
    let cycle = load + scenario.settle.as_secs_f64();
    Some(scenario.warmup.as_secs_f64() + cycle * f64::from(cycles)).filter(|seconds| *seconds < 1e12)
}

fn operations(scenario: &Scenario, cycles: u32) -> Option<f64> {
    let mut with_cycles = scenario.clone();
    with_cycles.max_cycles = cycles;
    most_operations(&with_cycles)
}
