//! A thread of the target, borrowed for a moment.
//!
//! Threads that wait are tried first; a thread at an unsafe place goes on at once. All of it happens on a thread of ours that does
//! nothing else: when it ends, the kernel lets go of whatever it still traced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::hold::Hold;
use super::place::{Obstacle, Places};
use super::target::{Mapping, Target};
use super::trace::{Missed, Stopped};
use crate::probe::heap::refusal::Refusal;

/// How long a thread may take to stop.
const TO_STOP: Duration = Duration::from_millis(100);
/// Between the first two rounds of tries. It grows with each round.
const FIRST_PAUSE: Duration = Duration::from_micros(300);
/// The longest time between two rounds while a thread computes: such a one is elsewhere each time. A stop takes some 20 us of it.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// The longest time between two rounds where all threads wait.
const LONGEST_REST: Duration = Duration::from_millis(200);
/// The most threads that one round stops, while rounds follow each other fast, and later.
const AT_ONCE: (usize, usize) = (4, 1);
/// A thread that waits at an unsafe place is stopped again after this, if it still waits there.
const UNCHANGED: Duration = Duration::from_secs(1);
/// Which part of the time threads on stacks of unknown bounds are left out.
const OWN_STACKS_FIRST: u32 = 5;

/// What could not be done on a borrowed thread.
pub(super) enum Failure {
    /// This thread does not serve: another one may.
    Retry,
    /// No thread would.
    Refused(Refusal),
}

/// What was done, and what it took.
pub(super) struct Done<T> {
    pub(super) value: T,
    /// How long the thread was held.
    pub(super) pause: Duration,
    /// How many threads were stopped for it.
    pub(super) tried: u32,
}

/// Puts this thread of ours before others where that is allowed: while it waits for a processor, the borrowed one is held.
fn be_prompt() {
    const BEFORE_OTHERS: libc::c_int = -15;
    // SAFETY: changes the priority of the calling thread, and nothing else. What is not allowed is left as it is.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, BEFORE_OTHERS) };
}

enum Outcome<T> {
    Done(Done<T>),
    Refused(Refusal),
    Stuck(u32),
    Late,
}

/// Tries of one borrowing.
struct Tries<'a> {
    target: &'a Target,
    places: &'a Places,
    begin: Instant,
    within: Duration,
    /// Threads that did not stop in time.
    stuck: BTreeSet<u32>,
    /// Where threads waited that were no use, and since when.
    unsafe_at: BTreeMap<u32, (String, Instant)>,
    tried: u32,
    obstacles: BTreeMap<Obstacle, u32>,
}

/// Borrows a thread, within a time, and works on it. What is worked with besides the thread is the lowest address of its stack.
pub(super) fn borrow<T: Send>(
    target: &Target,
    places: &Places,
    within: Duration,
    mut work: impl FnMut(&mut Stopped, u64) -> Result<T, Failure> + Send,
) -> Result<Done<T>, Refusal> {
    let mut tries = Tries {
        target,
        places,
        begin: Instant::now(),
        within,
        stuck: BTreeSet::new(),
        unsafe_at: BTreeMap::new(),
        tried: 0,
        obstacles: BTreeMap::new(),
    };
    loop {
        let outcome = thread::scope(|scope| {
            let attempts = scope.spawn(|| {
                be_prompt();
                tries.attempts(&mut work)
            });
            attempts.join().unwrap_or_else(|_| Outcome::Refused(Refusal::Gone { pid: target.pid() }))
        });
        match outcome {
            Outcome::Done(done) => return Ok(done),
            Outcome::Refused(refusal) => return Err(refusal),
            Outcome::Stuck(thread) => {
                tries.stuck.insert(thread);
            }
            Outcome::Late => return Err(tries.refusal()),
        }
    }
}

