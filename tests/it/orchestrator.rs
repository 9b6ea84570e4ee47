//! Every system of the fixture service, leaking and fixed. The long matrices are in `cargo xtask soak`.

use serde_json::Value;

use crate::support::{Told, binaries, named, not_held, root, tidewatch, told, whole_machine};

const LEAKING: [&str; 9] = [
    "Background processes",
    "CRDT history",
    "Database connections",
    "Embeddings cache",
    "Heartbeats",
    "Response size",
    "Session counters",
    "Startup",
    "WorkQueue",
];

/// Its table doubles, and the step that decides is late: it takes as long as four others.
const LONGEST: &str = "completed-ids";
const OTHERS: [&str; 10] = [
    "startup",
    "work-items",
    "embeddings",
    "events",
    "session-counters",
    "heartbeats",
    "helpers",
    "crdt-history",
    "response-size",
    "connections",
];

fn check(leak: &str, scenarios: &[&str]) -> Told {
    let out = tempfile::tempdir().expect("a folder");
    let folder = binaries().file_name().expect("a profile's folder").to_string_lossy().into_owned();
    let profile = if folder == "debug" { "dev".to_owned() } else { folder.clone() };
    told(
        tidewatch()
            .arg("check")
            .arg(root().join("fixtures/orchestrator"))
            .args(["--var", &format!("leak={leak}")])
            .args(scenarios.iter().flat_map(|name| ["--scenario", name]))
            .args(["--var", &format!("profile={profile}"), "--var", &format!("folder={folder}")])
            // Built with the tests, in their profile and with their features.
            .args(["--var", "cargo=true"])
            .args(["--json", "--out"])
            .arg(out.path()),
    )
}

/// Both forms, and the longest scenario apart, are watched side by side: each check uses less than half a processor.
#[test]
fn every_leaking_system_is_named_and_the_fixed_service_passes() {
    let _machine = whole_machine();
    let (leaking, longest, fixed) = std::thread::scope(|all| {
        let leaking = all.spawn(|| check("all", &OTHERS));
        let longest = all.spawn(|| check(LONGEST, &[LONGEST]));
        let fixed = check("none", &[]);
        (leaking.join().expect("a check"), longest.join().expect("a check"), fixed)
    });
    let summary = longest.summary();
    assert_eq!(longest.code, Some(1), "{}", not_held(&summary));
    assert_eq!(named(&summary), ["Completed ids"], "{}", not_held(&summary));

    let summary = leaking.summary();
    assert_eq!(leaking.code, Some(1), "{}", not_held(&summary));
    assert_eq!(named(&summary), LEAKING, "{}", not_held(&summary));
    assert_eq!(verdict(&summary, "events", "private"), "bounded", "{}", not_held(&summary));
    for (scenario, metric) in
        [("connections", "fds"), ("heartbeats", "threads"), ("helpers", "zombies"), ("response-size", "peak")]
    {
        assert_eq!(verdict(&summary, scenario, metric), "unbounded", "{scenario}: {}", not_held(&summary));
    }
    assert_ne!(verdict(&summary, "response-size", "private"), "unbounded", "{}", not_held(&summary));

    let summary = fixed.summary();
    assert_eq!(fixed.code, Some(0), "{}", not_held(&summary));
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
