//! Nothing that tidewatch starts beside the target is left: commands of steps, whatever they do and however tidewatch
//! ends.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Running, family_of, part_of_machine, records, tidewatch, told, wait_for};

const SOON: Duration = Duration::from_secs(20);
/// Its members are known by this variable.
const TOKEN: &str = "TIDEWATCH_LEFT_BEHIND_TEST";

/// Programs that do their best to stay: with the time-out of their step.
const STAYING: [(&str, &str); 5] = [
    ("sleep 1000", "60s"),
    ("trap '' TERM INT HUP; sleep 1000; sleep 1000", "60s"),
    ("setsid sh -c 'sleep 1000' >/dev/null 2>&1 & exit 0", "60s"),
    ("(setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' &) ; sleep 1000", "60s"),
    ("(setsid sleep 1000 &) ; sleep 1000 & sleep 1000", "150ms"),
];

fn scenario(folder: &Path, script: &str, within: &str, which: &str) -> PathBuf {
    let path = folder.join("tidewatch.toml");
    let command = format!(
        "{{ command = [\"sh\", \"-c\", {}], within = \"{within}\", expect = [0] }}",
        toml::Value::String(script.to_owned())
    );
    let (step, before_settle) = match which {
        "step" => (command, String::new()),
        _ => ("{ command = [\"true\"] }".to_owned(), format!("before_settle = {command}")),
    };
    let text = format!(
        "[target]\nlaunch = [\"sleep\", \"1000\"]\n\
         [[scenario]]\nname = \"a\"\nshape = \"flood\"\nworkers = 1\nwarmup = \"100ms\"\nload = {{ for = \"20ms\" }}\n\
         settle = \"10ms\"\nmax_errors = \"100%\"\ncycles = {{ min = 1000, max = 1000 }}\n\
         smallest = {{ memory = \"1GiB\", count = 100 }}\nstep = {step}\n{before_settle}\n"
    );
    std::fs::write(&path, text).expect("the scenario file");
    path
}

fn check(file: &Path, folder: &Path, at_most: &str) -> std::process::Command {
    let mut command = tidewatch();
    command.arg("check").arg(file).args(["--max-time", at_most, "--out"]).arg(folder.join("run"));
    command.env(TOKEN, folder);
    command
}

/// Waits until none of a run lives.
fn all_gone(folder: &Path, what: &str) {
    let token = format!("{TOKEN}={}", folder.display());
    wait_for(&format!("nothing to be left: {what}: {:?}", family_of(&token)), SOON, || {
        // A process that is being executed shows no environment for a moment: one empty look is not enough.
        (0..3)
            .all(|_| {
                std::thread::sleep(Duration::from_millis(20));
                family_of(&token).is_empty()
            })
            .then_some(())
    });
}

#[test]
fn commands_leave_nothing_when_a_check_ends_by_itself() {
    let _machine = part_of_machine();
    for which in ["step", "before_settle"] {
        for (script, within) in STAYING {
            let folder = tempfile::tempdir().expect("a folder");
            let file = scenario(folder.path(), script, within, which);
            let told = told(&mut check(&file, folder.path(), "2s"));
            assert!(matches!(told.code, Some(0 | 1 | 3 | 4)), "{which} {script}: {told}");
            assert_eq!(family_of(&format!("{TOKEN}={}", folder.path().display())), BTreeSet::new(), "{which} {script}");
        }
    }
}

#[test]
fn commands_leave_nothing_whatever_signal_ends_tidewatch() {
    let _machine = part_of_machine();
    for signal in [Signal::KILL, Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        for (script, within) in STAYING {
            let folder = tempfile::tempdir().expect("a folder");
            let file = scenario(folder.path(), script, within, "step");
            let mut command = check(&file, folder.path(), "60s");
            let token = format!("{TOKEN}={}", folder.path().display());
            let mut watched = Running::quiet(&mut command);
            // tidewatch, two guardians, a step guardian, the target and what the command started.
            wait_for("commands to run", SOON, || (family_of(&token).len() >= 6).then_some(()));
            watched.signal(signal);
            watched.wait("tidewatch to end", SOON);
            all_gone(folder.path(), &format!("{script} after {signal:?}"));
        }
    }
}

#[test]
fn what_a_step_leaves_running_is_there_for_later_steps_and_is_not_the_targets() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("pid");
    let script = format!(
        "if test -f {mark}; then kill -0 $(cat {mark}); else setsid sleep 1000 >/dev/null 2>&1 & echo $! > {mark}; fi",
        mark = mark.display()
    );
    let file = scenario(folder.path(), &script, "10s", "step");
    let text =
        std::fs::read_to_string(&file).expect("it was written").replace("max_errors = \"100%\"", "max_errors = 0");
    std::fs::write(&file, text).expect("the scenario file");
    let told = told(&mut check(&file, folder.path(), "20s"));
    assert!(matches!(told.code, Some(0 | 4)), "{told}");
    let records = records(&folder.path().join("run"));
    let trees: Vec<_> = records.iter().filter(|record| record["tree"].is_object()).collect();
    assert!(!trees.is_empty());
    for tree in trees {
        assert_eq!((&tree["tree"]["children"], &tree["tree"]["orphans"]), (&0.into(), &0.into()), "{tree}");
    }
}

#[test]
fn a_target_that_stopped_itself_ends_at_once() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let began = Instant::now();
    let told = told(tidewatch().args(["run", "--for", "1s", "--out"]).arg(folder.path().join("run")).args([
        "--",
        "sh",
        "-c",
        "(kill -STOP $$; exec sleep 1000) & kill -STOP $$; exec sleep 1000",
    ]));
    // The grace for a target that does not end is five seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}: {told}", began.elapsed());
}
