//! The general form of a template: filters, conditions and loops, by minijinja.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::bounds::{self, FUEL, LONGEST_OUTPUT, LONGEST_VALUE};
use super::segment::Name;
use super::{Escape, Fixed, TemplateError, Values, escape_json, random};
use crate::units::nearest;

const NAME: &str = "text";
/// Functions of minijinja's own.
const FUNCTIONS: [&str; 2] = ["range", "dict"];
/// Functions and filters of minijinja that could grow texts without bound.
const REMOVED_FUNCTIONS: [&str; 2] = ["namespace", "debug"];
const REMOVED_FILTERS: [&str; 4] = ["batch", "slice", "indent", "pprint"];
/// The filters that people use in request bodies; minijinja has more.
const FILTERS: [&str; 22] = [
    "abs",
    "capitalize",
    "default",
    "first",
    "float",
    "format",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "replace",
    "reverse",
    "round",
    "safe",
    "split",
    "string",
    "title",
    "trim",
    "upper",
    "sum",
];

pub(super) struct General {
    environment: Environment<'static>,
    roots: BTreeSet<String>,
    names: BTreeSet<Name>,
    source: String,
}

impl General {
    pub(super) fn compile(source: &str, escape: Escape) -> Result<Self, TemplateError> {
        bounds::check(source)?;
        let mut environment = Environment::new();
        bound(&mut environment);
        let syntax_config =
            SyntaxConfig::builder().keep_trailing_newline(true).build().map_err(|error| syntax(&error))?;
        environment.set_syntax(syntax_config);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        if escape == Escape::Json {
            environment.set_formatter(|out, _, value| {
                if value.is_undefined() {
                    return Err(ErrorKind::UndefinedError.into());
                }
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                escape_json(out, &text).map_err(Error::from)
            });
        }
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| syntax(&error))?;
        let template = environment.get_template(NAME).map_err(|error| syntax(&error))?;
        let is_own = |name: &str| FUNCTIONS.contains(&name);
        let roots: BTreeSet<String> =
            template.undeclared_variables(false).into_iter().filter(|name| !is_own(name)).collect();
        let undeclared = template.undeclared_variables(true);
        let names = undeclared.iter().filter(|name| !is_own(name)).filter_map(|name| Name::parse(name)).collect();
        let general = Self { source: source.to_owned(), roots, names, environment };
        general.try_out()?;
        Ok(general)
    }

    pub(super) fn names(&self) -> BTreeSet<Name> {
        self.names.clone()
    }

    pub(super) fn render(&self, values: &Values<'_>) -> Result<String, TemplateError> {
        for name in &self.names {
            if !matches!(name, Name::Op | Name::Session | Name::Uuid) && name.look_up(values)?.len() > LONGEST_VALUE {
                let what = format!("a value in it is longer than {LONGEST_VALUE} bytes");
                return Err(TemplateError::Failed { template: self.source.clone(), what });
            }
        }
        self.run(values)
            .map_err(|error| TemplateError::Failed { template: self.source.clone(), what: describe(&error) })
    }

    fn run(&self, values: &Values<'_>) -> Result<String, Error> {
        let context = self.roots.iter().map(|root| (root.as_str(), self.value_of(root, values)));
        let mut output = bounds::Output { text: Vec::new() };
        self.environment.get_template(NAME)?.render_captured_to(Value::from_pairs(context), &mut output)?;
        String::from_utf8(output.text).map_err(|_| Error::new(ErrorKind::WriteFailure, "it gives no text"))
    }

    fn value_of(&self, root: &str, values: &Values<'_>) -> Value {
        match root {
            "op" => Value::from(values.key),
            "session" => Value::from(values.session),
            "uuid" => Value::from(random::Uuid::new(values.seed, values.key).to_string()),
            "var" => texts(&values.fixed.vars),
            "env" => texts(&values.fixed.env),
            "text" => text_function(values, random::hash(&self.source)),
            name => values
                .captured
                .get(name)
                .or_else(|| values.fixed.captures.get(name))
                .map_or(Value::UNDEFINED, |value| Value::from(value.as_str())),
        }
    }

    /// minijinja looks filters and functions up when they are reached. One rendering with made-up values
    /// finds a mistaken word before anything starts; what else fails there says nothing.
    fn try_out(&self) -> Result<(), TemplateError> {
        let mut fixed = Fixed::default();
        for name in &self.names {
            let (map, name) = match name {
                Name::Var(name) => (&mut fixed.vars, name),
                Name::Env(name) => (&mut fixed.env, name),
                Name::Captured(name) => (&mut fixed.captures, name),
                Name::Op | Name::Session | Name::Uuid => continue,
            };
            map.insert(name.clone(), "1".into());
        }
        let values = Values { fixed: &fixed, key: 1, session: 1, seed: 1, captured: &BTreeMap::new() };
        let Err(error) = self.run(&values) else { return Ok(()) };
        // "filter uper is unknown"; a function that nobody defines is a name without value, found by `check`.
        let message = describe(&error);
        let word = message.split_whitespace().nth(1).unwrap_or(&message);
        Err(match error.kind() {
            ErrorKind::UnknownFilter => unknown("filter", word, &FILTERS),
            ErrorKind::UnknownTest => unknown("test", word, &["defined", "even", "odd", "divisibleby", "none", "in"]),
            ErrorKind::TooManyArguments
            | ErrorKind::MissingArgument
            | ErrorKind::OutOfFuel
            | ErrorKind::WriteFailure
            | ErrorKind::EvalBlock => syntax(&error),
            _ if message.contains(TOO_LONG) => syntax(&error),
            _ => return Ok(()),
        })
    }
}

