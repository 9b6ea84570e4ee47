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
        restarts: None,
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
    assert!(growth.reason.ends_with("so far: too short a stretch to judge"), "{}", growth.reason);
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
fn where_processes_were_watched_a_life_needs_the_end_or_the_begin_of_one() {
    let leaks = |restarts: Option<Vec<f64>>| Curve { restarts, ..curve(8.0, |day| 300.0 * day.fract()) };
    let days = |late: f64| (1..8).map(|day| 1.7e9 + f64::from(day) * DAY + late).collect::<Vec<_>>();
    for (restarts, is_told) in [
        (None, true),
        (Some(days(0.0)), true),
        // Samples are ten minutes apart: an end may be noticed two such distances later.
        (Some(days(1190.0)), true),
        (Some(days(2500.0)), false),
        (Some(Vec::new()), false),
    ] {
        let growth = judged(&leaks(restarts.clone()));
        assert_eq!(growth.reason.contains("started again 7 time(s)"), is_told, "{restarts:?}: {}", growth.reason);
    }
}

#[test]
fn a_fall_of_few_steps_begins_no_life() {
    let falls = |height: f64| {
        let mut curve = curve(8.0, |_| 0.0);
        for point in &mut curve.points {
            let day = (point.t - 1.7e9) / DAY;
            point.value = (height * day.fract()).floor();
        }
        Curve { metric: Metric::Fds, ..curve }
    };
    for (height, is_told) in [(8.0, false), (20.0, true)] {
        let growth = judged(&falls(height));
        assert_eq!(growth.reason.contains("started again"), is_told, "{height}: {}", growth.reason);
    }
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
fn what_fell_for_good_is_judged_from_there_on() {
    let growth = judged(&curve(7.0, |day| match day {
        day if day < 2.0 => 0.0,
        day if day < 4.0 => 150.0,
        day => 50.0 + 15.0 * (day - 4.0),
    }));
    assert_eq!(growth.verdict, Verdict::Unbounded, "{}", growth.reason);
    assert!((days_after_begin(&growth) - 4.0).abs() < 0.2, "{:?}", growth.since);
    let told = "grows without end since 4 d after the first sample, when it fell by";
    assert!(growth.reason.starts_with(told), "{}", growth.reason);
    let before =
        "(before: 300 MiB until 1 d 23 h after the first sample, 450 MiB until 3 d 23 h after the first sample)";
    assert!(growth.reason.contains(before), "{}", growth.reason);
    let per_day = growth.per_hour.expect("a rate").value / MIB * 24.0;
    assert!((per_day - 15.0).abs() < 1.5, "{per_day} MiB a day");
}

#[test]
fn what_fell_for_good_and_rests_or_comes_back_again_and_again_is_no_leak() {
    let steps = |day: f64| match day {
        day if day < 2.0 => 0.0,
        day if day < 4.0 => 150.0,
        _ => 60.0,
    };
    let fill = |day: f64| if day < 4.0 { 0.0 } else { 60.0 * (1.0 - (-(day - 4.0) * 4.0).exp()) };
    // Each tooth ends higher up than the level at which the curve began: no restarts.
    let teeth = |day: f64| if day < 1.0 { 0.0 } else { 100.0 + 100.0 * ((day - 1.0) / 2.6).fract() };
    let values: [&dyn Fn(f64) -> f64; 3] = [&steps, &|day| steps(day) + fill(day), &teeth];
    for value in values {
        let growth = judged(&curve(7.0, value));
        assert_ne!(growth.verdict, Verdict::Unbounded, "{}", growth.reason);
        assert!(!growth.reason.contains("when it fell"), "{}", growth.reason);
    }
}

#[test]
fn a_leak_of_a_life_that_outlives_the_others_is_found() {
    let restarted = |at: f64| curve(7.0, move |day| if day < at { 100.0 } else { 10.0 * (day - at) });
    let growth = judged(&restarted(3.0));
    assert_eq!(growth.verdict, Verdict::Unbounded, "{}", growth.reason);
    assert!(growth.reason.starts_with("grows since it was started anew"), "{}", growth.reason);
    assert!((days_after_begin(&growth) - 3.0).abs() < 0.1, "{:?}", growth.since);
    // A shorter one may come to rest as the first did.
    let growth = judged(&restarted(3.4));
    assert_eq!((growth.verdict, growth.suspected), (Verdict::Inconclusive, true), "{}", growth.reason);
}

#[test]
fn a_step_within_three_days_is_no_daily_wave() {
    for (days, at) in [(2.7, 0.8), (2.9, 1.1), (3.4, 1.3), (3.0, 0.9)] {
        let growth = judged(&curve(days, |day| if day > at { 80.0 } else { 0.0 }));
        assert_eq!(growth.verdict, Verdict::Bounded, "{days}, {at}: {}", growth.reason);
        assert!(!growth.reason.contains("wave"), "{days}, {at}: {}", growth.reason);
    }
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

/// A curve of so many samples in windows as a part of a curve has them.
fn stretch(samples: usize) -> Curve {
    let points = (0..samples).map(|n| Point { t: n as f64, x: n as f64, value: 0.0, cycle: 0, phase: None }).collect();
    let mut stretch = Curve { metric: Metric::Private, axis: Axis::Seconds, points, restarts: None };
    stretch.cut_into_short_windows();
    stretch
}

#[test]
fn a_stretch_of_45_samples_is_long_enough_to_judge() {
    assert_eq!(
        [0, 1, 44, 45, 1000].map(|samples| super::is_long(&stretch(samples))),
        [false, false, false, true, true]
    );
}

#[test]
fn a_life_of_few_seconds_is_cut_into_as_many_windows_as_its_samples_fill() {
    // A window of a second each, or of three samples each: what has more of them.
    for (samples, apart, expected) in
        [(30, 0.1, 10), (30, 0.35, 10), (30, 0.5, 14), (30, 1.0, 29), (30, 60.0, 30), (1000, 1.0, 50)]
    {
        let points = (0..samples)
            .map(|n| Point { t: f64::from(n) * apart, x: 0.0, value: 0.0, cycle: 0, phase: None })
            .collect();
        let life = super::whole_life(&curve(1.0, |_| 0.0), points);
        let windows = life.points.chunk_by(|a, b| a.cycle == b.cycle).count();
        assert_eq!((windows, life.points[1].x), (expected, apart), "{samples} {apart}");
    }
    // Three samples in each of eleven seconds but the fourth: ten windows either way, of which those of a second are taken.
    let seconds = (0..11).filter(|second| *second != 3).map(f64::from);
    let times = seconds.flat_map(|second| [second, second + 0.3, if second < 10.0 { second + 0.6 } else { 11.0 }]);
    let points = times.map(|t| Point { t, x: 0.0, value: 0.0, cycle: 0, phase: None }).collect();
    let life = super::whole_life(&curve(1.0, |_| 0.0), points);
    assert_eq!(life.points.chunk_by(|a, b| a.cycle == b.cycle).map(<[Point]>::len).collect::<Vec<_>>(), [3; 10]);
}

#[test]
fn a_late_rise_below_an_earlier_high_is_suspected() {
    // A hump on the second day, and a long and steep rise since the fifth that ends lower, or higher, than it.
    let rises = |peak: f64| {
        judged(&curve(7.0, |day| peak * (1.0 - (day - 1.0).abs() / 0.3).max(0.0) + 60.0 * (day - 5.0).max(0.0)))
    };
    let below = rises(150.0);
    assert_eq!((below.verdict, below.suspected), (Verdict::Inconclusive, true), "{}", below.reason);
    assert!(below.reason.starts_with("rises since 4 d 22 h after the first sample, by 10"), "{}", below.reason);
    assert!(below.reason.ends_with("so far: watch on to see whether it goes on"), "{}", below.reason);
    assert_eq!(rises(100.0).verdict, Verdict::Unbounded, "{}", rises(100.0).reason);
}

#[test]
fn a_jump_with_half_of_the_curve_after_it_is_bounded() {
    // The jump is the 505th sample.
    let with = |samples: usize| {
        let mut curve = curve(8.0, |day| if day >= 3.5 { 80.0 } else { 0.0 });
        curve.points.truncate(samples);
        curve.cut_into_windows();
        judged(&curve)
    };
    let (half, less) = (with(1009), with(1008));
    assert_eq!((half.verdict, half.since), (Verdict::Bounded, Some(1.7e9 + 3.5 * DAY)), "{}", half.reason);
    assert_eq!((less.verdict, less.since), (Verdict::Inconclusive, Some(1.7e9 + 3.5 * DAY)), "{}", less.reason);
}

#[test]
fn a_curve_that_is_not_decided_keeps_the_reason_of_the_whole() {
    let slows_and_jumps = curve(7.0, |day| 25.0 * (1.0 + day).ln() + if day > 6.5 { 80.0 } else { 0.0 });
    let rises_and_stops = curve(7.0, |day| 60.0 * (day - 4.0).clamp(0.0, 0.8));
    for (curve, suspected, reason) in
        [(slows_and_jumps, true, "growth is suspected since cycle 50"), (rises_and_stops, false, "no steady rise")]
    {
        let growth = judged(&curve);
        let told = (growth.verdict, growth.suspected, growth.since);
        assert_eq!(told, (Verdict::Inconclusive, suspected, None), "{}", growth.reason);
        assert!(growth.reason.starts_with(reason), "{}", growth.reason);
    }
}

#[test]
fn what_fell_for_good_and_rises_late_is_suspected() {
    let growth = judged(&curve(7.0, |day| match day {
        day if day < 2.0 => 0.0,
        day if day < 4.0 => 150.0,
        day => 50.0 + 15.0 * (day - 6.0).max(0.0),
    }));
    assert_eq!((growth.verdict, growth.suspected), (Verdict::Inconclusive, true), "{}", growth.reason);
    assert!((days_after_begin(&growth) - 4.0).abs() < 0.1, "{:?}", growth.since);
    assert!(
        growth.reason.starts_with("rises since 4 d after the first sample, when it fell by 100 MiB"),
        "{}",
        growth.reason
    );
}
