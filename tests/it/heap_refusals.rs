//! Processes that the allocation sampler is not put into: each is told why, and goes on as if nothing had been.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tidewatch::probe::heap::{self, Refusal, Seccomp, Way};

use crate::heap_inject::{Target, Workshop, identify};
use crate::support::{part_of_machine, signal_pid, wait_for};

const NOBODY: u32 = 65_534;
/// What a second process of these tests is told.
const ORDER: &str = "TIDEWATCH_TEST_INJECT";
const ENTRY: &str = "heap_refusals::entry";

fn started(command: &mut Command) -> Target {
    let mut target = Target::start(command.stdin(Stdio::piped()));
    assert_eq!(target.line(), "ready");
    target
}

/// Both ways to learn of it say the same, and the process goes on.
fn refused(mut target: Target) -> Refusal {
    let seen = heap::refusal(target.process(), Way::Inject(Seccomp::Refuse)).unwrap();
    let error = heap::inject(target.process(), 65_536, Seccomp::Refuse).unwrap_err();
    assert_eq!(error.to_string(), seen.to_string());
    goes_on(&mut target);
    seen
}

fn goes_on(target: &mut Target) {
    drop(target.child.stdin.take());
    assert_eq!(target.line(), "ended well");
    assert!(target.child.wait().unwrap().success());
}

#[test]
fn programs_without_the_allocator_that_is_sampled() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let musl = workshop.path().join("ld-musl-x86_64.so.1");
    crate::support::copy_program("/lib64/ld-linux-x86-64.so.2", &musl);
    let by_musl = format!("-Wl,--dynamic-linker={}", musl.display());
    let cases: [(&[&str], &str); 6] = [
        (&["-static"], "linked statically"),
        (&["-static-pie"], "linked statically"),
        (&[&by_musl], "uses musl"),
        (&["-DOWN_MALLOC"], "linked in (its own malloc)"),
        (&["-DTEXT=\"<jemalloc>: Error\""], "linked in (jemalloc)"),
        (&["-fsanitize=address"], "built with AddressSanitizer"),
    ];
    for (flags, expected) in cases {
        let program = workshop.compile("refused.c", flags);
        let target = started(Command::new(&program).env("ASAN_OPTIONS", "detect_leaks=0"));
        assert_preload(&target, expected);
        let refusal = refused(target).to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
    // A section of this name is in every Go program.
    let program = workshop.compile("refused.c", &[]);
    let section = workshop.path().join("section");
    fs::write(&section, "go1.22").unwrap();
    let mut objcopy = Command::new("objcopy");
    let status =
        objcopy.arg("--add-section").arg(format!(".go.buildinfo={}", section.display())).arg(&program).status();
    assert!(status.unwrap().success());
    let target = started(&mut Command::new(&program));
    assert_preload(&target, "written in Go");
    assert_eq!(refused(target), Refusal::Go);
}

fn assert_preload(target: &Target, expected: &str) {
    let refusal = heap::refusal(target.process(), Way::Preload).unwrap().to_string();
    assert!(refusal.contains(expected), "{refusal}");
}

#[test]
fn an_allocator_beside_the_program_serves_c_alone() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let jemalloc = fs::read_dir("/usr/lib/x86_64-linux-gnu").unwrap().flatten().map(|entry| entry.path());
    let jemalloc =
        jemalloc.into_iter().find(|path| path.ends_with("libjemalloc.so.2")).expect("redis-server's allocator");
    for (flags, is_refused) in [(&["-DUSES_NEW"], true), (&["-DNOTHING"], false)] {
        let program = workshop.compile("refused.c", flags);
        let mut target = started(Command::new(program).env("LD_PRELOAD", &jemalloc));
        if is_refused {
            assert_eq!(refused(target), Refusal::OwnNew { library: "libjemalloc.so.2".to_owned() });
        } else {
            heap::inject(target.process(), 4096, Seccomp::Refuse).unwrap().detach().unwrap();
            goes_on(&mut target);
        }
    }
}

