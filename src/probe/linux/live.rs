//! The watcher against live processes of known size.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::files::{FdCount, ProcRoot, open_dir};
use super::live_child::{EACH, MEMORY, THREADS, Target, ZOMBIES, identify};
use super::tree::Kinship;
use crate::probe::{OwnSockets, ProbeError, Roots, Watcher};
use crate::sample::{Event, FdKind, Metric, Process, Sample, TreeCounts};

fn sample(watcher: &mut Watcher) -> Sample {
    let mut sample = Sample::default();
    watcher.sample(&mut sample);
    watcher.tree(&mut sample);
    watcher.exact(&mut sample);
    watcher.high_water(&mut sample);
    sample
}

/// Scans until the tree is as expected, or fails.
fn scan_until(watcher: &mut Watcher, expected: TreeCounts) -> Vec<Event> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut events = Vec::new();
    loop {
        events.extend(watcher.scan());
        let counts = sample(watcher).tree;
        if counts == Some(expected) {
            return events;
        }
        assert!(Instant::now() < deadline, "{counts:?} is not {expected:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a condition, or fails.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn end(process: Process) {
    let pid = rustix::process::Pid::from_raw(process.pid as i32).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("ours to end");
}

fn near(value: u64, expected: u64) -> bool {
    value.abs_diff(expected) <= expected / 100
}

#[test]
fn touched_memory_is_measured_within_one_percent() {
    let mut target = Target::start();
    let mut watcher = target.watch();
    let before = sample(&mut watcher);
    target.tell("memory");
    let after = sample(&mut watcher);
    let grown = |of: fn(&Sample) -> Option<u64>| of(&after).expect("a number") - of(&before).expect("a number");
    for (name, grown) in [
        ("private", grown(|s| s.memory.map(|memory| memory.private))),
        ("rss", grown(|s| s.rss)),
        ("anonymous", grown(|s| s.anonymous)),
    ] {
        assert!(near(grown, MEMORY as u64), "{name} grew by {grown}");
    }
    // The target's share of this very program's pages is greater when another process that maps them ends, as
    // those of the tests beside this one do.
    let of_files = after.rss.expect("rss") - after.anonymous.expect("anonymous");
    let pss = grown(|s| s.memory.map(|memory| memory.pss));
    let off = pss.abs_diff(MEMORY as u64);
    assert!(off <= MEMORY as u64 / 100 + of_files, "pss grew by {pss}, with {of_files} of files");
    let mappings = watcher.detail(&OwnSockets::default()).mappings.expect("smaps");
    let private = after.memory.expect("rollup").private;
    let folded = mappings.heap + mappings.stack + mappings.anonymous;
    assert!(folded <= private && private - folded < 4 << 20, "{mappings:?} against {private}");
    assert!(after.high_water >= after.rss.map(|rss| rss * 99 / 100), "{after:?}");
    assert_eq!(after.processes, 1);
    assert_eq!(watcher.missing(), []);
    assert!(watcher.exact_cost() > Duration::ZERO);
}

#[test]
fn pages_shared_with_a_child_that_no_scan_has_seen_are_counted_whole() {
    let mut target = Target::start();
    target.tell("memory");
    let mut watcher = target.watch();
    let private = |watcher: &mut Watcher| {
        let mut sample = Sample::default();
        watcher.exact(&mut sample);
        sample.memory.expect("rollup").private
    };
    let alone = private(&mut watcher);
    let child = identify(target.tell("fork").parse().expect("a pid"));
    let both = private(&mut watcher);
    assert!(near(both, alone), "{both} with the child, {alone} before");
    let appeared = |event: &Event| matches!(event, Event::Appeared { process, .. } if *process == child);
    assert!(watcher.scan().iter().any(appeared), "what a reading saw is told by the next scan");
    end(child);
    let left = private(&mut watcher);
    assert!(near(left, alone), "{left} after the child, {alone} before");
}

#[test]
fn the_peak_is_set_back() {
    let mut target = Target::start();
    target.tell("memory");
    let mut watcher = target.watch();
    let high = sample(&mut watcher).high_water.expect("a peak");
    target.tell("hello");
    watcher.reset_peak().expect("a child of ours may be reset");
    let after = sample(&mut watcher);
    assert!(after.high_water.is_some_and(|peak| peak <= high && peak >= MEMORY as u64), "{after:?} after {high}");
}

#[test]
fn descriptors_are_counted_exactly_by_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut target = Target::start();
    let mut watcher = target.watch();
    let own = OwnSockets::default();
    let count = |sample: &Sample| sample.fds.expect("a count");
    let (fds, before) = (count(&sample(&mut watcher)), watcher.detail(&own).descriptors.expect("kinds"));
    target.tell(&format!("fds {}", folder.path().display()));
    let (grown, after) = (count(&sample(&mut watcher)) - fds, watcher.detail(&own).descriptors.expect("kinds"));

    let expected = BTreeMap::from([
        (FdKind::Tcp, 2 * EACH + 1),
        (FdKind::Udp, 1),
        (FdKind::Unix, 2 * EACH),
        (FdKind::Socket, 0),
        (FdKind::Pipe, 2 * EACH),
        (FdKind::File, EACH),
        (FdKind::Eventfd, EACH),
        (FdKind::Epoll, EACH),
        (FdKind::Timerfd, EACH),
        (FdKind::Inotify, 1),
        (FdKind::Memfd, EACH),
        (FdKind::Other, 0),
    ]);
    let by_kind: BTreeMap<FdKind, u64> =
        after.by_kind.iter().map(|(kind, count)| (*kind, count - before.by_kind[kind])).collect();
    assert_eq!(by_kind, expected);
    assert_eq!(grown, expected.values().sum::<u64>());

    let target_count = |start: &str, end: &str| {
        let those =
            after.by_target.iter().filter(|target| target.name.starts_with(start) && target.name.ends_with(end));
        those.map(|target| target.count).sum::<u64>()
    };
    assert_eq!(target_count("ESTABLISHED on :", " from 127.0.0.1"), EACH, "{:?}", after.by_target);
    assert_eq!(target_count("ESTABLISHED to 127.0.0.1:", ""), EACH);
    assert_eq!(target_count("LISTEN 127.0.0.1:", ""), 1);
    assert_eq!(target_count("/", "/session-*.db"), EACH);
    assert_eq!(target_count("memfd:grown", ""), EACH);
    assert_eq!(watcher.missing(), []);
}

