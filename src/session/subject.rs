//! The target of a session, however it came about.

use std::time::Duration;

use tokio::sync::watch;

use super::SessionError;
use crate::probe::{ProbeError, Roots, Watcher};
use crate::sample::{Ending, Process};
use crate::target::{LaunchSpec, Launched, Watched, launch};

/// Becomes `Some` when a launched target has put itself into the background.
pub type Background = watch::Receiver<Option<Vec<(Process, String)>>>;

/// How long a program may take to be known to have put itself into the background.
const BACKGROUND_KNOWN_WITHIN: Duration = Duration::from_secs(3);

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
            Self::Launched(launched) => Roots { roots: launched.roots(), guardian: Some(launched.guardian()) },
            Self::Attached(watched) => Roots { roots: watched.iter().map(Watched::process).collect(), guardian: None },
        }
    }

    /// Opens its processes for reading. A program that is just putting itself into the background is waited for.
    pub async fn watcher(&self) -> Result<Watcher, ProbeError> {
        match Watcher::open(self.roots()) {
            Err(ProbeError::Gone(_)) if self.goes_into_background().await => Watcher::open(self.roots()),
            opened => opened,
        }
    }

    async fn goes_into_background(&self) -> bool {
        let Self::Launched(launched) = self else { return false };
        let mut background = launched.background();
        let known = tokio::time::timeout(BACKGROUND_KNOWN_WITHIN, background.wait_for(Option::is_some));
        tokio::select! {
            known = known => known.is_ok_and(|known| known.is_ok()),
            _ = self.ended() => false,
        }
    }

    /// What tells that it went into the background, where it can.
    pub fn background(&self) -> Option<Background> {
        match self {
            Self::Launched(launched) => Some(launched.background()),
            Self::Attached(_) => None,
        }
    }

    /// Resolves when it has ended: all of its roots.
    pub async fn ended(&self) -> Vec<(Process, Ending)> {
        match self {
            Self::Launched(launched) => {
                let ending = launched.end().wait().await;
                vec![(first_of(launched), ending)]
            }
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
                launched.end().ending().map(|ending| (first_of(launched), ending)).into_iter().collect()
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
                let root = first_of(&launched);
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

/// The process that stands for a launched target.
fn first_of(launched: &Launched) -> Process {
    launched.roots().first().copied().unwrap_or_else(|| launched.root())
}
