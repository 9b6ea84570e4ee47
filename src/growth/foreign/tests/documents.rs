//! Documents of JSON, and what CloudWatch saves.

use std::io::BufReader;

use super::*;

fn metrics(text: &str, query: &Query) -> Vec<(Metric, usize)> {
    let curves = read_curves(text.as_bytes(), query).unwrap_or_else(|error| panic!("{text}: {error}"));
    curves.iter().map(|one| (one.curve.metric.clone(), one.curve.points.len())).collect()
}

#[test]
fn members_of_objects_are_columns_down_to_the_fourth_level() {
    let nested = |key: &str| format!("{{\"t_s\":1,\"a\":{{\"b\":{{\"c\":{{\"d\":{key}}}}}}}}}\n");
    assert_eq!(only(&nested("{\"rss_mb\":5}"), Unit::Bytes).1, [(1.0, 5.0 * MIB)]);
    let error = refusal(&nested("{\"e\":{\"rss_mb\":5}}"), &Query::default());
    assert!(error.starts_with("line 1: names no column that can be the value"), "{error}");
}

#[test]
fn a_member_that_turns_up_within_the_first_rows_is_a_column() {
    let row = |n: usize, from: usize| {
        let more = if n < from { "" } else { ",\"fds\":7" };
        format!("{{\"t_s\":{n},\"note\":\"x\",\"rss_mb\":5{more}}}\n")
    };
    let text = |from: usize| (0..300).map(|n| row(n, from)).collect::<String>();
    for (from, expected) in [
        (0, &[(Metric::Private, 300), (Metric::Fds, 300)][..]),
        (1, &[(Metric::Private, 300), (Metric::Fds, 299)]),
        (255, &[(Metric::Private, 300), (Metric::Fds, 45)]),
        (256, &[(Metric::Private, 300)]),
    ] {
        assert_eq!(metrics(&text(from), &Query::default()), expected, "{from}");
    }
}

#[test]
fn errors_of_documents_name_the_line() {
    for (text, message) in [
        ("\n\n[5,{\"rss\":1}]", "line 3: begins a list of JSON whose members are no objects"),
        ("09:00:00\n{\"rss_mb\":5,\"heap_mb\":6}\n", "line 2: names several columns"),
        ("{\"rss_mb\":5,\"t_s\":1}\n7\n", "line 2: is JSON, but no object with a time and a value"),
        ("{\"rss_mb\":5,\"t_s\":1}\n{\"rss_mb\":6]\n", "line 2: is not whole JSON"),
        ("{\n\"rss_mb\":5,\n\"t_s\":x}\n", "line 3: is not whole JSON"),
        (
            "\n\n{\"Label\":\"mem\",\"Datapoints\":[{\"Timestamp\":\"2025-03-01T09:00:00Z\",\"Average\":5,\"Unit\":\"Percent\"}]}",
            "line 3: `mem` is a percentage",
        ),
        ("\n\n{\"data\":{\"result\":[]}}", "line 3: begins an answer without series"),
        (
            "\n\n{\"data\":{\"result\":[{\"metric\":{},\"value\":[1700000060,\"5\"]}]}}{\"data\":{\"result\":[{\"metric\":{},\"value\":[1700000000,\"5\"]}]}}",
            "line 3: goes back in time",
        ),
    ] {
        let error = refusal(text, &Query::default());
        assert!(error.starts_with(message), "{text}: {error}");
    }
    let endless = |text: &'static str| {
        let input = Cursor::new(text).chain(BufReader::new(std::io::repeat(b' ')));
        read_curves(input, &Query::default()).map(|found| found.len()).expect_err("too large").to_string()
    };
    // What is broken on its own line is no begin of a document.
    assert!(endless("{\"rss_mb\":5,\"t_s\":1}\n{\"rss_mb\":6]\n").starts_with("line 2: is not whole JSON"));
    let error = endless("[{\"rss\":1}");
    assert_eq!(error, "line 1: begins a JSON document of more than 67108864 bytes; write one object a line");
}

