//! Sessions: how they are opened, used and left.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::servers::{answer, http_server, plain_server};
use super::*;

/// How a session looked from the target's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Greeted,
    End,
    Reset,
}

/// Answers PING with PONG and tells how it ended; after an end of reading it still writes, to see whether
/// anybody is there.
async fn ping_pong(mut stream: TcpStream, seen: UnboundedSender<Seen>) {
    let mut bytes = [0; 64];
    loop {
        match stream.read(&mut bytes).await {
            Ok(0) => break seen.send(Seen::End).unwrap_or_default(),
            Ok(_) => {
                let _ = seen.send(Seen::Greeted);
                let _ = stream.write_all(b"+PONG\r\n").await;
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                break seen.send(Seen::Reset).unwrap_or_default();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn ping_pong_server() -> (u16, UnboundedReceiver<Seen>, tokio::task::JoinSet<()>) {
    let (seen, events) = unbounded_channel();
    let (port, tasks) = plain_server(move |stream| ping_pong(stream, seen.clone())).await;
    (port, events, tasks)
}

fn churn(close: Leave) -> Scenario {
    let uses = vec![send("PING\n", Some("PONG"))];
    let mut scenario = scenario(Work::Churn { open: tcp("127.0.0.1:{{ port }}"), uses, close });
    scenario.load = Load::Operations(20);
    scenario
}

#[tokio::test]
async fn each_way_of_leaving_looks_as_it_should_from_the_other_side() {
    for (leave, ending) in [(Leave::Close, Seen::End), (Leave::Reset, Seen::Reset), (Leave::HalfOpen, Seen::End)] {
        let (port, mut events, _server) = ping_pong_server().await;
        let (stop, tally) = run_alone(&churn(leave), port).await;
        assert_eq!((stop, tally.unexpected.len()), (Stop::Spent, 0), "{leave:?}");
        let mut endings = 0;
        while endings < tally.counted {
            let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await.expect("an ending");
            match event.expect("the server runs") {
                Seen::Greeted => {}
                other => {
                    assert_eq!(other, ending, "{leave:?}");
                    endings += 1;
                }
            }
        }
    }
}

#[tokio::test]
async fn stalled_sessions_stay_until_the_load_is_over() {
    let stage = FakeStage::default();
    let open = Arc::new(AtomicU64::new(0));
    let most = Arc::new(AtomicU64::new(0));
    let (count, top) = (Arc::clone(&open), Arc::clone(&most));
    let (port, _server) = plain_server(move |mut stream| {
        top.fetch_max(count.fetch_add(1, Relaxed) + 1, Relaxed);
        let count = Arc::clone(&count);
        async move {
            // Writes until nobody takes it any more; only an end of the connection ends this.
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            count.fetch_sub(1, Relaxed);
        }
    })
    .await;
    let work = Work::Abandon { open: tcp("127.0.0.1:{{ port }}"), during: Vec::new(), leave: Leave::Stall };
    let mut scenario = scenario(work);
    scenario.load = Load::Operations(10);
    let (_, tally) = run_on(&stage, &scenario, &around(port)).await;
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while most.load(Relaxed) < tally.counted || open.load(Relaxed) > 0 {
        assert!(tokio::time::Instant::now() < limit, "all were open at once, then all were released");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(stage.counters.own_connections.held(), 0);
}

#[tokio::test]
async fn half_open_sessions_still_listen() {
    let (told, mut heard) = unbounded_channel();
    let (port, _server) = plain_server(move |mut stream| {
        let told = told.clone();
        async move {
            let mut bytes = [0; 16];
            while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
            // Far more than socket buffers hold: it goes out only when the other side reads.
            let went = stream.write_all(&vec![b'x'; 64 << 20]).await;
            let _ = told.send(went.is_ok());
        }
    })
    .await;
    let work = Work::Abandon { open: tcp("127.0.0.1:{{ port }}"), during: Vec::new(), leave: Leave::HalfOpen };
    let mut scenario = scenario(work);
    // The operation is over at once; the load goes on until its time is up, and the session with it.
    (scenario.load, scenario.pace) =
        (Load::For(Duration::from_secs(3)), Pace::Open { per_second: 0.5, most_at_once: 1 });
    let stage = FakeStage::default();
    let around = around(port);
    let run = run_on(&stage, &scenario, &around);
    let first = async { heard.recv().await.expect("a session") };
    tokio::select! {
        went = first => assert!(went, "the target could write to the half-open session"),
        _ = run => panic!("the load was over before the session was read"),
    }
}

#[tokio::test]
async fn abandoned_event_streams_are_reset_after_a_little_was_done_in_them() {
    let (seen, mut events) = unbounded_channel();
    let posts = http_server(|asked| answer(if asked.method == "POST" { 200 } else { 405 }, "")).await;
    let (port, _server) = plain_server(move |mut stream| {
        let seen = seen.clone();
        async move {
            let mut bytes = [0; 1024];
            let count = stream.read(&mut bytes).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&bytes[..count]).to_ascii_lowercase();
            assert!(request.contains("accept: text/event-stream") && request.contains("x-key: k"), "{request}");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n").await;
            ping_pong(stream, seen).await;
        }
    })
    .await;
    let url = template("/events?session={{ session }}");
    let open = Opening::Sse { url, headers: vec![("X-Key".into(), template("k"))] };
    let post = Step::Http(http("POST", &format!("http://127.0.0.1:{}/", posts.port)));
    let mut scenario = scenario(Work::Abandon { open, during: vec![post], leave: Leave::Reset });
    scenario.load = Load::Operations(20);
    let stage = FakeStage::default();
    let (stop, tally) = run_on(&stage, &scenario, &around(port)).await;
    assert_eq!((stop, tally.unexpected.len()), (Stop::Spent, 0), "{tally:?}");
    assert_eq!(posts.answered.load(Relaxed), tally.counted);
    for _ in 0..tally.counted {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await.expect("an ending");
        assert_eq!(event, Some(Seen::Reset));
    }
    assert_eq!(stage.counters.own_connections.held(), 0);
}

#[tokio::test]
async fn an_event_stream_that_is_not_there_is_an_error_with_its_status() {
    let server = http_server(|_| answer(404, "no such stream")).await;
    let open = Opening::Sse { url: template("/events"), headers: Vec::new() };
    let work = Work::Abandon { open, during: Vec::new(), leave: Leave::Close };
    let (stop, tally) = run_alone(&scenario(work), server.port).await;
    assert_eq!(stop, Stop::Errors);
    assert_eq!(tally.first_of_kind["status 404"], "no such stream");
}

async fn document(stream: TcpStream, edits: Arc<AtomicU64>, closed: Arc<AtomicU64>) {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let mut socket = tokio_tungstenite::accept_async(stream).await.expect("handshake");
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(_) => {
                edits.fetch_add(1, Relaxed);
                socket.send(Message::text("somebody else typed")).await.expect("send");
                socket.send(Message::text(r#"{"ok": true}"#)).await.expect("send");
            }
            Message::Close(_) => drop(closed.fetch_add(1, Relaxed)),
            _ => {}
        }
    }
}

#[tokio::test]
async fn one_long_session_stays_open_over_all_cycles_and_is_closed_in_order() {
    let (edits, sessions, closed) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let (e, s, c) = (Arc::clone(&edits), Arc::clone(&sessions), Arc::clone(&closed));
    let (port, _server) = plain_server(move |stream| {
        s.fetch_add(1, Relaxed);
        document(stream, Arc::clone(&e), Arc::clone(&c))
    })
    .await;
    let open = Opening::WebSocket { url: template("/documents/1"), headers: Vec::new() };
    let edit = send(r#"{"insert": "{{ text(8) }}"}"#, Some("ok"));
    for pace in [Pace::Closed { workers: 4 }, Pace::Open { per_second: 2000.0, most_at_once: 4 }] {
        let (before, old) = (edits.load(Relaxed), sessions.load(Relaxed));
        let work = Work::LongSession { open: open.clone(), edit: edit.clone(), close: Leave::Close };
        let scenario = Scenario { pace, max_cycles: 3, ..scenario(work) };
        let stage = FakeStage::default();
        let (stop, tally) = run_on(&stage, &scenario, &around(port)).await;
        assert_eq!((stop, tally.unexpected.len()), (Stop::Spent, 0), "{tally:?}");
        assert_eq!(edits.load(Relaxed) - before, tally.counted);
        assert_eq!(sessions.load(Relaxed) - old, 1);
        let settled: Vec<u64> = stage.borders.lock().expect("borders").iter().skip(1).map(|border| border.3).collect();
        assert_eq!(settled, [1; 5], "the session is ours and on the account all the time");
        assert_eq!(stage.counters.own_connections.held(), 0);
    }
    assert_eq!(closed.load(Relaxed), 2);
}

#[tokio::test]
async fn a_session_that_is_only_a_name_is_opened_by_a_step() {
    let server = http_server(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/sessions") => answer(200, r#"{"id": 77}"#),
        ("POST", "/sessions/77/say") => answer(200, ""),
        _ => answer(404, asked.path),
    })
    .await;
    let capture = BTreeMap::from([("sid".to_owned(), "id".to_owned())]);
    let begin = Step::Http(HttpStep { capture, ..http("POST", "/sessions") });
    let say = Step::Http(http("POST", "/sessions/{{ sid }}/say"));
    let open = Opening::Step(Box::new(begin));
    let abandon = Work::Abandon { open: open.clone(), during: vec![say.clone()], leave: Leave::Close };
    let (stop, tally) = run_alone(&scenario(abandon), server.port).await;
    assert_eq!((stop, server.answered.load(Relaxed)), (Stop::Spent, 2 * tally.counted), "{tally:?}");
    let before = server.answered.load(Relaxed);
    let long = Work::LongSession { open, edit: say, close: Leave::Close };
    let (stop, tally) = run_alone(&scenario(long), server.port).await;
    assert_eq!((stop, server.answered.load(Relaxed) - before), (Stop::Spent, 1 + tally.counted), "{tally:?}");
}

#[tokio::test]
async fn an_answer_that_never_comes_shows_what_came_instead() {
    let (port, _events, _server) = ping_pong_server().await;
    let wait =
        Step::Send { text: template("PING\n"), until: Some(template("NEVER")), within: Duration::from_millis(40) };
    let work = Work::Churn { open: tcp("127.0.0.1:{{ port }}"), uses: vec![wait], close: Leave::Close };
    let mut scenario = scenario(work);
    scenario.load = Load::Operations(4);
    let (stop, tally) = run_alone(&scenario, port).await;
    assert_eq!(stop, Stop::Errors);
    let shown = &tally.first_of_kind["timeout after 40 ms"];
    assert!(shown.contains("NEVER") && shown.contains("+PONG"), "{shown}");
}
