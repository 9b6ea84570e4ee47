//! Growth of nothing, mappings that did not grow, and limits that are exactly zero.

use super::*;

#[test]
fn what_did_not_grow_has_no_parts() {
    for last in [90.0, 100.0] {
        let growth = judged(Metric::Private, Verdict::Unbounded, &[100.0, last]);
        let known = heap(10.0, Some(100.0), vec![owner("own", HeapKind::Block, Verdict::Unbounded, 10.0)]);
        let known = HeapFinding { account: account(&known, &[]), ..known };
        let finding = ScenarioFinding { heap: Some(known), ..made_up::finding(vec![growth.clone()]) };
        assert!(parts(&plan(Vec::new(), Vec::new()), &finding, &growth, &[]).is_empty(), "{last}");
    }
}

#[test]
fn a_mapping_that_may_not_have_grown_is_undecided_and_one_that_shrank_is_no_part() {
    let mapping = |value: f64, low: f64| HeapOwner {
        growth: Estimate { value, low, high: 40.0 },
        ..owner("own", HeapKind::Mapping, Verdict::Inconclusive, value)
    };
    let of = |own: HeapOwner| {
        let mut found = parts_of(Vec::new(), Verdict::Unbounded, heap(30.0, Some(100.0), vec![own]), &[]);
        found.retain(|part| part.owner == "own");
        found.pop().map(|part| (part.amount, part.standing))
    };
    assert_eq!(of(mapping(20.0, 1.0)), Some((20.0, Standing::As(Verdict::Unbounded))));
    assert_eq!(of(mapping(20.0, 0.0)), Some((20.0, Standing::As(Verdict::Inconclusive))));
    assert_eq!(of(mapping(0.0, -5.0)), None);
    assert_eq!(of(mapping(-20.0, -50.0)), None);
}

#[test]
fn only_mappings_that_were_cut_say_so() {
    for (anonymous, is_cut) in [(20, false), (19, true)] {
        let own = vec![owner("own", HeapKind::Mapping, Verdict::Unbounded, 20.0)];
        let found = parts_of(Vec::new(), Verdict::Unbounded, heap(30.0, Some(100.0), own), &rise(0, 0, anonymous));
        let part = found.iter().find(|part| part.owner == "own").expect("a part");
        let said = part.evidence.iter().any(|sentence| sentence.starts_with("no more of its mappings"));
        assert_eq!(said, is_cut, "{anonymous}");
    }
}

#[test]
fn scaling_leaves_no_rest_to_others() {
    // Three owners grew by more than private memory's million: some of the scaled sums miss it by 1e-10.
    for more in 1..40 {
        let grew = [100_003.7, 200_003.3, 300_007.1 + f64::from(more)];
        let owners = ["a", "b", "c"].into_iter().zip(grew);
        let owners = owners.map(|(name, grew)| owner(name, HeapKind::Block, Verdict::Unbounded, grew * 10.0)).collect();
        let known = heap(grew.iter().sum::<f64>() * 10.0, Some(1e6), owners);
        let known = HeapFinding { account: account(&known, &[]), ..known };
        let growth = judged(Metric::Private, Verdict::Unbounded, &[0.0, 1e6]);
        let finding = ScenarioFinding { heap: Some(known), ..made_up::finding(vec![growth.clone()]) };
        let found = parts(&plan(Vec::new(), Vec::new()), &finding, &growth, &[]);
        assert_eq!(found.iter().map(|part| part.owner.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
