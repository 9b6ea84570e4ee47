//! Has it come to rest? The latest stretch must be long, and bound the growth below what anyone cares about.

use super::looks::quantum;
use super::steps::{isolated, least_step, steps};
use super::{Demand, Question};
use crate::statistics::mann_kendall::rising_chance;
use crate::statistics::quantile::{median, poisson_upper_bound, sigma_by_mad};
use crate::statistics::{sen, series};
use crate::units::Unit;

/// Fewest floors a tail rests on.
const FEWEST_FLOORS: usize = 6;
/// The shares of all operations tried as the tail, longest first. Half of all operations is the least: whatever doubles
/// would have doubled once more. A few shares, and not every floor, keep the number of chances to be wrong small.
const SHARES: [f64; 5] = [0.9, 0.8, 0.7, 0.6, 0.5];
/// A tail must be this many times as long as the gap between the last two steps.
const GAPS: f64 = 2.2;
/// Confidence of the upper bound, and how much wider the slope's variance is taken for dependent floors.
pub(super) const CONFIDENCE: f64 = 0.95;
pub(super) const VARIANCE_FACTOR: f64 = 1.5;
/// A step that may come at any time comes within this share of the cycles, and none later, one time in 20 at the most.
const EARLY: f64 = 0.05;
/// Below this chance the tail still creeps.
const CREEP_CHANCE: f64 = 0.05;
/// Cycles from which a creep below this share of `smallest` is told from growth: before, it is called neither.
pub(super) const CREEP_FROM: usize = 33;
const CREEP_SHARE: f64 = 0.5;
/// The share of `smallest` that growth must come to where nobody asked for it: 25 B per operation, as one small block of an
/// allocator takes.
const USUAL_LEAST_SHARE: f64 = 0.25;
/// Minima of two halves without growth differ by about one standard deviation of the noise; two are allowed.
const RISE_OVER_NOISE: f64 = 2.0;
/// An earlier rise is one that came to rest when it is this many standard deviations ...
const EARLIER_OVER_NOISE: f64 = 5.0;
/// ... and this share of what the smallest growth would have come to.
const EARLIER_SHARE: f64 = 0.25;

/// What a tail is asked against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground {
    /// The unit of the metric.
    pub unit: Unit,
    /// Its step.
    pub quantum: f64,
    /// The smallest growth that matters.
    pub smallest: f64,
    /// A creep of at most this may be called at rest ...
    pub creep: f64,
    /// ... where the growth that it leaves possible is at most this.
    pub creep_bound: f64,
    /// Steps that come to less than this ask for no rest after them.
    pub steps: f64,
    /// What may be less than this is not called endless.
    pub least: f64,
    /// How far the growth in time that was taken off may have been too much, per unit of the axis.
    pub slack: f64,
}

impl Ground {
    pub(super) fn of(question: &Question, unit: Unit, slack: f64) -> Self {
        let smallest = question.smallest;
        let creep = CREEP_SHARE * smallest;
        let least = match (question.demand, unit) {
            (Demand::Part, _) | (Demand::Usual, Unit::Count) => 0.0,
            (Demand::Usual, Unit::Bytes) => USUAL_LEAST_SHARE * smallest,
            (Demand::Named, _) => creep,
        };
        Self { unit, quantum: quantum(unit), smallest, creep, creep_bound: creep, steps: creep, least, slack }
    }

    /// The same for a rest that is asked to rule out growth of `limit` and more, and no less. A bound at 95 % already leaves
    /// room for a creep to last, so that its net rate alone is held to the half.
    pub(super) fn down_to(self, limit: f64) -> Self {
        Self { smallest: limit, creep: CREEP_SHARE * limit, creep_bound: limit, ..self }
    }
}

/// A curve that came to rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rest {
    /// The first floor of the tail, counted with the warm-up.
    pub start: usize,
    /// How long it is on the axis.
    pub length: f64,
    /// The growth that it leaves possible, per unit of the axis.
    pub bound: f64,
    /// Whether it grew before.
    pub after_growth: bool,
    /// Whether it still creeps, below what matters.
    pub creeps: bool,
}

/// What kept a curve from being called at rest, for a person to know what is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unrest {
    /// Fewer floors than a tail needs.
    TooShort,
    /// A step is too recent: the tail must be this long.
    RecentStep(f64),
    /// It still rises: the rise from half to half.
    Rises(f64),
    /// It creeps: the rate at which.
    Creeps(f64),
    /// The bound is above what matters.
    Loose(f64),
}

