//! Owners of live heap bytes in made-up runs, as a sampler would have seen them.

use proptest::prelude::*;

use super::made_up::{Level, MIB, Run, Site, Story, plan, quiet, scenario, subsystem};
use super::{guilty, ledger, near};
use crate::attribution::{Findings, HeapFinding, OTHERS, OwnedBy, RETAINED, Resource, STACKS};
use crate::growth::Verdict;
use crate::recording::Recording;
use crate::sample::*;

const MALLOC: (&str, &str, u32) = ("__rust_alloc", "", 0);
const PUSH: (&str, &str, u32) = ("push<app::queue::Item>", "@/rustc/0123/library/alloc/src/vec/mod.rs", 2);
const MAIN: (&str, &str, u32) = ("app::main", "/home/me/app/src/main.rs", 9);

/// `Vec::push` in line in the function that keeps the items.
pub(super) static QUEUE: Site = Site {
    frames: &[MALLOC, PUSH, ("<app::queue::WorkQueue as app::Store>::add", "/home/me/app/src/queue.rs", 345), MAIN],
    kind: HeapKind::Block,
    churn: 0,
};
pub(super) static SESSIONS: Site = Site {
    frames: &[MALLOC, ("app::sessions::open", "/home/me/app/src/sessions.rs", 12), MAIN],
    kind: HeapKind::Block,
    churn: 0,
};
static POOL: Site =
    Site { frames: &[("malloc", "", 0), ("pool_init", "/src/pool.c", 7), MAIN], kind: HeapKind::Block, churn: 0 };
static BUFFERS: Site =
    Site { frames: &[("malloc", "", 0), ("read_request", "/src/net.c", 70), MAIN], kind: HeapKind::Block, churn: 100 };
static ARENAS: Site =
    Site { frames: &[("mmap", "", 0), ("grow_arena", "/src/arena.c", 31), MAIN], kind: HeapKind::Mapping, churn: 0 };

/// What the standard library maps for each new thread: nothing on its stack is the program's.
pub(super) static HANDLERS: Site = Site {
    frames: &[
        ("mmap64", "", 0),
        ("std::sys::pal::unix::stack_overflow::imp::make_handler", "/rustc/01/library/std/src/sys/so.rs", 269),
        ("std::sys::thread::unix::thread_start", "", 0),
    ],
    kind: HeapKind::Mapping,
    churn: 0,
};

const CYCLES: u32 = 33;
const PER_CYCLE: u64 = 1000;

pub(super) fn recorded(subsystems: Vec<Subsystem>, level: impl Fn(f64) -> Level) -> Recording {
    sampled(subsystems, 65_536, 5, level)
}

pub(super) fn sampled(subsystems: Vec<Subsystem>, interval: u64, seed: u64, level: impl Fn(f64) -> Level) -> Recording {
    let story = Story::new(plan(subsystems, vec![scenario("flood", Shape::Flood, None)]));
    let mut story = story.sampled(interval, seed);
    story.scenario(&Run::of("flood", CYCLES, PER_CYCLE), |n, _| level(n));
    story.finish()
}

pub(super) fn heap(findings: &Findings) -> &HeapFinding {
    findings.scenarios[0].heap.as_ref().expect("the heap was sampled")
}

pub(super) fn frames(globs: &[&str]) -> SubsystemRules {
    SubsystemRules { frames: globs.iter().map(|glob| (*glob).to_owned()).collect(), ..SubsystemRules::default() }
}

/// 512 B an operation in the queue, beside 200 MiB that stay and 30 MiB that come and go.
pub(super) fn leak_among_steady(n: f64) -> Level {
    let steady = 230.0 * MIB;
    Level {
        private: Some(20.0 * MIB + steady + 512.0 * n),
        heap: vec![(&POOL, 200.0 * MIB), (&BUFFERS, 30.0 * MIB), (&QUEUE, 512.0 * n)],
        ..quiet()
    }
}

