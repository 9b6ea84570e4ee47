//! Whether a scenario can decide at all: a file that cannot is refused before anything starts.

use crate::sample::Shape;
use crate::scenario::{Load, Pace, Scenario};
use crate::units::{Unit, show_bytes, show_count};

/// The resolution of a memory figure: a page.
const PAGE_BYTES: f64 = 4096.0;
/// The tail that decides must hold this many steps of the smallest growth.
const STEPS_IN_TAIL: f64 = 3.0;
/// Fewer cycles than this decide nothing.
const FEWEST_CYCLES: u32 = 10;

/// Why no run of this scenario could see what `smallest` asks for, and what to change; `None` when one could,
/// or when that depends on how fast the target is.
pub fn too_short(scenario: &Scenario) -> Option<String> {
    let (plan, smallest) = (&scenario.plan, scenario.plan.smallest);
    if scenario.max_cycles < FEWEST_CYCLES {
        return Some(format!(
            "scenario `{}` cannot decide: {} cycles at most, and a verdict needs {FEWEST_CYCLES}; raise cycles.max",
            plan.name, scenario.max_cycles
        ));
    }
    let possible = most_operations(scenario)?;
    let (unit, per) = if plan.shape == Shape::Idle { ("s", "/s") } else { ("operations", "") };
    let asked = |unit: Unit, needed: f64| if plan.usual.of(unit) { 0.0 } else { needed };
    let for_count = (
        asked(Unit::Count, STEPS_IN_TAIL / smallest.count),
        format!("smallest.count = {}{per}", show_count(smallest.count)),
    );
    let for_memory = (
        asked(Unit::Bytes, STEPS_IN_TAIL * PAGE_BYTES / smallest.memory),
        format!("smallest.memory = {}{per}", show_bytes(smallest.memory)),
    );
    let (mut needed, mut reason) = if for_count.0 >= for_memory.0 { for_count } else { for_memory };
    if let Some(min) = scenario.min_operations.filter(|&min| min as f64 > needed) {
        (needed, reason) = (min as f64, format!("min_operations = {min}"));
    }
    if possible >= needed * (1.0 - 1e-9) {
        return None;
    }
    let possible_per_cycle = per_cycle(scenario)?;
    let cycles =
        ((needed - (possible - possible_per_cycle * f64::from(scenario.max_cycles))) / possible_per_cycle).ceil();
    let rate = match scenario.pace {
        Pace::Open { per_second, .. } => format!(", rate to {}/s", show_count((per_second * needed / possible).ceil())),
        Pace::Closed { .. } => String::new(),
    };
    Some(format!(
        "scenario `{}` cannot decide: it makes at most {} {unit}, and {reason} needs {}; raise cycles.max to {cycles}{rate}, \
         or ask for less{}",
        plan.name,
        show_count(possible.floor()),
        show_count(needed.ceil()),
        less(scenario, possible),
    ))
}

/// What `smallest` could be with what the file allows.
fn less(scenario: &Scenario, possible: f64) -> String {
    let per = if scenario.plan.shape == Shape::Idle { "/s" } else { "" };
    let count = STEPS_IN_TAIL / possible;
    let memory = STEPS_IN_TAIL * PAGE_BYTES / possible;
    let mut parts = Vec::new();
    if !scenario.plan.usual.count && count > scenario.plan.smallest.count {
        parts.push(format!("count = {}", quoted(&format!("{:.1e}", round_up(count)), per)));
    }
    if !scenario.plan.usual.memory && memory > scenario.plan.smallest.memory {
        parts.push(format!("memory = \"{}B{per}\"", round_up(memory)));
    }
    if parts.is_empty() { String::new() } else { format!(": smallest = {{ {} }}", parts.join(", ")) }
}

/// Two digits, upwards, so that the printed figure is enough.
fn round_up(value: f64) -> f64 {
    let step = 10f64.powf(value.log10().floor() - 1.0);
    (value / step).ceil() * step
}

fn quoted(number: &str, per: &str) -> String {
    if per.is_empty() { number.to_owned() } else { format!("\"{number}{per}\"") }
}

/// The most that a run can reach, warm-up included; seconds for an idle scenario. `None`: as many as the target manages.
pub(super) fn most_operations(scenario: &Scenario) -> Option<f64> {
    let warmup = scenario.warmup.as_secs_f64();
    let before = match scenario.pace {
        _ if scenario.plan.shape == Shape::Idle => warmup,
        Pace::Open { per_second, .. } => warmup * per_second,
        // A closed loop's warm-up is as fast as the target: unknown unless there is none.
        Pace::Closed { .. } if scenario.warmup.is_zero() => 0.0,
        Pace::Closed { .. } => return None,
    };
    Some(before + per_cycle(scenario)? * f64::from(scenario.max_cycles))
}

fn per_cycle(scenario: &Scenario) -> Option<f64> {
    match (scenario.load, scenario.pace) {
        (Load::For(time), _) if scenario.plan.shape == Shape::Idle => {
            Some(time.as_secs_f64() + scenario.settle.as_secs_f64())
        }
        (Load::Operations(n), _) => Some(n as f64),
        (Load::For(time), Pace::Open { per_second, .. }) => Some(time.as_secs_f64() * per_second),
        (Load::For(_), Pace::Closed { .. }) => None,
    }
}
