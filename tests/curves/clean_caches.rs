//! Clean memory that fills: caches, tables, arenas and retained jobs, with an end well within the run. One family whose
//! end lies later is told its cap, and one is ambiguous.

use std::collections::VecDeque;

use tidewatch::units::Unit::Bytes;

use super::dice::Dice;
use super::ground::{Heap, MIB, PAGE};
use super::plan::{Length, PAST_REST, Plan};
use super::{Class, Model, Truth::Ambiguous, Truth::Clean};

pub const CLASSES: [Class; 13] = [
    Class::new("cache_exp", Clean, Bytes, cache_exp, "a cache that fills by a shrinking miss rate, all keys as likely"),
    Class::new(
        "cache_zipf",
        Clean,
        Bytes,
        cache_zipf,
        "a cache that fills by a shrinking miss rate, some keys far likelier",
    ),
    Class::new("cache_linflat", Clean, Bytes, cache_linflat, "a cache that fills with fresh keys up to its bound"),
    Class::new("cache_told", Clean, Bytes, cache_told, "a cache that fills late; the scenario tells its cap")
        .lasting(Length::Long),
    Class::new("cache_ttl", Clean, Bytes, cache_ttl, "sessions kept for a time and then forgotten"),
    Class::new(
        "job_retention",
        Clean,
        Bytes,
        job_retention,
        "results of the last few jobs, kept until newer ones push them out",
    ),
    Class::new("arena_steps", Clean, Bytes, arena_steps, "glibc arenas, a new one where threads collide"),
    Class::new(
        "doubling_bounded",
        Clean,
        Bytes,
        doubling_bounded,
        "a table that doubled while it filled and came to rest",
    ),
    Class::new("table_step", Clean, Bytes, table_step, "one to three steps of a table, the last of them late"),
    Class::new("jit_warmup", Clean, Bytes, jit_warmup, "a runtime that compiles and loads what it needs"),
    Class::new("cache_unfilled", Ambiguous, Bytes, cache_unfilled, "a cache whose cap lies beyond what is tested"),
    Class::new("cache_patient", Clean, Bytes, cache_patient, "a cache that is full late, and min_operations says so")
        .lasting(Length::Long),
    Class::new("cache_late", Ambiguous, Bytes, cache_late, "a cache that is full late, and nobody tells")
        .lasting(Length::Long),
];

/// 30 to 1,500 B an operation: what a line that ends adds while it lasts.
fn fills_evenly(full: f64, dice: &mut Dice) -> Model {
    let per_op = dice.scale(30.0, 1500.0);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(per_op * moment.x.min(full), moment, dice))
}

/// .5 to 60 MiB. Three time constants (95 % full) well within the run, each 20 cycles at most: then the slope falls,
/// from the first look to the floors after it, as that of N^.45 does.
fn cache_exp(plan: &Plan, dice: &mut Dice) -> Model {
    let full = dice.scale(0.5, 60.0) * MIB;
    let over = dice.between(0.5 * plan.per_cycle(), plan.rest().min(60.0 * plan.per_cycle())) / 3.0;
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(full * (1.0 - (-moment.x / over).exp()), moment, dice))
}

/// Keys by Zipf's law with exponents of .6 to 1.1, entries of 100 to 4,000 B. A key group is met as often as its
/// share says; the cache is full before what could be taken for a leak.
fn cache_zipf(plan: &Plan, dice: &mut Dice) -> Model {
    let (exponent, entry) = (dice.between(0.6, 1.1), dice.scale(100.0, 4000.0));
    let keys = dice.scale(1e3, 3e5);
    // Groups of keys between neighbouring powers of two share a likelihood.
    let groups: Vec<(f64, f64)> = std::iter::successors(Some(1.0), |rank| Some(rank * 2.0))
        .take_while(|rank| *rank < keys)
        .map(|rank: f64| (rank.min(keys - rank), (rank * 1.5).powf(-exponent)))
        .collect();
    let all: f64 = groups.iter().map(|(count, weight)| count * weight).sum();
    let met =
        move |x: f64| -> f64 { groups.iter().map(|(count, weight)| count * (1.0 - (-x * weight / all).exp())).sum() };
    let cap = met(dice.between(2.0 * plan.per_cycle(), plan.even_rest()));
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(entry * met(moment.x).min(cap), moment, dice))
}

/// Full after 1 to 17 cycles, well within the run.
fn cache_linflat(plan: &Plan, dice: &mut Dice) -> Model {
    fills_evenly(dice.between(plan.per_cycle(), plan.even_rest()), dice)
}

