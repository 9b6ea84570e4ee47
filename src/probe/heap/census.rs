//! Live heap bytes of all processes of a target, counted together.
//!
//! Each process that is sampled has a table of its own. The census finds the tables of the processes that live, numbers their
//! call stacks and the files they run through once for a whole recording, and adds up. A process that has ended is not counted,
//! though its table is still there: what it held is gone. A process that executed another program has begun a new table, or
//! has none any more. Whoever is not sampled is told once, with the reason.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use super::maps::{self, start_of};
use super::modules::{Code, Mapped, Modules, OpenModule};
use super::stacks::{Chosen, Stacks};
use super::{HeapError, HeapSnapshot, HeapState, HeapTable, Injected, Seccomp, Way, inject, refusal};
use crate::sample::{
    AllocatorFigures, CallStacks, CodeAddress, Event, Frame, HeapCoverage, HeapEntry, HeapLook, Process, Symbol,
    Symbols,
};

/// Most processes of which it is told why they are not sampled.
const MOST_TOLD: usize = 50;

/// The census of a recording: its numbers hold over all of its targets.
#[derive(Debug, Default)]
pub struct HeapCensus {
    /// Where launched targets keep their tables.
    folder: Option<PathBuf>,
    tables: BTreeMap<Process, Counted>,
    /// Living processes without a table, as of the last look.
    without: BTreeSet<Process>,
    /// Processes of which it was told that they are sampled, or that they are not.
    begun: BTreeSet<Process>,
    refused: BTreeSet<Process>,
    modules: Modules,
    stacks: Stacks,
    named: HashSet<CodeAddress>,
}

/// A process whose table is read.
#[derive(Debug)]
struct Counted {
    table: Table,
    /// Where the process has its table mapped, where that can be asked again.
    mapped: Option<(PathBuf, Range<u64>)>,
    code: Code,
    /// Numbers of its stacks in the recording by those in its table.
    numbers: HashMap<u32, Option<u32>>,
}

/// A table, and what keeps it going.
#[derive(Debug)]
enum Table {
    /// The process began it by itself.
    Own(HeapTable),
    /// The sampler was put there, and goes when this goes.
    Injected(Box<Injected>),
}

impl Table {
    fn get(&self) -> &HeapTable {
        match self {
            Self::Own(table) => table,
            Self::Injected(injected) => &injected.table,
        }
    }
}

/// What a look has found. Times and operations are the caller's to fill in.
#[derive(Debug, Default)]
pub struct Looked {
    /// Stacks and modules that were not known before.
    pub stacks: Option<CallStacks>,
    /// What is alive; `None` where nobody is sampled.
    pub look: Option<HeapLook>,
    /// Who is sampled from here on, who is not, and what else is to be said.
    pub events: Vec<Event>,
}

/// Whether a process that was launched with a sampler has begun its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It has.
    Here,
    /// It has not; it may still come.
    NotYet,
    /// The process has ended.
    Gone,
}

impl HeapCensus {
    /// Another target is to be counted; its processes keep their tables in this folder, where it was launched.
    pub fn begin_target(&mut self, folder: Option<PathBuf>) {
        self.folder = folder;
        self.tables.clear();
        self.without.clear();
        self.stacks.begin_target();
    }

    /// Puts a sampler into a process that runs already, and counts it from now on. One of its threads is stopped for about a
    /// millisecond. What comes of it is the event.
    pub fn inject(&mut self, process: Process, interval_bytes: u64) -> Option<Event> {
        let injected = match inject(process, interval_bytes, Seccomp::Refuse) {
            Ok(injected) => Box::new(injected),
            Err(error) => return self.refuse(process, error.to_string()),
        };
        // Where this fails the sampler goes again.
        let code = match Code::of(process) {
            Ok(code) => code,
            Err(error) => return self.refuse(process, unreadable(process, &error)),
        };
        let pause_us = Some(injected.pause.as_micros() as u64);
        self.begun.insert(process);
        let table = Table::Injected(injected);
        self.tables.insert(process, Counted { table, mapped: None, code, numbers: HashMap::new() });
        Some(Event::HeapBegins { process, entry: HeapEntry::Injected, interval_bytes, pause_us })
    }

