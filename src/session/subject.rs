//! The target of a session, however it came about.

use std::time::Duration;

use super::SessionError;
use crate::probe::Roots;
use crate::sample::{Ending, Process};
use crate::target::{LaunchSpec, Launched, Watched, launch};

/// How long a launched target may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// What is watched: launched and ended by us, or running already and never touched.
pub enum Subject {
    /// Ours.
    Launched(Box<Launched>),
    /// Somebody else's: the roots of its trees.
    Attached(Vec<Watched>),
}

impl Subject {
    /// Starts a target.
    pub fn launch(spec: &LaunchSpec) -> Result<Self, SessionError> {
        Ok(Self::Launched(Box::new(launch(spec)?)))
    }

    /// Watches what runs already.
    pub fn attach(roots: &[Process]) -> Result<Self, SessionError> {
        Ok(Self::Attached(roots.iter().map(|root| Watched::attach(*root)).collect::<Result<_, _>>()?))
    }

    /// The processes to read.
    pub fn roots(&self) -> Roots {
        match self {
            Self::Launched(launched) => Roots { roots: vec![launched.root()], guardian: Some(launched.guardian()) },
            Self::Attached(watched) => Roots { roots: watched.iter().map(Watched::process).collect(), guardian: None },
        }
    }

    /// Resolves when it has ended: all of its roots.
    pub async fn ended(&self) -> Vec<(Process, Ending)> {
        match self {
            Self::Launched(launched) => vec![(launched.root(), launched.end().wait().await)],
            Self::Attached(watched) => {
                let mut endings = Vec::new();
                for one in watched {
                    endings.push((one.process(), one.end().wait().await));
                }
                endings
            }
        }
    }

    /// The roots that have ended already.
    pub fn endings(&self) -> Vec<(Process, Ending)> {
        match self {
            Self::Launched(launched) => {
                launched.end().ending().map(|ending| (launched.root(), ending)).into_iter().collect()
            }
            Self::Attached(watched) => {
                watched.iter().filter_map(|one| Some((one.process(), one.end().ending()?))).collect()
            }
        }
    }

    /// Ends what is ours; lets go of what is not.
    pub async fn release(self) -> Vec<(Process, Ending)> {
        match self {
            Self::Launched(mut launched) => {
                let root = launched.root();
                let before = launched.end().ending();
                let stopped = tokio::task::spawn_blocking(move || launched.stop(GRACE)).await;
                match (before, stopped) {
                    (Some(ending), _) | (None, Ok(ending)) => vec![(root, ending)],
                    (None, Err(_)) => Vec::new(),
                }
            }
            Self::Attached(_) => self.endings(),
        }
    }
}
