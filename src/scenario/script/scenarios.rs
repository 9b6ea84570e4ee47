//! `[[scenario]]`: pace, length and what is done.

use std::time::Duration;

use super::reader::{Item, Table};
use super::steps::{Session, Surroundings, leave, opening, step, steps};
use super::wording;
use crate::sample::{BeforeSettle, LoadPlan, PAST_CAP, ProductionRate, ScenarioPlan, Shape, Smallest, Usual};
use crate::scenario::template::Known;
use crate::scenario::{Leave, Load, Opening, Pace, Scenario, Step, Work};
use crate::units::Unit;

const SHAPES: [(&str, Shape); 5] = [
    ("flood", Shape::Flood),
    ("abandon", Shape::Abandon),
    ("long-session", Shape::LongSession),
    ("churn", Shape::Churn),
    ("idle", Shape::Idle),
];

/// The keys that say what is done, with the shapes that have them.
const WORK_KEYS: [(&str, &str); 8] = [
    ("step", "flood"),
    ("then", "flood"),
    ("open", "abandon, long-session and churn"),
    ("during", "abandon"),
    ("leave", "abandon"),
    ("edit", "long-session"),
    ("use", "churn"),
    ("close", "long-session and churn"),
];

const LEAVES: [(&str, Leave); 4] =
    [("close", Leave::Close), ("reset", Leave::Reset), ("half-open", Leave::HalfOpen), ("stall", Leave::Stall)];

/// Reads one scenario. Its thresholds are read by the caller.
pub(super) fn scenario(table: &Table<'_>, known: &Known, near: &Surroundings<'_>) -> Option<Scenario> {
    let name = table.need("name", "\"work-items\"").and_then(|item| name(&item));
    let subsystem = table.get("subsystem").and_then(|item| item.text());
    let shape = table.need("shape", "\"flood\"").and_then(|item| item.choice(&SHAPES));
    let Some(shape) = shape else {
        // Without a shape the other keys cannot be judged.
        return None;
    };
    let work = work(table, shape, &mut known.clone(), near);
    let pace = pace(table, shape);
    let before_settle = table
        .get("before_settle")
        .and_then(|item| step(&item, &mut known.clone(), Session::Silent("it stands outside of a session"), near));
    let length = length(table, shape);
    let (smallest, usual) = smallest(table, shape);
    let max_errors = table.get("max_errors").map_or(Some(0.01), |item| share(&item));
    let distinct = table.get("distinct").and_then(|item| item.count());
    let min_operations = table.get("min_operations").and_then(|item| item.count());
    let expect_cap = table.get("expect_cap").and_then(|item| item.count());
    let expect_cap = expect_cap.or_else(|| min_operations.map(cap_before));
    let production = table.get("production").map(|item| production(&item)).unwrap_or_default();
    table.get("thresholds");
    table.finish_with(|key| belongs_elsewhere(key, shape));
    let (name, work, pace) = (name?, work?, pace?);
    let plan = ScenarioPlan {
        name,
        shape,
        subsystem: subsystem.map(str::to_owned),
        steps: wording::work(&work),
        load: LoadPlan { before_settle: settling(before_settle.as_ref()), ..length.plan(pace, shape) },
        smallest,
        usual,
        expect_cap,
        thresholds: Vec::new(),
        production,
    };
    Some(Scenario {
        plan,
        work,
        pace,
        warmup: length.warmup,
        load: length.load,
        settle: length.settle,
        min_cycles: length.min_cycles,
        max_cycles: length.max_cycles,
        further_cycles: length.further_cycles,
        max_errors: max_errors?,
        min_operations,
        distinct,
        before_settle,
    })
}

/// The cap that may lie before so many operations: nothing is called endless before they are done.
fn cap_before(min_operations: u64) -> u64 {
    (min_operations as f64 / PAST_CAP) as u64
}

fn settling(step: Option<&Step>) -> BeforeSettle {
    if step.is_some() { BeforeSettle::Step } else { BeforeSettle::Nothing }
}

fn name(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        item.problem("`name` must be a line of text");
        return None;
    }
    Some(text.to_owned())
}

fn belongs_elsewhere(key: &str, shape: Shape) -> Option<String> {
    let own = SHAPES.iter().find(|(_, s)| *s == shape).map_or("?", |(word, _)| word);
    if shape == Shape::Idle && ["rate", "workers", "most_at_once", "before_settle"].contains(&key) {
        return Some(format!("`{key}` does not fit the shape idle, which loads nothing"));
    }
    if key == "workers" {
        return Some("`workers` does not fit the shape long-session, which is one session; use `rate`".into());
    }
    let (_, shapes) = WORK_KEYS.iter().find(|(word, _)| *word == key)?;
    Some(format!("`{key}` belongs to the shape {shapes}; this one is {own}"))
}

