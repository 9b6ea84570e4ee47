//! What lies under the steps: TLS, unix sockets, standard input and output, programs.

use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::servers::{answer, http_server, plain_server, serve};
use super::*;

async fn tls_server() -> (u16, String, JoinSet<()>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).expect("certificate");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (port, tasks) = plain_server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, Arc::new(|_| answer(200, "secret"))).await;
            }
        }
    })
    .await;
    (port, made.cert.pem(), tasks)
}

#[tokio::test]
async fn tls_believes_whom_it_is_told_to() {
    let (port, pem, _server) = tls_server().await;
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).expect("write");
    let missing = folder.path().join("missing.pem");
    let step = |trust| HttpStep { trust, ..http("GET", "https://localhost:{{ port }}/") };
    for trust in [Trust::Anyone, Trust::Authority(file)] {
        let stage = FakeStage::default();
        let (stop, tally) = run_on(&stage, &scenario(flood(step(trust))), &around(port)).await;
        assert_eq!((stop, tally.unexpected), (Stop::Spent, BTreeMap::new()));
        assert_eq!(stage.counters.own_connections.held(), 0);
    }
    let (stop, tally) = run_alone(&scenario(flood(step(Trust::WebRoots))), port).await;
    assert_eq!((stop, tally.counted), (Stop::Errors, 0));
    assert!(tally.unexpected.contains_key("certificate refused"), "{tally:?}");
    let (stop, _) = run_alone(&scenario(flood(step(Trust::Authority(missing)))), port).await;
    assert!(matches!(&stop, Stop::Failed { reason } if reason.contains("missing.pem")), "{stop:?}");
}

#[tokio::test]
async fn nobody_but_this_machine_is_loaded() {
    for url in ["http://192.0.2.1:{{ port }}/", "http://192.0.2.1:{{ port }}/{{ op }}"] {
        let (stop, tally) = run_alone(&scenario(flood(http("GET", url))), 9).await;
        let Stop::Failed { reason } = stop else { panic!("{stop:?}") };
        assert!(reason.contains("192.0.2.1") && reason.contains("allow_remote"), "{reason}");
        assert_eq!(tally.tried(), 0);
    }
}

#[tokio::test]
async fn unix_sockets_are_reached_by_http_and_as_they_are() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("s.sock");
    let listener = UnixListener::bind(&path).expect("bind");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("accept");
            tokio::spawn(serve(stream, Arc::new(|_| answer(200, "ok"))));
        }
    });
    let path = path.display();
    let (stop, tally) = run_alone(&scenario(flood(http("GET", &format!("unix:{path}:/metrics")))), 0).await;
    assert_eq!((stop, tally.unexpected.len()), (Stop::Spent, 0), "{tally:?}");
    let uses = vec![send("GET / HTTP/1.1\r\nhost: x\r\n\r\n", Some("200 OK"))];
    let work = Work::Churn { open: tcp(&format!("unix:{path}")), uses, close: Leave::Close };
    let (stop, tally) = run_alone(&scenario(work), 0).await;
    assert_eq!((stop, tally.unexpected.len()), (Stop::Spent, 0), "{tally:?}");
}

/// A target that answers each line on its standard input in its log.
fn echo(log: &std::path::Path) -> StdioChannel {
    use std::io::{BufRead, BufReader, Write};
    let (reader, writer) = std::io::pipe().expect("pipe");
    let mut file = std::fs::File::create(log).expect("log");
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            let value: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
            writeln!(file, "noise\n{{\"done\": {}}}", value["id"]).expect("write");
        }
    });
    StdioChannel { stdin: Arc::new(writer.into()), stdout: log.into() }
}

#[tokio::test]
async fn a_launched_target_is_talked_to_over_its_standard_input() {
    let folder = tempfile::tempdir().expect("folder");
    let log = folder.path().join("stdout.log");
    let around = Surroundings { stdio: Some(echo(&log)), ..around(0) };
    let uses = vec![send(r#"{"id": {{ op }}}"#, Some(r#""done": {{ op }}}"#))];
    let work = Work::Churn { open: Opening::Stdio, uses, close: Leave::Close };
    let (stop, tally) = run_on(&FakeStage::default(), &scenario(work.clone()), &around).await;
    assert_eq!((stop, tally.unexpected.len()), (Stop::Spent, 0), "{tally:?}");
    let lines = std::fs::read_to_string(&log).expect("log").matches("done").count();
    assert_eq!(lines as u64, tally.counted);

    let (stop, _) = run_alone(&scenario(work), 0).await;
    assert!(matches!(&stop, Stop::Failed { reason } if reason.contains("launched")), "{stop:?}");
}

#[tokio::test]
async fn a_program_is_an_operation() {
    let step = |script: &str, within_ms| Step::Command {
        argv: ["sh", "-c", script].map(template).to_vec(),
        expect: vec![0],
        within: Duration::from_millis(within_ms),
    };
    let mut scenario = scenario(Work::Flood { step: step("test {{ op }} != 3 || exit 9", 20_000), then: Vec::new() });
    (scenario.load, scenario.distinct, scenario.max_errors) = (Load::Operations(10), Some(5), 1.0);
    let (stop, tally) = run_alone(&scenario, 0).await;
    assert_eq!(stop, Stop::Spent);
    assert!(tally.unexpected["exit code 9"] >= 1 && tally.counted > tally.unexpected_total(), "{tally:?}");

    scenario.work = Work::Flood { step: step("sleep 60", 50), then: Vec::new() };
    scenario.load = Load::Operations(2);
    let (_, tally) = run_alone(&scenario, 0).await;
    assert_eq!((tally.counted, tally.unexpected["timeout after 50 ms"]), (0, tally.tried()));
}

#[tokio::test]
async fn an_address_with_nobody_is_said_clearly() {
    let server = http_server(|_| answer(200, "")).await;
    let port = server.port;
    drop(server);
    let (stop, tally) = run_alone(&scenario(flood(http("GET", "/"))), port).await;
    let Stop::Failed { reason } = stop else { panic!("{stop:?} {tally:?}") };
    assert!(reason.contains("cannot be reached") && reason.contains(&port.to_string()), "{reason}");
    assert_eq!(tally.unexpected["connection refused"], tally.tried());
}

#[tokio::test]
async fn request_whose_answer_broke_off_is_not_sent_again() {
    use std::sync::atomic::AtomicUsize;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let served = Arc::new(AtomicUsize::new(0));
    let (port, _server) = plain_server(move |mut stream| {
        let served = Arc::clone(&served);
        async move {
            let mut bytes = [0; 4096];
            while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                if served.fetch_add(1, Relaxed) == 1 {
                    let _ = stream.write_all(b"HTTP/1.1 2").await;
                    return;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    let (_, tally) = run_alone(&scenario(flood(http("GET", "http://127.0.0.1:{{ port }}/"))), port).await;
    assert_eq!(tally.unexpected.len(), 1, "{tally:?}");
}
