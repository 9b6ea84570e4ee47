//! Driving a target through the scenarios of a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::build::build;
use super::conductor::Conductor;
use super::gauges::{Gauges, render_once};
use super::heap::TargetHeap;
use super::look::{Look, Peak};
use super::ready::{free_port, until_ready};
use super::sampler::{Sampler, Settings};
use super::subject::Subject;
use super::time_bound::{TimeBound, TimeLeft};
use super::watching::{END_KNOWN_WITHIN, memory_source};
use super::{Progress, Session, SessionError, until_interrupted};
use crate::growth::{Budget, Estimate, growth_in_time};
use crate::recording::Overhead;
use crate::sample::{Border, Ending, Event, MemorySource, Metric, Process, Shape, Stop, Tally};
use crate::scenario::drivers::StdioChannel;
use crate::scenario::engine::{self, Counters, Surroundings};
use crate::scenario::script::heap_interval_bytes;
use crate::scenario::template::{Fixed, Template};
use crate::scenario::{Opening, Origin, Port, Restart, Scenario, Script, Work};
use crate::target::{
    Background, Commands, GuardianProgram, LaunchSpec, Many, Selector, StdinMode, Stream, command_line, find,
};

/// How long a jittered load may be, in tenths of what the file says.
const LONGEST_LOAD_TENTHS: u32 = 13;

/// A target that is up, with what its start told.
struct Up {
    subject: Subject,
    /// Its heap, where that is sampled.
    heap: Option<TargetHeap>,
    fixed: Fixed,
    stdio: Option<StdioChannel>,
}

/// Whether the scenarios after this one still make sense.
enum Next {
    Goes,
    Over,
}

