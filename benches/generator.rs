//! The load generator against `wrk`, side by side: one trivial hyper server in a process of its own, the same
//! number of connections, taking turns.
//!
//! `cargo bench --bench generator`. The goal is at least 0.7 of what `wrk` reaches.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers: it prints and may panic")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tidewatch::sample::{Border, LoadPlan, ScenarioPlan, Shape, Smallest, Usual};
use tidewatch::scenario::engine::{Counters, Go, Stage, Surroundings, run};
use tidewatch::scenario::template::{Fixed, Template};
use tidewatch::scenario::{Connection, HttpStep, Load, Pace, Scenario, Step, Trust, Work};

const SERVER: &str = "TIDEWATCH_BENCH_SERVER";
const CONNECTIONS: u32 = 16;
const SECONDS: u64 = 5;
const TURNS: usize = 3;

fn main() {
    if std::env::var_os(SERVER).is_some() {
        return serve();
    }
    let mut server = Command::new(std::env::current_exe().unwrap())
        .env(SERVER, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let port = port.trim();
    let mut ratios = Vec::new();
    for turn in 1..=TURNS {
        let wrk = run_wrk(port);
        let ours = run_engine(port);
        match wrk {
            Some(wrk) => {
                ratios.push(ours / wrk);
                println!("turn {turn}: wrk {wrk:.0}/s, tidewatch {ours:.0}/s, ratio {:.2}", ours / wrk);
            }
            None => println!("turn {turn}: wrk is not installed, tidewatch {ours:.0}/s"),
        }
    }
    ratios.sort_by(f64::total_cmp);
    if let Some(median) = ratios.get(ratios.len() / 2) {
        println!("median ratio {median:.2} with {CONNECTIONS} connections (goal: at least 0.70)");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Requests per second by `wrk`.
fn run_wrk(port: &str) -> Option<f64> {
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s"), &format!("http://127.0.0.1:{port}/")])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).and_then(|rate| rate.trim().parse().ok())
}

/// Requests per second by the engine.
fn run_engine(port: &str) -> f64 {
    let step = HttpStep {
        method: "GET".into(),
        url: Template::parse("/").unwrap(),
        headers: Vec::new(),
        body: None,
        expect: vec![200],
        counts: vec![200],
        connection: Connection::KeepAlive,
        capture: BTreeMap::new(),
        trust: Trust::WebRoots,
        within: Duration::from_secs(5),
    };
    let scenario = Scenario {
        plan: ScenarioPlan {
            name: "generator".into(),
            shape: Shape::Flood,
            subsystem: None,
            steps: Vec::new(),
            load: LoadPlan::default(),
            smallest: Smallest::PER_OPERATION,
            usual: Usual::default(),
            expect_cap: None,
            thresholds: Vec::new(),
            production: Vec::new(),
        },
        work: Work::Flood { step: Step::Http(step), then: Vec::new() },
        pace: Pace::Closed { workers: CONNECTIONS },
        warmup: Duration::from_secs(SECONDS),
        load: Load::Operations(1),
        settle: Duration::ZERO,
        min_cycles: 0,
        max_cycles: 0,
        further_cycles: 0,
        max_errors: 0.0,
        min_operations: None,
        distinct: None,
        before_settle: None,
    };
    let around = Surroundings {
        fixed: Fixed { captures: BTreeMap::from([("port".into(), port.into())]), ..Fixed::default() },
        seed: 1,
        allow_remote: Vec::new(),
        stdio: None,
        cwd: ".".into(),
        commands: Arc::new(tidewatch::target::Commands::new(tidewatch::target::GuardianProgram::ThisProgram)),
    };
    // The runtime that a session uses.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (stop, tally) = runtime.block_on(run(&scenario, &around, &Bare::default()));
    assert_eq!(tally.unexpected_total(), 0, "{stop:?} {tally:?}");
    tally.counted as f64 / tally.load_seconds
}

/// A stage on which nothing happens.
#[derive(Default)]
struct Bare {
    counters: Arc<Counters>,
}

impl Stage for Bare {
    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    async fn border(&self, _: Border) {}

    async fn cycle_done(&self, _: u32) -> Go {
        Go::On
    }

    async fn target_ended(&self) {
        std::future::pending().await
    }

    async fn interrupted(&self) {
        std::future::pending().await
    }
}

/// The trivial server: prints its port and answers `hello` to everything.
fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let service = service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}
