//! Reads gauges over one connection that is kept open between readings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, Version, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{GaugeAddress, GaugeFormat, GaugeSource, json, prometheus};
use crate::probe::ProbeError;

/// Most bytes of one answer.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Longest time of one reading, connecting included.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Reads the gauges of one source.
#[derive(Debug)]
pub struct Scraper {
    source: GaugeSource,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    local: Option<SocketAddr>,
    /// Moves bytes between the socket and the sender.
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why a reading failed, and whether a fresh connection may help.
enum Failure {
    /// The connection that was kept open is of no use any more.
    Stale(String),
    /// It would fail again.
    Final(String),
}

/// What becomes of a connection after an answer. It must be known at once: a connection that the target is about to
/// close is not to be taken off its descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Stays,
    Closes,
}

impl After {
    fn of<T>(answer: &hyper::Response<T>) -> Self {
        let says = |word: &str| {
            let headers = answer.headers().get_all(header::CONNECTION);
            headers.iter().filter_map(|value| value.to_str().ok()).any(|text| text.to_ascii_lowercase().contains(word))
        };
        match answer.version() {
            Version::HTTP_10 if !says("keep-alive") => Self::Closes,
            _ if says("close") => Self::Closes,
            _ => Self::Stays,
        }
    }
}

impl Scraper {
    /// A reader that connects at its first reading.
    pub fn new(source: GaugeSource) -> Self {
        Self { source, connection: None }
    }

    /// Reads the gauges. Names that the target does not export are left out.
    pub async fn read(&mut self) -> Result<BTreeMap<String, f64>, ProbeError> {
        let body = self.body().await?;
        self.select(&body).map_err(|problem| self.failed(problem))
    }

    async fn body(&mut self) -> Result<Bytes, ProbeError> {
        let outcome = match tokio::time::timeout(TIMEOUT, self.fetch()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no whole answer within {} s; is the target overloaded?", TIMEOUT.as_secs())),
        };
        outcome.map_err(|problem| self.failed(problem))
    }

    fn failed(&mut self, problem: String) -> ProbeError {
        self.connection = None;
        ProbeError::Gauges { address: self.source.shown(), problem }
    }

    /// The names of all numbers that the target exports, each once; for a message.
    pub async fn names(&mut self) -> Result<Vec<String>, ProbeError> {
        let body = self.body().await?;
        Ok(match self.source.format {
            GaugeFormat::Prometheus => prometheus::names(&String::from_utf8_lossy(&body)),
            GaugeFormat::Json => Vec::new(),
        })
    }

    /// The address that is asked, for messages.
    pub fn address(&self) -> String {
        self.source.shown()
    }

    /// Connections that the target holds open for us: 1 while ours is kept, else 0.
    pub fn connections(&self) -> u64 {
        u64::from(self.connection.as_ref().is_some_and(|connection| !connection.sender.is_closed()))
    }

    /// The address of our end, when the connection is open and has one.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.connection.as_ref().filter(|connection| !connection.sender.is_closed())?.local
    }

    fn select(&self, body: &[u8]) -> Result<BTreeMap<String, f64>, String> {
        match self.source.format {
            GaugeFormat::Prometheus => Ok(prometheus::select(&String::from_utf8_lossy(body), &self.source.names)),
            GaugeFormat::Json => json::select(body, &self.source.names),
        }
    }

    async fn fetch(&mut self) -> Result<Bytes, String> {
        if let Some(mut kept) = self.connection.take().filter(|connection| !connection.sender.is_closed()) {
            match kept.get(&self.source).await {
                Ok((body, after)) => {
                    self.connection = Some(kept).filter(|_| after == After::Stays);
                    return Ok(body);
                }
                // The target may close a quiet connection at any time; that is no failure of its gauges.
                Err(Failure::Stale(_)) => {}
                Err(Failure::Final(problem)) => return Err(problem),
            }
        }
        let mut fresh = Connection::open(&self.source).await?;
        match fresh.get(&self.source).await {
            Ok((body, after)) => {
                self.connection = Some(fresh).filter(|_| after == After::Stays);
                Ok(body)
            }
            Err(Failure::Stale(problem) | Failure::Final(problem)) => Err(problem),
        }
    }
}

impl Connection {
    async fn open(source: &GaugeSource) -> Result<Self, String> {
        match &source.address {
            GaugeAddress::Tcp { authority, .. } => {
                let stream = TcpStream::connect(authority).await;
                let stream = stream.map_err(|error| format!("cannot connect ({error}); does it listen there?"))?;
                let local = stream.local_addr().ok();
                Self::over(TokioIo::new(stream), local).await
            }
            #[cfg(unix)]
            GaugeAddress::Unix { socket, .. } => {
                let stream = tokio::net::UnixStream::connect(socket).await;
                let stream = stream.map_err(|error| format!("cannot connect ({error}); does it listen there?"))?;
                Self::over(TokioIo::new(stream), None).await
            }
            #[cfg(not(unix))]
            GaugeAddress::Unix { .. } => Err("this system has no unix sockets; use http://".to_owned()),
        }
    }

