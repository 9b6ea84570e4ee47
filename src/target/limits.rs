//! The limits that a process will meet when it keeps growing.

use std::collections::BTreeMap;

use crate::sample::Process;

/// Limits in force for a process, by name: `nofile` (descriptors), `pids` (tasks), `max_map_count` (mappings)
/// and `memory` in bytes (the tightest of its cgroups, else the machine's). What is unlimited or cannot be
/// read is not there.
pub fn limits(process: Process) -> BTreeMap<String, u64> {
    system::limits(process)
}

/// The soft limit of one row of `/proc/PID/limits`.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has the file"))]
pub(crate) fn soft_limit(text: &str, row: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(row)?.split_whitespace().next()?.parse().ok())
}

#[cfg(target_os = "linux")]
mod system {
    use super::super::cgroup::{Version, parse_limit, places_of, tightest};
    use super::{BTreeMap, Process, soft_limit};

    pub(super) fn limits(process: Process) -> BTreeMap<String, u64> {
        let pid = process.pid;
        let own = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let mut found = BTreeMap::new();
        let mut note = |name: &str, limit: Option<u64>| {
            if let Some(limit) = limit {
                found.insert(name.to_owned(), limit);
            }
        };
        note("nofile", soft_limit(&own, "Max open files"));
        note("pids", pids(pid, &own));
        note("max_map_count", kernel_number("vm/max_map_count"));
        let cgroup = tightest(&places_of(pid, "memory"), |version| match version {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        });
        note("memory", [cgroup, machine_memory()].into_iter().flatten().min());
        if crate::target::is_same(process) { found } else { BTreeMap::new() }
    }

    fn pids(pid: u32, own: &str) -> Option<u64> {
        let cgroup = tightest(&places_of(pid, "pids"), |_| "pids.max");
        // Root is not held by the limit of processes per user.
        let per_user = soft_limit(own, "Max processes").filter(|_| !belongs_to_root(pid));
        [cgroup, per_user, kernel_number("kernel/pid_max"), kernel_number("kernel/threads-max")]
            .into_iter()
            .flatten()
            .min()
    }

    fn belongs_to_root(pid: u32) -> bool {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|folder| folder.uid() == 0)
    }

    fn kernel_number(name: &str) -> Option<u64> {
        parse_limit(&std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?)
    }

    fn machine_memory() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let kib: u64 =
            text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())?;
        Some(kib * 1024)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{BTreeMap, Process};

    pub(super) fn limits(_: Process) -> BTreeMap<String, u64> {
        let kind = sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
        sysinfo::System::new_with_specifics(kind)
            .map(|system| BTreeMap::from([("memory".to_owned(), system.total_memory())]))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
        Max cpu time              unlimited            unlimited            seconds   \n\
        Max processes             95863                95863                processes \n\
        Max open files            1024                 1048576              files     \n";

    #[test]
    fn soft_limits_are_read_by_row() {
        for (row, expected) in [
            ("Max open files", Some(1024)),
            ("Max processes", Some(95_863)),
            ("Max cpu time", None),
            ("Max no such thing", None),
        ] {
            assert_eq!(soft_limit(TEXT, row), expected, "{row}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_limits_are_there() {
        let me = crate::target::identify(std::process::id()).expect("self");
        let found = limits(me);
        for name in ["nofile", "pids", "max_map_count", "memory"] {
            assert!(found.get(name).is_some_and(|&limit| limit > 0), "{name}: {found:?}");
        }
        assert!(limits(Process { start: me.start + 1, ..me }).is_empty());
    }
}
