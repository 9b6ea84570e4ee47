//! The built-in target: a small HTTP service with four systems, in a leaking and a fixed form.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io::Write as _;
use std::net::UdpSocket;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

/// Whether the service lets go of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It keeps everything for ever.
    Leaking,
    /// It keeps a bounded amount.
    Fixed,
}

const ITEMS_KEPT: usize = 1_000;
const SESSIONS_KEPT: usize = 1_000;

/// A heartbeat's stack needs little.
const HEARTBEAT_STACK_BYTES: usize = 64 * 1024;

/// What the service holds.
struct Systems {
    form: Form,
    items: VecDeque<Box<[u8]>>,
    sessions: BTreeMap<String, u64>,
    session_order: VecDeque<String>,
    heartbeats: Vec<mpsc::Sender<()>>,
    sockets: Vec<UdpSocket>,
}

impl Systems {
    fn new(form: Form) -> Self {
        Self {
            form,
            items: VecDeque::new(),
            sessions: BTreeMap::new(),
            session_order: VecDeque::new(),
            heartbeats: Vec::new(),
            sockets: Vec::new(),
        }
    }

    /// A work item: the request and room for what will be found out about it.
    fn add_item(&mut self, body: &[u8]) {
        let mut item = vec![0_u8; 400 + body.len()];
        item[..body.len()].copy_from_slice(body);
        item[body.len()..].fill(b'.');
        self.items.push_back(item.into_boxed_slice());
        if self.form == Form::Fixed && self.items.len() > ITEMS_KEPT {
            self.items.pop_front();
        }
    }

    /// A counter for each session.
    fn count_session(&mut self, path: &str) {
        let counted = format!("drops_per_session:{path}:{:0>120}", self.sessions.len());
        *self.sessions.entry(counted.clone()).or_default() += 1;
        if self.form == Form::Leaking {
            return;
        }
        self.session_order.push_back(counted);
        if self.session_order.len() > SESSIONS_KEPT
            && let Some(oldest) = self.session_order.pop_front()
        {
            self.sessions.remove(&oldest);
        }
    }

    /// A thread that beats until its sender is dropped.
    fn start_heartbeat(&mut self) -> std::io::Result<()> {
        let (alive, gone) = mpsc::channel::<()>();
        let name = "heartbeat".to_owned();
        let beat = thread::Builder::new().name(name).stack_size(HEARTBEAT_STACK_BYTES).spawn(move || {
            // Ends when the sender is gone: nothing is ever sent.
            let _ = gone.recv();
        })?;
        match self.form {
            Form::Leaking => self.heartbeats.push(alive),
            Form::Fixed => {
                drop(alive);
                let _ = beat.join();
            }
        }
        Ok(())
    }

    /// A socket for each caller.
    fn open_socket(&mut self) -> std::io::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        if self.form == Form::Leaking {
            self.sockets.push(socket);
        }
        Ok(())
    }
}

type Shared = Arc<Mutex<Systems>>;

fn lock(systems: &Shared) -> MutexGuard<'_, Systems> {
    systems.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(request: Request<Incoming>, systems: Shared) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path();
    let status = match (&head.method, path) {
        (&Method::POST, "/items") => {
            lock(&systems).add_item(&body);
            StatusCode::CREATED
        }
        (&Method::POST, "/heartbeats") => done(lock(&systems).start_heartbeat()),
        (&Method::POST, "/sockets") => done(lock(&systems).open_socket()),
        (&Method::POST, path) if path.starts_with("/sessions/") => {
            lock(&systems).count_session(path);
            StatusCode::NO_CONTENT
        }
        _ => StatusCode::NOT_FOUND,
    };
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    Ok(response)
}

fn done(result: std::io::Result<()>) -> StatusCode {
    if result.is_ok() { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Serves on a free port of 127.0.0.1 until it is ended; prints `listening on port N` first.
pub fn serve(form: Form) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let mut out = std::io::stdout();
        writeln!(out, "listening on port {}", listener.local_addr()?.port())?;
        out.flush()?;
        let systems: Shared = Arc::new(Mutex::new(Systems::new(form)));
        loop {
            let (stream, _) = listener.accept().await?;
            let systems = Arc::clone(&systems);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&systems)));
                // A client that goes away in the middle is its own business.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}
