//! What the growth of private memory is made of, worked out by hand.

use super::*;
use crate::attribution::heap::{Account, HeapFinding, HeapOwner, OwnedBy};
use crate::attribution::tests::made_up::{self, judged, plan, subsystem};
use crate::growth::Growth;
use crate::sample::{AllocatorFigures, HeapCoverage, Moment, Named, SubsystemRules};

mod ends;

const UNTOLD: f64 = f64::INFINITY;

/// A heap whose live blocks grew by so much, and private memory by so much.
fn heap(live: f64, private: Option<f64>, owners: Vec<HeapOwner>) -> HeapFinding {
    let live = judged(Metric::Live("(all)".into()), Verdict::Unbounded, &[0.0, live]);
    HeapFinding {
        owners,
        others: 0.0,
        growth: Estimate { value: live.growth(), low: live.growth() - 3.0, high: live.growth() + 3.0 },
        live,
        private_growth: private,
        uncollected: 0.0,
        account: None,
        allocator: None,
        stacks: Vec::new(),
        modules: Vec::new(),
        processes: (1, 1),
        looks: 2,
        interval_bytes: 1,
        coverage: HeapCoverage::default(),
        remarks: Vec::new(),
    }
}

fn owner(name: &str, kind: HeapKind, verdict: Verdict, value: f64) -> HeapOwner {
    HeapOwner {
        name: name.to_owned(),
        by: OwnedBy::Function,
        kind,
        function: name.to_owned(),
        place: Some(Place { file: format!("/home/me/app/src/{name}.rs"), line: Some(7) }),
        growth: Estimate { value, low: value * 0.9, high: value * 1.1 },
        samples: 1,
        share: None,
        judged: judged(Metric::Live(name.to_owned()), verdict, &[0.0, value]),
        stacks: Vec::new(),
    }
}

fn detail(mappings: Mappings, threads: u64) -> Record {
    let threads =
        vec![Named { name: "beat".into(), count: threads }, Named { name: "other".into(), count: threads / 2 }];
    Record::Detail(Box::new(Detail { cost_us: 9, mappings: Some(mappings), threads, ..Detail::default() }))
}

/// Closer looks between which kinds of mappings rose by so much (stack, heap, anonymous).
fn rise(stack: u64, heap: u64, anonymous: u64) -> Vec<Record> {
    let before = Mappings { stack: 1000, heap: 500, anonymous: 2000, ..Mappings::default() };
    let after = Mappings { stack: 1000 + stack, heap: 500 + heap, anonymous: 2000 + anonymous, ..Mappings::default() };
    vec![detail(before, 2), detail(after, 8)]
}

fn figures(free_bytes: u64, arena_bytes: u64, mapped_bytes: u64) -> AllocatorFigures {
    AllocatorFigures { free_bytes, arena_bytes, mapped_bytes, ..AllocatorFigures::default() }
}

