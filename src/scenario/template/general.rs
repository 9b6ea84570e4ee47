//! The general form of a template: filters, conditions and loops, by minijinja.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::segment::{LONGEST_TEXT, Name};
use super::{Escape, Fixed, TemplateError, Values, escape_json, random};
use crate::units::nearest;

const NAME: &str = "text";
/// Functions of minijinja's own.
const FUNCTIONS: [&str; 4] = ["range", "dict", "namespace", "debug"];
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
        let mut environment = Environment::new();
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
        let names = template.undeclared_variables(true).iter().filter_map(|name| Name::parse(name)).collect();
        let general = Self { source: source.to_owned(), roots, names, environment };
        general.try_out()?;
        Ok(general)
    }

    pub(super) fn names(&self) -> BTreeSet<Name> {
        self.names.clone()
    }

    pub(super) fn render(&self, values: &Values<'_>) -> Result<String, TemplateError> {
        for name in &self.names {
            if !matches!(name, Name::Op | Name::Session | Name::Uuid) {
                name.look_up(values)?;
            }
        }
        self.run(values)
            .map_err(|error| TemplateError::Failed { template: self.source.clone(), what: describe(&error) })
    }

    fn run(&self, values: &Values<'_>) -> Result<String, Error> {
        let context = self.roots.iter().map(|root| (root.as_str(), self.value_of(root, values)));
        self.environment.get_template(NAME)?.render(Value::from_pairs(context))
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
            ErrorKind::TooManyArguments | ErrorKind::MissingArgument => syntax(&error),
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
        if length > LONGEST_TEXT {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("text({length}) is too long")));
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

fn describe(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}
