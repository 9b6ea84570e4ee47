//! Where a step goes, and whether it may go there.
//!
//! Load is aimed at this machine. Every host is resolved before anything connects, all of its addresses
//! must be loopback addresses, and what was resolved is what is connected to. A host that the scenario
//! file allows by name is exempt.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::trouble::{Reach, Trouble};

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// As it is.
    Plain,
    /// By TLS.
    Tls,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A host and a port.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Place {
    /// Reads `host:port` or `unix:/path`.
    pub fn parse(text: &str) -> Result<Self, Trouble> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| malformed(text, "a port is missing"))?;
        Self::tcp(text, host, port)
    }

    fn tcp(text: &str, host: &str, port: &str) -> Result<Self, Trouble> {
        let port = port.parse().map_err(|_| malformed(text, "the port is not a number"))?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.contains(['@', '/', ' ']) {
            return Err(malformed(text, "the host is not a name or an address"));
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

fn malformed(text: &str, why: &str) -> Trouble {
    Trouble::hopeless(format!(
        "`{text}` is not an address that can be reached: {why}; write http://127.0.0.1:PORT/path, a path, 127.0.0.1:PORT or unix:/path"
    ))
}

/// An address taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it is encrypted.
    pub scheme: Scheme,
    /// What is connected to.
    pub place: Place,
    /// What the request's first line names: path and query, percent-encoded where it must be.
    pub path: String,
}

impl Url {
    /// Reads `http://`, `https://`, `ws://`, `wss://`, `unix:/socket:/path`, or a path that `port` completes.
    pub fn parse(text: &str, port: Option<&str>) -> Result<Self, Trouble> {
        if text.starts_with('/') {
            let port = port.ok_or_else(|| {
                malformed(text, "a bare path needs the target's port, and `ready` captured none (?<port>..)")
            })?;
            let place = Place::tcp(text, "127.0.0.1", port)?;
            return Ok(Self { scheme: Scheme::Plain, place, path: encode(text) });
        }
        if let Some(rest) = text.strip_prefix("unix:") {
            let (socket, path) = rest.split_once(':').unwrap_or((rest, "/"));
            return Ok(Self { scheme: Scheme::Plain, place: Place::Unix(socket.into()), path: encode(path) });
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| malformed(text, "the scheme is missing"))?;
        let (scheme, default_port) = match scheme {
            "http" | "ws" => (Scheme::Plain, "80"),
            "https" | "wss" => (Scheme::Tls, "443"),
            _ => return Err(malformed(text, "the scheme is none of http, https, ws, wss")),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, default_port),
        };
        Ok(Self { scheme, place: Place::tcp(text, host, port)?, path: encode(path) })
    }
}

/// A path as it may stand in a request line: nothing in it can end the line.
fn encode(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    let mut out = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        out.push('/');
    }
    for byte in path.bytes() {
        match byte {
            0..=b' ' | 0x7f.. | b'"' | b'<' | b'>' => out.push_str(&format!("%{byte:02X}")),
            _ => out.push(char::from(byte)),
        }
    }
    out
}

/// Hosts that may be reached although they are not this machine.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Vec<String>,
}

impl Guard {
    /// A guard that lets these hosts pass, by name.
    pub fn new(allowed: &[String]) -> Self {
        Self { allowed: allowed.to_vec() }
    }

    /// The addresses of a host, all of them permitted.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Trouble> {
        let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => tokio::net::lookup_host((host, port))
                .await
                .map_err(|error| Trouble {
                    reach: Reach::Nobody,
                    kind: "host not found".into(),
                    detail: format!("looking up {host}: {error}"),
                })?
                .collect(),
        };
        if self.allowed.iter().any(|name| name.eq_ignore_ascii_case(host)) {
            return Ok(addresses);
        }
        match addresses.iter().find(|address| !is_loopback(address)) {
            Some(remote) => Err(Trouble::hopeless(format!(
                "{host} ({}) is not this machine, and load is aimed at this machine only; if it is yours to load, name it: allow_remote = [\"{host}\"]",
                remote.ip()
            ))),
            None => Ok(addresses),
        }
    }
}

/// Whether an address is this machine's own.
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let tcp = |host: &str, port| Place::Tcp { host: host.into(), port };
        for (text, scheme, place, path) in [
            ("http://127.0.0.1:80/a?b=c", Scheme::Plain, tcp("127.0.0.1", 80), "/a?b=c"),
            ("/x y\r\nEvil: 1", Scheme::Plain, tcp("127.0.0.1", 4242), "/x%20y%0D%0AEvil:%201"),
            ("https://localhost", Scheme::Tls, tcp("localhost", 443), "/"),
            ("ws://[::1]:9/s#frag", Scheme::Plain, tcp("::1", 9), "/s"),
            ("http://localhost?q=1", Scheme::Plain, tcp("localhost", 80), "/?q=1"),
            ("unix:/run/a.sock:/metrics", Scheme::Plain, Place::Unix("/run/a.sock".into()), "/metrics"),
        ] {
            let url = Url::parse(text, Some("4242")).expect(text);
            assert_eq!((url.scheme, url.place, url.path.as_str()), (scheme, place, path), "{text}");
        }
        for bad in ["ftp://x/", "localhost", "http://:80/", "http://u:p@127.0.0.1:1/", "http://h:99999/"] {
            assert_eq!(Url::parse(bad, None).expect_err(bad).reach, Reach::Hopeless);
        }
        assert!(Url::parse("/x", None).expect_err("no port").detail.contains("ready"));
        assert_eq!(Place::parse("unix:/a"), Ok(Place::Unix("/a".into())));
        assert_eq!(Place::parse("[::1]:7"), Ok(tcp("::1", 7)));
    }

    #[tokio::test]
    async fn only_this_machine_is_reached() {
        let guard = Guard::new(&["192.0.2.7".into()]);
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost", "192.0.2.7"] {
            assert!(guard.resolve(host, 1).await.is_ok(), "{host}");
        }
        for host in ["192.0.2.8", "0.0.0.0", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"] {
            let trouble = guard.resolve(host, 1).await.expect_err(host);
            assert_eq!(trouble.reach, Reach::Hopeless);
            assert!(trouble.detail.contains("allow_remote"), "{}", trouble.detail);
        }
    }
}
