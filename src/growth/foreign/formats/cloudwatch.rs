//! CloudWatch: answers to `get-metric-statistics` and `get-metric-data` as JSON, and the CSV that its console saves.
//!
//! Data points come in any order. The unit stands beside each one in the former, and nowhere in the other two.

use serde_json::Value;

use super::Format;
use super::json_rows::whole;
use super::table::Separator;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::name::{Meaning, Name};
use crate::growth::foreign::order::Disorder;
use crate::growth::foreign::sheet::{Column, Role, Sheet, percentage};
use crate::growth::foreign::time::{Short, parse};

pub(super) const JSON: Format =
    Format { name: "CloudWatch", sees: sees_json, read: read_json, only_memory: false, stamps: Stamps::None };
pub(super) const CSV: Format =
    Format { name: "CloudWatch", sees: sees_csv, read: read_csv, only_memory: false, stamps: Stamps::None };

/// Statistics of a data point, the best one for growth first.
const STATISTICS: [&str; 5] = ["Average", "Maximum", "Minimum", "p50", "Sum"];

fn sees_json(head: &Head<'_>) -> bool {
    head.first().starts_with('{')
        && head.any(|line| line.contains("\"Datapoints\"") || line.contains("\"MetricDataResults\""))
}

fn read_json(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let number = lines.passed() + 1;
    let documents = whole(lines, "", number)?;
    sheet.disorder = Disorder::Usual;
    let mut rows = Vec::new();
    for document in &documents {
        if let Some(points) = document["Datapoints"].as_array() {
            statistics(&text(&document["Label"]), points, &mut rows).map_err(|what| CurveError::line(number, what))?;
        }
        for result in document["MetricDataResults"].as_array().into_iter().flatten() {
            let label = [&result["Label"], &result["Id"]].into_iter().map(text).find(|text| !text.is_empty());
            let (times, values) = (result["Timestamps"].as_array(), result["Values"].as_array());
            for (time, value) in times.into_iter().flatten().zip(values.into_iter().flatten()) {
                rows.push((label.clone().unwrap_or_default(), text(time), text(value)));
            }
        }
    }
    let name = rows.first().map_or_else(|| "value".to_owned(), |(label, _, _)| label.clone());
    if let Some((label, ..)) = rows.iter().find(|(label, ..)| Name::of(label).meaning() == Meaning::Percent) {
        return Err(CurveError::line(number, percentage(label)));
    }
    let columns = vec![
        Column::new("Timestamp", Role::Time),
        Column::new("Label", Role::Label),
        Column::by_name(value_name(&name)),
    ];
    sheet.begin(number, columns);
    rows.iter().try_for_each(|(label, time, value)| sheet.row(number, None, &[time, label, value]))
}

/// A label that says nothing of what is measured is the name of a value.
fn value_name(label: &str) -> String {
    match Name::of(label).meaning() {
        Meaning::Memory | Meaning::Count | Meaning::Counter => label.to_owned(),
        _ => format!("memory of {label}"),
    }
}

fn statistics(label: &str, points: &[Value], rows: &mut Vec<(String, String, String)>) -> Result<(), String> {
    for point in points {
        let statistic = STATISTICS.iter().find(|name| !point[**name].is_null());
        let Some(statistic) = statistic else {
            return Err(format!("begins data points of `{label}` without a statistic"));
        };
        let unit = text(&point["Unit"]);
        let value = text(&point[*statistic]);
        let value = match unit.as_str() {
            "Percent" => return Err(percentage(label)),
            "" | "None" | "Count" => value,
            unit => format!("{value} {unit}"),
        };
        rows.push((label.to_owned(), text(&point["Timestamp"]), value));
    }
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A few lines of a name and a value, then rows that begin with a time.
fn sees_csv(head: &Head<'_>) -> bool {
    let first = head.first();
    (first.starts_with("Full label,")
        || first.starts_with("Label,")
        || first.starts_with("Id,")
        || first.starts_with("#Label"))
        && head.any(|line| line.split(',').next().is_some_and(|cell| parse(cell, Short::HoursMinutes).is_some()))
}

fn read_csv(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut names: Vec<String> = Vec::new();
    sheet.disorder = Disorder::Usual;
    while let Some(line) = lines.advance()? {
        let fields = Separator::Char(',').split(line.text);
        let is_row = fields.first().is_some_and(|cell| parse(cell, Short::HoursMinutes).is_some());
        if !is_row {
            let is_names = matches!(fields[0].trim_start_matches('#'), "Label" | "Full label");
            if is_names && sheet.columns().is_empty() {
                names = fields.iter().skip(1).map(|name| (*name).to_owned()).collect();
            } else if !sheet.columns().is_empty() {
                return Err(line.misfit(format!("time `{}` is not a number or a date", fields[0])));
            }
            continue;
        }
        if sheet.columns().is_empty() {
            let mut columns = vec![Column::new("Timestamp", Role::Time)];
            columns.extend((1..fields.len()).map(|index| {
                Column::by_name(names.get(index - 1).map_or_else(|| format!("value {index}"), |name| value_name(name)))
            }));
            sheet.begin(line.number, columns);
        }
        if fields.len() != sheet.columns().len() {
            return Err(line.misfit(format!("has {} fields, not {}", fields.len(), sheet.columns().len())));
        }
        sheet.row(line.number, None, &fields)?;
    }
    Ok(())
}
