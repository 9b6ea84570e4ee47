//! The course of a scenario: phases, decisions, and ends that come from outside.

use super::servers::{answer, http_server, plain_server};
use super::*;

#[tokio::test]
async fn it_is_decided_no_sooner_than_after_the_fewest_cycles() {
    let server = http_server(|_| answer(200, "")).await;
    for (decide_at, cycles, stop_expected) in
        [(Some(1), 3, Stop::Decided), (Some(4), 4, Stop::Decided), (None, 5, Stop::Spent)]
    {
        let stage = FakeStage { decide_at, ..FakeStage::default() };
        let mut scenario = scenario(flood(http("GET", "/")));
        (scenario.min_cycles, scenario.max_cycles, scenario.load) = (3, 5, Load::Operations(5));
        scenario.warmup = Duration::from_millis(5);
        let (stop, _) = run_on(&stage, &scenario, &around(server.port)).await;
        assert_eq!(stop, stop_expected);
        let borders = stage.borders.lock().expect("borders");
        assert_eq!((borders[0].0, borders[0].1), (Phase::Warmup, 0));
        assert_eq!(borders.len(), 1 + 2 * cycles);
    }
}

#[tokio::test]
async fn it_goes_on_past_its_cycles_only_while_the_stage_says_so() {
    let server = http_server(|_| answer(200, "")).await;
    for (spent_at, decide_at, cycles, stop_expected) in [
        (Some(3), None, 3, Stop::Spent),
        (Some(5), None, 5, Stop::Spent),
        (Some(6), Some(5), 5, Stop::Decided),
        (None, None, 7, Stop::Spent),
    ] {
        let stage = FakeStage { decide_at, spent_at, ..FakeStage::default() };
        let mut scenario = scenario(flood(http("GET", "/")));
        (scenario.max_cycles, scenario.further_cycles, scenario.load) = (3, 7, Load::Operations(5));
        let (stop, _) = run_on(&stage, &scenario, &around(server.port)).await;
        assert_eq!((stop, stage.cycles.load(Relaxed)), (stop_expected, cycles), "{spent_at:?} {decide_at:?}");
    }
}

#[tokio::test]
async fn it_goes_on_until_the_fewest_operations_are_done() {
    let server = http_server(|_| answer(200, "")).await;
    let stage = FakeStage { decide_at: Some(1), ..FakeStage::default() };
    let mut scenario = scenario(flood(http("GET", "/")));
    (scenario.max_cycles, scenario.load, scenario.min_operations) = (100, Load::Operations(10), Some(50));
    let (stop, tally) = run_on(&stage, &scenario, &around(server.port)).await;
    assert_eq!(stop, Stop::Decided);
    assert!((50..63).contains(&tally.counted), "{}", tally.counted);
}

#[tokio::test(start_paused = true)]
async fn idle_is_phases_without_work() {
    let stage = FakeStage::default();
    let mut scenario = scenario(Work::Idle);
    (scenario.load, scenario.settle, scenario.max_cycles) =
        (Load::For(Duration::from_secs(10)), Duration::from_secs(5), 4);
    let start = tokio::time::Instant::now();
    let (stop, tally) = run(&scenario, &around(0), &stage).await;
    assert_eq!((stop, tally.tried()), (Stop::Spent, 0));
    assert!((28.0..=52.0).contains(&tally.load_seconds), "{}", tally.load_seconds);
    let quiet = start.elapsed().as_secs_f64() - tally.load_seconds;
    assert!((quiet - 20.0).abs() < 0.1, "{quiet}");
    assert_eq!(stage.borders.lock().expect("borders").len(), 8);
}

#[tokio::test]
async fn an_interrupt_does_not_wait_for_answers() {
    let stage = Arc::new(FakeStage::default());
    let (port, _server) = {
        let stage = Arc::clone(&stage);
        plain_server(move |stream| {
            stage.interrupt.happen();
            async move {
                let _open = stream;
                std::future::pending::<()>().await;
            }
        })
        .await
    };
    let step = HttpStep { within: Duration::from_secs(3600), ..http("GET", "/") };
    for pace in [Pace::Closed { workers: 3 }, Pace::Open { per_second: 100.0, most_at_once: 3 }] {
        let scenario = Scenario { pace, ..scenario(flood(step.clone())) };
        let (stop, _) = run_on(&stage, &scenario, &around(port)).await;
        assert_eq!(stop, Stop::Interrupted);
        assert_eq!(stage.counters.in_flight.load(Relaxed), 0, "nothing goes on after it");
    }
}

#[tokio::test]
async fn a_target_that_ends_is_the_reason_and_not_its_errors() {
    for told in [true, false] {
        let stage = Arc::new(FakeStage::default());
        let calls = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&calls);
        let mut server = http_server(move |_| {
            count.fetch_add(1, Relaxed);
            answer(200, "")
        })
        .await;
        let mut scenario = scenario(flood(http("GET", "/")));
        scenario.load = Load::For(Duration::from_secs(30));
        let around = around(server.port);
        let end = async {
            while calls.load(Relaxed) < 50 {
                tokio::task::yield_now().await;
            }
            server.tasks.shutdown().await;
            if told {
                // Its end is seen a little later than its errors.
                tokio::time::sleep(Duration::from_millis(100)).await;
                stage.ended.happen();
            }
        };
        let ((stop, tally), ()) = tokio::join!(run_on(&stage, &scenario, &around), end);
        assert_eq!(stop, if told { Stop::TargetEnded } else { Stop::Errors }, "{tally:?}");
        assert!(tally.counted >= 46 && tally.unexpected_total() > 0, "{tally:?}");
        assert_eq!(stage.counters.own_connections.held(), 0);
    }
}

#[tokio::test]
async fn a_step_before_settling_is_done_and_is_no_operation() {
    let collected = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&collected);
    let server = http_server(move |asked| {
        if asked.path == "/gc" {
            count.fetch_add(1, Relaxed);
        }
        answer(200, "")
    })
    .await;
    let mut scenario = scenario(flood(http("GET", "/")));
    (scenario.max_cycles, scenario.before_settle) = (3, Some(Step::Http(http("POST", "/gc"))));
    let (_, tally) = run_alone(&scenario, server.port).await;
    assert_eq!(collected.load(Relaxed), 3);
    assert_eq!(tally.counted + 3, server.answered.load(Relaxed));
}

#[tokio::test]
async fn a_value_that_is_missing_stops_it_with_the_name() {
    let (stop, _) = run_alone(&scenario(flood(http("GET", "/{{ var.nowhere }}"))), 1).await;
    assert!(matches!(&stop, Stop::Failed { reason } if reason.contains("nowhere")), "{stop:?}");
}
