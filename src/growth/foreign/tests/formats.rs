//! One curve in every format: 200 MiB and one more each minute, from 2025-03-01 23:30 UTC on, over midnight.

use super::super::*;
use crate::growth::{Verdict, judge};

const MINUTES: u32 = 60;
const START: u32 = 1_740_871_800;

fn rows(row: impl Fn(u32) -> String) -> String {
    (0..MINUTES).map(row).collect()
}

fn kib(n: u32) -> u32 {
    (200 + n) * 1024
}

fn bytes(n: u32) -> u32 {
    kib(n) * 1024
}

fn epoch(n: u32) -> u32 {
    START + 60 * n
}

/// `2025-03-01`, `23:30:00`.
fn date_and_clock(n: u32) -> (String, String) {
    let minute = 23 * 60 + 30 + n;
    (format!("2025-03-0{}", 1 + minute / 1440), format!("{:02}:{:02}:00", minute / 60 % 24, minute % 60))
}

fn iso(n: u32) -> String {
    let (date, clock) = date_and_clock(n);
    format!("{date}T{clock}Z")
}

fn clock(n: u32) -> String {
    date_and_clock(n).1
}

/// `11:30:00 PM`.
fn clock_12(n: u32) -> String {
    let minute = 23 * 60 + 30 + n;
    let hour = minute / 60 % 24;
    let shown = if hour.is_multiple_of(12) { 12 } else { hour % 12 };
    format!("{shown:02}:{:02}:00 {}", minute % 60, if hour < 12 { "AM" } else { "PM" })
}

const DOCKER: &str = "CONTAINER ID   NAME   CPU %   MEM USAGE / LIMIT   MEM %   NET I/O   BLOCK I/O   PIDS\n";
const TOP: &str = "    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND\n";
const PIDSTAT: &str = "UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n";
const FREE: &str = "               total        used        free      shared  buff/cache   available\n";
const SAR: &str = "kbmemfree   kbavail kbmemused  %memused kbbuffers\n";

fn tables() -> Vec<(&'static str, String)> {
    let day_first = |n| {
        let (date, clock) = date_and_clock(n);
        format!("{}.03.2025 {clock}", &date[8..])
    };
    vec![
        ("CSV", format!("time,rss_kb\n{}", rows(|n| format!("{},{}\n", epoch(n), kib(n))))),
        ("TSV", format!("time\trss_bytes\n{}", rows(|n| format!("{}\t{}\n", iso(n), bytes(n))))),
        ("newest first", format!("time,rss_kb\n{}", rows(|n| format!("{},{}\n", epoch(59 - n), kib(59 - n))))),
        (
            "decimal commas",
            format!("sep=;\nZeit date;rss (MB)\n{}", rows(|n| format!("{};{},0\n", day_first(n), 200 + n)))
                .replace("Zeit ", ""),
        ),
        (
            "date and time apart",
            format!("date,time,rss_kb\n{}", rows(|n| format!("{},{},{}\n", date_and_clock(n).0, clock(n), kib(n)))),
        ),
        ("milliseconds", format!("ts,rss_kb\n{}", rows(|n| format!("{}000,{}\n", epoch(n), kib(n))))),
        (
            "Grafana",
            format!(
                "\"Time\",\"api-0\"\n{}",
                rows(|n| format!("\"{} {}\",\"{} MiB\"\n", date_and_clock(n).0, clock(n), 200 + n))
            ),
        ),
        (
            "Grafana, long",
            format!("\"Series\";\"Time\";\"Value\"\n{}", rows(|n| format!("\"api-0\";\"{}\";{}\n", iso(n), bytes(n)))),
        ),
        (
            "sadf",
            format!(
                "# hostname;interval;timestamp;kbmemfree;kbmemused;%memused\n{}",
                rows(|n| format!("h;60;{} UTC;9;{};1.5\n", iso(n).replace(['T', 'Z'], " ").trim(), kib(n)))
            ),
        ),
        ("markdown", format!("| time | rss_kb |\n|---|---|\n{}", rows(|n| format!("| {} | {} |\n", epoch(n), kib(n))))),
        (
            "docker stats --format",
            format!("time,name,cpu,mem\n{}", rows(|n| format!("{},web,1.0%,{}MiB / 2GiB\n", iso(n), 200 + n))),
        ),
        (
            "ps, etime",
            format!("  PID  ELAPSED   RSS CMD\n{}", rows(|n| format!(" 42 01:{n:02}:00 {} /bin/api -x y\n", kib(n)))),
        ),
        ("ps, etimes", format!("ELAPSED   RSS\n{}", rows(|n| format!("{:7} {}\n", 60 * n, kib(n))))),
        (
            "ps and date",
            rows(|n| {
                format!(
                    "Sat Mar  {} {} UTC 2025\n  PID   RSS     TIME CMD\n 42 {} 00:01:40 api --x\n",
                    1 + n / 30,
                    clock(n),
                    kib(n)
                )
            }),
        ),
        (
            "ps and ts",
            rows(|n| {
                format!(
                    "Mar 0{} {}   PID   RSS CMD\nMar 0{} {}  42 {} api\n",
                    1 + n / 30,
                    clock(n),
                    1 + n / 30,
                    clock(n),
                    kib(n)
                )
            }),
        ),
    ]
}

