//! Tables: what is a row, and what is not.

use super::*;

fn values(text: &str) -> Vec<(f64, f64)> {
    only(text, Unit::Count).1
}

#[test]
fn a_date_and_a_time_of_day_are_one_field_among_blanks() {
    let nine = 1_740_819_600.0;
    for text in [
        "2025-03-01 09:00:00 5\n2025-03-01 09:01:00 6\n",
        "Sat Mar  1 09:00:00 UTC 2025 5\nSat Mar  1 09:01:00 UTC 2025   6\n",
        "time value\n2025-03-01 09:00:00 5\n2025-03-01 09:01:00  6\n",
    ] {
        assert_eq!(values(text), [(nine, 5.0), (nine + 60.0, 6.0)], "{text}");
    }
    // A comma within one makes a field too many.
    assert_eq!(refusal("time,value\n2025-03-01, 09:00:00, 5\n", &Query::default()), "line 2: has 3 fields, not 2");
    // A row that has a field for each column is taken as it is, though its second number could be a date.
    let text = "ELAPSED RSS CMD\n09:00:00 20250301 api -x\n";
    assert_eq!(only(text, Unit::Bytes).1, [(32_400.0, 20_250_301.0 * 1024.0)]);
}

#[test]
fn where_rows_have_a_time_a_time_alone_is_a_row_without_a_value() {
    for (text, message) in [
        ("1740819600 5\n1740819660\n", "line 2: has 1 fields, not 2"),
        ("time fds\n1740819600 5\n1740819660\n", "line 3: has 1 fields, not 2"),
    ] {
        assert_eq!(refusal(text, &Query::default()), message);
    }
    let between = "1740819600\nPID NLWP\n7 5\n1740819660\n7 6\n";
    assert_eq!(values(between), [(1_740_819_600.0, 5.0), (1_740_819_660.0, 6.0)]);
}

#[test]
fn comments_and_rules_are_no_rows() {
    let two = [(0.0, 5.0), (1.0, 6.0)];
    for text in [
        "# time\n0 5\n1 6\n",
        "# t fds\n0 5\n# a note\n1 6\n",
        "time fds\n---- ---\n0 5\n1 6\n",
        "sep=,\ntime,fds\n0,5\n1,6\n",
        "sep=\t\ntime\tfds\n0\t5\n1\t6\n",
        "time fds\n0 5\ntime   fds\n1 6\n",
        "time,fds\n0,5\ntime,fds\n1,6\n",
    ] {
        assert_eq!(values(text), two, "{text}");
    }
    // Two dashes stand for a value that is missing, three for none that is known.
    let text = |dashes: &str| format!("fds\n5\n{dashes}\n6\n");
    let found = read_curves(text("--").as_bytes(), &every(1.0)).expect("reads");
    assert_eq!(
        (found[0].curve.points.len(), found[0].remarks.as_slice()),
        (2, &["1 sample without a number is left out".to_owned()][..])
    );
    assert_eq!(refusal(&text("---"), &every(1.0)), "line 3: value `---` is not a number");
    assert_eq!(counted(&text("----"), &every(1.0)), [(String::new(), 2)]);
}

#[test]
fn names_that_only_ps_writes_mean_what_they_mean_to_ps() {
    let ps = "ELAPSED  TIME   RSS COMMAND\n   60 00:01:40 20000 api -x\n  120 00:01:41 20001 api -x\n";
    assert_eq!(only(ps, Unit::Bytes).1, [(60.0, 20_480_000.0), (120.0, 20_481_024.0)]);
    for text in [
        "TIME,PID,RSS\n0,7,20480000\n1,7,20481024\n",
        "TIME VALUE\n0 20480000\n1 20481024\n",
        "time,rss_kb,COMMAND\n0,20000,api -x\n1,20001,api -x\n",
    ] {
        assert_eq!(only(text, Unit::Bytes).1, [(0.0, 20_480_000.0), (1.0, 20_481_024.0)], "{text}");
    }
}
