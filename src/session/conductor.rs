//! The session's side of the engine: borders recorded, closer looks taken, the judge asked.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{Mutex, watch};

use super::gauges::Gauges;
use super::heap::TargetHeap;
use super::look::{Look, Peak, Told};
use super::recorder::Recorder;
use super::sampler::Sampler;
use super::subject::Subject;
use super::time_bound::TimeBound;
use super::{Progress, effort, until_broken, until_interrupted};
use crate::growth::{Activity, Axis, Budget, Collector, Curve, Estimate, Growth, Question, is_look, judge};
use crate::sample::{Border, Effort, MemorySource, Metric, Phase, ScenarioPlan, Shape};
use crate::scenario::engine::{Counters, Go, Stage};

/// Conducts one scenario.
pub struct Conductor<'a> {
    pub recorder: &'a Recorder,
    pub sampler: &'a Sampler,
    pub subject: &'a Subject,
    /// Its heap, where that is sampled.
    pub heap: Option<&'a TargetHeap>,
    pub counters: Arc<Counters>,
    pub gauges: &'a Mutex<Gauges>,
    pub plan: &'a ScenarioPlan,
    /// Operations before which it goes on, however clear the answer is.
    pub min_operations: Option<u64>,
    /// The cycle up to which it may go on where the judge expects that this decides.
    pub further_cycles: u32,
    /// How sure it has to be before it ends.
    pub effort: Effort,
    /// Its share of the time that the run may take.
    pub time: TimeBound,
    pub source: MemorySource,
    pub gated: Vec<Metric>,
    pub time_driven: &'a BTreeMap<Metric, Estimate>,
    pub progress: &'a watch::Sender<Progress>,
    pub interrupted: watch::Receiver<bool>,
}

impl Conductor<'_> {
    /// Takes a closer look, gauges first, the heap last.
    pub async fn look(&self, look: Look, peak: Peak) {
        let told = {
            let mut gauges = self.gauges.lock().await;
            let told = Told { gauges: gauges.read(self.recorder).await, own: gauges.own() };
            self.counters.own_connections.for_gauges(gauges.connections());
            told
        };
        let living = self.sampler.look(look, peak, told).await;
        if let Some(heap) = self.heap {
            heap.look(look, living, self.operations()).await;
        }
    }

    /// The verdict of every gated metric that was seen.
    pub fn verdicts(&self, budget: Budget) -> Vec<Growth> {
        let records = self.recorder.recent();
        let collector = Collector::of(self.plan, &records);
        let axis = if self.plan.shape == Shape::Idle { Axis::Seconds } else { Axis::Operations };
        self.gated
            .iter()
            .filter_map(|metric| {
                let curve = Curve::of(metric, axis, self.source, &records);
                let question = Question {
                    time_driven: self.time_driven.get(metric).copied().filter(|_| axis == Axis::Operations),
                    budget,
                    collector,
                    ..Question::of(self.plan, &curve, self.reach(&curve))
                };
                (!curve.points.is_empty()).then(|| judge(&curve, &question))
            })
            .collect()
    }

    /// Where the axis of a curve will be when all cycles that are planned are done, at the pace so far.
    fn reach(&self, curve: &Curve) -> f64 {
        let done = curve.points.last().map_or(1, |last| last.cycle.max(1));
        curve.reach() * (f64::from(self.plan.load.max_cycles) / f64::from(done)).max(1.0)
    }

    /// Whether cycles beyond those that were planned would decide what is open, by the judge's own estimate.
    fn further(&self, cycle: u32) -> Go {
        match effort::further(&self.verdicts(Budget::Open), cycle, self.further_cycles) {
            Some(until) => {
                self.progress.send_modify(|progress| progress.max_cycles = until);
                Go::On
            }
            None => Go::Spent,
        }
    }

    /// Operations completed so far.
    pub fn operations(&self) -> u64 {
        self.counters.operations.load(Ordering::Relaxed)
    }

    fn peak(&self) -> Peak {
        match self.subject {
            Subject::Launched(_) => Peak::Reset,
            Subject::Attached(_) => Peak::Keep,
        }
    }
}

impl Stage for Conductor<'_> {
    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    async fn border(&self, border: Border) {
        if let Border::PhaseBegins { phase, cycle } = border {
            if (phase, cycle) == (Phase::Load, 1) || phase == Phase::Warmup {
                self.look(Look::Border, self.peak()).await;
            }
            match phase {
                Phase::Warmup => {}
                Phase::Load => self.time.cycle_begins(),
                Phase::Settle => self.time.settling_begins(),
            }
            self.progress.send_modify(|progress| {
                progress.phase = Some(phase);
                progress.cycle = cycle;
            });
        }
        self.recorder.mark(self.operations(), border);
    }

    async fn cycle_done(&self, cycle: u32) -> Go {
        self.look(Look::Border, self.peak()).await;
        let enough = self.min_operations.is_none_or(|least| self.operations() >= least);
        let decided = || self.verdicts(Budget::Open).iter().all(|growth| effort::suffices(self.effort, growth, cycle));
        let planned = self.plan.load.max_cycles;
        let stopped = || Activity::of(&self.recorder.recent()).is_mostly_stopped();
        if enough && is_look(cycle) && decided() && !stopped() {
            Go::Decided
        } else if self.time.ends_before_another_cycle() {
            Go::OutOfTime
        } else if cycle < planned || cycle > planned && !is_look(cycle) {
            Go::On
        } else {
            self.further(cycle)
        }
    }

    async fn closing(&self) {
        self.look(Look::Full, Peak::Keep).await;
        self.recorder.mark(self.operations(), Border::Closing);
    }

    async fn target_ended(&self) {
        self.subject.ended().await;
    }

    fn time_over(&self) -> impl Future<Output = ()> + Send {
        self.time.over()
    }

    fn interrupted(&self) -> impl Future<Output = ()> + Send {
        let (interrupted, broken) = (self.interrupted.clone(), self.recorder.broken());
        async move {
            tokio::select! {
                () = until_interrupted(interrupted) => {}
                _ = until_broken(broken) => {}
            }
        }
    }
}
