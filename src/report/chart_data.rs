//! What the chart shows of a report, as plain numbers.

use super::chart::{ChartData, Panel};
use super::terminal::interesting;
use super::{Report, story};
use crate::attribution::curve;

/// A panel for each scenario and metric worth a look.
pub(super) fn of(report: &Report) -> ChartData {
    let Report { recording, findings, gate } = report;
    let header = &recording.header;
    let passages = recording.passages();
    let panels = passages
        .iter()
        .zip(&findings.scenarios)
        .flat_map(|(passage, finding)| {
            interesting(finding, gate)
                .into_iter()
                .map(|growth| Panel::of(&finding.plan.name, &curve(passage, &growth.metric), growth, passage.records))
        })
        .collect();
    let headline = story::headline(&header.plan, findings, gate);
    ChartData {
        title: format!("{}: {}: {headline}", header.plan.name, story::outcome(gate.exit)),
        subtitle: format!(
            "{}, Linux {}, {} processors, tidewatch {}",
            header.started, header.host.kernel, header.host.cpus, header.tidewatch
        ),
        panels,
    }
}
