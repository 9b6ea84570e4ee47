//! Where gauges are read and which.

use std::path::PathBuf;

use hyper::Uri;

use crate::probe::ProbeError;

/// How a target writes its gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaugeFormat {
    /// Prometheus or OpenMetrics text. A bare name is the sum over its label sets; `name{a="b"}` is the sum over
    /// those that have the label.
    Prometheus,
    /// A JSON document. A name is a dot path: `queue.items`, `workers.0.depth`.
    Json,
}

/// Where a target is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GaugeAddress {
    /// Plain HTTP over TCP.
    Tcp {
        /// `HOST:PORT`, IPv6 hosts in brackets.
        authority: String,
        /// Path and query.
        path: String,
    },
    /// HTTP over a unix socket.
    Unix {
        /// The socket's file.
        socket: PathBuf,
        /// Path and query.
        path: String,
    },
}

/// What is to be read, where, and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaugeSource {
    /// Where.
    pub address: GaugeAddress,
    /// In which form.
    pub format: GaugeFormat,
    /// The names asked for.
    pub names: Vec<String>,
}

impl GaugeSource {
    /// Reads an address as a person writes it: `http://127.0.0.1:9100/metrics`, `unix:/run/app.sock:/metrics`.
    /// Without a path it is `/metrics` for Prometheus and `/` for JSON.
    pub fn parse(address: &str, format: GaugeFormat, names: Vec<String>) -> Result<Self, ProbeError> {
        let refused =
            |problem: &str| ProbeError::GaugeAddress { address: address.to_owned(), problem: problem.to_owned() };
        let default = match format {
            GaugeFormat::Prometheus => "/metrics",
            GaugeFormat::Json => "/",
        };
        if let Some(rest) = address.strip_prefix("unix:") {
            let (socket, path) =
                rest.rsplit_once(":/").map_or((rest, default.to_owned()), |(s, p)| (s, format!("/{p}")));
            if socket.is_empty() {
                return Err(refused("no socket is named"));
            }
            path.parse::<Uri>().map_err(|error| refused(&error.to_string()))?;
            return Ok(Self { address: GaugeAddress::Unix { socket: socket.into(), path }, format, names });
        }
        let uri: Uri = address.parse().map_err(|error: hyper::http::uri::InvalidUri| refused(&error.to_string()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(refused("gauges are read by plain http alone")),
            _ => return Err(refused("it does not begin with http:// or unix:")),
        }
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| refused("no host is named"))?;
        if authority.as_str().contains('@') {
            return Err(refused("a user name in it is not supported"));
        }
        let authority = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let path = match uri.path_and_query().map(|path| path.as_str()) {
            None | Some("" | "/") => default.to_owned(),
            Some(path) => path.to_owned(),
        };
        Ok(Self { address: GaugeAddress::Tcp { authority, path }, format, names })
    }

    /// The address for messages.
    pub(super) fn shown(&self) -> String {
        match &self.address {
            GaugeAddress::Tcp { authority, path } => format!("http://{authority}{path}"),
            GaugeAddress::Unix { socket, path } => format!("unix:{}:{path}", socket.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, format, shown) in [
            ("http://127.0.0.1:9100/metrics?x=1", GaugeFormat::Prometheus, "http://127.0.0.1:9100/metrics?x=1"),
            ("http://localhost", GaugeFormat::Prometheus, "http://localhost:80/metrics"),
            ("http://[::1]:8080", GaugeFormat::Json, "http://[::1]:8080/"),
            ("unix:/run/app.sock:/stats", GaugeFormat::Json, "unix:/run/app.sock:/stats"),
            ("unix:/run/app.sock", GaugeFormat::Prometheus, "unix:/run/app.sock:/metrics"),
        ] {
            let source = GaugeSource::parse(text, format, vec![]).expect(text);
            assert_eq!(source.shown(), shown);
        }
        for bad in ["", "https://a/", "ftp://a/", "/metrics", "http:///x", "unix:", "http://u@h/", "127.0.0.1:80"] {
            let message = GaugeSource::parse(bad, GaugeFormat::Json, vec![]).expect_err(bad).to_string();
            assert!(message.contains("give http://HOST:PORT/PATH"), "{message}");
        }
    }
}
