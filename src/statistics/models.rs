//! Which shape a rise has: one that slows down, or one that goes on.
//!
//! Two families are fitted by least squares, in closed form over a grid of their one bent parameter, and compared
//! by AICc (Akaike 1974; the small-sample term is Hurvich and Tsai, *Regression and Time Series Model Selection in
//! Small Samples*, 1989; Burnham and Anderson 2002 give the reading of a difference of 2).
//!
//! Slowing: `a + b (1 - exp(-u / c))`, `a + b min(u, c)`, `a + b ln(u + c)`.
//! Steady: `a + b u`, `a + b u + c u^2` with c >= 0, `a + b u + c max(0, u - h)` with an end slope that is left.

/// How finely the bent parameter is searched.
const GRID: usize = 24;

/// What a fitted shape came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Which shape.
    pub shape: Shape,
    /// Its corrected information criterion: lower is better.
    pub aicc: f64,
    /// Its slope at the end as a share of its average slope.
    pub end_share: f64,
}

/// The shapes compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A filling that approaches a level.
    Saturating,
    /// A straight rise up to a cap.
    Hinge,
    /// Growth by the logarithm.
    Logarithm,
    /// A straight line.
    Line,
    /// A line that bends upwards.
    Convex,
    /// Two slopes, the later one still rising.
    Broken,
}

impl Shape {
    /// What a person calls it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Saturating => "a filling that approaches a level",
            Self::Hinge => "a rise that has stopped",
            Self::Logarithm => "growth by the logarithm",
            Self::Line => "a straight line",
            Self::Convex => "a rise that bends upwards",
            Self::Broken => "two slopes, the later one still rising",
        }
    }
}

/// The best of each family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The best shape that slows down, where one rises at all.
    pub slowing: Option<Fit>,
    /// The best shape that goes on.
    pub steady: Fit,
}

/// Fits both families. `resolution` is the step in which `y` is measured: no fit is believed to be closer than its
/// rounding noise. `least_end_share` is what a broken line must keep of its average slope to count as steady.
pub fn compare(x: &[f64], y: &[f64], resolution: f64, least_end_share: f64) -> Option<Comparison> {
    let series = Series::new(x, y, resolution)?;
    let slowing = series.slowing().into_iter().flatten().min_by(|a, b| a.aicc.total_cmp(&b.aicc));
    let steady = series.steady(least_end_share).into_iter().flatten().min_by(|a, b| a.aicc.total_cmp(&b.aicc))?;
    Some(Comparison { slowing, steady })
}

/// The series on an axis from 0 to 1, with what all fits share.
struct Series<'a> {
    u: Vec<f64>,
    y: &'a [f64],
    /// Where the axis' own zero lies in units of `u`: at or below 0.
    zero: f64,
    least_variance: f64,
}

/// A basis function at the places of a series, centred.
struct Basis(Vec<f64>);

impl Basis {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        values.iter_mut().for_each(|value| *value -= mean);
        Self(values)
    }

    fn dot(&self, other: &Self) -> f64 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }
}

impl<'a> Series<'a> {
    fn new(x: &[f64], y: &'a [f64], resolution: f64) -> Option<Self> {
        let n = x.len().min(y.len());
        // A broken line has five parameters; AICc needs two values more than that.
        let (&first, &last) = (x.first()?, x[..n].last()?);
        let range = last - first;
        if n < 7 || range <= 0.0 || !range.is_finite() {
            return None;
        }
        let u = x[..n].iter().map(|x| (x - first) / range).collect();
        Some(Self { u, y: &y[..n], zero: -(first / range).max(0.0), least_variance: resolution.powi(2) / 12.0 })
    }

    fn aicc(&self, squares: f64, parameters: f64) -> f64 {
        let n = self.u.len() as f64;
        let variance = (squares / n).max(self.least_variance).max(f64::MIN_POSITIVE);
        n * variance.ln() + 2.0 * parameters + 2.0 * parameters * (parameters + 1.0) / (n - parameters - 1.0)
    }

    /// Least squares on one basis function: its factor and the squares left.
    fn fit_one(&self, basis: impl Fn(f64) -> f64) -> Option<(f64, f64)> {
        let (g, y) = (Basis::new(self.u.iter().map(|&u| basis(u))), self.values());
        let gg = g.dot(&g);
        if gg <= 0.0 {
            return None;
        }
        let factor = g.dot(&y) / gg;
        let squares = g.0.iter().zip(&y.0).map(|(g, y)| (y - factor * g).powi(2)).sum();
        Some((factor, squares))
    }

