//! Tables, as programs and people write them.

use super::*;

pub fn tables() -> Vec<(&'static str, String)> {
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
