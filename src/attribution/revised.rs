//! What the evidence of the heap changes in the verdicts on memory.
//!
//! A curve of private memory cannot tell what the program holds from what its allocator retains, nor garbage that waits for a
//! collection from memory that no collector knows. Where live blocks were sampled, they can.

use super::heap::HeapFinding;
use crate::growth::{Growth, Verdict};
use crate::sample::Metric;
use crate::units::show_bytes;

/// How much more than private memory a metric may grow by and still rise with it: the noise of load on top of the floors.
const WITH_IT: f64 = 1.25;

/// Whether a metric grows by no more than private memory does.
pub(super) fn rises_with(growth: &Growth, private: &Growth) -> bool {
    growth.per_op.zip(private.per_op).is_some_and(|(growth, private)| growth.value <= WITH_IT * private.high)
}

/// Growth of private memory that is not ruled out becomes `retained` where the allocator is known to hold it, and so does what rises
/// with it.
pub(super) fn mark_retained(growths: &mut [Growth], heap: &HeapFinding) {
    let grows = |growth: &Growth| matches!(growth.verdict, Verdict::Unbounded | Verdict::Inconclusive);
    let Some(private) = growths.iter().find(|growth| growth.metric == Metric::Private).filter(|it| grows(it)).cloned()
    else {
        return;
    };
    if !heap.is_retained() {
        return;
    }
    let why = format!("live heap is {}, so what grows is retained by the allocator and no leak", heap.at_rest());
    for growth in growths.iter_mut().filter(|growth| grows(growth)) {
        let is_it = match growth.metric {
            Metric::Private => true,
            Metric::Peak | Metric::Rss => rises_with(growth, &private),
            _ => false,
        };
        if is_it {
            (growth.verdict, growth.suspected, growth.more_cycles) = (Verdict::Retained, false, None);
            growth.reason = format!("{why}; {}", growth.reason);
        }
    }
}

/// Growth of memory that was held back because no collection was seen stands: blocks that no collector frees are most of it.
pub(super) fn judge_without_collections(
    growths: &mut [Growth],
    heap: &HeapFinding,
    judge_anew: impl Fn(&Metric) -> Option<Growth>,
) {
    for growth in growths.iter_mut().filter(|growth| growth.suspected) {
        if let Some(mut anew) = judge_anew(&growth.metric).filter(|anew| anew.verdict == Verdict::Unbounded) {
            anew.reason = format!(
                "live blocks outside the managed heap grew by at least {}, which no collection takes back; {}",
                show_bytes(heap.uncollected),
                anew.reason
            );
            *growth = anew;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::tests::heap_at_rest;
    use crate::attribution::tests::made_up::judged;
    use crate::growth::Estimate;

    fn rising(metric: Metric, per_op: f64) -> Growth {
        let mut growth = judged(metric, Verdict::Unbounded, &[0.0, 1000.0 * per_op]);
        growth.per_op = Some(Estimate { value: per_op, low: 0.9 * per_op, high: 1.1 * per_op });
        growth
    }

    #[test]
    fn what_rises_with_retained_memory_is_retained_with_it() {
        let heap = heap_at_rest();
        let mut growths: Vec<Growth> = [
            (Metric::Private, 100.0),
            (Metric::Rss, WITH_IT * (1.1 * 100.0)),
            // More than a quarter above the most that private memory grows by.
            (Metric::Peak, 138.0),
            (Metric::Shared, 50.0),
            (Metric::Fds, 1.0),
        ]
        .map(|(metric, per_op)| rising(metric, per_op))
        .into();
        growths.push(Growth {
            verdict: Verdict::Inconclusive,
            suspected: true,
            more_cycles: Some(5),
            ..rising(Metric::Rss, 9.0)
        });
        growths.push(Growth { verdict: Verdict::Flat, ..rising(Metric::Rss, 9.0) });
        mark_retained(&mut growths, &heap);
        let seen: Vec<_> =
            growths.iter().map(|growth| (growth.verdict, growth.suspected, growth.more_cycles)).collect();
        let retained = (Verdict::Retained, false, None);
        let endless = (Verdict::Unbounded, false, None);
        assert_eq!(seen, [retained, retained, endless, endless, endless, retained, (Verdict::Flat, false, None)]);
        assert!(growths[1].reason.starts_with("live heap is flat, so what grows is retained"), "{}", growths[1].reason);
    }

    #[test]
    fn memory_at_rest_is_not_retained() {
        let heap = heap_at_rest();
        for (verdict, suspected, expected) in [
            (Verdict::Inconclusive, true, Verdict::Retained),
            (Verdict::Inconclusive, false, Verdict::Retained),
            (Verdict::Flat, false, Verdict::Flat),
            (Verdict::Bounded, false, Verdict::Bounded),
        ] {
            let mut growths =
                [Growth { verdict, suspected, ..rising(Metric::Private, 100.0) }, rising(Metric::Rss, 90.0)];
            mark_retained(&mut growths, &heap);
            let of_rss = if expected == Verdict::Retained { expected } else { Verdict::Unbounded };
            assert_eq!([growths[0].verdict, growths[1].verdict], [expected, of_rss]);
        }
    }
}
