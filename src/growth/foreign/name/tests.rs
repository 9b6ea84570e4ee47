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

#[test]
fn capitals_and_joined_words_are_taken_apart() {
    for (name, words) in [
        ("heapUsed", &["heap", "used"][..]),
        ("CPUPerc", &["cpu", "perc"]),
        ("CPUx", &["cpux"]),
        ("IOps", &["i", "ops"]),
        ("aB", &["a", "b"]),
        ("ABC", &["abc"]),
        ("ABc", &["abc"]),
        ("gen2Heap", &["gen2heap"]),
        ("rssMiB", &["rss", "mib"]),
        ("rssKb", &["rss", "kb"]),
        ("fooKbytes", &["foo", "kbytes"]),
        ("kbfoo", &["kbfoo"]),
        ("kbfooo", &["fooo", "kb"]),
        ("kbmemused", &["mem", "used", "kb"]),
        ("OpenFDs", &["open", "fds"]),
        ("openfds", &["open", "fds"]),
        ("--a--b--", &["a", "b"]),
        ("", &[]),
    ] {
        assert_eq!(Name::of(name).words, words, "{name}");
    }
}

#[test]
fn totals_values_and_units_are_told_apart() {
    use Meaning::{Count, Counter, Memory, Operations, Other, Phase, Time, Unknown, Value};
    for (name, meaning) in [
        ("mem_total", Other),
        ("heap_memory_total", Counter),
        ("errors_total", Counter),
        ("total", Other),
        ("total_errors", Other),
        ("value_mb_x", Unknown),
        ("value_mb_mb", Memory),
        ("value_kb", Value),
        ("value_foo", Unknown),
        ("threads_kb", Memory),
        ("threads", Count),
        ("cycle", Meaning::Cycle),
        ("phase", Phase),
        ("phase_x", Unknown),
        ("total requests", Operations),
        ("time_ms", Time),
        ("time_x", Unknown),
        ("", Unknown),
        ("mb", Memory),
    ] {
        assert_eq!(Name::of(name).meaning(), meaning, "{name}");
    }
    assert_eq!(["mb_used", "used_mb", "used_mb_x"].map(|name| Name::of(name).unit()), [Some(MIB), Some(MIB), None]);
    assert_eq!(["time_ms", "hours", "time"].map(|name| Name::of(name).time_unit()), [Some(1e-3), Some(3600.0), None]);
    assert_eq!(["uptime_s", "time"].map(|name| Name::of(name).is_elapsed()), [true, false]);
    assert_eq!(["date", "date_utc"].map(|name| Name::of(name).is_date_alone()), [true, false]);
    assert_eq!(Name::of("api_rss_mb_fds").measure(), ["rss", "mb", "fds"]);
    assert!(Name::of("memory.rss").ends(&["rss"]) && !Name::of("rss_x").ends(&["rss"]));
}
