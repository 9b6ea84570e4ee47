//! `tidewatch.toml`: what the file says, as the types of [`crate::scenario`].
//!
//! A file is read whole and every mistake in it is reported with its place: unknown keys, wrong types, units,
//! names that nothing declares. A file whose scenarios could never decide is refused too. Nothing is started
//! or connected to here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::template::{Fixed, Known};
use super::{GaugeSpec, Scenario, Script, ThresholdText};
use crate::input::read_text;
use crate::sample::{Inconclusive, Plan, Shape, Subsystem};

mod address;
mod decide;
mod dry_run;
mod problem;
mod reader;
mod sampling;
mod scenarios;
mod steps;
mod subsystems;
mod target;
mod thresholds;
mod wording;

pub use address::is_here;
pub use decide::too_short;
pub use dry_run::{DryRun, DryScenario, Span, describe};
pub use problem::{Problem, ScriptError};
use reader::{Item, Reading, Table, suggest};
pub use sampling::heap_interval_bytes;
use steps::Surroundings;
use target::Target;

/// The name of the file in its folder.
pub const FILE_NAME: &str = "tidewatch.toml";

/// The longest scenario file in bytes.
const LONGEST_FILE: u64 = 4 << 20;
/// The most tables of one name.
const MOST_TABLES: usize = 1_000;

/// Reads a scenario file, or the one in a folder. `vars` come from `--var`, `select` from `--scenario` (none: all).
pub fn load(path: &Path, vars: &BTreeMap<String, String>, select: &[String]) -> Result<Script, ScriptError> {
    load_with(path, vars, select, &|name| std::env::var(name).ok())
}

/// [`load`] with an environment of the caller's.
pub fn load_with(
    path: &Path,
    vars: &BTreeMap<String, String>,
    select: &[String],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Script, ScriptError> {
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
    let source = read_text(&path, LONGEST_FILE).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ScriptError::Missing { path: path.clone() },
        _ => ScriptError::Unreadable { path: path.clone(), source },
    })?;
    let script = parse(&path, &source, vars, environment)?;
    only(script, select)
}

/// Understands the text of a scenario file that lies at `path`.
pub fn parse_text(path: &Path, source: &str, vars: &BTreeMap<String, String>) -> Result<Script, ScriptError> {
    parse(path, source, vars, &|name| std::env::var(name).ok())
}

fn parse(
    path: &Path,
    source: &str,
    vars: &BTreeMap<String, String>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Script, ScriptError> {
    let wrong = |problems| ScriptError::Wrong { path: path.to_owned(), problems };
    let document = DeTable::parse(source).map_err(|error| {
        let (line, column) = problem::place(source, error.span().map_or(0, |span| span.start));
        let message = format!("not TOML: {}", error.message().replace('\n', "; "));
        wrong(vec![Problem { line, column, message }])
    })?;
    let reading = Reading::new(source, environment);
    let top = Table::new(&reading, "the file".into(), 0..0, document.get_ref());
    let folder = folder_of(path).map_err(|source| ScriptError::Unreadable { path: path.to_owned(), source })?;
    let declared = declared_vars(&top);
    let read = File { path, folder: &folder, top: &top, reading: &reading, vars: declared.clone() };
    let unknown = vars.keys().find(|name| !declared.contains_key(*name));
    let script = read.script(vars);
    let problems = reading.problems();
    match (script, unknown) {
        (_, Some(name)) if problems.is_empty() => Err(ScriptError::Request {
            path: path.to_owned(),
            message: format!(
                "--var {name}: the file has no such variable{}",
                suggest(name, declared.keys().map(String::as_str).collect::<Vec<_>>())
            ),
        }),
        (Some(script), None) if problems.is_empty() => Ok(script),
        (None, _) if problems.is_empty() => {
            let message = "something in this file is not understood; please report it with the file".to_owned();
            Err(wrong(vec![Problem { line: 1, column: 1, message }]))
        }
        _ => Err(wrong(problems)),
    }
}

/// The file's folder, absolute.
fn folder_of(path: &Path) -> std::io::Result<PathBuf> {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.canonicalize(),
        _ => Path::new(".").canonicalize(),
    }
}

