//! What the standard tools of any system tell of a process tree, through sysinfo: resident memory and tasks.
//!
//! On macOS and Windows this is what watches. It is tested on Linux alone, beside the live tests there.
//! Missing here, each with its reason told: private and shared memory, descriptors, peak, zombies and orphans,
//! details. A process is known by its pid and the second in which it started.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::missing::MissingLog;
use super::text::clean;
use super::{OwnSockets, ProbeError, Roots};
use crate::sample::{Detail, Event, Metric, Named, Process, Sample, TreeCounts};

/// Why most numbers are missing.
const ONLY_ON_LINUX: &str = "this system does not tell it to tidewatch (it is read on Linux alone)";

/// Watches a process tree through sysinfo. `Process::start` is in seconds since the epoch here.
#[derive(Debug)]
pub struct Watcher {
    system: System,
    roots: Vec<Process>,
    members: Vec<Process>,
    missing: MissingLog,
}

impl Watcher {
    /// Opens the roots. Descendants join at the first [`Watcher::scan`].
    pub fn open(roots: Roots) -> Result<Self, ProbeError> {
        if roots.roots.is_empty() {
            return Err(ProbeError::NoRoots);
        }
        let system = System::new().map_err(|error| ProbeError::Portable(error.to_string()))?;
        let members = roots.roots.clone();
        let mut watcher = Self { system, roots: roots.roots, members, missing: MissingLog::default() };
        watcher.refresh();
        match watcher.roots.iter().find(|&&root| !watcher.runs(root)) {
            Some(&gone) => Err(ProbeError::Gone(gone)),
            None => Ok(watcher),
        }
    }

