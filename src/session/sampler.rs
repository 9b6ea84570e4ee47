//! The thread that reads the target: the fast set at every tick, closer looks at borders and at a bounded pace.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::look::{Look, Peak, Told};
use super::pace::{Pace, Use, cpu_time};
use super::recorder::Recorder;
use super::subject::Background;
use crate::probe::{OwnSockets, Watcher};
use crate::recording::{Overhead, Stretched};
use crate::sample::{Detail, Event, MemorySource, Process, Record, Sample};
use crate::scenario::engine::Counters;

/// The tree is scanned at most this often between borders.
const SCAN_EVERY: Duration = Duration::from_secs(1);
/// The highest resident memory is read at most this often between borders.
const HIGH_WATER_EVERY: Duration = Duration::from_secs(2);
/// The longest that one step of a snapshot may hold up the ticks.
const STEP: Duration = Duration::from_millis(30);
/// The last step of a watch may take so long, to complete what was begun.
const LAST_STEP: Duration = Duration::from_millis(500);
/// Of so many processes at most, the first and the last snapshot of a watch read who holds what in one go.
const SMALL_TREE: usize = 16;

/// How the sampler works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time between two ticks.
    pub interval: Duration,
    /// The part of one CPU that watching may take: what `--budget` says.
    pub budget: f64,
    /// The part of it that is for reading the target here.
    pub share: f64,
    /// Where exact memory figures come from.
    pub source: MemorySource,
    /// What one exact reading costs.
    pub exact_cost: Duration,
    /// What tells that the target went into the background, where it can.
    pub background: Option<Background>,
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
            pace: Pace::new(settings.share, settings.source),
            said: settings.interval,
            is_strained: false,
            costs: Costs { exact: settings.exact_cost, ..Costs::default() },
            settings,
            overhead: Overhead::default(),
            scanned: None,
            high_water_read: None,
            details: Details::None,
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

fn is_due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|when| when.elapsed() >= every)
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
    costs: Costs,
    scanned: Option<Instant>,
    high_water_read: Option<Instant>,
    details: Details,
}

/// What the last reading of each kind cost.
#[derive(Debug, Default)]
struct Costs {
    exact: Duration,
    high_water: Duration,
    scan: Duration,
    runtimes: Duration,
    /// One step of a detail, which is the whole of it where the tree is small.
    step: Duration,
    /// A whole detail.
    detail: Duration,
}

/// How far the reading of who holds what has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Details {
    /// No process was read yet.
    None,
    /// Some processes are read of the first.
    First,
    /// Some processes are read of another.
    Another,
    /// One is complete, and another is not begun.
    Complete,
}

impl Reader {
    fn work(mut self, inbox: &mpsc::Receiver<Command>) -> Overhead {
        let mut next = Instant::now();
        loop {
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Command::Look { look, peak, told, done }) => {
                    let ((), cost) = self.metered(|reader| reader.look(look, peak, told));
                    self.pace.count(Use::Look, cost);
                    // The asker may have been interrupted meanwhile.
                    let _ = done.send(self.watcher.members().to_vec());
                }
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let ((), cost) = self.metered(Self::tick);
                    self.pace.ticked(cost);
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
        self.tell_incomplete();
        self.overhead.expensive_us = self.pace.spent().as_micros() as u64;
        self.overhead
    }

