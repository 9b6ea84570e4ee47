//! Where in a tick or in a closer look each metric stands.

use crate::sample::{Cgroup, Detail, MemorySource, Metric, Sample};

/// The value of a metric at a tick, if ticks have it and this one does.
pub(super) fn of_sample(metric: &Metric, source: MemorySource, sample: &Sample) -> Option<f64> {
    let exact = sample.memory.as_ref();
    let value = match (metric, source) {
        (Metric::Private, MemorySource::SmapsRollup) => exact.map(|memory| memory.private),
        (Metric::Private, MemorySource::Statm) => sample.anonymous,
        (Metric::Rss, MemorySource::SmapsRollup) => exact.map(|memory| memory.rss),
        (Metric::Rss, MemorySource::Statm) => sample.rss,
        (Metric::Shared, MemorySource::SmapsRollup) => exact.map(|memory| memory.shared),
        (Metric::Shared, MemorySource::Statm) => sample.shmem,
        (Metric::File, _) => exact.map(|memory| memory.file),
        (Metric::Fds, _) => sample.fds.map(|fds| fds.saturating_sub(sample.own_connections)),
        (Metric::Threads, _) => sample.threads,
        (Metric::Children, _) => sample.tree.map(|tree| tree.children),
        (Metric::Zombies, _) => sample.tree.map(|tree| tree.zombies),
        (Metric::Orphans, _) => sample.tree.map(|tree| tree.orphans),
        (Metric::Tasks, _) => sample.tree.zip(sample.threads).map(|(tree, threads)| {
            threads.saturating_add(tree.children).saturating_add(tree.zombies).saturating_add(tree.orphans)
        }),
        (
            Metric::Peak
            | Metric::Heap
            | Metric::Stack
            | Metric::FdsOf(_)
            | Metric::Gauge(_)
            | Metric::Live(_)
            | Metric::Cgroup(_),
            _,
        ) => None,
    };
    value.map(|value| value as f64)
}

/// The value of a metric in a closer look, if such looks have it and this one does. A sum over processes that were read one after
/// another for a while is the value of no moment: it could lie below every floor.
pub(super) fn of_detail(metric: &Metric, detail: &Detail) -> Option<f64> {
    match metric {
        Metric::Heap | Metric::Stack | Metric::FdsOf(_) if !detail.is_of_one_moment() => None,
        Metric::Heap => detail.mappings.map(|mappings| mappings.heap as f64),
        Metric::Stack => detail.mappings.map(|mappings| mappings.stack as f64),
        // Descriptors that were read and have none of the kind: that is a zero that was measured.
        Metric::FdsOf(kind) => {
            detail.descriptors.as_ref().map(|found| found.by_kind.get(kind).copied().unwrap_or(0) as f64)
        }
        Metric::Gauge(name) => detail.gauges.get(name).copied(),
        Metric::Cgroup(name) => detail.cgroup.as_ref().and_then(|cgroup| of_cgroup(name, cgroup)),
        _ => None,
    }
}

fn of_cgroup(name: &str, cgroup: &Cgroup) -> Option<f64> {
    let value = match name {
        "current" => cgroup.current,
        "anon" => cgroup.anon,
        "file" => cgroup.file,
        "kernel" => cgroup.kernel,
        "sock" => cgroup.sock,
        _ => None,
    };
    value.map(|value| value as f64)
}
