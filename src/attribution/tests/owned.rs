//! Who owns what grows beside the heap, and what the heap leaves open.

use super::heap::{HANDLERS, QUEUE, SESSIONS, fragmenting, frames, heap, leak_among_steady, recorded, sampled};
use super::made_up::{Level, MIB, Run, Story, gauges, plan, quiet, scenario, subsystem};
use super::{guilty, ledger, near};
use crate::attribution::{Findings, Resource, Row, UNATTRIBUTED};
use crate::growth::Verdict;
use crate::sample::*;

const WORK_QUEUE: &str = "<app::queue::WorkQueue as app::Store>::add";

fn peak(findings: &Findings) -> Row {
    ledger(findings, Resource::Peak).rows.first().expect("the peak rose").clone()
}

#[test]
fn the_owner_of_most_of_the_heap_that_grows_has_the_peak_too() {
    // Shares of the growth of private memory by 1000 B an operation, and whose the peak is.
    for (queue, sessions, driven, owner) in [
        (1000.0, 0.0, None, WORK_QUEUE),
        (300.0, 700.0, None, "app::sessions::open"),
        (400.0, 400.0, None, UNATTRIBUTED),
        (1000.0, 0.0, Some("Startup"), "Startup"),
    ] {
        let mut story = Story::new(plan(Vec::new(), vec![scenario("flood", Shape::Flood, driven)]));
        story.scenario(&Run::of("flood", 33, 1000), |n, _| Level {
            private: Some(20.0 * MIB + 1000.0 * n),
            anonymous: Some(21.0 * MIB + 1000.0 * n),
            heap: vec![(&QUEUE, queue * n), (&SESSIONS, sessions * n)],
            allocator: Some(AllocatorFigures::default()),
            ..quiet()
        });
        let findings = Findings::of(&story.finish());
        let row = peak(&findings);
        assert_eq!((row.subsystem.as_str(), row.verdict), (owner, Verdict::Unbounded));
        let rose = row.evidence.iter().any(|sentence| sentence.starts_with("it rose with private memory"));
        assert_eq!(rose, owner.contains("::"), "{row:#?}");
    }
}

#[test]
fn the_gauge_of_an_owner_says_how_many_items_its_heap_holds() {
    let rules = SubsystemRules { gauges: vec!["queued".into()], ..frames(&["app::queue::*"]) };
    let subsystems = vec![subsystem("Queue", rules), subsystem("Other", gauges("others"))];
    let findings = Findings::of(&recorded(subsystems, |n| Level {
        gauges: vec![("queued", n / 2.0), ("others", 3.0)],
        ..leak_among_steady(n)
    }));
    let row = guilty(&findings);
    assert_eq!(row.subsystem, "Queue");
    let items = row.items.as_ref().expect("items");
    assert_eq!(items.of, "queued");
    near(items.each, 1024.0, 0.02);
    assert_eq!(
        row.evidence.iter().filter(|sentence| sentence.starts_with("gauge queued rose by")).count(),
        1,
        "{row:#?}"
    );
}

#[test]
fn what_only_the_language_holds_is_added_to_the_subsystem_that_the_scenario_drives() {
    // Handlers of threads beside two owners of blocks: the subsystem that has a rule and a function that has none.
    let level = |n: f64| Level {
        private: Some(20.0 * MIB + 3000.0 * n),
        heap: vec![(&SESSIONS, 1000.0 * n), (&QUEUE, 1000.0 * n), (&HANDLERS, 1000.0 * n)],
        mappings: Some(Mappings { anonymous: (3000.0 * n) as u64, ..Mappings::default() }),
        ..quiet()
    };
    let subsystems = vec![subsystem("Queue", frames(&["app::queue::*"]))];
    let mut story = Story::new(plan(subsystems, vec![scenario("flood", Shape::Flood, Some("Queue"))]));
    story.scenario(&Run::of("flood", 33, 1000), |n, _| level(n));
    let findings = Findings::of(&story.finish());
    let operations = findings.scenarios[0].operations as f64;
    let memory = ledger(&findings, Resource::Memory);
    let of = |name: &str| memory.rows.iter().find(|row| row.subsystem == name).map_or(0.0, |row| row.growth);
    near(of("Queue"), 2000.0 * operations, 0.2);
    near(of("app::sessions::open"), 1000.0 * operations, 0.2);
}

#[test]
fn what_nothing_explains_is_left_over_and_said_to_be() {
    let findings = Findings::of(&recorded(Vec::new(), |n| Level {
        private: Some(20.0 * MIB + 1000.0 * n),
        heap: vec![(&QUEUE, 700.0 * n)],
        allocator: Some(AllocatorFigures::default()),
        ..quiet()
    }));
    let memory = ledger(&findings, Resource::Memory);
    let rest = memory.rows.iter().find(|row| row.subsystem == UNATTRIBUTED).expect("a rest");
    assert_eq!(rest.verdict, Verdict::Inconclusive, "it is less than half");
    assert!(rest.evidence[0].ends_with("of it is in nothing that was seen"), "{rest:#?}");
    near(rest.growth, 300.0 * findings.scenarios[0].operations as f64, 0.15);
    assert_eq!(guilty(&findings).subsystem, WORK_QUEUE);
}

