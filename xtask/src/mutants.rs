//! Mutants of the modules whose mistakes nobody would see: which of them no unit test notices.
//!
//! Results of all invocations add up in `target/mutants/MODULE-K-of-N`, one directory for each shard, so that a run can be
//! stopped and continued. The list of survivors is read from all of them.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context as _, Result, bail};

/// A part of the sources, and the arguments of `cargo test` that run its unit tests.
struct Module {
    name: &'static str,
    files: &'static [&'static str],
    tests: &'static [&'static str],
}

const LIBRARY: &[&str] = &["--lib"];

/// In the order in which they are run. The hook is missing: cargo-mutants finds no sources of an example target.
const MODULES: [Module; 6] = [
    Module { name: "run_dir", files: &["src/run_dir/**/*.rs"], tests: LIBRARY },
    Module { name: "redact", files: &["src/redact/**/*.rs"], tests: LIBRARY },
    Module { name: "gate", files: &["src/gate/**/*.rs"], tests: LIBRARY },
    Module { name: "statistics", files: &["src/statistics/**/*.rs"], tests: LIBRARY },
    Module { name: "growth", files: &["src/growth/**/*.rs"], tests: LIBRARY },
    Module { name: "attribution", files: &["src/attribution/**/*.rs"], tests: LIBRARY },
];

struct Request<'a> {
    modules: Vec<&'static Module>,
    shard: (u32, u32),
    limit: Option<Duration>,
    base: Option<&'a str>,
}

pub fn run(words: &[&str]) -> Result<()> {
    let request = request(words)?;
    let tool = tool()?;
    let begin = Instant::now();
    for module in &request.modules {
        let left = request.limit.map(|limit| limit.saturating_sub(begin.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            println!("time is up before `{}`; continue with --module {0}", module.name);
            break;
        }
        mutate(&tool, module, &request, left)?;
    }
    let survivors = survivors(&request.modules)?;
    for line in &survivors {
        println!("survived: {line}");
    }
    if !survivors.is_empty() {
        bail!(
            "{} mutants survived: write tests that notice them, or exclude them in .cargo/mutants.toml with a reason",
            survivors.len()
        );
    }
    Ok(())
}

fn request<'a>(words: &[&'a str]) -> Result<Request<'a>> {
    let mut request = Request { modules: Vec::new(), shard: (0, 1), limit: None, base: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = *words.next().with_context(|| format!("`{word}` needs a value"))?;
        match *word {
            "--module" => {
                let known = MODULES.iter().find(|module| module.name == value);
                let names = || MODULES.map(|module| module.name).join(", ");
                request.modules.push(known.with_context(|| format!("no module `{value}`; there are {}", names()))?);
            }
            "--shard" => {
                let numbers = value.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
                let is_valid = |(k, n): &(u32, u32)| k < n;
                request.shard = numbers
                    .filter(is_valid)
                    .with_context(|| format!("`{value}` is no shard K/N with K from 0 to N-1"))?;
            }
            "--minutes" => {
                let minutes: u64 = value.parse().with_context(|| format!("`{value}` is no number of minutes"))?;
                request.limit = Some(Duration::from_secs(minutes.saturating_mul(60)));
            }
            "--in-diff" => request.base = Some(value),
            other => bail!("unknown argument `{other}`; there are --module, --shard, --minutes and --in-diff"),
        }
    }
    if request.modules.is_empty() {
        request.modules = MODULES.iter().collect();
    }
    Ok(request)
}

/// cargo-mutants: from PATH, else from `target/tools`, where it is installed the first time.
fn tool() -> Result<PathBuf> {
    let is_there = |program: &PathBuf| Command::new(program).args(["mutants", "--version"]).output().is_ok();
    let installed = crate::root().join("target/tools/bin/cargo-mutants");
    let known = [PathBuf::from("cargo-mutants"), installed.clone()];
    if let Some(program) = known.into_iter().find(is_there) {
        return Ok(program);
    }
    println!("cargo-mutants is not on PATH: it is installed into target/tools");
    crate::cargo(&["install", "--locked", "cargo-mutants", "--root", "target/tools"])?;
    Ok(installed)
}

fn results() -> PathBuf {
    crate::root().join("target/mutants")
}

/// Runs one shard of a module, until it is done or the time is up.
fn mutate(tool: &PathBuf, module: &Module, request: &Request<'_>, limit: Option<Duration>) -> Result<()> {
    let (shard, shards) = request.shard;
    let output = results().join(format!("{}-{shard}-of-{shards}", module.name));
    fs::create_dir_all(&output).with_context(|| format!("cannot create {}", output.display()))?;
    let mut command = Command::new("timeout");
    // cargo-mutants ends its builds and tests and keeps its lists when it is interrupted.
    command.args(["--signal=INT", "--kill-after=60"]).arg(limit.map_or(0, |limit| limit.as_secs().max(1)).to_string());
    command.arg(tool).args(["mutants", "--package", "tidewatch", "--profile", "mutants", "--no-shuffle"]);
    command.args(["--baseline", "skip", "--timeout", "240", "--iterate"]).arg("--output").arg(&output);
    command.args(["--shard", &format!("{shard}/{shards}")]);
    for file in module.files {
        command.args(["--file", file]);
    }
    if let Some(base) = request.base {
        command.arg("--in-diff").arg(difference(base)?);
    }
    command.arg("--").args(module.tests).current_dir(crate::root());
    println!("+ {command:?}");
    let status = command.status().context("cannot start cargo-mutants through `timeout`")?;
    match status.code() {
        // All caught; some missed; some timed out; stopped because the time was up.
        Some(0 | 2 | 3) => Ok(()),
        Some(124 | 130) => {
            println!("stopped in `{}`: the same command continues", module.name);
            Ok(())
        }
        _ => bail!("cargo-mutants failed on `{}` ({status})", module.name),
    }
}

/// The changes since a commit, as a file.
fn difference(base: &str) -> Result<PathBuf> {
    let made =
        Command::new("git").args(["diff", base]).current_dir(crate::root()).output().context("cannot start git")?;
    if !made.status.success() {
        bail!("git diff {base} failed: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    let file = results().join("changes.diff");
    fs::write(&file, made.stdout).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Survivors of these modules, in all shards so far. The directory of each counts its results.
fn survivors(modules: &[&Module]) -> Result<Vec<String>> {
    let mut survivors = Vec::new();
    let shards = fs::read_dir(results()).context("cannot list target/mutants")?;
    for shard in shards.collect::<io::Result<Vec<_>>>()? {
        let name = shard.file_name().to_string_lossy().into_owned();
        let is_of = |module: &&Module| name.strip_prefix(module.name).is_some_and(|rest| rest.starts_with('-'));
        if !modules.iter().any(is_of) || !shard.path().is_dir() {
            continue;
        }
        let list = |kind: &str| {
            let text = fs::read_to_string(shard.path().join("mutants.out").join(kind)).unwrap_or_default();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let [caught, missed, timeout, unviable] =
            ["caught", "missed", "timeout", "unviable"].map(|kind| list(&format!("{kind}.txt")));
        let previous = list("previously_caught.txt");
        println!(
            "{name}: {} caught ({} before), {} missed, {} timed out, {} unviable",
            caught.len(),
            previous.len(),
            missed.len(),
            timeout.len(),
            unviable.len()
        );
        survivors.extend(missed);
    }
    survivors.sort();
    survivors.dedup();
    Ok(survivors)
}
