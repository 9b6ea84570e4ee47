//! Nothing that is not ours is written, removed or read back, and no answer is lost in silence.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Running, part_of_machine, records, tidewatch, told, wait_for};

/// A user who is nobody.
const NOBODY: u32 = 65534;
/// All names that a run or a report writes.
const NAMES: [&str; 10] = [
    "report.md",
    "summary.json",
    "growth.png",
    "growth.svg",
    "heap.folded",
    "heap.pprof",
    "heap.svg",
    "stdout.log",
    "stderr.log",
    "stdout-build.log",
];
const SOON: Duration = Duration::from_secs(20);

fn run(out: &Path, words: &[&str]) -> Command {
    let mut command = tidewatch();
    command
        .args(["run", "--for", "1s", "--inconclusive", "pass", "--out"])
        .arg(out)
        .args(words)
        .args(["--", "sleep", "60"]);
    command
}

fn write(path: PathBuf, text: &str) {
    fs::write(path, text).expect("written");
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn files_of_the_user_are_never_replaced_by_a_run() {
    for name in NAMES.into_iter().chain(["tidewatch.toml", "notes"]) {
        let folder = tempfile::tempdir().expect("a directory");
        let out = folder.path().join("out");
        fs::create_dir(&out).expect("made");
        write(out.join(name), "the user's own");
        for command in [&mut run(&out, &["--heap"]), tidewatch().args(["demo", "--out"]).arg(&out)] {
            let told = told(command);
            assert_eq!(told.code, Some(2), "{told}");
            assert!(told.stderr.contains(&format!("`{name}`")) && told.stderr.contains("--force"), "{told}");
        }
        assert_eq!(read(out.join(name)), "the user's own");
        assert_eq!(fs::read_dir(&out).expect("listed").count(), 1, "nothing was started");
    }
}

#[test]
fn directories_named_like_those_of_the_sampler_are_left_alone() {
    let folder = tempfile::tempdir().expect("a directory");
    for (name, link) in [("own", false), ("linked", true)] {
        let out = folder.path().join(name);
        let kept = folder.path().join(format!("{name}-kept"));
        fs::create_dir_all(&kept).expect("made");
        fs::create_dir(&out).expect("made");
        write(kept.join("results.txt"), "precious");
        match link {
            true => symlink(&kept, out.join("heap-1")).expect("a link"),
            false => fs::rename(&kept, out.join("heap-1")).expect("moved"),
        }
        let refused = told(&mut run(&out, &["--heap"]));
        assert_eq!(refused.code, Some(2), "{refused}");
        // --force goes on beside it.
        let forced = told(&mut run(&out, &["--heap", "--force"]));
        assert_eq!(forced.code, Some(0), "{forced}");
        assert_eq!(read(out.join("heap-1/results.txt")), "precious");
        assert!(out.join("report.md").exists() && !out.join("heap-2").exists());
    }
}

#[test]
fn force_replaces_reports_and_links_to_them_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a directory");
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("made");
    let victim = folder.path().join("victim");
    write(victim.clone(), "keep");
    write(out.join("report.md"), "old");
    write(out.join("notes"), "keep");
    symlink(&victim, out.join("summary.json")).expect("a link");
    let forced = told(&mut run(&out, &["--force"]));
    assert_eq!(forced.code, Some(0), "{forced}");
    assert!(read(out.join("report.md")).len() > 100 && read(out.join("summary.json")).contains("tidewatch-summary"));
    assert_eq!([read(victim.clone()), read(out.join("notes"))], ["keep", "keep"]);
    // The output of a target is no report.
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).expect("made");
    symlink(&victim, logs.join("stdout.log")).expect("a link");
    let refused = told(&mut run(&logs, &["--force"]));
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("stdout.log") && read(victim) == "keep", "{refused}");
}

#[test]
fn report_writes_over_its_own_reports_alone() {
    let folder = tempfile::tempdir().expect("a directory");
    let (out, notes, copy) = (folder.path().join("run"), folder.path().join("notes"), folder.path().join("copy"));
    let first = told(&mut run(&out, &[]));
    assert_eq!(first.code, Some(0), "{first}");
    [&notes, &copy].into_iter().for_each(|path| fs::create_dir(path).expect("made"));
    write(notes.join("report.md"), "my notes");
    let report = |words: &[&Path]| told(tidewatch().arg("report").args(words));
    let refused = report(&[&out, Path::new("--out"), &notes]);
    assert_eq!((refused.code, read(notes.join("report.md")).as_str()), (Some(2), "my notes"), "{refused}");
    assert!(refused.stderr.contains("report.md") && refused.stderr.contains("--force"), "{refused}");
    // A recording beside somebody's notes does not make them ours.
    fs::copy(out.join("recording.jsonl"), copy.join("recording.jsonl")).expect("copied");
    write(copy.join("report.md"), "my notes");
    let refused = report(&[&copy.join("recording.jsonl")]);
    assert_eq!((refused.code, read(copy.join("report.md")).as_str()), (Some(2), "my notes"), "{refused}");
    let forced = report(&[&copy, Path::new("--force")]);
    assert_eq!(forced.code, Some(0), "{forced}");
    for _ in 0..2 {
        let again = report(&[&out, Path::new("--out"), &folder.path().join("new/reports")]);
        assert_eq!(again.code, Some(0), "{again}");
        let in_place = report(&[&out]);
        assert_eq!(in_place.code, Some(0), "{in_place}");
    }
}

