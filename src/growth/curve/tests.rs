use super::*;
use crate::sample::{Descriptors, Detail, Event, FdKind, Mappings, Mark, Memory, Sample, Stop, Tally, TreeCounts};

fn at(second: u64) -> Moment {
    Moment(second * 1_000_000)
}

fn begins(second: u64, phase: Phase, cycle: u32) -> Record {
    Record::Mark(Mark { at: at(second), operations: 0, border: Border::PhaseBegins { phase, cycle } })
}

fn sample(second: u64, change: impl FnOnce(&mut Sample)) -> Record {
    let mut sample = Sample { at: at(second), operations: second * 100, ..Sample::default() };
    change(&mut sample);
    Record::Sample(sample)
}

fn values(metric: &Metric, source: MemorySource, records: &[Record]) -> Vec<f64> {
    Curve::of(metric, Axis::Operations, source, records).points.iter().map(|point| point.value).collect()
}

#[test]
fn marks_place_points_even_when_records_are_out_of_order() {
    let threads = |second, n| sample(second, |s| s.threads = Some(n));
    let end = Border::ScenarioEnds { scenario: "s".into(), stop: Stop::Decided, tally: Tally::default() };
    let records = [
        threads(10, 1),
        begins(11, Phase::Warmup, 0),
        threads(14, 3),
        threads(12, 2),
        begins(13, Phase::Load, 1),
        begins(15, Phase::Settle, 1),
        threads(16, 4),
        Record::Mark(Mark { at: at(17), operations: 0, border: end }),
        threads(18, 9),
    ];
    let curve = Curve::of(&Metric::Threads, Axis::Seconds, MemorySource::Statm, &records);
    let seen: Vec<_> = curve.points.iter().map(|p| (p.t, p.x, p.value, p.cycle, p.phase)).collect();
    assert_eq!(
        seen,
        [
            (10.0, 0.0, 1.0, 0, None),
            (12.0, 2.0, 2.0, 0, Some(Phase::Warmup)),
            (14.0, 4.0, 3.0, 1, Some(Phase::Load)),
            (16.0, 6.0, 4.0, 1, Some(Phase::Settle)),
        ]
    );
    assert_eq!(curve.recent_high(), Some(3.0));
}

#[test]
fn each_metric_is_read_from_its_place_and_missing_is_no_point() {
    use MemorySource::{SmapsRollup, Statm};
    let memory = Memory { rss: 90, pss: 80, private: 70, shared: 5, file: 15, swap: 0, lazily_freed: 0 };
    let tree = TreeCounts { children: 3, zombies: 2, orphans: 1 };
    let records = [
        sample(1, |s| (s.rss, s.anonymous, s.fds, s.own_connections) = (Some(99), Some(66), Some(20), 25)),
        sample(2, |s| (s.memory, s.tree, s.threads, s.shmem) = (Some(memory), Some(tree), Some(10), Some(4))),
        Record::Detail(Box::new(Detail {
            at: at(3),
            operations: 300,
            mappings: Some(Mappings { heap: 40, stack: 8, ..Mappings::default() }),
            descriptors: Some(Descriptors { by_kind: [(FdKind::Tcp, 6)].into(), by_target: Vec::new() }),
            cgroup: Some(crate::sample::Cgroup { sock: Some(12), ..Default::default() }),
            gauges: [("items".to_owned(), 5.5), ("broken".to_owned(), f64::NAN)].into(),
            ..Detail::default()
        })),
    ];
    for (metric, source, expected) in [
        (Metric::Private, SmapsRollup, vec![70.0]),
        (Metric::Private, Statm, vec![66.0]),
        (Metric::Rss, SmapsRollup, vec![90.0]),
        (Metric::Rss, Statm, vec![99.0]),
        (Metric::Shared, SmapsRollup, vec![5.0]),
        (Metric::Shared, Statm, vec![4.0]),
        (Metric::File, SmapsRollup, vec![15.0]),
        (Metric::Fds, Statm, vec![0.0]),
        (Metric::Threads, Statm, vec![10.0]),
        (Metric::Tasks, Statm, vec![16.0]),
        (Metric::Children, Statm, vec![3.0]),
        (Metric::Zombies, Statm, vec![2.0]),
        (Metric::Orphans, Statm, vec![1.0]),
        (Metric::Peak, SmapsRollup, vec![66.0]),
        (Metric::Heap, Statm, vec![40.0]),
        (Metric::Stack, Statm, vec![8.0]),
        (Metric::FdsOf(FdKind::Tcp), Statm, vec![6.0]),
        (Metric::FdsOf(FdKind::Pipe), Statm, vec![0.0]),
        (Metric::Gauge("items".into()), Statm, vec![5.5]),
        (Metric::Gauge("broken".into()), Statm, vec![]),
        (Metric::Gauge("absent".into()), Statm, vec![]),
        (Metric::Cgroup("sock".into()), Statm, vec![12.0]),
        (Metric::Cgroup("anon".into()), Statm, vec![]),
    ] {
        assert_eq!(values(&metric, source, &records), expected, "{metric} {source:?}");
    }
}

