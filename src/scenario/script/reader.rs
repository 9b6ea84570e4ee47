//! Reads TOML tables key by key, and remembers which keys were asked for: a key that nobody asked for is a
//! mistake, and the ones that were asked for are what it is compared with. Mistakes are collected, so that
//! one reading finds them all.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, place};
use crate::scenario::template::{Known, Template, TemplateError};
use crate::units::{Rate, Unit, nearest, parse_duration};

/// Mistakes that are kept.
const MOST_PROBLEMS: usize = 200;
/// Words that a hint lists.
const MOST_HINTS: usize = 40;

/// The file that is being read, with what was found wrong so far.
pub(super) struct Reading<'a> {
    source: &'a str,
    problems: RefCell<Vec<(usize, String)>>,
    environment: &'a dyn Fn(&str) -> Option<String>,
    env: RefCell<std::collections::BTreeMap<String, String>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(source: &'a str, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { source, problems: RefCell::default(), environment, env: RefCell::default() }
    }

    /// Past very many, mistakes are not kept: the first ones are shown.
    pub(super) fn problem(&self, at: usize, message: impl Into<String>) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MOST_PROBLEMS {
            problems.push((at, message.into()));
        }
    }

    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        place(self.source, at)
    }

    /// Everything that is wrong, in the order of the file.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.borrow().clone();
        problems.sort();
        problems.dedup();
        let located = |(at, message)| {
            let (line, column) = self.place(at);
            Problem { line, column, message }
        };
        problems.into_iter().map(located).collect()
    }

    /// The variables of the environment that templates name, with their values.
    pub(super) fn env(&self) -> std::collections::BTreeMap<String, String> {
        self.env.borrow().clone()
    }

    /// Checks names and looks up what the environment must hold.
    fn accept(&self, at: usize, template: Result<Template, TemplateError>, known: &Known) -> Option<Template> {
        let template = template
            .and_then(|template| template.check(known).map(|()| template))
            .map_err(|error| self.problem(at, error.to_string()))
            .ok()?;
        for name in template.env_names() {
            match (self.environment)(name) {
                Some(value) => drop(self.env.borrow_mut().insert(name.to_owned(), value)),
                None => self.problem(at, format!("the environment has no variable `{name}`; set it before the run")),
            }
        }
        if template.needs("port") && !known.captures.contains("port") {
            self.problem(at, NO_PORT);
        }
        Some(template)
    }
}

/// What to do when a port is needed and nothing gives one.
pub(super) const NO_PORT: &str = "`port` has no value: give `port = N` in [target], or a group in the ready \
     pattern: ready = { stdout = 'port (?<port>\\d+)' }";

/// A value with its name and place.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub(super) reading: &'a Reading<'a>,
    /// As people call it: `rate`, `cycles.min`.
    pub(super) name: String,
    pub(super) span: Range<usize>,
    value: &'a DeValue<'a>,
}

impl<'a> Item<'a> {
    /// Reports a mistake at this value.
    pub(super) fn problem(&self, message: impl Into<String>) {
        self.reading.problem(self.span.start, message);
    }

    fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.problem(format!("`{}` must be {expected}, not {found}", self.name));
        None
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(super) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.wrong_type("a text"))
    }

    pub(super) fn flag(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong_type("true or false"))
    }

    /// A text, or a number or flag as it is written: for variables.
    pub(super) fn scalar(&self) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::Float(number) => Some(number.to_string()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            _ => self.wrong_type("a text or a number"),
        }
    }

    pub(super) fn number(&self, expected: &str) -> Option<f64> {
        let digits = match self.value {
            DeValue::Integer(number) => return i128_of(number).map(|n| n as f64).or_else(|| self.wrong_type(expected)),
            DeValue::Float(number) => number.as_str().replace('_', ""),
            _ => return self.wrong_type(expected),
        };
        digits.parse().ok().filter(|n: &f64| n.is_finite()).or_else(|| self.wrong_type(expected))
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, bounds: Range<u64>) -> Option<u64> {
        let DeValue::Integer(number) = self.value else { return self.wrong_type("a whole number") };
        let found = i128_of(number).and_then(|n| u64::try_from(n).ok()).filter(|n| bounds.contains(n));
        if found.is_none() {
            let most = bounds.end - 1;
            self.problem(match most {
                u64::MAX.. => format!("`{}` is out of range", self.name),
                most if most > u64::from(u32::MAX) => format!("`{}` must be {} or more", self.name, bounds.start),
                most => format!("`{}` must be from {} to {most}", self.name, bounds.start),
            });
        }
        found
    }

    pub(super) fn count(&self) -> Option<u64> {
        self.whole(1..(i64::MAX as u64))
    }

    pub(super) fn small_count(&self) -> Option<u32> {
        self.whole(1..1_000_001).and_then(|n| u32::try_from(n).ok())
    }

    fn parsed<T, E: std::fmt::Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let text = self.text()?;
        parse(text).map_err(|error| self.problem(format!("`{}`: {error}", self.name))).ok()
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        self.parsed(parse_duration)
    }

    pub(super) fn rate(&self) -> Option<Rate> {
        self.parsed(str::parse)
    }

    pub(super) fn quantity(&self, unit: Unit) -> Option<f64> {
        match (unit, self.value) {
            (Unit::Count, DeValue::Integer(_) | DeValue::Float(_)) => self.number("a count"),
            _ => self.parsed(|text| unit.parse(text)),
        }
    }

    pub(super) fn per_second(&self, unit: Unit) -> Option<f64> {
        self.parsed(|text| crate::units::parse_per_second(unit, text))
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let hint = suggest(text, words.iter().map(|(word, _)| *word));
            self.problem(format!("unknown {} `{text}`{hint}", self.name));
        }
        found
    }

    pub(super) fn template(&self, known: &Known) -> Option<Template> {
        self.reading.accept(self.span.start, Template::parse(self.text()?), known)
    }

    /// A TOML value as a JSON text with templates in its strings.
    pub(super) fn json(&self, known: &Known) -> Option<Template> {
        let json = self.to_json()?;
        self.reading.accept(self.span.start, Template::parse_json(&json), known)
    }

    fn to_json(&self) -> Option<serde_json::Value> {
        Some(match self.value {
            DeValue::String(text) => text.to_string().into(),
            DeValue::Integer(number) => match i128_of(number).and_then(|n| i64::try_from(n).ok()) {
                Some(number) => number.into(),
                None => return self.wrong_type("a number that JSON can hold"),
            },
            DeValue::Float(_) => self.number("a number that JSON can hold")?.into(),
            DeValue::Boolean(flag) => (*flag).into(),
            DeValue::Datetime(date) => date.to_string().into(),
            DeValue::Array(_) => self.list()?.iter().map(Self::to_json).collect::<Option<Vec<_>>>()?.into(),
            DeValue::Table(_) => {
                let members = self.entries()?.into_iter().map(|(key, item)| Some((key, item.to_json()?)));
                serde_json::Value::Object(members.collect::<Option<_>>()?)
            }
        })
    }

    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let Some(array) = self.value.as_array() else { return self.wrong_type("a list") };
        Some(array.iter().map(|value| self.child(self.name.clone(), value)).collect())
    }

    pub(super) fn texts(&self) -> Option<Vec<String>> {
        self.list()?.iter().map(|item| item.text().map(str::to_owned)).collect()
    }

    pub(super) fn templates(&self, known: &Known) -> Option<Vec<Template>> {
        self.list()?.iter().map(|item| item.template(known)).collect()
    }

    /// A program and its arguments: at least the program.
    pub(super) fn argv(&self, known: &Known) -> Option<Vec<Template>> {
        if self.is_text() {
            return self.wrong_type("a list of the program and its arguments, like [\"prog\", \"--flag\"]");
        }
        let argv = self.templates(known)?;
        if argv.is_empty() {
            self.problem(format!("`{}` is empty; it needs at least the program", self.name));
            return None;
        }
        Some(argv)
    }

    /// A table whose keys are the user's own.
    pub(super) fn entries(&self) -> Option<Vec<(String, Self)>> {
        let Some(table) = self.value.as_table() else { return self.wrong_type("a table") };
        let entry = |(key, value): (&Spanned<_>, &'a Spanned<_>)| {
            let key: &std::borrow::Cow<'_, str> = key.get_ref();
            (key.to_string(), self.child(format!("{}.{key}", self.name), value))
        };
        Some(table.iter().map(entry).collect())
    }

    pub(super) fn named_templates(&self, known: &Known) -> Option<Vec<(String, Template)>> {
        self.entries()?.into_iter().map(|(key, item)| Some((key, item.template(known)?))).collect()
    }

    pub(super) fn table(&self) -> Option<Table<'a>> {
        let Some(entries) = self.value.as_table() else { return self.wrong_type("a table") };
        Some(Table::new(self.reading, format!("`{}`", self.name), self.span.clone(), entries))
    }

    fn child(&self, name: String, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { reading: self.reading, name, span: value.span(), value: value.get_ref() }
    }
}