fn declared_vars(top: &Table<'_>) -> BTreeMap<String, String> {
    let entries = top.get("vars").and_then(|item| item.entries()).unwrap_or_default();
    entries.into_iter().filter_map(|(name, item)| Some((name, item.scalar()?))).collect()
}

struct File<'a> {
    path: &'a Path,
    folder: &'a Path,
    top: &'a Table<'a>,
    reading: &'a Reading<'a>,
    vars: BTreeMap<String, String>,
}

impl File<'_> {
    /// `None` when something is wrong, which the reading then knows.
    fn script(&self, given: &BTreeMap<String, String>) -> Option<Script> {
        let top = self.top;
        let name = top.get("name").and_then(|item| item.text()).map(str::to_owned);
        let seed = top.get("seed").map_or(Some(1), |item| item.whole(0..(i64::MAX as u64)));
        let allow_remote: Vec<String> = top.get("allow_remote").and_then(|item| item.texts()).unwrap_or_default();
        let allow_remote: Vec<String> = allow_remote.iter().map(|host| host.to_ascii_lowercase()).collect();
        let mut known = Known { vars: self.vars.keys().cloned().collect(), captures: BTreeSet::new() };
        let target = top.need("target", "[target] with `launch = [\"program\"]`").and_then(|item| {
            let table = named(&item, "[target]")?;
            target::target(&table, self.folder, &mut known, &allow_remote)
        });
        if target.is_none() {
            // What the target would have captured is not known; one mistake must not look like ten.
            known.captures.insert("port".into());
        }
        let gauges =
            top.get("gauges").and_then(|item| target::gauges(&named(&item, "[gauges]")?, &known, &allow_remote));
        let gauge_names = gauges.as_ref().map(|gauges: &GaugeSpec| gauges.names.clone()).unwrap_or_default();
        let subsystems = self.subsystems(&gauge_names);
        let mut thresholds = self.thresholds_for_all(&gauge_names);
        let launched = !target.as_ref().is_some_and(|target| !matches!(target.spec.origin, super::Origin::Launch(_)));
        let near = Surroundings { folder: self.folder, allow_remote: &allow_remote, launched };
        let plan_thresholds = thresholds.iter().map(|threshold| threshold.expression.clone()).collect();
        let scenarios = self.scenarios(&known, &near, &subsystems, &gauge_names, &mut thresholds);
        top.finish();
        let Target { spec, memory_limit, heap } = target?;
        let plan = Plan {
            name: name.unwrap_or_else(|| folder_name(self.folder)),
            subsystems,
            scenarios: scenarios.iter().map(|scenario| scenario.plan.clone()).collect(),
            thresholds: plan_thresholds,
            memory_limit,
            seed: seed?,
            inconclusive: Inconclusive::default(),
            heap,
            ..Plan::default()
        };
        let mut vars = self.vars.clone();
        vars.extend(given.clone());
        let captures = match spec.port {
            super::Port::Fixed(port) => BTreeMap::from([("port".to_owned(), port.to_string())]),
            super::Port::Free | super::Port::Unknown => BTreeMap::new(),
        };
        let fixed = Fixed { vars, env: self.reading.env(), captures };
        Some(Script {
            path: self.path.to_owned(),
            plan,
            target: spec,
            gauges,
            scenarios,
            allow_remote,
            heap_interval_bytes: None,
            fixed,
            thresholds,
        })
    }

    fn subsystems(&self, gauges: &[String]) -> Vec<Subsystem> {
        let mut found: Vec<Subsystem> = Vec::new();
        for item in self.top.get("subsystem").map(|item| tables(&item, "[[subsystem]]")).unwrap_or_default() {
            let Some(table) = named(&item, "[[subsystem]]") else { continue };
            let Some(subsystem) = subsystems::subsystem(&table, gauges) else { continue };
            if found.iter().any(|other| other.name == subsystem.name) {
                self.reading.problem(table.key_at("name"), format!("two subsystems are called `{}`", subsystem.name));
            }
            found.push(subsystem);
        }
        found
    }

    fn thresholds_for_all(&self, gauges: &[String]) -> Vec<ThresholdText> {
        let Some(table) = self.top.get("thresholds").and_then(|item| named(&item, "[thresholds]")) else {
            return Vec::new();
        };
        let all = table.get("all").map(|item| thresholds::thresholds(&item, None, gauges)).unwrap_or_default();
        table.finish();
        all
    }

    fn scenarios(
        &self,
        known: &Known,
        near: &Surroundings<'_>,
        subsystems: &[Subsystem],
        gauges: &[String],
        thresholds: &mut Vec<ThresholdText>,
    ) -> Vec<Scenario> {
        let Some(list) = self.top.need("scenario", "[[scenario]] with `name`, `shape` and what is done") else {
            return Vec::new();
        };
        let mut found: Vec<Scenario> = Vec::new();
        for item in tables(&list, "[[scenario]]") {
            let Some(table) = named(&item, "[[scenario]]") else { continue };
            let Some(mut scenario) = scenarios::scenario(&table, known, near) else { continue };
            self.check_subsystem(&table, subsystems);
            if found.iter().any(|other| other.plan.name == scenario.plan.name) {
                let message = format!("two scenarios are called `{}`", scenario.plan.name);
                self.reading.problem(table.key_at("name"), message);
            }
            if let Some(item) = table.get("thresholds") {
                let own = thresholds::thresholds(&item, Some(&scenario.plan.name), gauges);
                scenario.plan.thresholds = own.iter().map(|threshold| threshold.expression.clone()).collect();
                thresholds.extend(own);
            }
            if let Some(message) = too_short(&scenario) {
                self.reading.problem(table.key_at("name"), message);
            }
            found.push(scenario);
        }
        found.sort_by_key(|scenario| scenario.plan.shape != Shape::Idle);
        found
    }

    fn check_subsystem(&self, table: &Table<'_>, subsystems: &[Subsystem]) {
        let Some(item) = table.get("subsystem") else { return };
        let Some(name) = item.text() else { return };
        if !subsystems.iter().any(|subsystem| subsystem.name == name) {
            let names: Vec<&str> = subsystems.iter().map(|subsystem| subsystem.name.as_str()).collect();
            item.problem(format!(
                "unknown subsystem `{name}`{}; add a [[subsystem]] of that name",
                suggest(name, names)
            ));
        }
    }
}

