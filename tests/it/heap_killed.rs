//! The injector is ended at any moment, and the program that it works on goes on: no thread ends or stops, and the next watch
//! takes away what was left.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tidewatch::probe::heap::{self, HeapState, Injected, Seccomp};

use crate::heap_inject::{Target, Workshop, slots};
use crate::heap_refusals::{second, told};
use crate::support::{part_of_machine, signal_pid, wait_for};

/// States of the threads of a process that are not their own business: stopped, or traced.
fn held_threads(pid: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    stats.filter(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['t', 'T']))).collect()
}

/// Files and mappings that were made in a process to bring the sampler in.
fn strays(pid: u32) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let links = files.filter_map(|file| Some(fs::read_link(file.path()).ok()?.display().to_string()));
    let files = links.filter(|link| link.contains("tidewatch_"));
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let visits =
        maps.lines().filter(|line| line.contains("tidewatch_heap") && line.contains("rw-s")).map(str::to_owned);
    files.chain(visits).collect()
}

/// Ends the injector of a target at many moments. How often it had something in the target then.
fn ends(target: &mut Target, signal: Signal, times: u32) -> u32 {
    let mut met = 0;
    for number in 0..times {
        let mut injector = Target::start(&mut second(&format!("{} again", target.pid())));
        assert_eq!(told(&mut injector), "injected");
        // One cycle takes some milliseconds; each time ends it at another part of one.
        let until = Instant::now() + Duration::from_micros(u64::from(number) * 730 % 9000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        signal_pid(injector.pid(), signal);
        wait_for("the end of the injector", Duration::from_secs(10), || injector.child.try_wait().unwrap());
        met += u32::from(!strays(target.pid()).is_empty());
        assert_eq!(target.child.try_wait().unwrap(), None, "the target ended with its injector, at end {number}");
        wait_for("all threads to go on", Duration::from_secs(10), || {
            held_threads(target.pid()).is_empty().then_some(())
        });
    }
    met
}

#[test]
fn killed_injector_leaves_every_thread_going_on() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("running.c", &["-Wl,-z,now"]);
    for mode in ["churn", "quiet", "coroutines"] {
        let mut target = Target::start(Command::new(&program).arg(mode));
        target.site();
        let before = slots(target.pid());
        let met = ends(&mut target, Signal::KILL, 12) + ends(&mut target, Signal::HUP, 4);
        println!("{mode}: in {met} of 16 ends something was left at first");
        let injected = inject(&target);
        assert_eq!(strays(target.pid()), Vec::<String>::new(), "{mode}");
        injected.detach().unwrap();
        assert_eq!(slots(target.pid()), before, "{mode}");
        assert_eq!(target.end(), "ok", "{mode}");
    }
}

fn inject(target: &Target) -> Injected {
    wait_for("an attach", Duration::from_secs(60), || heap::inject(target.process(), 4096, Seccomp::Refuse).ok())
}

#[test]
fn program_whose_address_of_malloc_is_its_own_stub_is_sampled() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    for flags in [["-no-pie", "-fno-pie", "-Wl,-z,lazy"], ["-no-pie", "-fno-pie", "-Wl,-z,now"]] {
        let program = workshop.compile("running.c", &[flags.as_slice(), &["-DADDRESS"]].concat());
        let mut target = Target::start(Command::new(program).arg("quiet"));
        target.site();
        let injected = inject(&target);
        wait_for("samples", Duration::from_secs(20), || {
            (injected.table.snapshot().unwrap().samples > 20).then_some(())
        });
        injected.detach().unwrap();
        assert_eq!(target.end(), "ok");
    }
}

#[test]
fn handlers_that_map_memory_inside_free_do_not_lock_the_program() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("handlers.c", &[]);
    let sampler = heap::preload(workshop.path(), 65_536).unwrap();
    let mut target = Target::start(Command::new(program).arg("60000").envs(sampler));
    let status = wait_for("the end", Duration::from_secs(240), || target.child.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert_eq!(target.line(), "done handled");
}

#[test]
fn pause_ends_with_its_signal_after_killed_injectors() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("waiting.c", &[]);
    let mut target = Target::start(Command::new(&program).arg("pause"));
    assert_eq!(target.line(), "ready");
    let pause = target.waits_in();
    ends(&mut target, Signal::KILL, 6);
    let injected = inject(&target);
    assert_eq!(injected.table.snapshot().unwrap().state, HeapState::Active);
    injected.detach().unwrap();
    target.waits_again_in(&pause);
    signal_pid(target.pid(), Signal::USR1);
    assert_eq!(target.line(), "result -1 errno 4 signals 1");
}

#[test]
fn registers_hold_what_they_held_after_killed_injectors() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let mut target = Target::start(&mut Command::new(workshop.compile("registers.c", &[])));
    assert_eq!(target.line(), "ready");
    ends(&mut target, Signal::KILL, 24);
    inject(&target).detach().unwrap();
    assert_eq!(target.end(), "ok");
}

/// A thread that was left on its way reads its visit until it is back: who comes next may not write another one over it.
#[test]
fn a_watch_that_comes_at_once_waits_for_a_thread_that_was_left_on_its_way() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("running.c", &["-Wl,-z,now"]);
    let mut target = Target::start(Command::new(&program).arg("churn"));
    target.site();
    for number in 0_u64..40 {
        let mut injector = Target::start(&mut second(&format!("{} again", target.pid())));
        assert_eq!(told(&mut injector), "injected");
        let until = Instant::now() + Duration::from_micros(number * 730 % 9000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        signal_pid(injector.pid(), Signal::KILL);
        injector.child.wait().unwrap();
        inject(&target).detach().unwrap();
        assert_eq!(target.child.try_wait().unwrap(), None, "the target ended, at end {number}");
    }
    assert_eq!(strays(target.pid()), Vec::<String>::new());
    assert_eq!(target.end(), "ok");
}

#[test]
fn watches_of_one_program_work_in_it_one_after_the_other() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("running.c", &["-Wl,-z,now"]);
    let mut target = Target::start(Command::new(&program).arg("churn"));
    target.site();
    let process = target.process();
    let attempts =
        || (0..30).filter(|_| heap::inject(process, 4096, Seccomp::Refuse).is_ok_and(|it| it.detach().is_ok())).count();
    let done: usize = std::thread::scope(|scope| {
        let both = [scope.spawn(attempts), scope.spawn(attempts)];
        both.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert!(done > 0, "one of them comes to work");
    inject(&target).detach().unwrap();
    assert_eq!((strays(target.pid()), target.end().as_str()), (Vec::new(), "ok"));
}
