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
use crate::scenario::Script;
use crate::scenario::script::{self, Span};
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
    let mut text = String::new();
    for scenario in &run.scenarios {
        let subsystem = scenario.subsystem.as_ref().map(|name| format!(" drives {name}")).unwrap_or_default();
        text += &format!("{}{subsystem}\n  {}\n", scenario.name, scenario.pace);
        text += &format!("  {} to {} cycles", scenario.cycles.least, scenario.cycles.most);
        if let Some(duration) = &scenario.duration {
            text += &format!(", {} to {}", show_duration(duration.least), show_duration(duration.most));
        }
        if let Some(operations) = &scenario.operations {
            let show = |count: u64| show_count(count as f64);
            text += &format!(", {} to {} operations", show(operations.least), show(operations.most));
        }
        text.push('\n');
        for step in &scenario.steps {
            text += &format!("  {step}\n");
        }
    }
    let Span { least, most } = run.duration;
    text + &format!(
        "\n{} scenarios of {}, {} to {} and the time to build and start the target\n",
        run.scenarios.len(),
        run.name,
        show_duration(least),
        show_duration(most)
    )
}
