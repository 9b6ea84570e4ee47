//! The Mann-Kendall test against a rising trend.
//!
//! Of all pairs of values, how many rise? Without a trend every order of the values is equally likely, so the
//! number of pairs that do not rise is the number of inversions of a random permutation, and its distribution is
//! known exactly (Mann, *Nonparametric Tests Against Trend*, 1945; Kendall, *Rank Correlation Methods*, 1948;
//! the recursion is Knuth, *The Art of Computer Programming* 3, 5.1.1).
//!
//! A tie counts as a pair that does not rise. That makes the test conservative for quantised values (pages,
//! counts), where it must not take a plateau for a trend.

use super::quantile::normal_below;

/// Longest series for which the exact distribution is used. Past it the normal approximation with continuity
/// correction errs on the safe side, by less than a third of the chance itself down to one in 100,000: the exact
/// distribution has lighter tails. The exact one would cost n^3 / 4 steps.
const EXACT_UP_TO: usize = 120;

/// The chance that values without a trend rise in as many pairs as these or more.
pub fn rising_chance(values: &[f64]) -> f64 {
    chance_of_at_most(values.len(), not_rising_pairs(values))
}

/// How many pairs, earlier and later, do not rise.
fn not_rising_pairs(values: &[f64]) -> u64 {
    values
        .iter()
        .enumerate()
        .map(|(i, early)| values[i + 1..].iter().filter(|late| *late <= early).count() as u64)
        .sum()
}

/// The chance that a random permutation of `n` things has at most `inversions` inversions.
pub fn chance_of_at_most(n: usize, inversions: u64) -> f64 {
    let pairs = pairs(n);
    if inversions >= pairs {
        return 1.0;
    }
    if n > EXACT_UP_TO {
        return approximate(n, inversions);
    }
    // The lower half is summed directly, where every term is positive and growing; the upper half by symmetry.
    if inversions * 2 < pairs { exact(n, inversions) } else { 1.0 - exact(n, pairs - inversions - 1) }
}

fn pairs(n: usize) -> u64 {
    let n = n as u64;
    n * n.saturating_sub(1) / 2
}

/// Dynamic programme over the number of things: the m-th thing adds 0 to m - 1 inversions, each equally likely.
fn exact(n: usize, inversions: u64) -> f64 {
    let most = inversions as usize;
    let mut chances = vec![0.0; most + 1];
    chances[0] = 1.0;
    for m in 2..=n {
        let before = chances.clone();
        let mut window = 0.0;
        for k in 0..=most {
            window += before[k];
            if k >= m {
                window -= before[k - m];
            }
            chances[k] = window / m as f64;
        }
    }
    chances.iter().sum::<f64>().clamp(0.0, 1.0)
}

/// Normal approximation with continuity correction: mean pairs / 2, variance n (n - 1) (2 n + 5) / 72.
fn approximate(n: usize, inversions: u64) -> f64 {
    let n_real = n as f64;
    let deviation = (n_real * (n_real - 1.0) * (2.0 * n_real + 5.0) / 72.0).sqrt();
    normal_below((inversions as f64 + 0.5 - pairs(n) as f64 / 2.0) / deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_table_of_kendalls_statistic_is_met() {
        // Upper tail of S for n = 4..10 (Hollander and Wolfe, table A.30): S = pairs - 2 inversions.
        for (n, s, chance) in [
            (4, 6, 0.042),
            (5, 8, 0.042),
            (6, 11, 0.028),
            (7, 13, 0.035),
            (8, 16, 0.031),
            (9, 18, 0.038),
            (10, 21, 0.036),
        ] {
            let inversions = (pairs(n) - s) / 2;
            assert!((chance_of_at_most(n, inversions) - chance).abs() < 5.1e-4, "n = {n}");
        }
    }

    #[test]
    fn eight_rising_floors_are_the_fewest_that_can_pass() {
        let eight: Vec<f64> = (0..8).map(f64::from).collect();
        assert!((rising_chance(&eight) - 1.0 / 40_320.0).abs() < 1e-12);
        assert!(rising_chance(&eight[..7]) > 1e-3 / 14.0);
    }

    #[test]
    fn ties_do_not_rise() {
        assert_eq!(rising_chance(&[5.0; 30]), 1.0);
        assert_eq!(rising_chance(&[]), 1.0);
    }

    #[test]
    fn the_exact_chance_is_used_up_to_its_limit_and_is_exact_in_the_tail() {
        let n = EXACT_UP_TO;
        for inversions in [2500, 3000, 3500] {
            assert_eq!(chance_of_at_most(n, inversions), exact(n, inversions));
            assert_eq!(chance_of_at_most(n + 1, inversions), approximate(n + 1, inversions));
        }
        // One order in 60 factorial has no inversion; 59 have one.
        let tail = chance_of_at_most(60, 1) / chance_of_at_most(60, 0);
        assert!((tail - 60.0).abs() < 1e-9, "{tail}");
        // Half of the pairs, with half a step of correction for a discrete distribution.
        assert!((exact(8, 13) - approximate(8, 13)).abs() < 0.01);
    }

    #[test]
    fn the_approximation_meets_the_exact_chance_where_it_takes_over() {
        for share in [0.37, 0.38, 0.39, 0.40, 0.42, 0.45, 0.5] {
            let inversions = (pairs(EXACT_UP_TO) as f64 * share) as u64;
            let (exact, near) = (chance_of_at_most(EXACT_UP_TO, inversions), approximate(EXACT_UP_TO, inversions));
            assert!(exact > 1e-6 && near / exact < 1.34, "{share}: {exact} {near}");
            assert!(near > exact * 0.98, "not on the safe side at {share}: {exact} {near}");
        }
    }

    #[test]
    fn the_approximation_has_kendalls_variance_and_is_symmetric() {
        // Ten things: 22.5 inversions on average, with the variance 10 * 9 * 25 / 72 = 31.25. Eleven or fewer are 11 / sqrt(31.25) =
        // 1.9677 deviations below that, half a step counted in: a chance of 0.02455.
        assert!((approximate(10, 11) - 0.024_55).abs() < 1e-5, "{}", approximate(10, 11));
        for inversions in 0..45 {
            let (low, high) = (approximate(10, inversions), approximate(10, 44 - inversions));
            assert!((low + high - 1.0).abs() < 1e-12, "{inversions}");
        }
    }

    fn permutations(n: usize) -> Vec<Vec<f64>> {
        if n == 0 {
            return vec![Vec::new()];
        }
        let with_last = |shorter: Vec<f64>| {
            (0..n).map(move |at| {
                let mut longer = shorter.clone();
                longer.insert(at, n as f64);
                longer
            })
        };
        permutations(n - 1).into_iter().flat_map(with_last).collect()
    }

    proptest::proptest! {
        #[test]
        fn it_is_the_share_of_all_orders(values in proptest::collection::vec(0..5u8, 2..7)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let observed = not_rising_pairs(&values);
            let orders = permutations(values.len());
            let as_extreme = orders.iter().filter(|order| not_rising_pairs(order) <= observed).count();
            let share = as_extreme as f64 / orders.len() as f64;
            proptest::prop_assert!((rising_chance(&values) - share).abs() < 1e-12);
        }
    }
}
