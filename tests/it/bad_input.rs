//! Wrong words, wrong files, targets that misbehave: one clear line with the place, the right exit code, and
//! nothing lost.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Running, Told, part_of_machine, records, signal_pid, tidewatch, told, wait_for, whole_machine};

/// A scenario file whose target is a small shell program, with one quick scenario.
fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("tidewatch.toml");
    std::fs::write(&path, text).expect("the file is written");
    path
}

fn check(folder: &Path, text: &str) -> Told {
    told(tidewatch().arg("check").arg(file(folder, text)).arg("--out").arg(folder.join("run")))
}

const IDLE: &str = "
[[scenario]]
name = \"startup\"
shape = \"idle\"
warmup = \"100ms\"
load = { for = \"200ms\" }
settle = \"100ms\"
cycles = { min = 10, max = 10 }
smallest = { memory = \"100MB/s\", count = \"100/s\" }
";

#[test]
fn wrong_words_are_refused_before_anything_starts() {
    let _machine = part_of_machine();
    for (words, code, says) in [
        (&["attach", "999999999"][..], 3, "999999999"),
        (&["attach", "no-such-name-anywhere"], 3, "no-such-name-anywhere"),
        (&["attach"], 2, "PID|NAME"),
        (&["attach", "1", "--interval", "1ms"], 2, "10ms"),
        (&["attach", "1", "--for", "3 parsecs"], 2, "duration"),
        (&["attach", "1", "--threshold", "privat.growth < 1MB"], 2, "did you mean `private`"),
        (&["run"], 2, "COMMAND"),
        (&["check", "/nonexistent"], 2, "/nonexistent"),
        (&["report", "/nonexistent"], 2, "/nonexistent"),
        (&["frobnicate"], 2, "frobnicate"),
    ] {
        let told = told(tidewatch().args(words));
        assert_eq!(told.code, Some(code), "{words:?}: {told}");
        assert!(told.stderr.contains(says), "{words:?}: {told}");
        assert!(!told.stderr.contains("panicked"), "{words:?}: {told}");
    }
}

#[test]
fn a_name_with_several_matches_is_listed_and_refused() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let name = format!("twin{}", std::process::id());
    let program = folder.path().join(&name);
    crate::support::copy_program("/bin/sleep", &program);
    let first = Running::quiet(Command::new(&program).arg("300"));
    let second = Running::quiet(Command::new(&program).arg("300"));
    wait_for("both to carry the name", Duration::from_secs(10), || {
        let comm = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        [&first, &second].iter().all(|one| comm(one.pid()).trim() == &name[..name.len().min(15)]).then_some(())
    });
    let told = told(tidewatch().args(["attach", &name]));
    assert_eq!(told.code, Some(2), "{told}");
    for one in [&first, &second] {
        assert!(told.stderr.contains(&one.pid().to_string()), "{told}");
    }
    assert!(told.stderr.contains("--all"), "{told}");
}

#[test]
fn a_wrong_file_is_refused_with_line_column_and_the_nearest_word() {
    let _machine = part_of_machine();
    let head = "[target]\nlaunch = [\"sleep\", \"60\"]\n";
    for (name, text, says) in [
        ("unknown key", format!("{head}redy = 1\n{IDLE}"), "tidewatch.toml:3:1"),
        ("unknown metric", format!("{head}{IDLE}thresholds = [\"treads.growth <= 2\"]\n"), "did you mean `threads`"),
        ("unknown unit", format!("{head}{}", IDLE.replace("100MB/s", "100MQ/s")), "100MQ/s"),
        ("bad threshold", format!("{head}{IDLE}thresholds = [\"threads.growth >= 2\"]\n"), "use < or <="),
        ("cannot decide", format!("{head}{FLOOD_TOO_SHORT}"), "operations"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let told = check(folder.path(), &text);
        assert_eq!(told.code, Some(2), "{name}: {told}");
        assert!(told.stderr.contains(says), "{name}: {told}");
        assert!(told.stderr.contains("tidewatch.toml:"), "{name}: {told}");
        assert!(!folder.path().join("run").exists(), "{name}: nothing may be started");
    }
}

const FLOOD_TOO_SHORT: &str = "
[[scenario]]
name = \"short\"
shape = \"flood\"
smallest = { count = 1e-4 }
rate = \"1/s\"
cycles = { min = 10, max = 12 }
step = { http = { url = \"http://127.0.0.1:9/\" } }
";

#[test]
fn a_target_that_does_not_start_is_told() {
    let _machine = part_of_machine();
    for (name, target, says) in [
        ("not found", "launch = [\"no-such-program-here\"]", "no-such-program-here"),
        (
            "exits",
            "launch = [\"sh\", \"-c\", \"echo broken >&2; exit 7\"]\nready = { stdout = 'up', within = \"5s\" }",
            "broken",
        ),
        ("never ready", "launch = [\"sleep\", \"60\"]\nready = { stdout = 'up', within = \"300ms\" }", "300 ms"),
        (
            "build fails",
            "build = [\"sh\", \"-c\", \"echo no compiler; exit 3\"]\nlaunch = [\"sleep\", \"60\"]",
            "no compiler",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let told = check(folder.path(), &format!("[target]\n{target}\n{IDLE}"));
        assert_eq!(told.code, Some(3), "{name}: {told}");
        assert!(told.stderr.contains(says), "{name}: {told}");
    }
}

#[test]
fn a_taken_port_shows_in_what_the_target_said() {
    let _machine = part_of_machine();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let folder = tempfile::tempdir().expect("a folder");
    let target = format!(
        "launch = [\"python3\", \"-m\", \"http.server\", \"--bind\", \"127.0.0.1\", \"{port}\"]\nready = {{ stdout = 'Serving', within = \"10s\" }}"
    );
    let told = check(folder.path(), &format!("[target]\n{target}\n{IDLE}"));
    assert_eq!(told.code, Some(3), "{told}");
    assert!(told.stderr.contains("Address already in use"), "{told}");
}

#[test]
fn a_target_that_ends_under_watch_is_diagnosed() {
    let _machine = part_of_machine();
    for (signal, names) in [(Signal::KILL, "SIGKILL"), (Signal::TERM, "SIGTERM")] {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("run");
        let mut watched = Running::quiet(
            tidewatch().args(["run", "--interval", "20ms", "--out"]).arg(&out).args(["--", "sleep", "300"]),
        );
        let target = wait_for("the target", Duration::from_secs(20), || target_pid(&out));
        signal_pid(target, signal);
        let status = watched.wait("tidewatch to end", Duration::from_secs(20));
        assert_eq!(status.code(), Some(3), "{names}");
        let report = std::fs::read_to_string(out.join("report.md")).expect("a report");
        assert!(report.contains(names), "{names}: {report}");
    }
}

#[test]
fn a_target_killed_in_a_scenario_is_exit_3_with_a_report() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let file = file(
        folder.path(),
        &format!("[target]\nlaunch = [\"sleep\", \"60\"]\n{}", IDLE.replace("max = 10", "max = 100")),
    );
    let mut watched = Running::quiet(tidewatch().arg("check").arg(file).arg("--out").arg(&out));
    let target = wait_for("the target", Duration::from_secs(20), || target_pid(&out));
    wait_for("a cycle", Duration::from_secs(20), || records(&out).iter().any(|one| one["cycle"] == 2).then_some(()));
    signal_pid(target, Signal::KILL);
    assert_eq!(watched.wait("tidewatch to end", Duration::from_secs(20)).code(), Some(3));
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("summary.json")).expect("a summary")).expect("JSON");
    assert_eq!(summary["outcome"], "error");
    assert!(summary.to_string().contains("SIGKILL"), "{summary}");
}

/// The pid of the target of a run, once it is recorded.
fn target_pid(out: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(out.join("recording.jsonl")).ok()?;
    let begin = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|one| one["event"] == "target-begins")?;
    begin["process"].as_str()?.split('@').next()?.parse().ok()
}

#[test]
fn an_attached_target_that_ends_is_told_and_not_waited_for() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let target = Running::quiet(Command::new("sleep").arg("300"));
    let mut watched = Running::quiet(tidewatch().args(["attach", &target.pid().to_string(), "--out"]).arg(&out));
    wait_for("samples", Duration::from_secs(20), || {
        let text = std::fs::read_to_string(out.join("recording.jsonl")).ok()?;
        (text.lines().count() > 5).then_some(())
    });
    target.signal(Signal::KILL);
    drop(target);
    watched.wait("tidewatch to end", Duration::from_secs(20));
    let report = std::fs::read_to_string(out.join("report.md")).expect("a report");
    assert!(report.contains("SIGKILL") || report.contains("exit status unknown"), "{report}");
}

