//! Watching without driving: `attach` and `run`.

use std::sync::Arc;
use std::time::Duration;

use super::heap::TargetHeap;
use super::look::{Look, Peak};
use super::pace::{Shares, affordable_each};
use super::request::{Watch, Watchee};
use super::sampler::{Sampler, Settings};
use super::subject::Subject;
use super::telling::Telling;
use super::{Session, SessionError, until_broken, until_interrupted};
use crate::probe::{ProbeError, Watcher};
use crate::sample::{Border, Event, MemorySource, Stop, Tally};
use crate::scenario::engine::Counters;
use crate::target::{Background, LaunchSpec};

/// Snapshots come this often at most, where the budget has room for them.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The end of a process that cannot be read any more is known this soon.
pub(super) const END_KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// A window of time in which one exact reading must fit.
const WINDOW: Duration = Duration::from_secs(1);

/// Everything that a closer look takes.
#[derive(Clone, Copy)]
struct Eyes<'a> {
    sampler: &'a Sampler,
    telling: &'a Telling,
    heap: Option<&'a TargetHeap>,
}

impl Eyes<'_> {
    async fn look(self, look: Look) {
        let living = self.sampler.look(look, Peak::Keep, self.telling.told()).await;
        if let Some(heap) = self.heap {
            heap.look(look, living, self.telling.operations()).await;
        }
    }
}

impl Session<'_> {
    /// Watches until the target ends, the time is up, or the user interrupts.
    pub(super) async fn watch(&mut self, watch: &Watch) -> Result<(), SessionError> {
        let interval_bytes = watch.heap_interval_bytes;
        let (subject, command, heap) = match &watch.what {
            Watchee::Running { roots, command } => {
                let heap = self.heap.as_ref().map(|all| TargetHeap::running(all, interval_bytes));
                (Subject::attach(roots)?, command.clone(), heap)
            }
            Watchee::Command(argv) => {
                let mut spec = LaunchSpec::new(argv.clone(), &self.request.run_dir);
                spec.background = Background::Follow;
                let run_dir = &self.request.run_dir;
                let heap = self.heap.as_ref();
                let heap = heap.map(|all| TargetHeap::launching(all, run_dir, interval_bytes, &mut spec));
                (Subject::launch(&spec)?, argv.clone(), heap)
            }
        };
        for process in subject.roots().roots {
            self.recorder.event(Event::TargetBegins {
                process,
                command: command.clone(),
                fresh: self.request.launches(),
            });
        }
        if let Some(heap) = &heap {
            heap.begin(&subject, &self.interrupted).await;
        }
        let counters = Arc::new(Counters::default());
        let mut telling = match Telling::begin(&watch.exports, &subject, &self.recorder, &counters).await {
            Ok(telling) => telling,
            Err(error) => {
                self.release(subject, heap).await;
                return Err(error);
            }
        };
        let scenario = self.request.plan().scenarios.first().map(|plan| plan.name.clone()).unwrap_or_default();
        let mut watcher = match subject.watcher().await {
            Ok(watcher) => watcher,
            Err(error) => return self.over_before_a_look(&scenario, &subject, error).await,
        };
        let (source, exact_cost) = memory_source(&mut watcher, WINDOW, self.shares);
        self.recorder.mark(0, Border::ScenarioBegins { scenario: scenario.clone(), memory_source: source });
        let sampler = Sampler::start(
            watcher,
            Arc::clone(&self.recorder),
            counters,
            self.live.latest.clone(),
            Settings {
                interval: self.request.interval,
                budget: self.request.budget,
                share: self.shares.reading,
                source,
                exact_cost,
                background: subject.background(),
            },
        )?;
        telling.listen();
        let eyes = Eyes { sampler: &sampler, telling: &telling, heap: heap.as_ref() };
        let stop = self.watch_until(watch.length, &subject, eyes).await;
        telling.end(watch.plan.operations_from.as_ref()).await;
        if stop != Stop::TargetEnded {
            let eyes = Eyes { sampler: &sampler, telling: &telling, heap: heap.as_ref() };
            eyes.look(Look::FirstOrLast).await;
        }
        self.tell_names().await;
        self.recorder.mark(telling.operations(), Border::ScenarioEnds { scenario, stop, tally: Tally::default() });
        let overhead = sampler.stop();
        self.add_overhead(&overhead);
        self.release(subject, heap).await;
        Ok(())
    }

    /// A command may be over before it could be looked at: then its end is all there is to tell.
    async fn over_before_a_look(
        &self,
        scenario: &str,
        subject: &Subject,
        error: ProbeError,
    ) -> Result<(), SessionError> {
        let Ok(endings) = tokio::time::timeout(END_KNOWN_WITHIN, subject.ended()).await else {
            return Err(error.into());
        };
        let (scenario, memory_source) = (scenario.to_owned(), MemorySource::default());
        self.recorder.mark(0, Border::ScenarioBegins { scenario: scenario.clone(), memory_source });
        self.tell_ends(endings);
        self.recorder.mark(0, Border::ScenarioEnds { scenario, stop: Stop::TargetEnded, tally: Tally::default() });
        Ok(())
    }

    async fn watch_until(&self, length: Option<Duration>, subject: &Subject, eyes: Eyes<'_>) -> Stop {
        let time_is_up = async {
            match length {
                Some(length) => tokio::time::sleep(length).await,
                None => std::future::pending().await,
            }
        };
        let looking = async {
            let mut look = Look::FirstOrLast;
            loop {
                eyes.look(look).await;
                look = Look::Regular;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            biased;
            () = until_interrupted(self.interrupted.clone()) => Stop::Interrupted,
            reason = until_broken(self.recorder.broken()) => Stop::Failed { reason },
            endings = subject.ended() => {
                self.tell_ends(endings);
                Stop::TargetEnded
            }
            () = time_is_up => Stop::Spent,
            () = looking => Stop::Spent,
        }
    }
}

/// Exact figures where one reading fits into every cycle of this length, else the cheap ones; and what one costs.
pub(super) fn memory_source(watcher: &mut Watcher, cycle: Duration, shares: Shares) -> (MemorySource, Duration) {
    let cost = watcher.exact_cost();
    let is_affordable = affordable_each(cycle, cost, shares.reading);
    (if is_affordable { MemorySource::SmapsRollup } else { MemorySource::Statm }, cost)
}