/// A table with the name by which messages call it.
fn named<'a>(item: &Item<'a>, name: &str) -> Option<Table<'a>> {
    item.table().map(|table| table.called(name))
}

/// The tables of `[[name]]`; `[name]` is a slip that is worth its own message.
fn tables<'a>(item: &Item<'a>, name: &str) -> Vec<Item<'a>> {
    if item.is_table() {
        item.problem(format!("write {name} with two brackets: there may be several"));
        return Vec::new();
    }
    let tables = item.list().unwrap_or_default();
    if tables.len() > MOST_TABLES {
        item.problem(format!("there are {} of {name}; the most is {MOST_TABLES}", tables.len()));
        return Vec::new();
    }
    tables
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned())
}

/// Keeps the scenarios that were asked for by name, in the order of the run.
fn only(mut script: Script, select: &[String]) -> Result<Script, ScriptError> {
    if select.is_empty() {
        return Ok(script);
    }
    let names: Vec<&str> = script.scenarios.iter().map(|scenario| scenario.plan.name.as_str()).collect();
    if let Some(unknown) = select.iter().find(|wanted| !names.contains(&wanted.as_str())) {
        let near = crate::units::nearest(unknown, names.iter().copied());
        let near = near.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        let message = format!("no scenario is called `{unknown}`; {near}there are {}", names.join(", "));
        return Err(ScriptError::Request { path: script.path, message });
    }
    let wanted = |name: &str| select.iter().any(|wanted| wanted == name);
    script.scenarios.retain(|scenario| wanted(&scenario.plan.name));
    script.plan.scenarios.retain(|scenario| wanted(&scenario.name));
    script.thresholds.retain(|threshold| threshold.scenario.as_deref().is_none_or(wanted));
    Ok(script)
}

#[cfg(test)]
mod tests;
