//! Systems without a guardian: nothing can be launched, which the types say.

use std::process::ChildStdin;
use std::time::Duration;

use super::{EndWatch, LaunchSpec, Logs, TargetError};
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
