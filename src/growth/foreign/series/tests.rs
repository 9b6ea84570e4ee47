//! What becomes of the samples of one subject, and what is refused.

use super::*;

fn measure(unit: Unit, doubt: Doubt) -> Measure {
    Measure { title: "rss".to_owned(), unit, scale: None, doubt, zeros: Zeros::Values }
}

fn stamp(seconds: f64, kind: Kind) -> Stamp {
    Stamp { seconds, kind, day_first: None }
}

fn point(t: f64, x: f64, value: f64) -> Point {
    Point { t, x, value, cycle: 0, phase: None }
}

/// A series of these times, operations and values, on lines from 2 on.
fn series(measure: Measure, samples: &[(f64, f64, f64)]) -> Series {
    let mut found = Series::new(Vec::new(), measure);
    for (line, (t, x, value)) in (2..).zip(samples) {
        found.push(line, stamp(*t, Kind::Number), point(*t, *x, *value)).expect("a sample");
    }
    found
}

fn at_pace(values: &[f64]) -> Vec<(f64, f64, f64)> {
    (0..).zip(values).map(|(n, value)| (f64::from(n), 0.0, *value)).collect()
}

fn finished(series: Series, query: &Query) -> Result<Foreign, String> {
    series.finish(None, query, Disorder::Unusual).map_err(|error| error.in_file("f"))
}

#[test]
fn times_operations_and_values_have_limits() {
    let one = |t: f64, x: f64, value: f64| {
        let mut found = Series::new(Vec::new(), measure(Unit::Bytes, Doubt::Settled));
        found.push(2, stamp(t, Kind::Number), point(t, x, value)).map(|()| found.points[0])
    };
    for (t, x, value, is_fine) in [
        (LATEST_S, MOST, MOST, true),
        (-LATEST_S, 0.0, 0.0, true),
        (LATEST_S * 1.01, 0.0, 0.0, false),
        (0.0, MOST * 1.01, 0.0, false),
        (0.0, -1.0, 0.0, false),
        (0.0, 0.0, MOST * 1.01, false),
        (0.0, 0.0, -1.0, false),
    ] {
        assert_eq!(one(t, x, value).is_ok(), is_fine, "{t} {x} {value}");
    }
    // What is nearer to nothing than any step is nothing.
    let found = one(SMALLEST_STEP / 2.0, -0.0, 1.0).expect("a sample");
    assert_eq!((found.t, found.x), (0.0, 0.0));
    assert_eq!(one(-SMALLEST_STEP, SMALLEST_STEP, 1.0).map(|point| (point.t, point.x)), Ok((-1e-9, 1e-9)));
    for (value, why) in [
        (-1.0, "value -1e0 is none"),
        (-1.0, "it is negative"),
        (f64::INFINITY, "value is none"),
        (1e300, "more than 2^63"),
    ] {
        assert!(plausible(value).expect_err("implausible").contains(why), "{value}");
    }
}

#[test]
fn times_of_one_series_are_of_one_kind() {
    let kinds = |kinds: &[Kind]| {
        let mut found = Series::new(Vec::new(), measure(Unit::Bytes, Doubt::Settled));
        for kind in kinds {
            found.push(2, stamp(5.0, *kind), point(5.0, 0.0, 1.0))?;
        }
        Ok::<_, String>(found.kind)
    };
    assert_eq!(kinds(&[Kind::Wall, Kind::Wall]), Ok(Some(Kind::Wall)));
    // From 24 hours on a time of day is time since a start.
    assert_eq!(kinds(&[Kind::Day, Kind::Elapsed, Kind::Day]), Ok(Some(Kind::Elapsed)));
    assert_eq!(kinds(&[Kind::Elapsed, Kind::Day]), Ok(Some(Kind::Elapsed)));
    for odd in [[Kind::Number, Kind::Wall], [Kind::Wall, Kind::Elapsed], [Kind::Elapsed, Kind::Number]] {
        assert!(kinds(&odd).expect_err("two kinds").contains("another kind"), "{odd:?}");
    }
}

