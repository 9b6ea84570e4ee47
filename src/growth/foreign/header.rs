//! What the columns of a table mean, by their names.

use super::MIB;
use crate::units::Unit;

/// Words of which the name of the time column is made, units aside.
const TIME_WORDS: [&str; 13] =
    ["t", "ts", "time", "timestamp", "elapsed", "date", "datetime", "unix", "epoch", "utc", "clock", "wall", "at"];
/// Units of time, in seconds.
const TIME_UNITS: [(&str, f64); 12] = [
    ("s", 1.0),
    ("sec", 1.0),
    ("secs", 1.0),
    ("second", 1.0),
    ("seconds", 1.0),
    ("ms", 1e-3),
    ("millis", 1e-3),
    ("milliseconds", 1e-3),
    ("us", 1e-6),
    ("ns", 1e-9),
    ("min", 60.0),
    ("hours", 3600.0),
];
/// Units of memory, in bytes. Programs that count resident memory in kB or MB mean powers of 1,024.
const MEMORY_UNITS: [(&str, f64); 7] = [
    ("bytes", 1.0),
    ("kb", 1024.0),
    ("kib", 1024.0),
    ("mb", MIB),
    ("mib", MIB),
    ("gb", 1024.0 * MIB),
    ("gib", 1024.0 * MIB),
];
/// Names that are the value's, and words that hint at it.
const VALUE_NAMES: [&str; 4] = ["value", "val", "v", "y"];
const VALUE_WORDS: [&str; 13] = [
    "rss",
    "uss",
    "pss",
    "memory",
    "mem",
    "resident",
    "private",
    "heap",
    "fds",
    "fd",
    "threads",
    "descriptors",
    "handles",
];
/// Words of columns that stand beside a value and are none.
const OTHER_WORDS: [&str; 4] = ["virtual", "cpu", "percent", "limit"];

/// Which column is what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Columns {
    pub count: usize,
    pub time: usize,
    /// Seconds in one unit of time, where the name says it.
    pub time_unit: Option<f64>,
    pub value: usize,
    /// What one unit of the value is.
    pub value_unit: f64,
    pub operations: Option<usize>,
    pub phase: Option<usize>,
    pub cycle: Option<usize>,
}

impl Columns {
    /// Time and value, and nothing said about them.
    pub const BARE: Self = Self {
        count: 2,
        time: 0,
        time_unit: None,
        value: 1,
        value_unit: 1.0,
        operations: None,
        phase: None,
        cycle: None,
    };

    /// The columns of these names.
    pub fn named(names: &[&str], unit: Unit) -> Result<Self, String> {
        let words: Vec<Vec<String>> = names.iter().map(|name| words(name)).collect();
        let place = |wanted: &[&str]| {
            words.iter().position(|words| matches!(words.as_slice(), [one] if wanted.contains(&one.as_str())))
        };
        let listed = || names.iter().map(|name| format!("`{}`", name.trim())).collect::<Vec<_>>().join(", ");
        let time = words.iter().position(|words| is_time(words));
        let time = time.ok_or_else(|| format!("names no column of time: {}; call it `t_s`", listed()))?;
        let operations = place(&["ops", "op", "operations", "requests"]);
        let (phase, cycle) = (place(&["phase"]), place(&["cycle"]));
        let taken = [Some(time), operations, phase, cycle];
        let free: Vec<usize> = (0..names.len()).filter(|index| !taken.contains(&Some(*index))).collect();
        let value = value(&free, &words).map_err(|candidates| match candidates.as_slice() {
            [] => format!("names no column that can be the value: {}; call it `value`", listed()),
            _ => {
                let candidates: Vec<String> =
                    candidates.iter().map(|index| format!("`{}`", names[*index].trim())).collect();
                format!(
                    "names several columns that can be the value: {}; call the right one `value`",
                    candidates.join(", ")
                )
            }
        })?;
        let time_unit = words[time].iter().find_map(|word| in_table(&TIME_UNITS, word));
        let memory_unit = words[value].last().and_then(|word| in_table(&MEMORY_UNITS, word));
        // psrecord's CSV does not write the unit of this one.
        let psrecord = (words[value].iter().map(String::as_str).eq(["mem", "real"])).then_some(MIB);
        let value_unit = match unit {
            Unit::Bytes => memory_unit.or(psrecord).unwrap_or(1.0),
            Unit::Count => 1.0,
        };
        Ok(Self { count: names.len(), time, time_unit, value, value_unit, operations, phase, cycle })
    }
}

/// The words of a name: `Real (MB)` and `real_mb` are the same.
fn words(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn in_table(table: &[(&str, f64)], word: &str) -> Option<f64> {
    table.iter().find(|(name, _)| *name == word).map(|(_, unit)| *unit)
}

fn is_time(words: &[String]) -> bool {
    let known = |word: &String| TIME_WORDS.contains(&word.as_str()) || in_table(&TIME_UNITS, word).is_some();
    !words.is_empty() && words.iter().all(known)
}

/// The column of the value among those that are free, else those that it could be.
fn value(free: &[usize], words: &[Vec<String>]) -> Result<usize, Vec<usize>> {
    let is_named = |index: &&usize| {
        let (name, unit) =
            words[**index].split_first().map_or(("", &[] as &[String]), |(name, rest)| (name.as_str(), rest));
        let has_unit = matches!(unit, [unit] if in_table(&MEMORY_UNITS, unit).is_some());
        (VALUE_NAMES.contains(&name) && (unit.is_empty() || has_unit))
            || words[**index].iter().any(|word| word == "real")
    };
    let hints = |index: &&usize| {
        let has = |list: &[&str]| words[**index].iter().any(|word| list.contains(&word.as_str()));
        let is_memory = words[**index].last().is_some_and(|word| in_table(&MEMORY_UNITS, word).is_some());
        (has(&VALUE_WORDS) || is_memory) && !has(&OTHER_WORDS)
    };
    let named: Vec<usize> = free.iter().filter(is_named).copied().collect();
    let hinted: Vec<usize> = free.iter().filter(hints).copied().collect();
    match (named.as_slice(), hinted.as_slice(), free) {
        ([one], _, _) | ([], [one], _) | ([], [], [one]) => Ok(*one),
        ([], [], _) => Err(Vec::new()),
        ([], several, _) | (several, _, _) => Err(several.to_vec()),
    }
}
