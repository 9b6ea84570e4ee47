//! The first command that a new user runs.

use std::path::Path;

use serde_json::Value;

use crate::support::{named, not_held, tidewatch, told, whole_machine};

/// The leaking and the fixed form, side by side: each uses a small part of a processor.
#[test]
fn the_demo_names_the_four_leaking_subsystems_and_its_fixed_form_passes() {
    let _machine = whole_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let (out, fixed_out) = (folder.path().join("leaking"), folder.path().join("fixed"));
    let (leaking, fixed) = std::thread::scope(|both| {
        let leaking = both.spawn(|| told(tidewatch().args(["demo", "--out"]).arg(&out)));
        let fixed = told(tidewatch().args(["demo", "--fixed", "--out"]).arg(&fixed_out));
        (leaking.join().expect("a demo"), fixed)
    });
    assert_eq!(leaking.code, Some(1), "{leaking}");
    let summary = summary(&out);
    assert_eq!(named(&summary), ["Heartbeats", "SessionCounters", "Sockets", "WorkQueue"], "{}", not_held(&summary));
    for subsystem in named(&summary) {
        assert!(leaking.stdout.contains(&subsystem), "{subsystem} is not named: {leaking}");
    }
    for file in ["growth.svg", "growth.png", "report.md"] {
        assert!(out.join(file).is_file(), "{file} is missing: {leaking}");
    }
    assert!(leaking.stdout.contains("report.md") && leaking.stdout.contains("growth.png"), "{leaking}");
    assert_eq!(fixed.code, Some(0), "{fixed}");
    assert_eq!(named(&self::summary(&fixed_out)), Vec::<String>::new());
}

fn summary(out: &Path) -> Value {
    let text = std::fs::read_to_string(out.join("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("JSON")
}
