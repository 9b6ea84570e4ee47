//! What a run is at, while it runs: one line that changes on a terminal, a line for each scenario elsewhere.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::outcome::remark;
use super::screen;
use crate::report::escape::plain;
use crate::sample::{Phase, Sample};
use crate::session::{Live, Progress};
use crate::units::{show_bytes, show_count};

const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// Progress shown on stderr.
pub struct Shown {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Shown {
    /// Begins to show; on a terminal with a line that changes, else plainly.
    pub fn begin(live: &Live, folder: &Path, scripted: bool) -> Self {
        let (progress, latest) = (live.progress.subscribe(), live.latest.subscribe());
        if console::Term::stderr().features().is_attended() {
            let bar = bar();
            bar.println(screen::message(&format!("recording into {}", folder.display())));
            let task = tokio::spawn(redraw(bar.clone(), progress, latest));
            return Self { task, bar: Some(bar) };
        }
        remark(&format!("recording into {}", folder.display()));
        let task = if scripted { tokio::spawn(lines(progress)) } else { tokio::spawn(async {}) };
        Self { task, bar: None }
    }

    /// Ends it and clears the line.
    pub async fn end(self) {
        self.task.abort();
        // An aborted task has nothing to say.
        let _ = self.task.await;
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar
}

async fn redraw(bar: ProgressBar, progress: watch::Receiver<Progress>, latest: watch::Receiver<Sample>) {
    loop {
        let message = message(&progress.borrow(), &latest.borrow());
        bar.set_message(message);
        bar.tick();
        tokio::time::sleep(REDRAW_EVERY).await;
    }
}

/// `[2/11] work-items  cycle 7 of 50, load  12,345 operations  private 34 MiB  12 fds  9 threads`.
fn message(progress: &Progress, sample: &Sample) -> String {
    let mut parts = Vec::new();
    if progress.of > 0 {
        parts.push(format!("[{}/{}] {}", progress.number, progress.of, plain(&progress.scenario)));
    }
    if !progress.doing.is_empty() {
        parts.push(progress.doing.to_owned());
    } else if let Some(phase) = progress.phase {
        parts.push(match phase {
            Phase::Warmup => "warm-up".to_owned(),
            Phase::Load => format!("cycle {} (at most {}): load", progress.cycle, progress.max_cycles),
            Phase::Settle => format!("cycle {} (at most {}): settling", progress.cycle, progress.max_cycles),
        });
    }
    if sample.operations > 0 {
        parts.push(format!("{} operations", show_count(sample.operations as f64)));
    }
    if let Some(bytes) = sample.memory.map(|memory| memory.private).or(sample.anonymous) {
        parts.push(format!("private {}", show_bytes(bytes as f64)));
    }
    parts.extend(sample.fds.map(|fds| format!("{} fds", show_count(fds as f64))));
    parts.extend(sample.threads.map(|threads| format!("{} threads", show_count(threads as f64))));
    parts.join("  ")
}

/// One line when a scenario begins: enough for a log.
async fn lines(mut progress: watch::Receiver<Progress>) {
    let mut told = 0;
    loop {
        let now = progress.borrow_and_update().clone();
        if now.number > told {
            told = now.number;
            remark(&format!("[{}/{}] {}", now.number, now.of, plain(&now.scenario)));
        } else if now.number == 0 && !now.doing.is_empty() {
            remark(now.doing);
        }
        if progress.changed().await.is_err() {
            return;
        }
    }
}
