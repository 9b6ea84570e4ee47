//! What a chart shows, as plain numbers.

use crate::growth::{Axis, Curve, Estimate, Floor, Growth, Verdict};
use crate::sample::{Border, Mark, Moment, Phase, Record};
use crate::units::Unit;

/// A whole picture.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartData {
    /// The heading: which target, untrusted text.
    pub title: String,
    /// The line under it: when, on what machine, with what outcome.
    pub subtitle: String,
    /// One row each. The worst come first, whatever their order here; the picture holds [`ChartData::MOST`].
    pub panels: Vec<Panel>,
    /// Where every number is: `summary.json`.
    pub numbers: &'static str,
}

/// One metric of one scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What is shown: `work-items: private memory`.
    pub title: String,
    /// The verdict on it.
    pub verdict: Verdict,
    /// The figure beside the verdict: `98 B per operation (95 %: 92 B to 104 B)`.
    pub figure: String,
    /// What the values are counted in.
    pub unit: Unit,
    /// What growth is counted against.
    pub axis: Axis,
    /// Seconds of the recording, and the value, in the order of time.
    pub curve: Vec<(f64, f64)>,
    /// The phases.
    pub spans: Vec<Span>,
    /// The floors, warm-up included.
    pub floors: Vec<Floor>,
    /// The line through the floors of what grows without end.
    pub fit: Option<Fit>,
}

/// A phase in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Which.
    pub phase: Phase,
    /// Its begin in seconds of the recording.
    pub from: f64,
    /// Its end in seconds of the recording.
    pub to: f64,
}

/// A straight line over the axis of growth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The value at zero.
    pub intercept: f64,
    /// The rise for each unit of the axis.
    pub slope: f64,
}

impl Fit {
    /// The value at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }

    /// The line of the given slope that has as many floors above as below it.
    pub fn through(floors: &[Floor], slope: f64) -> Option<Self> {
        let mut rests: Vec<f64> =
            floors.iter().map(|floor| floor.value - slope * floor.x).filter(|rest| rest.is_finite()).collect();
        rests.sort_by(f64::total_cmp);
        let intercept = *rests.get(rests.len() / 2)?;
        Some(Self { intercept, slope })
    }
}

impl ChartData {
    /// How many panels a picture holds.
    pub const MOST: usize = 12;

    /// The panels to show, the worst first, and how many are left out.
    pub(super) fn worst(&self) -> (Vec<&Panel>, usize) {
        let mut panels: Vec<&Panel> = self.panels.iter().collect();
        panels.sort_by_key(|panel| std::cmp::Reverse(panel.verdict));
        let left_out = panels.len().saturating_sub(Self::MOST);
        panels.truncate(Self::MOST);
        (panels, left_out)
    }
}

impl Panel {
    /// The panel of one judged curve. `records` are those of its scenario: their marks are the phases.
    pub fn of(scenario: &str, curve: &Curve, growth: &Growth, records: &[Record]) -> Self {
        let judged: Vec<Floor> = growth.floors.iter().copied().filter(|floor| floor.cycle > 0).collect();
        // The first quarter is left out, as the judge does: caches fill there.
        let window = &judged[judged.len() / 4..];
        let fit = match (growth.verdict, growth.per_op) {
            (Verdict::Unbounded | Verdict::Retained, Some(per_op)) => Fit::through(window, per_op.value),
            _ => None,
        };
        Self {
            title: format!("{scenario}: {}", growth.metric.noun()),
            verdict: growth.verdict,
            figure: figure(growth),
            unit: growth.metric.unit(),
            axis: growth.axis,
            curve: curve.points.iter().map(|point| (point.t, point.value)).collect(),
            spans: spans(records),
            floors: growth.floors.clone(),
            fit,
        }
    }
}

/// The figure of a growth in words: what one operation keeps, or the whole of what came to rest or stayed flat.
pub fn figure(growth: &Growth) -> String {
    let unit = growth.metric.unit();
    match (growth.verdict, growth.per_op) {
        (Verdict::Bounded, _) => format!("{}, then at rest", unit.show_signed(growth.growth())),
        (Verdict::Flat, _) | (_, None) => format!("{} in all", unit.show_signed(growth.growth())),
        (_, Some(per_op)) => {
            let (factor, per) = match (growth.axis, unit) {
                // A person grasps 3 in 1,000 sooner than 0.003.
                (Axis::Operations, Unit::Count) if per_op.value.abs() < 0.1 => (1000.0, "per 1,000 operations"),
                (Axis::Operations, _) => (1.0, "per operation"),
                (Axis::Seconds, _) => (3600.0, "per hour"),
            };
            let Estimate { value, low, high } = per_op.scaled(factor);
            format!("{} {per}  (95 %: {} to {})", unit.show_signed(value), unit.show(low), unit.show(high))
        }
    }
}

