//! The build command of a scenario file, run before anything is launched.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use super::SessionError;
use crate::sample::How;
use crate::target::{LaunchSpec, describe, launch};

/// How much of a failed build's output is shown.
const LAST_LINES: usize = 12;

/// How long a build may take to end when it is interrupted.
const GRACE: Duration = Duration::from_secs(2);

/// Runs a build command to its end, or until the user interrupts. It is started like a target, so that nothing of it
/// stays, whatever way we end.
pub async fn build(spec: &LaunchSpec, interrupted: impl Future<Output = ()>) -> Result<(), SessionError> {
    let mut building = launch(spec)?;
    let end = building.end();
    let ending = tokio::select! {
        ending = end.wait() => ending,
        () = interrupted => {
            // An error means that it ended by itself meanwhile.
            let _ = tokio::task::spawn_blocking(move || building.stop(GRACE)).await;
            return Ok(());
        }
    };
    if ending.how == How::Exited(0) {
        return Ok(());
    }
    let logs = building.logs();
    let mut lines = last_lines(&logs.stdout);
    lines.extend(last_lines(&logs.stderr));
    Err(SessionError::Build(format!(
        "the build command `{}` failed ({}); its output is in {} and {}, the last lines:\n  {}",
        spec.argv.join(" "),
        describe(ending.how),
        logs.stdout.display(),
        logs.stderr.display(),
        lines.join("\n  ")
    )))
}

fn last_lines(log: &Path) -> Vec<String> {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}
