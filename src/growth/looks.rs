//! When the judge looks, and what it takes for a look to decide at all.

use crate::sample::Smallest;
use crate::units::Unit;

/// The cycles at which the first looks are.
const FIRST: [usize; 7] = [10, 15, 22, 33, 50, 75, 110];
/// The looks that share the chance of a false alarm.
pub(super) const LOOKS_PLANNED: usize = FIRST.len();
/// How much longer a run is at each later look.
const STRIDE: f64 = 1.5;
/// The fewest cycles that can decide.
pub(super) const FEWEST_CYCLES: u32 = 10;
/// With nothing seen in L operations the true rate is below 3 / L, with 95 % confidence (the rule of three).
const RULE_OF_THREE: f64 = 3.0;

/// The looks in order, without end.
pub fn looks() -> impl Iterator<Item = u32> {
    let later = std::iter::successors(Some(FIRST[LOOKS_PLANNED - 1] as f64), |cycles| Some((cycles * STRIDE).round()));
    FIRST.into_iter().map(|cycles| cycles as u32).chain(later.skip(1).map(|cycles| cycles as u32))
}

/// Whether the judge looks after this many cycles.
pub fn is_look(cycles: u32) -> bool {
    look_from(cycles) == cycles
}

/// The first look at or after this many cycles.
pub(super) fn look_from(cycles: u32) -> u32 {
    looks().find(|look| *look >= cycles).unwrap_or(u32::MAX)
}

/// What a run must reach before it can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Operations, warm-up included (seconds where nothing is driven).
    pub operations: u64,
    /// Cycles.
    pub cycles: u32,
}

/// What `smallest` asks of a run for one unit, so that it can say "it does not grow by more than that".
pub fn needed_operations(smallest: &Smallest, unit: Unit) -> Needs {
    let operations = (RULE_OF_THREE * quantum(unit) / smallest.of(unit)).ceil();
    Needs { operations: if operations.is_nan() { u64::MAX } else { operations as u64 }, cycles: FEWEST_CYCLES }
}

/// The smallest growth per unit of the axis that can be ruled out by a run whose axis reaches so far: a tail at rest holds half
/// of it, and with nothing seen there the true rate is below this, with 95 % confidence (the rule of three).
pub fn reach_shows(unit: Unit, reach: f64) -> f64 {
    RULE_OF_THREE * quantum(unit) / (reach / 2.0)
}

/// The smallest step in which a unit is measured: a page, or one.
pub(super) const fn quantum(unit: Unit) -> f64 {
    match unit {
        Unit::Bytes => 4096.0,
        Unit::Count => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_the_agreed_ones() {
        assert_eq!(looks().take(11).collect::<Vec<_>>(), [10, 15, 22, 33, 50, 75, 110, 165, 248, 372, 558]);
        assert!(is_look(10) && is_look(33) && is_look(165));
        assert!(!is_look(0) && !is_look(11) && !is_look(109));
    }

    #[test]
    fn a_file_is_told_what_its_smallest_needs() {
        let needs = |memory, count, unit| needed_operations(&Smallest { memory, count }, unit).operations;
        assert_eq!(needs(100.0, 1e-4, Unit::Count), 30_000);
        assert_eq!(needs(100.0, 1e-4, Unit::Bytes), 123);
        assert_eq!(needs(100.0, 2e-3, Unit::Count), 1_500);
        assert_eq!(needs(0.0, 0.0, Unit::Count), u64::MAX);
        assert_eq!(needs(100.0, 3.0, Unit::Count), 1);
        assert_eq!(needs(100.0, f64::INFINITY, Unit::Count), 0);
        assert_eq!(needs(100.0, 1e-4 * (1.0 - 1e-6), Unit::Count), 30_001);
        assert_eq!(needs(f64::NAN, 1.0, Unit::Bytes), u64::MAX);
    }
}
