//! The heap of a run's targets by call stack: samplers brought in and taken out, looks at what they hold, and names at the end.
//!
//! A look reads files that the samplers write; the target is neither stopped nor read, unless a sampler that was put into it has to
//! learn of libraries loaded since. It happens on a thread of its own, so that no tick comes late for it. Where a process cannot be
//! sampled, that is told once, and watching goes on without.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::look::Look;
use super::pace::{Pace, Use};
use super::recorder::Recorder;
use super::subject::Subject;
use crate::probe::heap::{Arrival, HeapCensus, HeapError, Looked, preload_before};
use crate::run_dir::{PrivateDir, RunDir};
use crate::sample::{CallStacks, Event, HeapLook, MemorySource, Moment, Process, Record, Symbols};
use crate::target::LaunchSpec;

/// How long a launched program may take to begin its table: the loader does it before the program's first line.
const ARRIVES_WITHIN: Duration = Duration::from_secs(1);
/// Time between two looks for it.
const ARRIVAL_EVERY: Duration = Duration::from_millis(5);

/// What a run knows of the heaps of its targets, from the first to the last.
pub struct Heap {
    recorder: Arc<Recorder>,
    inner: Mutex<Inner>,
}

struct Inner {
    census: HeapCensus,
    pace: Pace,
    /// What the latest look cost.
    cost: Duration,
}

impl Heap {
    /// Nothing is sampled yet. Snapshots may take this share of one CPU.
    pub fn new(recorder: Arc<Recorder>, share: f64) -> Self {
        let pace = Pace::new(share, MemorySource::default());
        let inner = Inner { census: HeapCensus::default(), pace, cost: Duration::ZERO };
        Self { recorder, inner: Mutex::new(inner) }
    }

    /// What looks have cost.
    pub fn spent(&self) -> Duration {
        self.lock().pace.spent()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A census that broke down in the middle has at worst forgotten to count something.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, look: Look, living: &[Process], operations: u64) {
        let mut inner = self.lock();
        let Inner { census, pace, cost } = &mut *inner;
        if !look.is_forced() && !pace.allows(*cost, Use::Heap) {
            return;
        }
        let at = self.recorder.now();
        let ((), spent) = pace.spend(Use::Heap, || self.record(census.look(living), at, operations));
        *cost = spent;
    }

    fn record(&self, looked: Looked, at: Moment, operations: u64) {
        let Looked { stacks, look, events } = looked;
        events.into_iter().for_each(|event| self.recorder.event(event));
        if let Some(stacks) = stacks {
            self.recorder.take(Record::Stacks(Box::new(CallStacks { at, ..stacks })));
        }
        if let Some(look) = look {
            self.recorder.take(Record::Heap(Box::new(HeapLook { at, operations, ..look })));
        }
    }
}

impl Heap {
    /// Names the functions of the call stacks that looks have told so far, from the files that their code is of.
    pub async fn tell_names(heap: &Arc<Self>) {
        let heap = Arc::clone(heap);
        let naming = move || {
            let names = heap.lock().census.names();
            if let Some(names) = names {
                heap.recorder.take(Record::Symbols(Box::new(Symbols { at: heap.recorder.now(), ..names })));
            }
        };
        // A panic inside would be ours; then the stacks have addresses alone.
        let _ = tokio::task::spawn_blocking(naming).await;
    }
}

/// How the sampler comes into a target.
enum Way {
    /// With its environment; the tables are here.
    Launched(Room),
    /// Into its roots, which run already.
    Running { interval_bytes: u64 },
    /// Not at all, and why.
    Not(String),
}

/// The heap of one target.
pub struct TargetHeap {
    heap: Arc<Heap>,
    way: Way,
    /// A launched process whose table may not have begun yet.
    awaited: Mutex<Option<Process>>,
}

impl TargetHeap {
    /// A target that is to be launched: what it needs goes into `spec`.
    pub fn launching(heap: &Arc<Heap>, run_dir: &RunDir, interval_bytes: u64, spec: &mut LaunchSpec) -> Self {
        let prepared = Room::new(run_dir).and_then(|room| {
            room.preload_into(spec, interval_bytes)?;
            Ok(room)
        });
        Self::new(heap, prepared.map_or_else(|error| Way::Not(error.to_string()), Way::Launched))
    }

    fn new(heap: &Arc<Heap>, way: Way) -> Self {
        let folder = match &way {
            Way::Launched(room) => Some(room.tables().to_owned()),
            Way::Running { .. } | Way::Not(_) => None,
        };
        heap.lock().census.begin_target(folder);
        Self { heap: Arc::clone(heap), way, awaited: Mutex::new(None) }
    }

