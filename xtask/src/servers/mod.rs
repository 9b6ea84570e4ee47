//! The clean servers at several paces, with every setting of the judge left to its default: no false alarm, and nearly
//! every scenario decided within its time at the detection limit that its report states.

pub mod list;
mod outcome;
mod scenario_file;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use self::list::{SERVERS, Server};
use self::outcome::{Ended, Outcome};
use crate::needs::{self, Set};
use crate::runs::{Checked, Profile, check, scratch, side_by_side};

/// Operations per second that the servers are driven at.
const PACES: [u32; 3] = [2000, 200, 20];
/// The longest that a scenario may take, the build not counted.
const MAX_TIME: &str = "90s";
/// The most scenarios of a pace that may end inconclusive.
const MOST_INCONCLUSIVE: usize = 1;

/// What the words of the command ask for.
struct Args {
    paces: Vec<u32>,
    servers: Vec<&'static Server>,
    jobs: usize,
    profile: Profile,
}

/// One scenario of one server at one pace.
struct Job {
    server: &'static Server,
    /// The pace that was asked for: a server's own bound may be lower.
    pace: u32,
    scenario: String,
    folder: PathBuf,
}

/// Runs every scenario at every pace, prints a line for each and a table for each pace; fails if a pace is not as it should be.
pub fn run(words: &[&str]) -> Result<()> {
    let args = args(words)?;
    needs::meet(Set::Soak)?;
    args.profile.build()?;
    let outcomes = side_by_side(jobs(&args)?, args.jobs, |job| {
        let outcome = job.run(args.profile);
        println!("{outcome}");
        outcome
    });
    let mut wrong = Vec::new();
    for &pace in &args.paces {
        let of_pace: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.asked == pace).collect();
        print!("\n{}", table::of(pace, &of_pace));
        wrong.extend(verdict(pace, &of_pace));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

/// What is wrong with a pace.
fn verdict(pace: u32, outcomes: &[&Outcome]) -> Vec<String> {
    let count = |wanted: fn(&Ended) -> bool| outcomes.iter().filter(|outcome| wanted(&outcome.ended)).count();
    let inconclusive = count(|ended| matches!(ended, Ended::Inconclusive));
    [
        (count(|ended| matches!(ended, Ended::FalseAlarm)), 0, "false alarms"),
        (count(|ended| matches!(ended, Ended::Failed(_))), 0, "that could not be checked"),
        (inconclusive, MOST_INCONCLUSIVE, "inconclusive"),
    ]
    .into_iter()
    .filter(|(number, most, _)| number > most)
    .map(|(number, most, what)| format!("{pace}/s: {number} {what}, and {most} may be"))
    .collect()
}

fn args(words: &[&str]) -> Result<Args> {
    let mut args =
        Args { paces: PACES.to_vec(), servers: SERVERS.iter().collect(), jobs: 1, profile: Profile::Release };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some(pair) => pair,
            None => (word, *words.next().with_context(|| format!("`{word}` needs a value"))?),
        };
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        let not = || format!("{name} needs whole numbers from 1 on, not `{value}`");
        match name {
            "--paces" => args.paces = value.split(',').map(number).collect::<Option<_>>().with_context(not)?,
            "--only" => args.servers = value.split(',').map(named).collect::<Result<_>>()?,
            "--jobs" => args.jobs = number(value).with_context(not)? as usize,
            "--profile" => args.profile = Profile::named(value)?,
            _ => bail!(
                "no word `{name}`; words are --paces N[,N], --only NAME[,NAME], --jobs N and --profile dev|release"
            ),
        }
    }
    Ok(args)
}

fn named(name: &str) -> Result<&'static Server> {
    let names = || SERVERS.each_ref().map(|server| server.folder).join(", ");
    SERVERS
        .iter()
        .find(|server| server.folder == name)
        .with_context(|| format!("no server `{name}`; servers are {}", names()))
}

