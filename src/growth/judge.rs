//! One curve, judged by the rule of docs/statistics.md.

use super::collector::Withheld;
use super::course::{Course, Decision, Series, TIMES_CYCLES, Why};
use super::curve::MOST_OF_LEVEL;
use super::estimate::{Rate, pace_per_hour, sensitivity};
use super::explain::{self, Facts};
use super::floors::cycle_length;
use super::looks::{look_from, quantum};
use super::tail::{CREEP_FROM, Ground, Unrest, spread};
use super::window_test::Failure;
use super::{Axis, Budget, Curve, Demand, Estimate, Floors, Growth, Question, Verdict, Window, over_time};
use crate::sample::PAST_CAP;
use crate::statistics::quantile::median;
use crate::units::Unit;

/// The share of the cycles left out of figures where no decision says which.
const DROP: f64 = 0.25;

/// Judges a curve. The same curve and question always give the same answer, and any input gives one.
pub fn judge(curve: &Curve, question: &Question) -> Growth {
    over_time::judge(curve, question).unwrap_or_else(|| judge_whole(curve, question))
}

/// What a rise is measured against.
pub(super) struct Summary {
    /// The standard deviation around their slope.
    pub noise: f64,
    pub quantum: f64,
    pub smallest: f64,
    pub unit: Unit,
}

impl Summary {
    pub(super) fn of(curve: &Curve, question: &Question) -> Self {
        let floors = curve.floors();
        let x: Vec<f64> = floors.cycles.iter().map(|floor| floor.x).collect();
        let y: Vec<f64> = floors.cycles.iter().map(|floor| floor.value).collect();
        let unit = curve.metric.unit();
        let quantum = quantum(unit);
        Self { noise: spread(&x, &y, quantum), quantum, smallest: question.smallest, unit }
    }
}

/// Judges a curve as one thing from its first sample to its last.
pub(super) fn judge_whole(curve: &Curve, question: &Question) -> Growth {
    let time_rate = question.time_driven.map_or(0.0, |rate| rate.value);
    let floors = curve.floors_without(time_rate);
    let series = Series::of(&floors);
    let slack = Slack::of(question.time_driven, &floors);
    let unit = curve.metric.unit();
    let mut ground = Ground::of(question, unit, slack.more);
    let mut course = Course::run(&series, question, &ground);
    let mut figures = Figures::of(&series, &floors, course.decision.as_ref(), &slack, &ground);
    if let Some(limit) = detection_limit(curve, question, &series, &course, &figures) {
        let down_to = ground.down_to(limit);
        if course.ask_rest_at_end(&series, &down_to) {
            ground = down_to;
            figures = Figures::of(&series, &floors, course.decision.as_ref(), &slack, &ground);
        }
    }
    let objection = objection(&course, &figures, &slack, &ground);
    let verdict = verdict(course.decision.as_ref(), objection);
    let first = floors.cycles.get(window(&series, course.decision.as_ref())).map_or(0, |floor| floor.cycle);
    let withheld = Withheld::of(curve, verdict, question.collector, first);
    let verdict = if withheld.is_some() { Verdict::Inconclusive } else { verdict };
    let undecided = verdict == Verdict::Inconclusive;
    let more_cycles = match (undecided, &course.decision, &withheld) {
        (false, ..) => None,
        (true, _, Some(withheld)) => withheld.more_cycles(series.cycles()),
        // The interval shrinks with each look.
        (true, Some(_), None) if objection == Some(Objection::MayBeCreep) => {
            u32::try_from(series.cycles()).ok().map(|done| look_from(done + 1) - done)
        }
        // Growth in time that is not known well enough is no matter of more cycles here.
        (true, Some(_), None) => None,
        (true, None, None) => more_cycles(&series, &course, question, &figures),
    };
    let baseline = floors.baseline.unwrap_or(0.0);
    let last = floors.cycles.last().map_or(baseline, |floor| floor.value);
    let facts = Facts { axis: curve.axis, ground: &ground, series: &series, question, figures: &figures, baseline };
    let is_suspected = undecided && (course.decision.is_some() || course.suspects() || course.before_cap);
    let reason = match (&course.decision, &withheld, objection) {
        (Some(_), Some(withheld), _) => withheld.reason(),
        (Some(_), None, Some(Objection::TimeDriven)) => explain::time_driven(&facts),
        (Some(_), None, Some(Objection::Creep)) => explain::creep(&facts),
        (Some(_), None, Some(Objection::MayBeCreep)) => explain::may_be_creep(&facts),
        (Some(decision), None, None) => explain::decided(&facts, decision),
        (None, ..) => explain::undecided(&facts, &course),
    };
    Growth {
        metric: curve.metric.clone(),
        axis: curve.axis,
        verdict,
        suspected: is_suspected
            && (objection == Some(Objection::TimeDriven) || !is_little(figures.per_unit, question, &ground)),
        decided_at: course.decision.filter(|_| !undecided).map(|decision| floors.cycles[decision.at - 1].cycle),
        per_op: figures.per_unit,
        window: figures.window,
        per_hour: figures.per_hour,
        baseline,
        last,
        highest: curve.points.iter().map(|point| point.value).reduce(f64::max).unwrap_or(0.0),
        sensitivity: figures.sensitivity,
        more_cycles,
        since: None,
        reason,
        floors: floors.cycles,
    }
}

