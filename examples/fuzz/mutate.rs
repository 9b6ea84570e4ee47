//! Damaged inputs out of whole ones.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Inputs grow no longer than this.
const LONGEST: usize = 256 << 10;

const NUMBERS: [&str; 22] = [
    "0",
    "-1",
    "1e308",
    "-1e308",
    "1e-308",
    "1e999",
    "NaN",
    "inf",
    "-inf",
    "18446744073709551615",
    "9223372036854775808",
    "-9223372036854775809",
    "4294967296",
    "0.1",
    "1e18",
    "99999999999999999999999999",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "-0",
];

/// Makes inputs, the same ones from the same seed.
pub struct Mutator {
    random: ChaCha8Rng,
    corpus: Vec<Vec<u8>>,
    words: &'static [&'static str],
}

impl Mutator {
    /// Inputs like those of `corpus`, with words that mean something in them.
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>, words: &'static [&'static str]) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), corpus, words }
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.random.random_range(0..end) }
    }

    /// The next input.
    pub fn next(&mut self) -> Vec<u8> {
        let which = self.below(self.corpus.len());
        let mut bytes = self.corpus.get(which).cloned().unwrap_or_default();
        for _ in 0..1 + self.below(6) {
            self.damage(&mut bytes);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn range(&mut self, length: usize, longest: usize) -> std::ops::Range<usize> {
        let begin = self.below(length + 1);
        let most = (length - begin).min(longest);
        begin..begin + self.below(most + 1)
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        match self.below(10) {
            0 => {
                let bit = self.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(self.range(bytes.len(), 200))),
            3 => {
                let part = bytes[self.range(bytes.len(), 400)].to_vec();
                let times = 1 + self.below(if part.len() < 8 { 2_000 } else { 8 });
                drop(bytes.splice(at..at, part.repeat(times)));
            }
            4 => {
                let other = self.below(self.corpus.len());
                let range = self.range(self.corpus[other].len(), 400);
                let part = self.corpus[other][range].to_vec();
                drop(bytes.splice(at..at, part));
            }
            5 => {
                let word = self.words[self.below(self.words.len())];
                drop(bytes.splice(at..at, word.bytes()));
            }
            6 | 7 => self.number(bytes, at),
            8 => {
                let value = [0, 0xff, 0x7f, 0x80][self.below(4)];
                for byte in &mut bytes[self.range(at, 9)] {
                    *byte = value;
                }
            }
            _ => {
                let random = self.random.random::<u8>();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random;
                }
            }
        }
    }

    /// Puts an extreme number in the place of one that is there.
    fn number(&mut self, bytes: &mut Vec<u8>, from: usize) {
        let is_part = |byte: &u8| byte.is_ascii_digit() || b".-".contains(byte);
        let Some(begin) = bytes[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
        let end = bytes[begin..].iter().position(|byte| !is_part(byte)).map_or(bytes.len(), |at| begin + at);
        let number = NUMBERS[self.below(NUMBERS.len())];
        drop(bytes.splice(begin..end, number.bytes()));
    }
}
