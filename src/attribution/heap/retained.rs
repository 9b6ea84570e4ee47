//! Whether growth of private memory is the allocator's alone, and whether it is memory that no collector knows.

use super::remarks::MANY;
use super::{HeapFinding, HeapFrame, HeapOwner, HeapStack, split};
use crate::growth::Verdict;
use crate::sample::{AllocatorFigures, HeapKind};

/// What counts as most of the growth.
const MOST_OF_IT: f64 = 0.5;
/// Objects of a managed heap hold native memory until they are collected, and runtimes collect when that is much: V8 once it is
/// 64 MiB more than before (`kExternalAllocationSoftLimit`). Less says nothing.
const LEAST_UNCOLLECTED: f64 = 64.0 * 1024.0 * 1024.0;

/// Parts of the names of functions that allocate what a collector frees: buffers of JavaScript, direct buffers and compression
/// streams of Java. They are C++ and JNI names of V8, Node.js and HotSpot.
const FREED_BY_A_COLLECTOR: [&str; 4] = ["ArrayBuffer", "BackingStore", "Unsafe_AllocateMemory", "Java_java_util_zip_"];

/// Whether live blocks are at rest, surely explain less than half of the growth, and the allocator says that it has the most of it.
/// An allocator that was not asked may as well hold one large block that fills up.
pub fn is_retained(heap: &HeapFinding) -> bool {
    let Some((account, grew)) = heap.account.zip(heap.private_growth) else { return false };
    let grows = |owner: &HeapOwner| owner.kind == HeapKind::Block && owner.judged.verdict == Verdict::Unbounded;
    let seen = heap.coverage;
    heap.allocator.is_some()
        && !heap.has_new_processes()
        && seen.dropped_records as f64 <= MANY * seen.samples as f64
        && split::is_at_rest(heap)
        && heap.growth.high < MOST_OF_IT * grew
        && account.retained > MOST_OF_IT * grew
        && !heap.owners.iter().any(grows)
}

/// Whether live blocks grow without end, and those that no collector frees are most of what private memory grew by.
pub fn outlasts_collections(heap: &HeapFinding) -> bool {
    heap.live.verdict == Verdict::Unbounded
        && !heap.has_new_processes()
        && heap.uncollected >= LEAST_UNCOLLECTED
        && heap.private_growth.is_some_and(|grew| heap.uncollected >= MOST_OF_IT * grew)
}