#[test]
fn the_account_takes_each_kind_in_turn() {
    let own = || vec![owner("own", HeapKind::Mapping, Verdict::Unbounded, 50.0)];
    let said =
        |free: u64, arena: u64, mapped: u64| Some((figures(7, 11, 13), figures(7 + free, 11 + arena, 13 + mapped)));
    // Live, own mappings, what the allocator says, closer looks; live, stacks, mappings, retained and the rest.
    type Case = (f64, Vec<HeapOwner>, Option<(AllocatorFigures, AllocatorFigures)>, Vec<Record>, [f64; 5]);
    let cases: [Case; 15] = [
        // Nobody said anything: what is in no block is the allocator's.
        (40.0, Vec::new(), None, Vec::new(), [40.0, 0.0, 0.0, 60.0, 0.0]),
        (150.0, Vec::new(), None, Vec::new(), [100.0, 0.0, 0.0, 0.0, 0.0]),
        (-20.0, Vec::new(), None, Vec::new(), [-20.0, 0.0, 0.0, 120.0, 0.0]),
        (40.0, Vec::new(), None, rise(30, 500, 0), [40.0, 30.0, 0.0, 30.0, 0.0]),
        (40.0, Vec::new(), None, rise(80, 500, 0), [40.0, 60.0, 0.0, 0.0, 0.0]),
        (40.0, Vec::new(), None, rise(30, 16, 0), [40.0, 30.0, 0.0, 30.0, 0.0]),
        // Mappings of its own: as much as anonymous memory rose by. Half of what is unexplained is enough to put it all down
        // to the allocator; less leaves a rest.
        (40.0, own(), None, Vec::new(), [40.0, 0.0, 50.0, 10.0, 0.0]),
        (40.0, own(), None, rise(0, 0, 20), [40.0, 0.0, 20.0, 40.0, 0.0]),
        (40.0, own(), None, rise(0, 0, 19), [40.0, 0.0, 19.0, 19.0, 22.0]),
        (40.0, own(), None, rise(10, 2, 15), [40.0, 10.0, 15.0, 17.0, 18.0]),
        // The allocator's word: what is free, or what its arenas and mapped blocks rose by beyond the live blocks.
        (40.0, Vec::new(), said(25, 50, 10), Vec::new(), [40.0, 0.0, 0.0, 25.0, 35.0]),
        (40.0, Vec::new(), said(25, 50, 17), Vec::new(), [40.0, 0.0, 0.0, 27.0, 33.0]),
        (40.0, Vec::new(), said(25, 80, 15), Vec::new(), [40.0, 0.0, 0.0, 60.0, 0.0]),
        (40.0, Vec::new(), said(30, 0, 0), Vec::new(), [40.0, 0.0, 0.0, 60.0, 0.0]),
        (40.0, Vec::new(), said(0, 0, 0), rise(0, 500, 500), [40.0, 0.0, 0.0, 0.0, 60.0]),
    ];
    for (live, owners, allocator, records, [of_live, stacks, mappings, retained, rest]) in cases {
        let mapped: f64 = owners.iter().map(|owner| owner.growth.value).sum();
        let finding = HeapFinding { allocator, ..heap(live, Some(100.0), owners) };
        let found = account(&finding, &records).expect("it grew");
        let expected = Account {
            live: of_live,
            live_scale: if live > 100.0 { 100.0 / live } else { 1.0 },
            stacks,
            mappings,
            mappings_scale: if mapped > 0.0 { mappings / mapped } else { 1.0 },
            retained,
            rest,
        };
        assert_eq!(found, expected, "{live} {allocator:?}");
    }
    let shrunk = vec![owner("own", HeapKind::Mapping, Verdict::Flat, -50.0)];
    assert_eq!(
        account(&heap(40.0, Some(100.0), shrunk), &[]).map(|found| (found.mappings, found.retained)),
        Some((0.0, 60.0))
    );
    for private in [None, Some(0.0), Some(-1.0)] {
        assert_eq!(account(&heap(40.0, private, Vec::new()), &[]), None);
    }
    // What new processes began with was retained by nobody.
    let finding = HeapFinding { processes: (1, 2), ..heap(40.0, Some(100.0), Vec::new()) };
    assert_eq!(account(&finding, &[]).map(|found| (found.retained, found.rest)), Some((0.0, 60.0)));
}

#[test]
fn mappings_are_compared_over_what_is_judged() {
    let at = |stack: u64| detail(Mappings { stack, ..Mappings::default() }, 0);
    let spread = Detail {
        span_us: Some(60_000_000),
        mappings: Some(Mappings { stack: 99, ..Mappings::default() }),
        ..Detail::default()
    };
    let spread = Record::Detail(Box::new(spread));
    let closing = Record::Mark(Mark { at: Moment(0), operations: 0, border: Border::Closing });
    // Sums that are not of one moment and what was closed after the last cycle are left out.
    let records = [spread.clone(), at(10), at(70), at(40), spread, closing, at(20)];
    let finding = heap(40.0, Some(100.0), Vec::new());
    assert_eq!(account(&finding, &records).map(|found| found.stacks), Some(30.0));
    assert_eq!(account(&finding, &records[..2]).map(|found| found.stacks), Some(0.0));
}

/// The parts of a growth by 100 with this verdict.
fn parts_of(
    subsystems: Vec<crate::sample::Subsystem>,
    private: Verdict,
    heap: HeapFinding,
    records: &[Record],
) -> Vec<Part> {
    let growth = judged(Metric::Private, private, &[0.0, 100.0]);
    let heap = HeapFinding { account: account(&heap, records), ..heap };
    let threads = judged(Metric::Threads, Verdict::Bounded, &[0.0, 6.0]);
    let finding = ScenarioFinding { heap: Some(heap), ..made_up::finding(vec![growth.clone(), threads]) };
    parts(&plan(subsystems, Vec::new()), &finding, &growth, records)
}