    /// The time to the next tick. Told when it is longer than what was told before.
    fn between_ticks(&mut self) -> Duration {
        let between = self.pace.between_ticks(self.settings.interval);
        self.is_strained = between > self.settings.interval;
        if self.is_strained {
            let longest = between.as_micros() as u64;
            let asked = self.settings.interval.as_micros() as u64;
            let stretched = self.overhead.stretched.get_or_insert(Stretched { asked_us: asked, longest_us: longest });
            stretched.longest_us = stretched.longest_us.max(longest);
        }
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

    /// Does something; the CPU time it took apart from what it counted itself. Writing records is part of it.
    fn metered<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> (T, Duration) {
        let (cpu, counted) = (cpu_time(), self.pace.spent());
        let result = work(self);
        let counted = self.pace.spent().saturating_sub(counted);
        (result, cpu_time().saturating_sub(cpu).saturating_sub(counted))
    }

    fn tick(&mut self) {
        self.follow();
        let due = is_due(self.scanned, SCAN_EVERY) && self.pace.allows(self.costs.scan, Use::Tick);
        if due {
            self.scan();
        }
        self.watcher.spare_idle(self.is_strained);
        let mut sample = self.fast();
        if due {
            self.watcher.tree(&mut sample);
        }
        match self.settings.source {
            MemorySource::SmapsRollup if self.pace.allows(self.costs.exact, Use::Tick) => self.exact(&mut sample),
            MemorySource::Statm
                if is_due(self.high_water_read, HIGH_WATER_EVERY)
                    && self.pace.allows(self.costs.high_water, Use::Tick) =>
            {
                self.high_water(&mut sample);
            }
            MemorySource::SmapsRollup | MemorySource::Statm => {}
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
        let start = Instant::now();
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
        self.overhead.ticks += 1;
        sample
    }

    /// Looks who belongs to the tree, before anything is read of its members.
    fn scan(&mut self) {
        self.counters.own_connections.look_begins();
        let (events, cost) = self.pace.spend(Use::Tick, || self.watcher.scan());
        self.costs.scan = cost;
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
        self.costs.exact = cost;
    }

    fn high_water(&mut self, sample: &mut Sample) {
        let ((), cost) = self.pace.spend(Use::Tick, || self.watcher.high_water(sample));
        self.costs.high_water = cost;
        self.high_water_read = Some(Instant::now());
    }

    fn look(&mut self, look: Look, peak: Peak, told: Told) {
        if look != Look::Regular {
            self.follow();
            self.scan();
        }
        if look != Look::Regular || self.pace.allows(self.costs.runtimes, Use::Look) {
            self.runtimes();
        }
        // Between two snapshots ticks read the numbers themselves.
        if look != Look::Regular {
            self.sample_all(look);
        }
        let Told { gauges, own } = told;
        let operations = self.counters.operations.load(Ordering::Relaxed);
        let detail = self.detail(look, &own);
        if detail.is_some() || !gauges.is_empty() {
            let detail = detail.unwrap_or_default();
            let detail = Detail { at: self.recorder.now(), operations, gauges, ..detail };
            self.recorder.take(Record::Detail(Box::new(detail)));
        }
        if peak == Peak::Reset && self.watcher.reset_peak().is_ok() {
            self.recorder.event(Event::PeakReset);
        }
    }

    fn runtimes(&mut self) {
        let (runtimes, cost) = self.pace.spend(Use::Look, || self.watcher.runtimes());
        self.costs.runtimes = cost;
        for event in runtimes {
            self.recorder.event(event);
        }
    }

    /// Verdicts rest on what is seen at borders: everything is read there.
    fn sample_all(&mut self, look: Look) {
        self.watcher.spare_idle(false);
        let mut sample = self.fast();
        self.watcher.tree(&mut sample);
        let is_exact = match look {
            Look::Full => true,
            Look::FirstOrLast if self.costs.exact <= STEP => true,
            Look::FirstOrLast | Look::Border | Look::Regular => self.settings.source == MemorySource::SmapsRollup,
        };
        if is_exact {
            self.exact(&mut sample);
        } else if look != Look::FirstOrLast || self.costs.high_water <= STEP {
            self.high_water(&mut sample);
        }
        self.hand_on(sample);
    }

    /// Who holds what, where it is read now and complete now.
    fn detail(&mut self, look: Look, own: &OwnSockets) -> Option<Detail> {
        let limit = match look {
            Look::Full => Duration::MAX,
            Look::Border if self.pace.allows(self.costs.detail, Use::Look) => Duration::MAX,
            // A short watch is to say who holds what, too.
            Look::FirstOrLast if self.watcher.members().len() <= SMALL_TREE => Duration::MAX,
            // It is the last one: no tick is held up any more.
            Look::FirstOrLast if matches!(self.details, Details::First | Details::Another) => LAST_STEP,
            // One that is begun now would not be complete at the end.
            Look::FirstOrLast if self.details == Details::Complete && self.costs.detail > STEP => return None,
            Look::FirstOrLast => STEP,
            Look::Regular if self.pace.allows(self.costs.step, Use::Look) => STEP,
            Look::Border | Look::Regular => return None,
        };
        let (detail, cost) = self.pace.spend(Use::Look, || match limit {
            Duration::MAX => Some(self.watcher.detail(own)),
            limit => self.watcher.detail_step(own, limit),
        });
        self.costs.step = cost;
        if let Some(detail) = &detail {
            self.costs.detail = cost.max(Duration::from_micros(detail.cost_us));
        }
        self.details = match (&detail, self.details) {
            (Some(_), _) => Details::Complete,
            (None, Details::None | Details::First) => Details::First,
            (None, Details::Another | Details::Complete) => Details::Another,
        };
        detail
    }

    /// Says so where the budget was too small to read who holds what even once.
    fn tell_incomplete(&self) {
        if self.details == Details::First {
            let text = format!(
                "who holds what was not read: the {} processes of the target would have cost more than the budget of {} % of a CPU in this time; watch for longer, or raise --budget",
                self.watcher.members().len(),
                self.settings.budget * 100.0,
            );
            self.recorder.event(Event::Note { text });
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
