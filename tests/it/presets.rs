//! Quick, thorough and bounded runs: what they announce, and that they do it.

use std::path::Path;

use serde_json::Value;

use crate::support::{Told, part_of_machine, records, tidewatch, told};

/// Scenarios of quiet on a target that sleeps: nothing grows.
fn file(folder: &Path, scenarios: &[(&str, &str)]) {
    let mut text = "[target]\nlaunch = [\"sleep\", \"600\"]\n".to_owned();
    for (name, length) in scenarios {
        text += &format!(
            "[[scenario]]\nname = \"{name}\"\nshape = \"idle\"\n{length}\n\
             smallest = {{ memory = \"100MB/s\", count = \"100/s\" }}\n"
        );
    }
    std::fs::write(folder.join("tidewatch.toml"), text).expect("the file is written");
}

const SHORT: &str = "warmup = \"0s\"\nload = { for = \"100ms\" }\nsettle = \"50ms\"\ncycles = { min = 10, max = 50 }";
/// It may not end before its last cycle.
const LONG: &str = "warmup = \"0s\"\nload = { for = \"200ms\" }\nsettle = \"100ms\"\ncycles = { min = 200, max = 200 }";

fn check(folder: &Path, words: &[&str]) -> Told {
    told(tidewatch().arg("check").arg(folder).args(words))
}

#[test]
fn a_dry_run_announces_efforts_and_bounds() {
    let folder = tempfile::tempdir().expect("a folder");
    file(folder.path(), &[("first", SHORT), ("second", SHORT)]);
    for (words, says) in [
        (&[][..], &["10 to 50 cycles", "2 scenarios of "][..]),
        (&["--quick"], &["10 to 33 cycles", "(--quick: what is not decided by then is inconclusive)"]),
        (&["--thorough"], &["10 to 165 cycles", "(--thorough: 33 cycles at least"]),
        (&["--max-time", "5m"], &["At most 5 min (--max-time)", "2 min 30 s for each scenario"]),
    ] {
        let words: Vec<&str> = words.iter().copied().chain(["--dry-run"]).collect();
        let told = check(folder.path(), &words);
        assert_eq!(told.code, Some(0), "{words:?}: {told}");
        for says in says {
            assert!(told.stdout.contains(says), "{words:?} {says}: {told}");
        }
    }
    for (words, says) in [
        (&["--quick", "--thorough"][..], "cannot be used with"),
        (&["--max-time", "0s"], "no time"),
        (&["--max-time", "soon"], "duration"),
    ] {
        let told = check(folder.path(), words);
        assert_eq!(told.code, Some(2), "{words:?}: {told}");
        assert!(told.stderr.contains(says), "{words:?}: {told}");
    }
}

#[test]
fn a_thorough_run_goes_on_until_a_verdict_has_stood() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    file(folder.path(), &[("still", SHORT)]);
    for (word, cycles) in [("--quick", 10), ("--thorough", 33)] {
        let out = folder.path().join(word);
        let told = check(folder.path(), &[word, "--json", "--out", &out.display().to_string()]);
        assert_eq!(told.code, Some(0), "{told}");
        let summary = told.summary();
        assert_eq!(summary["scenarios"][0]["cycles"], cycles, "{word}");
        assert_eq!(summary["scenarios"][0]["stop"]["stop"], "decided", "{word}");
        let header = &records(&out)[0];
        assert_eq!(header["plan"]["effort"], word.trim_start_matches("--"), "{header}");
    }
}

#[test]
fn a_bounded_run_shares_its_time_and_says_what_was_missing() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let hours = "warmup = \"1h\"\nload = { for = \"1s\" }\nsettle = \"1s\"\ncycles = { min = 10, max = 50 }";
    file(folder.path(), &[("first", LONG), ("second", LONG), ("endless", hours)]);
    let out = folder.path().join("run");
    let run = check(folder.path(), &["--max-time", "6s", "--out", &out.display().to_string()]);
    assert_eq!(run.code, Some(4), "{run}");
    for says in [
        "the time (--max-time 6 s) was over after",
        "more cycles would decide (about",
        "the time (--max-time 6 s) was over before its first cycle was",
    ] {
        assert!(run.stdout.replace("\n    ", " ").replace("\n  ", " ").contains(says), "{says}: {run}");
    }
    let again = told(tidewatch().arg("report").arg(&out).arg("--json"));
    assert_eq!(again.code, Some(4), "{again}");
    let summary = again.summary();
    let scenarios = summary["scenarios"].as_array().expect("scenarios");
    assert_eq!(scenarios.len(), 3, "{again}");
    for scenario in scenarios {
        assert_eq!(scenario["stop"]["stop"], "out-of-time", "{scenario}");
    }
    let cycles: Vec<u64> = scenarios.iter().filter_map(|scenario| scenario["cycles"].as_u64()).collect();
    assert!((1..10).contains(&cycles[0]) && (1..10).contains(&cycles[1]) && cycles[2] == 0, "{cycles:?}");
    let open = scenarios[0]["verdicts"].as_array().expect("verdicts").iter().find(|one| one["metric"] == "private");
    let more = open.map(|one| (one["more_cycles"].as_u64(), one["more_seconds"].as_f64()));
    assert!(matches!(more, Some((Some(1..), Some(seconds))) if seconds > 0.0), "{more:?}");
    assert_ne!(summary["headline"], Value::Null);
}
