//! The figures: a row for each scenario and metric worth a look, and the ledgers.

use super::layout::Page;
use crate::attribution::{Ledger, Resource, ScenarioFinding};
use crate::gate::Gate;
use crate::growth::{Axis, Growth, Verdict};
use crate::report::escape::plain;
use crate::report::sparkline::{Glyphs, sparkline};
use crate::report::table::{Cell, Column, Table, verdict_style};
use crate::report::{Report, words};
use crate::sample::{Metric, Shape};

/// How many quiet metrics stand beside the private memory of a scenario.
const QUIET_ROWS: usize = 1;
/// Width of the small curves.
const CURVE: usize = 8;

/// The rows of a scenario: what grows or rose and is not decided, what else has a threshold, and private memory.
pub(in crate::report) fn interesting<'a>(finding: &'a ScenarioFinding, gate: &Gate) -> Vec<&'a Growth> {
    let asked = |metric: &Metric| gate.checks.iter().any(|c| c.metric == *metric && c.scenario == finding.plan.name);
    // The gauges of a watch were named one by one: whoever did wants to see them.
    let named =
        |metric: &Metric| matches!((metric, finding.plan.shape), (Metric::Gauge(_), Shape::Watch | Shape::Counted));
    let gated =
        |growth: &&Growth| Metric::GATED.contains(&growth.metric) || asked(&growth.metric) || named(&growth.metric);
    let loud = |growth: &&Growth| match growth.verdict {
        Verdict::Unbounded | Verdict::Retained => true,
        Verdict::Inconclusive => growth.suspected || growth.growth() > 0.0,
        Verdict::Bounded | Verdict::Flat => !Metric::GATED.contains(&growth.metric),
    };
    let mut quiet: Vec<&Growth> = finding
        .growths
        .iter()
        .filter(gated)
        .filter(|growth| !loud(growth) && growth.growth() > 0.0)
        // A peak beside quiet memory is the noise of load.
        .filter(|growth| !matches!(growth.metric, Metric::Private | Metric::Peak))
        .collect();
    // Bounded ones say more than flat ones; shares of a metric's own level make different units comparable.
    let share = |growth: &Growth| growth.growth() / growth.last.abs().max(1.0);
    quiet.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(share(b).total_cmp(&share(a))));
    quiet.truncate(QUIET_ROWS);
    let wanted = |growth: &&Growth| {
        growth.metric == Metric::Private || loud(growth) || quiet.iter().any(|quiet| quiet.metric == growth.metric)
    };
    let echo = |growth: &&Growth| finding.is_echo(growth);
    finding.growths.iter().filter(gated).filter(wanted).filter(|growth| !echo(growth)).collect()
}

/// One row for each scenario and metric worth a look.
pub(super) fn curves(page: &mut Page, report: &Report) {
    let findings = &report.findings.scenarios;
    if findings.iter().all(|finding| finding.growths.is_empty()) {
        return;
    }
    let units = Units::of(findings);
    let mut table = Table::new(vec![
        Column::text("scenario", 8),
        Column::text("metric", 7),
        Column::text("verdict", 9),
        Column::number("growth"),
        Column::number(units.title()),
        Column::number("an hour"),
        Column::text("floors", CURVE),
    ]);
    for finding in findings {
        for growth in interesting(finding, &report.gate) {
            table.row(row(finding, growth, units));
        }
    }
    page.blank();
    page.block(&table.render(page.width(), page.colour()));
}

/// What one step on the axes is, over all scenarios.
#[derive(Clone, Copy)]
pub(in crate::report) enum Units {
    Operations,
    Seconds,
    Mixed,
}

impl Units {
    pub(in crate::report) fn of(findings: &[ScenarioFinding]) -> Self {
        let driven = findings.iter().filter(|finding| finding.axis() == Axis::Operations).count();
        match driven {
            0 => Self::Seconds,
            all if all == findings.len() => Self::Operations,
            _ => Self::Mixed,
        }
    }

    pub(in crate::report) fn title(self) -> &'static str {
        match self {
            Self::Operations => "an operation (95 %)",
            Self::Seconds => "a second (95 %)",
            Self::Mixed => "each (95 %)",
        }
    }

    pub(in crate::report) fn suffix(self, axis: Axis) -> &'static str {
        match (self, axis) {
            (Self::Mixed, Axis::Operations) => "/op",
            (Self::Mixed, Axis::Seconds) => "/s",
            _ => "",
        }
    }
}

