//! Where lives begin, and what they come to together.

use super::*;
use crate::growth::Axis;
use crate::sample::Metric;

fn lives(highest: &[f64]) -> Vec<Vec<Point>> {
    let life = |value: &f64| vec![Point { t: 0.0, x: 0.0, value: *value, cycle: 1, phase: None }];
    highest.iter().map(life).collect()
}

#[test]
fn peaks_hold_where_later_lives_rise_no_higher() {
    assert!(peaks_hold(&lives(&[5.0, 6.0, 4.0, 5.5, 5.0])));
    assert!(peaks_hold(&lives(&[5.0, 6.0, 4.0, 5.5, 9.0])), "the last life has not ended");
    assert!(!peaks_hold(&lives(&[5.0, 6.0, 7.0, 8.0, 1.0])));
    assert!(!peaks_hold(&lives(&[5.0, 6.0, 7.5, 6.5, 1.0])), "higher than any before");
    assert!(!peaks_hold(&lives(&[6.0, 5.0, 5.0, 1.0])), "too few");
    assert!(peaks_hold(&lives(&[5.0, 6.0, 6.0, 6.0, 1.0])), "as high as before");
}

/// A sample a second.
fn points(values: &[f64]) -> Vec<Point> {
    let point = |(n, value): (usize, &f64)| Point { t: n as f64, x: n as f64, value: *value, cycle: 1, phase: None };
    values.iter().enumerate().map(point).collect()
}

fn curve(values: &[f64]) -> Curve {
    Curve { metric: Metric::Fds, axis: Axis::Seconds, points: points(values), restarts: None }
}

/// Rises evenly from one value to another.
fn ramp(samples: usize, from: f64, to: f64) -> Vec<f64> {
    (0..samples).map(|n| from + (to - from) * n as f64 / (samples - 1) as f64).collect()
}

fn lengths(values: &[f64]) -> Vec<usize> {
    of(&curve(values)).iter().map(Vec::len).collect()
}

#[test]
fn a_life_begins_where_the_value_falls_to_its_start() {
    let rising = |samples: &[usize]| samples.iter().flat_map(|n| ramp(*n, 7.0, 107.0)).collect::<Vec<_>>();
    assert_eq!(lengths(&rising(&[30, 40, 30])), [30, 40, 30]);
    // The last life may have just begun, and the first be cut off; more short ones are no lives.
    assert_eq!(lengths(&rising(&[10, 30, 30, 10])), [10, 30, 30, 10]);
    assert_eq!(lengths(&rising(&[10, 30, 30, 10, 10])), [90]);
    assert_eq!(lengths(&rising(&[10, 30, 30, 30, 10, 10])), [120]);
    assert_eq!(lengths(&rising(&[20, 20])), [20, 20]);
    assert_eq!(lengths(&rising(&[20, 19])), [39]);
    // More than 24 are a collector's.
    assert_eq!(lengths(&rising(&[20; 24])), [20; 24]);
    assert_eq!(lengths(&rising(&[20; 25])), [500]);
    assert_eq!(lengths(&[]), [0]);
    assert_eq!(lengths(&[3.0; 50]), [50]);
}

#[test]
fn a_fall_is_more_than_half_of_the_range_and_down_to_the_start() {
    // The range is from 0 to 20: the value starts at 10, or at 0.
    let half = |low: f64| [vec![10.0; 5], ramp(15, 9.0, low), ramp(20, low, 20.0), ramp(30, 10.0, 12.0)].concat();
    assert_eq!(lengths(&half(0.0)), [70], "half");
    assert_eq!(lengths(&half(0.1)), [40, 30]);
    let down_to = |end: f64| [vec![0.0; 5], ramp(25, 1.0, 20.0), ramp(30, end, 3.0)].concat();
    assert_eq!(lengths(&down_to(2.0)), [30, 30], "a tenth of the range above the start");
    assert_eq!(lengths(&down_to(2.1)), [60]);
    // Noise that goes up by 2, stays and goes down again: two deviations of its differences are more than a tenth of the range.
    let noisy = |end: f64| {
        let even = [vec![0.0; 4], ramp(36, 0.0, 20.0), ramp(40, end, 20.0)].concat();
        even.iter().enumerate().map(|(n, value)| value + if n % 3 == 0 { 0.0 } else { 2.0 }).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&noisy(5.0)), [40, 40]);
    assert_eq!(lengths(&noisy(6.5)), [80]);
}

#[test]
fn a_fall_is_more_than_eight_steps_of_the_metric() {
    let lives_of = |metric: Metric, height: f64| {
        let values = [ramp(30, 0.0, height), ramp(30, 0.0, height)].concat();
        of(&Curve { metric, ..curve(&values) }).len()
    };
    for (metric, step) in [(Metric::Fds, 1.0), (Metric::Private, 4096.0)] {
        assert_eq!([8.0, 8.5].map(|steps| lives_of(metric.clone(), steps * step)), [1, 2], "{metric:?}");
    }
}

