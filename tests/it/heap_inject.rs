//! The allocation sampler on its way into running programs and out again: they do as they did, and the table says what they hold.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use tempfile::TempDir;
use tidewatch::probe::heap::{self, HeapSnapshot, HeapStack, HeapState, InjectError, Injected, Refusal, Seccomp};
use tidewatch::sample::Process;

use crate::support::{Running, free_port, part_of_machine, root, signal_pid, wait_for, wait_for_port};

/// A process of a fixture.
pub struct Target {
    pub child: Child,
    output: BufReader<ChildStdout>,
}

impl Target {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn process(&self) -> Process {
        identify(self.pid())
    }

    /// Its next line. A target that prints none in time fails the test, with what it waits in.
    pub fn line(&mut self) -> String {
        if self.output.buffer().is_empty() {
            let limit = Timespec { tv_sec: 120, tv_nsec: 0 };
            let ready = poll(&mut [PollFd::new(self.output.get_ref(), PollFlags::IN)], Some(&limit)).unwrap();
            let call = fs::read_to_string(format!("/proc/{}/syscall", self.pid()));
            assert!(ready > 0, "process {} printed nothing in {}s, and is in {call:?}", self.pid(), limit.tv_sec);
        }
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Waits until it is in a system call that waits, and returns the call's number.
    pub fn waits_in(&self) -> String {
        wait_for("a call that waits", Duration::from_secs(60), || {
            let call = fs::read_to_string(format!("/proc/{}/syscall", self.pid())).unwrap();
            let number = call.split_whitespace().next().unwrap_or("running").to_owned();
            (!matches!(number.as_str(), "running" | "-1")).then_some(number)
        })
    }

    /// Waits until it is in this call again. A signal that comes on its way there would run its handler before the call
    /// begins, and the call would then wait for another one.
    pub fn waits_again_in(&self, call: &str) {
        wait_for("the same call", Duration::from_secs(60), || (self.waits_in() == call).then_some(()));
    }

    /// The function whose blocks stay alive.
    pub fn site(&mut self) -> u64 {
        let line = self.line();
        u64::from_str_radix(line.strip_prefix("site 0x").unwrap_or_else(|| panic!("{line}")), 16).unwrap()
    }

    /// Puts the sampler into it. On a busy machine no thread may come to a safe place in time: that is refused, and tried again.
    fn inject(&self, interval_bytes: u64) -> Injected {
        wait_for("a thread that may be borrowed", Duration::from_secs(60), || {
            match heap::inject(self.process(), interval_bytes, Seccomp::Refuse) {
                Ok(injected) => Some(injected),
                Err(InjectError::Refused(Refusal::NoSafeThread { .. } | Refusal::LoaderBusy { .. })) => None,
                Err(other) => panic!("{other}"),
            }
        })
    }

    /// Ends it, and gives what it printed after the first line.
    pub fn end(mut self) -> String {
        signal_pid(self.pid(), Signal::TERM);
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {rest}");
        rest.trim().to_owned()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn identify(pid: u32) -> Process {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    Process { pid, start }
}

/// A folder, and the fixtures that are compiled into it.
pub struct Workshop {
    folder: TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn compile(&self, name: &str, flags: &[&str]) -> PathBuf {
        let to = self.path().join(name.trim_end_matches(".c"));
        let source = root().join("fixtures/heap").join(name);
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-g", "-pthread", "-fno-builtin-malloc", "-fomit-frame-pointer"]).args(flags);
        let output = compiler.arg(source).arg("-o").arg(&to).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        to
    }
}

fn inside(stack: &HeapStack, function: u64) -> bool {
    stack.frames.first().is_some_and(|frame| (function..function + 400).contains(frame))
}

/// Live bytes at a site.
fn bytes_at(snapshot: &HeapSnapshot, site: u64) -> f64 {
    snapshot.stacks.iter().filter(|stack| inside(stack, site)).map(|stack| stack.live.bytes).sum()
}

/// Waits until so many bytes are found at a site.
fn wait_for_bytes(injected: &Injected, site: u64, bytes: f64) {
    wait_for("samples at the site", Duration::from_secs(30), || {
        (bytes_at(&injected.table.snapshot().unwrap(), site) >= bytes).then_some(())
    });
}

/// Every slot through which the modules of a process call what the sampler stands before: where it is, and what it holds.
pub fn slots(pid: u32) -> BTreeMap<(String, u64), u64> {
    const NAMES: [&str; 13] = [
        "malloc",
        "free",
        "calloc",
        "realloc",
        "memalign",
        "aligned_alloc",
        "posix_memalign",
        "valloc",
        "pvalloc",
        "mmap",
        "munmap",
        "mremap",
        "dlclose",
    ];
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = BTreeMap::new();
    for line in fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [addresses, _, "00000000", _, inode, path] = words.as_slice() else { continue };
        if *inode == "0" || !path.starts_with('/') || path.starts_with("/memfd") {
            continue;
        }
        let begin = u64::from_str_radix(addresses.split('-').next().unwrap(), 16).unwrap();
        let output = Command::new("readelf").arg("-rW").arg(path).output().unwrap();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [offset, _, "R_X86_64_JUMP_SLOT" | "R_X86_64_GLOB_DAT" | "R_X86_64_64", _, name, ..] = words.as_slice()
            else {
                continue;
            };
            if !NAMES.contains(&name.split('@').next().unwrap()) {
                continue;
            }
            let offset = u64::from_str_radix(offset, 16).unwrap();
            let at = if offset >= begin { offset } else { begin + offset };
            let mut word = [0; 8];
            memory.read_exact_at(&mut word, at).unwrap();
            found.insert(((*path).to_owned(), at), u64::from_le_bytes(word));
        }
    }
    found
}

/// Where an injected library lies.
fn libraries(pid: u32) -> Vec<Range<u64>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let lines = maps.lines().filter(|line| line.contains("/memfd:tidewatch_heap"));
    let code = lines.filter(|line| line.contains("r-xp")).map(|line| {
        let (begin, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        u64::from_str_radix(begin, 16).unwrap()..u64::from_str_radix(end, 16).unwrap()
    });
    code.collect()
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn a_hundred_watches_leave_a_busy_program_as_it_was() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    for flags in [["-no-pie", "-Wl,-z,lazy"], ["-pie", "-Wl,-z,now"]] {
        let mut target = Target::start(Command::new(workshop.compile("running.c", &flags)).arg("churn"));
        target.site();
        let (before, files) = (slots(target.pid()), descriptors(target.pid()));
        assert!(before.len() > 10, "{before:x?}");
        let mut tables = 0;
        for cycle in 0..100 {
            let injected = target.inject(4096);
            if cycle % 10 == 0 {
                let ours = libraries(target.pid());
                assert_eq!((ours.len(), descriptors(target.pid())), (1, files), "at cycle {cycle}");
                let led = slots(target.pid()).values().filter(|held| ours[0].contains(held)).count();
                assert!(led > 5, "{led} slots lead to the sampler");
                // Many more bytes come and go than stay: one site may be without a sample for long.
                wait_for("samples", Duration::from_secs(60), || {
                    let snapshot = injected.table.snapshot().unwrap();
                    (snapshot.samples >= 100 && snapshot.stacks.iter().any(|stack| stack.frames.len() > 1))
                        .then_some(())
                });
            }
            let mapped = fs::read_to_string(format!("/proc/{}/maps", target.pid())).unwrap();
            tables = mapped.matches("tidewatch_table").count();
            injected.detach().unwrap();
        }
        assert_eq!(tables, 1, "a table takes the place of the one before");
        assert_eq!(slots(target.pid()), before);
        assert_eq!(target.end(), "ok");
    }
}

#[test]
fn nothing_is_recorded_before_and_after() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("running.c", &["-Wl,-z,lazy"]);
    let mut target = Target::start(Command::new(&program).arg("quiet"));
    let site = target.site();
    let injected = target.inject(4096);
    wait_for_bytes(&injected, site, 400_000.0);
    let snapshot = injected.table.snapshot().unwrap();
    assert_eq!((snapshot.pid, snapshot.state, injected.table.is_current()), (target.pid(), HeapState::Active, true));
    assert!(snapshot.stacks.iter().any(|stack| inside(stack, site) && stack.frames.len() > 2), "{snapshot:x?}");
    assert!(injected.threads_tried >= 1 && injected.pause > Duration::ZERO);
    injected.detach().unwrap();
    // Among what is put back are the stubs of calls that were never made.
    let before = slots(target.pid());
    let image = fs::read_to_string(format!("/proc/{}/maps", target.pid())).unwrap();
    let own = image.lines().filter(|line| line.ends_with("/running")).filter_map(|line| line.split(['-', ' ']).next());
    let begin = own.filter_map(|digits| u64::from_str_radix(digits, 16).ok()).min().unwrap();
    let stubs = before
        .iter()
        .filter(|((path, _), held)| Path::new(path) == program && (begin..begin + (1 << 20)).contains(held));
    assert!(stubs.count() >= 3, "{before:x?}");
    // The second watch begins with nothing, at its own interval.
    let second = target.inject(8192);
    let ours = libraries(target.pid());
    let led = slots(target.pid());
    assert!(
        led.iter().filter(|((path, _), _)| Path::new(path) == program).all(|(_, held)| ours[0].contains(held)),
        "{led:x?}"
    );
    let snapshot = second.table.snapshot().unwrap();
    assert!(bytes_at(&snapshot, site) < 400_000.0, "{snapshot:?}");
    assert_eq!(snapshot.base_interval_bytes, 8192);
    wait_for_bytes(&second, site, 400_000.0);
    assert_eq!(second.table.snapshot().unwrap().missed_frees, 0);
    // It ends with its value, too.
    drop(second);
    assert_eq!(slots(target.pid()), before);
    assert_eq!(target.end(), "ok");
}

