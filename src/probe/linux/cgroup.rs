//! Memory of the target's cgroup, version 1 or 2, whichever holds the memory controller.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::{FromBufRead, ProcessCGroups};

use super::files::{Files, ProcRoot, read_whole};
use crate::procfs::stat::number;
use crate::sample::Cgroup;

/// Most bytes read of `cgroup` and `mountinfo`.
const TEXT: usize = 4 * 1024 * 1024;

/// A limit at or above this is how version 1 says that there is none.
const NO_LIMIT: u64 = 1 << 62;

/// Where the numbers of a cgroup lie, and where its hierarchy begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    version: Version,
    folder: PathBuf,
    mount: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Reads the cgroup of a process, or says why it cannot be read.
pub(crate) fn read(proc: &ProcRoot, files: &Files) -> Result<Cgroup, String> {
    let (mut groups, mut mounts) = (Vec::new(), Vec::new());
    let failed = |error: rustix::io::Errno, what: &str| {
        format!("cannot read the target's cgroup from {what}: {}", std::io::Error::from(error))
    };
    read_whole(&files.dir, c"cgroup", &mut groups, TEXT).map_err(|error| failed(error, "its cgroup file"))?;
    read_whole(proc.dir(), c"self/mountinfo", &mut mounts, TEXT).map_err(|error| failed(error, "mountinfo"))?;
    let place = places(&groups, &mounts)
        .into_iter()
        .find(|place| place.folder.join(place.version.current()).exists())
        .ok_or("the target's cgroup has no memory numbers that can be seen from here")?;
    Ok(read_place(&place))
}

impl Version {
    const fn current(self) -> &'static str {
        match self {
            Self::One => "memory.usage_in_bytes",
            Self::Two => "memory.current",
        }
    }
}

/// The folders in which the memory numbers of these cgroups may be found.
fn places(groups: &[u8], mounts: &[u8]) -> Vec<Place> {
    let Ok(groups) = ProcessCGroups::from_buf_read(groups) else { return Vec::new() };
    let mut places = Vec::new();
    for line in String::from_utf8_lossy(mounts).lines() {
        let Some((mount, system, options)) = mount_line(line) else { continue };
        let version = match system {
            "cgroup2" => Version::Two,
            "cgroup" if options.split(',').any(|option| option == "memory") => Version::One,
            _ => continue,
        };
        let group = groups.0.iter().find(|group| match version {
            Version::One => group.controllers.iter().any(|controller| controller == "memory"),
            Version::Two => group.hierarchy == 0 && group.controllers.is_empty(),
        });
        // A mount may show a part of the hierarchy alone (in containers): paths begin there.
        let inside = group.and_then(|group| Path::new(&group.pathname).strip_prefix(&mount.root).ok());
        if let Some(inside) = inside.filter(|inside| !inside.starts_with("..")) {
            let folder = mount.point.join(inside);
            places.push(Place { version, folder, mount: mount.point });
        }
    }
    places
}

struct Mount {
    root: String,
    point: PathBuf,
}

/// A line of `mountinfo`: `36 35 98:0 /root /point rw,noatime master:1 - type source options`.
fn mount_line(line: &str) -> Option<(Mount, &str, &str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut words = before.split(' ').skip(3);
    let mount = Mount { root: unescape(words.next()?), point: PathBuf::from(unescape(words.next()?)) };
    let mut after = after.split(' ');
    Some((mount, after.next()?, after.nth(1).unwrap_or_default()))
}

/// Undoes `\040` and its like.
fn unescape(word: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(word.to_owned(), |word, (code, character)| word.replace(code, character))
}

