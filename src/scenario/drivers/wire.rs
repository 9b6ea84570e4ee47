//! A connection of ours, and the account of those that the target holds.
//!
//! The tool must not measure itself: connections that the target is known to hold are counted, so that they
//! can be taken off its descriptors. Known means that it sent something on it, which is proof that it
//! accepted. A connection is taken off the account before we close it, and as soon as we see that the
//! target closed it: the account may be too small for a moment, and is never too large.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

use super::address::{Guard, Place, Scheme, is_loopback};
use super::tls::Trusted;
use super::trouble::Trouble;
use crate::scenario::Trust;
use crate::scenario::engine::{Counters, Entry};

/// Whether a connection stays long enough to be taken off the target's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// It stays: counted while the target holds it.
    Kept,
    /// It is gone with its one answer.
    Passing,
}

/// One entry of the account.
#[derive(Debug)]
struct Held {
    counters: Arc<Counters>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Unproven,
    Counted(Entry),
    Over,
}

impl Held {
    fn proven(&mut self) {
        if self.state == State::Unproven {
            self.state = State::Counted(self.counters.own_connections.proven());
        }
    }

    fn over(&mut self) {
        if let State::Counted(entry) = std::mem::replace(&mut self.state, State::Over) {
            self.counters.own_connections.over(&entry);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.over();
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A socket with its entry. The entry is dropped, and so taken off, before the socket closes.
#[derive(Debug)]
pub struct Raw {
    held: Held,
    socket: Socket,
}

impl AsyncRead for Raw {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let wanted = buf.remaining() > 0;
        let result = ready!(match &mut this.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            #[cfg(unix)]
            Socket::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
        });
        if result.is_ok() && buf.filled().len() > before {
            this.held.proven();
        } else if wanted {
            this.held.over();
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Raw {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = ready!(match &mut this.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_write(cx, buf),
            #[cfg(unix)]
            Socket::Unix(socket) => Pin::new(socket).poll_write(cx, buf),
        });
        if result.is_err() {
            this.held.over();
        }
        Poll::Ready(result)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            #[cfg(unix)]
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

/// A connection, encrypted or not.
#[derive(Debug)]
pub enum Wire {
    /// As it is.
    Plain(Raw),
    /// By TLS.
    Tls(Box<TlsStream<Raw>>),
}

impl Wire {
    fn raw(&mut self) -> &mut Raw {
        match self {
            Self::Plain(raw) => raw,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    /// Takes the connection off the account although it stays open: the target may close it unseen.
    pub fn disown(&mut self) {
        self.raw().held.over();
    }

    /// Whether it is known to be over.
    pub fn is_over(&mut self) -> bool {
        self.raw().held.state == State::Over
    }

    /// Ends the connection with a reset. A unix socket knows none and is closed.
    pub fn reset(mut self) {
        self.disown();
        if let Socket::Tcp(socket) = &self.raw().socket {
            // Failing leaves an ordinary close, which is all that can be done then.
            let _ = socket.set_zero_linger();
        }
    }
}

macro_rules! forward {
    ($self:ident, $method:ident, $($argument:expr),*) => {
        match $self.get_mut() {
            Wire::Plain(raw) => Pin::new(raw).$method($($argument),*),
            Wire::Tls(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_read, cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, poll_write, cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_shutdown, cx)
    }
}

/// The addresses of each host and port that was looked up.
type Resolved = HashMap<(String, u16), Arc<[SocketAddr]>>;

/// Makes connections: guarded, accounted for, with what was resolved and which certificates are believed
/// kept for the next.
#[derive(Debug)]
pub struct Net {
    guard: Guard,
    counters: Arc<Counters>,
    trusted: Trusted,
    resolved: Mutex<Resolved>,
}

impl Net {
    /// Connections to this machine and to the hosts allowed by name.
    pub fn new(allowed: &[String], counters: Arc<Counters>) -> Self {
        Self { guard: Guard::new(allowed), counters, trusted: Trusted::default(), resolved: Mutex::default() }
    }

    /// Connects.
    pub async fn connect(
        &self,
        place: &Place,
        scheme: Scheme,
        trust: &Trust,
        account: Account,
    ) -> Result<Wire, Trouble> {
        let (socket, addresses) = self.socket(place).await?;
        let state = match account {
            Account::Kept => State::Unproven,
            Account::Passing => State::Over,
        };
        let raw = Raw { held: Held { counters: Arc::clone(&self.counters), state }, socket };
        match (scheme, place) {
            (Scheme::Plain, _) => Ok(Wire::Plain(raw)),
            (Scheme::Tls, Place::Tcp { host, .. }) => {
                if *trust == Trust::Anyone && !addresses.iter().all(is_loopback) {
                    return Err(Trouble::hopeless(format!(
                        "{host} is not this machine: its certificate must be checked; name its authority instead of trusting anyone"
                    )));
                }
                self.trusted.encrypt(host, trust, raw).await.map(|stream| Wire::Tls(Box::new(stream)))
            }
            (Scheme::Tls, Place::Unix(_)) => Err(Trouble::hopeless("TLS over a unix socket is not supported")),
        }
    }

    async fn socket(&self, place: &Place) -> Result<(Socket, Arc<[SocketAddr]>), Trouble> {
        match place {
            Place::Tcp { host, port } => {
                let addresses = self.resolve(host, *port).await?;
                let socket = TcpStream::connect(&*addresses)
                    .await
                    .map_err(|error| Trouble::connect(&place.to_string(), &error))?;
                // Answers are small and awaited: nothing is gained by holding a request back.
                socket.set_nodelay(true).map_err(|error| Trouble::connect(&place.to_string(), &error))?;
                Ok((Socket::Tcp(socket), addresses))
            }
            #[cfg(unix)]
            Place::Unix(path) => {
                let socket =
                    UnixStream::connect(path).await.map_err(|error| Trouble::connect(&place.to_string(), &error))?;
                Ok((Socket::Unix(socket), Arc::new([])))
            }
            #[cfg(not(unix))]
            Place::Unix(_) => Err(Trouble::hopeless("unix sockets are not supported on this system")),
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Arc<[SocketAddr]>, Trouble> {
        let key = (host.to_owned(), port);
        if let Some(known) = self.known().get(&key) {
            return Ok(Arc::clone(known));
        }
        let addresses: Arc<[SocketAddr]> = self.guard.resolve(host, port).await?.into();
        self.known().insert(key, Arc::clone(&addresses));
        Ok(addresses)
    }

    fn known(&self) -> MutexGuard<'_, Resolved> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
