//! Sockets by inode, from the tables of the target's own network namespace, and what to call them.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use procfs::net::{TcpNetEntries, TcpState, UdpNetEntries};
use procfs::{FromBufReadSI, LocalSystemInfo};
use rustix::fd::OwnedFd;

use super::files::read_whole;
use crate::probe::text::clean;
use crate::procfs::stat::number;
use crate::sample::FdKind;

/// Most bytes read of one table: about half a million sockets.
const TABLE: usize = 96 * 1024 * 1024;

/// Where the kernel's usual range of ports for outgoing connections begins.
const EPHEMERAL: u16 = 32_768;

/// One socket as a table of the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    Tcp {
        state: &'static str,
        local: SocketAddr,
        peer: SocketAddr,
    },
    Udp {
        local: SocketAddr,
        peer: SocketAddr,
    },
    /// `name` is a path, `@` and an abstract name, or nothing.
    Unix {
        state: &'static str,
        name: String,
    },
    /// In no table: never bound or connected, closed by both sides, or of a family without a table.
    Unlisted {
        protocol: String,
    },
}

impl Socket {
    /// Its kind.
    pub(crate) fn kind(&self) -> FdKind {
        match self {
            Self::Tcp { .. } => FdKind::Tcp,
            Self::Udp { .. } => FdKind::Udp,
            Self::Unix { .. } => FdKind::Unix,
            Self::Unlisted { protocol } if protocol.starts_with("TCP") => FdKind::Tcp,
            Self::Unlisted { protocol } if protocol.starts_with("UDP") => FdKind::Udp,
            Self::Unlisted { protocol } if protocol.starts_with("UNIX") => FdKind::Unix,
            Self::Unlisted { .. } => FdKind::Socket,
        }
    }

    /// The other end, where it has an address.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { peer, .. } | Self::Udp { peer, .. } => Some(*peer),
            Self::Unix { .. } | Self::Unlisted { .. } => None,
        }
    }

    /// The port it listens on, if it does.
    pub(crate) fn listens_on(&self) -> Option<u16> {
        match self {
            Self::Tcp { state: LISTEN, local, .. } => Some(local.port()),
            _ => None,
        }
    }

    /// What to call it. Ports that the kernel picks at random are left out, so that connections which serve one
    /// purpose have one name: `ESTABLISHED on :8080 from 10.0.0.1`, `ESTABLISHED to 10.0.0.3:5432`.
    pub(crate) fn name(&self, listened: &BTreeSet<u16>) -> String {
        match self {
            Self::Tcp { state: LISTEN, local, .. } => format!("{LISTEN} {}", canonical(*local)),
            Self::Tcp { state, local, peer } => {
                let (local, peer) = (canonical(*local), canonical(*peer));
                let served = local.port() < EPHEMERAL && peer.port() >= EPHEMERAL;
                if listened.contains(&local.port()) || served {
                    format!("{state} on :{} from {}", local.port(), peer.ip())
                } else {
                    format!("{state} to {peer}")
                }
            }
            Self::Udp { local, peer } => {
                let (local, peer) = (canonical(*local), canonical(*peer));
                match (peer.port(), local.port()) {
                    (0, EPHEMERAL..) => format!("on {}:*", local.ip()),
                    (0, _) => format!("on {local}"),
                    (_, _) => format!("to {peer}"),
                }
            }
            Self::Unix { state, name } if name.is_empty() => format!("{state} (unnamed)"),
            Self::Unix { state, name } => format!("{state} {name}"),
            Self::Unlisted { protocol } if protocol.is_empty() => "(not in a socket table)".to_owned(),
            Self::Unlisted { protocol } => format!("{protocol} (closed or not connected)"),
        }
    }
}

const LISTEN: &str = "LISTEN";

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The sockets of one network namespace by inode.
pub(crate) type Table = HashMap<u64, Socket>;

/// Reads the tables as the process with this directory sees them. A table that is absent (IPv6 switched off)
/// or cannot be parsed is left out: its sockets are then known by their protocol alone.
pub(crate) fn read(process: &OwnedFd) -> Table {
    let mut table = Table::new();
    let mut text = Vec::new();
    for name in [c"net/tcp", c"net/tcp6"] {
        if read_whole(process, name, &mut text, TABLE).is_ok() {
            parse_tcp(&text, &mut table);
        }
    }
    for name in [c"net/udp", c"net/udp6"] {
        if read_whole(process, name, &mut text, TABLE).is_ok() {
            parse_udp(&text, &mut table);
        }
    }
    if read_whole(process, c"net/unix", &mut text, TABLE).is_ok() {
        parse_unix(&text, &mut table);
    }
    table
}

fn parse_tcp(text: &[u8], table: &mut Table) {
    let Ok(entries) = TcpNetEntries::from_buf_read(text, &LocalSystemInfo) else { return };
    for entry in entries.0 {
        let state = tcp_state(&entry.state);
        table.insert(entry.inode, Socket::Tcp { state, local: entry.local_address, peer: entry.remote_address });
    }
}

