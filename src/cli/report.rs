//! `tidewatch report`.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::outcome;
use crate::exit::ExitCode;

/// The words of `report`.
#[derive(Debug, Args)]
pub struct Words {
    /// The run's folder, or the recording in it
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Where the reports go [default: the run's folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print summary.json on stdout instead of the table
    #[arg(long)]
    json: bool,
}

/// Makes the reports of a recorded run again. The exit code is that of the run.
pub fn run(words: Words) -> Result<ExitCode, Failure> {
    let folder =
        if words.run.is_dir() { words.run.clone() } else { words.run.parent().map(PathBuf::from).unwrap_or_default() };
    outcome::tell(&words.run, &words.out.unwrap_or(folder), outcome::Form::asked(words.json))
}
