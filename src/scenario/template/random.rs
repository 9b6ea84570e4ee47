//! Reproducible noise: the same parts give the same text on every machine.
//!
//! SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014). Good enough
//! for payloads that must differ from one another, and not meant for anything that must be secret.

use std::fmt;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One number out of several.
pub(super) fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(GOLDEN, |state, part| finish(state.wrapping_add(GOLDEN) ^ finish(part.wrapping_add(GOLDEN))))
}

/// FNV-1a of a text: stable from one build to the next, which std's hasher is not.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// 27 letters and spaces by frequency would be nicer to read; 32 make one draw of five bits each.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyzeaot  ";

/// Appends `length` bytes of small letters in words.
pub(super) fn push_text(out: &mut String, length: usize, parts: &[u64]) {
    let mut state = mix(parts);
    let mut bits = 0;
    let mut left = 0;
    let mut after_letter = false;
    for i in 0..length {
        if left == 0 {
            state = state.wrapping_add(GOLDEN);
            bits = finish(state);
            left = 12;
        }
        let mut letter = LETTERS[(bits & 31) as usize];
        bits >>= 5;
        left -= 1;
        // A space stands between letters only.
        if letter == b' ' && (!after_letter || i + 1 == length) {
            letter = b'n';
        }
        after_letter = letter != b' ';
        out.push(char::from(letter));
    }
}

/// A version 4 shaped UUID that is a function of seed and key.
pub(super) struct Uuid(u128);

impl Uuid {
    pub(super) fn new(seed: u64, key: u64) -> Self {
        let bits = u128::from(mix(&[seed, key, 1])) << 64 | u128::from(mix(&[seed, key, 2]));
        let version = (bits & !(0xf << 76)) | (0x4 << 76);
        Self((version & !(0x3 << 62)) | (0x2 << 62))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut nibble = 32;
        for (at, slot) in text.iter_mut().enumerate() {
            if [8, 13, 18, 23].contains(&at) {
                continue;
            }
            nibble -= 1;
            *slot = HEX[(self.0 >> (4 * nibble)) as usize & 15];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}
