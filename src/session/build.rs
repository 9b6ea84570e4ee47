//! The build command of a scenario file, run before anything is launched.

use std::path::Path;
use std::process::Stdio;

use super::SessionError;

/// How much of a failed build's output is shown.
const LAST_LINES: usize = 12;

/// Runs a build command; its output goes to `log`.
pub async fn build(argv: &[String], cwd: &Path, log: &Path) -> Result<(), SessionError> {
    let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
    let shown = argv.join(" ");
    let out = std::fs::File::create(log)?;
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| {
            SessionError::Build(format!("could not start the build command `{shown}` in {}: {error}", cwd.display()))
        })?;
    if status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n  ");
    Err(SessionError::Build(format!(
        "the build command `{shown}` failed ({status}); its output is in {}, the last lines:\n  {last}",
        log.display()
    )))
}
