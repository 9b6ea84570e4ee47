//! The OOM killer: what speaks for it, and what against, when a process was ended by SIGKILL.
//!
//! Two witnesses: the count of OOM kills in the process's cgroup before and after, and the kernel log.

use crate::sample::Process;

use super::text::plain;

/// What is known of the OOM killer's part in an end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OomReport {
    /// OOM kills in the process's cgroup while we watched, where they can be counted.
    pub cgroup_kills: Option<u64>,
    /// The line of the kernel log that names the process.
    pub kernel_line: Option<String>,
    /// Why the kernel log could not be read.
    pub log_unreadable: Option<String>,
}

impl OomReport {
    /// What is to be said of it. Silence is evidence too, when the end was by SIGKILL.
    pub(crate) fn sentences(&self, was_sigkill: bool) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(kills) = self.cgroup_kills.filter(|&kills| kills > 0) {
            let s = if kills == 1 { "" } else { "s" };
            told.push(format!("Its cgroup counted {kills} OOM kill{s} while it was watched."));
        }
        if let Some(line) = &self.kernel_line {
            told.push(format!("The kernel log says: {}", plain(line, 400)));
        }
        if was_sigkill && told.is_empty() {
            told.push(self.silence());
        }
        told
    }

    fn silence(&self) -> String {
        match (self.cgroup_kills, &self.log_unreadable) {
            (Some(_), None) => "Neither its cgroup nor the kernel log shows an OOM kill: somebody or something sent \
                                SIGKILL (kill -9, a supervisor, a container runtime)."
                .to_owned(),
            (Some(_), Some(reason)) => format!(
                "Its cgroup counted no OOM kill, so somebody or something sent SIGKILL (kill -9, a supervisor, a \
                 container runtime); the kernel log cannot be read: {reason}."
            ),
            (None, None) => "The kernel log shows no OOM kill of it: somebody or something sent SIGKILL (kill -9, a \
                             supervisor, a container runtime)."
                .to_owned(),
            (None, Some(reason)) => format!(
                "Whether it was the OOM killer or a kill -9 cannot be told: its cgroup has no count of OOM kills, and \
                 the kernel log cannot be read: {reason}."
            ),
        }
    }
}

/// The count of OOM kills in the text of `memory.events` (version 2) or `memory.oom_control` (version 1).
pub fn parse_oom_kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// What the kernel log says about the end of a process: an OOM kill, else a fault. `records` as `/dev/kmsg`
/// gives them (`6,1234,5678,-;message`).
pub fn kernel_line_about<'a>(records: impl IntoIterator<Item = &'a str>, pid: u32) -> Option<String> {
    let killed = format!("Killed process {pid} (");
    let (fault, reaped) = (format!("[{pid}]"), format!("oom_reaper: reaped process {pid} "));
    let mut second = None;
    for record in records {
        let message = record.split_once(';').map_or(record, |(_, message)| message);
        let message = message.lines().next().unwrap_or_default();
        if message.contains(&killed) {
            return Some(message.to_owned());
        }
        let is_fault = message.contains(&fault)
            && ["segfault", "trap ", "general protection", "bad frame"].iter().any(|word| message.contains(word));
        if is_fault || message.starts_with(&reaped) {
            second = Some(message.to_owned());
        }
    }
    second
}

/// A watch for OOM kills over the life of a process.
#[derive(Debug)]
pub struct OomWatch {
    #[cfg(target_os = "linux")]
    pid: u32,
    #[cfg(target_os = "linux")]
    counters: Vec<(std::path::PathBuf, u64)>,
    #[cfg(target_os = "linux")]
    log: Result<super::kernel_log::KernelLog, String>,
}

