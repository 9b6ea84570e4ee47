//! Clean memory under collectors: garbage piles up in a line and is taken back, sooner or later.

use tidewatch::units::Unit::Bytes;

use super::dice::Dice;
use super::ground::{Garbage, Heap, MIB, PAGE, Wander};
use super::plan::Plan;
use super::{Class, Model, Truth::Clean};

pub const CLASSES: [Class; 7] = [
    Class::new(
        "gc_saw",
        Clean,
        Bytes,
        gc_saw,
        "a managed runtime that collects a few times a cycle or every few cycles",
    ),
    Class::new(
        "gc_generational",
        Clean,
        Bytes,
        gc_generational,
        "minor collections, whose survivors wait for a major one",
    ),
    Class::new("gc_forced", Clean, Bytes, gc_forced, "a collection asked for in most settle phases"),
    Class::new("saw_alias", Clean, Bytes, saw_alias, "a collector whose period nearly beats with the cycles"),
    Class::new(
        "template_garbage",
        Clean,
        Bytes,
        template_garbage,
        "cyclic garbage of a template engine, linear for thousands of operations",
    ),
    Class::new("jvm_heap", Clean, Bytes, jvm_heap, "a JVM that enlarges its heap up to its maximum and collects in it"),
    Class::new(
        "node_climb",
        Clean,
        Bytes,
        node_climb,
        "a Node service: 20 to 50 MiB in the first requests, then wandering",
    ),
];

/// Garbage of 1,000 to 10,000 pages, collected every .2 to 3 cycles, the limit varying by up to a quarter.
fn gc_saw(plan: &Plan, dice: &mut Dice) -> Model {
    let limit = dice.scale(1000.0, 10_000.0) * PAGE;
    let per_op = limit / (plan.per_cycle() * dice.scale(0.2, 3.0));
    let mut garbage = Garbage::new(per_op, limit, dice.between(0.0, 0.25), dice);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let (lies, _) = garbage.after(moment.dx, dice);
        heap.with(lies, moment, dice)
    })
}

/// Minor collections of 500 to 6,000 pages every .2 to 1 cycle; 1 to 20 % survive until a major one after 3 to 12.
fn gc_generational(plan: &Plan, dice: &mut Dice) -> Model {
    let young = dice.scale(500.0, 6000.0) * PAGE;
    let mut garbage = Garbage::new(young / (plan.per_cycle() * dice.between(0.2, 1.0)), young, 0.1, dice);
    let survives = dice.scale(0.01, 0.2);
    let (mut old, mut minors, mut major) = (0.0, 0.0, dice.whole(3, 12));
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let (lies, collected) = garbage.after(moment.dx, dice);
        if collected {
            minors += 1.0;
            old += survives * young * dice.between(0.5, 1.5);
        }
        if minors >= major {
            (old, minors, major) = (0.0, 0.0, dice.whole(3, 12));
        }
        heap.with(lies + old, moment, dice)
    })
}

/// As much garbage as 1 to 8 MiB a cycle; each settle phase collects with a chance of .7 to 1.
fn gc_forced(plan: &Plan, dice: &mut Dice) -> Model {
    let (per_op, chance) = (dice.scale(1.0, 8.0) * MIB / plan.per_cycle(), dice.between(0.7, 1.0));
    let (mut lies, mut cycle) = (0.0, 0);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        lies += per_op * moment.dx;
        if !moment.under_load() && moment.cycle != cycle {
            cycle = moment.cycle;
            if dice.happens(chance) {
                lies = 0.0;
            }
        }
        heap.with(lies, moment, dice)
    })
}

/// A period within 10 % of 1, 1.5, 2 or 3 cycles, exact or nearly so; 2,000 to 10,000 pages.
fn saw_alias(plan: &Plan, dice: &mut Dice) -> Model {
    let limit = dice.scale(2000.0, 10_000.0) * PAGE;
    let period = plan.per_cycle() * dice.one_of(&[1.0, 1.5, 2.0, 3.0]) * dice.between(0.9, 1.1);
    let mut garbage = Garbage::new(limit / period, limit, dice.one_of(&[0.0, 0.02]), dice);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let (lies, _) = garbage.after(moment.dx, dice);
        heap.with(lies, moment, dice)
    })
}

/// 100 to 3,000 B of garbage an operation from the start on; dropped every 2 to 17 cycles, the first time well within
/// the run.
fn template_garbage(plan: &Plan, dice: &mut Dice) -> Model {
    let per_op = dice.scale(100.0, 3000.0);
    let limit = per_op * dice.between(2.0 * plan.per_cycle(), plan.even_rest());
    let mut garbage = Garbage::from_nothing(per_op, limit, 0.1);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let (lies, _) = garbage.after(moment.dx, dice);
        heap.with(lies, moment, dice)
    })
}

/// 1 to 20 kB of garbage an operation; a heap that is full grows by 1.2 to 2, from 5 to 50 % of its maximum on, which
/// is full in .3 to 5 cycles, and is collected to its live part from then on.
fn jvm_heap(plan: &Plan, dice: &mut Dice) -> Model {
    let (per_op, grows) = (dice.scale(1000.0, 20_000.0), dice.between(1.2, 2.0));
    let most = per_op * plan.per_cycle() * dice.scale(0.3, 5.0);
    let (mut size, live) = (most * dice.scale(0.05, 0.5), dice.between(0.5, 5.0) * MIB);
    let mut lies = 0.0;
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        lies += per_op * moment.dx;
        while lies > size {
            if size < most {
                size = most.min(size * grows);
            } else {
                lies *= dice.between(0.0, 0.1);
            }
        }
        heap.with(live + lies, moment, dice)
    })
}

/// 20 to 50 MiB with three time constants in 2,000 to 5,000 operations; then a standard deviation of 1 to 2.5 MiB,
/// forgotten over .5 to 6 cycles, over a small sawtooth.
fn node_climb(plan: &Plan, dice: &mut Dice) -> Model {
    let (climb, over) = (dice.between(20.0, 50.0) * MIB, dice.between(2000.0, 5000.0) / 3.0);
    let mut level = Wander::new(dice.between(1.0, 2.5) * MIB, dice.scale(0.5, 6.0) * plan.cycle_s(), dice);
    let limit = dice.scale(0.5, 4.0) * MIB;
    let mut garbage = Garbage::new(limit / (plan.per_cycle() * dice.scale(0.1, 1.0)), limit, 0.2, dice);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let (lies, _) = garbage.after(moment.dx, dice);
        let grown = climb * (1.0 - (-moment.x / over).exp()) + level.after(moment.dt, dice) + lies;
        heap.with(grown, moment, dice)
    })
}
