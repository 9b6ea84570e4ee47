//! The growth equation: `count x each = growth` for every subsystem, over a day of use.
//!
//! Growth without end is multiplied; bounded growth counts once, with the bound that was seen; what the allocator retains and
//! what the run could not decide are shown and kept out of the total.

use super::projection::{Cost, DAY, term, usual_rates};
use crate::attribution::{Findings, Resource, Row, ScenarioFinding};
use crate::growth::{Axis, Estimate, Verdict};
use crate::sample::{Metric, ProductionRate};
use crate::units::{Rate, Unit};

/// How often the operation happens in the day that is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pace {
    /// As a production rate of the scenario file says.
    Declared(ProductionRate),
    /// As in the run.
    Measured(Rate),
    /// It grows with time and needs no operation.
    Time,
    /// It came to rest: what it holds, it holds once.
    Once,
}

/// One row of the equation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term<'a> {
    pub row: &'a Row,
    pub pace: Pace,
    /// What is counted: `operations`, `seconds` or a gauge's name.
    pub of: &'a str,
    pub count: Option<f64>,
    pub each: Option<f64>,
    pub growth: Estimate,
}

/// The equation of one resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Equation<'a> {
    pub resource: Resource,
    pub terms: Vec<Term<'a>>,
}

impl Equation<'_> {
    /// What the decided rows come to, the bounded ones and those without end.
    pub fn total(&self) -> (f64, f64) {
        let sum = |verdict| self.terms.iter().filter(|t| t.row.verdict == verdict).map(|t| t.growth.value).sum::<f64>();
        (sum(Verdict::Bounded), sum(Verdict::Unbounded))
    }
}

/// One equation for each resource in which anything grew.
pub(super) fn equations(findings: &Findings) -> Vec<Equation<'_>> {
    findings
        .ledgers
        .iter()
        .map(|ledger| Equation {
            resource: ledger.resource,
            terms: grown(findings, &ledger.rows).filter_map(|(row, finding)| of_row(row, finding)).collect(),
        })
        .filter(|equation| !equation.terms.is_empty())
        .collect()
}

/// The rows that grew. A peak that came to rest, or rose only because memory was retained, is given back or
/// counted already.
fn grown<'a>(findings: &'a Findings, rows: &'a [Row]) -> impl Iterator<Item = (&'a Row, &'a ScenarioFinding)> {
    let rows = rows.iter().filter(|row| row.growth > 0.0 && row.verdict != Verdict::Flat);
    rows.filter_map(|row| {
        let finding = scenario(findings, row)?;
        let echo = finding.growth(&row.metric).is_some_and(|growth| finding.is_echo(growth));
        let given_back = row.metric == Metric::Peak && row.verdict == Verdict::Bounded;
        (!echo && !given_back).then_some((row, finding))
    })
}

fn scenario<'a>(findings: &'a Findings, row: &Row) -> Option<&'a ScenarioFinding> {
    findings.scenarios.iter().find(|finding| finding.plan.name == row.scenario)
}

fn of_row<'a>(row: &'a Row, finding: &'a ScenarioFinding) -> Option<Term<'a>> {
    if row.verdict == Verdict::Bounded {
        let growth = Estimate { value: row.growth, low: row.growth, high: row.growth };
        return Some(Term { row, pace: Pace::Once, of: "", count: None, each: None, growth });
    }
    let pace = pace(row, finding)?;
    let rate = match &pace {
        Pace::Declared(declared) => declared.rate,
        Pace::Measured(rate) => *rate,
        Pace::Time | Pace::Once => Rate::per_second(1.0),
    };
    let product = term(&cost(row)?, rate, DAY);
    let (of, count) = counted(row, finding, product.count);
    let each = product.growth.value / count;
    Some(Term { row, pace, of, count: Some(count), each: Some(each), growth: product.growth })
}

fn cost(row: &Row) -> Option<Cost> {
    Some(Cost {
        subsystem: row.subsystem.clone(),
        unit: row.metric.unit(),
        verdict: row.verdict,
        per_op: row.per_op?,
        cap: None,
    })
}

/// What is counted, and how many of it a day of so many operations makes. A gauge counts in its own items.
fn counted<'a>(row: &'a Row, finding: &'a ScenarioFinding, operations: f64) -> (&'a str, f64) {
    match &row.items {
        Some(items) if items.of != "operations" && items.count > 0.0 && finding.operations > 0 => {
            (&items.of, operations * items.count / finding.operations as f64)
        }
        _ if finding.axis() == Axis::Seconds => ("seconds", operations),
        _ => ("operations", operations),
    }
}

