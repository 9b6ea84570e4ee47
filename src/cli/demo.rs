//! `tidewatch demo`, and the target that it watches.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::options::{Recorded, run_folder};
use super::{check, live};
use crate::demo::{Form, SCENARIO_FILE, serve as serve_target};
use crate::exit::ExitCode;
use crate::recording::Mode;
use crate::scenario::script;
use crate::session::{Errand, Request};

/// The words of `demo`.
#[derive(Debug, Args)]
pub struct Words {
    /// Watch the fixed form of the target: nothing leaks
    #[arg(long)]
    fixed: bool,
    #[command(flatten)]
    recorded: Recorded,
}

/// The words of the built-in target.
#[derive(Debug, Args)]
pub struct TargetWords {
    #[arg(value_enum)]
    form: FormWord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormWord {
    Leaking,
    Fixed,
}

/// Watches the built-in target as any other: through a scenario file, from outside.
pub fn run(words: Words) -> Result<ExitCode, Failure> {
    let program = std::env::current_exe().context("could not find this program's own file").map_err(Failure::target)?;
    let folder = run_folder(words.recorded.out.as_ref(), "demo")?;
    let file: PathBuf = folder.join("tidewatch.toml");
    std::fs::write(&file, SCENARIO_FILE)
        .with_context(|| format!("could not write {}", file.display()))
        .map_err(Failure::target)?;
    let form = if words.fixed { "fixed" } else { "leaking" };
    let vars = BTreeMap::from([
        ("program".to_owned(), program.to_string_lossy().into_owned()),
        ("form".to_owned(), form.to_owned()),
    ]);
    let script = script::load(&file, &vars, &[]).map_err(Failure::usage)?;
    check::check_thresholds(&script)?;
    let request = Request::new(Mode::Demo, folder, &words.recorded, Vec::new(), Errand::Drive(Box::new(script)));
    live::carry_out(request, &words.recorded)
}

/// Is the built-in target.
pub fn serve(words: TargetWords) -> Result<ExitCode, Failure> {
    let form = match words.form {
        FormWord::Leaking => Form::Leaking,
        FormWord::Fixed => Form::Fixed,
    };
    serve_target(form).context("the built-in target could not serve").map_err(Failure::target)?;
    Ok(ExitCode::Held)
}