/// The growth that a run can detect, at the end of one that decided nothing and suspects nothing, where nobody named a smaller
/// one that matters. It is never more than what comes to a small share of the level over the whole run.
fn detection_limit(
    curve: &Curve,
    question: &Question,
    series: &Series,
    course: &Course,
    figures: &Figures,
) -> Option<f64> {
    let is_open = course.decision.is_none() && !course.suspects() && !course.before_cap;
    let is_asked = question.demand == Demand::Usual && question.budget == Budget::Spent;
    let is_memory = curve.axis == Axis::Operations && curve.metric.unit() == Unit::Bytes;
    if !(is_open && is_asked && is_memory && series.cycles() >= CREEP_FROM) {
        return None;
    }
    let (_, values) = series.cycles_from(0);
    let most = MOST_OF_LEVEL * median(values)? / series.x.last()?;
    figures.sensitivity.map(|limit| limit.min(most)).filter(|limit| *limit > question.smallest)
}

/// How far the growth in time taken off may have been wrong, per unit of the axis.
#[derive(Debug, Default)]
struct Slack {
    /// The curve may grow by so much more, because too much was taken off.
    more: f64,
    /// It may grow by so much less.
    less: f64,
}

impl Slack {
    fn of(time_driven: Option<Estimate>, floors: &Floors) -> Self {
        let Some((rate, pace)) = time_driven.zip(pace_per_hour(&floors.cycles)) else { return Self::default() };
        let seconds_per_unit = 3600.0 / pace;
        Self {
            more: (rate.value - rate.low).max(0.0) * seconds_per_unit,
            less: (rate.high - rate.value).max(0.0) * seconds_per_unit,
        }
    }
}

/// What stands against a decision of growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Objection {
    /// The doubt about growth in time can explain it: it is not growth per operation.
    TimeDriven,
    /// It is surely less than twice the least that is growth.
    Creep,
    /// It may be less than the least that is growth, or even none.
    MayBeCreep,
}

fn objection(course: &Course, figures: &Figures, slack: &Slack, ground: &Ground) -> Option<Objection> {
    let decision = course.decision.as_ref().filter(|decision| decision.is_growth())?;
    let Some(growth) = figures.per_unit else { return Some(Objection::MayBeCreep) };
    if slack.less > 0.0 && growth.value <= slack.less {
        return Some(Objection::TimeDriven);
    }
    if growth.low > 0.0 && growth.low >= ground.least {
        return None;
    }
    let is_told = ground.least > 0.0 && decision.seen >= CREEP_FROM;
    Some(if is_told && growth.high < 2.0 * ground.least { Objection::Creep } else { Objection::MayBeCreep })
}

fn verdict(decision: Option<&Decision>, objection: Option<Objection>) -> Verdict {
    match (decision.map(|decision| decision.why), objection) {
        (None, _) | (_, Some(Objection::TimeDriven | Objection::MayBeCreep)) => Verdict::Inconclusive,
        (Some(Why::Rest(rest)), _) if rest.after_growth => Verdict::Bounded,
        (Some(Why::Rest(_)), _) | (_, Some(Objection::Creep)) => Verdict::Flat,
        (Some(_), None) => Verdict::Unbounded,
    }
}

