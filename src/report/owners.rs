//! Whose live heap bytes grew, in the words that every report uses. Names are the target's: whoever shows them escapes them.

use crate::attribution::{Account, HeapFinding, HeapFrame, HeapOwner, HeapStack, Place, ScenarioFinding, short_place};
use crate::growth::{Axis, Estimate, Verdict};
use crate::report::{Report, words};
use crate::sample::HeapKind;
use crate::units::{Unit, show_bytes, show_count};

/// Owners that are shown of a scenario.
const MOST_OWNERS: usize = 8;
/// Frames that are shown of a stack, from the owner's on.
pub(super) const MOST_FRAMES: usize = 4;
/// What came to rest is shown from this share of the growth on.
const LEAST_SHARE: f64 = 0.05;

/// The scenarios with live bytes that grew, and the owners to show of each.
pub(super) fn of(report: &Report) -> Vec<(&ScenarioFinding, &HeapFinding, Vec<&HeapOwner>)> {
    let findings = report.findings.scenarios.iter();
    findings
        .filter_map(|finding| {
            let heap = finding.heap.as_ref()?;
            let owners = shown(heap);
            (!owners.is_empty()).then_some((finding, heap, owners))
        })
        .collect()
}

/// The owners that grow, or did by a good part of the whole.
fn shown(heap: &HeapFinding) -> Vec<&HeapOwner> {
    let whole = heap.private_growth.unwrap_or(0.0).max(heap.growth.value).max(1.0);
    let matters = |owner: &&HeapOwner| match owner.judged.verdict {
        Verdict::Unbounded => true,
        Verdict::Inconclusive => owner.judged.suspected || owner.growth.value >= LEAST_SHARE * whole,
        Verdict::Bounded | Verdict::Retained => owner.growth.value >= LEAST_SHARE * whole,
        Verdict::Flat => false,
    };
    heap.owners.iter().filter(matters).take(MOST_OWNERS).collect()
}

/// The word for an owner's verdict.
pub(super) fn verdict(owner: &HeapOwner) -> &'static str {
    match (owner.judged.verdict, owner.judged.suspected) {
        (Verdict::Inconclusive, true) => "suspected",
        (verdict, _) => words::verdict(verdict),
    }
}

/// `97 % ± 4`: of what private memory grew by.
pub(super) fn share(owner: &HeapOwner) -> String {
    owner.share.map_or_else(String::new, |Estimate { value, low, high }| {
        format!("{:.0} % ± {:.0}", value * 100.0, (high - low) * 50.0)
    })
}

/// `512 B (500 B to 530 B)`; nothing for what came to rest.
pub(super) fn per_op(owner: &HeapOwner) -> String {
    let rate = owner.judged.per_op.filter(|_| owner.judged.verdict >= Verdict::Inconclusive);
    rate.map(|rate| format!("{} {}", Unit::Bytes.show(rate.value), words::ends(Unit::Bytes, rate))).unwrap_or_default()
}

/// What its bytes are.
pub(super) const fn kind(owner: &HeapOwner) -> &'static str {
    match owner.kind {
        HeapKind::Block => "blocks",
        HeapKind::Mapping => "mappings",
    }
}

/// Where a frame is: file and line, or its module.
pub(super) fn place_of(frame: &HeapFrame) -> Option<String> {
    let place = frame.file.as_ref().map(|file| Place { file: file.clone(), line: frame.line }.to_string());
    let module = || Some(frame.module.clone()).filter(|module| !module.is_empty() && !frame.function.contains("+0x"));
    place.or_else(module)
}

/// The same with the file's name alone.
pub(super) fn short_place_of(frame: &HeapFrame) -> Option<String> {
    match &frame.file {
        Some(file) => Some(short_place(&Place { file: file.clone(), line: frame.line })),
        None => place_of(frame),
    }
}

/// The frames of a stack that are shown, from the one that makes it the owner's outwards, and how many there are beyond them.
pub(super) fn frames(stack: &HeapStack) -> (&[HeapFrame], usize) {
    let rest = stack.frames.get(stack.owned_at..).unwrap_or_default();
    let (shown, more) = rest.split_at(rest.len().min(MOST_FRAMES));
    (shown, more.len())
}

/// `its top stack holds 93 % of that`.
pub(super) fn of_stack(owner: &HeapOwner, stack: &HeapStack) -> String {
    match owner.stacks.len() {
        0 | 1 => "all of it by one call stack".into(),
        all if owner.growth.value > 0.0 => {
            let share = (stack.growth.value / owner.growth.value * 100.0).clamp(0.0, 100.0);
            format!("{share:.0} % of it by one of {} call stacks", show_count(all as f64))
        }
        all => format!("one of {} call stacks", show_count(all as f64)),
    }
}

/// What the growth of private memory is made of, in one sentence.
pub(super) fn account(finding: &ScenarioFinding, heap: &HeapFinding) -> Option<String> {
    let whole = heap.private_growth.filter(|grew| *grew > 0.0)?;
    let Account { live, stacks, mappings, retained, rest, .. } = heap.account?;
    let parts = [
        ("live heap", live),
        ("thread stacks", stacks),
        ("mappings of its own", mappings),
        ("retained by the allocator", retained),
        ("in nothing that was seen", rest),
    ];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(_, part)| (part / whole).abs() >= 0.005)
        .map(|(name, part)| format!("{name} {:.0} %", part / whole * 100.0))
        .collect();
    Some(format!("{}: of {} that private memory grew by: {}", finding.plan.name, show_bytes(whole), told.join(", ")))
}

/// How the figures were taken.
pub(super) fn sampling(heap: &HeapFinding) -> String {
    format!(
        "{}, one sample for each {} on average",
        words::counted(heap.looks, "look"),
        show_bytes(heap.interval_bytes as f64)
    )
}

/// What a reader must know of the figures: each sentence once, over all scenarios.
pub(super) fn remarks(report: &Report) -> Vec<String> {
    let mut remarks: Vec<String> = Vec::new();
    for finding in &report.findings.scenarios {
        for remark in finding.heap.iter().flat_map(|heap| &heap.remarks) {
            let remark = format!("heap, {}: {remark}", finding.plan.name);
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
    }
    remarks
}

/// What one step of the axis is called above a column.
pub(super) const fn each(axis: Axis) -> &'static str {
    match axis {
        Axis::Operations => "an operation (95 %)",
        Axis::Seconds => "a second (95 %)",
    }
}
