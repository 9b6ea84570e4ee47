//! Directories of others, symbolic links, swaps, and what a killed run has left.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::trust::{Untrusted, open_trusted};
use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn begin(path: &Path) -> Result<RunDir, RunDirError> {
    RunDir::begin(path, ForeignReports::Keep)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
}

#[test]
fn new_directories_and_files_are_for_this_user_alone() {
    let folder = folder();
    let run = begin(&folder.path().join("runs/one")).expect("new");
    run.create("stdout.log").expect("a log").write_all(b"x").expect("written");
    run.publish("report.md", b"text").expect("a report");
    assert_eq!(["", "../"].map(|up| mode(&run.path().join(up))), [0o700; 2]);
    assert_eq!(["stdout.log", "report.md"].map(|name| mode(&run.path_of(name))), [0o600; 2]);
    let next = RunDir::begin_in(&folder.path().join("runs"), ["one", "two"].map(str::to_owned)).expect("new");
    assert!(next.path().ends_with("runs/two"));
}

#[test]
fn a_directory_that_is_not_ours_is_refused() {
    type Prepare = fn(&Path);
    let cases: [(&str, Prepare, &str); 7] = [
        ("foreign file", |at| fs::write(at.join("notes"), "").expect("written"), "like `notes`"),
        ("foreign report", |at| fs::write(at.join("report.md"), "").expect("written"), "like `report.md`"),
        ("foreign directory", |at| fs::create_dir(at.join("heap-1")).expect("made"), "like `heap-1`"),
        (
            "a recording",
            |at| fs::write(at.join(RECORDING), RECORDING_START).expect("written"),
            "holds a recording already",
        ),
        ("writable by others", |at| set_mode(at, 0o777), "chmod go-w"),
        ("writable by the group, sticky", |at| set_mode(at, 0o1770), "chmod go-w"),
        ("a link", |at| (fs::remove_dir(at), symlink("..", at)).1.expect("a link"), "symbolic link"),
    ];
    for (what, prepare, expected) in cases {
        let folder = folder();
        let at = folder.path().join("out");
        fs::create_dir(&at).expect("a directory");
        begin(&at).unwrap_or_else(|error| panic!("{what}: an empty directory is fine: {error}"));
        prepare(&at);
        let error = begin(&at).expect_err(what);
        assert!(error.is_usage() && error.to_string().contains(expected), "{what}: {error}");
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    assert!(matches!(begin(file.path()), Err(RunDirError::NotADirectory { .. })));
}

#[test]
fn force_accepts_reports_and_other_files_but_no_files_of_a_run() {
    for (name, is_fine) in [
        ("report.md", true),
        ("notes", true),
        ("notes.log", true),
        ("stdout.txt", true),
        ("stdout.log", false),
        ("stderr-2.log", false),
    ] {
        let folder = folder();
        fs::write(folder.path().join(name), "theirs").expect("written");
        assert_eq!(RunDir::begin(folder.path(), ForeignReports::Replace).is_ok(), is_fine, "{name}");
    }
}

#[test]
fn reports_go_where_nothing_is_or_where_our_own_are() {
    // What stands there, and whether reports may be written without --force.
    let longer = "x".repeat(SUMMARY_START.len().max(RECORDING_START.len()) + 1);
    let cases: [(&[(&str, &str)], bool); 9] = [
        (&[(RECORDING, &longer)], false),
        (&[("summary.json", &longer)], false),
        (&[], true),
        (&[(RECORDING, RECORDING_START)], true),
        (&[("summary.json", SUMMARY_START), ("report.md", "ours"), ("notes", "")], true),
        (&[(RECORDING, RECORDING_START), ("report.md", "theirs")], false),
        (&[(RECORDING, "{}")], false),
        (&[("summary.json", "{}")], false),
        (&[("notes", "")], false),
    ];
    for (files, is_fine) in cases {
        let folder = folder();
        files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).expect("written"));
        let opened = RunDir::for_reports(folder.path(), ForeignReports::Keep);
        assert_eq!(opened.is_ok(), is_fine, "{files:?}: {opened:?}");
        let forced = RunDir::for_reports(folder.path(), ForeignReports::Replace).expect("--force");
        forced.publish("report.md", b"new").expect("replaced");
        assert_eq!(fs::read(folder.path().join("report.md")).expect("there"), b"new");
        for (name, text) in files.iter().filter(|(name, _)| *name != "report.md") {
            assert_eq!(fs::read_to_string(folder.path().join(name)).expect("there"), *text, "other files stay");
        }
    }
}