/// A rise that nobody asks for is not suspected.
fn is_little(per_unit: Option<Estimate>, question: &Question, ground: &Ground) -> bool {
    let asked = match question.demand {
        Demand::Named => question.smallest,
        Demand::Usual | Demand::Part => ground.least,
    };
    per_unit.is_some_and(|growth| growth.value < asked)
}

/// The figures beside the verdict.
#[derive(Debug)]
pub(super) struct Figures {
    pub per_unit: Option<Estimate>,
    pub window: Option<Window>,
    pub per_hour: Option<Estimate>,
    pub sensitivity: Option<f64>,
    pub cycle_length: Option<f64>,
}

impl Figures {
    fn of(series: &Series, floors: &Floors, decision: Option<&Decision>, slack: &Slack, ground: &Ground) -> Self {
        let start = window(series, decision);
        let (x, y) = series.cycles_from(start);
        let rate = Rate::of(x, y, ground.quantum);
        let per_unit = match decision.map(|decision| decision.why) {
            Some(Why::Stairs(stair)) => Some(stair.per_unit).filter(Estimate::is_finite),
            Some(Why::Rising { .. } | Why::Events { .. }) => rate.map(|rate| rate.of_growth(ground.least)),
            Some(Why::Rest(_)) | None => rate.map(|rate| rate.figure),
        };
        let per_unit = per_unit.map(|growth| growth.widened(slack.less, slack.more));
        let judged = floors.cycles.get(start..).unwrap_or_default();
        let pace = pace_per_hour(judged);
        let cycle_length = cycle_length(&floors.cycles);
        Self {
            per_unit,
            window: judged.first().zip(judged.last()).map(|(first, last)| Window { first: *first, last: *last }),
            per_hour: per_unit.zip(pace).map(|(growth, pace)| growth.scaled(pace)),
            sensitivity: cycle_length.and_then(|length| sensitivity(x, y, length, series.cycles(), ground.quantum)),
            cycle_length,
        }
    }
}

/// The first cycle of the window that the figures are taken over: that of the decision.
fn window(series: &Series, decision: Option<&Decision>) -> usize {
    let share = |drop: f64| (series.cycles() as f64 * drop).floor() as usize;
    match decision.map(|decision| decision.why) {
        Some(Why::Rising { passed, .. }) => share(passed.drop),
        Some(Why::Stairs(_)) => 0,
        Some(Why::Rest(rest)) => rest.start.saturating_sub(series.warmup),
        Some(Why::Events { .. }) | None => share(DROP),
    }
}

/// How many more cycles would let a look decide, where that can be said.
fn more_cycles(series: &Series, course: &Course, question: &Question, figures: &Figures) -> Option<u32> {
    let done = u32::try_from(series.cycles()).ok()?;
    let now = series.x.last().copied().unwrap_or(0.0);
    let length = figures.cycle_length;
    // Cycles until the axis reaches a place.
    let until = |place: f64| length.map(|length| done as f64 + ((place - now) / length).max(0.0).ceil());
    let wanted = if course.before_cap {
        question.expect_cap.and_then(|cap| until(PAST_CAP * cap as f64))
    } else if course.failure == Failure::Creeps {
        Some(CREEP_FROM as f64)
    } else if let Some(cycles) = course.next_confirmation(series.cycles()) {
        Some(cycles as f64)
    } else if let Some(events) = course.events {
        Some((TIMES_CYCLES * events.floors) as f64)
    } else if let Some(stairs) = course.stairs {
        until(stairs.next_x)
    } else {
        match course.unrest {
            // Half of all operations is the least tail, and must be as long as the steps ask for.
            Unrest::RecentStep(needed) => until(2.0 * needed),
            // A bound shrinks at least as the run grows; the part by noise shrinks faster.
            Unrest::Loose(bound) if question.smallest > 0.0 => Some(f64::from(done) * bound / question.smallest),
            _ => Some(f64::from(done)),
        }
    }?;
    // The next look at the least, which is the first one where none was.
    let wanted = wanted.max(f64::from(done) + 1.0);
    // More cycles than any budget could hold are no answer.
    (wanted < 1e6).then(|| look_from(wanted as u32) - done)
}

#[cfg(test)]
mod tests;
