//! Rare events: a descriptor or a thread that is not given back now and then.
//!
//! Between two events nothing happens, so ties rule and trend tests have no power. But a count is exact, and one that
//! never falls and rises at even distances is a leak. An event is a floor that rose, however far.

/// The share of the cycles that is left out as warm-up.
const DROP: f64 = 0.25;
/// Events may lie this many standard deviations early: a pool that fills has most of its events early.
const LEAST_Z: f64 = -0.5;
/// The last event may be this many mean gaps ago.
const LAST_WITHIN: f64 = 2.5;
const EVENTS_TO_SUSPECT: usize = 4;
const EVENTS_TO_CONFIRM: usize = 8;
/// Operations at which a suspicion can be confirmed, in multiples of those at which it arose.
const TIMES_OPERATIONS: f64 = 2.0;
/// The rate since the suspicion as a share of the rate at it.
const RATE_KEEPS: f64 = 0.7;

/// What was seen when events first looked regular.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Suspicion {
    /// Floors at that look.
    pub floors: usize,
    /// The axis at that look.
    x: f64,
    /// Rise per unit of the axis until then.
    rate: f64,
}

/// What a look at the events came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Seen {
    /// They do not look like a leak.
    Nothing,
    /// They may be one.
    Suspected(Suspicion),
    /// They are one.
    Confirmed {
        /// Events in the window.
        events: usize,
        /// The axis from one to the next, on average.
        mean_gap: f64,
    },
}

/// Looks at all floors up to now.
pub(super) fn count_rule(x: &[f64], y: &[f64], before: Option<Suspicion>) -> Seen {
    let start = (y.len() as f64 * DROP).floor() as usize;
    let Some(events) = regular_events(&x[start..], &y[start..]) else { return Seen::Nothing };
    let (now, range) = (x[x.len() - 1], x[x.len() - 1] - x[start]);
    let anew = Suspicion { floors: y.len(), x: now, rate: (y[y.len() - 1] - y[start]) / range };
    let Some(suspicion) = before else { return Seen::Suspected(anew) };
    if events < EVENTS_TO_CONFIRM || now < TIMES_OPERATIONS * suspicion.x {
        return Seen::Suspected(suspicion);
    }
    let at = suspicion.floors - 1;
    let rate = (y[y.len() - 1] - y[at]) / (now - x[at]);
    if rate >= RATE_KEEPS * suspicion.rate {
        Seen::Confirmed { events, mean_gap: range / events as f64 }
    } else {
        Seen::Suspected(anew)
    }
}

/// How many events there are, if the count never falls and they lie evenly up to now.
fn regular_events(x: &[f64], y: &[f64]) -> Option<usize> {
    let (first, last) = (*x.first()?, *x.last()?);
    let range = last - first;
    let never_falls = y.windows(2).all(|pair| pair[1] >= pair[0]);
    if !never_falls || range <= 0.0 {
        return None;
    }
    let events: Vec<(f64, f64)> =
        (1..y.len()).filter(|&i| y[i] > y[i - 1]).map(|i| ((x[i] - first) / range, y[i] - y[i - 1])).collect();
    let latest = events.last()?.0;
    let mean_gap = 1.0 / events.len() as f64;
    let recent = 1.0 - latest <= LAST_WITHIN * mean_gap;
    (events.len() >= EVENTS_TO_SUSPECT && recent && position_z(&events) >= LEAST_Z).then_some(events.len())
}