#[test]
fn what_prometheus_does_not_write_is_named_with_what_it_does() {
    for (values, message) in [
        ("5", "expected a list of [time, value]"),
        ("[true]", "expected [time, value]"),
        ("[[true,\"1\"]]", "expected a number, or a text that is one"),
        ("[[1,\"2\",3]]", "a sample is [time, value]"),
    ] {
        let error = refusal(&format!("[{{\"metric\":{{}},\"values\":{values}}}]"), &Query::default());
        assert!(error.starts_with("line 1: is not what Prometheus answers to a range query: "), "{error}");
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn lists_may_stand_behind_times() {
    let text = "09:00:00 [{\"rss_mb\":5}]\n09:01:00 [{\"rss_mb\":6}]\n";
    assert_eq!(only(text, Unit::Bytes).1, [(32_400.0, 5.0 * MIB), (32_460.0, 6.0 * MIB)]);
}

/// An answer to `get-metric-data` with these members of each result, one data point in each.
fn metric_data(results: &[&str]) -> String {
    let rest = "\"Timestamps\":[\"2025-03-01T09:00:00Z\"],\"Values\":[20000000]";
    let results: Vec<String> = results.iter().map(|names| format!("{{{names},{rest}}}")).collect();
    format!("{{\"MetricDataResults\":[{}]}}", results.join(","))
}

#[test]
fn results_of_cloudwatch_are_named_by_their_label_or_their_id() {
    let text = metric_data(&["\"Id\":\"m1\"", "\"Id\":\"m2\",\"Label\":\"api\"", "\"Id\":\"m3\",\"Label\":\"\""]);
    let names: Vec<String> = counted(&text, &Query::default()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["{label=\"m1\"}", "{label=\"api\"}", "{label=\"m3\"}"]);
}

#[test]
fn a_label_of_cloudwatch_that_says_nothing_is_a_name_of_memory() {
    for (label, metric) in [("open_fds", Metric::Fds), ("mem_used", Metric::Private), ("api", Metric::Private)] {
        let text = metric_data(&[&format!("\"Label\":\"{label}\"")]);
        assert_eq!(metrics(&text, &Query::default()), [(metric, 1)], "{label}");
    }
    for (label, name) in [("mem_used", "`mem_used`"), ("api", "`memory of api`")] {
        let text = metric_data(&[&format!("\"Label\":\"{label}\"")]).replace("20000000", "5");
        let error = refusal(&text, &Query::default());
        assert!(error.starts_with(&format!("line 1: begins {name} without a unit")), "{error}");
    }
}

#[test]
fn columns_of_cloudwatch_are_named_by_their_labels() {
    let rows = "2025/03/01 09:00:00,20000000,30000000\n2025/03/01 09:01:00,20000001,30000001\n";
    let text = format!("Label,api mem,web mem\nPeriod,60,60\n{rows}");
    let found = curves(&text, &Query::default());
    let firsts: Vec<_> = found.iter().map(|(name, points)| (name.as_str(), points[0].1)).collect();
    assert_eq!(firsts, [("api mem", 2e7), ("web mem", 3e7)]);
    let again = refusal(&format!("{text}Label,api mem,web mem\n"), &Query::default());
    assert_eq!(again, "line 5: time `Label` is not a number or a date");
}

/// Series as remote read writes them: the name of the metric and its samples, in milliseconds.
fn remote(series: &[(&str, &str)]) -> String {
    let one = |(name, samples): &(&str, &str)| {
        format!(
            "{{\"labels\":[{{\"name\":\"job\",\"value\":\"a\"}},{{\"name\":\"__name__\",\"value\":\"{name}\"}}],\"samples\":[{samples}]}}"
        )
    };
    format!("{{\"timeseries\":[{}]}}", series.iter().map(one).collect::<Vec<_>>().join(","))
}

#[test]
fn series_of_remote_read_have_their_name_among_their_labels() {
    let sample = "{\"timestamp\":1000,\"value\":20000000}";
    let text = remote(&[("process_resident_memory_bytes", sample), ("process_start_time_seconds", sample)]);
    let found = read_curves(text.as_bytes(), &Query::default()).expect("reads");
    assert_eq!((found.len(), found[0].curve.points.len()), (1, 1));
    assert_eq!(
        found[0].remarks,
        ["series that are neither memory nor a count are left out: `process_start_time_seconds`"]
    );
}

#[test]
fn values_of_prometheus_have_the_unit_of_their_metric() {
    let answer = |name: &str| {
        format!(
            "{{\"data\":{{\"result\":[{{\"metric\":{{\"__name__\":\"{name}\"}},\"values\":[[1,\"0\"],[1,\"3\"],[2,\"4\"]]}}]}}}}"
        )
    };
    let values = |name: &str, query: &Query| {
        curves(&answer(name), query).remove(0).1.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
    };
    let kib = Query { unit: Some(1024.0), ..Query::default() };
    for (name, query, expected) in [
        // A process that lives has memory.
        ("process_resident_memory_bytes", Query::default(), &[3.0, 4.0][..]),
        ("rss_kb", Query::default(), &[3072.0, 4096.0]),
        ("rss", kib.clone(), &[3072.0, 4096.0]),
        ("process_open_fds", kib.clone(), &[0.0, 3.0, 4.0]),
        ("foo_depth", kib, &[0.0, 3072.0, 4096.0]),
        ("mb_foo", Query::default(), &[0.0, 3.0 * MIB, 4.0 * MIB]),
        ("value", Query::default(), &[0.0, 3.0, 4.0]),
    ] {
        assert_eq!(values(name, &query), expected, "{name}");
    }
    let error = refusal(&answer("foo_depth"), &Query::default());
    assert!(error.starts_with("line 1: begins `foo_depth`, and neither its name nor its values"), "{error}");
}
