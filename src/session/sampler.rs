//! The thread that reads the target: the fast set at every tick, closer looks at borders and at a bounded pace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::pace::{Pace, Use};
use super::recorder::Recorder;
use super::subject::Background;
use crate::probe::{OwnSockets, Watcher};
use crate::recording::Overhead;
use crate::sample::{Detail, Event, MemorySource, Process, Record, Sample};
use crate::scenario::engine::Counters;

/// The tree is scanned at most this often between borders.
const SCAN_EVERY: Duration = Duration::from_secs(1);

/// How the sampler works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time between two ticks.
    pub interval: Duration,
    /// The part of one CPU that reading may take.
    pub budget: f64,
    /// Where exact memory figures come from.
    pub source: MemorySource,
    /// What tells that the target went into the background, where it can.
    pub background: Option<Background>,
}

/// How closely to look at a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Everything, whatever it costs: the first and the last look at a scenario.
    Full,
    /// Exact memory where that is the source; the rest where the pace allows it.
    Border,
    /// Nothing rests on this one: what the pace allows.
    Regular,
}

/// What goes with a look: what the target tells of itself, and by which connections of ours.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Numbers that it exports.
    pub gauges: BTreeMap<String, f64>,
    /// Our ends of the connections that these came by: what they hold open in the target is ours.
    pub own: OwnSockets,
}

/// What to do with the peak after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peak {
    /// Set it back: only for what tidewatch launched.
    Reset,
    /// Leave it.
    Keep,
}

enum Command {
    Look { look: Look, peak: Peak, told: Told, done: oneshot::Sender<Vec<Process>> },
    Stop,
}

/// A sampler at work. Dropping it stops it.
pub struct Sampler {
    commands: mpsc::Sender<Command>,
    thread: Option<JoinHandle<Overhead>>,
}

