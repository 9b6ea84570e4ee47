//! Why a verdict is what it is, in a sentence that a person understands at three in the morning.

use super::course::{Course, Decision, Series, Why};
use super::judge::Figures;
use super::looks::FEWEST_CYCLES;
use super::tail::{CREEP_FROM, Ground, Rest, Unrest};
use super::window_test::Failure;
use super::{Axis, Budget, Question};
use crate::sample::PAST_CAP;
use crate::statistics::series::largest_drawdown;
use crate::units::{Unit, show_count};

/// Below this a chance is printed as a bound.
const TINY_CHANCE: f64 = 1e-12;
/// A fall of this share of the whole range is a collection.
const COLLECTION: f64 = 0.3;
/// Fewest collections that show what a collector leaves.
const FEWEST_COLLECTIONS: usize = 3;

/// What the sentences draw on.
pub(super) struct Facts<'a> {
    pub axis: Axis,
    pub ground: &'a Ground,
    pub series: &'a Series,
    pub question: &'a Question,
    pub figures: &'a Figures,
    pub baseline: f64,
}

impl Facts<'_> {
    fn show(&self, value: f64) -> String {
        self.ground.unit.show(value)
    }

    fn per(&self, rate: f64) -> String {
        format!("{} per {}", self.show(rate), self.axis.noun())
    }

    /// An amount of the axis: `24,000 operations`.
    fn along(&self, amount: f64) -> String {
        format!("{} {}s", show_count(amount.round()), self.axis.noun())
    }

    fn now(&self) -> f64 {
        self.series.x.last().copied().unwrap_or(0.0)
    }

    fn last(&self) -> f64 {
        self.series.y.last().copied().unwrap_or(self.baseline)
    }

    fn rate(&self) -> String {
        self.figures.per_unit.map_or_else(
            || "no figure".into(),
            |growth| format!("{} ({} to {})", self.per(growth.value), self.show(growth.low), self.show(growth.high)),
        )
    }
}

/// The reason of a verdict.
pub(super) fn decided(facts: &Facts<'_>, decision: &Decision) -> String {
    let no_plateau = || format!("no plateau up to {} / {}", facts.along(facts.now()), facts.show(facts.last()));
    match decision.why {
        Why::Rising { passed, keeps } => {
            let late = if passed.late_share.is_finite() {
                format!("late slope {:.2} of early", passed.late_share)
            } else {
                "the rise began within the window".into()
            };
            format!(
                "rises in every part of the run (Mann-Kendall {}), {late}, confirmed after twice the cycles at {keeps:.2} of \
                 the slope: {}; {}",
                chance(passed.chance),
                facts.rate(),
                no_plateau()
            )
        }
        Why::Stairs(stair) => format!(
            "grows in steps, each about twice as high as the last and after about twice as long: the last by {} at {}, the \
             next expected near {}, with old and new table held together while it is copied; on average {}; {}",
            facts.show(stair.height),
            facts.along(stair.last_x),
            facts.along(stair.next_x),
            facts.rate(),
            no_plateau()
        ),
        Why::Events { events, .. } => format!(
            "never falls and rises again and again at even distances: {events} rises, at the same rate after twice the \
             {}s: {}; {}",
            facts.axis.noun(),
            facts.rate(),
            no_plateau()
        ),
        Why::Rest(rest) => rested(facts, &rest),
    }
}

fn rested(facts: &Facts<'_>, rest: &Rest) -> String {
    let bound = format!("at most {} (95 %)", facts.per(rest.bound.max(0.0)));
    let stretch = facts.along(rest.length);
    let smallest = facts.question.smallest;
    let tail = match (rest.creeps, rest.bound <= smallest) {
        (true, true) => format!("still creeps over the last {stretch}, but by {bound}: below what matters"),
        (true, false) => format!("still creeps over the last {stretch}, but by {bound}"),
        (false, _) => format!("no rise in the last {stretch}: {bound}"),
    };
    let limit = format!("; this run has too few operations, or too much noise, to rule out {}", facts.per(smallest));
    let tail = tail + if rest.bound <= smallest { "" } else { &limit };
    if !rest.after_growth {
        return tail;
    }
    let level = crate::statistics::quantile::median(&facts.series.y[rest.start..]).unwrap_or(0.0);
    let origin = facts.series.y.first().copied().unwrap_or(0.0);
    format!("rose by {} early on, then came to rest; {tail}", facts.show(level - origin))
}

/// Growth that the doubt about growth in time can explain.
pub(super) fn time_driven(facts: &Facts<'_>) -> String {
    format!(
        "rises by {}, but growth in time, found without load, may be as large: a longer idle scenario narrows it",
        facts.rate()
    )
}