#[test]
fn a_leak_is_found_among_sites_that_are_big_and_steady() {
    let findings = Findings::of(&recorded(Vec::new(), leak_among_steady));
    let heap = heap(&findings);
    let owner = &heap.owners[0];
    assert_eq!((owner.name.as_str(), owner.by), ("<app::queue::WorkQueue as app::Store>::add", OwnedBy::Function));
    assert_eq!(owner.place.as_ref().map(ToString::to_string).as_deref(), Some("/home/me/app/src/queue.rs:345"));
    assert_eq!(owner.judged.verdict, Verdict::Unbounded, "{}", owner.judged.reason);
    assert!(heap.owners.iter().skip(1).all(|other| other.judged.verdict != Verdict::Unbounded), "{:#?}", heap.owners);
    let truth = 512.0 * findings.scenarios[0].operations as f64;
    assert!(owner.growth.low <= truth && truth <= owner.growth.high, "{:?} {truth}", owner.growth);
    near(owner.share.expect("a share").value, 1.0, 0.15);
    let stack = heap.stacks_of(owner).next().expect("a stack");
    assert_eq!((stack.verdict, stack.owned_at, stack.frames.len()), (Verdict::Unbounded, 2, 4));
    let row = guilty(&findings);
    assert_eq!(
        (row.subsystem.as_str(), row.source.as_deref()),
        (owner.name.as_str(), Some("/home/me/app/src/queue.rs:345"))
    );
    near(row.per_op.expect("a figure").value, 512.0, 0.03);
    assert!(row.evidence[0].contains("queue.rs:345") && row.evidence[0].contains("samples, 95 % interval"), "{row:#?}");
}

#[test]
fn a_rule_makes_the_subsystem_the_owner_with_the_place_in_its_code() {
    let queue = subsystem("Queue", frames(&["app::queue::*"]));
    let findings = Findings::of(&recorded(vec![subsystem("Main", frames(&["app::main"])), queue], leak_among_steady));
    let owner = &heap(&findings).owners[0];
    assert_eq!((owner.name.as_str(), owner.by), ("Queue", OwnedBy::Rule));
    assert!(owner.function.ends_with("::add"));
    let row = guilty(&findings);
    assert_eq!((row.subsystem.as_str(), row.priority), ("Queue", Some(Priority::P1)));
}

#[test]
fn two_owners_share_what_private_memory_grew_by() {
    let findings = Findings::of(&recorded(vec![subsystem("Queue", frames(&["app::queue::*"]))], |n| Level {
        private: Some(20.0 * MIB + 2000.0 * n),
        heap: vec![(&QUEUE, 1400.0 * n), (&SESSIONS, 600.0 * n)],
        ..quiet()
    }));
    let memory = ledger(&findings, Resource::Memory);
    let row =
        |name: &str| memory.rows.iter().find(|row| row.subsystem == name).unwrap_or_else(|| panic!("{memory:#?}"));
    for (name, each) in [("Queue", 1400.0), ("app::sessions::open", 600.0)] {
        let row = row(name);
        assert_eq!(row.verdict, Verdict::Unbounded, "{name}");
        let per_op = row.per_op.expect("a figure");
        near(per_op.value, each, 0.2);
        assert!(per_op.low < each && each < per_op.high, "{per_op:?}");
    }
    near(memory.rows.iter().map(|row| row.growth).sum(), memory.total, 1e-6);
}

/// Holes that nothing fits into: private memory grows, live heap does not.
pub(super) fn fragmenting(n: f64) -> Level {
    let free = 600.0 * n;
    Level {
        private: Some(60.0 * MIB + free),
        heap: vec![(&POOL, 30.0 * MIB), (&BUFFERS, 8.0 * MIB)],
        allocator: Some(AllocatorFigures {
            arena_bytes: (38.0 * MIB + free) as u64,
            used_bytes: (38.0 * MIB) as u64,
            free_bytes: free as u64,
            ..AllocatorFigures::default()
        }),
        ..quiet()
    }
}

#[test]
fn what_only_fragments_is_retained_and_no_leak() {
    let findings = Findings::of(&recorded(Vec::new(), fragmenting));
    assert!(heap(&findings).is_at_rest(), "{}", heap(&findings).live.reason);
    let rows = &ledger(&findings, Resource::Memory).rows;
    let row = rows.iter().max_by(|a, b| a.growth.total_cmp(&b.growth)).expect("a row");
    assert_eq!((row.subsystem.as_str(), row.source.as_deref(), row.verdict), (RETAINED, None, Verdict::Retained));
    assert!(row.evidence[0].contains("it is no leak"), "{row:#?}");
    assert_eq!(findings.unbounded_rows().count(), 0, "{rows:#?}");
    let private = findings.scenarios[0].growth(&Metric::Private).expect("judged");
    assert_eq!(private.verdict, Verdict::Retained);
    assert!(private.reason.starts_with("live heap is flat"), "{}", private.reason);
}