    /// Takes the samplers out of all processes that they were put into. What did not succeed is told.
    pub fn detach(&mut self) -> Vec<Event> {
        let detach = |(process, counted): (Process, Counted)| {
            match counted.table {
            Table::Own(_) => None,
            Table::Injected(injected) => injected.detach().err().map(|error| Event::Note {
                text: format!(
                    "the heap sampler could not be taken out of process {}: {error}; it stays there, costs little, and the \
                     next attach --heap takes it out",
                    process.pid
                ),
            }),
        }
        };
        std::mem::take(&mut self.tables).into_iter().filter_map(detach).collect()
    }

    /// Whether the table of a launched process is there.
    pub fn arrival(&self, process: Process) -> Arrival {
        let there = self.path_of(process).is_some_and(|path| HeapTable::open(&path).is_ok());
        match there || self.tables.contains_key(&process) {
            true => Arrival::Here,
            false if start_of(process.pid) == Some(process.start) => Arrival::NotYet,
            false => Arrival::Gone,
        }
    }

    /// Nobody waits for the table of this process any longer: why it has none, if that was not told yet.
    pub fn give_up(&mut self, process: Process) -> Option<Event> {
        let path = self.path_of(process)?;
        let reason = match HeapTable::open(&path) {
            Ok(_) => return None,
            Err(error) => self.why_not(process, &error),
        };
        self.refuse(process, reason)
    }

    /// Counts what is alive in these processes, the living ones of the tree.
    pub fn look(&mut self, living: &[Process]) -> Looked {
        let begun = Instant::now();
        let mut events = Vec::new();
        let living: BTreeSet<Process> = living.iter().copied().collect();
        self.forget_all_but(&living);
        let mut sum = HeapLook::default();
        for process in living {
            self.find(process, &mut events);
            let Some(snapshot) = self.snapshot(process, &mut events) else { continue };
            sum.processes += 1;
            sum.interval_bytes = sum.interval_bytes.max(snapshot.interval_bytes);
            sum.allocator = both(sum.allocator, snapshot.allocator);
            add_coverage(&mut sum.coverage, &snapshot);
            if let Some(counted) = self.tables.get_mut(&process) {
                count(counted, &snapshot, &mut self.modules, &mut self.stacks);
            }
        }
        let Chosen { new, live, rest } = self.stacks.finish();
        let stacks = (!new.is_empty()).then(|| self.told(new));
        let remarks = self.modules.remarks();
        events.extend(remarks.into_iter().map(|text| Event::Note { text }));
        sum.cost_us = begun.elapsed().as_micros() as u64;
        let look = (sum.processes > 0).then_some(HeapLook { live, rest, ..sum });
        Looked { stacks, look, events }
    }

    /// The functions at all addresses that looks have named and that were not looked up yet, from the files of their modules.
    /// Those whose function nobody knows are left out.
    #[cfg(target_os = "linux")]
    pub fn names(&mut self) -> Option<Symbols> {
        let mut symbolizer = super::symbols::Symbolizer::new();
        self.names_by(|module, offsets| symbolizer.resolve(module, offsets))
    }

    /// Nothing on this system: nobody is sampled here.
    #[cfg(not(target_os = "linux"))]
    pub fn names(&mut self) -> Option<Symbols> {
        self.names_by(|_, _| Vec::new())
    }

