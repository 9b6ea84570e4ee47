//! Signals to tidewatch while it injects the heap sampler: the program under injection checks itself and must go on.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::context::{Context, Random, quiet};
use super::processes::{Running, held_threads, is_injecting, stray_files, stray_mappings, wait_for};
use super::{Attack, Outcome};

const SOON: Duration = Duration::from_secs(20);
/// An injection takes a few milliseconds; signals come during it, and shortly after it as well.
const WINDOWS: [Duration; 3] = [Duration::from_millis(1), Duration::from_millis(3), Duration::from_millis(12)];

/// What is sent to tidewatch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    Kill,
    HangUp,
    /// SIGTSTP or SIGSTOP, then SIGCONT, then SIGKILL.
    Stop,
}

/// Signals of one kind against one target at a time.
pub struct Inject {
    how: How,
    target: Option<(Running, PathBuf)>,
    targets: usize,
    struck: u64,
    /// Signals that came while something was being put into the target.
    met: u64,
}

impl Inject {
    pub fn new(how: How) -> Self {
        Self { how, target: None, targets: 0, struck: 0, met: 0 }
    }

    fn pid(&mut self, context: &Context) -> Result<u32> {
        if self.target.is_none() {
            self.targets += 1;
            let said = context.path(&format!("running-{}-{}", self.how as u8, self.targets));
            let mut command = quiet(&context.path("running"));
            let target = Running::start(command.arg("churn").stdout(Stdio::from(fs::File::create(&said)?)))?;
            wait_for("the target to start", SOON, || {
                fs::read_to_string(&said).ok().filter(|text| text.contains("site"))
            })?;
            self.target = Some((target, said));
        }
        self.target.as_ref().map(|(target, _)| target.pid()).context("the target was just started")
    }

    /// The target lives, nothing holds its threads, and it found no fault in its own memory.
    fn target_goes_on(&mut self) -> Result<()> {
        let Some((target, said)) = &mut self.target else { return Ok(()) };
        if let Some(status) = target.ended()? {
            self.target = None;
            anyhow::bail!("the target ended ({status})");
        }
        let pid = target.pid();
        wait_for("stopped threads of the target to go on", Duration::from_secs(5), || {
            (held_threads(pid) == 0).then_some(())
        })?;
        let text = fs::read_to_string(said)?;
        ensure!(text.lines().count() == 1, "the target found a fault in itself: {text}");
        Ok(())
    }

    fn strike(&self, watch: &Running, target: u32, random: &mut Random) -> Result<()> {
        match self.how {
            How::Kill => watch.signal(Signal::KILL),
            How::HangUp => watch.signal(Signal::HUP),
            How::Stop => {
                watch.signal(random.one(&[Signal::TSTP, Signal::STOP]))?;
                std::thread::sleep(random.time(Duration::from_millis(60)));
                if random.below(2) == 0 {
                    watch.signal(Signal::KILL)?;
                } else {
                    watch.signal(Signal::CONT)?;
                    // It goes on with what it did.
                    std::thread::sleep(random.time(Duration::from_millis(60)));
                    watch.signal(Signal::TERM)?;
                }
                ensure!(fs::exists(format!("/proc/{target}"))?, "the target ended");
                Ok(())
            }
        }
    }

    /// An undisturbed attach takes out what earlier ones left.
    fn attach_cleans_up(&mut self, context: &Context) -> Result<()> {
        let pid = self.pid(context)?;
        let folder = context.scratch()?;
        let mut command = context.tidewatch();
        command.args(["attach", &pid.to_string(), "--heap", "--for", "300ms", "--inconclusive", "pass", "--out"]);
        let status = Running::start(command.arg(folder.path().join("run")))?.wait(SOON)?;
        ensure!(matches!(status.code(), Some(0 | 1)), "the next attach ended with {status}");
        let recording = fs::read_to_string(folder.path().join("run/recording.jsonl"))?;
        ensure!(recording.contains("heap-begins"), "the next attach could not sample the heap");
        let strays = (stray_files(pid), stray_mappings(pid));
        ensure!(strays == (0, 0), "{} files and {} mappings are left after the next attach", strays.0, strays.1);
        Ok(())
    }

    /// Nothing where no target runs.
    fn send_target(&self, signal: Signal) -> Result<()> {
        self.target.as_ref().map_or(Ok(()), |(target, _)| target.signal(signal))
    }

    fn strike_once(&mut self, context: &Context, random: &mut Random) -> Result<Outcome> {
        let pid = self.pid(context)?;
        let folder = context.scratch()?;
        let run = folder.path().join("run");
        let mut command = context.tidewatch();
        // The kernel drops SIGTSTP where nobody in the session could continue the group.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.args(["attach", &pid.to_string(), "--heap", "--interval", "50ms", "--out"]).arg(&run);
        let left_before = stray_files(pid);
        let mut watch = Running::start(&mut command)?;
        wait_for("the recording", SOON, || fs::exists(run.join("recording.jsonl")).ok()?.then_some(()))?;
        let first = Instant::now() + Duration::from_millis(500);
        while !is_injecting(pid, left_before) && Instant::now() < first {
            std::hint::spin_loop();
        }
        let window = random.one(&WINDOWS);
        std::thread::sleep(random.time(window));
        let is_met = is_injecting(pid, left_before);
        self.strike(&watch, pid, random)?;
        let is_in = fs::read_to_string(run.join("recording.jsonl"))?.contains("heap-begins");
        self.struck += 1;
        self.met += u64::from(is_met && !is_in);
        watch.wait(SOON).context("tidewatch does not end")?;
        // The next attach comes at once as often as not: a thread may still be on its way that the last one sent.
        if random.below(2) == 0 {
            let cleaned = self.attach_cleans_up(context);
            // That the target ended says more than that an attach to it failed.
            self.target_goes_on()?;
            return cleaned.map(|()| Outcome::Held);
        }
        self.target_goes_on()?;
        Ok(Outcome::Held)
    }
}

impl Attack for Inject {
    /// The target rests between its cases: it would keep the processors busy that the other attacks need.
    fn case(&mut self, _number: u64, context: &Context, random: &mut Random) -> Result<Outcome> {
        self.send_target(Signal::CONT)?;
        let outcome = self.strike_once(context, random);
        self.send_target(Signal::STOP)?;
        outcome
    }

    fn remark(&self) -> Option<String> {
        (self.struck > 0).then(|| format!("{} of {} signals came during the injection", self.met, self.struck))
    }

    fn finish(&mut self, context: &Context) -> Result<()> {
        self.send_target(Signal::CONT)?;
        self.attach_cleans_up(context)?;
        self.target_goes_on()?;
        let Some((mut target, said)) = self.target.take() else { return Ok(()) };
        target.signal(Signal::TERM)?;
        target.wait(SOON)?;
        let text = fs::read_to_string(said)?;
        ensure!(text.trim_end().ends_with("ok"), "the target found a fault in itself: {text}");
        Ok(())
    }
}
