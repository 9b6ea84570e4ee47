//! Stop signals held back while a thread of the target is borrowed.
//!
//! Ctrl-Z in that moment would stop this process, and with it the thread that waits for it. The signals of a terminal are caught
//! instead, and take effect when the thread is back. SIGSTOP cannot be caught: then a thread that is on a visit goes on by itself,
//! and one that is being sent or fetched, some 0.1 ms, waits until this process goes on.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use libc::c_int;

/// What a terminal stops a process with.
const STOPS: [c_int; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// Threads that are borrowed now.
static BORROWED: AtomicU32 = AtomicU32::new(0);
/// The stop signal that came meanwhile; 0 for none.
static PENDING: AtomicI32 = AtomicI32::new(0);

/// Holds stop signals back while it lives.
pub(super) struct Hold(());

impl Hold {
    pub(super) fn begin() -> Self {
        if BORROWED.fetch_add(1, Ordering::SeqCst) == 0 {
            STOPS.into_iter().for_each(catch);
        }
        Self(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if BORROWED.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        STOPS.into_iter().for_each(let_go);
        let pending = PENDING.swap(0, Ordering::SeqCst);
        if pending != 0 {
            // SAFETY: sends a signal to this process, with its default disposition.
            unsafe { libc::kill(libc::getpid(), pending) };
        }
    }
}

extern "C" fn remember(signal: c_int) {
    PENDING.store(signal, Ordering::SeqCst);
}

/// Catches a signal that would stop this process. One that is ignored, or caught by somebody else, stays so.
fn catch(signal: c_int) {
    if disposition(signal) == Some(libc::SIG_DFL) {
        set(signal, remember as *const () as libc::sighandler_t);
    }
}

fn let_go(signal: c_int) {
    if disposition(signal) == Some(remember as *const () as libc::sighandler_t) {
        set(signal, libc::SIG_DFL);
    }
}

fn disposition(signal: c_int) -> Option<libc::sighandler_t> {
    // SAFETY: a `sigaction` is numbers, for which zero is a value; the call only reads.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        (libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0).then_some(action.sa_sigaction)
    }
}

fn set(signal: c_int, handler: libc::sighandler_t) {
    // SAFETY: the handler stores a number, which is allowed at any moment.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}
