//! What is launched runs as asked, and nothing of it outlives tidewatch, whatever way tidewatch ends.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::part_of_machine;
use regex::Regex;
use tidewatch::run_dir::RunDir;
use tidewatch::sample::{Ending, How, Process};
use tidewatch::target::{
    GuardianProgram, LaunchSpec, Launched, StdinMode, Stream, TargetError, identify, is_same, launch, wait_for_line,
};

/// Long enough for a machine under load; nothing waits this long when all is well.
const LONG: Duration = Duration::from_secs(60);
/// Set for the copy of this test binary that launches a target and is then killed: the run folder.
const LAUNCHER: &str = "TIDEWATCH_TEST_LAUNCHER";

fn spec(argv: &[&str], folder: &Path) -> LaunchSpec {
    LaunchSpec {
        guardian: GuardianProgram::At(env!("CARGO_BIN_EXE_tidewatch").into()),
        ..LaunchSpec::new(
            argv.iter().map(|&word| word.to_owned()).collect(),
            &Arc::new(RunDir::open(folder).expect("a directory")),
        )
    }
}

fn start(script: &str, folder: &Path) -> Launched {
    launch(&spec(&["sh", "-c", script], folder)).expect("launched")
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn soon<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async { tokio::time::timeout(LONG, future).await.expect("in time") })
}

/// Waits for a line `name=PID` on stdout: the identities of processes that the target tells of.
fn told(launched: &Launched, name: &str) -> Process {
    let pattern = Regex::new(&format!(r"^{name}=(?<pid>\d+)$")).expect("pattern");
    let found = soon(wait_for_line(launched.logs(), Stream::Stdout, &pattern, LONG, &launched.end()));
    identify(found.expect("told")["pid"].parse().expect("pid")).expect("identity")
}

fn is_gone(process: Process) -> bool {
    !is_same(process)
}

fn ended(launched: &Launched) -> Ending {
    soon(launched.wait_ended())
}

#[test]
fn a_target_runs_in_its_folder_with_its_environment_and_its_output_is_kept() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let cwd = tempfile::tempdir().expect("dir");
    let mut asked = spec(&["sh", "-c", "pwd; echo \"$COLOUR\" >&2; exit 3"], folder.path());
    asked.cwd = Some(cwd.path().to_owned());
    asked.env = vec![("COLOUR".into(), "blue".into())];
    asked.log_suffix = "-1".into();
    let launched = launch(&asked).expect("launched");
    let ending = ended(&launched);
    assert_eq!((ending.how, ending.expected), (How::Exited(3), false), "{ending:?}");
    assert!(ending.evidence.join(" ").contains("Its last line on stderr: blue"), "{ending:?}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
    let real = cwd.path().canonicalize().expect("path");
    assert_eq!(Path::new(read("stdout-1.log").trim_end()), real);
    assert_eq!(read("stderr-1.log"), "blue\n");
}

#[test]
fn endings_are_told_as_they_were() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    for (script, how) in [
        ("exit 0", How::Exited(0)),
        ("exit 143", How::Exited(143)),
        ("kill -9 $$", How::Signalled(9)),
        ("kill -15 $$", How::Signalled(15)),
        ("kill -11 $$", How::Signalled(11)),
    ] {
        let mut launched = start(script, &folder.path().join(script));
        let ending = ended(&launched);
        assert_eq!((ending.how, ending.expected), (how, false), "{script}: {ending:?}");
        let guardian = launched.guardian();
        assert_eq!(launched.stop(LONG), ending, "a target that had ended keeps its ending");
        assert!(is_gone(guardian));
    }
}