#[test]
fn threads_are_counted_by_name() {
    let mut target = Target::start();
    let mut watcher = target.watch();
    let before = sample(&mut watcher).threads.expect("threads");
    target.tell("threads");
    assert_eq!(sample(&mut watcher).threads, Some(before + THREADS));
    // A thread takes its name only when it first runs.
    let mut threads = Vec::new();
    until("all workers bear their name", || {
        threads = watcher.detail(&OwnSockets::default()).threads;
        threads.iter().any(|named| named.name == "worker-*" && named.count == THREADS)
    });
    assert_eq!(threads.iter().map(|named| named.count).sum::<u64>(), before + THREADS);
}

#[test]
fn children_of_every_thread_join_and_zombies_do_not() {
    let mut target = Target::start();
    let mut watcher = target.watch();
    let child = identify(target.tell("child").parse().expect("a pid"));
    let other = identify(target.tell("child-of-thread").parse().expect("a pid"));
    target.tell("zombies");
    let events = scan_until(&mut watcher, TreeCounts { children: 2, zombies: ZOMBIES, orphans: 0 });
    for process in [child, other] {
        let appeared = |event: &&Event| matches!(event, Event::Appeared { process: p, .. } if *p == process);
        assert_eq!(events.iter().filter(appeared).count(), 1, "{events:?}");
        assert!(watcher.members().contains(&process));
    }
    assert_eq!(sample(&mut watcher).processes, 3);
    let detail = watcher.detail(&OwnSockets::default());
    let flat = |named: &[crate::sample::Named]| named.iter().map(|n| (n.name.clone(), n.count)).collect::<Vec<_>>();
    assert_eq!(flat(&detail.children), [("cat".to_owned(), 2)]);
    assert_eq!(flat(&detail.zombies), [("true".to_owned(), ZOMBIES)]);
    assert_eq!(detail.per_process.len(), 3);
    assert_eq!(detail.per_process[0].process, target.process(), "the largest comes first");

    // A child that ends is left out of the sums at once, told at the next scan, and is a zombie from then on.
    end(child);
    let events = scan_until(&mut watcher, TreeCounts { children: 1, zombies: ZOMBIES + 1, orphans: 0 });
    assert!(events.contains(&Event::Vanished { process: child }), "{events:?}");
    assert_eq!(watcher.missing(), [], "an end is no missing number");
    end(other);
}

