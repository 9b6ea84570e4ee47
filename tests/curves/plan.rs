//! How a made-up run goes: its cycles, their jittered loads, its pace, and the moments at which it is sampled.

use tidewatch::sample::Phase;

use super::dice::Dice;

/// A run must go on for this many times the operations after which a clean curve rests, else nobody could know that it
/// does.
pub const PAST_REST: f64 = 1.25;
/// Growth is confirmed at the third look at the earliest. A cache that fills evenly must be full well before that look.
const FIRST_CONFIRMATION: u32 = 22;
/// What doubles must come to rest well before the first look: four steps seen growing are a doubling table.
const FIRST_LOOK: u32 = 10;
/// Loads are as much shorter or longer, so that they do not beat with the period of a collector.
const JITTER: f64 = 0.3;

/// How many cycles the runs of a class have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// 10 to 125.
    Any,
    /// 22 to 125: leaks, which are confirmed after 22 cycles at the earliest.
    Confirmable,
    /// 60 to 165: what needs several doublings, or a late fill.
    Long,
    /// 250 to 560: rare events.
    VeryLong,
}

impl Length {
    const fn choices(self) -> &'static [u32] {
        match self {
            Self::Any => &[10, 12, 15, 18, 22, 28, 33, 45, 60, 75, 90, 110, 125],
            Self::Confirmable => &[22, 28, 33, 45, 60, 75, 90, 110, 125],
            Self::Long => &[60, 75, 90, 110, 125, 165],
            Self::VeryLong => &[250, 372, 450, 560],
        }
    }
}

/// The setting of one run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Cycles of load and settling.
    pub cycles: u32,
    /// When it is sampled.
    pub moments: Vec<Moment>,
    pace: Pace,
}

/// Operations a second under load; seconds of an average load, of settling, of the warm-up, and from sample to sample.
#[derive(Clone, Copy, Debug)]
struct Pace {
    per_second: f64,
    load_s: f64,
    settle_s: f64,
    warmup_s: f64,
    tick_s: f64,
}

/// One sample's place.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds since the begin, and since the sample before.
    pub t: f64,
    pub dt: f64,
    /// Operations since the begin, and since the sample before.
    pub x: f64,
    pub dx: f64,
    pub cycle: u32,
    pub phase: Option<Phase>,
}

impl Moment {
    /// Whether operations are under way.
    pub fn under_load(&self) -> bool {
        self.dx > 0.0
    }
}

impl Plan {
    /// Draws a plan: 500 to 4,000 operations a second, loads of 0.6 to 1.1 s, settling of 0.3 to 0.5 s, warm-up of 1 to
    /// 4 s, ten samples a second (two in very long runs).
    pub fn draw(length: Length, dice: &mut Dice) -> Self {
        let tick_s = if length == Length::VeryLong { 0.5 } else { 0.1 };
        let stretch: f64 = tick_s / 0.1;
        let cycles = dice.one_of(length.choices());
        let pace = Pace {
            per_second: dice.scale(500.0, 4000.0),
            load_s: dice.between(0.6, 1.1) * stretch.sqrt(),
            settle_s: dice.between(0.3, 0.5) * stretch,
            warmup_s: dice.between(1.0, 4.0),
            tick_s,
        };
        Self { cycles, moments: pace.moments(cycles, dice), pace }
    }

    /// Operations of an average cycle.
    pub fn per_cycle(&self) -> f64 {
        self.pace.per_second * self.pace.load_s
    }

    /// Seconds of an average cycle.
    pub fn cycle_s(&self) -> f64 {
        self.pace.load_s + self.pace.settle_s
    }

    /// Operations when so many cycles have ended.
    pub fn after(&self, cycles: u32) -> f64 {
        self.moments.iter().take_while(|moment| moment.cycle <= cycles).last().map_or(0.0, |moment| moment.x)
    }

    /// Operations of the whole run.
    pub fn all(&self) -> f64 {
        self.after(self.cycles)
    }

    /// The most operations after which something that slows down may come to rest.
    pub fn rest(&self) -> f64 {
        self.all() / PAST_REST
    }

    /// The most operations after which something that grows evenly, or in steps, may come to rest without the scenario
    /// telling a cap: a session would stop before it.
    pub fn even_rest(&self) -> f64 {
        self.after(FIRST_CONFIRMATION.min(self.cycles)) / PAST_REST
    }

    /// The same for what doubles.
    pub fn doubling_rest(&self) -> f64 {
        self.after(FIRST_LOOK) / PAST_REST
    }
}

impl Pace {
    /// The moments of a run: one before the warm-up, the warm-up with its own settling, then the cycles.
    fn moments(&self, cycles: u32, dice: &mut Dice) -> Vec<Moment> {
        let mut moments = vec![Moment { t: 0.0, dt: 0.0, x: 0.0, dx: 0.0, cycle: 0, phase: None }];
        self.phase(&mut moments, self.warmup_s, 0, Phase::Warmup, dice);
        self.phase(&mut moments, self.settle_s, 0, Phase::Settle, dice);
        for cycle in 1..=cycles {
            let load_s = self.load_s * dice.between(1.0 - JITTER, 1.0 + JITTER);
            self.phase(&mut moments, load_s, cycle, Phase::Load, dice);
            self.phase(&mut moments, self.settle_s, cycle, Phase::Settle, dice);
        }
        moments
    }

    fn phase(&self, moments: &mut Vec<Moment>, seconds: f64, cycle: u32, phase: Phase, dice: &mut Dice) {
        let per_second = if phase == Phase::Settle { 0.0 } else { self.per_second };
        let ticks = (seconds / self.tick_s).round().max(1.0);
        for _ in 0..ticks as u32 {
            let Some(before) = moments.last().copied() else { return };
            let dt = seconds / ticks * dice.between(0.95, 1.05);
            let dx = (per_second * dt * dice.between(0.92, 1.08)).round();
            moments.push(Moment { t: before.t + dt, dt, x: before.x + dx, dx, cycle, phase: Some(phase) });
        }
    }
}
