//! `tidewatch demo`, and the target that it watches.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::options::{Recorded, run_dir};
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
    let run_dir = run_dir(&words.recorded, "demo")?;
    let path = run_dir.path_of(script::FILE_NAME);
    run_dir
        .create(script::FILE_NAME)
        .and_then(|mut file| file.write_all(SCENARIO_FILE.as_bytes()))
        .with_context(|| format!("could not create {}; name another directory with --out", path.display()))
        .map_err(Failure::usage)?;
    let form = if words.fixed { "fixed" } else { "leaking" };
    let vars = BTreeMap::from([
        ("program".to_owned(), program.to_string_lossy().into_owned()),
        ("form".to_owned(), form.to_owned()),
    ]);
    // The text itself, not the file: between the two, another could take its place.
    let script = script::parse_text(&path, SCENARIO_FILE, &vars).map_err(Failure::usage)?;
    check::check_thresholds(&script)?;
    let request = Request::new(Mode::Demo, run_dir, &words.recorded, Vec::new(), Errand::Drive(Box::new(script)));
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
