//! Signals to tidewatch itself: each ends the run in order, and a second one of the same kind at once.

use std::collections::BTreeSet;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::exit::ExitCode;

/// Listens from now on until tidewatch ends, on a thread of its own: reports are made without a runtime, and must be
/// interruptible too. `true` is sent at the first signal.
pub fn listen() -> std::io::Result<watch::Receiver<bool>> {
    let (interrupt, interrupted) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listening = {
        let _entered = runtime.enter();
        heeded().into_iter().map(signal).collect::<std::io::Result<Vec<_>>>()?
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(heed(listening, interrupt)))?;
    Ok(interrupted)
}

/// The signals that end a run. A hang-up that was ignored when tidewatch was started (nohup) stays ignored.
fn heeded() -> Vec<SignalKind> {
    let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
    kinds.extend([SignalKind::hangup(), SignalKind::quit()].into_iter().filter(|kind| !is_ignored(*kind)));
    kinds
}

fn is_ignored(kind: SignalKind) -> bool {
    // SAFETY: an all-zero sigaction is valid; without a new action, the call only writes the present one into it.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(kind.as_raw_value(), std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}

#[expect(clippy::exit, reason = "whoever asks twice does not want to wait for anything that is still under way")]
async fn heed(listening: Vec<Signal>, interrupt: watch::Sender<bool>) {
    let (sender, mut received) = mpsc::unbounded_channel();
    for (kind, mut signal) in listening.into_iter().enumerate() {
        let sender = sender.clone();
        tokio::spawn(async move { while signal.recv().await.is_some() && sender.send(kind).is_ok() {} });
    }
    let mut kinds = BTreeSet::new();
    while let Some(kind) = received.recv().await {
        if !kinds.insert(kind) {
            // What was launched ends all the same: its guardian notices that we are gone.
            std::process::exit(ExitCode::Interrupted.code().into());
        }
        interrupt.send_replace(true);
    }
}