/// What blocks that no collector frees grew by at least. A sampler that came later sees what replaces older blocks as growth, so
/// that the allocator's own word is needed too.
pub fn uncollected(heap: &HeapFinding, is_injected: bool) -> f64 {
    let is_collected = |stack: &&HeapStack| {
        let has = |frame: &HeapFrame| FREED_BY_A_COLLECTOR.iter().any(|part| frame.function.contains(part));
        stack.kind == HeapKind::Block && stack.frames.iter().any(has)
    };
    let collected: f64 = heap.stacks.iter().filter(is_collected).map(|stack| stack.growth.high.max(0.0)).sum();
    let seen = heap.growth.low - collected;
    let in_use = |figures: &AllocatorFigures| figures.used_bytes as f64 + figures.mapped_bytes as f64;
    let told = heap.allocator.map(|(before, after)| in_use(&after) - in_use(&before));
    match (told, is_injected) {
        (Some(told), true) => seen.min(told).max(0.0),
        (None, true) => 0.0,
        (_, false) => seen.max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::heap::Call;
    use crate::attribution::tests::heap_at_rest;
    use crate::growth::Estimate;
    use crate::sample::CodeAddress;

    const MIB: f64 = 1024.0 * 1024.0;

    #[test]
    fn each_condition_of_retention_is_asked() {
        assert!(is_retained(&heap_at_rest()));
        let grew = heap_at_rest().private_growth.expect("a growth");
        let changed = |change: &dyn Fn(&mut HeapFinding)| {
            let mut heap = heap_at_rest();
            change(&mut heap);
            is_retained(&heap)
        };
        let account = |retained: f64| {
            move |heap: &mut HeapFinding| heap.account = heap.account.map(|it| super::super::Account { retained, ..it })
        };
        for (what, change, expected) in [
            (
                "nobody asked the allocator",
                &(|heap: &mut HeapFinding| heap.allocator = None) as &dyn Fn(&mut HeapFinding),
                false,
            ),
            ("a new process", &|heap| heap.processes = (1, 2), false),
            ("a process less", &|heap| heap.processes = (2, 1), true),
            (
                "one sample in a hundred found no room",
                &|heap| (heap.coverage.samples, heap.coverage.dropped_records) = (1000, 10),
                true,
            ),
            ("more of them", &|heap| (heap.coverage.samples, heap.coverage.dropped_records) = (1000, 11), false),
            ("live blocks are half of it at most", &|heap| heap.growth.high = 0.5 * grew, false),
            ("live blocks are less", &|heap| heap.growth.high = 0.49 * grew, true),
            (
                "live blocks are not at rest",
                &|heap| (heap.live.verdict, heap.growth.high) = (Verdict::Inconclusive, 0.2 * grew),
                false,
            ),
            ("half of it is retained", &account(0.5 * grew), false),
            ("a little more is", &account(0.51 * grew), true),
            ("nothing grew", &|heap| heap.private_growth = None, false),
        ] {
            assert_eq!(changed(change), expected, "{what}");
        }
        // An owner that grows without end is a leak, whatever the others gave back.
        for (kind, expected) in [(HeapKind::Block, false), (HeapKind::Mapping, true)] {
            let mut heap = heap_at_rest();
            let mut owner = some_owner();
            (owner.kind, owner.judged.verdict) = (kind, Verdict::Unbounded);
            heap.owners.push(owner);
            assert_eq!(is_retained(&heap), expected, "{kind:?}");
        }
    }

    fn some_owner() -> HeapOwner {
        let heap = heap_at_rest();
        HeapOwner {
            name: "cache".into(),
            by: crate::attribution::OwnedBy::Function,
            kind: HeapKind::Block,
            function: "cache".into(),
            place: None,
            growth: Estimate { value: 9.0, low: 8.0, high: 10.0 },
            samples: 1,
            share: None,
            judged: heap.live,
            stacks: Vec::new(),
        }
    }

    /// Live blocks grew by at least so much, of it so much at most in a function of that name.
    fn grown(low: f64, function: &str, high: f64) -> HeapFinding {
        let mut heap = heap_at_rest();
        heap.live.verdict = Verdict::Unbounded;
        heap.growth = Estimate { value: low, low, high: low };
        heap.allocator = None;
        let frame = |function: &str| HeapFrame {
            function: function.into(),
            file: None,
            line: None,
            module: String::new(),
            address: CodeAddress { module: None, offset: 0 },
            call: Call::Real,
        };
        heap.stacks.truncate(1);
        let stack = heap.stacks.first_mut().expect("a stack");
        (stack.kind, stack.frames) = (HeapKind::Block, vec![frame("malloc"), frame(function)]);
        stack.growth = Estimate { value: high, low: high, high };
        heap
    }

    #[test]
    fn what_a_collector_frees_is_taken_off() {
        for function in [
            "node::NodeArrayBufferAllocator::Allocate(unsigned long)",
            "v8::internal::BackingStore::Allocate",
            "Unsafe_AllocateMemory0",
            "Java_java_util_zip_Deflater_init",
        ] {
            assert_eq!(uncollected(&grown(100.0, function, 30.0), false), 70.0, "{function}");
        }
        assert_eq!(uncollected(&grown(100.0, "addon::put", 30.0), false), 100.0);
        assert_eq!(uncollected(&grown(100.0, "v8::internal::BackingStore::Allocate", 130.0), false), 0.0);
        assert_eq!(uncollected(&grown(100.0, "v8::internal::BackingStore::Allocate", -30.0), false), 100.0);
        let mut mapped = grown(100.0, "v8::internal::BackingStore::Allocate", 30.0);
        mapped.stacks[0].kind = HeapKind::Mapping;
        assert_eq!(uncollected(&mapped, false), 100.0, "mappings are no blocks");
    }

    #[test]
    fn a_sampler_that_came_later_needs_the_word_of_the_allocator() {
        let figures =
            |used_bytes, mapped_bytes| AllocatorFigures { used_bytes, mapped_bytes, ..AllocatorFigures::default() };
        let said = |used: u64, mapped: u64| Some((figures(1000, 100), figures(1000 + used, 100 + mapped)));
        for (allocator, is_injected, expected) in [
            (None, false, 100.0),
            (None, true, 0.0),
            (said(20, 5), false, 100.0),
            (said(20, 5), true, 25.0),
            (said(200, 0), true, 100.0),
        ] {
            let heap = HeapFinding { allocator, ..grown(100.0, "addon::put", 0.0) };
            assert_eq!(uncollected(&heap, is_injected), expected, "{allocator:?} {is_injected}");
        }
        let fell =
            HeapFinding { allocator: Some((figures(1000, 0), figures(900, 0))), ..grown(100.0, "addon::put", 0.0) };
        assert_eq!(uncollected(&fell, true), 0.0);
    }

    #[test]
    fn each_condition_of_native_growth_is_asked() {
        for (uncollected, private, verdict, processes, expected) in [
            (64.0, Some(128.0), Verdict::Unbounded, (1, 1), true),
            (63.9, Some(64.0), Verdict::Unbounded, (1, 1), false),
            (64.0, Some(128.1), Verdict::Unbounded, (1, 1), false),
            (64.0, None, Verdict::Unbounded, (1, 1), false),
            (64.0, Some(64.0), Verdict::Inconclusive, (1, 1), false),
            (64.0, Some(64.0), Verdict::Unbounded, (1, 2), false),
        ] {
            let mut heap = grown(0.0, "addon::put", 0.0);
            (heap.uncollected, heap.private_growth) = (uncollected * MIB, private.map(|grew: f64| grew * MIB));
            (heap.live.verdict, heap.processes) = (verdict, processes);
            assert_eq!(outlasts_collections(&heap), expected, "{uncollected} {private:?} {verdict:?} {processes:?}");
        }
    }
}
