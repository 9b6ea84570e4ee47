//! A user without rights: what belongs to others is refused with the reason, and never shown as zero.
//!
//! Root becomes that user through setpriv. Without root there is nobody to become, and these tests have nothing to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Running, copy_program, part_of_machine, records, told};

/// The program where everybody may enter, and a directory that everybody may write.
struct Nobody {
    folder: tempfile::TempDir,
}

impl Nobody {
    fn become_one() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let folder = tempfile::tempdir().expect("a directory");
        copy_program(env!("CARGO_BIN_EXE_tidewatch"), &folder.path().join("tidewatch"));
        for (name, mode) in [("", 0o755), ("tidewatch", 0o755), ("home", 0o777), ("roots", 0o755)] {
            let path = folder.path().join(name);
            if !path.exists() {
                fs::create_dir(&path).expect("made");
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        }
        Some(Self { folder })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn tidewatch(&self, words: &[&str], out: &Path) -> Command {
        let home = self.path("home");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(self.path("tidewatch")).args(words);
        command.arg("--out").arg(out).env("HOME", &home).env("TMPDIR", &home).current_dir(&home);
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }
}

#[test]
fn process_of_another_user_is_watched_without_what_is_denied() {
    let _machine = part_of_machine();
    let Some(nobody) = Nobody::become_one() else { return };
    let mut target = Running::quiet(Command::new("sleep").arg("300"));
    let out = nobody.path("home/run");
    let told = told(&mut nobody.tidewatch(&["attach", &target.pid().to_string(), "--heap", "--for", "500ms"], &out));
    assert_eq!(told.code, Some(4), "{told}");
    let plain = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let pid = target.pid();
    for says in [
        format!("fds: permission denied reading /proc/{pid}/fd"),
        format!("private: permission denied reading /proc/{pid}/smaps_rollup"),
        format!("heap: process {pid} belongs to user 0, and this is user 65534"),
    ] {
        assert!(plain.contains(&says), "{says} is not in {told}");
    }
    let records = records(&out);
    let samples = || records.iter().filter(|one| one["kind"] == "sample");
    assert!(samples().count() > 1 && samples().all(|one| one["fds"].is_null()), "{told}");
    assert!(samples().all(|one| one["memory"]["private"].is_null()), "{told}");
    assert!(records.iter().any(|one| one["event"] == "no-heap"), "{told}");
    assert!(!records.iter().any(|one| one["event"] == "heap-begins"), "{told}");
    assert!(target.runs());
}

#[test]
fn run_directory_below_a_directory_of_root_is_refused() {
    let _machine = part_of_machine();
    let Some(nobody) = Nobody::become_one() else { return };
    let out = nobody.path("roots/run");
    let mut command = nobody.tidewatch(&["run", "--for", "500ms"], &out);
    let told = told(command.args(["--", "sh", "-c", "echo started; sleep 60"]));
    assert!(matches!(told.code, Some(2 | 3)), "{told}");
    assert!(told.stderr.contains("Permission denied") && told.stderr.contains("--out"), "{told}");
    assert!(fs::read_dir(nobody.path("roots")).expect("listed").next().is_none());
}

#[test]
fn run_directory_of_root_is_refused_for_another_user() {
    let _machine = part_of_machine();
    let Some(nobody) = Nobody::become_one() else { return };
    let out = nobody.path("home/roots-run");
    fs::create_dir(&out).expect("made");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).expect("ours");
    let told = told(nobody.tidewatch(&["run", "--for", "500ms"], &out).args(["--", "sleep", "60"]));
    assert_eq!(told.code, Some(2), "{told}");
    assert!(told.stderr.contains("belongs to user 0"), "{told}");
    assert!(fs::read_dir(&out).expect("listed").next().is_none());
}

#[test]
fn heap_of_an_own_process_is_sampled_without_root() {
    let _machine = part_of_machine();
    let Some(nobody) = Nobody::become_one() else { return };
    let out = nobody.path("home/run");
    let mut command = nobody.tidewatch(&["run", "--heap", "--for", "500ms", "--inconclusive", "pass"], &out);
    let told = told(command.args(["--", "sleep", "60"]));
    assert_eq!(told.code, Some(0), "{told}");
    let records = records(&out);
    assert!(records.iter().any(|one| one["event"] == "heap-begins"), "{told}");
    let fds = |one: &serde_json::Value| one["kind"] == "sample" && one["fds"].as_u64().is_some_and(|count| count > 0);
    assert!(records.iter().any(fds), "{told}");
}
