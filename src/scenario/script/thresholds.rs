//! Thresholds: where they stand, and that their metric exists. The gate reads the rest.

use super::reader::{Item, suggest};
use crate::sample::Metric;
use crate::scenario::ThresholdText;

/// Reads a list of thresholds of a scenario, or for all.
pub(super) fn thresholds(item: &Item<'_>, scenario: Option<&str>, gauges: &[String]) -> Vec<ThresholdText> {
    let read = |item: &Item<'_>| {
        let expression = item.text()?;
        if let Err(message) = check_metric(expression, gauges) {
            item.problem(format!("threshold `{expression}`: {message}"));
            return None;
        }
        let (line, column) = item.reading.place(item.span.start);
        Some(ThresholdText { scenario: scenario.map(str::to_owned), expression: expression.to_owned(), line, column })
    };
    item.list().unwrap_or_default().iter().filter_map(read).collect()
}

fn check_metric(expression: &str, gauges: &[String]) -> Result<(), String> {
    let left_end = expression.find([' ', '<', '>', '=', '!']).unwrap_or(expression.len());
    let (left, right) = expression.split_at(left_end);
    let metric = if right.trim_start().starts_with("!=") {
        left
    } else {
        let (metric, _) = left.rsplit_once('.').ok_or_else(|| {
            "a threshold is METRIC.STATISTIC OP VALUE, like `private.per_op < 64B`, or METRIC != unbounded".to_owned()
        })?;
        metric
    };
    let metric: Metric = metric.parse().map_err(|error: crate::sample::MetricError| error.to_string())?;
    match metric {
        Metric::Gauge(name) if !gauges.contains(&name) => {
            let hint = suggest(&name, gauges.iter().map(String::as_str));
            Err(format!("gauge `{name}` is not in [gauges] names{hint}"))
        }
        _ => Ok(()),
    }
}
