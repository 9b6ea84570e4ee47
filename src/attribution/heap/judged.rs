//! Stacks and owners of one scenario, judged.

use std::collections::BTreeMap;

use super::ground::{Ground, Stack};
use super::interval::{Live, grown};
use super::library::path as function_path;
use super::looks::{ALL, Looks};
use super::{HeapFinding, HeapFrame, HeapOwner, HeapStack, Place, remarks, retained, split};
use crate::attribution::findings::curve;
use crate::growth::{Axis, Budget, Collector, Demand, Estimate, Growth, Question, Verdict, judge};
use crate::recording::Passage;
use crate::sample::{HeapKind, Metric};
use crate::statistics::quantile::{median, normal_quantile};
use crate::units::Unit;

/// Owners that are judged and listed at most; what the others grew by is summed.
const MOST_OWNERS: usize = 12;
/// Stacks of an owner that are judged apart.
const MOST_JUDGED_STACKS: usize = 3;
/// What counts as an owner of growth: this share of what all live bytes grew by.
const LEAST_SHARE: f64 = 0.005;
/// The confidence of each end of an interval.
const END: f64 = 0.975;

/// What is known of a scenario before its heap is looked at.
pub struct Asked<'a> {
    /// The verdicts on everything else.
    pub growths: &'a [Growth],
    /// Growth in time that an idle scenario found.
    pub time_driven: &'a BTreeMap<Metric, Estimate>,
    /// Whether a collector decides when memory is given back.
    pub collector: Collector,
}

/// Whose live bytes grew in a scenario; none where the heap was not looked at.
pub fn finding(ground: &Ground<'_>, passage: &Passage<'_>, asked: &Asked<'_>) -> Option<HeapFinding> {
    let looks = Looks::of(passage, ground)?;
    let judge = Judge { looks: &looks, passage, asked };
    let all = looks.all(ground);
    let live = judge.of(ALL, &all);
    let mut stacks = stacks(ground, &looks);
    let mut owners = judge.owners(ground, &mut stacks);
    let private = private(passage, asked.growths, &looks);
    for owner in &mut owners {
        owner.share = private.filter(|grew| *grew > 0.0).map(|grew| owner.growth.scaled(1.0 / grew));
    }
    let (before, after) = looks.of_ends(&all);
    let growth = grown(live.growth(), before, after, looks.interval_bytes());
    let listed = owners.iter().filter(|owner| owner.kind == HeapKind::Block).map(|owner| owner.growth.value);
    let others = live.growth() - listed.sum::<f64>();
    let remarks = remarks::of(ground, passage, &looks);
    let mut finding = HeapFinding {
        owners,
        others,
        growth,
        private_growth: private,
        uncollected: 0.0,
        account: None,
        allocator: looks.ends().0.allocator.zip(looks.ends().1.allocator),
        stacks,
        modules: ground.modules(),
        processes: (looks.ends().0.processes, looks.ends().1.processes),
        looks: looks.len(),
        interval_bytes: looks.interval_bytes(),
        coverage: looks.last().map(|look| look.coverage).unwrap_or_default(),
        remarks,
        live,
    };
    finding.account = split::account(&finding, passage.records);
    finding.uncollected = retained::uncollected(&finding, remarks::is_injected(passage.records));
    Some(finding)
}

/// What private memory grew by since the look before the first operation; none where it was not judged. Where the sampler came
/// only later, what private memory had grown by until then is not part of it.
fn private(passage: &Passage<'_>, growths: &[Growth], looks: &Looks<'_>) -> Option<f64> {
    let growth = growths.iter().find(|growth| growth.metric == Metric::Private)?;
    let (began, phase) = looks.began();
    if phase.is_none() {
        return Some(growth.growth());
    }
    let points = curve(passage, &Metric::Private).points;
    let then = points.iter().take_while(|point| point.t <= began).last().map_or(growth.baseline, |point| point.value);
    Some(growth.growth() - (then - growth.baseline).max(0.0))
}

