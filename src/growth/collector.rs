//! Whether the floors of a managed heap show what a collection leaves.
//!
//! A collector that decides by itself when it gives memory back makes garbage look kept: until it runs, private memory
//! rises with every operation, leak or none. A floor then tells of growth only where collections are behind it: forced
//! ones before each settle phase, or some that are seen as falls of the curve. This is asked of growth alone. Memory
//! that rests needs no collection to show it: garbage only adds.

use super::{Curve, Verdict};
use crate::sample::{BeforeSettle, Event, Metric, Record, ScenarioPlan};

/// Fewest collections that show what a collector leaves: two could be one that came twice as late as the other.
pub(super) const FEWEST_COLLECTIONS: usize = 3;
/// A fall that takes back this share of what the curve had risen since its last low is a collection: what `explain`
/// asks of a fall of the floors, too. Less is the noise of an allocator on the way up.
const TAKES_BACK: f64 = 0.3;
/// The smallest fall that can be one, in bytes: four times the least rise that counts as growth (four pages), so that
/// a thread's stack that goes is none.
const SMALLEST_FALL: f64 = 16.0 * 4096.0;
/// And at least this share of the curve's range, so that a large heap's noise is none either.
const LEAST_SHARE: f64 = 0.02;

/// Whether a collector decides when the target gives memory back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collector {
    /// None does, as far as is known.
    #[default]
    None,
    /// One does, and a step before each settle phase makes it run.
    Forced,
    /// One does, when it likes.
    Unforced,
}

impl Collector {
    /// What the records of a scenario and its plan tell.
    pub fn of(plan: &ScenarioPlan, records: &[Record]) -> Self {
        let waits = |record: &Record| match record {
            Record::Event { event: Event::Runtime { runtime, .. }, .. } => runtime.waits_for_collector(),
            _ => false,
        };
        match (records.iter().any(waits), plan.load.before_settle) {
            (false, _) => Self::None,
            (true, BeforeSettle::Step) => Self::Forced,
            (true, BeforeSettle::Nothing) => Self::Unforced,
        }
    }
}

/// A verdict of growth that is held back: too few collections are behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Withheld {
    collections: usize,
}

impl Withheld {
    /// Whether a verdict on a curve is held back. Collections are counted from the first cycle that was judged on.
    pub(super) fn of(curve: &Curve, verdict: Verdict, collector: Collector, first_cycle: u32) -> Option<Self> {
        if collector != Collector::Unforced || verdict != Verdict::Unbounded || !is_heap(&curve.metric) {
            return None;
        }
        let judged = curve.points.iter().filter(|point| point.cycle >= first_cycle);
        let collections = collections(judged.map(|point| point.value));
        (collections < FEWEST_COLLECTIONS).then_some(Self { collections })
    }

    /// How many more cycles would show enough collections at the pace so far; `None` where there was none yet.
    pub(super) fn more_cycles(self, done: usize) -> Option<u32> {
        let missing = FEWEST_COLLECTIONS - self.collections;
        (self.collections > 0).then(|| (missing * done).div_ceil(self.collections)).and_then(|n| u32::try_from(n).ok())
    }

    /// The reason.
    pub(super) fn reason(self) -> String {
        let seen = match self.collections {
            0 => "no collection was seen".to_owned(),
            1 => "only one collection was seen".to_owned(),
            n => format!("only {n} collections were seen"),
        };
        format!(
            "rises without end, but {seen} and none was forced: garbage of the managed heap may be all that grows; \
             {FEWEST_COLLECTIONS} in the judged part show what stays, or a `before_settle` step that forces one"
        )
    }
}

/// The metrics in which a managed heap stands.
fn is_heap(metric: &Metric) -> bool {
    match metric {
        Metric::Private | Metric::Peak | Metric::Rss | Metric::Heap => true,
        Metric::Cgroup(name) => name == "current" || name == "anon",
        _ => false,
    }
}

