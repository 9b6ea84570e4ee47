//! A small curve in one line of text, for a table's row.

/// With what a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Unicode blocks.
    Blocks,
    /// Characters that every terminal has.
    Ascii,
}

impl Glyphs {
    const fn steps(self) -> &'static [char] {
        match self {
            Self::Blocks => &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            Self::Ascii => &['_', '.', '-', '=', '+', '*', '#'],
        }
    }
}

/// Draws values in the order of time, `width` characters wide at most. Several values that share a character
/// are shown by their mean. Heights span the larger of the values' range and `least_range`, so that noise
/// below what matters looks flat.
pub fn sparkline(values: &[f64], width: usize, least_range: f64, glyphs: Glyphs) -> String {
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let columns = columns(&values, width);
    let low = columns.iter().copied().fold(f64::INFINITY, f64::min);
    let high = columns.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = (high - low).max(least_range);
    let steps = glyphs.steps();
    let top = (steps.len() - 1) as f64;
    columns
        .iter()
        .map(|value| {
            let share = if range > 0.0 { (value - low) / range } else { 0.0 };
            steps[((share * top).round() as usize).min(steps.len() - 1)]
        })
        .collect()
}

/// The mean of each column; fewer values than columns stay as they are.
fn columns(values: &[f64], width: usize) -> Vec<f64> {
    if values.len() <= width {
        return values.to_vec();
    }
    (0..width)
        .map(|column| {
            let (from, to) = (column * values.len() / width, (column + 1) * values.len() / width);
            let part = &values[from..to.max(from + 1)];
            part.iter().sum::<f64>() / part.len() as f64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_recognised() {
        let rising: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(sparkline(&rising, 8, 0.0, Glyphs::Blocks), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&rising, 4, 0.0, Glyphs::Ascii), "_-+#");
        assert_eq!(sparkline(&[5.0; 4], 10, 0.0, Glyphs::Blocks), "▁▁▁▁");
        assert_eq!(sparkline(&[1.0, 9.0, f64::NAN], 10, 0.0, Glyphs::Ascii), "_#");
        assert_eq!(sparkline(&[], 10, 0.0, Glyphs::Ascii), "");
        assert_eq!(sparkline(&rising, 0, 0.0, Glyphs::Ascii), "");
    }

    #[test]
    fn noise_below_what_matters_looks_flat() {
        assert_eq!(sparkline(&[100.0, 101.0, 100.5], 3, 50.0, Glyphs::Blocks), "▁▁▁");
    }

    proptest::proptest! {
        #[test]
        fn it_is_never_wider_than_asked(values in proptest::collection::vec(-1e300..1e300f64, 0..200), width in 0usize..50) {
            let line = sparkline(&values, width, 1.0, Glyphs::Blocks);
            proptest::prop_assert_eq!(line.chars().count(), values.len().min(width));
        }
    }
}
