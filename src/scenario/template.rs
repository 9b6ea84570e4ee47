//! Texts that change from one operation to the next.
//!
//! A template is parsed once and rendered for every operation. What people write nearly always (`{{ op }}`,
//! `{{ var.leak }}`, `{{ text(120) }}`) is cut into segments here, because the load generator renders it
//! tens of thousands of times a second; anything with a filter or control flow goes to minijinja. Either way
//! the same seed gives the same text. A name that has no value is an error, never an empty string.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::sync::Arc;

mod bounds;
mod general;
mod random;
mod segment;

use crate::redact::Redactor;
use general::General;
use segment::{Name, Segment, Segments};

/// Names that hold in every template.
pub const BUILTINS: [&str; 5] = ["op", "session", "uuid", "text", "port"];

/// A text with `{{ marks }}`.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    escape: Escape,
    form: Form,
    names: Arc<BTreeSet<Name>>,
}

#[derive(Clone)]
enum Form {
    Static,
    Segments(Arc<Segments>),
    General(Arc<General>),
}

/// What happens to a value that is put into the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// It goes in as it is.
    Plain,
    /// It stands inside a JSON string.
    Json,
}

/// Values that hold for a whole run. Printed for debugging without the environment's values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fixed {
    /// `{{ var.NAME }}`: the file's `[vars]`, overridden by `--var`.
    pub vars: BTreeMap<String, String>,
    /// `{{ env.NAME }}`: those that the file names, and no others. Secrets: never to be recorded.
    pub env: BTreeMap<String, String>,
    /// Named groups of the ready pattern, the target's port among them.
    pub captures: BTreeMap<String, String>,
}

impl Fixed {
    /// What takes the values of the environment out of a text.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.env.keys().collect();
        f.debug_struct("Fixed")
            .field("vars", &self.vars)
            .field("env (names)", &names)
            .field("captures", &self.captures)
            .finish()
    }
}

/// The values for one rendering.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// What holds for the whole run.
    pub fixed: &'a Fixed,
    /// The operation's number, or that modulo `distinct`: the same key gives the same text.
    pub key: u64,
    /// The number of the session.
    pub session: u64,
    /// The run's seed.
    pub seed: u64,
    /// Taken from earlier answers of the same operation.
    pub captured: &'a BTreeMap<String, String>,
}

/// Why a text is no template, or cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The marks do not make sense.
    #[error("the template does not parse: {what}")]
    Syntax {
        /// The reason.
        what: String,
    },
    /// A name that nothing gives a value to.
    #[error("unknown {kind} `{name}` in a template{}", hint(.nearest.as_deref(), .known))]
    Unknown {
        /// `variable`, `function`, `filter` or `test`.
        kind: &'static str,
        /// The word.
        name: String,
        /// The nearest word that is valid.
        nearest: Option<String>,
        /// The words that are.
        known: String,
    },
    /// A name that should have a value by now and has none.
    #[error("`{name}` has no value: {reason}")]
    NoValue {
        /// The name.
        name: String,
        /// Where it would have come from.
        reason: &'static str,
    },
    /// The template ran and failed.
    #[error("the template `{template}` failed: {what}")]
    Failed {
        /// Its source.
        template: String,
        /// The reason.
        what: String,
    },
}

fn hint(nearest: Option<&str>, known: &str) -> String {
    match nearest {
        Some(word) => format!("; did you mean `{word}`?"),
        // Only variables can be none at all.
        None if known.is_empty() => "; declare it in [vars]".into(),
        None => format!("; known are {known}"),
    }
}

/// The names that a template may use, apart from the ones that always hold and the environment's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Names under `var.`.
    pub vars: BTreeSet<String>,
    /// Names captured from the ready pattern or from earlier answers.
    pub captures: BTreeSet<String>,
}

