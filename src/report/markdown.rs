//! `report.md`: what can be pasted into an incident report.
//!
//! It stands alone: what was watched, what grew and who owns it, what a day of use makes of it, when a limit is
//! met, what the run could not see, and how to do it again. Texts of the target are escaped; nothing in them
//! becomes a link, a heading or a cell.

mod owners;
mod sections;
mod tables;

use super::escape::{markdown as escaped, markdown_code as code};
use super::{Report, story, words};
use crate::recording::Mode;

/// The whole document.
pub(super) fn text(report: &Report) -> String {
    let mut out = Document::default();
    head(&mut out, report);
    sections::findings(&mut out, report);
    owners::owners(&mut out, report);
    tables::equations(&mut out, report);
    tables::rates(&mut out, report);
    tables::limits(&mut out, report);
    tables::verdicts(&mut out, report);
    tables::ledgers(&mut out, report);
    sections::endings(&mut out, report);
    sections::remedies(&mut out, report);
    sections::not_seen(&mut out, report);
    sections::again(&mut out, report);
    out.text
}

/// A Markdown text under construction. Whoever adds to it has escaped what is not his own.
#[derive(Default)]
struct Document {
    text: String,
}

impl Document {
    fn heading(&mut self, text: &str) {
        self.block(&format!("## {text}"));
    }

    /// A paragraph with a blank line above it.
    fn block(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn list(&mut self, items: impl IntoIterator<Item = String>) {
        let items: Vec<String> = items.into_iter().map(|item| format!("- {item}")).collect();
        if !items.is_empty() {
            self.block(&items.join("\n"));
        }
    }

    /// A table; cells that begin a column of numbers stand right.
    fn table(&mut self, columns: &[(&str, Align)], rows: &[Vec<String>]) {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let titles: Vec<String> = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let rules: Vec<String> = columns.iter().map(|(_, align)| align.rule().to_owned()).collect();
        let lines: Vec<String> = [titles, rules].iter().chain(rows).map(|cells| line(cells)).collect();
        self.block(&lines.join("\n"));
    }
}

#[derive(Clone, Copy)]
enum Align {
    Left,
    Right,
}

impl Align {
    const fn rule(self) -> &'static str {
        match self {
            Self::Left => "---",
            Self::Right => "---:",
        }
    }
}

fn head(out: &mut Document, report: &Report) {
    let Report { recording, findings, gate } = report;
    let header = &recording.header;
    out.block(&format!("# Growth of {}: {}", escaped(&header.plan.name), story::outcome(gate.exit)));
    let headline = story::headline(&header.plan, findings, gate);
    out.block(&format!("**{}: {}** (exit code {}).", story::outcome(gate.exit), escaped(&headline), gate.exit.code()));
    out.list(gate.problems.iter().skip(1).map(|problem| escaped(problem)));
    let length = recording.records.last().map_or(0.0, |record| record.at().seconds());
    let host = &header.host;
    let mut facts = vec![
        format!(
            "Target: {}{}",
            targets(report),
            if header.launched { ", launched by tidewatch" } else { ", attached" }
        ),
        format!("When: {}, for {}", escaped(&header.started), words::seconds(length)),
        escaped(&format!(
            "Host: Linux {} on {}, {} processors, {} of memory",
            host.kernel,
            host.architecture,
            host.cpus,
            crate::units::show_bytes(host.memory as f64)
        )),
    ];
    if let Some(limit) = header.plan.memory_limit.or(host.limits.get("memory").copied()) {
        facts.push(format!("Memory limit: {}", crate::units::show_bytes(limit as f64)));
    }
    let what = match header.mode {
        Mode::Check | Mode::Demo => format!(
            "driven through {}{}",
            words::counted(findings.scenarios.len(), "scenario"),
            words::effort(header.plan.effort)
        ),
        Mode::Attach | Mode::Run => "watched without load of tidewatch's own".into(),
    };
    facts.push(escaped(&format!("How: {what}, with tidewatch {}", header.tidewatch)));
    out.list(facts);
    out.block("![growth](growth.svg)");
}

/// The command lines of the targets, each once.
fn targets(report: &Report) -> String {
    let mut commands: Vec<String> = Vec::new();
    for target in report.recording.targets() {
        let command = code(&words::cut(&target.command.join(" "), 200));
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    if commands.is_empty() { code(&report.recording.header.plan.name) } else { commands.join(", ") }
}
