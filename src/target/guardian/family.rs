//! The guardian's descendants: listed, signalled, collected.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

use super::super::pidfd;
use super::super::stat::{Stat, descendants, every_process};
use crate::sample::Process;

/// How long we try to end processes that we may not signal.
const DENIED_FOR: Duration = Duration::from_secs(2);
/// The longest pause between two looks while processes are being ended.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Every living descendant of ours. Whoever forks while we read is found by the next call.
pub(super) fn living() -> Vec<Stat> {
    let all = every_process(Path::new("/proc")).unwrap_or_default();
    descendants(&all, std::process::id()).into_iter().filter(|stat| !stat.is_over()).cloned().collect()
}

/// Our direct children, zombies included.
pub(super) fn children() -> Vec<u32> {
    let me = std::process::id();
    // One small file where the kernel offers it; it may miss a child while others end, which the next
    // look makes good.
    if let Ok(text) = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")) {
        return text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    }
    let all = every_process(Path::new("/proc")).unwrap_or_default();
    all.iter().filter(|stat| stat.ppid == me).map(|stat| stat.pid).collect()
}

/// Signals one descendant, if it is still the one that was listed.
pub(super) fn signal(process: Process, signal: Signal) -> Result<(), Errno> {
    pidfd::signal(process, signal)
}

/// Signals a process group of ours: only while its leader is our uncollected child, whose pid is taken.
pub(super) fn signal_group(leader: Process, signal: Signal) {
    if let Some(pid) = raw(leader.pid) {
        // Nothing is left to do when the group is empty.
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

/// Collects every child that has ended: whether children are left. Only once the target was collected.
pub(super) fn collect_all() -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Collects children that have ended, up to this one: its wait status, once it has ended.
pub(super) fn collect_until(pid: u32) -> Option<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer is to a live local of the type that waitpid writes.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            collected if collected > 0 && collected as u32 == pid => return Some(status),
            collected if collected > 0 => {}
            _ => return None,
        }
    }
}

/// SIGTERM to every descendant, once each, until none lives or the time is over.
pub(super) fn ask_all_to_end(until: Instant) {
    let mut asked = HashSet::new();
    while Instant::now() < until {
        let living = living();
        if living.is_empty() {
            return;
        }
        for stat in &living {
            let process = Process { pid: stat.pid, start: stat.start };
            if asked.insert(process) {
                ask_to_end(process);
            }
        }
        std::thread::sleep(Duration::from_millis(2));
        collect_all();
    }
}

/// SIGTERM, and SIGCONT after it: a stopped process does not end before it goes on.
pub(super) fn ask_to_end(process: Process) {
    // Who may not be signalled is reported at the end.
    let _ = signal(process, Signal::TERM);
    let _ = signal(process, Signal::CONT);
}

/// SIGKILL to every descendant, again and again, until no child is left. Those that we may not signal are given up on.
pub(super) fn kill_all() {
    let mut pause = Duration::from_millis(1);
    let mut denied_since: Option<Instant> = None;
    loop {
        let living = living();
        let kill = |stat: &&Stat| signal(Process { pid: stat.pid, start: stat.start }, Signal::KILL).is_err();
        let denied = living.iter().filter(kill).count();
        if !collect_all() {
            return;
        }
        if denied > 0 && denied == living.len() {
            if denied_since.get_or_insert_with(Instant::now).elapsed() > DENIED_FOR {
                return;
            }
        } else {
            denied_since = None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How a collected child ended, and what it used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collected {
    pub status: i32,
    pub cpu_us: u64,
    pub peak_rss: u64,
}

/// Collects a child with what it used, once it has ended.
pub(super) fn collect_with_usage(pid: u32) -> Option<Collected> {
    let pid = i32::try_from(pid).ok()?;
    let mut status = 0;
    // SAFETY: rusage is a plain struct of numbers, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals of the types that wait4 writes.
    let got = unsafe { libc::wait4(pid, &mut status, libc::WNOHANG, &mut usage) };
    if got == pid {
        let us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
        let cpu_us = us(usage.ru_utime) + us(usage.ru_stime);
        return Some(Collected { status, cpu_us, peak_rss: usage.ru_maxrss as u64 * 1024 });
    }
    None
}
