//! The course of a scenario: warm-up, then load and settle until it is decided or spent.

use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::feed::{self, Schedule, Slots, Until};
use super::ground::Ground;
use super::notes::Notes;
use super::work::Operation;
use super::worker::Worker;
use super::{Go, Stage, Surroundings};
use crate::sample::{Border, Phase, Stop, Tally};
use crate::scenario::{Load, Pace, Scenario};

/// How far a load's length may be from what the file says, as a share of it.
const JITTER: f64 = 0.3;
/// When operations fail all at once, how long the target's end is waited for: it explains them.
const ENDING_SEEN_WITHIN: Duration = Duration::from_millis(500);

/// Runs one scenario and tells why it stopped and what its operations came to.
pub async fn run(scenario: &Scenario, surroundings: &Surroundings, stage: &impl Stage) -> (Stop, Tally) {
    let ground = match Ground::new(scenario, surroundings, stage.counters()) {
        Ok(ground) => Arc::new(ground),
        Err(trouble) => return (Stop::Failed { reason: trouble.detail }, Tally::default()),
    };
    let mut course = Course {
        scenario,
        stage,
        ground,
        jitter: ChaCha8Rng::seed_from_u64(surroundings.seed),
        workers: JoinSet::new(),
        long: None,
        slots: None,
        carry: 0.0,
        load_began: None,
        load_time: Duration::ZERO,
        missed: 0,
        notes: Notes::default(),
    };
    let mut stop = tokio::select! {
        biased;
        () = stage.interrupted() => Stop::Interrupted,
        () = stage.target_ended() => Stop::TargetEnded,
        () = stage.time_over() => Stop::OutOfTime,
        stop = course.cycles() => stop,
    };
    if matches!(stop, Stop::Errors | Stop::Failed { .. })
        && timeout(ENDING_SEEN_WITHIN, stage.target_ended()).await.is_ok()
    {
        stop = Stop::TargetEnded;
    }
    (stop, course.end().await)
}

/// A scenario on its way.
struct Course<'a, S> {
    scenario: &'a Scenario,
    stage: &'a S,
    ground: Arc<Ground>,
    jitter: ChaCha8Rng,
    workers: JoinSet<Worker>,
    /// The worker that has the one session of a long-session scenario.
    long: Option<Worker>,
    slots: Option<Arc<Slots>>,
    carry: f64,
    load_began: Option<Instant>,
    load_time: Duration,
    missed: u64,
    notes: Notes,
}

impl<S: Stage> Course<'_, S> {
    async fn cycles(&mut self) -> Stop {
        let scenario = self.scenario;
        if !scenario.warmup.is_zero() {
            self.begin(Phase::Warmup, 0).await;
            if let Some(stop) = self.load(Load::For(scenario.warmup)).await {
                return stop;
            }
        }
        for cycle in 1..=scenario.further_cycles.max(scenario.max_cycles) {
            self.begin(Phase::Load, cycle).await;
            let load = self.jittered(scenario.load);
            if let Some(stop) = self.load(load).await {
                return stop;
            }
            if let Some(stop) = self.before_settle().await {
                return stop;
            }
            self.begin(Phase::Settle, cycle).await;
            self.settle().await;
            let enough = cycle >= scenario.min_cycles
                && scenario.min_operations.is_none_or(|operations| self.ground.counted() >= operations);
            match self.stage.cycle_done(cycle).await {
                Go::Decided if enough => return self.over(Stop::Decided).await,
                Go::OutOfTime => return self.over(Stop::OutOfTime).await,
                Go::Spent if enough || cycle >= scenario.max_cycles => return self.over(Stop::Spent).await,
                Go::Decided | Go::Spent | Go::On => {}
            }
        }
        self.over(Stop::Spent).await
    }

    /// All cycles are done.
    async fn over(&mut self, stop: Stop) -> Stop {
        self.stage.closing().await;
        self.finish().await;
        stop
    }

    async fn begin(&self, phase: Phase, cycle: u32) {
        self.stage.border(Border::PhaseBegins { phase, cycle }).await;
    }

    fn jittered(&mut self, load: Load) -> Load {
        let factor = self.jitter.random_range(1.0 - JITTER..=1.0 + JITTER);
        match load {
            Load::For(duration) => Load::For(duration.mul_f64(factor)),
            Load::Operations(count) => Load::Operations(((count as f64 * factor).round() as u64).max(1)),
        }
    }

    /// A load phase: over when all that began in it has ended and nothing of ours is left in the target but
    /// a long session.
    async fn load(&mut self, load: Load) -> Option<Stop> {
        self.load_began = Some(Instant::now());
        match self.ground.operation {
            Operation::None => {
                if let Load::For(duration) = load {
                    sleep(duration).await;
                }
            }
            _ => self.feed(load).await,
        }
        while let Some(worker) = self.workers.join_next().await {
            match worker {
                Ok(worker) if self.is_long() => self.long = Some(worker),
                Ok(_) => {}
                Err(error) => {
                    return Some(Stop::Failed { reason: format!("an operation broke down inside tidewatch: {error}") });
                }
            }
        }
        self.load_ended();
        self.ground.release().await;
        self.verdict()
    }

    /// The step that the scenario asks for before each settle phase.
    async fn before_settle(&mut self) -> Option<Stop> {
        let step = self.ground.before_settle.as_ref()?;
        Worker::new(&self.ground).before_settle(step).await;
        self.verdict()
    }

    fn verdict(&mut self) -> Option<Stop> {
        self.notes.absorb(self.ground.notes());
        self.ground.verdict(&self.notes)
    }

    async fn feed(&mut self, load: Load) {
        match self.scenario.pace {
            Pace::Closed { workers } => {
                let until = Until::of(load);
                let count = if self.is_long() { 1 } else { workers.max(1) };
                for _ in 0..count {
                    let worker = self.long.take().unwrap_or_else(|| Worker::new(&self.ground));
                    self.workers.spawn(feed::closed(worker, until.clone()));
                }
            }
            Pace::Open { per_second, most_at_once } => {
                let slots = Slots::new(if self.is_long() { 1 } else { most_at_once });
                self.slots = Some(Arc::clone(&slots));
                let schedule = Schedule { per_second, carry: self.carry };
                let long = self.long.take();
                self.carry = feed::open(&self.ground, &mut self.workers, &slots, schedule, load, long).await;
            }
        }
    }

    fn is_long(&self) -> bool {
        matches!(self.ground.operation, Operation::Edit { .. })
    }

    fn load_ended(&mut self) {
        self.load_time += self.load_began.take().map_or(Duration::ZERO, |began| began.elapsed());
        self.missed += self.slots.take().map_or(0, |slots| slots.missed());
    }

    async fn settle(&mut self) {
        let quiet = sleep(self.scenario.settle);
        match &mut self.long {
            Some(worker) => tokio::select! {
                biased;
                () = quiet => {}
                never = worker.mind() => match never {},
            },
            None => quiet.await,
        }
    }

    async fn finish(&mut self) {
        if let Some(worker) = self.long.take() {
            worker.finish().await;
        }
        self.ground.release().await;
    }

    /// Drops whatever is still under way and adds up.
    async fn end(mut self) -> Tally {
        self.load_ended();
        self.workers.shutdown().await;
        self.ground.release().await;
        self.notes.absorb(self.ground.notes());
        let mut tally = Tally {
            counted: self.ground.counted(),
            load_seconds: self.load_time.as_secs_f64(),
            missed: self.missed,
            ..Tally::default()
        };
        self.notes.fill(&mut tally);
        tally
    }
}
