//! The growth equation and the rate table: what a day of use makes of the growth of one operation.
//!
//! Pure arithmetic. It says how much, never whether: a bounded subsystem is projected no further than its cap.

use std::time::Duration;

use crate::growth::{Estimate, Verdict};
use crate::sample::ProductionRate;
use crate::units::{Rate, Unit};

/// The stretch of time that tables speak of.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Rates for a table where a scenario declares none.
pub const USUAL_RATES: [(&str, f64); 4] =
    [("conservative", 10.0), ("moderate", 100.0), ("heavy", 1_000.0), ("worst", 10_000.0)];

/// The usual rates as declared ones.
pub fn usual_rates() -> Vec<ProductionRate> {
    USUAL_RATES
        .into_iter()
        .map(|(name, per_hour)| ProductionRate { name: name.to_owned(), rate: Rate::per_second(per_hour / 3600.0) })
        .collect()
}

/// What one operation leaves behind in one subsystem.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Which subsystem.
    pub subsystem: String,
    /// What its growth is counted in.
    pub unit: Unit,
    /// Whether it ends.
    pub verdict: Verdict,
    /// How much one operation (or one second, where nothing is driven) leaves behind.
    pub per_op: Estimate,
    /// Where it comes to rest when it is bounded: its whole growth as it was seen.
    pub cap: Option<f64>,
}

/// One row of the growth equation: `count x amount = growth`.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Of which subsystem.
    pub subsystem: String,
    /// What it is counted in.
    pub unit: Unit,
    /// Whether it ends.
    pub verdict: Verdict,
    /// Operations in the stretch of time.
    pub count: f64,
    /// What each leaves behind.
    pub per_op: Estimate,
    /// What they come to.
    pub growth: Estimate,
    /// Whether the cap was reached, and the growth is the cap.
    pub capped: Capped,
}

/// Whether a growth was held at its cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capped {
    /// It is the product.
    No,
    /// It is the cap, which is less than the product; the cap of what is flat is zero.
    AtCap,
}

/// What a cost comes to over a stretch of time at a rate of use.
pub fn term(cost: &Cost, rate: Rate, over: Duration) -> Term {
    let count = rate.as_per_second() * over.as_secs_f64();
    let product = cost.per_op.scaled(count);
    let (growth, capped) = match (cost.verdict, cost.cap) {
        // Nothing that matters was kept: a slope within the noise is not multiplied by a day.
        (Verdict::Flat, _) => (Estimate { value: 0.0, low: 0.0, high: 0.0 }, Capped::AtCap),
        (Verdict::Bounded, Some(cap)) if cap < product.value => {
            (Estimate { value: cap, low: product.low.min(cap), high: product.high.min(cap) }, Capped::AtCap)
        }
        _ => (product, Capped::No),
    };
    Term {
        subsystem: cost.subsystem.clone(),
        unit: cost.unit,
        verdict: cost.verdict,
        count,
        per_op: cost.per_op,
        growth,
        capped,
    }
}

/// The sum of the growths of one unit. The ends of the interval are added up too, so it is rather too wide.
pub fn total<'a>(terms: impl IntoIterator<Item = &'a Term>, unit: Unit) -> Estimate {
    terms.into_iter().filter(|term| term.unit == unit).fold(
        Estimate { value: 0.0, low: 0.0, high: 0.0 },
        |sum, term| Estimate {
            value: sum.value + term.growth.value,
            low: sum.low + term.growth.low,
            high: sum.high + term.growth.high,
        },
    )
}

/// A row of the rate table: one rate of use, and what every cost comes to at it.
#[derive(Clone, Debug, PartialEq)]
pub struct RateRow {
    /// The rate's word: `moderate`.
    pub name: String,
    /// One term per cost, in their order; `None` where the cost's scenario declares no rate of that word.
    pub terms: Vec<Option<Term>>,
}

impl RateRow {
    /// What the row comes to in one unit.
    pub fn total(&self, unit: Unit) -> Estimate {
        total(self.terms.iter().flatten(), unit)
    }
}