fn tools() -> Vec<(&'static str, String)> {
    vec![
        (
            "psrecord",
            format!(
                "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n{}",
                rows(|n| format!("{}.0 0.5 {}.0 500.0\n", 60 * n, 200 + n))
            ),
        ),
        ("mprof", format!("CMDLINE x\n{}", rows(|n| format!("MEM {}.0 {}.0\n", 200 + n, epoch(n))))),
        (
            "docker stats",
            rows(|n| {
                format!(
                    "{}\n{DOCKER}1f2e   web   0.50%   {}MiB / 2GiB   1.0%   1kB / 0B   0B / 0B   7\n",
                    iso(n),
                    200 + n
                )
            }),
        ),
        (
            "docker stats, screen",
            rows(|n| {
                format!(
                    "{}\n\u{1b}[2J\u{1b}[H{DOCKER}1f2e   web   0.50%   {}MiB / 2GiB   1.0%   1kB / 0B   0B / 0B   7\n",
                    iso(n),
                    200 + n
                )
            }),
        ),
        (
            "docker stats, JSON",
            rows(|n| {
                format!(
                    "{} {{\"ID\":\"1f\",\"MemPerc\":\"1%\",\"MemUsage\":\"{}MiB / 2GiB\",\"Name\":\"web\",\"PIDs\":\"7\"}}\n",
                    iso(n),
                    200 + n
                )
            }),
        ),
        (
            "top",
            rows(|n| {
                format!(
                    "top - {} up 3 days,  1 user,  load average: 0.00\nTasks: 1 total\nMiB Mem :  16000 total\n\n{TOP}   4242 app  20   0 3000000 {} 8144 S   1.0   2.5   0:10.04 api\n",
                    clock(n),
                    kib(n)
                )
            }),
        ),
        (
            "pidstat -h",
            format!(
                "Linux 6.1.0 (host)  03/01/25  _x86_64_ (4 CPU)\n\n# Time        {PIDSTAT}{}",
                rows(|n| format!(
                    " {}  1000      4242     12.00      0.00 3000000  {}   2.50  api -x\n",
                    epoch(n),
                    kib(n)
                ))
            ),
        ),
        (
            "pidstat",
            format!(
                "Linux 6.1.0 (host)  03/01/25  _x86_64_ (4 CPU)\n{}Average:     1000      4242     12.00      0.00 3000000  9   2.50  api\n",
                rows(|n| {
                    let header = if n % 20 == 0 { format!("\n11:29:00 PM   {PIDSTAT}") } else { String::new() };
                    format!(
                        "{header}{}  1000      4242     12.00      0.00 3000000  {}   2.50  api\n",
                        clock_12(n),
                        kib(n)
                    )
                })
            ),
        ),
        ("kubectl top", rows(|n| format!("{} api-0 3m {}Mi\n", iso(n), 200 + n))),
        (
            "kubectl top with header",
            rows(|n| format!("{}\nNAME    CPU(cores)   MEMORY(bytes)\napi-0   3m           {}Mi\n", iso(n), 200 + n)),
        ),
        (
            "sar",
            format!(
                "Linux 6.1.0 (host) \t03/01/25\n\n11:29:00 PM {SAR}{}\nAverage:  8000 9000 1 10.00 100\n",
                rows(|n| format!("{} 8000 9000 {} 10.00 100\n", clock_12(n), kib(n)))
            ),
        ),
        (
            "free",
            rows(|n| {
                format!(
                    "{}\n{FREE}Mem:        16000000      {}     8000000      100000     2000000     9000000\nSwap:  0 0 0\n",
                    iso(n),
                    kib(n)
                )
            }),
        ),
        (
            "free -h",
            rows(|n| {
                format!("{}\n{FREE}Mem:   15Gi   {}Mi   8Gi   1Gi   2Gi   9Gi\nSwap:  0B 0B 0B\n", iso(n), 200 + n)
            }),
        ),
        (
            "collectl -P",
            format!(
                "#Date Time [MEM]Tot [MEM]Used [MEM]Free\n{}",
                rows(|n| format!("{} {} 16000000 {} 8000\n", date_and_clock(n).0.replace('-', ""), clock(n), kib(n)))
            ),
        ),
        (
            "collectl -sZ",
            rows(|n| {
                format!(
                    "### RECORD {n} >>> h <<< ({}.001) (Sat Mar  1 23:30:00 2025) ###\n# PID  User  THRD S   VSZ   RSS Command\n 4242  app  4 S    3G  {}K /bin/api -x\n",
                    epoch(n),
                    kib(n)
                )
            }),
        ),
        (
            "massif",
            format!(
                "desc: --time-unit=ms\ncmd: x\ntime_unit: ms\n{}",
                rows(|n| format!(
                    "#---\nsnapshot={n}\n#---\ntime={}\nmem_heap_B={}\nmem_heap_extra_B=1000\nmem_stacks_B=0\nheap_tree=empty\n",
                    60_000 * n,
                    bytes(n) - 1000
                ))
            ),
        ),
        ("pairs", rows(|n| format!("{} INFO rss={}KiB fds\n", iso(n), kib(n)))),
        ("/proc/PID/status", rows(|n| format!("{}\nVmRSS:\t  {} kB\n", iso(n), kib(n)))),
    ]
}