#[test]
fn a_filter_that_kills_is_never_met() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("refused.c", &[]);
    for mode in ["filter", "thread"] {
        let target = started(Command::new(&program).arg(mode));
        let pid = target.pid();
        assert_eq!(refused(target), Refusal::Seccomp { pid });
    }
}

#[test]
fn processes_in_other_hands() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("refused.c", &[]);
    let mut target = started(&mut Command::new(&program));
    let pid = target.pid();
    let tracer = started(Command::new(&program).arg("trace").arg(pid.to_string()));
    let traced = Refusal::Traced { pid, tracer: tracer.pid().into() };
    assert_eq!(heap::refusal(target.process(), Way::Inject(Seccomp::Refuse)), Some(traced.clone()));
    let error = heap::inject(target.process(), 65_536, Seccomp::Refuse).unwrap_err();
    assert_eq!(error.to_string(), traced.to_string());
    // Nobody can wait for the end of a process while another traces it.
    drop(tracer);
    goes_on(&mut target);

    let mut target = started(&mut Command::new(&program));
    let pid = target.pid();
    signal_pid(pid, Signal::STOP);
    wait_for("the stop", Duration::from_secs(10), || {
        fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains("State:\tT").then_some(())
    });
    let error = heap::inject(target.process(), 4096, Seccomp::Refuse).unwrap_err();
    assert_eq!(error.to_string(), Refusal::Stopped { pid }.to_string());
    signal_pid(pid, Signal::CONT);
    goes_on(&mut target);
    assert_eq!(heap::refusal(target_gone(pid), Way::Inject(Seccomp::Refuse)), Some(Refusal::Gone { pid }));
    assert_eq!(heap::refusal(target_gone(pid), Way::Preload), Some(Refusal::Gone { pid }));

    // A call from outside returns by no signal, so it does not matter what the program makes of them.
    let mut shell = Command::new("sh");
    let target = started(shell.args(["-c", "trap '' SEGV; exec \"$0\""]).arg(&program));
    heap::inject(target.process(), 65_536, Seccomp::Refuse).unwrap().detach().unwrap();
}

fn target_gone(pid: u32) -> tidewatch::sample::Process {
    tidewatch::sample::Process { pid, start: 1 }
}

#[test]
fn a_sampler_that_is_there_already() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("refused.c", &[]);
    let target = started(Command::new(&program).envs(heap::preload(workshop.path(), 65_536).unwrap()));
    let refusal = refused(target).to_string();
    assert!(refusal.contains("is in process") && refusal.contains("preloaded from"), "{refusal}");

    let mut target = started(&mut Command::new(&program));
    let first = heap::inject(target.process(), 65_536, Seccomp::Refuse).unwrap();
    let error = heap::inject(target.process(), 65_536, Seccomp::Refuse).unwrap_err().to_string();
    assert!(error.contains(&format!("put there by process {}", std::process::id())), "{error}");
    first.detach().unwrap();
    heap::inject(target.process(), 65_536, Seccomp::Refuse).unwrap().detach().unwrap();
    goes_on(&mut target);
}

/// What a second process of this test program does: the order is a pid, and whether to stay or to do it again and again.
#[test]
fn entry() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let (pid, stays) = order.split_once(' ').unwrap();
    match heap::inject(identify(pid.parse().unwrap()), 4096, Seccomp::Refuse) {
        Ok(injected) => {
            println!("\nTOLD injected");
            if stays == "stays" {
                // Until it is killed.
                loop {
                    std::thread::park();
                }
            }
            injected.detach().unwrap();
            if stays != "again" {
                return;
            }
            loop {
                heap::inject(identify(pid.parse().unwrap()), 4096, Seccomp::Refuse).unwrap().detach().unwrap();
            }
        }
        Err(error) => println!("\nTOLD {error}"),
    }
}

pub fn second(order: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", ENTRY]).env(ORDER, order).stderr(Stdio::null());
    command
}

pub fn told(target: &mut Target) -> String {
    wait_for("what it tells", Duration::from_secs(30), || target.line().strip_prefix("TOLD ").map(str::to_owned))
}

