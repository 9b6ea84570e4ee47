//! Any record of live heap bytes that can be.

use proptest::prelude::*;

use super::any::{finite, text};
use crate::sample::{
    AllocatorFigures, CallStack, CallStacks, CodeAddress, Frame, HeapCoverage, HeapKind, HeapLive, HeapLook, Module,
    Moment, Record, Symbol, Symbols,
};

fn address() -> impl Strategy<Value = CodeAddress> {
    any::<(Option<u32>, u64)>().prop_map(|(module, offset)| CodeAddress { module, offset })
}

fn live() -> impl Strategy<Value = HeapLive> {
    (any::<(u32, u64)>(), [finite(), finite(), finite(), finite()]).prop_map(
        |((stack, samples), [blocks, bytes, footprint, error])| HeapLive {
            stack,
            samples,
            blocks,
            bytes,
            footprint,
            error,
        },
    )
}

fn look() -> impl Strategy<Value = HeapLook> {
    let allocator = prop::option::of(any::<[u64; 6]>());
    (any::<([u64; 4], u32)>(), prop::collection::vec(live(), 0..4), live(), allocator, any::<[u64; 7]>()).prop_map(
        |(([at, operations, cost_us, interval_bytes], processes), live, rest, allocator, coverage)| HeapLook {
            at: Moment(at),
            operations,
            cost_us,
            processes,
            interval_bytes,
            live,
            rest,
            allocator: allocator.map(|[at_ns, arena_bytes, mapped_bytes, used_bytes, free_bytes, top_bytes]| {
                AllocatorFigures { at_ns, arena_bytes, mapped_bytes, used_bytes, free_bytes, top_bytes }
            }),
            coverage: {
                let [samples, freed, dropped_records, dropped_stacks, missed_frees, truncated_stacks, deep_stacks] =
                    coverage;
                HeapCoverage {
                    samples,
                    freed,
                    dropped_records,
                    dropped_stacks,
                    missed_frees,
                    truncated_stacks,
                    deep_stacks,
                }
            },
        },
    )
}

fn stacks() -> impl Strategy<Value = CallStacks> {
    let module = (any::<u32>(), text(), prop::option::of("[0-9a-f]{2,40}")).prop_map(|(id, path, build_id)| Module {
        id,
        path,
        build_id,
    });
    let kind = prop::sample::select(vec![HeapKind::Block, HeapKind::Mapping]);
    let stack = (any::<u32>(), kind, prop::collection::vec(address(), 0..5)).prop_map(|(id, kind, frames)| CallStack {
        id,
        kind,
        frames,
    });
    (any::<u64>(), prop::collection::vec(module, 0..3), prop::collection::vec(stack, 0..3))
        .prop_map(|(at, modules, stacks)| CallStacks { at: Moment(at), modules, stacks })
}

fn symbols() -> impl Strategy<Value = Symbols> {
    let frame = (text(), prop::option::of(text()), any::<Option<u32>>()).prop_map(|(function, file, line)| Frame {
        function,
        file,
        line,
    });
    let symbol =
        (address(), prop::collection::vec(frame, 0..3)).prop_map(|(address, frames)| Symbol { address, frames });
    (any::<u64>(), prop::collection::vec(symbol, 0..3)).prop_map(|(at, names)| Symbols { at: Moment(at), names })
}

pub fn any_heap_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        stacks().prop_map(|stacks| Record::Stacks(Box::new(stacks))),
        look().prop_map(|look| Record::Heap(Box::new(look))),
        symbols().prop_map(|symbols| Record::Symbols(Box::new(symbols))),
    ]
}
