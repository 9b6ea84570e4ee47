//! `/proc/PID/stat`, the parts that identity and family need.

use std::collections::HashMap;
use std::path::Path;

use crate::procfs::stat::is_over;

/// One process as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub pid: u32,
    pub comm: String,
    pub state: char,
    pub ppid: u32,
    pub group: u32,
    pub session: u32,
    pub threads: u32,
    pub start: u64,
    /// The wait status of a zombie, where the kernel shows it to us.
    pub exit_code: Option<i32>,
}

impl Stat {
    /// Reads the text of a stat file. The command name may hold spaces, parentheses and line ends, so the
    /// fields are counted from the last parenthesis.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|&b| b == b'(')?;
        let close = text.iter().rposition(|&b| b == b')')?;
        let pid = std::str::from_utf8(&text[..open]).ok()?.trim().parse().ok()?;
        let comm = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(&text[close + 1..]).ok()?;
        // The first of these is field 3 of the manual page.
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            pid,
            comm,
            state: field(3)?.chars().next()?,
            ppid: field(4)?.parse().ok()?,
            group: field(5)?.parse().unwrap_or(0),
            session: field(6)?.parse().unwrap_or(0),
            threads: field(20)?.parse().unwrap_or(1),
            start: field(22)?.parse().ok()?,
            exit_code: field(52).and_then(|code| code.parse().ok()),
        })
    }

    /// Reads the stat file of a pid below a proc root.
    pub(crate) fn read(root: &Path, pid: u32) -> std::io::Result<Self> {
        let text = std::fs::read(root.join(pid.to_string()).join("stat"))?;
        Self::parse(&text).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))
    }

    /// Whether it has ended and waits to be collected, or is being taken down. One whose first thread alone
    /// has ended shows as a zombie too, and lives.
    pub(crate) fn is_over(&self) -> bool {
        u8::try_from(self.state).is_ok_and(|state| is_over(state, self.threads.into()))
    }
}

/// Every process below a proc root. Those that end while we read are left out.
pub(crate) fn every_process(root: &Path) -> std::io::Result<Vec<Stat>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        all.extend(pid.and_then(|pid| Stat::read(root, pid).ok()));
    }
    Ok(all)
}

/// The descendants of a process in a list, zombies included, nearest first.
pub(crate) fn descendants(all: &[Stat], ancestor: u32) -> Vec<&Stat> {
    let mut children: HashMap<u32, Vec<&Stat>> = HashMap::new();
    for stat in all.iter().filter(|stat| stat.pid != stat.ppid) {
        children.entry(stat.ppid).or_default().push(stat);
    }
    let mut found = children.remove(&ancestor).unwrap_or_default();
    let mut next = 0;
    // Each list is taken out of the map once, so a torn reading that holds a ring cannot loop.
    while let Some(stat) = found.get(next) {
        let more = children.remove(&stat.pid).unwrap_or_default();
        found.extend(more);
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pid: u32, comm: &str, ppid: u32) -> String {
        let middle = "0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0";
        let tail = "10000 100 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 1 1 1 1 9\n";
        format!("{pid} ({comm}) S {ppid} 7 8 {middle} 4242 {tail}")
    }

    #[test]
    fn names_with_spaces_and_parentheses_are_read() {
        for comm in ["sh", "a b", ":) 1 (2", "))((", "x) R 1 1 1", "line\nend", ""] {
            let stat = Stat::parse(line(12, comm, 3).as_bytes()).expect(comm);
            assert_eq!((stat.pid, stat.comm.as_str(), stat.state, stat.ppid), (12, comm, 'S', 3));
            assert_eq!((stat.group, stat.session, stat.start, stat.exit_code), (7, 8, 4242, Some(9)));
        }
    }

    #[test]
    fn a_zombie_with_other_threads_lives() {
        for (state, threads, over) in [("Z", "1", true), ("Z", "0", true), ("Z", "2", false), ("S", "1", false)] {
            let text = line(12, "sh", 3).replace(") S ", &format!(") {state} "));
            let text = text.replace(" 20 0 1 0 4242", &format!(" 20 0 {threads} 0 4242"));
            assert_eq!(Stat::parse(text.as_bytes()).expect("stat").is_over(), over, "{text}");
        }
    }

    #[test]
    fn texts_cut_short_are_refused() {
        let whole = line(12, "sh", 3);
        for end in 0..whole.find("4242").expect("start time") {
            assert_eq!(Stat::parse(&whole.as_bytes()[..end]), None, "{end}");
        }
        assert_eq!(Stat::parse(b")1 (sh"), None);
    }

    #[test]
    fn descendants_reach_every_depth_and_survive_rings() {
        let table: Vec<Stat> = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1), (30, 31), (31, 30)]
            .iter()
            .map(|&(pid, ppid)| Stat::parse(line(pid, "p", ppid).as_bytes()).expect("stat"))
            .collect();
        let pids = |of| descendants(&table, of).iter().map(|stat| stat.pid).collect::<Vec<_>>();
        assert_eq!(pids(10), [11, 12]);
        assert_eq!(pids(1), [10, 20, 11, 12]);
        assert_eq!(pids(12), [] as [u32; 0]);
        assert!(pids(30).len() <= 2);
    }
}
