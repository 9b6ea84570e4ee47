//! What every report says first: one line of verdict, then whoever is to blame, most urgent first.

use super::{Report, more, words};
use crate::attribution::{Findings, RETAINED, Row, ScenarioFinding, UNATTRIBUTED};
use crate::exit::ExitCode;
use crate::gate::{Check, Gate, Standing};
use crate::growth::{Growth, Verdict};
use crate::sample::{Inconclusive, Metric, Plan, Priority, Stop};

/// A subsystem with thresholds crossed.
#[derive(Debug)]
pub(super) struct Suspect<'a> {
    /// Its name; [`UNATTRIBUTED`] where nothing claims the growth. The user's text, or the target's.
    pub subsystem: String,
    pub priority: Option<Priority>,
    pub source: Option<String>,
    pub crossings: Vec<Crossing<'a>>,
}

/// One metric of one scenario, with the thresholds that it crossed.
#[derive(Debug)]
pub(super) struct Crossing<'a> {
    pub finding: &'a ScenarioFinding,
    pub growth: &'a Growth,
    pub checks: Vec<&'a Check>,
    /// The part of the growth that is the suspect's; none for metrics that have no ledger.
    pub row: Option<&'a Row>,
    /// The peak that rose because this did.
    pub peak: Option<&'a Growth>,
}

impl Crossing<'_> {
    /// How much of the growth is the suspect's.
    fn amount(&self) -> f64 {
        self.row.map_or_else(|| self.growth.growth(), |row| row.growth)
    }

    /// What, how much and where, in one line.
    pub fn sentence(&self) -> String {
        let per_op = self.row.map_or(self.growth.per_op, |row| row.per_op);
        format!("{}: {}", self.finding.plan.name, words::growth(self.growth, self.amount(), per_op))
    }

    /// What speaks for the owner; where nothing does, what the judge says.
    pub fn evidence(&self) -> String {
        let evidence = match self.row {
            Some(row) if !row.evidence.is_empty() => row.evidence.join("; "),
            _ => self.growth.reason.clone(),
        };
        let unit = self.growth.metric.unit();
        let peak = self.peak.map(|peak| format!("; the peak rose along, by {}", unit.show(peak.growth())));
        evidence + &peak.unwrap_or_default()
    }

    /// The thresholds with what was seen where that says more than the verdict.
    pub fn thresholds(&self) -> String {
        let one = |check: &&Check| match check.expression.contains('<') {
            true => format!("{} ({})", check.expression, check.observed),
            false => check.expression.clone(),
        };
        self.checks.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// Everyone with a threshold crossed, most urgent first.
pub(super) fn suspects<'a>(findings: &'a Findings, gate: &'a Gate) -> Vec<Suspect<'a>> {
    let mut suspects: Vec<Suspect<'a>> = Vec::new();
    for check in gate.checks.iter().filter(|check| check.standing == Standing::Crossed) {
        let Some(finding) = findings.scenarios.iter().find(|finding| finding.plan.name == check.scenario) else {
            continue;
        };
        let Some(growth) = finding.growth(&check.metric) else { continue };
        let rows = owners(findings, check, growth);
        if rows.is_empty() {
            let owner = finding.plan.subsystem.clone().unwrap_or_else(|| UNATTRIBUTED.to_owned());
            add(
                &mut suspects,
                &owner,
                (None, None),
                Crossing { finding, growth, checks: vec![check], row: None, peak: None },
            );
        }
        for row in rows {
            let crossing = Crossing { finding, growth, checks: vec![check], row: Some(row), peak: None };
            add(&mut suspects, &row.subsystem, (row.priority, row.source.clone()), crossing);
        }
    }
    fold_peaks(&mut suspects);
    suspects.sort_by_key(|suspect| (suspect.priority.is_none(), suspect.priority));
    suspects
}

/// Puts the peaks that are echoes to the retained growth behind them, whoever owns most of it.
fn fold_peaks(suspects: &mut Vec<Suspect<'_>>) {
    let mut echoes = Vec::new();
    for suspect in suspects.iter_mut() {
        let crossings = std::mem::take(&mut suspect.crossings);
        let (echo, own): (Vec<_>, Vec<_>) = crossings.into_iter().partition(|c| c.finding.is_echo(c.growth));
        suspect.crossings = own;
        echoes.extend(echo.into_iter().map(|echo| (suspect.subsystem.clone(), echo)));
    }
    for (whose, echo) in echoes {
        let behind = suspects
            .iter_mut()
            .flat_map(|suspect| &mut suspect.crossings)
            .filter(|c| c.growth.metric == Metric::Private && c.finding.plan.name == echo.finding.plan.name)
            .max_by(|a, b| a.amount().total_cmp(&b.amount()));
        match behind {
            Some(crossing) => {
                crossing.peak = Some(echo.growth);
                crossing.checks.extend(echo.checks);
            }
            None => {
                if let Some(suspect) = suspects.iter_mut().find(|suspect| suspect.subsystem == whose) {
                    suspect.crossings.push(echo);
                }
            }
        }
    }
    suspects.retain(|suspect| !suspect.crossings.is_empty());
}

/// The thresholds that the run could not decide: those with the same reason together.
pub(super) fn undecided(report: &Report) -> Vec<String> {
    let Report { recording, findings, gate } = report;
    let mut groups: Vec<(&str, String, Vec<String>)> = Vec::new();
    for check in gate.checks.iter().filter(|check| check.standing == Standing::Undecided) {
        let finding = findings.scenarios.iter().find(|finding| finding.plan.name == check.scenario);
        let why = finding.map_or_else(
            || check.observed.clone(),
            |finding| more::why(recording, finding, finding.growth(&check.metric), &check.observed),
        );
        let known = groups.iter_mut().find(|(scenario, known, _)| *scenario == check.scenario && *known == why);
        match known {
            Some((_, _, expressions)) => expressions.push(check.expression.clone()),
            None => groups.push((&check.scenario, why, vec![check.expression.clone()])),
        }
    }
    let one = |(scenario, why, expressions): (&str, String, Vec<String>)| {
        format!("{scenario}: {}: {why}", together(&expressions))
    };
    groups.into_iter().map(one).collect()
}

/// `fds, threads and orphans != unbounded` for three thresholds that ask the same.
fn together(expressions: &[String]) -> String {
    const ASKED: &str = " != unbounded";
    let metrics: Option<Vec<String>> =
        expressions.iter().map(|text| text.strip_suffix(ASKED).map(str::to_owned)).collect();
    metrics.map_or_else(|| words::listed(expressions), |metrics| words::listed(&metrics) + ASKED)
}

/// The rows behind a crossed threshold: those without end, else the largest.
fn owners<'a>(findings: &'a Findings, check: &Check, growth: &Growth) -> Vec<&'a Row> {
    let rows = findings.ledgers.iter().flat_map(|ledger| &ledger.rows);
    let rows: Vec<&Row> =
        rows.filter(|row| row.scenario == check.scenario && row.metric == check.metric && row.growth > 0.0).collect();
    if growth.verdict == Verdict::Unbounded {
        let endless: Vec<&Row> = rows.iter().copied().filter(|row| row.verdict == Verdict::Unbounded).collect();
        if !endless.is_empty() {
            return endless;
        }
    }
    rows.into_iter().max_by(|a, b| a.growth.total_cmp(&b.growth)).into_iter().collect()
}