#[test]
fn a_process_that_begins_or_ends_near_a_fall_is_a_restart() {
    // Samples three seconds apart: six before the one, and six after the other. At least two seconds.
    for (at, before, after, expected) in [
        (94.0, 100.0, 103.0, true),
        (93.9, 100.0, 103.0, false),
        (109.0, 100.0, 103.0, true),
        (109.1, 100.0, 103.0, false),
        (98.0, 100.0, 100.1, true),
        (97.9, 100.0, 100.1, false),
    ] {
        assert_eq!(is_near(&[1.0, at, 500.0], before, after), expected, "{at} {before} {after}");
    }
}

#[test]
fn what_falls_back_from_a_spike_was_no_life() {
    // A life of 30 samples, and one of 40 whose last quarter lies in the middle this high above the lowest.
    let spike = |level: f64| {
        let second = [vec![100.0; 30], vec![100.0 + level; 9], vec![120.0]].concat();
        [ramp(30, 100.0, 120.0), second, ramp(30, 100.0, 105.0)].concat()
    };
    assert_eq!(lengths(&spike(6.1)), [30, 40, 30]);
    assert_eq!(lengths(&spike(6.0)), [30, 70], "three tenths of the range");
}

fn growth(verdict: Verdict) -> Growth {
    let rate = crate::growth::Estimate { value: 2048.0, low: 1024.0, high: 3072.0 };
    Growth {
        metric: Metric::Private,
        axis: Axis::Seconds,
        verdict,
        suspected: false,
        decided_at: Some(15),
        per_op: None,
        window: None,
        per_hour: Some(rate),
        baseline: 0.0,
        last: 0.0,
        highest: 1.0,
        sensitivity: None,
        more_cycles: Some(3),
        since: None,
        reason: "its reason".into(),
        floors: Vec::new(),
    }
}

/// A life of so many samples over so many seconds, up to a value.
fn life(samples: usize, seconds: f64, highest: f64) -> Vec<Point> {
    let values = ramp(samples, 0.0, highest);
    points(&values)
        .iter()
        .map(|point| Point { t: 1000.0 + point.t * seconds / (samples - 1) as f64, ..*point })
        .collect()
}

/// Verdicts by their letters, on lives of the same length that rise higher and higher.
fn verdicts(letters: &str) -> Vec<Growth> {
    let verdict = |letter| match letter {
        'U' => Verdict::Unbounded,
        'B' => Verdict::Bounded,
        'F' => Verdict::Flat,
        _ => Verdict::Inconclusive,
    };
    letters.chars().map(verdict).map(growth).collect()
}

fn together(judged: Vec<Growth>, lives: &[Vec<Point>]) -> Growth {
    let whole = Growth { highest: 77.0, reason: "the whole".into(), ..growth(Verdict::Inconclusive) };
    let found = Lives::judge(judged, lives, whole);
    assert_eq!(found.highest, 77.0);
    found
}

#[test]
fn the_last_lives_vote() {
    const UNDECIDED: &str = "started again 2 time(s), and its last lives do not decide; the latest: its reason";
    let growing = "grows 2 KiB an hour within 3 of the last 3 lives, and restarts hide it (started again 2 time(s)); the latest: \
                   its reason";
    for (letters, verdict, suspected, reason) in [
        ("UUU", Verdict::Unbounded, false, growing),
        ("UUI", Verdict::Unbounded, false, "grows 2 KiB an hour within 2 of the last 3 lives"),
        // Half of them is not most of them, and one alone may have been fixed by the restart after it.
        ("UFUI", Verdict::Inconclusive, true, "started again 3 time(s), and its last lives do not decide"),
        ("IU", Verdict::Inconclusive, true, "started again 1 time(s), and its last lives do not decide"),
        ("UUF", Verdict::Inconclusive, true, UNDECIDED),
        (
            "IUF",
            Verdict::Bounded,
            false,
            "the latest of 3 lives is at rest (started again 2 time(s); earlier lives grew): its reason",
        ),
        (
            "UF",
            Verdict::Bounded,
            false,
            "the latest of 2 lives is at rest (started again 1 time(s); earlier lives grew): its reason",
        ),
        ("FF", Verdict::Flat, false, "the latest of 2 lives is at rest (started again 1 time(s)): its reason"),
        ("FB", Verdict::Bounded, false, "the latest of 2 lives is at rest"),
        ("IIB", Verdict::Bounded, false, "the latest of 3 lives is at rest"),
        ("FFI", Verdict::Flat, false, "at rest within 2 of the last 3 lives (started again 2 time(s))"),
        ("BFI", Verdict::Bounded, false, "at rest within 2 of the last 3 lives (started again 2 time(s))"),
        ("FI", Verdict::Inconclusive, false, "started again 1 time(s), and its last lives do not decide"),
        ("FUI", Verdict::Inconclusive, true, UNDECIDED),
        ("UUUII", Verdict::Unbounded, false, "grows 2 KiB an hour within 3 of the last 5 lives"),
        // Six vote.
        ("UUIIIIII", Verdict::Inconclusive, false, "started again 7 time(s), and its last lives do not decide"),
        ("UIIIIII", Verdict::Inconclusive, false, "started again 6 time(s), and its last lives do not decide"),
        ("UIIIII", Verdict::Inconclusive, true, "started again 5 time(s), and its last lives do not decide"),
    ] {
        let lives: Vec<Vec<Point>> = (1..=letters.len()).map(|n| life(40, 100.0, n as f64)).collect();
        let found = together(verdicts(letters), &lives);
        assert_eq!((found.verdict, found.suspected), (verdict, suspected), "{letters}: {}", found.reason);
        assert!(found.reason.starts_with(reason), "{letters}: {}", found.reason);
        assert!(found.verdict == Verdict::Unbounded || found.more_cycles.is_none(), "{letters}");
    }
}

