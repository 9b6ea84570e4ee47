//! Which curves of a run are drawn: for each scenario what grows without end, else its private memory.

use super::chart::{ChartData, Panel};
use crate::attribution::{Findings, ScenarioFinding, curve};
use crate::growth::Verdict;
use crate::recording::{Mode, Recording};
use crate::sample::Metric;
use crate::units::show_bytes;

/// The picture of a run. `outcome` is told in its heading: `growth crossed a threshold`.
pub fn picture(recording: &Recording, findings: &Findings, outcome: &str) -> ChartData {
    let panels = recording
        .passages()
        .iter()
        .zip(&findings.scenarios)
        .flat_map(|(passage, finding)| {
            shown(finding).into_iter().filter_map(|metric| {
                let growth = finding.growth(&metric)?;
                Some(Panel::of(&finding.plan.name, &curve(passage, &metric), growth, passage.records))
            })
        })
        .collect();
    let title = format!("{}: {outcome}", recording.header.plan.name);
    ChartData { title, subtitle: subtitle(recording), panels, numbers: "summary.json" }
}

/// The metrics of a scenario that are drawn, at least one where anything was seen.
fn shown(finding: &ScenarioFinding) -> Vec<Metric> {
    let mut guilty: Vec<Metric> = finding.growing().map(|growth| growth.metric.clone()).collect();
    // A retained rise lifts the peak too: it would be the same picture twice.
    if guilty.contains(&Metric::Private) {
        guilty.retain(|metric| *metric != Metric::Peak);
    }
    if !guilty.is_empty() {
        return guilty;
    }
    let undecided = |metric: &&Metric| finding.growth(metric).is_some_and(|g| g.verdict == Verdict::Inconclusive);
    let first = [Metric::Private].iter().find(undecided).or_else(|| Metric::GATED.iter().find(undecided)).cloned();
    let fallback = [Metric::Private, Metric::Rss].into_iter().find(|metric| finding.growth(metric).is_some());
    first.or(fallback).or_else(|| finding.growths.first().map(|growth| growth.metric.clone())).into_iter().collect()
}

fn subtitle(recording: &Recording) -> String {
    let header = &recording.header;
    let mode = match header.mode {
        Mode::Check => "check",
        Mode::Attach => "attach",
        Mode::Run => "run",
        Mode::Demo => "demo",
    };
    let mut parts = vec![format!("{mode} on {}", header.started)];
    if !header.host.kernel.is_empty() {
        parts.push(format!("kernel {}", header.host.kernel));
    }
    if header.host.cpus > 0 {
        parts.push(format!("{} processors", header.host.cpus));
    }
    if let Some(limit) = header.plan.memory_limit.or_else(|| header.host.limits.get("memory").copied()) {
        parts.push(format!("memory limit {}", show_bytes(limit as f64)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::Axis;
    use crate::recording::{Header, Host};
    use crate::sample::{
        Border, LoadPlan, Mark, Memory, MemorySource, Moment, Phase, Plan, Record, Sample, ScenarioPlan, Shape,
        Smallest, Stop, Tally, Usual,
    };

    const PAGE: u64 = 4096;

    fn scenario_plan(name: &str) -> ScenarioPlan {
        ScenarioPlan {
            name: name.into(),
            shape: Shape::Flood,
            subsystem: None,
            steps: Vec::new(),
            load: LoadPlan::default(),
            smallest: Smallest::PER_OPERATION,
            usual: Usual::default(),
            expect_cap: None,
            thresholds: Vec::new(),
            production: Vec::new(),
        }
    }

    /// Thirty cycles of 1,000 operations, each of which keeps `pages` pages per ten operations.
    fn scenario(name: &str, begin_ms: u64, pages: u64) -> Vec<Record> {
        let at = |ms: u64| Moment((begin_ms + ms) * 1000);
        let mark = |ms, operations, border| Record::Mark(Mark { at: at(ms), operations, border });
        let sample = |ms, operations: u64, lift| {
            let private = 2000 * PAGE + operations / 10 * pages * PAGE + lift;
            Record::Sample(Sample {
                at: at(ms),
                operations,
                processes: 1,
                anonymous: Some(private),
                memory: Some(Memory { private, ..Memory::default() }),
                ..Sample::default()
            })
        };
        let source = MemorySource::SmapsRollup;
        let mut records =
            vec![mark(0, 0, Border::ScenarioBegins { scenario: name.into(), memory_source: source }), sample(1, 0, 0)];
        for cycle in 1..=30u64 {
            let (start, done) = (cycle * 1000, cycle * 1000);
            let begins = |phase| Border::PhaseBegins { phase, cycle: cycle as u32 };
            records.push(mark(start, done - 1000, begins(Phase::Load)));
            records.extend((0..5).map(|i| sample(start + 100 * i + 50, done - 1000 + 200 * i, 40 * PAGE)));
            records.push(mark(start + 600, done, begins(Phase::Settle)));
            records.extend((0..3).map(|i| sample(start + 650 + 100 * i, done, 0)));
        }
        let ends = Border::ScenarioEnds { scenario: name.into(), stop: Stop::Spent, tally: Tally::default() };
        records.push(mark(31_000, 30_000, ends));
        records
    }

    fn recording() -> Recording {
        let header = Header {
            tidewatch: "0.1.0".into(),
            started: "2026-02-03T04:05:06Z".into(),
            mode: Mode::Check,
            launched: true,
            interval_us: 100_000,
            host: Host { kernel: "6.12.0".into(), cpus: 8, ..Host::default() },
            plan: Plan {
                name: "shop".into(),
                scenarios: vec![scenario_plan("calm"), scenario_plan("leaky")],
                memory_limit: Some(512 << 20),
                ..Plan::default()
            },
        };
        let records = [scenario("calm", 0, 0), scenario("leaky", 40_000, 1)].concat();
        Recording { header, records, footer: None, remarks: Vec::new() }
    }

    #[test]
    fn each_scenario_has_a_panel_of_what_is_guilty() {
        let recording = recording();
        let chart = picture(&recording, &Findings::of(&recording), "growth crossed a threshold");
        assert_eq!(chart.title, "shop: growth crossed a threshold");
        assert_eq!(chart.subtitle, "check on 2026-02-03T04:05:06Z, kernel 6.12.0, 8 processors, memory limit 512 MiB");
        let shown: Vec<_> = chart.panels.iter().map(|panel| (panel.title.as_str(), panel.verdict)).collect();
        assert_eq!(shown, [("calm: private memory", Verdict::Flat), ("leaky: private memory", Verdict::Unbounded)]);
        let leaky = &chart.panels[1];
        assert_eq!((leaky.axis, leaky.spans.len()), (Axis::Operations, 60));
        let slope = leaky.fit.expect("a fitted line").slope;
        assert!((slope - 409.6).abs() < 20.0, "{slope} bytes per operation");
        assert!(leaky.figure.contains("per operation"), "{}", leaky.figure);
    }
}
