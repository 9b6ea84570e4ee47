//! A program per operation: its exit code is the answer. It never goes through a shell.

use std::io;
use std::path::Path;

use super::trouble::{SHOWN, Trouble, printable};
use crate::target::{Commands, FirstBytes};

/// Runs a program to its end. Dropped midway, it ends the program and what the program started; what a program leaves in
/// the background when it ends by itself lives until `commands` ends.
pub async fn run(commands: &Commands, argv: &[impl AsRef<str>], expect: &[i32], cwd: &Path) -> Result<(), Trouble> {
    let Some(program) = argv.first().map(AsRef::as_ref) else {
        return Err(Trouble::hopeless("a command step names no program"));
    };
    let argv = argv.iter().map(|word| word.as_ref().to_owned()).collect();
    let mut output = FirstBytes { most: SHOWN, ..FirstBytes::default() };
    let status = commands.run(argv, cwd, &mut output).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            Trouble::hopeless(format!("running `{program}` in {}: {error}", cwd.display()))
        }
        _ => Trouble::unexpected("program not started", format!("running `{program}`: {error}")),
    })?;
    if status.code().is_some_and(|code| expect.contains(&code)) {
        return Ok(());
    }
    let kind = match status.code() {
        Some(code) => format!("exit code {code}"),
        None => ended_by_signal(status),
    };
    let FirstBytes { out, err, .. } = output;
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::target::GuardianProgram;

    fn commands() -> Commands {
        Commands::new(GuardianProgram::ThisProgram)
    }

    async fn sh(script: &str, expect: &[i32]) -> Result<(), Trouble> {
        run(&commands(), &["sh", "-c", script], expect, Path::new("/")).await
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
        let (commands, root) = (commands(), Path::new("/"));
        let words = ["test", "$HOME; exit 1", "=", "$HOME; exit 1"];
        assert_eq!(run(&commands, &words, &[0], root).await, Ok(()));
        let trouble = run(&commands, &["no-such-program-here"], &[0], root).await.expect_err("not found");
        assert_eq!(trouble.reach, super::super::Reach::Hopeless);
    }
}
