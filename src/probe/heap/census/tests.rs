use super::super::{Estimate, HeapStack};
use super::*;
use crate::sample::HeapKind;

fn stack(id: u32, frames: &[u64], samples: u64) -> HeapStack {
    let mut live = Estimate::default();
    (0..samples).for_each(|_| live += Estimate::of(HeapKind::Block, 4096, 4096).expect("a sample"));
    HeapStack { id, kind: HeapKind::Block, frames: frames.to_vec(), live, taken: samples, freed: 0 }
}

fn snapshot(stacks: Vec<HeapStack>) -> HeapSnapshot {
    HeapSnapshot {
        pid: 1,
        state: HeapState::Active,
        has_whole_stacks: true,
        base_interval_bytes: 4096,
        interval_bytes: 8192,
        stacks,
        without_stack: Estimate::default(),
        samples: 10,
        freed: 1,
        dropped_records: 2,
        dropped_stacks: 3,
        missed_frees: 4,
        truncated_stacks: 5,
        deep_stacks: 6,
        torn_records: 0,
        allocator: None,
    }
}

/// A program that is mapped here, as it is in every process.
fn mapped_at(begin: u64) -> impl FnMut(u64) -> CodeAddress {
    move |address| match address.checked_sub(begin) {
        Some(offset) => CodeAddress { module: Some(0), offset },
        None => CodeAddress { module: None, offset: address },
    }
}

#[test]
fn the_same_calls_of_two_processes_are_one_stack() {
    let mut stacks = Stacks::default();
    let (mut first, mut second) = (HashMap::new(), HashMap::new());
    add(&snapshot(vec![stack(5, &[0x1011, 0x1021], 3)]), &mut first, &mut stacks, mapped_at(0x1000));
    // The same places, mapped elsewhere, under another number of the table; and one more.
    let other = snapshot(vec![stack(0, &[0x8011, 0x8021], 4), stack(9, &[0x8011], 1)]);
    add(&other, &mut second, &mut stacks, mapped_at(0x8000));
    let Chosen { new, live, rest } = stacks.finish();
    // In the call, not behind it.
    let offsets = |at: usize| new[at].frames.iter().map(|frame| frame.offset).collect::<Vec<_>>();
    assert_eq!((offsets(0), offsets(1)), (vec![0x10, 0x20], vec![0x10]));
    assert_eq!(live.iter().map(|live| (live.stack, live.samples)).collect::<Vec<_>>(), [(0, 7), (1, 1)]);
    assert_eq!(rest.samples, 0);
}

#[test]
fn a_stack_keeps_its_number_and_is_placed_once() {
    let mut stacks = Stacks::default();
    let mut numbers = HashMap::new();
    let one = snapshot(vec![stack(5, &[0x1011], 3), stack(6, &[0x1021], 0)]);
    add(&one, &mut numbers, &mut stacks, mapped_at(0x1000));
    let first = stacks.finish();
    assert_eq!(first.new.len(), 1, "what holds nothing is not told");
    add(&one, &mut numbers, &mut stacks, |_| panic!("its place is known"));
    let second = stacks.finish();
    assert_eq!((second.new.len(), second.live), (0, first.live));
}

#[test]
fn what_has_no_stack_is_counted_all_the_same() {
    let mut stacks = Stacks::default();
    let mut one = snapshot(vec![]);
    one.without_stack += stack(0, &[], 2).live;
    add(&one, &mut HashMap::new(), &mut stacks, mapped_at(0));
    assert_eq!(stacks.finish().rest.samples, 2);
}

#[test]
fn figures_of_several_processes_are_summed() {
    let figures = |at_ns, bytes| AllocatorFigures { at_ns, arena_bytes: bytes, free_bytes: 1, ..Default::default() };
    assert_eq!(both(None, None), None);
    assert_eq!(both(Some(figures(1, 2)), None), Some(figures(1, 2)));
    let sum = AllocatorFigures { at_ns: 3, arena_bytes: 12, free_bytes: 2, ..Default::default() };
    assert_eq!(both(Some(figures(5, 10)), Some(figures(3, 2))), Some(sum));
    let mut coverage = HeapCoverage::default();
    (0..2).for_each(|_| add_coverage(&mut coverage, &snapshot(vec![])));
    assert_eq!((coverage.samples, coverage.dropped_records, coverage.deep_stacks), (20, 4, 12));
}

#[test]
fn who_has_no_table_is_told_once_and_not_at_first_sight() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut census = HeapCensus::default();
    census.begin_target(Some(folder.path().to_owned()));
    let pid = std::process::id();
    let own = Process { pid, start: start_of(pid).expect("our own start") };
    assert_eq!(census.arrival(own), Arrival::NotYet);
    let first = census.look(&[own]);
    assert!(first.events.is_empty() && first.look.is_none() && first.stacks.is_none(), "{first:?}");
    let told = census.look(&[own]).events;
    assert!(
        matches!(told.as_slice(), [Event::NoHeap { process, reason }] if *process == own && !reason.is_empty()),
        "{told:?}"
    );
    assert!(census.look(&[own]).events.is_empty());
    assert_eq!(census.give_up(own), None);
}

#[test]
fn of_very_many_that_are_not_sampled_the_first_are_told() {
    let mut census = HeapCensus::default();
    let all: Vec<Process> = (1..200).map(|pid| Process { pid, start: 1 }).collect();
    let events = census.look(&all).events;
    assert_eq!(events.len(), MOST_TOLD + 1);
    assert!(matches!(&events[0], Event::NoHeap { reason, .. } if reason.contains("named")), "{:?}", events[0]);
    assert!(matches!(events[MOST_TOLD], Event::Note { .. }));
}

#[test]
fn the_table_of_a_process_that_has_ended_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    // Past the largest pid that a kernel gives out.
    let left = folder.path().join("heap.4194305");
    fs::write(&left, "").expect("written");
    let mut census = HeapCensus::default();
    census.begin_target(Some(folder.path().to_owned()));
    census.look(&[]);
    assert!(!left.exists());
}
