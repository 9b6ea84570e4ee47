//! Who owns an increment: the first of heap evidence, a descriptor or task pattern, the single growing gauge, the scenario's
//! subsystem, and at last nobody.

use super::census::{Increment, increments};
use super::findings::ScenarioFinding;
use super::gauges::{GaugeLink, links};
use super::heap;
use super::ledger::{Items, UNATTRIBUTED};
use super::patterns::{Pattern, fits_descriptor};
use crate::growth::{Axis, Growth, Verdict};
use crate::sample::{Metric, Plan, Record, Subsystem};

/// A part of a scenario's growth in one metric, with its owner.
pub struct Part {
    pub owner: String,
    pub amount: f64,
    pub items: Option<Items>,
    pub evidence: Vec<String>,
    pub standing: Standing,
    /// Where its code is, where that was seen.
    pub source: Option<String>,
    /// How unsure the amount is, as a share of it.
    pub doubt: f64,
    /// Whether anyone else could own it.
    pub claim: Claim,
}

/// How well an owner is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is.
    Sure,
    /// Only the language's own code was seen: whoever is known by a gauge or the scenario has it.
    Weak,
}

/// What is known of a part's own verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is what the whole is, where it is a tenth of it.
    AsTheWhole,
    /// It was judged apart.
    As(Verdict),
    /// It is what others left over: what the whole is only where it is most of it.
    Remainder,
}

impl Part {
    /// A part that only its owner and its amount are known of.
    pub fn new(owner: &str, amount: f64, standing: Standing) -> Self {
        Self {
            owner: owner.to_owned(),
            amount,
            items: None,
            evidence: Vec::new(),
            standing,
            source: None,
            doubt: 0.0,
            claim: Claim::Sure,
        }
    }

    /// Takes in another part of the same owner.
    pub fn absorb(&mut self, other: Self) {
        let lead = self.amount.abs() >= other.amount.abs();
        if !lead {
            self.source = other.source.or(self.source.take());
            (self.standing, self.doubt) = (other.standing, other.doubt);
        }
        self.amount += other.amount;
        self.items = self.items.take().or(other.items);
        for sentence in other.evidence {
            if !self.evidence.contains(&sentence) {
                self.evidence.push(sentence);
            }
        }
    }

    /// What the verdict on the whole, or its own, says of it.
    pub fn verdict(&self, whole: f64, of_whole: Verdict) -> Verdict {
        let share = match self.standing {
            Standing::As(verdict) => return verdict,
            // A tenth of the growth at least, else the verdict on the whole says little about the part.
            Standing::AsTheWhole => 0.1,
            Standing::Remainder => 0.5,
        };
        if self.amount.abs() >= share * whole.abs() { of_whole } else { Verdict::Inconclusive }
    }
}

/// Splits a scenario's growth in one metric among its owners; the parts sum to it.
pub fn parts(plan: &Plan, finding: &ScenarioFinding, growth: &Growth, records: &[Record]) -> Vec<Part> {
    let whole = growth.growth();
    let changed = increments(&growth.metric, records);
    let mut parts = match growth.metric {
        Metric::Private => by_heap(plan, finding, growth, records),
        Metric::Peak => by_private(plan, finding, whole, records).into_iter().collect(),
        _ => by_pattern(plan, growth, whole, &changed),
    };
    let rest = whole - parts.iter().map(|part| part.amount).sum::<f64>();
    // Growth on the whole while a part shrank, or the reverse, leaves a rest too: nothing is rounded away.
    if rest.abs() > 1e-9 * whole.abs() || parts.is_empty() {
        let mut part = by_gauge_or_scenario(plan, finding, growth, rest, &changed);
        if !parts.is_empty() && growth.metric == Metric::Private {
            part.standing = Standing::Remainder;
            part.evidence.insert(0, format!("{} of it is in nothing that was seen", growth.metric.unit().show(rest)));
        }
        match parts.iter_mut().find(|known| known.owner == part.owner) {
            Some(known) => known.absorb(part),
            None => parts.push(part),
        }
    }
    parts
}

/// The owner of most of what private memory grew by without end has the peak too, where nothing else is known of it: what is retained
/// lifts every peak after it.
fn by_private(plan: &Plan, finding: &ScenarioFinding, whole: f64, records: &[Record]) -> Option<Part> {
    let private = finding.growth(&Metric::Private).filter(|private| private.goes_on())?;
    if finding.plan.subsystem.is_some() || whole <= 0.0 {
        return None;
    }
    let grew = private.growth();
    let most = by_heap(plan, finding, private, records).into_iter().find(|part| part.amount > 0.5 * grew)?;
    let evidence = vec!["it rose with private memory, most of which is its".to_owned()];
    Some(Part { evidence, source: most.source, ..Part::new(&most.owner, whole, Standing::AsTheWhole) })
}

/// The parts that were seen on the heap, with what the owners' gauges say of them.
fn by_heap(plan: &Plan, finding: &ScenarioFinding, growth: &Growth, records: &[Record]) -> Vec<Part> {
    let parts = heap::parts(plan, finding, growth, records);
    if parts.is_empty() {
        return parts;
    }
    let linked = links(plan, finding, growth);
    let (weak, mut parts): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| part.claim == Claim::Weak);
    for part in weak {
        let known = owner(&linked, finding.plan.subsystem.as_deref());
        let part = match known.as_str() {
            UNATTRIBUTED => part,
            _ => Part { owner: known, source: None, ..part },
        };
        match parts.iter_mut().find(|other| other.owner == part.owner) {
            Some(other) => other.absorb(part),
            None => parts.push(part),
        }
    }
    for part in &mut parts {
        let own: Vec<GaugeLink> = linked.iter().filter(|link| link.subsystem == part.owner).cloned().collect();
        part.evidence.extend(own.iter().map(gauge_sentence(growth)));
        if let [link] = own.as_slice() {
            part.items = Some(Items { of: link.gauge.clone(), count: link.growth, each: link.per_item });
        }
    }
    parts
}

