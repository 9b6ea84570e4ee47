//! Small files of the formats that `judge` reads, as their programs write them.

/// One file of each format.
pub fn all() -> Vec<String> {
    let rows = |row: &dyn Fn(u32) -> String| (0..30).map(row).collect::<String>();
    let list = |row: &dyn Fn(u32) -> String| (0..30).map(row).collect::<Vec<_>>().join(",");
    let (kib, clock) = (|n: u32| 204_800 + 512 * n, |n: u32| format!("23:{:02}:00", 30 + n));
    let iso = |n: u32| format!("2025-03-01T{}Z", clock(n));
    vec![
        format!("time,pod,rss_kb,open_fds\n{}", rows(&|n| format!("{n},a,{},{n}\n{n},b,100000,7\n", kib(n)))),
        format!(
            "\"Time\",\"api-0\",\"api-1\"\n{}",
            rows(&|n| format!("\"2025-03-01 {}\",\"{n}00 MiB\",\"-\"\n", clock(n)))
        ),
        rows(&|n| format!("Sat Mar  1 {} UTC 2025\n  PID   RSS CMD\n 42 {} api --x\n", clock(n), kib(n))),
        rows(&|n| {
            format!(
                "{}\nCONTAINER ID   NAME   CPU %   MEM USAGE / LIMIT   MEM %\n1f   web   0.5%   {n}MiB / 2GiB   1%\n",
                iso(n)
            )
        }),
        rows(&|n| format!("{} {{\"MemUsage\":\"2{n}MiB / 2GiB\",\"Name\":\"web\"}}\n", iso(n))),
        rows(&|n| format!("top - {} up 3 days\n  PID USER RES %MEM COMMAND\n 42 app {} 2.5 api\n", clock(n), kib(n))),
        format!(
            "Linux 6.1\n09:00:00 AM UID PID VSZ RSS %MEM Command\n{}",
            rows(&|n| format!("11:{n}:00 PM 0 4 9 {} 2 api\n", kib(n)))
        ),
        rows(&|n| format!("{} api-0 3m {}Mi\n", iso(n), 200 + n)),
        format!("09:00:00 kbmemfree kbmemused %memused\n{}", rows(&|n| format!("{} 9 {} 1.5\n", clock(n), kib(n)))),
        rows(&|n| format!("{}\n total used free\nMem: 16000000 {} 9\n", iso(n), kib(n))),
        format!("#Date Time [MEM]Tot [MEM]Used\n{}", rows(&|n| format!("20250301 {} 16000000 {}\n", clock(n), kib(n)))),
        format!(
            "time_unit: i\n{}",
            rows(&|n| format!("snapshot={n}\ntime={n}\nmem_heap_B={}\nmem_stacks_B=0\n", kib(n)))
        ),
        rows(&|n| format!("[{n}.5s][info][gc] GC({n}) Pause Young (Normal) 900M->{n}M(2048M) 3ms\n")),
        rows(&|n| format!("{n}.5: [Full GC [ParOldGen: 10K->9K(9K)] 900000K->{}K(951392K), 0.01 secs]\n", kib(n))),
        rows(&|n| format!("gc {n} @{n}.0s 2%: 0.02+0.3 ms clock, 300->300->{n} MB, 400 MB goal\n")),
        rows(&|n| format!("[42:0x5]   {n}00 ms: Mark-Compact 400.1 (410.2) -> {n}.0 (405.2) MB, 10 / 0.0 ms\n")),
        rows(&|n| format!("{}\n garbage-first heap   total 962144K, used {}K [0x0)\n", iso(n), kib(n))),
        rows(&|n| format!("{} INFO rss={}KiB fds={n}\n", iso(n), kib(n))),
        format!(
            "{{\"Label\":\"mem\",\"Datapoints\":[{}]}}",
            list(&|n| format!("{{\"Timestamp\":\"{}\",\"Average\":{},\"Unit\":\"Bytes\"}}", iso(n), kib(n)))
        ),
        format!("Label,mem\nPeriod,60\n{}", rows(&|n| format!("2025/03/01 {},{}\n", clock(n), kib(n)))),
        format!(
            "{{\"timeseries\":[{{\"labels\":[],\"samples\":[{}]}}]}}",
            list(&|n| format!("{{\"timestamp\":\"{n}\",\"value\":{n}}}"))
        ),
        format!("[{}]", list(&|n| format!("{{\"time\":{n},\"rss\":{},\"vms\":1}}", kib(n)))),
    ]
}
