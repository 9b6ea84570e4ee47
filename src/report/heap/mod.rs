//! Growth of the live heap by call stack, for other programs: collapsed stacks, a pprof profile, a flame graph.
//!
//! The writers take plain data ([`StackAmount`]) and need no live process. What they show is growth, not what is alive: large
//! stacks that do not grow are not there. Names come from the target and are made harmless on their way out, and the same data
//! give the same bytes. They judge nothing, and leave out no stack that grew.

mod flame;
mod folded;
mod pprof;
mod protobuf;

#[cfg(test)]
mod tests;

use super::escape::is_treacherous;

pub use flame::write_flame_graph;
pub use folded::write_folded;
pub use pprof::{Profile, write_pprof};

/// A call stack, and what it grew by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StackAmount {
    /// The functions, innermost first; those in line are frames of their own.
    pub frames: Vec<StackFrame>,
    /// Whose bytes they are; empty if nobody's.
    pub owner: String,
    /// What it grew by in bytes, as the allocator takes them; below zero if it shrank.
    pub bytes: f64,
    /// How many live blocks more; below zero if there are fewer.
    pub blocks: f64,
}

/// A function on a call stack. Untrusted text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackFrame {
    /// Its name, or `module+0xOFFSET` where it has none.
    pub function: String,
    /// Its source file, where that is known.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The place of its module in a list of modules; `None` for code that was made at run time.
    pub module: Option<usize>,
    /// The offset in the module's file, or the address itself where there is no module.
    pub offset: u64,
    /// Whether the compiler put it in line into the frame behind it, which then has the same address.
    pub placed: Placed,
}

/// How a function came to be on a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placed {
    /// It was called.
    #[default]
    Called,
    /// The compiler put it in line.
    InLine,
}

/// A module that frames name by its place in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackModule {
    /// Its path: untrusted text.
    pub path: String,
    /// Its build-id in hexadecimal, where it has one.
    pub build_id: Option<String>,
}

/// A name without characters that control, hide or turn what is around them.
fn harmless(name: &str) -> String {
    name.chars().map(|c| if is_treacherous(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
