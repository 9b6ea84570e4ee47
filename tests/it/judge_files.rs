//! What is a curve: files as people have them, the options that say what a file does not, and the refusals that ask for them.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Told, tidewatch, told};

const START: u64 = 1_760_000_000;

/// Two hours of minutes.
fn rows(row: impl Fn(u64) -> String) -> String {
    (0..120).map(row).collect()
}

/// 200 MiB and 30 MiB more each hour, in KiB.
fn growing(n: u64) -> u64 {
    204_800 + 512 * n
}

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

/// The name behind the file, and the verdict, of each curve.
fn verdicts(told: &Told) -> Vec<(String, String)> {
    let of = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {told}"));
        let name = line["file"].as_str().expect("a name").split_once('#').map_or("", |(_, name)| name).to_owned();
        (name, line["verdict"].as_str().expect("a verdict").to_owned())
    };
    told.stdout.lines().map(of).collect()
}

fn pair(name: &str, verdict: &str) -> (String, String) {
    (name.to_owned(), verdict.to_owned())
}

#[test]
fn each_subject_of_a_table_is_a_curve_the_growing_first() {
    let by_pod = rows(|n| format!("{n}0,sidecar,60000\n{n}0,api-0,{}\n", growing(n)));
    let desk = Desk::with(&[("pods.csv", &format!("t_s,pod,memory_kib\n{by_pod}"))]);
    let told = desk.judge(&["pods.csv"]);
    assert_eq!(told.code, Some(1), "{told}");
    let place = |words: &str| told.stdout.find(words).unwrap_or_else(|| panic!("{words}: {told}"));
    assert!(place("pods.csv#{pod=\"api-0\"}: unbounded") < place("pods.csv#{pod=\"sidecar\"}: flat"), "{told}");
    assert!(
        told.stdout.contains("pods.csv: total `memory_kib` of 2 subjects: 317 MiB at the end, +58.5 MiB"),
        "{told}"
    );
    // Programs get them in the order of the file.
    let json = desk.judge(&["pods.csv", "--json"]);
    assert_eq!(verdicts(&json), [pair("{pod=\"sidecar\"}", "flat"), pair("{pod=\"api-0\"}", "unbounded")], "{json}");
}

#[test]
fn columns_of_subjects_are_curves_and_share_a_unit() {
    let wide = rows(|n| format!("{},{},190\n", START + 60 * n, growing(n) / 1024));
    let desk = Desk::with(&[("wide.csv", &format!("\"Time\",\"api-0\",\"api-1\"\n{wide}"))]);
    let asks = desk.judge(&["wide.csv"]);
    assert_eq!((asks.code, asks.stdout.as_str()), (Some(2), ""), "{asks}");
    assert!(
        asks.stderr.contains("wide.csv:1: names no column that can be the value") && asks.stderr.contains("--unit"),
        "{asks}"
    );
    let told = desk.judge(&["wide.csv", "--unit", "MiB", "--json"]);
    assert_eq!(
        (told.code, verdicts(&told)),
        (Some(1), vec![pair("api-0", "unbounded"), pair("api-1", "flat")]),
        "{told}"
    );
}

#[test]
fn a_unit_is_asked_for_and_not_guessed() {
    let named = rows(|n| format!("{},{}.5\n", START + 60 * n, 300 + n));
    let bare = rows(|n| format!("{} {}\n", START + 60 * n, growing(n)));
    let desk = Desk::with(&[("named.csv", &format!("Timestamp,Memory Usage\n{named}")), ("bare.txt", &bare)]);
    for (file, unit) in [("named.csv", "MiB"), ("bare.txt", "KiB")] {
        let asks = desk.judge(&[file]);
        assert_eq!((asks.code, asks.stdout.as_str()), (Some(2), ""), "{asks}");
        assert!(asks.stderr.contains("--unit KiB, MiB or GiB"), "{asks}");
        let told = desk.judge(&[file, "--unit", unit]);
        assert_eq!(told.code, Some(1), "{told}");
    }
    let wrong = desk.judge(&["bare.txt", "--unit", "parsec"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""), "{wrong}");
    assert!(wrong.stderr.contains("--unit: `parsec` is not a unit of memory"), "{wrong}");
}

