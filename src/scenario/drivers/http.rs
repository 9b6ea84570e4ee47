//! HTTP/1.1 requests over a few kept connections of one worker.
//!
//! The request is written by hand and the answer followed by [`frames`](super::frames): side by side with
//! `wrk` on a trivial server, hyper's client reached 0.65 of its requests per second and this form 0.87.
//! A connection carries one request at a time. A kept connection that turns out dead before a byte of the
//! answer came is replaced once; nothing else is ever sent twice.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::address::{Place, Scheme, Url};
use super::frames::{Asked, Buffer, Head, Kept, Reuse, read_body, read_head};
use super::trouble::{SHOWN, Trouble, printable};
use super::wire::{Account, Net, Wire};
use crate::scenario::template::{Template, TemplateError, Values};
use crate::scenario::{Connection, HttpStep, Trust};

/// The longest answer that values are taken out of.
const LARGEST_CAPTURE: usize = 1024 * 1024;

/// What came of a request that was answered as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is an operation.
    Counts,
    /// It is backpressure, with this status.
    Uncounted(u16),
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Whether it is encrypted.
    pub scheme: Scheme,
    /// Where it is.
    pub place: Place,
    /// Which certificates are believed.
    pub trust: Trust,
}

impl Peer {
    /// A connection to it.
    pub async fn connect(&self, net: &Net, account: Account) -> Result<Wire, Trouble> {
        net.connect(&self.place, self.scheme, &self.trust, account).await
    }
}

/// A step, with what does not change between operations made ready.
#[derive(Debug)]
pub struct Prepared {
    step: HttpStep,
    asked: Asked,
    /// The whole request, where nothing in it changes.
    ready: Option<(Arc<Peer>, Vec<u8>)>,
}

impl Prepared {
    /// Makes a step ready. `later` are the names that answers give.
    pub fn new(step: &HttpStep, values: &Values<'_>, later: &BTreeSet<&str>) -> Result<Self, Trouble> {
        let asked = if step.method.eq_ignore_ascii_case("HEAD") { Asked::Head } else { Asked::Whole };
        let mut templates = [Some(&step.url), step.body.as_ref()].into_iter().flatten();
        let fixed = templates.all(|template| template.is_fixed(values.fixed, later))
            && step.headers.iter().all(|(_, template)| template.is_fixed(values.fixed, later));
        let mut prepared = Self { step: step.clone(), asked, ready: None };
        if fixed {
            let mut request = Vec::new();
            let peer = prepared.write(values, &mut request)?;
            prepared.ready = Some((Arc::new(peer), request));
        }
        Ok(prepared)
    }

    /// How long it may take.
    pub fn within(&self) -> Duration {
        self.step.within
    }

    fn write(&self, values: &Values<'_>, request: &mut Vec<u8>) -> Result<Peer, Trouble> {
        let step = &self.step;
        let connection = match step.connection {
            Connection::KeepAlive => "",
            Connection::PerRequest => "connection: close\r\n",
        };
        let url = render(&step.url, values)?;
        let url = Url::parse(&url, values.fixed.captures.get("port").map(String::as_str))?;
        let body = step.body.as_ref().map(|body| render(body, values)).transpose()?;
        write_head(request, &step.method, &url, &step.headers, values)?;
        request.extend_from_slice(connection.as_bytes());
        if body.is_some() || matches!(step.method.as_str(), "POST" | "PUT" | "PATCH") {
            // Writing to a vector cannot fail.
            let _ = write!(request, "content-length: {}\r\n", body.as_ref().map_or(0, |body| body.len()));
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body.as_deref().unwrap_or_default().as_bytes());
        Ok(Peer { scheme: url.scheme, place: url.place, trust: step.trust.clone() })
    }
}

/// A template's text for one operation.
pub fn render<'a>(template: &'a Template, values: &Values<'_>) -> Result<std::borrow::Cow<'a, str>, Trouble> {
    template.render(values).map_err(|error: TemplateError| Trouble::hopeless(error.to_string()))
}

/// Writes a request's first line and headers, without the empty line that ends them.
pub fn write_head(
    request: &mut Vec<u8>,
    method: &str,
    url: &Url,
    headers: &[(String, Template)],
    values: &Values<'_>,
) -> Result<(), Trouble> {
    // Writing to a vector cannot fail.
    let _ = write!(request, "{method} {} HTTP/1.1\r\n", url.path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        let _ = match &url.place {
            Place::Unix(_) => write!(request, "host: localhost\r\n"),
            place @ Place::Tcp { .. } => write!(request, "host: {place}\r\n"),
        };
    }
    for (name, template) in headers {
        let value = render(template, values)?;
        if value.chars().any(char::is_control) || !is_token(name) {
            return Err(Trouble::hopeless(format!(
                "the header `{}` holds a line break or a control sign",
                printable(name.as_bytes())
            )));
        }
        let _ = write!(request, "{name}: {value}\r\n");
    }
    Ok(())
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte))
}

/// A connection between two requests.
#[derive(Debug)]
struct Line {
    peer: Arc<Peer>,
    wire: Wire,
    buffer: Buffer,
}

/// The connections of one worker.
#[derive(Debug, Default)]
pub struct Http {
    idle: Vec<Line>,
    request: Vec<u8>,
    kept: Kept,
}