/// Growth that is surely small.
pub(super) fn creep(facts: &Facts<'_>) -> String {
    format!("creeps by {}: surely below {}", facts.rate(), facts.per(2.0 * facts.ground.least))
}

/// Growth that may be small.
pub(super) fn may_be_creep(facts: &Facts<'_>) -> String {
    format!(
        "rises by {}, which may be less than the least that is called growth, {}",
        facts.rate(),
        facts.per(facts.ground.least)
    )
}

/// The reason of no verdict.
pub(super) fn undecided(facts: &Facts<'_>, course: &Course) -> String {
    let cycles = facts.series.cycles();
    if cycles < FEWEST_CYCLES as usize {
        return format!("only {cycles} complete cycles: the fewest that can decide are {FEWEST_CYCLES}");
    }
    let mut reason = if course.before_cap {
        let cap = facts.question.expect_cap.unwrap_or(0) as f64;
        format!(
            "rises by {}, but a cap is expected at {}: growth is called endless only past {}",
            facts.rate(),
            facts.along(cap),
            facts.along(PAST_CAP * cap)
        )
    } else if course.suspects() {
        suspected(facts, course)
    } else {
        not_at_rest(facts, course)
    };
    if let Some(least) = facts.figures.sensitivity.filter(|least| *least > facts.question.smallest) {
        let smallest = facts.per(facts.question.smallest);
        reason += &format!("; this run finds growth from {} on, {smallest} is asked", facts.per(least));
    }
    let collections = collections(facts.series);
    if (1..FEWEST_COLLECTIONS).contains(&collections) {
        reason += &format!("; only {collections} large fall(s) seen, as of a collector: three show what it leaves");
    }
    if facts.question.budget == Budget::Open { format!("so far: {reason}") } else { reason }
}

fn suspected(facts: &Facts<'_>, course: &Course) -> String {
    if let Some(suspicion) = course.suspicions.first() {
        let since = format!("growth is suspected since cycle {} ({})", suspicion.at, facts.rate());
        return match course.failure {
            Failure::SlowsDown(share) => {
                format!("{since}, but it slows down: the later slope is {share:.2} of the earlier")
            }
            Failure::BetterShape(shape) => format!("{since}, but {} fits better than a steady rise", shape.noun()),
            Failure::FallsBack => format!("{since}, but it has fallen back by more than it rose"),
            Failure::Creeps => format!(
                "{since}, but by little beside what matters: creep is told from growth from {CREEP_FROM} cycles on"
            ),
            Failure::NoTrend | Failure::TooShort => format!("{since} and not confirmed: that takes twice the cycles"),
        };
    }
    if let Some(stairs) = course.stairs {
        return format!(
            "steps that double are suspected: the next, expected near {}, would confirm it",
            facts.along(stairs.next_x)
        );
    }
    "it never falls and rises at even distances, too few times to be sure: 8 rises and twice the operations confirm it"
        .into()
}

fn not_at_rest(facts: &Facts<'_>, course: &Course) -> String {
    let rises = match course.failure {
        Failure::SlowsDown(share) => format!("rises, but slows down (late slope {share:.2} of early)"),
        Failure::BetterShape(shape) => format!("rises, but {} fits better than a steady rise", shape.noun()),
        Failure::FallsBack => "rises, but falls back by more than it rose".into(),
        Failure::Creeps => "rises, by little beside what matters".into(),
        Failure::NoTrend | Failure::TooShort => "no steady rise".into(),
    };
    let rest = match course.unrest {
        Unrest::TooShort => "too few floors in the later half to call it at rest".into(),
        Unrest::RecentStep(needed) => {
            format!("the last step is too recent: the steps before it ask for {} of rest", facts.along(needed))
        }
        Unrest::Rises(rise) => {
            let over = if facts.ground.unit == Unit::Bytes { " over its noise" } else { "" };
            format!("not at rest either: its later half lies {}{over} above the earlier", facts.show(rise))
        }
        Unrest::Creeps(rate) => format!("not at rest either: it still creeps by {}", facts.per(rate)),
        Unrest::Loose(bound) => format!("up to {} cannot be ruled out (95 %)", facts.per(bound)),
    };
    format!("{rises}; {rest}")
}

/// Large falls of the floors, as of a collector that runs.
fn collections(series: &Series) -> usize {
    let (_, y) = series.cycles_from(0);
    let low = y.iter().copied().fold(f64::INFINITY, f64::min);
    let high = y.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = COLLECTION * (high - low);
    if largest_drawdown(y) <= 0.0 {
        return 0;
    }
    y.windows(2).filter(|pair| pair[0] - pair[1] >= least).count()
}

fn chance(p: f64) -> String {
    if p < TINY_CHANCE { format!("p < {TINY_CHANCE:.0e}") } else { format!("p = {p:.0e}") }
}

#[cfg(test)]
mod tests;
