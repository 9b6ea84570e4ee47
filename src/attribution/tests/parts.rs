//! Parts of a growth: what their verdict is, how two become one, and what is cut to what was measured.

use super::made_up::{finding, gauges, judged, plan, subsystem};
use crate::attribution::UNATTRIBUTED;
use crate::attribution::owners::{Part, Standing, parts};
use crate::growth::Verdict;
use crate::sample::*;

#[test]
fn a_part_is_what_the_whole_is_where_it_is_enough_of_it() {
    use Standing::{As, AsTheWhole, Remainder};
    for (standing, amount, whole, verdict) in [
        (AsTheWhole, 25.0, 250.0, Verdict::Unbounded),
        (AsTheWhole, 24.0, 250.0, Verdict::Inconclusive),
        (AsTheWhole, -25.0, 250.0, Verdict::Unbounded),
        (AsTheWhole, 25.0, -250.0, Verdict::Unbounded),
        (Remainder, 125.0, 250.0, Verdict::Unbounded),
        (Remainder, 124.0, 250.0, Verdict::Inconclusive),
        (As(Verdict::Flat), 250.0, 250.0, Verdict::Flat),
    ] {
        let found = Part::new("Queue", amount, standing).verdict(whole, Verdict::Unbounded);
        assert_eq!(found, verdict, "{standing:?} {amount} of {whole}");
    }
}

#[test]
fn the_larger_of_two_parts_says_where_the_code_is() {
    let part = |amount: f64, name: &str, sentences: &[&str]| Part {
        source: Some(name.to_owned()),
        evidence: sentences.iter().map(|sentence| (*sentence).to_owned()).collect(),
        doubt: amount.abs(),
        ..Part::new("Queue", amount, Standing::As(if amount < 3.0 { Verdict::Flat } else { Verdict::Unbounded }))
    };
    for (first, second, source, standing) in [
        (4.0, 2.0, "first", Verdict::Unbounded),
        (2.0, 4.0, "second", Verdict::Unbounded),
        (-2.0, 1.0, "first", Verdict::Flat),
        (1.0, -2.0, "second", Verdict::Flat),
        (2.0, 2.0, "first", Verdict::Flat),
    ] {
        let mut whole = part(first, "first", &["a", "b"]);
        whole.absorb(part(second, "second", &["b", "c"]));
        assert_eq!((whole.amount, whole.source.as_deref()), (first + second, Some(source)), "{first} {second}");
        assert_eq!((whole.standing, whole.doubt), (Standing::As(standing), first.abs().max(second.abs())));
        assert_eq!(whole.evidence, ["a", "b", "c"], "each sentence once");
    }
}

/// Closer looks before and after, with so many threads of each name.
fn looks(before: &[(&str, u64)], after: &[(&str, u64)]) -> Vec<Record> {
    let look = |threads: &[(&str, u64)], cost_us: u64| {
        let named = |(name, count): &(&str, u64)| Named { name: (*name).to_owned(), count: *count };
        Record::Detail(Box::new(Detail { cost_us, threads: threads.iter().map(named).collect(), ..Detail::default() }))
    };
    // Looks that took the gauges alone saw no thread.
    vec![look(&[], 0), look(before, 9), look(&[("odd", 3)], 9), look(after, 9), look(&[], 0)]
}

