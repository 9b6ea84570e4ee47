//! Who belongs to the tree: descendants of the roots, and the orphans that a guardian took in.
//!
//! Descent is read from `/proc/PID/task/TID/children`, for each thread since each has children of its own;
//! on kernels without that file, from the parents of all processes. A pid found there counts only if the
//! process behind it names the same parent, so a pid that was reused in between never joins.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem::MaybeUninit;

use rustix::io::Errno;

use super::files::{Files, LINE, ProcRoot, each_number, exists, open_dir, open_file, read_line, read_whole};
use super::member::{Life, Member, Standing};
use super::watcher::open_root;
use crate::probe::text::clean;
use crate::procfs::stat::{number, parse_stat};
use crate::sample::{Event, Process, TreeCounts};

/// Most bytes read of one `children` file: about a hundred thousand children of one thread.
const CHILDREN: usize = 1024 * 1024;

/// From so many members on, one pass over all processes may be cheaper than a list of children for each.
const LARGE: usize = 64;

/// How children are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    /// `/proc/PID/task/TID/children`.
    PerThread,
    /// The parent of every process there is.
    ByParent,
}

impl Kinship {
    /// What this kernel has (CONFIG_PROC_CHILDREN).
    pub(crate) fn detect(proc: &ProcRoot, some: u32) -> Self {
        let present = exists(proc.dir(), format!("{some}/task/{some}/children"));
        if present { Self::PerThread } else { Self::ByParent }
    }
}

/// A zombie's name, for details. Its identity does not matter: it holds nothing but its pid.
pub(crate) type Zombie = String;

/// The tree as of its last scan.
#[derive(Debug)]
pub(crate) struct Tree {
    kinship: Kinship,
    guardian: Option<Process>,
    pub(crate) members: Vec<Member>,
    pub(crate) zombies: Vec<Zombie>,
    /// How many members' files may be held open.
    hold: usize,
    /// A process that could not be looked at in the last scan because too many files are open here.
    pub(crate) unopened: Option<(u32, Errno)>,
}

/// What one scan works with.
struct Walk<'a> {
    proc: &'a ProcRoot,
    space: &'a mut [MaybeUninit<u8>],
    text: Vec<u8>,
    /// Members by pid, as they were before the scan.
    known: HashMap<u32, usize>,
    visited: HashSet<u32>,
    queue: VecDeque<u32>,
    /// Children by parent, where all processes were looked at instead of `children` files.
    children: Option<HashMap<u32, Vec<u32>>>,
    events: Vec<Event>,
}

impl Tree {
    /// A tree of roots alone; descendants join at the first scan.
    pub(crate) fn new(kinship: Kinship, roots: Vec<Member>, guardian: Option<Process>, hold: usize) -> Self {
        Self { kinship, guardian, members: roots, zombies: Vec::new(), hold, unopened: None }
    }

    /// Looks who joined and who left.
    pub(crate) fn scan(&mut self, proc: &ProcRoot, space: &mut [MaybeUninit<u8>]) -> Vec<Event> {
        self.zombies.clear();
        self.unopened = None;
        let mut parents = HashMap::new();
        for member in self.members.iter_mut().filter(|member| !member.gone) {
            match member.life(proc) {
                Life::Under(parent) => drop(parents.insert(member.process.pid, parent)),
                Life::Over => member.gone = true,
                Life::Unknown => {}
            }
        }
        let mut walk = Walk::begin(self, proc, space, &parents);
        for member in &self.members {
            if member.standing == Standing::Root && !member.gone && walk.visited.insert(member.process.pid) {
                walk.queue.push_back(member.process.pid);
            }
        }
        self.descend(&mut walk);
        self.take_in_orphans(&mut walk);
        self.keep_the_lost(&mut walk);
        let mut events = walk.events;
        self.members.retain(|member| {
            if member.gone && member.standing != Standing::Root {
                events.push(Event::Vanished { process: member.process });
            }
            !member.gone
        });
        events
    }

    /// Makes a process a root: a member, or one that joins now. One that is gone already is none.
    pub(crate) fn follow(&mut self, proc: &ProcRoot, process: Process) {
        match self.members.iter_mut().find(|member| member.process == process) {
            Some(member) => member.standing = Standing::Root,
            None => self.members.extend(open_root(proc, process)),
        }
    }

    /// Follows children until none are left.
    fn descend(&mut self, walk: &mut Walk) {
        while let Some(parent) = walk.queue.pop_front() {
            for pid in walk.children_of(parent) {
                self.meet(walk, pid, parent, Standing::Child);
            }
        }
    }

    /// The guardian's children, the roots aside, have lost their parent.
    fn take_in_orphans(&mut self, walk: &mut Walk) {
        let Some(guardian) = self.guardian else { return };
        if Files::open_exactly(walk.proc, guardian).is_err() {
            return;
        }
        for pid in walk.children_of(guardian.pid) {
            self.meet(walk, pid, guardian.pid, Standing::Orphan);
        }
        self.descend(walk);
    }

    /// Known members that live and were not met: their parent ended and someone outside took them in, or the
    /// kernel's list of children changed while it was read. They stay members, and so do their descendants.
    fn keep_the_lost(&mut self, walk: &mut Walk) {
        for index in 0..self.members.len() {
            let member = &self.members[index];
            let pid = member.process.pid;
            if member.gone || walk.visited.contains(&pid) {
                continue;
            }
            let parent = member.with_files(walk.proc, |files| Ok(files.read_stat(&mut [0; LINE])?.parent));
            let Ok(parent) = parent else { continue };
            walk.visited.insert(pid);
            if !walk.visited.contains(&parent) && member.standing != Standing::Root {
                self.members[index].standing = Standing::Orphan;
            }
            walk.queue.push_back(pid);
            self.descend(walk);
        }
    }

