//! The watcher of a process tree: the files it holds open and the numbers it reads through them.
//!
//! A tick reads `statm` and `stat` of each member and the size of its descriptor folder, all through files
//! held open: three system calls a process and no allocation. Everything dearer has a method of its own, so
//! that whoever keeps the clock decides when to pay for it.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::detail::{Access, Round, note};
use super::files::{FdCount, Files, LINE, ProcRoot};
use super::member::{Member, Reading, Standing, Unread};
use super::runtime::Runtimes;
use super::tree::{Kinship, Tree};
use super::{memory, tasks};
use crate::probe::missing::MissingLog;
use crate::probe::{OwnSockets, ProbeError, Roots};
use crate::sample::{Detail, Event, Memory, Metric, Process, Sample};

/// Room for one reading of a folder.
const LISTING: usize = 32 * 1024;

/// Watches a process tree through files held open.
#[derive(Debug)]
pub struct Watcher {
    proc: ProcRoot,
    tree: Tree,
    /// The living members, for [`Watcher::members`].
    members: Vec<Process>,
    fd_count: FdCount,
    page: u64,
    tick_us: f64,
    space: Box<[MaybeUninit<u8>]>,
    text: Vec<u8>,
    missing: MissingLog,
    /// Ports that some socket of the target's namespace has listened on since the start.
    listened: BTreeSet<u16>,
    runtimes: Runtimes,
    /// Who came and went when the tree was looked over within a reading.
    untold: Vec<Event>,
    exact: Exact,
    /// Fast samples taken so far.
    round: usize,
    /// Whether processes that seem idle may keep their last figures in a fast sample.
    spares: bool,
    /// A detail that is read in steps and not complete yet.
    unfinished: Option<Round>,
}

/// Of a tree of more processes than this, those that seem idle may be spared.
const MANY: usize = 16;
/// At every so many ticks each of them is.
const IN_TURN: usize = 8;

/// How long to wait, in milliseconds, before the exact memory of a tree is read again: because a process came or went meanwhile, ...
const NO_PAUSES_MS: [u64; 2] = [0, 0];
/// ... because one has no memory any more and has not ended: it is giving its pages back, ...
const ENDING_PAUSES_MS: [u64; 6] = [1, 2, 4, 8, 16, 32];
/// ... or because the sum is much lower than the last: it fell, or a process that is being forked shares all pages of its parent.
const FALLEN_PAUSES_MS: [u64; 2] = [1, 4];
/// Lower by more than one part in so many.
const FALLEN_PART: u64 = 10;

/// What is remembered of the last exact reading.
#[derive(Debug, Default)]
struct Exact {
    private: u64,
    /// Some process never could be read, however long it was waited for.
    is_hopeless: bool,
}

impl Exact {
    fn fell(&self, memory: Option<Memory>) -> bool {
        memory.is_some_and(|memory| memory.private < self.private - self.private / FALLEN_PART)
    }
}

impl Watcher {
    /// Opens the roots. Descendants join at the first [`Watcher::scan`].
    pub fn open(roots: Roots) -> Result<Self, ProbeError> {
        Self::open_in(Path::new("/proc"), roots)
    }

    /// Like [`Watcher::open`], with another folder in place of `/proc`.
    pub fn open_in(root: &Path, roots: Roots) -> Result<Self, ProbeError> {
        let first = roots.roots.first().ok_or(ProbeError::NoRoots)?.pid;
        let failed = |path: &Path, source: Errno| ProbeError::File {
            action: "open",
            path: path.to_owned(),
            source: source.into(),
        };
        let proc = ProcRoot::open(root).map_err(|error| failed(root, error))?;
        let mut members = Vec::new();
        for &process in &roots.roots {
            members.push(open_root(&proc, process).map_err(|error| match error {
                Errno::NOENT | Errno::SRCH => ProbeError::Gone(process),
                other => failed(&proc.path(process.pid, "stat"), other),
            })?);
        }
        let mut space = vec![MaybeUninit::uninit(); LISTING].into_boxed_slice();
        let fd_count = FdCount::detect(&proc, &mut space);
        let tree = Tree::new(Kinship::detect(&proc, first), members, roots.guardian, most_held());
        Ok(Self {
            proc,
            tree,
            members: roots.roots,
            fd_count,
            page: rustix::param::page_size() as u64,
            tick_us: 1e6 / rustix::param::clock_ticks_per_second().max(1) as f64,
            space,
            text: Vec::with_capacity(16 * 1024),
            missing: MissingLog::default(),
            listened: BTreeSet::new(),
            runtimes: Runtimes::default(),
            untold: Vec::new(),
            exact: Exact::default(),
            round: 0,
            spares: false,
            unfinished: None,
        })
    }

