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
