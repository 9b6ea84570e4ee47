//! Judges a made-up run as a running session does: at each look with what there is by then, until one decides.

use tidewatch::growth::{Budget, Collector, Curve, Demand, Growth, Question, Verdict, is_look, judge};

use tidewatch::sample::PAST_CAP;

use super::MadeUp;

/// The verdicts on one run.
pub struct Run {
    /// Of a session that stops at the first look that decides, or of its spent budget.
    pub first: Growth,
    /// Of the whole budget, whatever earlier looks said.
    pub end: Growth,
}

impl Run {
    /// Whether either of the two is this verdict.
    pub fn ever(&self, verdict: Verdict) -> bool {
        self.first.verdict == verdict || self.end.verdict == verdict
    }
}

/// Judges a run look by look.
pub fn judged(made: &MadeUp) -> Run {
    // As a scenario file has it: what goes on to so many operations calls nothing endless before.
    let patient = (made.min_operations > 0.0).then_some((made.min_operations / PAST_CAP) as u64);
    let expect_cap = made.expect_cap.or(patient);
    let question = |budget| Question {
        smallest: made.smallest,
        demand: Demand::Named,
        time_driven: None,
        expect_cap,
        budget,
        collector: Collector::None,
    };
    let end = judge(&made.curve, &question(Budget::Spent));
    let first = (1..=made.cycles)
        .filter(|cycle| is_look(*cycle))
        .map(|cycle| until(&made.curve, cycle))
        .filter(|sofar| sofar.points.last().is_some_and(|now| now.x >= made.min_operations))
        .find_map(|sofar| Some(judge(&sofar, &question(Budget::Open))).filter(Growth::is_decided));
    Run { first: first.unwrap_or_else(|| end.clone()), end }
}

/// What is known of a curve when a cycle has ended.
fn until(curve: &Curve, cycles: u32) -> Curve {
    let points = curve.points.iter().copied().take_while(|point| point.cycle <= cycles).collect();
    Curve { metric: curve.metric.clone(), axis: curve.axis, points, restarts: None }
}
