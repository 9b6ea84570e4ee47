//! How soon a leak of a known size is told, in seconds of the scenario.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::root;
use crate::runs::{Profile, judgement, median, scratch, side_by_side, summary};

/// How often the quick ones are run.
const TIMES: usize = 10;
/// How far the figure may be from what the fixture was told to lose.
const NEAR: f64 = 0.15;

/// A leak of a known size, and the time in which it has to be told.
struct Leak {
    name: &'static str,
    scenario: &'static str,
    var: &'static str,
    metric: &'static str,
    /// What it loses per operation, or per second where nothing is driven.
    loses: f64,
    within_s: f64,
    /// A run of a quarter of an hour is made once.
    once: bool,
}

static LEAKS: [Leak; 3] = [
    Leak {
        name: "threads",
        scenario: "alone",
        var: "thread_every=60s",
        metric: "threads",
        loses: 1.0 / 60.0,
        within_s: 15.0 * 60.0,
        once: true,
    },
    Leak {
        name: "bytes",
        scenario: "requests",
        var: "bytes_per_op=100",
        metric: "private",
        loses: 100.0,
        within_s: 40.0,
        once: false,
    },
    Leak {
        name: "descriptors",
        scenario: "requests",
        var: "fd_every=1000",
        metric: "fds",
        loses: 1e-3,
        within_s: 60.0,
        once: false,
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Leaking,
    Fixed,
}

/// Which tidewatch checks the fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    This,
    /// Another build, to compare with.
    Other,
}

/// One check of the fixture.
struct Job {
    leak: &'static Leak,
    form: Form,
    number: usize,
    build: Build,
}

/// The programs of a run.
struct Programs {
    profile: Profile,
    other: Option<PathBuf>,
}

/// What it came to: seconds of the scenario to the verdict, or what was wrong.
struct Outcome {
    job: Job,
    seconds: Result<f64>,
}

/// Runs every leak (or those that are named), prints the times and their medians, and fails past the goals.
pub fn run(words: &[&str]) -> Result<()> {
    let (mut times, mut jobs, mut only) = (TIMES, 1, Vec::new());
    let mut programs = Programs { profile: Profile::Release, other: None };
    for &word in words {
        let number = |text: &str| text.parse::<usize>().with_context(|| format!("`{word}` names no number"));
        match word.split_once('=') {
            Some(("--times", text)) => times = number(text)?,
            Some(("--jobs", text)) => jobs = number(text)?,
            Some(("--only", names)) => only = names_of(names)?,
            Some(("--profile", name)) => programs.profile = Profile::named(name)?,
            Some(("--beside", program)) => programs.other = Some(PathBuf::from(program)),
            _ => bail!(
                "no word `{word}`; words are --times=N, --jobs=N, --only=NAME[,NAME], --profile=dev and --beside=PROGRAM"
            ),
        }
    }
    programs.profile.build()?;
    let leaks: Vec<&Leak> = LEAKS.iter().filter(|leak| only.is_empty() || only.contains(&leak.name)).collect();
    let outcomes = side_by_side(queue(&leaks, times, programs.other.is_some()), jobs, |job| {
        let outcome = Outcome { seconds: job.run(&programs), job };
        outcome.print();
        outcome
    });
    let is_wrong = |outcome: &&Outcome| outcome.job.build == Build::This && outcome.seconds.is_err();
    let mut failures: Vec<String> = outcomes.iter().filter(is_wrong).map(|outcome| outcome.job.name()).collect();
    println!();
    for leak in leaks {
        failures.extend(against_goal(leak, &outcomes));
    }
    if !failures.is_empty() {
        bail!("not as it should be: {}", failures.join(", "));
    }
    Ok(())
}

fn names_of(names: &str) -> Result<Vec<&str>> {
    let names: Vec<&str> = names.split(',').collect();
    match names.iter().find(|name| LEAKS.iter().all(|leak| leak.name != **name)) {
        Some(unknown) => bail!("no leak `{unknown}`; leaks are {}", LEAKS.each_ref().map(|leak| leak.name).join(", ")),
        None => Ok(names),
    }
}