#[test]
fn a_run_is_for_its_user_alone() {
    let folder = tempfile::tempdir().expect("a directory");
    let told = told(run(Path::new("a/b"), &["--heap"]).current_dir(folder.path()));
    assert_eq!(told.code, Some(0), "{told}");
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    let out = folder.path().join("a/b");
    assert_eq!([mode(&folder.path().join("a")), mode(&out)], [0o700; 2]);
    for entry in fs::read_dir(&out).expect("listed") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert!(out.join("stdout.log").exists());
}

#[test]
fn a_directory_swapped_during_a_run_gets_nothing() {
    let _machine = part_of_machine();
    for link in [false, true] {
        let folder = tempfile::tempdir().expect("a directory");
        let (out, moved, theirs) =
            (folder.path().join("run"), folder.path().join("moved"), folder.path().join("theirs"));
        let mut command = tidewatch();
        command.args(["run", "--heap", "--for", "3s", "--inconclusive", "pass", "--out"]).arg(&out).arg("--");
        let mut watched = Running::quiet(command.args(["sh", "-c", "while :; do echo said; sleep .1; done"]));
        wait_for("output", SOON, || {
            fs::read_to_string(out.join("stdout.log")).ok().filter(|text| text.contains("said"))
        });
        fs::rename(&out, &moved).expect("moved");
        fs::create_dir_all(theirs.join("heap-1")).expect("made");
        for name in ["recording.jsonl", "stdout.log", "heap-1/heap.1"] {
            write(theirs.join(name), "theirs");
        }
        match link {
            true => symlink(&theirs, &out).expect("a link"),
            false => fs::rename(&theirs, &out).expect("moved"),
        }
        let length = || fs::metadata(moved.join("stdout.log")).expect("there").len();
        let before = length();
        assert_eq!(watched.wait("the end of the run", SOON).code(), Some(0));
        assert!(length() > before, "the output goes on");
        for name in ["recording.jsonl", "stdout.log", "heap-1/heap.1"] {
            assert_eq!(read(out.join(name)), "theirs");
        }
        assert_eq!(fs::read_dir(&out).expect("listed").count(), 3, "nothing was written there");
        assert!(read(moved.join("summary.json")).contains("tidewatch-summary"));
        assert_eq!(records(&moved).last().expect("a line")["kind"], "footer");
    }
}

#[test]
fn root_in_a_directory_of_another_user_lends_no_library_from_there() {
    let _machine = part_of_machine();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let theirs = folder.path().join("checkout");
    fs::create_dir(&theirs).expect("made");
    chown(&theirs, Some(NOBODY), Some(NOBODY)).expect("given away");
    let mut command = tidewatch();
    command.current_dir(&theirs).args(["run", "--heap", "--for", "1s", "--inconclusive", "pass", "--"]);
    let told = told(command.args(["sh", "-c", "echo $LD_PRELOAD; echo $TIDEWATCH_HEAP; sleep 60"]));
    assert_eq!(told.code, Some(0), "{told}");
    let runs = theirs.join("tidewatch-runs");
    let run = fs::read_dir(&runs).expect("listed").next().expect("a run").expect("an entry").path();
    assert_eq!([&runs, &run].map(|path| fs::metadata(path).expect("there").mode() & 0o777), [0o700; 2]);
    let lent = read(run.join("stdout.log"));
    assert_eq!(lent.lines().count(), 2, "{lent}");
    assert!(
        lent.lines().all(|path| path.starts_with('/') && !path.starts_with(theirs.to_str().expect("text"))),
        "{lent}"
    );
    let begins = records(&run).iter().filter(|one| one["event"] == "heap-begins").count();
    assert!(begins >= 1, "the heap is sampled all the same");
    // A directory that the other user made for us is refused.
    let made = theirs.join("made");
    fs::create_dir(&made).expect("made");
    chown(&made, Some(NOBODY), None).expect("given away");
    let refused = crate::support::told(&mut self::run(&made, &[]));
    assert!(refused.code == Some(2) && refused.stderr.contains("belongs to user 65534"), "{refused}");
}

#[test]
fn children_of_another_user_say_nothing_about_the_library() {
    let _machine = part_of_machine();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let out = folder.path().join("run");
    let mut command = tidewatch();
    command.args(["run", "--heap", "--for", "2s", "--inconclusive", "pass", "--out"]).arg(&out).arg("--");
    let script =
        "setpriv --reuid 65534 --clear-groups sh -c 'ls / >&2; grep -c tidewatch_heap /proc/self/maps'; sleep 60";
    let told = told(command.args(["sh", "-c", script]));
    assert_eq!(told.code, Some(0), "{told}");
    let said = read(out.join("stderr.log"));
    assert!(said.contains("usr") && !said.contains("ld.so") && !said.contains("preload"), "{said}");
    assert_ne!(read(out.join("stdout.log")).trim(), "0", "the library is loaded there too");
}

