//! What a run's folder holds of a sampled heap, for other programs: growth by call stack, of all scenarios together.

use std::collections::HashMap;

use super::Report;
use super::heap::{Placed, StackAmount, StackFrame, StackModule};
use crate::attribution::{Call, HeapFinding, HeapFrame, HeapStack};
use crate::sample::HeapKind;
use crate::units::show_bytes;

/// Growth by call stack, as the writers take it.
pub(super) struct HeapGrowth {
    pub stacks: Vec<StackAmount>,
    pub modules: Vec<StackModule>,
    pub interval_bytes: u64,
    /// When the run began, in nanoseconds since 1970.
    pub time_ns: i64,
    pub duration_ns: i64,
    pub title: String,
    pub subtitle: String,
}

impl HeapGrowth {
    /// That of a run; none where no heap was sampled.
    pub fn of(report: &Report) -> Option<Self> {
        let scenarios = report.findings.scenarios.iter();
        let sampled: Vec<(&str, &HeapFinding)> =
            scenarios.filter_map(|finding| Some((finding.plan.name.as_str(), finding.heap.as_ref()?))).collect();
        let modules = &sampled.first()?.1.modules;
        let places: HashMap<u32, usize> =
            modules.iter().enumerate().map(|(place, module)| (module.id, place)).collect();
        // With several scenarios, each is a root of its own.
        let named = sampled.len() > 1;
        let stacks = sampled
            .iter()
            .flat_map(|(name, heap)| heap.stacks.iter().map(|stack| amount(stack, named.then_some(*name), &places)))
            .collect();
        let interval_bytes = sampled.iter().map(|(_, heap)| heap.interval_bytes).max().unwrap_or(0);
        let header = &report.recording.header;
        let began = header.started.parse::<jiff::Timestamp>().map_or(0, |time| time.as_nanosecond());
        let last_us = report.recording.records.last().map_or(0, |record| record.at().0);
        Some(Self {
            stacks,
            modules: modules
                .iter()
                .map(|module| StackModule { path: module.path.clone(), build_id: module.build_id.clone() })
                .collect(),
            interval_bytes,
            time_ns: i64::try_from(began).unwrap_or(0),
            duration_ns: i64::try_from(last_us.saturating_mul(1000)).unwrap_or(i64::MAX),
            title: format!("Growth of live heap: {}", header.plan.name),
            subtitle: format!("from samples, one for each {} on average", show_bytes(interval_bytes as f64)),
        })
    }
}

fn amount(stack: &HeapStack, scenario: Option<&str>, places: &HashMap<u32, usize>) -> StackAmount {
    let root = |function: &str| StackFrame { function: function.to_owned(), ..StackFrame::default() };
    let mut frames: Vec<StackFrame> = stack.frames.iter().map(|frame| shown(frame, places)).collect();
    if stack.kind == HeapKind::Mapping {
        frames.push(root("mappings"));
    }
    frames.extend(scenario.map(root));
    StackAmount { frames, owner: stack.owner.clone(), bytes: stack.growth.value, blocks: stack.blocks_growth }
}

fn shown(frame: &HeapFrame, places: &HashMap<u32, usize>) -> StackFrame {
    StackFrame {
        function: frame.function.clone(),
        file: frame.file.clone(),
        line: frame.line,
        module: frame.address.module.and_then(|id| places.get(&id).copied()),
        offset: frame.address.offset,
        placed: match frame.call {
            Call::Real => Placed::Called,
            Call::Inline => Placed::InLine,
        },
    }
}