#[test]
fn a_pattern_has_what_it_claims_and_no_more_than_was_measured() {
    let tasks = |rule: &str| SubsystemRules { tasks: vec![rule.to_owned()], ..SubsystemRules::default() };
    let plan = plan(vec![subsystem("Timers", tasks("timer*")), subsystem("Pool", tasks("pool*"))], Vec::new());
    let records = looks(
        &[("pool-1", 2), ("same", 5), ("other", 1)],
        &[("pool-1", 4), ("pool-2", 4), ("timer", 4), ("same", 5), ("gone", 0)],
    );
    // Ten new threads were seen, six of them in the pool; the floors rose by 20, by 10, by 5, or fell.
    for (rise, expected) in [
        (20.0, vec![("Pool", 6.0), ("Timers", 4.0), (UNATTRIBUTED, 10.0)]),
        (10.0, vec![("Pool", 6.0), ("Timers", 4.0)]),
        (5.0, vec![("Pool", 3.0), ("Timers", 2.0)]),
        (-3.0, vec![(UNATTRIBUTED, -3.0)]),
    ] {
        let growth = judged(Metric::Threads, Verdict::Unbounded, &[10.0, 10.0 + rise]);
        let found = parts(&plan, &finding(vec![growth.clone()]), &growth, &records);
        let shown: Vec<(&str, f64)> = found.iter().map(|part| (part.owner.as_str(), part.amount)).collect();
        assert_eq!(shown, expected, "{rise}");
        let pool = found.iter().filter(|part| part.owner == "Pool").flat_map(|part| &part.evidence);
        assert!(pool.eq(["its pattern: +4 pool-2, +2 pool-1"].iter().filter(|_| rise > 0.0)), "{rise}");
        let rest = found.iter().filter(|part| part.owner == UNATTRIBUTED).flat_map(|part| &part.evidence);
        let more = "more at the end than at the start: +4 pool-2, +4 timer, +2 pool-1";
        assert!(rest.eq([more].iter().filter(|_| rise != 10.0 && rise != 5.0)), "{rise}");
    }
}

#[test]
fn rounding_leaves_no_rest() {
    let tasks =
        |name: &str| subsystem(name, SubsystemRules { tasks: vec![format!("{name}*")], ..SubsystemRules::default() });
    let plan = plan(vec![tasks("a"), tasks("b"), tasks("c")], Vec::new());
    // What the patterns claim is cut to a million: the three products miss it by 1e-10.
    let records = looks(&[], &[("a", 100_003), ("b", 200_003), ("c", 2_100_049)]);
    let growth = judged(Metric::Threads, Verdict::Unbounded, &[0.0, 1e6]);
    let found = parts(&plan, &finding(vec![growth.clone()]), &growth, &records);
    let owners: Vec<&str> = found.iter().map(|part| part.owner.as_str()).collect();
    assert_eq!(owners, ["c", "b", "a"]);
}

#[test]
fn what_kind_of_mapping_rose_is_told() {
    let look = |heap: u64, stack: u64| {
        let mappings = Mappings { heap, stack, anonymous: 7 << 20, ..Mappings::default() };
        Record::Detail(Box::new(Detail { cost_us: 9, mappings: Some(mappings), ..Detail::default() }))
    };
    let growth = judged(Metric::Private, Verdict::Unbounded, &[0.0, 3e6]);
    let records = [look(1 << 20, 2 << 20), look(3 << 20, 1 << 20)];
    let found = parts(&plan(Vec::new(), Vec::new()), &finding(vec![growth.clone()]), &growth, &records);
    assert_eq!(found[0].evidence, ["by kind of mapping: heap +2 MiB"]);
}

#[test]
fn items_are_those_of_the_only_gauge_or_operations() {
    let memory = judged(Metric::Private, Verdict::Unbounded, &[0.0, 100.0, 200.0, 600.0]);
    let gauge = |name: &str| judged(Metric::Gauge(name.into()), Verdict::Unbounded, &[0.0, 10.0, 20.0, 60.0]);
    let owners = vec![subsystem("Queue", gauges("queued")), subsystem("Cache", gauges("cached"))];
    let of = |growths: Vec<crate::growth::Growth>, change: fn(&mut crate::attribution::ScenarioFinding)| {
        let mut finding = finding(growths);
        change(&mut finding);
        let found = parts(&plan(owners.clone(), Vec::new()), &finding, &memory, &[]);
        found[0].items.as_ref().map(|items| (items.of.clone(), items.count, items.each))
    };
    let idle = |finding: &mut crate::attribution::ScenarioFinding| finding.plan.shape = Shape::Idle;
    // 600 bytes over 300 operations; 60 items of 10 bytes.
    assert_eq!(of(vec![gauge("queued")], |_| {}), Some(("queued".into(), 60.0, 10.0)));
    assert_eq!(of(vec![gauge("queued"), gauge("cached")], |_| {}), Some(("operations".into(), 300.0, 2.0)));
    assert_eq!(of(Vec::new(), |_| {}), Some(("operations".into(), 300.0, 2.0)));
    assert_eq!(of(Vec::new(), |finding| finding.operations = 0), None);
    assert_eq!(of(Vec::new(), idle), None);
}
