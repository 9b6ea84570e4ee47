//! The forms in which a value may stand in a text.

use std::ops::Range;

use super::CUT;

/// A part of a token in base64 or hexadecimal must be this long to be looked for: shorter ones are found by chance.
const SHORTEST_TOKEN: usize = 5;
/// A value that is cut at the end of a text is found if so many of its bytes are left.
const SHORTEST_BEGINNING: usize = 8;
/// The same where a mark says that the text was cut.
const SHORTEST_MARKED_BEGINNING: usize = 3;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What is looked for.
pub(super) struct Needle {
    bytes: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The value.
    Value,
    /// A part of what encodes it: the whole token around it goes.
    Token,
}

impl Needle {
    /// The forms of a value.
    pub(super) fn of(value: &str) -> Vec<Self> {
        let bytes = value.as_bytes();
        let mut tokens: Vec<Vec<u8>> = (0..3).map(|before| base64_core(bytes, before)).collect();
        let url_safe = |byte: &u8| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        };
        for index in 0..3 {
            tokens.push(tokens[index].iter().map(url_safe).collect());
        }
        tokens.push(bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
        tokens.push(bytes.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect());
        tokens.sort_unstable();
        tokens.dedup();
        tokens.retain(|token| token.len() >= SHORTEST_TOKEN);
        let tokens = tokens.into_iter().map(|bytes| Self { bytes, kind: Kind::Token });
        [Self { bytes: bytes.to_vec(), kind: Kind::Value }].into_iter().chain(tokens).collect()
    }

    /// Where it stands in a text, in whatever way its bytes are written.
    pub(super) fn all_in(&self, text: &str) -> Vec<Range<usize>> {
        let bytes = text.as_bytes();
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            match self.may_begin_with(bytes[at]).then(|| self.end_at(text, at)).flatten() {
                Some(end) => {
                    let range = match self.kind {
                        Kind::Value => at..end,
                        Kind::Token => token_around(bytes, at..end),
                    };
                    at = range.end.max(at + 1);
                    found.push(range);
                }
                None => at += 1,
            }
        }
        found
    }

    fn may_begin_with(&self, byte: u8) -> bool {
        byte == self.bytes[0] || matches!(byte, b'%' | b'\\' | b'&' | b'+')
    }

    /// The end of what begins here, when that is what is looked for, or as much of it as a cut text holds.
    fn end_at(&self, text: &str, at: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        if bytes[at..].starts_with(&self.bytes) {
            return Some(at + self.bytes.len());
        }
        let (mut at, mut matched) = (at, 0);
        while matched < self.bytes.len() {
            let Some((taken, length)) = unit(bytes, at, &self.bytes[matched..]) else {
                let fewest = match bytes.get(at..) {
                    None | Some([]) => SHORTEST_BEGINNING,
                    Some(rest) if rest.starts_with(CUT.as_bytes()) => SHORTEST_MARKED_BEGINNING,
                    Some(_) => return None,
                };
                // A cut falls between characters, so that the end is one.
                return (matched >= fewest && self.kind == Kind::Value && text.is_char_boundary(at)).then_some(at);
            };
            matched += taken;
            at += length;
        }
        text.is_char_boundary(at).then_some(at)
    }
}

/// Reads one written unit at `at` that stands for the beginning of `wanted`: how many of its bytes, and how long the unit is.
fn unit(text: &[u8], at: usize, wanted: &[u8]) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let first = *rest.first()?;
    let escaped = match first {
        b'%' => percent(rest, wanted[0]),
        b'\\' => backslash(rest, wanted),
        b'&' => entity(rest, wanted[0]),
        b'+' if wanted[0] == b' ' => Some((1, 1)),
        _ => None,
    };
    escaped.or_else(|| (first == wanted[0]).then_some((1, 1)))
}

/// `%2F`, `%2f`, and `%252F` where it was encoded twice.
fn percent(rest: &[u8], wanted: u8) -> Option<(usize, usize)> {
    let mut length = 1;
    while rest.get(length..length + 2) == Some(b"25") && rest.get(length + 2..length + 4).is_some_and(is_hex) {
        length += 2;
    }
    let digits = rest.get(length..length + 2)?;
    (hex(digits)? == u32::from(wanted)).then_some((1, length + 2))
}

/// `\"`, `\n`, `\u00fc`, `\u{fc}`, `\x41`, with as many backslashes as escaping several times makes.
fn backslash(rest: &[u8], wanted: &[u8]) -> Option<(usize, usize)> {
    let run = rest.iter().take_while(|byte| **byte == b'\\').count();
    if wanted[0] == b'\\' {
        // A backslash may be written by its number as well.
        if run == 1
            && let Some(found) = numbered(rest, run, wanted)
        {
            return Some(found);
        }
        let own = wanted.iter().take_while(|byte| **byte == b'\\').count();
        return (run >= own).then_some((own, run));
    }
    let plain = |byte: u8| (byte == wanted[0]).then_some((1, run + 1));
    match *rest.get(run)? {
        b'n' => plain(b'\n'),
        b't' => plain(b'\t'),
        b'r' => plain(b'\r'),
        b'x' | b'u' => numbered(rest, run, wanted),
        other => plain(other),
    }
}

/// A character by its number, after so many backslashes.
fn numbered(rest: &[u8], run: usize, wanted: &[u8]) -> Option<(usize, usize)> {
    match *rest.get(run)? {
        b'x' => (hex(rest.get(run + 1..run + 3)?)? == u32::from(wanted[0])).then_some((1, run + 3)),
        b'u' => {
            let after = rest.get(run + 1..)?;
            let (digits, length) = match after.strip_prefix(b"{") {
                Some(inside) => {
                    let digits = inside.split(|byte| *byte == b'}').next()?;
                    (digits, run + 3 + digits.len())
                }
                None => (after.get(..4)?, run + 5),
            };
            let mut buffer = [0; 4];
            let written = char::from_u32(hex(digits)?)?.encode_utf8(&mut buffer).as_bytes();
            wanted.starts_with(written).then_some((written.len(), length))
        }
        _ => None,
    }
}

fn entity(rest: &[u8], wanted: u8) -> Option<(usize, usize)> {
    const ENTITIES: [(&[u8], u8); 8] = [
        (b"&amp;", b'&'),
        (b"&lt;", b'<'),
        (b"&gt;", b'>'),
        (b"&quot;", b'"'),
        (b"&apos;", b'\''),
        (b"&#39;", b'\''),
        (b"&#x27;", b'\''),
        (b"&#34;", b'"'),
    ];
    ENTITIES.iter().find(|(name, byte)| *byte == wanted && rest.starts_with(name)).map(|(name, _)| (1, name.len()))
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

fn hex(digits: &[u8]) -> Option<u32> {
    if !is_hex(digits) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The characters of base64 that depend on `bytes` alone, when `before` bytes stand before them.
fn base64_core(bytes: &[u8], before: usize) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
    let bit = |at: usize| padded.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    let symbol = |index: usize| (0..6).fold(0, |value, offset| value << 1 | bit(index * 6 + offset));
    (first..last).map(|index| BASE64[usize::from(symbol(index))]).collect()
}

/// The whole token that holds a range: characters of base64 around it.
fn token_around(text: &[u8], range: Range<usize>) -> Range<usize> {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    let before = text[..range.start].iter().rev().take_while(|byte| inside(byte)).count();
    let after = text[range.end..].iter().take_while(|byte| inside(byte)).count();
    range.start - before..range.end + after
}