fn peak_tick(second: u64, anonymous: u64, mark: Option<u64>) -> Record {
    sample(second, |s| (s.rss, s.anonymous, s.high_water) = (Some(anonymous + 30), Some(anonymous), mark))
}

#[test]
fn pages_that_the_target_gave_back_are_no_part_of_the_peak() {
    let exact = |second, anonymous, lazily_freed| {
        sample(second, |s| {
            let memory = Memory { rss: anonymous, lazily_freed, ..Memory::default() };
            (s.rss, s.anonymous, s.high_water, s.memory) =
                (Some(anonymous), Some(anonymous), Some(anonymous), Some(memory));
        })
    };
    let records = [
        exact(1, 100, 0),
        exact(2, 150, 50),
        // How much of it was given back since is not known at a tick without an exact reading.
        peak_tick(3, 170, None),
        exact(4, 200, 100),
        exact(5, 180, 0),
        exact(6, 30, 40),
    ];
    assert_eq!(values(&Metric::Peak, MemorySource::SmapsRollup, &records), [100.0, 100.0, 100.0, 180.0, 0.0]);
}

#[test]
fn sums_over_processes_read_for_longer_than_a_moment_are_no_points() {
    let records = |span_us| {
        [Record::Detail(Box::new(Detail {
            at: at(3),
            span_us,
            mappings: Some(Mappings { heap: 40, stack: 8, ..Mappings::default() }),
            descriptors: Some(Descriptors { by_kind: [(FdKind::Tcp, 6)].into(), by_target: Vec::new() }),
            gauges: [("items".to_owned(), 5.5)].into(),
            ..Detail::default()
        }))]
    };
    for (span_us, points) in [(None, 1), (Some(1_900_000), 1), (Some(2_100_000), 0)] {
        for metric in [Metric::Heap, Metric::Stack, Metric::FdsOf(FdKind::Tcp)] {
            let curve = Curve::of(&metric, Axis::Seconds, MemorySource::Statm, &records(span_us));
            assert_eq!(curve.points.len(), points, "{metric} {span_us:?}");
        }
        let gauge = Curve::of(&Metric::Gauge("items".into()), Axis::Seconds, MemorySource::Statm, &records(span_us));
        assert_eq!(gauge.points.len(), 1, "a gauge is read in one go");
    }
}

#[test]
fn a_high_water_mark_counts_where_it_was_reset_for_the_cycle() {
    let reset = |second| Record::Event { at: at(second), event: Event::PeakReset };
    let records = [
        begins(1, Phase::Load, 1),
        reset(2),
        peak_tick(3, 100, Some(530)),
        begins(4, Phase::Settle, 1),
        reset(5),
        begins(6, Phase::Load, 2),
        peak_tick(7, 100, Some(430)),
        begins(8, Phase::Load, 3),
        peak_tick(9, 100, Some(430)),
    ];
    assert_eq!(values(&Metric::Peak, MemorySource::Statm, &records), [500.0, 400.0, 100.0]);
}

#[test]
fn without_a_reset_the_mark_counts_only_where_it_rose() {
    let records = [
        begins(1, Phase::Load, 1),
        peak_tick(2, 100, Some(900)),
        peak_tick(3, 120, Some(900)),
        peak_tick(4, 110, Some(1000)),
        peak_tick(5, 130, None),
    ];
    assert_eq!(values(&Metric::Peak, MemorySource::Statm, &records), [100.0, 120.0, 970.0, 130.0]);
}