/// Every stack with live bytes before or after, most growth first.
fn stacks(ground: &Ground<'_>, looks: &Looks<'_>) -> Vec<HeapStack> {
    let mut ends = BTreeMap::<u32, [Live; 2]>::new();
    let (first, last) = looks.ends();
    for (end, look) in [first, last].into_iter().enumerate() {
        for live in &look.live {
            ends.entry(live.stack).or_default()[end].add(Live::of(live));
        }
    }
    let one = |(id, [before, after]): (u32, [Live; 2])| {
        let stack = ground.stack(id);
        let Stack { kind, frames, owner } = stack.as_ref();
        HeapStack {
            id,
            kind: *kind,
            frames: frames.clone(),
            owner: owner.name.clone(),
            owned_at: owner.at,
            before: before.footprint,
            after: after.footprint,
            growth: grown(after.footprint - before.footprint, before, after, looks.interval_bytes()),
            blocks: after.blocks,
            blocks_growth: after.blocks - before.blocks,
            samples: after.samples,
            verdict: Verdict::Inconclusive,
        }
    };
    let mut stacks: Vec<HeapStack> = ends.into_iter().map(one).collect();
    stacks.sort_by(|a, b| b.growth.value.total_cmp(&a.growth.value).then(a.id.cmp(&b.id)));
    stacks
}

struct Judge<'a> {
    looks: &'a Looks<'a>,
    passage: &'a Passage<'a>,
    asked: &'a Asked<'a>,
}

impl Judge<'_> {
    /// The owners of stacks that grew, judged, and their top stacks.
    fn owners(&self, ground: &Ground<'_>, stacks: &mut [HeapStack]) -> Vec<HeapOwner> {
        let mut sums = BTreeMap::<(String, HeapKind), (f64, Vec<usize>)>::new();
        for (index, stack) in stacks.iter().enumerate() {
            let (sum, list) = sums.entry((stack.owner.clone(), stack.kind)).or_default();
            *sum += stack.growth.value;
            list.push(index);
        }
        let grown: f64 = sums.values().map(|(sum, _)| sum.max(0.0)).sum();
        let mut sums: Vec<_> = sums.into_iter().filter(|(_, (sum, _))| *sum > LEAST_SHARE * grown).collect();
        sums.sort_by(|a, b| b.1.0.total_cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
        sums.truncate(MOST_OWNERS);
        let mut owners: Vec<HeapOwner> = sums
            .into_iter()
            .map(|((name, kind), (_, list))| {
                for &index in list.iter().take(MOST_JUDGED_STACKS) {
                    let values = self.looks.sums(|live| live.stack == stacks[index].id);
                    stacks[index].verdict = self.of(&format!("stack {}", stacks[index].id), &values).verdict;
                }
                self.owner(ground, name, kind, list, stacks)
            })
            .collect();
        owners.sort_by(|a, b| b.growth.value.total_cmp(&a.growth.value));
        owners
    }

    fn owner(
        &self,
        ground: &Ground<'_>,
        name: String,
        kind: HeapKind,
        list: Vec<usize>,
        stacks: &[HeapStack],
    ) -> HeapOwner {
        // A look may name stacks that the ends do not: they are the owner's all the same.
        let of_owner = |live: &crate::sample::HeapLive| {
            let stack = ground.stack(live.stack);
            stack.kind == kind && stack.owner.name == name
        };
        let values = self.looks.sums(of_owner);
        let judged = self.of(&super::metric_name(&name, kind), &values);
        let (before, after) = self.looks.of_ends(&values);
        let (function, place) = holder(&list, stacks);
        let by = list.first().map(|&index| ground.stack(stacks[index].id).owner.by).unwrap_or(super::OwnedBy::Function);
        HeapOwner {
            by,
            kind,
            function,
            place,
            growth: grown(judged.growth(), before, after, self.looks.interval_bytes()),
            samples: after.samples,
            share: None,
            judged,
            stacks: list,
            name,
        }
    }

    /// The judge's word on a curve of live bytes, with the doubt of sampling in what it can see and in its figures.
    fn of(&self, name: &str, values: &[Live]) -> Growth {
        let curve = self.looks.curve(name, values);
        let errors: Vec<f64> = values.iter().map(Live::error).collect();
        let question = Question {
            smallest: self.passage.plan.smallest.of(Unit::Bytes).max(visible(&curve, &errors)),
            demand: Demand::Part,
            time_driven: match self.looks.axis() {
                Axis::Operations => self.asked.time_driven.get(&curve.metric).copied(),
                Axis::Seconds => None,
            },
            expect_cap: self.passage.plan.expect_cap,
            collector: self.asked.collector,
            budget: Budget::Spent,
        };
        let mut growth = judge(&curve, &question);
        let error =
            |t: f64| curve.points.iter().zip(&errors).find(|(point, _)| point.t >= t).map_or(0.0, |(_, error)| *error);
        if let Some((window, per_op)) = growth.window.zip(growth.per_op) {
            let range = window.last.x - window.first.x;
            let reach = normal_quantile(END) * error(window.first.t).hypot(error(window.last.t)) / range;
            // It is not, without a range.
            if reach.is_finite() {
                let wide = Estimate {
                    value: per_op.value,
                    low: per_op.low.min(per_op.value - reach),
                    high: per_op.high.max(per_op.value + reach),
                };
                let pace = growth.per_hour.map(|hour| hour.value / per_op.value).filter(|pace| pace.is_finite());
                growth.per_op = Some(wide);
                growth.per_hour = pace.map(|pace| wide.scaled(pace)).or(growth.per_hour);
            }
        }
        growth
    }
}

