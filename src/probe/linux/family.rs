//! A target with hundreds of processes of known size, one of which grows, and the watcher against it.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use super::live_child::Target;
use crate::probe::{OwnSockets, Watcher};
use crate::sample::{Event, Sample, TreeCounts};

const CHILDREN: usize = 300;
const EACH: usize = 768 << 10;
const STEP: usize = 16 << 20;
const PAGE: usize = 4096;

/// The children: each touches [`EACH`] bytes of its own when they are told. The first grows when it is told.
pub(super) struct Family {
    gate: OwnedFd,
    orders: OwnedFd,
    done: OwnedFd,
}

impl Family {
    pub(super) fn start() -> Self {
        let (opened, gate) = rustix::pipe::pipe().expect("a pipe");
        let (told, orders) = rustix::pipe::pipe().expect("a pipe");
        let (done, tells) = rustix::pipe::pipe().expect("a pipe");
        for index in 0..CHILDREN {
            // SAFETY: the child, which has this thread alone, makes system calls and touches memory that they gave it: it neither
            // allocates nor takes a lock.
            unsafe {
                match libc::fork() {
                    0 => live(index, opened.as_raw_fd(), told.as_raw_fd(), tells.as_raw_fd()),
                    child => assert!(child > 0, "cannot fork"),
                }
            }
        }
        let family = Self { gate, orders, done };
        (0..CHILDREN).for_each(|_| family.wait());
        family
    }

    /// Whoever takes a byte from the pipe waits for no other: each child takes one.
    pub(super) fn fill(&mut self) {
        rustix::io::write(&self.gate, &[b'f'; CHILDREN]).expect("the children listen");
        (0..CHILDREN).for_each(|_| self.wait());
    }

    pub(super) fn grow(&mut self) {
        rustix::io::write(&self.orders, b"g").expect("the first child listens");
        self.wait();
    }

    fn wait(&self) {
        assert_eq!(rustix::io::read(&self.done, &mut [0; 1]).expect("a child answers"), 1);
    }
}

/// The life of a child: it ends when its parent does.
///
/// # Safety
/// To be called in a process that was just forked.
unsafe fn live(index: usize, gate: i32, orders: i32, done: i32) -> ! {
    // SAFETY: pointers lead to arrays of the given length on the stack, or to a mapping of the length that is touched.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Pages of the parent's that it writes to are copied before it is measured.
        libc::write(done, [0u8].as_ptr().cast(), 1);
        libc::read(gate, [0u8].as_mut_ptr().cast(), 1);
        touch(EACH);
        libc::write(done, [0u8].as_ptr().cast(), 1);
        loop {
            if index == 0 && libc::read(orders, [0u8].as_mut_ptr().cast(), 1) == 1 {
                touch(STEP);
                libc::write(done, [0u8].as_ptr().cast(), 1);
            } else {
                libc::pause();
            }
        }
    }
}

/// Maps and touches so many bytes.
///
/// # Safety
/// None beyond that of the system call; the mapping stays.
unsafe fn touch(bytes: usize) {
    // SAFETY: a new private mapping overlaps nothing, and only it is written.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let memory = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if memory != libc::MAP_FAILED {
            (0..bytes).step_by(PAGE).for_each(|offset| memory.cast::<u8>().add(offset).write_volatile(1));
        }
    }
}

fn within_two_percent(value: u64, expected: u64) -> bool {
    value.abs_diff(expected) <= expected / 50
}

fn fast(watcher: &mut Watcher) -> Sample {
    let mut sample = Sample::default();
    watcher.sample(&mut sample);
    sample
}

fn private(watcher: &mut Watcher) -> u64 {
    let mut sample = Sample::default();
    watcher.exact(&mut sample);
    sample.memory.expect("rollups").private
}

#[test]
fn the_sum_of_a_large_tree_is_right_and_follows_the_one_that_grows() {
    let mut target = Target::start();
    let mut watcher = target.watch();
    target.tell("family");
    let before = private(&mut watcher);
    target.tell("fill");
    let whole = private(&mut watcher) - before;
    assert!(within_two_percent(whole, (CHILDREN * EACH) as u64), "{whole} of {}", CHILDREN * EACH);
    assert_eq!(watcher.members().len(), CHILDREN + 1);
    assert!(watcher.exact_cost() > Duration::ZERO);

    let first = fast(&mut watcher).anonymous.expect("statm");
    watcher.spare_idle(true);
    for step in 1..=4 {
        target.tell("grow");
        // In so many samples each process has its turn, however idle it seems.
        for _ in 0..8 {
            fast(&mut watcher);
        }
        let grown = fast(&mut watcher).anonymous.expect("statm") - first;
        assert!(within_two_percent(grown, step * STEP as u64), "{grown} after {step} steps");
    }
    let exact = private(&mut watcher) - before - whole;
    assert!(within_two_percent(exact, 4 * STEP as u64), "{exact}");
    assert_eq!(watcher.missing(), []);
}

#[test]
fn a_detail_in_steps_reads_one_process_at_a_time_and_says_for_how_long() {
    let mut target = Target::start();
    let mut watcher = target.watch();
    target.tell("family");
    target.tell("fill");
    target.tell("grow");
    watcher.scan();
    let own = OwnSockets::default();
    let at_once = watcher.detail(&own);
    let mut steps = 1;
    let detail = loop {
        match watcher.detail_step(&own, Duration::ZERO) {
            Some(detail) => break detail,
            None => steps += 1,
        }
    };
    // Its descriptors are listed in one step, all else is read in another.
    assert_eq!(steps, 2 * (CHILDREN + 1));
    assert!(at_once.span_us.is_none() && detail.span_us.is_some_and(|span| span > 0), "{:?}", detail.span_us);
    assert_eq!(detail.per_process.len(), CHILDREN + 1);
    assert!(detail.per_process[0].private > STEP as u64, "{:?}", detail.per_process[0]);
    let kinds = |detail: &crate::sample::Detail| detail.descriptors.clone().expect("descriptors").by_kind;
    assert_eq!(kinds(&detail), kinds(&at_once));
    assert_eq!((&detail.threads, &detail.children), (&at_once.threads, &at_once.children));
    let anonymous = |detail: &crate::sample::Detail| detail.mappings.expect("smaps").anonymous;
    assert!(within_two_percent(anonymous(&detail), anonymous(&at_once)));
}

#[test]
fn a_process_that_ends_during_a_detail_in_steps_is_left_out() {
    let mut target = Target::start();
    let mut watcher = target.watch();
    target.tell("family");
    watcher.scan();
    assert!(watcher.detail_step(&OwnSockets::default(), Duration::ZERO).is_none());
    let ended = *watcher.members().last().expect("a child");
    let pid = rustix::process::Pid::from_raw(ended.pid as i32).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("ours to end");
    let mut sample = Sample::default();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut events = Vec::new();
    while !events.contains(&Event::Vanished { process: ended }) {
        assert!(std::time::Instant::now() < deadline, "its end is not seen");
        events.extend(watcher.scan());
    }
    watcher.tree(&mut sample);
    let others = CHILDREN as u64 - 1;
    assert_eq!(sample.tree, Some(TreeCounts { children: others, zombies: 1, orphans: 0 }));
    let detail = watcher.detail_step(&OwnSockets::default(), Duration::MAX).expect("all that are left");
    assert_eq!(detail.per_process.len(), CHILDREN);
    assert!(detail.per_process.iter().all(|one| one.process != ended));
    assert!(detail.descriptors.is_some() && detail.mappings.is_some());
    assert_eq!(watcher.missing(), [], "an end is no missing number");
}