/// The longest first, so that the others run beside them where several may; the two builds in turn.
fn queue(leaks: &[&'static Leak], times: usize, has_other: bool) -> Vec<Job> {
    let builds: &[Build] = if has_other { &[Build::This, Build::Other] } else { &[Build::This] };
    leaks
        .iter()
        .flat_map(|&leak| {
            let times = if leak.once { times.min(1) } else { times };
            let leaking = (1..=times).flat_map(move |number| {
                builds.iter().map(move |&build| Job { leak, form: Form::Leaking, number, build })
            });
            leaking.chain([Job { leak, form: Form::Fixed, number: 1, build: Build::This }])
        })
        .collect()
}

/// Prints the median of a leak, and its ratio to that of the other build; gives its name when the median is past the goal.
fn against_goal(leak: &Leak, outcomes: &[Outcome]) -> Option<String> {
    let medians = [Build::This, Build::Other].map(|build| median_of(leak, build, outcomes));
    let [Some((runs, middle)), other] = medians else { return None };
    print!("{:<12} median of {runs}: {middle:.1} s, goal {:.0} s", leak.name, leak.within_s);
    match other {
        Some((_, other)) => println!("; the other build {other:.1} s, ratio {:.2}", middle / other),
        None => println!(),
    }
    (middle > leak.within_s).then(|| format!("the median of {} is {middle:.1} s", leak.name))
}

/// How many runs of a leak a build had, and the median of their seconds; `None` without a run.
fn median_of(leak: &Leak, build: Build, outcomes: &[Outcome]) -> Option<(usize, f64)> {
    let is_meant = |job: &Job| job.leak.name == leak.name && job.form == Form::Leaking && job.build == build;
    let meant = outcomes.iter().filter(|outcome| is_meant(&outcome.job));
    // A run without a verdict took for ever.
    let mut seconds: Vec<f64> =
        meant.map(|outcome| outcome.seconds.as_ref().map_or(f64::INFINITY, |seconds| *seconds)).collect();
    (!seconds.is_empty()).then(|| (seconds.len(), median(&mut seconds)))
}

impl Outcome {
    fn print(&self) {
        match (&self.seconds, self.job.form) {
            (Ok(seconds), Form::Leaking) => println!("{:<24} told after {seconds:>6.1} s", self.job.name()),
            (Ok(seconds), Form::Fixed) => println!("{:<24} passed after {seconds:>4.1} s", self.job.name()),
            (Err(problem), _) => println!("{:<24} WRONG: {problem:#}", self.job.name()),
        }
    }
}

impl Job {
    fn name(&self) -> String {
        match (self.form, self.build) {
            (Form::Leaking, Build::This) => format!("{} {}", self.leak.name, self.number),
            (Form::Leaking, Build::Other) => format!("{} {} other", self.leak.name, self.number),
            (Form::Fixed, _) => format!("{} fixed", self.leak.name),
        }
    }

    fn run(&self, programs: &Programs) -> Result<f64> {
        let folder = scratch(&format!("verdict-{}", self.name()));
        let form = match self.form {
            Form::Leaking => "form=--leaking",
            Form::Fixed => "form=--fixed",
        };
        let this = || programs.profile.program("tidewatch");
        let program = match self.build {
            Build::This => this(),
            Build::Other => programs.other.clone().unwrap_or_else(this),
        };
        let exit = Command::new(program)
            .arg("check")
            .arg(root().join("fixtures/drip"))
            .args(["--scenario", self.leak.scenario, "--var", self.leak.var, "--var", form])
            .args(programs.profile.vars())
            .arg("--out")
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("could not start tidewatch")?
            .code();
        let report = folder.join("report.md");
        let summary = summary(&folder)?;
        let verdict = judgement(&summary, self.leak.metric);
        let came_to =
            || format!("exit code {exit:?}, {} {}; {}", self.leak.metric, verdict["reason"], report.display());
        match self.form {
            Form::Leaking if verdict["verdict"] != "unbounded" || exit != Some(1) => bail!("not told: {}", came_to()),
            Form::Fixed if exit != Some(0) => bail!("no pass: {}", came_to()),
            Form::Leaking => self.hold_to_what_is_lost(verdict)?,
            Form::Fixed => {}
        }
        let decided = verdict["decided_at"].as_u64().with_context(|| format!("no cycle decided; {}", came_to()))?;
        scenario_seconds(&folder.join("recording.jsonl"), decided)
    }

    fn hold_to_what_is_lost(&self, verdict: &Value) -> Result<()> {
        let figure = verdict["per_op"]["value"].as_f64().context("there is no figure")?;
        let ratio = figure / self.leak.loses;
        if (ratio - 1.0).abs() > NEAR {
            bail!(
                "{} is {figure} per operation or second, and {} was lost: {ratio:.2}",
                self.leak.metric,
                self.leak.loses
            );
        }
        Ok(())
    }
}

/// Seconds from the begin of the scenario to the end of a cycle, from the marks of a recording.
fn scenario_seconds(recording: &Path, cycle: u64) -> Result<f64> {
    let text = std::fs::read_to_string(recording).with_context(|| format!("there is no {}", recording.display()))?;
    let (mut began, mut settling) = (None, false);
    for line in text.lines().filter(|line| line.contains("\"kind\":\"mark\"")) {
        let mark: Value = serde_json::from_str(line)?;
        let at = mark["at"].as_f64().context("a mark without a time")? / 1e6;
        match began {
            None if mark["border"] == "scenario-begins" => began = Some(at),
            // The border after the settling of that cycle is its end.
            Some(began) if settling => return Ok(at - began),
            _ => settling = mark["phase"] == "settle" && mark["cycle"] == cycle,
        }
    }
    bail!("{} has no end of cycle {cycle}", recording.display())
}
