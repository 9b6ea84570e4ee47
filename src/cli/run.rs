//! `tidewatch run`.

use std::path::Path;

use clap::Args;

use super::exports::{Exported, Target};
use super::failure::Failure;
use super::live;
use super::options::{Heap, Recorded, Watched, run_dir};
use crate::exit::ExitCode;
use crate::recording::Mode;
use crate::session::{Errand, Request, Watch};

/// The words of `run`.
#[derive(Debug, Args)]
pub struct Words {
    #[command(flatten)]
    watched: Watched,
    #[command(flatten)]
    exported: Exported,
    #[command(flatten)]
    heap: Heap,
    #[command(flatten)]
    recorded: Recorded,
    /// The command and its arguments, after `--`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Launches a command and watches it.
pub fn run(words: Words) -> Result<ExitCode, Failure> {
    let exports = words.exported.checked(Target::Launched)?;
    let thresholds = words.watched.checked_thresholds(&exports)?;
    let program = Path::new(&words.command[0]);
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let watch = Watch::launched(words.command, name.clone(), words.watched.length);
    let watch = words.exported.put_into(watch, exports)?;
    let watch = watch.sampling(words.heap.sampling(), words.heap.heap_interval);
    let run_dir = run_dir(&words.recorded, &name)?;
    live::carry_out(
        Request::new(Mode::Run, run_dir, &words.recorded, thresholds, Errand::Watch(Box::new(watch))),
        &words.recorded,
    )
}