fn work(table: &Table<'_>, shape: Shape, known: &mut Known, near: &Surroundings<'_>) -> Option<Work> {
    match shape {
        Shape::Flood => {
            let alone = Session::Silent("a flood has no open session; use the shape churn or long-session");
            let first = table.need("step", "{ http = { url = \"/items\" } }");
            let first = first.and_then(|item| step(&item, known, alone, near));
            let then = table.get("then").map(|item| steps(&item, known, alone, near)).unwrap_or_default();
            first.map(|step| Work::Flood { step, then })
        }
        Shape::Abandon => {
            let open = open(table, shape, known, near);
            let session = session(open.as_ref());
            let during = table.get("during").map(|item| steps(&item, known, session, near)).unwrap_or_default();
            let leave = leave_word(table, "leave", &LEAVES, open.as_ref());
            Some(Work::Abandon { open: open?, during, leave: leave? })
        }
        Shape::LongSession => {
            let open = open(table, shape, known, near);
            let edit = table.need("edit", "{ send = \"x\", until = \"ok\" }");
            let edit = edit.and_then(|item| step(&item, known, session(open.as_ref()), near));
            let close = leave_word(table, "close", &LEAVES[..2], open.as_ref());
            Some(Work::LongSession { open: open?, edit: edit?, close: close? })
        }
        Shape::Churn => {
            let open = open(table, shape, known, near);
            let session = session(open.as_ref());
            let uses = table.get("use").map(|item| steps(&item, known, session, near)).unwrap_or_default();
            let close = leave_word(table, "close", &LEAVES[..2], open.as_ref());
            Some(Work::Churn { open: open?, uses, close: close? })
        }
        Shape::Idle | Shape::Watch | Shape::Counted => Some(Work::Idle),
    }
}

fn open(table: &Table<'_>, shape: Shape, known: &mut Known, near: &Surroundings<'_>) -> Option<Opening> {
    let item =
        table.need("open", "{ sse = { url = \"/events\" } } or { tcp = { connect = \"127.0.0.1:{{ port }}\" } }")?;
    let opening = opening(&item, known, near)?;
    if matches!(opening, Opening::Stdio) && shape != Shape::LongSession {
        item.problem("a target has one standard input, which stays open: `stdio` fits the shape long-session only");
        return None;
    }
    Some(opening)
}

/// Where the opening itself is wrong, nothing more is said about what it carries.
fn session(open: Option<&Opening>) -> Session {
    open.map_or(Session::Messages, Session::of)
}

fn leave_word(table: &Table<'_>, key: &'static str, words: &[(&str, Leave)], open: Option<&Opening>) -> Option<Leave> {
    let Some(item) = table.get(key) else { return Some(Leave::Close) };
    let found = leave(&item, words)?;
    if found != Leave::Close && matches!(open, Some(Opening::Step(_) | Opening::Stdio)) {
        item.problem(format!("`{key}` must be \"close\" here: this `open` leaves no connection to end otherwise"));
        return None;
    }
    Some(found)
}

fn pace(table: &Table<'_>, shape: Shape) -> Option<Pace> {
    const DEFAULT_WORKERS: u32 = 4;
    if shape == Shape::Idle {
        return Some(Pace::Closed { workers: 0 });
    }
    let one_session = shape == Shape::LongSession;
    let item = if one_session { table.get("rate") } else { table.one_of(&["rate", "workers"]) };
    let Some(item) = item else {
        return Some(Pace::Closed { workers: if one_session { 1 } else { DEFAULT_WORKERS } });
    };
    if item.name == "workers" {
        return item.whole(1..65_537).and_then(|n| u32::try_from(n).ok()).map(|workers| Pace::Closed { workers });
    }
    let most_at_once = table.get("most_at_once").map(|item| item.small_count());
    let per_second = item.rate()?.as_per_second();
    // Few connections keep the target's own buffers from growing with every stall; a fiftieth of a second is ample on one machine.
    let default = (per_second / 50.0).clamp(16.0, 256.0) as u32;
    let most_at_once = if one_session { Some(1) } else { most_at_once.unwrap_or(Some(default)) };
    Some(Pace::Open { per_second, most_at_once: most_at_once? })
}

/// The last look that shares the chance of a false alarm: a run that nobody bounded may go on until it.
const FURTHER_CYCLES: u32 = 110;

struct Length {
    warmup: Duration,
    load: Load,
    settle: Duration,
    min_cycles: u32,
    max_cycles: u32,
    further_cycles: u32,
}

