//! Clean memory that creeps: it rises, significantly and for long, and slows down all the time.

use tidewatch::units::Unit::Bytes;

use super::dice::Dice;
use super::ground::{Heap, MIB, PAGE};
use super::plan::Plan;
use super::{Class, Model, Truth::Ambiguous, Truth::Clean};

pub const CLASSES: [Class; 6] = [
    Class::new("log_creep", Clean, Bytes, log_creep, "allocator creep: each doubling of the operations adds as much"),
    Class::new("pow_creep", Clean, Bytes, pow_creep, "fragmentation that slows like a small power of the operations"),
    Class::new("frag_decay", Clean, Bytes, frag_decay, "fragmentation that creeps until every gap is used"),
    Class::new("ratchet", Clean, Bytes, ratchet, "buffers that keep the size of the largest request yet"),
    Class::new(
        "ratchet_pool",
        Clean,
        Bytes,
        ratchet_pool,
        "a pool of such buffers, each with a high-water mark of its own",
    ),
    Class::new("ratchet_heavy", Ambiguous, Bytes, ratchet_heavy, "such a pool whose largest bodies are yet to come"),
];

/// .1 to 4 MiB for each factor e, from 100 operations to one cycle on.
fn log_creep(plan: &Plan, dice: &mut Dice) -> Model {
    let (adds, from) = (dice.scale(0.1, 4.0) * MIB, dice.scale(100.0, plan.per_cycle().max(101.0)));
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(adds * (moment.x / from).ln_1p(), moment, dice))
}

/// .5 to 40 MiB over the run, with exponents of .15 to .45.
fn pow_creep(plan: &Plan, dice: &mut Dice) -> Model {
    let (adds, exponent, all) = (dice.scale(0.5, 40.0) * MIB, dice.between(0.15, SLOWEST_POWER), plan.all());
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(adds * (moment.x / all).powf(exponent), moment, dice))
}

/// A creep like log N, .2 to 6 MiB for each factor e, that ends after 2 cycles to four fifths of the run.
fn frag_decay(plan: &Plan, dice: &mut Dice) -> Model {
    let (adds, from) = (dice.scale(0.2, 6.0) * MIB, dice.scale(0.3, 1.0) * plan.per_cycle());
    let end = dice.between(2.0 * plan.per_cycle(), plan.rest());
    let mut heap = Heap::draw(dice);
    Model::of(move |moment, dice| heap.with(adds * (moment.x.min(end) / from).ln_1p(), moment, dice))
}

/// Above this power of the operations, what slows down can hardly be told from what does not.
const SLOWEST_POWER: f64 = 0.45;

/// What comes this many times on average is missed by one in fifty (e^-4).
const SEEN_TIMES: f64 = 4.0;

/// The largest of so many requests, whose sizes have a Weibull law or Pareto's, up to the largest body that is taken.
/// The mark of n of them rises like ln(n)^k or n^(1/a); a power of .45 at the most is asked of either, at the n of a
/// few cycles.
#[derive(Clone)]
struct Largest {
    typical: f64,
    shape: f64,
    pareto: bool,
    most: f64,
    yet: f64,
}

impl Largest {
    /// `few` are the requests of five cycles.
    fn draw(typical: f64, few: f64, dice: &mut Dice) -> Self {
        let pareto = dice.happens(0.5);
        let steepest = SLOWEST_POWER * if pareto { 1.0 } else { few.ln() };
        let shape = steepest * dice.between(0.5, 1.0);
        Self { typical, shape, pareto, most: typical * dice.scale(10.0, 300.0), yet: 0.0 }
    }

    fn after(&mut self, requests: f64, dice: &mut Dice) -> f64 {
        if requests > 0.0 {
            // The largest of n has the law of one to the power of n; its upper tail is 1 - u^(1/n).
            let tail = -(dice.even().max(f64::MIN_POSITIVE).ln() / requests).exp_m1();
            self.yet = self.yet.max(self.exceeded_once_in(1.0 / tail).min(self.most));
        }
        self.yet
    }

    /// The size that one request in so many is larger than.
    fn exceeded_once_in(&self, requests: f64) -> f64 {
        self.typical * if self.pareto { requests.powf(self.shape) } else { requests.ln().powf(self.shape) }
    }
}

/// Requests of 1 to 50 kB.
fn ratchet(plan: &Plan, dice: &mut Dice) -> Model {
    let typical = dice.scale(1e3, 5e4);
    let mut largest = Largest::draw(typical, 5.0 * plan.per_cycle(), dice);
    let mut heap = Heap::quiet(dice);
    Model::of(move |moment, dice| heap.with(largest.after(moment.dx, dice), moment, dice))
}

/// 4 to 64 buffers of 1 to 8 pages a request, each of which sees its share of the same requests. The largest body is
/// one that all but one buffer in fifty have seen well within the run.
fn ratchet_pool(plan: &Plan, dice: &mut Dice) -> Model {
    let rest = dice.between(2.0 * plan.per_cycle(), plan.rest());
    pool_of_buffers(plan, Some(rest), dice)
}

/// The same with bodies so large that most buffers never see one.
fn ratchet_heavy(plan: &Plan, dice: &mut Dice) -> Model {
    pool_of_buffers(plan, None, dice)
}

fn pool_of_buffers(plan: &Plan, rest: Option<f64>, dice: &mut Dice) -> Model {
    let (typical, many) = (dice.between(1.0, 8.0) * PAGE, dice.whole(4, 64));
    let mut buffer = Largest::draw(typical, 5.0 * plan.per_cycle() / many, dice);
    if let Some(rest) = rest {
        buffer.most = buffer.exceeded_once_in((rest / many / SEEN_TIMES).max(2.0));
    }
    let mut buffers = vec![buffer; many as usize];
    let mut heap = Heap::quiet(dice);
    Model::of(move |moment, dice| {
        let each = moment.dx / many;
        let held = buffers.iter_mut().map(|buffer| buffer.after(each, dice)).sum();
        heap.with(held, moment, dice)
    })
}
