//! Any record that can be.

use proptest::prelude::*;

use super::any_heap::any_heap_record;
use crate::sample::{
    Border, Cgroup, Descriptors, Detail, Ending, Event, FdKind, FdTarget, HeapEntry, How, Mappings, Mark, Memory,
    MemorySource, Metric, Moment, Named, Phase, Process, ProcessMemory, Record, Runtime, Sample, Stop, Tally,
    TreeCounts,
};

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,6}", any::<String>()]
}

fn process() -> impl Strategy<Value = Process> {
    any::<(u32, u64)>().prop_map(|(pid, start)| Process { pid, start })
}

pub(super) fn finite() -> impl Strategy<Value = f64> {
    prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL
}

fn named() -> impl Strategy<Value = Vec<Named>> {
    prop::collection::vec((text(), any::<u64>()).prop_map(|(name, count)| Named { name, count }), 0..3)
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let numbers = any::<[Option<u64>; 7]>();
    let memory = prop::option::of(any::<[u64; 6]>());
    let tree = prop::option::of(any::<[u64; 3]>());
    (any::<(u64, u64, u32, u64)>(), numbers, memory, tree).prop_map(
        |(
            (at, operations, processes, own),
            [rss, anonymous, fds, threads, cpu_us, high_water, shmem],
            memory,
            tree,
        )| Sample {
            at: Moment(at),
            operations,
            processes,
            rss,
            anonymous,
            fds,
            own_connections: own,
            stopped: own % 2 == 1,
            threads,
            cpu_us,
            memory: memory.map(|[rss, pss, private, shared, file, swap]| Memory {
                rss,
                pss,
                private,
                shared,
                file,
                swap,
                lazily_freed: swap / 2,
            }),
            tree: tree.map(|[children, zombies, orphans]| TreeCounts { children, zombies, orphans }),
            high_water,
            shmem,
        },
    )
}

fn any_detail() -> impl Strategy<Value = Detail> {
    let kind = prop::sample::select(FdKind::ALL.to_vec());
    let targets = prop::collection::vec((kind.clone(), text(), any::<u64>()), 0..3);
    let descriptors = prop::option::of((prop::collection::btree_map(kind, any::<u64>(), 0..4), targets));
    let rest = (
        prop::option::of(any::<[u64; 6]>()),
        prop::option::of(any::<[Option<u64>; 7]>()),
        prop::collection::btree_map(text(), finite(), 0..3),
        prop::collection::vec((process(), text(), any::<u64>()), 0..2),
    );
    (any::<[u64; 3]>(), descriptors, [named(), named(), named(), named()], rest).prop_map(
        |([at, operations, cost_us], descriptors, [threads, children, zombies, orphans], rest)| Detail {
            at: Moment(at),
            operations,
            cost_us,
            span_us: (cost_us % 2 == 1).then_some(cost_us),
            mappings: rest.0.map(|[heap, stack, anonymous, file, shared, count]| Mappings {
                heap,
                stack,
                anonymous,
                file,
                shared,
                count,
            }),
            descriptors: descriptors.map(|(by_kind, targets)| Descriptors {
                by_kind,
                by_target: targets.into_iter().map(|(kind, name, count)| FdTarget { kind, name, count }).collect(),
            }),
            threads,
            children,
            zombies,
            orphans,
            cgroup: rest.1.map(|[current, anon, file, kernel, sock, limit, oom_kills]| Cgroup {
                current,
                anon,
                file,
                kernel,
                sock,
                limit,
                oom_kills,
            }),
            gauges: rest.2,
            per_process: rest
                .3
                .into_iter()
                .map(|(process, command, private)| ProcessMemory { process, command, private })
                .collect(),
        },
    )
}

fn any_stop() -> impl Strategy<Value = Stop> {
    prop_oneof![
        prop::sample::select(vec![
            Stop::Decided,
            Stop::Spent,
            Stop::OutOfTime,
            Stop::Errors,
            Stop::TargetEnded,
            Stop::Interrupted
        ]),
        text().prop_map(|reason| Stop::Failed { reason }),
    ]
}

