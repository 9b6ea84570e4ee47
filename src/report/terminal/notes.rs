//! What stands below the figures: how the target ended, what was not seen, what watching cost, where to go on.

use super::layout::Page;
use crate::exit::ExitCode;
use crate::growth::Verdict;
use crate::recording::Mode;
use crate::report::{Report, Written, holders, more, owners, restarts, told, words};
use crate::sample::{Border, Effort, Event, Mark, MemorySource, Metric, Plan, Record, Shape, Stop, Tally};

/// How the target ended, where tidewatch did not end it.
pub(super) fn endings(page: &mut Page, report: &Report) {
    let ended: Vec<String> = unexpected_endings(report);
    if ended.is_empty() {
        return;
    }
    page.heading("How the target ended");
    for sentence in ended {
        page.item("  ", &sentence);
    }
}

/// One sentence for the end and one for each piece of evidence.
pub(in crate::report) fn unexpected_endings(report: &Report) -> Vec<String> {
    let mut sentences = Vec::new();
    for target in report.recording.targets() {
        let Some((at, ending)) = target.ended.filter(|(_, ending)| !ending.expected) else { continue };
        sentences.push(format!(
            "process {} {} {} into the recording",
            target.process.pid,
            words::ending(ending),
            words::seconds(at.seconds())
        ));
        sentences.extend(ending.evidence.iter().cloned());
    }
    sentences
}

/// Which process of a tree grew.
pub(super) fn holders(page: &mut Page, report: &Report) {
    let holders = holders::sentences(report);
    if holders.is_empty() {
        return;
    }
    page.heading("Which process grew");
    for sentence in holders {
        page.item("  ", &sentence);
    }
}

/// Answers that were not operations: errors, backpressure, ticks that were missed.
pub(super) fn answers(page: &mut Page, report: &Report) {
    let noted: Vec<String> = answer_sentences(report);
    if noted.is_empty() {
        return;
    }
    page.heading("Answers");
    for sentence in noted {
        page.item("  ", &sentence);
    }
}

/// What the load generator has to tell of each scenario.
pub(in crate::report) fn answer_sentences(report: &Report) -> Vec<String> {
    let scenarios = &report.findings.scenarios;
    scenarios.iter().flat_map(|finding| of_tally(&finding.plan.name, &finding.tally)).collect()
}

fn of_tally(name: &str, tally: &Tally) -> Vec<String> {
    let mut sentences = Vec::new();
    for (kind, count) in &tally.unexpected {
        let first = tally.first_of_kind.get(kind).map(|first| format!("; the first: {first}")).unwrap_or_default();
        sentences.push(format!("{name}: {count} of {} not expected: {kind}{first}", tally.tried()));
    }
    for (kind, count) in &tally.uncounted {
        sentences.push(format!("{name}: {count} x {kind}, expected and not counted as operations (backpressure)"));
    }
    if tally.missed > 0 {
        sentences.push(format!(
            "{name}: {} operations were due and not begun in time: the target or this machine is too slow for the rate",
            tally.missed
        ));
    }
    sentences
}

/// What limits the verdicts by the nature of the target or of the watch.
pub(super) fn limits_of_the_verdicts(page: &mut Page, report: &Report) {
    let limits = limit_sentences(report);
    if limits.is_empty() {
        return;
    }
    page.heading("What limits the verdicts");
    for sentence in limits {
        page.item("  ", &sentence);
    }
}

/// A sentence for each command that was started again, for a watch without a scenario, and for each managed runtime.
pub(in crate::report) fn limit_sentences(report: &Report) -> Vec<String> {
    let restarts = restarts::sentences(report);
    restarts
        .into_iter()
        .chain(told::watches(report))
        .chain(told::runtimes(report))
        .chain(told::detection(report))
        .chain(told::lazily_freed(report))
        .chain(told::retained(report))
        .chain(owners::remarks(report))
        .collect()
}

/// Numbers that could not be read, and what the recording lacks.
pub(super) fn not_seen(page: &mut Page, report: &Report) {
    let missing = missing_sentences(report);
    if missing.is_empty() {
        return;
    }
    page.heading("Not seen");
    for sentence in missing {
        page.item("  ", &sentence);
    }
}

/// What was noted during the run.
pub(super) fn notes(page: &mut Page, report: &Report) {
    let notes = note_sentences(report);
    if notes.is_empty() {
        return;
    }
    page.heading("Notes");
    for sentence in notes {
        page.item("  ", &sentence);
    }
}

/// What a reader should know: each note once, in the order of the run.
pub(in crate::report) fn note_sentences(report: &Report) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for record in &report.recording.records {
        let Record::Event { event, .. } = record else { continue };
        let note = match event {
            Event::Note { text } => text.clone(),
            Event::Thinned { dropped } => {
                format!("{dropped} samples were thinned to keep the recording small; floors and peaks are kept")
            }
            _ => continue,
        };
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes.extend(spread_details(&report.recording.records));
    for finding in &report.findings.scenarios {
        notes.extend(finding.activity.remark().map(|remark| format!("{}: {remark}", finding.plan.name)));
    }
    notes
}

/// That details of a large tree were read over a while, where they were.
fn spread_details(records: &[Record]) -> Option<String> {
    let spans = records.iter().filter_map(|record| match record {
        Record::Detail(detail) if !detail.is_of_one_moment() => detail.span_us,
        _ => None,
    });
    let longest = spans.max()?;
    Some(format!(
        "to stay within the budget, who holds what was read one process after another, within up to {}: memory and descriptors by kind are \
         sums over that time, and their growth is not judged",
        words::seconds(longest as f64 / 1e6)
    ))
}