#[test]
fn descent_is_found_by_parents_too() {
    let mut target = Target::start();
    let child = identify(target.tell("child").parse().expect("a pid"));
    let proc = ProcRoot::open(Path::new("/proc")).expect("/proc");
    let mut space = vec![std::mem::MaybeUninit::uninit(); 8192];
    for kinship in [Kinship::PerThread, Kinship::ByParent] {
        let root = super::watcher::open_root(&proc, target.process()).expect("the target runs");
        // Files of one member alone are held open: the other is opened at each use.
        let mut tree = super::tree::Tree::new(kinship, vec![root], None, 1);
        tree.scan(&proc, &mut space);
        let members: Vec<Process> = tree.members.iter().map(|member| member.process).collect();
        assert_eq!(members, [target.process(), child], "{kinship:?}");
        // While it starts it opens and closes its libraries: both ways of counting agree once it waits.
        let folder = format!("/proc/{}/fd", child.pid);
        until("the counts agree", || {
            let listed = std::fs::read_dir(&folder).expect("its folder").count() as u64;
            let tick = tree.members[1]
                .tick(&proc, FdCount::Listing, &mut space, super::member::Reading::All)
                .expect("the child runs");
            assert_eq!(tick.threads, 1);
            tick.memory.is_ok_and(|(pages, _)| pages > 0) && tick.fds == Ok(listed)
        });
    }
    end(child);
}

#[test]
fn a_guardians_other_children_are_orphans() {
    let mut guardian = Target::start();
    let root = identify(guardian.tell("guard").parse().expect("a pid"));
    let roots = Roots { roots: vec![root], guardian: Some(guardian.process()) };
    let mut watcher = Watcher::open(roots).expect("the shell runs");
    scan_until(&mut watcher, TreeCounts { children: 1, zombies: 0, orphans: 1 });
    // Between fork and exec it still bears the shell's name.
    let sleep = crate::sample::Named { name: "sleep".into(), count: 1 };
    until("the orphan is a sleep", || watcher.detail(&OwnSockets::default()).orphans == [sleep.clone()]);
    assert_eq!(sample(&mut watcher).processes, 3);

    // The root ends: its child becomes an orphan, and nothing of the tree is lost.
    let members: Vec<Process> = watcher.members().iter().copied().filter(|&member| member != root).collect();
    end(root);
    scan_until(&mut watcher, TreeCounts { children: 0, zombies: 0, orphans: 2 });
    assert!(!watcher.alive());
    members.into_iter().for_each(end);
}

#[test]
fn a_process_that_is_gone_or_another_is_refused() {
    let mut target = Target::start();
    let process = target.process();
    let reused = Process { start: process.start + 1, ..process };
    let open = |process| Watcher::open(Roots { roots: vec![process], guardian: None });
    assert!(matches!(open(reused), Err(ProbeError::Gone(p)) if p == reused));
    assert!(matches!(Watcher::open(Roots::default()), Err(ProbeError::NoRoots)));

    let mut watcher = open(process).expect("the target runs");
    assert!(watcher.alive());
    target.end();
    assert!(!watcher.alive());
    let gone = sample(&mut watcher);
    let nothing = (gone.processes, gone.rss, gone.fds, gone.threads, gone.memory, gone.high_water);
    assert_eq!(nothing, (0, None, None, None, None, None));
    assert_eq!(watcher.scan(), []);
    assert_eq!(watcher.members(), []);
    assert_eq!(watcher.missing(), []);
    assert!(matches!(open(process), Err(ProbeError::Gone(_))));
}

#[test]
fn the_portable_backend_tells_what_the_kernel_tells() {
    use crate::probe::portable;
    let mut target = Target::start();
    target.tell("memory");
    let child: u32 = target.tell("child").parse().expect("a pid");
    let root = portable::Watcher::identify(target.process().pid).expect("the target runs");
    let open = |root| portable::Watcher::open(Roots { roots: vec![root], guardian: None });
    let mut watcher = open(root).expect("the target runs");
    let is_child = |process: &Process| process.pid == child;
    let appeared = watcher.scan();
    let told = |event: &Event| matches!(event, Event::Appeared { process, .. } if is_child(process));
    assert!(appeared.len() == 1 && told(&appeared[0]), "{appeared:?}");

    let mut exact = target.watch();
    exact.scan();
    let (mut taken, mut expected) = (Sample::default(), Sample::default());
    until("both settle on the same", || {
        watcher.sample(&mut taken);
        exact.sample(&mut expected);
        near(taken.rss.expect("resident memory"), expected.rss.expect("resident memory"))
    });
    assert_eq!((taken.processes, taken.fds, taken.memory), (2, None, None));
    assert!(watcher.missing().iter().any(|event| matches!(event, Event::Missing { metric: Metric::Fds, .. })));

    end(identify(child));
    let mut vanished = Vec::new();
    until("the child is gone", || {
        vanished.extend(watcher.scan());
        !vanished.is_empty()
    });
    let told = |event: &Event| matches!(event, Event::Vanished { process } if is_child(process));
    assert!(vanished.len() == 1 && told(&vanished[0]), "{vanished:?}");
    let reused = Process { start: root.start + 1, ..root };
    assert!(matches!(open(reused), Err(ProbeError::Gone(process)) if process == reused));
}