/// The verdict on private memory at such a level.
fn private(level: impl Fn(f64) -> Level) -> (Verdict, bool) {
    let findings = Findings::of(&recorded(Vec::new(), level));
    let private = findings.scenarios[0].growth(&Metric::Private).expect("judged");
    (private.verdict, private.suspected)
}

#[test]
fn growth_is_retained_only_where_that_is_known() {
    assert_eq!(private(fragmenting), (Verdict::Retained, false));
    let unasked = |n| Level { allocator: None, ..fragmenting(n) };
    assert_eq!(private(unasked), (Verdict::Unbounded, false), "nobody asked the allocator");
    let full = |n| Level {
        allocator: Some(AllocatorFigures {
            arena_bytes: 38 << 20,
            used_bytes: 38 << 20,
            ..AllocatorFigures::default()
        }),
        ..fragmenting(n)
    };
    assert_eq!(private(full), (Verdict::Unbounded, false), "nothing in its arenas is free");
    let leaks = |n: f64| Level {
        private: Some(60.0 * MIB + 1600.0 * n),
        heap: vec![(&POOL, 30.0 * MIB), (&BUFFERS, 8.0 * MIB), (&QUEUE, 1000.0 * n)],
        ..fragmenting(n)
    };
    assert_eq!(private(leaks), (Verdict::Unbounded, false), "an owner of live blocks grows beside it");
    let flat = |n| Level { private: Some(60.0 * MIB), ..fragmenting(n) };
    assert_eq!(private(flat), (Verdict::Flat, false));
}

static ADDON: Site = Site {
    frames: &[("malloc", "", 0), ("addon::cache_put", "/src/addon.cc", 7), MAIN],
    kind: HeapKind::Block,
    churn: 0,
};
static ARRAY_BUFFERS: Site = Site {
    frames: &[("calloc", "", 0), ("node::NodeArrayBufferAllocator::Allocate(unsigned long)", "", 0), MAIN],
    kind: HeapKind::Block,
    churn: 0,
};

/// Private memory of a Node.js program that is never seen to collect.
fn under_node(level: impl Fn(f64) -> Level) -> (Verdict, bool, String) {
    let mut story = Story::new(plan(Vec::new(), vec![scenario("flood", Shape::Flood, None)]));
    story.scenario(&Run::of("flood", CYCLES, PER_CYCLE), |n, _| level(n));
    let mut recording = story.finish();
    let begun = recording.records.iter().position(|record| matches!(record, Record::Mark(_))).expect("a mark");
    let runtime = Event::Runtime { process: Process { pid: 4242, start: 0 }, runtime: Runtime::Node };
    recording.records.insert(begun + 1, Record::Event { at: Moment(1), event: runtime });
    let findings = Findings::of(&recording);
    let private = findings.scenarios[0].growth(&Metric::Private).expect("judged");
    (private.verdict, private.suspected, private.reason.clone())
}

#[test]
fn native_memory_that_no_collector_knows_needs_no_collection() {
    let grows = |site: &'static Site, each: f64, live: f64| {
        move |n: f64| Level { private: Some(60.0 * MIB + each * n), heap: vec![(site, live * n)], ..quiet() }
    };
    let (verdict, _, reason) = under_node(grows(&ADDON, 4000.0, 4000.0));
    assert_eq!(verdict, Verdict::Unbounded, "{reason}");
    assert!(reason.starts_with("live blocks outside the managed heap grew by at least 1"), "{reason}");
    for (what, level) in [
        ("a quarter of it", grows(&ADDON, 16_000.0, 4000.0)),
        ("too little of it", grows(&ADDON, 1500.0, 1500.0)),
        ("buffers that a collector frees", grows(&ARRAY_BUFFERS, 4000.0, 4000.0)),
    ] {
        let (verdict, suspected, reason) = under_node(level);
        assert_eq!((verdict, suspected), (Verdict::Inconclusive, true), "{what}: {reason}");
        assert!(reason.contains("no collection was seen"), "{what}: {reason}");
    }
}

