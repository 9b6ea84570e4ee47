//! The heap sampler goes into real programs and out again, over and over: they answer as before.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::context::{Context, Random};
use super::processes::{Running, held_threads, stray_files, wait_for};
use super::targets::{self, Target};
use super::{Attack, Outcome};

const LONGEST: Duration = Duration::from_secs(60);

/// Programs that run for all cycles, and the longest time without an answer of each.
#[derive(Default)]
pub struct Cycles {
    targets: Vec<(Target, Duration)>,
    turn: usize,
}

impl Attack for Cycles {
    fn case(&mut self, context: &Context, random: &mut Random) -> Result<Outcome> {
        if self.targets.is_empty() {
            self.targets = targets::start(context)?.into_iter().map(|target| (target, Duration::ZERO)).collect();
        }
        let number = self.turn % self.targets.len();
        self.turn += 1;
        let Some((target, worst)) = self.targets.get_mut(number) else { bail!("there is no target") };
        let name = target.name;
        let folder = context.scratch()?;
        let run = folder.path().join("run");
        let length = format!("{}ms", 200 + random.below(500));
        let mut command = context.tidewatch();
        command.args([
            "attach",
            &target.pid.to_string(),
            "--heap",
            "--for",
            &length,
            "--inconclusive",
            "pass",
            "--out",
        ]);
        target.longest_gap();
        let status = Running::start(command.arg(&run))?.wait(LONGEST)?;
        *worst = (*worst).max(target.longest_gap());
        ensure!(matches!(status.code(), Some(0 | 1)), "{name}: attach ended with {status}");
        target.answers_as_before().with_context(|| name.to_owned())?;
        wait_for("stopped threads to go on", Duration::from_secs(5), || (held_threads(target.pid) == 0).then_some(()))?;
        ensure!(stray_files(target.pid) == 0, "{name}: files of the injection are left");
        let recording = fs::read_to_string(run.join("recording.jsonl"))?;
        if recording.contains("\"heap-begins\"") {
            return Ok(Outcome::Held);
        }
        let reason = recording.lines().find(|line| line.contains("\"no-heap\"")).context("no heap and no reason")?;
        let event: serde_json::Value = serde_json::from_str(reason)?;
        let reason = event["reason"].as_str().unwrap_or_default();
        Ok(Outcome::Refused(format!("{name}: {}", reason.replace(&target.pid.to_string(), "PID"))))
    }

    fn gaps(&self) -> Vec<(String, Duration)> {
        // A target that is never asked has no gap.
        self.targets
            .iter()
            .filter(|(_, worst)| !worst.is_zero())
            .map(|(target, worst)| (target.name.to_owned(), *worst))
            .collect()
    }
}