#[test]
fn dates_are_read_so_that_samples_are_near_each_other() {
    let day = 86_400.0;
    // The month first, and the day first: the nearer to each other is meant. Times that are open in no way count in both.
    for (times, expected) in [
        (&[(10.0, Some(40.0)), (11.0, Some(70.0)), (12.0, None)][..], [10.0, 11.0, 12.0]),
        (&[(40.0, Some(10.0)), (70.0, Some(11.0)), (12.0, None)], [10.0, 11.0, 12.0]),
        (&[(12.0, None), (40.0, Some(13.0)), (70.0, Some(14.0))], [12.0, 13.0, 14.0]),
        (&[(10.0, Some(20.0)), (11.0, Some(21.0)), (12.0, Some(22.0))], [10.0, 11.0, 12.0]),
        (&[(40.0, Some(1.0)), (41.0, Some(5.0)), (42.0, Some(9.0))], [40.0, 41.0, 42.0]),
    ] {
        let mut found = Series::new(Vec::new(), measure(Unit::Bytes, Doubt::Settled));
        for (line, (t, other)) in (2..).zip(times) {
            let stamp = Stamp { seconds: t * day, kind: Kind::Wall, day_first: other.map(|days| days * day) };
            found.push(line, stamp, point(t * day, 0.0, 1e9)).expect("a sample");
        }
        let found = finished(found, &Query::default()).expect("a curve");
        let days: Vec<f64> = found.curve.points.iter().map(|point| point.t / day).collect();
        assert_eq!(days, expected, "{times:?}");
    }
}

#[test]
fn a_joined_life_brings_its_samples_lines_and_gaps() {
    let life = |t: f64, kind: Kind, other: Option<f64>| {
        let mut found = Series::new(Vec::new(), measure(Unit::Bytes, Doubt::Settled));
        found.push(2, Stamp { day_first: other, ..stamp(t, kind) }, point(t, 0.0, 1.0)).expect("a sample");
        (found.missing, found.with_unit) = (3, 3);
        found
    };
    let mut whole = life(1.0, Kind::Wall, Some(7.0));
    whole.join(life(2.0, Kind::Wall, Some(8.0)));
    assert_eq!((whole.samples(), whole.missing, whole.with_unit, whole.lines.len()), (8, 6, 6, 2));
    assert_eq!((whole.span(), whole.day_first.as_deref()), (Some((1.0, 2.0)), Some(&[7.0, 8.0][..])));
    // One life that leaves nothing open decides for both.
    whole.join(life(3.0, Kind::Wall, None));
    assert_eq!((whole.kind, whole.day_first), (Some(Kind::Wall), None));
    let mut mixed = life(1.0, Kind::Wall, None);
    mixed.join(life(2.0, Kind::Day, None));
    assert_eq!(mixed.kind, Some(Kind::Day));
    let mut empty = life(1.0, Kind::Wall, None);
    empty.join(Series::new(Vec::new(), measure(Unit::Bytes, Doubt::Settled)));
    assert_eq!(empty.kind, Some(Kind::Wall));
}

#[test]
fn values_without_a_unit_are_asked_for_where_they_are_small() {
    // How sure the name is, the values, and whether a curve comes of them.
    for (doubt, values, is_fine) in [
        (Doubt::Settled, [5.0, 6.5], true),
        (Doubt::Unit, [5.0, SMALL_PROCESS], true),
        (Doubt::Unit, [5.0, SMALL_PROCESS - 1.0], false),
        (Doubt::Meaning, [5.0, SMALL_PROCESS], true),
        (Doubt::Meaning, [5.0, SMALL_PROCESS - 1.0], false),
        (Doubt::Broken, [5.0, SMALL_BROKEN - 1.0], true),
        (Doubt::Broken, [5.5, SMALL_BROKEN], true),
        (Doubt::Broken, [5.5, SMALL_BROKEN - 1.0], false),
        (Doubt::Bare, [5.0, SMALL_PROCESS], true),
        (Doubt::Bare, [5.0, 6.0], false),
        (Doubt::Bare, [6.0, 6.0], true),
    ] {
        let found = finished(series(measure(Unit::Bytes, doubt), &at_pace(&values)), &Query::default());
        assert_eq!(found.is_ok(), is_fine, "{doubt:?} {values:?}: {found:?}");
        if let Err(error) = found {
            assert!(error.starts_with("f:2: begins `rss`"), "{error}");
            assert_eq!(error.contains("neither its name"), doubt == Doubt::Meaning, "{error}");
        }
    }
    let of_kib = Query { unit: Some(1024.0), ..Query::default() };
    let values = |series: Series, query: &Query| {
        finished(series, query).map(|found| found.curve.points.iter().map(|point| point.value).collect::<Vec<_>>())
    };
    let bytes = || measure(Unit::Bytes, Doubt::Unit);
    assert_eq!(values(series(bytes(), &at_pace(&[5.0, 6.0])), &of_kib), Ok(vec![5120.0, 6144.0]));
    // A scale was applied before; things have none.
    let scaled = Measure { scale: Some(1024.0), ..bytes() };
    assert_eq!(values(series(scaled, &at_pace(&[5.0, 6.0])), &of_kib), Ok(vec![5.0, 6.0]));
    assert_eq!(values(series(measure(Unit::Count, Doubt::Unit), &at_pace(&[5.0, 6.0])), &of_kib), Ok(vec![5.0, 6.0]));
    let too_much = values(series(bytes(), &at_pace(&[1.0, 1e17])), &of_kib);
    assert!(too_much.as_ref().is_err_and(|error| error.contains("2^63")), "{too_much:?}");
    // Some cells had a unit: all that are not zero must have one.
    for (with_unit, is_fine) in [(0, false), (1, false), (2, true)] {
        let mut some = series(bytes(), &at_pace(&[0.0, 6.0, 7.0]));
        some.with_unit = with_unit;
        let found = finished(some, &Query::default());
        assert_eq!(found.is_ok(), is_fine, "{with_unit}: {found:?}");
        assert_eq!(found.is_err_and(|error| error.contains("some values have a unit")), with_unit == 1);
    }
}

