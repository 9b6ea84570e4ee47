//! Curves that other programs recorded, judged: what is printed, and the exit code.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Told, tidewatch, told};

const MIB: u64 = 1024 * 1024;

/// Noise of some pages that is the same every time.
fn noise(n: u64) -> u64 {
    (((n as u32).wrapping_mul(2_654_435_761)) >> 28).into()
}

/// A curve in our own columns: a warm-up and cycles of 1,500 operations.
fn cycles(count: u64, value: impl Fn(u64) -> u64) -> String {
    let mut text = "t_s,ops,phase,cycle,value\n".to_owned();
    for n in 0..(count + 2) * 10 {
        let (cycle, step) = ((n / 10).saturating_sub(1), n % 10);
        let operations = n / 10 * 1500 + step.min(6) * 250;
        let phase = match (n < 20, step < 7) {
            (true, _) => "warmup",
            (false, true) => "load",
            (false, false) => "settle",
        };
        let cycle = if n < 20 { 0 } else { cycle };
        writeln!(text, "{:.1},{operations},{phase},{cycle},{}", n as f64 * 0.1, value(operations)).unwrap();
    }
    text
}

fn leak() -> String {
    cycles(50, |operations| (20 * MIB + 200 * operations) / 4096 * 4096 + noise(operations) * 4096)
}

fn flat() -> String {
    cycles(50, |operations| 20 * MIB + noise(operations) * 4096)
}

/// Ten minutes, a sample a second, in a file of psrecord.
fn psrecord(mib: impl Fn(u64) -> f64) -> String {
    let mut text = "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n".to_owned();
    for second in 0..600 {
        writeln!(text, "{:12.3} {:12.3} {:12.3} {:12.3}", second as f64, 40.0, mib(second), 400.0).unwrap();
    }
    text
}

