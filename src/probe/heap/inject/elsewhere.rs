//! Where the sampler does not work, every process is refused.

use std::convert::Infallible;
use std::time::Duration;

use super::refusal::{Refusal, Seccomp};
use super::{HeapTable, InjectError};
use crate::sample::Process;

/// A sampler at work in a process that was running already: never here.
#[derive(Debug)]
pub struct Injected {
    /// What it records.
    pub table: HeapTable,
    /// The longest time that a thread was held for it.
    pub pause: Duration,
    /// How many times a thread was stopped until one was at a safe place.
    pub threads_tried: u32,
    never: Infallible,
}

/// Refuses.
///
/// # Errors
///
/// Always.
pub fn inject(_: Process, _: u64, _: Seccomp) -> Result<Injected, InjectError> {
    Err(Refusal::Unsupported.into())
}

impl Injected {
    /// There is none.
    ///
    /// # Errors
    ///
    /// None.
    pub fn follow(&mut self) -> Result<Option<Duration>, InjectError> {
        match self.never {}
    }

    /// There is none.
    ///
    /// # Errors
    ///
    /// None.
    pub fn detach(self) -> Result<Duration, InjectError> {
        match self.never {}
    }
}
