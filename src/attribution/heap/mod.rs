//! Whose live heap bytes grew: call stacks of a recording, put to their owners and judged.
//!
//! An allocation sampler tells what is alive at each call stack at some moments. Here these become curves, as every other
//! number does: what counts is which stacks *grow*, not which are big. An owner is a subsystem whose `frames` rule fits a
//! frame of the stack, else the first function that is the program's own. Nothing is guessed: an address without a
//! name stays a module and an offset, and every estimate carries the interval that sampling leaves it.

mod ground;
mod interval;
mod judged;
mod library;
mod looks;
mod names;
mod owner;
mod remarks;
mod retained;
mod rules;
mod short;
mod source_path;
mod split;

use std::collections::BTreeMap;
use std::fmt;

use crate::growth::{Estimate, Growth, Verdict};
use crate::sample::{AllocatorFigures, CodeAddress, HeapCoverage, HeapKind, Metric, Module};
use crate::units::show_bytes;

/// The row of what the allocator kept of what the program freed.
pub const RETAINED: &str = "retained by the allocator";
/// The row of thread stacks that no task pattern claims.
pub const STACKS: &str = "thread stacks";
/// The row of live bytes whose owners are too many or too small to be named.
pub const OTHERS: &str = "other live heap";

pub(super) use ground::Ground;
pub use short::{short_function, short_place, tidy_function};

pub(super) use judged::{Asked, finding};
pub(super) use split::parts;

/// Whose live heap bytes grew in one scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapFinding {
    /// The owners whose bytes grew, most first: few, the others are summed in [`HeapFinding::others`].
    pub owners: Vec<HeapOwner>,
    /// What the owners that are not listed grew by together, in bytes of footprint; below zero where they shrank.
    pub others: f64,
    /// All live blocks together, judged. Mappings of the program's own are not part of it.
    pub live: Growth,
    /// How sure the growth of all live blocks is.
    pub growth: Estimate,
    /// What private memory grew by over the same time, as the kernel counts it.
    pub private_growth: Option<f64>,
    /// What live blocks that no collector of a runtime frees grew by at least (95 %), in bytes.
    pub uncollected: f64,
    /// What that growth is made of, where private memory grew.
    pub account: Option<Account>,
    /// What the allocator said of itself before and after, where it is glibc's.
    pub allocator: Option<(AllocatorFigures, AllocatorFigures)>,
    /// Every stack with live bytes at one of the looks, most growth first.
    pub stacks: Vec<HeapStack>,
    /// The files that the stacks run through.
    pub modules: Vec<Module>,
    /// Processes whose heap was looked at, before and after.
    pub processes: (u32, u32),
    /// Looks that were taken in the scenario.
    pub looks: usize,
    /// The mean number of bytes between two samples, the largest of the looks.
    pub interval_bytes: u64,
    /// How far the figures can be trusted: what the sampler had seen at the last look.
    pub coverage: HeapCoverage,
    /// What a reader must know of them, a sentence each.
    pub remarks: Vec<String>,
}

/// Whoever holds live bytes: a subsystem, or a function of the program's own.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapOwner {
    /// The subsystem's name, or the function's.
    pub name: String,
    /// How it came to own them.
    pub by: OwnedBy,
    /// Where its bytes come from.
    pub kind: HeapKind,
    /// The function that holds most of what grew.
    pub function: String,
    /// Where that function is, where debug information says so.
    pub place: Option<Place>,
    /// What it grew by since before the first operation, in bytes of footprint, with what sampling leaves open.
    pub growth: Estimate,
    /// Live samples at the last look: the fewer, the less sure.
    pub samples: u64,
    /// What it grew by as a share of what private memory grew by: 0.97 is 97 %.
    pub share: Option<Estimate>,
    /// Its curve, judged. Figures for each operation carry the doubt of sampling too.
    pub judged: Growth,
    /// Its stacks, most growth first: indices into [`HeapFinding::stacks`].
    pub stacks: Vec<usize>,
}

/// How an owner was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnedBy {
    /// A `frames` rule of the subsystem fits.
    Rule,
    /// No rule does: it is the first function that is the program's own.
    Function,
    /// Nothing on its stack is the program's own: the first function of the language has it, for want of a better owner.
    Library,
}

/// A place in source code. Untrusted text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, where it is known.
    pub line: Option<u32>,
}

