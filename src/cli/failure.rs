//! An error on its way out: what a person is told, and the exit code.

use super::outcome;
use crate::exit::ExitCode;

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Failure {
    code: ExitCode,
    error: anyhow::Error,
}

impl Failure {
    /// The words or the file are wrong; nothing was started.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::Usage, error: error.into() }
    }

    /// The target or the machine refused.
    pub fn target(error: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::Target, error: error.into() }
    }

    /// Tells the person and hands out the exit code.
    pub fn tell(self) -> ExitCode {
        outcome::remark(&format!("{:#}", self.error));
        self.code
    }
}
