//! Whether a thread may be borrowed where it is: never inside the loader or the allocator, whose locks it may hold.
//!
//! A thread that waits in a system call which neither of them makes is at a safe place. So is one that computes in code of the program's
//! own, with no return address into the loader or the allocator on its stack. In both cases a signal handler may have come in
//! between, so frames of signals are looked for too. What cannot be shown to be safe is not: the thread goes on, and another
//! one, or the same at another moment, is tried.

use std::ops::Range;

use libc::user_regs_struct as Registers;

use super::image::{Image, find, number};
use super::load::RESTORER;
use super::target::{Mapping, Target};

/// System calls that are waited in, that the loader and the allocator never make, and that can be interrupted
/// without a trace. Writing is not among them: it may end with a part written.
const WAITING: [libc::c_long; 26] = [
    libc::SYS_read,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_select,
    libc::SYS_pselect6,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_futex,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_pause,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend,
    libc::SYS_recvmmsg,
    libc::SYS_flock,
    libc::SYS_semtimedop,
    libc::SYS_msgrcv,
    libc::SYS_mq_timedreceive,
    // What goes on with a sleep, `poll` or a futex with an end in time that was interrupted before.
    libc::SYS_restart_syscall,
];

/// Why a thread may not be borrowed where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Obstacle {
    /// It runs in the loader or the allocator, or was called by them.
    Inside,
    /// It waits in a system call that cannot be interrupted without a trace, or that the loader or the allocator makes.
    Call(u64),
    /// It runs a signal handler that came while it was in the loader or the allocator.
    Handler,
    /// It is in a restartable sequence.
    Sequence,
    /// Its stack cannot be read, or has no room.
    Stack,
    /// It runs on a stack of the program's own, which may be small.
    SmallStack,
    /// It runs code of 32 bits, or code that no mapping holds.
    Code,
    /// It did not stop within 100 ms.
    DoesNotStop,
    /// Another process traces it.
    Traced {
        /// Which.
        by: u64,
    },
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inside => f.write_str("the threads that were stopped were inside the allocator or the loader"),
            Self::Call(number) => {
                write!(f, "the threads wait in system call {number}, which cannot be interrupted without a trace")
            }
            Self::Handler => f.write_str("a signal handler had interrupted the allocator or the loader"),
            Self::Sequence => f.write_str("the threads that were stopped were in a restartable sequence"),
            Self::Stack => f.write_str("the stacks of the threads that were stopped had no room"),
            Self::SmallStack => f.write_str("the threads run on stacks of the program's own, whose size is not known"),
            Self::Code => f.write_str("the threads that were stopped ran code of another kind than 64-bit x86"),
            Self::DoesNotStop => f.write_str("the threads did not stop within 100 ms"),
            Self::Traced { by } => write!(f, "process {by} traces its threads"),
        }
    }
}

/// Code that a thread must not be inside of.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Where code that may not be on the stack lies, with its bytes.
    forbidden: Vec<(Range<u64>, Vec<u8>)>,
    /// The loader.
    loader: Range<u64>,
    /// Where no thread may be that computes.
    libraries: Vec<Range<u64>>,
    /// Where signal handlers return to.
    restorer: Option<u64>,
    /// `syscall` of the C library, by which programs wait on locks of their own.
    system_call: Range<u64>,
    code: Vec<Range<u64>>,
}

/// How far the stack is read for return addresses.
const NEAR: usize = 16 << 10;
/// How far it is read for frames of signals.
const FAR: usize = 256 << 10;
/// From the begin of the frame of a signal to the interrupted program counter: `struct rt_sigframe` of the kernel.
const INTERRUPTED: usize = 176;
/// `syscall`.
const SYSTEM_CALL: [u8; 2] = [0x0f, 0x05];
/// The segment of 64-bit code.
const USER_CODE: u64 = 0x33;
/// The allocator's functions that are not exported lie between and beside those that are.
const BESIDE: u64 = 16 << 10;

impl Places {
    pub(super) fn new(target: &Target, maps: &[Mapping], loader: &Image, libc: &Image, allocator: &Image) -> Self {
        let code = |image: &Image| {
            let lies = |mapping: &&Mapping| mapping.is_code() && image.holds(mapping.begin);
            maps.iter().filter(lies).map(|mapping| mapping.begin..mapping.end).collect::<Vec<_>>()
        };
        let mut places =
            Self { code: maps.iter().filter(|m| m.is_code()).map(|m| m.begin..m.end).collect(), ..Self::default() };
        for range in code(libc) {
            let bytes = target.bytes(range.start, (range.end - range.start) as usize).unwrap_or_default();
            places.restorer = places.restorer.or(find(&bytes, &RESTORER).map(|at| range.start + at as u64));
        }
        let names =
            ["malloc", "free", "calloc", "realloc", "memalign", "mallinfo2", "malloc_trim", "malloc_usable_size"];
        let known: Vec<u64> = names.iter().filter_map(|name| libc.symbol(target, name)).collect();
        if let (Some(first), Some(last)) = (known.iter().min(), known.iter().max()) {
            places.forbid(target, first - BESIDE..last + BESIDE);
        }
        for image in [loader, allocator].into_iter().filter(|image| image.begin != libc.begin) {
            code(image).into_iter().for_each(|range| places.forbid(target, range));
        }
        places.loader = loader.begin..loader.end;
        places.libraries = [loader, libc, allocator].iter().map(|image| image.begin..image.end).collect();
        if let Some(at) = libc.symbol(target, "syscall") {
            places.system_call = at..at + 64;
        }
        places
    }

