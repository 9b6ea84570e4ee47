//! tidewatch itself is killed at random moments: the recording stays readable, and nothing it launched stays.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Running, family_of, part_of_machine, signal_pid, tidewatch, told, wait_for, whole_machine};

/// A target with children of every kind: one in its group, one in a session of its own, one whose parent ended.
const FAMILY: &str = "sleep 300 & setsid sleep 300 & (setsid sh -c 'sleep 300 & exec sleep 300' &) ; \
                      echo listening on port 1; while :; do sleep 0.05; done";

#[test]
fn fifty_kills_leave_fifty_recordings_and_no_process() {
    let _machine = whole_machine();
    let kills: u32 = std::env::var("TIDEWATCH_KILLS").map_or(5, |text| text.parse().expect("a number"));
    // Spread over the life of a run: from the first milliseconds, when the guardian is only being started.
    for n in 0..kills {
        let after = Duration::from_millis(u64::from(n * 7919 % 2500) + u64::from(n % 3 == 0) * 20);
        one_kill(after);
    }
    println!("{kills} kills: {kills} readable recordings, no process left");
}

fn one_kill(after: Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    // What belongs to this run is known by a variable that all of it inherits.
    let token = format!("TIDEWATCH_KILL_TEST={}", folder.path().display());
    let (name, value) = token.split_once('=').expect("an assignment");
    let mut watched = Running::quiet(
        tidewatch()
            .args(["run", "--interval", "10ms", "--out"])
            .arg(&out)
            .args(["--", "sh", "-c", FAMILY])
            .env(name, value),
    );
    // The header is written before anything is launched; from then on every moment is a moment to be killed in.
    wait_for("the recording to begin", Duration::from_secs(20), || {
        std::fs::metadata(out.join("recording.jsonl")).ok().filter(|file| file.len() > 0)
    });
    std::thread::sleep(after);
    watched.signal(Signal::KILL);
    watched.wait("tidewatch to be gone", Duration::from_secs(5));
    wait_for(&format!("everything launched to be gone after a kill at {after:?}"), Duration::from_secs(10), || {
        // A process that is being executed shows no environment for a moment: one empty look is not enough.
        let gone = || family_of(&token).is_empty();
        (0..4)
            .all(|_| {
                std::thread::sleep(Duration::from_millis(50));
                gone()
            })
            .then_some(())
    });
    let report = told(tidewatch().arg("report").arg(&out));
    assert!(matches!(report.code, Some(0 | 3 | 4)), "killed after {after:?}: {report}");
}

#[test]
fn an_interrupt_ends_the_run_in_order() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let token = format!("TIDEWATCH_KILL_TEST={}", folder.path().display());
    let (name, value) = token.split_once('=').expect("an assignment");
    let mut watched =
        Running::quiet(tidewatch().args(["run", "--out"]).arg(&out).args(["--", "sh", "-c", FAMILY]).env(name, value));
    wait_for("the whole family to run", Duration::from_secs(20), || (family_of(&token).len() >= 7).then_some(()));
    watched.signal(Signal::INT);
    let status = watched.wait("tidewatch to end", Duration::from_secs(20));
    assert_eq!(status.code(), Some(130));
    assert_eq!(family_of(&token), BTreeSet::new());
    let footer = crate::support::records(&out).pop().expect("a last line");
    assert_eq!((footer["kind"].as_str(), footer["interrupted"].as_bool()), (Some("footer"), Some(true)), "{footer}");
}

#[test]
fn an_attached_process_is_never_signalled() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let mut target = Running::quiet(Command::new("sleep").arg("300"));
    let mut watched =
        Running::quiet(tidewatch().args(["attach", &target.pid().to_string(), "--out"]).arg(folder.path().join("run")));
    wait_for("samples", Duration::from_secs(20), || {
        lines(&folder.path().join("run/recording.jsonl")).filter(|count| *count > 5)
    });
    signal_pid(watched.pid(), Signal::TERM);
    assert_eq!(watched.wait("tidewatch to end", Duration::from_secs(20)).code(), Some(130));
    assert!(target.runs());
}

fn lines(path: &Path) -> Option<usize> {
    Some(std::fs::read_to_string(path).ok()?.lines().count())
}
