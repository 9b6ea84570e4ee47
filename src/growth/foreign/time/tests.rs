//! Times of every kind.

use super::*;

#[test]
fn times_of_many_kinds() {
    // 2025-03-01 09:00:00 UTC.
    let nine = 1_740_819_600.0;
    for (text, seconds, kind) in [
        ("1740819600.5", nine + 0.5, Kind::Number),
        ("2025-03-01T09:00:00Z", nine, Kind::Moment),
        ("2025-03-01T10:00:00+01:00", nine, Kind::Moment),
        ("2025-03-01 09:00:00", nine, Kind::Wall),
        ("2025-03-01 09:00:00,250", nine + 0.25, Kind::Wall),
        ("2025-03-01 09:00:00 +0000 UTC", nine, Kind::Moment),
        ("2025-03-01T09:00:00.500+0000", nine + 0.5, Kind::Moment),
        ("2025/03/01 09:00:00", nine, Kind::Wall),
        ("2025/03/01T09:00:00", nine, Kind::Wall),
        ("20250301 09:00:00", nine, Kind::Wall),
        ("03/01/2025 09:00:00 AM", nine, Kind::Wall),
        ("3/1/2025 9:00 PM", nine + 43_200.0, Kind::Wall),
        ("03/01/25 09:00", nine, Kind::Wall),
        ("01.03.2025 09:00:00", nine, Kind::Wall),
        ("01/Mar/2025:09:00:00 +0000", nine, Kind::Moment),
        ("1-Mar-2025 09:00", nine, Kind::Wall),
        ("Sat Mar  1 09:00:00 UTC 2025", nine, Kind::Moment),
        ("Sat Mar  1 09:00:00 CET 2025", nine, Kind::Wall),
        ("Sat, 01 Mar 2025 09:00:00 +0000", nine, Kind::Moment),
        ("Sat 01 Mar 2025 09:00:00 AM UTC", nine, Kind::Moment),
        ("Mar 01 09:00:00", 951_901_200.0, Kind::Yearless),
        ("09:00:00", 32_400.0, Kind::Day),
        ("12:00:30 AM", 30.0, Kind::Day),
        ("09:00:00.5", 32_400.5, Kind::Day),
        ("9:00pm", 75_600.0, Kind::Day),
        ("25:00:00", 90_000.0, Kind::Elapsed),
        ("3-09:00:00", 291_600.0, Kind::Elapsed),
        ("1h30m", 5400.0, Kind::Elapsed),
        ("12.5s", 12.5, Kind::Elapsed),
        ("1 day, 2:03:04", 93_784.0, Kind::Elapsed),
    ] {
        let found = parse(text, Short::HoursMinutes).unwrap_or_else(|| panic!("{text}"));
        assert!((found.seconds - seconds).abs() < 1e-3 && found.kind == kind, "{text}: {found:?}");
    }
    assert_eq!(parse("01:30", Short::MinutesSeconds).map(|time| time.seconds), Some(90.0));
    let open = parse("03/04/2025 09:00", Short::HoursMinutes).and_then(|time| time.day_first);
    assert_eq!(open, parse("2025-04-03 09:00:00", Short::HoursMinutes).map(|time| time.seconds));
    for text in ["", "api", "25:61", "13:00 PM", "2025-13-45 00:00:00", "x 09:00:00", "09:00:00 12", "40/40/2025"] {
        assert_eq!(parse(text, Short::HoursMinutes), None, "{text}");
    }
}

#[test]
fn a_line_of_time_is_no_row_without_a_value() {
    for line in
        ["1740819600", "2025-03-01 09:00:00", "=== 09:00:00 ===", "Sat, 01 Mar 2025 09:00:00 +0000", "[09:00:00]"]
    {
        assert!(is_time_line(line), "{line}");
    }
    for line in
        ["1740819600,", "1740819600 -", "2025-03-01 09:00:00,204", "2025-03-01 09:00:00\t", "09:00:00 -", "12", "api"]
    {
        assert!(!is_time_line(line), "{line}");
    }
}

