//! Made-up curves whose truth is known: runs of processes that grow, or do not, drawn from families of real things.
//!
//! A class stands for one kind of process. A seed draws one curve of it: how long the run is, how fast, how noisy, and
//! the class's own figures, each from the range that stands where it is drawn. The same class and seed are the same
//! curve on every machine. Nothing is copied from recordings.
//!
//! **Clean** means that the curve comes to rest, or returns again and again, well within the run: the run goes on for
//! at least 1.25 times the operations after which it rests. What grows evenly until a cap cannot be told from a leak
//! before it is there. So it rests that long before the first look that can confirm growth, or its cap is told
//! beforehand (`expect_cap`). Creep that slows down like log N or a small power of N never rests and is clean all the
//! same: it has no rate. Where a cap lies later, the class is **ambiguous**, and its verdicts are shown and not
//! counted.

mod clean_caches;
mod clean_collectors;
mod clean_counts;
mod clean_creeps;
mod clean_levels;
mod csv;
mod dice;
mod ground;
mod leaking;
mod leaking_steps;
mod plan;
mod session;
mod weeks;

use tidewatch::growth::{Axis, Curve, Point};
use tidewatch::sample::{Metric, Smallest};
use tidewatch::units::Unit;

pub use csv::to_csv;
pub use session::{Run, judged};
pub use weeks::{WEEKS, Week, judge_week};

use self::dice::Dice;
use self::ground::PAGE;
use self::plan::{Length, Moment, Plan};

/// What a class is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It rests or returns. Calling it unbounded is a false alarm.
    Clean,
    /// It grows without end. Calling it flat or bounded is wrong.
    Leaking,
    /// Its growth is below what matters at first: an early look may call it flat, the end of the run may not.
    LeakingLate,
    /// Its cap lies too late for anyone to know.
    Ambiguous,
}

/// A family of curves.
pub struct Class {
    /// Its name in every table.
    pub name: &'static str,
    /// What it is.
    pub truth: Truth,
    /// The real thing that it stands for.
    pub stands_for: &'static str,
    unit: Unit,
    length: Length,
    model: fn(&Plan, &mut Dice) -> Model,
}

/// The value at each moment, in order.
type Value = Box<dyn FnMut(&Moment, &mut Dice) -> f64>;

/// One curve's inner life.
struct Model {
    value: Value,
    /// The true growth per operation, where it has one figure.
    per_op: Option<f64>,
    /// The smallest growth per operation that its scenario asks for, where that is not the default.
    smallest: Option<f64>,
    /// A cap that its scenario tells.
    expect_cap: Option<f64>,
    /// Operations that its scenario asks for.
    min_operations: f64,
    shape: Shape,
}

/// How growth goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// In a line: an interval must hold its figure.
    Even,
    /// In steps, slowing or speeding up.
    Other,
}

/// A curve with its truth.
pub struct MadeUp {
    /// What a recording would hold.
    pub curve: Curve,
    /// The true growth per operation.
    pub per_op: Option<f64>,
    /// The smallest growth per operation that is asked for.
    pub smallest: f64,
    /// A cap that the scenario tells.
    pub expect_cap: Option<u64>,
    /// Operations before which a session does not stop.
    pub min_operations: f64,
    /// How it grows.
    pub shape: Shape,
    /// Cycles of the whole budget.
    pub cycles: u32,
}

impl Model {
    fn of(value: impl FnMut(&Moment, &mut Dice) -> f64 + 'static) -> Self {
        Self {
            value: Box::new(value),
            per_op: None,
            smallest: None,
            expect_cap: None,
            min_operations: 0.0,
            shape: Shape::Other,
        }
    }

    /// One that grows in a line.
    fn even(per_op: f64, value: impl FnMut(&Moment, &mut Dice) -> f64 + 'static) -> Self {
        Self { per_op: Some(per_op), shape: Shape::Even, ..Self::of(value) }
    }

    /// One that grows by so much per operation on average, in steps.
    fn stepped(per_op: f64, value: impl FnMut(&Moment, &mut Dice) -> f64 + 'static) -> Self {
        Self { per_op: Some(per_op), ..Self::of(value) }
    }
}

impl Class {
    const fn new(
        name: &'static str,
        truth: Truth,
        unit: Unit,
        model: fn(&Plan, &mut Dice) -> Model,
        stands_for: &'static str,
    ) -> Self {
        let length = match truth {
            Truth::Leaking | Truth::LeakingLate => Length::Confirmable,
            Truth::Clean | Truth::Ambiguous => Length::Any,
        };
        Self { name, truth, stands_for, unit, length, model }
    }

    const fn lasting(mut self, length: Length) -> Self {
        self.length = length;
        self
    }

    /// The curve of a seed.
    pub fn draw(&self, seed: u64) -> MadeUp {
        let mut dice = Dice::of(self.name, seed);
        let plan = Plan::draw(self.length, &mut dice);
        let mut model = (self.model)(&plan, &mut dice);
        let (metric, quantum) = match self.unit {
            Unit::Bytes => (Metric::Private, PAGE),
            Unit::Count => (Metric::Fds, 1.0),
        };
        let point = |moment: &Moment| Point {
            t: moment.t,
            x: moment.x,
            value: ((model.value)(moment, &mut dice) / quantum).floor().max(1.0) * quantum,
            cycle: moment.cycle,
            phase: moment.phase,
        };
        let points = plan.moments.iter().map(point).collect();
        MadeUp {
            curve: Curve { metric, axis: Axis::Operations, points, restarts: None },
            per_op: model.per_op,
            smallest: model.smallest.unwrap_or(Smallest::PER_OPERATION.of(self.unit)),
            expect_cap: model.expect_cap.map(|cap| cap as u64),
            min_operations: model.min_operations,
            shape: model.shape,
            cycles: plan.cycles,
        }
    }
}

/// Every class, the clean ones first.
pub fn classes() -> impl Iterator<Item = &'static Class> {
    clean_levels::CLASSES
        .iter()
        .chain(&clean_collectors::CLASSES)
        .chain(&clean_caches::CLASSES)
        .chain(&clean_creeps::CLASSES)
        .chain(&clean_counts::CLASSES)
        .chain(&leaking::CLASSES)
        .chain(&leaking_steps::CLASSES)
}
