//! JSON, and what CloudWatch saves.

use super::*;

pub fn documents() -> Vec<(&'static str, String)> {
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
