//! What the growth of private memory is made of: live blocks by owner, thread stacks, mappings of the program's own, what the
//! allocator retained, and a rest that nothing here explains.

use super::rules::endings;
use super::{Account, HeapFinding, HeapOwner, OTHERS, OwnedBy, Place, RETAINED, STACKS, short_function, short_place};
use crate::attribution::census::increments;
use crate::attribution::findings::ScenarioFinding;
use crate::attribution::owners::{Claim, Part, Standing, claimed};
use crate::growth::{Estimate, Growth, Verdict};
use crate::sample::{AllocatorFigures, Border, Detail, HeapKind, Mappings, Mark, Metric, Plan, Record};
use crate::units::show_bytes;

/// From this share of the growth on, the verdict on the whole says something about a part that has none of its own.
const MOST_OF_IT: f64 = 0.5;
/// And about the part that an allocator retained, where all live blocks together are known not to grow.
const A_TENTH: f64 = 0.1;

/// The account of a scenario; none where private memory was not judged or did not grow.
pub fn account(finding: &HeapFinding, records: &[Record]) -> Option<Account> {
    let whole = finding.private_growth.filter(|grew| *grew > 0.0)?;
    let mappings = mappings(records);
    let risen = |of: fn(&Mappings) -> u64| mappings.map(|(first, last)| of(&last) as f64 - of(&first) as f64);
    let live = finding.live.growth();
    let own: f64 = of_kind(finding, HeapKind::Mapping).map(|owner| owner.growth.value.max(0.0)).sum();
    let retainable = match finding.has_new_processes() {
        true => 0.0,
        false => retainable(finding, live).or(risen(|m| m.heap + m.anonymous)).unwrap_or(f64::INFINITY),
    };
    let stacks = risen(|m| m.stack).unwrap_or(0.0);
    Some(divide(whole, &Rises { live, stacks, own, anonymous: risen(|m| m.anonymous), retainable }))
}

/// What the parts of a growth are worked out from, in bytes.
struct Rises {
    /// Live blocks, as sampling estimates them.
    live: f64,
    /// Thread stacks.
    stacks: f64,
    /// Mappings that the program made itself, as sampling estimates them.
    own: f64,
    /// Anonymous mappings, where they were looked at.
    anonymous: Option<f64>,
    /// The most that the allocator can have retained.
    retainable: f64,
}

/// The parts of a growth, each no more than the ones before it leave.
fn divide(whole: f64, rises: &Rises) -> Account {
    let live = rises.live.min(whole);
    let mut left = whole - live;
    let mut take = |wanted: f64| {
        let taken = wanted.clamp(0.0, left);
        left -= taken;
        (taken, left)
    };
    let (stacks, _) = take(rises.stacks);
    let (mappings, unexplained) = take(rises.own.min(rises.anonymous.unwrap_or(rises.own)));
    // What the allocator says may be seconds old. Where it bears most of it out, the rest is its own by exclusion.
    let is_borne_out = rises.retainable >= MOST_OF_IT * unexplained;
    let (retained, rest) = take(if is_borne_out { unexplained } else { rises.retainable });
    let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 1.0 };
    let (live_scale, mappings_scale) = (share(live, rises.live), share(mappings, rises.own));
    Account { live, live_scale, stacks, mappings, mappings_scale, retained, rest }
}

/// How much the allocator can have retained, by what it says of itself: what is free in its arenas, or what these grew by
/// beyond the live blocks. It speaks at most once a second, so that the greater of both stands.
fn retainable(finding: &HeapFinding, live: f64) -> Option<f64> {
    let (before, after) = finding.allocator?;
    Some(can_retain(&before, &after, live))
}

fn can_retain(before: &AllocatorFigures, after: &AllocatorFigures, live: f64) -> f64 {
    let rise = |of: fn(&AllocatorFigures) -> u64| of(after) as f64 - of(before) as f64;
    let free = rise(|figures| figures.free_bytes);
    free.max(rise(|figures| figures.arena_bytes) + rise(|figures| figures.mapped_bytes) - live)
}

/// The first and the last closer look at the mappings, what is closed after the last cycle left out.
fn mappings(records: &[Record]) -> Option<(Mappings, Mappings)> {
    let judged =
        records.iter().take_while(|record| !matches!(record, Record::Mark(Mark { border: Border::Closing, .. })));
    let mut looks = judged.filter_map(|record| match record {
        Record::Detail(detail) => detail_mappings(detail),
        _ => None,
    });
    let first = looks.next()?;
    Some((first, looks.last().unwrap_or(first)))
}

fn detail_mappings(detail: &Detail) -> Option<Mappings> {
    detail.mappings.filter(|_| detail.is_of_one_moment())
}

fn of_kind(finding: &HeapFinding, kind: HeapKind) -> impl Iterator<Item = &HeapOwner> {
    finding.owners.iter().filter(move |owner| owner.kind == kind)
}

