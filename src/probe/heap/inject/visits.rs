//! Threads that a watch has left on a visit: it was killed, and they finish by themselves what they began.
//!
//! Such a thread reads its visit, and stands on the stack beside it, until it is back in its program. Nothing of either may be
//! written or taken away meanwhile. So a later watch waits until nobody is there, and watches come one after the other.

use std::fs::File;
use std::mem::offset_of;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use super::hold::Hold;
use super::image::Image;
use super::modules::Modules;
use super::order::{Room, STACK_BYTES, VISIT_LEFT, Visit};
use super::strays;
use super::target::Target;
use super::trace::{Missed, Stopped};
use crate::probe::heap::refusal::Refusal;

/// How long visits are waited for that others have left, and a watch that is at work in the target.
const TO_END: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a thread may take to stop for a look.
const TO_STOP: Duration = Duration::from_millis(100);

/// The right to work in a target, which one watch has at a time. It ends with this value, or with this process.
pub(super) fn turn(target: &Target) -> Result<File, Refusal> {
    let deadline = Instant::now() + TO_END;
    loop {
        match target.lock() {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(Refusal::Gone { pid: target.pid() }),
        }
        if Instant::now() >= deadline {
            let by = "by another watch, which is at work in it right now".to_owned();
            return Err(Refusal::AlreadySampled { pid: target.pid(), by });
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Waits until no thread is on a visit. Whether one may have been.
pub(super) fn wait_for_end(target: &Target, modules: &Modules) -> Result<bool, Refusal> {
    let deadline = Instant::now() + TO_END;
    let mut waited = false;
    loop {
        let stacks = stacks(target, modules);
        if stacks.is_empty() || !is_anyone_on(target, &stacks)? {
            return Ok(waited || !stacks.is_empty());
        }
        if Instant::now() >= deadline {
            return Err(Refusal::CallLasts { pid: target.pid(), seconds: TO_END.as_secs() });
        }
        waited = true;
        thread::sleep(LOOK_EVERY);
    }
}

/// Says that nobody is on the visit in a library's room any more, so that the next watch need not look.
pub(super) fn mark_end(target: &Target, room: u64) {
    // Where it fails, the next watch looks.
    let _ = target.write(room + STATE_AT, &VISIT_LEFT.to_le_bytes());
}

const STATE_AT: u64 = (offset_of!(Room, visit) + offset_of!(Visit, state)) as u64;
const STACK_AT: u64 = offset_of!(Room, stack) as u64;

/// Where a thread on a visit has its stack: in the rooms of libraries whose last visit is not known to be over, and in mappings that
/// were left.
fn stacks(target: &Target, modules: &Modules) -> Vec<Range<u64>> {
    let in_room = |image: &Image| {
        let room = image.symbol(target, "tidewatch_heap_room")?;
        let state = target.word(room + STATE_AT).ok()?;
        // The end of a stack is one past it: a thread that has just been sent stands there.
        (state != 0 && state != VISIT_LEFT).then_some(room + STACK_AT..room + STACK_AT + STACK_BYTES as u64 + 1)
    };
    let rooms = modules.injected().filter_map(in_room);
    let mappings = strays::mappings(target).into_iter().map(|(begin, bytes)| begin..begin + bytes + 1);
    rooms.chain(mappings).collect()
}

/// Whether a thread stands on one of these stacks, or may.
fn is_anyone_on(target: &Target, stacks: &[Range<u64>]) -> Result<bool, Refusal> {
    // On a thread of its own, as in `borrow`: whatever it still traces is let go when it ends.
    let look = || target.threads().into_iter().map(|thread| is_on(target, thread, stacks)).find(|on| *on != Ok(false));
    let found = thread::scope(|scope| scope.spawn(look).join());
    found.unwrap_or(Some(Ok(true))).unwrap_or(Ok(false))
}

fn is_on(target: &Target, thread: u32, stacks: &[Range<u64>]) -> Result<bool, Refusal> {
    let _hold = Hold::begin();
    match Stopped::stop(thread, TO_STOP) {
        Ok(stopped) => Ok(stacks.iter().any(|stack| stack.contains(&stopped.at().rsp))),
        Err(Missed::Stopped) => Err(Refusal::Stopped { pid: target.pid() }),
        // One that has ended is nowhere; of any other nothing is known.
        Err(Missed::Gone | Missed::Stuck | Missed::Unreadable) => {
            let state = target.status(thread).and_then(|status| status.field("State").map(str::to_owned));
            Ok(state.is_some_and(|state| !state.starts_with(['Z', 'X'])))
        }
    }
}
