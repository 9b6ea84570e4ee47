//! What came out for the curves of one class, and how sure that is.

use std::fmt;

use statrs::distribution::{Beta, ContinuousCDF as _};
use tidewatch::growth::{Estimate, Growth, Verdict};

use crate::curves::{MadeUp, Run, Shape, Truth};

/// Confidence of every bound.
const CONFIDENCE: f64 = 0.95;
/// A leak must be found when its true figure is this many times the reported sensitivity.
const TIMES_SENSITIVITY: f64 = 2.0;

/// What the columns are.
pub const LEGEND: &str = "Verdicts first of sessions that stop when they have decided, then of whole budgets. Bounds are \
                          95 %, one-sided. A leak is excused when its figure is below twice the sensitivity of its run. \
                          Covered: intervals that hold the true figure, of leaks found by the session (of all, at the end).";
const VERDICTS: &str = " unb.  bnd.  flat  inc.";
const LEAKS: &str = " | at rest, bound   | excused missed | cycles | covered (at the end)";

/// Verdicts: unbounded, bounded, flat, inconclusive.
#[derive(Clone, Copy, Default)]
struct Verdicts([usize; 4]);

impl Verdicts {
    fn count(&mut self, verdict: Verdict) {
        self.0[match verdict {
            Verdict::Unbounded => 0,
            Verdict::Bounded => 1,
            Verdict::Flat => 2,
            // No curve by itself is told to be retained.
            Verdict::Inconclusive | Verdict::Retained => 3,
        }] += 1;
    }

    fn add(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [unbounded, bounded, flat, inconclusive] = self.0;
        write!(f, "{unbounded:>5} {bounded:>5} {flat:>5} {inconclusive:>5}")
    }
}

/// Intervals that hold the true figure.
#[derive(Clone, Copy, Default)]
struct Share {
    hold: usize,
    of: usize,
}

impl Share {
    fn count(&mut self, interval: Option<Estimate>, rate: f64) {
        if let Some(interval) = interval {
            self.of += 1;
            self.hold += usize::from(interval.low <= rate && rate <= interval.high);
        }
    }

    fn add(&mut self, other: Self) {
        self.hold += other.hold;
        self.of += other.of;
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            0 => write!(f, "-"),
            of => write!(f, "{:.1} % of {of}", 100.0 * self.hold as f64 / of as f64),
        }
    }
}

/// The count of one class, or of several.
pub struct Tally {
    name: &'static str,
    truth: Truth,
    pub curves: usize,
    /// Of a session that stops when it has decided, and of the whole budget.
    session: Verdicts,
    end: Verdicts,
    /// Curves on which either was wrong.
    wrong: usize,
    /// Leaks not found although their figure is twice the sensitivity, and those excused because it is not.
    missed: usize,
    excused: usize,
    /// Of leaks in a line: intervals that hold the true figure where the session found the leak, and over whole
    /// budgets.
    covered: Share,
    covered_at_end: Share,
    /// Cycles to the decision, of those found.
    cycles: Vec<u32>,
    /// What was wrong, and which leaks were missed, with their seeds.
    pub mistakes: Vec<(u64, String)>,
    pub overlooked: Vec<(u64, String)>,
}

impl Tally {
    pub fn new(name: &'static str, truth: Truth) -> Self {
        Self {
            name,
            truth,
            curves: 0,
            session: Verdicts::default(),
            end: Verdicts::default(),
            wrong: 0,
            missed: 0,
            excused: 0,
            covered: Share::default(),
            covered_at_end: Share::default(),
            cycles: Vec::new(),
            mistakes: Vec::new(),
            overlooked: Vec::new(),
        }
    }

    /// Counts one run.
    pub fn count(&mut self, seed: u64, made: &MadeUp, run: &Run) {
        self.curves += 1;
        self.session.count(run.first.verdict);
        self.end.count(run.end.verdict);
        let wrong = match self.truth {
            Truth::Clean => run.ever(Verdict::Unbounded),
            Truth::Leaking => is_rest(run.first.verdict) || is_rest(run.end.verdict),
            Truth::LeakingLate => is_rest(run.end.verdict),
            Truth::Ambiguous => false,
        };
        if wrong {
            self.wrong += 1;
            self.mistakes.push((seed, self.told(seed, made, run)));
        }
        match self.truth {
            Truth::Leaking => self.count_leak(seed, made, run, &run.first),
            Truth::LeakingLate => self.count_leak(seed, made, run, &run.end),
            Truth::Clean | Truth::Ambiguous => {}
        }
    }

    fn count_leak(&mut self, seed: u64, made: &MadeUp, run: &Run, found: &Growth) {
        if let (Shape::Even, Some(rate)) = (made.shape, made.per_op) {
            self.covered_at_end.count(run.end.per_op, rate);
            self.covered.count(found.per_op.filter(|_| found.verdict == Verdict::Unbounded), rate);
        }
        if found.verdict == Verdict::Unbounded {
            self.cycles.extend(found.decided_at);
        } else if made.per_op.zip(found.sensitivity).is_some_and(|(rate, s)| rate < TIMES_SENSITIVITY * s) {
            self.excused += 1;
        } else {
            self.missed += 1;
            self.overlooked.push((seed, self.told(seed, made, run)));
        }
    }

