#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use super::*;
use crate::scenario::template::Fixed;

fn step(method: &str, headers: &[(&str, &str)], body: Option<&str>) -> HttpStep {
    let template = |text: &str| Template::parse(text).unwrap();
    HttpStep {
        method: method.to_owned(),
        url: template("http://127.0.0.1:81/path?a=b"),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), template(value))).collect(),
        body: body.map(template),
        expect: vec![200],
        counts: vec![200],
        connection: Connection::KeepAlive,
        capture: BTreeMap::new(),
        trust: Trust::WebRoots,
        within: Duration::from_secs(1),
    }
}

/// The request of a step, or why there is none.
fn written(step: &HttpStep) -> Result<String, Trouble> {
    let fixed = Fixed::default();
    let values = Values { fixed: &fixed, key: 3, session: 1, seed: 1, captured: &BTreeMap::new() };
    let prepared = Prepared::new(step, &values, &BTreeSet::new())?;
    let mut request = Vec::new();
    prepared.write(&values, &mut request)?;
    Ok(String::from_utf8(request).unwrap())
}

#[test]
fn requests_say_how_long_they_are_and_whose() {
    let head = |method: &str| format!("{method} /path?a=b HTTP/1.1\r\nhost: 127.0.0.1:81\r\n");
    for (method, body, rest) in [
        ("GET", None, "\r\n"),
        ("DELETE", None, "\r\n"),
        ("POST", None, "content-length: 0\r\n\r\n"),
        ("PUT", Some(""), "content-length: 0\r\n\r\n"),
        ("GET", Some("ab"), "content-length: 2\r\n\r\nab"),
        ("POST", Some("abc"), "content-length: 3\r\n\r\nabc"),
    ] {
        assert_eq!(written(&step(method, &[], body)).unwrap(), head(method) + rest);
    }
    let own = written(&step("GET", &[("Host", "a.example"), ("x-n", "{{ op }}")], None)).unwrap();
    assert_eq!(own, "GET /path?a=b HTTP/1.1\r\nHost: a.example\r\nx-n: 3\r\n\r\n");
    let close = HttpStep { connection: Connection::PerRequest, ..step("GET", &[], None) };
    assert_eq!(written(&close).unwrap(), head("GET") + "connection: close\r\n\r\n");
}

#[test]
fn a_header_adds_no_line() {
    for (name, value) in [("x", "a\r\ny: b"), ("x", "a\u{7f}"), ("x:", "a"), ("", "a"), ("x y", "a"), ("\u{e9}", "a")] {
        let trouble = written(&step("GET", &[(name, value)], None)).unwrap_err();
        assert!(trouble.to_string().contains("line break or a control sign"), "{name:?}: {value:?}: {trouble}");
    }
}

#[test]
fn only_a_connection_that_died_is_stale() {
    use io::ErrorKind as Kind;
    let stale = [Kind::UnexpectedEof, Kind::ConnectionReset, Kind::BrokenPipe, Kind::ConnectionAborted];
    assert!(stale.into_iter().all(|kind| is_stale(&kind.into())));
    // A target that was silent for so long may have read the request.
    let others = [Kind::TimedOut, Kind::InvalidData, Kind::HostUnreachable];
    assert!(!others.into_iter().any(|kind| is_stale(&kind.into())));
}