fn any_tally() -> impl Strategy<Value = Tally> {
    let kinds = || prop::collection::btree_map(text(), any::<u64>(), 0..3);
    let first = prop::collection::btree_map(text(), text(), 0..3);
    (any::<u64>(), kinds(), kinds(), first, finite(), any::<u64>()).prop_map(
        |(counted, uncounted, unexpected, first_of_kind, load_seconds, missed)| Tally {
            counted,
            uncounted,
            unexpected,
            first_of_kind,
            load_seconds,
            missed,
        },
    )
}

fn any_border() -> impl Strategy<Value = Border> {
    let phases = prop::sample::select(vec![Phase::Warmup, Phase::Load, Phase::Settle]);
    prop_oneof![
        (text(), prop::sample::select(vec![MemorySource::SmapsRollup, MemorySource::Statm]))
            .prop_map(|(scenario, memory_source)| Border::ScenarioBegins { scenario, memory_source }),
        Just(Border::Closing),
        (phases, any::<u32>()).prop_map(|(phase, cycle)| Border::PhaseBegins { phase, cycle }),
        (text(), any_stop(), any_tally()).prop_map(|(scenario, stop, tally)| Border::ScenarioEnds {
            scenario,
            stop,
            tally
        }),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let how =
        prop_oneof![any::<i32>().prop_map(How::Exited), any::<i32>().prop_map(How::Signalled), Just(How::Unknown)];
    let ending = (how, any::<bool>(), prop::collection::vec(text(), 0..3))
        .prop_map(|(how, expected, evidence)| Ending { how, expected, evidence });
    let gauge = "[a-z.:]{1,8}".prop_map(Metric::Gauge);
    let metric = prop_oneof![
        prop::sample::select(Metric::GATED.to_vec()),
        Just(Metric::FdsOf(FdKind::Tcp)),
        Just(Metric::Cgroup("sock".into())),
        gauge
    ];
    prop_oneof![
        (process(), prop::collection::vec(text(), 0..3), any::<bool>())
            .prop_map(|(process, command, fresh)| Event::TargetBegins { process, command, fresh }),
        (process(), ending).prop_map(|(process, ending)| Event::TargetEnds { process, ending }),
        (process(), text()).prop_map(|(process, command)| Event::Appeared { process, command }),
        process().prop_map(|process| Event::Vanished { process }),
        (metric, text()).prop_map(|(metric, reason)| Event::Missing { metric, reason }),
        (process(), prop::sample::select(vec![Runtime::Jvm, Runtime::Node, Runtime::Python, Runtime::Go]))
            .prop_map(|(process, runtime)| Event::Runtime { process, runtime }),
        (process(), any::<bool>(), any::<(u64, Option<u64>)>()).prop_map(
            |(process, preloaded, (interval, pause_us))| {
                let entry = if preloaded { HeapEntry::Preloaded } else { HeapEntry::Injected };
                Event::HeapBegins { process, entry, interval_bytes: interval, pause_us }
            }
        ),
        (process(), text()).prop_map(|(process, reason)| Event::NoHeap { process, reason }),
        Just(Event::PeakReset),
        any::<u64>().prop_map(|dropped| Event::Thinned { dropped }),
        text().prop_map(|text| Event::Note { text }),
    ]
}

pub fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        any_sample().prop_map(Record::Sample),
        any_detail().prop_map(|detail| Record::Detail(Box::new(detail))),
        (any::<u64>(), any::<u64>(), any_border()).prop_map(|(at, operations, border)| Record::Mark(Mark {
            at: Moment(at),
            operations,
            border
        })),
        (any::<u64>(), any_event()).prop_map(|(at, event)| Record::Event { at: Moment(at), event }),
        any_heap_record(),
    ]
}
