//! The tables of the document: growth equation, rates, limits, verdicts, ledgers.

use super::{Align, Document, escaped};
use crate::attribution::Resource;
use crate::growth::{Axis, Growth, Verdict};
use crate::report::equation::{self, Declared, Equation, Pace, Term};
use crate::report::limits::LimitTime;
use crate::report::{Report, holders, limits as times, terminal, words};
use crate::units::{Unit, show_count};

/// `count x each = growth` over a day, for each resource.
pub(super) fn equations(out: &mut Document, report: &Report) {
    let equations = equation::equations(&report.findings);
    if equations.is_empty() {
        return;
    }
    out.heading("Growth equation (24 hours)");
    for equation in &equations {
        one_equation(out, equation);
    }
}

fn one_equation(out: &mut Document, equation: &Equation<'_>) {
    let unit = equation.resource.unit();
    let columns = [
        (equation.resource.name(), Align::Left),
        ("count × each", Align::Right),
        ("in 24 h", Align::Right),
        ("does it end?", Align::Left),
        ("at", Align::Left),
    ];
    let mut rows: Vec<Vec<String>> = equation.terms.iter().map(|term| equation_row(term, unit)).collect();
    let (bounded, endless) = equation.total();
    rows.push(vec![
        "**total**".into(),
        String::new(),
        format!("**{}**", unit.show(bounded + endless)),
        format!("of it without end: {}", unit.show(endless)),
        String::new(),
    ]);
    out.table(&columns, &rows);
}

fn equation_row(term: &Term<'_>, unit: Unit) -> Vec<String> {
    let row = term.row;
    let (growth, ends) = match row.verdict {
        Verdict::Inconclusive => {
            (format!("up to {}", unit.show(term.growth.high.max(0.0))), "not decided, not in the total".to_owned())
        }
        Verdict::Bounded => (unit.show(term.growth.value), "bounded: held once".into()),
        Verdict::Retained => (
            format!("up to {}", unit.show(term.growth.high.max(0.0))),
            "retained by the allocator, not in the total".into(),
        ),
        verdict => (words::interval(unit, term.growth), words::verdict(verdict).into()),
    };
    vec![name(&row.subsystem, &row.metric, &row.scenario, unit), equation::product(term), growth, ends, at(&term.pace)]
}

/// The subsystem, with the metric where the resource has several.
fn name(subsystem: &str, metric: &crate::sample::Metric, scenario: &str, unit: Unit) -> String {
    let plain = match unit {
        Unit::Bytes => format!("{subsystem} ({scenario})"),
        Unit::Count => format!("{subsystem} ({scenario}, {metric})"),
    };
    escaped(&plain)
}

fn at(pace: &Pace) -> String {
    match pace {
        Pace::Declared(rate) => format!("{} ({})", escaped(&rate.name), rate.rate),
        Pace::Measured(rate) => format!("the pace of this run ({rate})"),
        Pace::Time => "all day".into(),
        Pace::Once => String::new(),
    }
}

/// What each finding comes to in a day at each rate of production.
pub(super) fn rates(out: &mut Document, report: &Report) {
    let table = equation::rate_table(&report.findings);
    if table.rows.is_empty() {
        return;
    }
    out.heading("Growth in 24 hours by rate of use");
    let mut columns = vec![("finding", Align::Left)];
    let titles: Vec<String> = table.rates.iter().map(|rate| escaped(rate)).collect();
    columns.extend(titles.iter().map(|title| (title.as_str(), Align::Right)));
    columns.push(("does it end?", Align::Left));
    let rows: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|(row, cells)| {
            let unit = row.metric.unit();
            let mut line = vec![format!("{}: {}", escaped(&row.subsystem), escaped(&row.metric.noun()))];
            line.extend(cells.iter().map(|cell| cell.map_or("–".into(), |amount| unit.show(amount))));
            line.push(words::verdict(row.verdict).into());
            line
        })
        .collect();
    out.table(&columns, &rows);
    if table.declared == Declared::Usual {
        out.block(
            "Where a scenario declares no `production` rates, the usual ones stand in: conservative 10/h, \
             moderate 100/h, heavy 1,000/h, worst 10,000/h.",
        );
    }
}

/// When growth without end meets a limit: a row for each finding, a column for each pace.
pub(super) fn limits(out: &mut Document, report: &Report) {
    let times: Vec<LimitTime> = times::of(&report.recording, &report.findings);
    if times.is_empty() {
        return;
    }
    out.heading("Time to the limit");
    let mut paces: Vec<&str> = equation::rate_names(&report.findings);
    paces.retain(|pace| times.iter().any(|time| time.pace == *pace));
    paces.insert(0, times::THIS_RUN);
    let titles: Vec<String> = paces.iter().map(|pace| escaped(pace)).collect();
    let mut columns = vec![("finding", Align::Left), ("limit", Align::Left)];
    columns.extend(titles.iter().map(|title| (title.as_str(), Align::Left)));
    let of_run = times.iter().filter(|time| time.pace == times::THIS_RUN);
    let rows: Vec<Vec<String>> = of_run.map(|first| limit_row(first, &times, &paces)).collect();
    out.table(&columns, &rows);
    out.block(
        "Each finding alone, from the level under load at the end of the run, with the 95 % interval of its growth.",
    );
}

