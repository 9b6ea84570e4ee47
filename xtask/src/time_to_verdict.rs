//! How soon a leak of a known size is told, in seconds of the scenario.

use std::path::Path;
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

/// One check of the fixture.
struct Job {
    leak: &'static Leak,
    form: Form,
    number: usize,
}

/// What it came to: seconds of the scenario to the verdict, or what was wrong.
struct Outcome {
    job: Job,
    seconds: Result<f64>,
}

/// Runs every leak (or those that are named), prints the times and their medians, and fails past the goals.
pub fn run(words: &[&str]) -> Result<()> {
    let (mut times, mut jobs, mut only, mut profile) = (TIMES, 1, Vec::new(), Profile::Release);
    for &word in words {
        let number = |text: &str| text.parse::<usize>().with_context(|| format!("`{word}` names no number"));
        match word.split_once('=') {
            Some(("--times", text)) => times = number(text)?,
            Some(("--jobs", text)) => jobs = number(text)?,
            Some(("--only", names)) => only = names_of(names)?,
            Some(("--profile", name)) => profile = Profile::named(name)?,
            _ => bail!("no word `{word}`; words are --times=N, --jobs=N, --only=NAME[,NAME] and --profile=dev"),
        }
    }
    profile.build()?;
    let leaks: Vec<&Leak> = LEAKS.iter().filter(|leak| only.is_empty() || only.contains(&leak.name)).collect();
    let outcomes = side_by_side(queue(&leaks, times), jobs, |job| {
        let outcome = Outcome { seconds: job.run(profile), job };
        outcome.print();
        outcome
    });
    let mut failures: Vec<String> =
        outcomes.iter().filter(|outcome| outcome.seconds.is_err()).map(|outcome| outcome.job.name()).collect();
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

/// The longest first, so that the others run beside them where several may.
fn queue(leaks: &[&'static Leak], times: usize) -> Vec<Job> {
    leaks
        .iter()
        .flat_map(|&leak| {
            let times = if leak.once { times.min(1) } else { times };
            let leaking = (1..=times).map(move |number| Job { leak, form: Form::Leaking, number });
            leaking.chain([Job { leak, form: Form::Fixed, number: 1 }])
        })
        .collect()
}

/// Prints the median of a leak; gives its name when that is past the goal.
fn against_goal(leak: &Leak, outcomes: &[Outcome]) -> Option<String> {
    let of_leak =
        outcomes.iter().filter(|outcome| outcome.job.leak.name == leak.name && outcome.job.form == Form::Leaking);
    // A run without a verdict took for ever.
    let mut seconds: Vec<f64> =
        of_leak.map(|outcome| outcome.seconds.as_ref().map_or(f64::INFINITY, |seconds| *seconds)).collect();
    let (runs, middle) = (seconds.len(), median(&mut seconds));
    println!("{:<12} median of {runs}: {middle:.1} s, goal {:.0} s", leak.name, leak.within_s);
    (middle > leak.within_s).then(|| format!("the median of {} is {middle:.1} s", leak.name))
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
        match self.form {
            Form::Leaking => format!("{} {}", self.leak.name, self.number),
            Form::Fixed => format!("{} fixed", self.leak.name),
        }
    }

    fn run(&self, profile: Profile) -> Result<f64> {
        let folder = scratch(&format!("verdict-{}", self.name()));
        let form = match self.form {
            Form::Leaking => "form=--leaking",
            Form::Fixed => "form=--fixed",
        };
        let exit = Command::new(profile.program("tidewatch"))
            .arg("check")
            .arg(root().join("fixtures/drip"))
            .args(["--scenario", self.leak.scenario, "--var", self.leak.var, "--var", form])
            .args(profile.vars())
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