#[test]
fn answers_that_are_wrong_stop_the_scenario_and_the_first_is_shown() {
    let _machine = part_of_machine();
    let (port, _server) = answering("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 11\r\n\r\nout of soap");
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "[target]\nlaunch = [\"sleep\", \"60\"]\n[[scenario]]\nname = \"broken\"\nshape = \"flood\"\nrate = \"100/s\"\n\
         smallest = {{ memory = \"1MB\", count = 0.1 }}\nstep = {{ http = {{ url = \"http://127.0.0.1:{port}/\" }} }}\n"
    );
    let told = check(folder.path(), &text);
    assert_eq!(told.code, Some(3), "{told}");
    assert!(told.stdout.contains("500") && told.stdout.contains("out of soap"), "{told}");
}

/// A server that answers everything with the same bytes.
fn answering(answer: &'static str) -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|n| n > 0) {
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, server)
}

#[test]
fn descriptors_that_cannot_be_read_are_missing_and_never_zero() {
    let _machine = part_of_machine();
    if !rustix::process::geteuid().is_root() {
        // Somebody else's process is always there to look at for a user who is not root: pid 1.
        unreadable(&mut tidewatch(), 1);
        return;
    }
    let target = Running::quiet(Command::new("sleep").arg("300"));
    let folder = tempfile::tempdir().expect("a folder");
    // A user of no rights looks at a process of root.
    let program = folder.path().join("tidewatch");
    crate::support::copy_program(env!("CARGO_BIN_EXE_tidewatch"), &program);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("a folder that anybody may enter");
    let mut command = Command::new(&program);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    unreadable(command.stdin(Stdio::null()).current_dir(folder.path()), target.pid());
}