    /// What was said of a run, with the words that show it again.
    fn told(&self, seed: u64, made: &MadeUp, run: &Run) -> String {
        let said = |growth: &Growth| {
            let at = growth.decided_at.map(|cycle| format!(" at cycle {cycle}")).unwrap_or_default();
            format!("{:?}{at}: {}", growth.verdict, growth.reason)
        };
        let (first, end) = (said(&run.first), said(&run.end));
        let later = if first == end { String::new() } else { format!(" | at the end {end}") };
        let rate = made.per_op.map(|rate| format!(", true rate {rate:.3e}")).unwrap_or_default();
        format!("--class {} --seed {seed} ({} cycles{rate}): {first}{later}", self.name, made.cycles)
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: Self) {
        self.curves += other.curves;
        self.session.add(other.session);
        self.end.add(other.end);
        self.wrong += other.wrong;
        self.missed += other.missed;
        self.excused += other.excused;
        self.covered.add(other.covered);
        self.covered_at_end.add(other.covered_at_end);
        self.cycles.extend(other.cycles);
        self.mistakes.extend(other.mistakes);
        self.overlooked.extend(other.overlooked);
    }

    /// Puts what to look at in the order of its seeds.
    pub fn sort(&mut self) {
        self.mistakes.sort();
        self.overlooked.sort();
    }

    /// Clean curves that were called unbounded.
    pub fn false_alarms(&self) -> usize {
        if self.truth == Truth::Clean { self.wrong } else { 0 }
    }

    /// The head of a table.
    pub fn heading(truth: Truth) -> String {
        let (name, more) = match truth {
            Truth::Clean => ("clean", " | false alarms, bound"),
            Truth::Leaking => ("leaking", LEAKS),
            Truth::LeakingLate => ("leaking late", LEAKS),
            Truth::Ambiguous => ("ambiguous", ""),
        };
        format!("{name:<17} curves | {VERDICTS} | {VERDICTS}{more}")
    }

    fn median_cycles(&self) -> Option<u32> {
        let mut cycles = self.cycles.clone();
        cycles.sort_unstable();
        cycles.get(cycles.len() / 2).copied()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<17} {:>6} | {} | {}", self.name, self.curves, self.session, self.end)?;
        if self.truth == Truth::Ambiguous {
            return Ok(());
        }
        write!(f, " | {:>5} {:>9.4} %", self.wrong, 100.0 * upper_bound(self.wrong, self.curves))?;
        if self.truth != Truth::Clean {
            let cycles = self.median_cycles().map_or("-".to_owned(), |cycles| cycles.to_string());
            write!(f, " | {:>7} {:>6} | {cycles:>6}", self.excused, self.missed)?;
            write!(f, " | {} ({})", self.covered, self.covered_at_end)?;
        }
        Ok(())
    }
}

/// The count of one family over time.
pub struct WeekTally {
    name: &'static str,
    truth: Truth,
    verdicts: Verdicts,
    suspected: usize,
    wrong: Vec<u64>,
}

impl WeekTally {
    /// The head of the table.
    pub const HEADING: &str =
        "over time            curves |  unb.  bnd.  flat  inc. | suspected | wrong, and the first seeds";

    pub fn new(name: &'static str, truth: Truth) -> Self {
        Self { name, truth, verdicts: Verdicts::default(), suspected: 0, wrong: Vec::new() }
    }

    /// Counts one curve.
    pub fn count(&mut self, seed: u64, growth: &Growth) {
        self.verdicts.count(growth.verdict);
        self.suspected += usize::from(growth.suspected);
        let is_wrong = match self.truth {
            Truth::Clean => growth.verdict == Verdict::Unbounded,
            Truth::Leaking | Truth::LeakingLate => is_rest(growth.verdict),
            Truth::Ambiguous => false,
        };
        if is_wrong {
            self.wrong.push(seed);
        }
    }

    /// Clean curves that were called unbounded.
    pub fn false_alarms(&self) -> usize {
        if self.truth == Truth::Clean { self.wrong.len() } else { 0 }
    }
}

impl fmt::Display for WeekTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let curves: usize = self.verdicts.0.iter().sum();
        let seeds: Vec<String> = self.wrong.iter().take(5).map(u64::to_string).collect();
        let Self { name, verdicts, suspected, wrong, .. } = self;
        write!(f, "{name:<20} {curves:>6} | {verdicts} | {suspected:>9} | {} {}", wrong.len(), seeds.join(" "))
    }
}

fn is_rest(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Flat | Verdict::Bounded)
}

/// The 95 % upper bound on a share of which `found` were seen in `of` (Clopper and Pearson 1934, one-sided); with none
/// seen it is 1 - .05^(1/n), about 3 / n.
fn upper_bound(found: usize, of: usize) -> f64 {
    if found >= of {
        return 1.0;
    }
    Beta::new(found as f64 + 1.0, (of - found) as f64).map_or(1.0, |beta| beta.inverse_cdf(CONFIDENCE))
}
