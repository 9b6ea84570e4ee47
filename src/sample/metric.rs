//! The metrics: what a curve can be of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::units::{Unit, nearest};

/// What a descriptor points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FdKind {
    /// A TCP socket.
    Tcp,
    /// A UDP socket.
    Udp,
    /// A unix domain socket.
    Unix,
    /// A socket of another family (netlink, packet, vsock).
    Socket,
    /// A pipe or FIFO.
    Pipe,
    /// A file, directory or device with a path.
    File,
    /// An eventfd.
    Eventfd,
    /// An epoll instance.
    Epoll,
    /// A timerfd.
    Timerfd,
    /// An inotify or fanotify instance.
    Inotify,
    /// A memfd.
    Memfd,
    /// Anything else (signalfd, io_uring, pidfd, ...).
    Other,
}

impl FdKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Tcp,
        Self::Udp,
        Self::Unix,
        Self::Socket,
        Self::Pipe,
        Self::File,
        Self::Eventfd,
        Self::Epoll,
        Self::Timerfd,
        Self::Inotify,
        Self::Memfd,
        Self::Other,
    ];

    /// The word for it, as in `fds:tcp`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Socket => "socket",
            Self::Pipe => "pipe",
            Self::File => "file",
            Self::Eventfd => "eventfd",
            Self::Epoll => "epoll",
            Self::Timerfd => "timerfd",
            Self::Inotify => "inotify",
            Self::Memfd => "memfd",
            Self::Other => "other",
        }
    }
}

/// A number of the target that can grow. The words are those of the field; see docs/architecture.md.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Anonymous memory and swap, without what the kernel may take back.
    Private,
    /// Shared memory: shmem, memfd, tmpfs.
    Shared,
    /// Open descriptors, without our own connections.
    Fds,
    /// OS threads.
    Threads,
    /// Live descendants.
    Children,
    /// Descendants that ended and were not waited for.
    Zombies,
    /// Live descendants whose parent ended.
    Orphans,
    /// The highest anonymous memory within a cycle.
    Peak,
    /// Threads, children, zombies and orphans together: for people, never gated by default.
    Tasks,
    /// Resident pages of every kind.
    Rss,
    /// The program break.
    Heap,
    /// Stacks.
    Stack,
    /// Mapped files.
    File,
    /// Open descriptors of one kind.
    FdsOf(FdKind),
    /// A number that the target exports.
    Gauge(String),
    /// Live heap bytes of one owner, where the heap is sampled by call stack.
    Live(String),
    /// A number of the target's cgroup: current, anon, file, kernel or sock.
    Cgroup(String),
}

const PLAIN: [(&str, Metric); 13] = [
    ("private", Metric::Private),
    ("shared", Metric::Shared),
    ("fds", Metric::Fds),
    ("threads", Metric::Threads),
    ("children", Metric::Children),
    ("zombies", Metric::Zombies),
    ("orphans", Metric::Orphans),
    ("peak", Metric::Peak),
    ("tasks", Metric::Tasks),
    ("rss", Metric::Rss),
    ("heap", Metric::Heap),
    ("stack", Metric::Stack),
    ("file", Metric::File),
];

const CGROUP_NUMBERS: [&str; 5] = ["current", "anon", "file", "kernel", "sock"];

impl Metric {
    /// The metrics judged when nothing else is said, each apart.
    pub const GATED: [Self; 8] = [
        Self::Private,
        Self::Shared,
        Self::Fds,
        Self::Threads,
        Self::Children,
        Self::Zombies,
        Self::Orphans,
        Self::Peak,
    ];

    /// What it is counted in.
    pub fn unit(&self) -> Unit {
        match self {
            Self::Private
            | Self::Shared
            | Self::Peak
            | Self::Rss
            | Self::Heap
            | Self::Stack
            | Self::File
            | Self::Live(_)
            | Self::Cgroup(_) => Unit::Bytes,
            Self::Fds
            | Self::Threads
            | Self::Children
            | Self::Zombies
            | Self::Orphans
            | Self::Tasks
            | Self::FdsOf(_)
            | Self::Gauge(_) => Unit::Count,
        }
    }

