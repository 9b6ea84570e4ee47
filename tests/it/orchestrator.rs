//! Every system of the fixture service, leaking and fixed. The long matrices are in `cargo xtask soak`.

use std::path::Path;

use serde_json::Value;

use crate::support::{Told, binaries, named, not_held, root, tidewatch, told, whole_machine};

const LEAKING: [&str; 10] = [
    "Background processes",
    "CRDT history",
    "Completed ids",
    "Database connections",
    "Embeddings cache",
    "Heartbeats",
    "Response size",
    "Session counters",
    "Startup",
    "WorkQueue",
];

fn check(leak: &str, out: &Path) -> Told {
    let folder = binaries().file_name().expect("a profile's folder").to_string_lossy().into_owned();
    let profile = if folder == "debug" { "dev".to_owned() } else { folder.clone() };
    told(
        tidewatch()
            .arg("check")
            .arg(root().join("fixtures/orchestrator"))
            .args(["--var", &format!("leak={leak}")])
            .args(["--var", &format!("profile={profile}"), "--var", &format!("folder={folder}")])
            // Built with the tests, in their profile and with their features.
            .args(["--var", "cargo=true"])
            .args(["--json", "--out"])
            .arg(out),
    )
}

#[test]
fn every_leaking_system_is_named_and_the_broadcaster_is_not() {
    let _machine = whole_machine();
    let out = tempfile::tempdir().expect("a folder");
    let told = check("all", out.path());
    let summary = told.summary();
    assert_eq!(told.code, Some(1), "{}", not_held(&summary));
    assert_eq!(named(&summary), LEAKING, "{}", not_held(&summary));
    assert_eq!(verdict(&summary, "events", "private"), "bounded", "{}", not_held(&summary));
}

#[test]
fn the_fixed_service_passes() {
    let _machine = whole_machine();
    let out = tempfile::tempdir().expect("a folder");
    let told = check("none", out.path());
    let summary = told.summary();
    assert_eq!(told.code, Some(0), "{}", not_held(&summary));
    assert_eq!(named(&summary), Vec::<String>::new());
}

fn verdict<'a>(summary: &'a Value, scenario: &str, metric: &str) -> &'a str {
    let scenarios = summary["scenarios"].as_array().expect("scenarios");
    let scenario = scenarios.iter().find(|one| one["name"] == scenario).expect("the scenario ran");
    let verdicts = scenario["verdicts"].as_array().expect("verdicts");
    verdicts.iter().find(|one| one["metric"] == metric).expect("the metric was seen")["verdict"]
        .as_str()
        .expect("a word")
}
