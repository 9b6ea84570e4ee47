//! The project's own chores. `cargo xtask help` lists them.

mod needs;
mod overhead;
mod soak;
mod test;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

const HELP: &str = "\
cargo xtask test            install what the tests need, then check format, lints and docs, and run every test
cargo xtask soak [PART..]   the long matrices: none, all, single-leaks, renamed, kills [default: every part];
                            --jobs=N runs N checks at once
cargo xtask overhead        what the allocation sampler costs, as a table; fails past the goals (needs valgrind)
cargo xtask needs           install what the tests need, or name it
cargo xtask help            this text";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] => test::run(),
        ["soak", parts @ ..] => soak::run(parts),
        ["overhead"] => overhead::run(),
        ["needs"] => needs::meet(),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        other => {
            eprintln!("xtask: no chore `{}`\n{HELP}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Runs a cargo command at the root of the workspace and tells which one failed.
fn cargo(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let shown = format!("cargo {}", arguments.join(" "));
    println!("+ {shown}");
    let status = Command::new(cargo)
        .args(arguments)
        .current_dir(root())
        .status()
        .with_context(|| format!("could not start {shown}"))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}
