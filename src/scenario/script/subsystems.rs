//! `[[subsystem]]`: the parts of the target and what is their own.

use globset::Glob;

use super::reader::{Item, Table, suggest};
use crate::sample::{FdKind, Priority, Subsystem, SubsystemRules};

/// Reads one subsystem.
pub(super) fn subsystem(table: &Table<'_>, gauges: &[String]) -> Option<Subsystem> {
    let name = table.need("name", "\"WorkQueue\"").and_then(|item| item.text());
    let priorities = [("P0", Priority::P0), ("P1", Priority::P1), ("P2", Priority::P2)];
    let priority = table.get("priority").and_then(|item| item.choice(&priorities));
    let source = table.get("source").and_then(|item| item.text()).map(str::to_owned);
    let owns = table.get("owns").and_then(|item| item.table()).map(|table| rules(&table, gauges)).unwrap_or_default();
    table.finish();
    Some(Subsystem { name: name?.to_owned(), priority, source, owns })
}

fn rules(table: &Table<'_>, gauges: &[String]) -> SubsystemRules {
    let patterns = |key, check: &dyn Fn(&str) -> Result<(), String>| {
        let items = table.get(key).and_then(|item| item.list()).unwrap_or_default();
        items.iter().filter_map(|item| pattern(item, check)).collect()
    };
    let rules = SubsystemRules {
        frames: patterns("frames", &|_| Ok(())),
        gauges: patterns("gauges", &|pattern| known_gauge(pattern, gauges)),
        fds: patterns("fds", &known_kind),
        tasks: patterns("tasks", &|_| Ok(())),
    };
    table.finish();
    rules
}

fn pattern(item: &Item<'_>, check: &dyn Fn(&str) -> Result<(), String>) -> Option<String> {
    let text = item.text()?;
    let glob = Glob::new(text).map(|_| ()).map_err(|error| format!("`{text}` is no pattern: {}", error.kind()));
    match glob.and_then(|()| check(text)) {
        Ok(()) => Some(text.to_owned()),
        Err(message) => {
            item.problem(message);
            None
        }
    }
}

/// A gauge that is owned must be read.
fn known_gauge(pattern: &str, gauges: &[String]) -> Result<(), String> {
    let matches = Glob::new(pattern).is_ok_and(|glob| {
        let matcher = glob.compile_matcher();
        gauges.iter().any(|name| name == pattern || matcher.is_match(name))
    });
    if matches {
        return Ok(());
    }
    let hint = suggest(pattern, gauges.iter().map(String::as_str));
    Err(format!("gauge `{pattern}` is not in [gauges] names{hint}"))
}

/// `tcp`, `tcp:127.0.0.1:*` and paths are right; `tpc` is not.
fn known_kind(pattern: &str) -> Result<(), String> {
    let word = pattern.split(':').next().unwrap_or_default();
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let kinds = FdKind::ALL.map(FdKind::name);
    if !is_word || kinds.contains(&word) {
        return Ok(());
    }
    Err(format!("unknown kind of descriptor `{word}`{}", suggest(word, kinds)))
}