    /// Looks who joined the tree and who left it. Roots neither appear nor vanish here: their begin and end are
    /// told by whoever named them.
    pub fn scan(&mut self) -> Vec<Event> {
        self.look_over();
        std::mem::take(&mut self.untold)
    }

    fn look_over(&mut self) {
        self.untold.extend(self.tree.scan(&self.proc, &mut self.space));
        if let Some((pid, error)) = self.tree.unopened {
            let path = self.proc.path(pid, "stat");
            let why = format!(
                "the tree is incomplete: cannot open {}: {} (raise the limit with ulimit -n)",
                path.display(),
                std::io::Error::from(error)
            );
            self.missing.note(Metric::Children, &why);
        }
        self.members.clear();
        self.members.extend(self.tree.members.iter().map(|member| member.process));
    }

    /// Takes these processes as roots from now on: a launched program went into the background.
    pub fn follow(&mut self, roots: &[Process]) {
        for &process in roots {
            self.tree.follow(&self.proc, process);
        }
    }

    /// The managed runtimes of members that were not told of yet. Few processes are looked at in one go, each a few
    /// times.
    pub fn runtimes(&mut self) -> Vec<Event> {
        self.runtimes.look(&self.proc, &self.tree.members)
    }

    /// The living processes of the tree as of the last scan.
    pub fn members(&self) -> &[Process] {
        &self.members
    }

    /// Whether a root still runs, asked of the kernel now.
    pub fn alive(&self) -> bool {
        self.tree.members.iter().any(|m| m.standing == Standing::Root && !m.gone && m.runs(&self.proc))
    }

    /// Why numbers are missing: each pair of metric and reason once.
    pub fn missing(&mut self) -> Vec<Event> {
        self.missing.take()
    }

    /// Whether fast samples of a large tree may leave out processes that seem idle, which then keep their last figures for up to eight
    /// samples. CPU time counts in steps of 10 ms, so such figures may be late: never for what a verdict rests on.
    pub fn spare_idle(&mut self, spares: bool) {
        self.spares = spares;
    }

    /// The fast set: processes, resident memory, descriptors, threads and processor time.
    ///
    /// A sum is never silently partial: when one living member cannot be read, that sum is missing. A member
    /// that ended since the last scan is left out.
    pub fn sample(&mut self, into: &mut Sample) {
        let (mut processes, mut stopped, mut threads, mut ticks) = (0, 0, 0, 0u64);
        let (mut resident, mut anonymous, mut fds) = (Some(0), Some(0), Some(0));
        let mut all_read = true;
        let is_spared = self.spares && self.tree.members.len() > MANY;
        self.round = self.round.wrapping_add(1);
        for (index, member) in self.tree.members.iter_mut().enumerate().filter(|(_, member)| !member.gone) {
            // Memory can change without the process: by the kernel, or by another that shares it. So each has its turn.
            let is_due = self.round.wrapping_add(index) % IN_TURN == 0;
            let reading = if is_spared && !is_due { Reading::Idle } else { Reading::All };
            match member.tick(&self.proc, self.fd_count, &mut self.space, reading) {
                Ok(tick) => {
                    processes += 1;
                    stopped += u32::from(tick.stopped);
                    threads += tick.threads;
                    ticks = ticks.saturating_add(tick.cpu_ticks);
                    match tick.memory {
                        Ok((pages, shared)) => {
                            resident = resident.map(|sum: u64| sum.saturating_add(pages));
                            anonymous = anonymous.map(|sum: u64| sum.saturating_add(pages.saturating_sub(shared)));
                        }
                        Err(error) => {
                            (resident, anonymous) = (None, None);
                            note(&self.proc, &mut self.missing, member, Metric::Rss, "statm", error);
                        }
                    }
                    match tick.fds {
                        Ok(count) => fds = fds.map(|sum: u64| sum.saturating_add(count)),
                        Err(error) => {
                            fds = None;
                            // Denied once is denied at every tick: the reason is worked out for the first alone.
                            if !std::mem::replace(&mut member.fds_told, true) {
                                note(&self.proc, &mut self.missing, member, Metric::Fds, "fd", error);
                            }
                        }
                    }
                }
                Err(error) => match member.explain(&self.proc, "stat", error) {
                    Unread::Vanished => member.gone = true,
                    Unread::Missing(reason) => {
                        all_read = false;
                        self.missing.note(Metric::Threads, &reason);
                    }
                },
            }
        }
        let complete = all_read && processes > 0;
        into.processes = processes;
        into.stopped = complete && stopped == processes;
        into.rss = resident.filter(|_| complete).map(|pages| pages.saturating_mul(self.page));
        into.anonymous = anonymous.filter(|_| complete).map(|pages| pages.saturating_mul(self.page));
        into.fds = fds.filter(|_| complete);
        into.threads = complete.then_some(threads);
        into.cpu_us = complete.then_some((ticks as f64 * self.tick_us) as u64);
    }