/// Full after 15 cycles to four fifths of the run, and told so: the cap is what the scenario's author knows, within 5
/// %.
fn cache_told(plan: &Plan, dice: &mut Dice) -> Model {
    let full = dice.between(plan.after(15), plan.rest());
    let told = full * dice.between(1.0, 1.05);
    Model { expect_cap: Some(told), ..fills_evenly(full, dice) }
}

/// 50 to 1,500 B an operation, kept for 1 to 17 cycles' time, counted in pieces of a second's tenth.
fn cache_ttl(plan: &Plan, dice: &mut Dice) -> Model {
    let (per_op, kept_s) =
        (dice.scale(50.0, 1500.0), plan.cycle_s() * dice.between(1.0, 0.9 * plan.even_rest() / plan.per_cycle()));
    let mut kept: VecDeque<(f64, f64)> = VecDeque::new();
    let mut held = 0.0;
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        kept.push_back((moment.t, per_op * moment.dx));
        held += per_op * moment.dx;
        while kept.front().is_some_and(|(t, _)| *t < moment.t - kept_s) {
            held -= kept.pop_front().map_or(0.0, |(_, bytes)| bytes);
        }
        heap.with(held, moment, dice)
    })
}

/// 2 to 7 jobs of 500 to 3,000 pages, the last kept one within 17 cycles; each job uses the same again while it runs.
fn job_retention(plan: &Plan, dice: &mut Dice) -> Model {
    let (jobs, size) = (dice.whole(2, 7), dice.scale(500.0, 3000.0) * PAGE);
    let apart = dice.between(2.0 * plan.per_cycle(), plan.even_rest()) / jobs;
    let mut last = 0.0;
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let done = (moment.x / apart).floor();
        let runs = if done > last { size } else { 0.0 };
        last = done;
        heap.with(size * done.min(jobs) + runs, moment, dice)
    })
}

/// 2 to 9 arenas of 50 to 2,000 pages at random places, all of them within 17 cycles.
fn arena_steps(plan: &Plan, dice: &mut Dice) -> Model {
    let end = dice.between(plan.per_cycle(), plan.even_rest());
    let arenas: Vec<(f64, f64)> =
        (0..dice.whole(2, 9) as usize).map(|_| (end * dice.even(), dice.scale(50.0, 2000.0) * PAGE)).collect();
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let there = arenas.iter().filter(|(at, _)| moment.x >= *at).map(|(_, size)| size).sum();
        heap.with(there, moment, dice)
    })
}

/// A table of 20 to 400 B an operation that doubles (or grows by half again) until it holds what it must, before the
/// first look.
fn doubling_bounded(plan: &Plan, dice: &mut Dice) -> Model {
    let (per_op, factor) = (dice.scale(20.0, 400.0), dice.one_of(&[2.0, 1.5]));
    let end = dice.between(0.5 * plan.per_cycle(), plan.doubling_rest());
    let origin = end * dice.between(1.0 / factor, 1.0);
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let doublings = (moment.x.clamp(1.0, end) / origin).ln() / factor.ln();
        heap.with(per_op * origin * factor.powf(doublings.floor()), moment, dice)
    })
}

/// Each step doubles .2 to 20 MiB; the last of them up to four fifths into the run, the others at half of that each.
fn table_step(plan: &Plan, dice: &mut Dice) -> Model {
    let (steps, first) = (dice.whole(1, 3), dice.scale(0.2, 10.0) * MIB);
    let last = dice.between(plan.per_cycle(), plan.rest());
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| {
        let taken = (steps + (moment.x.max(1.0) / last).log2().floor() + 1.0).clamp(0.0, steps);
        heap.with(first * 2.0f64.powf(taken), moment, dice)
    })
}

/// 5 to 60 MiB with a time constant of .5 to 4 cycles.
fn jit_warmup(plan: &Plan, dice: &mut Dice) -> Model {
    let (loaded, over) = (dice.scale(5.0, 60.0) * MIB, dice.scale(0.5, 4.0) * plan.per_cycle());
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(loaded * (1.0 - (-moment.x / over).exp()), moment, dice))
}

/// Full only after four fifths of the run, or never in it.
fn cache_unfilled(plan: &Plan, dice: &mut Dice) -> Model {
    fills_evenly(plan.all() * dice.scale(1.0 / PAST_REST, 3.0), dice)
}

/// Full after 15 cycles to four fifths of the run; the session goes on for 1.25 times as many operations.
fn cache_patient(plan: &Plan, dice: &mut Dice) -> Model {
    let full = dice.between(plan.after(15), plan.rest());
    Model { min_operations: PAST_REST * full, ..fills_evenly(full, dice) }
}

/// Full after 18 cycles to four fifths of the run.
fn cache_late(plan: &Plan, dice: &mut Dice) -> Model {
    fills_evenly(dice.between(plan.after(18), plan.rest()), dice)
}
