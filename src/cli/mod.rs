//! The words a user types. Clap is known here and nowhere else; every command turns its words into a plain
//! request, hands it on, and maps what comes back to an exit code.

use std::ffi::OsString;
use std::io::Write as _;

use clap::{Parser, Subcommand};

use crate::exit::ExitCode;
use crate::run_dir::fail_writes_past_the_size_limit;

mod attach;
mod check;
mod demo;
mod exports;
mod failure;
mod init;
mod judge;
mod live;
mod options;
mod outcome;
mod patient;
mod progress;
mod report;
mod run;
mod screen;
mod signals;

use failure::Failure;

/// Watches, drives and judges processes that grow: which subsystem kept it, and is it bounded?
#[derive(Debug, Parser)]
#[command(name = "tidewatch", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0    every threshold held
  1    growth crossed a threshold
  2    the command line or the scenario file is wrong (nothing was started)
  3    the target could not be started, reached or kept alive, or the machine refused what is needed
  4    inconclusive: the run could not decide
  130  interrupted; the recording so far is kept and readable";

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch a process that runs already; it is never signalled
    Attach(attach::Words),
    /// Launch a command and watch it
    Run(run::Words),
    /// Drive a target through the scenarios of a tidewatch.toml and judge its growth
    Check(check::Words),
    /// Make the reports of a recorded run again
    Report(report::Words),
    /// Judge curves that other programs recorded: CSV, psrecord, mprof, Prometheus
    Judge(judge::Words),
    /// Watch the built-in target leak, from outside
    Demo(demo::Words),
    /// Write a commented tidewatch.toml to start from
    Init(init::Words),
    /// The parent of a launched target
    #[command(name = "__guardian", hide = true)]
    Guardian {
        /// What the launching side says
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// The target that `demo` watches
    #[command(name = "__demo-target", hide = true)]
    DemoTarget(demo::TargetWords),
}

/// Runs the program on these words.
pub fn main(words: impl IntoIterator<Item = OsString>) -> std::process::ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    // The guardian stays small and single-threaded: nothing else of the program runs in it.
    if words.get(1).is_some_and(|word| word == "__guardian") {
        return crate::target::guardian::main(words.into_iter().skip(2));
    }
    fail_writes_past_the_size_limit();
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when stderr is gone; help that is lost is a failure.
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            return match error.use_stderr() {
                true => ExitCode::Usage.into(),
                false => outcome::delivered(printed).map_or_else(Failure::tell, |()| ExitCode::Held).into(),
            };
        }
    };
    let result = match cli.command {
        Command::Attach(words) => attach::run(words),
        Command::Run(words) => run::run(words),
        Command::Check(words) => check::run(words),
        Command::Report(words) => report::run(words),
        Command::Judge(words) => judge::run(words),
        Command::Demo(words) => demo::run(words),
        Command::Init(words) => init::run(words),
        Command::DemoTarget(words) => demo::serve(words),
        Command::Guardian { words } => return crate::target::guardian::main(words),
    };
    result.unwrap_or_else(Failure::tell).into()
}
