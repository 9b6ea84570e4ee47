//! Secrets taken out of every text that leaves a run.
//!
//! A [`Redactor`] knows the values that a run read from the environment and finds them however they are written: as they
//! are, percent-encoded, escaped for JSON or HTML, in hexadecimal, in base64. It also takes the user information and the
//! tokens out of addresses, whoever wrote them. The writer of a recording owns one, so that reports, which are made from
//! the recording, hold no secret either; the command line has one for what it prints.

mod forms;
mod json;
mod urls;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use forms::Needle;
pub use json::{Accepts, redact_json};

/// Shorter values are not secret, and would be found everywhere.
const SHORTEST_SECRET: usize = 4;
/// A line of a value of several lines is looked for by itself from this length on.
const SHORTEST_LINE: usize = 12;
/// The mark of a text that was cut.
const CUT: &str = "…";

/// Takes secrets out of texts. The default knows no values and looks after addresses alone.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    secrets: Arc<[Secret]>,
}

/// A value and all the forms in which it is looked for.
struct Secret {
    name: String,
    needles: Vec<Needle>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Redactor {
    /// A redactor of these variables of the environment, each a name and its value.
    pub fn new<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let secret = |(name, value): (&str, &str)| {
            let whole = [value, value.trim()];
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
            let mut parts: Vec<&str> = whole.into_iter().chain(lines).collect();
            parts.retain(|part| part.len() >= SHORTEST_SECRET);
            parts.sort_unstable();
            parts.dedup();
            let needles: Vec<Needle> = parts.into_iter().flat_map(Needle::of).collect();
            (!needles.is_empty()).then(|| Secret { name: format!("(env.{name})"), needles })
        };
        Self { secrets: variables.into_iter().filter_map(secret).collect() }
    }

    /// The text without secrets.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let text = self.without_values(text);
        match urls::redact(&text) {
            Some(clean) => Cow::Owned(clean),
            None => text,
        }
    }

    fn without_values<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut found: Vec<(Range<usize>, &str)> = Vec::new();
        for secret in self.secrets.iter() {
            for needle in &secret.needles {
                found.extend(needle.all_in(text).into_iter().map(|range| (range, secret.name.as_str())));
            }
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut clean = String::with_capacity(text.len());
        let mut done = 0;
        for (range, name) in found {
            if range.start >= done {
                clean.push_str(&text[done..range.start]);
                clean.push_str(name);
            }
            done = done.max(range.end);
        }
        clean.push_str(&text[done..]);
        Cow::Owned(clean)
    }
}

#[cfg(test)]
mod tests;
