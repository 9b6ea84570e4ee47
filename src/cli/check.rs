//! `tidewatch check`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::failure::Failure;
use super::options::{Recorded, run_folder};
use super::{live, outcome};
use crate::exit::ExitCode;
use crate::gate::Threshold;
use crate::recording::Mode;
use crate::scenario::{Script, script};
use crate::session::{Errand, Request};
use crate::units::{show_count, show_duration};

/// The words of `check`.
#[derive(Debug, Args)]
pub struct Words {
    /// A scenario file, or the folder that holds tidewatch.toml
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    file: PathBuf,
    /// Run this scenario alone (repeatable)
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Set a variable that the file declares (repeatable)
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = assignment)]
    vars: Vec<(String, String)>,
    /// Print the plan and how long it takes; start nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    recorded: Recorded,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".into()),
    }
}

/// Drives a target through its scenarios.
pub fn run(words: Words) -> Result<ExitCode, Failure> {
    let vars: BTreeMap<String, String> = words.vars.into_iter().collect();
    let script = script::load(&words.file, &vars, &words.scenarios).map_err(Failure::usage)?;
    check_thresholds(&script)?;
    if words.dry_run {
        outcome::print(&plan(&script));
        return Ok(ExitCode::Held);
    }
    let folder = run_folder(words.recorded.out.as_ref(), &script.plan.name)?;
    let request = Request::new(Mode::Check, folder, &words.recorded, Vec::new(), Errand::Drive(Box::new(script)));
    live::carry_out(request, &words.recorded)
}

/// Refuses thresholds that are none, with their place in the file.
pub fn check_thresholds(script: &Script) -> Result<(), Failure> {
    for text in &script.thresholds {
        if let Err(error) = text.expression.parse::<Threshold>() {
            let place = format!("{}:{}:{}", script.path.display(), text.line, text.column);
            return Err(Failure::usage(anyhow!("{place}: {error}")));
        }
    }
    Ok(())
}

fn plan(script: &Script) -> String {
    let run = script::describe(script);
    let mut text = format!("{}\n\n", run.target);
    for scenario in &run.scenarios {
        text += &format!(
            "{} ({})\n  {} to {} cycles, {} to {}, {} to {} operations\n",
            scenario.name,
            scenario.shape,
            scenario.cycles.0,
            scenario.cycles.1,
            show_duration(scenario.duration.0),
            show_duration(scenario.duration.1),
            show_count(scenario.operations.0 as f64),
            show_count(scenario.operations.1 as f64),
        );
        for step in &scenario.steps {
            text += &format!("  {step}\n");
        }
    }
    text + &format!("\nall together: {} to {}\n", show_duration(run.duration.0), show_duration(run.duration.1))
}
