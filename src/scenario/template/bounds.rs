//! What a template may cost: decided by its text before it is parsed, and by fuel and sizes while it runs.
//!
//! The interpreter compiles chains (`a.b.c`, `a | f | g`, `elif`) by recursion, so that their length is bounded here. Its memory is
//! bounded by construction: no text can be grown from one statement to the next. Statements that bind names may count
//! (`op * 10 + 1`), and only what stands in `{{ }}` may put texts together, where each operator is written out.

use super::TemplateError;
use super::segment::next_mark;

/// The longest template.
pub(super) const LONGEST_SOURCE: usize = 1 << 20;
/// The longest text that a rendering may give.
pub(super) const LONGEST_OUTPUT: usize = 64 << 20;
/// The longest value that a function or a filter of the general form may give.
pub(super) const LONGEST_VALUE: usize = 256 << 10;
/// Instructions of one rendering: a loop over 10,000 numbers takes some 100,000.
pub(super) const FUEL: u64 = 500_000;

/// The longest mark.
const LONGEST_MARK: usize = 64 << 10;
/// Words and signs in one mark.
const MOST_TOKENS: usize = 400;
/// Operators that put texts together in one mark.
const MOST_JOINS: usize = 64;
/// Repetitions in one mark.
const MOST_REPETITIONS: usize = 8;
/// Marks in a template of the general form.
const MOST_MARKS: usize = 2_000;
/// Statements in it.
const MOST_STATEMENTS: usize = 200;

const STATEMENTS: [&str; 8] = ["if", "elif", "else", "endif", "for", "endfor", "set", "raw"];
/// Filters that may stand in a mark with `*`, which repeats texts and lists.
const COUNTING_FILTERS: [&str; 6] = ["int", "float", "abs", "round", "length", "default"];
/// Digits of a width in the pattern of `format`.
const WIDEST_FORMAT: usize = 4;
/// What a statement that counts may name, besides the name that it sets.
const COUNTING: [&str; 10] = ["set", "op", "session", "loop", "index", "index0", "int", "abs", "round", "length"];

/// Refuses a template that is too long to be looked at.
pub(super) fn check_length(source: &str) -> Result<(), TemplateError> {
    if source.len() > LONGEST_SOURCE {
        let length = source.len();
        return Err(too_much(format!("it has {length} bytes; a template has {LONGEST_SOURCE} at most")));
    }
    Ok(())
}