    /// A target that runs already.
    pub fn running(heap: &Arc<Heap>, interval_bytes: u64) -> Self {
        Self::new(heap, Way::Running { interval_bytes })
    }

    /// The target runs, and its begin is in the recording. What was not done when the user interrupts is left undone.
    pub async fn begin(&self, subject: &Subject, interrupted: &watch::Receiver<bool>) {
        for process in subject.roots().roots {
            // A safe moment of each may take its time to come.
            if *interrupted.borrow() {
                return;
            }
            match &self.way {
                Way::Launched(_) => *self.awaited() = Some(process),
                Way::Running { interval_bytes } => {
                    let interval_bytes = *interval_bytes;
                    self.tell(move |census| census.inject(process, interval_bytes).into_iter().collect()).await;
                }
                Way::Not(reason) => self.heap.recorder.event(Event::NoHeap { process, reason: reason.clone() }),
            }
        }
    }

    /// Does something with the census that takes its time, and records what came of it.
    async fn tell(&self, work: impl FnOnce(&mut HeapCensus) -> Vec<Event> + Send + 'static) {
        let heap = Arc::clone(&self.heap);
        let doing = move || {
            let events = work(&mut heap.lock().census);
            events.into_iter().for_each(|event| heap.recorder.event(event));
        };
        // A panic inside would be ours; then there is nothing to be told.
        let _ = tokio::task::spawn_blocking(doing).await;
    }

    /// Looks at what these processes, the living ones of the target, hold.
    pub async fn look(&self, look: Look, living: Vec<Process>, operations: u64) {
        self.arrive().await;
        if living.is_empty() || matches!(self.way, Way::Not(_)) {
            return;
        }
        let heap = Arc::clone(&self.heap);
        // A panic inside would be ours; then this look is missing.
        let _ = tokio::task::spawn_blocking(move || heap.look(look, &living, operations)).await;
    }

    /// The target is over, or let go: samplers that were put into it are taken out, and its tables are not needed any more.
    pub async fn release(self) {
        self.tell(HeapCensus::detach).await;
    }

    /// Waits until a process that was just launched has begun its table, so that the first look has something to see.
    async fn arrive(&self) {
        let Some(process) = self.awaited().take() else { return };
        let deadline = Instant::now() + ARRIVES_WITHIN;
        loop {
            let arrival = self.heap.lock().census.arrival(process);
            match arrival {
                Arrival::Here | Arrival::Gone => return,
                Arrival::NotYet if Instant::now() < deadline => tokio::time::sleep(ARRIVAL_EVERY).await,
                Arrival::NotYet => {
                    let told = self.heap.lock().census.give_up(process);
                    told.into_iter().for_each(|event| self.heap.recorder.event(event));
                    return;
                }
            }
        }
    }

    fn awaited(&self) -> MutexGuard<'_, Option<Process>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the sampler and its tables are. Both go when this is dropped.
struct Room {
    library: PrivateDir,
    /// In the run directory, where its whole path can be trusted; else the tables are beside the library.
    tables: Option<PrivateDir>,
}

impl Room {
    fn new(run_dir: &RunDir) -> Result<Self, HeapError> {
        let library = PrivateDir::for_lending(run_dir).map_err(|reasons| HeapError::NoPlace { reasons })?;
        // A table takes 4 MB of the disk that it lies on: that of the run directory has more room than one for temporary files.
        Ok(Self { library, tables: PrivateDir::in_run_dir(run_dir, "heap-").ok() })
    }

    fn tables(&self) -> &Path {
        self.tables.as_ref().unwrap_or(&self.library).path()
    }

    /// Puts what the loader must know into the environment of a target. What it is to preload besides stays so.
    fn preload_into(&self, spec: &mut LaunchSpec, interval_bytes: u64) -> Result<(), HeapError> {
        let own = spec.env.iter().rfind(|(name, _)| name == PRELOAD).map(|(_, value)| value.into());
        let others = own.or_else(|| std::env::var_os(PRELOAD));
        for (name, value) in preload_before(others, self.library.directory(), self.tables(), interval_bytes)? {
            let utf8 = |text: std::ffi::OsString| text.into_string();
            let (Ok(name), Ok(value)) = (utf8(name), utf8(value)) else {
                return Err(HeapError::Folder { folder: self.tables().to_owned() });
            };
            spec.env.retain(|(other, _)| *other != name);
            spec.env.push((name, value));
        }
        Ok(())
    }
}

const PRELOAD: &str = "LD_PRELOAD";