    /// Children, zombies and orphans as of the last scan.
    pub fn tree(&mut self, into: &mut Sample) {
        into.tree = Some(self.tree.counts());
    }

    /// Exact memory of the whole tree by `smaps_rollup`. Dear: it walks every page table of the target.
    ///
    /// Pages that processes share are split among them, so the sum belongs to one moment only if none came or went
    /// while it was read: then it is read again. What a process had of them as it went is in no share any more, nor
    /// what one has that just came: such a sum is too low, and the highest of a few is nearest. A process that is ending, or
    /// being forked and in no list yet, is waited for: it takes its share for as long as that lasts.
    pub fn exact(&mut self, into: &mut Sample) {
        into.memory = None;
        self.look_over();
        let mut tries = 0;
        let mut is_whole;
        loop {
            let before = self.members.clone();
            let Some(all) = self.each("smaps_rollup", Metric::Private, memory::read_rollup) else { return };
            is_whole = all.len() == before.len();
            let sum = all.into_iter().map(|(_, memory)| memory).reduce(memory::add);
            into.memory = into.memory.into_iter().chain(sum).max_by_key(|memory| memory.pss);
            self.look_over();
            let pause = match (is_whole, self.members == before) {
                (false, _) if !self.exact.is_hopeless => ENDING_PAUSES_MS.get(tries),
                (true, true) if self.exact.fell(into.memory) => FALLEN_PAUSES_MS.get(tries),
                (true, true) => None,
                _ => NO_PAUSES_MS.get(tries),
            };
            let Some(&pause) = pause else { break };
            std::thread::sleep(Duration::from_millis(pause));
            tries += 1;
        }
        self.exact = Exact { private: into.memory.map_or(0, |memory| memory.private), is_hopeless: !is_whole };
    }

    /// The highest resident set since the last reset, summed over the tree.
    pub fn high_water(&mut self, into: &mut Sample) {
        let read = self.each("status", Metric::Peak, memory::read_high_water);
        let sum = read.and_then(|all| {
            let each = all.into_iter().map(|(_, bytes)| bytes);
            each.reduce(|(mark, shmem), (a, b)| (mark.saturating_add(a), shmem.saturating_add(b)))
        });
        (into.high_water, into.shmem) = sum.unzip();
    }

    /// Sets the peak of every member back to its present size. This writes to the target's `clear_refs`: call it
    /// on launched targets alone.
    pub fn reset_peak(&mut self) -> Result<(), ProbeError> {
        for member in self.tree.members.iter().filter(|member| !member.gone) {
            let reset = member.with_files(&self.proc, memory::write_reset);
            if let Err(error) = reset
                && let Unread::Missing(_) = member.explain(&self.proc, "clear_refs", error)
            {
                let path = self.proc.path(member.process.pid, "clear_refs");
                return Err(ProbeError::File { action: "write", path, source: error.into() });
            }
        }
        Ok(())
    }

    /// What one exact reading costs, measured three times. It decides between `smaps_rollup` and `statm`.
    ///
    /// Of a large tree the processes with the most resident memory are read, and as many others for all the rest.
    pub fn exact_cost(&mut self) -> Duration {
        self.look_over();
        let mut costs =
            [(); 3].map(|()| if self.tree.members.len() <= MANY { self.time_exact() } else { self.time_part() });
        costs.sort();
        costs[1]
    }

    fn time_exact(&mut self) -> Duration {
        let begun = Instant::now();
        self.exact(&mut Sample::default());
        begun.elapsed()
    }