#[test]
fn reports_of_ours_are_replaced_and_foreign_ones_only_with_force() {
    let text = |run: &RunDir| fs::read_to_string(run.path_of("report.md")).expect("there");
    let folder = folder();
    let run = begin(&folder.path().join("run")).expect("new");
    for version in ["first", "second"] {
        run.publish("report.md", version.as_bytes()).expect("this process made it");
        assert_eq!(text(&run), version);
    }
    run.publish("summary.json", SUMMARY_START.as_bytes()).expect("a summary");
    let later = RunDir::for_reports(run.path(), ForeignReports::Keep).expect("an earlier run made it");
    later.publish("report.md", b"third").expect("it stands beside our summary");
    assert_eq!(text(&later), "third");
    let theirs = folder.path().join("theirs");
    fs::create_dir(&theirs).expect("made");
    fs::write(theirs.join("report.md"), "theirs").expect("written");
    let forced = RunDir::begin(&theirs, ForeignReports::Replace).expect("--force");
    forced.publish("report.md", b"ours").expect("asked for");
    assert_eq!(text(&forced), "ours");
}

#[test]
fn a_library_is_installed_once_and_nothing_else_is_taken_for_it() {
    let folder = folder();
    let run = begin(&folder.path().join("run")).expect("new");
    let install = |bytes: &[u8]| run.directory.install("libtidewatch_heap-0.so", bytes);
    install(b"library").expect("new");
    install(b"library").expect("the same is there");
    let error = install(b"another").expect_err("other bytes are there");
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(run.path_of("libtidewatch_heap-0.so")).expect("there"), b"library");
    assert_eq!(run.directory.names().expect("names"), ["libtidewatch_heap-0.so"], "no temporary file is left");
}

#[test]
fn nothing_is_written_through_a_link_or_over_a_file_that_came_later() {
    let folder = folder();
    let victim = folder.path().join("victim");
    fs::write(&victim, "keep").expect("written");
    let run = begin(&folder.path().join("run")).expect("new");
    for name in ["stdout.log", "summary.json", "recording.jsonl"] {
        symlink(&victim, run.path_of(name)).expect("a link");
    }
    assert!(run.create("stdout.log").is_err() && run.append("stdout.log").is_err() && run.read("stdout.log").is_err());
    assert!(run.create("recording.jsonl").is_err());
    fs::write(run.path_of("report.md"), "theirs").expect("written");
    for name in ["summary.json", "report.md"] {
        let error = run.publish(name, b"ours").expect_err("in the way");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }
    assert_eq!(fs::read_to_string(&victim).expect("there"), "keep");
    assert_eq!(fs::read_to_string(run.path_of("report.md")).expect("there"), "theirs");
    let names = run.directory.names().expect("names");
    assert_eq!(names, ["recording.jsonl", "report.md", "stdout.log", "summary.json"], "no temporary file is left");
    // What replaces a link replaces the link alone.
    let forced = RunDir::for_reports(run.path(), ForeignReports::Replace).expect("--force");
    forced.publish("summary.json", b"ours").expect("replaced");
    assert_eq!(fs::read_to_string(&victim).expect("there"), "keep");
    assert!(fs::symlink_metadata(run.path_of("summary.json")).expect("there").is_file());
}

#[test]
fn an_impostor_of_the_directory_gets_nothing_and_loses_nothing() {
    let folder = folder();
    let (at, moved) = (folder.path().join("run"), folder.path().join("moved"));
    let run = begin(&at).expect("new");
    run.create("stdout.log").expect("a log");
    fs::rename(&at, &moved).expect("moved");
    fs::create_dir(&at).expect("an impostor");
    fs::write(at.join("stdout.log"), "theirs").expect("written");
    run.append("stdout.log").and_then(|mut file| file.write_all(b"mine")).expect("appended");
    run.publish("report.md", b"text").expect("published");
    let mut text = String::new();
    run.read("stdout.log").and_then(|mut file| file.read_to_string(&mut text)).expect("read");
    assert_eq!((text.as_str(), fs::read_to_string(run.pinned("report.md")).expect("read").as_str()), ("mine", "text"));
    run.remove("stdout.log").expect("removed");
    assert_eq!(fs::read_to_string(at.join("stdout.log")).expect("there"), "theirs");
    assert!(!at.join("report.md").exists() && moved.join("report.md").exists() && !moved.join("stdout.log").exists());
}

#[test]
fn only_the_very_file_that_was_made_is_replaced_or_removed() {
    let folder = folder();
    let run = begin(&folder.path().join("run")).expect("new");
    for name in ["a", "b", "c"] {
        run.create(name).expect("made");
    }
    for name in ["a", "b"] {
        fs::write(run.path_of("other"), "theirs").expect("written");
        fs::rename(run.path_of("other"), run.path_of(name)).expect("replaced");
    }
    assert!(run.remove("a").is_err() && run.read("b").is_err() && run.append("b").is_err());
    assert!(run.rename("c", "b").is_err() && run.rename("b", "c").is_err() && run.remove("never made").is_err());
    assert_eq!(["a", "b"].map(|name| fs::read_to_string(run.path_of(name)).expect("there")), ["theirs"; 2]);
    run.remove("c").expect("ours");
}