fn collectors() -> Vec<(&'static str, String)> {
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

fn documents() -> Vec<(&'static str, String)> {
    let list = |row: &dyn Fn(u32) -> String| (0..MINUTES).map(row).collect::<Vec<_>>().join(",");
    let metric = "\"__name__\":\"process_resident_memory_bytes\"";
    vec![
        (
            "psutil",
            rows(|n| format!("{{\"ts\":{}.5,\"rss\":{},\"vms\":9000000000,\"percent\":1.5}}\n", epoch(n), bytes(n))),
        ),
        (
            "Node",
            rows(|n| {
                format!(
                    "{{\"time\":{}000,\"rss\":{},\"heapTotal\":6537216,\"heapUsed\":4464576,\"external\":423221}}\n",
                    epoch(n),
                    bytes(n)
                )
            }),
        ),
        (
            "a logger",
            rows(|n| {
                format!(
                    "{{\"level\":\"info\",\"timestamp\":\"{}\",\"memory\":{{\"rss\":{},\"heapTotal\":1,\"heapUsed\":2}}}}\n",
                    iso(n),
                    bytes(n)
                )
            }),
        ),
        ("a list", format!("[{}]", list(&|n| format!("{{\"time\":\"{}\",\n\"rss\":{}}}", iso(n), bytes(n))))),
        (
            "an object with a list",
            format!(
                "{{\"host\":\"a\",\"samples\":[{}]}}",
                list(&|n| format!("{{\"time\":\"{}\",\"rss\":{}}}", iso(n), bytes(n)))
            ),
        ),
        (
            "Prometheus",
            format!(
                "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{{\"metric\":{{{metric}}},\"values\":[{}]}}]}}}}",
                list(&|n| format!("[{},\"{}\"]", epoch(n), bytes(n)))
            ),
        ),
        (
            "Prometheus, instants",
            rows(|n| {
                format!(
                    "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{{\"metric\":{{{metric}}},\"value\":[{},\"{}\"]}}]}}}}\n",
                    epoch(n),
                    bytes(n)
                )
            }),
        ),
        (
            "Prometheus, remote",
            format!(
                "{{\"timeseries\":[{{\"labels\":[{{\"name\":\"job\",\"value\":\"a\"}}],\"samples\":[{}]}}]}}",
                list(&|n| format!("{{\"timestamp\":\"{}000\",\"value\":{}}}", epoch(n), bytes(n)))
            ),
        ),
        (
            "VictoriaMetrics",
            format!(
                "{{\"metric\":{{{metric}}},\"values\":[{}],\"timestamps\":[{}]}}\n",
                list(&|n| bytes(n).to_string()),
                list(&|n| format!("{}000", epoch(n)))
            ),
        ),
        (
            "CloudWatch statistics",
            format!(
                "{{\"Label\":\"mem_used\",\n\"Datapoints\":[{}]}}",
                list(&|n| {
                    let n = n * 7 % MINUTES;
                    format!("{{\"Timestamp\":\"{}\",\"Average\":{}.0,\"Unit\":\"Bytes\"}}", iso(n), bytes(n))
                })
            ),
        ),
        (
            "CloudWatch data",
            format!(
                "{{\"MetricDataResults\":[{{\"Id\":\"m1\",\"Label\":\"mem_used\",\"Timestamps\":[{}],\"Values\":[{}]}}]}}",
                list(&|n| format!("\"{}\"", iso(59 - n))),
                list(&|n| format!("{}.0", bytes(59 - n)))
            ),
        ),
        (
            "CloudWatch CSV",
            format!(
                "Full label,mem_used\nLabel,mem_used\nPeriod,60\n{}",
                rows(|n| format!("{} {},{}\n", date_and_clock(n).0.replace('-', "/"), clock(n), bytes(n)))
            ),
        ),
    ]
}

fn all() -> Vec<(&'static str, String)> {
    [tables(), tools(), collectors(), documents()].concat()
}

#[test]
fn every_format_yields_the_same_curve() {
    for (format, text) in all() {
        let found = read_curves(text.as_bytes(), &Query::default()).unwrap_or_else(|error| panic!("{format}: {error}"));
        let [one] = found.as_slice() else {
            panic!("{format}: {:?}", found.iter().map(|one| &one.series).collect::<Vec<_>>())
        };
        assert_eq!(one.curve.points.len(), MINUTES as usize, "{format}: {:?}", one.remarks);
        for (n, point) in one.curve.points.iter().enumerate() {
            let (x, value) = (60.0 * n as f64, f64::from(bytes(n as u32)));
            assert!((point.x - x).abs() < 1e-6 && point.value == value, "{format}: {point:?} at {n}");
        }
    }
}

#[test]
fn every_format_gets_the_same_verdict_and_figures() {
    let mut first = None;
    for (format, text) in all() {
        let found = read_curves(text.as_bytes(), &Query::default()).unwrap_or_else(|error| panic!("{format}: {error}"));
        let curve = &found[0].curve;
        let smallest = curve.axis.usual_smallest().of(Unit::Bytes);
        let question = Question::about(curve, Some(smallest));
        let growth = judge(curve, &question);
        let rate = growth.per_op.map_or(0.0, |growth| growth.value);
        let (verdict, expected) = *first.get_or_insert((growth.verdict, rate));
        assert!(growth.verdict == verdict && (rate - expected).abs() < 1e-6 * expected, "{format}: {growth:?}");
    }
    assert_eq!(first.map(|(verdict, _)| verdict), Some(Verdict::Unbounded));
}

/// Samples of a table are read, left out and told, or refused: never lost.
#[test]
fn no_sample_is_lost() {
    for holes in 0..40_usize {
        let hole = |n: u32| holes > 0 && (n as usize * 7 + 3) % 41 < holes;
        let text = format!(
            "time,rss_kb\n{}",
            rows(|n| format!(
                "{},{}\n",
                epoch(n),
                if hole(n) { ["", "-", "NaN", "null", "0"][n as usize % 5].into() } else { kib(n).to_string() }
            ))
        );
        let missing = (0..MINUTES).filter(|n| hole(*n)).count();
        match read_curves(text.as_bytes(), &Query::default()) {
            Ok(found) => {
                let told: usize =
                    found[0].remarks.iter().filter_map(|text| text.split(' ').next()?.parse::<usize>().ok()).sum();
                assert_eq!(
                    (found[0].curve.points.len() + missing, told),
                    (MINUTES as usize, missing),
                    "{:?}",
                    found[0].remarks
                );
            }
            Err(error) => panic!("{error}"),
        }
    }
}
