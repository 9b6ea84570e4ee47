//! Signals to tidewatch itself: a run ends in order, whatever it does.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Running, family_of, part_of_machine, records, tidewatch, wait_for};

const SOON: Duration = Duration::from_secs(30);
const TOKEN: &str = "TIDEWATCH_SIGNALS_TEST";
const SCENARIO: &str = "[target]\nlaunch = [\"sh\", \"-c\", \"sleep 1000 & setsid sleep 1000 & sleep 1000\"]\n\
                        [[scenario]]\nname = \"a\"\nshape = \"idle\"\nload = { for = \"100ms\" }\n";

/// tidewatch at work, with what it watches: `run`, `check` or `attach`.
fn at_work(mode: &str, folder: &Path, target: &Running, prepare: impl FnOnce(&mut Command)) -> Running {
    let mut command = tidewatch();
    match mode {
        "run" => {
            command.args(["run", "--out"]).arg(folder.join("run")).args(["--", "sh", "-c", "sleep 1000 & sleep 1000"])
        }
        "check" => {
            std::fs::write(folder.join("tidewatch.toml"), SCENARIO).expect("the scenario file");
            command.arg("check").arg(folder).arg("--out").arg(folder.join("run"))
        }
        _ => command.args(["attach", &target.pid().to_string(), "--out"]).arg(folder.join("run")),
    };
    command.env(TOKEN, folder);
    prepare(&mut command);
    let watched = Running::quiet(&mut command);
    wait_for("samples", SOON, || (samples(folder) > 3).then_some(()));
    watched
}

fn samples(folder: &Path) -> usize {
    let text = std::fs::read_to_string(folder.join("run/recording.jsonl")).unwrap_or_default();
    text.lines().filter(|line| line.starts_with("{\"kind\":\"sample\"")).count()
}

#[test]
fn every_signal_ends_a_run_in_order() {
    let _machine = part_of_machine();
    let mut target = Running::quiet(Command::new("sleep").arg("1000"));
    for mode in ["run", "check", "attach"] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
            let folder = tempfile::tempdir().expect("a folder");
            let mut watched = at_work(mode, folder.path(), &target, |_| ());
            watched.signal(signal);
            let status = watched.wait("tidewatch to end", SOON);
            assert_eq!(status.code(), Some(130), "{mode} {signal:?}");
            let footer = records(&folder.path().join("run")).pop().expect("a last line");
            assert_eq!(
                (&footer["kind"], &footer["interrupted"]),
                (&"footer".into(), &true.into()),
                "{mode} {signal:?}: {footer}"
            );
            for report in ["report.md", "summary.json"] {
                assert!(folder.path().join("run").join(report).is_file(), "{mode} {signal:?}: no {report}");
            }
            let left = family_of(&format!("{TOKEN}={}", folder.path().display()));
            assert!(left.is_empty(), "{mode} {signal:?}: {left:?}");
        }
    }
    assert!(target.runs(), "what tidewatch did not start, it never ends");
}

#[test]
fn a_second_signal_of_the_same_kind_ends_at_once() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let token = format!("{TOKEN}={}", folder.path().display());
    let stubborn = ["--", "sh", "-c", "trap '' TERM; sleep 1000; sleep 1000"];
    let mut watched = Running::quiet(
        tidewatch().args(["run", "--out"]).arg(folder.path().join("run")).args(stubborn).env(TOKEN, folder.path()),
    );
    wait_for("samples", SOON, || (samples(folder.path()) > 3).then_some(()));
    watched.signal(Signal::INT);
    wait_for("the first to be heeded", SOON, || {
        std::fs::read_to_string(folder.path().join("run/recording.jsonl"))
            .is_ok_and(|text| text.contains("scenario-ends"))
            .then_some(())
    });
    // The target has five seconds to end; the second does not wait for them.
    watched.signal(Signal::INT);
    assert_eq!(watched.wait("tidewatch to end", Duration::from_secs(3)).code(), Some(130));
    assert!(!folder.path().join("run/report.md").exists());
    wait_for("the family to be gone", SOON, || family_of(&token).is_empty().then_some(()));
}

#[test]
fn a_hang_up_that_was_ignored_at_the_start_stays_ignored() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let target = Running::quiet(Command::new("sleep").arg("1000"));
    let mut watched = at_work("attach", folder.path(), &target, |command| {
        use std::os::unix::process::CommandExt as _;
        // SAFETY: between fork and exec, ignoring a signal is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGHUP, libc::SIG_IGN);
                Ok(())
            })
        };
    });
    watched.signal(Signal::HUP);
    let before = samples(folder.path());
    wait_for("more samples", SOON, || (samples(folder.path()) > before + 3).then_some(()));
    watched.signal(Signal::TERM);
    assert_eq!(watched.wait("tidewatch to end", SOON).code(), Some(130));
}

#[test]
fn a_stop_from_the_terminal_stops_it_and_it_goes_on_later() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let mut target = Running::quiet(Command::new("sleep").arg("1000"));
    let mut watched = at_work("attach", folder.path(), &target, |command| {
        use std::os::unix::process::CommandExt as _;
        // The kernel drops such stops where no parent in the session could continue the group.
        command.process_group(0);
    });
    watched.signal(Signal::TSTP);
    wait_for("it to stop", SOON, || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", watched.pid())).expect("it lives");
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')).then_some(())
    });
    let before = samples(folder.path());
    watched.signal(Signal::CONT);
    wait_for("more samples", SOON, || (samples(folder.path()) > before + 3).then_some(()));
    watched.signal(Signal::INT);
    assert_eq!(watched.wait("tidewatch to end", SOON).code(), Some(130));
    assert!(target.runs());
}
