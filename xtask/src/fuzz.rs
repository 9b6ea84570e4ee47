//! Damaged inputs for everything that reads untrusted bytes.

use anyhow::Result;

use crate::cargo;

/// Runs `examples/fuzz` with these words, in the profile that checks arithmetic.
pub fn run(words: &[&str]) -> Result<()> {
    cargo(&[&["run", "--quiet", "--example", "fuzz", "--"], words].concat())
}
