//! `tidewatch check`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;

use super::failure::Failure;
use super::options::{Heap, Recorded, duration, run_dir};
use super::{live, outcome};
use crate::exit::ExitCode;
use crate::gate::Threshold;
use crate::recording::Mode;
use crate::report::escape::plain;
use crate::sample::{Effort, HeapSampling};
use crate::scenario::Script;
use crate::scenario::script::{self, Span};
use crate::session::{Errand, Request, effort};
use crate::units::{show_bytes, show_count, show_duration};

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
    /// Give up early, for the loop of a developer: after 33 cycles, or the first look that `smallest` allows
    #[arg(long, group = "effort")]
    quick: bool,
    /// Be surer: a scenario ends once every verdict has stood over twice its cycles, and may take three times as many
    #[arg(long, group = "effort")]
    thorough: bool,
    /// The longest that all scenarios together may take, shared out evenly
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_time: Option<Duration>,
    /// Print the plan and how long it takes; start nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    heap: Heap,
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
    let mut script = script::load(&words.file, &vars, &words.scenarios).map_err(Failure::usage)?;
    check_thresholds(&script)?;
    let effort = match (words.quick, words.thorough) {
        (true, _) => Effort::Quick,
        (false, true) => Effort::Thorough,
        (false, false) => Effort::Standard,
    };
    effort::apply(effort, &mut script);
    if words.max_time.is_some_and(|time| time.is_zero()) {
        return Err(Failure::usage(anyhow!("--max-time 0s: nothing could be run in no time")));
    }
    if words.heap.sampling() == HeapSampling::On {
        script.plan.heap = HeapSampling::On;
    }
    script.heap_interval_bytes = words.heap.heap_interval;
    script.plan.max_time_s = words.max_time.map(|time| time.as_secs_f64());
    if words.dry_run {
        outcome::print(&script.fixed.redactor().redact(&plan(&script)))?;
        return Ok(ExitCode::Held);
    }
    let run_dir = run_dir(&words.recorded, &script.plan.name)?;
    let request = Request::new(Mode::Check, run_dir, &words.recorded, Vec::new(), Errand::Drive(Box::new(script)));
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
        let subsystem = scenario.subsystem.as_ref().map(|name| format!(" drives {}", plain(name))).unwrap_or_default();
        text += &format!("{}{subsystem}\n  {}\n", plain(&scenario.name), scenario.pace);
        text += &format!("  {} to {} cycles", scenario.cycles.least, scenario.cycles.most);
        if let Some(duration) = &scenario.duration {
            text += &format!(", {} to {}", show_duration(duration.least), show_duration(duration.most));
        }
        if let Some(operations) = &scenario.operations {
            let show = |count: u64| show_count(count as f64);
            text += &format!(", {} to {} operations", show(operations.least), show(operations.most));
        }
        if scenario.further_cycles > scenario.cycles.most {
            text += &format!("; up to {} cycles where they decide what is open", scenario.further_cycles);
        }
        text.push('\n');
        for step in &scenario.steps {
            text += &format!("  {}\n", plain(step));
        }
        if let Some(interval) = scenario.heap_interval_bytes {
            text += &format!("  heap sampled every {} on average\n", show_bytes(interval as f64));
        }
    }
    let Span { least, most } = run.duration;
    text += &format!(
        "\n{} scenarios of {}{}, {} to {} and the time to build and start the target\n",
        run.scenarios.len(),
        plain(&run.name),
        effort_in_words(script.plan.effort),
        show_duration(least),
        show_duration(most)
    );
    if let Some(time) = script.plan.max_time_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        let share = time / u32::try_from(run.scenarios.len().max(1)).unwrap_or(u32::MAX);
        text += &format!(
            "At most {} (--max-time), the time to build not counted: {} for each scenario, and what one leaves over goes \
             to the next\n",
            show_duration(time),
            show_duration(share)
        );
    }
    text
}

fn effort_in_words(effort: Effort) -> &'static str {
    match effort {
        Effort::Quick => " (--quick: what is not decided by then is inconclusive)",
        Effort::Standard => "",
        Effort::Thorough => " (--thorough: 33 cycles at least, and every verdict stands over twice its cycles)",
    }
}
