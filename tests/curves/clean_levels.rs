//! Clean memory that stays about a level: noise of many kinds.

use tidewatch::units::Unit::Bytes;

use super::dice::Dice;
use super::ground::{Heap, MIB, PAGE, Wander};
use super::plan::Plan;
use super::{Class, Model, Truth::Clean};

pub const CLASSES: [Class; 11] = [
    Class::new(
        "flat_ar1",
        Clean,
        Bytes,
        flat_ar1,
        "a small native server at rest, its allocator's noise hanging together",
    ),
    Class::new("ar_floors", Clean, Bytes, ar_floors, "a heap whose fill follows the mix of the latest requests"),
    Class::new("wander", Clean, Bytes, wander, "an allocator between a low and a high watermark"),
    Class::new(
        "file_noise",
        Clean,
        Bytes,
        file_noise,
        "resident memory with mapped files that are read in and evicted",
    ),
    Class::new("load_swing", Clean, Bytes, load_swing, "load that rises and falls over the run, memory in use with it"),
    Class::new("noisy_neighbour", Clean, Bytes, noisy_neighbour, "PSS while other processes share and leave pages"),
    Class::new("periodic", Clean, Bytes, periodic, "a job every few cycles that takes memory and gives it back"),
    Class::new(
        "statm_batch",
        Clean,
        Bytes,
        statm_batch,
        "counters that each CPU holds back for a while (statm, Linux 6.2)",
    ),
    Class::new("decay_bulge", Clean, Bytes, decay_bulge, "an allocator that gives freed pages back after a delay"),
    Class::new("startup_trim", Clean, Bytes, startup_trim, "a large start that is trimmed away"),
    Class::new(
        "rare_dips",
        Clean,
        Bytes,
        rare_dips,
        "a level from which a trim takes much now and then, soon filled again",
    ),
];

/// Correlation of samples .5 to .95.
fn flat_ar1(_: &Plan, dice: &mut Dice) -> Model {
    let mut heap = Heap::sluggish(dice.between(0.5, 0.95), dice);
    Model::of(move |moment, dice| heap.with(0.0, moment, dice))
}

/// 20 to 600 pages, forgotten over .7 to 12 cycles.
fn ar_floors(plan: &Plan, dice: &mut Dice) -> Model {
    let memory = dice.scale(0.7, 12.0) * plan.cycle_s();
    let mut level = Wander::new(dice.scale(20.0, 600.0) * PAGE, memory, dice);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(level.after(moment.dt, dice), moment, dice))
}

/// Walls .2 to 20 MiB apart; a cycle goes .15 to .6 of that.
fn wander(plan: &Plan, dice: &mut Dice) -> Model {
    let range = dice.scale(0.2, 20.0) * MIB;
    let step = range * dice.between(0.15, 0.6) / plan.per_cycle().sqrt();
    let mut at = range * dice.even();
    let mut heap = Heap::quiet(dice);
    Model::of(move |moment, dice| {
        at += step * moment.dx.sqrt() * dice.bell();
        // Off a wall it comes back.
        at = at.rem_euclid(2.0 * range);
        at = at.min(2.0 * range - at);
        heap.with(at, moment, dice)
    })
}

/// Reads at an uneven pace until 1,000 to 8,000 pages are resident, then an eviction to a random share; .7 to 6 cycles
/// from one to the next.
fn file_noise(plan: &Plan, dice: &mut Dice) -> Model {
    let limit = dice.scale(1000.0, 8000.0) * PAGE;
    let rate = limit / (plan.per_cycle() * dice.scale(0.7, 6.0));
    let (mut resident, mut due) = (limit * dice.even(), limit);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        resident += rate * moment.dx * dice.between(0.0, 2.0);
        if resident > due {
            resident = limit * dice.between(0.0, 0.4);
            due = limit * dice.between(0.6, 1.2);
        }
        heap.with(resident, moment, dice)
    })
}

