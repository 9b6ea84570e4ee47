//! Mutants of the modules whose mistakes nobody would see: which of them no unit test notices.
//!
//! All mutants are put into one copy of the sources, each behind a switch that is read from the environment, so that two
//! builds (the library and the sampler) serve all of them. A first run of every test records which switches it reads;
//! each mutant then meets those tests alone. Not changed are: the insides of macros, constants, `const fn` that constants
//! call, functions that return `impl Trait` (their bodies as a whole), `Debug` and `Display`.

mod build;
mod excused;
mod find;
mod splice;
#[cfg(test)]
mod tests;
mod trial;
mod values;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::build::{Crate, Source};
use self::find::Change;
use self::splice::Mutant;
use self::trial::Outcome;
use crate::root;

/// Folders below `src`.
const MODULES: [&str; 7] = ["run_dir", "redact", "gate", "heap_hook", "statistics", "growth", "attribution"];

#[derive(Default)]
struct Request<'a> {
    modules: Vec<&'a str>,
    files: Vec<&'a str>,
    end: Option<Instant>,
    base: Option<&'a str>,
}

/// A mutant and what became of it; `None` where it does not compile.
struct Tried {
    mutant: Mutant,
    outcome: Option<Outcome>,
    tests: Vec<String>,
}

pub fn run(words: &[&str]) -> Result<()> {
    let request = request(words)?;
    let excuses = excused::read()?;
    let changed = request.base.map(changed_lines).transpose()?;
    let sources = sources(&request)?;
    if sources.is_empty() {
        bail!("no source file is selected");
    }
    let (hook, library): (Vec<_>, Vec<_>) = sources.into_iter().partition(|file| is_hook(file));
    let mut tried = Vec::new();
    for (part, files) in [(Crate::Hook, &hook), (Crate::Library, &library)] {
        if !files.is_empty() {
            tried.extend(try_all(part, files, changed.as_ref(), request.end)?);
        }
    }
    print!("{}", table(&tried));
    let survivors: Vec<&Tried> = tried.iter().filter(|one| is_survivor(one)).collect();
    let excused = |one: &&Tried| excuses.iter().any(|excuse| excuse.excuses(&one.mutant));
    let (excused, unexcused): (Vec<&Tried>, Vec<&Tried>) = survivors.iter().copied().partition(excused);
    let list: String = unexcused.iter().map(|one| shown(one)).collect();
    print!("{list}");
    fs::write(root().join("target/mutants/survivors.txt"), &list)
        .context("cannot write target/mutants/survivors.txt")?;
    let files: HashSet<&String> = hook.iter().chain(&library).collect();
    let is_idle = |excuse: &&excused::Excuse| {
        files.contains(&excuse.file) && !excused.iter().any(|one| excuse.excuses(&one.mutant))
    };
    // A part of the mutants leaves excuses for the other part.
    let is_whole = changed.is_none() && tried.iter().all(|one| one.outcome != Some(Outcome::Untried));
    let idle: Vec<_> = excuses.iter().filter(|excuse| is_whole && is_idle(excuse)).collect();
    for excuse in &idle {
        println!("{}:{}: excuses no survivor", excused::FILE, excuse.line);
    }
    println!("{} mutants survived, {} of them are excused", survivors.len(), excused.len());
    if !unexcused.is_empty() || !idle.is_empty() {
        bail!("write tests that notice the mutants above, or excuse them with a reason in {}", excused::FILE);
    }
    Ok(())
}

fn request<'a>(words: &[&'a str]) -> Result<Request<'a>> {
    let mut request = Request::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = *words.next().with_context(|| format!("`{word}` needs a value"))?;
        match *word {
            "--module" if root().join("src").join(value).is_dir() => request.modules.push(value),
            "--module" => bail!("no folder `{value}` below src"),
            "--file" => request.files.push(value),
            "--minutes" => {
                let minutes: u64 = value.parse().with_context(|| format!("`{value}` is no number of minutes"))?;
                request.end = Some(Instant::now() + Duration::from_secs(minutes.saturating_mul(60)));
            }
            "--in-diff" => request.base = Some(value),
            other => bail!("unknown argument `{other}`; there are --module, --file, --minutes and --in-diff"),
        }
    }
    if request.modules.is_empty() {
        request.modules = MODULES.to_vec();
    }
    Ok(request)
}

fn is_hook(file: &str) -> bool {
    file.starts_with("src/heap_hook/")
}

/// The files of the wanted modules, without the roots of crates and those that hold tests alone.
fn sources(request: &Request<'_>) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for module in &request.modules {
        list(&Path::new("src").join(module), &mut files)?;
    }
    let is_wanted = |file: &String| request.files.is_empty() || request.files.iter().any(|part| file.contains(part));
    let is_left_out = |file: &String| file.split('/').any(|part| ["tests", "tests.rs", "lib.rs"].contains(&part));
    files.retain(|file| is_wanted(file) && !is_left_out(file));
    Ok(files)
}