/// `moderate` where it is declared, else the middle of what is declared, else the pace of the run.
fn pace(row: &Row, finding: &ScenarioFinding) -> Option<Pace> {
    if finding.axis() == Axis::Seconds {
        return Some(Pace::Time);
    }
    let declared = &finding.plan.production;
    let moderate = declared.iter().find(|rate| rate.name == "moderate");
    if let Some(rate) = moderate.or_else(|| declared.get(declared.len().saturating_sub(1) / 2)) {
        return Some(Pace::Declared(rate.clone()));
    }
    let growth = finding.growth(&row.metric)?;
    let per_hour = growth.per_hour?.value / growth.per_op?.value;
    (per_hour.is_finite() && per_hour > 0.0).then(|| Pace::Measured(Rate::per_second(per_hour / 3600.0)))
}

/// The rate table: a column for each production rate, a row for each finding, over a day.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RateTable<'a> {
    pub rates: Vec<String>,
    pub rows: Vec<(&'a Row, Vec<Option<f64>>)>,
    pub declared: Declared,
}

/// Whether the file declares rates of production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    /// Every scenario that needs them has them.
    ByTheFile,
    /// Where it does not, the usual ones stand in.
    Usual,
}

/// The names of all declared rates, the slowest first.
pub(super) fn rate_names(findings: &Findings) -> Vec<&str> {
    let mut rates: Vec<&ProductionRate> = Vec::new();
    for rate in findings.scenarios.iter().flat_map(|finding| &finding.plan.production) {
        if rates.iter().all(|known| known.name != rate.name) {
            rates.push(rate);
        }
    }
    rates.sort_by(|a, b| a.rate.as_per_hour().total_cmp(&b.rate.as_per_hour()));
    rates.into_iter().map(|rate| rate.name.as_str()).collect()
}

/// What each finding comes to in a day at each rate.
pub(super) fn rate_table(findings: &Findings) -> RateTable<'_> {
    let usual = usual_rates();
    let mut declared = Declared::ByTheFile;
    let mut rates: Vec<ProductionRate> = Vec::new();
    let mut found: Vec<(&Row, &ScenarioFinding, Vec<ProductionRate>)> = Vec::new();
    let rows = findings.ledgers.iter().flat_map(|ledger| grown(findings, &ledger.rows));
    for (row, finding) in
        rows.filter(|(row, _)| row.verdict != Verdict::Inconclusive && row.verdict != Verdict::Retained)
    {
        let own = match (finding.axis(), finding.plan.production.as_slice()) {
            (Axis::Operations, []) => {
                declared = Declared::Usual;
                usual.clone()
            }
            (_, own) => own.to_vec(),
        };
        for rate in own.iter().filter(|_| finding.axis() == Axis::Operations) {
            if rates.iter().all(|known| known.name != rate.name) {
                rates.push(rate.clone());
            }
        }
        found.push((row, finding, own));
    }
    rates.sort_by(|a, b| a.rate.as_per_hour().total_cmp(&b.rate.as_per_hour()));
    let mut rates: Vec<String> = rates.into_iter().map(|rate| rate.name).collect();
    if rates.is_empty() && !found.is_empty() {
        rates.push("each day".into());
    }
    let rows = found
        .into_iter()
        .map(|(row, finding, own)| (row, rates.iter().map(|name| day(row, finding, &own, name)).collect()))
        .collect();
    RateTable { rates, rows, declared }
}

fn day(row: &Row, finding: &ScenarioFinding, own: &[ProductionRate], name: &str) -> Option<f64> {
    if row.verdict == Verdict::Bounded {
        return Some(row.growth);
    }
    let rate = match finding.axis() {
        Axis::Seconds => Rate::per_second(1.0),
        Axis::Operations => own.iter().find(|rate| rate.name == name)?.rate,
    };
    Some(term(&cost(row)?, rate, DAY).growth.value)
}

/// `2,400 operations × 512 B` for a Markdown cell, or what stands in its place.
pub(super) fn product(term: &Term<'_>) -> String {
    let unit: Unit = term.row.metric.unit();
    match (term.count, term.each) {
        (Some(count), Some(each)) => {
            let of = super::escape::markdown(term.of);
            format!("{} {of} × {}", crate::units::show_count(count.round()), unit.show(each))
        }
        _ => "once".into(),
    }
}