/// Falls of a curve that take back a good part of what it had risen since its last low.
fn collections(values: impl Iterator<Item = f64> + Clone) -> usize {
    let (lowest, highest) =
        values.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let least = SMALLEST_FALL.max(LEAST_SHARE * (highest - lowest));
    let (mut low, mut high, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0);
    for value in values {
        high = high.max(value);
        let fallen = high - value;
        if high - low >= least && fallen >= least && fallen >= TAKES_BACK * (high - low) {
            count += 1;
            (low, high) = (value, value);
        } else if value < low {
            // Further down in the same fall, or a first low: nothing has risen since.
            (low, high) = (value, value);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::growth::{Axis, Budget, Demand, Point, Question, judge};
    use crate::sample::{LoadPlan, Moment, Phase, Process, Runtime, Shape, Smallest, Usual};

    const MIB: f64 = 1024.0 * 1024.0;

    fn counted(values: &[f64]) -> usize {
        collections(values.iter().copied())
    }

    #[test]
    fn a_collection_takes_back_a_good_part_of_the_rise() {
        for (values, expected) in [
            (vec![], 0),
            (vec![5.0 * MIB], 0),
            (vec![1.0 * MIB, 5.0 * MIB, 2.0 * MIB], 1),
            // One fall in several samples is one collection.
            (vec![1.0 * MIB, 5.0 * MIB, 3.0 * MIB, 2.0 * MIB, 1.0 * MIB], 1),
            (vec![1.0 * MIB, 5.0 * MIB, 2.0 * MIB, 6.0 * MIB, 3.0 * MIB, 7.0 * MIB, 4.0 * MIB], 3),
            // It only falls: nothing had risen.
            (vec![5.0 * MIB, 3.0 * MIB, 1.0 * MIB], 0),
            // A tenth of the rise is no collection.
            (vec![0.0, 10.0 * MIB, 9.0 * MIB, 19.0 * MIB, 18.0 * MIB], 0),
            // A few pages are none; sixteen are the least.
            (vec![0.0, 40_000.0, 10_000.0, 50_000.0, 20_000.0], 0),
            (vec![0.0, 65_536.0, 0.0], 1),
            (vec![0.0, 65_535.0, 0.0], 0),
            (vec![3.0 * MIB, 3.0 * MIB + 65_536.0, 3.0 * MIB], 1),
            // Three tenths of the rise are the least.
            (vec![50.0 * MIB, 60.0 * MIB, 57.0 * MIB], 1),
            (vec![50.0 * MIB, 60.0 * MIB, 57.1 * MIB], 0),
            // It fell below where it began to rise: what rose before was little.
            (vec![5.0 * MIB, 5.01 * MIB, 3.0 * MIB], 0),
            // A fiftieth of the whole range, from 10 MiB to 110 MiB, is the least.
            (vec![10.0 * MIB, 110.0 * MIB, 10.0 * MIB, 12.0 * MIB, 10.0 * MIB], 2),
            (vec![10.0 * MIB, 110.0 * MIB, 10.0 * MIB, 11.9 * MIB, 10.0 * MIB], 1),
        ] {
            assert_eq!(counted(&values), expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn what_only_rises_has_no_collection(steps in prop::collection::vec(0.0..MIB, 0..200)) {
            let values: Vec<f64> = steps.iter().scan(0.0, |sum, step| { *sum += step; Some(*sum) }).collect();
            prop_assert_eq!(counted(&values), 0);
        }

        #[test]
        fn every_tooth_of_a_saw_is_one(teeth in 0usize..40, height in 1.0..50.0f64, kept in 0.0..0.5f64) {
            let values: Vec<f64> = (0..teeth)
                .flat_map(|tooth| {
                    let foot = tooth as f64 * kept * height * MIB;
                    (0..10).map(move |n| foot + f64::from(n) / 9.0 * height * MIB)
                })
                .chain((teeth > 0).then_some(teeth as f64 * kept * height * MIB))
                .collect();
            // So many teeth on a slope may each be too small a part of the whole.
            prop_assume!(height * (1.0 - kept) >= LEAST_SHARE * (teeth as f64 * kept * height + height));
            prop_assert_eq!(counted(&values), teeth);
        }
    }

    /// A leak of 100 kB a cycle under a heap that is collected every `period` cycles.
    fn leak(period: u32) -> Curve {
        let points = (1..=50u32).flat_map(|cycle| {
            (0..5u32).map(move |n| {
                let garbage = f64::from(((cycle - 1) % period) * 5 + n) * 0.2 * MIB;
                let x = f64::from(cycle * 1000 + n * 200);
                let phase = Some(if n == 4 { Phase::Settle } else { Phase::Load });
                Point { t: x / 1000.0, x, value: 50.0 * MIB + 100.0 * x + garbage, cycle, phase }
            })
        });
        Curve { metric: Metric::Private, axis: Axis::Operations, points: points.collect(), restarts: None }
    }

    fn asked(curve: &Curve, collector: Collector) -> crate::growth::Growth {
        let question = Question {
            smallest: Smallest::PER_OPERATION.of(curve.metric.unit()),
            demand: Demand::Named,
            time_driven: None,
            expect_cap: None,
            budget: Budget::Spent,
            collector,
        };
        judge(curve, &question)
    }

    #[test]
    fn growth_of_a_heap_that_was_never_collected_is_held_back() {
        let never = leak(1000);
        assert_eq!(asked(&never, Collector::None).verdict, Verdict::Unbounded);
        assert_eq!(asked(&never, Collector::Forced).verdict, Verdict::Unbounded);
        let held = asked(&never, Collector::Unforced);
        assert_eq!((held.verdict, held.suspected, held.more_cycles), (Verdict::Inconclusive, true, None));
        assert!(held.reason.contains("no collection was seen"), "{}", held.reason);
        assert!(held.reason.contains("before_settle"), "{}", held.reason);
    }

    #[test]
    fn growth_behind_collections_stands() {
        let growth = asked(&leak(1), Collector::Unforced);
        assert_eq!(growth.verdict, Verdict::Unbounded, "{}", growth.reason);
    }

    #[test]
    fn rest_needs_no_collection() {
        let mut still = leak(1000);
        still.points.iter_mut().for_each(|point| point.value = 50.0 * MIB);
        assert_eq!(asked(&still, Collector::Unforced).verdict, Verdict::Flat);
    }

    #[test]
    fn descriptors_are_no_heap() {
        let mut curve = leak(1000);
        curve.metric = Metric::Fds;
        curve.points.iter_mut().for_each(|point| point.value = (point.x / 100.0).floor());
        assert_eq!(asked(&curve, Collector::Unforced).verdict, Verdict::Unbounded);
    }

    #[test]
    fn only_the_metrics_of_a_heap_ask_for_collections() {
        let held = |metric: Metric| {
            let points = Vec::new();
            let curve = Curve { metric, axis: Axis::Operations, points, restarts: None };
            Withheld::of(&curve, Verdict::Unbounded, Collector::Unforced, 1).is_some()
        };
        for metric in [Metric::Private, Metric::Peak, Metric::Rss, Metric::Heap] {
            assert!(held(metric.clone()), "{metric}");
        }
        for (name, is_held) in [("current", true), ("anon", true), ("file", false), ("sock", false)] {
            assert_eq!(held(Metric::Cgroup(name.into())), is_held, "{name}");
        }
        for metric in [Metric::Stack, Metric::File, Metric::Shared, Metric::Threads, Metric::Gauge("anon".into())] {
            assert!(!held(metric.clone()), "{metric}");
        }
    }

    #[test]
    fn collections_before_the_judged_cycles_do_not_count() {
        let teeth = [1.0, 9.0].repeat(8).into_iter().enumerate();
        let point = |(n, value): (usize, f64)| {
            let place = n as f64;
            Point { t: place, x: place, value: value * MIB, cycle: n as u32 / 4, phase: None }
        };
        let curve = Curve {
            metric: Metric::Private,
            axis: Axis::Operations,
            points: teeth.map(point).collect(),
            restarts: None,
        };
        // Four cycles, 0 to 3, of two teeth each; the last tooth of all has not fallen.
        let held = |first| Withheld::of(&curve, Verdict::Unbounded, Collector::Unforced, first);
        assert_eq!([1, 2, 3].map(|first| held(first).is_some()), [false, false, true]);
        assert!(held(3).is_some_and(|held| {
            held.reason().starts_with("rises without end, but only one collection was seen and none")
        }));
        let two = Withheld { collections: 2 }.reason();
        assert!(two.starts_with("rises without end, but only 2 collections were seen and none was forced"), "{two}");
    }

    #[test]
    fn the_records_and_the_plan_say_which_collector_there_is() {
        let event = |runtime| Record::Event {
            at: Moment(1),
            event: Event::Runtime { process: Process { pid: 7, start: 1 }, runtime },
        };
        let plan = |before_settle| ScenarioPlan {
            name: "s".into(),
            shape: Shape::Flood,
            subsystem: None,
            steps: Vec::new(),
            load: LoadPlan { before_settle, ..LoadPlan::default() },
            smallest: Smallest::PER_OPERATION,
            usual: Usual::default(),
            expect_cap: None,
            thresholds: Vec::new(),
            production: Vec::new(),
        };
        for (records, before_settle, expected) in [
            (vec![], BeforeSettle::Nothing, Collector::None),
            (vec![event(Runtime::Python), event(Runtime::Ruby)], BeforeSettle::Nothing, Collector::None),
            (vec![event(Runtime::Python), event(Runtime::Go)], BeforeSettle::Nothing, Collector::Unforced),
            (vec![event(Runtime::Jvm)], BeforeSettle::Step, Collector::Forced),
        ] {
            assert_eq!(Collector::of(&plan(before_settle), &records), expected);
        }
    }

    #[test]
    fn three_collections_are_enough_and_two_are_not() {
        let withheld = |teeth: usize| {
            let values = [1.0, 9.0].repeat(teeth).into_iter().chain([1.0]).enumerate();
            let point = |(n, value): (usize, f64)| Point {
                t: n as f64,
                x: n as f64,
                value: value * MIB,
                cycle: 1,
                phase: None,
            };
            let curve = Curve {
                metric: Metric::Private,
                axis: Axis::Operations,
                points: values.map(point).collect(),
                restarts: None,
            };
            Withheld::of(&curve, Verdict::Unbounded, Collector::Unforced, 1)
        };
        assert_eq!([0, 1, 2, 3, 4].map(|teeth| withheld(teeth).is_some()), [true, true, true, false, false]);
        assert_eq!(
            [0, 1, 2].map(|teeth| withheld(teeth).and_then(|held| held.more_cycles(10))),
            [None, Some(20), Some(5)]
        );
    }
}
