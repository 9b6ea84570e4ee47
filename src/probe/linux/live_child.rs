//! A target of known size for the live tests: the test binary itself, started again with only [`entry`] to
//! run. It does what it is told on stdin, a word a line, and answers each with a line that begins `DONE`.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::family::Family;
use crate::probe::{OwnSockets, Roots, Watcher};
use crate::sample::{Process, Sample};

const ENTRY: &str = "probe::linux::live_child::entry";
const FLAG: &str = "TIDEWATCH_TEST_TARGET";

pub(super) const MEMORY: usize = 64 << 20;
pub(super) const EACH: u64 = 200;
pub(super) const THREADS: u64 = 20;
pub(super) const ZOMBIES: u64 = 3;

/// The other end of such a target.
pub(super) struct Target {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Target {
    pub(super) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "--nocapture", ENTRY])
            .env(FLAG, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary starts again");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut target = Self { child, stdin, stdout };
        target.tell("hello");
        target
    }

    /// Gives an order and returns what follows `DONE`.
    pub(super) fn tell(&mut self, order: &str) -> String {
        writeln!(self.stdin, "{order}").expect("the target listens");
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).expect("text") > 0, "the target ended at `{order}`");
            if let Some((_, answer)) = line.split_once("DONE") {
                return answer.trim().to_owned();
            }
        }
    }

    pub(super) fn process(&self) -> Process {
        identify(self.child.id())
    }

    pub(super) fn watch(&self) -> Watcher {
        Watcher::open(Roots { roots: vec![self.process()], guardian: None }).expect("the target runs")
    }

    pub(super) fn end(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("the target ends");
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn identify(pid: u32) -> Process {
    let text = std::fs::read(format!("/proc/{pid}/stat")).expect("the process runs");
    Process { pid, start: crate::procfs::stat::parse_stat(&text).expect("stat").start }
}

/// The target of other tests, which start this program again for it; by itself it checks nothing.
#[test]
fn entry() {
    if std::env::var_os(FLAG).is_none() {
        return;
    }
    let mut held = Held::default();
    for order in std::io::stdin().lines() {
        let order = order.expect("text");
        let words: Vec<&str> = order.split(' ').collect();
        let answer = held.obey(&words);
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "DONE {answer}").and_then(|()| stdout.flush()).expect("a reader");
    }
}

/// What the target was told to hold.
#[derive(Default)]
struct Held {
    memory: Vec<u8>,
    fds: Vec<OwnedFd>,
    children: Vec<Child>,
    family: Option<Family>,
}

impl Held {
    fn obey(&mut self, words: &[&str]) -> String {
        match words {
            ["memory"] => {
                self.memory = vec![1; MEMORY];
                for byte in self.memory.iter_mut().step_by(4096) {
                    *byte = 7;
                }
            }
            ["fds", folder] => self.open_all(folder),
            ["threads"] => (0..THREADS).for_each(|n| {
                let body = || loop {
                    std::thread::park();
                };
                std::thread::Builder::new().name(format!("worker-{n}")).spawn(body).expect("a thread");
            }),
            ["zombies"] => (0..ZOMBIES).for_each(|_| {
                self.children.push(Command::new("true").stdin(Stdio::null()).spawn().expect("true"));
            }),
            ["child"] => {
                let child = waiting_child();
                let pid = child.id();
                self.children.push(child);
                return pid.to_string();
            }
            ["fork"] => return fork().to_string(),
            // A child of another thread than the first: the kernel lists it under that thread.
            ["child-of-thread"] => {
                let (tell, told) = std::sync::mpsc::channel();
                std::thread::spawn(move || {
                    tell.send(waiting_child()).expect("a reader");
                    loop {
                        std::thread::park();
                    }
                });
                let child = told.recv().expect("a child");
                let pid = child.id();
                self.children.push(child);
                return pid.to_string();
            }
            ["family"] => self.family = Some(Family::start()),
            ["fill"] => self.family.as_mut().expect("a family").fill(),
            ["grow"] => self.family.as_mut().expect("a family").grow(),
            ["guard"] => return self.guard(),
            ["denied", pid, start] => return denied(pid, start),
            _ => {}
        }
        String::new()
    }

    fn open_all(&mut self, folder: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        for n in 0..EACH {
            let client = TcpStream::connect(address).expect("a connection");
            self.fds.extend([client.into(), listener.accept().expect("a connection").0.into()]);
            let (read, write) = rustix::pipe::pipe().expect("a pipe");
            self.fds.extend([read, write]);
            self.fds.push(rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).expect("an eventfd"));
            self.fds.push(rustix::event::epoll::create(rustix::event::epoll::CreateFlags::empty()).expect("epoll"));
            self.fds.push(rustix::fs::memfd_create("grown", rustix::fs::MemfdFlags::empty()).expect("a memfd"));
            // SAFETY: the call takes no pointers, and a descriptor that it returns is nobody else's.
            self.fds.push(unsafe { OwnedFd::from_raw_fd(libc::timerfd_create(libc::CLOCK_MONOTONIC, 0)) });
            self.fds.push(std::fs::File::create(format!("{folder}/session-{n}.db")).expect("a file").into());
            let (a, b) = std::os::unix::net::UnixStream::pair().expect("a pair");
            self.fds.extend([a.into(), b.into()]);
        }
        self.fds.push(std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").into());
        self.fds.push(rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::empty()).expect("inotify"));
        self.fds.push(listener.into());
    }

    /// Becomes the guardian of a shell that has one child and leaves one orphan. Tells the shell's pid.
    fn guard(&mut self) -> String {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("a subreaper");
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 >/dev/null 2>&1 & (sleep 61 >/dev/null 2>&1 &) ; echo up; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        let pid = shell.id();
        self.children.push(shell);
        pid.to_string()
    }
}

/// A child that ends by itself when its parent does: it reads a pipe whose other end the parent holds.
fn waiting_child() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat")
}

/// A child that shares all pages with its parent, waits and ends when its parent does.
fn fork() -> i32 {
    // SAFETY: the child, which has this thread alone, makes two system calls that take no pointers and nothing else.
    unsafe {
        match libc::fork() {
            0 => {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                loop {
                    libc::pause();
                }
            }
            child => child,
        }
    }
}

/// Gives up root in this thread and looks at a process of root's: what can be read, and what is said of the rest.
fn denied(pid: &str, start: &str) -> String {
    let nobody = rustix::process::Uid::from_raw(65_534);
    rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("root gives up being root");
    let process = Process { pid: pid.parse().expect("a pid"), start: start.parse().expect("a start") };
    let mut watcher = Watcher::open(Roots { roots: vec![process], guardian: None }).expect("stat is for all");
    let mut sample = Sample::default();
    watcher.scan();
    (0..2).for_each(|_| watcher.sample(&mut sample));
    watcher.exact(&mut sample);
    let detail = watcher.detail(&OwnSockets::default());
    let missing = watcher.missing();
    serde_json::json!({ "sample": sample, "detail": detail, "missing": missing }).to_string()
}
