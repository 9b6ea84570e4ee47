//! `tidewatch attach`.

use clap::Args;

use super::exports::{Exported, Target};
use super::failure::Failure;
use super::live;
use super::options::{Heap, Recorded, Watched, run_dir};
use crate::exit::ExitCode;
use crate::recording::Mode;
use crate::session::{Errand, Request, Watch};
use crate::target::{Many, Selector, command_line, command_name, find};

/// The words of `attach`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub struct Words {
    /// A pid, or a name: exact, or the one that matches
    #[arg(value_name = "PID|NAME", group = "which")]
    target: Option<String>,
    /// The processes of a container, by (the beginning of) its id
    #[arg(long, value_name = "ID", group = "which")]
    container: Option<String>,
    /// The processes of a systemd unit
    #[arg(long, value_name = "NAME", group = "which")]
    unit: Option<String>,
    /// Watch all that match
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    watched: Watched,
    #[command(flatten)]
    exported: Exported,
    #[command(flatten)]
    heap: Heap,
    #[command(flatten)]
    recorded: Recorded,
}

/// Watches what runs already.
pub fn run(words: Words) -> Result<ExitCode, Failure> {
    let exports = words.exported.checked(Target::Running)?;
    let thresholds = words.watched.checked_thresholds(&exports)?;
    let selector = match (words.target, words.container, words.unit) {
        (Some(word), ..) => Selector::from_word(&word),
        (None, Some(id), _) => Selector::Container(id),
        (None, None, unit) => Selector::Unit(unit.unwrap_or_default()),
    };
    let many = if words.all { Many::All } else { Many::Refuse };
    let roots = find(&selector, many).map_err(live::target_failure)?;
    let first = roots[0];
    let name = command_name(first).map_err(live::target_failure)?;
    let command = command_line(first).unwrap_or_default();
    let watch = Watch::attached(roots, name.clone(), command, words.watched.length);
    let watch = words.exported.put_into(watch, exports)?;
    let watch = watch.sampling(words.heap.sampling(), words.heap.heap_interval);
    let run_dir = run_dir(&words.recorded, &name)?;
    live::carry_out(
        Request::new(Mode::Attach, run_dir, &words.recorded, thresholds, Errand::Watch(Box::new(watch))),
        &words.recorded,
    )
}
