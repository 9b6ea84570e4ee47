//! The heap sampler goes into real programs and out again, over and over: they answer as before.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::context::{Context, Random};
use super::processes::{Running, held_threads, stray_files, wait_for};
use super::targets::{self, Target};
use super::{Attack, Outcome};

const LONGEST: Duration = Duration::from_secs(60);

/// How long a target is asked without an attach, for comparison, and before every how many attaches.
const BASELINE: Duration = Duration::from_millis(400);
const BASELINE_EVERY: u64 = 8;

/// Programs that run for all cycles.
#[derive(Default)]
pub struct Cycles {
    targets: Vec<Cycled>,
}

/// A program, how often it was attached to, and its longest times without an answer, beside and during an attach.
struct Cycled {
    target: Target,
    attaches: u64,
    without: Duration,
    with: Duration,
    /// The longest time that tidewatch itself says it held a thread.
    pause: Duration,
}

impl Attack for Cycles {
    fn case(&mut self, number: u64, context: &Context, random: &mut Random) -> Result<Outcome> {
        if self.targets.is_empty() {
            let cycled = |target| Cycled {
                target,
                attaches: 0,
                without: Duration::ZERO,
                with: Duration::ZERO,
                pause: Duration::ZERO,
            };
            self.targets = targets::start(context)?.into_iter().map(cycled).collect();
        }
        let number = (number % self.targets.len().max(1) as u64) as usize;
        let Some(Cycled { target, attaches, without, with, pause }) = self.targets.get_mut(number) else {
            bail!("there is no target")
        };
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
        if *attaches % BASELINE_EVERY == 0 {
            std::thread::sleep(BASELINE);
            *without = (*without).max(target.longest_gap());
        }
        let status = Running::start(command.arg(&run))?.wait(LONGEST)?;
        *with = (*with).max(target.longest_gap());
        *attaches += 1;
        ensure!(matches!(status.code(), Some(0 | 1)), "{name}: attach ended with {status}");
        target.answers_as_before().with_context(|| name.to_owned())?;
        wait_for("stopped threads to go on", Duration::from_secs(5), || (held_threads(target.pid) == 0).then_some(()))?;
        ensure!(stray_files(target.pid) == 0, "{name}: files of the injection are left");
        let recording = fs::read_to_string(run.join("recording.jsonl"))?;
        if let Some(line) = recording.lines().find(|line| line.contains("\"heap-begins\"")) {
            let event: serde_json::Value = serde_json::from_str(line)?;
            let held = Duration::from_micros(event["pause_us"].as_u64().unwrap_or_default());
            *pause = (*pause).max(held);
            return Ok(Outcome::Held);
        }
        let reason = recording.lines().find(|line| line.contains("\"no-heap\"")).context("no heap and no reason")?;
        let event: serde_json::Value = serde_json::from_str(reason)?;
        let reason = event["reason"].as_str().unwrap_or_default();
        Ok(Outcome::Refused(format!("{name}: {}", reason.replace(&target.pid.to_string(), "PID"))))
    }

    fn remark(&self) -> Option<String> {
        let ms = |time: &Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let of = |cycled: &Cycled| {
            let gaps = if cycled.with.is_zero() {
                // Nobody asks it.
                String::new()
            } else {
                format!(", longest gap {} ({} beside)", ms(&cycled.with), ms(&cycled.without))
            };
            let pause = ms(&cycled.pause);
            format!("\n  {}: {} attaches, longest pause {pause}{gaps}", cycled.target.name, cycled.attaches)
        };
        (!self.targets.is_empty()).then(|| self.targets.iter().map(of).collect())
    }
}