fn shown(parts: &[Part]) -> Vec<(&str, f64, Standing)> {
    parts.iter().map(|part| (part.owner.as_str(), part.amount, part.standing)).collect()
}

#[test]
fn an_owner_is_what_it_was_judged_as_far_as_private_memory_bears_it_out() {
    use HeapKind::{Block, Mapping};
    use Verdict::{Bounded, Flat, Inconclusive, Unbounded};
    // The owner's kind, verdict and amount; whether another one is known to grow; private memory's verdict; the part's.
    for (kind, verdict, amount, other, private, expected) in [
        (Block, Unbounded, 20.0, false, Unbounded, Unbounded),
        (Block, Unbounded, 20.0, false, Bounded, Bounded),
        (Block, Flat, 60.0, false, Unbounded, Flat),
        (Block, Inconclusive, 50.0, true, Unbounded, Unbounded),
        (Block, Inconclusive, 49.0, true, Unbounded, Inconclusive),
        (Block, Inconclusive, 10.0, false, Unbounded, Unbounded),
        (Block, Inconclusive, 9.0, false, Unbounded, Inconclusive),
        (Mapping, Inconclusive, 10.0, false, Unbounded, Unbounded),
        (Mapping, Flat, 50.0, true, Unbounded, Unbounded),
        (Mapping, Bounded, 49.0, true, Unbounded, Inconclusive),
        (Mapping, Bounded, 49.0, true, Bounded, Bounded),
        (Mapping, Unbounded, 20.0, false, Unbounded, Unbounded),
    ] {
        let mut owners = vec![owner("own", kind, verdict, amount)];
        owners.extend(other.then(|| owner("other", Block, Unbounded, 30.0)));
        let live = if kind == Block { amount + 30.0 } else { 30.0 };
        let found = parts_of(Vec::new(), private, heap(live, Some(100.0), owners), &[]);
        let own = found.iter().find(|part| part.owner == "own").expect("a part");
        assert_eq!(
            (own.amount, own.standing),
            (amount, Standing::As(expected)),
            "{kind:?} {verdict:?} {amount} {other}"
        );
    }
}

#[test]
fn owners_whose_growth_cannot_be_told_from_none_are_summed_up() {
    let unsure = |verdict| HeapOwner {
        growth: Estimate { value: 30.0, low: 0.0, high: 60.0 },
        ..owner("unsure", HeapKind::Block, verdict, 30.0)
    };
    let sure = || owner("sure", HeapKind::Block, Verdict::Unbounded, 70.0);
    let found =
        parts_of(Vec::new(), Verdict::Unbounded, heap(100.0, Some(100.0), vec![sure(), unsure(Verdict::Flat)]), &[]);
    let grows = Standing::As(Verdict::Unbounded);
    assert_eq!(shown(&found), [("sure", 70.0, grows), (OTHERS, 30.0, Standing::Remainder)]);
    let both = heap(100.0, Some(100.0), vec![sure(), unsure(Verdict::Unbounded)]);
    assert_eq!(
        shown(&parts_of(Vec::new(), Verdict::Unbounded, both, &[])),
        [("sure", 70.0, grows), ("unsure", 30.0, grows)]
    );
    // A function that runs when a process starts is no owner of what a new process holds; a rule names one all the same.
    let by_rule = HeapOwner { by: OwnedBy::Rule, ..owner("ruled", HeapKind::Block, Verdict::Unbounded, 30.0) };
    let new = HeapFinding { processes: (1, 2), ..heap(100.0, Some(100.0), vec![sure(), by_rule]) };
    assert_eq!(shown(&parts_of(Vec::new(), Verdict::Unbounded, new, &[])), [("ruled", 30.0, grows)]);
}