fn unknown(kind: &'static str, name: &str, valid: &[&str]) -> TemplateError {
    TemplateError::Unknown {
        kind,
        nearest: nearest(name, valid.iter().copied()).map(str::to_owned),
        name: name.to_owned(),
        known: valid.join(", "),
    }
}

fn texts(map: &BTreeMap<String, String>) -> Value {
    Value::from_pairs(map.iter().map(|(name, text)| (name.as_str(), text.as_str())))
}

fn text_function(values: &Values<'_>, source_hash: u64) -> Value {
    let (seed, key, calls) = (values.seed, values.key, AtomicU64::new(0));
    Value::from_function(move |length: usize| {
        if length > LONGEST_VALUE {
            return Err(too_long(&format!("text({length})")));
        }
        let position = random::mix(&[source_hash, calls.fetch_add(1, Ordering::Relaxed)]);
        let mut text = String::with_capacity(length);
        random::push_text(&mut text, length, &[seed, key, position]);
        Ok(text)
    })
}

fn syntax(error: &Error) -> TemplateError {
    TemplateError::Syntax { what: describe(error) }
}

/// Sets what a rendering may cost.
fn bound(environment: &mut Environment<'static>) {
    environment.set_fuel(Some(FUEL));
    REMOVED_FUNCTIONS.iter().for_each(|name| environment.remove_global(name));
    REMOVED_FILTERS.iter().for_each(|name| environment.remove_filter(name));
    environment.add_filter("replace", replace);
    environment.add_filter("join", join);
}

fn replace(value: Cow<'_, str>, from: Cow<'_, str>, to: Cow<'_, str>) -> Result<String, Error> {
    let longer = to.len().saturating_sub(from.len());
    let length = value.matches(&*from).count().saturating_mul(longer).saturating_add(value.len());
    if length > LONGEST_VALUE {
        return Err(too_long("what `replace` gives"));
    }
    Ok(value.replace(&*from, &to))
}

fn join(value: &Value, joiner: Option<Cow<'_, str>>) -> Result<String, Error> {
    let joiner = joiner.unwrap_or_default();
    let mut text = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        if index > 0 {
            text.push_str(&joiner);
        }
        match item.as_str() {
            Some(item) => text.push_str(item),
            None => text.push_str(&item.to_string()),
        }
        if text.len() > LONGEST_VALUE {
            return Err(too_long("what `join` gives"));
        }
    }
    Ok(text)
}

const TOO_LONG: &str = "is longer than the longest value of a template with filters or statements";

fn too_long(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{what} {TOO_LONG}, {LONGEST_VALUE} bytes"))
}

fn describe(error: &Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => return format!("it takes more than {FUEL} instructions; use fewer or shorter loops"),
        ErrorKind::WriteFailure => return format!("it gives more than {LONGEST_OUTPUT} bytes"),
        _ => {}
    }
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}
