//! `tidewatch report`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use super::options::{Force, run_dir_failure};
use super::outcome;
use crate::exit::ExitCode;
use crate::run_dir::RunDir;

/// The words of `report`.
#[derive(Debug, Args)]
pub struct Words {
    /// The run directory, or the recording in it
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Where the reports go: a new or empty directory, or one of tidewatch's [default: the run directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    force: Force,
    /// Print summary.json on stdout instead of the table
    #[arg(long)]
    json: bool,
}

/// Makes the reports of a recorded run again. The exit code is that of the run.
pub fn run(words: Words) -> Result<ExitCode, Failure> {
    let report = outcome::read(&words.run)?;
    let own = if words.run.is_dir() { Some(words.run.as_path()) } else { words.run.parent() };
    let out = words.out.as_deref().or(own).unwrap_or(Path::new("."));
    let directory = RunDir::for_reports(out, words.force.into()).map_err(run_dir_failure)?;
    outcome::publish(&report, &directory, outcome::Form::asked(words.json))
}
