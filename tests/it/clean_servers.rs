//! Real servers that do not leak, driven by the scenarios that stand beside them in `fixtures/servers`: each fills its
//! cache to the bound, or has its connections come and go, and is found clean. All of them, and their leaking twins,
//! are in `cargo xtask soak servers`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::servers::info;
use crate::support::{Told, not_held, records, root, tidewatch, wait_for, whole_machine};

/// The metrics that are gated where a file names no thresholds.
const GATED: [&str; 8] = ["private", "shared", "fds", "threads", "children", "zombies", "orphans", "peak"];

/// A check of one server that is over, and what is wrong with it.
struct Checked {
    out: tempfile::TempDir,
    summary: Value,
    problems: Vec<String>,
}

/// Checks a server, looks at it `meanwhile`, and holds every scenario to what a clean one is.
fn check(server: &str, fewest_operations: &[(&str, u64)], meanwhile: impl FnOnce(&Path)) -> Checked {
    let out = tempfile::tempdir().expect("a folder");
    let mut command = tidewatch();
    command.arg("check").arg(root().join("fixtures/servers").join(server)).args(["--json", "--out"]).arg(out.path());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    meanwhile(out.path());
    let output = child.wait_with_output().expect("our own child can be waited for");
    let told = Told {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    let mut checked = Checked { out, summary: told.summary(), problems: Vec::new() };
    checked.expect(told.code == Some(0), || format!("exit {:?}: {}", told.code, told.stderr));
    for (name, fewest) in fewest_operations {
        checked.clean(name, *fewest);
    }
    checked
}

impl Checked {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(what());
        }
    }

    fn scenario(&self, name: &str) -> Value {
        let scenarios = self.summary["scenarios"].as_array().expect("scenarios");
        scenarios.iter().find(|one| one["name"] == name).cloned().unwrap_or_else(|| panic!("{name} did not run"))
    }

    fn verdict(&self, scenario: &str, metric: &str) -> Value {
        let verdicts = self.scenario(scenario)["verdicts"].clone();
        let found = verdicts.as_array().and_then(|all| all.iter().find(|one| one["metric"] == metric).cloned());
        found.unwrap_or_else(|| panic!("{scenario} saw no {metric}"))
    }

    /// Everything gated is flat or bounded, after operations enough, nearly all of them answered as they should be.
    fn clean(&mut self, name: &str, fewest_operations: u64) {
        for metric in GATED {
            let verdict = self.verdict(name, metric);
            let at_rest = verdict["verdict"] == "flat" || verdict["verdict"] == "bounded";
            self.expect(at_rest, || format!("{name}: {metric} is {}: {}", verdict["verdict"], verdict["reason"]));
        }
        let scenario = self.scenario(name);
        let operations = scenario["operations"].as_u64().expect("operations");
        self.expect(operations >= fewest_operations, || format!("{name}: only {operations} operations"));
        let unexpected: u64 =
            scenario["tally"]["unexpected"].as_object().expect("a tally").values().filter_map(Value::as_u64).sum();
        self.expect(unexpected * 200 <= operations, || format!("{name}: wrong answers: {}", scenario["tally"]));
    }

    /// A metric rose by about so many bytes: what fills did fill.
    fn rose(&mut self, scenario: &str, metric: &str, least: f64, most: f64) {
        let growth = self.verdict(scenario, metric)["growth"].as_f64().expect("a growth");
        self.expect((least..=most).contains(&growth), || {
            format!("{scenario}: {metric} rose by {growth} bytes, not by {least} to {most}")
        });
    }

    /// Fails the test if anything is wrong; the report then stays.
    fn done(self) {
        if !self.problems.is_empty() {
            let report = self.out.keep().join("report.md");
            panic!("{}\n{}\nreport: {}", self.problems.join("\n"), not_held(&self.summary), report.display());
        }
    }
}

/// The port of the target that a check has started.
fn port_of(run: &Path) -> String {
    wait_for("the target to begin", Duration::from_secs(60), || {
        let begins = run.join("recording.jsonl").exists().then(|| records(run))?;
        let begins = begins.into_iter().find(|one| one["event"] == "target-begins")?;
        let words = begins["command"].as_array()?.iter().filter_map(Value::as_str).collect::<Vec<_>>();
        let at = words.iter().position(|word| *word == "--port")?;
        words.get(at + 1).map(|port| (*port).to_owned())
    })
}

fn redis_fills_to_maxmemory() {
    let mut redis = check("redis", &[("filling", 10_000)], |run| {
        let port = port_of(run);
        wait_for("redis to be full and let keys go", Duration::from_secs(60), || {
            info(&port, "evicted_keys").filter(|gone| *gone > 0.0)
        });
    });
    redis.rose("filling", "private", 5e6, 12e6);
    redis.done();
}

fn nginx_fills_its_zone() {
    let mut nginx = check("nginx", &[("clients", 10_000)], |_| ());
    nginx.rose("clients", "shared", 3.6e6, 4.4e6);
    nginx.done();
}

fn a_python_server_fills_its_cache() {
    let mut python = check("python-lru", &[("pages", 4_000)], |_| ());
    let entries = records(python.out.path()).iter().rev().find_map(|one| one["gauges"]["entries"].as_f64());
    python.expect(entries == Some(1000.0), || format!("the cache holds {entries:?} entries, not 1,000"));
    python.rose("pages", "private", 1.5e6, 12e6);
    python.done();
}

fn postgresql_has_its_connections_come_and_go() {
    check("postgresql", &[("connections", 300), ("abandoned-queries", 80)], |_| ()).done();
}

/// Two at a time: none of them uses a whole processor.
#[test]
fn clean_servers_are_found_clean() {
    let _machine = whole_machine();
    std::thread::scope(|both| {
        both.spawn(|| {
            redis_fills_to_maxmemory();
            postgresql_has_its_connections_come_and_go();
        });
        nginx_fills_its_zone();
        a_python_server_fills_its_cache();
    });
}