#[test]
fn programs_that_are_hard_to_interrupt_go_on() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("running.c", &["-Wl,-z,now"]);
    for mode in ["busy", "signals", "family", "coroutines", "exit"] {
        let mut target = Target::start(Command::new(&program).arg(mode));
        let site = target.site();
        let before = slots(target.pid());
        for _ in 0..10 {
            let injected = target.inject(4096);
            // These two allocate gigabytes a second beside what they keep: samples come, but rarely of that.
            if ["busy", "exit"].contains(&mode) {
                wait_for("samples", Duration::from_secs(20), || {
                    (injected.table.snapshot().unwrap().samples > 100).then_some(())
                });
            } else {
                wait_for_bytes(&injected, site, 20_000.0);
            }
            injected.detach().unwrap();
        }
        assert_eq!(slots(target.pid()), before, "{mode}");
        let last = target.inject(4096);
        assert_eq!(target.end(), "ok", "{mode}, with the sampler in it at its end");
        last.detach().unwrap();
    }
}

#[test]
fn modules_that_come_and_go_are_followed() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("running.c", &["-Wl,-z,now"]);
    let modules = ["one.so", "two.so", "three.so", "four.so"].map(|name| {
        let module = workshop.compile("module.c", &["-shared", "-fPIC"]);
        let to = workshop.path().join(name);
        fs::rename(module, &to).unwrap();
        to
    });
    let mut target = Target::start(Command::new(program).arg("modules").args(&modules));
    target.site();
    let before = slots(target.pid());
    let mut injected = target.inject(4096);
    assert_eq!(injected.follow().unwrap(), None, "nothing was loaded since");
    for _ in 0..5 {
        signal_pid(target.pid(), Signal::USR1);
        let lines: Vec<String> = modules.iter().map(|_| target.line()).collect();
        assert_eq!(target.line(), "done");
        assert!(injected.follow().unwrap().is_some());
        for line in &lines {
            // The helper that calls malloc stands before the function that is told.
            let site = u64::from_str_radix(line.strip_prefix("module 0x").unwrap(), 16).unwrap() - 200;
            wait_for_bytes(&injected, site, 100_000.0);
        }
        signal_pid(target.pid(), Signal::USR2);
        assert_eq!(target.line(), "done");
    }
    signal_pid(target.pid(), Signal::USR1);
    modules.iter().for_each(|_| drop(target.line()));
    assert_eq!(target.line(), "done");
    injected.follow().unwrap();
    signal_pid(target.pid(), Signal::USR2);
    assert_eq!(target.line(), "done");
    injected.detach().unwrap();
    assert_eq!(slots(target.pid()), before);
    assert_eq!(target.end(), "ok");
}

