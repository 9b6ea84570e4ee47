//! An open session: opened, talked in, and left in one of the ways in which sessions are left.

use std::convert::Infallible;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::Patience;
use super::address::{Place, Scheme};
use super::http::render;
use super::socket::{Socket, no_answer};
use super::sse;
use super::stdio::Stdio;
use super::trouble::Trouble;
use super::websocket::WebSocket;
use super::wire::{Account, Net, Wire};
use crate::scenario::template::{Template, Values};
use crate::scenario::{Leave, Opening, Trust};

/// How long opening may take.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// How long the target may take to close after we did.
const CLOSE_WITHIN: Duration = Duration::from_millis(250);

/// A session with the target.
#[derive(Debug)]
pub enum Session {
    /// A stream of events; nothing can be sent on it.
    Stream(Wire),
    /// A socket.
    Socket(Socket),
    /// A WebSocket.
    WebSocket(WebSocket),
    /// The target's standard input and output, which belong to the whole scenario.
    Stdio,
    /// No connection stays: steps follow that know the session by what its opening answered.
    Loose,
}

/// What is left of a session that is not over for the target: let go of it before the settle phase.
#[derive(Debug)]
pub enum Remains {
    /// Our writing side is shut down; what comes is read and thrown away.
    Listening(Wire),
    /// Kept and never read.
    Silent(Wire),
}

impl Remains {
    /// Keeps it for as long as it is awaited.
    pub async fn keep(self) -> Infallible {
        let _kept = match self {
            Self::Listening(mut wire) => {
                sse::drain(&mut wire).await;
                wire
            }
            Self::Silent(wire) => wire,
        };
        std::future::pending().await
    }
}

impl Session {
    /// Opens a session. An opening by a step is the caller's: it has the worker's connections.
    pub async fn open(
        net: &Net,
        patience: &mut Patience,
        opening: &Opening,
        values: &Values<'_>,
    ) -> Result<Self, Trouble> {
        let open = async {
            Ok(match opening {
                Opening::Sse { url, headers } => Self::Stream(sse::open(net, url, headers, values).await?),
                Opening::WebSocket { url, headers } => {
                    Self::WebSocket(WebSocket::open(net, url, headers, values).await?)
                }
                Opening::Tcp { address } => {
                    let place = Place::parse(&render(address, values)?)?;
                    let wire = net.connect(&place, Scheme::Plain, &Trust::WebRoots, Account::Kept).await?;
                    Self::Socket(Socket::new(wire))
                }
                Opening::Stdio => Self::Stdio,
                Opening::Step(_) => Self::Loose,
            })
        };
        patience.within(OPEN_WITHIN, open).await.unwrap_or_else(|| Err(Trouble::timeout(OPEN_WITHIN, "open session")))
    }

    /// Sends a text and waits for an answer that holds `until`, if one is wanted.
    pub async fn send(
        &mut self,
        stdio: Option<&tokio::sync::Mutex<Stdio>>,
        patience: &mut Patience,
        message: Message<'_>,
        values: &Values<'_>,
    ) -> Result<(), Trouble> {
        let text = render(message.text, values)?;
        let until = message.until.map(|until| render(until, values)).transpose()?;
        let until = until.as_deref();
        let mut shown = Vec::new();
        let exchange = async {
            match self {
                Self::Socket(socket) => {
                    socket.send(&text).await?;
                    match until {
                        Some(until) => socket.wait(until, &mut shown).await,
                        None => Ok(()),
                    }
                }
                Self::WebSocket(socket) => {
                    socket.send(&text).await?;
                    match until {
                        Some(until) => socket.wait(until, &mut shown).await,
                        None => Ok(()),
                    }
                }
                Self::Stdio => match stdio {
                    Some(stdio) => stdio.lock().await.say(&text, until, &mut shown).await,
                    None => Err(Trouble::hopeless(
                        "the target's standard input is not ours: a stdio session needs a launched target",
                    )),
                },
                Self::Stream(_) => {
                    Err(Trouble::hopeless("nothing can be sent on a stream of events; use an http step"))
                }
                Self::Loose => Err(Trouble::hopeless("`send` needs an open tcp, websocket or stdio session")),
            }
        };
        match patience.within(message.within, exchange).await {
            Some(result) => result,
            None => Err(no_answer(message.within, until.unwrap_or_default(), &shown)),
        }
    }

    /// Reads what comes unasked and throws it away, for as long as it is awaited: a reader that falls
    /// asleep would make the target queue for it.
    pub async fn drain(&mut self) -> Infallible {
        match self {
            Self::Stream(wire) => sse::drain(wire).await,
            Self::WebSocket(socket) => socket.drain().await,
            Self::Socket(socket) => sse::drain(socket.wire()).await,
            Self::Stdio | Self::Loose => {}
        }
        std::future::pending().await
    }

    /// Whether the target has ended it.
    pub fn is_over(&mut self) -> bool {
        match self {
            Self::Stream(wire) => wire.is_over(),
            Self::WebSocket(socket) => socket.wire().is_over(),
            Self::Socket(socket) => socket.wire().is_over(),
            Self::Stdio | Self::Loose => false,
        }
    }

    /// Leaves the session.
    pub async fn leave(self, leave: Leave) -> Option<Remains> {
        let mut wire = match self {
            Self::WebSocket(socket) if leave == Leave::Close => {
                socket.close().await;
                return None;
            }
            Self::WebSocket(socket) => socket.into_wire(),
            Self::Socket(socket) => socket.into_wire(),
            Self::Stream(wire) => wire,
            Self::Stdio | Self::Loose => return None,
        };
        // From here on the target may close it unseen.
        wire.disown();
        match leave {
            Leave::Close => {
                let goodbye = async {
                    if wire.shutdown().await.is_ok() {
                        // Closing with bytes unread would be a reset.
                        sse::drain(&mut wire).await;
                    }
                };
                // A target that does not close in turn is left all the same.
                let _ = tokio::time::timeout(CLOSE_WITHIN, goodbye).await;
                None
            }
            Leave::Reset => {
                wire.reset();
                None
            }
            Leave::HalfOpen => {
                // It fails where the target has closed already: nothing remains to be half open then.
                wire.shutdown().await.is_ok().then_some(Remains::Listening(wire))
            }
            Leave::Stall => Some(Remains::Silent(wire)),
        }
    }
}

/// A text to send and what to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The text.
    pub text: &'a Template,
    /// What the answer must hold.
    pub until: Option<&'a Template>,
    /// How long to wait.
    pub within: Duration,
}
