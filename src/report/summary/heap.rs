//! The part of `summary.json` that tells whose live heap bytes grew.

use serde::Serialize;

use super::{Judgement, finite, is_finite, judgement};
use crate::attribution::{Account, Call, HeapFinding, HeapFrame, HeapOwner, HeapStack, OwnedBy, ScenarioFinding};
use crate::growth::{Estimate, Verdict};
use crate::sample::{HeapCoverage, HeapKind};

/// Stacks that are told of each owner.
const MOST_STACKS: usize = 5;
/// Frames that are told of each stack.
const MOST_FRAMES: usize = 200;

/// Whose live heap bytes grew in a scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeapSummary {
    /// The owners, most growth first.
    pub owners: Vec<OwnerSummary>,
    /// What all other owners grew by.
    #[serde(serialize_with = "finite")]
    pub others: f64,
    /// All live blocks together.
    pub live: Judgement,
    /// What they grew by, with what sampling leaves open.
    pub growth: Option<Estimate>,
    /// What private memory grew by over the same time.
    pub private_growth: Option<f64>,
    /// What that is made of.
    pub account: Option<AccountSummary>,
    /// Looks that were taken.
    pub looks: usize,
    /// The mean number of bytes between two samples.
    pub interval_bytes: u64,
    /// How far the figures can be trusted.
    pub coverage: HeapCoverage,
    /// What a reader must know.
    pub remarks: Vec<String>,
}

/// Parts of the growth of private memory, in bytes; they sum to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AccountSummary {
    /// Live blocks.
    #[serde(serialize_with = "finite")]
    pub live: f64,
    /// Thread stacks.
    #[serde(serialize_with = "finite")]
    pub stacks: f64,
    /// Mappings of the program's own.
    #[serde(serialize_with = "finite")]
    pub mappings: f64,
    /// Retained by the allocator.
    #[serde(serialize_with = "finite")]
    pub retained: f64,
    /// In nothing that was seen.
    #[serde(serialize_with = "finite")]
    pub rest: f64,
}

/// An owner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnerSummary {
    /// The subsystem's name, or the function's.
    pub name: String,
    /// `rule`, `function` or `library`.
    pub by: &'static str,
    /// `block` or `mapping`.
    pub kind: HeapKind,
    /// The function that holds most of it.
    pub function: String,
    /// Its source file.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// What it grew by, in bytes.
    pub growth: Option<Estimate>,
    /// That as a share of what private memory grew by.
    pub share: Option<Estimate>,
    /// Live samples at the end.
    pub samples: u64,
    /// The verdict on its curve.
    pub judged: Judgement,
    /// Its top stacks.
    pub stacks: Vec<StackSummary>,
    /// How many stacks it has.
    pub stack_count: usize,
}

/// A call stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StackSummary {
    /// What it grew by, in bytes.
    pub growth: Option<Estimate>,
    /// How many live blocks more.
    #[serde(serialize_with = "finite")]
    pub blocks: f64,
    /// Live samples at the end.
    pub samples: u64,
    /// The verdict on its curve.
    pub verdict: Verdict,
    /// Which frame made it the owner's.
    pub owned_at: usize,
    /// The functions, innermost first.
    pub frames: Vec<FrameSummary>,
}

/// A function on a stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameSummary {
    /// Its name, or module and offset.
    pub function: String,
    /// Its source file.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The file name of its module.
    pub module: String,
    /// Whether the compiler put it in line in the next.
    pub inline: bool,
}

impl HeapSummary {
    pub(super) fn of(finding: &ScenarioFinding, heap: &HeapFinding) -> Self {
        Self {
            owners: heap.owners.iter().map(|owner| owner_summary(finding, heap, owner)).collect(),
            others: heap.others,
            live: judgement(finding, &heap.live),
            growth: Some(heap.growth).filter(is_finite),
            private_growth: heap.private_growth.filter(|grew| grew.is_finite()),
            account: heap.account.map(|Account { live, stacks, mappings, retained, rest, .. }| AccountSummary {
                live,
                stacks,
                mappings,
                retained,
                rest,
            }),
            looks: heap.looks,
            interval_bytes: heap.interval_bytes,
            coverage: heap.coverage,
            remarks: heap.remarks.clone(),
        }
    }
}

fn owner_summary(finding: &ScenarioFinding, heap: &HeapFinding, owner: &HeapOwner) -> OwnerSummary {
    OwnerSummary {
        name: owner.name.clone(),
        by: match owner.by {
            OwnedBy::Rule => "rule",
            OwnedBy::Function => "function",
            OwnedBy::Library => "library",
        },
        kind: owner.kind,
        function: owner.function.clone(),
        file: owner.place.as_ref().map(|place| place.file.clone()),
        line: owner.place.as_ref().and_then(|place| place.line),
        growth: Some(owner.growth).filter(is_finite),
        share: owner.share.filter(is_finite),
        samples: owner.samples,
        judged: judgement(finding, &owner.judged),
        stacks: heap.stacks_of(owner).take(MOST_STACKS).map(stack).collect(),
        stack_count: owner.stacks.len(),
    }
}

fn stack(stack: &HeapStack) -> StackSummary {
    StackSummary {
        growth: Some(stack.growth).filter(is_finite),
        blocks: stack.blocks_growth,
        samples: stack.samples,
        verdict: stack.verdict,
        owned_at: stack.owned_at,
        frames: stack.frames.iter().take(MOST_FRAMES).map(frame).collect(),
    }
}

fn frame(frame: &HeapFrame) -> FrameSummary {
    FrameSummary {
        function: frame.function.clone(),
        file: frame.file.clone(),
        line: frame.line,
        module: frame.module.clone(),
        inline: frame.call == Call::Inline,
    }
}
