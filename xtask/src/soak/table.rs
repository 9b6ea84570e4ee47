//! The table of rows: how often each was right, how long it took, and its figures beside the truth.

use super::rows::{Figure, Form, Outcome, Row};
use crate::runs::median;

/// A line as soon as a run is over.
pub fn print_run(outcome: &Outcome) {
    let figures: Vec<String> = outcome.figures.iter().map(figure_and_ratio).collect();
    let right = if outcome.is_right() { "right" } else { "WRONG" };
    println!("{:<32} {:>5.0} s  {right}  {}", outcome.name(), outcome.seconds, figures.join(", "));
}

fn figure_and_ratio(figure: &Figure) -> String {
    format!("{} {} ({:.2})", figure.metric, show(&figure.unit, figure.value), figure.ratio())
}

/// The whole table. The figure of a row is that of its run in the middle by the ratio.
pub fn print(rows: &[&'static Row], outcomes: &[Outcome]) {
    println!(
        "\n{:<17} {:<8} {:>5} {:>8}  {:<9} {:>10} {:>24} {:>10} {:>6}  ratios",
        "row", "form", "right", "seconds", "metric", "per op", "interval", "truth", "ratio"
    );
    for row in rows {
        for form in [Form::Leaking, Form::Fixed] {
            let runs: Vec<&Outcome> =
                outcomes.iter().filter(|outcome| outcome.row.name == row.name && outcome.form == form).collect();
            print_form(row, form, &runs);
        }
    }
    println!();
}

fn print_form(row: &Row, form: Form, runs: &[&Outcome]) {
    let right = runs.iter().filter(|run| run.is_right()).count();
    let mut seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
    let start = format!(
        "{:<17} {:<8} {:>5} {:>8.0}",
        row.name,
        form.word(),
        format!("{right}/{}", runs.len()),
        median(&mut seconds)
    );
    let mut metrics: Vec<&str> = runs.iter().flat_map(|run| run.figures.iter().map(|figure| figure.metric)).collect();
    metrics.sort_unstable();
    metrics.dedup();
    if metrics.is_empty() {
        println!("{start}");
    }
    for (number, metric) in metrics.into_iter().enumerate() {
        let mut figures: Vec<&Figure> =
            runs.iter().flat_map(|run| &run.figures).filter(|figure| figure.metric == metric).collect();
        figures.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        let Some(figure) = figures.get(figures.len() / 2) else { continue };
        let shown = |value| show(&figure.unit, value);
        let ratios: Vec<String> = figures.iter().map(|figure| format!("{:.2}", figure.ratio())).collect();
        println!(
            "{:<41}  {:<9} {:>10} {:>24} {:>10} {:>6.2}  {}",
            if number == 0 { &start } else { "" },
            metric,
            shown(figure.value),
            format!("{} to {}", shown(figure.low), shown(figure.high)),
            shown(figure.truth),
            figure.ratio(),
            ratios.join(" ")
        );
    }
}

/// Bytes to a tenth, counts to three digits behind the first that is not zero.
pub fn show(unit: &str, value: f64) -> String {
    match unit {
        "bytes" if value.abs() >= 1e5 => format!("{:.1} KiB", value / 1024.0),
        "bytes" => format!("{value:.1} B"),
        _ => format!("{value:.4}"),
    }
}