fn add<'a>(
    suspects: &mut Vec<Suspect<'a>>,
    subsystem: &str,
    (priority, source): (Option<Priority>, Option<String>),
    crossing: Crossing<'a>,
) {
    let known = suspects.iter_mut().find(|suspect| suspect.subsystem == subsystem);
    let Some(suspect) = known else {
        suspects.push(Suspect { subsystem: subsystem.to_owned(), priority, source, crossings: vec![crossing] });
        return;
    };
    let same = |known: &&mut Crossing<'_>| {
        known.growth.metric == crossing.growth.metric && known.finding.plan.name == crossing.finding.plan.name
    };
    match suspect.crossings.iter_mut().find(same) {
        Some(known) => known.checks.extend(crossing.checks),
        None => suspect.crossings.push(crossing),
    }
}

/// The word that stands first in every report.
pub(super) const fn outcome(exit: ExitCode) -> &'static str {
    match exit {
        ExitCode::Held => "PASS",
        ExitCode::Crossed => "FAIL",
        ExitCode::Inconclusive => "INCONCLUSIVE",
        ExitCode::Interrupted => "INTERRUPTED",
        ExitCode::Usage | ExitCode::Target => "ERROR",
    }
}

/// What came out, in one sentence without the word for it.
pub(super) fn headline(plan: &Plan, findings: &Findings, gate: &Gate) -> String {
    let undecided = gate.checks.iter().filter(|check| check.standing == Standing::Undecided).count();
    match gate.exit {
        ExitCode::Crossed => {
            crossed(plan, findings, gate, Tense::Present).unwrap_or_else(|| "a threshold is crossed".into())
        }
        ExitCode::Inconclusive => {
            if let Some(why) = findings.scenarios.iter().find_map(ScenarioFinding::says_nothing) {
                return why;
            }
            format!("the run could not decide {} of {}", undecided, words::counted(gate.checks.len(), "threshold"))
        }
        ExitCode::Held if undecided > 0 && plan.inconclusive == Inconclusive::Passes => format!(
            "no threshold is crossed, but {undecided} of {} could not be decided (an inconclusive run counts as a pass here)",
            gate.checks.len()
        ),
        ExitCode::Held => format!(
            "nothing crossed a threshold in {} ({} held){}",
            words::counted(findings.scenarios.len(), "scenario"),
            words::counted(gate.checks.len(), "threshold"),
            retained(findings)
        ),
        ExitCode::Interrupted | ExitCode::Target | ExitCode::Usage => {
            let problem = ended(findings).or_else(|| gate.problems.first().cloned());
            let problem = problem.unwrap_or_else(|| "the run could not be finished".into());
            match crossed(plan, findings, gate, Tense::Past) {
                Some(crossed) => format!("{problem}; until then {crossed}"),
                None => problem,
            }
        }
    }
}

