//! One thread of a target, stopped: its registers, system calls on it, and visits.
//!
//! Before a thread does anything for us, the way back is written into its own memory ([`super::frame`]), and its registers are
//! changed before anything else is. From then on it puts itself back if we end, at whatever moment. While we live we put it back
//! ourselves, to the last detail: its system call goes on as if it had never been stopped, and signals that came meanwhile are
//! delivered as ever.

use std::io;
use std::mem::size_of;
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::{Duration, Instant};

use libc::{c_int, c_uint, c_void, user_regs_struct as Registers};

use super::again::{again, made_again, restarted};
use super::frame::{Original, Step, Stubs, WayBack};
use super::order::{VISIT_DONE, VISIT_LEFT};
use super::target::{Status, Target};

const NT_X86_XSTATE: usize = 0x202;
const PTRACE_GETSIGMASK: c_uint = 0x420a;
const PTRACE_SETSIGMASK: c_uint = 0x420b;
const PTRACE_GET_RSEQ_CONFIGURATION: c_uint = 0x420f;
const EVENT_STOP: c_int = 128;
/// What a stop at a system call is reported as with `PTRACE_O_TRACESYSGOOD`. It is no signal, so a thread whose tracer
/// ends at such a stop is sent none.
const SYSTEM_CALL_STOP: c_int = libc::SIGTRAP | 0x80;
/// Faults are reported to us even where the thread has blocked them.
const FAULTS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];
/// The longest time that a thread stays in a system call of ours, and on its way out of a visit.
const FOR_A_CALL: Duration = Duration::from_secs(2);
/// The longest time that a visit is waited for. A thread that takes longer puts itself back when it is done.
pub(super) const FOR_A_VISIT: Duration = Duration::from_secs(10);
/// Between two looks whether a visit hangs in a wait for a lock.
const LOOK_EVERY: Duration = Duration::from_millis(250);

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
    /// It waits for a lock that another thread holds.
    Waits,
    /// It has not returned in time, and puts itself back when it does.
    Lasts,
    /// The kernel refused.
    Refused,
    /// Its stack has no room for the way back.
    NoStack,
}

/// Where a thread is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// `tidewatch_heap_visit`.
    pub(super) code: u64,
    /// What it is to do.
    pub(super) visit: u64,
    /// The end of an empty stack.
    pub(super) stack_end: u64,
}

enum Report {
    /// The stop that was asked for, or one that a stop signal makes.
    Event(c_int),
    /// At the begin or the end of a system call.
    SystemCall,
    Signal(c_int),
    Ended,
}

/// A thread that is stopped.
pub(super) struct Stopped {
    thread: c_int,
    saved: Registers,
    extended: Vec<u8>,
    mask: u64,
    /// The way back, once it is written.
    way_back: Option<Written>,
    is_changed: bool,
    /// Whether the registers make an interrupted call again already, in case that nobody is left to see to it.
    is_early: bool,
    /// Whether the stop is one at which the kernel sees to interrupted system calls when it ends.
    is_at_event: bool,
    is_held: bool,
    /// When it was asked to stop.
    since: Instant,
}

/// The way back in the memory of a thread.
struct Written {
    way: WayBack,
    stubs: Stubs,
    /// What was there before.
    before: Vec<u8>,
}

fn ptrace(request: c_uint, thread: c_int, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: requests of this file name memory of ours alone, large enough for each.
    let result = unsafe { libc::ptrace(request, thread, address as *mut c_void, data as *mut c_void) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What a thread that is traced reports, if it has anything to report.
fn report(thread: c_int) -> Option<Report> {
    let mut status = 0;
    // SAFETY: `status` is writable.
    let found = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL | libc::WNOHANG) };
    if found == thread {
        if !libc::WIFSTOPPED(status) {
            return Some(Report::Ended);
        }
        let signal = libc::WSTOPSIG(status);
        return Some(match signal {
            _ if status >> 16 == EVENT_STOP => Report::Event(signal),
            SYSTEM_CALL_STOP => Report::SystemCall,
            signal => Report::Signal(signal),
        });
    }
    (found < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted).then_some(Report::Ended)
}

/// A thread that was let run answers soon. On a busy machine one that sleeps is woken late, so this one only yields at first.
struct Patience(u32);

