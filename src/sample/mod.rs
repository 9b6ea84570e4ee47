//! One moment of a process tree as plain data, and the words around it.
//!
//! Nothing here reads anything: probes fill these types from a live target, recordings keep them, and
//! everything that judges works on them alone. A number that could not be read is `None`; why it could
//! not is told once, as an [`Event::Missing`].

mod event;
mod heap;
mod metric;
mod plan;
mod process;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use event::{Ending, Event, How, Runtime, Stop};
pub use heap::{
    AllocatorFigures, CallStack, CallStacks, CodeAddress, Frame, HeapCoverage, HeapEntry, HeapKind, HeapLive, HeapLook,
    HeapSampling, Module, Symbol, Symbols,
};
pub use metric::{FdKind, Metric, MetricError};
pub use plan::{
    BeforeSettle, Effort, Inconclusive, LoadPlan, MemorySource, OperationsFrom, PAST_CAP, Plan, Priority,
    ProductionRate, ScenarioPlan, Shape, Smallest, Subsystem, SubsystemRules, Usual,
};
pub use process::{ParseProcessError, Process};

/// A point in time: microseconds since the recording began, by the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment that lies `elapsed` after the start of the recording.
    pub fn after_start(elapsed: Duration) -> Self {
        Self(elapsed.as_micros() as u64)
    }

    /// Seconds since the recording began.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// What is read at every tick, summed over the process tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// When the tick was taken.
    pub at: Moment,
    /// Operations completed since the target (or the scenario, where the target stays) began.
    pub operations: u64,
    /// Processes in the tree that were read.
    pub processes: u32,
    /// Resident pages of every kind, in bytes (statm).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss: Option<u64>,
    /// Resident minus shared pages, in bytes (statm): anonymous memory without swap. Approximate on
    /// kernels whose counters are per CPU (Linux 6.2 to 6.16).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<u64>,
    /// Open descriptors as the kernel counts them, our own connections included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fds: Option<u64>,
    /// Connections of our own that the target is known to hold open at this moment.
    #[serde(skip_serializing_if = "is_zero")]
    pub own_connections: u64,
    /// OS threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// Whether every process of the tree was stopped, by a signal or a tracer (states T and t).
    #[serde(skip_serializing_if = "is_false")]
    pub stopped: bool,
    /// Processor time used so far by the processes now in the tree, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// The exact figures, where this tick took them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// The shape of the tree, where this tick scanned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeCounts>,
    /// Highest resident set since it was last reset, in bytes (VmHWM), where this tick read it. See
    /// [`Event::PeakReset`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_water: Option<u64>,
    /// Resident shared memory in bytes (RssShmem), where this tick read it: not proportional, so that what two
    /// processes share counts twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shmem: Option<u64>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Exact memory figures in bytes from `smaps_rollup`, summed over the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Resident pages of every kind.
    pub rss: u64,
    /// Resident pages, each divided by the number of processes that map it.
    pub pss: u64,
    /// Anonymous memory and swap, without pages the kernel may take back (LazyFree): the metric judged.
    pub private: u64,
    /// Shared memory: shmem, memfd and tmpfs mappings (proportional).
    pub shared: u64,
    /// Mapped files (proportional).
    pub file: u64,
    /// Swapped out (proportional). Part of `private`.
    pub swap: u64,
    /// Anonymous memory that the target gave back with `MADV_FREE` and the kernel has not taken yet (LazyFree): resident, and no part of
    /// `private`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lazily_freed: u64,
}

/// Processes around the target, apart from live members that carry load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeCounts {
    /// Live descendants of the root or roots, the roots not counted.
    pub children: u64,
    /// Descendants that have ended and were not waited for by their parent.
    pub zombies: u64,
    /// Live descendants of a launched target whose parent has ended.
    pub orphans: u64,
}

/// A named amount: descriptors by target, threads by name, children by command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What is counted, as the target names it: untrusted text, bounded in length.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// What is read at phase boundaries and at a bounded pace: who holds what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// When the last process was read.
    pub at: Moment,
    /// Operations completed by then.
    pub operations: u64,
    /// How long the reading took, in microseconds.
    pub cost_us: u64,
    /// Microseconds from the first process read to the last, where the budget made tidewatch read a large tree in several steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_us: Option<u64>,
    /// Private memory by kind of mapping, where it was read.
    pub mappings: Option<Mappings>,
    /// Descriptors, where they could be read.
    pub descriptors: Option<Descriptors>,
    /// Threads by name, most first.
    pub threads: Vec<Named>,
    /// Live descendants by command, most first.
    pub children: Vec<Named>,
    /// Zombies by command, most first.
    pub zombies: Vec<Named>,
    /// Orphans by command, most first.
    pub orphans: Vec<Named>,
    /// The target's cgroup, where it has one of its own or one that can be read.
    pub cgroup: Option<Cgroup>,
    /// Numbers that the target exports, by name: only those the plan names.
    pub gauges: BTreeMap<String, f64>,
    /// Private memory in bytes of each process, largest first, when the tree has more than one.
    pub per_process: Vec<ProcessMemory>,
}

/// A sum over processes that were read within this time counts as that of one moment.
const ONE_MOMENT_US: u64 = 2_000_000;

