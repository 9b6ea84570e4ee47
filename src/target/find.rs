//! Finding the processes that the user means: by pid, by name, by container, by systemd unit.

use std::time::Duration;

use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::select::{Found, Row, by_name};
use super::{TargetError, identify};
use crate::sample::Process;

/// What the user says of the processes that he means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The process of this pid.
    Pid(u32),
    /// The one of this name, or the one whose command line holds this text.
    Name(String),
    /// Those in the container whose id begins with this.
    Container(String),
    /// Those in this systemd unit.
    Unit(String),
}

impl Selector {
    /// What `attach PID|NAME` means by its word: digits are a pid.
    pub fn from_word(word: &str) -> Self {
        word.parse().map_or_else(|_| Self::Name(word.to_owned()), Self::Pid)
    }
}

/// What to do when a name fits several processes that do not belong to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// List them and refuse.
    Refuse,
    /// Watch all of them.
    All,
}

/// The roots of the trees that the selector means. Containers and units may have several without being asked.
pub fn find(selector: &Selector, many: Many) -> Result<Vec<Process>, TargetError> {
    match selector {
        Selector::Pid(pid) => identify(*pid).map(|process| vec![process]),
        Selector::Name(name) => find_name(name, many),
        Selector::Container(id) => members_of_container(id),
        Selector::Unit(unit) => members_of_unit(unit),
    }
}

fn find_name(name: &str, many: Many) -> Result<Vec<Process>, TargetError> {
    if name.trim().is_empty() {
        return Err(TargetError::EmptyName);
    }
    let rows = table()?;
    let found = by_name(&rows, name, std::process::id());
    if found.len() > 1 && many == Many::Refuse {
        let found = found.into_iter().map(|row| Found { pid: row.pid, command: named(row), age: row.age }).collect();
        return Err(TargetError::Several { name: name.to_owned(), found });
    }
    // One that ended since the table was read is no longer meant.
    let processes: Vec<Process> = found.iter().filter_map(|row| identify(row.pid).ok()).collect();
    if processes.is_empty() { Err(TargetError::NoSuchName { name: name.to_owned() }) } else { Ok(processes) }
}

fn named(row: &Row) -> Vec<String> {
    if row.argv.is_empty() { vec![row.comm.clone()] } else { row.argv.clone() }
}

/// Every process of the machine that has not ended, lowest pid first.
fn table() -> Result<Vec<Row>, TargetError> {
    let mut system = System::new().map_err(|_| TargetError::Unsupported { what: "listing processes" })?;
    let kind = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always).with_exe(UpdateKind::Always).without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let mut rows: Vec<Row> = system
        .processes()
        .values()
        .filter(|process| process.thread_kind().is_none())
        .filter(|process| !matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead))
        .map(|process| Row {
            pid: process.pid().as_u32(),
            ppid: process.parent().map_or(0, |parent| parent.as_u32()),
            comm: process.name().to_string_lossy().into_owned(),
            exe: process.exe().map(|path| path.to_string_lossy().into_owned()),
            argv: process.cmd().iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            age: Duration::from_secs(process.run_time()),
        })
        .collect();
    rows.sort_unstable_by_key(|row| row.pid);
    Ok(rows)
}

#[cfg(target_os = "linux")]
fn members_of_container(id: &str) -> Result<Vec<Process>, TargetError> {
    use super::cgroup::{containers, members_where};
    let missing = || TargetError::NoSuchContainer { id: id.to_owned() };
    if id.trim().is_empty() {
        return Err(TargetError::EmptyName);
    }
    let members = members_where(std::path::Path::new("/proc"), |text| {
        containers(text).into_iter().find(|name| name == id || (name.starts_with(id) && id.len() >= 4))
    })?;
    let mut ids: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    match ids.len() {
        0 => Err(missing()),
        1 => Ok(outermost(members.into_iter().map(|(_, stat)| stat))),
        _ => Err(TargetError::SeveralContainers { id: id.to_owned(), found: ids }),
    }
}

