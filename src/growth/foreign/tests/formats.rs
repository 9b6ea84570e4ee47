//! One curve in every format: 200 MiB and one more each minute, from 2025-03-01 23:30 UTC on, over midnight.

use super::super::*;
use crate::growth::{Verdict, judge};

mod documents;
mod logs;
mod tables;
mod tools;

use documents::documents;
use logs::collectors;
use tables::tables;
use tools::tools;

const MINUTES: u32 = 60;
const START: u32 = 1_740_871_800;

fn rows(row: impl Fn(u32) -> String) -> String {
    (0..MINUTES).map(row).collect()
}

fn kib(n: u32) -> u32 {
    (200 + n) * 1024
}

fn bytes(n: u32) -> u32 {
    kib(n) * 1024
}

fn epoch(n: u32) -> u32 {
    START + 60 * n
}

/// `2025-03-01`, `23:30:00`.
fn date_and_clock(n: u32) -> (String, String) {
    let minute = 23 * 60 + 30 + n;
    (format!("2025-03-0{}", 1 + minute / 1440), format!("{:02}:{:02}:00", minute / 60 % 24, minute % 60))
}

fn iso(n: u32) -> String {
    let (date, clock) = date_and_clock(n);
    format!("{date}T{clock}Z")
}

fn clock(n: u32) -> String {
    date_and_clock(n).1
}

/// `11:30:00 PM`.
fn clock_12(n: u32) -> String {
    let minute = 23 * 60 + 30 + n;
    let hour = minute / 60 % 24;
    let shown = if hour.is_multiple_of(12) { 12 } else { hour % 12 };
    format!("{shown:02}:{:02}:00 {}", minute % 60, if hour < 12 { "AM" } else { "PM" })
}

const DOCKER: &str = "CONTAINER ID   NAME   CPU %   MEM USAGE / LIMIT   MEM %   NET I/O   BLOCK I/O   PIDS\n";
const TOP: &str = "    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND\n";
const PIDSTAT: &str = "UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n";
const FREE: &str = "               total        used        free      shared  buff/cache   available\n";
const SAR: &str = "kbmemfree   kbavail kbmemused  %memused kbbuffers\n";

fn all() -> Vec<(&'static str, String)> {
    [tables(), tools(), collectors(), documents()].concat()
}

#[test]
fn every_format_yields_the_same_curve() {
    for (format, text) in all() {
        let found = read_curves(text.as_bytes(), &Query::default()).unwrap_or_else(|error| panic!("{format}: {error}"));
        let [one] = found.as_slice() else {
            panic!("{format}: {:?}", found.iter().map(|one| &one.series).collect::<Vec<_>>())
        };
        assert_eq!(one.curve.points.len(), MINUTES as usize, "{format}: {:?}", one.remarks);
        for (n, point) in one.curve.points.iter().enumerate() {
            let (x, value) = (60.0 * n as f64, f64::from(bytes(n as u32)));
            assert!((point.x - x).abs() < 1e-6 && point.value == value, "{format}: {point:?} at {n}");
        }
    }
}

#[test]
fn every_format_gets_the_same_verdict_and_figures() {
    let mut first = None;
    for (format, text) in all() {
        let found = read_curves(text.as_bytes(), &Query::default()).unwrap_or_else(|error| panic!("{format}: {error}"));
        let curve = &found[0].curve;
        let smallest = curve.axis.usual_smallest().of(Unit::Bytes);
        let question = Question::about(curve, Some(smallest));
        let growth = judge(curve, &question);
        let rate = growth.per_op.map_or(0.0, |growth| growth.value);
        let (verdict, expected) = *first.get_or_insert((growth.verdict, rate));
        assert!(growth.verdict == verdict && (rate - expected).abs() < 1e-6 * expected, "{format}: {growth:?}");
    }
    assert_eq!(first.map(|(verdict, _)| verdict), Some(Verdict::Unbounded));
}

/// Samples of a table are read, left out and told, or refused: never lost.
#[test]
fn no_sample_is_lost() {
    for holes in 0..40_usize {
        let hole = |n: u32| holes > 0 && (n as usize * 7 + 3) % 41 < holes;
        let text = format!(
            "time,rss_kb\n{}",
            rows(|n| format!(
                "{},{}\n",
                epoch(n),
                if hole(n) { ["", "-", "NaN", "null", "0"][n as usize % 5].into() } else { kib(n).to_string() }
            ))
        );
        let missing = (0..MINUTES).filter(|n| hole(*n)).count();
        match read_curves(text.as_bytes(), &Query::default()) {
            Ok(found) => {
                let told: usize =
                    found[0].remarks.iter().filter_map(|text| text.split(' ').next()?.parse::<usize>().ok()).sum();
                assert_eq!(
                    (found[0].curve.points.len() + missing, told),
                    (MINUTES as usize, missing),
                    "{:?}",
                    found[0].remarks
                );
            }
            Err(error) => panic!("{error}"),
        }
    }
}
