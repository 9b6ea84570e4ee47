//! The build command of a scenario file, run before anything is launched.

use std::future::Future;
use std::io::Read as _;
use std::time::Duration;

use super::SessionError;
use crate::sample::How;
use crate::target::{LaunchSpec, Logs, Stream, describe, launch};

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
    let mut lines = last_lines(logs, Stream::Stdout);
    lines.extend(last_lines(logs, Stream::Stderr));
    Err(SessionError::Build(format!(
        "the build command `{}` failed ({}); its output is in {} and {}, the last lines:\n  {}",
        spec.argv.join(" "),
        describe(ending.how),
        logs.path(Stream::Stdout).display(),
        logs.path(Stream::Stderr).display(),
        lines.join("\n  ")
    )))
}

fn last_lines(logs: &Logs, stream: Stream) -> Vec<String> {
    let mut bytes = Vec::new();
    // A log that cannot be read has no last lines to show.
    let _ = logs.open(stream).and_then(|(mut file, _)| file.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}
