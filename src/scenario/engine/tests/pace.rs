//! The pace: by the schedule, whatever the target does.

use super::servers::{answer, http_server, plain_server};
use super::*;

fn open(per_second: f64, most_at_once: u32, warmup_ms: u64, step: HttpStep) -> Scenario {
    let pace = Pace::Open { per_second, most_at_once };
    // A warm-up is not jittered: its number of operations is known.
    Scenario { pace, warmup: Duration::from_millis(warmup_ms), max_cycles: 0, max_errors: 1.0, ..scenario(flood(step)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_is_done_or_missed_and_nothing_else() {
    for (per_second, duration_ms) in [(2000.0, 250), (50_000.0, 100), (40.0, 100)] {
        let server = http_server(|_| answer(200, "")).await;
        let (stop, tally) = run_alone(&open(per_second, 64, duration_ms, http("GET", "/")), server.port).await;
        assert_eq!(stop, Stop::Spent);
        let due = (per_second * duration_ms as f64 / 1000.0).round() as u64;
        assert_eq!(tally.counted + tally.missed, due, "{per_second}/s: {tally:?}");
        assert_eq!(server.answered.load(Relaxed), tally.counted);
        assert!(tally.counted > 0);
    }
}

#[tokio::test]
async fn a_number_of_operations_is_exact_in_an_open_loop_too() {
    let server = http_server(|_| answer(200, "")).await;
    let mut scenario = open(5000.0, 2, 0, http("GET", "/"));
    (scenario.max_cycles, scenario.load) = (1, Load::Operations(300));
    let (_, tally) = run_alone(&scenario, server.port).await;
    let exact = {
        use rand::{RngExt, SeedableRng};
        (300.0 * rand_chacha::ChaCha8Rng::seed_from_u64(7).random_range(0.7..=1.3_f64)).round() as u64
    };
    assert_eq!(tally.counted, exact, "{tally:?}");
}

#[tokio::test]
async fn a_target_that_hangs_is_not_asked_more_often_at_once_than_allowed() {
    let (asked, most) = (Arc::new(AtomicU64::new(0)), 3);
    let count = Arc::clone(&asked);
    let (port, _server) = plain_server(move |stream| {
        count.fetch_add(1, Relaxed);
        async move {
            let _open = stream;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let step = HttpStep { within: Duration::from_millis(300), ..http("GET", "/") };
    let (_, tally) = run_alone(&open(1000.0, most, 100, step), port).await;
    assert_eq!(asked.load(Relaxed), u64::from(most));
    assert_eq!(tally.unexpected["timeout after 300 ms"], u64::from(most));
    assert_eq!(tally.missed, 100 - u64::from(most));
}

#[tokio::test]
async fn a_slow_rate_is_carried_over_from_load_to_load() {
    let server = http_server(|_| answer(200, "")).await;
    let mut scenario = open(10.0, 4, 0, http("GET", "/"));
    (scenario.max_cycles, scenario.load) = (20, Load::For(Duration::from_millis(30)));
    let (_, tally) = run_alone(&scenario, server.port).await;
    // Twenty loads of 30 ms at ten a second: six operations, give or take the jitter.
    assert!((4..=8).contains(&tally.counted), "{tally:?}");
}

#[tokio::test]
async fn an_idle_connection_that_the_target_ends_leaves_the_account() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    async fn own_is(counters: &Counters, count: u64) {
        while counters.own_connections.held() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let stage = FakeStage::default();
    let counters = Arc::clone(&stage.counters);
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let (port, _server) = plain_server(move |mut stream| {
        let (counters, told) = (Arc::clone(&counters), told.clone());
        async move {
            let mut scrap = [0; 1024];
            let _ = stream.read(&mut scrap).await;
            assert_eq!(counters.own_connections.held(), 0, "nothing has proved that it is held");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            own_is(&counters, 1).await;
            drop(stream);
            own_is(&counters, 0).await;
            let _ = told.send(());
        }
    })
    .await;
    // The first operation after half a second, the second after a second: time for an end to be seen.
    let scenario = open(2.0, 1, 3_600_000, http("GET", "/"));
    let around = around(port);
    tokio::select! {
        told = heard.recv() => assert!(told.is_some()),
        _ = run_on(&stage, &scenario, &around) => panic!("the load lasts an hour"),
    }
}
