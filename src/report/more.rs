//! What more of a run would decide a verdict that is open: cycles, and about how long they take.

use super::words;
use crate::attribution::ScenarioFinding;
use crate::growth::{Growth, Verdict};
use crate::recording::Recording;
use crate::sample::{Shape, Stop};
use crate::units::show_count;

/// Seconds that the missing cycles of a verdict would take, at the pace of its scenario.
pub(super) fn seconds(finding: &ScenarioFinding, growth: &Growth) -> Option<f64> {
    let more = growth.more_cycles.filter(|_| growth.verdict == Verdict::Inconclusive)?;
    // One figure for all metrics: their floors lie at different places of a cycle.
    finding.growths.iter().find_map(cycle_seconds).map(|cycle| cycle * f64::from(more))
}

/// How long one cycle (or window of time) was.
fn cycle_seconds(growth: &Growth) -> Option<f64> {
    let (first, last) = (growth.floors.first()?, growth.floors.last()?);
    let cycles = last.cycle.checked_sub(first.cycle).filter(|&n| n > 0)?;
    Some((last.t - first.t) / f64::from(cycles))
}

/// `12 more cycles would decide (about 14 s)`; none where that cannot be said.
pub(super) fn sentence(finding: &ScenarioFinding, growth: &Growth) -> Option<String> {
    let more = growth.more_cycles.filter(|_| growth.verdict == Verdict::Inconclusive)?;
    let long = seconds(finding, growth).map(|seconds| format!("about {}", words::seconds(seconds)));
    match (finding.plan.shape, long) {
        (Shape::Watch | Shape::Counted, Some(long)) => Some(format!("{long} more would decide")),
        (Shape::Watch | Shape::Counted, None) => None,
        (_, long) => {
            let cycles = if more == 1 { "cycle" } else { "cycles" };
            let long = long.map(|long| format!(" ({long})")).unwrap_or_default();
            Some(format!("{} more {cycles} would decide{long}", show_count(f64::from(more))))
        }
    }
}

/// Why a threshold is open, with what would decide it. Where the time of the run was over, that comes first.
pub(super) fn why(recording: &Recording, finding: &ScenarioFinding, growth: Option<&Growth>, observed: &str) -> String {
    let more = growth.and_then(|growth| sentence(finding, growth));
    if finding.stop != Some(Stop::OutOfTime) {
        return more.map_or_else(|| observed.to_owned(), |more| format!("{observed}; {more}"));
    }
    let time = recording.header.plan.max_time_s.map(|seconds| format!(" (--max-time {})", words::seconds(seconds)));
    let time = format!("the time{} was over", time.unwrap_or_default());
    match (growth, finding.cycles) {
        (None, _) => format!("{time} before it could be looked at"),
        (Some(_), 0) => format!("{time} before its first cycle was; {observed}"),
        (Some(_), cycles) => {
            let more = more.map(|more| format!("; {more}")).unwrap_or_default();
            format!("{time} after {}{more}: {observed}", words::counted(cycles as usize, "cycle"))
        }
    }
}
