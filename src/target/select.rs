//! Which processes a name means: a pure choice over a table of processes.
//!
//! ```text
//! exact name, else part of a command line  ->  without ourselves and our ancestors  ->  folded:
//! a match below another match goes with it, so that `postgres` means the server and not its backends
//! ```

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::text::{basename, plain_command};
use crate::units::show_duration;

/// The kernel keeps this many bytes of a command name.
const COMM_BYTES: usize = 15;

/// One process of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub pid: u32,
    pub ppid: u32,
    /// The command name, cut by the kernel.
    pub comm: String,
    /// The path of the program, where it can be read.
    pub exe: Option<String>,
    pub argv: Vec<String>,
    pub age: Duration,
}

/// A process that fits a name, for a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its pid.
    pub pid: u32,
    /// Its command line: untrusted text.
    pub command: Vec<String>,
    /// How long it has run.
    pub age: Duration,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8}  {:>8}  {}", self.pid, show_duration(self.age), plain_command(&self.command))
    }
}

/// The roots of what `name` means. `ourselves` and everything above it never match.
pub(crate) fn by_name<'a>(rows: &'a [Row], name: &str, ourselves: u32) -> Vec<&'a Row> {
    let parents: HashMap<u32, u32> = rows.iter().map(|row| (row.pid, row.ppid)).collect();
    let mut barred: HashSet<u32> = ancestors(&parents, ourselves).collect();
    barred.insert(ourselves);
    let open = || rows.iter().filter(|row| !barred.contains(&row.pid) && !is_kernel_thread(row));
    let exact: Vec<&Row> = open().filter(|row| is_named(row, name)).collect();
    let found = if exact.is_empty() { open().filter(|row| mentions(row, name)).collect() } else { exact };
    fold(&parents, found)
}

/// What is left when those below another one in the list go with it.
fn fold<'a>(parents: &HashMap<u32, u32>, found: Vec<&'a Row>) -> Vec<&'a Row> {
    let matched: HashSet<u32> = found.iter().map(|row| row.pid).collect();
    found.into_iter().filter(|row| !ancestors(parents, row.pid).any(|above| matched.contains(&above))).collect()
}

/// Everything above a process, nearest first. Ends even when the table was torn while it was read.
fn ancestors<'a>(parents: &'a HashMap<u32, u32>, of: u32) -> impl Iterator<Item = u32> + 'a {
    let mut seen = HashSet::from([of]);
    std::iter::successors(parents.get(&of).copied(), |above| parents.get(above).copied())
        .take_while(move |above| seen.insert(*above))
}

/// Kernel threads have no command line and belong to kthreadd (pid 2).
fn is_kernel_thread(row: &Row) -> bool {
    row.argv.is_empty() && row.exe.is_none() && (row.pid == 2 || row.ppid == 2)
}

fn is_named(row: &Row, name: &str) -> bool {
    let exe = row.exe.as_deref().map(|path| basename(path.trim_end_matches(" (deleted)")));
    // A login shell is called `-bash`.
    let title = row.argv.first().map(|title| basename(title.trim_start_matches('-')));
    if row.comm == name || exe == Some(name) || title == Some(name) {
        return true;
    }
    // A name that the kernel cut fits, unless the whole one is at hand and is another.
    let cut = name.len() > COMM_BYTES && row.comm.len() >= COMM_BYTES && name.starts_with(&row.comm);
    cut && ![exe, title].into_iter().flatten().any(|whole| whole.starts_with(&row.comm))
}

fn mentions(row: &Row, part: &str) -> bool {
    row.comm.contains(part)
        || row.argv.join(" ").contains(part)
        || row.exe.as_deref().is_some_and(|exe| exe.contains(part))
}

