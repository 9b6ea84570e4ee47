//! The last gate before the terminal: what is printed holds no secret and commands no terminal.
//!
//! Texts come here from files, from targets and from error chains of any depth. Each renderer escapes what it shows; this gate
//! does not rely on it.

use std::sync::OnceLock;

use crate::redact::Redactor;
use crate::report::escape::is_treacherous;

/// What the program knows of secrets; there is one run in a process.
static REDACTOR: OnceLock<Redactor> = OnceLock::new();

/// Longer messages are cut: nobody reads a megabyte of error.
const LONGEST_MESSAGE: usize = 64 << 10;

/// From here on, messages are without these secrets.
pub fn conceal(redactor: Redactor) {
    // A second run in the same process would be a mistake of this program; the first one's secrets stay concealed.
    let _ = REDACTOR.set(redactor);
}

/// A message for stderr: without secrets, line ends as they are, everything else that controls a terminal escaped.
pub fn message(text: &str) -> String {
    let redacted = REDACTOR.get_or_init(Redactor::default).redact(text);
    let longest = redacted.len().min(LONGEST_MESSAGE);
    let end = (0..=longest).rev().find(|end| redacted.is_char_boundary(*end)).unwrap_or(0);
    let mut shown = harmless(&redacted[..end], Styling::Escaped);
    if end < redacted.len() {
        shown.push('…');
    }
    shown
}

/// Text for stdout: the styles that reports are painted with stay, everything else that controls a terminal is escaped.
pub fn page(text: &str) -> String {
    harmless(text, Styling::Kept)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Styling {
    Kept,
    Escaped,
}

fn harmless(text: &str, styling: Styling) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let style = if styling == Styling::Kept { style_length(rest) } else { 0 };
        if style > 0 {
            shown.push_str(&rest[..style]);
            rest = &rest[style..];
            continue;
        }
        match c {
            '\n' => shown.push(c),
            '\t' => shown.push(' '),
            c if is_treacherous(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    shown
}

/// The length of the style at the beginning of a text: `ESC [ digits and ; m`.
fn style_length(text: &str) -> usize {
    let Some(inside) = text.strip_prefix("\u{1b}[") else { return 0 };
    let digits = inside.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    if inside[digits..].starts_with('m') { 2 + digits + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_commands_no_terminal() {
        for (text, shown) in [
            ("two\nlines", "two\nlines"),
            ("a\u{1b}[31mred\u{1b}]0;title\u{7}", "a\\u{1b}[31mred\\u{1b}]0;title\\u{7}"),
            ("a\rb\u{9b}31m\u{7f}", "a\\u{d}b\\u{9b}31m\\u{7f}"),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{2028}e", "a\\u{202e}b\\u{2066}c\\u{200b}d\\u{2028}e"),
            ("http://user:pass@host", "http://(redacted)@host"),
        ] {
            assert_eq!(message(text), shown);
        }
        assert!(message(&"x".repeat(1 << 20)).len() < LONGEST_MESSAGE + 4);
    }

    #[test]
    fn a_page_keeps_its_styles_and_nothing_else() {
        for (text, shown) in [
            ("\u{1b}[1mbold\u{1b}[0m\n", "\u{1b}[1mbold\u{1b}[0m\n"),
            ("\u{1b}[38;5;9mred\u{1b}[0m", "\u{1b}[38;5;9mred\u{1b}[0m"),
            ("\u{1b}[2J\u{1b}[1", "\\u{1b}[2J\\u{1b}[1"),
            ("\u{1b}]8;;http://x\u{7}", "\\u{1b}]8;;http://x\\u{7}"),
        ] {
            assert_eq!(page(text), shown);
        }
    }
}
