//! Logs of garbage collectors.

use super::*;

pub fn collectors() -> Vec<(&'static str, String)> {
    vec![
        (
            "-Xlog:gc",
            format!(
                "[{}][info][gc] Using G1\n{}",
                iso(0),
                rows(|n| format!(
                    "[{}.000+0000][info][gc] GC({n}) Pause Young (Normal) (G1 Evacuation Pause) 900M->{}M(2048M) 3.1ms\n",
                    iso(n).trim_end_matches('Z'),
                    200 + n
                ))
            ),
        ),
        (
            "-Xlog:gc, uptime",
            rows(|n| {
                format!(
                    "[{}.5s][info][gc] GC({n}) Pause Young (Normal) (G1 Evacuation Pause) 900M->{}M(2048M) 3.1ms\n[{}.6s][info][gc] GC({n}) Concurrent Mark Cycle 1ms\n",
                    60 * n,
                    200 + n,
                    60 * n
                )
            }),
        ),
        (
            "ZGC",
            rows(|n| {
                format!("[{}.5s][info][gc] GC({n}) Garbage Collection (Warmup) 900M(10%)->{}M(4%)\n", 60 * n, 200 + n)
            }),
        ),
        (
            "JDK 8",
            rows(|n| {
                format!(
                    "{}.000+0000: {}.5: [GC (Allocation Failure) [PSYoungGen: 65536K->10720K(76288K)] 900000K->{}K(951392K), 0.01 secs] [Times: user=0.01 sys=0.00, real=0.01 secs]\n",
                    iso(n).trim_end_matches('Z'),
                    60 * n,
                    kib(n)
                )
            }),
        ),
        (
            "JDK 8, full",
            rows(|n| {
                format!(
                    "{}.5: [Full GC (Ergonomics) [PSYoungGen: 10720K->0K(76288K)] [ParOldGen: 100K->90K(175104K)] 900000K->{}K(951392K), [Metaspace: 2612K->2612K(1056768K)], 0.01 secs]\n",
                    60 * n,
                    kib(n)
                )
            }),
        ),
        (
            "gctrace",
            rows(|n| {
                format!(
                    "gc {n} @{}.012s 2%: 0.026+0.38+0.016 ms clock, 0.1+0.3/0.2/0.1+0.06 ms cpu, 300->300->{} MB, 400 MB goal, 0 MB stacks, 4 P\n",
                    60 * n,
                    200 + n
                )
            }),
        ),
        (
            "--trace-gc",
            rows(|n| {
                format!(
                    "[42:0x5581f0]   {}000 ms: Scavenge 400.1 (410.2) -> 390.0 (405.2) MB, 0.8 / 0.0 ms\n[42:0x5581f0]   {}500 ms: Mark-Compact (reduce) 400.1 (410.2) -> {}.0 (405.2) MB, 10.8 / 0.0 ms\n",
                    60 * n,
                    60 * n,
                    200 + n
                )
            }),
        ),
        (
            "GC.heap_info",
            rows(|n| {
                format!(
                    "{}\n42:\n garbage-first heap   total 962144K, used {}K [0x0000000700000000)\n  region size 1024K, 20 young (20480K)\n Metaspace       used 2612K, committed 2752K\n",
                    iso(n),
                    kib(n)
                )
            }),
        ),
    ]
}
