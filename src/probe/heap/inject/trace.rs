//! One thread of a target, stopped: its registers, and calls of functions on it.
//!
//! A thread that is let go, on whatever way, has every register, its signal mask and its system call as they were. A call returns to
//! an address where nothing can be mapped; the kernel tells us of it instead of the thread. Signals stay pending meanwhile,
//! but those that tell of a fault.

use std::io;
use std::mem::size_of;
use std::thread;
use std::time::{Duration, Instant};

use super::target::Status;

use libc::{c_int, c_uint, c_void, user_regs_struct as Registers};

/// The page below the end of the address space. The kernel maps nothing there.
pub(super) const NOWHERE: u64 = 0x7fff_ffff_f000;

const NT_X86_XSTATE: usize = 0x202;
const PTRACE_GETSIGMASK: c_uint = 0x420a;
const PTRACE_SETSIGMASK: c_uint = 0x420b;
const PTRACE_GET_RSEQ_CONFIGURATION: c_uint = 0x420f;
const EVENT_STOP: c_int = 128;
/// Faults are told to us even where the thread has blocked them.
const FAULTS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// The thread could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// It has ended, or may not be traced.
    Gone,
    /// It does not stop. Whoever traces it must end, to let it go.
    Stuck,
    /// The whole process is stopped.
    Stopped,
    /// Its registers cannot be read.
    Unreadable,
}

/// Why a call did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// The thread, or the process, has ended.
    Gone,
    /// The function ran into a fault.
    Fault(c_int),
    /// It waits for a lock that somebody holds.
    Waits,
    /// The kernel refused.
    Refused,
}

enum Told {
    /// The stop that was asked for, or one that a stop signal makes.
    Event(c_int),
    Signal(c_int),
    Ended,
}

/// A thread that is stopped.
pub(super) struct Stopped {
    thread: c_int,
    saved: Registers,
    extended: Vec<u8>,
    mask: u64,
    is_changed: bool,
    is_held: bool,
    /// When it was asked to stop.
    since: Instant,
}

fn ptrace(request: c_uint, thread: c_int, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: requests of this file name memory of ours alone, large enough for each.
    let result = unsafe { libc::ptrace(request, thread, address as *mut c_void, data as *mut c_void) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What a thread that is traced does next; nothing until the deadline.
fn wait(thread: c_int, until: Instant) -> Option<Told> {
    let mut rounds = 0_u32;
    loop {
        let mut status = 0;
        // SAFETY: `status` is writable.
        let found = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL | libc::WNOHANG) };
        if found == thread {
            if !libc::WIFSTOPPED(status) {
                return Some(Told::Ended);
            }
            let signal = libc::WSTOPSIG(status);
            return Some(if status >> 16 == EVENT_STOP { Told::Event(signal) } else { Told::Signal(signal) });
        }
        if found < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return Some(Told::Ended);
        }
        if Instant::now() >= until {
            return None;
        }
        // A thread that was let run answers soon. On a busy machine one that sleeps is woken late, so this one only yields.
        rounds += 1;
        match rounds {
            0..100 => std::hint::spin_loop(),
            100..5000 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }
}

impl Stopped {
    /// Stops a thread.
    pub(super) fn stop(thread: u32, within: Duration) -> Result<Self, Missed> {
        let thread = thread as c_int;
        ptrace(libc::PTRACE_SEIZE, thread, 0, 0).map_err(|_| Missed::Gone)?;
        let since = Instant::now();
        let mut stopped = Self {
            thread,
            // SAFETY: registers are numbers, for which zero is a value.
            saved: unsafe { std::mem::zeroed() },
            extended: Vec::new(),
            mask: 0,
            is_changed: false,
            is_held: false,
            since,
        };
        ptrace(libc::PTRACE_INTERRUPT, thread, 0, 0).map_err(|_| Missed::Stuck)?;
        loop {
            match wait(thread, since + within) {
                None => return Err(Missed::Stuck),
                Some(Told::Ended) => return Err(Missed::Gone),
                // Its own signals come to it as ever.
                Some(Told::Signal(signal)) => {
                    ptrace(libc::PTRACE_CONT, thread, 0, signal as usize).map_err(|_| Missed::Gone)?;
                }
                Some(Told::Event(signal)) => {
                    stopped.is_held = true;
                    return if signal == libc::SIGTRAP { stopped.save() } else { Err(Missed::Stopped) };
                }
            }
        }
    }

    fn save(mut self) -> Result<Self, Missed> {
        self.saved = self.registers().map_err(|_| Missed::Unreadable)?;
        self.extended = vec![0; 32 << 10];
        let mut part = libc::iovec { iov_base: self.extended.as_mut_ptr().cast(), iov_len: self.extended.len() };
        let part_at = &raw mut part as usize;
        ptrace(libc::PTRACE_GETREGSET, self.thread, NT_X86_XSTATE, part_at).map_err(|_| Missed::Unreadable)?;
        self.extended.truncate(part.iov_len);
        let mask_at = &raw mut self.mask as usize;
        ptrace(PTRACE_GETSIGMASK, self.thread, size_of::<u64>(), mask_at).map_err(|_| Missed::Unreadable)?;
        Ok(self)
    }

    fn registers(&self) -> io::Result<Registers> {
        // SAFETY: registers are numbers, for which zero is a value.
        let mut registers: Registers = unsafe { std::mem::zeroed() };
        ptrace(libc::PTRACE_GETREGS, self.thread, 0, &raw mut registers as usize)?;
        Ok(registers)
    }