/// A folder with files, and the judge in it.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        Self { folder }
    }

    fn judge(&self, words: &[&str]) -> Told {
        told(tidewatch().arg("judge").args(words).current_dir(self.folder.path()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn lines(told: &Told) -> Vec<Value> {
    told.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {told}"))).collect()
}

#[test]
fn a_leak_is_told_with_its_rate_and_exits_with_1() {
    let desk = Desk::with(&[("leak.csv", &leak()), ("flat.csv", &flat())]);
    let told = desk.judge(&["leak.csv", "--limit", "1GiB"]);
    assert_eq!(told.code, Some(1), "{told}");
    for words in [
        "leak.csv: unbounded\n",
        "B an operation (",
        "at the pace of the file",
        "Why:\n    rises",
        "1 GiB is reached in",
    ] {
        assert!(told.stdout.contains(words), "{words}: {told}");
    }
    assert!(!told.stdout.contains("curves:"), "{told}");
    let both = desk.judge(&["flat.csv", "leak.csv"]);
    assert_eq!(both.code, Some(1), "{both}");
    assert!(
        both.stdout.contains("flat.csv: flat\n") && both.stdout.contains("2 curves: 1 unbounded, 1 flat"),
        "{both}"
    );
    let flat = desk.judge(&["flat.csv"]);
    assert_eq!((flat.code, flat.stderr.as_str()), (Some(0), ""), "{flat}");
}

#[test]
fn a_short_curve_is_inconclusive_and_may_pass() {
    let desk = Desk::with(&[("short.csv", &cycles(6, |n| 20 * MIB + 500 * n)), ("leak.csv", &leak())]);
    let short = desk.judge(&["short.csv"]);
    assert_eq!(short.code, Some(4), "{short}");
    assert!(short.stdout.contains("short.csv: inconclusive") && short.stdout.contains("only 6 complete"), "{short}");
    assert_eq!(desk.judge(&["short.csv", "--inconclusive", "pass"]).code, Some(0));
    assert_eq!(desk.judge(&["short.csv", "leak.csv", "--inconclusive", "pass"]).code, Some(1));
    assert_eq!(desk.judge(&["short.csv", "leak.csv"]).code, Some(1));
}

#[test]
fn json_has_the_agreed_members_and_one_object_a_line() {
    let desk = Desk::with(&[("leak.csv", &leak()), ("short.csv", "0,7\n1,7\n")]);
    let told = desk.judge(&["--json", "leak.csv", "short.csv"]);
    let lines = lines(&told);
    assert_eq!((told.code, lines.len()), (Some(1), 2), "{told}");
    for line in &lines {
        let members: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
        let agreed = ["file", "verdict", "suspected", "per_op", "decided_at_cycle", "sensitivity", "reason"];
        assert_eq!(members, agreed, "{told}");
        let members: Vec<&str> = line["per_op"].as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(members, ["value", "low", "high"], "{told}");
    }
    assert_eq!((&lines[0]["file"], &lines[0]["verdict"]), (&"leak.csv".into(), &"unbounded".into()));
    let value = lines[0]["per_op"]["value"].as_f64().expect("a figure");
    assert!((190.0..210.0).contains(&value), "{told}");
    assert!(lines[0]["decided_at_cycle"].is_u64() && lines[0]["sensitivity"].is_f64(), "{told}");
    assert_eq!((&lines[1]["verdict"], &lines[1]["suspected"]), (&"inconclusive".into(), &false.into()));
    assert!(lines[1]["per_op"]["value"].is_null() && lines[1]["decided_at_cycle"].is_null(), "{told}");
}

#[test]
fn curves_over_time_are_told_by_the_hour() {
    let desk = Desk::with(&[("ps.log", &psrecord(|second| 100.0 + 0.01 * second as f64))]);
    let told = desk.judge(&["ps.log"]);
    assert_eq!(told.code, Some(1), "{told}");
    for words in ["36 MiB an hour (", "a second (", "Growth over time: no operations are known", "at window 22 of 50"] {
        assert!(told.stdout.replace("\n   ", "").contains(words), "{words}: {told}");
    }
    // 10 KiB a second does not matter to whoever asks for 1 MiB.
    let careless = desk.judge(&["ps.log", "--smallest", "1MiB", "--json"]);
    assert_ne!(careless.code, Some(2), "{careless}");
    let counts = desk.judge(&["ps.log", "--resource", "count"]);
    assert_eq!((counts.code, counts.stdout.as_str()), (Some(2), ""), "{counts}");
    assert!(counts.stderr.starts_with("tidewatch: ps.log:1: begins a file of psrecord"), "{counts}");
}

#[test]
fn counts_are_judged_as_counts() {
    let fds = cycles(50, |operations| 12 + operations / 1000);
    let desk = Desk::with(&[("fds.csv", &fds)]);
    let told = desk.judge(&["fds.csv", "--resource", "count", "--json"]);
    assert_eq!(told.code, Some(1), "{told}");
    let value = lines(&told)[0]["per_op"]["value"].as_f64().expect("a figure");
    assert!((0.9e-3..1.1e-3).contains(&value), "{told}");
}

#[test]
fn each_series_of_prometheus_is_a_curve_with_its_labels() {
    let series = |job: &str, value: &dyn Fn(u64) -> u64| {
        let values: Vec<String> = (0..600).map(|n| format!("[{},\"{}\"]", 1_700_000_000 + n * 15, value(n))).collect();
        format!(r#"{{"metric":{{"job":"{job}"}},"values":[{}]}}"#, values.join(","))
    };
    let (quiet, grows) = (series("quiet", &|n| 20 * MIB + noise(n) * 4096), series("grows", &|n| 20 * MIB + n * MIB));
    let answer = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{quiet},{grows}]}}}}"#);
    let desk = Desk::with(&[("rss.json", &answer)]);
    let told = desk.judge(&["rss.json", "--json"]);
    let found: Vec<_> = lines(&told).into_iter().map(|line| (line["file"].clone(), line["verdict"].clone())).collect();
    let expected = [(r#"rss.json#{job="quiet"}"#, "flat"), (r#"rss.json#{job="grows"}"#, "unbounded")]
        .map(|(f, v)| (f.into(), v.into()));
    assert_eq!(found, expected, "{told}");
}

#[test]
fn standard_input_is_a_file_too() {
    let desk = Desk::with(&[("leak.csv", &leak())]);
    let input = std::fs::File::open(desk.path("leak.csv")).expect("the file");
    let told = told(tidewatch().args(["judge", "--json", "-"]).stdin(Stdio::from(input)));
    assert_eq!((told.code, &lines(&told)[0]["file"]), (Some(1), &"-".into()), "{told}");
    let nothing = crate::support::told(tidewatch().args(["judge", "-"]));
    assert_eq!((nothing.code, nothing.stderr.as_str()), (Some(2), "tidewatch: -: holds no values\n"), "{nothing}");
}

#[test]
fn what_cannot_be_read_is_one_line_with_its_place_and_the_rest_is_judged() {
    let broken = leak().replace("load,3,", "load,three,");
    let desk = Desk::with(&[("broken.csv", &broken), ("leak.csv", &leak()), ("\u{1b}[31m.csv", "x\n")]);
    let told = desk.judge(&["broken.csv", "leak.csv", "none.csv", "\u{1b}[31m.csv", "."]);
    assert_eq!(told.code, Some(2), "{told}");
    let errors: Vec<&str> = told.stderr.lines().collect();
    assert_eq!(errors.len(), 4, "{told}");
    assert!(errors[0].starts_with("tidewatch: broken.csv:42: cycle `three` is not a whole number"), "{told}");
    assert!(errors[1].starts_with("tidewatch: none.csv: cannot be read: No such file"), "{told}");
    assert!(errors[2].starts_with("tidewatch: \\u{1b}[31m.csv:1: names no column of time"), "{told}");
    assert!(errors[3].starts_with("tidewatch: .: cannot be read: Is a directory"), "{told}");
    assert!(told.stdout.contains("leak.csv: unbounded") && !told.stdout.contains("broken"), "{told}");
}

#[test]
fn wrong_words_are_refused() {
    let desk = Desk::with(&[("leak.csv", &leak())]);
    for (words, message) in [
        (&["leak.csv", "--smallest", "64"][..], "--smallest: `64` is not an amount of memory"),
        (&["leak.csv", "--smallest", "0B"], "--smallest: `0B` is not above zero"),
        (&["leak.csv", "--resource", "count", "--smallest", "64B"], "--smallest: `64B` is not a count"),
        (&["leak.csv", "--limit", "lots"], "--limit: `lots` is not"),
        (&["leak.csv", "--resource", "cpu"], "invalid value 'cpu'"),
        (&[], "FILE"),
    ] {
        let told = desk.judge(words);
        assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{told}");
        assert!(told.stderr.contains(message), "{message}: {told}");
    }
}