/// The smallest growth per unit of the axis that stands out of the sampling of two looks, half of the axis apart: the shortest
/// stretch that can be called at rest.
fn visible(curve: &crate::growth::Curve, errors: &[f64]) -> f64 {
    let Some((first, last)) = curve.points.first().zip(curve.points.last()) else { return 0.0 };
    let half = (last.x - first.x) / 2.0;
    let typical = median(errors).unwrap_or(0.0);
    let least = normal_quantile(END) * std::f64::consts::SQRT_2 * typical / half;
    if least.is_finite() { least.max(0.0) } else { 0.0 }
}

/// The name of the function that holds a stack's blocks: for a closure, that of the function around it in the same file, where
/// that is next.
fn named(stack: &HeapStack) -> Option<&str> {
    const NEXT: usize = 4;
    let frame = stack.owned_frame()?;
    let is_closure = |frame: &&HeapFrame| {
        let path = function_path(&frame.function);
        path.rsplit("::").next().is_some_and(|last| last.starts_with('{'))
    };
    if !is_closure(&frame) || frame.file.is_none() {
        return Some(&frame.function);
    }
    let around = stack.frames.iter().skip(stack.owned_at + 1).take(NEXT);
    let around = around.filter(|outer| outer.file == frame.file).find(|outer| !is_closure(outer));
    Some(around.map_or(frame.function.as_str(), |outer| outer.function.as_str()))
}

/// The function that holds most of what an owner's stacks grew by, and where it is: at the line with the most of it.
fn holder(list: &[usize], stacks: &[HeapStack]) -> (String, Option<Place>) {
    let mut functions = BTreeMap::<&str, f64>::new();
    let mut places = BTreeMap::<(&str, Place), f64>::new();
    for stack in list.iter().map(|&index| &stacks[index]) {
        let (Some(frame), Some(holder)) = (stack.owned_frame(), named(stack)) else { continue };
        *functions.entry(holder).or_default() += stack.growth.value;
        if let Some(file) = &frame.file {
            let place = Place { file: file.clone(), line: frame.line };
            *places.entry((holder, place)).or_default() += stack.growth.value;
        }
    }
    let most = functions.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)));
    let Some((function, _)) = most else { return (String::new(), None) };
    let of_it = places.into_iter().filter(|((of, _), _)| *of == function);
    let place = of_it.max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(&a.0))).map(|((_, place), _)| place);
    (function.to_owned(), place)
}

#[cfg(test)]
mod tests;
