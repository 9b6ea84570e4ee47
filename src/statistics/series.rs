//! Plain measures of a series in the order of time.

/// At each place, the lowest value from there to the end: what is never given back. It never falls.
pub fn suffix_minima(values: &[f64]) -> Vec<f64> {
    let mut minima = values.to_vec();
    for i in (1..minima.len()).rev() {
        minima[i - 1] = minima[i - 1].min(minima[i]);
    }
    minima
}

/// The largest fall from a value to a later one; 0 where nothing falls.
pub fn largest_drawdown(values: &[f64]) -> f64 {
    let mut highest = f64::NEG_INFINITY;
    values.iter().fold(0.0, |worst: f64, &value| {
        highest = highest.max(value);
        worst.max(highest - value)
    })
}

/// The minima of `blocks` parts of nearly equal length, in order; `None` with fewer values than blocks.
pub fn block_minima(values: &[f64], blocks: usize) -> Option<Vec<f64>> {
    if blocks == 0 || values.len() < blocks {
        return None;
    }
    let border = |block: usize| block * values.len() / blocks;
    Some((0..blocks).map(|block| minimum(&values[border(block)..border(block + 1)])).collect())
}

/// The lowest value; infinity where there is none.
pub fn minimum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Correlation of each value with the one after it; 0 where nothing varies.
pub fn lag_one_autocorrelation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let together: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    let correlation = together / spread;
    if correlation.is_finite() { correlation } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_and_autocorrelation_of_small_series() {
        assert_eq!(block_minima(&[3.0, 1.0, 5.0, 4.0, 9.0], 2), Some(vec![1.0, 4.0]));
        assert_eq!(block_minima(&[3.0], 2), None);
        assert_eq!(block_minima(&[3.0], 0), None);
        assert_eq!(block_minima(&[3.0, 1.0], 2), Some(vec![3.0, 1.0]));
        assert_eq!(lag_one_autocorrelation(&[11.0, 9.0, 11.0, 9.0]), -0.75);
        assert_eq!(lag_one_autocorrelation(&[1.0, -1.0, 1.0, -1.0]), -0.75);
        assert_eq!(lag_one_autocorrelation(&[2.0; 5]), 0.0);
        assert_eq!(lag_one_autocorrelation(&[]), 0.0);
    }

    proptest! {
        #[test]
        fn suffix_minima_are_the_minima_of_suffixes(values in proptest::collection::vec(-1e9..1e9f64, 0..30)) {
            for (i, low) in suffix_minima(&values).into_iter().enumerate() {
                prop_assert_eq!(low, minimum(&values[i..]));
            }
        }

        #[test]
        fn the_drawdown_is_the_worst_pair(values in proptest::collection::vec(-1e9..1e9f64, 0..30)) {
            let mut worst = 0.0f64;
            for j in 0..values.len() { for i in 0..j { worst = worst.max(values[i] - values[j]); } }
            prop_assert_eq!(largest_drawdown(&values), worst);
        }
    }
}
