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

/// A table of subjects by pid and command: from which second to which each has a sample.
fn lives(of: &[(u32, &str, std::ops::Range<u32>)]) -> String {
    let mut rows: Vec<(u32, String)> = Vec::new();
    for (pid, command, times) in of {
        rows.extend(times.clone().map(|t| (t, format!("{t},{pid},{command},{}\n", 200 + t))));
    }
    rows.sort();
    format!("time,pid,command,rss_mb\n{}", rows.into_iter().map(|(_, row)| row).collect::<String>())
}

#[test]
fn lives_follow_each_other_only_where_one_ends_before_the_next_begins() {
    let named = |pid: &str, n: usize| (format!("{{pid=\"{pid}\"}}"), n);
    // The second begins in the very second in which the first ends.
    let follows = found(&lives(&[(1, "api", 0..10), (2, "api", 9..20)]), &Query::default());
    assert_eq!(follows.0, [(String::new(), 21)]);
    let overlap = found(&lives(&[(1, "api", 0..10), (2, "api", 8..20)]), &Query::default());
    assert_eq!((overlap.0, overlap.1.as_str()), (vec![named("1", 10), named("2", 12)], ""));
    // Lives of each name for itself, in the order of time and not of the file.
    let two = lives(&[(9, "api", 0..10), (2, "api", 10..20), (3, "web", 0..20)]);
    let two = found(&two, &Query::default());
    let names: Vec<_> = two.0.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(names, [("{command=\"web\"}", 20), ("{command=\"api\"}", 20)]);
    assert_eq!(two.1, "2 processes of api follow each other and are one curve");
}

#[test]
fn lives_in_a_file_that_is_newest_first_are_one_curve_too() {
    let text = lives(&[(9, "api", 0..10), (2, "api", 10..20)]);
    let (header, rows) = text.split_once('\n').expect("a header");
    let turned = rows.lines().rev().fold(format!("{header}\n"), |text, row| text + row + "\n");
    let of = |text: &str| {
        let curves = read_curves(text.as_bytes(), &Query::default()).expect("reads");
        assert_eq!(curves.len(), 1, "{curves:?}");
        curves[0].curve.points.iter().map(|point| (point.t, point.value)).collect::<Vec<_>>()
    };
    assert_eq!(of(&turned), of(&text));
    // A life of one sample has no direction.
    let short = lives(&[(9, "api", 0..1), (8, "api", 1..5)]);
    assert_eq!(of(&short).iter().map(|(t, _)| *t).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn what_has_less_than_a_twentieth_of_the_samples_of_the_longest_is_left_out() {
    // How long the longest is, how long another one, and how many stay.
    for (longest, other, stay) in [(40, 2, 2), (40, 1, 1), (39, 1, 2), (60, 2, 1), (60, 3, 2)] {
        let text = lives(&[(1, "api", 0..longest), (2, "web", 5..5 + other)]);
        let (curves, remarks) = found(&text, &Query::default());
        assert_eq!(curves.len(), stay, "{longest} {other}");
        let told =
            format!("1 subject with {other} samples in all is left out: they were there for less than 5 % of the time");
        assert_eq!(remarks, if stay == 1 { told } else { String::new() });
    }
    let three = lives(&[(1, "api", 0..40), (2, "web", 5..6), (3, "job", 7..8)]);
    assert!(found(&three, &Query::default()).1.starts_with("2 subjects with 2 samples in all are left out"));
}

#[test]
fn subjects_without_a_number_are_told() {
    let text = |second: &str| format!("time,pod,rss_mb\n{}", rows(|n| format!("{n}0,a,300\n{n}0,b,{second}\n")));
    let (curves, remarks) = found(&text("-"), &Query::default());
    assert_eq!((curves, remarks.as_str()), (vec![(String::new(), 50)], "1 subject without a number is left out"));
    let none = "time,pod,rss_mb\n1,a,-\n2,b,-\n";
    let error = read_curves(none.as_bytes(), &Query::default()).expect_err("no number").to_string();
    assert_eq!(error, "holds no values: 2 samples are without a number");
    assert_eq!(
        read_curves(&b"time,pod,rss_mb\n"[..], &Query::default()).expect_err("no row").to_string(),
        "holds no values"
    );
}

#[test]
fn subjects_add_up_and_figures_of_one_subject_do_not() {
    let sums = |text: &str, query: &Query| {
        let curves = read_curves(text.as_bytes(), query).unwrap_or_else(|error| panic!("{text}: {error}"));
        curves.into_iter().map(|curve| (curve.series.unwrap_or_default(), curve.sums)).collect::<Vec<_>>()
    };
    let of = |list: &[(&str, Option<&str>)]| {
        list.iter().map(|(name, sum)| ((*name).to_owned(), sum.map(str::to_owned))).collect::<Vec<_>>()
    };
    let pods = format!("time,pod,rss_mb\n{}", rows(|n| format!("{n}0,a,300\n{n}0,b,200\n")));
    assert_eq!(sums(&pods, &Query::default()), of(&[("{pod=\"a\"}", Some("rss_mb")), ("{pod=\"b\"}", Some("rss_mb"))]));
    let wide = format!("time,api-0 rss_mb,api-1 rss_mb\n{}", rows(|n| format!("{n}0,300,200\n")));
    assert_eq!(sums(&wide, &Query::default()), of(&[("api-0 rss_mb", Some("")), ("api-1 rss_mb", Some(""))]));
    let figures = format!("time,rss_mb,fds\n{}", rows(|n| format!("{n}0,300,20\n")));
    assert_eq!(sums(&figures, &Query::default()), of(&[("rss_mb", None), ("fds", None)]));
    let chosen = Query { columns: vec!["api-0 rss_mb".into(), "api-1 rss_mb".into()], ..Query::default() };
    assert_eq!(sums(&wide, &chosen), of(&[("api-0 rss_mb", None), ("api-1 rss_mb", None)]));
    let answer =
        r#"{"data":{"result":[{"metric":{"pod":"a"},"values":[[1,"3"]]},{"metric":{"pod":"b"},"values":[[1,"3"]]}]}}"#;
    assert_eq!(sums(answer, &Query::default()), of(&[("{pod=\"a\"}", None), ("{pod=\"b\"}", None)]));
    let one = "time,rss_mb\n1,300\n2,301\n";
    assert_eq!(sums(one, &Query::default()), of(&[("", None)]));
}