#[test]
fn a_rise_in_the_latest_life_is_not_outvoted() {
    let lives: Vec<Vec<Point>> = (0..3).map(|n| life(40, 100.0, f64::from(n))).collect();
    let mut judged = verdicts("FFI");
    judged[2].since = Some(5.0);
    assert_eq!(together(judged, &lives).verdict, Verdict::Inconclusive);
    let mut judged = verdicts("III");
    judged[0].suspected = true;
    assert!(together(judged, &lives).suspected);
    let mut judged = verdicts("UUU");
    judged.iter_mut().for_each(|growth| growth.per_hour = None);
    assert!(together(judged, &lives).reason.starts_with("grows within 3 of the last 3 lives"));
}

#[test]
fn short_lives_do_not_vote() {
    let with_last = |letters: &str, samples: usize, seconds: f64| {
        let lives = [life(40, 100.0, 1.0), life(40, 100.0, 2.0), life(samples, seconds, 3.0)];
        together(verdicts(letters), &lives)
    };
    // Two that leak, and one at rest: half as long as the longest, of 20 samples.
    assert_eq!(with_last("UUF", 20, 50.0).verdict, Verdict::Inconclusive);
    assert_eq!(with_last("UUF", 19, 50.0).verdict, Verdict::Unbounded);
    assert_eq!(with_last("UUF", 20, 49.0).verdict, Verdict::Unbounded);
    for (samples, seconds, reason) in [
        (20, 50.0, "the latest of 3 lives is at rest"),
        (19, 50.0, "at rest within 2 of the last 2 lives"),
        (20, 49.0, "at rest within 2 of the last 2 lives"),
    ] {
        let found = with_last("FFF", samples, seconds);
        assert!(found.reason.starts_with(reason), "{samples} {seconds}: {}", found.reason);
    }
}

#[test]
fn a_latest_life_that_leaks_says_more_than_any_that_was_a_fifth_shorter() {
    let with_last =
        |seconds: f64| together(verdicts("FFU"), &[life(40, 90.0, 1.0), life(40, 100.0, 2.0), life(40, seconds, 3.0)]);
    assert_eq!((with_last(120.0).verdict, with_last(120.0).since), (Verdict::Unbounded, Some(1000.0)));
    assert_eq!(with_last(119.9).verdict, Verdict::Inconclusive);
}

#[test]
fn short_latest_life_is_not_at_rest_where_all_last_no_time() {
    let found = together(verdicts("FFF"), &[life(40, 0.0, 1.0), life(40, 0.0, 2.0), life(19, 0.0, 3.0)]);
    assert!(found.reason.starts_with("at rest within 2 of the last 2 lives"), "{}", found.reason);
}

#[test]
fn restarts_bound_what_rises_no_higher_from_life_to_life() {
    let lives: Vec<Vec<Point>> = [5.0, 6.0, 4.0, 5.5, 5.0].map(|highest| life(40, 100.0, highest)).to_vec();
    let found = together(verdicts("IIIII"), &lives);
    assert_eq!((found.verdict, found.suspected), (Verdict::Bounded, false));
    assert!(
        found.reason.starts_with("started again 4 time(s): no life is seen to grow without end"),
        "{}",
        found.reason
    );
    for change in [
        (|judged: &mut Vec<Growth>| judged[1].suspected = true) as fn(&mut Vec<Growth>),
        |judged| judged[4].since = Some(5.0),
        |judged| judged[1].verdict = Verdict::Unbounded,
    ] {
        let mut judged = verdicts("IIIII");
        change(&mut judged);
        assert_eq!(together(judged, &lives).verdict, Verdict::Inconclusive);
    }
}