impl Detail {
    /// Whether its sums are those of one moment.
    pub fn is_of_one_moment(&self) -> bool {
        self.span_us.is_none_or(|span| span <= ONE_MOMENT_US)
    }
}

/// One process's share of the tree's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMemory {
    /// Which process.
    pub process: Process,
    /// Its command name.
    pub command: String,
    /// Its private memory in bytes.
    pub private: u64,
}

/// Resident private memory in bytes by kind of mapping (`smaps`), summed over the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mappings {
    /// The program break: `[heap]`.
    pub heap: u64,
    /// Thread stacks: `[stack]` and mappings the kernel or libc marks as stacks.
    pub stack: u64,
    /// Other anonymous mappings.
    pub anonymous: u64,
    /// Private pages of named files.
    pub file: u64,
    /// Shared mappings.
    pub shared: u64,
    /// How many mappings there are (limit: vm.max_map_count).
    pub count: u64,
}

/// Open descriptors by kind, and the targets most often open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptors {
    /// How many of each kind.
    pub by_kind: BTreeMap<FdKind, u64>,
    /// The targets most often open (path, socket state and peer, ...), most first, bounded in number.
    pub by_target: Vec<FdTarget>,
}

/// Something that descriptors point at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdTarget {
    /// Its kind.
    pub kind: FdKind,
    /// Its name: a path, `LISTEN 127.0.0.1:80`, `ESTABLISHED to 10.0.0.3:5432`.
    pub name: String,
    /// How many descriptors point at it.
    pub count: u64,
}

/// Memory of the target's cgroup in bytes (v1 or v2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cgroup {
    /// Everything charged.
    pub current: Option<u64>,
    /// Anonymous memory.
    pub anon: Option<u64>,
    /// Page cache.
    pub file: Option<u64>,
    /// Kernel memory.
    pub kernel: Option<u64>,
    /// Socket buffers.
    pub sock: Option<u64>,
    /// The limit in force, the tightest of the cgroup and its ancestors.
    pub limit: Option<u64>,
    /// Processes killed by the OOM killer so far.
    pub oom_kills: Option<u64>,
}

/// Where in a scenario a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Load before the first cycle: caches fill, pools open.
    Warmup,
    /// Load of a cycle.
    Load,
    /// Quiet after a load: what stays now was kept.
    Settle,
}

/// A border in the recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When it was crossed.
    pub at: Moment,
    /// Operations completed by then.
    pub operations: u64,
    /// Which border.
    #[serde(flatten)]
    pub border: Border,
}

/// The borders that marks draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "border", rename_all = "kebab-case")]
pub enum Border {
    /// A scenario begins: samples from here on belong to it.
    ScenarioBegins {
        /// Its name; the plan in the header tells the rest.
        scenario: String,
        /// Where the floors of its memory curves come from.
        memory_source: MemorySource,
    },
    /// A phase begins and lasts until the next border.
    PhaseBegins {
        /// Which phase.
        phase: Phase,
        /// Which cycle, from 1; the warm-up is cycle 0.
        cycle: u32,
    },
    /// All cycles are done. What follows, up to the scenario's end, is the closing of sessions that were held
    /// open, and is not judged.
    Closing,
    /// A scenario is over.
    ScenarioEnds {
        /// Its name.
        scenario: String,
        /// Why it ended.
        stop: Stop,
        /// What its operations came to.
        tally: Tally,
    },
}

/// What the operations of a scenario came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Operations completed and counted.
    pub counted: u64,
    /// Answers that were expected but are not operations (backpressure), by kind.
    pub uncounted: BTreeMap<String, u64>,
    /// Answers that were not expected, by kind.
    pub unexpected: BTreeMap<String, u64>,
    /// The first of each unexpected kind, bounded in length: untrusted text.
    pub first_of_kind: BTreeMap<String, String>,
    /// Seconds of load, warm-up included.
    pub load_seconds: f64,
    /// Ticks of an open-loop schedule that were missed because every slot was busy.
    pub missed: u64,
}

impl Tally {
    /// All operations that were tried.
    pub fn tried(&self) -> u64 {
        self.counted + self.uncounted.values().sum::<u64>() + self.unexpected_total()
    }

    /// All answers that were not expected.
    pub fn unexpected_total(&self) -> u64 {
        self.unexpected.values().sum()
    }
}

/// One line of a recording, in the order in which things happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// A tick.
    Sample(Sample),
    /// A closer look. Boxed: there are few, and each would make every sample as large.
    Detail(Box<Detail>),
    /// A border.
    Mark(Mark),
    /// Call stacks seen for the first time.
    Stacks(Box<CallStacks>),
    /// What is alive at them.
    Heap(Box<HeapLook>),
    /// Names of their functions.
    Symbols(Box<Symbols>),
    /// Something that happened.
    Event {
        /// When.
        at: Moment,
        /// What.
        #[serde(flatten)]
        event: Event,
    },
}

impl Record {
    /// When the record was made.
    pub fn at(&self) -> Moment {
        match self {
            Self::Sample(sample) => sample.at,
            Self::Detail(detail) => detail.at,
            Self::Mark(mark) => mark.at,
            Self::Stacks(stacks) => stacks.at,
            Self::Heap(look) => look.at,
            Self::Symbols(symbols) => symbols.at,
            Self::Event { at, .. } => *at,
        }
    }
}
