//! The lives of a process that restarts.
//!
//! A new life begins where the value falls to its starting level, by more than half its range, at once; where the processes of the tree
//! were watched, one of them must have ended or begun at that time. A collector and a
//! buffer that is used again fall too: many times, or not to the level that the process started with. Lives are judged one
//! by one and never put together: put together, every cache that fills becomes a line.

use super::super::looks::quantum;
use super::super::{Curve, Growth, Point, Verdict};
use super::is_rest;
use crate::statistics::mann_kendall::rising_chance;
use crate::statistics::quantile::{median, sigma_by_mad};
use crate::units::show_count;

/// A fall that begins a life is at least this share of the range ...
const FALL: f64 = 0.5;
/// ... and ends within this share of it above the starting level.
const ABOVE_START: f64 = 0.1;
/// The last quarter of a life lies this share of the range above its lowest value, in the middle.
const HIGH_BEFORE: f64 = 0.3;
/// And at least so many steps of the metric: what a curve must grow by before that can be told from one step.
const LEAST_STEPS: f64 = 8.0;
/// Ends and begins of processes are noticed within so many distances of two samples, or within so many seconds: the tree is looked
/// over once a second, more rarely where the budget asks for it.
const TIMES_APART: f64 = 2.0;
const LEAST_SLACK_S: f64 = 2.0;
/// The first samples, whose median is the starting level.
const FIRST_SAMPLES: usize = 5;
/// Fewest samples of a life.
const FEWEST_SAMPLES: usize = 20;
/// More falls than this are a collector's.
const MOST_LIVES: usize = 24;
/// How many of the last lives vote, and how long they must be beside the longest.
const VOTERS: usize = 6;
const LEAST_LENGTH: f64 = 0.5;
/// Fewest ended lives whose highest values show that they do not rise, and the chance below which they do.
const FEWEST_PEAKS: usize = 4;
const RISING_CHANCE: f64 = 0.05;
/// Lives that must leak: a single one may have been fixed by the restart after it.
const FEWEST_LEAKING: usize = 2;

/// A latest life that leaks is the verdict where it lasts so many times as long as any before: those say nothing of its end.
const OUTLIVES: f64 = 1.2;

/// The lives of a curve, each from its first sample to its last; one where it did not restart.
pub(super) fn of(curve: &Curve) -> Vec<Vec<Point>> {
    let points = curve.points.as_slice();
    let mut falls = falls(points, LEAST_STEPS * quantum(curve.metric.unit()));
    if let Some(restarts) = &curve.restarts {
        falls.retain(|fall| is_near(restarts, points[*fall - 1].t, points[*fall].t));
    }
    let mut borders = vec![0];
    borders.extend(falls);
    borders.push(points.len());
    let lives: Vec<Vec<Point>> = borders.windows(2).map(|pair| points[pair[0]..pair[1]].to_vec()).collect();
    let long = lives.iter().filter(|life| life.len() >= FEWEST_SAMPLES).count();
    // The last life may have just begun, and the first be cut off.
    if lives.len() > MOST_LIVES || long < 2 || long + 2 < lives.len() { vec![points.to_vec()] } else { lives }
}

/// Whether a process began or ended between two samples, or soon before or after: the tree is looked over more rarely.
fn is_near(restarts: &[f64], before: f64, after: f64) -> bool {
    let slack = (TIMES_APART * (after - before)).max(LEAST_SLACK_S);
    restarts.iter().any(|at| (before - slack..=after + slack).contains(at))
}

/// The first samples after falls to the starting level, each by so much at least.
fn falls(points: &[Point], least: f64) -> Vec<usize> {
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    let range = high - low;
    // A life grows until its end; what falls back from a spike was at its level before.
    let was_high = |from: usize, end: usize| {
        let last = &values[end - ((end - from) / 4).max(1)..end];
        median(last).is_some_and(|level| level - low > HIGH_BEFORE * range)
    };
    let differences: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let noise = sigma_by_mad(&differences).unwrap_or(0.0);
    let Some(start) = median(&values[..FIRST_SAMPLES.min(values.len())]) else { return Vec::new() };
    let ends_at = start + (ABOVE_START * range).max(2.0 * noise);
    let is_fall = |i: &usize| values[*i - 1] - values[*i] > (FALL * range).max(least) && values[*i] <= ends_at;
    let mut found = Vec::new();
    for fall in (1..values.len()).filter(is_fall) {
        if was_high(found.last().copied().unwrap_or(0), fall) {
            found.push(fall);
        }
    }
    found
}

/// The verdicts on the lives of a curve.
pub(super) struct Lives;