impl Length {
    fn plan(&self, pace: Pace, shape: Shape) -> LoadPlan {
        let (rate, workers) = match pace {
            Pace::Open { per_second, .. } => (Some(per_second), None),
            Pace::Closed { .. } if shape == Shape::Idle => (None, None),
            Pace::Closed { workers } => (None, Some(workers)),
        };
        let (load_s, load_operations) = match (self.load, rate) {
            (Load::For(time), _) => (time.as_secs_f64(), None),
            (Load::Operations(n), Some(rate)) => (n as f64 / rate, Some(n)),
            (Load::Operations(n), None) => (0.0, Some(n)),
        };
        LoadPlan {
            rate,
            workers,
            warmup_s: self.warmup.as_secs_f64(),
            load_s,
            load_operations,
            settle_s: self.settle.as_secs_f64(),
            min_cycles: self.min_cycles,
            max_cycles: self.max_cycles,
            ..LoadPlan::default()
        }
    }
}

fn length(table: &Table<'_>, shape: Shape) -> Length {
    let time = |key, default| table.get(key).and_then(|item| item.duration()).unwrap_or(Duration::from_millis(default));
    let (warmup, settle) = (time("warmup", 3000), time("settle", 400));
    let load = table.get("load").and_then(|item| load(&item, shape)).unwrap_or(Load::For(Duration::from_millis(750)));
    let (mut min_cycles, mut max_cycles, mut further_cycles) = (10, 50, FURTHER_CYCLES);
    if let Some((item, cycles)) = table.get("cycles").and_then(|item| item.table().map(|table| (item, table))) {
        let min = cycles.get("min").and_then(|item| item.small_count());
        let max = cycles.get("max").and_then(|item| item.small_count());
        cycles.finish();
        min_cycles = min.unwrap_or(min_cycles.min(max.unwrap_or(min_cycles)));
        max_cycles = max.unwrap_or(max_cycles.max(min_cycles));
        further_cycles = max.unwrap_or(further_cycles.max(max_cycles));
        if min_cycles > max_cycles {
            item.problem(format!("`cycles.min` is {min_cycles} and `cycles.max` only {max_cycles}"));
        }
    }
    Length { warmup, load, settle, min_cycles, max_cycles, further_cycles }
}

fn load(item: &Item<'_>, shape: Shape) -> Option<Load> {
    let table = item.table()?;
    let which = table.one_of(&["for", "operations"]);
    table.finish();
    let Some(which) = which else {
        table.missing(&["for", "operations"], "`load` needs `for = \"750ms\"` or `operations = 1500`");
        return None;
    };
    if which.name == "operations" {
        if shape == Shape::Idle {
            which.problem("`operations` does not fit the shape idle, which loads nothing; use `for`");
        }
        return which.count().map(Load::Operations);
    }
    let time = which.duration()?;
    if time < Duration::from_millis(10) {
        which.problem("`load.for` is under 10ms: too short to be measured");
        return None;
    }
    Some(Load::For(time))
}

/// The smallest growth that matters, and which of its figures the file leaves to what is usual.
fn smallest(table: &Table<'_>, shape: Shape) -> (Smallest, Usual) {
    let idle = shape == Shape::Idle;
    let mut smallest = if idle { Smallest::PER_SECOND } else { Smallest::PER_OPERATION };
    let mut usual = Usual::BOTH;
    let Some(inner) = table.get("smallest").and_then(|item| item.table()) else { return (smallest, usual) };
    for (key, unit) in [("memory", Unit::Bytes), ("count", Unit::Count)] {
        let Some(item) = inner.get(key) else { continue };
        let value = if idle { item.per_second(unit) } else { item.quantity(unit) };
        let Some(value) = value else { continue };
        if value <= 0.0 {
            item.problem(format!("`smallest.{key}` must be more than nothing: no run could see it"));
        } else if unit == Unit::Bytes {
            (smallest.memory, usual.memory) = (value, false);
        } else {
            (smallest.count, usual.count) = (value, false);
        }
    }
    inner.finish();
    (smallest, usual)
}

/// `"1%"` or `0.01`.
fn share(item: &Item<'_>) -> Option<f64> {
    let value = if item.is_text() {
        let text = item.text()?;
        text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok()).map(|percent| percent / 100.0)
    } else {
        Some(item.number("a share, like \"1%\"")?)
    };
    let value = value.filter(|share| (0.0..=1.0).contains(share));
    if value.is_none() {
        item.problem(format!("`{}` must be a share from \"0%\" to \"100%\"", item.name));
    }
    value
}

fn production(item: &Item<'_>) -> Vec<ProductionRate> {
    let rate = |(name, item): (String, Item<'_>)| Some(ProductionRate { name, rate: item.rate()? });
    item.entries().unwrap_or_default().into_iter().filter_map(rate).collect()
}