    fn time_part(&mut self) -> Duration {
        let begun = Instant::now();
        self.look_over();
        let overhead = begun.elapsed() * 2;
        self.sample(&mut Sample::default());
        let mut order: Vec<usize> = (0..self.tree.members.len()).collect();
        order.sort_by_key(|&index| Reverse(self.tree.members[index].resident_pages()));
        let (largest, rest) = order.split_at(order.len().min(MANY / 2));
        let some: Vec<usize> = rest.iter().copied().step_by(rest.len().div_ceil(MANY / 2).max(1)).collect();
        let large = self.time_rollups(largest);
        let small = self.time_rollups(&some).mul_f64(rest.len() as f64 / some.len().max(1) as f64);
        overhead + large + small
    }

    fn time_rollups(&mut self, members: &[usize]) -> Duration {
        let begun = Instant::now();
        for &index in members {
            // One that cannot be read costs what trying costs.
            let _ = self.tree.members[index].with_files(&self.proc, |files| memory::read_rollup(files, &mut self.text));
        }
        begun.elapsed()
    }

    /// The expensive set, gauges aside: who holds what. `own` are our ends of connections to the target; what
    /// they hold open there is left out. Time and operations of the detail are the caller's to fill in.
    pub fn detail(&mut self, own: &OwnSockets) -> Detail {
        self.unfinished = None;
        loop {
            if let Some(detail) = self.detail_step(own, Duration::MAX) {
                return detail;
            }
        }
    }

    /// The expensive set of a large tree in several steps: reads one process after another until `limit` is over, at least one,
    /// and continues there at the next call. `None` until all were read.
    pub fn detail_step(&mut self, own: &OwnSockets, limit: Duration) -> Option<Detail> {
        let mut round = self.unfinished.take().unwrap_or_else(|| Round::new(&self.tree.members, own));
        let mut access = Access {
            proc: &self.proc,
            members: &self.tree.members,
            missing: &mut self.missing,
            space: &mut self.space,
            text: &mut self.text,
        };
        if !round.step(&mut access, own, limit) {
            self.unfinished = Some(round);
            return None;
        }
        let mut detail = round.finish(&mut access, &mut self.listened);
        detail.zombies = tasks::count(self.tree.zombies.iter().cloned());
        Some(detail)
    }

    /// Reads one file of every member. `None` when a living one cannot be read; the reason is noted.
    fn each<T>(
        &mut self,
        file: &str,
        metric: Metric,
        mut read: impl FnMut(&Files, &mut Vec<u8>) -> Result<T, Errno>,
    ) -> Option<Vec<(usize, T)>> {
        let mut all = Vec::with_capacity(self.tree.members.len());
        let mut complete = true;
        for (index, member) in self.tree.members.iter().enumerate().filter(|(_, member)| !member.gone) {
            match member.with_files(&self.proc, |files| read(files, &mut self.text)) {
                Ok(value) => all.push((index, value)),
                Err(error) => {
                    complete &= !note(&self.proc, &mut self.missing, member, metric.clone(), file, error);
                }
            }
        }
        (complete && !all.is_empty()).then_some(all)
    }
}

/// Opens a root and makes sure that it is the process that was meant and that it runs.
pub(super) fn open_root(proc: &ProcRoot, process: Process) -> Result<Member, Errno> {
    let files = Files::open(proc, process.pid)?;
    let mut line = [0; LINE];
    let stat = files.read_stat(&mut line)?;
    if stat.start != process.start || stat.ended() {
        return Err(Errno::SRCH);
    }
    Ok(Member::new(process, Standing::Root, stat.command, Some(files)))
}

/// Members whose files may be held open: four each, and a quarter of what we may open at all, since the load
/// generator needs descriptors too. Members beyond that are opened at each use.
fn most_held() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(4096).min(1 << 20);
    (limit as usize / 16).max(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_is_lower_by_more_than_a_tenth_is_taken_again() {
        for (last, now, fell) in
            [(1000, 899, true), (1000, 900, false), (1000, 2000, false), (0, 0, false), (5, 4, true)]
        {
            let exact = Exact { private: last, is_hopeless: false };
            let memory = Memory { private: now, ..Memory::default() };
            assert_eq!(exact.fell(Some(memory)), fell, "{now} after {last}");
        }
        assert!(!Exact { private: 1000, is_hopeless: false }.fell(None));
    }
}
