//! What becomes of the cells of a row.

use super::*;
use crate::growth::foreign::series::{Doubt, Measure, Zeros};

#[test]
fn all_values_have_a_unit_or_none_has() {
    for (first, second, message) in [
        ("5MiB", "6MiB", None),
        ("0B", "6MiB", None),
        ("0", "6MiB", None),
        ("5MiB", "6", Some("line 2: begins `rss`, where some values have a unit and some have none")),
        ("0B", "6", Some("line 3: begins `rss` without a unit")),
    ] {
        let text = format!("time,rss\n0,{first}\n1,{second}\n");
        match message {
            None => assert_eq!(curves(&text, &Query::default())[0].1.last(), Some(&(1.0, 6.0 * MIB)), "{text}"),
            Some(message) => assert!(refusal(&text, &Query::default()).starts_with(message), "{text}"),
        }
    }
}

#[test]
fn times_of_day_go_over_midnight_and_elapsed_times_begin_again() {
    let times = |text: &str| only(text, Unit::Count).1.into_iter().map(|(t, _)| t).collect::<Vec<_>>();
    let day = "time,fds\n22:00:00,5\n23:00:00,5\n01:00:00,6\n";
    assert_eq!(times(day), [79_200.0, 82_800.0, 90_000.0]);
    let elapsed = "elapsed,fds\n05:00:00,5\n05:01:00,5\n05:02:00,6\n00:00:00,6\n";
    assert_eq!(times(elapsed), [18_000.0, 18_060.0, 18_120.0, 18_180.0]);
    let words = "elapsed,fds\n1h,5\n25:00:00,5\n";
    assert_eq!(times(words), [3600.0, 90_000.0]);
}

#[test]
fn large_numbers_of_time_are_of_finer_units() {
    for (text, t) in [
        ("99999999999", 99_999_999_999.0),
        ("100000000000", 1e8),
        ("99999999999999", 99_999_999_999.999),
        ("100000000000000", 1e8),
        ("100000000000000000", 1e8),
    ] {
        let (found, _) = only(&format!("ts,fds\n{text},5\n"), Unit::Count).1[0];
        assert!((found - t).abs() < 1e-3, "{text}: {found}");
    }
}

#[test]
fn a_label_that_names_a_metric_says_what_a_column_of_values_holds() {
    let text = "time,metric,value\n0,open_fds,20\n0,rss_mb,5\n1,open_fds,21\n1,rss_mb,6\n";
    let found = read_curves(text.as_bytes(), &Query::default()).expect("reads");
    let lasts: Vec<_> = found.iter().map(|one| (one.curve.metric.clone(), one.curve.points[1].value)).collect();
    assert_eq!(lasts, [(Metric::Fds, 21.0), (Metric::Private, 6.0 * MIB)]);
    // The user knows better.
    for (metric, unit, expected) in [("open_fds", Unit::Bytes, Metric::Private), ("rss_mb", Unit::Count, Metric::Fds)] {
        let text = format!("time,metric,value\n0,{metric},20\n");
        let found = read_curves(text.as_bytes(), &Query::of(unit)).expect("reads").remove(0);
        assert_eq!((found.curve.metric, found.curve.points[0].value), (expected, 20.0), "{metric}");
    }
    // Beside a column of memory it is the name of a program.
    let text = "time,name,rss_mb\n0,fds,5\n1,fds,6\n";
    let found = read_curves(text.as_bytes(), &Query::default()).expect("reads");
    assert_eq!((found[0].curve.metric.clone(), found[0].curve.points[1].value), (Metric::Private, 6.0 * MIB));
}

#[test]
fn children_are_added_to_their_parent_up_to_what_a_process_can_have() {
    let family = |parent: &str, child: &str| format!("MEM {parent} 1\nCHLD 0 {child} 1\n");
    assert_eq!(only(&family("5000.0", "6000.0"), Unit::Bytes).1, [(1.0, 11_000.0 * MIB)]);
    let error = refusal(&family("8e12", "8e12"), &Query::default());
    assert!(error.starts_with("line 2: value 1.67") && error.contains("more than 2^63"), "{error}");
}