    /// Least squares on the axis and one more basis function.
    fn fit_with_line(&self, basis: impl Fn(f64) -> f64) -> Option<(f64, f64, f64)> {
        let (g, u, y) =
            (Basis::new(self.u.iter().map(|&u| basis(u))), Basis::new(self.u.iter().copied()), self.values());
        let (uu, ug, gg) = (u.dot(&u), u.dot(&g), g.dot(&g));
        let determinant = uu * gg - ug * ug;
        if determinant <= 1e-12 * uu * gg || determinant.is_nan() {
            return None;
        }
        let (uy, gy) = (u.dot(&y), g.dot(&y));
        let (b, c) = ((uy * gg - gy * ug) / determinant, (gy * uu - uy * ug) / determinant);
        let squares = (0..y.0.len()).map(|i| (y.0[i] - b * u.0[i] - c * g.0[i]).powi(2)).sum();
        Some((b, c, squares))
    }

    fn values(&self) -> Basis {
        Basis::new(self.y.iter().copied())
    }

    /// Shapes that slow down: grid over their one bent parameter, four parameters with the noise.
    fn slowing(&self) -> Vec<Option<Fit>> {
        let mut fits = Vec::new();
        for i in 0..GRID {
            let share = i as f64 / (GRID - 1) as f64;
            // Time constants from 1/30 of the range to 3 ranges, evenly by their logarithm.
            let constant = (1.0 / 30.0) * 90f64.powf(share);
            let rise = 1.0 - (-1.0 / constant).exp();
            let end = (-1.0 / constant).exp() / constant / rise;
            fits.push(self.slowing_fit(Shape::Saturating, |u| 1.0 - (-u / constant).exp(), end));
            let cap = 0.05 + 0.9 * share;
            fits.push(self.slowing_fit(Shape::Hinge, |u| u.min(cap), 0.0));
        }
        // The logarithm counts from the axis' zero, or from a little to well after it.
        for offset in [0.003, 0.01, 0.03, 0.1, 0.3, 1.0] {
            let shifted = |u: f64| u - self.zero + offset;
            let end = 1.0 / shifted(1.0) / (shifted(1.0) / shifted(0.0)).ln();
            fits.push(self.slowing_fit(Shape::Logarithm, |u| shifted(u).ln(), end));
        }
        fits
    }

    fn slowing_fit(&self, shape: Shape, basis: impl Fn(f64) -> f64, end_share: f64) -> Option<Fit> {
        let (factor, squares) = self.fit_one(basis)?;
        (factor > 0.0).then(|| Fit { shape, aicc: self.aicc(squares, 4.0), end_share })
    }

