//! The guardian's descendants: listed, signalled, collected.

use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

use super::super::pidfd;
use super::super::stat::{Stat, descendants, every_process};
use crate::sample::Process;

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

/// Collects a child of ours that has ended: whether it had.
pub(super) fn collect(pid: u32) -> bool {
    let Some(pid) = raw(pid) else { return false };
    !matches!(rustix::process::waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
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

/// How a collected child ended, and what it used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collected {
    pub status: i32,
    pub cpu_us: u64,
    pub peak_rss: u64,
}

/// Collects the target with what it used, once it has ended.
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
