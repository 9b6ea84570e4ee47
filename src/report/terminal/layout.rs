//! Lines on a page of a certain width.

use console::{Style, measure_text_width};

use crate::report::ColorMode;
use crate::report::escape::plain;

/// A text under construction.
pub(in crate::report) struct Page {
    text: String,
    colour: ColorMode,
    width: usize,
}

/// Narrower than this, words are cut rather than shown.
const NARROWEST: usize = 40;

impl Page {
    pub fn new(colour: ColorMode, width: usize) -> Self {
        Self { text: String::new(), colour, width: width.max(NARROWEST) }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn colour(&self) -> ColorMode {
        self.colour
    }

    pub fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A heading with a blank line above.
    pub fn heading(&mut self, text: &str) {
        self.blank();
        self.styled(text, &Style::new().bold());
    }

    /// A paragraph in a style.
    pub fn styled(&mut self, text: &str, style: &Style) {
        for line in wrapped(&plain(text), self.width, 0, 5) {
            self.text.push_str(&self.colour.paint(style, &line));
            self.text.push('\n');
        }
    }

    /// A paragraph.
    pub fn line(&mut self, text: &str) {
        self.item("", text);
    }

    /// A paragraph with something in front of its first line; the others stand two further in.
    pub fn item(&mut self, indent: &str, text: &str) {
        let spaces = indent.chars().count();
        for line in wrapped(&plain(text), self.width, spaces, spaces + 2) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// Text that is laid out and harmless already.
    pub fn block(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub fn finish(self) -> String {
        self.text
    }
}

/// Breaks a text between words. A word longer than a line is cut into pieces: nothing runs over the edge.
fn wrapped(text: &str, width: usize, first: usize, rest: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".repeat(leading(text) + first);
    let mut empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        for piece in pieces(word, width - rest.min(width / 2)) {
            let gap = usize::from(!empty);
            if !empty && measure_text_width(&line) + gap + measure_text_width(&piece) > width {
                lines.push(std::mem::replace(&mut line, " ".repeat(rest)));
            } else if !empty {
                line.push(' ');
            }
            line.push_str(&piece);
            empty = false;
        }
    }
    lines.push(line);
    lines
}

fn leading(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}

fn pieces(word: &str, width: usize) -> Vec<String> {
    if measure_text_width(word) <= width {
        return vec![word.to_owned()];
    }
    // Two columns for a character at most.
    let chars: Vec<char> = word.chars().collect();
    chars.chunks((width / 2).max(1)).map(|chunk| chunk.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_hang() {
        assert_eq!(wrapped("one two three four", 10, 2, 4), ["  one two", "    three", "    four"]);
        assert_eq!(wrapped("", 10, 0, 0), [""]);
        assert_eq!(wrapped("x", 10, 2, 4), ["  x"]);
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_wider_than_the_page(text in "\\PC{0,200}") {
            let mut page = Page::new(ColorMode::Plain, 60);
            page.item("    ", &text);
            for line in page.finish().lines() {
                proptest::prop_assert!(measure_text_width(line) <= 60, "{line}");
            }
        }
    }
}