#[test]
fn zeros_where_no_process_was_are_left_out_with_their_lines() {
    let memory = |values: &[f64]| {
        series(Measure { zeros: Zeros::NoProcess, ..measure(Unit::Bytes, Doubt::Settled) }, &at_pace(values))
    };
    let of = |series: Series| {
        let found = finished(series, &Query::default()).expect("a curve");
        (found.curve.points.iter().map(|point| point.value).collect::<Vec<_>>(), found.remarks.join("; "))
    };
    let told = "1 sample of zero bytes (no process was there) is left out";
    assert_eq!(of(memory(&[0.0, 5.0, 6.0])), (vec![5.0, 6.0], told.to_owned()));
    assert_eq!(
        of(memory(&[0.0, 5.0, 0.0])),
        (vec![5.0], told.replace("1 sample", "2 samples").replace("is left", "are left"))
    );
    assert_eq!(of(memory(&[0.0, 0.0])), (vec![0.0, 0.0], String::new()));
    assert_eq!(of(memory(&[4.0, 5.0])), (vec![4.0, 5.0], String::new()));
    let things = series(measure(Unit::Count, Doubt::Settled), &at_pace(&[0.0, 5.0]));
    assert_eq!(of(things).0, [0.0, 5.0]);
    // An error names the line of a sample that stayed.
    let mut back = memory(&[0.0, 5.0, 6.0, 7.0, 8.0]);
    for (point, x) in back.points.iter_mut().zip([0.0, 10.0, 20.0, 30.0, 29.0]) {
        point.x = x;
    }
    assert!(
        finished(back, &Query::default())
            .expect_err("goes back")
            .starts_with("f:6: goes back in operations, from 30 to 29")
    );
}

#[test]
fn a_counter_of_operations_that_began_again_is_counted_on() {
    let of = |operations: &[f64]| {
        let samples: Vec<(f64, f64, f64)> = (0..).zip(operations).map(|(n, x)| (f64::from(n), *x, 1.0)).collect();
        let found = finished(series(measure(Unit::Count, Doubt::Settled), &samples), &Query::default())?;
        Ok::<_, String>((found.curve.points.iter().map(|point| point.x).collect::<Vec<_>>(), found.remarks.join("; ")))
    };
    let told = |n: &str| format!("operations began again at zero {n}, and are counted on");
    assert_eq!(of(&[5.0, 10.0, 20.0, 10.0, 15.0]), Ok((vec![5.0, 10.0, 20.0, 30.0, 35.0], told("once"))));
    assert_eq!(of(&[0.0, 10.0, 3.0, 9.0, 1.0]), Ok((vec![0.0, 10.0, 13.0, 19.0, 20.0], told("2 times"))));
    assert_eq!(of(&[5.0, 10.0, 10.0]), Ok((vec![5.0, 10.0, 10.0], String::new())));
    for (odd, message) in [
        (&[5.0, 10.0, 20.0, 11.0][..], "f:5: goes back in operations, from 20 to 11"),
        (&[10.0, 1.0, 2.0], "f:3: goes back in operations, from 10 to 1"),
    ] {
        assert_eq!(of(odd), Err(message.to_owned()));
    }
}