fn list(folder: &Path, files: &mut Vec<String>) -> Result<()> {
    let shown = || format!("cannot list {}", folder.display());
    let entries = fs::read_dir(root().join(folder)).with_context(shown)?;
    let mut names: Vec<_> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
    names.sort();
    for name in names {
        let path = folder.join(name);
        if root().join(&path).is_dir() {
            list(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

/// The lines of each file that differ from a commit.
fn changed_lines(base: &str) -> Result<HashMap<String, HashSet<usize>>> {
    let made = Command::new("git").args(["diff", "--unified=0", base]).current_dir(root()).output();
    let made = made.context("cannot start git")?;
    if !made.status.success() {
        bail!("git diff {base} failed: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    Ok(lines_of(&String::from_utf8_lossy(&made.stdout)))
}

fn lines_of(diff: &str) -> HashMap<String, HashSet<usize>> {
    let mut changed: HashMap<String, HashSet<usize>> = HashMap::new();
    let mut file = String::new();
    for line in diff.lines() {
        if let Some(name) = line.strip_prefix("+++ b/") {
            name.clone_into(&mut file);
        } else if let Some(added) = line.strip_prefix("@@ ").and_then(|hunk| hunk.split(['+', ' ']).nth(2)) {
            let (start, count) = added.split_once(',').unwrap_or((added, "1"));
            let (start, count): (usize, usize) = (start.parse().unwrap_or(0), count.parse().unwrap_or(0));
            changed.entry(file.clone()).or_default().extend(start..start + count);
        }
    }
    changed
}

fn try_all(
    part: Crate,
    files: &[String],
    changed: Option<&HashMap<String, HashSet<usize>>>,
    end: Option<Instant>,
) -> Result<Vec<Tried>> {
    let begin = Instant::now();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let sources = files.iter().map(|file| Source::read(file.clone())).collect::<Result<Vec<_>>>()?;
    let is_wanted = |file: &str, change: &Change| {
        changed.is_none_or(|changed| changed.get(file).is_some_and(|lines| lines.contains(&change.line)))
    };
    let built = part.build(&sources, &is_wanted)?;
    println!("{part:?}: {} mutants built after {} s", built.mutants.len(), begin.elapsed().as_secs());
    let tests = trial::baseline(&built, jobs)?;
    println!("{part:?}: {} tests run alone after {} s", tests.len(), begin.elapsed().as_secs());
    let mut outcomes = trial::outcomes(&built, &tests, jobs, end)?;
    println!("{part:?}: every mutant tried after {} s", begin.elapsed().as_secs());
    let refused = built.refused.into_iter().map(|mutant| Tried { mutant, outcome: None, tests: Vec::new() });
    let tried = built.mutants.into_iter().map(|mutant| {
        let (outcome, tests) = outcomes.remove(&mutant.id).unwrap_or((Outcome::Untried, Vec::new()));
        let tests = tests.into_iter().map(|test| test.name.clone()).collect();
        Tried { mutant, outcome: Some(outcome), tests }
    });
    Ok(tried.chain(refused).collect())
}

fn is_survivor(one: &Tried) -> bool {
    matches!(one.outcome, Some(Outcome::Survived | Outcome::Unreached))
}

fn shown(one: &Tried) -> String {
    let Mutant { file, line, function, shown, .. } = &one.mutant;
    let mut text = format!("{file}:{line} | {function} | {shown} | ");
    let _ = match one.tests.as_slice() {
        [] => writeln!(text, "no test reaches it"),
        [first] => writeln!(text, "reached by {first}"),
        [first, others @ ..] => writeln!(text, "reached by {first} and {} more", others.len()),
    };
    text
}

/// One row for each module.
fn table(tried: &[Tried]) -> String {
    let mut rows: BTreeMap<&str, [usize; 6]> = BTreeMap::new();
    for one in tried {
        let module = one.mutant.file.split('/').nth(1).unwrap_or_default();
        let column = match one.outcome {
            Some(Outcome::Killed) => 0,
            Some(Outcome::TimedOut) => 1,
            Some(Outcome::Survived) => 2,
            Some(Outcome::Unreached) => 3,
            Some(Outcome::Untried) => 4,
            None => 5,
        };
        rows.entry(module).or_default()[column] += 1;
    }
    let titles = ["mutants", "killed", "timed out", "survived", "unreached", "untried", "do not compile"];
    let mut text = format!("{:<12}", "module");
    for title in titles {
        let _ = write!(text, " {title:>10}");
    }
    for (module, counts) in rows {
        let _ = write!(text, "\n{module:<12} {:>10}", counts.iter().sum::<usize>());
        for count in counts {
            let _ = write!(text, " {count:>10}");
        }
    }
    text + "\n"
}
