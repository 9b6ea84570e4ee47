//! The smaller commands, by what they print and their exit codes.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use crate::support::{Running, part_of_machine, records, root, tidewatch, told, wait_for};

#[test]
fn init_writes_a_file_that_check_understands_and_overwrites_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = told(tidewatch().arg("init").current_dir(folder.path()));
    assert_eq!(written.code, Some(0), "{written}");
    let plan = told(tidewatch().args(["check", "--dry-run"]).current_dir(folder.path()));
    assert_eq!(plan.code, Some(0), "{plan}");
    assert!(plan.stdout.contains("cycles"), "{plan}");
    let again = told(tidewatch().arg("init").current_dir(folder.path()));
    assert_eq!(again.code, Some(2), "{again}");
    assert!(again.stderr.contains("--out"), "{again}");
}

#[test]
fn init_looks_at_a_running_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    // This very test program is the process that listens.
    let written = told(tidewatch().args(["init", &std::process::id().to_string()]).current_dir(folder.path()));
    assert_eq!(written.code, Some(0), "{written}");
    let text = std::fs::read_to_string(folder.path().join("tidewatch.toml")).expect("a file");
    assert!(text.contains(&port), "{text}");
}

#[test]
fn a_dry_run_starts_nothing_and_tells_how_long_it_takes() {
    let plan = told(
        tidewatch().args(["check", "--dry-run", "--scenario", "work-items"]).arg(root().join("fixtures/orchestrator")),
    );
    assert_eq!(plan.code, Some(0), "{plan}");
    for words in ["work-items", "WorkQueue", "10 to 50 cycles", "operations", "POST"] {
        assert!(plan.stdout.contains(words), "{words}: {plan}");
    }
    let unknown = told(
        tidewatch().args(["check", "--dry-run", "--scenario", "work-itmes"]).arg(root().join("fixtures/orchestrator")),
    );
    assert_eq!(unknown.code, Some(2), "{unknown}");
    assert!(unknown.stderr.contains("work-items"), "{unknown}");
}

#[test]
fn attach_finds_a_process_by_its_name() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let name = format!("only{}", std::process::id());
    let program = folder.path().join(&name);
    crate::support::copy_program("/bin/sleep", &program);
    let target = Running::quiet(Command::new(&program).arg("300"));
    wait_for("it to carry the name", Duration::from_secs(10), || {
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", target.pid())).ok()?;
        (comm.trim() == &name[..name.len().min(15)]).then_some(())
    });
    let out = folder.path().join("run");
    let told = told(
        tidewatch()
            .args(["attach", &name, "--for", "1s", "--interval", "20ms", "--json", "--inconclusive", "pass", "--out"])
            .arg(&out),
    );
    assert_eq!(told.code, Some(0), "{told}");
    assert_eq!(told.summary()["scenarios"][0]["name"], "watch");
    let began = records(&out).into_iter().find(|one| one["event"] == "target-begins").expect("a target");
    assert!(
        began["process"].as_str().is_some_and(|process| process.starts_with(&format!("{}@", target.pid()))),
        "{began}"
    );
}

#[test]
fn no_color_and_pipes_get_plain_text() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let told = told(tidewatch().args(["run", "--out"]).arg(folder.path().join("run")).args(["--", "sleep", "0.3"]));
    assert!(!told.stdout.contains('\u{1b}') && !told.stderr.contains('\u{1b}'), "{told}");
}