#[test]
fn counts_are_known_by_their_names() {
    let text = format!(
        "time,rss_kb,open_fds,threads\n{}",
        rows(|n| format!("{},204800,{},8\n", START + 60 * n, 100 + 12 * n * 60))
    );
    let desk = Desk::with(&[("app.csv", &text)]);
    let told = desk.judge(&["app.csv", "--json"]);
    assert_eq!(
        verdicts(&told),
        [pair("rss_kb", "flat"), pair("open_fds", "unbounded"), pair("threads", "flat")],
        "{told}"
    );
    assert_eq!(told.code, Some(1), "{told}");
    let one = desk.judge(&["app.csv", "--column", "threads", "--json"]);
    assert_eq!((one.code, verdicts(&one)), (Some(0), vec![pair("", "flat")]), "{one}");
    // An amount for memory leaves counts alone; one that fits no curve is a mistake.
    assert_eq!(desk.judge(&["app.csv", "--smallest", "64B"]).code, Some(1));
    let wrong = desk.judge(&["app.csv", "--column", "threads", "--limit", "64B"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""), "{wrong}");
    assert!(wrong.stderr.contains("--limit: `64B` is not a count"), "{wrong}");
}

#[test]
fn what_is_ambiguous_is_refused_with_the_choices() {
    let text = format!(
        "time,rss_kb,heap_kb,mem_percent\n{}",
        rows(|n| format!("{},204800,{},1.5\n", START + 60 * n, growing(n)))
    );
    let twice = format!("time,rss_kb\n{}", rows(|n| format!("{n},{}\n{n},90000\n", growing(n))));
    let desk = Desk::with(&[("app.csv", &text), ("twice.csv", &twice)]);
    for (words, message) in [
        (
            &["app.csv"][..],
            "app.csv:1: names several columns that can be the value: `rss_kb`, `heap_kb`; choose with --column",
        ),
        (
            &["app.csv", "--column", "rsss"],
            "app.csv:1: has no column `rsss` for --column; its columns are `time`, `rss_kb`",
        ),
        (&["app.csv", "--by", "pod"], "app.csv:1: has no column `pod` for --by"),
        (&["app.csv", "--column", "mem_percent"], "`mem_percent` is a percentage"),
        (&["twice.csv"], "twice.csv:2: begins 2 samples at each time, and no column says whose they are"),
        (&["app.csv", "--since", "soon"], "--since: `soon` is not a time"),
        (&["app.csv", "--every", "0s"], "--every: `0s` is not above zero"),
    ] {
        let told = desk.judge(words);
        assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{told}");
        assert!(told.stderr.contains(message), "{message}: {told}");
    }
    assert_eq!(desk.judge(&["app.csv", "--column", "heap_kb"]).code, Some(1));
    assert_eq!(desk.judge(&["app.csv", "--column", "rss_kb"]).code, Some(0));
}