impl Sampler {
    /// Starts to read what `watcher` watches.
    pub fn start(
        watcher: Watcher,
        recorder: Arc<Recorder>,
        counters: Arc<Counters>,
        latest: watch::Sender<Sample>,
        settings: Settings,
    ) -> std::io::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        let reader = Reader {
            watcher,
            recorder,
            counters,
            latest,
            pace: Pace::new(settings.budget),
            said: settings.interval,
            is_strained: false,
            settings,
            overhead: Overhead::default(),
            exact_cost: Duration::ZERO,
            detail_cost: Duration::ZERO,
            scan_cost: Duration::ZERO,
            look_cost: Duration::ZERO,
            scanned: None,
        };
        let thread = std::thread::Builder::new().name("sampler".into()).spawn(move || reader.work(&inbox))?;
        Ok(Self { commands, thread: Some(thread) })
    }

    /// Takes a closer look now and returns when it is recorded: the living processes of the target as it has seen them.
    pub async fn look(&self, look: Look, peak: Peak, told: Told) -> Vec<Process> {
        let (done, seen) = oneshot::channel();
        // An error means that the sampler ended first: there is nothing more to wait for.
        match self.commands.send(Command::Look { look, peak, told, done }) {
            Ok(()) => seen.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Stops reading; what it cost.
    pub fn stop(mut self) -> Overhead {
        self.end()
    }

    fn end(&mut self) -> Overhead {
        // An error means that it ended already.
        let _ = self.commands.send(Command::Stop);
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.end();
    }
}

/// What this thread has used of a CPU. Wall time would count what others do on a busy machine.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn show_seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

struct Reader {
    watcher: Watcher,
    recorder: Arc<Recorder>,
    counters: Arc<Counters>,
    latest: watch::Sender<Sample>,
    settings: Settings,
    pace: Pace,
    /// The time between two ticks as it was last told.
    said: Duration,
    /// Whether ticks come further apart than was asked for.
    is_strained: bool,
    overhead: Overhead,
    exact_cost: Duration,
    detail_cost: Duration,
    scan_cost: Duration,
    /// What the last look cost that was not one at a border, the detail aside.
    look_cost: Duration,
    scanned: Option<Instant>,
}

impl Reader {
    fn work(mut self, inbox: &mpsc::Receiver<Command>) -> Overhead {
        let mut next = Instant::now();
        loop {
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Command::Look { look, peak, told, done }) => {
                    self.look(look, peak, told);
                    // The asker may have been interrupted meanwhile.
                    let _ = done.send(self.watcher.members().to_vec());
                }
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.tick();
                    let between = self.between_ticks();
                    next += between;
                    let now = Instant::now();
                    if next < now {
                        self.overhead.late += 1;
                        next = now + between;
                    }
                }
            }
        }
        self.overhead.expensive_us = self.pace.spent().as_micros() as u64;
        self.overhead
    }

    /// The time to the next tick. Told when it is longer than what was told before.
    fn between_ticks(&mut self) -> Duration {
        let between = self.pace.between_ticks(self.settings.interval);
        self.is_strained = between > self.settings.interval;
        if between > self.said * 3 / 2 {
            self.said = between;
            let text = format!(
                "samples are taken every {} and not every {}: the target has {} processes, and reading them may take {} % of a CPU, half of it at ticks (--budget)",
                show_seconds(between),
                show_seconds(self.settings.interval),
                self.watcher.members().len(),
                self.settings.budget * 100.0,
            );
            self.recorder.event(Event::Note { text });
        }
        between
    }

    fn tick(&mut self) {
        self.follow();
        let due =
            self.scanned.is_none_or(|when| when.elapsed() >= SCAN_EVERY) && self.pace.allows(self.scan_cost, Use::Tick);
        if due {
            self.scan();
        }
        self.watcher.spare_idle(self.is_strained);
        let mut sample = self.fast();
        if due {
            self.watcher.tree(&mut sample);
        }
        if self.settings.source == MemorySource::SmapsRollup && self.pace.allows(self.exact_cost, Use::Tick) {
            self.exact(&mut sample);
        }
        self.hand_on(sample);
    }

    /// Watches the processes in the background from now on, if the target has gone there.
    fn follow(&mut self) {
        let gone = self.settings.background.as_ref().and_then(|background| background.borrow().clone());
        let Some(processes) = gone else { return };
        self.settings.background = None;
        self.watcher.follow(&processes.iter().map(|(process, _)| *process).collect::<Vec<_>>());
        let named: Vec<String> =
            processes.iter().map(|(process, command)| format!("PID {} ({command})", process.pid)).collect();
        let text = format!("{} went into the background; followed", named.join(", "));
        self.recorder.event(Event::Note { text });
    }

    fn fast(&mut self) -> Sample {
        let (start, cpu) = (Instant::now(), cpu_time());
        let mut sample = Sample {
            at: self.recorder.now(),
            operations: self.counters.operations.load(Ordering::Relaxed),
            ..Sample::default()
        };
        self.watcher.sample(&mut sample);
        // Asked for afterwards: one that closed meanwhile may not have been counted. Else a cycle would have a floor that
        // no moment had.
        sample.own_connections = self.counters.own_connections.seen();
        self.overhead.fast_us += start.elapsed().as_micros() as u64;
        self.pace.ticked(cpu_time().saturating_sub(cpu));
        self.overhead.ticks += 1;
        sample
    }

    /// Looks who belongs to the tree, before anything is read of its members.
    fn scan(&mut self) {
        self.counters.own_connections.look_begins();
        let (events, cost) = self.pace.spend(Use::Tick, || self.watcher.scan());
        self.scan_cost = cost;
        self.scanned = Some(Instant::now());
        for event in events {
            self.recorder.event(event);
        }
    }

    fn exact(&mut self, sample: &mut Sample) {
        let ((), cost) = self.pace.spend(Use::Tick, || {
            self.watcher.exact(sample);
            self.watcher.high_water(sample);
        });
        self.exact_cost = cost;
    }

    fn look(&mut self, look: Look, peak: Peak, told: Told) {
        self.follow();
        let Told { gauges, own } = told;
        if look == Look::Regular && !self.pace.allows(self.look_cost, Use::Look) {
            self.tell_gauges(self.counters.operations.load(Ordering::Relaxed), gauges);
            return;
        }
        let spent = self.pace.spent();
        self.scan();
        let (runtimes, _) = self.pace.spend(Use::Look, || self.watcher.runtimes());
        for event in runtimes {
            self.recorder.event(event);
        }
        // Verdicts rest on what is seen at borders: everything is read there.
        self.watcher.spare_idle(false);
        let mut sample = self.fast();
        self.watcher.tree(&mut sample);
        let is_exact = match look {
            Look::Full => true,
            Look::Border => self.settings.source == MemorySource::SmapsRollup,
            Look::Regular => {
                self.settings.source == MemorySource::SmapsRollup && self.pace.allows(self.exact_cost, Use::Look)
            }
        };
        if is_exact {
            self.exact(&mut sample);
        } else {
            self.pace.spend(Use::Look, || self.watcher.high_water(&mut sample));
        }
        if look == Look::Regular {
            self.look_cost = self.pace.spent() - spent;
        }
        let operations = sample.operations;
        self.hand_on(sample);
        if look == Look::Full || self.pace.allows(self.detail_cost, Use::Look) {
            let (detail, cost) = self.pace.spend(Use::Look, || self.watcher.detail(&own));
            self.detail_cost = cost;
            let detail = Detail { at: self.recorder.now(), operations, gauges, ..detail };
            self.recorder.take(Record::Detail(Box::new(detail)));
        } else {
            self.tell_gauges(operations, gauges);
        }
        if peak == Peak::Reset && self.watcher.reset_peak().is_ok() {
            self.recorder.event(Event::PeakReset);
        }
    }

    /// Records what the target tells of itself where nothing else is read.
    fn tell_gauges(&self, operations: u64, gauges: BTreeMap<String, f64>) {
        if !gauges.is_empty() {
            let detail = Detail { at: self.recorder.now(), operations, gauges, ..Detail::default() };
            self.recorder.take(Record::Detail(Box::new(detail)));
        }
    }

    fn hand_on(&mut self, sample: Sample) {
        for event in self.watcher.missing() {
            self.recorder.event(event);
        }
        // Nobody may be looking.
        self.latest.send_replace(sample.clone());
        self.recorder.take(Record::Sample(sample));
    }
}
