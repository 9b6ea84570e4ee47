//! What names of columns say.

use super::*;

#[test]
fn names_say_what_is_in_a_column() {
    use Meaning::{Count, Counter, Label, Memory, Operations, Other, Percent, Time, Unknown, Value};
    for (name, meaning) in [
        ("Timestamp (UTC)", Time),
        ("elapsed_time", Time),
        ("ETIMES", Time),
        ("pod_name", Label),
        ("Container ID", Label),
        ("PID", Label),
        ("rss_kb", Memory),
        ("heapUsed", Memory),
        ("kbmemused", Memory),
        ("container_memory_working_set_bytes", Memory),
        ("MemUsage", Memory),
        ("heapTotal", Other),
        ("vsz_kb", Other),
        ("container_spec_memory_limit_bytes", Other),
        ("process_open_fds", Count),
        ("go_goroutines", Count),
        ("num_threads", Count),
        ("process_max_fds", Other),
        ("active_connections", Count),
        ("queue_bytes", Memory),
        ("go_memstats_heap_objects", Count),
        ("%MEM", Percent),
        ("CPUPerc", Percent),
        ("MemoryUtilization", Percent),
        ("go_memstats_alloc_bytes_total", Counter),
        ("requests_total", Operations),
        ("value", Value),
        ("value_mb", Value),
        ("api-0", Unknown),
    ] {
        assert_eq!(Name::of(name).meaning(), meaning, "{name}");
    }
}

#[test]
fn names_say_the_unit() {
    for (name, unit) in [
        ("rss (MB)", Some(MIB)),
        ("rssMiB", Some(MIB)),
        ("rssKB", Some(KIB)),
        ("[MEM]Used", None),
        ("kbmemused", Some(KIB)),
        ("Memory (Mi)", Some(MIB)),
        ("resident_memory_bytes", Some(1.0)),
        ("mem_real", Some(MIB)),
        ("rss", None),
    ] {
        assert_eq!(Name::of(name).unit(), unit, "{name}");
    }
    assert_eq!((unit_named("Gi"), unit_named("kB"), unit_named("ms")), (Some(GIB), Some(KIB), None));
}
