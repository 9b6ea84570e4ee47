//! The state of the process under watch: stopped, idle, in the background, or alive though its first thread has ended.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Running, family_of, part_of_machine, records, signal_pid, tidewatch, told, wait_for};

const SOON: Duration = Duration::from_secs(20);
const TOKEN: &str = "TIDEWATCH_STATES_TEST";

fn attach(pid: u32, folder: &Path, length: &str) -> Command {
    let mut command = tidewatch();
    command.args(["attach", &pid.to_string(), "--for", length, "--interval", "20ms", "--json", "--out"]);
    command.arg(folder.join("run"));
    command
}

#[test]
fn a_stopped_target_is_inconclusive_and_the_report_says_so_first() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let target = Running::quiet(Command::new("sh").args(["-c", "while :; do :; done"]));
    target.signal(Signal::STOP);
    // A figure that holds must not pass either.
    let told = told(attach(target.pid(), folder.path(), "2s").args(["--threshold", "private.growth < 1GiB"]));
    assert_eq!(told.code, Some(4), "{told}");
    let headline = told.summary()["headline"].as_str().expect("a headline").to_owned();
    assert!(headline.starts_with("the process was stopped (state T) for 2 of 2 s"), "{headline}");
}

#[test]
fn a_target_without_cpu_time_is_inconclusive_and_one_that_worked_is_not_called_idle() {
    let _machine = part_of_machine();
    for (script, idle) in [("exec sleep 1000", true), ("while :; do :; done", false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Running::quiet(Command::new("sh").args(["-c", script]));
        wait_for("the target to run", SOON, || {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", target.pid())).ok()?;
            (name.trim() == if idle { "sleep" } else { "sh" }).then_some(())
        });
        let told = told(&mut attach(target.pid(), folder.path(), "1s"));
        assert_eq!(told.code, Some(4), "{told}");
        let headline = told.summary()["headline"].as_str().expect("a headline").to_owned();
        assert_eq!(headline.starts_with("the process used no CPU time during the watch"), idle, "{headline}");
    }
}

#[test]
fn a_process_whose_first_thread_ended_is_watched_with_its_memory() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let (source, program) = (folder.path().join("main_exits.c"), folder.path().join("main_exits"));
    let text = "#include <pthread.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
                static void *grow(void *p) { for (;;) { memset(malloc(100000), 1, 100000); usleep(5000); } return p; }\n\
                int main(void) { pthread_t t; pthread_create(&t, 0, grow, 0); pthread_exit(0); }\n";
    std::fs::write(&source, text).expect("the source");
    let compiled = Command::new("cc").arg("-O1").arg("-pthread").arg("-o").arg(&program).arg(&source).status();
    assert!(compiled.expect("cc").success());
    let mut target = Running::quiet(&mut Command::new(&program));
    let stat = format!("/proc/{}/stat", target.pid());
    wait_for("the first thread to end", SOON, || {
        std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")).then_some(())
    });
    let told = told(&mut attach(target.pid(), folder.path(), "2s"));
    assert!(target.runs(), "{told}");
    let records = records(&folder.path().join("run"));
    assert!(!records.iter().any(|record| record["event"] == "target-ends"), "{told}");
    let resident: Vec<u64> = records.iter().filter_map(|record| record["rss"].as_u64()).collect();
    let samples = records.iter().filter(|record| record["kind"] == "sample").count();
    assert_eq!(resident.len(), samples, "every sample has its memory");
    let (first, last) = (resident[0], resident[resident.len() - 1]);
    assert!(first > 0 && last > first + 1_000_000, "from {first} to {last}");
    let exact = |record: &serde_json::Value| record["memory"]["private"].as_u64();
    assert!(records.iter().filter_map(exact).all(|private| private > 0));
    assert!(records.iter().any(|record| exact(record).is_some()), "{told}");
    heap_of_a_process_whose_first_thread_ended(&mut target);
}

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
fn heap_of_a_process_whose_first_thread_ended(target: &mut Running) {
    let folder = tempfile::tempdir().expect("a folder");
    let told = told(attach(target.pid(), folder.path(), "3s").arg("--heap"));
    let seen = records(&folder.path().join("run"));
    assert!(seen.iter().any(|record| record["event"] == "heap-begins"), "{told}");
    let live = seen
        .iter()
        .filter(|record| record["kind"] == "heap")
        .filter(|record| record["live"].as_array().is_some_and(|live| !live.is_empty()));
    assert!(live.count() > 0, "looks at the heap find something: {told}");
    assert!(target.runs(), "{told}");
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
fn heap_of_a_process_whose_first_thread_ended(_: &mut Running) {}

/// What puts itself into the background, each in its own way.
const DAEMONS: [&str; 3] = [
    "sleep 1000 & exit 0",
    "(setsid sleep 1000 &) ; exit 0",
    "setsid sh -c 'sleep 1000 & sleep 1000' & sleep 0.3; exit 0",
];

#[test]
fn a_daemon_is_followed_and_ended_with_the_run() {
    let _machine = part_of_machine();
    for script in DAEMONS {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = tidewatch();
        command.args(["run", "--for", "2s", "--interval", "20ms", "--out"]).arg(folder.path().join("run"));
        command.args(["--", "sh", "-c", script]).env(TOKEN, folder.path());
        let told = told(&mut command);
        assert!(told.stdout.contains("went into the background; followed"), "{script}: {told}");
        let records = records(&folder.path().join("run"));
        let last = records.iter().rev().find(|record| record["kind"] == "sample").expect("samples");
        assert!(last["processes"].as_u64() >= Some(1) && last["rss"].as_u64() > Some(0), "{script}: {last}");
        assert!(last["at"].as_u64() > Some(1_500_000), "{script}: watched to the end: {last}");
        let left = family_of(&format!("{TOKEN}={}", folder.path().display()));
        assert!(left.is_empty(), "{script}: {left:?}");
    }
}

#[test]
fn a_program_that_fails_or_ran_long_is_not_followed_and_a_daemons_end_is_the_runs() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let failed = told(tidewatch().args(["run", "--out"]).arg(folder.path().join("1")).args([
        "--",
        "sh",
        "-c",
        "sleep 1000 & exit 7",
    ]));
    assert!(!failed.stdout.contains("into the background") && failed.code == Some(3), "{failed}");
    let ended = told(tidewatch().args(["run", "--out"]).arg(folder.path().join("2")).args([
        "--",
        "sh",
        "-c",
        "(sleep 1; exit 9) &",
    ]));
    let ends = records(&folder.path().join("2")).into_iter().find(|record| record["event"] == "target-ends");
    assert_eq!(ends.expect("an end")["ending"]["how"]["exited"], 9, "{ended}");
}