#[test]
fn what_cannot_be_started_is_said_with_a_way_out() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let file = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
        path.to_str().expect("utf-8").to_owned()
    };
    let table = [
        ("tidewatch-no-such-command".to_owned(), "command not found in PATH"),
        ("./no/such/file".to_owned(), "there is no file"),
        (file("plain.txt", "x", 0o644), "chmod +x"),
        (file("orphaned", "#!/no/such/interpreter\n", 0o755), "interpreter"),
        (folder.path().to_str().expect("utf-8").to_owned(), "folder, not a program"),
    ];
    for (number, (program, phrase)) in table.into_iter().enumerate() {
        let run = folder.path().join(number.to_string());
        let error = launch(&spec(&[&program], &run)).expect_err(&program);
        assert!(matches!(error, TargetError::CannotStart { .. }), "{error}");
        assert!(error.to_string().contains(phrase), "{error}");
    }
    assert!(matches!(launch(&spec(&[], folder.path())), Err(TargetError::EmptyCommand)));
    let mut elsewhere = spec(&["true"], folder.path());
    elsewhere.cwd = Some(folder.path().join("missing"));
    let error = launch(&elsewhere).expect_err("no folder");
    assert!(matches!(error, TargetError::WorkingDirectory { .. }), "{error}");
    let gone = folder.path().join("gone");
    let asked = spec(&["true"], &gone);
    std::fs::remove_dir(&gone).expect("removed");
    let error = launch(&asked).expect_err("no logs");
    assert!(matches!(error, TargetError::Logs { .. }), "{error}");
}

#[test]
fn a_target_has_ordinary_signals_its_own_group_and_nothing_of_ours() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let mut launched =
        start("echo me=$$; cat /proc/self/status; ls -l /proc/$$/fd; echo over=1; sleep 1000", folder.path());
    let root = told(&launched, "me");
    assert_eq!(root, launched.root());
    told(&launched, "over");
    let text = std::fs::read_to_string(launched.logs().path(Stream::Stdout)).expect("log");
    for row in ["SigBlk:", "SigIgn:"] {
        let mask = text.lines().find_map(|line| line.strip_prefix(row)).expect(row).trim();
        // Signals 32 and 33 are the C library's own, and out of everybody's reach.
        let mask = u64::from_str_radix(mask, 16).expect(row) & !0x1_8000_0000;
        assert_eq!(mask, 0, "{row} {mask:x}");
    }
    assert!(!text.contains("socket:["), "the target holds a socket of ours: {text}");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", root.pid)).expect("stat");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    assert_eq!((fields[1], fields[2]), (launched.guardian().pid.to_string().as_str(), root.pid.to_string().as_str()));
    launched.stop(LONG);
}

#[test]
fn stopping_is_polite_first_and_reaches_everyone() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let script = "setsid sleep 1000 & echo away=$!; sleep 1000 & echo near=$!; trap 'exit 4' TERM; wait";
    let mut launched = start(script, folder.path());
    let family = [told(&launched, "away"), told(&launched, "near"), launched.root(), launched.guardian()];
    let ending = launched.stop(LONG);
    assert_eq!((ending.how, ending.expected), (How::Exited(4), true), "{ending:?}");
    for process in family {
        assert!(is_gone(process), "{process}");
    }
}

#[test]
fn who_does_not_listen_is_killed_after_the_grace() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let script =
        "trap '' TERM; (trap '' TERM; setsid sleep 1000) & echo child=$!; echo ready=$$; while :; do sleep 1000; done";
    let mut launched = start(script, folder.path());
    let child = told(&launched, "child");
    told(&launched, "ready");
    let ending = launched.stop(Duration::from_millis(100));
    assert_eq!((ending.how, ending.expected), (How::Signalled(9), true), "{ending:?}");
    assert!(is_gone(child) && is_gone(launched.root()));
}

#[test]
fn letting_go_ends_everything() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let launched = start("setsid sleep 1000 & echo away=$!; wait", folder.path());
    let family = [told(&launched, "away"), launched.root(), launched.guardian()];
    let end = launched.end();
    drop(launched);
    assert!(family.into_iter().all(is_gone));
    assert!(end.ending().expect("known").expected);
}

