//! Descriptors by kind and by target: one `readlink` each, sockets looked up by inode.
//!
//! At most [`MAX_LINKS`] links are read in one detail. A tree with more has a fixed pseudo-random part of its
//! descriptors looked at (the same numbers each time), and the counts are scaled up to the whole: kinds are
//! then estimates, which a remark says. The whole is always counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::files::{Files, each_number};
use super::sockets::{self, Socket, Table};
use crate::probe::OwnSockets;
use crate::probe::text::{clean, fold_numbers};
use crate::procfs::stat::number;
use crate::sample::{Descriptors, FdKind, FdTarget};

/// Links read in one detail: about 70 ms.
const MAX_LINKS: usize = 20_000;

/// Targets kept.
const MAX_TARGETS: usize = 20;

/// One detail's snapshot of the descriptors of a tree.
#[derive(Debug)]
pub(crate) struct Survey {
    own: OwnSockets,
    total: usize,
    looked_at: usize,
    plain: BTreeMap<(FdKind, String), u64>,
    sockets: Vec<Socket>,
    /// Socket tables by network namespace.
    tables: HashMap<OsString, Table>,
}

/// What a link says.
#[derive(Debug, PartialEq, Eq)]
enum Link {
    Socket(u64),
    Plain(FdKind, String),
}

impl Survey {
    /// Starts a snapshot.
    pub(crate) fn new(own: &OwnSockets) -> Self {
        Self {
            own: own.clone(),
            total: 0,
            looked_at: 0,
            plain: BTreeMap::new(),
            sockets: Vec::new(),
            tables: HashMap::new(),
        }
    }

    /// Continues a snapshot at a later moment: other connections may be ours by now, and other sockets open.
    pub(crate) fn resume(&mut self, own: &OwnSockets) {
        self.own.extend(own);
        self.tables.clear();
    }

    /// Lists the descriptors of one process, which settles how many links can be read of all.
    pub(crate) fn list(&mut self, files: &Files, space: &mut [MaybeUninit<u8>]) -> Result<Vec<u32>, Errno> {
        let mut numbers = Vec::new();
        each_number(files.fd.as_ref().map_err(|error| *error)?, space, |fd| numbers.push(fd))?;
        self.total += numbers.len();
        Ok(numbers)
    }

    /// Reads the links of one process that was listed before.
    pub(crate) fn look(&mut self, pid: u32, numbers: &[u32], files: &Files) -> Result<(), Errno> {
        let dir = files.fd.as_ref().map_err(|error| *error)?;
        let mut found = Vec::new();
        let mut space = [MaybeUninit::uninit(); 4096];
        for &fd in numbers.iter().filter(|&&fd| chosen(pid, fd, self.total)) {
            // One that was closed since the listing is left out.
            let Ok((link, _)) = rustix::fs::readlinkat_raw(dir, fd.to_string(), &mut space) else { continue };
            self.looked_at += 1;
            match classify(link) {
                Link::Socket(inode) => found.push((fd, inode)),
                Link::Plain(kind, name) => *self.plain.entry((kind, name)).or_default() += 1,
            }
        }
        if !found.is_empty() {
            let table = self.table(files);
            let sockets: Vec<Socket> = found
                .into_iter()
                .map(|(fd, inode)| {
                    let unlisted = || Socket::Unlisted { protocol: protocol(dir, fd) };
                    table.get(&inode).cloned().unwrap_or_else(unlisted)
                })
                .collect();
            self.sockets.extend(sockets);
        }
        Ok(())
    }

    fn table(&mut self, files: &Files) -> &Table {
        let namespace = rustix::fs::readlinkat(&files.dir, c"ns/net", Vec::new())
            .map(|link| OsString::from_vec(link.into_bytes()))
            .unwrap_or_default();
        self.tables.entry(namespace).or_insert_with(|| sockets::read(&files.dir))
    }

    /// What a reader of the counts should know.
    pub(crate) fn remark(&self) -> Option<String> {
        (self.total > MAX_LINKS).then(|| {
            format!(
                "more than {MAX_LINKS} descriptors are open: their kinds and targets are estimated from about \
                 {MAX_LINKS} of them (their number is exact)"
            )
        })
    }