fn unreadable(command: &mut Command, pid: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("a folder that anybody may enter");
    let out = folder.path().join("run");
    let told = told(command.args(["attach", &pid.to_string(), "--for", "1s", "--out"]).arg(&out));
    assert!(told.stdout.contains("permission denied"), "{told}");
    assert!(records(&out).iter().all(|one| one["kind"] != "sample" || one["fds"].is_null()), "{told}");
}

#[test]
fn a_full_disk_ends_the_run_and_what_was_written_is_readable() {
    let _machine = part_of_machine();
    if !rustix::process::geteuid().is_root() {
        panic!("this test mounts a small disk and needs root, as `cargo xtask test` has in CI");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk).status();
    assert!(mounted.is_ok_and(|status| status.success()), "a small disk");
    let out = disk.join("run");
    let told = told(tidewatch().args(["run", "--interval", "10ms", "--out"]).arg(&out).args(["--", "sleep", "60"]));
    let report = self::told(tidewatch().arg("report").arg(&out).arg("--out").arg(folder.path().join("report")));
    let unmounted = Command::new("umount").arg(&disk).status();
    assert_eq!(told.code, Some(3), "{told}");
    assert!(told.stderr.contains("recording.jsonl") && told.stderr.contains("No space left"), "{told}");
    assert!(report.stdout.contains("watch"), "{report}");
    assert!(unmounted.is_ok_and(|status| status.success()));
}

#[test]
fn a_target_that_prints_a_hundred_megabytes_is_not_blocked() {
    let _machine = whole_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let told = told(tidewatch().args(["run", "--inconclusive", "pass", "--out"]).arg(&out).args([
        "--",
        "sh",
        "-c",
        "head -c 100000000 /dev/zero; exit 0",
    ]));
    assert_eq!(told.code, Some(0), "{told}");
    assert_eq!(std::fs::metadata(out.join("stdout.log")).expect("its output").len(), 100_000_000);
}
