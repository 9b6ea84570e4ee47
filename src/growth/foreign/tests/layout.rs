//! Which column is what.

use super::*;

fn count() -> Query {
    Query::of(Unit::Count)
}

fn mib() -> Query {
    Query { unit: Some(MIB), ..Query::default() }
}

fn names(found: &[(String, usize)]) -> Vec<&str> {
    found.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_column_that_the_user_names_is_nothing_else() {
    let text = "t_s,ops,rss_mb\n0,5,200\n1,6,200\n";
    let found = read_curves(text.as_bytes(), &Query { columns: vec!["ops".into()], ..count() }).expect("reads");
    let points: Vec<_> = found[0].curve.points.iter().map(|point| (point.x, point.value)).collect();
    assert_eq!((found[0].curve.axis, points), (Axis::Seconds, vec![(0.0, 5.0), (1.0, 6.0)]));
    for name in ["Real (MB)", "real_mb", "RealMB"] {
        let real = curves("t_s,Real (MB),Virtual (MB)\n0,5,9\n", &columns(&[name]));
        assert_eq!(real, [(String::new(), vec![(0.0, 5.0 * MIB)])], "{name}");
    }
    let error = refusal("t_s,rss_mb\n0,5\n", &columns(&["rss"]));
    assert_eq!(error, "line 1: has no column `rss` for --column; its columns are `t_s`, `rss_mb`");
    // Neither a phase of a run nor a value.
    let phases = "t_s,phase,fds\n0,a,5\n0,b,6\n";
    assert_eq!(names(&counted(phases, &by(&["phase"]))), ["{phase=\"a\"}", "{phase=\"b\"}"]);
    let shards = "t_s,shard,x\n0,1,5\n0,2,6\n";
    let shards = counted(shards, &Query { by: vec!["shard".into()], ..count() });
    assert_eq!(names(&shards), ["{shard=\"1\"}", "{shard=\"2\"}"]);
}

#[test]
fn columns_without_a_known_name_are_subjects_where_they_can_be_bytes() {
    let two = |x: &str, y: &str| format!("time,{x}\n0,{y}\n60,{y}\n");
    for (text, query, expected) in [
        (two("api-0,api-1", "5MiB,6MiB"), Query::default(), Some((5.0 * MIB, 6.0 * MIB))),
        (two("mb_api,mb_web", "5,6"), Query::default(), Some((5.0 * MIB, 6.0 * MIB))),
        (two("api-0,api-1", "5,6"), mib(), Some((5.0 * MIB, 6.0 * MIB))),
        (two("api-0,api-1", "10000000,20000000"), Query::default(), Some((1e7, 2e7))),
        (two("api-0,api-1", "9999999,20000000"), Query::default(), None),
        (two("api-0,api-1", "5MiB,6"), Query::default(), None),
    ] {
        match expected {
            Some((x, y)) => {
                let values: Vec<f64> = curves(&text, &query).iter().map(|(_, points)| points[0].1).collect();
                assert_eq!(values, [x, y], "{text}");
            }
            None => {
                assert!(refusal(&text, &query).starts_with("line 1: names no column that can be the value"), "{text}")
            }
        }
    }
}

#[test]
fn texts_and_percentages_are_no_values() {
    assert_eq!(only("time,x,y\n0,5%,7\n", Unit::Count).1, [(0.0, 7.0)]);
    assert_eq!(only("time,comment,x\n0,abc,7\n", Unit::Count).1, [(0.0, 7.0)]);
    for (text, query, message) in [
        ("time,x\n0,5%\n1,6%\n", Query::default(), "line 1: `x` is a percentage"),
        ("time,cpu_percent,rss_mb\n0,5,7\n", columns(&["cpu_percent"]), "line 1: `cpu_percent` is a percentage"),
        ("time,cpu_percent\n0,5\n", Query::default(), "line 1: `cpu_percent` is a percentage"),
    ] {
        let error = refusal(text, &query);
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn small_numbers_without_a_name_are_asked_for_their_unit() {
    let error = refusal("0 5\n1 6\n", &Query::default());
    assert!(error.starts_with("line 1: begins `value` without a unit"), "{error}");
    assert_eq!(only("t_s,value\n0,5\n1,6\n", Unit::Bytes).1, [(0.0, 5.0), (1.0, 6.0)]);
}

#[test]
fn the_unit_that_the_user_says_comes_before_that_of_a_name_and_after_that_of_a_format() {
    for (text, value) in [
        ("time,rss\n0,5\n", 5.0 * MIB),
        ("time,rss_kb\n0,5\n", 5.0 * MIB),
        ("time,rss_kb\n0,5GiB\n", 5.0 * 1024.0 * MIB),
        ("09:00:00 PID RSS Command\n00:00:00 42 5 api\n", 5.0 * 1024.0),
    ] {
        assert_eq!(curves(text, &mib())[0].1, [(0.0, value)], "{text}");
    }
}

#[test]
fn zero_bytes_are_a_value_of_a_heap_and_no_process_else() {
    for (name, unit, points) in [
        ("fds", Unit::Count, vec![(0.0, 0.0), (1.0, 5.0)]),
        ("heap_mb", Unit::Bytes, vec![(0.0, 0.0), (1.0, 5.0 * MIB)]),
        ("rss_mb", Unit::Bytes, vec![(1.0, 5.0 * MIB)]),
    ] {
        assert_eq!(only(&format!("t_s,{name}\n0,0\n1,5\n"), unit).1, points, "{name}");
    }
}

/// A table of these times and names.
fn who(rows: &[(u32, &str)]) -> String {
    let rows: String = rows.iter().map(|(t, who)| format!("{t},{who},5\n")).collect();
    format!("time,who,rss_mb\n{rows}")
}

#[test]
fn an_unknown_text_tells_subjects_apart_where_it_explains_repeated_times() {
    let steady = [(2, "a"), (3, "a"), (4, "a"), (5, "a"), (6, "a"), (7, "a")];
    let with = |first: &[(u32, &'static str)], n: usize| [first, &steady[..n]].concat();
    for (rows, subjects) in [
        // A fifth of ten rows share their time.
        (with(&[(0, "a"), (0, "b"), (1, "a"), (1, "b")], 6), 2),
        (with(&[(0, "a"), (0, "b"), (1, "a")], 6), 1),
        // Less than half of those that share their time may be left over.
        (with(&[(0, "a"), (0, "a"), (0, "b"), (1, "a"), (1, "a"), (1, "b")], 4), 1),
        (with(&[(0, "a"), (0, "a"), (0, "b"), (1, "a"), (1, "b"), (1, "c")], 4), 3),
    ] {
        let found = counted(&who(&rows), &Query::default());
        let samples: usize = found.iter().map(|(_, n)| n).sum();
        assert_eq!((found.len(), samples), (subjects, rows.len()), "{rows:?}: {found:?}");
    }
    // Numbers are no names, and without times nothing is repeated.
    let numbers: String = (0..6).map(|n| format!("{n},1,500\n{n},2,100\n")).collect();
    let error = refusal(&format!("time,x,rss_mb\n{numbers}"), &Query::default());
    assert!(error.contains("begins 2 samples at each time"), "{error}");
    assert_eq!(counted("note,rss_mb\na,5\nb,5\nc,5\n", &every(60.0)), [(String::new(), 3)]);
}

#[test]
fn a_date_and_a_time_of_day_are_one_time() {
    let nine = 1_740_819_600.0;
    for (text, t) in [
        ("date,time,rss_mb\n2025-03-01,09:00:00,5\n", nine),
        ("time,date,rss_mb\n09:00:00,2025-03-01,5\n", nine),
        ("date,t_s,rss_mb\n2025-03-01 09:00:00,7,5\n", 7.0),
        ("date,rss_mb\n2025-03-01 09:00:00,5\n", nine),
    ] {
        assert_eq!(only(text, Unit::Bytes).1, [(t, 5.0 * MIB)], "{text}");
    }
}

#[test]
fn a_file_without_times_needs_the_step_between_samples() {
    let text = "rss_mb\n5\n6\n";
    assert_eq!(curves(text, &every(60.0))[0].1, [(0.0, 5.0 * MIB), (60.0, 6.0 * MIB)]);
    assert!(refusal(text, &Query::default()).starts_with("line 1: names no column of time: `rss_mb`"));
    let docker = "NAME   MEM USAGE / LIMIT\nweb   5MiB / 2GiB\nweb   6MiB / 2GiB\n";
    assert_eq!(curves(docker, &every(60.0))[0].1, [(0.0, 5.0 * MIB), (60.0, 6.0 * MIB)]);
    assert!(refusal(docker, &Query::default()).starts_with("line 1: holds no times; put one in front of each line"));
}

#[test]
fn who_counts_knows_better_what_is_counted_than_names_do() {
    for (names, cells, values) in [
        ("fds,rss_mb", "5,7", &[5.0][..]),
        ("foo,rss_mb", "5,7", &[5.0]),
        ("foo,bar,rss_mb", "5,6,7", &[7.0]),
        ("rss_mb", "7", &[7.0]),
        ("foo,bar", "5,6", &[5.0, 6.0]),
    ] {
        let found = curves(&format!("time,{names}\n0,{cells}\n"), &count());
        assert_eq!(found.iter().map(|(_, points)| points[0].1).collect::<Vec<_>>(), values, "{names}");
    }
}

#[test]
fn the_same_figure_of_several_subjects_is_judged_of_each() {
    let of = |names: &str| format!("time,{names}\n0,5,6\n1,5,6\n");
    assert_eq!(names(&counted(&of("api rss_mb,web rss_mb"), &Query::default())), ["api rss_mb", "web rss_mb"]);
    for odd in ["rss_mb,RSS_MB", "api rss_mb,web heap_mb", "api rss_mb,rss_mb"] {
        assert!(refusal(&of(odd), &Query::default()).starts_with("line 1: names several columns"), "{odd}");
    }
}
