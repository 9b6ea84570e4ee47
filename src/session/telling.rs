//! What a target that is only watched tells of itself meanwhile: numbers it exports, and the count of its operations.
//!
//! Exported numbers are read once a second, and less often where an answer takes long: at most one hundredth of the time
//! goes into it. A log is looked at five times a second. Reading is never broken off in the middle, so that the
//! account of our own connections holds at every moment.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::SessionError;
use super::follower::{Follower, From};
use super::gauges::{Gauges, Patience};
use super::look::Told;
use super::operations::Counter;
use super::recorder::Recorder;
use super::request::{Counting, Exports};
use super::subject::Subject;
use crate::probe::OwnSockets;
use crate::sample::{Detail, Event, OperationsFrom, Record};
use crate::scenario::engine::Counters;
use crate::target::Stream;

/// Time between two readings of exported numbers, at least; and how often the time of one it must be.
const GAUGES_EVERY: Duration = Duration::from_secs(1);
const TIMES_THE_COST: u32 = 100;
/// Time between two looks at a log.
const LINES_EVERY: Duration = Duration::from_millis(200);

/// A target's word, listened to.
pub struct Telling {
    listener: Arc<Listener>,
    task: Option<JoinHandle<()>>,
}

struct Listener {
    recorder: Arc<Recorder>,
    counters: Arc<Counters>,
    gauges: Option<tokio::sync::Mutex<Gauges>>,
    counter: Option<(String, Mutex<Counter>)>,
    lines: Option<Arc<Mutex<Follower>>>,
    own: Mutex<OwnSockets>,
    over: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Telling {
    /// Makes everything ready. What runs already must answer now; what was just launched may take its time.
    pub async fn begin(
        exports: &Exports,
        subject: &Subject,
        recorder: &Arc<Recorder>,
        counters: &Arc<Counters>,
    ) -> Result<Self, SessionError> {
        let (patience, from) = match subject {
            Subject::Attached(_) => (Patience::None, From::End),
            Subject::Launched(_) => (Patience::UntilFirst, From::Beginning),
        };
        let lines = match (&exports.operations, subject) {
            // What another run left in a log is not of this one.
            (Some(Counting::Log { path, pattern }), _) if path.exists() => {
                Some(Follower::begin(path, pattern.clone(), From::End)?)
            }
            (Some(Counting::Log { path, pattern }), _) => Some(Follower::begin(path, pattern.clone(), from)?),
            (Some(Counting::Stdout { pattern }), Subject::Launched(launched)) => {
                Some(Follower::begin(&launched.logs().pinned(Stream::Stdout), pattern.clone(), From::Beginning)?)
            }
            (Some(Counting::Stdout { .. } | Counting::Gauge(_)) | None, _) => None,
        };
        let counter = match &exports.operations {
            Some(Counting::Gauge(name)) => Some((name.clone(), Mutex::default())),
            _ => None,
        };
        let gauges = exports.gauges.clone().map(|source| tokio::sync::Mutex::new(Gauges::of(source, patience)));
        let listener = Listener {
            recorder: Arc::clone(recorder),
            counters: Arc::clone(counters),
            gauges,
            counter,
            lines: lines.map(|lines| Arc::new(Mutex::new(lines))),
            own: Mutex::default(),
            over: Notify::new(),
        };
        if patience == Patience::None {
            listener.first().await?;
        }
        Ok(Self { listener: Arc::new(listener), task: None })
    }

    /// Listens from now on.
    pub fn listen(&mut self) {
        if self.listener.gauges.is_some() || self.listener.lines.is_some() {
            let listener = Arc::clone(&self.listener);
            self.task = Some(tokio::spawn(async move { listener.listen().await }));
        }
    }

    /// What goes with a closer look.
    pub fn told(&self) -> Told {
        Told { own: lock(&self.listener.own).clone(), ..Told::default() }
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.listener.counters.operations.load(Ordering::Relaxed)
    }

    /// Listens a last time and says what is to be said of it all.
    pub async fn end(&mut self, counted_by: Option<&OperationsFrom>) {
        self.listener.over.notify_one();
        if let Some(task) = self.task.take() {
            // A listener that broke down has nothing more to tell.
            let _ = task.await;
        }
        self.listener.last_words(counted_by).await;
    }
}

impl Listener {
    /// The first reading of a target that runs already: it is refused where something that was asked for is not there.
    async fn first(&self) -> Result<(), SessionError> {
        let Some(gauges) = &self.gauges else { return Ok(()) };
        let mut gauges = gauges.lock().await;
        let numbers = gauges.first().await?;
        self.account(&gauges);
        self.count(&numbers);
        Ok(())
    }