impl Patience {
    fn wait(&mut self) {
        self.0 = self.0.saturating_add(1);
        match self.0 {
            0..100 => std::hint::spin_loop(),
            100..5000 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }
}

/// What a thread reports until a moment; nothing if it does not.
fn wait(thread: c_int, until: Instant) -> Option<Report> {
    let mut patience = Patience(0);
    loop {
        match report(thread) {
            None if Instant::now() < until => patience.wait(),
            report => return report,
        }
    }
}

impl Stopped {
    /// Stops a thread.
    pub(super) fn stop(thread: u32, within: Duration) -> Result<Self, Missed> {
        let thread = thread as c_int;
        ptrace(libc::PTRACE_SEIZE, thread, 0, libc::PTRACE_O_TRACESYSGOOD as usize).map_err(|_| Missed::Gone)?;
        let since = Instant::now();
        let mut stopped = Self {
            thread,
            // SAFETY: registers are numbers, for which zero is a value.
            saved: unsafe { std::mem::zeroed() },
            extended: Vec::new(),
            mask: 0,
            way_back: None,
            is_changed: false,
            is_early: false,
            is_at_event: false,
            is_held: false,
            since,
        };
        ptrace(libc::PTRACE_INTERRUPT, thread, 0, 0).map_err(|_| Missed::Stuck)?;
        loop {
            match wait(thread, since + within) {
                None => return Err(Missed::Stuck),
                Some(Report::Ended) => return Err(Missed::Gone),
                // Its own signals come to it as ever.
                Some(Report::Signal(signal)) => {
                    ptrace(libc::PTRACE_CONT, thread, 0, signal as usize).map_err(|_| Missed::Gone)?;
                }
                Some(Report::SystemCall) => {
                    ptrace(libc::PTRACE_CONT, thread, 0, 0).map_err(|_| Missed::Gone)?;
                }
                Some(Report::Event(signal)) => {
                    (stopped.is_held, stopped.is_at_event) = (true, true);
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
        if let Some(again) = made_again(&self.saved) {
            self.is_early = self.set(&again).is_ok();
        }
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

    /// Writes the way back. `floor` is the lowest address of the thread's stack.
    pub(super) fn prepare(&mut self, target: &Target, stubs: Stubs, floor: u64) -> Result<(), CallError> {
        let way = WayBack::below(self.saved.rsp, &self.original(target), stubs, None).ok_or(CallError::NoStack)?;
        if way.at < floor {
            return Err(CallError::NoStack);
        }
        let before = target.bytes(way.at, way.bytes.len()).map_err(|_| CallError::NoStack)?;
        target.write(way.at, &way.bytes).map_err(|_| CallError::NoStack)?;
        self.way_back = Some(Written { way, stubs, before });
        Ok(())
    }

    /// Adds a system call to the way back, at its begin.
    pub(super) fn clean_up_with(&mut self, target: &Target, step: Step) -> Result<(), CallError> {
        let Some(Written { way, stubs, before }) = self.way_back.take() else { return Err(CallError::NoStack) };
        let way = WayBack::new(way.at, &self.original(target), stubs, Some(step));
        let written = target.write(way.at, &way.bytes);
        self.way_back = Some(Written { way, stubs, before });
        written.map_err(|_| CallError::Gone)
    }

    /// The stack pointer with which the thread puts itself back.
    pub(super) fn way_back(&self) -> u64 {
        self.way_back.as_ref().map_or(0, |written| written.way.at)
    }

    /// Where a name may be put for the kernel.
    pub(super) fn scratch(&self) -> u64 {
        self.way_back.as_ref().map_or(0, |written| written.way.scratch())
    }

    /// With what it goes on when it puts itself back: what the kernel does at the end of a stop is done beforehand.
    fn original(&self, target: &Target) -> Original<'_> {
        Original {
            registers: again(&self.saved, |after| restarted(target, after)),
            mask: self.mask,
            extended: &self.extended,
        }
    }

    /// Makes a system call. The result is negative for an error.
    pub(super) fn system_call(&mut self, number: libc::c_long, values: &[u64]) -> Result<i64, CallError> {
        let Some(Written { way, stubs, .. }) = &self.way_back else { return Err(CallError::NoStack) };
        let mut registers = self.saved;
        (registers.rip, registers.rsp) = (stubs.system_call, way.direct());
        registers.rax = number.cast_unsigned();
        let places = [
            &mut registers.rdi,
            &mut registers.rsi,
            &mut registers.rdx,
            &mut registers.r10,
            &mut registers.r8,
            &mut registers.r9,
        ];
        places.into_iter().zip(values).for_each(|(place, value)| *place = *value);
        self.send(registers)?;
        // Its begin, and its end.
        for _ in 0..2 {
            self.reach_system_call()?;
        }
        self.registers().map(|registers| registers.rax.cast_signed()).map_err(|_| CallError::Gone)
    }

    /// Changes where the thread is. The registers come first: they lead back by themselves, which a signal mask does not.
    fn send(&mut self, mut registers: Registers) -> Result<(), CallError> {
        registers.orig_rax = u64::MAX;
        // The convention of C wants strings to go up; nothing is to be stepped through.
        registers.eflags &= !0x500;
        let blocked = FAULTS.iter().fold(u64::MAX, |mask, fault| mask & !(1 << (fault - 1)));
        let mask_at = &raw const blocked as usize;
        self.set(&registers).map_err(|_| CallError::Refused)?;
        self.is_changed = true;
        ptrace(PTRACE_SETSIGMASK, self.thread, size_of::<u64>(), mask_at).map_err(|_| CallError::Refused)
    }

    fn go_on(&mut self, request: c_uint, signal: c_int) -> Result<(), CallError> {
        self.is_at_event = false;
        ptrace(request, self.thread, 0, signal as usize).map_err(|_| CallError::Gone)
    }

    fn reach_system_call(&mut self) -> Result<(), CallError> {
        let until = Instant::now() + FOR_A_CALL;
        self.go_on(libc::PTRACE_SYSCALL, 0)?;
        loop {
            match wait(self.thread, until) {
                Some(Report::SystemCall) => return Ok(()),
                Some(Report::Event(_)) => self.go_on(libc::PTRACE_SYSCALL, 0)?,
                Some(Report::Signal(signal)) => self.pass_on(signal, libc::PTRACE_SYSCALL)?,
                Some(Report::Ended) => return Err(self.ended()),
                None => return Err(self.leave()),
            }
        }
    }

    /// Gives a signal to the thread, but for a fault: that is ours.
    fn pass_on(&mut self, signal: c_int, request: c_uint) -> Result<(), CallError> {
        if FAULTS.contains(&signal) { Err(CallError::Fault(signal)) } else { self.go_on(request, signal) }
    }

    fn ended(&mut self) -> CallError {
        self.is_held = false;
        CallError::Gone
    }

    /// Lets the thread put itself back: it is not stopped, and nobody traces it once this thread of ours ends.
    fn leave(&mut self) -> CallError {
        self.is_held = false;
        CallError::Lasts
    }

    /// Sends the thread on a visit, and waits until it is done there. `state` reads [`super::order::Visit::state`].
    pub(super) fn visit(&mut self, there: Place, state: &dyn Fn() -> Option<u64>) -> Result<(), CallError> {
        let mut registers = self.saved;
        (registers.rip, registers.rdi, registers.rsp) = (there.code, there.visit, there.stack_end & !15);
        self.send(registers)?;
        self.go_on(libc::PTRACE_CONT, 0)?;
        let (until, mut next) = (Instant::now() + FOR_A_VISIT, Instant::now() + LOOK_EVERY);
        let (mut waits, mut patience) = (0, Patience(0));
        loop {
            match report(self.thread) {
                Some(Report::Ended) => return Err(self.ended()),
                Some(Report::Signal(signal)) => self.pass_on(signal, libc::PTRACE_CONT)?,
                Some(Report::SystemCall) => self.go_on(libc::PTRACE_CONT, 0)?,
                Some(Report::Event(_)) => {
                    let registers = self.registers().map_err(|_| CallError::Gone)?;
                    // Twice in a row in a wait for a lock: its holder may wait for this very thread.
                    let is_waiting = registers.orig_rax == libc::SYS_futex as u64;
                    waits = if is_waiting { waits + 1 } else { 0 };
                    if waits >= 2 {
                        self.is_at_event = true;
                        return Err(CallError::Waits);
                    }
                    self.go_on(libc::PTRACE_CONT, 0)?;
                }
                None => {}
            }
            if state().is_some_and(|state| state == VISIT_DONE || state == VISIT_LEFT) {
                return self.fetch(state);
            }
            let now = Instant::now();
            if now >= until {
                return Err(self.leave());
            }
            if now >= next {
                next = now + LOOK_EVERY;
                ptrace(libc::PTRACE_INTERRUPT, self.thread, 0, 0).map_err(|_| CallError::Gone)?;
            }
            patience.wait();
        }
    }

    /// Stops the thread at the end of a visit, where it waits for that.
    fn fetch(&mut self, state: &dyn Fn() -> Option<u64>) -> Result<(), CallError> {
        self.reach_event()?;
        if state() == Some(VISIT_LEFT) {
            // It was faster than us: it is on its way back, or back in its program, and stopped there.
            (self.is_changed, self.is_early, self.way_back) = (false, false, None);
            self.saved = self.registers().map_err(|_| CallError::Gone)?;
        }
        Ok(())
    }

    /// Stops the thread, or leads it from one stop to another, to one where the kernel sees to interrupted system calls.
    fn reach_event(&mut self) -> Result<(), CallError> {
        if self.is_at_event {
            return Ok(());
        }
        let until = Instant::now() + FOR_A_CALL;
        ptrace(libc::PTRACE_INTERRUPT, self.thread, 0, 0).map_err(|_| CallError::Gone)?;
        loop {
            match wait(self.thread, until) {
                Some(Report::Event(_)) => {
                    self.is_at_event = true;
                    return Ok(());
                }
                Some(Report::SystemCall) => self.go_on(libc::PTRACE_CONT, 0)?,
                Some(Report::Signal(signal)) => self.pass_on(signal, libc::PTRACE_CONT)?,
                Some(Report::Ended) => return Err(self.ended()),
                None => return Err(self.leave()),
            }
        }
    }

    /// Whether the thread is on its own again already.
    pub(super) fn is_back(&self) -> bool {
        !self.is_changed
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
        if self.is_changed && !self.is_at_event {
            // At the end of a system call of ours. What fails here fails because the thread has ended, or leads itself back.
            if ptrace(libc::PTRACE_INTERRUPT, self.thread, 0, 0).is_err()
                || self.go_on(libc::PTRACE_CONT, 0).is_err()
                || self.reach_event().is_err()
            {
                return;
            }
        }
        self.repeat_what_was_broken_off();
        let thread = self.thread;
        self.restore(|at, bytes| {
            // What was below the stack was nobody's; where it was after all, it is as before.
            let memory = std::fs::File::options().write(true).open(format!("/proc/{thread}/mem"));
            let _ = memory.and_then(|memory| memory.write_all_at(bytes, at));
        });
        let _ = ptrace(libc::PTRACE_DETACH, self.thread, 0, 0);
    }

    /// Some system calls end with `EINTR` when a thread is stopped, though no signal came. They are made again, as if nothing had been, unless a
    /// handler is about to run: then a program may count on it. All others the kernel makes again by itself.
    fn repeat_what_was_broken_off(&mut self) {
        if self.extended.is_empty() {
            return;
        }
        let Some(again) = made_again(&self.saved) else { return };
        let pending = Status::of(&format!("/proc/{}/status", self.thread))
            .map_or(0, |status| (status.set("SigPnd") | status.set("ShdPnd")) & status.set("SigCgt") & !self.mask);
        if pending == 0 {
            self.saved = again;
        }
        if !self.is_changed {
            let _ = self.set(&self.saved);
        }
    }

    /// Puts everything back. The registers come after all else that the thread needs: until then they lead back by themselves.
    fn restore(&mut self, memory: impl FnOnce(u64, &[u8])) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        let mut part = libc::iovec { iov_base: self.extended.as_mut_ptr().cast(), iov_len: self.extended.len() };
        // What fails here fails because the thread has ended.
        let _ = ptrace(libc::PTRACE_SETREGSET, self.thread, NT_X86_XSTATE, &raw mut part as usize);
        let _ = ptrace(PTRACE_SETSIGMASK, self.thread, size_of::<u64>(), &raw const self.mask as usize);
        if self.set(&self.saved).is_ok()
            && let Some(Written { way, before, .. }) = self.way_back.take()
        {
            memory(way.at, &before);
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.let_go();
    }
}