fn read_place(place: &Place) -> Cgroup {
    let file = |name: &str| read_number(&place.folder.join(name));
    let table = |name: &str| fs::read_to_string(place.folder.join(name)).unwrap_or_default();
    let stat = table("memory.stat");
    match place.version {
        Version::Two => Cgroup {
            current: file("memory.current"),
            anon: keyed(&stat, "anon"),
            file: keyed(&stat, "file"),
            kernel: keyed(&stat, "kernel"),
            sock: keyed(&stat, "sock"),
            limit: tightest(place, "memory.max"),
            oom_kills: keyed(&table("memory.events"), "oom_kill"),
        },
        Version::One => Cgroup {
            current: file("memory.usage_in_bytes"),
            anon: keyed(&stat, "total_rss"),
            file: keyed(&stat, "total_cache"),
            kernel: file("memory.kmem.usage_in_bytes"),
            sock: file("memory.kmem.tcp.usage_in_bytes"),
            limit: tightest(place, "memory.limit_in_bytes"),
            oom_kills: keyed(&table("memory.oom_control"), "oom_kill"),
        },
    }
}

/// The smallest limit of the cgroup and those above it. `max` and huge numbers are none.
fn tightest(place: &Place, name: &str) -> Option<u64> {
    place
        .folder
        .ancestors()
        .take_while(|folder| folder.starts_with(&place.mount))
        .filter_map(|folder| read_number(&folder.join(name)))
        .filter(|&limit| limit < NO_LIMIT)
        .min()
}

fn read_number(path: &Path) -> Option<u64> {
    number(fs::read(path).ok()?.trim_ascii())
}

/// The number behind a word that begins a line.
fn keyed(table: &str, key: &str) -> Option<u64> {
    table.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).expect("a folder");
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("a file");
        }
    }

    #[test]
    fn version_two_with_a_limit_further_up() {
        let root = tempfile::tempdir().expect("a folder");
        let leaf = root.path().join("app.slice/web 1.service");
        let parent = root.path().join("app.slice");
        write(
            &leaf,
            &[
                ("memory.current", "5000\n"),
                ("memory.stat", "anon 3000\nfile 1000\nkernel 500\nkernel_stack 7\nsock 20\nanon_thp 9\n"),
                ("memory.max", "max\n"),
                ("memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"),
            ],
        );
        write(&parent, &[("memory.max", "9000\n")]);
        let mounts = format!("31 23 0:26 / {} rw - cgroup2 cgroup2 rw,nsdelegate\n", root.path().display());
        let [place] = &places(b"0::/app.slice/web 1.service\n", mounts.as_bytes())[..] else { panic!("one place") };
        assert_eq!((place.version, &place.folder), (Version::Two, &leaf));
        let expected = Cgroup {
            current: Some(5000),
            anon: Some(3000),
            file: Some(1000),
            kernel: Some(500),
            sock: Some(20),
            limit: Some(9000),
            oom_kills: Some(2),
        };
        assert_eq!(read_place(place), expected);
    }

    #[test]
    fn version_one_seen_from_within_a_container() {
        let root = tempfile::tempdir().expect("a folder");
        write(
            &root.path().join("sub"),
            &[
                ("memory.usage_in_bytes", "7000"),
                ("memory.stat", "rss 1\ncache 2\ntotal_rss 4000\ntotal_cache 2000\n"),
                ("memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            ],
        );
        let mounts =
            format!("40 32 0:33 /docker/abc {} rw master:9 - cgroup cgroup rw,memory\n", root.path().display());
        let groups = b"9:name=systemd:/x\n4:memory:/docker/abc/sub\n0::/\n";
        let [place] = &places(groups, mounts.as_bytes())[..] else { panic!("one place") };
        let cgroup = read_place(place);
        assert_eq!((cgroup.current, cgroup.anon, cgroup.file), (Some(7000), Some(4000), Some(2000)));
        assert_eq!((cgroup.limit, cgroup.oom_kills, cgroup.kernel), (None, Some(1), None));
        assert_eq!(places(b"4:memory:/elsewhere\n", mounts.as_bytes()), []);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(groups in "\\PC{0,80}", mounts in "\\PC{0,40}( - cgroup2? [a-z]* memory)?") {
            let _ = places(groups.as_bytes(), mounts.as_bytes());
            let _ = keyed(&groups, "anon");
        }
    }
}