/// The parts of the growth of private memory that the heap's evidence explains. What is left of the growth is for others to own.
pub fn parts(plan: &Plan, finding: &ScenarioFinding, growth: &Growth, records: &[Record]) -> Vec<Part> {
    let Some((heap, account)) = finding.heap.as_ref().and_then(|heap| Some((heap, heap.account?))) else {
        return Vec::new();
    };
    let whole = growth.growth();
    if whole <= 0.0 {
        return Vec::new();
    }
    let held = match growth.verdict {
        Verdict::Retained => Verdict::Inconclusive,
        other => other,
    };
    let split = Split { plan, heap, account, whole, private: growth.verdict, held };
    let mut parts: Vec<Part> = split.live();
    parts.extend(split.stacks(finding, records));
    parts.extend(split.mappings());
    parts.extend(split.retained());
    together(parts)
}

struct Split<'a> {
    plan: &'a Plan,
    heap: &'a HeapFinding,
    account: Account,
    whole: f64,
    private: Verdict,
    /// What the verdict on private memory says of the parts that the program holds: that the allocator retains the rest says nothing.
    held: Verdict,
}

impl Split<'_> {
    fn live(&self) -> Vec<Part> {
        let scale = self.account.live_scale;
        // What sampling cannot tell from nothing is not held against anyone.
        let grew = |owner: &&HeapOwner| owner.growth.low > 0.0 || owner.judged.verdict == Verdict::Unbounded;
        // A function that runs when a process starts holds more in all of them together, and is no owner for that.
        let owns = |owner: &&HeapOwner| owner.by == OwnedBy::Rule || !self.heap.has_new_processes();
        let mut parts: Vec<Part> = of_kind(self.heap, HeapKind::Block)
            .filter(grew)
            .filter(owns)
            .map(|owner| self.part(owner, owner.growth.value * scale, ""))
            .collect();
        if let (Some(first), Some(scaled)) = (parts.first_mut(), self.scaled()) {
            first.evidence.push(scaled);
        }
        let others = self.account.live - parts.iter().map(|part| part.amount).sum::<f64>();
        if others.abs() > 1e-9 * self.whole && !self.heap.has_new_processes() {
            let sentence = "live heap of owners whose growth cannot be told from none, of small ones, and of stacks without a name";
            parts.push(Part { evidence: vec![sentence.to_owned()], ..Part::new(OTHERS, others, Standing::Remainder) });
        }
        parts
    }

    /// What to say where the estimates had to be scaled.
    fn scaled(&self) -> Option<String> {
        let scale = self.account.live_scale;
        (scale < 1.0).then(|| {
            format!(
                "live heap is estimated to have grown by {}, private memory by {}: scaled to it by {scale:.2}",
                show_bytes(self.heap.live.growth()),
                show_bytes(self.account.live)
            )
        })
    }

    fn part(&self, owner: &HeapOwner, amount: f64, what: &str) -> Part {
        let place = owner.place.as_ref().map(|place| format!(", {}", short_place(place))).unwrap_or_default();
        let Estimate { low, high, .. } = owner.growth;
        let sentence = format!(
            "{} of it is held by {}{place}{what}: {}, 95 % interval {} to {}",
            percent(amount / self.whole),
            short_function(&owner.function),
            samples(owner.samples),
            show_bytes(low),
            show_bytes(high)
        );
        let mut evidence = vec![sentence];
        if owner.judged.verdict == Verdict::Unbounded && self.private < Verdict::Inconclusive {
            evidence.push("its live heap grows without end; so far into memory that was free already".into());
        }
        Part {
            evidence,
            source: owner.place.as_ref().map(|place| self.source(owner, place)),
            doubt: relative_doubt(owner.growth),
            claim: match owner.by {
                OwnedBy::Rule | OwnedBy::Function => Claim::Sure,
                OwnedBy::Library => Claim::Weak,
            },
            ..Part::new(&owner.name, amount, Standing::As(self.verdict(owner, amount)))
        }
    }

    /// The place, as the scenario file writes its path where it does.
    fn source(&self, owner: &HeapOwner, place: &Place) -> String {
        let declared = self.plan.subsystem(&owner.name).and_then(|subsystem| subsystem.source.as_deref());
        let known = declared.filter(|source| endings(&place.file).any(|ending| ending == *source));
        known
            .map_or_else(|| place.to_string(), |source| Place { file: source.to_owned(), line: place.line }.to_string())
    }

    /// The owner's own verdict, as far as private memory bears it out. What sampling could not decide is what the whole is where
    /// it is most of it, or where nothing else is known to grow.
    fn verdict(&self, owner: &HeapOwner, amount: f64) -> Verdict {
        let share = amount / self.whole;
        let nobody = self.heap.owners.iter().all(|other| other.judged.verdict != Verdict::Unbounded);
        let bears = share >= MOST_OF_IT || (nobody && share >= A_TENTH && owner.growth.low > 0.0);
        match (owner.judged.verdict, owner.kind) {
            (Verdict::Inconclusive, _) if bears => self.held,
            // Address space that rests may become resident all the same.
            (Verdict::Flat | Verdict::Bounded, HeapKind::Mapping) if bears => self.held,
            (Verdict::Flat | Verdict::Bounded, HeapKind::Mapping) => self.held.min(Verdict::Inconclusive),
            (own, _) => own.min(self.held),
        }
    }

    fn stacks(&self, finding: &ScenarioFinding, records: &[Record]) -> Vec<Part> {
        let amount = self.account.stacks;
        if amount <= 0.0 {
            return Vec::new();
        }
        let changed = increments(&Metric::Threads, records);
        let count = |by: i64| by.max(0) as f64;
        let all: f64 = changed.iter().map(|increment| count(increment.by)).sum();
        let standing = match finding.growth(&Metric::Threads).map(|threads| threads.verdict) {
            Some(threads) => Standing::As(threads.min(self.held)),
            None => Standing::Remainder,
        };
        let mut parts = Vec::new();
        let mut left = amount;
        for (subsystem, threads) in claimed(self.plan, &Metric::Threads, &changed) {
            let new: f64 = threads.iter().map(|increment| count(increment.by)).sum();
            let share = (amount * new / all).min(left);
            left -= share;
            let sentence = format!("{} of it is the stacks of its {new} new threads", percent(share / self.whole));
            parts.push(Part { evidence: vec![sentence], ..Part::new(&subsystem.name, share, standing) });
        }
        if left > 0.0 {
            let sentence = "resident pages of thread stacks, by the kind of mapping".to_owned();
            parts.push(Part { evidence: vec![sentence], ..Part::new(STACKS, left, standing) });
        }
        parts
    }

    fn mappings(&self) -> Vec<Part> {
        let scale = self.account.mappings_scale;
        let mut parts: Vec<Part> = of_kind(self.heap, HeapKind::Mapping)
            .map(|owner| self.part(owner, owner.growth.value.max(0.0) * scale, " in mappings that it makes itself"))
            .filter(|part| part.amount > 0.0)
            .collect();
        if let Some(first) = parts.first_mut().filter(|_| scale < 1.0) {
            first.evidence.push("no more of its mappings than anonymous memory grew by is put here".into());
        }
        parts
    }

    fn retained(&self) -> Option<Part> {
        let amount = self.account.retained;
        if amount <= 0.0 {
            return None;
        }
        let mut evidence = vec![format!(
            "{} of it was freed by the program and not given back to the system, or lies between blocks in use; it is no leak",
            percent(amount / self.whole)
        )];
        let rests = is_at_rest(self.heap);
        if rests {
            evidence.push(format!("live heap is {}", self.heap.at_rest()));
        }
        let error = (self.heap.growth.high - self.heap.growth.low) / 2.0;
        if amount < error {
            evidence.push(format!("it is less than what sampling leaves open (± {})", show_bytes(error)));
        }
        evidence.push(match self.heap.allocator {
            Some((before, after)) => format!(
                "the allocator reports {} free in its arenas, {} before",
                show_bytes(after.free_bytes as f64),
                show_bytes(before.free_bytes as f64)
            ),
            None => "the allocator was not asked: it is what is in no live block, stack or mapping".into(),
        });
        let share = amount / self.whole;
        // Where the allocator was not asked, a large mapping or block that fills up looks the same.
        let told = self.heap.allocator.is_some();
        let standing = if rests && told && share >= A_TENTH { Standing::As(self.private) } else { Standing::Remainder };
        Some(Part { evidence, ..Part::new(RETAINED, amount, standing) })
    }
}

/// Whether all live blocks together are known not to grow, or to have grown by so little that they explain nothing of what private
/// memory grew by.
pub fn is_at_rest(heap: &HeapFinding) -> bool {
    let is_little = |grew: f64| heap.growth.high < A_TENTH * grew;
    matches!(heap.live.verdict, Verdict::Flat | Verdict::Bounded) || heap.private_growth.is_some_and(is_little)
}

/// Half of the interval as a share of the figure.
fn relative_doubt(growth: Estimate) -> f64 {
    let doubt = (growth.high - growth.low) / 2.0 / growth.value.abs();
    if doubt.is_finite() { doubt } else { 0.0 }
}

/// One part for each owner, in the order of their first.
fn together(parts: Vec<Part>) -> Vec<Part> {
    let mut whole: Vec<Part> = Vec::new();
    for part in parts {
        match whole.iter_mut().find(|known| known.owner == part.owner) {
            Some(known) => known.absorb(part),
            None => whole.push(part),
        }
    }
    whole
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn samples(count: u64) -> String {
    if count == 1 { "1 sample".into() } else { format!("{count} samples") }
}

#[cfg(test)]
mod tests;
