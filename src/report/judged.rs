//! Curves from elsewhere, judged: told to a person, or to a program as lines of JSON.
//!
//! The names come from the command line and from the files: they are untrusted.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::chart::{ChartData, Panel};
use super::escape::json;
use super::limits::{LimitTime, THIS_RUN};
use super::table::verdict_style;
use super::terminal::layout::Page;
use super::{ColorMode, words};
use crate::growth::{Axis, Estimate, Growth, TimeToLimit, Verdict, time_to_limit};

/// Labels can make names so long that the verdict behind them would be cut off. In JSON they are whole.
const LONGEST_NAME: usize = 200;

/// A curve with its verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The file that holds it.
    pub file: String,
    /// The file, and the series in it where it holds several: `FILE#{job="api"}`.
    pub name: String,
    /// The verdict.
    pub growth: Growth,
    /// The level of late, from which the way to a limit is measured.
    pub level: Option<f64>,
    /// What was left out of the file or put together.
    pub remarks: Vec<String>,
    /// What it is a part of, where subjects of the file add up.
    pub sums: Option<String>,
    /// The amount at which something breaks.
    pub limit: Option<f64>,
}

/// One line for programs. Its members are an agreement: none is added or left out.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    verdict: Verdict,
    suspected: bool,
    per_op: Figures,
    decided_at_cycle: Option<u32>,
    sensitivity: Option<f64>,
    reason: String,
}

/// Growth per operation; per second where no operations are known. Null where there is no figure.
#[derive(Serialize)]
struct Figures {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

impl Judged {
    /// The verdict as one JSON object in a line.
    pub fn json_line(&self) -> String {
        let figure = |of: fn(&Estimate) -> f64| self.growth.per_op.as_ref().map(of);
        let line = Line {
            file: &self.name,
            verdict: self.growth.verdict,
            suspected: self.growth.suspected,
            per_op: Figures {
                value: figure(|growth| growth.value),
                low: figure(|growth| growth.low),
                high: figure(|growth| growth.high),
            },
            decided_at_cycle: self.growth.decided_at,
            sensitivity: self.growth.sensitivity,
            reason: self.reason(),
        };
        // Texts and numbers alone: there is nothing JSON could refuse. Should it do so all the same, the error is the text.
        let text = serde_json::to_string(&line);
        json(&text.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())) + "\n"
    }

    fn reason(&self) -> String {
        let mut reason = self.growth.reason.clone();
        for remark in &self.remarks {
            reason += &format!("; {remark}");
        }
        reason
    }

    fn tell(&self, page: &mut Page) {
        let growth = &self.growth;
        page.blank();
        let name = words::cut(&self.name, LONGEST_NAME);
        page.styled(&format!("{name}: {}", verdict_word(growth)), &verdict_style(growth.verdict));
        page.item("  ", &rate(growth));
        page.item("  ", &basis(growth));
        if let Some(sentence) = self.limit.and_then(|limit| self.limit_sentence(limit)) {
            page.item("  ", &sentence);
        }
        page.item("  ", "Why:");
        for part in growth.reason.split("; ").chain(self.remarks.iter().map(String::as_str)) {
            page.item("    ", &format!("{part}."));
        }
    }

    fn limit_sentence(&self, limit: f64) -> Option<String> {
        let growth = &self.growth;
        let per_hour = growth.per_hour.filter(|_| growth.verdict == Verdict::Unbounded)?;
        let (level, unit) = (self.level?, growth.metric.unit());
        let time = LimitTime {
            scenario: String::new(),
            metric: growth.metric.to_string(),
            limit_name: "memory",
            limit,
            level,
            pace: THIS_RUN.to_owned(),
            when: time_to_limit(level, limit, &per_hour),
            unit,
        };
        Some(match time.when {
            TimeToLimit::Reached => format!("{} is reached already.", unit.show(limit)),
            TimeToLimit::Never => format!("{} is not reached.", unit.show(limit)),
            TimeToLimit::Hours { .. } => format!("{} is reached in {} at this pace.", unit.show(limit), time.time()),
        })
    }
}

