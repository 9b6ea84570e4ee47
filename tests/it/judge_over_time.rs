//! Files over days: what is said of growth that begins late, hides behind restarts, or is seen through gaps.

use crate::support::{Told, tidewatch, told};

const MIB: f64 = 1024.0 * 1024.0;
const HOUR_S: u64 = 3600;

/// Noise of a MiB, the same each time.
fn noise(n: u64) -> f64 {
    (n * 7919 % 97) as f64 / 97.0
}

fn judge(text: &str) -> Told {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("curve.csv");
    std::fs::write(&file, text).expect("a file");
    told(tidewatch().arg("judge").arg(&file))
}

/// A week of ten minutes each: MiB above 300 by the hour.
fn week(mib: impl Fn(f64) -> f64) -> String {
    let row = |n: u64| {
        let t = n * 600;
        let value = (300.0 + mib(t as f64 / HOUR_S as f64) + noise(n)) * MIB;
        format!("{},{value:.0}\n", 1_760_000_000 + t)
    };
    format!("time,rss_bytes\n{}", (0..1008).map(row).collect::<String>())
}

/// What is printed, on one line.
fn text(told: &Told) -> String {
    told.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_leak_that_begins_on_the_sixth_day_crosses() {
    let told = judge(&week(|hour| 20.0 * (hour - 130.0).max(0.0)));
    assert_eq!(told.code, Some(1), "{told}");
    assert!(text(&told).contains("grows without end since 5 d"), "{told}");
}

#[test]
fn a_jump_on_the_last_day_is_told_with_its_height_and_moment() {
    let told = judge(&week(|hour| if hour > 150.0 { 200.0 } else { 0.0 }));
    assert_eq!(told.code, Some(4), "{told}");
    let text = text(&told);
    assert!(text.contains("rose by 200 MiB at 6 d 6 h") && text.contains("watch on"), "{told}");
}

#[test]
fn restarts_do_not_hide_a_leak() {
    let told = judge(&week(|hour| 30.0 * (hour % 24.0)));
    assert_eq!(told.code, Some(1), "{told}");
    assert!(text(&told).contains("grows 30 MiB an hour within 6 of the last 6 lives, and restarts hide it"), "{told}");
}

#[test]
fn a_daily_peak_at_the_end_is_no_late_rise() {
    let told = judge(&week(|hour| 50.0 * ((hour - 168.0) / 24.0 * std::f64::consts::TAU).cos() + 60.0));
    assert_eq!(told.code, Some(0), "{told}");
}

#[test]
fn sessions_with_gaps_between_them_are_enough() {
    let session = |n: u64| n / 60 * 16 * HOUR_S + n % 60 * 10;
    let rows: String = (0..480).map(|n| format!("{},{:.2}\n", session(n), 75.0 + 0.5 * noise(n))).collect();
    let told = judge(&format!("time,rss_mb\n{rows}"));
    assert_eq!(told.code, Some(0), "{told}");
    assert!(text(&told).contains(": flat"), "{told}");
}

#[test]
fn no_window_has_a_number_beyond_the_samples() {
    let rows: String = (0..25).map(|n| format!("{},{:.1}\n", n * HOUR_S, 300.0 + 12.0 * n as f64 + noise(n))).collect();
    let told = judge(&format!("time,rss_mb\n{rows}"));
    assert_eq!(told.code, Some(1), "{told}");
    let words: Vec<&str> = told.stdout.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "window").expect("a window is named");
    let number = |word: &str| word.trim_end_matches(['.', ';']).parse::<u32>().expect("a number");
    assert!(number(words[at + 1]) <= number(words[at + 3]) && number(words[at + 3]) <= 25, "{told}");
}

#[test]
fn a_rise_before_the_first_cycle_keeps_nothing_open() {
    let mut rows = String::from("t_s,ops,phase,cycle,value\n0,0,warmup,0,15000000\n");
    let mut push = |n: u64, phase: &str, cycle: u64| {
        rows += &format!("{},{},{phase},{cycle},35053895\n", n as f64 / 10.0, n * 50);
    };
    (1..30).for_each(|n| push(n, "warmup", 0));
    (30..630).for_each(|n| push(n, if n % 12 < 8 { "load" } else { "settle" }, n / 12 - 1));
    let told = judge(&rows);
    assert_eq!(told.code, Some(0), "{told}");
}