/// A call stack with names, and what is alive at it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapStack {
    /// Its number in the recording.
    pub id: u32,
    /// Where its blocks come from.
    pub kind: HeapKind,
    /// The functions, innermost first; those that the compiler put in line are frames like the others. Never empty.
    pub frames: Vec<HeapFrame>,
    /// The name of its owner.
    pub owner: String,
    /// Which frame made it the owner's.
    pub owned_at: usize,
    /// Footprint before the first operation, in bytes.
    pub before: f64,
    /// Footprint at the end of the last cycle.
    pub after: f64,
    /// What it grew by, with what sampling leaves open.
    pub growth: Estimate,
    /// Live blocks at the end, and how many more than before.
    pub blocks: f64,
    /// How many live blocks more than before.
    pub blocks_growth: f64,
    /// Live samples at the end.
    pub samples: u64,
    /// Whether it grows without end; inconclusive for those that were not judged apart because others grew more.
    pub verdict: Verdict,
}

/// A function on a call stack. Untrusted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapFrame {
    /// Its name, or `module+0xOFFSET` where it has none. Where debug information gives a Rust function no path, that of its
    /// source file stands before it.
    pub function: String,
    /// The source file, where debug information names it.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The file name of its module; empty for code that was made at run time.
    pub module: String,
    /// The address in that module.
    pub address: CodeAddress,
    /// Whether it has a call of its own.
    pub call: Call,
}

/// How a function came to be on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It was called.
    Real,
    /// The compiler put it in line in the frame behind it: both have the same address.
    Inline,
}

/// What the growth of private memory is made of, in bytes. The parts sum to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Account {
    /// Live blocks.
    pub live: f64,
    /// What part of their estimate that is: below 1 where the estimate is more than private memory grew by.
    pub live_scale: f64,
    /// Thread stacks.
    pub stacks: f64,
    /// Mappings of the program's own, as far as they can be resident.
    pub mappings: f64,
    /// What part of their estimate that is: address space need not be resident.
    pub mappings_scale: f64,
    /// Freed by the program and not given back by the allocator, or between blocks in use.
    pub retained: f64,
    /// In nothing that was seen.
    pub rest: f64,
}

/// What an owner's curve is called: its blocks and its mappings are judged apart.
fn metric_name(owner: &str, kind: HeapKind) -> String {
    match kind {
        HeapKind::Block => owner.to_owned(),
        HeapKind::Mapping => format!("{owner} (mappings)"),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

impl HeapFinding {
    /// The verdicts on live bytes: those of all blocks, and of each owner.
    pub(super) fn judged(&self) -> impl Iterator<Item = &Growth> {
        std::iter::once(&self.live).chain(self.owners.iter().map(|owner| &owner.judged))
    }

    /// Growth per second of the owners that had a part in what private memory grew by in time. Their own curves may be too
    /// coarse to tell: a thread that fills one mapping after the other.
    pub(super) fn in_time(&self, private: &Growth) -> BTreeMap<Metric, Estimate> {
        let rate = private.per_op.filter(|_| private.verdict == Verdict::Unbounded);
        let Some((rate, whole)) = rate.zip(self.private_growth.filter(|grew| *grew > 0.0)) else {
            return BTreeMap::new();
        };
        let took_part = self.owners.iter().filter(|owner| owner.growth.low > 0.0);
        let share = |owner: &HeapOwner| rate.scaled((owner.growth.value / whole).min(1.0));
        took_part.map(|owner| (owner.judged.metric.clone(), share(owner))).collect()
    }

    /// Whether all live blocks together are known not to grow.
    pub fn is_at_rest(&self) -> bool {
        split::is_at_rest(self)
    }

    /// Whether most of what private memory grew by is known to be the allocator's.
    pub fn is_retained(&self) -> bool {
        retained::is_retained(self)
    }

    /// Whether most of what private memory grew by is in live blocks that no collector would free.
    pub fn outlasts_collections(&self) -> bool {
        retained::outlasts_collections(self)
    }

    /// Whether there are more processes than before. Each begins with a heap of its own: what its program allocates when it starts, and
    /// what its allocator keeps free, is no growth of one heap.
    pub fn has_new_processes(&self) -> bool {
        self.processes.1 > self.processes.0
    }

    /// How it rests, in words that follow "live heap is".
    pub fn at_rest(&self) -> String {
        match self.live.verdict {
            Verdict::Flat => "flat".to_owned(),
            Verdict::Bounded => "bounded".to_owned(),
            Verdict::Retained | Verdict::Inconclusive | Verdict::Unbounded => {
                format!("at most {} more than before (95 %)", show_bytes(self.growth.high.max(0.0)))
            }
        }
    }

    /// The top stacks of an owner.
    pub fn stacks_of<'a>(&'a self, owner: &'a HeapOwner) -> impl Iterator<Item = &'a HeapStack> {
        owner.stacks.iter().filter_map(|&index| self.stacks.get(index))
    }
}

impl HeapStack {
    /// The frame that made it its owner's.
    pub fn owned_frame(&self) -> Option<&HeapFrame> {
        self.frames.get(self.owned_at).or(self.frames.last())
    }
}