    /// Takes in a process that was named as a child of `parent`.
    fn meet(&mut self, walk: &mut Walk, pid: u32, parent: u32, standing: Standing) {
        if walk.visited.contains(&pid) {
            return;
        }
        if let Some(&index) = walk.known.get(&pid)
            && !self.members[index].gone
        {
            let member = &mut self.members[index];
            if member.standing != Standing::Root {
                member.standing = standing;
            }
        } else if !self.join(walk, pid, parent, standing) {
            return;
        }
        walk.visited.insert(pid);
        walk.queue.push_back(pid);
    }

    /// Opens a process not known so far. `false` when it is no living child of this parent.
    fn join(&mut self, walk: &mut Walk, pid: u32, parent: u32, standing: Standing) -> bool {
        let mut line = [0; LINE];
        let files = match Files::open(walk.proc, pid) {
            Ok(files) => files,
            Err(error) => {
                // Gone, hidden, or too many files open here: only the last leaves the tree incomplete.
                if matches!(error, Errno::MFILE | Errno::NFILE) {
                    self.unopened = Some((pid, error));
                }
                return false;
            }
        };
        let Ok(stat) = files.read_stat(&mut line) else { return false };
        if stat.parent != parent {
            return false;
        }
        if stat.ended() {
            // A guardian waits for none but its own: orphans that ended there are no fault of the target.
            if standing == Standing::Child {
                self.zombies.push(clean(stat.command));
            }
            return false;
        }
        let process = Process { pid, start: stat.start };
        let held = self.members.len() < self.hold;
        let member = Member::new(process, standing, stat.command, None);
        walk.events.push(Event::Appeared { process, command: member.command.clone() });
        self.members.push(if held { member.holding(files) } else { member });
        true
    }

    /// Living descendants by standing, and zombies.
    pub(crate) fn counts(&self) -> TreeCounts {
        let of = |standing| self.members.iter().filter(|m| !m.gone && m.standing == standing).count() as u64;
        TreeCounts { children: of(Standing::Child), zombies: self.zombies.len() as u64, orphans: of(Standing::Orphan) }
    }
}

impl<'a> Walk<'a> {
    /// `parents` are those of the members that run.
    fn begin(tree: &Tree, proc: &'a ProcRoot, space: &'a mut [MaybeUninit<u8>], parents: &HashMap<u32, u32>) -> Self {
        let known = tree.members.iter().enumerate().map(|(index, member)| (member.process.pid, index)).collect();
        let children = match tree.kinship {
            Kinship::ByParent => all_children(proc, space, parents, usize::MAX),
            // Three system calls for each process that is none of the target's, against six for each that is.
            Kinship::PerThread if parents.len() >= LARGE => all_children(proc, space, parents, parents.len()),
            Kinship::PerThread => None,
        };
        Self {
            proc,
            space,
            text: Vec::new(),
            known,
            visited: HashSet::new(),
            queue: VecDeque::new(),
            children,
            events: Vec::new(),
        }
    }

    /// The children of all threads of a process. One that is gone has none.
    fn children_of(&mut self, pid: u32) -> Vec<u32> {
        if let Some(all) = &self.children {
            return all.get(&pid).cloned().unwrap_or_default();
        }
        let mut children = Vec::new();
        let _ = self.read_children(pid, &mut children);
        children
    }

    fn read_children(&mut self, pid: u32, children: &mut Vec<u32>) -> Result<(), Errno> {
        let tasks = open_dir(self.proc.dir(), format!("{pid}/task"))?;
        let mut threads = Vec::new();
        each_number(&tasks, self.space, |tid| threads.push(tid))?;
        for tid in threads {
            // A thread that ended meanwhile has handed its children to another of the same process: they are met at
            // the next scan if not at this one.
            if read_whole(&tasks, format!("{tid}/children"), &mut self.text, CHILDREN).is_ok() {
                let words = self.text.split(u8::is_ascii_whitespace);
                children.extend(words.filter_map(number).filter_map(|pid| u32::try_from(pid).ok()));
            }
        }
        Ok(())
    }
}

/// Children by parent from one pass over all processes, where at most `most` have to be opened for it: the parents of the
/// others are known.
fn all_children(
    proc: &ProcRoot,
    space: &mut [MaybeUninit<u8>],
    parents: &HashMap<u32, u32>,
    most: usize,
) -> Option<HashMap<u32, Vec<u32>>> {
    let mut pids = Vec::new();
    // An unreadable /proc leaves the roots alone in the tree.
    let _ = each_number(proc.dir(), space, |pid| pids.push(pid));
    if pids.len().saturating_sub(parents.len()) > most {
        return None;
    }
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut line = [0; LINE];
    for pid in pids {
        if let Some(parent) = parents.get(&pid) {
            children.entry(*parent).or_default().push(pid);
        } else if let Ok(file) = open_file(proc.dir(), format!("{pid}/stat"))
            && let Some(stat) = read_line(&file, &mut line).ok().and_then(parse_stat)
        {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    Some(children)
}