#[test]
fn a_path_is_trusted_when_nobody_else_can_rename_a_part_of_it() {
    let folder = folder();
    let inner = folder.path().join("a/b");
    fs::create_dir_all(&inner).expect("made");
    open_trusted(&inner).unwrap_or_else(|why| panic!("the temporary directory is sticky, and the rest ours: {why}"));
    for open in [0o777, 0o770, 0o702] {
        set_mode(&folder.path().join("a"), open);
        let why = open_trusted(&inner).expect_err("others can write");
        assert!(matches!(&why, Untrusted::Writable(path, _) if path.ends_with("a")), "{why}");
    }
    set_mode(&folder.path().join("a"), 0o1777);
    open_trusted(&inner).unwrap_or_else(|why| panic!("sticky: {why}"));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder.path().join("a"), Some(65534), None).expect("given away");
        assert!(matches!(open_trusted(&inner), Err(Untrusted::Owner(_, 65534))));
    }
}

#[test]
fn a_private_directory_takes_a_free_number_and_leaves_what_it_does_not_know() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("run/heap-1/theirs")).expect("made");
    let run = RunDir::begin(&folder.path().join("run"), ForeignReports::Replace).expect("--force");
    let (ours, odd) =
        (PrivateDir::in_run_dir(&run, "heap-").expect("made"), PrivateDir::in_run_dir(&run, "heap-").expect("made"));
    assert!(ours.path().ends_with("heap-2") && odd.path().ends_with("heap-3"));
    fs::write(ours.path().join("heap.12"), "table").expect("written");
    fs::write(odd.path().join("notes"), "theirs").expect("written");
    drop((ours, odd));
    assert_eq!(run.directory.names().expect("names"), ["heap-1", "heap-3"]);
    // Another directory in its place stays, and what is in it.
    let ours = PrivateDir::in_run_dir(&run, "heap-").expect("made");
    fs::rename(ours.path(), folder.path().join("moved")).expect("moved");
    fs::create_dir(ours.path()).expect("an impostor");
    fs::write(ours.path().join("heap.1"), "theirs").expect("written");
    let impostor = ours.path().to_owned();
    drop(ours);
    assert!(impostor.join("heap.1").exists());
}

#[test]
fn a_directory_for_lending_can_be_entered_and_not_listed() {
    let folder = folder();
    let run = begin(&folder.path().join("run")).expect("new");
    let lending = PrivateDir::for_lending(&run).expect("a place");
    lending.directory().install("libtidewatch_heap-0.so", b"library").expect("installed");
    assert_eq!((mode(lending.path()), mode(&lending.path().join("libtidewatch_heap-0.so"))), (0o711, 0o555));
    assert!(!lending.path().starts_with(run.path()), "the run directory is closed to other users");
    // A living owner loses nothing.
    remove_leftovers();
    let path = lending.path().to_owned();
    assert!(path.join("libtidewatch_heap-0.so").exists());
    drop(lending);
    assert!(!path.exists());
}

#[test]
fn empty_impostor_of_a_private_directory_is_not_removed() {
    let folder = folder();
    let run = begin(&folder.path().join("run")).expect("new");
    let ours = PrivateDir::in_run_dir(&run, "heap-").expect("made");
    let impostor = ours.path().to_owned();
    fs::rename(&impostor, folder.path().join("moved")).expect("moved");
    fs::create_dir(&impostor).expect("an impostor");
    drop(ours);
    assert!(impostor.is_dir());
}

#[test]
fn a_private_directory_needs_the_very_run_directory_at_a_path_that_the_loader_takes_whole() {
    let folder = folder();
    for (name, expected) in [("a run", "a space or a colon"), ("a:run", "a space or a colon")] {
        let run = begin(&folder.path().join(name)).expect("new");
        let error = PrivateDir::in_run_dir(&run, "heap-").expect_err(name);
        assert!(error.contains(expected), "{error}");
    }
    let run = begin(&folder.path().join("run")).expect("new");
    fs::rename(run.path(), folder.path().join("moved")).expect("moved");
    fs::create_dir(folder.path().join("run")).expect("an impostor");
    let error = PrivateDir::in_run_dir(&run, "heap-").expect_err("an impostor");
    assert!(error.contains("took the place"), "{error}");
}

#[test]
fn what_the_machine_refuses_is_no_wrong_word() {
    let error = begin(Path::new("/proc/self/none/run")).expect_err("no directory can be made there");
    assert!(matches!(error, RunDirError::Create { .. }) && !error.is_usage(), "{error}");
}

#[test]
fn no_child_inherits_a_file_of_the_run() {
    let folder = folder();
    let run = begin(&folder.path().join("run")).expect("new");
    let made = run.create("stdout.log").expect("a log");
    let more = [run.append("stdout.log").expect("a log"), run.read("stdout.log").expect("a log")];
    for file in [made].iter().chain(&more) {
        assert!(rustix::io::fcntl_getfd(file).expect("open").contains(rustix::io::FdFlags::CLOEXEC));
    }
    assert!(rustix::io::fcntl_getfd(run.directory.fd()).expect("open").contains(rustix::io::FdFlags::CLOEXEC));
}
