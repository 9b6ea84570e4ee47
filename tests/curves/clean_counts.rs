//! Clean counts: descriptors and threads that come and go, pools that fill, and what a collector closes.

use tidewatch::units::Unit::Count;

use super::dice::Dice;
use super::ground::{Garbage, Things, Wander};
use super::plan::{Length, Plan};
use super::{Class, Model, Truth::Ambiguous, Truth::Clean};

pub const CLASSES: [Class; 8] = [
    Class::new(
        "count_bounce",
        Clean,
        Count,
        count_bounce,
        "connections that open and close, some still open at the floor",
    ),
    Class::new(
        "count_wander",
        Clean,
        Count,
        count_wander,
        "keep-alive connections, as many as the clients of the moment",
    ),
    Class::new(
        "pool_lazy",
        Clean,
        Count,
        pool_lazy,
        "a pool that makes a worker when all others are busy, seldom and seldom",
    ),
    Class::new(
        "pool_even",
        Clean,
        Count,
        pool_even,
        "a pool that makes a worker every so many requests until it is full",
    ),
    Class::new("pool_long", Clean, Count, pool_lazy, "a lazy pool, watched for hundreds of cycles")
        .lasting(Length::VeryLong),
    Class::new("pool_late", Ambiguous, Count, pool_late, "a lazy pool that is full late").lasting(Length::VeryLong),
    Class::new(
        "fds_collected",
        Clean,
        Count,
        fds_collected,
        "descriptors that only a collector closes: hundreds before it does",
    ),
    Class::new("threads_settle", Clean, Count, threads_settle, "a pool that shrinks when idle and grows when busy"),
];

/// 2 to 20 that may be open at any time, fewer after the load.
fn count_bounce(_: &Plan, dice: &mut Dice) -> Model {
    let (most, after) = (dice.whole(2, 20) as u32, dice.between(0.1, 1.0));
    let mut things = Things::draw(dice);
    Model::of(move |moment, dice| {
        let open = dice.whole(0, most) * if moment.under_load() { 1.0 } else { after };
        things.with(open, moment, dice)
    })
}

/// About 10 to 200, with a standard deviation of their root, forgotten over .5 to 8 cycles.
fn count_wander(plan: &Plan, dice: &mut Dice) -> Model {
    let about = dice.scale(10.0, 200.0);
    let mut open = Wander::new(about.sqrt(), dice.scale(0.5, 8.0) * plan.cycle_s(), dice);
    let mut things = Things::draw(dice);
    Model::of(move |moment, dice| things.with(about + open.after(moment.dt, dice), moment, dice))
}

/// 4 to 64 workers, the last of them within 17 cycles; each comes at a random place, with 1 to 6 time constants until
/// then.
fn pool_lazy(plan: &Plan, dice: &mut Dice) -> Model {
    lazy_pool(dice.between(0.5 * plan.per_cycle(), plan.even_rest()), dice)
}

/// The same within 18 cycles to four fifths of hundreds.
fn pool_late(plan: &Plan, dice: &mut Dice) -> Model {
    lazy_pool(dice.scale(plan.after(18), plan.rest()), dice)
}

/// Workers come less and less often until the pool is full.
fn lazy_pool(full: f64, dice: &mut Dice) -> Model {
    let over = full / dice.between(1.0, 6.0);
    let made = (0..dice.whole(4, 64) as usize).map(|_| dice.gap(over) % full).collect();
    pool(made, dice)
}

/// 3 to 40 workers, evenly within 17 cycles.
fn pool_even(plan: &Plan, dice: &mut Dice) -> Model {
    let (workers, full) = (dice.whole(3, 40), dice.between(plan.per_cycle(), plan.even_rest()));
    pool((1..=workers as u32).map(|worker| full * f64::from(worker) / workers).collect(), dice)
}

fn pool(made: Vec<f64>, dice: &mut Dice) -> Model {
    let mut things = Things::draw(dice);
    Model::of(move |moment, dice| things.with(made.iter().filter(|at| moment.x >= **at).count() as f64, moment, dice))
}

/// One operation in 5 to 100 leaves one open; 30 to 600 of them are collected at a time, every .3 to 17 cycles.
fn fds_collected(plan: &Plan, dice: &mut Dice) -> Model {
    let limit = dice.scale(30.0, 600.0);
    let period = dice.scale(0.3 * plan.per_cycle(), plan.even_rest());
    let mut garbage = Garbage::from_nothing(limit / period, limit, 0.15);
    let mut things = Things::draw(dice);
    Model::of(move |moment, dice| {
        let (open, _) = garbage.after(moment.dx, dice);
        things.with(open, moment, dice)
    })
}

/// Up to 2 to 30 more workers under load; idle ones end after .2 to 5 s.
fn threads_settle(_: &Plan, dice: &mut Dice) -> Model {
    let (most, idle_s) = (dice.whole(2, 30), dice.scale(0.2, 5.0));
    let mut workers = 0.0;
    let mut things = Things::draw(dice);
    Model::of(move |moment, dice| {
        if moment.under_load() {
            workers += (most - workers) * (1.0 - (-moment.dt / 0.3).exp()) * dice.between(0.5, 1.5);
        } else {
            workers *= (-moment.dt / idle_s).exp();
        }
        things.with(workers.clamp(0.0, most), moment, dice)
    })
}
