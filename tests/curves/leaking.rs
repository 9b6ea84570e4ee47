//! Leaking memory and counts whose growth is a line, under all that may lie over it. The rate is 1.1 times what the
//! scenario asks for at the least, so that no verdict of "less than that" can be right.

use tidewatch::sample::Smallest;
use tidewatch::units::Unit::{Bytes, Count};

use super::dice::Dice;
use super::ground::{Garbage, Heap, MIB, PAGE, Things};
use super::plan::Plan;
use super::{Class, Model, Truth::Leaking};

pub const CLASSES: [Class; 12] = [
    Class::new("leak_flat", Leaking, Bytes, leak_flat, "every request keeps a little"),
    Class::new("leak_warmup", Leaking, Bytes, leak_warmup, "a leak under a runtime that warms up"),
    Class::new("leak_after_cache", Leaking, Bytes, leak_after_cache, "a leak under a cache that fills"),
    Class::new("leak_logcreep", Leaking, Bytes, leak_logcreep, "a leak under allocator creep"),
    Class::new("leak_ratchet", Leaking, Bytes, leak_ratchet, "a leak under high-water marks"),
    Class::new("leak_gcsaw", Leaking, Bytes, leak_gcsaw, "a leak in a managed runtime, under its sawtooth"),
    Class::new(
        "leak_garbage",
        Leaking,
        Bytes,
        leak_garbage,
        "a leak under garbage that is dropped every few thousand operations",
    ),
    Class::new("leak_periodic", Leaking, Bytes, leak_periodic, "a leak under a job every few cycles"),
    Class::new("leak_filenoise", Leaking, Bytes, leak_filenoise, "a leak in resident memory with mapped files"),
    Class::new("leak_time", Leaking, Bytes, leak_time, "a timer that keeps something, whatever the load"),
    Class::new("leak_fd", Leaking, Count, leak_fd, "one descriptor in so many requests, regularly"),
    Class::new("leak_fd_error", Leaking, Count, leak_fd_error, "one descriptor at each request that fails at random"),
];

/// The least rate that must not be called at rest.
fn at_least() -> f64 {
    1.1 * Smallest::PER_OPERATION.of(Bytes)
}

/// 110 to 1,500 B an operation.
pub fn rate(dice: &mut Dice) -> f64 {
    dice.scale(at_least(), 1500.0)
}

/// A line over the usual ground.
fn leak_flat(_: &Plan, dice: &mut Dice) -> Model {
    let rate = rate(dice);
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| heap.with(rate * moment.x, moment, dice))
}

/// 1 to 30 MiB with a time constant of .5 to 4 cycles.
fn leak_warmup(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, loaded, over) = (rate(dice), dice.scale(1.0, 30.0) * MIB, dice.scale(0.5, 4.0) * plan.per_cycle());
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| {
        heap.with(rate * moment.x + loaded * (1.0 - (-moment.x / over).exp()), moment, dice)
    })
}

/// A cache of 50 to 1,000 B an operation that is full after 1 to 8 cycles.
fn leak_after_cache(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, fills, full) = (rate(dice), dice.scale(50.0, 1000.0), plan.per_cycle() * dice.between(1.0, 8.0));
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| heap.with(rate * moment.x + fills * moment.x.min(full), moment, dice))
}

/// .1 to 1 MiB for each factor e, from 100 operations to one cycle on.
fn leak_logcreep(plan: &Plan, dice: &mut Dice) -> Model {
    let (adds, from) = (dice.scale(0.1, 1.0) * MIB, dice.scale(100.0, plan.per_cycle().max(101.0)));
    let rate = rate(dice);
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| heap.with(rate * moment.x + adds * (moment.x / from).ln_1p(), moment, dice))
}

/// A high-water mark of sizes with a Pareto law of exponent 2 to 4, up to 200 times 20 to 400 kB.
fn leak_ratchet(_: &Plan, dice: &mut Dice) -> Model {
    let (rate, typical, shape) = (rate(dice), dice.scale(2e4, 4e5), 1.0 / dice.between(2.0, 4.0));
    let mut yet: f64 = 0.0;
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| {
        if moment.under_load() {
            yet = yet.max(typical * (1.0 - dice.even()).powf(-shape).min(200.0));
        }
        heap.with(rate * moment.x + yet, moment, dice)
    })
}

/// Garbage of 500 to 5,000 pages, collected every .2 to 2.5 cycles.
fn leak_gcsaw(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, limit) = (rate(dice), dice.scale(500.0, 5000.0) * PAGE);
    let mut garbage = Garbage::new(limit / (plan.per_cycle() * dice.scale(0.2, 2.5)), limit, 0.1, dice);
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| {
        let (lies, _) = garbage.after(moment.dx, dice);
        heap.with(rate * moment.x + lies, moment, dice)
    })
}

/// 100 to 1,000 B of garbage an operation, dropped every 1.5 to 8 cycles.
fn leak_garbage(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, litter) = (rate(dice), dice.scale(100.0, 1000.0));
    let mut garbage = Garbage::new(litter, litter * plan.per_cycle() * dice.between(1.5, 8.0), 0.1, dice);
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| {
        let (lies, _) = garbage.after(moment.dx, dice);
        heap.with(rate * moment.x + lies, moment, dice)
    })
}

/// 1,000 to 8,000 pages every 2 to 9 cycles, for .3 to 1.5 cycles.
fn leak_periodic(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, takes) = (rate(dice), dice.scale(1000.0, 8000.0) * PAGE);
    let (period, lasts) = (dice.between(2.0, 9.0) * plan.cycle_s(), dice.between(0.3, 1.5) * plan.cycle_s());
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| {
        let job = if moment.t % period < lasts { takes } else { 0.0 };
        heap.with(rate * moment.x + job, moment, dice)
    })
}

/// 500 to 4,500 B an operation over 500 to 4,000 pages of files, evicted every .7 to 3 cycles.
fn leak_filenoise(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, limit) = (dice.scale(500.0, 4500.0), dice.scale(500.0, 4000.0) * PAGE);
    let mut files = Garbage::new(limit / (plan.per_cycle() * dice.scale(0.7, 3.0)), limit, 0.4, dice);
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| {
        let (resident, _) = files.after(moment.dx, dice);
        heap.with(rate * moment.x + resident, moment, dice)
    })
}

/// As much a second as comes to 110 to 1,500 B an operation at the run's pace, settling included.
fn leak_time(plan: &Plan, dice: &mut Dice) -> Model {
    let rate = rate(dice);
    let per_second = rate * plan.per_cycle() / plan.cycle_s();
    let mut heap = Heap::draw(dice);
    Model::even(rate, move |moment, dice| heap.with(per_second * moment.t, moment, dice))
}

/// One in 50 to 2,500 operations.
fn leak_fd(_: &Plan, dice: &mut Dice) -> Model {
    let rate = dice.scale(4e-4, 2e-2);
    let mut things = Things::draw(dice);
    Model::even(rate, move |moment, dice| things.with(rate * moment.x, moment, dice))
}

/// The same rate, each at a random operation.
fn leak_fd_error(_: &Plan, dice: &mut Dice) -> Model {
    let rate = dice.scale(4e-4, 2e-2);
    let (mut open, mut next) = (0.0, dice.gap(1.0 / rate));
    let mut things = Things::draw(dice);
    Model::even(rate, move |moment, dice| {
        while next <= moment.x {
            open += 1.0;
            next += dice.gap(1.0 / rate);
        }
        things.with(open, moment, dice)
    })
}