/// A call, how its wait is ended, and what it says then.
#[derive(Clone, Copy)]
enum Ends {
    Alone,
    Byte,
    Signal,
}

type Wait = (&'static str, Ends, &'static str);

const WAITS: [Wait; 19] = [
    ("nanosleep", Ends::Alone, "result 0 errno 0 signals 0"),
    ("clock_nanosleep", Ends::Alone, "result 0 errno 0 signals 0"),
    ("poll", Ends::Byte, "result 1 errno 0 signals 0"),
    ("poll_timeout", Ends::Alone, "result 0 errno 0 signals 0"),
    ("ppoll", Ends::Byte, "result 1 errno 0 signals 0"),
    ("select", Ends::Byte, "result 1 errno 0 signals 0"),
    ("epoll", Ends::Byte, "result 1 errno 0 signals 0"),
    ("epoll_pwait", Ends::Byte, "result 1 errno 0 signals 0"),
    ("epoll_timeout", Ends::Alone, "result 0 errno 0 signals 0"),
    ("semaphore", Ends::Alone, "result -1 errno 110 signals 0"),
    ("condition", Ends::Alone, "result 110 errno 0 signals 0"),
    ("futex", Ends::Alone, "result -1 errno 110 signals 0"),
    ("read", Ends::Byte, "result 1 errno 0 signals 0"),
    ("recv", Ends::Alone, "result -1 errno 11 signals 0"),
    ("accept", Ends::Alone, "result -1 errno 11 signals 0"),
    ("wait", Ends::Alone, "result 7 errno 0 signals 0"),
    ("sigtimedwait", Ends::Alone, "result -1 errno 11 signals 0"),
    ("pause", Ends::Signal, "result -1 errno 4 signals 1"),
    ("epoll", Ends::Signal, "result -1 errno 4 signals 1"),
];

