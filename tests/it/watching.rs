//! Attach and run: growth over time and per operation that something counts, and what is said of it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Told, part_of_machine, records, tidewatch, told, wait_for};

/// A service that does operations, keeps something of each (or does not), counts them on a page and in a log, and
/// prints a line for each hundred.
const SERVICE: &str = r#"
import os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
keeps, log = int(sys.argv[1]), sys.argv[2]
kept, done = [], 0
class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *words): pass
    def do_GET(self):
        body = f'# TYPE done_total counter\ndone_total{{kind="a"}} {done}\nkept_items {len(kept)}\n'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("port", server.server_port, flush=True)
out, lines = open(log, "a"), 0
while True:
    for _ in range(100):
        done += 1
        if keeps: kept.append(os.urandom(keeps))
    print("did 100 things", flush=True)
    print("did 100 things", file=out, flush=True)
    lines += 1
    if lines == 100:
        # The log is rotated.
        os.rename(log, log + ".1")
        out = open(log, "a")
    time.sleep(0.05)
"#;

struct Service {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Service {
    fn start(folder: &Path, keeps: u32) -> Self {
        let log = folder.join("service.log");
        fs::write(&log, "did 100 things\n").expect("a log");
        let mut child = Command::new("python3")
            .args(["-c", SERVICE, &keeps.to_string()])
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("a line").expect("text");
        // What it prints later goes nowhere, and must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let port = first.trim_start_matches("port ").parse().expect("a port");
        Self { child, port, log }
    }

    fn page(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.port)
    }

    fn attach(&self, out: &Path, words: &[&str]) -> Told {
        told(tidewatch().args(["attach", &self.child.id().to_string(), "--json", "--out"]).arg(out).args(words))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn judged<'a>(summary: &'a Value, metric: &str) -> &'a Value {
    let verdicts = summary["scenarios"][0]["verdicts"].as_array().expect("verdicts");
    verdicts.iter().find(|one| one["metric"] == metric).unwrap_or_else(|| panic!("no {metric}: {summary}"))
}

fn per_op(summary: &Value) -> f64 {
    judged(summary, "private")["per_op"]["value"].as_f64().expect("a figure")
}

/// What one operation keeps in Python: the bytes, the object around them (33 bytes, to 16), its place in a list.
fn truth(keeps: f64) -> f64 {
    ((keeps + 33.0) / 16.0).ceil() * 16.0 + 8.0
}

#[test]
fn growth_is_told_for_each_operation_that_a_gauge_or_a_log_counts() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let service = Service::start(folder.path(), 1000);
    let (page, counted) = (service.page(), format!("log:{}:did (?<n>\\d+)", service.log.display()));
    let (by_gauge, by_log) = (folder.path().join("gauge"), folder.path().join("log"));
    let length = ["--for", "34s", "--smallest", "count=0.01"];
    let (gauge, log) = std::thread::scope(|scope| {
        let log = scope.spawn(|| service.attach(&by_log, &[&length[..], &["--ops-from", &counted]].concat()));
        let gauge = ["--gauges", &page, "--ops-from", "gauge:done_total", "--gauge", "kept_items"];
        let threshold = ["--threshold", "private != unbounded", "--threshold", "gauge:kept_items.per_op < 0.5"];
        let gauge =
            service.attach(&by_gauge, &[&length[..], &gauge, &threshold, &["--threshold", "fds.growth <= 0"]].concat());
        (gauge, log.join().expect("a thread"))
    });
    for (told, out) in [(&gauge, &by_gauge), (&log, &by_log)] {
        assert_eq!(told.code, Some(1), "{told}");
        let summary = told.summary();
        assert_eq!(summary["scenarios"][0]["shape"], "counted", "{told}");
        assert!(summary["scenarios"][0]["operations"].as_u64() > Some(5_000), "{told}");
        assert_eq!(judged(&summary, "private")["verdict"], "unbounded", "{told}");
        let (seen, truth) = (per_op(&summary), truth(1000.0));
        assert!((seen / truth - 1.0).abs() < 0.15, "{seen} B for {truth} B an operation: {told}");
        assert!(summary["headline"].as_str().is_some_and(|text| text.contains("without end")), "{told}");
        // The file alone says it all again.
        let again = self::told(tidewatch().arg("report").arg(out).arg("--json"));
        assert_eq!(again.stdout, told.stdout);
        let operations: Vec<u64> = records(out)
            .iter()
            .filter(|one| one["kind"] == "sample")
            .filter_map(|one| one["operations"].as_u64())
            .collect();
        assert!(operations.is_sorted(), "operations never go down");
    }
    let summary = gauge.summary();
    let held = |expression: &str| {
        let checks = summary["thresholds"].as_array().expect("thresholds");
        checks.iter().find(|check| check["expression"] == expression).map(|check| check["held"].clone())
    };
    assert_eq!(held("gauge:kept_items.per_op < 0.5"), Some(Value::Bool(false)), "{gauge}");
    // The connection by which the page is read is ours.
    assert_eq!(held("fds.growth <= 0"), Some(Value::Bool(true)), "{gauge}");
}