impl Session<'_> {
    /// Runs every scenario of a file, each on a fresh target where the file says so.
    pub(super) async fn drive(&mut self, script: &Script) -> Result<(), SessionError> {
        self.build(script).await?;
        let mut time_driven = BTreeMap::new();
        let mut up = None;
        let time = TimeLeft::begin(script.plan.max_time_s);
        for (index, scenario) in script.scenarios.iter().enumerate() {
            if self.is_interrupted() {
                break;
            }
            let progress = Progress {
                scenario: scenario.plan.name.clone(),
                number: index + 1,
                of: script.scenarios.len(),
                max_cycles: scenario.max_cycles,
                doing: "starting the target",
                ..Progress::default()
            };
            self.live.progress.send_replace(progress);
            self.recorder.begin_passage();
            let expected =
                scenario.cycle_length().checked_mul(LONGEST_LOAD_TENTHS).map_or(Duration::MAX, |tenths| tenths / 10);
            let bound = time.share(script.scenarios.len() - index).expecting(expected);
            if bound.is_over() {
                self.begin_and_end(scenario, Stop::OutOfTime, Vec::new());
                continue;
            }
            let target = match up.take() {
                Some(target) => target,
                None => match self.start(script, scenario, index).await {
                    Ok(target) => target,
                    // The first target that does not start is an error; a later one is told in the report.
                    Err(error) if index == 0 => return Err(error),
                    Err(error) => {
                        self.could_not_start(scenario, &error);
                        break;
                    }
                },
            };
            if self.is_interrupted() {
                self.let_go(target).await;
                break;
            }
            let next = match self.scenario(script, scenario, &target, bound, &mut time_driven).await {
                Ok(next) => next,
                Err(error) => {
                    self.could_not_look(scenario, &target, error, index).await?;
                    Next::Over
                }
            };
            let stays = script.target.restart == Restart::Never && index + 1 < script.scenarios.len();
            match next {
                Next::Goes if stays => up = Some(target),
                Next::Goes => self.let_go(target).await,
                Next::Over => {
                    self.let_go(target).await;
                    break;
                }
            }
        }
        // A target that was to stay for scenarios for which there was no time.
        if let Some(target) = up {
            self.let_go(target).await;
        }
        Ok(())
    }

    async fn let_go(&self, target: Up) {
        self.release(target.subject, target.heap).await;
    }

    async fn build(&self, script: &Script) -> Result<(), SessionError> {
        let Some(templates) = &script.target.build else { return Ok(()) };
        self.live.progress.send_modify(|progress| progress.doing = "building the target");
        let mut spec = self.command_spec(script, "[target] build", templates, &script.fixed)?;
        spec.log_suffix = "-build".into();
        build(&spec, until_interrupted(self.interrupted.clone())).await
    }

    async fn start(&self, script: &Script, scenario: &Scenario, index: usize) -> Result<Up, SessionError> {
        let mut fixed = script.fixed.clone();
        if script.target.port == Port::Free {
            fixed.captures.insert("port".into(), free_port()?.to_string());
        }
        let interval_bytes = heap_interval_bytes(script, scenario);
        let running = || self.heap.as_ref().map(|all| TargetHeap::running(all, interval_bytes));
        let (mut subject, command, heap) = match &script.target.origin {
            Origin::Launch(argv) => {
                let mut spec = self.launch_spec(script, scenario, argv, &fixed, index)?;
                let heap = self
                    .heap
                    .as_ref()
                    .map(|all| TargetHeap::launching(all, &self.request.run_dir, interval_bytes, &mut spec));
                (Subject::launch(&spec)?, spec.argv, heap)
            }
            Origin::AttachPid(pid) => attach(&Selector::Pid(*pid), running)?,
            Origin::AttachName(name) => attach(&Selector::Name(name.clone()), running)?,
        };
        let ready = tokio::select! {
            ready = until_ready(&script.target.ready, &subject, &fixed) => ready,
            () = until_interrupted(self.interrupted.clone()) => Ok(BTreeMap::new()),
        };
        match ready {
            Ok(captures) => fixed.captures.extend(captures),
            Err(error) => {
                subject.release().await;
                return Err(error);
            }
        }
        let stdio = match &mut subject {
            Subject::Launched(launched) if needs_stdin(script, scenario) => launched.take_stdin().map(|stdin| {
                StdioChannel { stdin: Arc::new(stdin.into()), stdout: launched.logs().pinned(Stream::Stdout) }
            }),
            _ => None,
        };
        for process in subject.roots().roots {
            let fresh = matches!(subject, Subject::Launched(_));
            self.recorder.event(Event::TargetBegins { process, command: command.clone(), fresh });
        }
        if let Some(heap) = &heap {
            heap.begin(&subject, &self.interrupted).await;
        }
        Ok(Up { subject, heap, fixed, stdio })
    }

    fn launch_spec(
        &self,
        script: &Script,
        scenario: &Scenario,
        argv: &[Template],
        fixed: &Fixed,
        index: usize,
    ) -> Result<LaunchSpec, SessionError> {
        let mut spec = self.command_spec(script, "[target] launch", argv, fixed)?;
        spec.log_suffix = if index == 0 { String::new() } else { format!("-{}", index + 1) };
        spec.background = Background::Follow;
        spec.stdin = if needs_stdin(script, scenario) { StdinMode::Piped } else { StdinMode::Null };
        Ok(spec)
    }

    /// A command of the file, with its folder and environment.
    fn command_spec(
        &self,
        script: &Script,
        what: &'static str,
        argv: &[Template],
        fixed: &Fixed,
    ) -> Result<LaunchSpec, SessionError> {
        let argv = argv.iter().map(|template| render_once(what, template, fixed)).collect::<Result<Vec<_>, _>>()?;
        let mut spec = LaunchSpec::new(argv, &self.request.run_dir);
        spec.cwd = Some(script.target.cwd.clone());
        for (name, template) in &script.target.env {
            spec.env.push((name.clone(), render_once("[target] env", template, fixed)?));
        }
        Ok(spec)
    }

    /// A target may be over before it could be looked at: then its end is told. What else goes wrong is an error
    /// while there is nothing to report, and else the end of the scenario.
    async fn could_not_look(
        &self,
        scenario: &Scenario,
        up: &Up,
        error: SessionError,
        index: usize,
    ) -> Result<(), SessionError> {
        match tokio::time::timeout(END_KNOWN_WITHIN, up.subject.ended()).await {
            Ok(endings) => {
                self.begin_and_end(scenario, Stop::TargetEnded, endings);
                Ok(())
            }
            Err(_) if index == 0 => Err(error),
            Err(_) => {
                self.could_not_start(scenario, &error);
                Ok(())
            }
        }
    }

    fn could_not_start(&self, scenario: &Scenario, error: &SessionError) {
        self.begin_and_end(scenario, Stop::Failed { reason: error.to_string() }, Vec::new());
    }

    /// A scenario that was over before it was driven.
    fn begin_and_end(&self, scenario: &Scenario, stop: Stop, endings: Vec<(Process, Ending)>) {
        let name = scenario.plan.name.clone();
        let memory_source = MemorySource::default();
        self.recorder.mark(0, Border::ScenarioBegins { scenario: name.clone(), memory_source });
        self.tell_ends(endings);
        self.recorder.mark(0, Border::ScenarioEnds { scenario: name, stop, tally: Tally::default() });
    }

    async fn scenario(
        &mut self,
        script: &Script,
        scenario: &Scenario,
        up: &Up,
        time: TimeBound,
        time_driven: &mut BTreeMap<Metric, Estimate>,
    ) -> Result<Next, SessionError> {
        let mut watcher = up.subject.watcher().await?;
        let (source, exact_cost) = memory_source(&mut watcher, scenario.cycle_length(), self.shares);
        let counters = Arc::new(Counters::default());
        let gauges = Mutex::new(Gauges::new(script.gauges.as_ref(), &up.fixed)?);
        let sampler = Sampler::start(
            watcher,
            Arc::clone(&self.recorder),
            Arc::clone(&counters),
            self.live.latest.clone(),
            Settings {
                interval: self.request.interval,
                budget: self.request.budget,
                share: self.shares.reading,
                source,
                exact_cost,
                background: up.subject.background(),
            },
        )?;
        let conductor = Conductor {
            recorder: &self.recorder,
            sampler: &sampler,
            subject: &up.subject,
            heap: up.heap.as_ref(),
            counters,
            gauges: &gauges,
            plan: &scenario.plan,
            min_operations: scenario.min_operations,
            further_cycles: scenario.further_cycles,
            effort: script.plan.effort,
            time,
            source,
            gated: self.request.gated(&scenario.plan.name),
            time_driven,
            progress: &self.live.progress,
            interrupted: self.interrupted.clone(),
        };
        conductor.look(Look::Full, Peak::Keep).await;
        let name = scenario.plan.name.clone();
        self.recorder.mark(0, Border::ScenarioBegins { scenario: name.clone(), memory_source: source });
        self.live.progress.send_modify(|progress| progress.doing = "");
        let surroundings = Surroundings {
            fixed: up.fixed.clone(),
            seed: script.plan.seed,
            allow_remote: script.allow_remote.clone(),
            stdio: up.stdio.clone(),
            cwd: script.target.cwd.clone(),
            commands: Arc::new(Commands::new(GuardianProgram::ThisProgram)),
        };
        let (mut stop, tally) = engine::run(scenario, &surroundings, &conductor).await;
        // An error means that a thread of ours broke down: the guardian then hears that its link is closed.
        let _ = tokio::task::spawn_blocking(move || surroundings.commands.end()).await;
        if let Some(reason) = self.recorder.broken().borrow().clone() {
            stop = Stop::Failed { reason };
        }
        match stop {
            Stop::TargetEnded => self.tell_ends(up.subject.ended().await),
            // The last look was taken before sessions were closed.
            Stop::Decided | Stop::Spent => {}
            Stop::Errors | Stop::Failed { .. } | Stop::Interrupted | Stop::OutOfTime => {
                conductor.look(Look::Full, Peak::Keep).await;
            }
        }
        self.tell_names().await;
        let operations = conductor.operations();
        self.recorder.mark(operations, Border::ScenarioEnds { scenario: name, stop: stop.clone(), tally });
        let in_time = match scenario.plan.shape {
            Shape::Idle => growth_in_time(&conductor.verdicts(Budget::Spent)),
            _ => BTreeMap::new(),
        };
        let overhead: Overhead = sampler.stop();
        time_driven.extend(in_time);
        self.add_overhead(&overhead);
        Ok(match stop {
            Stop::Decided | Stop::Spent | Stop::OutOfTime => Next::Goes,
            Stop::Errors | Stop::Failed { .. } if script.target.restart == Restart::PerScenario => self.unless_broken(),
            Stop::Errors | Stop::Failed { .. } | Stop::TargetEnded | Stop::Interrupted => Next::Over,
        })
    }

    fn unless_broken(&self) -> Next {
        if self.recorder.broken().borrow().is_some() || self.is_interrupted() { Next::Over } else { Next::Goes }
    }
}

fn attach(
    selector: &Selector,
    heap: impl FnOnce() -> Option<TargetHeap>,
) -> Result<(Subject, Vec<String>, Option<TargetHeap>), SessionError> {
    let roots = find(selector, Many::Refuse)?;
    let command = roots.first().and_then(|root| command_line(*root).ok()).unwrap_or_default();
    Ok((Subject::attach(&roots)?, command, heap()))
}

/// A target that stays for all scenarios must have its pipe from the start.
fn needs_stdin(script: &Script, scenario: &Scenario) -> bool {
    match script.target.restart {
        Restart::PerScenario => uses_stdio(scenario),
        Restart::Never => script.scenarios.iter().any(uses_stdio),
    }
}

fn uses_stdio(scenario: &Scenario) -> bool {
    match &scenario.work {
        Work::Flood { .. } | Work::Idle => false,
        Work::Abandon { open, .. } | Work::LongSession { open, .. } | Work::Churn { open, .. } => {
            matches!(open, Opening::Stdio)
        }
    }
}
