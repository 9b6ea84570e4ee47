//! How one step reaches the target: http, server-sent events, websocket, tcp and unix sockets, standard
//! input and output, a program.
//!
//! A driver does one thing once and says what came of it: right, backpressure, or `Trouble` of a named
//! kind. It refuses every address that is not on this machine, unless the scenario file names the host; it
//! keeps no more of an answer than is needed; it never retries what may have been done, and it neither
//! paces nor counts operations.

mod address;
mod command;
mod frames;
mod http;
mod patience;
mod session;
mod socket;
mod sse;
mod stdio;
mod tls;
mod trouble;
mod websocket;
mod wire;

pub use stdio::StdioChannel;

pub(super) use command::run as run_command;
pub(super) use http::{Http, Outcome, Prepared, render};
pub(super) use patience::Patience;
pub(super) use session::{Message, Remains, Session};
pub(super) use stdio::Stdio;
pub(super) use trouble::{Reach, Trouble};
pub(super) use wire::Net;
