//! What a watch that was killed left in a target, found by its name: files in memory, and mappings of a visit.
//!
//! Everything that is made in a target is named after who made it. It is a stray once that process is gone.

use std::fs;

use super::order::{VISIT_LEFT, Visit};
use super::target::{Target, folder_of, start_of};

/// Who makes something in a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pid: u32,
    start: u64,
    /// The namespace that the pid belongs to.
    namespace: u64,
}

/// What the kernel puts before the name of a file in memory.
const PREFIX: &str = "/memfd:tidewatch_";

impl Owner {
    /// This process.
    pub(super) fn own() -> Self {
        let pid = std::process::id();
        Self { pid, start: start_of(pid).unwrap_or(0), namespace: namespace().unwrap_or(0) }
    }

    /// The name of a file, at most 59 bytes.
    pub(super) fn name(&self, kind: &str) -> String {
        format!("tidewatch_{kind}-{}-{}-{}", self.pid, self.start, self.namespace)
    }

    /// Who made a file that the kernel shows under this name; nothing if it is none of ours.
    fn of(link: &str) -> Option<Self> {
        let name = link.strip_prefix(PREFIX)?.trim_end_matches(" (deleted)");
        let mut parts = name.split('-').skip(1);
        let owner = Self {
            pid: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
            namespace: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(owner)
    }

    /// Whether it has ended. Of a process in another namespace nothing is known, so it lives.
    fn is_gone(&self) -> bool {
        Some(self.namespace) == namespace() && start_of(self.pid) != Some(self.start)
    }
}

fn namespace() -> Option<u64> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// What is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Strays {
    /// Numbers of open files.
    pub(super) files: Vec<u64>,
    /// Begin and length of mappings.
    pub(super) mappings: Vec<(u64, u64)>,
}

impl Strays {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.mappings.is_empty()
    }

    /// What is in a target now.
    pub(super) fn of(target: &Target) -> Self {
        let entries = fs::read_dir(format!("{}/fd", folder_of(target.pid()))).into_iter().flatten().flatten();
        let file = |entry: fs::DirEntry| {
            let link = fs::read_link(entry.path()).ok()?;
            Owner::of(link.to_str()?).filter(Owner::is_gone)?;
            entry.file_name().to_str()?.parse().ok()
        };
        Self { files: entries.filter_map(file).collect(), mappings: mappings(target) }
    }
}

/// Mappings of visits, but for those whose thread takes them away by itself on its way back.
pub(super) fn mappings(target: &Target) -> Vec<(u64, u64)> {
    let maps = target.maps().unwrap_or_default();
    let is_visit = |index: usize| {
        let mapping = maps.get(index)?;
        let is_ours = mapping.rights == *b"rw-s" && Owner::of(&mapping.path).is_some_and(|owner| owner.is_gone());
        let is_visit = is_ours && mapping.offset != 0 && mapping.path.starts_with("/memfd:tidewatch_heap");
        let state = mapping.begin + std::mem::offset_of!(Visit, state) as u64;
        if !is_visit || target.word(state).ok()? == VISIT_LEFT {
            return None;
        }
        // The code behind it belongs to it.
        let code = maps.get(index + 1).filter(|next| {
            next.begin == mapping.end && next.path == mapping.path && next.is_code() && next.rights[3] == b'p'
        });
        Some((mapping.begin, code.map_or(mapping.end, |code| code.end) - mapping.begin))
    };
    (0..maps.len()).filter_map(is_visit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_who_made_a_file() {
        let own = Owner::own();
        let link = format!("/memfd:{} (deleted)", own.name("table"));
        assert_eq!(Owner::of(&link), Some(own));
        assert!(!own.is_gone(), "this process lives");
        assert!(Owner { start: own.start + 1, ..own }.is_gone(), "the pid belongs to another process now");
        assert!(!Owner { start: own.start + 1, namespace: own.namespace + 1, ..own }.is_gone());
        let longest = Owner { pid: u32::MAX, start: u64::MAX, namespace: u64::from(u32::MAX) };
        assert!((longest.name("table").len() as u64) < super::super::frame::SCRATCH_BYTES);
        for other in
            ["/memfd:jit (deleted)", "/memfd:tidewatch_table (deleted)", "/tmp/tidewatch_table-1-2-3", "socket:[5]"]
        {
            assert_eq!(Owner::of(other), None, "{other}");
        }
    }
}