#[test]
fn a_part_tells_how_sure_it_is_and_where_its_code_is() {
    let owners = || vec![owner("queue", HeapKind::Block, Verdict::Unbounded, 80.0)];
    let found = parts_of(Vec::new(), Verdict::Unbounded, heap(80.0, Some(100.0), owners()), &[]);
    let part = &found[0];
    assert_eq!(part.evidence, ["80 % of it is held by queue, queue.rs:7: 1 sample, 95 % interval 72 B to 88 B"]);
    assert!((part.doubt - 0.1).abs() < 1e-12 && part.claim == Claim::Sure, "{}", part.doubt);
    assert_eq!(part.source.as_deref(), Some("/home/me/app/src/queue.rs:7"));
    // More live bytes than private memory grew by are scaled to it; a rule writes the path as the scenario file does.
    let named = vec![subsystem("queue", SubsystemRules::default())];
    let many = vec![HeapOwner { samples: 12, ..owner("queue", HeapKind::Block, Verdict::Unbounded, 200.0) }];
    let found = parts_of(named, Verdict::Bounded, heap(200.0, Some(100.0), many), &[]);
    assert_eq!(
        found[0].evidence,
        [
            "100 % of it is held by queue, queue.rs:7: 12 samples, 95 % interval 180 B to 220 B",
            "its live heap grows without end; so far into memory that was free already",
            "live heap is estimated to have grown by 200 B, private memory by 100 B: scaled to it by 0.50",
        ]
    );
    assert_eq!((found[0].amount, found[0].source.as_deref()), (100.0, Some("src/queue.rs:7")));
    // Where private memory is undecided, nothing says that its growth went into free memory.
    let found = parts_of(Vec::new(), Verdict::Inconclusive, heap(80.0, Some(100.0), owners()), &[]);
    assert_eq!(found[0].evidence.len(), 1, "{:?}", found[0].evidence);
    let none = HeapOwner {
        growth: Estimate { value: 0.0, low: 0.0, high: 3.0 },
        ..owner("x", HeapKind::Block, Verdict::Unbounded, 0.0)
    };
    assert_eq!(relative_doubt(none.growth), 0.0);
}

#[test]
fn stacks_of_threads_are_shared_by_how_many_threads_are_new() {
    let tasks = |name: &str| SubsystemRules { tasks: vec![name.to_owned()], ..SubsystemRules::default() };
    // Six new threads of one name, three of another; 45 of the growth is their stacks.
    let beats = vec![subsystem("Beats", tasks("beat"))];
    let stands = Standing::As(Verdict::Bounded);
    let found = parts_of(beats.clone(), Verdict::Unbounded, heap(55.0, Some(100.0), Vec::new()), &rise(45, 0, 0));
    assert_eq!(shown(&found)[1..], [("Beats", 30.0, stands), (STACKS, 15.0, stands)]);
    assert_eq!(found[1].evidence, ["30 % of it is the stacks of its 6 new threads"]);
    let all = vec![subsystem("Beats", tasks("beat")), subsystem("Others", tasks("other"))];
    let found = parts_of(all, Verdict::Unbounded, heap(55.0, Some(100.0), Vec::new()), &rise(45, 0, 0));
    assert_eq!(shown(&found)[1..], [("Beats", 30.0, stands), ("Others", 15.0, stands)]);
    let found = parts_of(beats, Verdict::Unbounded, heap(100.0, Some(100.0), Vec::new()), &rise(0, 0, 0));
    assert_eq!(shown(&found), [(OTHERS, 100.0, Standing::Remainder)], "no stack rose");
}

#[test]
fn what_was_retained_tells_how_sure_that_is() {
    let at_rest = |live: f64, allocator: bool| {
        let mut heap = heap(live, Some(100.0), vec![owner("own", HeapKind::Block, Verdict::Unbounded, live)]);
        heap.live.verdict = Verdict::Flat;
        heap.allocator = allocator.then(|| (figures(1024, 0, 0), figures(3 * 1024, 0, 0)));
        heap
    };
    let retained = |heap: HeapFinding| {
        let mut found = parts_of(Vec::new(), Verdict::Unbounded, heap, &[]);
        found.retain(|part| part.owner == RETAINED);
        found.pop().map(|part| (part.amount, part.standing, part.evidence))
    };
    let freed =
        "of it was freed by the program and not given back to the system, or lies between blocks in use; it is no leak";
    let said = "the allocator reports 3 KiB free in its arenas, 1 KiB before";
    let unasked = "the allocator was not asked: it is what is in no live block, stack or mapping";
    let grows = Standing::As(Verdict::Unbounded);
    let evidence = |share: &str, more: &[&str]| {
        let mut all = vec![format!("{share} {freed}")];
        all.extend(more.iter().map(|sentence| (*sentence).to_owned()));
        all
    };
    assert_eq!(retained(at_rest(90.0, true)), Some((10.0, grows, evidence("10 %", &["live heap is flat", said]))));
    assert_eq!(
        retained(at_rest(91.0, true)),
        Some((9.0, Standing::Remainder, evidence("9 %", &["live heap is flat", said])))
    );
    assert_eq!(
        retained(at_rest(60.0, false)),
        Some((40.0, Standing::Remainder, evidence("40 %", &["live heap is flat", unasked])))
    );
    let grown = HeapFinding {
        live: judged(Metric::Live("(all)".into()), Verdict::Unbounded, &[0.0, 60.0]),
        ..at_rest(60.0, true)
    };
    assert_eq!(retained(grown), Some((40.0, Standing::Remainder, evidence("40 %", &[said]))));
    // The estimate of live bytes is open by 3 to either side.
    for (live, is_less) in [(97.0, false), (98.0, true)] {
        let found = retained(at_rest(live, true)).expect("a part").2;
        assert_eq!(found.contains(&"it is less than what sampling leaves open (± 3 B)".to_owned()), is_less, "{live}");
    }
    assert_eq!(retained(at_rest(100.0, true)), None);
}