/// Every number that is missing, with its reason, and every remark of the recording's reader.
pub(in crate::report) fn missing_sentences(report: &Report) -> Vec<String> {
    let missing = report.findings.missing.iter().map(|(metric, reason)| format!("{metric}: {reason}"));
    let approximate = report.recording.records.iter().filter_map(|record| match record {
        Record::Mark(Mark {
            border: Border::ScenarioBegins { scenario, memory_source: MemorySource::Statm }, ..
        }) => Some(format!("{scenario}: memory is told by statm: without swap, and approximate on some kernels")),
        _ => None,
    });
    let heap = report.findings.no_heap.iter().map(|reason| format!("heap: {reason}"));
    missing.chain(heap).chain(approximate).chain(report.recording.remarks.iter().cloned()).collect()
}

/// What watching cost.
pub(super) fn overhead(page: &mut Page, report: &Report) {
    if let Some(sentence) = overhead_sentence(report) {
        page.blank();
        page.line(&sentence);
    }
}

/// `Watching cost: ...`; none when the recording was not finished.
pub(in crate::report) fn overhead_sentence(report: &Report) -> Option<String> {
    let summary = report.summary().overhead?;
    let percent = |share: Option<f64>| share.map_or("unknown".into(), |share| format!("{:.2} %", share * 100.0));
    let sample = summary.fast_sample_us.map_or("unknown".into(), |us| words::seconds(us / 1e6));
    let late = match summary.recorded.late {
        0 => String::new(),
        late => format!(", {late} of {} ticks late", summary.recorded.ticks),
    };
    let load = match report.recording.header.mode {
        Mode::Check | Mode::Demo => ", load generation included",
        Mode::Attach | Mode::Run => "",
    };
    let budget = match summary.recorded.budget {
        None => String::new(),
        // Two digits after the point at most: a budget is from 0.1 % on.
        Some(budget) if load.is_empty() => format!(" (budget {} %)", (budget * 1e4).round() / 100.0),
        Some(budget) => format!(" (budget for reading the target {} %)", (budget * 1e4).round() / 100.0),
    };
    let stretched = summary.recorded.stretched.map_or(String::new(), |stretched| {
        format!(
            " To stay within the budget, samples were taken up to {} apart instead of {} (raise it with --budget).",
            words::seconds(stretched.longest_us as f64 / 1e6),
            words::seconds(stretched.asked_us as f64 / 1e6)
        )
    });
    Some(format!(
        "Watching cost: tidewatch used {} of one CPU{load}{budget}: {sample} per fast sample, {} in expensive reads{late}.{stretched}",
        percent(summary.cpu_share),
        percent(summary.expensive_share)
    ))
}

/// Where the files are, and what to do next.
pub(super) fn files(page: &mut Page, report: &Report, files: Option<&Written>) {
    page.blank();
    if let Some(files) = files {
        page.line(&format!("Chart:  {}", files.png.display()));
        page.line(&format!("Report: {}", files.markdown.display()));
        page.line(&format!("JSON:   {}", files.summary.display()));
        if let Some(heap) = &files.heap {
            page.line(&format!("Heap:   {} (flame graph), heap.pprof, heap.folded", heap.svg.display()));
        }
    }
    for step in next_steps(report) {
        page.item("", &format!("Next: {step}"));
    }
}

/// What to do now, most useful first.
pub(in crate::report) fn next_steps(report: &Report) -> Vec<String> {
    let mut steps = Vec::new();
    let exit = report.gate.exit;
    if exit == ExitCode::Target && report.recording.header.launched {
        steps.push("read what the target wrote: its output is in the run's folder".to_owned());
    }
    let plan = &report.recording.header.plan;
    steps.extend(report.findings.scenarios.iter().filter_map(told::next_step));
    steps.extend(report.findings.scenarios.iter().filter_map(|finding| longer(plan, finding)));
    steps.truncate(4);
    if exit == ExitCode::Crossed {
        steps
            .insert(0, "look at the chart: a line that never bends is a leak, one that flattens is a cache".to_owned());
    }
    steps
}

/// How much longer a scenario has to run for its open verdicts.
fn longer(plan: &Plan, finding: &crate::attribution::ScenarioFinding) -> Option<String> {
    let name = &finding.plan.name;
    let open = finding.growths.iter().filter(|growth| growth.verdict == Verdict::Inconclusive);
    let open = open.filter(|growth| Metric::GATED.contains(&growth.metric));
    let longest = open.filter(|growth| growth.more_cycles.is_some()).max_by_key(|growth| growth.more_cycles)?;
    let more = longest.more_cycles?;
    let time = more::seconds(finding, longest).map(words::seconds);
    let about = time.as_ref().map(|time| format!(" (about {time})")).unwrap_or_default();
    match (finding.plan.shape, &finding.stop) {
        (_, Some(Stop::TargetEnded | Stop::Errors | Stop::Failed { .. })) => None,
        (Shape::Watch | Shape::Counted, _) => Some(format!("watch {} longer (--for): that should decide", time?)),
        _ if more > 4 * finding.plan.load.max_cycles => Some(format!(
            "{name} would need {} more cycles{about} to decide everything: raise its rate, or its `smallest`",
            crate::units::show_count(f64::from(more))
        )),
        (_, Some(Stop::OutOfTime)) => {
            Some(format!("give {name} more time (--max-time): {more} more cycles{about} should decide"))
        }
        _ if plan.effort == Effort::Quick => {
            Some(format!("run {name} without --quick: {more} more cycles{about} should decide"))
        }
        _ => {
            let most = finding.plan.load.max_cycles;
            Some(format!("run {name} longer: {more} more cycles{about} should decide (cycles.max is {most} now)"))
        }
    }
}