/// The rate table: a row for each word that any scenario uses for a rate, in the order of first use.
pub fn rate_table(costs: &[(Cost, &[ProductionRate])], over: Duration) -> Vec<RateRow> {
    let mut names: Vec<&str> = Vec::new();
    for rate in costs.iter().flat_map(|(_, rates)| *rates) {
        if !names.contains(&rate.name.as_str()) {
            names.push(&rate.name);
        }
    }
    let term_at = |name: &str, cost: &Cost, rates: &[ProductionRate]| {
        rates.iter().find(|rate| rate.name == name).map(|rate| term(cost, rate.rate, over))
    };
    names
        .into_iter()
        .map(|name| RateRow {
            name: name.to_owned(),
            terms: costs.iter().map(|(cost, rates)| term_at(name, cost, rates)).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(subsystem: &str, verdict: Verdict, bytes: f64, cap: Option<f64>) -> Cost {
        let per_op = Estimate { value: bytes, low: bytes * 0.9, high: bytes * 1.1 };
        Cost { subsystem: subsystem.into(), unit: Unit::Bytes, verdict, per_op, cap }
    }

    fn per_hour(n: f64) -> Rate {
        Rate::per_second(n / 3600.0)
    }

    #[test]
    fn count_times_bytes_is_growth() {
        // A queue of 500 B items at 100 an hour: 2,400 x 500 B = 1.2 MB a day.
        let queue = term(&cost("WorkQueue", Verdict::Unbounded, 500.0, None), per_hour(100.0), DAY);
        assert!((queue.count - 2_400.0).abs() < 1e-6);
        assert!((queue.growth.value - 1.2e6).abs() < 1.0, "{:?}", queue.growth);
        assert!((queue.growth.low - 1.08e6).abs() < 1.0 && (queue.growth.high - 1.32e6).abs() < 1.0);
        assert_eq!(queue.capped, Capped::No);
    }

    #[test]
    fn a_bounded_subsystem_grows_to_its_cap() {
        let ring = cost("Broadcaster", Verdict::Bounded, 10_000.0, Some(1e7));
        let day = term(&ring, per_hour(1_000.0), DAY);
        assert_eq!((day.growth.value, day.capped), (1e7, Capped::AtCap));
        assert!(day.growth.high <= 1e7 && day.growth.low <= day.growth.high);
        let calm = term(&ring, per_hour(10.0), DAY);
        assert!((calm.growth.value - 2.4e6).abs() < 1.0 && calm.capped == Capped::No);
    }

    #[test]
    fn a_flat_one_is_not_multiplied() {
        let flat = term(&cost("Pool", Verdict::Flat, 0.5, None), per_hour(10_000.0), DAY);
        assert_eq!(flat.growth.value, 0.0);
    }

    #[test]
    fn totals_add_up_per_unit() {
        let fds = Cost { unit: Unit::Count, ..cost("Connections", Verdict::Unbounded, 2.0, None) };
        let terms = [
            term(&cost("A", Verdict::Unbounded, 100.0, None), per_hour(100.0), DAY),
            term(&cost("B", Verdict::Unbounded, 50.0, None), per_hour(100.0), DAY),
            term(&fds, per_hour(100.0), DAY),
        ];
        assert!((total(&terms, Unit::Bytes).value - 360_000.0).abs() < 1e-3);
        assert!((total(&terms, Unit::Count).value - 4_800.0).abs() < 1e-3);
    }

    #[test]
    fn the_rate_table_has_a_row_for_each_word() {
        let usual = usual_rates();
        let own = [ProductionRate { name: "moderate".into(), rate: per_hour(7.0) }];
        let costs = [
            (cost("A", Verdict::Unbounded, 100.0, None), usual.as_slice()),
            (cost("B", Verdict::Unbounded, 1.0, None), own.as_slice()),
        ];
        let rows = rate_table(&costs, DAY);
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["conservative", "moderate", "heavy", "worst"]);
        let shape: Vec<_> = rows.iter().map(|row| row.terms.iter().map(Option::is_some).collect::<Vec<_>>()).collect();
        assert_eq!(shape, [[true, false], [true, true], [true, false], [true, false]]);
        assert!((rows[1].total(Unit::Bytes).value - (240_000.0 + 168.0)).abs() < 1e-3);
    }
}