#[test]
fn watching_cuts_time_into_equal_windows() {
    let watch = |seconds: u64| {
        let records: Vec<Record> = (0..=seconds * 2)
            .map(|half| sample(half, |s| (s.at, s.fds) = (Moment(half * 500_000), Some(half))))
            .collect();
        Curve::windowed(&Metric::Fds, MemorySource::Statm, &records)
    };
    for (seconds, windows) in [(0, 1), (5, 5), (20, 20), (400, 50)] {
        let curve = watch(seconds);
        assert_eq!(curve.points.last().map(|point| point.cycle), Some(windows), "{seconds} s");
        assert_eq!(curve.floors().cycles.len(), windows as usize, "{seconds} s");
    }
    assert!(Curve::windowed(&Metric::Fds, MemorySource::Statm, &[]).points.is_empty());
}

#[test]
fn operations_between_two_readings_of_a_gauge_rise_evenly() {
    let tick = |at, operations| {
        Record::Sample(Sample { at: Moment(at), operations, fds: Some(at / 1000), ..Sample::default() })
    };
    let reading = |at, operations| {
        let gauges = [("done".to_owned(), 1.0)].into();
        Record::Detail(Box::new(Detail { at: Moment(at), operations, gauges, ..Detail::default() }))
    };
    let records = [
        tick(500_000, 0),
        reading(1_000_000, 0),
        tick(1_250_000, 0),
        tick(1_750_000, 0),
        reading(2_000_000, 100),
        tick(2_500_000, 100),
    ];
    let along = |axis| {
        let curve = Curve::windowed_along(&Metric::Fds, axis, MemorySource::Statm, &records);
        curve.points.iter().map(|point| point.x).collect::<Vec<_>>()
    };
    assert_eq!(along(Axis::Operations), [0.0, 25.0, 75.0, 100.0]);
    assert_eq!(along(Axis::Seconds), [0.0, 0.75, 1.25, 2.0]);
}

/// Points at these moments, along seconds.
fn moments(metric: Metric, moments: impl IntoIterator<Item = (f64, f64)>) -> Curve {
    let point = |(t, value): (f64, f64)| Point { t, x: t, value, cycle: 0, phase: None };
    Curve { metric, axis: Axis::Seconds, points: moments.into_iter().map(point).collect(), restarts: None }
}

fn cycles(curve: &Curve) -> Vec<u32> {
    curve.points.iter().map(|point| point.cycle).collect()
}

#[test]
fn windows_without_a_sample_are_none() {
    // Forty windows of two seconds, half of which lie in the gap.
    let two = |begin: f64| (0..20).map(move |n| (begin + f64::from(n), 1.0));
    let mut curve =
        moments(Metric::Private, two(7.0).chain(two(67.0)).chain([(87.0, 1.0)]).filter(|(t, _)| *t != 86.0));
    curve.cut_into_windows();
    let pairs: Vec<u32> = (1..=20).flat_map(|n| [n, n]).collect();
    assert_eq!(cycles(&curve), pairs);
    assert!(curve.points.iter().all(|point| point.phase == Some(Phase::Load)));
}

#[test]
fn a_window_lasts_a_second_at_least() {
    let mut curve = moments(Metric::Private, (0..=40).map(|n| (1000.0 + f64::from(n) / 2.0, 1.0)));
    curve.cut_into_windows();
    assert_eq!(curve.points.last().map(|point| point.cycle), Some(20));
    assert_eq!(curve.reach(), 1020.0);
    assert_eq!(moments(Metric::Private, []).reach(), 0.0);
}

#[test]
fn where_most_windows_are_gaps_each_holds_as_many_samples() {
    let mut curve = moments(Metric::Private, (0..10).map(|n| (f64::from(n), 1.0)).chain([(1000.0, 1.0)]));
    curve.cut_into_windows();
    assert_eq!(cycles(&curve), (1..=11).collect::<Vec<_>>());
    let mut curve = moments(Metric::Private, (0..99).map(|n| (f64::from(n), 1.0)).chain([(1e6, 1.0)]));
    curve.cut_into_windows();
    assert_eq!(cycles(&curve), (1..=50).flat_map(|n| [n, n]).collect::<Vec<_>>());
}

#[test]
fn a_part_is_cut_into_windows_of_three_samples() {
    let mut curve = moments(Metric::Private, (0..30).map(|n| (5.0 + f64::from(n) / 10.0, 1.0)));
    curve.cut_into_short_windows();
    assert_eq!(curve.points.last().map(|point| point.cycle), Some(10));
    let mut alone = moments(Metric::Private, [(5.0, 1.0), (5.0, 2.0)]);
    alone.cut_into_short_windows();
    assert_eq!(cycles(&alone), [1, 1]);
}

