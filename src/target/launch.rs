//! What is to be started, and where its output goes.

use std::fmt;
use std::path::PathBuf;

/// A target to start.
#[derive(Clone, Debug)]
pub struct LaunchSpec {
    /// The program and its arguments. A program path with a slash is taken from `cwd`.
    pub argv: Vec<String>,
    /// The folder to start it in; ours when not given.
    pub cwd: Option<PathBuf>,
    /// Added to our own environment.
    pub env: Vec<(String, String)>,
    /// The run folder: its output is appended to files in it.
    pub run_dir: PathBuf,
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
    pub fn new(argv: Vec<String>, run_dir: impl Into<PathBuf>) -> Self {
        Self {
            argv,
            cwd: None,
            env: Vec::new(),
            run_dir: run_dir.into(),
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

/// The files that hold what a target wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// Standard output.
    pub stdout: PathBuf,
    /// Standard error.
    pub stderr: PathBuf,
    /// Where in them this target's own output begins: what stood there before is kept.
    pub begin: (u64, u64),
}

impl Logs {
    /// The file of one stream, and where in it the target's output begins.
    pub fn of(&self, stream: Stream) -> (&PathBuf, u64) {
        match stream {
            Stream::Stdout => (&self.stdout, self.begin.0),
            Stream::Stderr => (&self.stderr, self.begin.1),
        }
    }
}
