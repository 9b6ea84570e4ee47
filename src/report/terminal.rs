//! The final text on the terminal: what a person at three in the morning needs, top down.
//!
//! Verdict first, then who is to blame and for how much, then the figures, then what the run could not see. Every
//! text of the target is made harmless, and lines keep to the width where words allow it.

mod figures;
pub(super) mod layout;
mod notes;
mod owners;

pub(super) use self::figures::{Units, interesting};
pub(super) use self::notes::{
    answer_sentences, limit_sentences, missing_sentences, next_steps, note_sentences, overhead_sentence,
    unexpected_endings,
};

use console::Style;

use self::layout::Page;
use super::limits::{self, LimitTime, THIS_RUN};
use super::{ColorMode, Report, Written, story, words};
use crate::exit::ExitCode;
use crate::recording::Mode;

/// The whole text.
pub(super) fn text(report: &Report, colour: ColorMode, width: usize, files: Option<&Written>) -> String {
    let mut page = Page::new(colour, width);
    let times = limits::of(&report.recording, &report.findings);
    head(&mut page, report);
    suspects(&mut page, report, &times);
    undecided(&mut page, report);
    figures::curves(&mut page, report);
    owners::owners(&mut page, report);
    figures::ledgers(&mut page, report);
    notes::holders(&mut page, report);
    notes::endings(&mut page, report);
    notes::answers(&mut page, report);
    notes::limits_of_the_verdicts(&mut page, report);
    notes::not_seen(&mut page, report);
    notes::notes(&mut page, report);
    notes::overhead(&mut page, report);
    notes::files(&mut page, report, files);
    page.finish()
}

fn head(page: &mut Page, report: &Report) {
    let Report { recording, findings, gate } = report;
    let style = match gate.exit {
        ExitCode::Held => Style::new().green().bold(),
        ExitCode::Crossed | ExitCode::Target | ExitCode::Usage => Style::new().red().bold(),
        ExitCode::Inconclusive | ExitCode::Interrupted => Style::new().magenta().bold(),
    };
    page.styled(
        &format!("{}: {}", story::outcome(gate.exit), story::headline(&recording.header.plan, findings, gate)),
        &style,
    );
    page.line(&watched(report));
    for problem in gate.problems.iter().skip(1) {
        page.item("", problem);
    }
}

/// What was watched, for how long, when.
fn watched(report: &Report) -> String {
    let header = &report.recording.header;
    let how = match header.mode {
        Mode::Attach => "attached",
        Mode::Run | Mode::Check | Mode::Demo if header.launched => "launched",
        Mode::Run | Mode::Check | Mode::Demo => "attached",
    };
    let last = report.recording.records.last().map_or(0.0, |record| record.at().seconds());
    let length = words::seconds(last);
    let scenarios = report.findings.scenarios.len();
    match header.mode {
        Mode::Attach | Mode::Run => {
            format!("{} ({how}), watched for {length} from {}", header.plan.name, header.started)
        }
        Mode::Check | Mode::Demo => {
            let scenarios = words::counted(scenarios, "scenario");
            let effort = words::effort(header.plan.effort);
            format!("{} ({how}), {scenarios}{effort} in {length} from {}", header.plan.name, header.started)
        }
    }
}

fn suspects(page: &mut Page, report: &Report, times: &[LimitTime]) {
    for suspect in story::suspects(&report.findings, &report.gate) {
        let priority = suspect.priority.map(|priority| format!("{} ", words::priority(priority)));
        let source = suspect.source.as_ref().map(|source| format!(" ({source})"));
        let (priority, source) = (priority.unwrap_or_default(), source.unwrap_or_default());
        page.blank();
        page.styled(&format!("{priority}{}{source}", suspect.subsystem), &Style::new().bold());
        for crossing in &suspect.crossings {
            page.item("   ", &crossing.sentence());
            page.item("     ", &crossing.evidence());
            let metric = crossing.growth.metric.to_string();
            let own = |time: &&LimitTime| time.scenario == crossing.finding.plan.name && time.metric == metric;
            for time in times.iter().filter(own).filter(|time| [THIS_RUN, "moderate"].contains(&time.pace.as_str())) {
                page.item("     ", &time.sentence());
            }
            page.item("     ", &format!("crossed: {}", crossing.thresholds()));
        }
    }
}

/// What the run could not decide, and what would.
fn undecided(page: &mut Page, report: &Report) {
    const MOST: usize = 8;
    let open = story::undecided(report);
    if open.is_empty() {
        return;
    }
    page.heading("Not decided");
    for sentence in open.iter().take(MOST) {
        page.item("  ", sentence);
    }
    if open.len() > MOST {
        page.line(&format!("  and {} more: summary.json has them all", open.len() - MOST));
    }
}
