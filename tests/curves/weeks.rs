//! Made-up curves over hours, days and weeks, as monitoring systems have them: nothing is driven, and no operations are
//! known. A family stands for what happens to real services: daily waves, restarts, deploys, leaks that begin late.

use std::f64::consts::TAU;

use tidewatch::growth::{Axis, Curve, Growth, Point, Question, judge};
use tidewatch::sample::{Metric, Phase};

use super::Truth;
use super::dice::Dice;

const MIB: f64 = 1024.0 * 1024.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

/// A family of such curves.
pub struct Week {
    /// Its name in every table.
    pub name: &'static str,
    /// What it is.
    pub truth: Truth,
    /// The real thing that it stands for.
    pub stands_for: &'static str,
    model: fn(&mut Setting, &mut Dice),
}

/// One curve in the making.
struct Setting {
    /// When it is sampled, in seconds.
    times: Vec<f64>,
    /// What it holds at each.
    values: Vec<f64>,
    level: f64,
}

impl Setting {
    /// 2 to 14 days, a sample every 1 to 15 minutes (3,000 at most), 50 MiB to 2 GiB, noise of .1 to 3 % of the level that
    /// hangs together over up to 12 samples.
    fn draw(dice: &mut Dice) -> Self {
        let length = dice.scale(2.0, 14.0) * DAY;
        let tick = dice.scale(60.0, 900.0).max(length / 3000.0);
        let level = dice.scale(50.0, 2048.0) * MIB;
        let (noise, together) = (dice.scale(0.001, 0.03) * level, (-1.0 / dice.scale(0.2, 12.0)).exp());
        let began = 1.76e9 + dice.between(0.0, DAY);
        let times: Vec<f64> = (0..(length / tick) as usize).map(|n| began + n as f64 * tick).collect();
        let mut now = 0.0;
        let mut value = |_: &f64| {
            now = together * now + (1.0 - together * together).sqrt() * noise * dice.bell();
            level + now
        };
        let values = times.iter().map(&mut value).collect();
        Self { times, values, level }
    }

    fn length(&self) -> f64 {
        self.times[self.times.len() - 1] - self.times[0]
    }

    /// Adds something that depends on the time since the begin.
    fn add(&mut self, mut what: impl FnMut(f64) -> f64) {
        let began = self.times[0];
        self.times.iter().zip(&mut self.values).for_each(|(t, value)| *value += what(t - began));
    }

    /// A daily wave of 5 to 60 % of the level, with a second harmonic.
    fn add_wave(&mut self, dice: &mut Dice) {
        let (high, phase, second) =
            (dice.scale(0.05, 0.6) * self.level / 2.0, dice.between(0.0, TAU), dice.between(0.0, 0.4));
        self.add(|t| high * ((TAU * t / DAY + phase).sin() + second * (2.0 * TAU * t / DAY + 2.0 * phase).sin()));
    }

    /// A leak from a share of the whole on, that comes to .2 to 2 times the level by the end.
    fn add_leak(&mut self, from: f64, dice: &mut Dice) {
        let (begin, length) = (from * self.length(), self.length());
        let rate = dice.scale(0.2, 2.0) * self.level / (length - begin);
        self.add(|t| rate * (t - begin).max(0.0));
    }

    /// Lives of so many seconds, each with what its age adds.
    fn add_lives(&mut self, life: f64, jitter: f64, dice: &mut Dice, mut what: impl FnMut(f64) -> f64) {
        let mut ends = vec![0.0];
        while ends[ends.len() - 1] < self.length() {
            ends.push(ends[ends.len() - 1] + life * dice.between(1.0 - jitter, 1.0 + jitter));
        }
        self.add(|t| what(t - ends[ends.partition_point(|end| *end <= t) - 1]));
    }
}