#[test]
fn mappings_of_the_program_are_capped_by_what_became_resident() {
    let mappings = |n: f64| Mappings { heap: 4 << 20, anonymous: (1000.0 * n) as u64, ..Mappings::default() };
    let findings = Findings::of(&recorded(Vec::new(), |n| Level {
        private: Some(20.0 * MIB + 1000.0 * n),
        // Four times as much address space as is touched.
        heap: vec![(&ARENAS, 4000.0 * n), (&POOL, 5.0 * MIB)],
        mappings: Some(mappings(n)),
        ..quiet()
    }));
    let row = guilty(&findings);
    assert_eq!(row.subsystem, "grow_arena");
    near(row.growth, 1000.0 * findings.scenarios[0].operations as f64, 0.03);
    assert!(row.evidence.iter().any(|sentence| sentence.contains("no more of its mappings")), "{row:#?}");
}

#[test]
fn stacks_of_threads_go_to_whom_the_threads_are() {
    let level = |n: f64| Level {
        private: Some(20.0 * MIB + 160.0 * n),
        threads: vec![("heartbeat-*", 1.0 + (n / 100.0).floor())],
        heap: vec![(&POOL, 5.0 * MIB)],
        mappings: Some(Mappings { stack: (160.0 * n) as u64, ..Mappings::default() }),
        ..quiet()
    };
    let tasks = SubsystemRules { tasks: vec!["heartbeat*".into()], ..SubsystemRules::default() };
    for (subsystems, owner) in [(vec![subsystem("Heartbeats", tasks)], "Heartbeats"), (Vec::new(), STACKS)] {
        let findings = Findings::of(&recorded(subsystems, level));
        let rows: Vec<_> = findings.unbounded_rows().filter(|row| row.metric == Metric::Private).collect();
        assert_eq!(rows.len(), 1, "{rows:#?}");
        assert_eq!(rows[0].subsystem, owner);
    }
}

#[test]
fn what_only_the_language_is_seen_to_hold_is_the_scenarios() {
    let level = |n: f64| Level {
        private: Some(20.0 * MIB + 4096.0 * n),
        heap: vec![(&HANDLERS, 4096.0 * n)],
        mappings: Some(Mappings { anonymous: (4096.0 * n) as u64, ..Mappings::default() }),
        ..quiet()
    };
    for (driven, owner) in [(Some("Beats"), "Beats"), (None, HANDLERS.frames[1].0)] {
        let mut story = Story::new(plan(Vec::new(), vec![scenario("flood", Shape::Flood, driven)]));
        story.scenario(&Run::of("flood", CYCLES, PER_CYCLE), |n, _| level(n));
        let findings = Findings::of(&story.finish());
        assert_eq!(heap(&findings).owners[0].by, OwnedBy::Library);
        let row = guilty(&findings);
        assert_eq!(row.subsystem, owner);
        assert!(row.evidence[0].contains("make_handler"), "{row:#?}");
    }
}

#[test]
fn a_mapping_that_fills_up_after_it_was_made_is_its_owners() {
    let findings = Findings::of(&recorded(Vec::new(), |n| Level {
        private: Some(20.0 * MIB + 800.0 * n),
        heap: vec![(&ARENAS, if n > 0.0 { 64.0 * MIB } else { 0.0 })],
        mappings: Some(Mappings { anonymous: (800.0 * n) as u64, ..Mappings::default() }),
        ..quiet()
    }));
    assert_eq!(guilty(&findings).subsystem, "grow_arena");
}

#[test]
fn more_live_bytes_than_private_memory_grew_by_are_scaled_to_it() {
    let findings = Findings::of(&recorded(Vec::new(), |n| Level {
        private: Some(20.0 * MIB + 300.0 * n),
        heap: vec![(&QUEUE, 600.0 * n)],
        ..quiet()
    }));
    let row = guilty(&findings);
    near(row.growth, ledger(&findings, Resource::Memory).total, 0.01);
    assert!(row.evidence.iter().any(|sentence| sentence.contains("scaled to it")), "{row:#?}");
}