#[cfg(target_os = "linux")]
fn members_of_unit(unit: &str) -> Result<Vec<Process>, TargetError> {
    use super::cgroup::{is_in_unit, members_where};
    if unit.trim().is_empty() {
        return Err(TargetError::EmptyName);
    }
    let members = members_where(std::path::Path::new("/proc"), |text| is_in_unit(text, unit).then_some(()))?;
    let roots = outermost(members.into_iter().map(|((), stat)| stat));
    if roots.is_empty() { Err(TargetError::NoSuchUnit { unit: unit.to_owned() }) } else { Ok(roots) }
}

#[cfg(target_os = "linux")]
fn outermost(members: impl Iterator<Item = super::stat::Stat>) -> Vec<Process> {
    let members: Vec<super::stat::Stat> = members.collect();
    let family: Vec<(u32, u32)> = members.iter().map(|stat| (stat.pid, stat.ppid)).collect();
    let roots = super::select::roots(&family);
    members
        .iter()
        .filter(|stat| roots.contains(&stat.pid))
        .map(|stat| Process { pid: stat.pid, start: stat.start })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn members_of_container(_: &str) -> Result<Vec<Process>, TargetError> {
    Err(TargetError::Unsupported { what: "finding a container" })
}

#[cfg(not(target_os = "linux"))]
fn members_of_unit(_: &str) -> Result<Vec<Process>, TargetError> {
    Err(TargetError::Unsupported { what: "finding a systemd unit" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_pid_and_everything_else_a_name() {
        assert_eq!(Selector::from_word("42"), Selector::Pid(42));
        assert_eq!(Selector::from_word("redis"), Selector::Name("redis".into()));
        assert_eq!(Selector::from_word("99999999999"), Selector::Name("99999999999".into()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_running_process_is_found_by_a_text_that_only_it_holds() {
        let word = format!("1000.{:09}", std::process::id());
        let mut children: Vec<std::process::Child> = Vec::new();
        let by_text = || find(&Selector::Name(word.clone()), Many::Refuse);
        assert!(matches!(by_text(), Err(TargetError::NoSuchName { .. })));
        // The start of a process returns before the system shows its new words.
        let shows =
            |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|all| all.contains(&word));
        let start = || {
            let child = std::process::Command::new("sleep").arg(&word).spawn().expect("sleep");
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            while !shows(child.id()) {
                assert!(std::time::Instant::now() < deadline, "waited for the words of {}", child.id());
                std::thread::yield_now();
            }
            child
        };
        children.push(start());
        assert_eq!(by_text().expect("found"), [identify(children[0].id()).expect("identity")]);
        children.push(start());
        let error = by_text().expect_err("two");
        assert_eq!(error.blame(), super::super::Blame::CommandLine);
        for child in &children {
            assert!(error.to_string().contains(&child.id().to_string()), "{error}");
        }
        assert!(error.to_string().contains("--all"), "{error}");
        let all = find(&Selector::Name(word.clone()), Many::All).expect("all");
        assert_eq!(all.len(), 2);
        for mut child in children {
            child.kill().expect("kill");
            // Not collected yet: a zombie is not found.
            child.wait().expect("wait");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn containers_and_units_that_are_not_there_are_said() {
        let error = find(&Selector::Container("feedfacefeedface".into()), Many::Refuse).expect_err("none");
        assert!(matches!(error, TargetError::NoSuchContainer { .. }), "{error}");
        let error = find(&Selector::Unit("tidewatch-no-such".into()), Many::Refuse).expect_err("none");
        assert!(matches!(error, TargetError::NoSuchUnit { .. }), "{error}");
        let error = find(&Selector::Name(" ".into()), Many::All).expect_err("empty");
        assert!(matches!(error, TargetError::EmptyName), "{error}");
    }
}