/// The phases that the marks of a scenario draw.
pub fn spans(records: &[Record]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut open: Option<(Phase, Moment)> = None;
    for record in records {
        let Record::Mark(Mark { at, border, .. }) = record else { continue };
        if let Some((phase, from)) = open.take() {
            spans.push(Span { phase, from: from.seconds(), to: at.seconds() });
        }
        if let Border::PhaseBegins { phase, .. } = border {
            open = Some((*phase, *at));
        }
    }
    if let (Some((phase, from)), Some(last)) = (open, records.last()) {
        spans.push(Span { phase, from: from.seconds(), to: last.at().seconds() });
    }
    spans
}

/// Points thinned for a picture: of those that share a column only the lowest and the highest stay, in the
/// order of time.
pub(super) fn per_column(points: &[(f64, f64)], from: f64, to: f64, columns: usize) -> Vec<(f64, f64)> {
    let width = (to - from) / columns.max(1) as f64;
    let column_of = |t: f64| if width > 0.0 { ((t - from) / width) as i64 } else { 0 };
    let finite: Vec<(f64, f64)> =
        points.iter().copied().filter(|(t, value)| t.is_finite() && value.is_finite()).collect();
    let mut out = Vec::new();
    for column in finite.chunk_by(|a, b| column_of(a.0) == column_of(b.0)) {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (Some(low), Some(high)) = (column.iter().min_by(by_value), column.iter().max_by(by_value)) else {
            continue;
        };
        let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        out.push(*first);
        if first != second {
            out.push(*second);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seconds: u64, border: Border) -> Record {
        Record::Mark(Mark { at: Moment(seconds * 1_000_000), operations: 0, border })
    }

    #[test]
    fn marks_draw_phases() {
        let begins = |phase, cycle| Border::PhaseBegins { phase, cycle };
        let mut records =
            vec![mark(1, begins(Phase::Warmup, 0)), mark(3, begins(Phase::Load, 1)), mark(5, begins(Phase::Settle, 1))];
        records.push(Record::Sample(crate::sample::Sample { at: Moment(9_000_000), ..Default::default() }));
        let expected = [(Phase::Warmup, 1.0, 3.0), (Phase::Load, 3.0, 5.0), (Phase::Settle, 5.0, 9.0)];
        assert_eq!(spans(&records), expected.map(|(phase, from, to)| Span { phase, from, to }));
        assert_eq!(spans(&[]), []);
    }

    #[test]
    fn a_column_keeps_its_extremes_in_order() {
        let points: Vec<(f64, f64)> = (0..1000).map(|i| (f64::from(i), f64::from((i * 37) % 101))).collect();
        let thinned = per_column(&points, 0.0, 1000.0, 10);
        assert_eq!(thinned.len(), 20);
        assert!(thinned.is_sorted_by_key(|(t, _)| *t as i64));
        assert!(thinned.iter().any(|(_, value)| *value == 0.0) && thinned.iter().any(|(_, value)| *value == 100.0));
        assert_eq!(per_column(&[(1.0, f64::NAN)], 0.0, 2.0, 5), []);
    }

    #[test]
    fn figures_are_those_a_person_grasps() {
        let per_op = |value: f64| Some(Estimate { value, low: value * 0.5, high: value * 2.0 });
        let growth = |metric, axis, verdict, per_op| Growth {
            metric,
            axis,
            verdict,
            suspected: false,
            decided_at: None,
            per_op,
            window: None,
            per_hour: None,
            baseline: 10.0,
            last: 1034.0,
            highest: 0.0,
            sensitivity: None,
            more_cycles: None,
            since: None,
            reason: String::new(),
            floors: Vec::new(),
        };
        use crate::sample::Metric::{Private, Threads};
        for (metric, axis, verdict, per_op, words) in [
            (Private, Axis::Operations, Verdict::Unbounded, per_op(98.0), "+98 B per operation  (95 %: 49 B to 196 B)"),
            (Threads, Axis::Operations, Verdict::Unbounded, per_op(0.002), "+2 per 1,000 operations  (95 %: 1 to 4)"),
            (Threads, Axis::Seconds, Verdict::Inconclusive, per_op(0.5), "+1,800 per hour  (95 %: 900 to 3,600)"),
            (Private, Axis::Operations, Verdict::Bounded, per_op(0.1), "+1 KiB, then at rest"),
            (Private, Axis::Operations, Verdict::Flat, per_op(0.1), "+1 KiB in all"),
            (Private, Axis::Operations, Verdict::Inconclusive, None, "+1 KiB in all"),
        ] {
            assert_eq!(figure(&growth(metric, axis, verdict, per_op)), words);
        }
    }

    #[test]
    fn a_line_runs_through_the_middle_of_the_floors() {
        let floor = |x: f64, value| Floor { cycle: 1, t: x, x, value };
        let floors = [floor(0.0, 10.0), floor(1.0, 13.0), floor(2.0, 50.0)];
        assert_eq!(Fit::through(&floors, 2.0), Some(Fit { intercept: 11.0, slope: 2.0 }));
        assert_eq!(Fit::through(&[], 2.0), None);
    }
}