/// Looks for a tail at rest in floors (warm-up included), `cycles` of which are cycles.
pub(super) fn tail(x: &[f64], y: &[f64], cycles: usize, ground: &Ground) -> Result<Rest, Unrest> {
    let (Some(&now), Some(&origin)) = (x.last(), y.first()) else { return Err(Unrest::TooShort) };
    // A rise before the first cycle is warm-up: nothing says that it comes again.
    let warmup = y.len() - cycles.min(y.len());
    let mut alone: Vec<_> = isolated(x, y, ground.quantum).into_iter().filter(|step| step.to > warmup).collect();
    // Nor does a step right after it, with none since.
    let begin = warmup.checked_sub(1).map_or(0.0, |last| x[last]);
    if alone.iter().all(|step| x[step.to] - begin <= EARLY * (now - begin)) {
        alone.clear();
    }
    let needed = rest_after_steps(x, y, ground);
    let step = median(&alone.iter().map(|step| step.height).collect::<Vec<_>>()).unwrap_or(0.0).max(ground.quantum);
    let mut unrest = Unrest::TooShort;
    for share in SHARES {
        // The shortest stretch that still holds this share of all operations.
        let Some(start) = x.iter().rposition(|at| now - at >= share * now) else { continue };
        let length = now - x[start];
        if x.len() - start < FEWEST_FLOORS {
            continue;
        }
        if length < needed {
            unrest = Unrest::RecentStep(needed);
            continue;
        }
        let events = poisson_upper_bound(alone.iter().filter(|step| step.to > start).count(), CONFIDENCE) * step;
        match at_rest(&x[start..], &y[start..], events, cycles, ground) {
            Ok((bound, creeps)) => {
                let noise = spread(&x[start..], &y[start..], ground.quantum);
                let earlier = median(&y[start..]).unwrap_or(origin) - origin;
                let after_growth =
                    earlier > EARLIER_OVER_NOISE * noise && earlier > EARLIER_SHARE * ground.smallest * now;
                return Ok(Rest { start, length, bound, after_growth, creeps });
            }
            Err(why) => unrest = why,
        }
    }
    Err(unrest)
}

/// How long it must rest after its last two steps, so that a third, after twice the time, would have been seen. Steps that
/// together come to less than half of what matters per unit of the axis ask for nothing: so would all that follow.
fn rest_after_steps(x: &[f64], y: &[f64], ground: &Ground) -> f64 {
    match steps(x, y, least_step(y, ground.quantum)).as_slice() {
        [.., before, last] if last.height > ground.steps * (last.x - before.x) => GAPS * (last.x - before.x),
        _ => 0.0,
    }
}

/// The bound on the growth in one stretch, and whether it creeps. `events` is what steps that stand alone may come to in a
/// stretch of this length: with none seen, three of them.
fn at_rest(x: &[f64], y: &[f64], events: f64, cycles: usize, ground: &Ground) -> Result<(f64, bool), Unrest> {
    let length = x[x.len() - 1] - x[0];
    let sen = sen::Slopes::between(x, y).map_or(0.0, |mut s| s.upper_bound(CONFIDENCE, VARIANCE_FACTOR));
    let bound = sen.max(events / length) + ground.slack;
    if bound.is_nan() || bound > ground.smallest {
        return Err(Unrest::Loose(bound));
    }
    let may_creep = ground.unit == Unit::Bytes && cycles >= CREEP_FROM && bound <= ground.creep_bound;
    if rising_chance(y) < CREEP_CHANCE {
        // A creep that began or hastened lately is not the average of the whole stretch.
        let half = y.len() / 2;
        let late = sen::slope(&x[half..], &y[half..]).unwrap_or(0.0);
        let net = quarter_rate(x, y).max(late) + ground.slack;
        return if may_creep && net <= ground.creep { Ok((bound.max(net), true)) } else { Err(Unrest::Creeps(net)) };
    }
    let (rise, allowed) = match ground.unit {
        Unit::Bytes => (rise_between(y, 2), ground.quantum.max(RISE_OVER_NOISE * spread(x, y, ground.quantum))),
        Unit::Count => (rise_between(y, 4).max(rise_between(y, 2)), 0.0),
    };
    if rise <= allowed {
        return Ok((bound, false));
    }
    let net = rise / (length / 2.0) + ground.slack;
    if may_creep && net <= ground.creep { Ok((bound.max(net), true)) } else { Err(Unrest::Rises(rise - allowed)) }
}

/// How far the minimum of any later part lies above that of the first.
fn rise_between(y: &[f64], parts: usize) -> f64 {
    let minima = series::block_minima(y, parts).unwrap_or_default();
    minima.iter().map(|minimum| minimum - minima[0]).fold(0.0, f64::max)
}

/// The net rate from the first quarter to the last.
fn quarter_rate(x: &[f64], y: &[f64]) -> f64 {
    let quarter = (y.len() / 4).max(1);
    let middle = |values: &[f64]| median(values).unwrap_or(0.0);
    let run = middle(&x[x.len() - quarter..]) - middle(&x[..quarter]);
    (middle(&y[y.len() - quarter..]) - middle(&y[..quarter])) / run
}

