//! Servers for the tests: an HTTP one that answers by a function, and a plain one that hands out its sockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a handler is told.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub body: String,
}

/// A running HTTP server; it stops when dropped.
pub struct HttpServer {
    pub port: u16,
    /// Connections accepted so far.
    pub accepted: Arc<AtomicU64>,
    /// Requests answered.
    pub answered: Arc<AtomicU64>,
    /// The tasks.
    pub tasks: JoinSet<()>,
}

pub fn answer(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).expect("an answer")
}

/// Serves one connection with a handler.
pub async fn serve<H>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, handler: Arc<H>)
where
    H: Fn(Asked) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move {
            let (method, path) = (request.method().to_string(), request.uri().to_string());
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let body = String::from_utf8_lossy(&body).into_owned();
            Ok::<_, Infallible>(handler(Asked { method, path, body }))
        }
    });
    // A client that resets is part of the tests.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Starts a server.
pub async fn http_server<H>(handler: H) -> HttpServer
where
    H: Fn(Asked) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let (accepted, answered) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let mut tasks = JoinSet::new();
    let (a, n) = (Arc::clone(&accepted), Arc::clone(&answered));
    let handler = Arc::new(move |asked| {
        n.fetch_add(1, Relaxed);
        handler(asked)
    });
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("accept");
            a.fetch_add(1, Relaxed);
            connections.spawn(serve(stream, Arc::clone(&handler)));
        }
    });
    HttpServer { port, accepted, answered, tasks }
}

/// Hands every accepted socket to a function; stops when dropped.
pub async fn plain_server<F>(each: impl Fn(TcpStream) -> F + Send + 'static) -> (u16, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("accept");
            stream.set_nodelay(true).expect("nodelay");
            connections.spawn(each(stream));
        }
    });
    (port, tasks)
}