pub const WEEKS: [Week; 22] = [
    Week::new("week_level", Truth::Clean, "a service that holds its level", |_, _| ()),
    Week::new("week_rhythm", Truth::Clean, "a service with a daily wave", |s, dice| s.add_wave(dice)),
    Week::new("week_ends_high", Truth::Clean, "a daily wave, and a file that ends at its peak", |s, dice| {
        let high = dice.scale(0.05, 0.6) * s.level / 2.0;
        let length = s.length();
        s.add(|t| high * (TAU * (t - length) / DAY).cos());
    }),
    Week::new("week_cache", Truth::Clean, "a cache that fills within the first fifth", |s, dice| {
        let (full, over) = (dice.scale(0.1, 2.0) * s.level, dice.between(0.02, 0.07) * s.length());
        s.add(|t| full * (1.0 - (-t / over).exp()));
    }),
    Week::new("week_nightly", Truth::Clean, "a cache that fills, in a service restarted every night", |s, dice| {
        let (full, over) = (dice.scale(0.3, 3.0) * s.level, dice.between(0.05, 0.25) * DAY);
        s.add_lives(DAY, 0.02, dice, |age| full * (1.0 - (-age / over).exp()));
    }),
    Week::new(
        "week_collector",
        Truth::Clean,
        "garbage that a collector takes back every few samples to hours",
        |s, dice| {
            let (garbage, life) = (dice.scale(0.1, 2.0) * s.level, dice.scale(0.003, 0.03) * s.length());
            s.add_lives(life, 0.3, dice, |age| garbage * age / life);
        },
    ),
    Week::new("week_deploy_up", Truth::Clean, "a deploy early on that takes more, and stays there", |s, dice| {
        let (at, more) = (dice.between(0.1, 0.4) * s.length(), dice.scale(0.1, 1.0) * s.level);
        s.add(|t| if t > at { more } else { 0.0 });
    }),
    Week::new("week_deploy_down", Truth::Clean, "a leak until a deploy that fixes it", |s, dice| {
        let (at, more) = (dice.between(0.3, 0.7) * s.length(), dice.scale(0.2, 2.0) * s.level);
        s.add(|t| if t < at { more * t / at } else { 0.0 });
    }),
    Week::new(
        "week_late_jump",
        Truth::Clean,
        "a jump in the last third that stays: a deploy, more traffic",
        |s, dice| {
            let (at, more) = (dice.between(0.67, 0.97) * s.length(), dice.scale(0.1, 1.0) * s.level);
            s.add(|t| if t > at { more } else { 0.0 });
        },
    ),
    Week::new("week_late_spike", Truth::Clean, "a batch job late in the file, whose memory comes back", |s, dice| {
        let (at, more) = (dice.between(0.7, 0.95) * s.length(), dice.scale(0.1, 1.0) * s.level);
        let end = at + 0.03 * s.length();
        s.add(|t| if t > at && t < end { more } else { 0.0 });
    }),
    Week::new("week_log", Truth::Clean, "allocator creep over a week", |s, dice| {
        let adds = dice.scale(0.01, 0.1) * s.level;
        s.add(|t| adds * (t / HOUR).ln_1p());
    }),
    Week::new("week_gaps", Truth::Clean, "eight working sessions in a week", |s, dice| {
        let share = dice.between(0.05, 0.2);
        keep(s, |part| (8.0 * part).fract() < share);
    }),
    Week::new("week_falls", Truth::Clean, "another configuration that takes less, and fills again", |s, dice| {
        let (at, more) = (dice.between(0.2, 0.8) * s.length(), dice.scale(0.2, 2.0) * s.level);
        let (filled, over) = (dice.between(0.0, 0.9) * more, dice.between(0.02, 0.07) * s.length());
        s.add(|t| if t < at { more } else { filled * (1.0 - (-(t - at) / over).exp()) });
    }),
    Week::new("week_falls_leaks", Truth::LeakingLate, "a deploy that takes less, and leaks", |s, dice| {
        let (at, more) = (dice.between(0.2, 0.6), dice.scale(0.3, 2.0) * s.level);
        let length = s.length();
        s.add(|t| if t < at * length { more } else { 0.0 });
        s.add_leak(at, dice);
    }),
    Week::new("week_leak", Truth::Leaking, "a leak all week", |s, dice| s.add_leak(0.0, dice)),
    Week::new("week_leak_rhythm", Truth::Leaking, "a leak under a daily wave", |s, dice| {
        s.add_wave(dice);
        s.add_leak(0.0, dice);
    }),
    Week::new("week_begins", Truth::LeakingLate, "a leak that begins in the second half", |s, dice| {
        let from = dice.between(0.5, 0.8);
        s.add_leak(from, dice);
    }),
    Week::new("week_begins_late", Truth::LeakingLate, "a leak that begins in the last fifth", |s, dice| {
        let from = dice.between(0.8, 0.95);
        s.add_leak(from, dice);
    }),
    Week::new("week_begins_rhythm", Truth::LeakingLate, "a leak that begins late, under a daily wave", |s, dice| {
        let from = dice.between(0.4, 0.8);
        s.add_wave(dice);
        s.add_leak(from, dice);
    }),
    Week::new("week_killed", Truth::Leaking, "a leak that ends in a kill and a restart, over and over", |s, dice| {
        let (more, life) = (dice.scale(0.5, 5.0) * s.level, s.length() / dice.between(3.0, 12.0));
        s.add_lives(life, 0.05, dice, |age| more * age / life);
    }),
    Week::new("week_deployed", Truth::Leaking, "a leak that a deploy at random times hides", |s, dice| {
        let (more, life) = (dice.scale(0.5, 5.0) * s.level, s.length() / dice.between(3.0, 8.0));
        s.add_lives(life, 0.5, dice, |age| more * age / life);
    }),
    Week::new("week_leak_gaps", Truth::Leaking, "a leak seen in eight sessions", |s, dice| {
        s.add_leak(0.0, dice);
        let share = dice.between(0.05, 0.2);
        keep(s, |part| (8.0 * part).fract() < share);
    }),
];

/// Keeps the samples at some shares of the whole, at least 200 of them.
fn keep(setting: &mut Setting, wanted: impl Fn(f64) -> bool) {
    let (began, length) = (setting.times[0], setting.length());
    let kept: Vec<usize> = (0..setting.times.len()).filter(|n| wanted((setting.times[*n] - began) / length)).collect();
    if kept.len() >= 200 {
        setting.values = kept.iter().map(|n| setting.values[*n]).collect();
        setting.times = kept.iter().map(|n| setting.times[*n]).collect();
    }
}

impl Week {
    const fn new(
        name: &'static str,
        truth: Truth,
        stands_for: &'static str,
        model: fn(&mut Setting, &mut Dice),
    ) -> Self {
        Self { name, truth, stands_for, model }
    }

    /// The curve of a seed, as `judge` reads it.
    pub fn draw(&self, seed: u64) -> Curve {
        let mut dice = Dice::of(self.name, seed);
        let mut setting = Setting::draw(&mut dice);
        (self.model)(&mut setting, &mut dice);
        let point = |(t, value): (&f64, &f64)| Point {
            t: *t,
            x: t - setting.times[0],
            value: value.max(4096.0),
            cycle: 0,
            phase: Some(Phase::Load),
        };
        let points = setting.times.iter().zip(&setting.values).map(point).collect();
        let mut curve = Curve { metric: Metric::Private, axis: Axis::Seconds, points, restarts: None };
        curve.cut_into_windows();
        curve
    }
}

/// Judges such a curve as `tidewatch judge` does.
pub fn judge_week(curve: &Curve) -> Growth {
    judge(curve, &Question::about(curve, None))
}