/// The noise around the slope: at least the rounding noise of the metric's step.
pub(super) fn spread(x: &[f64], y: &[f64], quantum: f64) -> f64 {
    let slope = sen::slope(x, y).unwrap_or(0.0);
    sigma_by_mad(&sen::residuals(x, y, slope)).unwrap_or(0.0).max(quantum / 12f64.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Ground = asking(Unit::Bytes, 4096.0, 100.0);
    const COUNTS: Ground = asking(Unit::Count, 1.0, 1e-4);

    const fn asking(unit: Unit, quantum: f64, smallest: f64) -> Ground {
        let half = smallest / 2.0;
        Ground { unit, quantum, smallest, creep: half, creep_bound: half, steps: half, least: half, slack: 0.0 }
    }

    fn asked(n: usize, ground: &Ground, value: impl Fn(f64) -> f64) -> Result<Rest, Unrest> {
        let x: Vec<f64> = (1..=n).map(|i| i as f64 * 1500.0).collect();
        let y: Vec<f64> = (1..=n).map(|i| value(i as f64)).collect();
        tail(&x, &y, n, ground)
    }

    #[test]
    fn what_stays_is_flat_and_what_stopped_is_bounded() {
        assert!(!asked(12, &MEMORY, |_| 5e6).expect("rest").after_growth);
        assert!(asked(22, &MEMORY, |i| (i * 1e6).min(8e6)).expect("rest").after_growth);
    }

    #[test]
    fn a_stop_within_the_last_half_is_not_rest() {
        assert!(asked(22, &MEMORY, |i| (i * 1e6).min(16e6)).is_err());
    }

    #[test]
    fn doubling_is_never_rest_between_its_steps() {
        for n in 12..130 {
            let found = asked(n, &MEMORY, |i| 1e6 * 2f64.powf((i / 3.0).log2().floor().max(0.0)));
            assert!(found.is_err(), "{n}: {found:?}");
        }
    }

    #[test]
    fn counts_need_the_operations_that_their_smallest_asks_for() {
        assert!(matches!(asked(15, &COUNTS, |_| 7.0), Err(Unrest::Loose(_))));
        assert!(asked(33, &COUNTS, |_| 7.0).is_ok());
        assert!(asked(33, &COUNTS, |i| 7.0 + (i / 12.0).floor()).is_err());
    }

    #[test]
    fn slack_from_growth_in_time_widens_the_bound() {
        assert!(asked(33, &Ground { slack: 101.0, ..MEMORY }, |_| 5e6).is_err());
    }

    #[test]
    fn a_rise_before_the_first_cycle_is_no_step_that_may_come_again() {
        let x: Vec<f64> = (1..=60).map(|i| f64::from(i) * 100.0).collect();
        let y: Vec<f64> = (1..=60).map(|i| if i < 4 { 15e6 } else { 35e6 }).collect();
        assert!(matches!(tail(&x, &y, 60, &MEMORY), Err(Unrest::Loose(_))), "a step of a cycle may");
        assert!(tail(&x, &y, 50, &MEMORY).expect("rest").bound <= 100.0);
    }

    #[test]
    fn steps_may_come_again_unless_all_of_them_came_at_once() {
        let at = |steps: &'static [f64]| {
            asked(75, &MEMORY, move |i| steps.iter().filter(|at| i >= **at).count() as f64 * 8e6)
        };
        for (steps, is_rest) in [(&[3.0][..], true), (&[4.0], false), (&[2.0, 9.0], false), (&[20.0], false)] {
            assert_eq!(at(steps).is_ok(), is_rest, "{steps:?}: {:?}", at(steps));
        }
    }

    #[test]
    fn what_comes_back_from_a_dip_is_no_step() {
        // The level falls for a while; 5 MB more than before are another thing.
        let back = |i: f64| if (30.0..33.0).contains(&i) { 55e6 } else { 60e6 };
        let up = |i: f64| if i >= 30.0 { 60e6 } else { 55e6 };
        assert!(asked(75, &MEMORY, back).is_ok(), "{:?}", asked(75, &MEMORY, back));
        assert!(matches!(asked(75, &MEMORY, up), Err(Unrest::Loose(_))), "{:?}", asked(75, &MEMORY, up));
    }

    #[test]
    fn nothing_is_no_rest() {
        assert_eq!(tail(&[], &[], 0, &MEMORY), Err(Unrest::TooShort));
        assert_eq!(asked(4, &MEMORY, |_| 1.0), Err(Unrest::TooShort));
    }

    #[test]
    fn halves_may_differ_by_two_deviations_of_the_noise() {
        // Values lie 10,000 below and above their middle in turn, a deviation of 14,826; one of the first half lies lower.
        let x: Vec<f64> = (1..=20).map(|i| f64::from(i) * 1500.0).collect();
        let found = |low: f64| {
            let mut y: Vec<f64> = (0..20).map(|i| if i % 2 == 0 { -10_000.0 } else { 10_000.0 }).collect();
            y[4] = -10_000.0 - low;
            at_rest(&x, &y, 0.0, 20, &MEMORY).map(|(_, creeps)| creeps)
        };
        assert_eq!(found(29_652.0), Ok(false));
        assert_eq!(found(29_653.0), Err(Unrest::Rises(1.0)));
    }

    #[test]
    fn tail_must_be_as_long_as_its_last_two_steps_ask_for() {
        let steps = |i: f64| 450_000.0 * f64::from(u8::from(i >= 5.0) + u8::from(i >= 10.0));
        assert_eq!(asked(20, &MEMORY, steps), Err(Unrest::RecentStep(16_500.0)));
        assert_eq!(asked(22, &MEMORY, steps).map(|rest| rest.length), Ok(16_500.0), "exactly as long is enough");
    }
}
