//! Steps and openings: what is done to the target.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::{self, Kind};
use super::reader::{Item, Table};
use crate::scenario::template::{Known, Template};
use crate::scenario::{Connection, HttpStep, Leave, Opening, Step, Trust};

/// How long a step may take when the file does not say.
const WITHIN: Duration = Duration::from_secs(10);

/// What the steps of a scenario need to know of the rest of the file.
pub(super) struct Surroundings<'a> {
    pub(super) folder: &'a Path,
    pub(super) allow_remote: &'a [String],
    /// Whether tidewatch starts the target and so holds its standard input.
    pub(super) launched: bool,
}

/// Which messages the open session can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// It carries messages both ways.
    Messages,
    /// It cannot; the words say why.
    Silent(&'static str),
}

impl Session {
    pub(super) fn of(opening: &Opening) -> Self {
        match opening {
            Opening::Tcp { .. } | Opening::WebSocket { .. } | Opening::Stdio => Self::Messages,
            Opening::Sse { .. } => Self::Silent("server-sent events go one way; send an `http` request"),
            Opening::Step(_) => Self::Silent("this `open` leaves no connection; use tcp, websocket or stdio"),
        }
    }
}

const STEP_EXAMPLE: &str =
    "{ http = { url = \"/\" } }, { send = \"PING\\n\", until = \"PONG\" } or { command = [\"prog\"] }";

/// Reads one step. What it captures is known to the steps after it.
pub(super) fn step(item: &Item<'_>, known: &mut Known, session: Session, near: &Surroundings<'_>) -> Option<Step> {
    let table = item.table()?;
    const KINDS: [&str; 3] = ["http", "send", "command"];
    let Some(kind) = table.one_of(&KINDS) else {
        table.finish();
        table.missing(&KINDS, format!("{} says nothing to do; it is one of {STEP_EXAMPLE}", table.name));
        return None;
    };
    let step = match kind.name.as_str() {
        "http" => http(&kind, known, near).map(Step::Http),
        "send" => {
            if let Session::Silent(why) = session {
                kind.problem(format!("`send` does not fit here: {why}"));
            }
            let until = table.get("until").map(|item| item.template(known));
            let within = within(&table);
            let text = kind.template(known);
            match until {
                Some(None) => None,
                until => text.map(|text| Step::Send { text, until: until.flatten(), within }),
            }
        }
        _ => {
            let expect = table.get("expect").map_or(Some(vec![0]), |item| exit_codes(&item));
            let within = within(&table);
            kind.argv(known).zip(expect).map(|(argv, expect)| Step::Command { argv, expect, within })
        }
    };
    table.finish();
    step
}

pub(super) fn steps(item: &Item<'_>, known: &mut Known, session: Session, near: &Surroundings<'_>) -> Vec<Step> {
    item.list().unwrap_or_default().iter().filter_map(|item| step(item, known, session, near)).collect()
}

fn within(table: &Table<'_>) -> Duration {
    table.get("within").and_then(|item| item.duration()).unwrap_or(WITHIN)
}

fn exit_codes(item: &Item<'_>) -> Option<Vec<i32>> {
    item.list()?.iter().map(|item| item.whole(0..256).and_then(|code| i32::try_from(code).ok())).collect()
}

fn http(item: &Item<'_>, known: &mut Known, near: &Surroundings<'_>) -> Option<HttpStep> {
    let table = item.table()?;
    let url =
        table.need("url", "\"/items\"").and_then(|item| address::read(&item, known, Kind::Http, near.allow_remote));
    let mut headers = table.get("headers").and_then(|item| item.named_templates(known)).unwrap_or_default();
    let body = table.one_of(&["json", "body"]);
    let json = body.as_ref().is_some_and(|body| body.name == "json");
    let body = body.and_then(|body| if json { body.json(known) } else { body.template(known) });
    if json && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.extend(Template::parse("application/json").ok().map(|value| ("content-type".to_owned(), value)));
    }
    let default_method = if body.is_some() { "POST" } else { "GET" };
    let method = table.get("method").map_or(Some(default_method.to_owned()), |item| method(&item));
    let (expect, counts) = answers(&table);
    let connection = [("keep-alive", Connection::KeepAlive), ("per-request", Connection::PerRequest)];
    let connection = table.get("connection").and_then(|item| item.choice(&connection)).unwrap_or(Connection::KeepAlive);
    let trust = table.get("trust").and_then(|item| trust(&item, near.folder)).unwrap_or(Trust::WebRoots);
    let within = within(&table);
    let captures = table.get("capture").and_then(|item| item.entries()).unwrap_or_default();
    let capture = captures.into_iter().filter_map(|(name, item)| Some((name, item.text()?.to_owned()))).collect();
    table.finish();
    let step =
        HttpStep { method: method?, url: url?, headers, body, expect, counts, connection, capture, trust, within };
    known.captures.extend(step.capture.keys().cloned());
    Some(step)
}

