//! A curve over time, judged as a whole and at its end.
//!
//! Hours and days hold what cycles of load do not: a daily wave, restarts, and growth that begins late. Each is asked in turn,
//! and every answer is the rule of docs/statistics.md on a part of the curve:
//!
//! 1. a process that restarts is judged life by life ([`lives`]);
//! 2. a daily wave is taken off where it is seen on two days or more ([`rhythm`]);
//! 3. what is at rest must be so up to the last sample ([`quiet_end`]); else the stretch since the rise ([`onset`]) is judged
//!    by itself;
//! 4. what began with a fall for good is judged by itself too ([`regimes`]).

mod lives;
mod onset;
mod quiet_end;
mod regimes;
mod rhythm;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::lives::Lives;
use self::onset::{Piece, Rise};
use self::regimes::Fallen;
use super::judge::{Summary, judge_whole};
use super::{Budget, Curve, Growth, Point, Question, Verdict};
use crate::units::show_duration;

/// Fewest samples of a curve that is looked at in parts.
const FEWEST_POINTS: usize = 40;
/// The judged stretch after an onset has at least so many windows, of a few samples each.
const FEWEST_WINDOWS: u32 = 15;

/// Judges a curve over time. Nothing where it is none: operations are its axis, it has phases, or more can come.
pub(super) fn judge(curve: &Curve, question: &Question) -> Option<Growth> {
    if !curve.is_cut_by_time() || question.budget == Budget::Open || curve.points.len() < FEWEST_POINTS {
        return None;
    }
    let lives = lives::of(curve);
    if lives.len() > 1 {
        let judged = |life: &Vec<Point>| judge_life(&whole_life(curve, life.clone()), question);
        return Some(Lives::judge(lives.iter().map(judged).collect(), &lives, judge_whole(curve, question)));
    }
    Some(judge_life(curve, question))
}

/// One life: from a start of the process to its end.
fn judge_life(curve: &Curve, question: &Question) -> Growth {
    let without = rhythm::taken_off(&curve.points).map(|points| Curve { points, ..curve.clone() });
    let curve = without.as_ref().unwrap_or(curve);
    let mut growth = judge_whole(curve, question);
    let summary = Summary::of(curve, question);
    let pieces = onset::pieces(&curve.points);
    let late = match growth.verdict {
        Verdict::Unbounded | Verdict::Retained => None,
        Verdict::Flat | Verdict::Bounded => quiet_end::rise(&pieces, &summary),
        Verdict::Inconclusive => Some(0.0),
    };
    if let Some(rise) = late {
        let end = End { pieces: &pieces, summary: &summary, rise };
        end.judge(curve, question, &mut growth);
    }
    if growth.verdict != Verdict::Unbounded
        && let Some(fallen) = regimes::last_fall(&pieces, &summary)
    {
        judge_since_fall(curve, question, &fallen, &mut growth);
    }
    if without.is_some() {
        growth.reason += "; a daily wave was taken off first";
    }
    growth
}

/// Judges what began with a fall for good, and takes its verdict where it grows, or may.
fn judge_since_fall(curve: &Curve, question: &Question, fallen: &Fallen, growth: &mut Growth) {
    let stretch = part(curve, curve.points[fallen.first..].to_vec());
    if !is_long(&stretch) {
        return;
    }
    let judged = judge_whole(&stretch, question);
    let unit = judged.metric.unit();
    let levels: Vec<String> =
        fallen.before.iter().map(|(level, t)| format!("{} until {}", unit.show(*level), moment(curve, *t))).collect();
    let told = format!(
        "{}, when it fell by {} (before: {})",
        moment(curve, fallen.t),
        unit.show(fallen.height),
        levels.join(", ")
    );
    if judged.verdict == Verdict::Unbounded {
        grows_since(growth, judged, fallen.t, &told);
    } else if judged.suspected && !growth.suspected {
        reopen(growth, format!("rises since {told}: {}", judged.reason));
        (growth.suspected, growth.since) = (true, Some(fallen.t));
    }
}

/// Takes the verdict on a stretch for that on the curve, whose floors are still shown.
fn grows_since(growth: &mut Growth, judged: Growth, t: f64, since: &str) {
    let reason = format!("grows without end since {since}: {}", judged.reason);
    let (baseline, floors) = (growth.baseline, std::mem::take(&mut growth.floors));
    *growth = Growth { baseline, reason, since: Some(t), floors, ..judged };
}

