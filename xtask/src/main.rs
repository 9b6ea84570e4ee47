//! The project's own chores. `cargo xtask help` lists them.

mod corpus;
mod false_alarms;
mod fuzz;
mod mutants;
mod needs;
mod overhead;
mod runs;
mod servers;
mod soak;
mod test;
mod time_to_verdict;
mod torture;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

const HELP: &str = "\
cargo xtask test            install what the tests need, then check format, lints and docs, and run every test
cargo xtask soak [PART..]   the long matrices: rows, heap, none, all, single-leaks, renamed, kills, servers
                            [default: every part]; --jobs=N runs N checks at once;
                            rows: --times=N of each form [5]; heap: --times=N, --only=NAME[,NAME]
cargo xtask time-to-verdict how soon a leak of a known size is told: --times=N of each [10], --jobs=N,
                            --only=bytes,descriptors,threads, --profile=dev; --beside=PROGRAM compares with another build
cargo xtask servers         check the clean servers with default settings at --paces 2000,200,20, 90 s each; fails on a false
                            alarm or on more than one inconclusive scenario at a pace: --only NAME[,NAME], --jobs N,
                            --profile dev|release [release]
cargo xtask false-alarms    judge 2,000 made-up curves of each clean class and 500 of each other one;
                            fails on a false alarm. Words: CLEAN --leaking N --from SEED --class NAME;
                            --class NAME --seed N prints one curve; --pictures FOLDER draws one of each family
cargo xtask corpus DIR      judge the labelled curves of DIR/MANIFEST.json: forbidden verdicts, growth missed, coverage
cargo xtask fuzz            feed damaged inputs to everything that reads untrusted bytes: --minutes N of each target [1],
                            --target recording|scenario|template|judge|metrics|image|maps|tables, --seed N
cargo xtask torture         attack tidewatch and what it watches; fails unless everything holds: --minutes N [20], --seed N,
                            --only inject-kill|inject-hup|inject-stop|signals|..,
                            --times N of each attack, --case N
cargo xtask mutants         mutants of the modules that judge, redact and write files: lists those that no unit test notices,
                            fails if there is one that xtask/mutants.excused does not name; --module NAME, --file PART,
                            --minutes N, --in-diff BASE
cargo xtask overhead        what the allocation sampler costs, as a table; fails past the goals (needs valgrind)
cargo xtask needs [soak]    install what the tests need, or the long matrices, or name it
cargo xtask help            this text";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] => test::run(),
        ["soak", parts @ ..] => soak::run(parts),
        ["time-to-verdict", words @ ..] => time_to_verdict::run(words),
        ["servers", words @ ..] => servers::run(words),
        ["false-alarms", words @ ..] => false_alarms::run(words),
        ["fuzz", words @ ..] => fuzz::run(words),
        ["torture", words @ ..] => torture::run(words),
        ["mutants", words @ ..] => mutants::run(words),
        ["needs"] => needs::meet(needs::Set::Tests),
        ["needs", "soak"] => needs::meet(needs::Set::Soak),
        ["corpus", folder] => corpus::run(folder),
        ["overhead"] => overhead::run(),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        other => {
            eprintln!("xtask: no chore `{}`\n{HELP}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Cargo sets variables about the chore's own package. Build scripts that watch such variables would run anew each time.
fn forget_the_chore(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
}

/// Runs a cargo command at the root of the workspace and tells which one failed.
fn cargo(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let shown = format!("cargo {}", arguments.join(" "));
    println!("+ {shown}");
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    forget_the_chore(&mut command);
    // What a failed test says is not to drown in backtraces, which name the test harness alone.
    command.env("RUST_BACKTRACE", "0");
    let status = command.status().with_context(|| format!("could not start {shown}"))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}