#[test]
fn the_output_of_a_launched_command_counts_too() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let log = folder.path().join("service.log");
    let told = told(
        tidewatch()
            .args(["run", "--for", "4s", "--ops-from", r"stdout:^did (?<n>\d+)", "--inconclusive", "pass", "--out"])
            .arg(&out)
            .args(["--", "python3", "-c", SERVICE, "0"])
            .arg(&log),
    );
    assert_eq!(told.code, Some(0), "{told}");
    assert!(told.stdout.contains("operations that stdout:^did"), "{told}");
    assert!(told.stdout.contains("managed runtime (Python)"), "{told}");
    let printed = fs::read_to_string(out.join("stdout.log")).expect("its output").matches("did 100").count() as u64;
    let counted = records(&out).iter().filter_map(|one| one["operations"].as_u64()).max().expect("operations");
    // A few lines may come between the last reading and the end.
    assert!(counted > 0 && counted % 100 == 0 && counted <= printed * 100, "{counted} of {printed} lines");
}

/// Launches a Python program and watches it over time.
fn watched(folder: &Path, name: &str, program: &str) -> Told {
    let out = folder.join(name);
    told(tidewatch().args(["run", "--for", "34s", "--json", "--out"]).arg(&out).args(["--", "python3", "-c", program]))
}

#[test]
fn growth_from_the_launch_on_is_found_and_told_from_a_start() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let climbs = "import os, time\nkept = []\nwhile True:\n    kept.append(os.urandom(60000))\n    time.sleep(0.05)\n";
    let rests = "import os, time\nkept = []\nfor n in range(100):\n    kept.append(os.urandom(60000))\n    time.sleep(0.05)\n\
         time.sleep(600)\n";
    let (climbing, resting) = std::thread::scope(|scope| {
        let resting = scope.spawn(|| watched(folder.path(), "rests", rests));
        (watched(folder.path(), "climbs", climbs), resting.join().expect("a thread"))
    });
    assert_eq!(climbing.code, Some(1), "{climbing}");
    let summary = climbing.summary();
    assert_eq!(judged(&summary, "private")["verdict"], "unbounded", "{climbing}");
    assert_eq!(summary["scenarios"][0]["shape"], "watch", "{climbing}");
    let text = fs::read_to_string(folder.path().join("climbs/report.md")).expect("a report");
    assert!(text.contains("growth over time at the load that happened") && text.contains("ops-from"), "{text}");
    assert_eq!(resting.code, Some(0), "{resting}");
    assert_eq!(judged(&resting.summary(), "private")["verdict"], "bounded", "{resting}");
}

#[test]
fn an_operation_that_is_never_counted_is_told_and_decides_nothing() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("quiet.log");
    fs::write(&log, "").expect("a log");
    let told = told(
        tidewatch()
            .args(["run", "--for", "12s", "--ops-from", &format!("log:{}:done", log.display()), "--out"])
            .arg(folder.path().join("run"))
            .args(["--", "sleep", "60"]),
    );
    assert_eq!(told.code, Some(4), "{told}");
    assert!(told.stdout.contains("no operation was counted by log:"), "{told}");
}

#[test]
fn wrong_words_about_the_target_are_refused_in_one_line() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let service = Service::start(folder.path(), 0);
    let (pid, page, log) = (service.child.id().to_string(), service.page(), service.log.display().to_string());
    let nobody = format!("http://127.0.0.1:{}/metrics", crate::support::free_port());
    let (bad_pattern, missing_log) = (format!("log:{log}:(did"), format!("log:{log}.none:did"));
    let folder_as_log = format!("log:{}:did", folder.path().display());
    for (number, (words, code, says)) in [
        (&["--ops-from", "requests"][..], 2, "write gauge:NAME, log:FILE:REGEX"),
        (&["--ops-from", "gauge:done_total"], 2, "--gauges http://"),
        (&["--ops-from", &bad_pattern], 2, "not a regular expression"),
        (&["--ops-from", &format!("log:{log}:")], 2, "write log:FILE:REGEX"),
        (&["--ops-from", &missing_log], 3, "No such file"),
        (&["--ops-from", &folder_as_log], 3, "not a plain file"),
        (&["--ops-from", "stdout:did"], 2, "follow its log"),
        (&["--gauge", "kept_items"], 2, "--gauges http://"),
        (&["--gauges", &page], 2, "--gauge NAME"),
        (&["--gauges", "http://10.1.2.3:9/metrics", "--gauge", "x"], 2, "--allow-remote 10.1.2.3"),
        (&["--gauges", "ftp://127.0.0.1/", "--gauge", "x"], 2, "http://"),
        (&["--gauges", &page, "--gauge", "kept_item"], 3, "did you mean `kept_items`"),
        (&["--gauges", &nobody, "--gauge", "kept_items"], 3, "cannot connect"),
        (&["--threshold", "gauge:kept_items.growth < 5"], 2, "--gauge kept_items"),
        (&["--smallest", "memory=much"], 2, "--smallest memory=much"),
        (&["--smallest", "speed=1"], 2, "memory=SIZE"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = folder.path().join(format!("run-{number}"));
        let told = service.attach(&out, words);
        assert_eq!(told.code, Some(code), "{words:?}: {told}");
        assert!(told.stderr.contains(says), "{words:?}: {told}");
        let lines = told.stderr.lines().filter(|line| !line.contains("recording into")).count();
        assert_eq!(lines, 1, "{words:?}: {told}");
    }
    wait_for("the service to go on as before", Duration::from_secs(5), || {
        fs::read_to_string(format!("/proc/{pid}/stat")).ok()
    });
}

