//! Floods: counts, kinds, keys, captures.

use std::collections::BTreeSet;

use super::servers::{answer, http_server, plain_server};
use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn every_operation_is_counted_once_and_nothing_of_ours_is_left_to_settle() {
    let stage = FakeStage::default();
    let counters = Arc::clone(&stage.counters);
    let (too_large, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (large, top) = (Arc::clone(&too_large), Arc::clone(&most));
    let server = http_server(move |_| {
        let own = counters.own_connections.held();
        top.fetch_max(own, Relaxed);
        // Four workers have four connections: more would be a false dip in the target's descriptors.
        large.fetch_max(own.saturating_sub(4), Relaxed);
        answer(200, "hello")
    })
    .await;
    let mut scenario = scenario(flood(http("GET", "/")));
    scenario.max_cycles = 2;
    let (stop, tally) = run_on(&stage, &scenario, &around(server.port)).await;
    assert_eq!(stop, Stop::Spent);
    assert_eq!(tally.counted, server.answered.load(Relaxed));
    assert_eq!(tally.counted, stage.counters.operations.load(Relaxed));
    assert!((140..=260).contains(&tally.counted), "two loads of 100, up to 30 % off: {}", tally.counted);
    assert_eq!((tally.unexpected.len(), tally.uncounted.len()), (0, 0));
    assert!(server.accepted.load(Relaxed) <= 8, "connections are kept within a load");
    assert!(most.load(Relaxed) >= 1, "our connections are on the account");
    assert_eq!(too_large.load(Relaxed), 0);
    let borders = stage.borders.lock().expect("borders");
    let phases: Vec<_> = borders.iter().map(|(phase, cycle, ..)| (*phase, *cycle)).collect();
    assert_eq!(phases, [(Phase::Load, 1), (Phase::Settle, 1), (Phase::Load, 2), (Phase::Settle, 2)]);
    assert_eq!(borders[1].2, borders[2].2, "nothing is done while it settles");
    assert!(borders.iter().all(|(.., own)| *own == 0));
    assert_eq!(stage.counters.in_flight.load(Relaxed), 0);
}

#[tokio::test]
async fn unexpected_answers_are_counted_by_kind_with_the_first_of_each() {
    let server = http_server(|asked| match asked.path.as_str() {
        "/0" => answer(500, "it \x1b[31mbroke"),
        "/1" => answer(404, "x".repeat(5000)),
        "/2" => answer(429, "later"),
        _ => answer(200, ""),
    })
    .await;
    let mut scenario = scenario(flood(HttpStep { expect: vec![200, 429], ..http("GET", "/{{ op }}") }));
    (scenario.max_errors, scenario.distinct, scenario.pace) = (1.0, Some(4), Pace::Closed { workers: 1 });
    let (stop, tally) = run_alone(&scenario, server.port).await;
    assert_eq!(stop, Stop::Spent);
    let each = tally.tried() / 4;
    for count in
        [tally.counted, tally.unexpected["status 500"], tally.unexpected["status 404"], tally.uncounted["status 429"]]
    {
        assert!((each..=each + 1).contains(&count), "{tally:?}");
    }
    assert_eq!(tally.first_of_kind["status 500"], "it \\u{1b}[31mbroke");
    assert_eq!(tally.first_of_kind["status 404"].len(), 300);
    assert_eq!(server.answered.load(Relaxed), tally.tried());
}

#[tokio::test]
async fn too_many_errors_stop_it_and_few_do_not() {
    for (bad_every, stop_expected) in [(5, Stop::Errors), (50, Stop::Spent)] {
        let calls = AtomicU64::new(0);
        let server = http_server(move |_| {
            let bad = (calls.fetch_add(1, Relaxed) + 1).is_multiple_of(bad_every);
            answer(if bad { 503 } else { 200 }, "")
        })
        .await;
        let mut scenario = scenario(flood(http("GET", "/")));
        (scenario.max_errors, scenario.load) = (0.1, Load::Operations(1000));
        let (stop, tally) = run_alone(&scenario, server.port).await;
        assert_eq!(stop, stop_expected, "{tally:?}");
        if stop == Stop::Errors {
            assert!((20..60).contains(&tally.tried()), "it stops soon after enough were tried: {tally:?}");
        }
    }
}

#[tokio::test]
async fn keys_repeat_when_they_are_to_be_distinct_only_so_far() {
    let seen = Arc::new(Mutex::new((BTreeSet::new(), BTreeSet::new())));
    let write = Arc::clone(&seen);
    let server = http_server(move |asked| {
        let (op, uuid) = asked.body.split_once(' ').expect("two words");
        let mut seen = write.lock().expect("seen");
        seen.0.insert(op.to_owned());
        seen.1.insert(uuid.to_owned());
        answer(200, "")
    })
    .await;
    let step = HttpStep { body: Some(template("{{ op }} {{ uuid }}")), ..http("POST", "/") };
    let mut scenario = scenario(flood(step));
    scenario.distinct = Some(10);
    let (_, tally) = run_alone(&scenario, server.port).await;
    assert!(tally.counted >= 70);
    let seen = seen.lock().expect("seen");
    assert_eq!((seen.0.len(), seen.1.len()), (10, 10));
}

#[tokio::test]
async fn what_one_answer_holds_the_next_request_says() {
    let open = Arc::new(Mutex::new(BTreeSet::new()));
    let server = http_server(move |asked| {
        let mut open = open.lock().expect("open");
        match asked.method.as_str() {
            "POST" => {
                let id = format!("id-{}", asked.body);
                open.insert(id.clone());
                answer(201, format!(r#"{{"items": [{{"id": "{id}", "rev": 3}}]}}"#))
            }
            _ if open.remove(asked.path.trim_start_matches("/items/").trim_end_matches("/3")) => answer(204, ""),
            _ => answer(404, asked.path),
        }
    })
    .await;
    let create = HttpStep {
        body: Some(template("{{ op }}")),
        expect: vec![201],
        counts: vec![201],
        capture: BTreeMap::from([("id".into(), "items.0.id".into()), ("rev".into(), "items.0.rev".into())]),
        ..http("POST", "/items")
    };
    let delete = HttpStep { expect: vec![204], counts: vec![204], ..http("DELETE", "/items/{{ id }}/{{ rev }}") };
    let work = Work::Flood { step: Step::Http(create.clone()), then: vec![Step::Http(delete)] };
    let (stop, tally) = run_alone(&scenario(work), server.port).await;
    assert_eq!((stop, tally.unexpected.len()), (Stop::Spent, 0));
    assert_eq!(server.answered.load(Relaxed), 2 * tally.counted, "an operation is a step with its follow-ups");

    let lost = HttpStep { capture: BTreeMap::from([("id".into(), "nowhere.id".into())]), ..create };
    let (stop, tally) = run_alone(&scenario(flood(lost)), server.port).await;
    assert_eq!(stop, Stop::Errors);
    assert!(tally.first_of_kind["value missing in the answer"].contains("nowhere.id"), "{tally:?}");
}

#[tokio::test]
async fn refused_for_now_is_not_followed_up() {
    let server = http_server(|asked| if asked.method == "POST" { answer(429, "") } else { answer(200, "") }).await;
    let add = HttpStep { expect: vec![201, 429], counts: vec![201], ..http("POST", "/") };
    let work = Work::Flood { step: Step::Http(add), then: vec![Step::Http(http("GET", "/"))] };
    let (stop, tally) = run_alone(&scenario(work), server.port).await;
    assert_eq!((stop, tally.counted), (Stop::Spent, 0));
    assert_eq!(tally.uncounted["status 429"], server.answered.load(Relaxed));
}

#[tokio::test]
async fn a_kept_connection_that_died_unseen_is_replaced_once() {
    let (port, _server) = plain_server(|mut stream| async move {
        let mut scrap = [0; 1024];
        // One answer, with no word of closing; then it closes.
        if matches!(stream.read(&mut scrap).await, Ok(1..)) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let (stop, tally) = run_alone(&scenario(flood(http("GET", "/"))), port).await;
    assert_eq!((stop, tally.unexpected), (Stop::Spent, BTreeMap::new()));
}

#[tokio::test]
async fn a_request_is_not_sent_again_once_any_byte_of_an_answer_came() {
    for begun in ["H", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let (port, _server) = plain_server(move |mut stream| {
            let seen = Arc::clone(&seen);
            async move {
                let mut request = [0; 1024];
                // One answer; then the begin of another, and it closes.
                for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", begun] {
                    let Ok(length @ 1..) = stream.read(&mut request).await else { return };
                    let text = String::from_utf8_lossy(&request[..length]).into_owned();
                    seen.lock().expect("requests").push(text.lines().next().unwrap_or_default().to_owned());
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        })
        .await;
        let work = Scenario { max_errors: 1.0, ..scenario(flood(http("GET", "/{{ op }}"))) };
        let (_, tally) = run_alone(&work, port).await;
        assert!(tally.tried() > tally.counted && tally.counted > 0, "{begun:?}: {tally:?}");
        let requests = requests.lock().expect("requests");
        let different: BTreeSet<&String> = requests.iter().collect();
        assert_eq!(different.len(), requests.len(), "{begun:?}: a request came twice");
    }
}

#[tokio::test]
async fn a_connection_per_request_when_asked() {
    let stage = FakeStage::default();
    let server = http_server(|_| answer(200, "")).await;
    let step = HttpStep { connection: Connection::PerRequest, ..http("GET", "/") };
    let (_, tally) = run_on(&stage, &scenario(flood(step)), &around(server.port)).await;
    assert_eq!(server.accepted.load(Relaxed), tally.counted);
    assert_eq!(stage.counters.own_connections.held(), 0);
}

#[tokio::test]
async fn silence_and_nonsense_are_kinds_too() {
    let (port, _server) = plain_server(|mut stream| async move {
        let mut scrap = [0; 1024];
        let count = stream.read(&mut scrap).await.unwrap_or(0);
        let text = String::from_utf8_lossy(&scrap[..count]).into_owned();
        if text.starts_with("GET /0") {
            std::future::pending::<()>().await;
        } else if text.starts_with("GET /1") {
            let _ = stream.write_all(b"220 smtp.example ESMTP\r\n\r\n").await;
        } else if text.starts_with("GET /2") {
            stream.set_zero_linger().expect("linger");
        }
    })
    .await;
    let step = HttpStep { within: Duration::from_millis(50), ..http("GET", "/{{ op }}") };
    let mut scenario = scenario(flood(step));
    (scenario.max_errors, scenario.distinct, scenario.load) = (1.0, Some(4), Load::Operations(40));
    let (_, tally) = run_alone(&scenario, port).await;
    let kinds: Vec<&str> = tally.unexpected.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["closed by peer", "invalid answer", "reset by peer", "timeout after 50 ms"], "{tally:?}");
}