#[test]
fn live_heap_is_at_rest_when_it_is_flat_or_explains_nothing() {
    for (verdict, high, private, rests) in [
        (Verdict::Flat, 90.0, Some(100.0), true),
        (Verdict::Bounded, 90.0, None, true),
        (Verdict::Inconclusive, 19.0, Some(200.0), true),
        (Verdict::Inconclusive, 20.0, Some(200.0), false),
        (Verdict::Unbounded, 21.0, Some(200.0), false),
        (Verdict::Unbounded, 0.0, None, false),
    ] {
        let mut heap = heap(10.0, private, Vec::new());
        heap.growth.high = high;
        heap.live.verdict = verdict;
        assert_eq!(is_at_rest(&heap), rests, "{verdict:?} {high} {private:?}");
    }
    let growth: Growth = judged(Metric::Private, Verdict::Unbounded, &[100.0, 90.0]);
    let heap = HeapFinding {
        account: account(&heap(10.0, Some(100.0), Vec::new()), &[]),
        ..heap(10.0, Some(100.0), Vec::new())
    };
    let finding = ScenarioFinding { heap: Some(heap), ..made_up::finding(vec![growth.clone()]) };
    assert!(parts(&plan(Vec::new(), Vec::new()), &finding, &growth, &[]).is_empty(), "what shrank is nobody's");
}

#[test]
fn growth_in_time_is_shared_among_the_owners_that_had_a_part_in_it() {
    let rate = Estimate { value: 10.0, low: 8.0, high: 12.0 };
    let private = |verdict| Growth { per_op: Some(rate), ..judged(Metric::Private, verdict, &[0.0, 100.0]) };
    let unsure = HeapOwner {
        growth: Estimate { value: 20.0, low: 0.0, high: 40.0 },
        ..owner("unsure", HeapKind::Block, Verdict::Unbounded, 20.0)
    };
    let owners = vec![
        owner("half", HeapKind::Block, Verdict::Inconclusive, 50.0),
        owner("more", HeapKind::Block, Verdict::Inconclusive, 200.0),
        unsure,
    ];
    let found = heap(100.0, Some(100.0), owners.clone()).in_time(&private(Verdict::Unbounded));
    let live = |name: &str| Metric::Live(name.to_owned());
    let half = Estimate { value: 5.0, low: 4.0, high: 6.0 };
    assert_eq!(found, [(live("half"), half), (live("more"), rate)].into());
    for (verdict, grew) in
        [(Verdict::Bounded, Some(100.0)), (Verdict::Unbounded, Some(0.0)), (Verdict::Unbounded, None)]
    {
        let found = heap(100.0, grew, owners.clone()).in_time(&private(verdict));
        assert!(found.is_empty(), "{verdict:?} {grew:?}: {found:?}");
    }
}

#[test]
fn how_live_heap_rests_is_told_in_words() {
    for (verdict, high, words) in [
        (Verdict::Flat, 5.0, "flat"),
        (Verdict::Bounded, 5.0, "bounded"),
        (Verdict::Inconclusive, 5.0, "at most 5 B more than before (95 %)"),
        (Verdict::Unbounded, -5.0, "at most 0 B more than before (95 %)"),
    ] {
        let mut heap = heap(10.0, Some(100.0), Vec::new());
        heap.growth.high = high;
        heap.live.verdict = verdict;
        assert_eq!(heap.at_rest(), words);
    }
}