#[test]
fn a_check_waits_for_a_daemon_and_drives_it() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let file = "[target]\nlaunch = [\"sh\", \"-c\", \"(sleep 0.7; echo up; sleep 1000) & exit 0\"]\n\
                ready = { stdout = 'up', within = \"20s\" }\n\
                [[scenario]]\nname = \"a\"\nshape = \"idle\"\nload = { for = \"100ms\" }\nsettle = \"10ms\"\n\
                cycles = { min = 10, max = 10 }\nsmallest = { memory = \"1GiB/s\", count = \"100/s\" }\n";
    std::fs::write(folder.path().join("tidewatch.toml"), file).expect("the scenario file");
    let told = told(tidewatch().arg("check").arg(folder.path()).arg("--out").arg(folder.path().join("run")));
    assert_eq!(told.code, Some(0), "{told}");
    assert!(told.stdout.contains("went into the background; followed"), "{told}");
}

#[test]
fn https_where_it_is_not_spoken_is_refused_before_anything_starts() {
    for (target, rest, place) in [
        ("ready = { http = \"https://127.0.0.1:1/\" }", "", ":3:"),
        ("", "[gauges]\nprometheus = \"https://127.0.0.1:1/\"\nnames = [\"x\"]", ":5:"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = folder.path().join("started");
        let file = format!(
            "[target]\nlaunch = [\"touch\", \"{}\"]\n{target}\n{rest}\n[[scenario]]\nname = \"a\"\nshape = \"idle\"\n",
            mark.display()
        );
        std::fs::write(folder.path().join("tidewatch.toml"), file).expect("the scenario file");
        for more in [&["--dry-run"][..], &[]] {
            let told = told(tidewatch().arg("check").arg(folder.path()).args(more).current_dir(folder.path()));
            assert_eq!(told.code, Some(2), "{told}");
            assert!(told.stderr.contains(place) && told.stderr.contains("plain http"), "{told}");
            assert!(!mark.exists());
        }
    }
    let told = told(tidewatch().args(["attach", "1", "--gauges", "https://127.0.0.1:1/", "--gauge", "x"]));
    assert_eq!(told.code, Some(2), "{told}");
}

#[test]
fn a_target_that_is_stopped_for_a_while_is_judged_without_that_time() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let target = Running::quiet(Command::new("sh").args(["-c", "while :; do :; done"]));
    let watched =
        attach(target.pid(), folder.path(), "3s").stdout(std::process::Stdio::null()).spawn().expect("tidewatch");
    let stopped = || {
        let text = std::fs::read_to_string(folder.path().join("run/recording.jsonl")).unwrap_or_default();
        text.lines().filter(|line| line.contains("\"stopped\":true")).count()
    };
    wait_for("samples", SOON, || folder.path().join("run/recording.jsonl").metadata().ok().filter(|f| f.len() > 2000));
    signal_pid(target.pid(), Signal::STOP);
    wait_for("samples of a stopped process", SOON, || (stopped() > 5).then_some(()));
    signal_pid(target.pid(), Signal::CONT);
    let status = watched.wait_with_output().expect("tidewatch ends").status;
    assert_eq!(status.code(), Some(4));
    let report = std::fs::read_to_string(folder.path().join("run/report.md")).expect("a report");
    assert!(report.contains("samples of that time are left out"), "{report}");
}