/// Every scenario in the order of the paces, each server's folder copied for each pace.
fn jobs(args: &Args) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for &pace in &args.paces {
        for &server in &args.servers {
            let folder = scratch(&format!("server-{}-{pace}", server.folder));
            let scenarios = scenario_file::copy_at_pace(&server.path(), &folder, server.pace(pace))?;
            jobs.extend(scenarios.into_iter().map(|scenario| Job { server, pace, scenario, folder: folder.clone() }));
        }
    }
    Ok(jobs)
}

impl Job {
    fn run(&self, profile: Profile) -> Outcome {
        let pace = self.server.pace(self.pace);
        let out = self.folder.join(format!("run-{}", self.scenario));
        let report = out.join("report.md");
        let mut outcome = Outcome {
            server: self.server.folder,
            scenario: self.scenario.clone(),
            asked: self.pace,
            pace,
            ended: Ended::Clean,
            figures: None,
            report: report.clone(),
        };
        match self.check(profile, pace, &out).and_then(|checked| outcome::read(&checked, &text_of(&report)?)) {
            Ok((ended, figures)) => (outcome.ended, outcome.figures) = (ended, Some(figures)),
            Err(problem) => outcome.ended = Ended::Failed(format!("{problem:#}")),
        }
        outcome
    }

    fn check(&self, profile: Profile, pace: u32, out: &Path) -> Result<Checked> {
        let mut words: Vec<String> = ["--scenario", &self.scenario, "--max-time", MAX_TIME].map(str::to_owned).into();
        words.extend(self.server.vars(pace).iter().flat_map(|var| ["--var".to_owned(), (*var).to_owned()]));
        let checked = check(profile, &scenario_file::file_in(&self.folder), &words, out)?;
        ensure!(
            matches!(checked.exit, Some(0 | 1 | 4)),
            "exit {:?}: {}; {}",
            checked.exit,
            checked.summary["headline"],
            checked.summary["problems"]
        );
        Ok(checked)
    }
}

fn text_of(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::outcome::tests::outcome;
    use super::*;

    #[test]
    fn words_choose_paces_servers_and_the_profile() {
        let args =
            args(&["--paces", "50,7", "--only=redis,jvm", "--jobs", "2", "--profile", "dev"]).expect("right words");
        assert_eq!((args.paces, args.jobs, args.profile), (vec![50, 7], 2, Profile::Dev));
        assert_eq!(args.servers.iter().map(|server| server.folder).collect::<Vec<_>>(), ["redis", "jvm"]);
    }

    #[test]
    fn wrong_words_are_refused() {
        for (words, part) in [
            (&["--paces", "0"][..], "--paces needs whole numbers from 1 on, not `0`"),
            (&["--paces", "fast"], "not `fast`"),
            (&["--only", "apache"], "no server `apache`; servers are redis, nginx"),
            (&["--jobs"], "`--jobs` needs a value"),
            (&["--profile", "test"], "no profile `test`"),
            (&["--times", "2"], "no word `--times`"),
        ] {
            let problem = args(words).err().map(|problem| format!("{problem:#}")).unwrap_or_default();
            assert!(problem.contains(part), "{words:?}: {problem}");
        }
    }

    #[test]
    fn one_inconclusive_scenario_is_allowed_and_no_false_alarm() {
        let (clean, open) = (outcome(Ended::Clean), outcome(Ended::Inconclusive));
        let (alarm, failed) = (outcome(Ended::FalseAlarm), outcome(Ended::Failed("no port".into())));
        for (outcomes, expected) in [
            (vec![&clean, &open, &clean], Vec::<&str>::new()),
            (vec![&open, &open], vec!["200/s: 2 inconclusive, and 1 may be"]),
            (vec![&alarm, &clean], vec!["200/s: 1 false alarms, and 0 may be"]),
            (vec![&failed], vec!["200/s: 1 that could not be checked, and 0 may be"]),
        ] {
            assert_eq!(verdict(200, &outcomes), expected);
        }
    }
}
