//! Systems without a guardian: nothing can be launched, which the types say.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{ChildStdin, ExitStatus};
use std::time::Duration;

use super::{EndWatch, GuardianProgram, LaunchSpec, Logs, TargetError};
use crate::sample::{Ending, Process};

/// A launched target: there is none on this system.
#[derive(Debug)]
pub enum Launched {}

/// Always refused on this system.
pub fn launch(_: &LaunchSpec) -> Result<Launched, TargetError> {
    Err(TargetError::Unsupported { what: "launching a target" })
}

#[expect(missing_docs, reason = "documented on Linux, where it exists")]
impl Launched {
    pub fn root(&self) -> Process {
        match *self {}
    }
    pub fn background(&self) -> tokio::sync::watch::Receiver<Option<Vec<(Process, String)>>> {
        match *self {}
    }
    pub fn roots(&self) -> Vec<Process> {
        match *self {}
    }
    pub fn guardian(&self) -> Process {
        match *self {}
    }
    pub fn logs(&self) -> &Logs {
        match *self {}
    }
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        match *self {}
    }
    pub fn end(&self) -> EndWatch {
        match *self {}
    }
    pub fn ending(&self) -> Option<Ending> {
        match *self {}
    }
    pub async fn wait_ended(&self) -> Ending {
        match *self {}
    }
    pub fn orphans(&self) -> Vec<(Process, String)> {
        match *self {}
    }
    pub fn living_orphans(&self) -> Vec<(Process, String)> {
        match *self {}
    }
    pub fn stop(&mut self, _: Duration) -> Ending {
        match *self {}
    }
}

/// The programs that tidewatch runs beside the target: none on this system.
#[derive(Debug)]
pub struct Commands(());

/// The first bytes of what a program writes.
#[derive(Debug, Default)]
pub struct FirstBytes {
    /// How many of each stream are kept.
    pub most: usize,
    /// Of standard output.
    pub out: Vec<u8>,
    /// Of standard error.
    pub err: Vec<u8>,
}

#[expect(missing_docs, reason = "documented on Linux, where it exists")]
impl Commands {
    pub fn new(_: GuardianProgram) -> Self {
        Self(())
    }
    pub async fn run(&self, _: Vec<String>, _: &Path, _: &mut FirstBytes) -> std::io::Result<ExitStatus> {
        Err(ErrorKind::Unsupported.into())
    }
    pub fn end(&self) {}
}