/// What all curves came to, for a person at a terminal of so many columns.
///
/// The curves of one file stand together, those that grow first.
pub fn story(curves: &[Judged], colour: ColorMode, width: usize) -> String {
    let mut page = Page::new(colour, width);
    for file in curves.chunk_by(|a, b| a.file == b.file) {
        let mut ordered: Vec<&Judged> = file.iter().collect();
        ordered.sort_by_key(|curve| Reverse((curve.growth.verdict, curve.growth.suspected)));
        ordered.iter().for_each(|curve| curve.tell(&mut page));
        for line in totals(file) {
            page.blank();
            page.item("", &line);
        }
    }
    if curves.len() > 1 {
        page.blank();
        page.line(&tally(curves));
    }
    page.finish()
}

/// What the subjects of a file came to together: `pods.csv: 2 subjects together: 519 MiB at the end, +60 MiB since the first sample.`
fn totals(file: &[Judged]) -> Vec<String> {
    let mut groups: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for curve in file {
        if let Some(group) = &curve.sums {
            groups.entry(group).or_default().push(curve);
        }
    }
    let several = groups.into_iter().filter(|(_, curves)| curves.len() > 1);
    let line = |(group, curves): (&str, Vec<&Judged>)| {
        let unit = curves[0].growth.metric.unit();
        let sum = |of: fn(&Growth) -> f64| curves.iter().map(|curve| of(&curve.growth)).sum::<f64>();
        let of = if group.is_empty() { String::new() } else { format!(" `{group}`") };
        format!(
            "{}: total{of} of {} subjects: {} at the end, {} since the first sample.",
            words::cut(&curves[0].file, LONGEST_NAME),
            curves.len(),
            unit.show(sum(|growth| growth.last)),
            unit.show_signed(sum(Growth::growth))
        )
    };
    several.map(line).collect()
}

/// The picture of judged curves.
pub fn picture(curves: &[Judged], panels: Vec<Panel>) -> ChartData {
    let title = match curves {
        [one] => format!("{}: {}", one.name, verdict_word(&one.growth)),
        several => tally(several),
    };
    ChartData { title, subtitle: "tidewatch judge".into(), panels, numbers: "the output of `tidewatch judge --json`" }
}

