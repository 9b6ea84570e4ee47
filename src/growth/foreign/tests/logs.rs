//! Logs: of collectors of garbage, and of names with values.

use super::*;

const NINE: f64 = 1_740_819_600.0;

/// The times and the values in MiB.
fn mib(text: &str) -> Vec<(f64, f64)> {
    only(text, Unit::Bytes).1.into_iter().map(|(t, value)| (t, value / MIB)).collect()
}

#[test]
fn java_writes_the_whole_heap_after_each_collection() {
    // As JDK 17 writes `-Xlog:gc:file=gc.log:time,uptime`.
    let decorated = "\
[2025-03-01T09:00:00.000+0000][0.012s] Using G1
[2025-03-01T09:00:00.000+0000][0.686s] GC(0) Pause Young (Normal) (G1 Evacuation Pause) 6M->3M(32M) 8.029ms
[2025-03-01T09:01:00.000+0000][0.885s] GC(1) Pause Full (System.gc()) 7M->4M(32M) 7.444ms
";
    assert_eq!(mib(decorated), [(NINE, 3.0), (NINE + 60.0, 4.0)]);
    // As it writes `-Xlog:gc*` with the serial collector, and G1: sizes of parts of the heap have a name.
    let all = "\
[0.6s][info][gc,start    ] GC(0) Pause Young (Allocation Failure)
[0.6s][info][gc,heap     ] GC(0) DefNew: 8704K(9792K)->1087K(9792K) Eden: 8704K(8704K)->0K(8704K) From: 0K(1088K)->1087K(1088K)
[0.6s][info][gc,heap     ] GC(0) Tenured: 0K(21888K)->1965K(21888K)
[0.6s][info][gc,metaspace] GC(0) Metaspace: 8007K(8192K)->8007K(8192K) NonClass: 7062K(7168K)->7062K(7168K)
[0.6s][info][gc          ] GC(0) Pause Young (Allocation Failure) 8M->2M(30M) 31.405ms
[0.7s][info][gc,heap     ] GC(1) Eden regions: 6->0(4)
[0.7s][info][gc          ] GC(1) Pause Young (Normal) (G1 Evacuation Pause) 9M->4M(30M) 9.474ms
[0.8s][info][gc          ] GC(2) Pause Remark 9M->9M(30M) 1.1ms
[0.8s][info][gc          ] GC(2) Pause Cleanup 9M->9M(30M) 1.1ms
[0.8s][info][gc          ] Resized 9M->9M(30M)
";
    assert_eq!(mib(all), [(0.6, 2.0), (0.7, 4.0)]);
    let old = "\
2025-03-01T09:00:00.000+0000: 5.5: [GC (Allocation Failure) [PSYoungGen: 6K->1K(7K)] 9216K->5120K(9999K), 0.01 secs]
2025-03-01T09:00:30.000+0000: 35.5: [GC (CMS Final Remark) [1 CMS-remark: 4096K(8192K)] 5120K(9999K), 0.01 secs]
2025-03-01T09:00:40.000+0000: 45.5: [CMS-concurrent-mark: 0.010/0.010 secs]
2025-03-01T09:01:00.000+0000: 65.5: [Full GC (x) 65.5: [CMS: 0K->6K(9K), 0.02 secs] 9216K->6144K(9999K), [Metaspace: 2K->2K(9K)], 0.02 secs]
";
    assert_eq!(mib(old), [(NINE, 5.0), (NINE + 60.0, 6.0)]);
    let without_time = "[info][gc] GC(0) Pause Young (Normal) 9M->4M(30M) 9.474ms\n";
    assert!(refusal(without_time, &Query::default()).starts_with("line 1: is a collection without a time"));
}

#[test]
fn ten_full_collections_say_more_than_all() {
    let log = |full: u32, young: u32| {
        let full = (0..full).map(|n| format!("[{n}.0s][gc] GC({n}) Pause Full (x) 9M->4M(30M) 1ms\n"));
        let young = (0..young).map(|n| format!("[{}.0s][gc] GC(9) Pause Young (x) 9M->5M(30M) 1ms\n", 50 + n));
        full.chain(young).collect::<String>()
    };
    let left_out = "5 smaller collections are left out: 10 full ones tell what lives";
    for (full, young, samples, remark) in [(10, 5, 10, Some(left_out)), (9, 5, 14, None), (10, 0, 10, None)] {
        let found = read_curves(log(full, young).as_bytes(), &Query::default()).expect("reads");
        assert_eq!(found[0].curve.points.len(), samples, "{full} {young}");
        assert_eq!(found[0].remarks.first().map(String::as_str), remark, "{full} {young}");
    }
}

#[test]
fn generations_of_one_answer_of_jcmd_are_added_up() {
    let answer = |young: u32| {
        format!(
            " def new generation   total 9792K, used {young}K [0x1, 0x2)\n tenured generation   total 21888K, used 1024K [0x2, 0x3)\n Metaspace       used 2612K, committed 2752K\n"
        )
    };
    let timed = format!("09:00:00\n{}09:01:00\n{}", answer(1024), answer(2048));
    assert_eq!(mib(&timed), [(32_400.0, 2.0), (32_460.0, 3.0)]);
    // The process is named above each answer.
    let named = format!("42:\n{}42:\n{}", answer(1024), answer(2048));
    assert_eq!(curves(&named, &every(60.0))[0].1, [(0.0, 2.0 * MIB), (60.0, 3.0 * MIB)]);
    let zgc = "09:00:00\n ZHeap           used 10M, capacity 256M, max capacity 4096M\n";
    assert_eq!(mib(zgc), [(32_400.0, 10.0)]);
}

#[test]
fn a_sample_of_names_with_values_ends_where_a_name_comes_again_or_the_time_changes() {
    let status = |minute: u32, rss: u32| format!("09:0{minute}:00\nVmRSS:\t  {rss} kB\nThreads:\t{rss}\n");
    let found = read_curves((status(0, 20_000) + &status(1, 20_001)).as_bytes(), &Query::default()).expect("reads");
    let points = |one: &Foreign| one.curve.points.iter().map(|point| (point.t, point.value)).collect::<Vec<_>>();
    assert_eq!(points(&found[0]), [(32_400.0, 20_480_000.0), (32_460.0, 20_481_024.0)]);
    assert_eq!(points(&found[1]), [(32_400.0, 20_000.0), (32_460.0, 20_001.0)]);
    assert!(found.iter().all(|one| one.remarks.is_empty()), "{found:?}");
    // Other names at another time are another sample.
    let turns = curves("09:00:00\nrss=5MiB\n09:01:00\nfds=6\n", &Query::default());
    assert_eq!(turns, [("rss".to_owned(), vec![(32_400.0, 5.0 * MIB)]), ("fds".to_owned(), vec![(32_460.0, 6.0)])]);
    assert_eq!(counted("rss=5MiB\nrss=6MiB\nrss=7MiB\n", &every(60.0)), [(String::new(), 3)]);
}