    /// The identity of the process that has this pid now, as this backend knows it.
    pub fn identify(pid: u32) -> Option<Process> {
        let mut system = System::new().ok()?;
        let pids = [Pid::from_u32(pid)];
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind());
        system.process(pids[0]).map(|process| Process { pid, start: process.start_time() })
    }

    /// Takes these processes as roots from now on.
    pub fn follow(&mut self, roots: &[Process]) {
        self.roots = roots.to_vec();
    }

    fn refresh(&mut self) {
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind());
    }

    fn runs(&self, process: Process) -> bool {
        self.found(process).is_some()
    }

    fn found(&self, process: Process) -> Option<&sysinfo::Process> {
        self.system
            .process(Pid::from_u32(process.pid))
            .filter(|found| found.start_time() == process.start && found.status() != sysinfo::ProcessStatus::Zombie)
    }

    /// Looks who joined the tree and who left it.
    pub fn scan(&mut self) -> Vec<Event> {
        self.refresh();
        let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
        for (pid, process) in self.system.processes() {
            // On Linux threads are listed too.
            if let (Some(parent), None) = (process.parent(), process.thread_kind()) {
                let child = Process { pid: pid.as_u32(), start: process.start_time() };
                children.entry(parent.as_u32()).or_default().push(child);
            }
        }
        let mut queue: Vec<Process> = self.roots.iter().copied().filter(|&root| self.runs(root)).collect();
        let mut met: HashSet<u32> = queue.iter().map(|process| process.pid).collect();
        let mut members = Vec::new();
        while let Some(process) = queue.pop() {
            members.push(process);
            for &child in children.get(&process.pid).into_iter().flatten() {
                if self.runs(child) && met.insert(child.pid) {
                    queue.push(child);
                }
            }
        }
        let before: HashSet<Process> = std::mem::replace(&mut self.members, members).into_iter().collect();
        let now: HashSet<Process> = self.members.iter().copied().collect();
        let is_root = |process: &Process| self.roots.contains(process);
        let joined = self.members.iter().filter(|member| !before.contains(member) && !is_root(member));
        let left = before.iter().filter(|member| !now.contains(member) && !is_root(member));
        joined
            .map(|&process| Event::Appeared { process, command: self.command(process) })
            .chain(left.map(|&process| Event::Vanished { process }))
            .collect()
    }

    fn command(&self, process: Process) -> String {
        self.found(process).map(|found| clean(found.name().as_encoded_bytes())).unwrap_or_default()
    }

    /// Processes, resident memory, threads where the system lists them, processor time.
    pub fn sample(&mut self, into: &mut Sample) {
        let pids: Vec<Pid> = self.members.iter().map(|member| Pid::from_u32(member.pid)).collect();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind());
        let found: Vec<&sysinfo::Process> = self.members.iter().filter_map(|&member| self.found(member)).collect();
        let some = !found.is_empty();
        into.processes = found.len() as u32;
        into.rss = some.then(|| found.iter().map(|process| process.memory()).sum());
        into.cpu_us = some.then(|| found.iter().map(|process| process.accumulated_cpu_time() * 1000).sum());
        let threads = found.iter().map(|process| process.tasks().map(|tasks| tasks.len() as u64));
        into.threads = threads.sum::<Option<u64>>().filter(|_| some);
        into.anonymous = None;
        into.fds = None;
        if into.threads.is_none() {
            self.missing.note(Metric::Threads, ONLY_ON_LINUX);
        }
        self.missing.note(Metric::Fds, ONLY_ON_LINUX);
    }

    /// Does nothing here: every sample reads everything.
    pub fn spare_idle(&mut self, _spares: bool) {}

    /// Children as of the last scan. Zombies and orphans are not told apart here.
    pub fn tree(&mut self, into: &mut Sample) {
        let children = self.members.iter().filter(|member| !self.roots.contains(member)).count() as u64;
        into.tree = Some(TreeCounts { children, ..TreeCounts::default() });
        self.missing.note(Metric::Zombies, ONLY_ON_LINUX);
        self.missing.note(Metric::Orphans, ONLY_ON_LINUX);
    }

    /// Missing here.
    pub fn exact(&mut self, into: &mut Sample) {
        into.memory = None;
        self.missing.note(Metric::Private, ONLY_ON_LINUX);
        self.missing.note(Metric::Shared, ONLY_ON_LINUX);
    }

    /// Missing here.
    pub fn high_water(&mut self, into: &mut Sample) {
        into.high_water = None;
        self.missing.note(Metric::Peak, ONLY_ON_LINUX);
    }

    /// Does nothing here: there is no peak.
    pub fn reset_peak(&mut self) -> Result<(), ProbeError> {
        Ok(())
    }

    /// What one exact reading costs: there is none.
    pub fn exact_cost(&mut self) -> Duration {
        Duration::ZERO
    }

    /// Children by command.
    pub fn detail(&mut self, _own: &OwnSockets) -> Detail {
        let begun = Instant::now();
        self.missing.note(Metric::Heap, ONLY_ON_LINUX);
        let mut counts: HashMap<String, u64> = HashMap::new();
        for &member in self.members.iter().filter(|member| !self.roots.contains(member)) {
            *counts.entry(self.command(member)).or_default() += 1;
        }
        let mut children: Vec<Named> = counts.into_iter().map(|(name, count)| Named { name, count }).collect();
        children.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        let mut detail = Detail { children, ..Detail::default() };
        detail.cost_us = begun.elapsed().as_micros() as u64;
        detail
    }

    /// As [`Watcher::detail`]: here it is read in one go.
    pub fn detail_step(&mut self, own: &OwnSockets, _limit: Duration) -> Option<Detail> {
        Some(self.detail(own))
    }

    /// Why numbers are missing: each pair of metric and reason once.
    pub fn missing(&mut self) -> Vec<Event> {
        self.missing.take()
    }

    /// Managed runtimes are not told from outside here.
    pub fn runtimes(&mut self) -> Vec<Event> {
        Vec::new()
    }

    /// The living processes of the tree as of the last scan.
    pub fn members(&self) -> &[Process] {
        &self.members
    }

    /// Whether a root still runs, as of the last reading.
    pub fn alive(&self) -> bool {
        self.roots.iter().any(|&root| self.runs(root))
    }
}

fn kind() -> ProcessRefreshKind {
    ProcessRefreshKind::nothing().with_memory().with_cpu().with_tasks()
}
