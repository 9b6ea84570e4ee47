//! Untrusted text made safe to keep, and names folded so that a thousand workers are one line.

/// The longest name kept, in characters.
pub const MAX_NAME: usize = 200;

/// A name as the target wrote it, bounded and without control characters.
pub(super) fn clean(raw: &[u8]) -> String {
    // A character has at most four bytes: what lies beyond cannot matter.
    let bounded = &raw[..raw.len().min(MAX_NAME * 4 + 4)];
    let text = String::from_utf8_lossy(bounded);
    let mut out: String = text.chars().take(MAX_NAME).map(|c| if hides(c) { '\u{fffd}' } else { c }).collect();
    if raw.len() > bounded.len() || text.chars().nth(MAX_NAME).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// Control characters, and those that turn the direction of the text around them.
pub(super) fn hides(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Folds a trailing number: `worker-12` becomes `worker-*`, `tokio-rt-3/7` becomes `tokio-rt-*`. A name
/// that is nothing but a number stays.
#[cfg(any(target_os = "linux", test))]
pub(super) fn fold_trailing(name: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let is_separator = |c: char| matches!(c, '-' | '_' | '.' | ':' | '/' | '#' | ' ');
    let mut head = name.trim_end_matches(is_digit);
    if head.len() == name.len() || head.is_empty() {
        return name.to_owned();
    }
    // Further numbers in front, as long as only separators lie between: keep the separators of the first one.
    loop {
        let without = head.trim_end_matches(is_separator).trim_end_matches(is_digit);
        if without.is_empty() || without.len() == head.trim_end_matches(is_separator).len() {
            break;
        }
        head = without;
    }
    format!("{head}*")
}

/// Folds every number, and every long hexadecimal run that holds a digit, to `*`: `/data/s-17.db` becomes
/// `/data/s-*.db`. Globs that match the path match the folded one.
#[cfg(any(target_os = "linux", test))]
pub(super) fn fold_numbers(path: &str) -> String {
    const LONG: usize = 8;
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let hex = rest.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(rest.len());
        let run = rest[..hex].trim_end_matches('-');
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let folded = if run.len() >= LONG && run.contains(|c: char| c.is_ascii_digit()) { run.len() } else { digits };
        if folded > 0 {
            out.push('*');
            rest = &rest[folded..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_numbers_fold() {
        for (name, folded) in [
            ("worker-12", "worker-*"),
            ("worker12", "worker*"),
            ("tokio-rt-3/7", "tokio-rt-*"),
            ("pool 1.2.3", "pool *"),
            ("42", "42"),
            ("1-2", "1-*"),
            ("main", "main"),
            ("h2-stream", "h2-stream"),
            ("", ""),
        ] {
            assert_eq!(fold_trailing(name), folded, "{name}");
        }
    }

    #[test]
    fn numbers_within_paths_fold() {
        for (path, folded) in [
            ("/data/s-17.db", "/data/s-*.db"),
            ("/data/plain.db", "/data/plain.db"),
            ("/t/3f2b8c1e-77aa-4c0d-9b1e-0123456789ab/x", "/t/*/x"),
            ("/deadbeefcafe/x", "/deadbeefcafe/x"),
            ("/é7", "/é*"),
        ] {
            assert_eq!(fold_numbers(path), folded, "{path}");
        }
    }

    #[test]
    fn names_are_bounded_and_harmless() {
        assert_eq!(clean(b"ab\x1b[31mc\n\xff"), "ab\u{fffd}[31mc\u{fffd}\u{fffd}");
        assert_eq!(clean("x\u{202e}y".as_bytes()), "x\u{fffd}y");
        assert_eq!(clean("é".repeat(5000).as_bytes()).chars().count(), MAX_NAME);
        assert_eq!(clean("é".repeat(MAX_NAME).as_bytes()), "é".repeat(MAX_NAME));
        assert!(clean("é".repeat(MAX_NAME + 1).as_bytes()).ends_with('…'));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_become_a_bounded_name(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
            let name = clean(&raw);
            proptest::prop_assert!(name.chars().count() <= MAX_NAME && !name.contains(char::is_control));
            let _ = (fold_trailing(&name), fold_numbers(&name));
        }
    }
}