/// A swing over 5 cycles to what rises for 17 of them, .5 to 30 MiB under load, up to 3 % of it still there after the
/// load.
fn load_swing(plan: &Plan, dice: &mut Dice) -> Model {
    let period = dice.scale(5.0, 2.0 * plan.even_rest() / plan.per_cycle()) * plan.cycle_s();
    let (in_use, left, begin) = (dice.scale(0.5, 30.0) * MIB, dice.between(0.0, 0.03), dice.even());
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let swing = 0.5 + 0.5 * (std::f64::consts::TAU * (moment.t / period + begin)).sin();
        let share = if moment.under_load() { 1.0 } else { left };
        heap.with(in_use * swing * share, moment, dice)
    })
}

/// 50 to 600 pages, some samples far below, and an own level of the neighbours that is forgotten over .2 to 3 cycles.
fn noisy_neighbour(plan: &Plan, dice: &mut Dice) -> Model {
    let deviation = dice.scale(50.0, 600.0) * PAGE;
    let mut shared = Wander::new(deviation, dice.scale(0.2, 3.0) * plan.cycle_s(), dice);
    let mut heap = Heap::draw(dice);
    heap.noise = deviation * dice.between(0.2, 1.0);
    Model::of(move |moment, dice| {
        let gone = if dice.happens(0.05) { dice.gap(2.0 * deviation) } else { 0.0 };
        heap.with(shared.after(moment.dt, dice) - gone, moment, dice)
    })
}

/// Every 2 to 9 cycles, 1,000 to 8,000 pages, for .3 to 2 cycles.
fn periodic(plan: &Plan, dice: &mut Dice) -> Model {
    let period = dice.between(2.0, 9.0) * plan.cycle_s();
    let (lasts, takes) = (dice.between(0.3, 2.0) * plan.cycle_s(), dice.scale(1000.0, 8000.0) * PAGE);
    let begin = period * dice.even();
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let running = (moment.t + begin) % period < lasts;
        heap.with(if running { takes } else { 0.0 }, moment, dice)
    })
}

/// 4 to 64 CPUs, each up to 32 to 64 pages behind in either direction, moving with the load.
fn statm_batch(plan: &Plan, dice: &mut Dice) -> Model {
    let batch = dice.one_of(&[32.0, 48.0, 64.0]);
    let mut behind: Vec<f64> = (0..dice.whole(4, 64) as usize).map(|_| batch * dice.between(-1.0, 1.0)).collect();
    let pages_per_op = dice.scale(0.002, 0.1) * 1500.0 / plan.per_cycle();
    let mut heap = Heap::quiet(dice);
    Model::of(move |moment, dice| {
        for cpu in &mut behind {
            *cpu += (pages_per_op * moment.dx).sqrt() * batch * 0.1 * dice.bell();
            // A full batch is handed over: nothing is left behind.
            if cpu.abs() > batch {
                *cpu = 0.0;
            }
        }
        heap.with(behind.iter().sum::<f64>() * PAGE, moment, dice)
    })
}

/// 20 to 2,000 B freed by an operation, half of it given back after .1 to 2 s.
fn decay_bulge(_: &Plan, dice: &mut Dice) -> Model {
    let (freed, half_s) = (dice.scale(20.0, 2000.0), dice.scale(0.1, 2.0));
    let mut kept = 0.0;
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        kept = kept * 0.5f64.powf(moment.dt / half_s) + freed * moment.dx;
        heap.with(kept, moment, dice)
    })
}

/// 1 to 60 MiB, gone with a time constant of .5 to 10 cycles.
fn startup_trim(plan: &Plan, dice: &mut Dice) -> Model {
    let (start, over) = (dice.scale(1.0, 60.0) * MIB, dice.scale(0.5, 10.0) * plan.per_cycle());
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(start * (-moment.x / over).exp(), moment, dice))
}

/// 100 to 3,000 pages, 2 to 15 cycles apart, filled again over .2 to 3 cycles.
fn rare_dips(plan: &Plan, dice: &mut Dice) -> Model {
    let (depth, apart) = (dice.scale(100.0, 3000.0) * PAGE, dice.scale(2.0, 15.0) * plan.per_cycle());
    let refill = dice.scale(0.2, 3.0) * plan.per_cycle();
    let (mut missing, mut next) = (0.0, dice.gap(apart));
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        missing *= (-moment.dx / refill).exp();
        if moment.x >= next {
            missing = depth * dice.between(0.5, 1.0);
            next = moment.x + dice.gap(apart);
        }
        heap.with(-missing, moment, dice)
    })
}