    fn steady(&self, least_end_share: f64) -> Vec<Option<Fit>> {
        let line = self.fit_one(|u| u).map(|(_, squares)| Fit {
            shape: Shape::Line,
            aicc: self.aicc(squares, 3.0),
            end_share: 1.0,
        });
        let convex = self.fit_with_line(|u| u * u).filter(|&(_, c, _)| c >= 0.0).map(|(b, c, squares)| Fit {
            shape: Shape::Convex,
            aicc: self.aicc(squares, 4.0),
            end_share: (b + 2.0 * c) / (b + c),
        });
        let mut fits = vec![line, convex];
        for i in 0..GRID {
            let bend = 0.05 + 0.9 * i as f64 / (GRID - 1) as f64;
            fits.push(self.fit_with_line(|u| (u - bend).max(0.0)).and_then(|(b, c, squares)| {
                let (end, average) = (b + c, b + c * (1.0 - bend));
                (average > 0.0 && end > least_end_share * average).then(|| Fit {
                    shape: Shape::Broken,
                    aicc: self.aicc(squares, 5.0),
                    end_share: end / average,
                })
            }));
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(curve: impl Fn(f64) -> f64) -> Comparison {
        let x: Vec<f64> = (1..=40).map(f64::from).collect();
        // A fixed wobble of half a unit, so that no fit is perfect.
        let y: Vec<f64> = x.iter().enumerate().map(|(i, &x)| curve(x) + ((i * 7 % 5) as f64 - 2.0) / 4.0).collect();
        compare(&x, &y, 1.0, 0.35).expect("enough points")
    }

    #[test]
    fn the_shape_that_made_the_curve_wins() {
        let slows = |comparison: Comparison| {
            comparison.slowing.filter(|slow| slow.aicc + 2.0 < comparison.steady.aicc).map(|slow| slow.shape)
        };
        assert_eq!(slows(of(|x| 5.0 * x)), None);
        assert_eq!(slows(of(|x| x * x)), None);
        assert_eq!(slows(of(|x| 5.0 * x + 3.0 * (x - 20.0).max(0.0))), None);
        assert_eq!(slows(of(|x| 100.0 * (1.0 - (-x / 8.0).exp()))), Some(Shape::Saturating));
        assert_eq!(slows(of(|x| 9.0 * x.min(21.0))), Some(Shape::Hinge));
        assert_eq!(slows(of(|x| 60.0 * x.ln())), Some(Shape::Logarithm));
    }

    #[test]
    fn the_end_share_is_that_of_the_curve() {
        let slowing = |curve: fn(f64) -> f64| of(curve).slowing.map(|fit| (fit.shape, fit.end_share));
        let steady = |curve: fn(f64) -> f64| Some((of(curve).steady.shape, of(curve).steady.end_share));
        // The slope at x = 40 by the average slope from 1 on, by hand.
        for (found, shape, share) in [
            (slowing(|x| 100.0 * (1.0 - (-x / 8.0).exp())), Shape::Saturating, 0.0375),
            (slowing(|x| 9.0 * x.min(21.0)), Shape::Hinge, 0.0),
            (slowing(|x| 60.0 * x.ln()), Shape::Logarithm, 0.264),
            (steady(|x| 5.0 * x), Shape::Line, 1.0),
            (steady(|x| x * x), Shape::Convex, 1.951),
            (steady(|x| 5.0 * x + 3.0 * (x - 20.0).max(0.0)), Shape::Broken, 1.224),
            (steady(|x| 5.0 * x - 3.0 * (x - 20.0).max(0.0)), Shape::Broken, 0.565),
            (steady(|x| x + 20.0 * (x - 36.0).max(0.0)), Shape::Broken, 6.88),
            (steady(|x| 60.0 * x - 40.0 * (x - 3.5).max(0.0)), Shape::Broken, 0.886),
        ] {
            let (found, end_share) = found.expect("a fit");
            assert_eq!(found, shape);
            assert!((end_share - share).abs() <= share * 0.25, "{shape:?}: {end_share} for {share}");
        }
        // A line that keeps too little of its slope, and lines that fall, are no broken lines that go on.
        assert!(of(|x| 5.0 * x - 4.5 * (x - 20.0).max(0.0)).steady.end_share > 0.35);
        assert_eq!(of(|x| -5.0 * x - 3.0 * (x - 20.0).max(0.0)).steady.shape, Shape::Line);
        assert_eq!(
            compare(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3.0; 7], 1.0, 0.35).and_then(|both| both.slowing),
            None
        );
    }

    #[test]
    fn a_curve_of_either_family_is_met_exactly_up_to_the_ends_of_the_grid() {
        // The axis from 0 to 1 is 200 to 300 here; 12 of 23 steps is in the middle of the grid.
        type Curve = Box<dyn Fn(f64) -> f64>;
        let filling = |constant: f64| -> Curve { Box::new(move |u: f64| 1.0 - (-u / constant).exp()) };
        let capped = |cap: f64| -> Curve { Box::new(move |u: f64| u.min(cap)) };
        let bent = |bend: f64| -> Curve { Box::new(move |u: f64| u + 2.0 * (u - bend).max(0.0)) };
        // The share of the last slope: exp(-1/c) / c over 1 - exp(-1/c), and (1 + 2) / (1 + 2 (1 - bend)).
        let cases: [(Curve, Shape, f64); 9] = [
            (filling(1.0 / 30.0), Shape::Saturating, 0.0),
            (filling(90f64.powf(12.0 / 23.0) / 30.0), Shape::Saturating, 0.172_803_450_6),
            (filling(3.0), Shape::Saturating, 0.842_575_491_1),
            (capped(0.05), Shape::Hinge, 0.0),
            (capped(0.05 + 0.9 * 12.0 / 23.0), Shape::Hinge, 0.0),
            (capped(0.95), Shape::Hinge, 0.0),
            (bent(0.05), Shape::Broken, 3.0 / 2.9),
            (bent(0.05 + 0.9 * 12.0 / 23.0), Shape::Broken, 1.529_933_481_2),
            (bent(0.95), Shape::Broken, 3.0 / 1.1),
        ];
        let x: Vec<f64> = (200..=300).map(f64::from).collect();
        for (curve, shape, end_share) in cases {
            let y: Vec<f64> = x.iter().map(|x| 7.0 + 1e4 * curve((x - 200.0) / 100.0)).collect();
            let found = compare(&x, &y, 1e-3, 0.35).expect("enough points");
            let fit = if shape == Shape::Broken { Some(found.steady) } else { found.slowing };
            let fit = fit.filter(|fit| fit.shape == shape).unwrap_or_else(|| panic!("{shape:?}: {found:?}"));
            let exact =
                Series::new(&x, &y, 1e-3).expect("enough").aicc(0.0, if shape == Shape::Broken { 5.0 } else { 4.0 });
            assert!((fit.aicc - exact).abs() < 1e-6, "{shape:?}: {fit:?} is not {exact}");
            assert!((fit.end_share - end_share).abs() < 1e-6, "{fit:?} is not {end_share}");
        }
    }

    #[test]
    fn logarithms_count_from_the_zero_of_the_axis() {
        let share = |from: i32, shift: f64| {
            let x: Vec<f64> = (from..from + 40).map(f64::from).collect();
            let y: Vec<f64> = x.iter().map(|x| 2000.0 * (x + shift).ln()).collect();
            let slowing = compare(&x, &y, 1.0, 0.35).and_then(|both| both.slowing).expect("it slows down");
            assert_eq!(slowing.shape, Shape::Logarithm);
            slowing.end_share
        };
        assert!((share(20, 0.0) - 0.611).abs() < 0.02, "{}", share(20, 0.0));
        assert!((share(0, 1.2) - 0.276).abs() < 0.02, "{}", share(0, 1.2));
    }

    #[test]
    fn the_criterion_is_that_of_hurvich_and_tsai() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let (fine, coarse) = (Series::new(&x, &x, 0.001).expect("enough"), Series::new(&x, &x, 6.0).expect("enough"));
        for (found, expected) in [
            // 10 ln(0.5) + 6 + 24 / 6, 10 ln(0.5) + 8 + 40 / 5, and 36 / 12 for the variance of rounding to 6.
            (fine.aicc(5.0, 3.0), 3.068_528_194_4),
            (fine.aicc(5.0, 4.0), 9.068_528_194_4),
            (coarse.aicc(5.0, 3.0), 20.986_122_886_7),
        ] {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn least_squares_find_the_coefficients_or_nothing() {
        let x: Vec<f64> = (0..10).map(|i| f64::from(i) / 9.0).collect();
        let y: Vec<f64> = x.iter().map(|u| 3.0 + 2.0 * u + 5.0 * u * u).collect();
        let series = Series::new(&x, &y, 0.001).expect("enough");
        let (b, c, squares) = series.fit_with_line(|u| u * u).expect("spread");
        assert!((b - 2.0).abs() < 1e-9 && (c - 5.0).abs() < 1e-9 && squares < 1e-18, "{b} {c} {squares}");
        assert_eq!((series.fit_one(|_| 3.0), series.fit_with_line(|_| 3.0)), (None, None), "constants");
        assert_eq!(series.fit_with_line(|_| f64::NAN), None);
        for scale in 1..100 {
            assert_eq!(series.fit_with_line(|u| 1e8 / 7.0 * f64::from(scale) * u + 0.1), None, "the line once more");
        }
    }

    #[test]
    fn shapes_have_names_of_their_own() {
        let shapes = [Shape::Saturating, Shape::Hinge, Shape::Logarithm, Shape::Line, Shape::Convex, Shape::Broken];
        let names: std::collections::HashSet<&str> = shapes.iter().map(|shape| shape.noun()).collect();
        assert!(names.len() == shapes.len() && !names.contains(""));
    }

    #[test]
    fn too_little_to_compare_is_none() {
        assert_eq!(compare(&[1.0, 2.0], &[1.0, 2.0], 1.0, 0.35), None);
        assert_eq!(compare(&[1.0; 20], &[1.0; 20], 1.0, 0.35), None);
        let seven = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert!(compare(&seven, &seven, 1.0, 0.35).is_some());
        assert_eq!(compare(&seven[..6], &seven, 1.0, 0.35), None);
    }

    proptest! {
        #[test]
        fn the_closed_form_is_the_least_of_all_lines(
            y in proptest::collection::vec(-100.0..100.0f64, 7..20), nudge in -5.0..5.0f64,
        ) {
            let x: Vec<f64> = (0..y.len()).map(|i| i as f64).collect();
            let series = Series::new(&x, &y, 1.0).expect("enough");
            let (factor, squares) = series.fit_one(|u| u).expect("spread");
            let (u, centred) = (Basis::new(series.u.iter().copied()), series.values());
            let other: f64 = u.0.iter().zip(&centred.0).map(|(u, y)| (y - (factor + nudge) * u).powi(2)).sum();
            prop_assert!(squares <= other + 1e-6);
            let (b, c, both) = series.fit_with_line(|u| u * u).expect("spread");
            prop_assert!(both <= squares + 1e-6, "{} {} {} {}", b, c, both, squares);
        }
    }
}