    fn set(&self, registers: &Registers) -> io::Result<()> {
        ptrace(libc::PTRACE_SETREGS, self.thread, 0, std::ptr::from_ref(registers) as usize)
    }

    /// The registers that it was stopped with.
    pub(super) fn at(&self) -> &Registers {
        &self.saved
    }

    /// Where the kernel is told of sequences that must be begun again when they are interrupted. Nothing if it has none.
    pub(super) fn restartable_sequence(&self) -> Option<u64> {
        let mut found = [0_u64; 4];
        let found_at = &raw mut found as usize;
        ptrace(PTRACE_GET_RSEQ_CONFIGURATION, self.thread, size_of::<[u64; 3]>(), found_at).ok()?;
        Some(found[0]).filter(|address| *address != 0)
    }

    /// Some system calls end with `EINTR` when a thread is stopped, though no signal came. They are made again, as if nothing had been, unless a
    /// handler is about to run: then a program may count on it. All others the kernel makes again by itself.
    fn repeat_what_was_broken_off(&mut self) {
        const EINTR: u64 = (-4_i64).cast_unsigned();
        if self.extended.is_empty() || self.saved.orig_rax.cast_signed() < 0 || self.saved.rax != EINTR {
            return;
        }
        let Some(status) = Status::of(&format!("/proc/{}/status", self.thread)) else { return };
        let pending = status.set("SigPnd") | status.set("ShdPnd");
        if pending & status.set("SigCgt") & !self.mask == 0 {
            self.saved.rip -= 2;
            self.saved.rax = self.saved.orig_rax;
            self.saved.orig_rax = u64::MAX;
            self.is_changed = true;
        }
    }

    /// Calls a function, on a stack whose end is given and whose last word was set to [`NOWHERE`] at [`Self::landing`].
    pub(super) fn call(&mut self, function: u64, values: &[u64], stack_end: u64) -> Result<u64, CallError> {
        let mut registers = self.saved;
        registers.rip = function;
        registers.rsp = Self::landing(stack_end);
        registers.rax = 0;
        registers.orig_rax = u64::MAX;
        // The convention of C wants strings to go up; nothing is to be stepped through.
        registers.eflags &= !0x500;
        let places = [
            &mut registers.rdi,
            &mut registers.rsi,
            &mut registers.rdx,
            &mut registers.rcx,
            &mut registers.r8,
            &mut registers.r9,
        ];
        places.into_iter().zip(values).for_each(|(place, value)| *place = *value);
        let blocked = FAULTS.iter().fold(u64::MAX, |mask, fault| mask & !(1 << (fault - 1)));
        let mask_at = &raw const blocked as usize;
        self.is_changed = true;
        ptrace(PTRACE_SETSIGMASK, self.thread, size_of::<u64>(), mask_at).map_err(|_| CallError::Refused)?;
        self.set(&registers).map_err(|_| CallError::Refused)?;
        ptrace(libc::PTRACE_CONT, self.thread, 0, 0).map_err(|_| CallError::Gone)?;
        self.returned()
    }

    /// Where a call's return address is to be written, for a stack that ends there.
    pub(super) fn landing(stack_end: u64) -> u64 {
        (stack_end & !15) - 8
    }

    fn returned(&mut self) -> Result<u64, CallError> {
        let mut waits = 0;
        loop {
            match wait(self.thread, Instant::now() + Duration::from_millis(250)) {
                Some(Told::Ended) => {
                    self.is_held = false;
                    return Err(CallError::Gone);
                }
                Some(Told::Signal(signal)) => {
                    let registers = self.registers().map_err(|_| CallError::Gone)?;
                    if signal == libc::SIGSEGV && registers.rip == NOWHERE {
                        return Ok(registers.rax);
                    }
                    if FAULTS.contains(&signal) {
                        return Err(CallError::Fault(signal));
                    }
                    ptrace(libc::PTRACE_CONT, self.thread, 0, signal as usize).map_err(|_| CallError::Gone)?;
                }
                Some(Told::Event(_)) => {
                    let registers = self.registers().map_err(|_| CallError::Gone)?;
                    // Twice in a row in a wait for a lock: its holder may wait for this very thread.
                    let is_waiting = registers.orig_rax == libc::SYS_futex as u64;
                    waits = if is_waiting { waits + 1 } else { 0 };
                    if waits >= 2 {
                        return Err(CallError::Waits);
                    }
                    ptrace(libc::PTRACE_CONT, self.thread, 0, 0).map_err(|_| CallError::Gone)?;
                }
                None => ptrace(libc::PTRACE_INTERRUPT, self.thread, 0, 0).map_err(|_| CallError::Gone)?,
            }
        }
    }

    /// Puts everything back.
    fn restore(&mut self) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        let mut part = libc::iovec { iov_base: self.extended.as_mut_ptr().cast(), iov_len: self.extended.len() };
        // What fails here fails because the thread has ended.
        let _ = ptrace(libc::PTRACE_SETREGSET, self.thread, NT_X86_XSTATE, &raw mut part as usize);
        let _ = ptrace(PTRACE_SETSIGMASK, self.thread, size_of::<u64>(), &raw const self.mask as usize);
        let _ = self.set(&self.saved);
    }

    /// Lets it go on. How long it was held.
    pub(super) fn release(mut self) -> Duration {
        self.let_go();
        self.since.elapsed()
    }

    fn let_go(&mut self) {
        if !std::mem::take(&mut self.is_held) {
            return;
        }
        self.repeat_what_was_broken_off();
        self.restore();
        let _ = ptrace(libc::PTRACE_DETACH, self.thread, 0, 0);
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.let_go();
    }
}