fn by_pattern(plan: &Plan, growth: &Growth, whole: f64, changed: &[Increment]) -> Vec<Part> {
    if whole <= 0.0 {
        return Vec::new();
    }
    let claimed = claimed(plan, &growth.metric, changed);
    let sum = |list: &[&Increment]| list.iter().map(|increment| increment.by as f64).sum::<f64>();
    let all: f64 = claimed.iter().map(|(_, list)| sum(list)).sum();
    // A census is taken at another moment than a floor: what it claims is cut to what was measured.
    let cut = if all > whole { whole / all } else { 1.0 };
    claimed
        .into_iter()
        .map(|(subsystem, list)| Part {
            evidence: vec![format!("its pattern: {}", named(list.iter().copied()))],
            ..Part::new(&subsystem.name, sum(&list) * cut, Standing::AsTheWhole)
        })
        .collect()
}

/// What the patterns of subsystems claim of what there is more of, each increment once.
pub fn claimed<'a>(
    plan: &'a Plan,
    metric: &Metric,
    changed: &'a [Increment],
) -> Vec<(&'a Subsystem, Vec<&'a Increment>)> {
    let mut claimed: Vec<(&Subsystem, Vec<&Increment>)> = Vec::new();
    for increment in changed.iter().filter(|increment| increment.by > 0) {
        let owner = plan.subsystems.iter().find(|subsystem| owns(subsystem, metric, &increment.name));
        if let Some(owner) = owner {
            match claimed.iter_mut().find(|(subsystem, _)| subsystem.name == owner.name) {
                Some((_, list)) => list.push(increment),
                None => claimed.push((owner, vec![increment])),
            }
        }
    }
    claimed
}

fn owns(subsystem: &Subsystem, metric: &Metric, name: &str) -> bool {
    match metric {
        Metric::Fds => subsystem.owns.fds.iter().any(|rule| fits_descriptor(rule, name)),
        Metric::Threads | Metric::Children | Metric::Zombies | Metric::Orphans => {
            subsystem.owns.tasks.iter().any(|rule| Pattern::new(rule).fits(name))
        }
        _ => false,
    }
}

fn by_gauge_or_scenario(
    plan: &Plan,
    finding: &ScenarioFinding,
    growth: &Growth,
    rest: f64,
    changed: &[Increment],
) -> Part {
    let linked = links(plan, finding, growth);
    let mut evidence: Vec<String> = linked.iter().map(gauge_sentence(growth)).collect();
    let grown: Vec<&Increment> = changed.iter().filter(|increment| increment.by > 0).take(4).collect();
    if !grown.is_empty() && growth.metric.unit() == crate::units::Unit::Count {
        evidence.push(format!("more at the end than at the start: {}", named(grown.into_iter())));
    } else if !grown.is_empty() {
        let kinds: Vec<String> = grown
            .iter()
            .map(|increment| format!("{} +{}", increment.name, growth.metric.unit().show(increment.by as f64)))
            .collect();
        evidence.push(format!("by kind of mapping: {}", kinds.join(", ")));
    }
    let owner = owner(&linked, finding.plan.subsystem.as_deref());
    if finding.plan.subsystem.as_deref() == Some(owner.as_str()) && finding.axis() == Axis::Operations {
        evidence.push(format!("scenario {} drives it", finding.plan.name));
    }
    Part { items: items(&linked, finding, growth, rest), evidence, ..Part::new(&owner, rest, Standing::AsTheWhole) }
}

/// The owner of all linked gauges if it is one, the scenario's subsystem where no gauge speaks, both names
/// where they cannot be told apart.
fn owner(linked: &[GaugeLink], scenario: Option<&str>) -> String {
    let mut names: Vec<&str> = linked.iter().map(|link| link.subsystem.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    match (names.as_slice(), scenario) {
        ([], Some(subsystem)) => subsystem.to_owned(),
        ([], None) => UNATTRIBUTED.to_owned(),
        ([one], _) => (*one).to_owned(),
        // The scenario drives one of them: the others grow along with it.
        (several, Some(subsystem)) if several.contains(&subsystem) => subsystem.to_owned(),
        (several, _) => format!("{}: not separable here", several.join(" + ")),
    }
}

fn items(linked: &[GaugeLink], finding: &ScenarioFinding, growth: &Growth, rest: f64) -> Option<Items> {
    if let [link] = linked
        && growth.metric.unit() == crate::units::Unit::Bytes
    {
        return Some(Items { of: link.gauge.clone(), count: link.growth, each: link.per_item });
    }
    let operations = finding.operations as f64;
    (finding.axis() == Axis::Operations && operations > 0.0).then(|| Items {
        of: "operations".into(),
        count: operations,
        each: growth.per_op.map_or(rest / operations, |per_op| per_op.value),
    })
}

fn gauge_sentence(growth: &Growth) -> impl Fn(&GaugeLink) -> String {
    let unit = growth.metric.unit();
    move |link| {
        format!(
            "gauge {} rose by {} along with it (r = {:.3}): {} each",
            link.gauge,
            crate::units::show_count(link.growth),
            link.correlation,
            unit.show(link.per_item)
        )
    }
}

fn named<'a>(list: impl Iterator<Item = &'a Increment>) -> String {
    list.map(|increment| format!("+{} {}", increment.by, increment.name)).collect::<Vec<_>>().join(", ")
}
