//! Where the live parts meet: target, probe, scenario engine and recorder, for one run.
//!
//! A session drives and watches and writes the recording. It judges nothing for good: it asks `growth` only
//! whether the answer is clear yet.

mod build;
mod conductor;
mod drive;
pub mod effort;
mod follower;
mod gauges;
mod heap;
mod look;
mod operations;
mod pace;
mod ready;
mod recorder;
mod request;
mod sampler;
mod subject;
mod telling;
mod time_bound;
mod watching;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::probe::ProbeError;
use crate::recording::{Footer, Overhead, RecordingError, SizeBound, Stretched, Writer};
use crate::sample::{Ending, Event, HeapSampling, Phase, Process, Sample};
use crate::target::TargetError;

pub use request::{Counting, Errand, Exports, Request, Watch};

use heap::{Heap, TargetHeap};
use pace::Shares;
use recorder::{Recent, Recorder};
use subject::Subject;

/// Why a session could not begin or go on. What was recorded until then is kept.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A probe.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The recording, found out by another thread.
    #[error("{0}")]
    RecordingBroke(String),
    /// The build command.
    #[error("{0}")]
    Build(String),
    /// The target did not become ready.
    #[error("{0}")]
    NotReady(String),
    /// A number that was asked for and is not exported.
    #[error("{0}")]
    NotExported(String),
    /// A log that is to be followed.
    #[error("cannot follow {}: {problem}", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What happened, and what to do.
        problem: String,
    },
    /// A template of the scenario file.
    #[error("{what}: {reason}")]
    Template {
        /// Which text.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The machine refused a thread or a pipe.
    #[error("the machine refused what is needed: {0}")]
    Machine(#[from] std::io::Error),
}

/// What a run is at, for whoever shows it.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The scenario, and which of how many.
    pub scenario: String,
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// The phase.
    pub phase: Option<Phase>,
    /// The cycle.
    pub cycle: u32,
    /// Most cycles.
    pub max_cycles: u32,
    /// What goes on besides phases: building, launching.
    pub doing: &'static str,
}

/// What somebody who shows a run can look at.
#[derive(Debug)]
pub struct Live {
    /// Where it is at.
    pub progress: watch::Sender<Progress>,
    /// The latest sample.
    pub latest: watch::Sender<Sample>,
}

impl Default for Live {
    fn default() -> Self {
        Self { progress: watch::Sender::new(Progress::default()), latest: watch::Sender::new(Sample::default()) }
    }
}

/// A session under way: what its parts share.
struct Session<'a> {
    request: &'a Request,
    recorder: Arc<Recorder>,
    /// The heaps of the run's targets, where they are sampled.
    heap: Option<Arc<Heap>>,
    /// How the budget is divided.
    shares: Shares,
    live: &'a Live,
    interrupted: watch::Receiver<bool>,
    overhead: Overhead,
    /// The processes whose end is in the recording.
    told: Mutex<BTreeSet<Process>>,
}

/// Carries out a request; the recording is in its directory when this returns, whatever it returns.
pub async fn run(request: Request, live: &Live, interrupted: watch::Receiver<bool>) -> Result<(), SessionError> {
    let began = Instant::now();
    let writer = Writer::create(&request.run_dir, &request.header(), SizeBound::default(), request.redactor())?;
    let recent = match &request.errand {
        Errand::Drive(_) => Recent::Kept(Vec::new()),
        Errand::Watch(_) => Recent::Dropped,
    };
    let recorder = Arc::new(Recorder::new(writer, recent));
    let samples_heap = request.plan().heap == HeapSampling::On;
    let shares = match &request.errand {
        Errand::Drive(_) => Shares::driven(request.budget),
        Errand::Watch(_) => Shares::watched(request.budget, samples_heap),
    };
    let heap = samples_heap.then(|| Arc::new(Heap::new(Arc::clone(&recorder), shares.heap)));
    let mut session = Session {
        request: &request,
        recorder,
        heap,
        shares,
        live,
        interrupted,
        overhead: Overhead::default(),
        told: Mutex::default(),
    };
    let result = match &request.errand {
        Errand::Drive(script) => session.drive(script).await,
        Errand::Watch(watch) => session.watch(watch).await,
    };
    let heap = session.heap.as_ref().map_or(Duration::ZERO, |heap| heap.spent());
    session.overhead.expensive_us += heap.as_micros() as u64;
    let overhead = Overhead {
        cpu_us: own_cpu_us(),
        wall_us: began.elapsed().as_micros() as u64,
        budget: Some(request.budget),
        ..session.overhead.clone()
    };
    let footer = Footer { at: session.recorder.now(), interrupted: *session.interrupted.borrow(), overhead };
    let broken = session.recorder.broken().borrow().clone();
    let finished = session.recorder.finish(&footer);
    result?;
    match broken {
        Some(reason) => Err(SessionError::RecordingBroke(reason)),
        None => Ok(finished?),
    }
}

impl Session<'_> {
    fn add_overhead(&mut self, of: &Overhead) {
        self.overhead.ticks += of.ticks;
        self.overhead.fast_us += of.fast_us;
        self.overhead.expensive_us += of.expensive_us;
        self.overhead.late += of.late;
        let longest = |one: &Stretched| one.longest_us;
        self.overhead.stretched = self.overhead.stretched.into_iter().chain(of.stretched).max_by_key(longest);
    }

    /// Ends what is ours, and records the ends that are not told yet.
    async fn release(&self, subject: Subject, heap: Option<TargetHeap>) {
        // What was put into a target that runs on is taken out whatever comes next; what was launched ends with its tables.
        match (&subject, heap) {
            (Subject::Attached(_), Some(heap)) => {
                heap.release().await;
                self.tell_ends(subject.release().await);
            }
            (_, heap) => {
                self.tell_ends(subject.release().await);
                drop(heap);
            }
        }
    }

    /// Records the ends of processes, each once.
    fn tell_ends(&self, ends: Vec<(Process, Ending)>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (process, ending) in ends {
            if told.insert(process) {
                self.recorder.event(Event::TargetEnds { process, ending });
            }
        }
    }

    /// Names the functions of the call stacks that looks have told so far.
    async fn tell_names(&self) {
        if let Some(heap) = &self.heap {
            Heap::tell_names(heap).await;
        }
    }

    fn is_interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }
}

/// Processor time of this process so far, load generation included, in microseconds.
fn own_cpu_us() -> u64 {
    #[cfg(unix)]
    {
        // SAFETY: an all-zero rusage is valid, and getrusage only writes into it.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
            usage
        };
        let us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
        us(usage.ru_utime) + us(usage.ru_stime)
    }
    #[cfg(not(unix))]
    0
}

/// Resolves when the run is interrupted; never, where nobody can interrupt it any more.
async fn until_interrupted(mut interrupted: watch::Receiver<bool>) {
    if interrupted.wait_for(|interrupted| *interrupted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Resolves when the recording cannot go on, with the reason.
async fn until_broken(mut broken: watch::Receiver<Option<String>>) -> String {
    let reason = broken.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
    match reason {
        Some(reason) => reason,
        None => std::future::pending().await,
    }
}
