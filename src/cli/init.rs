//! `tidewatch init`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::failure::Failure;
use super::{live, outcome};
use crate::exit::ExitCode;
use crate::scenario::starter::{Listening, starter};
use crate::target::{Many, Selector, command_line, command_name, find, listening_ports};

/// The words of `init`.
#[derive(Debug, Args)]
pub struct Words {
    /// A running process to look at: its command and the ports it listens on go into the file
    #[arg(value_name = "PID|NAME")]
    target: Option<String>,
    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE", default_value = "tidewatch.toml")]
    out: PathBuf,
}

/// Writes a commented scenario file to start from.
pub fn run(words: Words) -> Result<ExitCode, Failure> {
    let listening = match &words.target {
        Some(word) => look_at(word)?,
        None => Listening::default(),
    };
    let mut file = std::fs::File::create_new(&words.out)
        .with_context(|| format!("could not make {}; name another file with --out", words.out.display()))
        .map_err(Failure::usage)?;
    file.write_all(starter(&listening).as_bytes())
        .with_context(|| format!("could not write {}", words.out.display()))
        .map_err(Failure::target)?;
    outcome::print(&format!(
        "Wrote {}. Edit its steps, then: tidewatch check {} --dry-run\n",
        words.out.display(),
        words.out.display()
    ))?;
    Ok(ExitCode::Held)
}

fn look_at(word: &str) -> Result<Listening, Failure> {
    let roots = find(&Selector::from_word(word), Many::Refuse).map_err(live::target_failure)?;
    let process = roots[0];
    Ok(Listening {
        name: Some(command_name(process).map_err(live::target_failure)?),
        argv: command_line(process).unwrap_or_default(),
        ports: listening_ports(process),
    })
}