#[test]
fn a_time_in_front_of_a_line_is_found() {
    for (line, rest) in [
        ("2025-03-01T09:00:00Z api-0 3m 200Mi", " api-0 3m 200Mi"),
        ("Mar 01 09:00:00   PID RSS", "   PID RSS"),
        ("2025-03-01 09:00:00 {\"a\":1}", " {\"a\":1}"),
        ("[2025-03-01 09:00:00] web 200MiB", " web 200MiB"),
        ("1740819600 {\"a\":1}", " {\"a\":1}"),
    ] {
        assert_eq!(prefix(line).map(|end| &line[end..]), Some(rest), "{line}");
    }
    assert_eq!((prefix("PID RSS"), prefix("12 200")), (None, None));
}

const MIDNIGHT: f64 = 1_740_787_200.0;

#[test]
fn parts_of_a_time_have_their_ranges() {
    for (text, seconds, kind) in [
        ("2025-03-01", MIDNIGHT, Kind::Wall),
        ("Mar 1 2025", MIDNIGHT, Kind::Wall),
        ("1 March 2025", MIDNIGHT, Kind::Wall),
        ("01.03.25 00:00", MIDNIGHT, Kind::Wall),
        ("2025/3/1", MIDNIGHT, Kind::Wall),
        ("03/01/25", MIDNIGHT, Kind::Wall),
        ("28/02/2025 23:59:60", MIDNIGHT, Kind::Wall),
        ("Sat Mar 1 00:00:00 2025", MIDNIGHT, Kind::Wall),
        ("2025/03/01 00:30:00 +00:30", MIDNIGHT, Kind::Moment),
        ("2025/03/01 00:00:30 +02", MIDNIGHT - 7170.0, Kind::Moment),
        ("2025/03/01 00:00:00 -0130", MIDNIGHT + 5400.0, Kind::Moment),
        ("2025/03/01 00:00:00Z", MIDNIGHT, Kind::Moment),
        ("2025/03/01 01:00:00+01:00", MIDNIGHT, Kind::Moment),
        ("09:00:00 PT", 32_400.0, Kind::Day),
        ("09:00:00 AESTT", 32_400.0, Kind::Day),
        ("12:00 PM", 43_200.0, Kind::Day),
        ("12:59am", 3540.0, Kind::Day),
        ("1:00 pm.", 46_800.0, Kind::Day),
        ("23:59:59", 86_399.0, Kind::Day),
        ("24:00:00", 86_400.0, Kind::Elapsed),
        ("2-01:02:03", 176_523.0, Kind::Elapsed),
        ("3 days, 1:00:05", 262_805.0, Kind::Elapsed),
        ("1h30m15s", 5415.0, Kind::Elapsed),
        ("1.5h", 5400.0, Kind::Elapsed),
        ("2d", 172_800.0, Kind::Elapsed),
        ("5min", 300.0, Kind::Elapsed),
        ("3sec", 3.0, Kind::Elapsed),
        ("250ms", 0.25, Kind::Elapsed),
    ] {
        let found = parse(text, Short::HoursMinutes);
        let is_it = found.is_some_and(|found| (found.seconds - seconds).abs() < 1e-3 && found.kind == kind);
        assert!(is_it, "{text}: {found:?}, not {seconds}");
    }
    assert_eq!(duration("4us").map(|seconds| (seconds * 1e9).round()), Some(4000.0));
    assert_eq!(duration("70ns").map(|seconds| (seconds * 1e9).round()), Some(70.0));
    for text in [
        "09:60:00",
        "09:00:61",
        "24:00:00 AM",
        "2025/03/01 24:00:00",
        "20250301 20250302 09:00:00",
        "09:00:1e1",
        "09:00:+5",
        "0:30 AM",
        "13:00 AM",
        "09:00:00 10:00:00",
        "Mar Mar 1 2025",
        "Sat Sat Mar 1 2025",
        "09:00 AM PM",
        "1h 30m",
        "5x",
        "5",
        "h5",
        "2 days",
        "days, 2:00",
        "1 2 Mar 2025",
        "Mar 1 2025 2026",
        "Mar 1 09:00:00 2025",
        "CET 09:00:00",
        "09:00:00 ABCDET",
        "09:00:00 A1T",
        "09:00:00 +1",
        "09:00:00 +01000",
        "09:00:00 +0100 +0100",
        "2025/3/100",
        "2025/3",
        "1/2/3/4",
        "3-09:00:00 Mar 1",
        "1-2-3:00",
        "123 09:00",
        "Ma 1 2025",
    ] {
        let found = parse(text, Short::HoursMinutes).filter(|found| found.kind != Kind::Number);
        assert_eq!(found, None, "{text}");
    }
    // A text of more than 64 bytes is no time.
    let long = |blanks: usize| format!("09:00:00{}AM", " ".repeat(blanks));
    assert!(parse(&long(54), Short::HoursMinutes).is_some() && parse(&long(55), Short::HoursMinutes).is_none());
}