#[test]
fn what_a_target_leaves_behind_is_named_and_ended() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let launched =
        start("setsid sleep 1000 & echo away=$!; read x < /proc/self/fd/0; sleep 0.05; exit 5", folder.path());
    let pattern = Regex::new(r"^away=(?<pid>\d+)$").expect("pattern");
    let found = soon(wait_for_line(launched.logs(), Stream::Stdout, &pattern, LONG, &launched.end())).expect("told");
    let ending = ended(&launched);
    assert_eq!((ending.how, ending.expected), (How::Exited(5), false));
    assert!(ending.evidence.join(" ").contains("left processes behind"), "{ending:?}");
    let pid: u32 = found["pid"].parse().expect("pid");
    until("the process that was left is gone", || !Path::new(&format!("/proc/{pid}")).exists());
    until("the guardian is gone", || is_gone(launched.guardian()));
}

#[test]
fn orphans_are_seen_reported_and_collected_and_zombies_are_left_alone() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    // The inner shell ends at once and leaves its child to the guardian. The zombie's parent is the root,
    // which became a sleep that never waits.
    let script = "sh -c 'sleep 1000 & echo orphan=$!'; sh -c 'exit 0' & echo zombie=$!; echo done=$$; exec sleep 1000";
    let mut launched = start(script, folder.path());
    let (orphan, zombie) = (told(&launched, "orphan"), told(&launched, "zombie"));
    until("the orphan is reported", || launched.living_orphans().iter().any(|(process, _)| *process == orphan));
    assert_eq!(launched.orphans().iter().filter(|(process, _)| *process == orphan).count(), 1);
    Command::new("kill").args(["-9", &orphan.pid.to_string()]).status().expect("kill");
    until("the orphan is collected", || is_gone(orphan));
    until("its end is reported", || launched.living_orphans().is_empty());
    assert!(launched.orphans().iter().any(|(process, _)| *process == orphan));
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", zombie.pid)).expect("still there");
    until("the zombie has ended", || stat().contains(") Z "));
    let ending = launched.stop(LONG);
    assert!(ending.expected && is_gone(zombie));
}

#[test]
fn a_flood_of_output_never_blocks_and_is_kept_whole() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let launched = start("head -c 100000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 6", folder.path());
    assert_eq!(ended(&launched).how, How::Exited(6));
    let length = |path: &Path| std::fs::metadata(path).expect("log").len();
    assert_eq!(length(&launched.logs().path(Stream::Stdout)), 100_000_000);
    assert_eq!(length(&launched.logs().path(Stream::Stderr)), 3_000_000);
}

#[test]
fn standard_input_is_passed_through_and_its_end_too() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let mut asked = spec(&["cat"], folder.path());
    asked.stdin = StdinMode::Piped;
    let mut launched = launch(&asked).expect("launched");
    let mut stdin = launched.take_stdin().expect("pipe");
    assert!(launched.take_stdin().is_none());
    stdin.write_all(b"{\"id\":1}\n").expect("write");
    drop(stdin);
    assert_eq!(ended(&launched).how, How::Exited(0));
    assert_eq!(std::fs::read_to_string(launched.logs().path(Stream::Stdout)).expect("log"), "{\"id\":1}\n");
}

#[test]
fn a_target_that_closes_its_input_is_noticed_by_the_writer() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let mut asked = spec(&["sh", "-c", "exec <&-; echo closed=$$; exec sleep 1000"], folder.path());
    asked.stdin = StdinMode::Piped;
    let mut launched = launch(&asked).expect("launched");
    told(&launched, "closed");
    let mut stdin = launched.take_stdin().expect("pipe");
    until("writing fails", || stdin.write_all(b"x").is_err());
}

/// Not a test by itself: the copy of this binary that is killed. See below.
#[test]
fn launcher_that_is_killed() {
    let _machine = part_of_machine();
    let Some(folder) = std::env::var_os(LAUNCHER) else { return };
    let script =
        "setsid sh -c 'sleep 1000 & echo deep=$!; wait' & (trap '' TERM HUP INT; sleep 1000) & echo near=$!; wait";
    let launched = start(script, Path::new(&folder));
    let (deep, near) = (told(&launched, "deep"), told(&launched, "near"));
    let family = [launched.guardian(), launched.root(), deep, near];
    std::fs::write(Path::new(&folder).join("family.tmp"), family.map(|process| process.to_string()).join("\n"))
        .expect("family");
    std::fs::rename(Path::new(&folder).join("family.tmp"), Path::new(&folder).join("family")).expect("family");
    // Until it is killed, or its test has gone away.
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    drop(ended(&launched));
}