/// The members of a set whose parent is not in it.
#[cfg(any(test, target_os = "linux"))]
pub(crate) fn roots(members: &[(u32, u32)]) -> Vec<u32> {
    let pids: HashSet<u32> = members.iter().map(|&(pid, _)| pid).collect();
    members.iter().filter(|(pid, ppid)| pid == ppid || !pids.contains(ppid)).map(|&(pid, _)| pid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, ppid: u32, comm: &str, command: &str) -> Row {
        let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let exe = argv.first().filter(|first| first.starts_with('/')).cloned();
        Row { pid, ppid, comm: comm.into(), exe, argv, age: Duration::from_secs(60) }
    }

    fn machine() -> Vec<Row> {
        vec![
            row(1, 0, "systemd", "/sbin/init"),
            row(2, 0, "kthreadd", ""),
            row(3, 2, "kworker/0:1", ""),
            row(10, 1, "sshd", "/usr/sbin/sshd -D"),
            row(11, 10, "bash", "-bash"),
            row(12, 11, "sh", "sh -c tidewatch attach webshop"),
            row(13, 12, "tidewatch", "tidewatch attach webshop"),
            row(14, 12, "tee", "tee webshop.log"),
            row(20, 1, "postgres", "/usr/lib/postgresql/15/bin/postgres -D /data"),
            row(21, 20, "postgres", "postgres: checkpointer"),
            row(22, 20, "postgres", "postgres: app shop [local] idle"),
            row(30, 1, "nginx", "nginx: master process /usr/sbin/nginx"),
            row(31, 30, "nginx", "nginx: worker process"),
            row(40, 1, "python3", "/usr/bin/python3 -m http.server 8000"),
            row(41, 1, "python3", "/usr/bin/python3 /srv/webshop/main.py"),
            row(50, 1, "a-very-long-nam", "/opt/a-very-long-name-one --x"),
            row(51, 1, "a-very-long-nam", "/opt/a-very-long-name-two --x"),
            row(52, 1, "another-long-na", "renamed"),
            row(60, 20, "sh", "sh -c archive"),
            row(61, 60, "postgres", "postgres: helper"),
        ]
    }

    fn pids(name: &str) -> Vec<u32> {
        by_name(&machine(), name, 13).iter().map(|row| row.pid).collect()
    }

    #[test]
    fn names_mean_what_people_mean() {
        let table: [(&str, &[u32]); 14] = [
            ("postgres", &[20]),
            ("nginx", &[30]),
            ("http.server", &[40]),
            ("python3", &[40, 41]),
            ("main.py", &[41]),
            ("webshop", &[14, 41]),
            ("a-very-long-name-one", &[50]),
            ("a-very-long-name-two", &[51]),
            ("a-very-long-nam", &[50, 51]),
            ("another-long-name", &[52]),
            ("kworker/0:1", &[]),
            ("init", &[]),
            ("tee", &[14]),
            ("no such thing", &[]),
        ];
        for (name, expected) in table {
            assert_eq!(pids(name), expected, "{name}");
        }
    }

    #[test]
    fn we_and_those_above_us_never_match() {
        for name in ["tidewatch", "bash", "sshd", "attach webshop", "init", "systemd"] {
            assert_eq!(pids(name), [] as [u32; 0], "{name}");
        }
        // Another shell than the one above us is fair game.
        assert_eq!(pids("sh"), [60]);
        // Without us in the table nothing is barred.
        assert_eq!(by_name(&machine(), "sshd", 999).len(), 1);
    }

    #[test]
    fn folding_looks_past_processes_of_another_name() {
        assert_eq!(pids("postgres"), [20], "61 is below 60 (sh), which is below 20");
        let without_the_server: Vec<Row> = machine().into_iter().filter(|row| row.pid != 20).collect();
        let left: Vec<u32> = by_name(&without_the_server, "postgres", 13).iter().map(|row| row.pid).collect();
        assert_eq!(left, [21, 22, 61]);
    }

    #[test]
    fn rings_in_a_torn_table_end() {
        let rows = [row(5, 6, "x", "x"), row(6, 5, "y", "y")];
        assert_eq!(by_name(&rows, "x", 6).len(), 0);
        assert_eq!(by_name(&rows, "x", 9).len(), 1);
    }

    #[test]
    fn roots_are_those_whose_parent_is_outside() {
        assert_eq!(roots(&[(5, 1), (6, 5), (7, 6), (9, 2)]), [5, 9]);
        assert_eq!(roots(&[]), [] as [u32; 0]);
    }
}
