//! Untrusted text made harmless where it is shown.
//!
//! Names, paths, bodies and metrics come from the target. On a terminal they must not move the cursor, in
//! HTML and XML they must not become markup, in Markdown they must not break a table.

use std::fmt::Write;

/// The longest untrusted text that is shown in one place, in characters.
const LONGEST: usize = 300;

/// For a terminal and every other place where text is only text: what controls, hides or turns around is shown
/// as an escape (`\u{1b}`), and a text that is too long is cut with `…`.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST * 4));
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_treacherous(c) => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// For HTML and XML, in text and in quoted attributes.
pub fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// For running text and table cells in Markdown: nothing in it is a heading, a link, code, HTML, a mention or a
/// cell border.
pub fn markdown(text: &str) -> String {
    let text = plain(text);
    let mut out = String::with_capacity(text.len());
    for (index, c) in text.char_indices() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A mention would call a person; a zero-width joiner would be worse than an entity.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '$' | '!' => {
                out.push('\\');
                out.push(c);
            }
            '+' | '-' | '=' if index == 0 => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')' if index > 0 && text[..index].bytes().all(|byte| byte.is_ascii_digit()) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // Addresses would become links.
    out.replace("://", ":&#47;&#47;").replace("www.", "www&#46;")
}

/// For JSON that a terminal may show: the same value, with everything treacherous in its texts escaped. Line ends between
/// values stay.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            c if is_treacherous(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    // Writing to a String does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// For Markdown code spans: the text between backticks that no backtick within it can close.
pub fn markdown_code(text: &str) -> String {
    // Even in code a bar ends a table's cell.
    let text = plain(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Characters that control a terminal, turn the direction of text, or cannot be seen.
pub fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_commanded() {
        for (text, shown) in [
            ("plain text, ünïcode 日本", "plain text, ünïcode 日本"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("\u{9b}0m", "\\u{9b}0m"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
        ] {
            assert_eq!(plain(text), shown);
        }
        let long = plain(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn markup_stays_text() {
        assert_eq!(markup("<script a=\"b\" c='d'>&\0"), "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;\\u{0}");
    }

    #[test]
    fn markdown_stays_text() {
        for (text, shown) in [
            ("a|b", "a\\|b"),
            ("[x](http://e)", "\\[x\\](http:&#47;&#47;e)"),
            ("<b>", "&lt;b&gt;"),
            ("@team", "&#64;team"),
            ("- item", "\\- item"),
            ("12. item", "12\\. item"),
            ("v1.2", "v1.2"),
            ("# head\n# head", "\\# head\\\\n\\# head"),
            ("www.example.org", "www&#46;example.org"),
        ] {
            assert_eq!(markdown(text), shown);
        }
    }

    #[test]
    fn code_cannot_be_closed_from_within() {
        for (text, shown) in [("a", "`a`"), ("a`b", "``a`b``"), ("``", "``` `` ```"), ("a|b", "`a\\|b`"), ("", "`  `")]
        {
            assert_eq!(markdown_code(text), shown);
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_treacherous_passes(text in proptest::prelude::any::<String>()) {
            for shown in [plain(&text), markup(&text), markdown(&text), markdown_code(&text)] {
                proptest::prop_assert!(!shown.chars().any(is_treacherous), "{shown:?}");
            }
            proptest::prop_assert!(!markup(&text).contains(['<', '>', '"', '\'']));
            proptest::prop_assert!(!markdown(&text).contains(['<', '>', '@']));
        }
    }
}
