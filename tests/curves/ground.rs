//! What every process has beneath what is told of it: a level, noise, and what load adds while it lasts.

use super::dice::Dice;
use super::plan::Moment;

pub const PAGE: f64 = 4096.0;
pub const MIB: f64 = 1_048_576.0;

/// Memory beneath a curve: 8 to 200 MiB, noise of 1 to 60 pages that may hang together, a bulge under load of up to 8
/// MiB.
pub struct Heap {
    level: f64,
    /// Standard deviation of the noise.
    pub noise: f64,
    together: f64,
    bulge: f64,
    now: f64,
}

impl Heap {
    pub fn draw(dice: &mut Dice) -> Self {
        let bulge = if dice.happens(0.5) { dice.scale(0.05, 8.0) * MIB } else { 0.0 };
        Self {
            level: dice.scale(8.0, 200.0) * MIB,
            noise: dice.scale(1.0, 60.0) * PAGE,
            together: dice.one_of(&[0.0, 0.3, 0.6]),
            bulge,
            now: 0.0,
        }
    }

    /// A heap with little noise of its own.
    pub fn quiet(dice: &mut Dice) -> Self {
        let mut heap = Self::draw(dice);
        heap.noise = dice.scale(0.5, 10.0) * PAGE;
        heap
    }

    /// A heap whose noise hangs together from sample to sample (the correlation of neighbours).
    pub fn sluggish(together: f64, dice: &mut Dice) -> Self {
        Self { together, ..Self::draw(dice) }
    }

    /// The value at a moment, with what grew on top.
    pub fn with(&mut self, grown: f64, moment: &Moment, dice: &mut Dice) -> f64 {
        let fresh = (1.0 - self.together * self.together).sqrt();
        self.now = self.together * self.now + fresh * self.noise * dice.bell();
        let bulge = if moment.under_load() { self.bulge * dice.between(0.9, 1.1) } else { 0.0 };
        self.level + self.now + bulge + grown
    }
}

/// Things beneath a count: 5 to 40 that stay, up to 12 that come and go under load.
pub struct Things {
    stay: f64,
    come_and_go: u32,
}

impl Things {
    pub fn draw(dice: &mut Dice) -> Self {
        let come_and_go = if dice.happens(0.5) { dice.whole(1, 12) as u32 } else { 0 };
        Self { stay: dice.whole(5, 40), come_and_go }
    }

    /// The count at a moment, with what grew on top.
    pub fn with(&mut self, grown: f64, moment: &Moment, dice: &mut Dice) -> f64 {
        let open = if moment.under_load() { dice.whole(0, self.come_and_go) } else { 0.0 };
        self.stay + open + grown.floor()
    }
}

/// A level that wanders about zero and returns: the Ornstein-Uhlenbeck process.
pub struct Wander {
    deviation: f64,
    memory: f64,
    now: f64,
}

impl Wander {
    /// With a standard deviation, and the units of the axis over which it forgets.
    pub fn new(deviation: f64, memory: f64, dice: &mut Dice) -> Self {
        Self { deviation, memory, now: deviation * dice.bell() }
    }

    pub fn after(&mut self, step: f64, dice: &mut Dice) -> f64 {
        let keeps = (-step / self.memory).exp();
        self.now = keeps * self.now + (1.0 - keeps * keeps).sqrt() * self.deviation * dice.bell();
        self.now
    }
}

/// Garbage that piles up with the operations until a collector takes it.
pub struct Garbage {
    per_op: f64,
    /// How much there may be, and how much that differs from time to time.
    limit: f64,
    spread: f64,
    now: f64,
    due: f64,
}

impl Garbage {
    pub fn new(per_op: f64, limit: f64, spread: f64, dice: &mut Dice) -> Self {
        let now = limit * dice.even();
        Self { per_op, limit, spread, now, due: limit }
    }

    /// The same, from a start without any.
    pub fn from_nothing(per_op: f64, limit: f64, spread: f64) -> Self {
        Self { per_op, limit, spread, now: 0.0, due: limit }
    }

    /// What lies there after more operations, and whether it was collected meanwhile.
    pub fn after(&mut self, operations: f64, dice: &mut Dice) -> (f64, bool) {
        self.now += self.per_op * operations;
        let collected = self.now >= self.due;
        if collected {
            self.now = 0.0;
            self.due = self.limit * dice.between(1.0 - self.spread, 1.0 + self.spread);
        }
        (self.now, collected)
    }
}
