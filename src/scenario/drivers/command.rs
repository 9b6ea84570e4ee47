//! A program per operation: its exit code is the answer. It never goes through a shell.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::trouble::{SHOWN, Trouble, printable};

/// How long output is read after a program has ended.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Runs a program to its end. Dropped midway, it ends the program and what the program started.
pub async fn run(argv: &[impl AsRef<str>], expect: &[i32], cwd: &Path) -> Result<(), Trouble> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Trouble::hopeless("a command step names no program"));
    };
    let program = program.as_ref();
    let mut command = Command::new(program);
    command.args(arguments.iter().map(AsRef::as_ref)).current_dir(cwd);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            Trouble::hopeless(format!("running `{program}` in {}: {error}", cwd.display()))
        }
        _ => Trouble::unexpected("program not started", format!("running `{program}`: {error}")),
    })?;
    let mut group = Group { child };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
    // Output past what is shown is read and thrown away, so that the program never blocks on it. What the
    // program leaves behind may keep its output open for ever: after its end we wait a moment only.
    let status = {
        let mut reading = pin!(async { tokio::join!(read_start(stdout, &mut out), read_start(stderr, &mut err)) });
        tokio::select! {
            biased;
            _ = &mut reading => group.child.wait().await,
            status = group.child.wait() => {
                let _ = tokio::time::timeout(LAST_WORDS, reading).await;
                status
            }
        }
    }
    .map_err(|error| Trouble::unexpected("program lost", format!("waiting for `{program}`: {error}")))?;
    if status.code().is_some_and(|code| expect.contains(&code)) {
        return Ok(());
    }
    let kind = match status.code() {
        Some(code) => format!("exit code {code}"),
        None => ended_by_signal(status),
    };
    let shown = if err.is_empty() { out } else { err };
    Err(Trouble::unexpected(kind, format!("`{program}`: {}", printable(&shown))))
}

#[cfg(unix)]
fn ended_by_signal(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    format!("ended by signal {}", status.signal().unwrap_or_default())
}

#[cfg(not(unix))]
fn ended_by_signal(_: std::process::ExitStatus) -> String {
    "ended".to_owned()
}

async fn read_start(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut piece).await {
        let room = SHOWN.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&piece[..room]);
    }
}

/// A program of ours with the process group that it leads.
struct Group {
    child: Child,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Without an id it was waited for, and the number may belong to somebody else by now.
        #[cfg(unix)]
        if let Some(group) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // SAFETY: killpg takes two numbers. The group's leader is our child and not yet waited for, so
            // its number is not in use for anything else.
            unsafe { libc::killpg(group, libc::SIGKILL) };
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn sh(script: &str, expect: &[i32]) -> Result<(), Trouble> {
        run(&["sh", "-c", script], expect, Path::new("/")).await
    }

    #[tokio::test]
    async fn the_exit_code_is_the_answer() {
        assert_eq!(sh("exit 0", &[0]).await, Ok(()));
        assert_eq!(sh("exit 3", &[0, 3]).await, Ok(()));
        let trouble = sh("echo out; echo why >&2; exit 7", &[0]).await.expect_err("7 is not expected");
        assert_eq!(&*trouble.kind, "exit code 7");
        assert!(trouble.detail.contains("why"), "{trouble}");
        assert_eq!(&*sh("kill -9 $$", &[0]).await.expect_err("killed").kind, "ended by signal 9");
    }

    #[tokio::test]
    async fn a_flood_of_output_neither_blocks_nor_is_kept() {
        let trouble = sh("head -c 3000000 /dev/zero | tr '\\0' x; exit 1", &[0]).await.expect_err("exit 1");
        assert!(trouble.detail.len() < 2 * SHOWN, "{}", trouble.detail.len());
    }

    #[tokio::test]
    async fn no_shell_reads_the_arguments() {
        assert_eq!(run(&["test", "$HOME; exit 1", "=", "$HOME; exit 1"], &[0], Path::new("/")).await, Ok(()));
        let trouble = run(&["no-such-program-here"], &[0], Path::new("/")).await.expect_err("not found");
        assert_eq!(trouble.reach, super::super::Reach::Hopeless);
    }
}