fn method(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        item.problem(format!("`{text}` is not an HTTP method; methods are in capitals, like GET or POST"));
        return None;
    }
    Some(text.to_owned())
}

/// `expect` and `counts`: any 2xx, and all of those.
fn answers(table: &Table<'_>) -> (Vec<u16>, Vec<u16>) {
    let statuses = |key| table.get(key).map(|item| (item.clone(), statuses(&item).unwrap_or_default()));
    let expect = statuses("expect").map_or_else(|| (200..=299).collect(), |(_, codes)| codes);
    let counts = match statuses("counts") {
        None => expect.clone(),
        Some((item, codes)) => {
            if let Some(stray) = codes.iter().find(|code| !expect.contains(code)) {
                item.problem(format!("`counts` has {stray}, which is not in `expect`: what counts must be right"));
            }
            codes
        }
    };
    (expect, counts)
}

fn statuses(item: &Item<'_>) -> Option<Vec<u16>> {
    let mut codes = Vec::new();
    for item in item.list()? {
        let class = if item.is_text() { item.text()?.strip_suffix("xx") } else { None };
        match class.and_then(|class| class.parse::<u16>().ok()).filter(|class| (1..=5).contains(class)) {
            Some(class) => codes.extend(class * 100..class * 100 + 100),
            None if item.is_text() => {
                item.problem(format!("`{}` is not a status; write 201 or \"2xx\"", item.text()?));
                return None;
            }
            None => codes.push(item.whole(100..600).and_then(|code| u16::try_from(code).ok())?),
        }
    }
    if codes.is_empty() {
        item.problem(format!("`{}` is empty: no answer could be right", item.name));
        return None;
    }
    Some(codes)
}

fn trust(item: &Item<'_>, folder: &Path) -> Option<Trust> {
    if item.is_table() {
        let table = item.table()?;
        let file = table.need("authority", "\"ca.pem\"").and_then(|item| item.text());
        table.finish();
        return file.map(|file| Trust::Authority(folder.join(PathBuf::from(file))));
    }
    let anyone = item.choice(&[("web", false), ("anyone", true)])?;
    Some(if anyone { Trust::Anyone } else { Trust::WebRoots })
}

/// Reads how a session begins.
pub(super) fn opening(item: &Item<'_>, known: &mut Known, near: &Surroundings<'_>) -> Option<Opening> {
    let table = item.table()?;
    const KINDS: [&str; 6] = ["sse", "websocket", "tcp", "stdio", "http", "command"];
    let Some(kind) = table.one_of(&KINDS) else {
        table.finish();
        table.missing(&KINDS, "`open` says nothing; it is one of sse, websocket, tcp, stdio, http and command");
        return None;
    };
    if matches!(kind.name.as_str(), "http" | "command") {
        let silent = Session::Silent("nothing is open yet");
        return step(item, known, silent, near).map(|step| Opening::Step(Box::new(step)));
    }
    table.finish();
    let inner = kind.table()?;
    let headers = |known: &Known| inner.get("headers").and_then(|item| item.named_templates(known)).unwrap_or_default();
    let opening = match kind.name.as_str() {
        "sse" => {
            let url = inner.need("url", "\"/events\"");
            let url = url.and_then(|item| address::read(&item, known, Kind::Http, near.allow_remote));
            let headers = headers(known);
            url.map(|url| Opening::Sse { url, headers })
        }
        "websocket" => {
            let url = inner.need("url", "\"/socket\"");
            let url = url.and_then(|item| address::read(&item, known, Kind::WebSocket, near.allow_remote));
            let headers = headers(known);
            url.map(|url| Opening::WebSocket { url, headers })
        }
        "tcp" => {
            let address = inner.need("connect", "\"127.0.0.1:{{ port }}\" or \"unix:/run/app.sock\"");
            let address = address.and_then(|item| address::read(&item, known, Kind::Socket, near.allow_remote));
            address.map(|address| Opening::Tcp { address })
        }
        _ if near.launched => Some(Opening::Stdio),
        _ => {
            kind.problem("`stdio` needs a launched target: the standard input of a running process is not ours");
            None
        }
    };
    inner.finish();
    opening
}

/// Reads how a session ends; `{}` is an orderly end.
pub(super) fn leave(item: &Item<'_>, words: &[(&str, Leave)]) -> Option<Leave> {
    if item.is_table() {
        item.table()?.finish();
        return Some(Leave::Close);
    }
    item.choice(words)
}