fn row(finding: &ScenarioFinding, growth: &Growth, units: Units) -> [Cell; 7] {
    let unit = growth.metric.unit();
    let suffix = units.suffix(growth.axis);
    let loud = matches!(growth.verdict, Verdict::Unbounded | Verdict::Retained | Verdict::Inconclusive);
    let each = match (growth.per_op, growth.sensitivity) {
        (Some(rate), _) if loud => format!("{}{suffix} {}", unit.show(rate.value), words::ends(unit, rate)),
        (_, Some(least)) if growth.verdict == Verdict::Flat => format!("under {}{suffix}", unit.show(least)),
        _ => String::new(),
    };
    let per_hour = growth.per_hour.filter(|_| loud).map(|rate| unit.show(rate.value)).unwrap_or_default();
    // A rise below what anyone cares about over the whole run looks flat.
    let steps = growth.floors.last().map_or(0.0, |floor| floor.x);
    let matters = finding.plan.smallest.of(unit) * steps;
    let floors: Vec<f64> = growth.floors.iter().filter(|floor| floor.cycle > 0).map(|floor| floor.value).collect();
    let word = match (growth.verdict, growth.suspected) {
        (Verdict::Inconclusive, true) => "suspected",
        (verdict, _) => words::verdict(verdict),
    };
    [
        plain(&finding.plan.name).into(),
        growth.metric.to_string().into(),
        Cell::styled(word, verdict_style(growth.verdict)),
        unit.show_signed(growth.growth()).into(),
        each.into(),
        per_hour.into(),
        sparkline(&floors, CURVE, matters, Glyphs::Blocks).into(),
    ]
}

/// What grew, by subsystem; each ledger with its sum.
pub(super) fn ledgers(page: &mut Page, report: &Report) {
    let grown: Vec<&Ledger> =
        report.findings.ledgers.iter().filter(|ledger| !ledger.rows.is_empty() && !is_noise(report, ledger)).collect();
    if grown.is_empty() {
        return;
    }
    let mut table = Table::new(vec![
        Column::text("what grew", 11),
        Column::text("subsystem", 9),
        Column::number("growth"),
        Column::text("verdict", 9),
        Column::text("shown by", 8),
        Column::text("count × each", 34),
    ]);
    for ledger in grown {
        account(&mut table, ledger);
    }
    page.blank();
    page.block(&table.render(page.width(), page.colour()));
}

/// Whether a ledger tells of peaks that rose only with retained memory, or came to rest: given back or told already.
fn is_noise(report: &Report, ledger: &Ledger) -> bool {
    let told = |row: &crate::attribution::Row| {
        let finding = report.findings.scenarios.iter().find(|finding| finding.plan.name == row.scenario);
        let growth = finding.and_then(|finding| Some((finding, finding.growth(&row.metric)?)));
        matches!(row.verdict, Verdict::Flat | Verdict::Bounded)
            || growth.is_some_and(|(finding, growth)| finding.is_echo(growth))
    };
    ledger.resource == Resource::Peak && ledger.rows.iter().all(told)
}

fn account(table: &mut Table, ledger: &Ledger) {
    let unit = ledger.resource.unit();
    let (quiet, loud): (Vec<_>, Vec<_>) = ledger.rows.iter().partition(|row| row.verdict == Verdict::Flat);
    for row in &loud {
        // Only what counts itself has a price for each; operations have theirs in the table above.
        let items = row.items.as_ref().filter(|items| items.of != "operations").map(|items| {
            format!("{} {} × {}", crate::units::show_count(items.count.round()), items.of, unit.show(items.each))
        });
        table.row([
            row.metric.to_string().into(),
            plain(&row.subsystem).into(),
            unit.show_signed(row.growth).into(),
            Cell::styled(words::verdict(row.verdict), verdict_style(row.verdict)),
            plain(&row.scenario).into(),
            plain(&items.unwrap_or_default()).into(),
        ]);
    }
    if !quiet.is_empty() {
        let sum: f64 = quiet.iter().map(|row| row.growth).sum();
        let parts = words::counted(quiet.len(), "flat row");
        table.row([
            ledger.resource.name().into(),
            parts.into(),
            unit.show_signed(sum).into(),
            Cell::styled(words::verdict(Verdict::Flat), verdict_style(Verdict::Flat)),
        ]);
    }
    table.row([ledger.resource.name().into(), "in all".into(), unit.show_signed(ledger.total).into()]);
}
