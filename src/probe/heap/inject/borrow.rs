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
        let may_be_small = self.begin.elapsed() >= self.within / OWN_STACKS_FIRST;
        floor_of_stack(maps, at.rsp, at.fs_base, may_be_small)
    }

    fn candidates(&self, round: usize, most: usize) -> Vec<u32> {
        let mut threads = self.target.threads();
        threads.retain(|thread| !self.is_unchanged(*thread));
        choose(threads, round, most, |thread| self.stuck.contains(&thread), |thread| self.waits(thread))
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
        let call = self.place_of(thread).as_deref().and_then(Call::parse);
        call.is_some_and(|call| self.places.is_waiting(call.number, call.values, call.pc))
    }
}

/// Threads to be tried of those that may be: those that wait at a safe place; where there are none, and in every fourth round, any. Those
/// that are stuck come when there is nobody else. Each round begins with another thread.
fn choose(
    mut threads: Vec<u32>,
    round: usize,
    most: usize,
    is_stuck: impl Fn(u32) -> bool,
    waits: impl Fn(u32) -> bool,
) -> Vec<u32> {
    if threads.is_empty() {
        return threads;
    }
    let first = round % threads.len();
    threads.rotate_left(first);
    threads.sort_by_key(|thread| is_stuck(*thread));
    if round % 4 != 3 {
        let waiting: Vec<u32> = threads.iter().copied().filter(|thread| waits(*thread)).take(most).collect();
        if !waiting.is_empty() {
            return waiting;
        }
    }
    threads.truncate(most);
    threads
}

/// The lowest address of the stack that holds a stack pointer. The stack of a thread that the C library made ends with what it knows of the
/// thread (`fs_base`). Others may be small.
fn floor_of_stack(maps: &[Mapping], sp: u64, fs_base: u64, may_be_small: bool) -> Result<u64, Obstacle> {
    let stack = maps.iter().find(|mapping| mapping.holds(sp) && &mapping.rights == b"rw-p");
    let stack = stack.ok_or(Obstacle::Stack)?;
    let is_known = stack.path == "[stack]" || stack.holds(fs_base);
    if is_known || may_be_small { Ok(stack.begin) } else { Err(Obstacle::SmallStack) }
}

/// The system call that a thread waits in, as `/proc/PID/task/TID/syscall` says.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    number: u64,
    /// The first four of its values.
    values: [u64; 4],
    pc: u64,
}

impl Call {
    /// The number of the call, six values, the stack pointer and the program counter.
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [number, a, b, c, d, _, _, _, pc] = words.as_slice() else { return None };
        let hex = |word: &&str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        let [Some(a), Some(b), Some(c), Some(d)] = [a, b, c, d].map(hex) else { return None };
        Some(Self { number: number.parse().ok()?, values: [a, b, c, d], pc: hex(pc)? })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[test]
    fn threads_that_wait_come_first_and_those_that_are_stuck_last() {
        let choose = |threads: &[u32], round, most, stuck: &[u32], waiting: &[u32]| {
            let is_in = |list: &[u32], thread: u32| list.contains(&thread);
            choose(threads.to_vec(), round, most, |thread| is_in(stuck, thread), |thread| is_in(waiting, thread))
        };
        let all = [1, 2, 3, 4, 5];
        for (round, most, stuck, waiting, expected) in [
            (0, 4, [].as_slice(), [2, 4].as_slice(), [2, 4].as_slice()),
            (0, 1, &[], &[2, 4], &[2]),
            (2, 1, &[], &[2, 4], &[4]),
            (4, 4, &[2], &[2, 4], &[4, 2]),
            // In every fourth round, and where nobody waits, it is anybody's turn.
            (3, 4, &[], &[2, 4], &[4, 5, 1, 2]),
            (7, 4, &[], &[2, 4], &[3, 4, 5, 1]),
            (6, 2, &[], &[], &[2, 3]),
            (0, 3, &[1, 2], &[], &[3, 4, 5]),
            (0, 5, &[1, 2], &[], &[3, 4, 5, 1, 2]),
        ] {
            assert_eq!(choose(&all, round, most, stuck, waiting), expected, "round {round}, {most} at most");
        }
        assert!(choose(&[], 7, 4, &[], &[]).is_empty());
    }