#[test]
fn only_growth_that_an_allocator_retains_is_said_to_be_no_leak() {
    let reason = |findings: &Findings| {
        let private = findings.scenarios[0].growth(&Metric::Private).expect("judged");
        (private.verdict, private.reason.starts_with("live heap is "))
    };
    assert_eq!(reason(&Findings::of(&recorded(Vec::new(), fragmenting))), (Verdict::Unbounded, true));
    // It came to rest: there is nothing to explain.
    let capped = recorded(Vec::new(), |n| fragmenting(n.min(8000.0)));
    assert!(heap(&Findings::of(&capped)).is_at_rest());
    assert_eq!(reason(&Findings::of(&capped)), (Verdict::Bounded, false));
    // Thread stacks are most of it, the allocator's part is small.
    let stacks = recorded(Vec::new(), |n| Level {
        mappings: Some(Mappings { stack: (400.0 * n) as u64, ..Mappings::default() }),
        ..fragmenting(n)
    });
    assert!(heap(&Findings::of(&stacks)).is_at_rest());
    assert_eq!(reason(&Findings::of(&stacks)), (Verdict::Unbounded, false));
}

#[test]
fn figures_of_an_operation_carry_the_doubt_of_sampling() {
    const INTERVAL: u64 = 524_288;
    let findings = Findings::of(&sampled(Vec::new(), INTERVAL, 5, leak_among_steady));
    let judged = &heap(&findings).owners[0].judged;
    let (window, per_op) = (judged.window.expect("a window"), judged.per_op.expect("a figure"));
    // So many bytes stand in samples of half a mebibyte each: a Poisson count at either end of the window.
    let error = |x: f64| (512.0 * x * INTERVAL as f64).sqrt();
    let reach = 1.96 * error(window.first.x).hypot(error(window.last.x)) / (window.last.x - window.first.x);
    near(per_op.high - per_op.value, reach, 0.3);
    near(per_op.value - per_op.low, reach, 0.3);
    let per_hour = judged.per_hour.expect("a pace");
    near(per_hour.high / per_hour.value, per_op.high / per_op.value, 1e-9);
    near(per_hour.low / per_hour.value, per_op.low / per_op.value, 1e-9);
}

#[test]
fn a_stack_tells_what_it_held_before_and_after() {
    let findings = Findings::of(&recorded(Vec::new(), leak_among_steady));
    let stacks = &heap(&findings).stacks;
    let pool = stacks.iter().find(|stack| stack.owner == "pool_init").expect("it is steady");
    near(pool.before, 200.0 * MIB, 0.1);
    near(pool.after, 200.0 * MIB, 0.1);
    for stack in stacks {
        // The made-up blocks are of 500 bytes.
        assert_eq!(stack.growth.value, stack.after - stack.before);
        assert_eq!(stack.blocks, stack.after / 500.0);
        assert!((stack.blocks_growth - stack.growth.value / 500.0).abs() < 1e-6, "{stack:#?}");
    }
    assert!(stacks.is_sorted_by(|a, b| a.growth.value >= b.growth.value));
}

#[test]
fn small_owners_are_summed_up_with_the_others() {
    for (each, is_listed) in [(30.0, true), (2.0, false)] {
        let findings = Findings::of(&sampled(Vec::new(), 1024, 5, |n| Level {
            private: Some(20.0 * MIB + (1000.0 + each) * n),
            heap: vec![(&QUEUE, 1000.0 * n), (&SESSIONS, each * n)],
            ..quiet()
        }));
        let heap = heap(&findings);
        assert_eq!(heap.owners.iter().any(|owner| owner.name == "app::sessions::open"), is_listed, "{each}");
        let operations = findings.scenarios[0].operations as f64;
        let others = if is_listed { 0.0 } else { each * operations };
        assert!((heap.others - others).abs() < 0.3 * 2.0 * operations, "{} {others}", heap.others);
    }
}

#[test]
fn a_place_is_written_as_the_scenario_file_has_it_only_where_it_is_that_file() {
    for (declared, shown) in
        [("src/queue.rs", "src/queue.rs:345"), ("src/elsewhere.rs", "/home/me/app/src/queue.rs:345")]
    {
        let queue = Subsystem { source: Some(declared.into()), ..subsystem("Queue", frames(&["app::queue::*"])) };
        let findings = Findings::of(&recorded(vec![queue], leak_among_steady));
        assert_eq!(guilty(&findings).source.as_deref(), Some(shown));
    }
}