/// Laplace's test for events that come earlier or later than evenly (Cox and Lewis, *The Statistical Analysis of Series
/// of Events*, 1966): the mean position against the middle, each event weighed by its height. The variance of a mean of
/// uniform positions with weights w is sum(w^2) / sum(w)^2 / 12.
fn position_z(events: &[(f64, f64)]) -> f64 {
    let weight: f64 = events.iter().map(|(_, height)| height).sum();
    let squares: f64 = events.iter().map(|(_, height)| height * height).sum();
    let mean = events.iter().map(|(position, height)| position * height).sum::<f64>() / weight;
    (mean - 0.5) / (squares / (weight * weight) / 12.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(n: usize) -> Vec<f64> {
        (1..=n).map(|i| i as f64 * 1000.0).collect()
    }

    fn count(n: usize, value: impl Fn(f64) -> f64) -> Vec<f64> {
        (1..=n).map(|i| value(i as f64).floor()).collect()
    }

    impl Seen {
        fn suspicion(self) -> Option<Suspicion> {
            match self {
                Self::Suspected(suspicion) => Some(suspicion),
                Self::Nothing | Self::Confirmed { .. } => None,
            }
        }
    }

    fn after(cycles: &[usize], y: &[f64]) -> Seen {
        let x = axis(y.len());
        let mut suspicion = None;
        for &k in cycles {
            match count_rule(&x[..k], &y[..k], suspicion) {
                Seen::Suspected(seen) => suspicion = Some(seen),
                Seen::Nothing => suspicion = None,
                confirmed @ Seen::Confirmed { .. } => return confirmed,
            }
        }
        suspicion.map_or(Seen::Nothing, Seen::Suspected)
    }

    #[test]
    fn one_in_eight_cycles_is_found_and_needs_twice_the_operations() {
        let leak = count(110, |i| 5.0 + i / 8.0);
        assert!(matches!(after(&[50], &leak), Seen::Suspected(_)));
        assert!(matches!(after(&[50, 75], &leak), Seen::Suspected(_)));
        assert!(matches!(after(&[50, 75, 110], &leak), Seen::Confirmed { .. }));
    }

    #[test]
    fn a_suspicion_is_confirmed_by_eight_events_at_twice_the_operations() {
        let leak = count(110, |i| 5.0 + i / 8.0);
        let x = axis(110);
        // At 42 floors there are four events from the eleventh floor on, at 84 eight from the 22nd on.
        let suspicion = Suspicion { floors: 42, x: 42_000.0, rate: 4.0 / 31_000.0 };
        assert_eq!(count_rule(&x[..41], &leak[..41], None).suspicion().map(|seen| seen.floors), Some(41));
        assert_eq!(count_rule(&x[..39], &leak[..39], None), Seen::Nothing, "three events");
        assert_eq!(count_rule(&x[..42], &leak[..42], None), Seen::Suspected(suspicion));
        assert_eq!(count_rule(&x[..83], &leak[..83], Some(suspicion)), Seen::Suspected(suspicion));
        let confirmed = Seen::Confirmed { events: 8, mean_gap: 7750.0 };
        assert_eq!(count_rule(&x[..84], &leak[..84], Some(suspicion)), confirmed);
        // Seven events are too few, however long it takes.
        let rare = count(84, |i| 5.0 + i / 9.0);
        let early = Suspicion { floors: 42, x: 42_000.0, rate: 1e-4 };
        assert_eq!(count_rule(&x[..84], &rare, Some(early)), Seen::Suspected(early));
    }

    #[test]
    fn the_rate_since_the_suspicion_must_be_seven_tenths_of_it() {
        // One for each floor up to the twentieth; then fourteen in twenty, at the first of them and at the last.
        let x: Vec<f64> = (1..=40).map(f64::from).collect();
        let rises = |last: f64| -> Vec<f64> {
            let later = |i: f64| if i > 20.0 { 7.0 } else { 0.0 } + if i > 39.0 { last } else { 0.0 };
            x.iter().map(|&i| i.min(20.0) + later(i)).collect()
        };
        let kept = rises(7.0);
        let suspicion = Suspicion { floors: 20, x: 20.0, rate: 1.0 };
        assert_eq!(count_rule(&x[..20], &kept[..20], None), Seen::Suspected(suspicion));
        let mean_gap = 29.0 / 11.0;
        assert_eq!(count_rule(&x, &kept, Some(suspicion)), Seen::Confirmed { events: 11, mean_gap });
        let anew = Suspicion { floors: 40, x: 40.0, rate: 22.0 / 29.0 };
        assert_eq!(count_rule(&x, &rises(6.0), Some(suspicion)), Seen::Suspected(anew));
    }

    #[test]
    fn events_are_even_up_to_now_or_they_are_none() {
        let x: Vec<f64> = (40..=80).map(f64::from).collect();
        let within = |from: f64, to: f64| -> Vec<f64> { x.iter().map(|x| (x - 40.0).clamp(from, to) - from).collect() };
        assert_eq!(regular_events(&x, &within(20.0, 30.0)), Some(10), "the last two and a half gaps ago");
        assert_eq!(regular_events(&x, &within(19.0, 29.0)), None);
        let mut falls = within(20.0, 30.0);
        falls[35] -= 1.0;
        assert_eq!(regular_events(&x, &falls), None);
        assert_eq!(regular_events(&[5.0; 9], &within(0.0, 8.0)[..9]), None, "no way along the axis");
        assert_eq!(regular_events(&[], &[]), None);
        // As early as they may be: the mean of their weighed positions is 7/16, half a deviation (1/8) before the middle.
        let heights = [(1, 1.0), (3, 1.0), (5, 2.0), (9, 2.0), (11, 1.0), (13, 1.0)];
        let y: Vec<f64> =
            (0..=16).map(|at| heights.iter().filter(|event| event.0 <= at).map(|event| event.1).sum()).collect();
        assert_eq!(regular_events(&x[..17], &y), Some(6));
        let events: Vec<(f64, f64)> = heights.iter().map(|(at, height)| (f64::from(*at) / 16.0, *height)).collect();
        assert_eq!(position_z(&events), -0.5);
    }

    #[test]
    fn pools_that_fill_and_counts_that_swing_are_not() {
        assert_eq!(after(&[50, 110], &count(110, |i| 5.0 + 20.0 * (1.0 - (-i / 15.0).exp()))), Seen::Nothing);
        assert_eq!(after(&[50, 110], &count(110, |i| 20.0 + i % 3.0)), Seen::Nothing);
        assert_eq!(after(&[50, 110], &count(110, |_| 20.0)), Seen::Nothing);
    }

    #[test]
    fn even_events_lie_in_the_middle() {
        let even: Vec<(f64, f64)> = (1..=9).map(|i| (f64::from(i) / 10.0, 1.0)).collect();
        assert!(position_z(&even).abs() < 1e-9);
        assert!(position_z(&[(0.1, 20.0), (0.5, 1.0), (0.9, 1.0)]) < -1.0);
    }
}
