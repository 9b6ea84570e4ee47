//! The detail of a tree in the making: who holds what, read one process after another, in one go or in several steps.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::descriptors::Survey;
use super::files::{Files, ProcRoot};
use super::member::{Member, Standing, Unread};
use super::{cgroup, memory, smaps, tasks};
use crate::probe::OwnSockets;
use crate::probe::missing::MissingLog;
use crate::sample::{Cgroup, Descriptors, Detail, Mappings, Metric, Process, ProcessMemory};

/// What a reading of members works with.
pub(crate) struct Access<'a> {
    pub(crate) proc: &'a ProcRoot,
    pub(crate) members: &'a [Member],
    pub(crate) missing: &'a mut MissingLog,
    pub(crate) space: &'a mut [MaybeUninit<u8>],
    pub(crate) text: &'a mut Vec<u8>,
}

impl Access<'_> {
    /// Reads something of a member. A failure is noted; `Err(true)` when a number of a living process is missing.
    fn read<T>(
        &mut self,
        index: usize,
        (file, metric): (&str, Metric),
        read: impl FnOnce(&Files, &mut [MaybeUninit<u8>], &mut Vec<u8>) -> Result<T, Errno>,
    ) -> Result<T, bool> {
        let member = &self.members[index];
        member
            .with_files(self.proc, |files| read(files, self.space, self.text))
            .map_err(|error| note(self.proc, self.missing, member, metric, file, error))
    }
}

/// One detail in the making. Processes that join the tree meanwhile are left to the next.
#[derive(Debug)]
pub(crate) struct Round {
    began: Instant,
    cost: Duration,
    steps: u32,
    /// Processes whose descriptors are still to be listed: the number of all decides how many links are read.
    unlisted: VecDeque<Process>,
    /// Processes that are still to be read, with the numbers of their descriptors.
    unread: VecDeque<(Process, Vec<u32>)>,
    is_tree: bool,
    survey: Survey,
    lists_all: bool,
    has_listed: bool,
    mappings: Option<Mappings>,
    maps_all: bool,
    threads: tasks::ThreadNames,
    per_process: Vec<ProcessMemory>,
    weighs_all: bool,
}

impl Round {
    /// Nothing is read yet of these members.
    pub(crate) fn new(members: &[Member], own: &OwnSockets) -> Self {
        Self {
            began: Instant::now(),
            cost: Duration::ZERO,
            steps: 0,
            unlisted: members.iter().filter(|member| !member.gone).map(|member| member.process).collect(),
            unread: VecDeque::new(),
            is_tree: members.len() > 1,
            survey: Survey::new(own),
            lists_all: true,
            has_listed: false,
            mappings: None,
            maps_all: true,
            threads: tasks::ThreadNames::default(),
            per_process: Vec::new(),
            weighs_all: true,
        }
    }

    /// Reads on until `limit` is over, at least one process. `true` when all were read.
    pub(crate) fn step(&mut self, access: &mut Access<'_>, own: &OwnSockets, limit: Duration) -> bool {
        let begun = Instant::now();
        self.steps += 1;
        self.survey.resume(own);
        let living = access.members.iter().enumerate().filter(|(_, member)| !member.gone);
        let indexes: HashMap<Process, usize> = living.map(|(index, member)| (member.process, index)).collect();
        while self.next(access, &indexes) && begun.elapsed() < limit {}
        self.cost += begun.elapsed();
        self.unlisted.is_empty() && self.unread.is_empty()
    }

    /// Lists or reads one process. `false` when none is left.
    fn next(&mut self, access: &mut Access<'_>, indexes: &HashMap<Process, usize>) -> bool {
        if let Some(process) = self.unlisted.pop_front() {
            if let Some(&index) = indexes.get(&process) {
                self.list(access, index, process);
            }
        } else if let Some((process, numbers)) = self.unread.pop_front() {
            if let Some(&index) = indexes.get(&process) {
                self.read(access, index, &numbers);
            }
        } else {
            return false;
        }
        true
    }