    /// What a person calls it in a sentence: `private memory`, `descriptors`.
    pub fn noun(&self) -> String {
        match self {
            Self::Private => "private memory".into(),
            Self::Shared => "shared memory".into(),
            Self::Fds => "descriptors".into(),
            Self::Threads => "threads".into(),
            Self::Children => "child processes".into(),
            Self::Zombies => "zombies".into(),
            Self::Orphans => "orphans".into(),
            Self::Peak => "peak memory".into(),
            Self::Tasks => "tasks".into(),
            Self::Rss => "resident memory".into(),
            Self::Heap => "heap".into(),
            Self::Stack => "stacks".into(),
            Self::File => "mapped files".into(),
            Self::FdsOf(kind) => format!("{} descriptors", kind.name()),
            Self::Gauge(name) => format!("gauge {name}"),
            Self::Live(name) => format!("live heap of {name}"),
            Self::Cgroup(name) => format!("cgroup {name} memory"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FdsOf(kind) => write!(f, "fds:{}", kind.name()),
            Self::Gauge(name) => write!(f, "gauge:{name}"),
            Self::Live(name) => write!(f, "live:{name}"),
            Self::Cgroup(name) => write!(f, "cgroup:{name}"),
            plain => {
                let name = PLAIN.iter().find(|(_, metric)| metric == plain).map_or("?", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

/// A word that is no metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a metric{}", .nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_else(|| "; metrics are private, shared, peak, fds, threads, children, zombies, orphans, tasks, rss, heap, stack, file, fds:KIND, gauge:NAME and cgroup:NAME".into()))]
pub struct MetricError {
    word: String,
    nearest: Option<String>,
}

impl FromStr for Metric {
    type Err = MetricError;

    fn from_str(word: &str) -> Result<Self, MetricError> {
        let unknown = |nearest: Option<String>| MetricError { word: word.to_owned(), nearest };
        if let Some((family, name)) = word.split_once(':') {
            return match family {
                "fds" => {
                    FdKind::ALL.into_iter().find(|kind| kind.name() == name).map(Self::FdsOf).ok_or_else(|| {
                        unknown(nearest(name, FdKind::ALL.map(FdKind::name)).map(|n| format!("fds:{n}")))
                    })
                }
                "live" if !name.is_empty() => Ok(Self::Live(name.to_owned())),
                "gauge" if !name.is_empty() => Ok(Self::Gauge(name.to_owned())),
                "cgroup" if CGROUP_NUMBERS.contains(&name) => Ok(Self::Cgroup(name.to_owned())),
                "cgroup" => Err(unknown(nearest(name, CGROUP_NUMBERS).map(|n| format!("cgroup:{n}")))),
                _ => Err(unknown(nearest(family, ["fds", "gauge", "cgroup"]).map(|n| format!("{n}:{name}")))),
            };
        }
        PLAIN
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, metric)| metric.clone())
            .ok_or_else(|| unknown(nearest(word, PLAIN.iter().map(|(name, _)| *name)).map(str::to_owned)))
    }
}

impl Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_reads_back_from_its_name() {
        let special = [
            Metric::FdsOf(FdKind::Tcp),
            Metric::Gauge("a.b:c".into()),
            Metric::Live("a::b".into()),
            Metric::Cgroup("sock".into()),
        ];
        for metric in PLAIN.iter().map(|(_, metric)| metric.clone()).chain(special) {
            assert_eq!(metric.to_string().parse(), Ok(metric));
        }
    }

    #[test]
    fn a_mistaken_word_gets_the_nearest() {
        for (word, hint) in [
            ("treads", "`threads`"),
            ("fds:tpc", "`fds:tcp`"),
            ("cgroup:soc", "`cgroup:sock`"),
            ("guage:x", "`gauge:x`"),
        ] {
            let message = word.parse::<Metric>().expect_err(word).to_string();
            assert!(message.contains(hint), "{message}");
        }
        let message = "qqqqqqqq".parse::<Metric>().expect_err("no metric").to_string();
        assert!(message.contains("metrics are private"), "{message}");
    }
}