/// Whether a stretch is long enough to be judged by itself.
fn is_long(stretch: &Curve) -> bool {
    stretch.points.last().is_some_and(|point| point.cycle >= FEWEST_WINDOWS)
}

/// The end of a curve that is not quiet, or that is not decided as a whole.
struct End<'a> {
    pieces: &'a [Piece],
    summary: &'a Summary,
    /// How far it lies above the rest.
    rise: f64,
}

impl End<'_> {
    /// Judges the stretch since the last change.
    fn judge(&self, curve: &Curve, question: &Question, growth: &mut Growth) {
        let was_at_rest = growth.verdict != Verdict::Inconclusive;
        let found = onset::of(&curve.points, self.pieces, self.summary);
        let Some(onset) = found else {
            if was_at_rest {
                reopen(
                    growth,
                    format!("its end lies {} above the rest of the curve", self.summary.unit.show(self.rise)),
                );
            }
            return;
        };
        let stretch = part(curve, curve.points[onset.first..].to_vec());
        let since = moment(curve, onset.t);
        let judged = judge_whole(&stretch, question);
        if is_long(&stretch)
            && onset.is_new_high
            && onset.is_steeper
            && judged.verdict == Verdict::Unbounded
            && onset.rise == Rise::Ramp
        {
            return grows_since(growth, judged, onset.t, &since);
        }
        let is_half =
            2.0 * (stretch.points.last().map_or(0.0, |last| last.x)) >= curve.points.last().map_or(0.0, |last| last.x);
        if is_half && onset.rise == Rise::Jump && is_rest(judged.verdict) && !was_at_rest {
            let height = self.summary.unit.show(onset.height);
            let reason = format!("rose by {height} at {since}, and is at rest since: {}", judged.reason);
            *growth = Growth {
                verdict: Verdict::Bounded,
                reason,
                since: Some(onset.t),
                suspected: false,
                more_cycles: None,
                decided_at: judged.decided_at,
                ..growth.clone()
            };
            return;
        }
        let height = self.summary.unit.show(onset.height);
        match onset.rise {
            Rise::Jump if was_at_rest || !growth.suspected => {
                let told = format!(
                    "rose by {height} at {since} and did not fall back: watch on to see whether it stays there"
                );
                if was_at_rest {
                    reopen(growth, told);
                } else {
                    growth.reason = format!("{told}; {}", growth.reason);
                }
                growth.since = Some(onset.t);
            }
            Rise::Ramp if was_at_rest => {
                let next = if is_long(&stretch) {
                    "watch on to see whether it goes on"
                } else {
                    "too short a stretch to judge"
                };
                reopen(growth, format!("rises since {since}, by {height} so far: {next}"));
                (growth.suspected, growth.since) = (true, Some(onset.t));
            }
            Rise::Jump | Rise::Ramp => {}
        }
    }
}

fn is_rest(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Flat | Verdict::Bounded)
}

/// Takes back that a curve is at rest.
fn reopen(growth: &mut Growth, reason: String) {
    growth.verdict = Verdict::Inconclusive;
    (growth.decided_at, growth.more_cycles) = (None, None);
    growth.reason = reason;
}

/// A moment of a curve, from its begin, as a person names it.
fn moment(curve: &Curve, t: f64) -> String {
    let began = curve.points.first().map_or(0.0, |point| point.t);
    format!("{} after the first sample", show_duration(Duration::from_secs_f64((t - began).max(0.0))))
}

/// A life as a curve of its own: in windows of time like every curve, or in shorter ones where it lasts only seconds.
fn whole_life(curve: &Curve, points: Vec<Point>) -> Curve {
    let mut life = part(curve, points);
    let short = life.points.last().map_or(0, |point| point.cycle);
    let mut timed = life.clone();
    timed.cut_into_windows();
    if timed.points.last().is_some_and(|point| point.cycle >= short) {
        life = timed;
    }
    life
}

/// A part of a curve as a curve of its own.
fn part(curve: &Curve, points: Vec<Point>) -> Curve {
    let mut part = Curve { metric: curve.metric.clone(), axis: curve.axis, points, restarts: None };
    let began = part.points.first().map_or(0.0, |point| point.t);
    part.points.iter_mut().for_each(|point| point.x = point.t - began);
    part.cut_into_short_windows();
    part
}
