//! Waiting for the end of a process, from as many places as need to know.

use tokio::sync::watch;

use crate::sample::{Ending, How};

/// A handle on the end of one process: cheap to clone, asked without blocking or awaited.
#[derive(Clone, Debug)]
pub struct EndWatch(watch::Receiver<Option<Ending>>);

impl EndWatch {
    /// A watch, and what makes it known.
    pub(crate) fn pair() -> (watch::Sender<Option<Ending>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// How it ended, once it has.
    pub fn ending(&self) -> Option<Ending> {
        self.0.borrow().clone()
    }

    /// Waits until it has ended. Needs no particular runtime.
    pub async fn wait(&self) -> Ending {
        let mut receiver = self.0.clone();
        match receiver.wait_for(Option::is_some).await {
            Ok(ending) => ending.clone().unwrap_or_else(unwatched),
            Err(_) => unwatched(),
        }
    }
}

/// What is known when the watching itself was given up.
fn unwatched() -> Ending {
    Ending { how: How::Unknown, expected: false, evidence: vec!["nobody watches this process any more".to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_copy_hears_of_the_end() {
        let (sender, end) = EndWatch::pair();
        let copy = end.clone();
        assert_eq!(end.ending(), None);
        let waiting = tokio::spawn(async move { copy.wait().await });
        let ending = Ending { how: How::Exited(3), expected: false, evidence: Vec::new() };
        sender.send_replace(Some(ending.clone()));
        drop(sender);
        assert_eq!(waiting.await.expect("task"), ending);
        assert_eq!(end.wait().await, ending);
        assert_eq!(end.ending(), Some(ending));
    }

    #[tokio::test]
    async fn a_watch_that_was_given_up_does_not_hang() {
        let (sender, end) = EndWatch::pair();
        drop(sender);
        assert_eq!(end.wait().await.how, How::Unknown);
    }
}
