//! Whose curves a file holds.

use super::super::*;

/// The name and the number of samples of each curve, with all remarks.
fn found(text: &str, query: &Query) -> (Vec<(String, usize)>, String) {
    let curves = read_curves(text.as_bytes(), query).unwrap_or_else(|error| panic!("{text}: {error}"));
    let remarks = curves.iter().flat_map(|curve| curve.remarks.clone()).collect::<Vec<_>>().join("; ");
    let named = |curve: &Foreign| (curve.series.clone().unwrap_or_default(), curve.curve.points.len());
    (curves.iter().map(named).collect(), remarks)
}

fn rows(row: impl Fn(u32) -> String) -> String {
    (0..50).map(row).collect()
}

#[test]
fn subjects_are_told_apart_by_what_tells_them_apart() {
    let two = |a: &str, b: &str| vec![(a.to_owned(), 50), (b.to_owned(), 50)];
    let table = |names: &str, a: &str, b: &str| {
        format!("time,{names},rss_mb\n{}", rows(|n| format!("{n}0,{a},{}\n{n}0,{b},300\n", 200 + n)))
    };
    for (names, a, b, expected) in [
        ("pod", "api-0", "api-1", two("{pod=\"api-0\"}", "{pod=\"api-1\"}")),
        ("namespace,pod", "x,a", "y,b", two("{pod=\"a\"}", "{pod=\"b\"}")),
        ("namespace,pod", "x,a", "y,a", two("{namespace=\"x\"}", "{namespace=\"y\"}")),
        ("pid,command", "7,api", "8,api", two("{pid=\"7\"}", "{pid=\"8\"}")),
        // A name that says nothing, where rows are told apart by it alone.
        ("tenant", "blue", "green", two("{tenant=\"blue\"}", "{tenant=\"green\"}")),
    ] {
        assert_eq!(found(&table(names, a, b), &Query::default()).0, expected, "{names}");
    }
    let by = Query { by: vec!["tier".into()], ..Query::default() };
    assert_eq!(found(&table("tier", "1", "2"), &by).0, two("{tier=\"1\"}", "{tier=\"2\"}"));
    // Notes beside the values are no subjects.
    let notes = format!("time,note,rss_mb\n{}", rows(|n| format!("{n}0,{},300\n", ["", "deploy"][n as usize % 2])));
    assert_eq!(found(&notes, &Query::default()).0, [(String::new(), 50)]);
}

#[test]
fn processes_that_follow_each_other_are_one_curve() {
    let text =
        format!("time,pid,command,rss_mb\n{}", rows(|n| format!("{n}0,{},api,{}\n", 100 + n / 20, 200 + n % 20)));
    let (curves, remarks) = found(&text, &Query::default());
    assert_eq!(
        (curves, remarks.as_str()),
        (vec![(String::new(), 50)], "3 processes of api follow each other and are one curve")
    );
    let by = Query { by: vec!["pid".into()], ..Query::default() };
    assert_eq!(found(&text, &by).0.len(), 3);
}

#[test]
fn what_came_and_went_is_counted() {
    let text = format!("time,pid,rss_mb\n{}480,9,10\n", rows(|n| format!("{n}0,7,300\n")).replace("490,7,300\n", ""));
    let text = format!("{text}490,7,300\n");
    let (curves, remarks) = found(&text, &Query::default());
    assert_eq!(curves, [(String::new(), 50)]);
    assert!(remarks.starts_with("1 subject with 1 samples in all is left out"), "{remarks}");
}

#[test]
fn metrics_of_prometheus_that_are_no_curve_are_left_out_beside_those_that_are() {
    let series = |name: &str| {
        format!("{{\"metric\":{{\"__name__\":\"{name}\"}},\"values\":[[1,\"20000000\"],[2,\"20000000\"]]}}")
    };
    let answer = |names: &[&str]| {
        let series: Vec<String> = names.iter().map(|name| series(name)).collect();
        format!("{{\"data\":{{\"result\":[{}]}}}}", series.join(","))
    };
    let names = [
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_cpu_seconds_total",
    ];
    let (curves, remarks) = found(&answer(&names), &Query::default());
    assert_eq!(curves.len(), 2, "{curves:?}");
    let told = "series that are neither memory nor a count are left out: `process_cpu_seconds_total`, `process_start_time_seconds`";
    assert_eq!(remarks, told);
    let alone = read_curves(answer(&["x_bytes_total"]).as_bytes(), &Query::default()).expect_err("a counter");
    assert!(alone.to_string().contains("is a counter that only ever grows"), "{alone}");
}
