//! Addresses in a scenario file: of the right kind, and on this machine unless the file allows the host.

use std::net::IpAddr;

use super::reader::{Item, NO_PORT, suggest};
use crate::scenario::template::{Known, Template};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `http://`, `https://`, or a path on the target's port.
    Http,
    /// The same and `ws://`, `wss://`.
    WebSocket,
    /// `host:port` or `unix:/path`.
    Socket,
    /// `http://..` or `unix:/socket:/path`.
    Gauges,
    /// `http://`, or a path on the target's port: asked until the target is ready.
    Ready,
}

impl Kind {
    fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Http => &["http", "https"],
            Self::Gauges | Self::Ready => &["http"],
            Self::WebSocket => &["ws", "wss", "http", "https"],
            Self::Socket => &[],
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Http | Self::Ready => "\"/path\" (on the target's port) or \"http://127.0.0.1:8080/path\"",
            Self::WebSocket => "\"/path\" (on the target's port) or \"ws://127.0.0.1:8080/path\"",
            Self::Socket => "\"127.0.0.1:{{ port }}\" or \"unix:/run/app.sock\"",
            Self::Gauges => "\"http://127.0.0.1:{{ port }}/metrics\" or \"unix:/run/app.sock:/metrics\"",
        }
    }
}

/// Reads an address. What a template hides until it is rendered is checked when it is used.
pub(super) fn read(item: &Item<'_>, known: &Known, kind: Kind, allow_remote: &[String]) -> Option<Template> {
    let template = item.template(known)?;
    let source = template.source();
    if source.starts_with("{{") || source.starts_with("unix:/") {
        return Some(template);
    }
    if source.starts_with('/') && matches!(kind, Kind::Http | Kind::WebSocket | Kind::Ready) {
        if !known.captures.contains("port") {
            item.problem(format!("the path `{source}` is on the target's port: {NO_PORT}"));
        }
        return Some(template);
    }
    let authority = match (kind, source.split_once("://")) {
        (Kind::Socket, None) if source.contains(':') => source,
        (Kind::Socket, _) | (_, None) => {
            item.problem(format!("`{source}` is not an address; write {}", kind.example()));
            return None;
        }
        (_, Some((scheme, rest))) if kind.schemes().contains(&scheme) => rest,
        (Kind::Ready, Some(("https", _))) => {
            item.problem(
                "`ready.http` is asked over plain http only; for a server that speaks TLS use \
                 ready = { tcp = \"127.0.0.1:{{ port }}\" }",
            );
            return None;
        }
        (Kind::Gauges, Some(("https", _))) => {
            item.problem(format!("`{}` is read over plain http only; write {}", item.name, kind.example()));
            return None;
        }
        (_, Some((scheme, _))) => {
            let hint = suggest(scheme, kind.schemes().iter().copied());
            item.problem(format!("`{scheme}://` does not fit here{hint}"));
            return None;
        }
    };
    let host = host(authority);
    if !host.contains("{{") && !is_here(&host) && !allow_remote.contains(&host) {
        item.problem(format!(
            "`{host}` is not this machine, and load is aimed only at this machine; if that host is yours to load, \
             add allow_remote = [\"{host}\"] at the top of the file"
        ));
    }
    Some(template)
}

/// The host of `user@host:port/path?query`.
fn host(authority: &str) -> String {
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host.to_ascii_lowercase()
}

/// Whether a host name means this machine whatever a name server says.
pub fn is_here(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_and_told_apart() {
        for (authority, expected, here) in [
            ("127.0.0.1:80/x", "127.0.0.1", true),
            ("[::1]:80/x", "::1", true),
            ("LOCALHOST/a:b@c", "localhost", true),
            ("me:pw@127.3.2.1:9", "127.3.2.1", true),
            ("127.0.0.1@example.com/", "example.com", false),
            ("127.0.0.1.example.com:80", "127.0.0.1.example.com", false),
            ("[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", true),
            ("10.0.0.1:80", "10.0.0.1", false),
        ] {
            assert_eq!(host(authority), expected);
            assert_eq!(is_here(expected), here, "{expected}");
        }
    }
}