    /// The counts. `listened` is kept from one snapshot to the next.
    pub(crate) fn finish(self, listened: &mut BTreeSet<u16>) -> Descriptors {
        let mut targets = self.plain;
        listened.extend(self.sockets.iter().filter_map(Socket::listens_on));
        let theirs = |socket: &&Socket| !socket.peer().is_some_and(|peer| self.own.holds(peer));
        for socket in self.sockets.iter().filter(theirs) {
            *targets.entry((socket.kind(), socket.name(listened))).or_default() += 1;
        }
        let whole = |count: u64| {
            let scale = self.total as f64 / self.looked_at.max(1) as f64;
            if self.total > MAX_LINKS { (count as f64 * scale).round() as u64 } else { count }
        };
        let mut by_kind: BTreeMap<FdKind, u64> = FdKind::ALL.into_iter().map(|kind| (kind, 0)).collect();
        for ((kind, _), count) in &targets {
            *by_kind.entry(*kind).or_default() += count;
        }
        by_kind.values_mut().for_each(|count| *count = whole(*count));
        let mut by_target: Vec<FdTarget> = fold_files(targets)
            .into_iter()
            .map(|((kind, name), count)| FdTarget { kind, name, count: whole(count) })
            .collect();
        by_target
            .sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)).then_with(|| a.name.cmp(&b.name)));
        by_target.truncate(MAX_TARGETS);
        Descriptors { by_kind, by_target }
    }
}

/// With more files than could be shown, files whose names differ in numbers alone are one target.
fn fold_files(targets: BTreeMap<(FdKind, String), u64>) -> BTreeMap<(FdKind, String), u64> {
    let names = targets.keys().filter(|(kind, _)| *kind == FdKind::File).count();
    if names <= MAX_TARGETS {
        return targets;
    }
    let mut folded = BTreeMap::new();
    for ((kind, name), count) in targets {
        let name = if kind == FdKind::File { fold_numbers(&name) } else { name };
        *folded.entry((kind, name)).or_default() += count;
    }
    folded
}

/// Whether a descriptor is among those looked at: all of them, or a part spread evenly by a mixed number, so
/// that descriptors opened in a rhythm (three per connection) are each as likely.
fn chosen(pid: u32, fd: u32, total: usize) -> bool {
    if total <= MAX_LINKS {
        return true;
    }
    // The finaliser of splitmix64.
    let mut mixed = (u64::from(pid) << 32 | u64::from(fd)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed as f64) < u64::MAX as f64 * (MAX_LINKS as f64 / total as f64)
}

/// The protocol of a socket that is in no table, as the kernel names it: `TCP`, `NETLINK`; empty when it does not.
fn protocol(dir: &OwnedFd, fd: u32) -> String {
    // Through our handle of the folder: the pid may belong to another by now, the handle cannot.
    let path = format!("/proc/self/fd/{}/{fd}", dir.as_raw_fd());
    let mut name = [0; 64];
    match rustix::fs::getxattr(path, c"system.sockprotoname", &mut name) {
        Ok(length) => clean(name[..length].trim_ascii_end().strip_suffix(b"\0").unwrap_or(&name[..length])),
        Err(_) => String::new(),
    }
}

