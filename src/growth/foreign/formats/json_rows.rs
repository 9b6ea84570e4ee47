//! Objects of JSON, one for each sample: a line each, or a list of them. psutil, `process.memoryUsage()` of Node, `docker stats
//! --format json` and most loggers write so. Objects within objects are columns like `memory.rss`.

use std::io::Read as _;

use serde_json::{Map, Value};

use super::Format;
use crate::growth::foreign::CurveError;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::name::{Meaning, Name};
use crate::growth::foreign::sheet::{Column, Sheet};

pub(super) const FORMAT: Format = Format { name: "JSON lines", sees, read, only_memory: false, stamps: Stamps::Lines };

/// A list, or a document that is not read line by line, is held in memory.
pub(super) const LARGEST_DOCUMENT: u64 = 64 << 20;
/// Objects in objects, no deeper than that.
const DEEPEST: usize = 4;

fn sees(head: &Head<'_>) -> bool {
    let first = head.first().trim_start();
    first.starts_with(['{', '[']) && head.any(holds_value)
}

/// Whether a line has a key that can be a value.
fn holds_value(line: &str) -> bool {
    let parts: Vec<&str> = line.get(..line.len().min(4000)).unwrap_or_default().split('"').collect();
    parts.windows(2).skip(1).step_by(2).any(|pair| {
        pair[1].trim_start().starts_with(':')
            && matches!(Name::of(pair[0]).meaning(), Meaning::Memory | Meaning::Count | Meaning::Value)
    })
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    // A list may be one line, however long.
    if lines.rest().fill_buf().map_err(CurveError::Read)?.first() == Some(&b'[') {
        let line = lines.passed() + 1;
        return read_document(lines, sheet, "", line, None);
    }
    while let Some(line) = lines.advance()? {
        let text = line.text.trim();
        match serde_json::from_str::<Value>(text.trim_end_matches(',')) {
            Ok(Value::Object(mut object)) => match sole_list(&mut object) {
                Some(list) => take_list(sheet, line.number, line.stamp, list)?,
                None => take(sheet, line.number, line.stamp, &object)?,
            },
            Ok(Value::Array(list)) => take_list(sheet, line.number, line.stamp, list)?,
            Ok(_) => return Err(line.misfit("is JSON, but no object with a time and a value")),
            // The first line of a document over several lines.
            Err(error) if error.is_eof() => {
                let (number, stamp, text) = (line.number, line.stamp.map(str::to_owned), text.to_owned());
                return read_document(lines, sheet, &text, number, stamp.as_deref());
            }
            Err(error) => return Err(line.misfit(format!("is not whole JSON: {error}"))),
        }
    }
    Ok(())
}

/// The whole of a text of JSON whose first line was read already.
pub(super) fn whole(lines: &mut Lines<'_>, begun: &str, line: usize) -> Result<Vec<Value>, CurveError> {
    let mut text = if begun.is_empty() { String::new() } else { format!("{begun}\n") };
    lines.rest().take(LARGEST_DOCUMENT).read_to_string(&mut text).map_err(CurveError::Read)?;
    if text.len() as u64 >= LARGEST_DOCUMENT {
        return Err(CurveError::line(
            line,
            format!("begins a JSON document of more than {LARGEST_DOCUMENT} bytes; write one object a line"),
        ));
    }
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&text).into_iter().collect();
    documents.map_err(|error| {
        let what = error.to_string();
        let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
        CurveError::line(
            line - 1 + error.line().max(1),
            format!("is not whole JSON: {what} (column {})", error.column()),
        )
    })
}

fn read_document(
    lines: &mut Lines<'_>,
    sheet: &mut Sheet<'_>,
    begun: &str,
    line: usize,
    stamp: Option<&str>,
) -> Result<(), CurveError> {
    for document in whole(lines, begun, line)? {
        let list = match document {
            Value::Array(list) => list,
            Value::Object(mut object) => match sole_list(&mut object) {
                Some(list) => list,
                None => vec![Value::Object(object)],
            },
            _ => return Err(CurveError::line(line, "is JSON, but no object with a time and a value")),
        };
        take_list(sheet, line, stamp, list)?;
    }
    Ok(())
}

/// The list of objects in an object that has one: `{"samples": [..]}`.
fn sole_list(object: &mut Map<String, Value>) -> Option<Vec<Value>> {
    let is_list = |value: &Value| matches!(value, Value::Array(list) if list.first().is_some_and(Value::is_object));
    let mut lists = object.values_mut().filter(|value| is_list(value));
    match (lists.next(), lists.next()) {
        (Some(Value::Array(list)), None) => Some(std::mem::take(list)),
        _ => None,
    }
}

fn take_list(sheet: &mut Sheet<'_>, line: usize, stamp: Option<&str>, list: Vec<Value>) -> Result<(), CurveError> {
    list.into_iter().try_for_each(|item| match item {
        Value::Object(object) => take(sheet, line, stamp, &object),
        _ => Err(CurveError::line(line, "begins a list of JSON whose members are no objects")),
    })
}

fn take(
    sheet: &mut Sheet<'_>,
    line: usize,
    stamp: Option<&str>,
    object: &Map<String, Value>,
) -> Result<(), CurveError> {
    let mut cells = Vec::new();
    flatten("", object, 0, &mut cells);
    if sheet.columns().is_empty() {
        sheet.begin(line, Vec::new());
    }
    let known = |sheet: &Sheet<'_>, name: &str| sheet.columns().iter().any(|column| column.name == name);
    let new: Vec<Column> =
        cells.iter().filter(|(name, _)| !known(sheet, name)).map(|(name, _)| Column::by_name(name)).collect();
    sheet.widen(new);
    let find = |column: &Column| cells.iter().find(|(name, _)| *name == column.name);
    let row: Vec<&str> =
        sheet.columns().iter().map(|column| find(column).map_or("", |(_, text)| text.as_str())).collect();
    let row: Vec<String> = row.into_iter().map(str::to_owned).collect();
    let row: Vec<&str> = row.iter().map(String::as_str).collect();
    sheet.row(line, stamp, &row)
}

/// The members of an object as cells. Lists are no values.
fn flatten(before: &str, object: &Map<String, Value>, depth: usize, cells: &mut Vec<(String, String)>) {
    for (name, value) in object {
        let name = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        match value {
            Value::Object(inner) if depth < DEEPEST => flatten(&name, inner, depth + 1, cells),
            Value::Object(_) | Value::Array(_) => {}
            Value::Null => cells.push((name, String::new())),
            Value::String(text) => cells.push((name, text.clone())),
            Value::Bool(_) | Value::Number(_) => cells.push((name, value.to_string())),
        }
    }
}
