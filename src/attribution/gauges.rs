//! The link between a number that the target exports and the memory it holds.

use crate::growth::{Growth, Verdict};
use crate::sample::{Metric, Plan};

use super::findings::ScenarioFinding;
use super::patterns::Pattern;

/// A gauge that grew together with a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct GaugeLink {
    /// Its name.
    pub gauge: String,
    /// The subsystem that owns it.
    pub subsystem: String,
    /// By how much it grew over the scenario.
    pub growth: f64,
    /// Correlation (Pearson's r) of its level with the metric's, cycle by cycle.
    pub correlation: f64,
    /// Growth of the metric for each item that the gauge counts (least squares over the cycles).
    pub per_item: f64,
}

/// The owned gauges whose growth is of the metric's kind: unbounded with unbounded, bounded with bounded.
pub fn links(plan: &Plan, finding: &ScenarioFinding, growth: &Growth) -> Vec<GaugeLink> {
    plan.subsystems
        .iter()
        .flat_map(|subsystem| subsystem.owns.gauges.iter().map(move |gauge| (subsystem, gauge)))
        .flat_map(|(subsystem, rule)| {
            let pattern = Pattern::new(rule);
            finding.growths.iter().filter_map(move |gauge| match &gauge.metric {
                Metric::Gauge(name) if name == rule || pattern.fits(name) => Some((subsystem, name, gauge)),
                _ => None,
            })
        })
        .filter_map(|(subsystem, name, gauge)| {
            let grew = gauge.growth() > 0.0 && same_kind(gauge.verdict, growth.verdict);
            let (correlation, per_item) = line(&pairs(gauge, growth))?;
            (grew && correlation > 0.5).then(|| GaugeLink {
                gauge: name.clone(),
                subsystem: subsystem.name.clone(),
                growth: gauge.growth(),
                correlation,
                per_item,
            })
        })
        .collect()
}

/// A doubling table rises in few steps: the gauge may be plainly unbounded before its memory is.
fn same_kind(gauge: Verdict, metric: Verdict) -> bool {
    match metric {
        Verdict::Unbounded => gauge == Verdict::Unbounded,
        Verdict::Bounded | Verdict::Flat => matches!(gauge, Verdict::Bounded | Verdict::Flat),
        Verdict::Retained | Verdict::Inconclusive => true,
    }
}

/// The two floors of each cycle that has both.
fn pairs(gauge: &Growth, growth: &Growth) -> Vec<(f64, f64)> {
    growth
        .floors
        .iter()
        .filter_map(|floor| {
            let same = gauge.floors.iter().find(|other| other.cycle == floor.cycle && other.cycle > 0)?;
            Some((same.value, floor.value))
        })
        .collect()
}

/// Pearson's r and the least-squares slope of y on x; `None` with fewer than three pairs or no spread.
fn line(pairs: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = pairs.len() as f64;
    if pairs.len() < 3 {
        return None;
    }
    let (mean_x, mean_y) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xx += (x - mean_x).powi(2);
        yy += (y - mean_y).powi(2);
        xy += (x - mean_x) * (y - mean_y);
    }
    (xx > 0.0 && yy > 0.0).then(|| (xy / (xx * yy).sqrt(), xy / xx))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_is_found_and_a_point_is_not() {
        let (r, slope) = line(&[(0.0, 10.0), (10.0, 5010.0), (20.0, 10_010.0)]).expect("a line");
        assert!((r - 1.0).abs() < 1e-12);
        assert!((slope - 500.0).abs() < 1e-9);
        assert_eq!(line(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(line(&[(1.0, 1.0), (2.0, 2.0)]), None);
    }
}
