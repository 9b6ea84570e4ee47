//! Curves over time whose answer is plain to the eye.

use super::super::{Axis, Curve, Growth, Point, Question, Verdict, judge};
use crate::sample::{Metric, Phase};

const MIB: f64 = 1024.0 * 1024.0;
const DAY: f64 = 86_400.0;

/// A sample every ten minutes over so many days, with noise of half a MiB that repeats the same way.
fn curve(days: f64, value: impl Fn(f64) -> f64) -> Curve {
    let noise = |n: usize| ((n * 7919 % 97) as f64 / 97.0 - 0.5) * MIB;
    let point = |n: usize| {
        let t = n as f64 * 600.0;
        Point {
            t: 1.7e9 + t,
            x: t,
            value: 300.0 * MIB + value(t / DAY) * MIB + noise(n),
            cycle: 0,
            phase: Some(Phase::Load),
        }
    };
    let mut curve = Curve {
        metric: Metric::Private,
        axis: Axis::Seconds,
        points: (0..(days * DAY / 600.0) as usize).map(point).collect(),
    };
    curve.cut_into_windows();
    curve
}

fn judged(curve: &Curve) -> Growth {
    judge(curve, &Question::about(curve, None))
}

fn days_after_begin(growth: &Growth) -> f64 {
    (growth.since.expect("a moment") - 1.7e9) / DAY
}

#[test]
fn a_leak_that_begins_late_is_found_with_its_begin() {
    let growth = judged(&curve(7.0, |day| 60.0 * (day - 5.0).max(0.0)));
    assert_eq!(growth.verdict, Verdict::Unbounded, "{}", growth.reason);
    assert!((days_after_begin(&growth) - 5.0).abs() < 0.3, "{:?}", growth.since);
    let per_hour = growth.per_hour.expect("a rate").value / MIB * 24.0;
    assert!((per_hour - 60.0).abs() < 6.0, "{per_hour} MiB a day");
    assert!(growth.reason.starts_with("grows without end since 5 d"), "{}", growth.reason);
}

#[test]
fn a_late_jump_is_neither_rest_nor_a_leak() {
    for at in [4.8, 5.5, 6.5] {
        let growth = judged(&curve(7.0, |day| if day > at { 80.0 } else { 0.0 }));
        assert_eq!(growth.verdict, Verdict::Inconclusive, "at {at}: {}", growth.reason);
        assert!((days_after_begin(&growth) - at).abs() < 0.1, "at {at}: {:?}", growth.since);
        assert!(growth.reason.contains("rose by 8") && growth.reason.contains("watch on"), "{}", growth.reason);
    }
}

#[test]
fn an_early_jump_is_bounded() {
    let growth = judged(&curve(7.0, |day| if day > 2.0 { 80.0 } else { 0.0 }));
    assert_eq!(growth.verdict, Verdict::Bounded, "{}", growth.reason);
}

#[test]
fn a_late_rise_that_is_short_is_suspected() {
    let growth = judged(&curve(7.0, |day| 400.0 * (day - 6.8).max(0.0)));
    assert_eq!((growth.verdict, growth.suspected), (Verdict::Inconclusive, true), "{}", growth.reason);
    assert!(days_after_begin(&growth) > 6.5, "{:?}", growth.since);
}

#[test]
fn a_peak_that_comes_back_every_day_is_rest_wherever_the_file_ends() {
    for days in [3.0, 5.2, 6.5, 6.75, 7.0] {
        let wave = curve(days, |day| 80.0 * (std::f64::consts::TAU * (day - days)).cos());
        assert_eq!(judged(&wave).verdict, Verdict::Flat, "{days} days: {}", judged(&wave).reason);
    }
}

#[test]
fn a_leak_under_a_daily_wave_is_found() {
    let growth = judged(&curve(7.0, |day| 12.0 * day + 80.0 * (std::f64::consts::TAU * day).cos()));
    assert_eq!(growth.verdict, Verdict::Unbounded, "{}", growth.reason);
    let rate = growth.per_hour.expect("a rate");
    let day = |per_hour: f64| per_hour / MIB * 24.0;
    assert!(day(rate.low) < 12.0 && day(rate.high) > 12.0, "{rate:?}");
    assert!(growth.reason.contains("a daily wave was taken off"), "{}", growth.reason);
}

#[test]
fn lives_that_leak_are_told_with_their_rate_and_number() {
    let growth = judged(&curve(8.0, |day| 300.0 * day.fract()));
    assert_eq!(growth.verdict, Verdict::Unbounded, "{}", growth.reason);
    assert!(growth.reason.starts_with("grows 12.5 MiB an hour within 6 of the last 6 lives"), "{}", growth.reason);
    assert!(growth.reason.contains("started again 7 time(s)"), "{}", growth.reason);
}

#[test]
fn caches_that_fill_again_after_every_restart_are_no_leak() {
    let growth = judged(&curve(8.0, |day| 300.0 * (1.0 - (-day.fract() * 20.0).exp())));
    assert!(matches!(growth.verdict, Verdict::Flat | Verdict::Bounded), "{:?}: {}", growth.verdict, growth.reason);
}

#[test]
fn a_collector_and_a_spike_are_no_lives() {
    for value in [|day: f64| 200.0 * (day * 10.0).fract(), |day: f64| if day > 5.0 && day < 5.2 { 200.0 } else { 0.0 }]
    {
        let growth = judged(&curve(7.0, value));
        assert_eq!(growth.verdict, Verdict::Flat, "{}", growth.reason);
    }
}

#[test]
fn a_leak_that_a_restart_ended_is_over() {
    let growth = judged(&curve(7.0, |day| if day < 3.0 { 100.0 * day } else { 0.0 }));
    assert_eq!(growth.verdict, Verdict::Bounded, "{}", growth.reason);
    assert!(growth.reason.contains("earlier lives grew"), "{}", growth.reason);
}

#[test]
fn a_curve_of_forty_samples_is_looked_at_in_parts() {
    let is_judged = |samples: usize| {
        let mut curve = curve(1.0, |_| 0.0);
        curve.points.truncate(samples);
        super::judge(&curve, &Question::about(&curve, None)).is_some()
    };
    assert_eq!([39, 40].map(is_judged), [false, true]);
}
