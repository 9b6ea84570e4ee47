//! A WebSocket: texts go out, and an answer is a message that holds what is waited for.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::{Place, Url};
use super::http::{Peer, render};
use super::socket::find;
use super::trouble::{SHOWN, Trouble, printable};
use super::wire::{Account, Net, Wire};
use crate::scenario::Trust;
use crate::scenario::template::{Template, Values};

/// How long an orderly end may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// An open WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    stream: Box<WebSocketStream<Wire>>,
}

impl WebSocket {
    /// Connects and shakes hands.
    pub async fn open(
        net: &Net,
        url: &Template,
        headers: &[(String, Template)],
        values: &Values<'_>,
    ) -> Result<Self, Trouble> {
        let url = Url::parse(&render(url, values)?, values.fixed.captures.get("port").map(String::as_str))?;
        let host = match &url.place {
            Place::Unix(_) => "localhost".to_owned(),
            place @ Place::Tcp { .. } => place.to_string(),
        };
        let mut request = format!("ws://{host}{}", url.path)
            .into_client_request()
            .map_err(|error| Trouble::hopeless(format!("ws://{host}{}: {error}", url.path)))?;
        for (name, template) in headers {
            let value = render(template, values)?;
            let header = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::from_str(&value).ok());
            let (name, value) =
                header.ok_or_else(|| Trouble::hopeless(format!("`{name}` cannot be sent as a header")))?;
            request.headers_mut().insert(name, value);
        }
        let peer = Peer { scheme: url.scheme, place: url.place, trust: Trust::WebRoots };
        let wire = peer.connect(net, Account::Kept).await?;
        let config =
            WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE)).max_frame_size(Some(LARGEST_MESSAGE));
        let (stream, _) = client_async_with_config(request, wire, Some(config))
            .await
            .map_err(|error| trouble("a handshake", error))?;
        Ok(Self { stream: Box::new(stream) })
    }

    /// Sends a text.
    pub async fn send(&mut self, text: &str) -> Result<(), Trouble> {
        self.stream.send(Message::text(text)).await.map_err(|error| trouble("sending", error))
    }

    /// Reads messages up to the one that holds this.
    pub async fn wait(&mut self, until: &str, shown: &mut Vec<u8>) -> Result<(), Trouble> {
        while let Some(message) = self.stream.next().await {
            let data = match message.map_err(|error| trouble("a message", error))? {
                message @ (Message::Text(_) | Message::Binary(_)) => message.into_data(),
                _ => continue,
            };
            if find(&data, until.as_bytes()).is_some() {
                return Ok(());
            }
            shown.clear();
            shown.extend_from_slice(&data[..data.len().min(SHOWN)]);
        }
        Err(Trouble::closed("a message"))
    }

    /// Reads, answers pings and throws messages away until the other side ends it.
    pub async fn drain(&mut self) {
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Says goodbye and waits a little for the answer.
    pub async fn close(mut self) {
        let goodbye = async {
            // The stream's own `close`, not that of a boxed sink.
            let stream: &mut WebSocketStream<Wire> = &mut self.stream;
            if stream.close(None).await.is_ok() {
                self.drain().await;
            }
        };
        // A target that does not answer is left all the same.
        let _ = tokio::time::timeout(CLOSE_WITHIN, goodbye).await;
    }

    /// The connection under it.
    pub fn wire(&mut self) -> &mut Wire {
        self.stream.get_mut()
    }

    /// The connection under it, for an end without goodbye.
    pub fn into_wire(self) -> Wire {
        self.stream.into_inner()
    }
}

fn trouble(what: &str, error: Error) -> Trouble {
    match error {
        Error::Http(answer) => Trouble::unexpected(
            format!("status {}", answer.status().as_u16()),
            printable(answer.body().as_deref().unwrap_or_default()),
        ),
        Error::Io(error) => Trouble::io(what, &error),
        Error::ConnectionClosed | Error::AlreadyClosed => Trouble::closed(what),
        other => Trouble::unexpected("websocket protocol error", printable(format!("{what}: {other}").as_bytes())),
    }
}