    /// Adds our own library, once it is there.
    pub(super) fn avoid(&mut self, target: &Target, begin: u64, end: u64) {
        self.libraries.push(begin..end);
        self.forbid(target, begin..end);
    }

    fn forbid(&mut self, target: &Target, range: Range<u64>) {
        let bytes = target.bytes(range.start, (range.end - range.start) as usize).unwrap_or_default();
        self.forbidden.push((range, bytes));
    }

    /// Whether a system call with these values may be waited in: a look from outside, before the thread is stopped.
    pub(super) fn is_waiting(&self, call: u64, values: [u64; 4], pc: u64) -> bool {
        const FUTEX_WAIT_BITSET: u64 = 9;
        const MSG_WAITALL: u64 = 0x100;
        if self.loader.contains(&pc) || !WAITING.iter().any(|known| *known as u64 == call) {
            return false;
        }
        match call as libc::c_long {
            // The loader and the allocator wait on locks by another operation. So does `syscall`, but not for them.
            libc::SYS_futex => values[1] & 0x7f == FUTEX_WAIT_BITSET || self.system_call.contains(&pc),
            libc::SYS_recvfrom => values[3] & MSG_WAITALL == 0,
            libc::SYS_recvmsg => values[2] & MSG_WAITALL == 0,
            _ => true,
        }
    }

    /// Whether a stopped thread is at a safe place.
    pub(super) fn safe(&self, target: &Target, maps: &[Mapping], at: &Registers) -> Result<(), Obstacle> {
        let stack = self.stack(target, maps, at.rsp).ok_or(Obstacle::Stack)?;
        if self.is_inside_signal(&stack) {
            return Err(Obstacle::Handler);
        }
        // Code of 32 bits calls differently.
        if at.cs != USER_CODE {
            return Err(Obstacle::Code);
        }
        if at.orig_rax.cast_signed() >= 0 {
            // At the begin of a signal's handler the number of the call is still that of the one it came into.
            let is_at_call = target.bytes(at.rip.wrapping_sub(2), 2).is_ok_and(|bytes| bytes == SYSTEM_CALL);
            let is_waiting = self.is_waiting(at.orig_rax, [at.rdi, at.rsi, at.rdx, at.r10], at.rip);
            return if is_at_call && is_waiting { Ok(()) } else { Err(Obstacle::Call(at.orig_rax)) };
        }
        if !self.code.iter().any(|code| code.contains(&at.rip)) {
            return Err(Obstacle::Code);
        }
        let is_ours = self.libraries.iter().any(|library| library.contains(&at.rip));
        let near = stack.get(..NEAR.min(stack.len())).unwrap_or_default();
        if is_ours || words(near).any(|word| self.is_return(word)) {
            return Err(Obstacle::Inside);
        }
        Ok(())
    }

    /// Nothing where the stack cannot be made out: it may be newer than the list of mappings.
    fn stack(&self, target: &Target, maps: &[Mapping], sp: u64) -> Option<Vec<u8>> {
        let sp = sp & !7;
        let end = maps.iter().find(|mapping| mapping.holds(sp))?.end;
        target.bytes(sp, ((end - sp) as usize).min(FAR)).ok()
    }

    /// Whether the frame of a signal lies on the stack that came while the loader or the allocator was at work.
    fn is_inside_signal(&self, stack: &[u8]) -> bool {
        let Some(restorer) = self.restorer else { return false };
        let frames = words(stack).enumerate().filter(|(_, word)| *word == restorer).map(|(index, _)| index * 8);
        frames.into_iter().filter_map(|frame| stack.get(frame..)).filter(|frame| is_frame(frame)).any(|frame| {
            let interrupted = number::<8>(frame, INTERRUPTED);
            let beyond = frame.get(..NEAR.min(frame.len())).unwrap_or_default();
            self.forbidden.iter().any(|(range, _)| range.contains(&interrupted))
                || words(beyond).any(|word| self.is_return(word))
        })
    }

    /// Whether a word is where a call in forbidden code returns to: the bytes before it are those of a call.
    fn is_return(&self, word: u64) -> bool {
        self.forbidden.iter().filter(|(range, _)| range.contains(&word)).any(|(range, bytes)| {
            let at = (word - range.start) as usize;
            let byte = |back: usize| at.checked_sub(back).and_then(|at| bytes.get(at).copied());
            // `call rel32`, or `call` through a register or memory, in each of its lengths.
            let indirect =
                |back: usize| byte(back) == Some(0xff) && byte(back - 1).is_some_and(|next| next >> 3 & 7 == 2);
            // Bytes that could not be read say nothing.
            bytes.is_empty() || byte(5) == Some(0xe8) || [2, 3, 4, 6, 7].into_iter().any(indirect)
        })
    }
}

/// Whether bytes that begin like the frame of a signal are one. The same word is left behind wherever a handler was set.
fn is_frame(bytes: &[u8]) -> bool {
    const FLAGS: usize = 8;
    const LINK: usize = 16;
    const SEGMENT: usize = INTERRUPTED + 16;
    number::<8>(bytes, FLAGS) < 16 && number::<8>(bytes, LINK) == 0 && number::<2>(bytes, SEGMENT) == USER_CODE
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks_exact(8).map(|word| number::<8>(word, 0))
}

#[cfg(test)]
mod tests;