impl Lives {
    /// Puts the verdicts on single lives together: the last ones that are long enough vote. `whole` is the verdict on the
    /// curve as it is, whose floors and figures stand where the lives do not agree.
    pub(super) fn judge(judged: Vec<Growth>, lives: &[Vec<Point>], whole: Growth) -> Growth {
        let length = |life: &Vec<Point>| life.last().zip(life.first()).map_or(0.0, |(last, first)| last.t - first.t);
        let longest = lives.iter().map(length).fold(0.0, f64::max);
        let voters: Vec<Growth> = judged
            .into_iter()
            .zip(lives)
            .filter(|(_, life)| length(life) >= LEAST_LENGTH * longest && life.len() >= FEWEST_SAMPLES)
            .map(|(growth, _)| growth)
            .rev()
            .take(VOTERS)
            .collect();
        let with = |verdict: Verdict| voters.iter().filter(|growth| growth.verdict == verdict).count();
        let (leaks, flat, bounded) = (with(Verdict::Unbounded), with(Verdict::Flat), with(Verdict::Bounded));
        let told = format!("started again {} time(s)", show_count((lives.len() - 1) as f64));
        let latest = voters.first().cloned().unwrap_or_else(|| whole.clone());
        let of_all = voters.len();
        if leaks >= FEWEST_LEAKING && 2 * leaks > of_all && !is_rest(latest.verdict) {
            let rates: Vec<f64> = voters.iter().filter_map(|growth| Some(growth.per_hour?.value)).collect();
            if let Some(leaking) = voters.iter().find(|growth| growth.verdict == Verdict::Unbounded).cloned() {
                let unit = leaking.metric.unit();
                let rate = median(&rates).map_or_else(String::new, |rate| format!(" {} an hour", unit.show(rate)));
                let reason = format!(
                    "grows{rate} within {leaks} of the last {of_all} lives, and restarts hide it ({told}); the latest: {}",
                    leaking.reason
                );
                return Growth { reason, highest: whole.highest, ..leaking };
            }
        }
        let of_latest = lives.last().filter(|life| life.len() >= FEWEST_SAMPLES).map_or(0.0, length);
        let earlier = lives[..lives.len() - 1].iter().map(length).fold(0.0, f64::max);
        if latest.verdict == Verdict::Unbounded && of_latest >= OUTLIVES * earlier {
            let reason =
                format!("grows since it was started anew ({told}), longer than any life before: {}", latest.reason);
            let since = lives.last().and_then(|life| Some(life.first()?.t));
            return Growth { reason, since, highest: whole.highest, ..latest };
        }
        let is_latest = of_latest >= LEAST_LENGTH * longest && of_latest > 0.0;
        let rested = flat + bounded;
        let (verdict, reason) = if is_latest && is_rest(latest.verdict) && 2 * leaks <= of_all {
            let grew = if leaks > 0 { "; earlier lives grew" } else { "" };
            let told = format!("the latest of {} lives is at rest ({told}{grew}): {}", lives.len(), latest.reason);
            (if leaks > 0 { Verdict::Bounded } else { latest.verdict }, told)
        } else if 2 * rested > of_all && leaks == 0 && latest.since.is_none() {
            (
                if bounded > 0 { Verdict::Bounded } else { Verdict::Flat },
                format!("at rest within {rested} of the last {of_all} lives ({told})"),
            )
        } else if leaks == 0
            && latest.since.is_none()
            && !voters.iter().any(|growth| growth.suspected)
            && peaks_hold(lives)
        {
            let told = format!(
                "{told}: no life is seen to grow without end, and none of the later ones rose higher than those before"
            );
            (Verdict::Bounded, told)
        } else {
            (Verdict::Inconclusive, format!("{told}, and its last lives do not decide; the latest: {}", latest.reason))
        };
        let suspected = verdict == Verdict::Inconclusive && (leaks > 0 || voters.iter().any(|growth| growth.suspected));
        Growth { verdict, reason, suspected, more_cycles: None, highest: whole.highest, ..latest }
    }
}

/// Whether the highest values of many lives do not rise from life to life.
fn peaks_hold(lives: &[Vec<Point>]) -> bool {
    let highest = |life: &Vec<Point>| life.iter().map(|point| point.value).fold(f64::NEG_INFINITY, f64::max);
    // The last life has not ended.
    let peaks: Vec<f64> = lives[..lives.len() - 1].iter().map(highest).collect();
    if peaks.len() < FEWEST_PEAKS {
        return false;
    }
    let (early, late) = peaks.split_at(peaks.len() / 2);
    rising_chance(&peaks) > RISING_CHANCE && median(late) <= early.iter().copied().reduce(f64::max)
}

#[cfg(test)]
mod tests;
