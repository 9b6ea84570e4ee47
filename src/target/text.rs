//! Texts that come from a target, made fit for a sentence: bounded, and without control characters.

/// `text` on one line: control characters written as escapes, and cut after `most` bytes.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        if out.len() >= most {
            out.push('…');
            break;
        }
        if c.is_control() || is_direction_mark(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Marks that turn the direction of text can make a line look like another one.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A command line for a sentence.
pub(crate) fn plain_command(argv: &[String]) -> String {
    plain(&argv.join(" "), 160)
}

/// The part of a path after its last slash.
pub(crate) fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_length_are_tamed() {
        assert_eq!(plain("a\x1b[31mb\n", 100), "a\\u{1b}[31mb\\n");
        assert_eq!(plain("naïve", 100), "naïve");
        assert_eq!(plain("abcdef", 3), "abc…");
        assert_eq!(plain("a\u{202e}b", 100), "a\\u{202e}b");
    }

    #[test]
    fn basename_is_what_follows_the_last_slash() {
        assert_eq!(basename("/usr/bin/redis-server"), "redis-server");
        assert_eq!(basename("redis-server"), "redis-server");
    }
}
