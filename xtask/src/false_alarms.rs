//! False alarms, counted on made-up curves.

use anyhow::Result;

use crate::cargo;

/// Runs `benches/false_alarms.rs` with these words.
pub fn run(words: &[&str]) -> Result<()> {
    cargo(&[&["bench", "--bench", "false_alarms", "--"], words].concat())
}
