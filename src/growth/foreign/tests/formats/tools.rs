//! What tools print that watch processes.

use super::*;

pub fn tools() -> Vec<(&'static str, String)> {
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
