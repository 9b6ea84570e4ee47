//! Whose bytes grew: what a report says of live heap, of what was only retained, and of a program that runs already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Running, Told, part_of_machine, root, tidewatch, told, wait_for};

/// A folder with a fixture, compiled.
struct Fixture {
    folder: TempDir,
    program: PathBuf,
}

impl Fixture {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join(name);
        let source = root().join("fixtures/heap").join(name).with_extension("c");
        let mut compiler = Command::new("cc");
        let output = compiler.args(["-O2", "-g", "-fno-builtin-malloc"]).arg(source).arg("-o").arg(&program).output();
        let output = output.expect("a compiler");
        assert!(output.status.success(), "{output:?}");
        Self { folder, program }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("run")
    }
}

fn summary(folder: &Path, told: &Told) -> Value {
    let text = fs::read(folder.join("summary.json")).unwrap_or_else(|error| panic!("no summary ({error}): {told}"));
    serde_json::from_slice(&text).expect("JSON")
}

fn heap(summary: &Value) -> Value {
    summary["scenarios"][0]["heap"].clone()
}

fn rows(summary: &Value) -> Vec<Value> {
    summary["ledger"].as_array().expect("a ledger").clone()
}

fn files(folder: &Path) -> [String; 3] {
    ["heap.folded", "heap.svg", "report.md"].map(|name| fs::read_to_string(folder.join(name)).expect(name))
}

#[test]
fn a_program_that_only_fragments_retains_and_does_not_leak() {
    let _machine = part_of_machine();
    let fixture = Fixture::new("fragment");
    let mut program = tidewatch();
    program.args(["run", "--heap-interval", "4KiB", "--interval", "50ms", "--for", "30s", "--out"]).arg(fixture.out());
    let told = told(program.arg("--").arg(&fixture.program).args(["200", "80"]));
    let summary = summary(&fixture.out(), &told);
    let heap = heap(&summary);
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{heap:#}"));
    let private = number(&heap["private_growth"]);
    assert!(private > 50e6, "{heap:#}");
    assert!(number(&heap["account"]["retained"]) > 0.8 * private, "{heap:#}");
    assert!(number(&heap["growth"]["high"]) < 0.1 * private, "{heap:#}");
    let rows = rows(&summary);
    let most = rows
        .iter()
        .filter(|row| row["metric"] == "private")
        .max_by(|a, b| a["growth"].as_f64().expect("a number").total_cmp(&b["growth"].as_f64().expect("a number")));
    assert_eq!(most.expect("a row")["subsystem"], "retained by the allocator", "{rows:#?}");
    let named = |row: &&Value| row["verdict"] == "unbounded" && row["metric"] == "private";
    assert!(rows.iter().filter(named).all(|row| row["subsystem"] == "retained by the allocator"), "{rows:#?}");
    let verdicts = summary["scenarios"][0]["verdicts"].as_array().expect("verdicts");
    let private = verdicts.iter().find(|one| one["metric"] == "private").expect("private memory");
    assert!(private["reason"].as_str().is_some_and(|reason| reason.contains("no leak")), "{private:#}");
    assert_eq!(private["verdict"], "retained", "{private:#}");
    let thresholds = summary["thresholds"].as_array().expect("thresholds");
    for expression in ["private != unbounded", "peak != unbounded"] {
        let held = thresholds.iter().find(|one| one["expression"] == expression).map(|one| &one["held"]);
        assert_eq!(held, Some(&true.into()), "{thresholds:#?}");
    }
}

#[test]
fn what_a_running_program_leaks_is_named_with_its_line_and_again_by_a_second_watch() {
    let _machine = part_of_machine();
    let fixture = Fixture::new("slow");
    let target = Running::quiet(Command::new(&fixture.program).arg("600"));
    let pid = target.pid().to_string();
    // It runs its own code by now, not the loader's.
    wait_for("its first blocks", Duration::from_secs(20), || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("RssAnon"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<u64>().ok().filter(|kib| *kib > 2048)
    });
    // The first watch is long enough for a verdict; the second shows that the first took out what it brought in.
    for (number, length, code) in [(1, "26s", 1), (2, "6s", 4)] {
        let out = fixture.folder.path().join(format!("attached-{number}"));
        let mut program = tidewatch();
        program.args(["attach", &pid, "--heap-interval", "16KiB", "--interval", "50ms", "--for", length, "--out"]);
        let told = told(program.arg(&out));
        assert_eq!(told.code, Some(code), "{told}");
        let heap = heap(&summary(&out, &told));
        let owner = &heap["owners"][0];
        assert_eq!(owner["function"], "keep_one", "{heap:#}");
        assert!(owner["file"].as_str().is_some_and(|file| file.ends_with("fixtures/heap/slow.c")), "{owner:#}");
        let line = owner["line"].as_u64().expect("a line") as usize;
        let source = fs::read_to_string(root().join("fixtures/heap/slow.c")).expect("the source");
        let text = source.lines().nth(line - 1).expect("a line");
        assert!(text.contains("malloc(1000)"), "{text}");
        let share = owner["share"]["value"].as_f64().expect("a share");
        assert!((0.75..=1.25).contains(&share), "{heap:#}");
        let [folded, svg, report] = files(&out);
        assert!(folded.lines().any(|line| line.contains("main;keep_one")), "{folded}");
        assert!(svg.contains("keep_one") && report.contains("slow.c:"), "{report}");
    }
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
    assert!(maps.contains("tidewatch"), "the library stays mapped and does nothing");
}

/// Answers of a server, before, while and after it is sampled.
#[test]
fn redis_under_load_answers_as_it_did() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let port = crate::support::free_port();
    let mut server = Command::new("redis-server");
    server.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"]).arg(folder.path());
    let mut server = Running::quiet(&mut server);
    crate::support::wait_for_port(port);
    let cli = |words: &[&str]| {
        let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output().expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(cli(&["SET", "before", "1"]), "OK");
    let load = [
        "-p",
        &port.to_string(),
        "-q",
        "-t",
        "set",
        "-n",
        "100000000",
        "-r",
        "100000000",
        "-d",
        "600",
        "-c",
        "4",
        "-P",
        "1",
    ]
    .map(str::to_owned);
    let load = Running::quiet(Command::new("redis-benchmark").args(load).stdin(Stdio::null()));
    for number in 1..=2 {
        let out = folder.path().join(format!("run-{number}"));
        let mut program = tidewatch();
        program.args(["attach", &server.pid().to_string(), "--heap", "--interval", "50ms", "--for", "8s", "--out"]);
        let told = told(program.arg(&out));
        assert!(matches!(told.code, Some(0 | 1 | 4)), "{told}");
        assert_eq!(cli(&["GET", "before"]), "1");
        let heap = heap(&summary(&out, &told));
        let top = &heap["owners"][0];
        // Values are kept as strings: made where the query is read, or where it is stored.
        assert!(top["growth"]["low"].as_f64().is_some_and(|low| low > 1e6), "{heap:#}");
        assert!(top["function"].as_str().is_some_and(|function| !function.is_empty()), "{heap:#}");
    }
    assert_eq!(cli(&["PING"]), "PONG");
    drop(load);
    assert!(server.runs());
}
