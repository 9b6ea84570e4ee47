//! When the next operation begins: on schedule (open loop), or when the last is done (closed loop).
//!
//! An open loop must not slow down with its target. Operations fall due by the clock alone; each falls to a
//! free worker, the one that was busy last, so that no more connections are made than are needed. One that
//! finds every slot busy is missed, and counted as missed; it is not done later in a burst.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::ground::{Ground, lock};
use super::worker::{Went, Worker};
use crate::scenario::Load;

/// How long a worker waits after an operation that reached nobody.
const NOBODY_PAUSE: Duration = Duration::from_millis(10);

/// Works until a closed loop's load is spent.
pub async fn closed(mut worker: Worker, until: Until) -> Worker {
    while !worker.ground().is_halted() && until.claim() {
        if worker.work().await == Went::Nowhere {
            sleep(NOBODY_PAUSE).await;
        }
    }
    worker.close_idle();
    worker
}

/// When a closed loop's load is spent.
#[derive(Clone, Debug)]
pub enum Until {
    /// At this moment.
    Moment(Instant),
    /// After so many operations.
    Operations(Arc<AtomicU64>),
}

impl Until {
    /// The end of a load that begins now.
    pub fn of(load: Load) -> Self {
        match load {
            Load::For(duration) => Self::Moment(Instant::now() + duration),
            Load::Operations(count) => Self::Operations(Arc::new(AtomicU64::new(count))),
        }
    }

    fn claim(&self) -> bool {
        match self {
            Self::Moment(end) => Instant::now() < *end,
            Self::Operations(left) => left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok(),
        }
    }
}

/// The slots of an open loop.
#[derive(Debug)]
pub struct Slots {
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Due and not yet begun.
    due: u64,
    begun: u64,
    busy: u64,
    missed: u64,
    workers: u64,
    /// Workers with nothing to do, the one that was busy last at the end.
    idle: Vec<Arc<Notify>>,
    over: bool,
}

enum Next {
    Work,
    Wait,
    End,
}

