//! What went wrong with a step: by kind, with the first of each kind in the target's own words.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use crate::units::show_duration;

/// How many bytes of an answer are kept to show what it was.
pub const SHOWN: usize = 300;

/// How far a step came before it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The target was there.
    Target,
    /// Nothing answered at the address.
    Nobody,
    /// No operation of this scenario can ever work: the scenario stops.
    Hopeless,
}

/// A step that did not come out right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Trouble {
    /// How far it came.
    pub reach: Reach,
    /// The kind under which it is counted: `status 500`, `connection refused`. There are few of them.
    pub kind: Cow<'static, str>,
    /// This one in detail: untrusted text, made printable, bounded.
    pub detail: String,
}

impl Trouble {
    /// The target did something that was not expected.
    pub fn unexpected(kind: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self { reach: Reach::Target, kind: kind.into(), detail: detail.into() }
    }

    /// The scenario cannot be driven like this.
    pub fn hopeless(reason: impl Into<String>) -> Self {
        Self { reach: Reach::Hopeless, kind: Cow::Borrowed("not possible"), detail: reason.into() }
    }

    /// The answer did not come in time.
    pub fn timeout(within: Duration, waiting_for: &str) -> Self {
        Self::unexpected(
            format!("timeout after {}", show_duration(within)),
            format!("no {waiting_for} within {}", show_duration(within)),
        )
    }

    /// The other side closed where more was expected.
    pub fn closed(waiting_for: &str) -> Self {
        Self::unexpected("closed by peer", format!("the target closed the connection; {waiting_for} was expected"))
    }

    /// An exchange over an open connection failed.
    pub fn io(what: &str, error: &io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::UnexpectedEof) {
            return Self::closed(what);
        }
        Self::unexpected(kind_of(error), format!("{what}: {error}"))
    }

    /// A connection could not be made.
    pub fn connect(address: &str, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Self::hopeless(format!(
                "connecting to {address}: {error}: tidewatch itself has too many files open; raise `ulimit -n` or lower the number of sessions that a cycle holds"
            )),
            _ => {
                Self { reach: Reach::Nobody, kind: kind_of(error), detail: format!("connecting to {address}: {error}") }
            }
        }
    }
}

fn kind_of(error: &io::Error) -> Cow<'static, str> {
    use io::ErrorKind as Kind;
    Cow::Borrowed(match error.kind() {
        Kind::ConnectionRefused => "connection refused",
        Kind::ConnectionReset | Kind::BrokenPipe => "reset by peer",
        Kind::ConnectionAborted => "connection aborted",
        Kind::UnexpectedEof => "closed by peer",
        Kind::NotFound => "no such socket",
        Kind::PermissionDenied => "permission denied",
        Kind::AddrNotAvailable => "no local port left",
        Kind::TimedOut => "timeout",
        Kind::InvalidData => "invalid answer",
        _ => return Cow::Owned(error.kind().to_string()),
    })
}

/// The start of what a target sent, safe to print.
pub fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_bounded_and_printable() {
        assert_eq!(printable(b"a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable(&[b'x'; 1000]).len(), SHOWN);
        assert_eq!(printable(&[0xff, b'a']), "\u{fffd}a");
    }

    #[test]
    fn our_own_shortage_is_not_the_targets_fault() {
        let trouble = Trouble::connect("127.0.0.1:1", &io::Error::from_raw_os_error(libc::EMFILE));
        assert_eq!(trouble.reach, Reach::Hopeless);
        let trouble = Trouble::connect("127.0.0.1:1", &io::Error::from_raw_os_error(libc::ECONNREFUSED));
        assert_eq!((trouble.reach, &*trouble.kind), (Reach::Nobody, "connection refused"));
    }
}