#[test]
fn kill_minus_nine_of_the_launcher_leaves_nothing() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let mut launcher = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "guardian::launcher_that_is_killed"])
        .env(LAUNCHER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("launcher");
    until("the family stands", || folder.path().join("family").exists());
    let text = std::fs::read_to_string(folder.path().join("family")).expect("family");
    let family: Vec<Process> = text.lines().map(|line| line.parse().expect("identity")).collect();
    assert_eq!(family.len(), 4);
    assert!(family.iter().all(|process| is_same(*process)));
    launcher.kill().expect("kill -9");
    launcher.wait().expect("collected");
    for process in family {
        until("it is gone", || is_gone(process));
    }
}

#[test]
fn kill_minus_nine_at_any_moment_leaves_nothing() {
    let _machine = part_of_machine();
    for moment in 0..12_u64 {
        let folder = tempfile::tempdir().expect("dir");
        let mut launcher = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "guardian::launcher_that_is_killed"])
            .env(LAUNCHER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("launcher");
        // Not a wait for something: moments before, in and after the launch are what is tried.
        std::thread::sleep(Duration::from_millis(moment * 3));
        launcher.kill().expect("kill -9");
        launcher.wait().expect("collected");
        until("nothing that was launched is left", || !is_anyone_marked(folder.path()));
    }
}

/// Whether a process has the launcher's mark in its environment, which all that was launched inherits.
fn is_anyone_marked(folder: &Path) -> bool {
    let mark = format!("{LAUNCHER}={}", folder.to_str().expect("utf-8"));
    std::fs::read_dir("/proc").expect("proc").filter_map(Result::ok).any(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|&b| b == 0).any(|variable| variable == mark.as_bytes())
    })
}

#[test]
fn kill_minus_nine_of_the_guardian_takes_the_target_along() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    let mut launched = start("sleep 1000 & echo near=$!; wait", folder.path());
    let near = told(&launched, "near");
    Command::new("kill").args(["-9", &launched.guardian().pid.to_string()]).status().expect("kill");
    let ending = ended(&launched);
    assert_eq!((ending.how, ending.expected), (How::Unknown, false));
    assert!(ending.evidence[0].contains("guardian"), "{ending:?}");
    until("the target is gone", || is_gone(launched.root()));
    until("its child is gone", || !is_running(near));
    assert_eq!(launched.stop(LONG), ending);
}

/// Whether it runs: outside a family that collects, what was killed may stay a zombie for a while.
fn is_running(process: Process) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    is_same(process) && !stat.contains(") Z ")
}

#[test]
fn a_guardian_called_by_hand_does_nothing() {
    let _machine = part_of_machine();
    for arguments in [&["__guardian"][..], &["__guardian", "1@1"], &["__guardian", "nonsense"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidewatch"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("guardian");
        let mut said = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut said).expect("read");
        assert_eq!(said, "");
        child.wait().expect("ended");
    }
}

#[test]
fn forks_cannot_outrun_the_end() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("dir");
    // Each link of the chain starts the next one in a session of its own and ends.
    let script = "echo going=$$; chain() { setsid sh -c \"$1\" chain \"$1\" & }; \
                  link='sleep 0.01; setsid sh -c \"$1\" chain \"$1\" &'; chain \"$link\"; chain \"$link\"; sleep 1000";
    let mut launched = start(script, folder.path());
    told(&launched, "going");
    until("orphans come", || launched.orphans().len() > 5);
    let guardian = launched.guardian();
    let ending = launched.stop(Duration::from_millis(50));
    assert!(ending.expected && is_gone(guardian));
    let folder_text = folder.path().to_str().expect("utf-8").to_owned();
    let left = std::fs::read_dir("/proc")
        .expect("proc")
        .filter_map(Result::ok)
        .any(|entry| std::fs::read_link(entry.path().join("fd/1")).is_ok_and(|path| path.starts_with(&folder_text)));
    assert!(!left, "a process still writes to the run folder");
}