#[test]
fn what_is_left_out_is_counted_and_reported() {
    let text = format!(
        "time,rss_kb\n{}",
        rows(|n| match n % 40 {
            7 => format!("{n}0,\n"),
            8 => format!("{n}0,NaN\n"),
            9 => format!("{n}0,0\n"),
            _ => format!("{n}0,{}\n", growing(n)),
        })
    );
    let negative = text.replace("0,NaN", "0,-1");
    let desk = Desk::with(&[("holes.csv", &text), ("negative.csv", &negative)]);
    let told = desk.judge(&["holes.csv"]);
    assert_eq!(told.code, Some(1), "{told}");
    assert!(told.stdout.contains("6 samples without a number are left out"), "{told}");
    assert!(told.stdout.contains("3 samples of zero bytes (no process was there) are left out"), "{told}");
    let refused = desk.judge(&["negative.csv"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused}");
    assert!(refused.stderr.contains("negative.csv:10: ") && refused.stderr.contains("it is negative"), "{refused}");
}

#[test]
fn operations_that_begin_again_are_counted_on() {
    let text = format!("t_s,ops,rss_kb\n{}", rows(|n| format!("{},{},{}\n", 60 * n, 500 * (n % 60), growing(n))));
    let desk = Desk::with(&[("ops.csv", &text)]);
    let told = desk.judge(&["ops.csv"]);
    assert_eq!(told.code, Some(1), "{told}");
    assert!(told.stdout.contains("operations began again at zero once, and are counted on"), "{told}");
}

#[test]
fn a_part_of_a_file_is_judged() {
    // Grows in the first hour alone.
    let text = format!(
        "time,rss_kb\n{}",
        rows(|n| format!("2025-03-01 {:02}:{:02}:00,{}\n", 9 + n / 60, n % 60, growing(n.min(60))))
    );
    let desk = Desk::with(&[("day.csv", &text)]);
    for (words, code) in [
        (&["--since", "2025-03-01 10:00"][..], 0),
        (&["--since", "10:00"], 0),
        (&["--since", "1h"], 0),
        (&["--since", "-59m"], 0),
        (&["--until", "10:00:00"], 1),
        (&["--until", "-1h"], 1),
    ] {
        let told = desk.judge(&[&["day.csv"], words].concat());
        assert_eq!(told.code, Some(code), "{words:?}: {told}");
        assert!(told.stdout.contains("outside --since and --until are left out"), "{told}");
    }
    let nothing = desk.judge(&["day.csv", "--since", "2026-01-01"]);
    assert_eq!(nothing.code, Some(2), "{nothing}");
    assert!(nothing.stderr.contains("no sample between --since and --until"), "{nothing}");
}

#[test]
fn files_without_times_need_the_interval() {
    let header = "CONTAINER ID   NAME   CPU %   MEM USAGE / LIMIT   MEM %\n";
    let text = rows(|n| {
        format!("{header}1f2e   web   0.5%   {}KiB / 2GiB   1%\n3c4d   db   0.5%   64MiB / 2GiB   1%\n", growing(n))
    });
    let desk = Desk::with(&[("stats.txt", &text)]);
    let asks = desk.judge(&["stats.txt"]);
    assert_eq!((asks.code, asks.stdout.as_str()), (Some(2), ""), "{asks}");
    assert!(asks.stderr.contains("stats.txt:1: holds no times") && asks.stderr.contains("--every 60s"), "{asks}");
    let told = desk.judge(&["stats.txt", "--every", "60s"]);
    assert_eq!(told.code, Some(1), "{told}");
    assert!(told.stdout.contains("stats.txt#{name=\"web\"}: unbounded\n  30 MiB an hour"), "{told}");
}

#[test]
fn formats_that_are_not_read_are_named_with_a_way_out() {
    let desk = Desk::with(&[("page.txt", "# HELP a b\n# TYPE a gauge\na 1\n"), ("dump", "JAVA PROFILE 1.0.2\n")]);
    let mut packed = std::fs::File::create(desk.path("rss.gz")).expect("a file");
    packed.write_all(b"\x1f\x8b\x08\x00").expect("written");
    for (file, message) in [
        ("page.txt", "page.txt: is a page of metrics, one moment; ask Prometheus for a range"),
        ("dump", "dump: is a heap dump of Java"),
        ("rss.gz", "rss.gz: is packed with gzip"),
    ] {
        let told = desk.judge(&[file]);
        assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{told}");
        assert!(told.stderr.contains(message), "{message}: {told}");
    }
}

#[test]
fn curves_are_drawn_to_a_new_file_alone() {
    let text = format!("time,rss_kb\n{}", rows(|n| format!("{n}0,{}\n", growing(n))));
    let desk = Desk::with(&[("rss.csv", &text), ("taken.svg", "mine")]);
    let told = desk.judge(&["rss.csv", "--plot", "out.svg"]);
    assert_eq!(told.code, Some(1), "{told}");
    let drawn = std::fs::read_to_string(desk.path("out.svg")).expect("drawn");
    assert!(drawn.contains("rss.csv: unbounded") && drawn.contains("UNBOUNDED") && !drawn.contains("summary.json"));
    std::os::unix::fs::symlink("taken.svg", desk.path("link.svg")).expect("a link");
    for (words, message) in [
        (&["rss.csv", "--plot", "taken.svg"][..], "taken.svg is there already; name another file, or use --force"),
        (&["rss.csv", "--plot", "link.svg", "--force"], "link.svg is not a plain file"),
        (&["rss.csv", "--force"], "--plot"),
    ] {
        let told = desk.judge(words);
        assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{told}");
        assert!(told.stderr.contains(message), "{message}: {told}");
    }
    assert_eq!(std::fs::read_to_string(desk.path("taken.svg")).expect("there"), "mine");
    assert_eq!(desk.judge(&["rss.csv", "--plot", "taken.svg", "--force"]).code, Some(1));
    assert!(std::fs::read_to_string(desk.path("taken.svg")).expect("there").contains("<svg"));
}