impl Http {
    /// Sends a request and judges the answer. Dropped midway, it closes its connection.
    pub async fn call(
        &mut self,
        net: &Net,
        prepared: &Prepared,
        values: &Values<'_>,
    ) -> Result<(Outcome, BTreeMap<String, String>), Trouble> {
        let status = match &prepared.ready {
            Some((peer, request)) => exchange(&mut self.idle, &mut self.kept, net, prepared, peer, request).await?,
            None => {
                self.request.clear();
                let peer = prepared.write(values, &mut self.request)?;
                let peer = match self.idle.iter().find(|line| *line.peer == peer) {
                    Some(line) => Arc::clone(&line.peer),
                    None => Arc::new(peer),
                };
                exchange(&mut self.idle, &mut self.kept, net, prepared, &peer, &self.request).await?
            }
        };
        self.judge(&prepared.step, status)
    }

    fn judge(&self, step: &HttpStep, status: u16) -> Result<(Outcome, BTreeMap<String, String>), Trouble> {
        if step.counts.contains(&status) {
            Ok((Outcome::Counts, capture(step, &self.kept)?))
        } else if step.expect.contains(&status) {
            Ok((Outcome::Uncounted(status), BTreeMap::new()))
        } else {
            Err(Trouble::unexpected(format!("status {status}"), printable(&self.kept.bytes)))
        }
    }

    /// Watches the idle connections for as long as it is awaited, and lets go of those that the target ends.
    pub async fn mind(&mut self) -> Infallible {
        poll_fn(|context| {
            self.idle.retain_mut(|line| {
                let mut byte = [0];
                let read = Pin::new(&mut line.wire).poll_read(context, &mut ReadBuf::new(&mut byte));
                // Whatever comes now, an end or bytes that nobody asked for, the connection is of no more use.
                read.is_pending()
            });
            Poll::Pending
        })
        .await
    }

    /// Closes every connection.
    pub fn close(&mut self) {
        self.idle.clear();
    }
}

async fn exchange(
    idle: &mut Vec<Line>,
    kept: &mut Kept,
    net: &Net,
    prepared: &Prepared,
    peer: &Arc<Peer>,
    request: &[u8],
) -> Result<u16, Trouble> {
    let known = idle.iter().rposition(|line| Arc::ptr_eq(&line.peer, peer) || *line.peer == **peer);
    if let Some(at) = known
        && prepared.step.connection == Connection::KeepAlive
    {
        let mut line = idle.swap_remove(at);
        let received = line.buffer.received();
        match ask(&mut line, request, prepared.asked).await {
            // A target that has sent anything, an interim answer included, has read the request.
            Err(error) if is_stale(&error) && line.buffer.received() == received => {}
            answer => return finish(idle, kept, prepared, line, answer).await,
        }
    }
    let account = match prepared.step.connection {
        Connection::KeepAlive => Account::Kept,
        Connection::PerRequest => Account::Passing,
    };
    let wire = peer.connect(net, account).await?;
    let mut line = Line { peer: Arc::clone(peer), wire, buffer: Buffer::default() };
    let answer = ask(&mut line, request, prepared.asked).await;
    finish(idle, kept, prepared, line, answer).await
}

fn is_stale(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted)
}

async fn ask(line: &mut Line, request: &[u8], asked: Asked) -> io::Result<Head> {
    let sent = line.wire.write_all(request).await;
    if sent.is_ok() && matches!(line.wire, Wire::Tls(_)) {
        line.wire.flush().await?;
    }
    // A target may refuse a long body before it has read it: its answer says more than the broken pipe.
    match (read_head(&mut line.buffer, &mut line.wire, asked).await, sent) {
        (Ok(head), Ok(())) => Ok(head),
        (Ok(head), Err(_)) => Ok(Head { reuse: Reuse::No, ..head }),
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
    }
}

async fn finish(
    idle: &mut Vec<Line>,
    kept: &mut Kept,
    prepared: &Prepared,
    mut line: Line,
    answer: io::Result<Head>,
) -> Result<u16, Trouble> {
    const WHAT: &str = "an answer";
    let head = answer.map_err(|error| Trouble::io(WHAT, &error))?;
    let step = &prepared.step;
    kept.begin(if !step.expect.contains(&head.status) && !step.counts.contains(&head.status) {
        SHOWN
    } else if step.capture.is_empty() {
        0
    } else {
        LARGEST_CAPTURE
    });
    read_body(&mut line.buffer, &mut line.wire, head.body, kept).await.map_err(|error| Trouble::io(WHAT, &error))?;
    // Bytes after the end of an answer belong to nobody.
    if head.reuse == Reuse::Yes && step.connection == Connection::KeepAlive && line.buffer.unread().is_empty() {
        idle.push(line);
    }
    Ok(head.status)
}

fn capture(step: &HttpStep, kept: &Kept) -> Result<BTreeMap<String, String>, Trouble> {
    if step.capture.is_empty() {
        return Ok(BTreeMap::new());
    }
    let missing = |what: String| Trouble::unexpected("value missing in the answer", what);
    if kept.total > LARGEST_CAPTURE as u64 {
        return Err(missing(format!("an answer of {} bytes is too long to take values out of (1 MiB)", kept.total)));
    }
    let answer: Value = serde_json::from_slice(&kept.bytes)
        .map_err(|error| missing(format!("not JSON ({error}): {}", printable(&kept.bytes))))?;
    let take = |(name, path): (&String, &String)| {
        let value = path.split('.').try_fold(&answer, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            _ => value.get(part),
        });
        match value {
            Some(Value::String(text)) => Ok((name.clone(), text.clone())),
            Some(plain @ (Value::Number(_) | Value::Bool(_))) => Ok((name.clone(), plain.to_string())),
            _ => Err(missing(format!("`{path}` holds no text or number in {}", printable(&kept.bytes)))),
        }
    };
    step.capture.iter().map(take).collect()
}

#[cfg(test)]
mod tests;