#[test]
fn what_matters_over_time_is_a_share_of_the_level_or_what_its_noise_hides() {
    let kilo = 1000.0;
    for (level, noise, seconds, smallest) in [
        // A twentieth of the level over 980 seconds.
        (1e6, 0.0, 20.0, 50.0 * kilo / 980.0),
        // Eight pages, where that is more.
        (1e5, 0.0, 20.0, 8.0 * 4096.0 / 980.0),
        // Four deviations of the noise, up to a tenth of the level.
        (1e6, 15_000.0, 20.0, 4.0 * 1.4826 * 15.0 * kilo / 980.0),
        (1e6, 20_000.0, 20.0, 98.0 * kilo / 980.0),
        // Never more than what matters along every axis.
        (1e9, 0.0, 20.0, 1024.0),
        (1e6, 0.0, 0.0, 1024.0),
    ] {
        // From floor to floor it falls, stays and rises; most floors are the lower ones.
        let value = |n: i32| if n % 3 == 0 { level } else { level - noise };
        let mut curve = moments(Metric::Private, (0..50).map(|n| (7.0 + f64::from(n) * seconds, value(n))));
        curve.cut_into_windows();
        let found = curve.usual_smallest(curve.reach());
        assert!((found - smallest).abs() < 1e-9, "{level} {noise} {seconds}: {found}, not {smallest}");
        // Cycles of an idle scenario are no windows of time: it is asked for what its reach shows.
        curve.points[7].phase = Some(Phase::Settle);
        assert_eq!(curve.usual_smallest(1e9), 1024.0);
    }
}

#[test]
fn the_level_of_late_is_that_of_the_load_of_five_cycles() {
    let phases = [Phase::Load, Phase::Settle];
    let points = (1..=10u32).flat_map(|cycle| {
        phases.map(|phase| {
            let value = if phase == Phase::Load { f64::from(cycle) * 10.0 } else { 1000.0 + f64::from(cycle) * 10.0 };
            Point { t: f64::from(cycle), x: f64::from(cycle), value, cycle, phase: Some(phase) }
        })
    });
    let mut curve = Curve { metric: Metric::Fds, axis: Axis::Operations, points: points.collect(), restarts: None };
    assert!(curve.recent_high().is_some_and(|level| (level - 98.0).abs() < 1e-9), "{:?}", curve.recent_high());
    curve.points.retain(|point| point.phase == Some(Phase::Settle));
    assert!(curve.recent_high().is_some_and(|level| (level - 1098.0).abs() < 1e-9), "{:?}", curve.recent_high());
    curve.points.clear();
    assert_eq!(curve.recent_high(), None);
}

#[test]
fn samples_of_a_stopped_target_are_left_out_unless_it_hardly_ran() {
    let points = |stopped: u64| {
        let records: Vec<Record> =
            (0..5).map(|n| sample(n, |s| (s.processes, s.stopped, s.threads) = (1, n < stopped, Some(n)))).collect();
        values(&Metric::Threads, MemorySource::Statm, &records).len()
    };
    assert_eq!([0, 2, 3].map(points), [5, 3, 5]);
}

#[test]
fn a_count_that_falls_between_two_readings_stands() {
    let tick =
        |at, operations| Record::Sample(Sample { at: Moment(at), operations, fds: Some(1), ..Sample::default() });
    let reading = |at, operations| {
        let gauges = [("done".to_owned(), 1.0)].into();
        Record::Detail(Box::new(Detail { at: Moment(at), operations, gauges, ..Detail::default() }))
    };
    let closer = Record::Detail(Box::new(Detail { at: Moment(1_500_000), operations: 7, ..Detail::default() }));
    let records = [
        reading(1_000_000, 100),
        closer,
        tick(1_750_000, 100),
        reading(2_000_000, 40),
        tick(2_500_000, 40),
        reading(4_000_000, 60),
        tick(4_000_000, 60),
    ];
    let curve = Curve::windowed_along(&Metric::Fds, Axis::Operations, MemorySource::Statm, &records);
    assert_eq!(curve.points.iter().map(|point| point.x).collect::<Vec<_>>(), [100.0, 45.0, 60.0]);
}
