//! The table of a pace, in Markdown.

use super::outcome::{Ended, Outcome};

/// The table and, below it, its totals.
pub fn of(pace: u32, outcomes: &[&Outcome]) -> String {
    let mut text = format!(
        "{pace}/s\n\n| server | scenario | operations/s | seconds | cycles | operations | outcome | memory from | counts from |\n\
         |---|---|---|---|---|---|---|---|---|\n"
    );
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| (a.server, &a.scenario).cmp(&(b.server, &b.scenario)));
    for outcome in sorted {
        text += &row(outcome);
    }
    let count = |wanted: fn(&Ended) -> bool| outcomes.iter().filter(|outcome| wanted(&outcome.ended)).count();
    let failed = count(|ended| matches!(ended, Ended::Failed(_)));
    text + &format!(
        "\n{pace}/s: {} scenarios, {} clean, {} false alarms, {} inconclusive{}\n",
        outcomes.len(),
        count(|ended| matches!(ended, Ended::Clean)),
        count(|ended| matches!(ended, Ended::FalseAlarm)),
        count(|ended| matches!(ended, Ended::Inconclusive)),
        if failed > 0 { format!(", {failed} could not be checked") } else { String::new() },
    )
}

fn row(outcome: &Outcome) -> String {
    let Outcome { server, scenario, pace, asked, ended, figures, .. } = outcome;
    let capped = if pace < asked { format!("at most {pace}") } else { pace.to_string() };
    let Some(figures) = figures else {
        return format!("| {server} | {scenario} | {capped} | | | | {ended} | | |\n");
    };
    let open: Vec<&str> = figures.open.iter().map(|(metric, _)| metric.as_str()).collect();
    let open = if open.is_empty() { String::new() } else { format!(": {}", open.join(", ")) };
    format!(
        "| {server} | {scenario} | {capped}, {:.0} done | {:.0} | {} | {} | {ended}{open} | {} | {} |\n",
        figures.reached,
        figures.seconds,
        figures.cycles,
        figures.operations,
        amount(figures.memory_limit, " B"),
        amount(figures.count_limit, ""),
    )
}

/// A detection limit to three digits. Where the report names none, the default can be found.
pub fn amount(limit: Option<f64>, unit: &str) -> String {
    match limit {
        None => "default".into(),
        Some(value) if value >= 1.0 => format!("{value:.0}{unit}"),
        Some(value) => format!("{value:.1e}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::outcome;
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_scenario_and_its_totals() {
        let clean = outcome(Ended::Clean);
        let mut open = Outcome { server: "jvm", pace: 100, ..outcome(Ended::Inconclusive) };
        open.figures.as_mut().expect("figures").open = vec![("private".into(), "creeps".into())];
        let failed = Outcome { server: "nginx", ..outcome(Ended::Failed("no port".into())) };
        let text = of(200, &[&clean, &open, &failed]);
        let rows: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            rows,
            [
                "| jvm | filling | at most 100, 200 done | 62 | 50 | 8000 | inconclusive: private | 100 B | 7.5e-4 |",
                "| nginx | filling | 200 | | | | FAILED | | |",
                "| redis | filling | 200, 200 done | 62 | 50 | 8000 | clean | 100 B | 7.5e-4 |",
                "",
                "200/s: 3 scenarios, 1 clean, 0 false alarms, 1 inconclusive, 1 could not be checked",
            ]
        );
    }

    #[test]
    fn limits_are_short() {
        for (limit, expected) in [(None, "default"), (Some(265.97), "266 B"), (Some(0.0113), "1.1e-2 B")] {
            assert_eq!(amount(limit, " B"), expected);
        }
    }
}
