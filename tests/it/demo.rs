//! The first command that a new user runs.

use crate::support::{named, not_held, tidewatch, told, whole_machine};

#[test]
fn the_demo_names_the_four_leaking_subsystems() {
    let _machine = whole_machine();
    let out = tempfile::tempdir().expect("a folder");
    let told = told(tidewatch().args(["demo", "--out"]).arg(out.path()));
    assert_eq!(told.code, Some(1), "{told}");
    for subsystem in ["WorkQueue", "SessionCounters", "Heartbeats", "Sockets"] {
        assert!(told.stdout.contains(subsystem), "{subsystem} is not named: {told}");
    }
    let summary = std::fs::read_to_string(out.path().join("summary.json")).expect("a summary");
    let summary = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(named(&summary), ["Heartbeats", "SessionCounters", "Sockets", "WorkQueue"], "{}", not_held(&summary));
    for file in ["growth.svg", "growth.png", "report.md", "summary.json"] {
        assert!(out.path().join(file).is_file(), "{file} is missing: {told}");
    }
    assert!(told.stdout.contains("report.md") && told.stdout.contains("growth.png"), "{told}");
}

#[test]
fn the_fixed_demo_passes() {
    let _machine = whole_machine();
    let out = tempfile::tempdir().expect("a folder");
    let told = told(tidewatch().args(["demo", "--fixed", "--json", "--out"]).arg(out.path()));
    let summary = told.summary();
    assert_eq!(told.code, Some(0), "{}", not_held(&summary));
    assert_eq!(named(&summary), Vec::<String>::new());
}