    fn names_by(&mut self, mut resolve: impl FnMut(&OpenModule, &[u64]) -> Vec<Vec<Frame>>) -> Option<Symbols> {
        let mut asked: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for address in self.stacks.named() {
            if let Some(module) = address.module
                && self.named.insert(address)
            {
                asked.entry(module).or_default().insert(address.offset);
            }
        }
        let mut names = Vec::new();
        for (module, offsets) in asked {
            let Some(open) = self.modules.open(module) else { continue };
            let offsets: Vec<u64> = offsets.into_iter().collect();
            let found = offsets.iter().zip(resolve(open, &offsets)).filter(|(_, frames)| !frames.is_empty());
            names.extend(found.map(|(offset, frames)| {
                let address = CodeAddress { module: Some(module), offset: *offset };
                Symbol { address, frames }
            }));
        }
        (!names.is_empty()).then(|| Symbols { names, ..Symbols::default() })
    }

    fn path_of(&self, process: Process) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("heap.{}", process.pid)))
    }

    /// Forgets processes that have ended, and removes what those of a launched target have left.
    fn forget_all_but(&mut self, living: &BTreeSet<Process>) {
        self.tables.retain(|process, _| living.contains(process));
        self.without.retain(|process| living.contains(process));
        let Some(folder) = &self.folder else { return };
        for (pid, path) in HeapTable::all(folder).unwrap_or_default() {
            if start_of(pid).is_none() {
                // What cannot be removed now goes with its folder.
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Looks for the table of a process that is not read yet, or not any more.
    fn find(&mut self, process: Process, events: &mut Vec<Event>) {
        if self.tables.get(&process).is_some_and(|counted| counted.is_current(process)) {
            return;
        }
        self.tables.remove(&process);
        let opened = self.path_of(process).map(|path| HeapTable::open(&path).map(|table| (path, table)));
        let reason = match opened {
            None if self.refused.contains(&process) => return,
            None => {
                "only the processes that are named are sampled, and this one was started by them, or executed another \
                     program since"
                    .to_owned()
            }
            Some(Err(error)) => match self.without.insert(process) {
                // It may be about to load.
                true => return,
                false if self.refused.contains(&process) => return,
                false => self.why_not(process, &error),
            },
            Some(Ok((path, table))) => match Code::around(process, &path) {
                Ok(Mapped::Here(range, code)) => {
                    if self.begun.insert(process) {
                        events.push(begins(process, &table));
                    }
                    let (mapped, table) = (Some((path, range)), Table::Own(table));
                    self.tables.insert(process, Counted { table, mapped, code, numbers: HashMap::new() });
                    return;
                }
                Ok(Mapped::Parents) => FORKED.to_owned(),
                Ok(Mapped::Nowhere) => "it executed a program that did not load the sampler".to_owned(),
                Err(error) => unreadable(process, &error),
            },
        };
        events.extend(self.refuse(process, reason));
    }

    /// What the table of a process holds now.
    fn snapshot(&mut self, process: Process, events: &mut Vec<Event>) -> Option<HeapSnapshot> {
        let counted = self.tables.get_mut(&process)?;
        if let Table::Injected(injected) = &mut counted.table {
            // Where no thread can be borrowed now, the modules that are new have to wait for the next look.
            let _ = injected.follow();
        }
        let reason = match counted.table.get().snapshot_of(process.pid) {
            Ok(snapshot) => match snapshot.state {
                HeapState::Active => return Some(snapshot),
                HeapState::Ended => "its sampler was told to end".to_owned(),
                HeapState::NoRoom => {
                    "its table found no room: the disk of the run's folder is full, or the process may not \
                                      open files there any more"
                        .to_owned()
                }
            },
            Err(error) => error.to_string(),
        };
        events.extend(self.refuse(process, reason));
        None
    }

    fn why_not(&self, process: Process, error: &HeapError) -> String {
        match (self.path_of(process), Code::around(process, &self.path_of(process).unwrap_or_default())) {
            (Some(_), Ok(Mapped::Parents)) => FORKED.to_owned(),
            _ => refusal(process, Way::Preload).map_or_else(|| error.to_string(), |refusal| refusal.to_string()),
        }
    }

    /// Tells once that a process is not sampled. Of very many the first ones are told.
    fn refuse(&mut self, process: Process, reason: String) -> Option<Event> {
        if !self.refused.insert(process) {
            return None;
        }
        match self.refused.len() {
            ..=MOST_TOLD => Some(Event::NoHeap { process, reason }),
            count if count == MOST_TOLD + 1 => {
                Some(Event::Note { text: format!("more than {MOST_TOLD} processes of the target are not sampled") })
            }
            _ => None,
        }
    }

    /// New stacks with the modules that the recording does not know yet.
    fn told(&mut self, stacks: Vec<crate::sample::CallStack>) -> CallStacks {
        let numbers = stacks.iter().flat_map(|stack| &stack.frames).filter_map(|frame| frame.module);
        let modules = self.modules.untold(numbers);
        CallStacks { modules, stacks, ..CallStacks::default() }
    }
}

const FORKED: &str = "it was forked and runs its parent's program: a sampler does not go on in a child";

impl Counted {
    fn is_current(&self, process: Process) -> bool {
        let is_mapped = |(path, range): &(PathBuf, Range<u64>)| maps::is_mapped(process, range, path);
        self.table.get().is_current() && self.mapped.as_ref().is_none_or(is_mapped)
    }
}

fn unreadable(process: Process, error: &std::io::Error) -> String {
    format!(
        "its mappings (/proc/{}/maps) cannot be read, so that its calls cannot be told: {error}; run as the user of the \
         target or as root",
        process.pid
    )
}

fn begins(process: Process, table: &HeapTable) -> Event {
    let interval_bytes = table.base_interval_bytes().unwrap_or_default();
    Event::HeapBegins { process, entry: HeapEntry::Preloaded, interval_bytes, pause_us: None }
}

/// Adds what one process holds.
fn count(counted: &mut Counted, snapshot: &HeapSnapshot, modules: &mut Modules, stacks: &mut Stacks) {
    let Counted { code, numbers, .. } = counted;
    code.begin_look();
    add(snapshot, numbers, stacks, |address| code.place(address, modules));
}

/// Adds a snapshot to the look that is being put together. Return addresses are taken back by one, into the call.
fn add(
    snapshot: &HeapSnapshot,
    numbers: &mut HashMap<u32, Option<u32>>,
    stacks: &mut Stacks,
    mut place: impl FnMut(u64) -> CodeAddress,
) {
    for stack in snapshot.stacks.iter().filter(|stack| stack.live.samples > 0) {
        let number = *numbers.entry(stack.id).or_insert_with(|| {
            let frames = stack.frames.iter().map(|address| place(address.saturating_sub(1))).collect();
            stacks.number(stack.kind, frames)
        });
        stacks.add(number, stack.live);
    }
    stacks.add(None, snapshot.without_stack);
}

/// The figures of two allocators as one, as old as the older.
fn both(a: Option<AllocatorFigures>, b: Option<AllocatorFigures>) -> Option<AllocatorFigures> {
    match (a, b) {
        (Some(a), Some(b)) => Some(AllocatorFigures {
            at_ns: a.at_ns.min(b.at_ns),
            arena_bytes: a.arena_bytes.saturating_add(b.arena_bytes),
            mapped_bytes: a.mapped_bytes.saturating_add(b.mapped_bytes),
            used_bytes: a.used_bytes.saturating_add(b.used_bytes),
            free_bytes: a.free_bytes.saturating_add(b.free_bytes),
            top_bytes: a.top_bytes.saturating_add(b.top_bytes),
        }),
        (one, other) => one.or(other),
    }
}

fn add_coverage(sum: &mut HeapCoverage, of: &HeapSnapshot) {
    sum.samples += of.samples;
    sum.freed += of.freed;
    sum.dropped_records += of.dropped_records;
    sum.dropped_stacks += of.dropped_stacks;
    sum.missed_frees += of.missed_frees;
    sum.truncated_stacks += of.truncated_stacks;
    sum.deep_stacks += of.deep_stacks;
}

#[cfg(test)]
mod tests;