/// `3 curves: 1 unbounded, 2 flat`.
fn tally(curves: &[Judged]) -> String {
    let verdicts = [Verdict::Unbounded, Verdict::Inconclusive, Verdict::Bounded, Verdict::Flat];
    let counts: Vec<String> = verdicts
        .into_iter()
        .map(|verdict| (verdict, curves.iter().filter(|curve| curve.growth.verdict == verdict).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {}", words::verdict(verdict)))
        .collect();
    format!("{}: {}", words::counted(curves.len(), "curve"), counts.join(", "))
}

fn verdict_word(growth: &Growth) -> String {
    match growth.verdict {
        Verdict::Inconclusive if growth.suspected => "inconclusive, growth suspected".into(),
        verdict => words::verdict(verdict).into(),
    }
}

/// How fast it grew: `112 B an operation (110 B to 114 B); 76 MiB an hour at the pace of the file.`
fn rate(growth: &Growth) -> String {
    let unit = growth.metric.unit();
    let interval = |estimate: Estimate, per: &str| {
        format!("{} {per} ({} to {})", unit.show(estimate.value), unit.show(estimate.low), unit.show(estimate.high))
    };
    let Some(per_op) = growth.per_op else { return "No figure: too few values.".into() };
    let steps = interval(per_op, words::per(growth.axis));
    match (growth.axis, growth.per_hour) {
        (_, None) => format!("{steps}."),
        (Axis::Operations, Some(hour)) => {
            format!("{steps}; {} an hour at the pace of the file.", unit.show(hour.value))
        }
        (Axis::Seconds, Some(hour)) => {
            format!("{}; {steps}. Growth over time: no operations are known.", interval(hour, "an hour"))
        }
    }
}

/// On what the verdict stands: `Decided at cycle 22 of 34; growth from 20 B an operation on would have shown.`
fn basis(growth: &Growth) -> String {
    let (noun, per) = (piece(growth.axis), words::per(growth.axis));
    let count = growth.floors.len();
    let begin = match growth.decided_at {
        Some(cycle) => format!("Decided at {noun} {cycle} of {count}"),
        None => format!("Not decided after {}", words::counted(count, noun)),
    };
    match growth.sensitivity {
        Some(least) => format!("{begin}; growth shows from about {} {per} on.", growth.metric.unit().show(least)),
        None => format!("{begin}."),
    }
}

/// What the run is cut into. Without operations these may be the file's own cycles as well.
const fn piece(axis: Axis) -> &'static str {
    match axis {
        Axis::Operations => "cycle",
        Axis::Seconds => "window",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Metric;

    fn judged(axis: Axis, verdict: Verdict, per_op: Option<Estimate>) -> Judged {
        let growth = Growth {
            metric: Metric::Private,
            axis,
            verdict,
            suspected: false,
            decided_at: (verdict != Verdict::Inconclusive).then_some(22),
            per_op,
            per_hour: per_op.map(|growth| growth.scaled(3600.0)),
            baseline: 0.0,
            last: 1e6,
            highest: 1e6,
            window: None,
            sensitivity: Some(20.0),
            more_cycles: None,
            since: None,
            reason: "so it is".into(),
            floors: Vec::new(),
        };
        let name = "a\u{1b}[31m.csv".to_owned();
        let remarks = vec!["one is left out".into()];
        Judged { file: name.clone(), name, growth, level: Some(0.0), remarks, sums: None, limit: None }
    }

    const RATE: Estimate = Estimate { value: 1024.0, low: 1000.0, high: 1100.0 };

    #[test]
    fn a_line_has_the_agreed_members_and_null_where_nothing_is_known() {
        let line = judged(Axis::Seconds, Verdict::Inconclusive, None).json_line();
        assert_eq!(
            line,
            "{\"file\":\"a\\u001b[31m.csv\",\"verdict\":\"inconclusive\",\"suspected\":false,\"per_op\":{\"value\":null,\
             \"low\":null,\"high\":null},\"decided_at_cycle\":null,\"sensitivity\":20.0,\"reason\":\"so it is; one is left \
             out\"}\n"
        );
        let line = judged(Axis::Operations, Verdict::Unbounded, Some(RATE)).json_line();
        assert!(line.contains("\"per_op\":{\"value\":1024.0,\"low\":1000.0,\"high\":1100.0},\"decided_at_cycle\":22"));
    }

    #[test]
    fn a_person_reads_the_rate_the_limit_and_the_reason() {
        let curves = [
            judged(Axis::Seconds, Verdict::Unbounded, Some(RATE)),
            judged(Axis::Operations, Verdict::Flat, Some(RATE)),
            judged(Axis::Operations, Verdict::Inconclusive, None),
        ];
        let limit = Some(7.2 * 1024.0 * 1024.0);
        // Each has a file of its own: they stay in this order.
        let curves: Vec<Judged> =
            curves.into_iter().enumerate().map(|(n, curve)| Judged { file: n.to_string(), limit, ..curve }).collect();
        let text = story(&curves, ColorMode::Plain, 200);
        let expected = "\
a\\u{1b}[31m.csv: unbounded
  3.52 MiB an hour (3.43 MiB to 3.78 MiB); 1 KiB a second (1000 B to 1.07 KiB). Growth over time: no operations are known.
  Decided at window 22 of 0; growth shows from about 20 B a second on.
  7.2 MiB is reached in 2 h 2 min (1 h 54 min to 2 h 5 min) at this pace.
  Why:
    so it is.
    one is left out.

a\\u{1b}[31m.csv: flat
  1 KiB an operation (1000 B to 1.07 KiB); 3.52 MiB an hour at the pace of the file.
  Decided at cycle 22 of 0; growth shows from about 20 B an operation on.
  Why:
    so it is.
    one is left out.

a\\u{1b}[31m.csv: inconclusive
  No figure: too few values.
  Not decided after 0 cycles; growth shows from about 20 B an operation on.
  Why:
    so it is.
    one is left out.

3 curves: 1 unbounded, 1 inconclusive, 1 flat
";
        assert_eq!(text, expected, "{text}");
    }
}
