//! A time limit around a step that costs nearly nothing while the answers are quick.
//!
//! A timer per operation would be entered into the runtime's timer wheel and taken out again each time. One
//! timer is kept per worker instead: it is left where it stands while it lies before the present limit, and
//! moved on only when it fires early.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A reusable time limit.
#[derive(Debug, Default)]
pub struct Patience {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// The outcome of `work`, or `None` when it took longer than `limit`.
    pub async fn within<F: Future>(&mut self, limit: Duration, work: F) -> Option<F::Output> {
        let deadline = Instant::now() + limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            while timer.as_mut().poll(context).is_ready() {
                if timer.deadline() >= deadline {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_holds_exactly_whatever_came_before() {
        let mut patience = Patience::default();
        for (limit_ms, work_ms, done) in
            [(100, 50, true), (100, 99, true), (20, 50, false), (1000, 900, true), (10, 20, false), (500, 600, false)]
        {
            let start = Instant::now();
            let limit = Duration::from_millis(limit_ms);
            let outcome = patience.within(limit, tokio::time::sleep(Duration::from_millis(work_ms))).await;
            assert_eq!(outcome.is_some(), done, "{limit_ms} {work_ms}");
            let expected = Duration::from_millis(limit_ms.min(work_ms));
            assert!(start.elapsed().abs_diff(expected) <= Duration::from_millis(1), "{:?}", start.elapsed());
        }
    }
}