    async fn over<S>(stream: S, local: Option<SocketAddr>) -> Result<Self, String>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(stream).await.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(async move {
            // How the connection ended is told to the sender.
            let _ = connection.await;
        });
        Ok(Self { sender, local, driver })
    }

    async fn get(&mut self, source: &GaugeSource) -> Result<(Bytes, After), Failure> {
        let (host, path) = match &source.address {
            GaugeAddress::Tcp { authority, path } => (authority.as_str(), path),
            GaugeAddress::Unix { path, .. } => ("localhost", path),
        };
        let request = Request::get(path)
            .header(header::HOST, host)
            .header(header::ACCEPT, "text/plain, application/openmetrics-text, application/json")
            .body(Empty::new())
            .map_err(|error| Failure::Final(error.to_string()))?;
        let stale = |error: hyper::Error| Failure::Stale(format!("the connection broke ({error})"));
        self.sender.ready().await.map_err(stale)?;
        let answer = self.sender.send_request(request).await.map_err(stale)?;
        if answer.status() != StatusCode::OK {
            return Err(Failure::Final(format!("the answer was {}, not 200 OK; check the path", answer.status())));
        }
        let after = After::of(&answer);
        let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|error| Failure::Final(format!("the answer broke off or passed 4 MiB ({error})")))?;
        Ok((body.to_bytes(), after))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers each request on a connection with the next of `answers`; an empty one closes the connection.
    fn serve(mut stream: impl Read + Write, answers: &mut impl Iterator<Item = String>) {
        let mut buffer = [0; 4096];
        let mut seen = Vec::new();
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..length]);
            if !seen.ends_with(b"\r\n\r\n") {
                continue;
            }
            seen.clear();
            match answers.next() {
                Some(answer) if !answer.is_empty() => stream.write_all(answer.as_bytes()).expect("a reader"),
                _ => return,
            }
        }
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn tcp(answers: Vec<String>, format: GaugeFormat, names: &[&str]) -> Scraper {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let mut answers = answers.into_iter().peekable();
            while answers.peek().is_some() {
                serve(listener.accept().expect("a connection").0, &mut answers);
            }
        });
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Scraper::new(GaugeSource::parse(&format!("http://127.0.0.1:{port}/m"), format, names).expect("an address"))
    }

    #[tokio::test]
    async fn one_connection_serves_many_readings_and_is_replaced_when_closed() {
        let answers = vec![ok("a 1\nb 5\n"), ok("a 2\n"), String::new(), ok("a 3\n")];
        let mut scraper = tcp(answers, GaugeFormat::Prometheus, &["a"]);
        assert_eq!(scraper.connections(), 0);
        assert_eq!(scraper.read().await.expect("gauges"), [("a".to_owned(), 1.0)].into());
        let first = scraper.local_address();
        assert!(first.is_some() && scraper.connections() == 1);
        assert_eq!(scraper.read().await.expect("gauges")["a"], 2.0);
        assert_eq!(scraper.local_address(), first);
        assert_eq!(scraper.read().await.expect("gauges after a close")["a"], 3.0);
        assert_ne!(scraper.local_address(), first);
    }

    #[tokio::test]
    async fn a_connection_that_the_target_closes_after_its_answer_is_not_ours_to_count() {
        let closing = |head: &str| format!("{head}\r\nContent-Length: 4\r\n\r\na 1\n");
        for head in ["HTTP/1.0 200 OK", "HTTP/1.1 200 OK\r\nConnection: Close"] {
            let mut scraper = tcp(vec![closing(head), closing(head)], GaugeFormat::Prometheus, &["a"]);
            assert_eq!(scraper.read().await.expect("gauges")["a"], 1.0);
            assert_eq!((scraper.connections(), scraper.local_address()), (0, None), "{head}");
        }
    }

    #[tokio::test]
    async fn the_names_of_all_numbers_are_known() {
        let body = "# HELP a x\na{k=\"1\"} 1\na{k=\"2\"} 2\nb_total 5\n";
        let mut scraper = tcp(vec![ok(body)], GaugeFormat::Prometheus, &[]);
        assert_eq!(scraper.names().await.expect("names"), ["a", "b_total"]);
    }

    #[tokio::test]
    async fn failures_say_what_happened_and_where() {
        let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let source = GaugeSource::parse(&format!("http://{nobody}"), GaugeFormat::Json, vec![]).expect("an address");
        let too_long = format!("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n{}", "x".repeat(5_000_000));
        let json = GaugeFormat::Json;
        for (mut scraper, words) in [
            (Scraper::new(source), "cannot connect"),
            (tcp(vec!["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into()], json, &[]), "404"),
            (tcp(vec![ok("<html>")], json, &["a"]), "not JSON"),
            (tcp(vec![too_long], json, &["a"]), "4 MiB"),
        ] {
            let message = scraper.read().await.expect_err(words).to_string();
            assert!(message.contains(words) && message.contains("http://127.0.0.1:"), "{message}");
            assert_eq!(scraper.connections(), 0);
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_unix_socket_serves_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        std::thread::spawn(move || {
            let answers = vec![ok(r#"{"queue":{"items":7}}"#)];
            serve(listener.accept().expect("a connection").0, &mut answers.into_iter());
        });
        let address = format!("unix:{}:/stats", path.display());
        let source = GaugeSource::parse(&address, GaugeFormat::Json, vec!["queue.items".into()]).expect("an address");
        let mut scraper = Scraper::new(source);
        assert_eq!(scraper.read().await.expect("gauges")["queue.items"], 7.0);
        assert_eq!((scraper.connections(), scraper.local_address()), (1, None));
    }
}