impl Tries<'_> {
    fn refusal(&self) -> Refusal {
        let worst = self.obstacles.iter().max_by_key(|(_, count)| **count);
        let reason =
            worst.map_or_else(|| "no thread could be stopped".to_owned(), |(obstacle, _)| obstacle.to_string());
        Refusal::NoSafeThread { pid: self.target.pid(), seconds: self.within.as_secs(), tried: self.tried, reason }
    }

    fn is_late(&self) -> bool {
        self.begin.elapsed() >= self.within
    }

    fn attempts<T>(&mut self, work: &mut impl FnMut(&mut Stopped, u64) -> Result<T, Failure>) -> Outcome<T> {
        let gone = Refusal::Gone { pid: self.target.pid() };
        let mut pause = FIRST_PAUSE;
        for round in 0.. {
            let Ok(maps) = self.target.maps() else { return Outcome::Refused(gone) };
            if !self.target.runs() {
                return Outcome::Refused(gone);
            }
            let most = if pause < LONGEST_PAUSE { AT_ONCE.0 } else { AT_ONCE.1 };
            let candidates = self.candidates(round, most);
            let longest = if candidates.is_empty() { LONGEST_REST } else { LONGEST_PAUSE };
            for thread in candidates {
                if self.is_late() {
                    return Outcome::Late;
                }
                if let Some(outcome) = self.attempt(thread, &maps, work) {
                    return outcome;
                }
            }
            if self.is_late() {
                return Outcome::Late;
            }
            thread::sleep(pause);
            pause = (pause * 4 / 3).min(longest);
        }
        Outcome::Late
    }

    /// Tries one thread. Nothing if it is no use now.
    fn attempt<T>(
        &mut self,
        thread: u32,
        maps: &[Mapping],
        work: &mut impl FnMut(&mut Stopped, u64) -> Result<T, Failure>,
    ) -> Option<Outcome<T>> {
        let place = self.place_of(thread);
        self.tried += 1;
        let _hold = Hold::begin();
        let mut stopped = match Stopped::stop(thread, TO_STOP) {
            Ok(stopped) => stopped,
            Err(Missed::Stuck) => {
                *self.obstacles.entry(Obstacle::DoesNotStop).or_default() += 1;
                return Some(Outcome::Stuck(thread));
            }
            Err(Missed::Stopped) => return Some(Outcome::Refused(Refusal::Stopped { pid: self.target.pid() })),
            Err(Missed::Gone | Missed::Unreadable) => {
                let tracer = self.target.status(thread).and_then(|status| status.number("TracerPid")).unwrap_or(0);
                if tracer != 0 {
                    *self.obstacles.entry(Obstacle::Traced { by: tracer }).or_default() += 1;
                }
                return None;
            }
        };
        let obstacle = match self.floor(maps, &stopped) {
            Ok(floor) => match work(&mut stopped, floor) {
                Ok(value) => {
                    let done = Done { value, pause: stopped.release(), tried: self.tried };
                    return Some(Outcome::Done(done));
                }
                Err(Failure::Refused(refusal)) => return Some(Outcome::Refused(refusal)),
                Err(Failure::Retry) => Obstacle::Stack,
            },
            Err(obstacle) => obstacle,
        };
        drop(stopped);
        *self.obstacles.entry(obstacle).or_default() += 1;
        if let Some(place) = place {
            self.unsafe_at.insert(thread, (place, Instant::now()));
        }
        None
    }

    /// The lowest address of the thread's stack, if it may be borrowed where it is.
    fn floor(&self, maps: &[Mapping], stopped: &Stopped) -> Result<u64, Obstacle> {
        // A sequence that must be begun again would go on instead.
        let sequence = stopped.restartable_sequence().map_or(Ok(0), |address| self.target.word(address + 8));
        if sequence.is_ok_and(|sequence| sequence != 0) {
            return Err(Obstacle::Sequence);
        }
        let at = stopped.at();
        self.places.safe(self.target, maps, at)?;
        let stack = maps.iter().find(|mapping| mapping.holds(at.rsp) && &mapping.rights == b"rw-p");
        let stack = stack.ok_or(Obstacle::Stack)?;
        // The stack of a thread that the C library made ends with what it knows of the thread. Others may be small.
        let is_known = stack.path == "[stack]" || stack.holds(at.fs_base);
        if !is_known && self.begin.elapsed() < self.within / OWN_STACKS_FIRST {
            return Err(Obstacle::SmallStack);
        }
        Ok(stack.begin)
    }

    /// Threads to be tried: those that wait at a safe place; where there are none, and in every fourth round, any that do not still wait
    /// where they could not be borrowed.
    fn candidates(&self, round: usize, most: usize) -> Vec<u32> {
        let mut threads = self.target.threads();
        if threads.is_empty() {
            return threads;
        }
        let first = round % threads.len();
        threads.rotate_left(first);
        threads.retain(|thread| !self.is_unchanged(*thread));
        // Those that did not stop in time come again when there is nobody else.
        threads.sort_by_key(|thread| self.stuck.contains(thread));
        if round % 4 != 3 {
            let waits = |thread: &u32| self.waits(*thread);
            let waiting: Vec<u32> = threads.iter().copied().filter(waits).take(most).collect();
            if !waiting.is_empty() {
                return waiting;
            }
        }
        threads.truncate(most);
        threads
    }

    fn is_unchanged(&self, thread: u32) -> bool {
        self.unsafe_at
            .get(&thread)
            .is_some_and(|(place, since)| since.elapsed() < UNCHANGED && self.place_of(thread).as_ref() == Some(place))
    }

    /// The system call that a thread waits in, with its values and where it lies; nothing of one that computes.
    fn place_of(&self, thread: u32) -> Option<String> {
        let line = fs::read_to_string(format!("/proc/{}/task/{thread}/syscall", self.target.pid())).ok()?;
        line.starts_with(|digit: char| digit.is_ascii_digit()).then_some(line)
    }

    /// Whether a thread waits at a safe place, seen from outside.
    fn waits(&self, thread: u32) -> bool {
        let line = self.place_of(thread).unwrap_or_default();
        // The number of the call, six values, the stack pointer and the program counter.
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [call, a, b, c, d, _, _, _, pc] = words.as_slice() else { return false };
        let hex = |word: &&str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(0);
        call.parse().is_ok_and(|call| self.places.is_waiting(call, [a, b, c, d].map(hex), hex(pc)))
    }
}
