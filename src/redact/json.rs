//! Secrets taken out of the texts of a JSON value, so that it stays JSON and keeps its numbers.

use serde_json::Value;

use super::Redactor;

/// Whether a changed value still is what it has to be.
pub type Accepts<'a> = &'a dyn Fn(&[u8]) -> bool;

/// Takes secrets out of one JSON value in `line`, names of members included.
///
/// A value of the environment may be a word of the format itself (`load`, `event`). Names of members that may be such a
/// word stay; texts that are nothing but such a word stay where the line could not be read without them.
pub fn redact_json(redactor: &Redactor, line: &mut Vec<u8>, accepts: Accepts<'_>) -> serde_json::Result<()> {
    let is_clean =
        std::str::from_utf8(line).is_ok_and(|text| matches!(redactor.redact(text), std::borrow::Cow::Borrowed(_)));
    if is_clean {
        return Ok(());
    }
    let value: Value = serde_json::from_slice(line)?;
    let clean = serde_json::to_vec(&redacted(redactor, value.clone(), Words::Redact))?;
    *line = if accepts(&clean) { clean } else { serde_json::to_vec(&redacted(redactor, value, Words::Keep))? };
    Ok(())
}

/// What happens to a text that may be a word of the format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    Redact,
    Keep,
}

fn redacted(redactor: &Redactor, value: Value, words: Words) -> Value {
    let text = |text: String| {
        if words == Words::Keep && is_word(&text) { text } else { redactor.redact(&text).into_owned() }
    };
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(items) => items.into_iter().map(|item| redacted(redactor, item, words)).collect(),
        Value::Object(members) => {
            let name = |name: String| if is_word(&name) { name } else { text(name) };
            members.into_iter().map(|(key, member)| (name(key), redacted(redactor, member, words))).collect()
        }
        plain => plain,
    }
}

/// Words of the format are short and of small letters.
fn is_word(text: &str) -> bool {
    text.len() <= 24 && text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_'))
}