fn i128_of(number: &toml::de::DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
}

/// `; did you mean ..?` or the list of what is valid.
pub(super) fn suggest<'w>(word: &str, valid: impl IntoIterator<Item = &'w str> + Clone) -> String {
    match nearest(word, valid.clone()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => {
            let mut words: Vec<&str> = valid.into_iter().take(MOST_HINTS + 1).collect();
            if words.len() > MOST_HINTS {
                words.truncate(MOST_HINTS);
                words.push("..");
            }
            if words.is_empty() { String::new() } else { format!("; valid are {}", words.join(", ")) }
        }
    }
}

/// A table with fixed keys.
pub(super) struct Table<'a> {
    pub(super) reading: &'a Reading<'a>,
    /// As people call it: `[target]`, `cycles`.
    pub(super) name: String,
    pub(super) span: Range<usize>,
    entries: &'a DeTable<'a>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(reading: &'a Reading<'a>, name: String, span: Range<usize>, entries: &'a DeTable<'a>) -> Self {
        Self { reading, name, span, entries, asked: RefCell::default() }
    }

    /// The value of a key, when the table has it.
    pub(super) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.asked.borrow_mut().insert(key);
        let value = self.entries.get(key)?;
        Some(Item { reading: self.reading, name: key.to_owned(), span: value.span(), value: value.get_ref() })
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &'static str, example: &str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            self.problem(format!("{} needs `{key}`, like {example}", self.name));
        }
        item
    }

    /// The same table with the name that messages call it by.
    pub(super) fn called(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Of several keys that exclude each other, the one that is there; two are a mistake.
    pub(super) fn one_of(&self, keys: &[&'static str]) -> Option<Item<'a>> {
        let mut found = keys.iter().filter_map(|key| self.get(key));
        let first = found.next()?;
        if let Some(second) = found.next() {
            second.problem(format!("`{}` and `{}` exclude each other in {}", first.name, second.name, self.name));
        }
        Some(first)
    }

    /// Says that all of these keys are missing, unless one of them is there with a slip in it: that is
    /// reported as an unknown key. Call it when every key was asked for.
    pub(super) fn missing(&self, keys: &[&str], message: impl Into<String>) {
        let asked = self.asked.borrow();
        let is_slip = |word: &str| {
            !asked.contains(word) && nearest(word, asked.iter().copied()).is_some_and(|near| keys.contains(&near))
        };
        if !self.entries.keys().any(|key| is_slip(key.get_ref().as_ref())) {
            self.problem(message);
        }
    }

    /// Where a key stands, for mistakes that are about the key and not its value.
    pub(super) fn key_at(&self, key: &str) -> usize {
        self.entries.get_key_value(key).map_or(self.span.start, |(key, _)| key.span().start)
    }

    pub(super) fn problem(&self, message: impl Into<String>) {
        self.reading.problem(self.span.start, message);
    }

    /// Reports keys that nobody asked for. `elsewhere` says of some where they would be right.
    pub(super) fn finish_with(&self, elsewhere: impl Fn(&str) -> Option<String>) {
        let asked = self.asked.borrow();
        for key in self.entries.keys().filter(|key| !asked.contains(key.get_ref().as_ref())) {
            let word = key.get_ref().as_ref();
            let message = elsewhere(word).unwrap_or_else(|| {
                format!("unknown key `{word}` in {}{}", self.name, suggest(word, asked.iter().copied()))
            });
            self.reading.problem(key.span().start, message);
        }
    }

    pub(super) fn finish(&self) {
        self.finish_with(|_| None);
    }
}