/// Tells kinds apart by the link's text: `socket:[17]`, `anon_inode:[eventfd]`, `/var/log/x`.
fn classify(link: &[u8]) -> Link {
    if let Some(rest) = link.strip_prefix(b"/memfd:") {
        let name = rest.strip_suffix(b" (deleted)").unwrap_or(rest);
        return Link::Plain(FdKind::Memfd, format!("memfd:{}", clean(name)));
    }
    if link.starts_with(b"/") {
        return Link::Plain(FdKind::File, clean(link));
    }
    if let Some(name) = link.strip_prefix(b"anon_inode:") {
        let kind = match name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(name) {
            b"eventfd" => FdKind::Eventfd,
            b"eventpoll" => FdKind::Epoll,
            b"timerfd" => FdKind::Timerfd,
            b"inotify" | b"fanotify" => FdKind::Inotify,
            _ => FdKind::Other,
        };
        return Link::Plain(kind, clean(link));
    }
    let colon = link.iter().position(|&byte| byte == b':').unwrap_or(link.len());
    let inode = link.get(colon..).and_then(|rest| number(rest.strip_prefix(b":[")?.strip_suffix(b"]")?));
    match (&link[..colon], inode) {
        (b"socket", Some(inode)) => Link::Socket(inode),
        (b"pipe", Some(_)) => Link::Plain(FdKind::Pipe, "pipe".to_owned()),
        // pidfd:[17], net:[4026531840], ...
        (name, Some(_)) => Link::Plain(FdKind::Other, clean(name)),
        (_, None) => Link::Plain(FdKind::Other, clean(link)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_told_apart() {
        let plain = |kind, name: &str| Link::Plain(kind, name.to_owned());
        for (link, expected) in [
            ("socket:[17]", Link::Socket(17)),
            ("socket:[x]", plain(FdKind::Other, "socket:[x]")),
            ("pipe:[18]", plain(FdKind::Pipe, "pipe")),
            ("/var/log/a.log (deleted)", plain(FdKind::File, "/var/log/a.log (deleted)")),
            ("/memfd:heap (deleted)", plain(FdKind::Memfd, "memfd:heap")),
            ("anon_inode:[eventfd]", plain(FdKind::Eventfd, "anon_inode:[eventfd]")),
            ("anon_inode:[eventpoll]", plain(FdKind::Epoll, "anon_inode:[eventpoll]")),
            ("anon_inode:[timerfd]", plain(FdKind::Timerfd, "anon_inode:[timerfd]")),
            ("anon_inode:inotify", plain(FdKind::Inotify, "anon_inode:inotify")),
            ("anon_inode:[io_uring]", plain(FdKind::Other, "anon_inode:[io_uring]")),
            ("pidfd:[9]", plain(FdKind::Other, "pidfd")),
            ("net:[4026531840]", plain(FdKind::Other, "net")),
            ("", plain(FdKind::Other, "")),
        ] {
            assert_eq!(classify(link.as_bytes()), expected, "{link}");
        }
    }

    #[test]
    fn many_files_are_folded_few_are_not() {
        let files = |n: u64| (0..n).map(|i| ((FdKind::File, format!("/data/s-{i}.db")), 1)).collect();
        assert_eq!(fold_files(files(20)).len(), 20);
        let folded = fold_files(files(500));
        assert_eq!(folded.into_iter().collect::<Vec<_>>(), [((FdKind::File, "/data/s-*.db".to_owned()), 500)]);
    }

    #[test]
    fn a_part_of_very_many_descriptors_is_scaled_to_the_whole() {
        let total = 200_000;
        let picked = (0..total as u32).filter(|&fd| chosen(7, fd, total)).count();
        assert!(picked.abs_diff(MAX_LINKS) < MAX_LINKS / 20, "{picked}");
        let third = (0..total as u32).filter(|&fd| fd % 3 == 0 && chosen(7, fd, total)).count();
        assert!((third * 3).abs_diff(picked) < picked / 20, "{third} of {picked}");

        let (own, mut listened) = (OwnSockets::default(), BTreeSet::new());
        let mut survey = Survey::new(&own);
        (survey.total, survey.looked_at) = (total, 20_000);
        survey.plain.insert((FdKind::Pipe, "pipe".into()), 15_000);
        survey.plain.insert((FdKind::Epoll, "e".into()), 5_000);
        assert!(survey.remark().is_some());
        let counts = survey.finish(&mut listened);
        assert_eq!((counts.by_kind[&FdKind::Pipe], counts.by_kind[&FdKind::Epoll]), (150_000, 50_000));
        assert_eq!(counts.by_target[0].count, 150_000);
    }

    #[test]
    fn our_own_connections_are_left_out() {
        let at = |text: &str| text.parse().expect("an address");
        let own: OwnSockets = [at("127.0.0.1:45000")].into_iter().collect();
        let mut listened = BTreeSet::new();
        let mut survey = Survey::new(&own);
        for peer in ["127.0.0.1:45000", "[::ffff:127.0.0.1]:45000", "127.0.0.1:45001"] {
            survey.sockets.push(Socket::Tcp { state: "ESTABLISHED", local: at("127.0.0.1:80"), peer: at(peer) });
        }
        assert_eq!(survey.finish(&mut listened).by_kind[&FdKind::Tcp], 1);
    }

    proptest::proptest! {
        #[test]
        fn any_link_is_classified(link in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = classify(&link);
        }
    }
}