impl Slots {
    /// So many operations at once.
    pub fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { most: u64::from(most.max(1)), state: Mutex::default() })
    }

    /// Makes `count` operations due. What was due before and finds no free slot is missed. Tells how many
    /// workers more are wanted.
    fn make_due(&self, count: u64) -> u64 {
        let mut state = lock(&self.state);
        self.miss(&mut state);
        state.due += count;
        let awake = state.idle.len() - state.idle.len().min(usize::try_from(state.due).unwrap_or(usize::MAX));
        for worker in state.idle.drain(awake..).rev() {
            worker.notify_one();
        }
        // Each worker that exists takes at least one; more are made only for what is left over.
        let at_hand = state.workers - state.busy.min(state.workers) - state.idle.len() as u64;
        let more = state.due.saturating_sub(at_hand).min(self.most - state.workers);
        state.workers += more;
        more
    }

    fn miss(&self, state: &mut State) {
        let free = self.most.saturating_sub(state.busy);
        let missed = state.due.saturating_sub(free);
        state.due -= missed;
        state.missed += missed;
    }

    /// Operations that have begun or still will.
    fn taken(&self) -> u64 {
        let mut state = lock(&self.state);
        self.miss(&mut state);
        state.begun + state.due
    }

    /// Nothing falls due any more.
    fn end(&self) {
        let mut state = lock(&self.state);
        self.miss(&mut state);
        state.over = true;
        for worker in state.idle.drain(..) {
            worker.notify_one();
        }
    }

    /// How many were missed.
    pub fn missed(&self) -> u64 {
        lock(&self.state).missed
    }

    fn next(&self, was: Was, notify: &Arc<Notify>) -> Next {
        let mut state = lock(&self.state);
        if was == Was::Busy {
            state.busy -= 1;
        }
        if state.due > 0 {
            state.due -= 1;
            state.begun += 1;
            state.busy += 1;
            Next::Work
        } else if state.over {
            Next::End
        } else {
            state.idle.push(Arc::clone(notify));
            Next::Wait
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Was {
    Idle,
    Busy,
}

/// Works off what falls due until the load is over.
async fn slot(mut worker: Worker, slots: Arc<Slots>) -> Worker {
    let notify = Arc::new(Notify::new());
    let mut was = Was::Idle;
    loop {
        match slots.next(was, &notify) {
            Next::Work if worker.ground().is_halted() => was = Was::Busy,
            Next::Work => {
                worker.work().await;
                was = Was::Busy;
            }
            Next::Wait => {
                tokio::select! {
                    biased;
                    () = notify.notified() => {}
                    never = worker.mind() => match never {},
                }
                was = Was::Idle;
            }
            Next::End => break,
        }
    }
    worker.close_idle();
    worker
}

/// A schedule without drift: what is due depends on the time since the start and on nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Operations per second.
    pub per_second: f64,
    /// The part of an operation that earlier loads left over.
    pub carry: f64,
}

impl Schedule {
    fn due(&self, elapsed: Duration) -> u64 {
        // A hair more, so that the last operation of a whole second is not lost to rounding.
        (self.carry + elapsed.as_secs_f64() * self.per_second + 1e-6) as u64
    }

    fn moment_of(&self, operation: u64) -> Duration {
        let seconds = (operation as f64 - self.carry) / self.per_second;
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
    }
}

/// Runs an open loop's load: workers are made in `set` as they are wanted. Tells what part of an operation is
/// left over.
pub async fn open(
    ground: &Arc<Ground>,
    set: &mut JoinSet<Worker>,
    slots: &Arc<Slots>,
    schedule: Schedule,
    load: Load,
    mut kept: Option<Worker>,
) -> f64 {
    let start = Instant::now();
    let mut given = 0;
    let carry = loop {
        let elapsed = match load {
            Load::For(duration) => start.elapsed().min(duration),
            Load::Operations(_) => start.elapsed(),
        };
        let due = schedule.due(elapsed);
        let wanted = match load {
            Load::For(_) => due - given,
            Load::Operations(count) => (due - given).min(count.saturating_sub(slots.taken())),
        };
        given = due;
        for _ in 0..slots.make_due(wanted) {
            let worker = kept.take().unwrap_or_else(|| Worker::new(ground));
            set.spawn(slot(worker, Arc::clone(slots)));
        }
        match load {
            Load::For(duration) if elapsed >= duration => {
                break schedule.carry + duration.as_secs_f64() * schedule.per_second - due as f64;
            }
            Load::Operations(count) if slots.taken() >= count => break 0.0,
            _ => {}
        }
        let next = schedule.moment_of(due + 1);
        let next = if let Load::For(duration) = load { next.min(duration) } else { next };
        let wake = start.checked_add(next).unwrap_or(start + Duration::from_secs(86_400));
        tokio::select! {
            biased;
            () = ground.halted() => break 0.0,
            () = sleep_until(wake) => {}
        }
    };
    slots.end();
    if let Some(worker) = kept {
        set.spawn(async move { worker });
    }
    carry.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_neither_drifts_nor_loses() {
        for per_second in [0.3, 1.0, 7.0, 2000.0, 50_000.0] {
            let schedule = Schedule { per_second, carry: 0.0 };
            let total = schedule.due(Duration::from_secs(3600));
            assert!((total as f64 - per_second * 3600.0).abs() < 1.0, "{per_second}: {total}");
            for operation in [1, 2, 17, 1000] {
                let moment = schedule.moment_of(operation);
                assert!(schedule.due(moment) >= operation, "{per_second} {operation}");
            }
        }
    }

    #[test]
    fn what_finds_no_free_slot_is_missed() {
        let slots = Slots::new(2);
        let notify = Arc::new(Notify::new());
        assert_eq!(slots.make_due(5), 2, "both workers are wanted");
        assert!(matches!(slots.next(Was::Idle, &notify), Next::Work));
        assert!(matches!(slots.next(Was::Idle, &notify), Next::Work));
        assert_eq!(slots.make_due(1), 0);
        assert_eq!(slots.missed(), 3, "three of five found both slots busy");
        assert!(matches!(slots.next(Was::Busy, &notify), Next::Work), "the one that is due falls to a free slot");
        slots.end();
        assert!(matches!(slots.next(Was::Busy, &notify), Next::End));
    }

    #[test]
    fn the_worker_that_was_busy_last_is_woken_first() {
        let slots = Slots::new(8);
        assert_eq!(slots.make_due(2), 2);
        let (a, b) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        for notify in [&a, &b] {
            assert!(matches!(slots.next(Was::Idle, notify), Next::Work));
        }
        for notify in [&a, &b] {
            assert!(matches!(slots.next(Was::Busy, notify), Next::Wait));
        }
        assert_eq!(slots.make_due(1), 0, "an idle worker is there");
        assert_eq!(lock(&slots.state).idle.len(), 1);
        assert!(Arc::ptr_eq(&lock(&slots.state).idle[0], &a));
    }
}
