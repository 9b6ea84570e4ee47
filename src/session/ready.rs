//! When a target counts as started, and on which port it can be.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use regex::Regex;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep};

use super::SessionError;
use super::gauges::render_once;
use super::subject::Subject;
use crate::scenario::Ready;
use crate::scenario::template::Fixed;
use crate::target::{Stream, wait_for_line};

/// Time between two tries to reach a target that is starting.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// A port of 127.0.0.1 that nobody uses. Another program may still take it before the target does: a target that
/// chooses its own port and prints it is safer.
pub fn free_port() -> Result<u16, SessionError> {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
    port.map(|address| address.port()).map_err(|error| {
        SessionError::NotReady(format!("no free port for [target] port = \"free\" was found on 127.0.0.1: {error}"))
    })
}

/// Waits until the target is ready; the named groups of the pattern that matched, if there is one.
pub async fn until_ready(
    ready: &Ready,
    subject: &Subject,
    fixed: &Fixed,
) -> Result<BTreeMap<String, String>, SessionError> {
    match ready {
        Ready::Immediately => Ok(BTreeMap::new()),
        Ready::Stdout { pattern, within } => line(subject, Stream::Stdout, pattern, *within).await,
        Ready::Stderr { pattern, within } => line(subject, Stream::Stderr, pattern, *within).await,
        Ready::Http { url, within } => {
            let url = whole(render_once("ready", url, fixed)?, fixed)?;
            retry(subject, &url, *within, || http(&url)).await
        }
        Ready::Tcp { address, within } => {
            let address = render_once("ready", address, fixed)?;
            retry(subject, &address, *within, || tcp(&address)).await
        }
    }
}

/// A path alone is completed by the target's port, as in steps; https is not spoken here.
fn whole(url: String, fixed: &Fixed) -> Result<String, SessionError> {
    match (url.starts_with('/'), fixed.captures.get("port")) {
        (true, Some(port)) => Ok(format!("http://127.0.0.1:{port}{url}")),
        (true, None) => Err(SessionError::NotReady(format!(
            "ready = {{ http = \"{url}\" }} names no port, and none is known before the target is ready: write the whole address, or [target] port"
        ))),
        (false, _) if url.starts_with("http://") => Ok(url),
        (false, _) => Err(SessionError::NotReady(format!(
            "ready = {{ http = \"{url}\" }}: only http:// is asked; use ready = {{ tcp = \"host:port\" }} for a server that speaks TLS"
        ))),
    }
}

async fn line(
    subject: &Subject,
    stream: Stream,
    pattern: &Regex,
    within: Duration,
) -> Result<BTreeMap<String, String>, SessionError> {
    match subject {
        Subject::Launched(launched) => {
            Ok(wait_for_line(launched.logs(), stream, pattern, within, &launched.end()).await?)
        }
        Subject::Attached(_) => Err(SessionError::NotReady(
            "ready = { stdout = .. } needs a launched target: the output of one that runs already cannot be read; use http or tcp".into(),
        )),
    }
}

async fn retry<F, T>(
    subject: &Subject,
    what: &str,
    within: Duration,
    attempt: F,
) -> Result<BTreeMap<String, String>, SessionError>
where
    F: Fn() -> T,
    T: Future<Output = Result<(), String>>,
{
    let deadline = Instant::now() + within;
    let trying = async {
        loop {
            let last = match tokio::time::timeout_at(deadline, attempt()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(last)) => last,
                Err(_) => "no answer".into(),
            };
            if Instant::now() + RETRY_EVERY >= deadline {
                return Err(last);
            }
            sleep(RETRY_EVERY).await;
        }
    };
    let within = crate::units::show_duration(within);
    tokio::select! {
        result = trying => match result {
            Ok(()) => Ok(BTreeMap::new()),
            Err(last) => Err(SessionError::NotReady(format!(
                "the target was not ready within {within}: {what}: {last}; look at its output in the run's folder, or raise `within`"
            ))),
        },
        endings = subject.ended() => {
            let evidence: Vec<String> = endings.into_iter().flat_map(|(_, ending)| ending.evidence).collect();
            Err(SessionError::NotReady(format!("the target ended before it was ready: {}", evidence.join("; "))))
        }
    }
}

async fn tcp(address: &str) -> Result<(), String> {
    match address.strip_prefix("unix:") {
        Some(path) => UnixStream::connect(Path::new(path)).await.map(drop),
        None => TcpStream::connect(address).await.map(drop),
    }
    .map_err(|error| error.to_string())
}

/// One GET; any answer below 500 will do.
async fn http(url: &str) -> Result<(), String> {
    let uri: hyper::Uri = url.parse().map_err(|error| format!("{error}"))?;
    let host = uri.host().ok_or("the address names no host")?;
    let port = uri.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request = hyper::Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(hyper::header::HOST, format!("{host}:{port}"))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let exchange = async { sender.send_request(request).await.map(|answer| answer.status()) };
    let status = tokio::select! {
        status = exchange => status.map_err(|error| error.to_string())?,
        ended = connection => return Err(ended.err().map_or("it closed the connection".into(), |e| e.to_string())),
    };
    if status.is_server_error() { Err(format!("it answered {status}")) } else { Ok(()) }
}