/// What the allocator retains: it fails no run, and may still fill the machine.
fn retained(findings: &Findings) -> String {
    let retain = findings.scenarios.iter().filter(|finding| finding.retained().is_some());
    let names: Vec<String> = retain.map(|finding| finding.plan.name.clone()).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!("; private memory grows under {}, {RETAINED}", words::listed(names)),
    }
}

/// The target's end, where it is what stopped the run: short, the evidence stands further down.
fn ended(findings: &Findings) -> Option<String> {
    let troubled = |finding: &&ScenarioFinding| {
        !matches!(finding.stop, Some(Stop::Decided | Stop::Spent | Stop::OutOfTime) | None)
    };
    let first = findings.scenarios.iter().find(troubled)?;
    let ending = first.ending.as_ref().filter(|_| first.stop == Some(Stop::TargetEnded))?;
    Some(format!("the target {} during {}", words::ending(ending), first.plan.name))
}

/// Whether a suspect is a function that holds live heap, and no subsystem of the file.
fn is_function(plan: &Plan, suspect: &Suspect<'_>) -> bool {
    plan.subsystem(&suspect.subsystem).is_none()
        && suspect
            .crossings
            .iter()
            .filter_map(|crossing| crossing.finding.heap.as_ref())
            .any(|heap| heap.owners.iter().any(|owner| owner.name == suspect.subsystem))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tense {
    Present,
    Past,
}

/// Who crossed thresholds, in one clause; none when nobody did.
fn crossed(plan: &Plan, findings: &Findings, gate: &Gate, tense: Tense) -> Option<String> {
    let grows = |one: bool| match (tense, one) {
        (Tense::Past, _) => "grew",
        (Tense::Present, true) => "grows",
        (Tense::Present, false) => "grow",
    };
    let suspects = suspects(findings, gate);
    let endless = |suspect: &&Suspect<'_>| suspect.crossings.iter().any(|c| c.growth.verdict == Verdict::Unbounded);
    let is_owner = |suspect: &&Suspect<'_>| ![UNATTRIBUTED, RETAINED].contains(&suspect.subsystem.as_str());
    let owners: Vec<&Suspect<'_>> = suspects.iter().filter(endless).filter(is_owner).collect();
    let named = owners.len();
    // A function that the heap names is no subsystem of the file.
    let declared = owners.iter().all(|owner| !is_function(plan, owner));
    let noun = if declared { "subsystem" } else { "owner" };
    let retained = suspects.iter().filter(endless).any(|suspect| suspect.subsystem == RETAINED);
    let mut nouns: Vec<String> = Vec::new();
    let nobodys = suspects.iter().filter(|suspect| suspect.subsystem == UNATTRIBUTED);
    for crossing in nobodys.flat_map(|suspect| &suspect.crossings) {
        let noun = crossing.growth.metric.noun();
        if crossing.growth.verdict == Verdict::Unbounded && !nouns.contains(&noun) {
            nouns.push(noun);
        }
    }
    let subsystems = match named {
        0 => None,
        _ => Some(format!("{} {} without end", words::counted(named, noun), grows(named == 1))),
    };
    let unclaimed = (!nouns.is_empty()).then(|| {
        let verb = grows(matches!(nouns.as_slice(), [one] if one.ends_with("memory")));
        format!("{} {verb} without end{}", words::listed(&nouns), if named > 0 { ", owner not known" } else { "" })
    });
    let kept = retained.then(|| {
        format!(
            "private memory {} without end, {RETAINED}: freed by the program, not given back, and no leak",
            grows(true)
        )
    });
    let clauses: Vec<String> = [subsystems, unclaimed, kept].into_iter().flatten().collect();
    match clauses.as_slice() {
        [first, rest @ ..] if !rest.is_empty() => Some(format!("{first}; also, {}", rest.join(", and "))),
        [clause] => Some(clause.clone()),
        _ => match gate.checks.iter().filter(|check| check.standing == Standing::Crossed).count() {
            0 => None,
            crossed => {
                let verb = match (tense, crossed) {
                    (Tense::Past, 1) => "was",
                    (Tense::Past, _) => "were",
                    (Tense::Present, 1) => "is",
                    (Tense::Present, _) => "are",
                };
                Some(format!("{} {verb} crossed", words::counted(crossed, "threshold")))
            }
        },
    }
}