impl Template {
    /// Reads a template. Functions and filters are checked here; names are, too, by [`Template::check`],
    /// because which names there are depends on where the template stands.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        Self::with_escape(source, Escape::Plain)
    }

    /// Makes a template of a JSON value: its strings are templates, and what is put into them is escaped,
    /// so that the text stays JSON whatever the values hold.
    pub fn parse_json(value: &serde_json::Value) -> Result<Self, TemplateError> {
        let mut source = String::new();
        write_json(&mut source, value);
        Self::with_escape(&source, Escape::Json)
    }

    fn with_escape(source: &str, escape: Escape) -> Result<Self, TemplateError> {
        bounds::check_length(source)?;
        let (form, names) = if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
            (Form::Static, BTreeSet::new())
        } else if let Some(segments) = Segments::split(source)? {
            let names = segments.names();
            (Form::Segments(Arc::new(segments)), names)
        } else {
            let general = General::compile(source, escape)?;
            let names = general.names();
            (Form::General(Arc::new(general)), names)
        };
        Ok(Self { source: source.into(), escape, form, names: Arc::new(names) })
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether every rendering is the same because there are no marks.
    pub fn is_static(&self) -> bool {
        matches!(self.form, Form::Static)
    }

    /// Whether every rendering of a run is the same: nothing in it changes from one operation to the next.
    /// `later` are names that answers give.
    pub fn is_fixed(&self, fixed: &Fixed, later: &BTreeSet<&str>) -> bool {
        let holds = |part: &Segment| match part {
            Segment::Literal(_) | Segment::Value(Name::Var(_) | Name::Env(_)) => true,
            Segment::Value(Name::Captured(name)) => fixed.captures.contains_key(name) && !later.contains(name.as_str()),
            Segment::Value(_) | Segment::Text { .. } => false,
        };
        match &self.form {
            Form::Static => true,
            Form::Segments(segments) => segments.parts.iter().all(holds),
            Form::General(_) => false,
        }
    }

    /// Refuses names that nothing will give a value to.
    pub fn check(&self, known: &Known) -> Result<(), TemplateError> {
        self.names.iter().try_for_each(|name| name.check(known))
    }

    /// Names under `env.` that rendering needs.
    pub fn env_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| match name {
            Name::Env(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether rendering needs a captured value of this name.
    pub fn needs(&self, captured: &str) -> bool {
        self.names.iter().any(|name| matches!(name, Name::Captured(name) if name == captured))
    }

    /// The text for one operation.
    pub fn render<'a>(&'a self, values: &Values<'_>) -> Result<Cow<'a, str>, TemplateError> {
        match &self.form {
            Form::Static => Ok(Cow::Borrowed(&self.source)),
            Form::Segments(segments) => {
                let mut text = String::with_capacity(segments.likely_length);
                for segment in &segments.parts {
                    self.put(&mut text, segment, values)?;
                }
                Ok(Cow::Owned(text))
            }
            Form::General(general) => general.render(values).map(Cow::Owned),
        }
    }

    fn put(&self, text: &mut String, segment: &Segment, values: &Values<'_>) -> Result<(), TemplateError> {
        let _infallible = match segment {
            Segment::Literal(literal) => text.write_str(literal),
            Segment::Value(Name::Op) => write!(text, "{}", values.key),
            Segment::Value(Name::Session) => write!(text, "{}", values.session),
            Segment::Value(Name::Uuid) => write!(text, "{}", random::Uuid::new(values.seed, values.key)),
            Segment::Value(name) => {
                let value = name.look_up(values)?;
                match self.escape {
                    Escape::Plain => text.write_str(value),
                    Escape::Json => escape_json(text, value),
                }
            }
            Segment::Text { length, position } => {
                random::push_text(text, *length, &[values.seed, values.key, *position]);
                Ok(())
            }
        };
        Ok(())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.escape == other.escape
    }
}

/// Writes a text as it stands between the quotes of a JSON string.
fn escape_json(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.write_str(&text[done..at])?;
        done = at + 1;
        match byte {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            control => write!(out, "\\u{control:04x}")?,
        }
    }
    out.write_str(&text[done..])
}

fn write_json(out: &mut String, value: &serde_json::Value) {
    match value {
        serde_json::Value::String(text) => write_json_string(out, text),
        serde_json::Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write_json(out, item);
            }
            out.push(']');
        }
        serde_json::Value::Object(members) => {
            out.push('{');
            for (i, (key, member)) in members.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write_json_string(out, key);
                out.push(':');
                write_json(out, member);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// A JSON string whose marks stay as they are: `"say \"{{ text("x") }}\""`.
fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some((before, mark, after)) = segment::next_mark(rest) {
        let _infallible = escape_json(out, before);
        out.push_str(mark);
        rest = after;
    }
    let _infallible = escape_json(out, rest);
    out.push('"');
}

#[cfg(test)]
mod tests;
