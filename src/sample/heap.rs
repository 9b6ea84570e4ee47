//! Live heap bytes by call stack, as plain data: what an allocation sampler inside the target holds.
//!
//! Three kinds of lines of a recording belong together. [`CallStacks`] gives numbers to call stacks and to the modules they run
//! through when they are first seen; [`HeapLook`] tells what was alive at each at one moment; [`Symbols`] tells which functions the
//! addresses are of. Addresses are offsets in files, so that a stack is the same stack in every process of the tree and in every
//! run of the same build.

use serde::{Deserialize, Serialize};

use super::Moment;

/// Whether the heap of a target is sampled by call stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeapSampling {
    /// It is not.
    #[default]
    Off,
    /// It is: the target is launched with a sampler, or one is put into it while it runs.
    On,
}

/// Where the blocks of a call stack come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeapKind {
    /// The allocator: `malloc` and its kin.
    Block,
    /// Anonymous private mappings that the program made itself. Their bytes are address space; their footprint is what of it was touched, where that can be
    /// known.
    Mapping,
}

/// How a sampler came into a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeapEntry {
    /// The loader put it there when the process began.
    Preloaded,
    /// It was put there while the process ran.
    Injected,
}

/// A file that code was mapped from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its number, the same throughout a recording.
    pub id: u32,
    /// Its path as the target sees it: untrusted text.
    pub path: String,
    /// Its build-id in hexadecimal, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
}

/// A place in code. Return addresses are taken back by one, so that this is in the call, not after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CodeAddress {
    /// The module's number; `None` where no file is mapped: code that was made at run time.
    pub module: Option<u32>,
    /// The offset in the module's file, or the address itself where there is none.
    pub offset: u64,
}

/// Calls that led to allocations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStack {
    /// Its number, the same throughout a recording.
    pub id: u32,
    /// Where its blocks come from.
    pub kind: HeapKind,
    /// The calls, innermost first.
    pub frames: Vec<CodeAddress>,
}

/// Call stacks that were seen for the first time, and modules that came with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallStacks {
    /// When.
    pub at: Moment,
    /// Modules that were not known before.
    pub modules: Vec<Module>,
    /// The stacks.
    pub stacks: Vec<CallStack>,
}

/// What is alive, estimated from samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeapLive {
    /// The call stack's number.
    pub stack: u32,
    /// Live samples.
    pub samples: u64,
    /// Live blocks.
    pub blocks: f64,
    /// Live bytes, as the program asked for them.
    pub bytes: f64,
    /// What the allocator takes for them: with its header and rounding, or whole pages.
    pub footprint: f64,
    /// The standard error of the footprint.
    pub error: f64,
}

/// What the samplers in a process tree held at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeapLook {
    /// When.
    pub at: Moment,
    /// Operations completed by then.
    pub operations: u64,
    /// How long the reading took, in microseconds. The target was not stopped.
    pub cost_us: u64,
    /// Processes whose samplers were read.
    pub processes: u32,
    /// The mean number of bytes between two samples, the largest of the processes.
    pub interval_bytes: u64,
    /// What is alive, by call stack, most bytes first: the stacks with the most.
    pub live: Vec<HeapLive>,
    /// What is alive at all others, and at stacks that the sampler had no room for. Its stack number means nothing.
    pub rest: HeapLive,
    /// What the allocators say of themselves, summed, where they are glibc's.
    pub allocator: Option<AllocatorFigures>,
    /// How far the figures can be trusted.
    pub coverage: HeapCoverage,
}

/// What glibc's allocator says about itself (`mallinfo2`), in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllocatorFigures {
    /// When it said so: nanoseconds of the monotonic clock. It is asked at most once a second, while samples come.
    pub at_ns: u64,
    /// In arenas.
    pub arena_bytes: u64,
    /// In blocks that are mapped one by one.
    pub mapped_bytes: u64,
    /// Of the arenas, what is in use.
    pub used_bytes: u64,
    /// Of the arenas, what is free: retained, or between blocks in use.
    pub free_bytes: u64,
    /// Free at the top of the main arena: it could be given back.
    pub top_bytes: u64,
}

/// What a sampler saw and what it could not keep, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeapCoverage {
    /// Samples taken.
    pub samples: u64,
    /// Samples freed.
    pub freed: u64,
    /// Samples that found no room: what they stand for is missing in every figure.
    pub dropped_records: u64,
    /// Samples whose call stack found no room.
    pub dropped_stacks: u64,
    /// Frees that were not seen, found out because an address was handed out again and sampled.
    pub missed_frees: u64,
    /// Stacks that ended before the first function of their thread.
    pub truncated_stacks: u64,
    /// Stacks cut off because they were too deep.
    pub deep_stacks: u64,
}

/// Which functions addresses are of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Symbols {
    /// When they were looked up.
    pub at: Moment,
    /// The names. An address that is not among them is shown as module and offset.
    pub names: Vec<Symbol>,
}

/// The functions at one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    /// The address.
    #[serde(flatten)]
    pub address: CodeAddress,
    /// Its function, and before it those that the compiler put in line there: innermost first.
    pub frames: Vec<Frame>,
}

/// A function with the place in its source. Untrusted text throughout.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// Its name, demangled.
    pub function: String,
    /// The source file, where debug information names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}
