//! Leaking memory and counts that grow in steps, faster and faster, or slower and slower without end.

use tidewatch::units::Unit::{Bytes, Count};

use super::dice::Dice;
use super::ground::{Heap, Things};
use super::leaking::rate;
use super::plan::{Length, Plan};
use super::{Class, Model, Truth::Leaking, Truth::LeakingLate};

pub const CLASSES: [Class; 9] = [
    Class::new("leak_chunk", Leaking, Bytes, leak_chunk, "an arena that takes its next chunk when the last is full"),
    Class::new("leak_poisson", Leaking, Bytes, leak_poisson, "a large object kept at random, seldom"),
    Class::new("leak_doubling", Leaking, Bytes, leak_doubling, "a table that is never emptied and doubles")
        .lasting(Length::Long),
    Class::new("leak_quad", Leaking, Bytes, leak_quad, "each kept thing makes the next one larger"),
    Class::new("leak_quad_late", LeakingLate, Bytes, leak_quad_late, "the same, small at first"),
    Class::new(
        "leak_poisson_rare",
        LeakingLate,
        Bytes,
        leak_poisson_rare,
        "a large object kept at random, very seldom",
    )
    .lasting(Length::Long),
    Class::new("leak_begins", LeakingLate, Bytes, leak_begins, "a fault that begins in the middle of the run"),
    Class::new(
        "leak_slowing",
        Leaking,
        Bytes,
        leak_slowing,
        "a leak whose cost per item falls to half, and stays there",
    ),
    Class::new(
        "leak_thread_rare",
        Leaking,
        Count,
        leak_thread_rare,
        "a thread that is not joined, every few dozen cycles",
    )
    .lasting(Length::VeryLong),
];

/// One chunk after the other, .1 to 3 cycles apart: of chunks that are rarer than looks nothing need be seen.
fn leak_chunk(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, begin) = (rate(dice), dice.even());
    let chunk = rate * plan.per_cycle() * dice.scale(0.1, 3.0);
    let mut heap = Heap::quiet(dice);
    Model::stepped(rate, move |moment, dice| heap.with(chunk * (rate * moment.x / chunk + begin).floor(), moment, dice))
}

/// Objects at random operations, .2 to 1.5 cycles apart: by the first look several have come.
fn leak_poisson(plan: &Plan, dice: &mut Dice) -> Model {
    let gap = plan.per_cycle() * dice.scale(0.2, 1.5);
    at_random(gap, dice)
}

/// The same, 1.5 to 6 cycles apart in long runs.
fn leak_poisson_rare(plan: &Plan, dice: &mut Dice) -> Model {
    let gap = plan.per_cycle() * dice.scale(1.5, 6.0);
    at_random(gap, dice)
}

fn at_random(gap: f64, dice: &mut Dice) -> Model {
    let rate = rate(dice);
    let (mut held, mut next) = (0.0, dice.gap(gap));
    let mut heap = Heap::quiet(dice);
    Model::stepped(rate, move |moment, dice| {
        while next <= moment.x {
            held += rate * gap;
            next += dice.gap(gap);
        }
        heap.with(held, moment, dice)
    })
}

/// A table of 110 to 1,500 B an operation at its emptiest that doubles, or grows by half again.
fn leak_doubling(_: &Plan, dice: &mut Dice) -> Model {
    let (rate, factor) = (rate(dice), dice.one_of(&[2.0, 2.0, 1.5]));
    let origin = 100.0 * factor * dice.between(1.0 / factor, 1.0);
    let mut heap = Heap::quiet(dice);
    Model::stepped(rate, move |moment, dice| {
        let growths = ((moment.x.max(1.0) / origin).ln() / factor.ln()).ceil();
        heap.with(rate * origin * factor.powf(growths), moment, dice)
    })
}

/// 110 to 1,500 B an operation at first, 2 to 20 times as much at the end.
fn leak_quad(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, more, all) = (rate(dice), dice.scale(1.0, 19.0), plan.all());
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(rate * moment.x * (1.0 + more * moment.x / (2.0 * all)), moment, dice))
}

/// 220 to 3,000 B an operation at the end of the run, rising from nothing.
fn leak_quad_late(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, all) = (2.0 * rate(dice), plan.all());
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(rate * moment.x * moment.x / (2.0 * all), moment, dice))
}

/// 110 to 1,500 B an operation that begin after 30 to 60 % of the run.
fn leak_begins(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, begin) = (rate(dice), plan.all() * dice.between(0.3, 0.6));
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(rate * (moment.x - begin).max(0.0), moment, dice))
}

/// 220 to 1,500 B an operation at first; half of it after .1 to 1 of the run.
fn leak_slowing(plan: &Plan, dice: &mut Dice) -> Model {
    let (rate, over) = (rate(dice).max(220.0), plan.all() * dice.between(0.1, 1.0) / 3.0);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let extra = over * (1.0 - (-moment.x / over).exp());
        heap.with(0.5 * rate * (moment.x + extra), moment, dice)
    })
}

/// One every 4 to 30 cycles, at random or regular; the scenario asks for half of that.
fn leak_thread_rare(plan: &Plan, dice: &mut Dice) -> Model {
    let gap = plan.per_cycle() * dice.scale(4.0, 30.0);
    let regular = dice.happens(0.5);
    let draw = move |dice: &mut Dice| if regular { gap } else { dice.gap(gap) };
    let (mut kept, mut next) = (0.0, draw(dice));
    let mut things = Things::draw(dice);
    let model = Model::stepped(1.0 / gap, move |moment, dice| {
        while next <= moment.x {
            kept += 1.0;
            next += draw(dice);
        }
        things.with(kept, moment, dice)
    });
    Model { smallest: Some(0.5 / gap), ..model }
}
