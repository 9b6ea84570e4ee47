//! Pools of worker processes that are replaced again and again, as by gunicorn's `max_requests`.
//!
//! What the tree holds goes up and down with the ages of its workers, and no curve of that sum tells whether it goes on. Closer
//! looks weigh every process: it is bounded if the processes that stay are at rest, and the workers that end later hold no more
//! at their end than those before.

use std::collections::{HashMap, HashSet};

use crate::growth::{Axis, Curve, Growth, Point, Question, Verdict, judge};
use crate::recording::Passage;
use crate::sample::{Detail, Event, Metric, Phase, Process, Record, ScenarioPlan, Shape};
use crate::statistics::mann_kendall::rising_chance;
use crate::statistics::quantile::median;
use crate::units::{Unit, show_count};

/// So many times must all workers have been replaced, and at least so many weighed before their end: four pairs of an earlier and a
/// later one.
const ROUNDS: usize = 4;
const FEWEST_WEIGHED: usize = 8;
/// Below this chance the weights of those that end rise.
const RISING_CHANCE: f64 = 0.05;
/// A worker that lives so many times as long as any that ended is not replaced any more.
const OUTLIVES: f64 = 1.2;

/// What closer looks tell of the processes of a scenario.
pub(super) struct Pool<'a> {
    looks: Vec<&'a Detail>,
    /// When processes of the tree ended, in seconds.
    ended: HashMap<Process, f64>,
    /// Those that were there at the first look and at the last.
    stays: HashSet<Process>,
}

impl<'a> Pool<'a> {
    /// The processes of a scenario; none where no two looks weighed them.
    pub(super) fn of(passage: &Passage<'a>) -> Option<Self> {
        let looks = passage.records.iter().filter_map(|record| match record {
            Record::Detail(detail) if !detail.per_process.is_empty() => Some(&**detail),
            _ => None,
        });
        let looks: Vec<&Detail> = looks.collect();
        let [first, .., last] = looks.as_slice() else { return None };
        let of = |look: &Detail| look.per_process.iter().map(|one| one.process).collect::<HashSet<Process>>();
        let stays = of(first).intersection(&of(last)).copied().collect();
        let ended = passage.records.iter().filter_map(|record| match record {
            Record::Event { at, event: Event::Vanished { process } } => Some((*process, at.seconds())),
            _ => None,
        });
        Some(Self { looks, ended: ended.collect(), stays })
    }

    /// Why their replacement bounds what they hold; none where it does not.
    pub(super) fn bounds(&self, plan: &ScenarioPlan) -> Option<String> {
        let seen = self.seen();
        let (weights, longest) = self.workers_that_ended(&seen);
        let (early, late) = weights.split_at(weights.len() / 2);
        let heaviest = early.iter().copied().reduce(f64::max)?;
        let numbers: Vec<usize> = self.looks.iter().map(|look| self.workers(look).count()).collect();
        let (before, after) = numbers.split_at(numbers.len() / 2);
        let most = before.iter().max()?;
        let is_pool = weights.len() >= FEWEST_WEIGHED.max(ROUNDS * most) && after.iter().max()? <= most;
        let holds = rising_chance(&weights) > RISING_CHANCE && median(late)? <= heaviest;
        if !is_pool || !holds || self.outlives(&seen, longest) {
            return None;
        }
        let stays = self.judge_what_stays(plan)?;
        let is_at_rest = matches!(stays.verdict, Verdict::Flat | Verdict::Bounded);
        is_at_rest.then(|| {
            format!(
                "bounded by the replacement of processes: {} ended, and the later ones held no more at their end than those before, \
                 up to {}; the {} stayed: {}",
                show_count(self.ended.len() as f64),
                Unit::Bytes.show(heaviest),
                if self.stays.len() == 1 { "process that".into() } else { format!("{} that", self.stays.len()) },
                stays.reason
            )
        })
    }

    /// The processes of a look that come and go.
    fn workers(&self, look: &'a Detail) -> impl Iterator<Item = (Process, f64)> {
        let all = look.per_process.iter().map(|one| (one.process, one.private as f64));
        all.filter(|(process, _)| !self.stays.contains(process))
    }

    /// When each worker was first seen, in seconds, and what it weighed at its last look.
    fn seen(&self) -> HashMap<Process, (f64, f64)> {
        let mut seen = HashMap::new();
        for look in &self.looks {
            for (process, private) in self.workers(look) {
                seen.entry(process).or_insert((look.at.seconds(), private)).1 = private;
            }
        }
        seen
    }

    /// What each worker weighed at the last look before its end, in the order of their ends; and how long the longest was there for
    /// the looks, in seconds.
    fn workers_that_ended(&self, seen: &HashMap<Process, (f64, f64)>) -> (Vec<f64>, f64) {
        let ends = seen.iter().filter_map(|(process, (first, private))| {
            let end = self.ended.get(process)?;
            Some((*end, end - first, *private))
        });
        let mut ends: Vec<(f64, f64, f64)> = ends.collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.total_cmp(&b.2)));
        let longest = ends.iter().map(|(_, life, _)| *life).fold(0.0, f64::max);
        (ends.iter().map(|(.., private)| *private).collect(), longest)
    }

    /// Whether a worker of the last look has been there for longer than those that ended.
    fn outlives(&self, seen: &HashMap<Process, (f64, f64)>, longest: f64) -> bool {
        let Some(last) = self.looks.last() else { return false };
        let age = |process| seen.get(&process).map_or(0.0, |(first, _)| last.at.seconds() - first);
        self.workers(last).any(|(process, _)| age(process) > OUTLIVES * longest)
    }

    /// The verdict on what the processes hold together that stay; none where they do not.
    fn judge_what_stays(&self, plan: &ScenarioPlan) -> Option<Growth> {
        let begin = self.looks.first()?.at.seconds();
        let point = |look: &&Detail| {
            let stays = look.per_process.iter().filter(|one| self.stays.contains(&one.process));
            let value = stays.map(|one| one.private as f64).sum();
            let t = look.at.seconds();
            Point { t, x: t - begin, value, cycle: 0, phase: Some(Phase::Load) }
        };
        let points = self.looks.iter().map(point).collect();
        let mut curve = Curve { metric: Metric::Private, axis: Axis::Seconds, points, restarts: None };
        curve.cut_into_windows();
        // What a plan names is per operation, unless it watches.
        let question = match plan.shape {
            Shape::Watch => Question::of(plan, &curve, curve.reach()),
            _ => Question::about(&curve, None),
        };
        (!self.stays.is_empty()).then(|| judge(&curve, &question))
    }
}

/// Memory that is not decided is bounded where the replacement of workers bounds it.
pub(super) fn mark_bounded(growths: &mut [Growth], passage: &Passage<'_>) {
    let is_open = |growth: &&mut Growth| {
        let is_memory = matches!(growth.metric, Metric::Private | Metric::Peak | Metric::Rss);
        is_memory && growth.verdict == Verdict::Inconclusive
    };
    let mut open = growths.iter_mut().filter(is_open).peekable();
    if open.peek().is_none() {
        return;
    }
    let Some(why) = Pool::of(passage).and_then(|pool| pool.bounds(passage.plan)) else { return };
    for growth in open {
        (growth.verdict, growth.suspected, growth.more_cycles) = (Verdict::Bounded, false, None);
        growth.reason = format!("{why}; the sum: {}", growth.reason);
    }
}

#[cfg(test)]
mod tests;
