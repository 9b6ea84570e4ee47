//! A stream of server-sent events: open when its head arrived with status 200; its events are not kept.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::address::Url;
use super::frames::{Asked, Buffer, Kept, read_body, read_head};
use super::http::{Peer, render, write_head};
use super::trouble::{SHOWN, Trouble, printable};
use super::wire::{Account, Net, Wire};
use crate::scenario::Trust;
use crate::scenario::template::{Template, Values};

/// Opens a stream.
pub async fn open(
    net: &Net,
    url: &Template,
    headers: &[(String, Template)],
    values: &Values<'_>,
) -> Result<Wire, Trouble> {
    let url = Url::parse(&render(url, values)?, values.fixed.captures.get("port").map(String::as_str))?;
    let mut request = Vec::new();
    write_head(&mut request, "GET", &url, headers, values)?;
    request.extend_from_slice(b"accept: text/event-stream\r\ncache-control: no-cache\r\n\r\n");
    let peer = Peer { scheme: url.scheme, place: url.place, trust: Trust::WebRoots };
    let mut wire = peer.connect(net, Account::Kept).await?;
    let what = "the head of a stream of events";
    wire.write_all(&request).await.map_err(|error| Trouble::io(what, &error))?;
    wire.flush().await.map_err(|error| Trouble::io(what, &error))?;
    let mut buffer = Buffer::default();
    let head = read_head(&mut buffer, &mut wire, Asked::Whole).await.map_err(|error| Trouble::io(what, &error))?;
    if head.status == 200 {
        return Ok(wire);
    }
    let mut kept = Kept::default();
    kept.begin(SHOWN);
    read_body(&mut buffer, &mut wire, head.body, &mut kept).await.map_err(|error| Trouble::io(what, &error))?;
    Err(Trouble::unexpected(format!("status {}", head.status), printable(&kept.bytes)))
}

/// Reads and throws away until the other side ends it.
pub async fn drain(wire: &mut Wire) {
    let mut scrap = [0; 4096];
    while matches!(wire.read(&mut scrap).await, Ok(1..)) {}
}