#[test]
fn the_truth_lies_in_the_interval_that_is_told() {
    let mut inside = 0;
    for seed in 0..40 {
        let findings = Findings::of(&sampled(Vec::new(), 524_288, seed, leak_among_steady));
        let heap = heap(&findings);
        let owner = heap.owners.iter().find(|owner| owner.name.contains("WorkQueue")).expect("the owner");
        let truth = 512.0 * findings.scenarios[0].operations as f64;
        inside += u32::from(owner.growth.low <= truth && truth <= owner.growth.high);
    }
    // 95 % of 40 are 38; fewer than 34 have a chance of 3 in 1,000.
    assert!(inside >= 34, "{inside} of 40");
}

#[test]
fn a_recording_cut_before_its_names_shows_modules_and_offsets() {
    let mut recording = recorded(Vec::new(), leak_among_steady);
    recording.records.retain(|record| !matches!(record, Record::Symbols(_)));
    recording.footer = None;
    let findings = Findings::of(&recording);
    let heap = heap(&findings);
    assert!(heap.owners[0].name.starts_with("server+0x"), "{}", heap.owners[0].name);
    assert_eq!(heap.owners[0].place, None);
    assert!(heap.remarks.iter().any(|remark| remark.contains("no functions were looked up")), "{:?}", heap.remarks);
    assert_eq!(guilty(&findings).subsystem, heap.owners[0].name);
}

#[test]
fn thinned_looks_keep_their_owner() {
    let mut recording = recorded(Vec::new(), leak_among_steady);
    let mut nth = 0;
    recording.records.retain(|record| {
        nth += u32::from(matches!(record, Record::Heap(_)));
        !matches!(record, Record::Heap(_)) || nth % 2 == 1 || nth > 26
    });
    let findings = Findings::of(&recording);
    assert!(heap(&findings).owners[0].name.contains("WorkQueue"));
    assert!(guilty(&findings).subsystem.contains("WorkQueue"));
}

#[test]
fn a_sampler_that_came_later_explains_only_what_came_after_it() {
    let mut recording = recorded(Vec::new(), leak_among_steady);
    let half = recording.records.len() / 2;
    let mut nth = 0;
    recording.records.retain(|record| {
        nth += 1;
        nth > half || !matches!(record, Record::Heap(_))
    });
    let findings = Findings::of(&recording);
    let memory = ledger(&findings, Resource::Memory);
    let row = memory.rows.iter().find(|row| row.subsystem.contains("WorkQueue")).expect("a row");
    assert!(row.growth < 0.65 * memory.total, "{memory:#?}");
    near(memory.rows.iter().map(|row| row.growth).sum(), memory.total, 1e-6);
}

#[test]
fn what_grows_in_time_has_its_row_in_the_idle_scenario_alone() {
    // A thread that touches 40 KiB a second of mappings of half a mebibyte.
    let touched = |t: f64| 40_960.0 * t;
    let reserved = |t: f64| 524_288.0 * (touched(t) / 524_288.0).ceil();
    let level = |n: f64, t: f64| Level {
        private: Some(20.0 * MIB + touched(t) + 96.0 * n),
        heap: vec![(&ARENAS, reserved(t)), (&QUEUE, 96.0 * n), (&POOL, 2.0 * MIB)],
        mappings: Some(Mappings { anonymous: touched(t) as u64, heap: (96.0 * n) as u64, ..Mappings::default() }),
        ..quiet()
    };
    let scenarios = vec![scenario("still", Shape::Idle, None), scenario("adds", Shape::Flood, None)];
    let mut story = Story::new(plan(Vec::new(), scenarios)).sampled(8192, 1);
    story.scenario(&Run::of("still", 33, 0), |_, t| level(0.0, t));
    story.scenario(&Run::of("adds", 33, 1000), level);
    let findings = Findings::of(&story.finish());
    let rows: Vec<(&str, &str)> = findings
        .unbounded_rows()
        .filter(|row| row.metric == Metric::Private)
        .map(|row| (row.scenario.as_str(), row.subsystem.as_str()))
        .collect();
    assert_eq!(rows, [("adds", "<app::queue::WorkQueue as app::Store>::add"), ("still", "grow_arena")]);
}

#[test]
fn why_there_is_no_heap_is_told_once() {
    let mut recording = recorded(Vec::new(), |n| Level { private: Some(20.0 * MIB + n), ..quiet() });
    for pid in [7, 8] {
        let process = Process { pid, start: 1 };
        let event = Event::NoHeap { process, reason: "it is static: use a dynamic build".into() };
        recording.records.insert(1, Record::Event { at: Moment(0), event });
    }
    let findings = Findings::of(&recording);
    assert_eq!(findings.no_heap, ["it is static: use a dynamic build"]);
    assert_eq!(findings.scenarios[0].heap, None);
}