#[test]
fn size_and_listing_of_the_folder_agree() {
    let target = Target::start();
    let mut space = vec![std::mem::MaybeUninit::uninit(); 8192];
    let dir = open_dir(rustix::fs::CWD, format!("/proc/{}/fd", target.process().pid)).expect("its folder");
    let listed = FdCount::Listing.count(&dir, &mut space);
    assert!(listed.is_ok_and(|count| count >= 3));
    let proc = ProcRoot::open(Path::new("/proc")).expect("/proc");
    assert_eq!(FdCount::detect(&proc, &mut space).count(&dir, &mut space), listed);
}

#[test]
fn what_is_denied_is_missing_with_its_reason_and_the_rest_goes_on() {
    if !rustix::process::geteuid().is_root() {
        // Without root there is nobody to become: a file that its owner may not read shows the same.
        use std::os::unix::fs::PermissionsExt;
        let (root, mut watcher) = written(&[("smaps_rollup", "Rss: 4 kB\n")]);
        let file = root.path().join("7/smaps_rollup");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).expect("our own file");
        let taken = sample(&mut watcher);
        assert!(taken.memory.is_none() && taken.rss.is_some() && taken.fds == Some(5), "{taken:?}");
        let reason = format!("permission denied reading {} (run as the same user or as root)", file.display());
        assert!(watcher.missing().contains(&Event::Missing { metric: Metric::Private, reason }));
        return;
    }
    let target = Target::start();
    let mut nobody = Target::start();
    let process = target.process();
    let answer = nobody.tell(&format!("denied {} {}", process.pid, process.start));
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("its report");
    let (sample, missing) = (&answer["sample"], answer["missing"].as_array().expect("a list"));
    for there in ["rss", "anonymous", "threads", "cpu_us"] {
        assert!(sample[there].is_u64(), "{there}: {answer}");
    }
    for absent in ["fds", "memory"] {
        assert!(sample[absent].is_null(), "{absent}: {answer}");
    }
    assert!(answer["detail"]["descriptors"].is_null() && answer["detail"]["mappings"].is_null(), "{answer}");
    assert!(!answer["detail"]["threads"].as_array().expect("a list").is_empty(), "{answer}");
    for (metric, file) in [("fds", "fd"), ("private", "smaps_rollup"), ("heap", "smaps")] {
        let reason =
            format!("permission denied reading /proc/{}/{file} (run as the same user or as root)", process.pid);
        let told = missing.iter().filter(|event| event["metric"] == metric && event["reason"] == reason.as_str());
        assert_eq!(told.count(), 1, "{metric}: {answer}");
    }
}

/// A folder like `/proc` with one process that has only what is written here.
fn written(files: &[(&str, &str)]) -> (tempfile::TempDir, Watcher) {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("7");
    std::fs::create_dir_all(folder.join("fd")).expect("a folder");
    let stat = "7 (app) S 1 7 7 0 -1 4194560 0 0 0 0 100 50 0 0 20 0 3 0 4711 0 0\n";
    for (name, text) in [("stat", stat), ("statm", "900 300 100 1 0 2 0\n")].iter().chain(files) {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    for fd in 0..5 {
        std::fs::write(folder.join(format!("fd/{fd}")), "").expect("a file");
    }
    let roots = Roots { roots: vec![Process { pid: 7, start: 4711 }], guardian: None };
    let watcher = Watcher::open_in(root.path(), roots).expect("the written process");
    (root, watcher)
}

#[test]
fn an_absent_or_odd_kernel_file_costs_its_own_number_alone() {
    let (root, mut watcher) = written(&[("status", "Name:\tapp\nVmHWM:\t 2000 kB\n")]);
    watcher.scan();
    let page = rustix::param::page_size() as u64;
    let taken = sample(&mut watcher);
    assert_eq!((taken.rss, taken.anonymous), (Some(300 * page), Some(200 * page)));
    assert_eq!((taken.fds, taken.threads, taken.high_water), (Some(5), Some(3), Some(2000 * 1024)));
    assert_eq!((taken.memory, taken.processes), (None, 1));
    let reasons = |watcher: &mut Watcher| -> Vec<(Metric, String)> {
        let reason = |event| match event {
            Event::Missing { metric, reason } => (metric, reason),
            other => panic!("{other:?}"),
        };
        watcher.missing().into_iter().map(reason).collect()
    };
    let told = reasons(&mut watcher);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 == Metric::Private && told[0].1.contains("smaps_rollup does not exist"), "{told:?}");

    std::fs::write(root.path().join("7/statm"), "what\n").expect("a file");
    let taken = sample(&mut watcher);
    assert_eq!((taken.rss, taken.anonymous, taken.fds, taken.threads), (None, None, Some(5), Some(3)));
    let told = reasons(&mut watcher);
    assert!(told.len() == 1 && told[0].0 == Metric::Rss && told[0].1.contains("form"), "{told:?}");
}
