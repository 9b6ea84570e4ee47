//! What is to be started, and where its output goes.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::run_dir::RunDir;

/// A target to start.
#[derive(Clone, Debug)]
pub struct LaunchSpec {
    /// The program and its arguments. A program path with a slash is taken from `cwd`.
    pub argv: Vec<String>,
    /// The folder to start it in; ours when not given.
    pub cwd: Option<PathBuf>,
    /// Added to our own environment.
    pub env: Vec<(String, String)>,
    /// The run directory: its output goes to new files in it.
    pub run_dir: Arc<RunDir>,
    /// Between name and ending of the output files: `-2` gives `stdout-2.log`.
    pub log_suffix: String,
    /// What it reads.
    pub stdin: StdinMode,
    /// What becomes of a program that puts itself into the background.
    pub background: Background,
    /// Which program is started as guardian.
    pub guardian: GuardianProgram,
}

impl LaunchSpec {
    /// A target that reads nothing, with its output in `run_dir`.
    pub fn new(argv: Vec<String>, run_dir: &Arc<RunDir>) -> Self {
        Self {
            argv,
            cwd: None,
            env: Vec::new(),
            run_dir: Arc::clone(run_dir),
            log_suffix: String::new(),
            stdin: StdinMode::Null,
            background: Background::End,
            guardian: GuardianProgram::ThisProgram,
        }
    }
}

/// What becomes of the descendants of a launched process that ends well soon after its launch: a daemon puts itself into
/// the background like that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// They are ended.
    #[default]
    End,
    /// They are the target from then on, until they end.
    Follow,
}

/// What a launched target has as its standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StdinMode {
    /// Nothing.
    #[default]
    Null,
    /// A pipe from us: see `Launched::take_stdin`.
    Piped,
}

/// Which program is started as guardian; it has to call [`super::guardian::main`] for its first argument
/// [`super::guardian::SUBCOMMAND`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GuardianProgram {
    /// The one that runs now.
    #[default]
    ThisProgram,
    /// This one: for programs that use the library and are not tidewatch.
    At(PathBuf),
}

/// One of the two streams that a target writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// The files that hold what a target wrote, in its run directory.
#[derive(Clone, Debug)]
pub struct Logs {
    /// Where they are.
    pub run_dir: Arc<RunDir>,
    /// The name of the one for standard output.
    pub stdout: String,
    /// The name of the one for standard error.
    pub stderr: String,
    /// Where in them this target's own output begins: what stood there before is kept.
    pub begin: (u64, u64),
}

impl Logs {
    /// The name of one stream's file, and where in it the target's output begins.
    fn of(&self, stream: Stream) -> (&str, u64) {
        match stream {
            Stream::Stdout => (&self.stdout, self.begin.0),
            Stream::Stderr => (&self.stderr, self.begin.1),
        }
    }

    /// Where the file of one stream is, for messages.
    pub fn path(&self, stream: Stream) -> PathBuf {
        self.run_dir.path_of(self.of(stream).0)
    }

    /// A path to the file of one stream that holds as long as the run directory is open, even if that is renamed.
    pub fn pinned(&self, stream: Stream) -> PathBuf {
        self.run_dir.pinned(self.of(stream).0)
    }

    /// Opens the file of one stream to read it, and says where in it the target's output begins.
    pub fn open(&self, stream: Stream) -> std::io::Result<(File, u64)> {
        let (name, begin) = self.of(stream);
        Ok((self.run_dir.read(name)?, begin))
    }
}
