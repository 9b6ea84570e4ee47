//! What all workers of a scenario stand on.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::notes::Notes;
use super::work::{Operation, Task};
use super::{Counters, Surroundings};
use crate::sample::Stop;
use crate::scenario::Scenario;
use crate::scenario::drivers::{Net, Reach, Remains, Stdio, Trouble};
use crate::scenario::template::{Fixed, Values};
use crate::target::Commands;

/// Fewer operations than this say nothing about a share of errors while a phase still runs.
const ENOUGH_TRIED: u64 = 20;

/// Shared by the workers of one scenario.
#[derive(Debug)]
pub struct Ground {
    pub net: Net,
    pub operation: Operation,
    pub before_settle: Option<Task>,
    pub stdio: Option<tokio::sync::Mutex<Stdio>>,
    pub cwd: PathBuf,
    pub commands: Arc<Commands>,
    pub fixed: Fixed,
    pub seed: u64,
    pub distinct: Option<u64>,
    pub counters: Arc<Counters>,
    max_errors: f64,
    counted_before: u64,
    next: AtomicU64,
    uncounted: AtomicU64,
    unexpected: AtomicU64,
    halted: AtomicBool,
    halting: Notify,
    hopeless: Mutex<Option<String>>,
    notes: Mutex<Vec<Arc<Mutex<Notes>>>>,
    remains: Mutex<JoinSet<Infallible>>,
}

/// A lock whose holder never leaves things half done: a panic elsewhere does not make it useless.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ground {
    /// Makes everything ready, or says why the scenario cannot be driven.
    pub fn new(scenario: &Scenario, around: &Surroundings, counters: &Arc<Counters>) -> Result<Self, Trouble> {
        let seed = seed_for(around.seed, &scenario.plan.name);
        let captured = std::collections::BTreeMap::new();
        let values = Values { fixed: &around.fixed, key: 0, session: 0, seed, captured: &captured };
        let before_settle = scenario.before_settle.as_ref();
        Ok(Self {
            net: Net::new(&around.allow_remote, Arc::clone(counters)),
            operation: Operation::prepare(&scenario.work, &values)?,
            before_settle: before_settle
                .map(|step| Task::prepare(step, &values, &std::collections::BTreeSet::new()))
                .transpose()?,
            stdio: open_stdio(around)?,
            cwd: around.cwd.clone(),
            commands: Arc::clone(&around.commands),
            fixed: around.fixed.clone(),
            seed,
            distinct: scenario.distinct,
            counted_before: counters.operations.load(Relaxed),
            counters: Arc::clone(counters),
            max_errors: scenario.max_errors,
            next: AtomicU64::new(0),
            uncounted: AtomicU64::new(0),
            unexpected: AtomicU64::new(0),
            halted: AtomicBool::new(false),
            halting: Notify::new(),
            hopeless: Mutex::default(),
            notes: Mutex::default(),
            remains: Mutex::default(),
        })
    }

    /// The number of the next operation.
    pub fn next_operation(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    /// Operations of this scenario that counted.
    pub fn counted(&self) -> u64 {
        self.counters.operations.load(Relaxed) - self.counted_before
    }

    /// A place for a worker's notes.
    pub fn notebook(&self) -> Arc<Mutex<Notes>> {
        let notebook = Arc::default();
        lock(&self.notes).push(Arc::clone(&notebook));
        notebook
    }

    /// An operation that was refused for now.
    pub fn backpressure(&self, notes: &Mutex<Notes>, status: u16) {
        lock(notes).backpressure(status);
        self.uncounted.fetch_add(1, Relaxed);
    }

    /// An operation that went wrong. Halts the scenario when it is one too many.
    pub fn trouble(&self, notes: &Mutex<Notes>, operation: u64, trouble: Trouble) {
        if trouble.reach == Reach::Hopeless {
            lock(&self.hopeless).get_or_insert(trouble.detail);
            return self.halt();
        }
        lock(notes).trouble(operation, trouble);
        self.counters.unexpected.fetch_add(1, Relaxed);
        let unexpected = self.unexpected.fetch_add(1, Relaxed) + 1;
        let tried = self.counted() + self.uncounted.load(Relaxed) + unexpected;
        if tried >= ENOUGH_TRIED && unexpected as f64 > self.max_errors * tried as f64 {
            self.halt();
        }
    }

    fn halt(&self) {
        self.halted.store(true, Relaxed);
        self.halting.notify_waiters();
    }

    /// Whether nothing new is to begin.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Relaxed)
    }

    /// Resolves when nothing new is to begin.
    pub async fn halted(&self) {
        let halting = self.halting.notified();
        let mut halting = std::pin::pin!(halting);
        // Listening begins before looking: a halt in between is not missed.
        halting.as_mut().enable();
        if !self.is_halted() {
            halting.await;
        }
    }

    /// Keeps what is left of a session until [`Ground::release`].
    pub fn keep(&self, remains: Remains) {
        lock(&self.remains).spawn(remains.keep());
    }

    /// Lets go of every session that was kept.
    pub async fn release(&self) {
        let mut remains = std::mem::take(&mut *lock(&self.remains));
        remains.shutdown().await;
    }

    /// All notes so far, put together in one place.
    pub fn notes(&self) -> Notes {
        let mut all = Notes::default();
        for notes in lock(&self.notes).drain(..) {
            all.absorb(std::mem::take(&mut *lock(&notes)));
        }
        all
    }

    /// At the end of a phase: why the scenario may not go on, if so.
    pub fn verdict(&self, notes: &Notes) -> Option<Stop> {
        if let Some(reason) = lock(&self.hopeless).clone() {
            return Some(Stop::Failed { reason });
        }
        let (counted, unexpected) = (self.counted(), notes.unexpected_total());
        let tried = counted + notes.backpressure_total() + unexpected;
        if unexpected as f64 <= self.max_errors * tried as f64 {
            return None;
        }
        Some(match notes.nobody_there(counted) {
            Some(detail) => Stop::Failed {
                reason: format!(
                    "the target cannot be reached: {detail}; is it the address that the target listens on?"
                ),
            },
            None => Stop::Errors,
        })
    }
}

fn open_stdio(around: &Surroundings) -> Result<Option<tokio::sync::Mutex<Stdio>>, Trouble> {
    let open = |channel| Stdio::open(channel).map(tokio::sync::Mutex::new);
    around
        .stdio
        .as_ref()
        .map(open)
        .transpose()
        .map_err(|error| Trouble::hopeless(format!("the target's standard input and output: {error}")))
}

/// The run's seed mixed with the scenario's name (FNV-1a).
fn seed_for(seed: u64, name: &str) -> u64 {
    name.bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