#[test]
fn a_table_has_no_more_than_twenty_thousand_subjects() {
    let query = Query::default();
    let mut sheet = Sheet::new(&query);
    let measure =
        Measure { title: "rss".into(), unit: Unit::Bytes, scale: None, doubt: Doubt::Unit, zeros: Zeros::Values };
    let added = (0..=20_000).take_while(|_| sheet.add_series(Vec::new(), measure.clone()).is_ok()).count();
    assert_eq!(added, 20_000);
}

#[test]
fn a_format_without_any_sample_holds_no_values() {
    assert_eq!(refusal("# Elapsed time   CPU (%)     Real (MB)\n", &Query::default()), "holds no values");
}

#[test]
fn a_second_of_massif_is_one_or_a_billion_of_what_it_counts() {
    let file = |unit: &str| {
        format!(
            "desc: x\ncmd: x\ntime_unit: {unit}\nsnapshot=0\ntime=3000000000\nmem_heap_B=5\nmem_heap_extra_B=1\nmem_stacks_B=0\n"
        )
    };
    for (unit, t, remark) in [
        ("ms", 3e6, None),
        ("i", 3.0, Some("its time is instructions: a second stands")),
        ("B", 3.0, Some("its time is bytes allocated: a second stands")),
    ] {
        let found = read_curves(file(unit).as_bytes(), &Query::default()).expect("reads");
        let point = found[0].curve.points[0];
        assert!((point.t - t).abs() < 1e-6 && point.value == 6.0, "{unit}: {point:?}");
        assert_eq!(found[0].remarks.len(), usize::from(remark.is_some()), "{unit}");
        assert!(found[0].remarks.iter().all(|told| remark.is_some_and(|remark| told.starts_with(remark))), "{unit}");
    }
}

#[test]
fn a_total_of_free_tells_its_unit_where_it_can() {
    let of = |total: &str| format!("09:00:00\n   total  used  free\nMem:  {total} 500 300\n");
    for (total, value) in
        [("1000000", Some(500.0 * 1024.0)), ("16000000", Some(500.0 * 1024.0)), ("999999", None), ("16000", None)]
    {
        match value {
            Some(value) => assert_eq!(only(&of(total), Unit::Bytes).1, [(32_400.0, value)], "{total}"),
            None => assert_eq!(
                refusal(&of(total), &Query::default()),
                format!(
                    "line 3: begins an output of free whose unit is not clear (total {total}); say --unit KiB, MiB (free -m) or B (free -b)"
                )
            ),
        }
    }
}

#[test]
fn collectl_has_comments_before_its_header_and_after_it() {
    let text = "### collectl 4.3 ###\nwaiting for the first interval\n#Date Time [MEM]Used\n20250301 09:00:00 5\n# a comment\n20250301 09:01:00 6\n";
    assert_eq!(only(text, Unit::Bytes).1, [(1_740_819_600.0, 5.0 * 1024.0), (1_740_819_660.0, 6.0 * 1024.0)]);
}

#[test]
fn every_column_of_sar_in_kib_can_be_chosen() {
    let sar = "Linux 6.1.0 (host)\n\n09:00:00 kbmemfree kbmemused %memused kbslab\n09:01:00 9 8 7.0 6\n";
    for (column, value) in [("kbmemfree", 9.0), ("kbmemused", 8.0), ("kbslab", 6.0)] {
        assert_eq!(curves(sar, &columns(&[column]))[0].1, [(32_460.0, value * 1024.0)], "{column}");
    }
    let error = refusal(sar, &columns(&["%memused"]));
    assert!(error.starts_with("line 3: `%memused` is a percentage"), "{error}");
}