#[test]
fn a_watch_that_was_killed_is_taken_over() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("running.c", &["-Wl,-z,now"]);
    let mut target = Target::start(Command::new(program).arg("churn"));
    target.site();
    let before = crate::heap_inject::slots(target.pid());
    for _ in 0..3 {
        let mut watch = Target::start(&mut second(&format!("{} stays", target.pid())));
        assert_eq!(told(&mut watch), "injected");
        drop(watch);
        let injected = heap::inject(target.process(), 4096, Seccomp::Refuse).unwrap();
        wait_for("samples", Duration::from_secs(20), || {
            (injected.table.snapshot().unwrap().samples > 100).then_some(())
        });
        injected.detach().unwrap();
        assert_eq!(crate::heap_inject::slots(target.pid()), before);
    }
    assert_eq!(target.end(), "ok");
}

#[test]
fn other_users() {
    let _machine = part_of_machine();
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else; what it would be told is tested on a status that is made up.
        return;
    }
    let workshop = Workshop::new();
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(workshop.path(), open).unwrap();
    let program = workshop.compile("refused.c", &[]);
    let mut target = started(&mut Command::new(&program));
    let mut stranger = Target::start(second(&format!("{} ends", target.pid())).uid(NOBODY).gid(NOBODY));
    let told = told(&mut stranger);
    assert!(told.contains("belongs to user 0, and this is user 65534"), "{told}");
    goes_on(&mut target);

    let special = workshop.path().join("special");
    crate::support::copy_program(&program, &special);
    fs::set_permissions(&special, fs::Permissions::from_mode(0o4755)).unwrap();
    let mut target = started(Command::new(&special).uid(NOBODY).gid(NOBODY));
    assert_eq!(heap::refusal(target.process(), Way::Preload), Some(Refusal::SetUserId));
    goes_on(&mut target);
}

#[test]
fn a_thread_that_waits_for_a_lock_is_left_alone() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let mut target = started(Command::new(workshop.compile("waiting.c", &[])).arg("lock"));
    let error = heap::inject(target.process(), 4096, Seccomp::Refuse).unwrap_err().to_string();
    assert!(error.contains("no thread of process") && error.contains("attach again"), "{error}");
    assert!(target.child.try_wait().unwrap().is_none());
}

#[test]
fn without_room_for_a_descriptor_nothing_happens() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("refused.c", &[]);
    let mut target = started(Command::new(program).arg("files"));
    let error = heap::inject(target.process(), 4096, Seccomp::Refuse).unwrap_err().to_string();
    assert!(error.contains("refused the heap sampler") && error.contains("Too many open files"), "{error}");
    goes_on(&mut target);
}

#[test]
fn a_loader_that_is_held_is_waited_for_in_vain() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let module = workshop.compile("late.c", &["-shared", "-fPIC"]);
    let program = workshop.compile("refused.c", &[]);
    let free = workshop.path().join("free");
    let mut target = started(Command::new(program).arg("load").arg(module).env("SLOW", &free));
    let pid = target.pid();
    let error = heap::inject(target.process(), 4096, Seccomp::Refuse).unwrap_err();
    assert_eq!(error.to_string(), Refusal::LoaderBusy { pid }.to_string());
    fs::write(&free, "").unwrap();
    // Once the module is there the loader is free again.
    let injected =
        wait_for("the loader", Duration::from_secs(20), || heap::inject(target.process(), 4096, Seccomp::Refuse).ok());
    injected.detach().unwrap();
    goes_on(&mut target);
}

#[test]
fn a_process_that_is_fit_is_not_refused() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("refused.c", &[]);
    let mut target = started(&mut Command::new(&program));
    for way in [Way::Preload, Way::Inject(Seccomp::Refuse)] {
        assert_eq!(heap::refusal(target.process(), way), None);
    }
    assert!(Path::new(&format!("/proc/{}", target.pid())).exists());
    goes_on(&mut target);
}
