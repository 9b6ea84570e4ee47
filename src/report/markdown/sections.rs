//! The parts of the document that are sentences: findings, how the target ended, remedies, what was not seen.

use super::{Align, Document, code, escaped};
use crate::attribution::{RETAINED, UNATTRIBUTED};
use crate::growth::{Axis, Verdict};
use crate::recording::Mode;
use crate::report::story::{self, Crossing, Suspect};
use crate::report::{Report, terminal, words};
use crate::sample::Metric;

/// Who is to blame, most urgent first.
pub(super) fn findings(out: &mut Document, report: &Report) {
    let suspects = story::suspects(&report.findings, &report.gate);
    out.heading("Findings");
    if suspects.is_empty() {
        out.block("No threshold is crossed.");
    } else {
        let columns = [
            ("Priority", Align::Left),
            ("Subsystem", Align::Left),
            ("What grew", Align::Left),
            ("Where it showed", Align::Left),
            ("Evidence", Align::Left),
        ];
        let rows: Vec<Vec<String>> = suspects.iter().flat_map(rows).collect();
        out.table(&columns, &rows);
    }
    let undecided = story::undecided(report);
    if !undecided.is_empty() {
        out.block("Not decided:");
        out.list(undecided.iter().map(|sentence| escaped(sentence)));
    }
}

fn rows<'a>(suspect: &'a Suspect<'_>) -> impl Iterator<Item = Vec<String>> + 'a {
    let place = suspect.source.as_ref().map(|source| format!("<br>{}", code(source))).unwrap_or_default();
    suspect.crossings.iter().map(move |crossing| {
        vec![
            suspect.priority.map_or("–", words::priority).to_owned(),
            format!("{}{place}", escaped(&suspect.subsystem)),
            what(crossing),
            escaped(&crossing.finding.plan.name),
            format!("{}<br>crossed: {}", escaped(&crossing.evidence()), escaped(&crossing.thresholds())),
        ]
    })
}

fn what(crossing: &Crossing<'_>) -> String {
    let amount = crossing.row.map_or_else(|| crossing.growth.growth(), |row| row.growth);
    let per_op = crossing.row.map_or(crossing.growth.per_op, |row| row.per_op);
    words::growth(crossing.growth, amount, per_op)
}

/// How the target ended, where tidewatch did not end it, and what its answers were.
pub(super) fn endings(out: &mut Document, report: &Report) {
    let ended = terminal::unexpected_endings(report);
    if !ended.is_empty() {
        out.heading("How the target ended");
        out.list(ended.iter().map(|sentence| escaped(sentence)));
    }
    let answers = terminal::answer_sentences(report);
    if !answers.is_empty() {
        out.heading("Answers of the target");
        out.list(answers.iter().map(|sentence| escaped(sentence)));
    }
}

/// What usually mends growth of each kind that was found.
pub(super) fn remedies(out: &mut Document, report: &Report) {
    let mut hints: Vec<&str> = Vec::new();
    let crossings = story::suspects(&report.findings, &report.gate);
    let all = crossings.iter().flat_map(|suspect| suspect.crossings.iter().map(move |crossing| (suspect, crossing)));
    for (suspect, crossing) in all {
        let hint = match suspect.subsystem.as_str() {
            RETAINED => RETENTION,
            _ => hint(&crossing.growth.metric, crossing.growth.axis),
        };
        if crossing.growth.verdict == Verdict::Unbounded && !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    if hints.is_empty() {
        return;
    }
    out.heading("Where to begin");
    out.block("What usually mends growth of these kinds; the run shows that they grow, not why.");
    out.list(hints.into_iter().map(str::to_owned));
    if crossings.iter().any(|suspect| suspect.subsystem == UNATTRIBUTED) {
        let next = match report.recording.header.mode {
            Mode::Check | Mode::Demo => {
                "name its `subsystem` in the scenario that shows it, or give a subsystem an `owns` rule"
            }
            Mode::Attach | Mode::Run => "drive the target by a scenario file, one scenario for each part of it",
        };
        out.block(&format!("To learn who owns what is unattributed: {next}."));
    }
}

const RETENTION: &str = "Retained memory: give it back (`malloc_trim`), fewer arenas (`MALLOC_ARENA_MAX`), an allocator that returns \
    pages, or long-lived blocks apart from short-lived ones. No cap in the program changes it.";

fn hint(metric: &Metric, axis: Axis) -> &'static str {
    match metric {
        Metric::Fds | Metric::FdsOf(_) => {
            "Descriptors: close them on every path, errors too; a pool of a fixed size in place of a new connection each time."
        }
        Metric::Threads | Metric::Tasks => {
            "Threads: keep the handle and end the thread with its owner; a pool of a fixed size in place of a thread per session."
        }
        Metric::Children | Metric::Zombies | Metric::Orphans => {
            "Processes: wait for every child, and end the whole process group together with its owner."
        }
        Metric::Peak => "Peak memory: page or stream what is built whole, and cap its size.",
        _ if axis == Axis::Seconds => {
            "Memory that grows with time alone: timers, caches of metrics and logs, and background tasks are the first places to look."
        }
        _ => {
            "Memory: give what keeps each item a cap or an expiry, and refuse or evict past it; a plateau in the next run proves the cap."
        }
    }
}

/// What the run could not see, and what watching cost.
pub(super) fn not_seen(out: &mut Document, report: &Report) {
    out.heading("What was not seen");
    let missing = terminal::missing_sentences(report);
    let blind = report.findings.scenarios.iter().filter_map(|finding| {
        let growth = finding.growth(&Metric::Private)?;
        let least = growth.sensitivity.filter(|least| least.is_finite() && !growth.goes_on())?;
        Some(format!(
            "{}: growth of private memory under {} {} would not have been found (a fit, ±30 %)",
            escaped(&finding.plan.name),
            growth.metric.unit().show(least),
            words::per(growth.axis)
        ))
    });
    let lines: Vec<String> = missing.iter().map(|sentence| escaped(sentence)).chain(blind).collect();
    if lines.is_empty() {
        out.block("Every number could be read.");
    } else {
        out.list(lines);
    }
    out.block(
        "A cap beyond what was tried looks like a leak, and a leak that reuses freed memory like none: \
         the verdicts hold for what this run tried, and for its time.",
    );
    let limits = terminal::limit_sentences(report);
    if !limits.is_empty() {
        out.block("What limits the verdicts:");
        out.list(limits.iter().map(|sentence| escaped(sentence)));
    }
    let notes = terminal::note_sentences(report);
    if !notes.is_empty() {
        out.block("Noted during the run:");
        out.list(notes.iter().map(|note| escaped(note)));
    }
    if let Some(sentence) = terminal::overhead_sentence(report) {
        out.block(&sentence);
    }
}

/// How to do it again.
pub(super) fn again(out: &mut Document, report: &Report) {
    let header = &report.recording.header;
    out.heading("To do it again");
    let again = match header.mode {
        Mode::Check => format!("`tidewatch check` with the same scenario file (seed {})", header.plan.seed),
        Mode::Demo => format!("`tidewatch demo` (seed {})", header.plan.seed),
        Mode::Attach => "`tidewatch attach` on the same program".into(),
        Mode::Run => "`tidewatch run` with the same command".into(),
    };
    let mut lines = vec![
        format!("The run: {again}, {}.", escaped(&format!("tidewatch {}", header.tidewatch))),
        "This report: `tidewatch report` on the run's folder makes it again from the recording, byte for byte.".into(),
    ];
    lines.extend(terminal::next_steps(report).iter().map(|step| format!("Next: {}.", escaped(step))));
    out.list(lines);
}
