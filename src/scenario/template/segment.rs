//! The simple form of a template: literals, names and `text(n)`.

use std::collections::BTreeSet;

use super::bounds::LONGEST_OUTPUT;
use super::{BUILTINS, Known, TemplateError, Values, random};
use crate::units::nearest;

/// The longest `text(n)`: a slip of the finger must not fill the machine's memory.
const LONGEST_TEXT: usize = LONGEST_OUTPUT;

/// A name in a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Op,
    Session,
    Uuid,
    Var(String),
    Env(String),
    Captured(String),
}

impl Name {
    /// Reads `op`, `var.leak`, `env.TOKEN`, `port`. `None`: not a plain name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once('.') {
            Some(("var", name)) if is_word(name) => Some(Self::Var(name.into())),
            Some(("env", name)) if is_word(name) => Some(Self::Env(name.into())),
            Some(_) => None,
            None if !is_word(text) || is_reserved(text) => None,
            None => Some(match text {
                "op" => Self::Op,
                "session" => Self::Session,
                "uuid" => Self::Uuid,
                _ => Self::Captured(text.into()),
            }),
        }
    }

    pub(super) fn check(&self, known: &Known) -> Result<(), TemplateError> {
        let captures = known.captures.iter().map(String::as_str).filter(|name| !BUILTINS.contains(name));
        let (name, valid, prefix): (_, Vec<&str>, _) = match self {
            Self::Op | Self::Session | Self::Uuid | Self::Env(_) => return Ok(()),
            Self::Var(name) => (name, known.vars.iter().map(String::as_str).collect(), "var."),
            Self::Captured(name) => (name, BUILTINS.into_iter().chain(captures).collect(), ""),
        };
        if valid.contains(&name.as_str()) {
            return Ok(());
        }
        let mut words: Vec<String> = valid.iter().map(|word| format!("{prefix}{word}")).collect();
        if prefix.is_empty() {
            words.extend(["var.NAME".into(), "env.NAME".into()]);
        }
        Err(TemplateError::Unknown {
            kind: "variable",
            name: format!("{prefix}{name}"),
            nearest: nearest(name, valid).map(|word| format!("{prefix}{word}")),
            known: words.join(", "),
        })
    }

    /// The value of a name that stands for a text.
    pub(super) fn look_up<'a>(&self, values: &Values<'a>) -> Result<&'a str, TemplateError> {
        let (found, name, reason) = match self {
            Self::Var(name) => (
                values.fixed.vars.get(name),
                format!("var.{name}"),
                "neither [vars] in the file nor --var gives it one",
            ),
            Self::Env(name) => {
                (values.fixed.env.get(name), format!("env.{name}"), "the environment has no such variable")
            }
            Self::Captured(name) => (
                values.captured.get(name).or_else(|| values.fixed.captures.get(name)),
                name.clone(),
                "neither the ready pattern nor an earlier answer gave it one",
            ),
            Self::Op | Self::Session | Self::Uuid => (None, format!("{self:?}"), "it is not a text"),
        };
        found.map(String::as_str).ok_or(TemplateError::NoValue { name, reason })
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Words that are not names in an expression, or not by themselves.
fn is_reserved(word: &str) -> bool {
    ["true", "false", "none", "True", "False", "None", "not", "and", "or", "if", "in", "is", "text", "var", "env"]
        .contains(&word)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    Value(Name),
    Text { length: usize, position: u64 },
}

/// A template that needs no interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segments {
    pub(super) parts: Vec<Segment>,
    pub(super) likely_length: usize,
}

impl Segments {
    /// Cuts a text at its marks. `None`: a mark holds more than a name or `text(n)`.
    pub(super) fn split(source: &str) -> Result<Option<Self>, TemplateError> {
        let mut parts = Vec::new();
        let mut likely_length = 0;
        let mut rest = source;
        while let Some((before, mark, after)) = next_mark(rest) {
            let Some(inner) = mark.strip_prefix("{{").and_then(|mark| mark.strip_suffix("}}")).map(str::trim) else {
                return Ok(None);
            };
            if !before.is_empty() {
                parts.push(Segment::Literal(before.into()));
            }
            let position = random::mix(&[random::hash(source), parts.len() as u64]);
            if let Some(name) = Name::parse(inner) {
                likely_length += 36;
                parts.push(Segment::Value(name));
            } else if let Some(length) = text_length(inner)? {
                likely_length += length;
                parts.push(Segment::Text { length, position });
            } else {
                return Ok(None);
            }
            likely_length += before.len();
            rest = after;
        }
        if ["{{", "{%", "{#"].iter().any(|mark| rest.contains(mark)) {
            return Ok(None);
        }
        if !rest.is_empty() {
            parts.push(Segment::Literal(rest.into()));
        }
        let likely_length = likely_length + rest.len();
        if likely_length > LONGEST_OUTPUT + rest.len() + source.len() {
            let what = format!("it gives some {likely_length} bytes; the most is {LONGEST_OUTPUT}");
            return Err(TemplateError::Syntax { what });
        }
        Ok(Some(Self { parts, likely_length }))
    }

    pub(super) fn names(&self) -> BTreeSet<Name> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Segment::Value(name) => Some(name.clone()),
                Segment::Literal(_) | Segment::Text { .. } => None,
            })
            .collect()
    }
}

/// `text(120)` is 120.
fn text_length(inner: &str) -> Result<Option<usize>, TemplateError> {
    let Some(number) = inner.strip_prefix("text").map(str::trim_start).and_then(|rest| rest.strip_prefix('(')) else {
        return Ok(None);
    };
    match number.strip_suffix(')').map(str::trim).map(str::parse::<usize>) {
        Some(Ok(length)) if length <= LONGEST_TEXT => Ok(Some(length)),
        Some(Ok(length)) => {
            Err(TemplateError::Syntax { what: format!("text({length}) is longer than the longest, {LONGEST_TEXT}") })
        }
        _ => Ok(None),
    }
}

/// The next mark with what stands before and after it; `None` where there is none, or none that ends.
pub(super) fn next_mark(text: &str) -> Option<(&str, &str, &str)> {
    let (start, end_mark) = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
        .into_iter()
        .filter_map(|(start, end)| text.find(start).map(|at| (at, end)))
        .min_by_key(|&(at, _)| at)?;
    let end = start + 2 + text[start + 2..].find(end_mark)? + 2;
    Some((&text[..start], &text[start..end], &text[end..]))
}