    fn list(&mut self, access: &mut Access<'_>, index: usize, process: Process) {
        let survey = &mut self.survey;
        let numbers = match access.read(index, ("fd", Metric::Fds), |files, space, _| survey.list(files, space)) {
            Ok(numbers) => {
                self.has_listed = true;
                numbers
            }
            Err(is_missing) => {
                self.lists_all &= !is_missing;
                Vec::new()
            }
        };
        self.unread.push_back((process, numbers));
    }

    fn read(&mut self, access: &mut Access<'_>, index: usize, numbers: &[u32]) {
        match access.read(index, ("smaps", Metric::Heap), |files, _, text| smaps::read(files, text)) {
            Ok(one) => self.mappings = Some(smaps::add(self.mappings.unwrap_or_default(), one)),
            Err(is_missing) => self.maps_all &= !is_missing,
        }
        let process = access.members[index].process;
        let survey = &mut self.survey;
        if self.lists_all
            && let Err(is_missing) =
                access.read(index, ("fd", Metric::Fds), |files, _, _| survey.look(process.pid, numbers, files))
        {
            self.lists_all &= !is_missing;
        }
        let threads = &mut self.threads;
        // Names that cannot be read are noted; those of the others stand.
        let _ = access.read(index, ("task", Metric::Threads), |files, space, _| threads.read(files, space));
        if self.is_tree {
            self.weigh(access, index);
        }
    }

    fn weigh(&mut self, access: &mut Access<'_>, index: usize) {
        let read =
            access.read(index, ("smaps_rollup", Metric::Private), |files, _, text| memory::read_rollup(files, text));
        match read {
            Ok(memory) => {
                let member = &access.members[index];
                let command = tasks::command_now(access.proc, member);
                self.per_process.push(ProcessMemory { process: member.process, command, private: memory.private });
            }
            Err(is_missing) => self.weighs_all &= !is_missing,
        }
    }

    /// The detail, but for zombies, which are no members.
    pub(crate) fn finish(mut self, access: &mut Access<'_>, listened: &mut BTreeSet<u16>) -> Detail {
        let begun = Instant::now();
        let descriptors = self.lists_all && self.has_listed;
        if let Some(remark) = self.survey.remark().filter(|_| descriptors) {
            access.missing.note(Metric::Fds, &remark);
        }
        self.per_process.sort_by(|a, b| b.private.cmp(&a.private).then(a.process.cmp(&b.process)));
        let is_spread = self.steps > 1;
        let mut detail = Detail {
            span_us: is_spread.then(|| self.began.elapsed().as_micros() as u64),
            mappings: self.mappings.filter(|_| self.maps_all),
            descriptors: descriptors.then(|| -> Descriptors { self.survey.finish(listened) }),
            threads: self.threads.finish(),
            children: tasks::commands(access.proc, access.members, Standing::Child),
            orphans: tasks::commands(access.proc, access.members, Standing::Orphan),
            cgroup: cgroup(access),
            per_process: if self.weighs_all { self.per_process } else { Vec::new() },
            ..Detail::default()
        };
        detail.cost_us = (self.cost + begun.elapsed()).as_micros() as u64;
        detail
    }
}

fn cgroup(access: &mut Access<'_>) -> Option<Cgroup> {
    let member = access.members.iter().find(|member| !member.gone)?;
    match member.with_files(access.proc, |files| Ok(cgroup::read(access.proc, files))) {
        Ok(Ok(cgroup)) => Some(cgroup),
        Ok(Err(reason)) => {
            access.missing.note(Metric::Cgroup("current".into()), &reason);
            None
        }
        Err(_) => None,
    }
}

/// Notes why a file of a member could not be read. `false` when that is because the member has ended.
pub(crate) fn note(
    proc: &ProcRoot,
    log: &mut MissingLog,
    member: &Member,
    metric: Metric,
    file: &str,
    error: Errno,
) -> bool {
    match member.explain(proc, file, error) {
        Unread::Vanished => false,
        Unread::Missing(reason) => {
            log.note(metric, &reason);
            true
        }
    }
}