    async fn listen(&self) {
        let (mut gauges_due, mut lines_due) = (Instant::now(), Instant::now());
        loop {
            let due = match (&self.gauges, &self.lines) {
                (Some(_), Some(_)) => gauges_due.min(lines_due),
                (Some(_), None) => gauges_due,
                (None, _) => lines_due,
            };
            tokio::select! {
                () = self.over.notified() => return,
                () = sleep_until(due) => {}
            }
            let now = Instant::now();
            if self.lines.is_some() && now >= lines_due {
                self.read_lines().await;
                lines_due = now + LINES_EVERY;
            }
            if self.gauges.is_some() && now >= gauges_due {
                self.read_gauges().await;
                gauges_due = now + GAUGES_EVERY.max(now.elapsed() * TIMES_THE_COST);
            }
        }
    }

    async fn read_lines(&self) {
        let Some(lines) = self.lines.clone() else { return };
        // A panic inside would be ours; the count then stays where it was.
        if let Ok(operations) = tokio::task::spawn_blocking(move || lock(&lines).poll()).await {
            self.counters.operations.store(operations, Ordering::Relaxed);
        }
    }

    async fn read_gauges(&self) {
        let Some(gauges) = &self.gauges else { return };
        let mut gauges = gauges.lock().await;
        let numbers = gauges.read(&self.recorder).await;
        self.account(&gauges);
        self.count(&numbers);
        if !numbers.is_empty() {
            let operations = self.counters.operations.load(Ordering::Relaxed);
            let at = self.recorder.now();
            self.recorder.take(Record::Detail(Box::new(Detail {
                at,
                operations,
                gauges: numbers,
                ..Detail::default()
            })));
        }
    }

    /// Notes which connections of the target's are ours.
    fn account(&self, gauges: &Gauges) {
        self.counters.own_connections.for_gauges(gauges.connections());
        *lock(&self.own) = gauges.own();
    }

    fn count(&self, numbers: &std::collections::BTreeMap<String, f64>) {
        if let Some((name, counter)) = &self.counter
            && let Some(value) = numbers.get(name)
        {
            self.counters.operations.store(lock(counter).see(*value), Ordering::Relaxed);
        }
    }

    async fn last_words(&self, counted_by: Option<&OperationsFrom>) {
        self.read_lines().await;
        self.read_gauges().await;
        if let Some(gauges) = &self.gauges {
            gauges.lock().await.tell_never_seen(&self.recorder);
        }
        let note = |text: String| self.recorder.event(Event::Note { text });
        if let Some((name, counter)) = &self.counter {
            let falls = lock(counter).falls();
            if falls > 0 {
                note(format!(
                    "the count of operations, gauge {name}, went back {falls} time(s), as at a restart: a fall counts \
                     nothing, and counting goes on from there"
                ));
            }
        }
        if let Some(from) = counted_by
            && self.counters.operations.load(Ordering::Relaxed) == 0
        {
            note(format!(
                "no operation was counted by {from}: nothing can be said per operation; was there load, and is it the \
                 right counter or pattern?"
            ));
        }
    }
}
