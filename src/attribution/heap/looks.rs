//! The looks of one scenario, and the curves that are made of them.

use crate::attribution::findings::axis;
use crate::growth::{Axis, Curve};
use crate::recording::Passage;
use crate::sample::{HeapKind, HeapLive, HeapLook, Metric, Phase};

use super::ground::Ground;
use super::interval::Live;

/// What all live blocks together are called as a metric.
pub const ALL: &str = "(all)";

/// The looks of a scenario, in the order of time.
pub struct Looks<'a> {
    places: Curve,
    looks: Vec<&'a HeapLook>,
    /// The look before the first operation.
    before: usize,
    /// The look at the last floor of all live blocks.
    after: usize,
}

impl<'a> Looks<'a> {
    /// Those of a scenario; none without any.
    pub fn of(passage: &Passage<'a>, ground: &Ground<'_>) -> Option<Self> {
        let shape = passage.plan.shape;
        let (places, looks) = Curve::of_heap_looks(shape, axis(shape), passage.records);
        let last = looks.len().checked_sub(1)?;
        let before = places.points.iter().rposition(|point| point.phase.is_none()).unwrap_or(0);
        let mut found = Self { places, looks, before, after: last };
        let all = found.curve(ALL, &found.all(ground));
        if let Some(floor) = all.floors().cycles.last() {
            found.after =
                all.points.iter().position(|point| point.t == floor.t && point.value == floor.value).unwrap_or(last);
        }
        Some(found)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.looks.len()
    }

    /// The last of them.
    pub fn last(&self) -> Option<&'a HeapLook> {
        self.looks.last().copied()
    }

    /// The look before the first operation, and the one at the end of the last cycle.
    pub fn ends(&self) -> (&'a HeapLook, &'a HeapLook) {
        (self.looks[self.before], self.looks[self.after])
    }

    /// When the first of them was, in seconds of the recording, and in which phase.
    pub fn began(&self) -> (f64, Option<Phase>) {
        let point = &self.places.points[self.before];
        (point.t, point.phase)
    }

    /// The mean number of bytes between two samples, the largest of the looks.
    pub fn interval_bytes(&self) -> u64 {
        self.looks.iter().map(|look| look.interval_bytes).max().unwrap_or(0)
    }

    /// What the axis is.
    pub fn axis(&self) -> Axis {
        self.places.axis
    }

    /// All live blocks at each look, those of stacks without a number among them.
    pub fn all(&self, ground: &Ground<'_>) -> Vec<Live> {
        let mut all = self.sums(|live| ground.stack(live.stack).kind == HeapKind::Block);
        for (sum, look) in all.iter_mut().zip(&self.looks) {
            sum.add(Live::of(&look.rest));
        }
        all
    }

    /// What is alive at each look at the stacks that are wanted. A stack that a look does not name holds nothing there.
    pub fn sums(&self, wanted: impl Fn(&HeapLive) -> bool) -> Vec<Live> {
        let sum = |look: &&HeapLook| {
            look.live.iter().filter(|live| wanted(live)).fold(Live::default(), |mut sum, live| {
                sum.add(Live::of(live));
                sum
            })
        };
        self.looks.iter().map(sum).collect()
    }

    /// The curve of an owner.
    pub fn curve(&self, owner: &str, values: &[Live]) -> Curve {
        let mut curve = self.places.clone();
        curve.metric = Metric::Live(owner.to_owned());
        for (point, live) in curve.points.iter_mut().zip(values) {
            point.value = live.footprint;
        }
        curve
    }

    /// What was alive before and after.
    pub fn of_ends(&self, values: &[Live]) -> (Live, Live) {
        (values[self.before], values[self.after])
    }
}