/// Refuses a template of the general form that could cost too much.
pub(super) fn check(source: &str) -> Result<(), TemplateError> {
    let (mut rest, mut marks, mut statements) = (source, 0, 0);
    while let Some((_, mark, after)) = next_mark(rest) {
        rest = after;
        marks += 1;
        if mark.starts_with("{#") {
            continue;
        }
        let inner = mark.get(2..mark.len() - 2).unwrap_or_default();
        if inner.len() > LONGEST_MARK {
            return Err(too_much(format!("a mark in it has {} bytes; the most is {LONGEST_MARK}", inner.len())));
        }
        let tokens = tokens(inner);
        if tokens.len() > MOST_TOKENS {
            return Err(too_much(format!(
                "a mark in it has {} words and signs or more; the most is {MOST_TOKENS}",
                tokens.len()
            )));
        }
        check_operators(&tokens)?;
        if mark.starts_with("{%") {
            statements += 1;
            if check_statement(&tokens)? == Next::Raw {
                rest = after_raw(rest);
            }
        }
        if marks > MOST_MARKS || statements > MOST_STATEMENTS {
            return Err(too_much(format!("it has more than {MOST_MARKS} marks or {MOST_STATEMENTS} statements")));
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Next {
    Template,
    Raw,
}

fn check_operators(tokens: &[&str]) -> Result<(), TemplateError> {
    let count = |operators: &[&str]| tokens.iter().filter(|token| operators.contains(token)).count();
    if count(&["~", "+"]) > MOST_JOINS || count(&["*"]) > MOST_REPETITIONS {
        return Err(too_much(format!(
            "a mark in it has more than {MOST_JOINS} of `~` and `+`, or {MOST_REPETITIONS} of `*`; write several marks side by side"
        )));
    }
    if count(&["*"]) > 0 && !multiplies_numbers(tokens) {
        return Err(unsupported(
            "`*` stands between numbers only: use `| int` on what comes from elsewhere, and other filters elsewhere",
        ));
    }
    check_formats(tokens)
}

/// Whether a mark with `*` holds no text and no list, and no filter that makes one.
fn multiplies_numbers(tokens: &[&str]) -> bool {
    let filters = tokens.windows(2).filter(|pair| pair[0] == "|").map(|pair| pair[1]);
    !tokens.iter().any(|token| token.starts_with(['"', '\'', '[', '{']) || *token == "text")
        && filters.into_iter().all(|filter| COUNTING_FILTERS.contains(&filter))
}

/// A width could be anything: the pattern of `format` must be written out, with widths that are small.
fn check_formats(tokens: &[&str]) -> Result<(), TemplateError> {
    let is_narrow = |pattern: &str| {
        let mut digits = 0;
        pattern.starts_with(['"', '\''])
            && pattern.chars().all(|c| {
                digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
                digits <= WIDEST_FORMAT && c != '*'
            })
    };
    let formats = tokens.windows(3).filter(|three| three[1] == "|" && three[2] == "format");
    let all = tokens.iter().filter(|token| **token == "format").count();
    let narrow = formats.filter(|three| is_narrow(three[0])).count();
    if narrow == all {
        return Ok(());
    }
    Err(unsupported(
        "`format` needs its pattern written out, with widths of four digits at most: {{ \"%05d\" | format(op) }}",
    ))
}

fn check_statement(tokens: &[&str]) -> Result<Next, TemplateError> {
    let words: Vec<&str> = tokens.iter().copied().filter(|token| *token != "-" && *token != "+").collect();
    let Some(first) = words.first().copied() else { return Ok(Next::Template) };
    if !STATEMENTS.contains(&first) {
        return Err(unsupported(&format!("`{first}` is not one of the statements {}", STATEMENTS.join(", "))));
    }
    if words.contains(&"recursive") {
        return Err(unsupported("loops cannot be `recursive`"));
    }
    let grows = tokens.iter().skip(1).any(|token| ["~", "+", "*"].contains(token));
    match first {
        "set" if !words.contains(&"=") => Err(unsupported("`set` needs a value: {% set name = value %}")),
        "set" if grows && !counts(&words) => {
            Err(unsupported("`set` may count (`op * 10 + 1`), but not put texts together; do that in {{ }}"))
        }
        "for" if grows && !loops_over_range(&words) => {
            Err(unsupported("`for` may not put texts or lists together; do that in {{ }}"))
        }
        "raw" => Ok(Next::Raw),
        _ => Ok(Next::Template),
    }
}

/// Whether only numbers can come of an assignment.
fn counts(words: &[&str]) -> bool {
    let is_name = |word: &&str| word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    words.iter().skip(2).filter(|word| is_name(word)).all(|word| COUNTING.contains(word))
        && !words.iter().any(|word| word.starts_with(['"', '\'', '[', '{']))
}

/// `for NAME in range(..)`: what it gives are numbers.
fn loops_over_range(words: &[&str]) -> bool {
    words.get(2) == Some(&"in") && words.get(3) == Some(&"range") && words.last() == Some(&")") && !words.contains(&"]")
}

/// What follows the end of a raw part.
fn after_raw(rest: &str) -> &str {
    let mut left = rest;
    while let Some((_, after)) = left.split_once("{%") {
        if after.trim_start_matches(['-', '+']).trim_start().starts_with("endraw") {
            return after.split_once("%}").map_or("", |(_, after)| after);
        }
        left = after;
    }
    ""
}

/// Words, texts and signs. Past the most that may be, no more are read.
fn tokens(inner: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = inner.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => text_length(rest, first),
            c if is_word(c) => rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
        if tokens.len() > MOST_TOKENS {
            break;
        }
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn text_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

fn too_much(what: String) -> TemplateError {
    TemplateError::Syntax { what }
}

fn unsupported(what: &str) -> TemplateError {
    TemplateError::Syntax { what: what.to_owned() }
}

/// A text under construction that refuses to become too long.
pub(super) struct Output {
    pub(super) text: Vec<u8>,
}

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.text.len() + bytes.len() > LONGEST_OUTPUT {
            return Err(std::io::Error::other(format!("it gives more than {LONGEST_OUTPUT} bytes")));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
