//! A thread of the target, borrowed for a moment.
//!
//! Threads that wait are tried first; a thread at an unsafe place goes on at once. All of it happens on a thread of ours that does
//! nothing else: when it ends, the kernel lets go of whatever it still traced.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::place::Places;
use super::target::{Mapping, Target};
use super::trace::{Missed, Stopped};
use crate::probe::heap::refusal::Refusal;

/// How long a thread may take to stop.
const TO_STOP: Duration = Duration::from_millis(100);
/// Between two rounds of tries.
const PAUSE: Duration = Duration::from_micros(300);

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

/// Borrows a thread, within a time, and works on it.
pub(super) fn borrow<T: Send>(
    target: &Target,
    places: &Places,
    within: Duration,
    mut work: impl FnMut(&mut Stopped) -> Result<T, Failure> + Send,
) -> Result<Done<T>, Refusal> {
    let deadline = Instant::now() + within;
    let mut tried = 0;
    let mut stuck = BTreeSet::new();
    loop {
        let outcome = thread::scope(|scope| {
            let attempts = scope.spawn(|| {
                be_prompt();
                attempts(target, places, deadline, &stuck, &mut tried, &mut work)
            });
            attempts.join().unwrap_or_else(|_| Outcome::Refused(Refusal::Gone { pid: target.pid() }))
        });
        match outcome {
            Outcome::Done(done) => return Ok(done),
            Outcome::Refused(refusal) => return Err(refusal),
            Outcome::Stuck(thread) => {
                stuck.insert(thread);
            }
            Outcome::Late => {
                return Err(Refusal::NoSafeThread { pid: target.pid(), seconds: within.as_secs(), tried });
            }
        }
    }
}

fn attempts<T>(
    target: &Target,
    places: &Places,
    deadline: Instant,
    stuck: &BTreeSet<u32>,
    tried: &mut u32,
    work: &mut impl FnMut(&mut Stopped) -> Result<T, Failure>,
) -> Outcome<T> {
    for round in 0_u32.. {
        let gone = || Outcome::Refused(Refusal::Gone { pid: target.pid() });
        let Ok(maps) = target.maps() else { return gone() };
        if !target.runs() {
            return gone();
        }
        let mut threads = candidates(target, places, round);
        // Those that did not stop in time come again when there is nobody else.
        threads.sort_by_key(|thread| stuck.contains(thread));
        for thread in threads {
            if Instant::now() >= deadline {
                return Outcome::Late;
            }
            let stopped = Stopped::stop(thread, TO_STOP);
            *tried += 1;
            let mut stopped = match stopped {
                Ok(stopped) => stopped,
                Err(Missed::Stuck) => return Outcome::Stuck(thread),
                Err(Missed::Stopped) => return Outcome::Refused(Refusal::Stopped { pid: target.pid() }),
                Err(Missed::Gone | Missed::Unreadable) => continue,
            };
            if !is_safe(target, places, &maps, &stopped) {
                continue;
            }
            match work(&mut stopped) {
                Ok(value) => return Outcome::Done(Done { value, pause: stopped.release(), tried: *tried }),
                Err(Failure::Retry) => {}
                Err(Failure::Refused(refusal)) => return Outcome::Refused(refusal),
            }
        }
        if Instant::now() >= deadline {
            return Outcome::Late;
        }
        thread::sleep(PAUSE);
    }
    Outcome::Late
}

fn is_safe(target: &Target, places: &Places, maps: &[Mapping], stopped: &Stopped) -> bool {
    // A sequence that must be begun again would go on instead.
    let sequence = stopped.restartable_sequence().map_or(Ok(0), |address| target.word(address + 8));
    sequence.is_ok_and(|sequence| sequence == 0) && places.is_safe(target, maps, stopped.at())
}

/// Threads that wait at a safe place; all threads where there is none, and in every fourth round.
fn candidates(target: &Target, places: &Places, round: u32) -> Vec<u32> {
    /// Asking many threads takes longer than the wait of some lasts; a few are enough.
    const ENOUGH: usize = 4;
    let threads = target.threads();
    if round % 4 == 3 {
        return threads;
    }
    let waiting: Vec<u32> =
        threads.iter().copied().filter(|thread| waits(target, places, *thread)).take(ENOUGH).collect();
    if waiting.is_empty() { threads } else { waiting }
}

/// Whether a thread waits at a safe place, looked at from outside.
fn waits(target: &Target, places: &Places, thread: u32) -> bool {
    let line = fs::read_to_string(format!("/proc/{}/task/{thread}/syscall", target.pid())).unwrap_or_default();
    // The number of the call, six values, the stack pointer and the program counter.
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [call, a, b, c, d, _, _, _, pc] = words.as_slice() else { return false };
    let hex = |word: &&str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(0);
    call.parse().is_ok_and(|call| places.is_waiting(call, [a, b, c, d].map(hex), hex(pc)))
}