    fn mapping(begin: u64, end: u64, rights: [u8; 4], path: &str) -> Mapping {
        Mapping { begin, end, rights, offset: 0, inode: 0, path: path.to_owned() }
    }

    #[test]
    fn a_stack_is_one_of_the_c_library_or_comes_later() {
        let maps = [
            mapping(0x1000, 0x2000, *b"r--p", ""),
            mapping(0x3000, 0x4000, *b"rw-p", ""),
            mapping(0x5000, 0x6000, *b"rw-s", ""),
            mapping(0x7000, 0x8000, *b"rw-p", "[stack]"),
        ];
        for (sp, fs_base, may_be_small, expected) in [
            (0x3800, 0x3f00, false, Ok(0x3000)),
            (0x3800, 0x9000, false, Err(Obstacle::SmallStack)),
            (0x3800, 0x9000, true, Ok(0x3000)),
            (0x7800, 0x9000, false, Ok(0x7000)),
            (0x1800, 0x1f00, true, Err(Obstacle::Stack)),
            (0x5800, 0x5f00, true, Err(Obstacle::Stack)),
            (0x4000, 0x4000, true, Err(Obstacle::Stack)),
        ] {
            assert_eq!(floor_of_stack(&maps, sp, fs_base, may_be_small), expected, "{sp:x} {fs_base:x}");
        }
    }

    #[test]
    fn the_call_of_a_thread_is_read() {
        let line = "202 0x5581 0x109 0x0 0x7ffd 0x0 0xffff 0x7ffc10 0x7f0012ab\n";
        assert_eq!(Call::parse(line), Some(Call { number: 202, values: [0x5581, 0x109, 0, 0x7ffd], pc: 0x7f00_12ab }));
        for wrong in ["running\n", "", "-1 0x7ffc10 0x7f0012ab", "202 0x1 0x2 0x3 x 0x5 0x6 0x7 0x8"] {
            assert_eq!(Call::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn threads_of_this_process_are_seen_waiting() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (id_to, id_from) = std::sync::mpsc::channel();
        let (busy_to, busy) = std::sync::mpsc::channel();
        // Both threads end with what this one holds, also where it fails.
        let alive = std::sync::Arc::new(());
        let is_alive = std::sync::Arc::downgrade(&alive);
        let pid = std::process::id();
        thread::scope(|scope| {
            scope.spawn(move || {
                let own = rustix::thread::gettid().as_raw_nonzero().get() as u32;
                id_to.send(own).unwrap();
                let _ = std::io::Read::read(&mut reader, &mut [0]);
            });
            scope.spawn(|| {
                busy_to.send(rustix::thread::gettid().as_raw_nonzero().get() as u32).unwrap();
                while is_alive.strong_count() > 0 {
                    std::hint::spin_loop();
                }
            });
            let thread = id_from.recv().unwrap();
            let process = crate::sample::Process { pid, start: crate::probe::heap::inject::start_of(pid).unwrap() };
            let target = Target::open(process).unwrap();
            let places = Places::default();
            let tries = |unsafe_at| Tries {
                target: &target,
                places: &places,
                begin: Instant::now(),
                within: Duration::from_secs(1),
                stuck: BTreeSet::new(),
                unsafe_at,
                tried: 0,
                obstacles: BTreeMap::new(),
            };
            let until = Instant::now() + Duration::from_secs(30);
            while !tries(BTreeMap::new()).waits(thread) {
                assert!(Instant::now() < until, "the thread reads from a pipe");
                thread::yield_now();
            }
            assert!(!tries(BTreeMap::new()).waits(busy.recv().unwrap()), "it runs");
            let place = tries(BTreeMap::new()).place_of(thread).unwrap();
            let is_tried = |unsafe_at| tries(unsafe_at).candidates(3, usize::MAX).contains(&thread);
            let since = |age: Duration| Instant::now().checked_sub(age).unwrap();
            assert!(is_tried(BTreeMap::new()));
            assert!(!is_tried(BTreeMap::from([(thread, (place.clone(), Instant::now()))])), "it waits there still");
            assert!(is_tried(BTreeMap::from([(thread, (place, since(UNCHANGED)))])), "long enough ago");
            assert!(is_tried(BTreeMap::from([(thread, ("elsewhere".to_owned(), Instant::now()))])));
            drop((writer, alive));
        });
    }
}
