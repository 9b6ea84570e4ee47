//! Reports made again are the same, and valid.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::{part_of_machine, records, root, tidewatch, told, wait_for};

const FILES: [&str; 4] = ["summary.json", "growth.svg", "growth.png", "report.md"];

fn run(out: &Path, words: &[&str]) {
    let told = told(
        tidewatch().args(["run", "--interval", "20ms", "--inconclusive", "pass", "--out"]).arg(out).args(words).args([
            "--",
            "sh",
            "-c",
            // It works a little, so that it is not called idle.
            "for n in 1 2 3 4 5 6 7 8; do sleep 0.2; i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; done",
        ]),
    );
    assert_eq!(told.code, Some(0), "{told}");
}

#[test]
fn the_reports_of_a_recording_are_the_same_whenever_they_are_made() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let (first, again) = (folder.path().join("run"), folder.path().join("again"));
    run(&first, &[]);
    let told = told(tidewatch().arg("report").arg(&first).arg("--out").arg(&again));
    assert_eq!(told.code, Some(0), "{told}");
    for name in FILES {
        let (live, made) = (fs::read(first.join(name)), fs::read(again.join(name)));
        assert_eq!(live.expect("of the live run"), made.expect("made again"), "{name} differs");
    }
}

#[test]
fn the_summary_fits_its_schema_and_is_what_json_prints() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    run(&out, &["--threshold", "fds.final < 1000"]);
    let printed = told(tidewatch().arg("report").arg("--json").arg(&out));
    let summary = printed.summary();
    let file: Value = serde_json::from_slice(&fs::read(out.join("summary.json")).expect("a summary")).expect("JSON");
    assert_eq!(summary, file);
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(root().join("docs/summary.schema.json")).expect("a schema"))
            .expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema that can be used");
    let errors: Vec<String> = validator.iter_errors(&summary).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(summary["format"], "tidewatch-summary/1");
    assert_eq!(summary["thresholds"][0]["held"], true);
}

#[test]
fn a_recording_of_a_newer_version_is_refused_with_that_version() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    run(&out, &[]);
    let path = out.join("recording.jsonl");
    let text = fs::read_to_string(&path).expect("a recording");
    let newer = text.replacen("tidewatch-recording/1", "tidewatch-recording/2", 1);
    let newer = newer.replacen(env!("CARGO_PKG_VERSION"), "9.9.9", 1);
    fs::write(&path, newer).expect("written");
    let told = told(tidewatch().arg("report").arg(&out));
    assert_eq!(told.code, Some(2), "{told}");
    assert!(told.stderr.contains("9.9.9") && told.stderr.contains("tidewatch-recording/2"), "{told}");
}

#[test]
fn a_short_command_is_watched_whole() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let told = told(tidewatch().args(["run", "--out"]).arg(&out).args(["--", "true"]));
    // It may be over before a single look at it: that is told, and nothing is made up.
    assert!(matches!(told.code, Some(0 | 3 | 4)), "{told}");
    assert!(!told.stderr.contains("panicked"), "{told}");
    let ended = wait_for("its end", Duration::from_secs(1), || {
        records(&out).into_iter().find(|one| one["event"] == "target-ends")
    });
    assert_eq!(ended["ending"]["how"]["exited"], 0, "{ended}");
}
