//! User information and tokens in addresses and command lines, whoever wrote them.

use std::sync::LazyLock;

use regex::{Captures, Regex};

const REDACTED: &str = "(redacted)";

/// `scheme://user:password@`.
static USER_INFORMATION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\b([a-z][a-z0-9+.-]{0,30}://)([^/\s?#"'<>\\]{1,2000})@"#).ok());

/// `?token=..`, `&api_key=..`, `;sig=..`, `--password=..`.
static PARAMETER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?i)((?:[?&;]|%3f|%26|&amp;|\B--?)"#,
        r#"(?:[a-z0-9_.-]{0,40}(?:token|secret|passw(?:or)?d|passphrase|pwd|api[_-]?key|access[_-]?key|signature|credentials?)"#,
        r#"|sig|key|auth|jwt|session[_-]?id)(?:=|%3d))"#,
        r#"([^&;\s"'<>#\\]+)"#
    ))
    .ok()
});

/// `Authorization: Bearer ..`.
static AUTHORIZATION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(authorization["'\\]{0,4}\s{0,4}[:=]\s{0,4}["'\\]{0,4}(?:(?:bearer|basic|digest|token)\s+)?)([^\s"'<>,\\]+)"#).ok()
});

/// The text without them; `None` where it holds none.
pub(super) fn redact(text: &str) -> Option<String> {
    let mut clean = None;
    let mut apply = |pattern: &Option<Regex>, end: &str| {
        let Some(pattern) = pattern else { return };
        let now: &str = clean.as_deref().unwrap_or(text);
        let replaced = pattern.replace_all(now, |found: &Captures<'_>| keep_templates(found, end));
        if replaced != now {
            clean = Some(replaced.into_owned());
        }
    };
    if text.contains("://") {
        apply(&USER_INFORMATION, "@");
    }
    if text.contains('=') || text.contains("%3") {
        apply(&PARAMETER, "");
    }
    if text.contains("uthorization") || text.contains("UTHORIZATION") {
        apply(&AUTHORIZATION, "");
    }
    clean
}

/// A template that names a secret holds none.
fn keep_templates(found: &Captures<'_>, end: &str) -> String {
    match &found[2] {
        kept if kept.contains("{{") || kept.contains("(env.") => found[0].to_owned(),
        _ => format!("{}{REDACTED}{end}", &found[1]),
    }
}