#[test]
fn a_growth_is_divided_in_order_and_by_exclusion() {
    // live, stacks, mappings and what bounds them, what the allocator can have retained; then the parts.
    for (live, stacks, own, anonymous, retainable, expected) in [
        (30.0, 10.0, 20.0, Some(90.0), 50.0, [30.0, 10.0, 20.0, 40.0, 0.0]),
        // The allocator bears out half of what is left: all of it is its own. Less than half, and the rest is nobody's.
        (30.0, 10.0, 20.0, Some(90.0), 20.0, [30.0, 10.0, 20.0, 40.0, 0.0]),
        (30.0, 10.0, 20.0, Some(90.0), 19.0, [30.0, 10.0, 20.0, 19.0, 21.0]),
        (30.0, 10.0, 20.0, Some(90.0), 0.0, [30.0, 10.0, 20.0, 0.0, 40.0]),
        (30.0, 10.0, 20.0, Some(90.0), -5.0, [30.0, 10.0, 20.0, 0.0, 40.0]),
        (0.0, 0.0, 0.0, None, UNTOLD, [0.0, 0.0, 0.0, 100.0, 0.0]),
        // Mappings grew by no more than anonymous memory did.
        (30.0, 10.0, 20.0, Some(5.0), 0.0, [30.0, 10.0, 5.0, 0.0, 55.0]),
        (30.0, 10.0, 20.0, Some(-5.0), 0.0, [30.0, 10.0, 0.0, 0.0, 60.0]),
        (30.0, 10.0, 20.0, None, 0.0, [30.0, 10.0, 20.0, 0.0, 40.0]),
        // No part takes more than there is.
        (150.0, 10.0, 20.0, None, 50.0, [100.0, 0.0, 0.0, 0.0, 0.0]),
        (30.0, 90.0, 20.0, None, 50.0, [30.0, 70.0, 0.0, 0.0, 0.0]),
        (30.0, 10.0, 90.0, None, 50.0, [30.0, 10.0, 60.0, 0.0, 0.0]),
        (30.0, -10.0, 20.0, None, 0.0, [30.0, 0.0, 20.0, 0.0, 50.0]),
        // Blocks that were freed leave room for others.
        (-40.0, 10.0, 0.0, None, 130.0, [-40.0, 10.0, 0.0, 130.0, 0.0]),
    ] {
        let account = divide(100.0, &Rises { live, stacks, own, anonymous, retainable });
        let parts = [account.live, account.stacks, account.mappings, account.retained, account.rest];
        assert_eq!(parts, expected, "{live} {stacks} {own} {anonymous:?} {retainable}");
        assert!((parts.iter().sum::<f64>() - 100.0).abs() < 1e-9);
    }
    let scales = |live, own| {
        let account = divide(100.0, &Rises { live, stacks: 0.0, own, anonymous: Some(10.0), retainable: 0.0 });
        (account.live_scale, account.mappings_scale)
    };
    assert_eq!([scales(200.0, 0.0), scales(50.0, 40.0), scales(-5.0, 0.0)], [(0.5, 1.0), (1.0, 0.25), (1.0, 1.0)]);
}

#[test]
fn the_allocator_retains_what_is_free_or_what_it_took_beyond_live_blocks() {
    let figures = |arena_bytes, mapped_bytes, free_bytes| AllocatorFigures {
        arena_bytes,
        mapped_bytes,
        free_bytes,
        ..AllocatorFigures::default()
    };
    let before = figures(1000, 200, 100);
    for (after, live, expected) in [
        (figures(1000, 200, 150), 0.0, 50.0),
        (figures(1400, 200, 100), 100.0, 300.0),
        (figures(1000, 700, 100), 100.0, 400.0),
        (figures(1400, 100, 150), 100.0, 200.0),
        (figures(1100, 200, 150), 90.0, 50.0),
        (figures(900, 200, 50), 0.0, -50.0),
        (figures(900, 200, 50), -200.0, 100.0),
    ] {
        assert_eq!(can_retain(&before, &after, live), expected, "{after:?} {live}");
    }
}