#[test]
fn what_a_killed_run_has_left_is_removed_by_the_next() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a directory");
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).expect("made");
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755)).expect("ours");
    let left = || -> Vec<String> {
        let entries = fs::read_dir(&temporary).expect("listed");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    let start = |name: &str| {
        let mut command = tidewatch();
        command.env("TMPDIR", &temporary).args(["run", "--heap", "--out"]).arg(folder.path().join(name));
        Running::quiet(command.args(["--", "sleep", "60"]))
    };
    let mut killed = start("killed");
    let first = wait_for("its directory", SOON, || left().pop());
    wait_for("its library", SOON, || fs::read_dir(temporary.join(&first)).ok()?.next().map(drop));
    killed.signal(Signal::KILL);
    killed.wait("its end", SOON);
    assert_eq!(left(), std::slice::from_ref(&first));
    // The same with a file in it that tidewatch does not make, of a process that never was.
    let odd = "tidewatch-heap-4000000-1-0123456789abcdef";
    fs::create_dir(temporary.join(odd)).expect("made");
    write(temporary.join(odd).join("notes"), "theirs");
    let living = start("living");
    let second = wait_for("another directory", SOON, || left().into_iter().find(|name| *name != first && name != odd));
    wait_for("the leftover to go", SOON, || (!left().contains(&first)).then_some(()));
    let mut next = tidewatch();
    next.env("TMPDIR", &temporary).args(["run", "--for", "1s", "--inconclusive", "pass", "--out"]);
    let next = told(next.arg(folder.path().join("next")).args(["--", "sleep", "60"]));
    assert_eq!(next.code, Some(0), "{next}");
    let mut names = left();
    names.sort();
    let mut expected = [odd.to_owned(), second];
    expected.sort();
    assert_eq!(names, expected, "those of the living and of strangers stay");
    drop(living);
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().expect("a directory");
    let curve = folder.path().join("flat.csv");
    write(curve.clone(), &(1..=100).map(|n| format!("{n},1000000\n")).collect::<String>());
    let scenario = folder.path().join("tidewatch.toml");
    let init = || {
        let _ = fs::remove_file(&scenario);
        let mut command = tidewatch();
        command.arg("init").current_dir(folder.path());
        command
    };
    let judge = |words: &[&str]| {
        let mut command = tidewatch();
        command.arg("judge").args(words).arg(&curve);
        command
    };
    let words = |words: &[&str]| {
        let mut command = tidewatch();
        command.args(words);
        command
    };
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("/dev/full"));
    for mut command in
        [judge(&["--json"]), judge(&[]), words(&["--help"]), words(&["run", "--help"]), words(&["--version"]), init()]
    {
        let output = command.stdout(full()).output().expect("started");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{command:?}: {stderr}");
        assert!(stderr.contains("stdout") && stderr.contains("No space left"), "{command:?}: {stderr}");
        // With nobody left to tell, the code still says it.
        let _ = fs::remove_file(&scenario);
        assert_eq!(command.stdout(full()).stderr(full()).status().expect("started").code(), Some(3), "{command:?}");
    }
    for mut command in [judge(&["--json"]), words(&["--help"]), words(&["--version"])] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command.stdout(writer).output().expect("started");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()), "{command:?}");
    }
}

#[test]
fn progress_that_cannot_be_written_does_not_end_a_run() {
    let folder = tempfile::tempdir().expect("a directory");
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let status = run(&folder.path().join("run"), &[]).stderr(full).stdout(Stdio::null()).status().expect("started");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_limit_on_file_sizes_ends_the_run_like_a_full_disk() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a directory");
    let out = folder.path().join("run");
    let mut shell = Command::new("bash");
    shell.args(["-c", "ulimit -f 20; exec \"$@\"", "bash", env!("CARGO_BIN_EXE_tidewatch")]);
    let script = "grep SigIgn /proc/self/status; echo $$; sleep 60";
    shell.args(["run", "--interval", "10ms", "--for", "30s", "--out"]).arg(&out).args(["--", "sh", "-c", script]);
    let told = told(shell.stdin(Stdio::null()));
    assert_eq!(told.code, Some(3), "{told}");
    assert!(told.stderr.contains("File too large") && told.stderr.contains("ulimit -f"), "{told}");
    let said = read(out.join("stdout.log"));
    let ignored = u64::from_str_radix(said.lines().next().expect("a mask").trim_start_matches("SigIgn:").trim(), 16);
    assert_eq!(ignored.expect("a mask") & 1 << (libc::SIGXFSZ - 1), 0, "the target's own signals are as usual");
    let pid = said.lines().nth(1).expect("a pid").parse().expect("a number");
    assert!(!crate::support::is_alive(pid), "the target is ended");
    assert!(records(&out).len() > 10, "what was recorded is readable");
}