fn parse_udp(text: &[u8], table: &mut Table) {
    let Ok(entries) = UdpNetEntries::from_buf_read(text, &LocalSystemInfo) else { return };
    for entry in entries.0 {
        table.insert(entry.inode, Socket::Udp { local: entry.local_address, peer: entry.remote_address });
    }
}

fn tcp_state(state: &TcpState) -> &'static str {
    match state {
        TcpState::Established => "ESTABLISHED",
        TcpState::SynSent => "SYN_SENT",
        TcpState::SynRecv | TcpState::NewSynRecv => "SYN_RECV",
        TcpState::FinWait1 => "FIN_WAIT1",
        TcpState::FinWait2 => "FIN_WAIT2",
        TcpState::TimeWait => "TIME_WAIT",
        TcpState::Close => "CLOSE",
        TcpState::CloseWait => "CLOSE_WAIT",
        TcpState::LastAck => "LAST_ACK",
        TcpState::Listen => LISTEN,
        TcpState::Closing => "CLOSING",
    }
}

/// The procfs crate reads this table as UTF-8 and cuts names at spaces; any process may bind a socket to a
/// name that is neither, so the lines are taken apart here.
fn parse_unix(text: &[u8], table: &mut Table) {
    const LISTENS: u64 = 1 << 16;
    for line in text.split(|&byte| byte == b'\n').skip(1) {
        // Num RefCount Protocol Flags Type St Inode Path; the path is all the rest.
        let mut rest = line;
        let mut word = || {
            rest = rest.trim_ascii_start();
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            word
        };
        let words: [&[u8]; 7] = std::array::from_fn(|_| word());
        let hex = |word: &[u8]| std::str::from_utf8(word).ok().and_then(|word| u64::from_str_radix(word, 16).ok());
        let (Some(flags), Some(state), Some(inode)) = (hex(words[3]), hex(words[5]), number(words[6])) else {
            continue;
        };
        let state = match state {
            _ if flags & LISTENS != 0 => LISTEN,
            3 => "ESTABLISHED",
            2 => "CONNECTING",
            4 => "DISCONNECTING",
            _ => "UNCONNECTED",
        };
        table.insert(inode, Socket::Unix { state, name: clean(rest.strip_prefix(b" ").unwrap_or(rest)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0000000000000000 100 0 0 10 0\n   \
        1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0000000000000000 20 4 30 10 -1\n   \
        2: 0100007F:9C40 0300000A:1538 08 00000000:00000000 00:00000000 00000000  1000        0 103 1 0000000000000000 20 4 30 10 -1\n";
    const TCP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000200007F:D432 01 00000000:00000000 00:00000000 00000000     0        0 104 1 0000000000000000 20 4 30 10 -1\n";
    const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
        53: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 201 2 0000000000000000 0\n  \
        54: 0100007F:9C40 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 202 2 0000000000000000 0\n";
    const UNIX: &[u8] = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 301 /run/a b.sock\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 302 /run/a b.sock\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 303\n\
        0000000000000000: 00000002 00000000 00000000 0002 01 304 @abs\xff\x1b\n\
        broken line\n";

    #[test]
    fn sockets_are_named_by_what_they_serve() {
        let mut table = Table::new();
        parse_tcp(TCP.as_bytes(), &mut table);
        parse_tcp(TCP6.as_bytes(), &mut table);
        parse_udp(UDP.as_bytes(), &mut table);
        parse_unix(UNIX, &mut table);
        let listened = BTreeSet::from([8080]);
        for (inode, name) in [
            (101, "LISTEN 127.0.0.1:8080"),
            (102, "ESTABLISHED on :8080 from 127.0.0.1"),
            (103, "CLOSE_WAIT to 10.0.0.3:5432"),
            (104, "ESTABLISHED on :8080 from 127.0.0.2"),
            (201, "on 0.0.0.0:53"),
            (202, "to 127.0.0.1:53"),
            (301, "LISTEN /run/a b.sock"),
            (302, "ESTABLISHED /run/a b.sock"),
            (303, "ESTABLISHED (unnamed)"),
            (304, "UNCONNECTED @abs\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(table.get(&inode).map(|socket| socket.name(&listened)).as_deref(), Some(name));
        }
        assert_eq!(table.len(), 10);
    }

    #[test]
    fn an_accepted_connection_is_known_by_its_ports_when_the_listener_is_elsewhere() {
        let at = |text: &str| text.parse().expect("an address");
        let socket = Socket::Tcp { state: "ESTABLISHED", local: at("127.0.0.1:80"), peer: at("127.0.0.1:45000") };
        assert_eq!(socket.name(&BTreeSet::new()), "ESTABLISHED on :80 from 127.0.0.1");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "(sl\n)?([0-9A-Fa-f: ]{0,80}\n|.{0,60}\n){0,5}") {
            let mut table = Table::new();
            parse_tcp(text.as_bytes(), &mut table);
            parse_udp(text.as_bytes(), &mut table);
            parse_unix(text.as_bytes(), &mut table);
        }
    }
}
