//! Which gauges are linked to the growth of a metric.

use super::made_up::{finding, gauges, judged, plan, subsystem};
use crate::attribution::gauges::links;
use crate::growth::Verdict::{self, Bounded, Flat, Inconclusive, Unbounded};
use crate::sample::Metric;

/// The links of private memory at these floors with one gauge of a subsystem.
fn linked(rule: &str, memory: (Verdict, &[f64]), gauge: (Verdict, &[f64])) -> Vec<(String, String, f64, f64, f64)> {
    let memory = judged(Metric::Private, memory.0, memory.1);
    let gauge = judged(Metric::Gauge("items[0]".into()), gauge.0, gauge.1);
    let found = links(&plan(vec![subsystem("Queue", gauges(rule))], Vec::new()), &finding(vec![gauge]), &memory);
    found.into_iter().map(|link| (link.gauge, link.subsystem, link.growth, link.correlation, link.per_item)).collect()
}

#[test]
fn a_link_tells_how_much_an_item_costs() {
    let expected = ("items[0]".to_owned(), "Queue".to_owned(), 6.0, 1.0, 50.0);
    // What is in brackets is a set of characters in a glob; the name as a whole is meant as well.
    for rule in ["items[0]", "items*"] {
        // The warm-up, cycle 0, is not part of it.
        let found = linked(rule, (Unbounded, &[900.0, 100.0, 200.0, 300.0]), (Unbounded, &[0.0, 2.0, 4.0, 6.0]));
        assert_eq!(found.as_slice(), std::slice::from_ref(&expected), "{rule}");
    }
    assert!(linked("item", (Unbounded, &[0.0, 1.0, 2.0, 3.0]), (Unbounded, &[0.0, 1.0, 2.0, 3.0])).is_empty());
}

#[test]
fn only_a_gauge_that_grows_in_the_same_way_is_linked() {
    let rising = [0.0, 1.0, 2.0, 3.0];
    for (memory, gauge, is_linked) in [
        (Unbounded, Unbounded, true),
        (Unbounded, Inconclusive, false),
        (Unbounded, Bounded, false),
        (Unbounded, Flat, false),
        (Bounded, Unbounded, false),
        (Bounded, Inconclusive, false),
        (Bounded, Bounded, true),
        (Bounded, Flat, true),
        (Flat, Bounded, true),
        (Flat, Unbounded, false),
        (Inconclusive, Unbounded, true),
        (Inconclusive, Flat, true),
    ] {
        let found = linked("items*", (memory, &rising), (gauge, &rising));
        assert_eq!(!found.is_empty(), is_linked, "{memory:?} {gauge:?}");
    }
}

#[test]
fn a_gauge_that_did_not_grow_or_goes_its_own_way_is_not_linked() {
    for (memory, gauge, is_linked) in [
        // Both fall together, and both come back to where they began.
        ([9.0, 3.0, 2.0, 1.0], [9.0, 3.0, 2.0, 1.0], false),
        ([1.0, 3.0, 2.0, 1.0], [1.0, 3.0, 2.0, 1.0], false),
        ([0.0, 1.0, 2.0, 3.0], [0.0, 3.0, 2.0, 1.0], false),
        // A correlation of one half is not enough, a little more is.
        ([0.0, 0.0, -2.0, 2.0], [0.0, 1.0, 2.0, 3.0], false),
        ([0.0, -0.1, -2.0, 2.0], [0.0, 1.0, 2.0, 3.0], true),
        // Without spread there is no correlation.
        ([5.0, 5.0, 5.0, 5.0], [0.0, 1.0, 2.0, 3.0], false),
        ([0.0, 1.0, 2.0, 3.0], [0.0, 3.0, 3.0, 3.0], false),
    ] {
        let found = linked("items*", (Unbounded, &memory), (Unbounded, &gauge));
        assert_eq!(!found.is_empty(), is_linked, "{memory:?} {gauge:?}: {found:?}");
    }
}