#[test]
fn calls_that_wait_return_what_they_would_have() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let program = workshop.compile("waiting.c", &[]);
    // What ends alone takes its time, so all of those run at once; it gets no signal whose handler could begin it again.
    let (alone, others): (Vec<Wait>, Vec<Wait>) = WAITS.into_iter().partition(|wait| matches!(wait.1, Ends::Alone));
    std::thread::scope(|scope| {
        for wait in alone {
            let program = &program;
            scope.spawn(move || returns(program, wait, None));
        }
    });
    for wait in others {
        returns(&program, wait, None);
        returns(&program, wait, Some("restart"));
    }
}

fn returns(program: &Path, (call, ends, expected): Wait, restart: Option<&str>) {
    let mut command = Command::new(program);
    let mut target = Target::start(command.arg(call).args(restart).stdin(Stdio::piped()));
    assert_eq!(target.line(), "ready");
    let waits_in = target.waits_in();
    for _ in 0..2 {
        target.inject(4096).detach().unwrap();
    }
    match ends {
        Ends::Alone => {}
        Ends::Byte => target.child.stdin.take().unwrap().write_all(b"x").unwrap(),
        Ends::Signal => {
            target.waits_again_in(&waits_in);
            signal_pid(target.pid(), Signal::USR1);
        }
    }
    assert_eq!(target.line(), expected, "{call} {restart:?}");
    assert!(target.child.wait().unwrap().success());
}

#[test]
fn redis_answers_as_ever() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut server = Command::new("redis-server");
    server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(folder.path());
    let server = Target::start(server.stdin(Stdio::null()));
    wait_for_port(port);
    let mut load = Command::new("redis-benchmark");
    load.args([
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-n",
        "100000000",
        "-r",
        "10000",
        "-d",
        "200",
        "-t",
        "set,get",
    ]);
    let _load = Running::quiet(&mut load);
    let before = slots(server.pid());
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut asked = 0_u32;
    let mut ask = |times: u32| {
        for _ in 0..times {
            asked += 1;
            assert_eq!(answer(&mut client, &format!("SET own{} value{asked}", asked % 100)), "+OK");
            assert_eq!(answer(&mut client, &format!("GET own{}", asked % 100)), format!("$value{asked}"));
            assert_eq!(answer(&mut client, "PING"), "+PONG");
        }
    };
    ask(20);
    for cycle in 0..20 {
        let injected = server.inject(65_536);
        ask(20);
        if cycle % 5 == 0 {
            wait_for("samples", Duration::from_secs(30), || {
                let snapshot = injected.table.snapshot().unwrap();
                (snapshot.samples > 50 && snapshot.live().bytes > 0.0).then_some(())
            });
        }
        injected.detach().unwrap();
        ask(20);
    }
    assert_eq!(slots(server.pid()), before);
}

/// Asks redis, in its form for people. A value comes on the line after its length.
fn answer(client: &mut TcpStream, question: &str) -> String {
    client.write_all(format!("{question}\r\n").as_bytes()).unwrap();
    let line = |client: &mut TcpStream| {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        String::from_utf8(line).unwrap().trim().to_owned()
    };
    let first = line(client);
    if first.starts_with('$') { format!("${}", line(client)) } else { first }
}

#[test]
fn registers_of_a_borrowed_thread_hold_what_they_held() {
    let _machine = part_of_machine();
    let workshop = Workshop::new();
    let mut target = Target::start(&mut Command::new(workshop.compile("registers.c", &[])));
    assert_eq!(target.line(), "ready");
    for _ in 0..20 {
        target.inject(4096).detach().unwrap();
    }
    assert_eq!(target.end(), "ok");
}