#[test]
fn two_numbers_around_a_colon_are_what_the_column_says() {
    for (text, short, seconds, kind) in [
        ("01:30", Short::HoursMinutes, 5400.0, Kind::Day),
        ("01:30", Short::MinutesSeconds, 90.0, Kind::Elapsed),
        ("30:15", Short::HoursMinutes, 108_900.0, Kind::Elapsed),
        ("30:15", Short::MinutesSeconds, 1815.0, Kind::Elapsed),
        ("1-01:30", Short::MinutesSeconds, 86_490.0, Kind::Elapsed),
        ("1-01:30", Short::HoursMinutes, 91_800.0, Kind::Elapsed),
        ("01:02:03", Short::MinutesSeconds, 3723.0, Kind::Day),
        ("01:30 PM", Short::MinutesSeconds, 48_600.0, Kind::Day),
        ("1 day, 01:30", Short::MinutesSeconds, 91_800.0, Kind::Elapsed),
    ] {
        let found = parse(text, short).map(|found| (found.seconds, found.kind));
        assert_eq!(found, Some((seconds, kind)), "{text} {short:?}");
    }
}

#[test]
fn a_date_is_open_where_day_and_month_may_change_places() {
    let of = |text: &str| parse(text, Short::HoursMinutes).map(|found| (found.seconds, found.day_first));
    let day = |text: &str| parse(text, Short::HoursMinutes).map_or(0.0, |found| found.seconds);
    let (march, april) = (day("2025-03-04"), day("2025-04-03"));
    assert_eq!(of("03/04/2025"), Some((march, Some(april))));
    assert_eq!(of("03-04-2025 01:00"), Some((march + 3600.0, Some(april + 3600.0))));
    assert_eq!(of("03/04/2025 01:00 +0100"), Some((march, Some(april))));
    assert_eq!(of("03/03/2025"), Some((day("2025-03-03"), None)));
    assert_eq!(of("13/01/2025"), Some((day("2025-01-13"), None)));
    assert_eq!(of("01/13/2025"), Some((day("2025-01-13"), None)));
}

#[test]
fn lines_of_time_may_be_decorated_and_hold_nothing_else() {
    for (line, is_time) in [
        ("100000000", true),
        ("99999999", false),
        ("100000000.5", true),
        ("99999999.5", false),
        ("99999999999999900000", true),
        ("100000000000000000000", false),
        ("[1740819600]", false),
        ("2025-03-01 09:00:00:", true),
        ("2025-03-01 09:00:00 -", false),
        ("--- 2025-03-01 09:00:00", true),
        ("Sat, 01 Mar 2025 09:00:00", true),
        ("2025-03-01,09:00:00", false),
        ("09:00:00;", false),
        ("| 09:00:00 |", false),
        (" 09:00:00 \r", true),
        ("1h30m", false),
        ("Mar 01 09:00:00", true),
        ("", false),
    ] {
        assert_eq!(is_time_line(line), is_time, "{line:?}");
    }
    for (line, rest) in [
        ("  09:00:00 12 13", Some(" 12 13")),
        ("09:00:00\tx", Some("\tx")),
        ("Sat Mar  1 09:00:00 UTC 2025 x", Some(" x")),
        ("a b c d e f g 09:00:00 x", None),
        ("[] x", None),
        ("  Sat Mar  1 09:00:00 UTC 2025 x", Some(" x")),
        ("\t\t09:00:00\t\tx", Some("\t\tx")),
        ("09:00:00", None),
        (" ", None),
    ] {
        assert_eq!(prefix(line).map(|end| &line[end..]), rest, "{line:?}");
    }
}
