//! Damaged inputs for everything that reads untrusted bytes.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{cargo, root};

/// The unwinder of the sampler reads tables of modules. It is no part of the library, so its unit test does this.
const TABLES: &str = "tables";

/// Runs `examples/fuzz` with these words, and the unwinder's test, in the profile that checks arithmetic.
pub fn run(words: &[&str]) -> Result<()> {
    let target = value_of(words, "--target");
    if target.is_none_or(|target| target != TABLES) {
        cargo(&[&["run", "--quiet", "--example", "fuzz", "--"], words].concat())?;
    }
    if target.is_none_or(|target| target == TABLES) {
        tables(words)?;
    }
    Ok(())
}

fn tables(words: &[&str]) -> Result<()> {
    let seconds = match (value_of(words, "--seconds"), value_of(words, "--minutes")) {
        (Some(seconds), _) => seconds.parse().with_context(|| format!("`{seconds}` is no number of seconds"))?,
        (None, Some(minutes)) => {
            let minutes: u64 = minutes.parse().with_context(|| format!("`{minutes}` is no number of minutes"))?;
            minutes.saturating_mul(60)
        }
        (None, None) => 60,
    };
    let seed = value_of(words, "--seed").unwrap_or("1");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["test", "--quiet", "--example", "heap_hook", "--", "--nocapture", "damaged_tables"])
        .env("TIDEWATCH_FUZZ_SECONDS", seconds.to_string())
        .env("TIDEWATCH_FUZZ_SEED", seed)
        .current_dir(root());
    crate::forget_the_chore(&mut command);
    let status = command.status().context("cannot start cargo")?;
    anyhow::ensure!(status.success(), "damaged tables did harm: {status}");
    Ok(())
}

fn value_of<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == name)?;
    words.get(at + 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_follows_its_name() {
        let words = ["--seconds", "5", "--target"];
        assert_eq!((value_of(&words, "--seconds"), value_of(&words, "--target")), (Some("5"), None));
        assert_eq!(value_of(&words, "--seed"), None);
    }
}