/// A record of the heap as no sampler would write it: where, what is alive, the rest, the allocator.
type OddLook = (u8, Vec<(u32, f64)>, f64, Option<[u64; 3]>);

fn odd_look() -> impl Strategy<Value = OddLook> {
    let number = prop_oneof![Just(0.0), 0.0..1e9f64, proptest::num::f64::ANY];
    let live = proptest::collection::vec((0u32..6, number.clone()), 0..5);
    (any::<u8>(), live, number, proptest::option::of(any::<[u64; 3]>()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_ledger_adds_up_whatever_the_heap_says(
        leak in -300.0..3000.0f64, sites in proptest::collection::vec(-1500.0..3000.0f64, 3), drift in -20.0..200.0f64,
        odd in proptest::collection::vec(odd_look(), 0..6), interval in 1u64..4_000_000,
        cut in proptest::bool::weighted(0.2),
    ) {
        let held = |n: f64, each: f64| (40.0 * MIB + each * n).max(0.0);
        let mut recording = sampled(vec![subsystem("Queue", frames(&["app::queue::*"]))], interval.max(30_000), 3, |n| Level {
            private: Some((200.0 * MIB + leak * n).max(0.0)),
            heap: vec![(&QUEUE, held(n, sites[0])), (&SESSIONS, held(n, sites[1])), (&ARENAS, held(n, sites[2]))],
            mappings: Some(Mappings {
                stack: (drift * n).max(0.0) as u64, anonymous: (500.0 * n) as u64, ..Mappings::default()
            }),
            ..quiet()
        });
        for (place, lives, rest, allocator) in odd {
            let at = recording.records.len() * usize::from(place) / 256;
            let live = |(stack, footprint): (u32, f64)| HeapLive {
                stack, samples: 3, blocks: footprint, bytes: footprint, footprint, error: footprint,
            };
            let look = HeapLook {
                at: recording.records[at].at(),
                operations: 77,
                processes: u32::from(place) % 3,
                interval_bytes: interval,
                rest: live((0, rest)),
                live: lives.into_iter().map(live).collect(),
                allocator: allocator.map(|[arena_bytes, free_bytes, mapped_bytes]| AllocatorFigures {
                    arena_bytes, free_bytes, mapped_bytes, ..AllocatorFigures::default()
                }),
                ..HeapLook::default()
            };
            recording.records.insert(at, Record::Heap(Box::new(look)));
        }
        if cut {
            recording.records.retain(|record| !matches!(record, Record::Symbols(_) | Record::Stacks(_)));
        }
        let findings = Findings::of(&recording);
        let memory = ledger(&findings, Resource::Memory);
        let rows: f64 = memory.rows.iter().map(|row| row.growth).sum();
        let scale = memory.rows.iter().map(|row| row.growth.abs()).fold(memory.total.abs(), f64::max);
        prop_assert!((rows - memory.total).abs() <= 1e-6 * scale, "{:#?} is not {}", memory.rows, memory.total);
        let mut names: Vec<(&str, &Metric)> = memory.rows.iter().map(|row| (row.subsystem.as_str(), &row.metric)).collect();
        names.sort_unstable();
        let rows = names.len();
        names.dedup();
        prop_assert_eq!(names.len(), rows, "one row for each owner");
        prop_assert!(memory.rows.iter().all(|row| row.growth.is_finite()));
        if let Some(heap) = &findings.scenarios[0].heap {
            prop_assert!(heap.owners.iter().all(|owner| owner.growth.low <= owner.growth.value && owner.growth.value <= owner.growth.high));
            prop_assert!(heap.stacks.iter().all(|stack| !stack.frames.is_empty() && stack.owned_at < stack.frames.len()));
            if let Some(account) = heap.account {
                let parts = account.live + account.stacks + account.mappings + account.retained + account.rest;
                let whole = heap.private_growth.expect("an account has a whole");
                prop_assert!((parts - whole).abs() <= 1e-6 * whole.max(account.live.abs()), "{:?} {}", account, whole);
            }
        }
        prop_assert!(memory.rows.iter().filter(|row| row.subsystem == OTHERS).count() <= 1);
    }
}