#[test]
fn a_large_tree_is_sampled_within_its_budget_and_the_report_says_so() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let children = "for i in $(seq 80); do sleep 100 & done; wait";
    let told = told(
        tidewatch()
            .args(["run", "--for", "4s", "--budget", "0.1", "--out"])
            .arg(&out)
            .args(["--", "sh", "-c", children]),
    );
    let records = records(&out);
    let notes: Vec<&str> = records.iter().filter_map(|record| record["text"].as_str()).collect();
    assert!(notes.iter().any(|text| text.contains("samples are taken every") && text.contains("(--budget)")), "{told}");
    let cost = told.stdout.split("Watching cost:").nth(1).unwrap_or_default();
    let cost = cost.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        cost.contains("of one CPU (budget 0.1 %)") && cost.contains("To stay within the budget, samples were"),
        "{told}"
    );
    let footer = records.last().expect("a footer");
    let stretched = &footer["overhead"]["stretched"];
    assert_eq!(stretched["asked_us"], 100_000, "{footer}");
    assert!(stretched["longest_us"].as_u64().is_some_and(|longest| longest > 100_000), "{footer}");
    let last = records.iter().rfind(|record| record["kind"] == "sample").expect("samples");
    assert_eq!(last["processes"], 81, "{told}");
    assert!(last["rss"].as_u64().is_some_and(|bytes| bytes > 81 * 100_000), "idle processes keep their memory: {last}");
}

#[test]
fn a_budget_that_is_none_is_refused() {
    for budget in ["0", "101", "x", "NaN"] {
        let told = told(tidewatch().args(["run", "--budget", budget, "--", "true"]));
        assert_eq!(told.code, Some(2), "{told}");
        assert!(told.stderr.contains("percent"), "{told}");
    }
}

#[test]
fn workers_that_end_and_are_started_again_are_told() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    // On a busy machine the budget lets looks come seconds apart: lives last longer than that, and are a few more than are needed.
    let mut run = tidewatch();
    run.args(["run", "--for", "22s", "--budget", "20%", "--out"]).arg(folder.path().join("run"));
    let told = told(run.args(["--", "sh", "-c", "while :; do sleep 4.3; done"]));
    let text = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("sleep ended and was started again"), "{told}");
    let report = fs::read_to_string(folder.path().join("run/report.md")).expect("a report");
    assert!(report.contains("was started again"), "{report}");
}

/// Two equal workers that hold what they have, and one that keeps 100 KiB every 20 ms; its pid goes to standard output.
const ONE_OF_THREE: &str = "
import os, time
for i in range(3):
    if os.fork() == 0:
        kept = [bytearray(4 << 20)]
        if i == 1: print('the leaking one is', os.getpid(), flush=True)
        while True:
            if i == 1: kept.append(bytearray(102400))
            time.sleep(0.02)
while True: time.sleep(1)
";

#[test]
fn the_one_worker_that_grows_is_named() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let mut command = tidewatch();
    command.args(["run", "--for", "6s", "--out"]).arg(&run).args(["--", "/usr/bin/python3", "-c", ONE_OF_THREE]);
    let told = told(&mut command);
    let said = fs::read_to_string(run.join("stdout.log")).expect("its output");
    let pid = said.trim().rsplit_once(' ').expect("a pid").1;
    let text = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&format!("Which process grew process {pid} (python3) grew by")), "{told}");
    let report = fs::read_to_string(run.join("report.md")).expect("a report");
    assert!(report.contains(&format!("process {pid} ")), "{report}");
}

/// Maps, fills and gives back 1 MiB every 50 ms: the pages stay resident until the kernel needs them.
const FREES_LAZILY: &str = "
import mmap, time
kept = []
while True:
    one = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, 1 << 20, 4096): one[at] = 1
    one.madvise(mmap.MADV_FREE)
    kept.append(one)
    time.sleep(0.05)
";

#[test]
fn pages_that_were_freed_lazily_are_no_growth_of_the_peak() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let mut command = tidewatch();
    command.args(["run", "--for", "12s", "--json", "--inconclusive", "pass", "--out"]).arg(&run);
    let told = told(command.args(["--", "/usr/bin/python3", "-c", FREES_LAZILY]));
    assert_eq!(told.code, Some(0), "{told}");
    let report = fs::read_to_string(run.join("report.md")).expect("a report");
    assert!(report.contains("of the resident memory was freed by the target with MADV"), "{report}");
    let peak = judged(&told.summary(), "peak").clone();
    assert!(peak["growth"].as_f64().is_some_and(|growth| growth < 20e6), "{peak}");
}