fn limit_row(first: &LimitTime, times: &[LimitTime], paces: &[&str]) -> Vec<String> {
    let same = |time: &&LimitTime| time.scenario == first.scenario && time.metric == first.metric;
    let at = |pace: &&str| times.iter().filter(same).find(|time| time.pace == *pace);
    let mut row = vec![
        escaped(&format!("{}: {}", first.scenario, first.metric)),
        format!("{} {}", first.limit_noun(), first.shown_limit()),
    ];
    row.extend(paces.iter().map(|pace| at(pace).map_or("–".into(), LimitTime::time)));
    row
}

/// The verdicts worth a look, by scenario.
pub(super) fn verdicts(out: &mut Document, report: &Report) {
    out.heading("Verdicts");
    let titles = terminal::Units::of(&report.findings.scenarios);
    let columns = [
        ("scenario", Align::Left),
        ("metric", Align::Left),
        ("verdict", Align::Left),
        ("growth", Align::Right),
        (titles.title(), Align::Right),
        ("an hour", Align::Right),
        ("why", Align::Left),
    ];
    let rows: Vec<Vec<String>> = report
        .findings
        .scenarios
        .iter()
        .flat_map(|finding| {
            terminal::interesting(finding, &report.gate)
                .into_iter()
                .map(|growth| verdict_row(&finding.plan.name, growth, titles))
        })
        .collect();
    if rows.is_empty() {
        out.block("Nothing was seen for long enough to be judged.");
        return;
    }
    out.table(&columns, &rows);
    let shapes = report.findings.scenarios.iter().map(|finding| {
        let done = match finding.axis() {
            Axis::Operations => format!(
                "{}, {} operations",
                words::counted(finding.cycles as usize, "cycle"),
                show_count(finding.operations as f64)
            ),
            Axis::Seconds => words::counted(finding.cycles as usize, "window"),
        };
        format!("{} ({}): {done}", escaped(&finding.plan.name), words::shape(finding.plan.shape))
    });
    out.list(shapes);
}

fn verdict_row(scenario: &str, growth: &Growth, units: terminal::Units) -> Vec<String> {
    let unit = growth.metric.unit();
    let quiet = growth.verdict == Verdict::Flat;
    let suffix = units.suffix(growth.axis);
    let rate = growth.per_op.filter(|_| !quiet).map(|rate| format!("{}{suffix}", words::interval(unit, rate)));
    let per_hour = growth
        .per_hour
        .filter(|_| matches!(growth.verdict, Verdict::Unbounded | Verdict::Retained | Verdict::Inconclusive));
    vec![
        escaped(scenario),
        escaped(&growth.metric.to_string()),
        words::verdict(growth.verdict).into(),
        unit.show_signed(growth.growth()),
        rate.unwrap_or_default(),
        per_hour.map(|rate| unit.show(rate.value)).unwrap_or_default(),
        escaped(&growth.reason),
    ]
}

/// Every increment and its owner; the rows of a ledger sum to what was measured.
pub(super) fn ledgers(out: &mut Document, report: &Report) {
    out.heading("Ledgers");
    let columns = [
        ("resource", Align::Left),
        ("subsystem", Align::Left),
        ("growth", Align::Right),
        ("verdict", Align::Left),
        ("shown by", Align::Left),
        ("evidence", Align::Left),
    ];
    let mut rows = Vec::new();
    for ledger in report.findings.ledgers.iter().filter(|ledger| !ledger.rows.is_empty()) {
        let unit = ledger.resource.unit();
        rows.extend(ledger.rows.iter().map(|row| {
            vec![
                resource(ledger.resource, &row.metric),
                escaped(&row.subsystem),
                unit.show_signed(row.growth),
                words::verdict(row.verdict).into(),
                escaped(&row.scenario),
                escaped(&row.evidence.join("; ")),
            ]
        }));
        rows.push(vec![
            format!("**{}**", ledger.resource.name()),
            "**in all**".into(),
            format!("**{}**", unit.show_signed(ledger.total)),
            String::new(),
            String::new(),
            String::new(),
        ]);
    }
    if rows.is_empty() {
        out.block("Nothing grew.");
    } else {
        out.table(&columns, &rows);
    }
    let holders = holders::sentences(report);
    if !holders.is_empty() {
        out.block("Which process grew:");
        out.list(holders.iter().map(|sentence| escaped(sentence)));
    }
}

fn resource(resource: Resource, metric: &crate::sample::Metric) -> String {
    match resource.metrics() {
        [_] => resource.name().to_owned(),
        _ => format!("{} ({metric})", resource.name()),
    }
}