#[cfg(target_os = "linux")]
impl OomWatch {
    /// Begins to watch: to be called while the process lives.
    pub fn before(process: Process) -> Self {
        use super::cgroup::{Version, places_of};
        let counters = places_of(process.pid, "memory")
            .into_iter()
            .flat_map(|place| {
                let file = match place.version {
                    Version::V1 => "memory.oom_control",
                    Version::V2 => "memory.events",
                };
                place.folders.into_iter().map(move |folder| folder.join(file))
            })
            .filter_map(|path| count(&path).map(|kills| (path, kills)))
            .collect();
        Self { pid: process.pid, counters, log: super::kernel_log::KernelLog::from_now() }
    }

    /// What has happened since.
    pub fn after(&mut self) -> OomReport {
        // The innermost counter that is still there: a group is often removed with its last process.
        let cgroup_kills = self.counters.iter().find_map(|(path, before)| Some(count(path)?.saturating_sub(*before)));
        let (kernel_line, log_unreadable) = match &mut self.log {
            Ok(log) => {
                let records = log.read();
                (kernel_line_about(records.iter().map(String::as_str), self.pid), None)
            }
            Err(reason) => (None, Some(reason.clone())),
        };
        OomReport { cgroup_kills, kernel_line, log_unreadable }
    }
}

#[cfg(target_os = "linux")]
fn count(path: &std::path::Path) -> Option<u64> {
    parse_oom_kills(&std::fs::read_to_string(path).ok()?)
}

#[cfg(not(target_os = "linux"))]
impl OomWatch {
    /// There is nothing to watch on this system.
    pub fn before(_: Process) -> Self {
        Self {}
    }

    /// Nothing is known on this system.
    pub fn after(&mut self) -> OomReport {
        OomReport { log_unreadable: Some("not supported on this system".to_owned()), ..OomReport::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_both_versions() {
        for (text, expected) in [
            ("low 0\nhigh 12\nmax 33\noom 2\noom_kill 2\noom_group_kill 0\n", Some(2)),
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", Some(7)),
            ("oom_kill_disable 0\nunder_oom 0\n", None),
            ("", None),
            ("oom_kill many\n", None),
        ] {
            assert_eq!(parse_oom_kills(text), expected, "{text}");
        }
    }

    #[test]
    fn the_kernel_log_is_searched_for_the_very_process() {
        let oom = "3,900,1234567,-;Memory cgroup out of memory: Killed process 4242 (web) total-vm:9kB, anon-rss:8kB\n SUBSYSTEM=x";
        let global = "3,901,1234568,-;Out of memory: Killed process 77 (db) total-vm:9kB";
        let fault = "6,902,1234569,-;web[500]: segfault at 0 ip 0 sp 0 error 4 in web[400000+1000]";
        let reaped = "6,903,1234570,-;oom_reaper: reaped process 4242 (web), now anon-rss:0kB";
        let records = [fault, reaped, oom, global];
        let about = |pid| kernel_line_about(records, pid);
        let expected = "Memory cgroup out of memory: Killed process 4242 (web) total-vm:9kB, anon-rss:8kB";
        assert_eq!(about(4242).as_deref(), Some(expected));
        assert!(about(77).expect("line").starts_with("Out of memory"));
        assert!(about(500).expect("line").contains("segfault"));
        assert_eq!(about(42), None);
        assert_eq!(about(424), None);
    }

    #[test]
    fn silence_after_a_sigkill_is_told_for_what_it_is() {
        let denied = || Some("permission denied".to_owned());
        for (kills, unreadable, phrase) in [
            (Some(0), None, "Neither its cgroup nor the kernel log"),
            (Some(0), denied(), "cannot be read: permission denied"),
            (None, None, "kernel log shows no OOM kill"),
            (None, denied(), "cannot be told"),
        ] {
            let report = OomReport { cgroup_kills: kills, kernel_line: None, log_unreadable: unreadable };
            let told = report.sentences(true).join(" ");
            assert!(told.contains(phrase), "{told}");
            assert_eq!(report.sentences(false), [] as [&str; 0]);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_quiet_life_has_no_oom_kill() {
        let me = crate::target::identify(std::process::id()).expect("self");
        let report = OomWatch::before(me).after();
        assert_eq!(report.kernel_line, None);
    }
}
