//! The long matrices: too long for every change, run before a release.

mod checks;
mod heap;
mod rows;
mod servers;
mod table;
mod truth;

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use self::checks::carry_out;
use crate::needs::{self, Set};
use crate::root;
use crate::runs::Profile;

const PARTS: [&str; 8] = ["rows", "heap", "none", "all", "single-leaks", "renamed", "servers", "kills"];

/// How often each form of a row is run.
const TIMES: usize = 5;

/// What the words of the command ask for.
struct Wanted<'a> {
    parts: Vec<&'a str>,
    rows: Vec<&'a str>,
    jobs: usize,
    times: usize,
    profile: Profile,
}

impl Wanted<'_> {
    fn part(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}

/// Runs the parts that are named, or all, so many at once; prints a line for each run and fails if one is wrong.
pub fn run(words: &[&str]) -> Result<()> {
    let wanted = words_of(words)?;
    wanted.profile.build()?;
    let mut failures = Vec::new();
    if wanted.part("rows") {
        failures.extend(rows::run(&wanted.rows, wanted.times, wanted.jobs, wanted.profile)?);
    }
    if wanted.part("heap") {
        failures.extend(heap::run(wanted.times, wanted.profile)?);
    }
    let checks = checks::checks(|part| wanted.part(part), wanted.profile)?;
    failures.extend(carry_out(checks, wanted.jobs, wanted.profile));
    if wanted.part("servers") {
        needs::meet(Set::Soak)?;
        failures.extend(carry_out(servers::checks(), wanted.jobs, wanted.profile));
    }
    if wanted.part("kills") && !kills()? {
        failures.push("kills".to_owned());
    }
    if !failures.is_empty() {
        bail!("{} of the runs were wrong: {}", failures.len(), failures.join(", "));
    }
    println!("every run was right");
    Ok(())
}

fn words_of<'a>(words: &[&'a str]) -> Result<Wanted<'a>> {
    let mut wanted = Wanted { parts: Vec::new(), rows: Vec::new(), jobs: 1, times: TIMES, profile: Profile::Release };
    for &word in words {
        let number = |text: &str| text.parse::<usize>().with_context(|| format!("`{word}` names no number"));
        match word.split_once('=') {
            Some(("--jobs", text)) => wanted.jobs = number(text)?,
            Some(("--times", text)) => wanted.times = number(text)?,
            Some(("--only", names)) => wanted.rows = rows::names_of(names)?,
            Some(("--profile", name)) => wanted.profile = Profile::named(name)?,
            None if PARTS.contains(&word) => wanted.parts.push(word),
            _ => bail!(
                "no part `{word}`; parts are {}; --jobs=N runs N checks at once, --times=N each form of a row N times, \
                 --only=NAME[,NAME] some rows, --profile=dev programs that are quick to build",
                PARTS.join(", ")
            ),
        }
    }
    Ok(wanted)
}

/// The test's own story, fifty times.
fn kills() -> Result<bool> {
    let status = Command::new("cargo")
        .args(["test", "--package", "tidewatch", "--test", "it", "kills_leave", "--", "--nocapture"])
        .env("TIDEWATCH_KILLS", "50")
        .current_dir(root())
        .status()?;
    Ok(status.success())
}