#[test]
fn several_subjects_in_one_column_are_refused() {
    let of = |groups: usize, each: &dyn Fn(usize) -> Vec<f64>| {
        let samples: Vec<(f64, f64, f64)> =
            (0..groups).flat_map(|n| each(n).into_iter().map(move |value| (n as f64, 0.0, value))).collect();
        finished(series(measure(Unit::Count, Doubt::Settled), &samples), &Query::default())
    };
    let two = |n: usize| vec![100.0 + n as f64, 500.0];
    let refused = of(5, &two).expect_err("two subjects");
    assert!(refused.starts_with("f:2: begins 2 samples at each time"), "{refused}");
    // Too few times, one subject, values that change as much from time to time as within one.
    assert!(of(4, &two).is_ok() && of(9, &|_| vec![5.0]).is_ok());
    assert!(of(9, &|n| vec![100.0 * n as f64, 100.0 * n as f64 + 50.0]).is_ok());
    assert!(of(9, &|n| vec![n as f64, 7.0, 7000.0]).expect_err("three").contains("begins 3 samples at each time"));
    // Up to four times as much between samples of one time as from one time to the next is one subject.
    assert!(of(5, &|n| vec![n as f64, n as f64 + 6.0]).is_ok() && of(5, &|n| vec![n as f64, n as f64 + 7.0]).is_err());
    assert!(of(5, &|_| vec![5.0, 5.0]).is_ok());
    // A few times that come twice are one subject's.
    assert!(of(20, &|n| if n.is_multiple_of(4) { two(n) } else { vec![100.0 + n as f64] }).is_ok());
    // Nine of ten times must have as many.
    let holes = |every: usize| move |n: usize| if n.is_multiple_of(every) { vec![500.0] } else { two(n) };
    assert!(of(20, &holes(10)).is_err() && of(20, &holes(9)).is_ok());
}

#[test]
fn a_curve_is_over_operations_where_there_were_any() {
    let of = |unit: Unit, title: &str, samples: &[(f64, f64, f64)]| {
        let measure = Measure { title: title.to_owned(), ..measure(unit, Doubt::Settled) };
        let curve = finished(series(measure, samples), &Query::default()).expect("a curve").curve;
        (curve.metric, curve.axis, curve.points.iter().map(|point| point.x).collect::<Vec<_>>())
    };
    let idle = [(5.0, 0.0, 1.0), (7.0, 0.0, 1.0)];
    let busy = [(5.0, 0.0, 1.0), (7.0, 40.0, 1.0)];
    assert_eq!(of(Unit::Bytes, "rss", &idle), (Metric::Private, Axis::Seconds, vec![0.0, 2.0]));
    assert_eq!(of(Unit::Count, "Threads", &busy), (Metric::Threads, Axis::Operations, vec![0.0, 40.0]));
    assert_eq!(of(Unit::Count, "open", &busy).0, Metric::Fds);
    let query = Query { since: crate::growth::foreign::Bound::parse("2s").ok(), ..Query::default() };
    let cut = finished(series(measure(Unit::Count, Doubt::Settled), &at_pace(&[1.0, 2.0, 3.0, 4.0])), &query);
    let cut = cut.expect("a curve");
    assert_eq!(cut.curve.points.iter().map(|point| point.value).collect::<Vec<_>>(), [3.0, 4.0]);
    assert_eq!(cut.remarks, ["2 samples outside --since and --until are left out"]);
    let none = Query { since: crate::growth::foreign::Bound::parse("9s").ok(), ..Query::default() };
    let none = finished(series(measure(Unit::Count, Doubt::Settled), &at_pace(&[1.0, 2.0])), &none);
    assert!(none.expect_err("no sample").contains("no sample between"));
}

#[test]
fn what_was_done_to_the_order_of_samples_is_told() {
    let remarks = |kind: Kind, times: &[f64]| {
        let mut found = Series::new(Vec::new(), measure(Unit::Count, Doubt::Settled));
        for (line, t) in (2..).zip(times) {
            found.push(line, stamp(*t, kind), point(*t, 0.0, 1.0)).expect("a sample");
        }
        finished(found, &Query::default()).expect("a curve").remarks
    };
    assert!(remarks(Kind::Number, &[1.0, 2.0, 3.0]).is_empty());
    assert_eq!(remarks(Kind::Number, &[3.0, 2.0, 1.0]), ["the file is newest first and was turned round"]);
    assert_eq!(
        remarks(Kind::Wall, &[10_740.0, 10_800.0, 7260.0]),
        ["an hour comes twice, as when summer time ends: the second one goes on after the first"]
    );
    assert_eq!(
        remarks(Kind::Elapsed, &[0.0, 60.0, 120.0, 0.0, 60.0]),
        ["its clock began again once: the time goes on"]
    );
}
