//! The judge on made-up curves whose truth is known: a few of each class here, thousands in `cargo xtask false-alarms`.

use std::collections::{BTreeMap, BTreeSet};

use tidewatch::growth::{Verdict, read_curve};
use tidewatch::units::Unit;

use crate::curves::{Class, MadeUp, Run, Shape, Truth, classes, judged, to_csv};

/// Curves of each class.
const SEEDS: u64 = 20;
/// What the reported sensitivity must leave room for: it is a fit, good to 30 %, of what is found nine times in ten.
const TIMES_SENSITIVITY: f64 = 2.0;

/// Every curve of the classes with this truth, judged.
fn runs(truth: Truth) -> Vec<(&'static Class, u64, MadeUp, Run)> {
    let classes: Vec<&'static Class> = classes().filter(|class| class.truth == truth).collect();
    let draw = |class: &'static Class, seed: u64| {
        let made = class.draw(seed);
        let run = judged(&made);
        (class, seed, made, run)
    };
    std::thread::scope(|scope| {
        let halves: Vec<_> = classes
            .chunks(classes.len().div_ceil(2).max(1))
            .map(|half| {
                scope.spawn(move || -> Vec<_> {
                    half.iter().flat_map(|class| (0..SEEDS).map(move |seed| draw(class, seed))).collect()
                })
            })
            .collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    })
}

#[test]
fn no_clean_curve_is_ever_called_unbounded() {
    let (mut alarms, mut at_rest, mut long) = (Vec::new(), 0, 0);
    for (class, seed, made, run) in runs(Truth::Clean) {
        if run.ever(Verdict::Unbounded) {
            alarms.push(format!("{} {seed}: {}", class.name, run.first.reason));
        }
        if made.cycles >= 60 {
            long += 1;
            at_rest += u32::from(run.end.is_decided());
        }
    }
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
    assert!(3 * at_rest >= 2 * long, "only {at_rest} of {long} long clean runs were called clean");
}

#[test]
fn no_leak_is_ever_called_at_rest_and_what_can_be_found_is() {
    let (mut wrong, mut missed, mut expected) = (Vec::new(), Vec::new(), 0);
    let mut covered: BTreeMap<bool, u32> = BTreeMap::new();
    for (class, seed, made, run) in runs(Truth::Leaking) {
        if run.ever(Verdict::Flat) || run.ever(Verdict::Bounded) {
            wrong.push(format!("{} {seed}: {} / {}", class.name, run.first.reason, run.end.reason));
        }
        let found = run.first.verdict == Verdict::Unbounded;
        let enough = made.per_op.zip(run.first.sensitivity).is_some_and(|(rate, s)| rate >= TIMES_SENSITIVITY * s);
        if made.shape == Shape::Even && enough {
            expected += 1;
            if !found {
                missed.push(format!("{} {seed}: {}", class.name, run.first.reason));
            }
        }
        if let (Shape::Even, true, Some(rate), Some(growth)) = (made.shape, found, made.per_op, run.first.per_op) {
            *covered.entry(growth.low <= rate && rate <= growth.high).or_default() += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(20 * missed.len() <= expected, "{} of {expected} leaks not found:\n{}", missed.len(), missed.join("\n"));
    let (inside, outside) = (covered.get(&true).copied().unwrap_or(0), covered.get(&false).copied().unwrap_or(0));
    assert!(
        100 * inside >= 93 * (inside + outside),
        "{outside} of {} intervals miss the true figure",
        inside + outside
    );
}

#[test]
fn no_leak_that_begins_late_is_called_at_rest_at_the_end() {
    let (mut wrong, mut found) = (Vec::new(), 0);
    for (class, seed, _, run) in runs(Truth::LeakingLate) {
        found += u32::from(run.end.verdict == Verdict::Unbounded);
        if matches!(run.end.verdict, Verdict::Flat | Verdict::Bounded) {
            wrong.push(format!("{} {seed}: {}", class.name, run.end.reason));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found > 0, "no leak that begins late was found");
}

#[test]
fn a_cap_that_nobody_can_know_is_why_a_class_is_ambiguous() {
    let found = runs(Truth::Ambiguous).iter().filter(|(.., run)| run.ever(Verdict::Unbounded)).count();
    assert!(found > 0, "no cache with a late cap is taken for a leak: its classes need not be ambiguous");
}

#[test]
fn a_curve_is_its_class_and_its_seed() {
    let mut names = BTreeSet::new();
    for class in classes() {
        assert!(names.insert(class.name) && !class.stands_for.is_empty(), "{}", class.name);
        let made = class.draw(7);
        assert_eq!(made.curve, class.draw(7).curve, "{}", class.name);
        assert_ne!(made.curve, class.draw(8).curve, "{}", class.name);
        assert_eq!(made.curve.floors().cycles.len(), made.cycles as usize, "{}", class.name);
    }
}

#[test]
fn the_csv_of_a_curve_reads_back() {
    let class = classes().find(|class| class.name == "gc_saw").unwrap();
    let made = class.draw(3);
    assert_eq!(read_curve(to_csv(&made.curve).as_bytes(), Unit::Bytes).unwrap(), made.curve);
}
