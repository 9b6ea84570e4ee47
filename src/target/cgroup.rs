//! Control groups: who is in which container or unit, and which limits hold there. Versions 1 and 2.

use std::path::{Path, PathBuf};

use super::TargetError;
use super::stat::{Stat, every_process};

/// One line of `/proc/PID/cgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Membership<'a> {
    /// The controllers of a version 1 hierarchy; empty for version 2.
    controllers: &'a str,
    path: &'a str,
}

fn memberships(text: &str) -> impl Iterator<Item = Membership<'_>> {
    text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some(Membership { controllers, path: path.trim_end_matches(" (deleted)") })
    })
}

/// The containers that a process is in, by the ids that its cgroup paths hold: `docker-ID.scope`,
/// `/docker/ID`, `libpod-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `/kubepods/.../podUID/ID`,
/// `lxc.payload.NAME` and their like.
pub(crate) fn containers(text: &str) -> Vec<String> {
    let mut found: Vec<String> =
        memberships(text).flat_map(|membership| membership.path.split('/')).filter_map(container_of).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn container_of(segment: &str) -> Option<String> {
    if let Some(name) = segment.strip_prefix("lxc.payload.") {
        return Some(name.to_owned());
    }
    // containerd with the systemd driver writes `SLICE:RUNTIME:ID`.
    let segment = segment.rsplit(':').next()?;
    let segment = segment.strip_suffix(".scope").unwrap_or(segment);
    let id = segment.rsplit('-').next()?;
    // Conmon watches a container from outside it.
    let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) && !segment.contains("conmon");
    is_id.then(|| id.to_owned())
}

/// Whether a process is in a systemd unit (`nginx` means `nginx.service`).
pub(crate) fn is_in_unit(text: &str, unit: &str) -> bool {
    const SUFFIXES: [&str; 4] = [".service", ".scope", ".slice", ".socket"];
    let whole =
        if SUFFIXES.iter().any(|suffix| unit.ends_with(suffix)) { unit.to_owned() } else { format!("{unit}.service") };
    memberships(text)
        .filter(|membership| membership.controllers.is_empty() || membership.controllers == "name=systemd")
        .any(|membership| membership.path.split('/').any(|segment| segment == whole))
}

/// Every live process whose cgroup text the question answers with something.
pub(crate) fn members_where<T>(
    root: &Path,
    mut question: impl FnMut(&str) -> Option<T>,
) -> Result<Vec<(T, Stat)>, TargetError> {
    let all = every_process(root).map_err(|source| TargetError::Read { path: root.to_owned(), source })?;
    let mut members: Vec<(T, Stat)> = all
        .into_iter()
        .filter(|stat| !stat.is_over())
        .filter_map(|stat| {
            let text = std::fs::read_to_string(root.join(format!("{}/cgroup", stat.pid))).ok()?;
            Some((question(&text)?, stat))
        })
        .collect();
    members.sort_by_key(|(_, stat)| stat.pid);
    Ok(members)
}

/// A controller's folder for one process, from the innermost group outwards to where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub version: Version,
    /// Innermost first.
    pub folders: Vec<PathBuf>,
}

/// Which interface a hierarchy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// Where the groups of a process are that have a controller. Several when both versions are mounted.
pub(crate) fn places(cgroup_text: &str, mountinfo: &str, controller: &str) -> Vec<Place> {
    mountinfo.lines().filter_map(|line| place(cgroup_text, line, controller)).collect()
}

fn place(cgroup_text: &str, mount_line: &str, controller: &str) -> Option<Place> {
    // 36 35 98:0 /root /mount/point options [tags] - type source super-options
    let (before, after) = mount_line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (mount_root, mount_point) = (unescape(fields.next()?), unescape(fields.next()?));
    let mut kind = after.split(' ');
    let version = match kind.next()? {
        "cgroup" if kind.nth(1)?.split(',').any(|word| word == controller) => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let mine = memberships(cgroup_text).find(|membership| match version {
        Version::V1 => membership.controllers.split(',').any(|word| word == controller),
        Version::V2 => membership.controllers.is_empty(),
    })?;
    // What is mounted may be a part of the hierarchy only; its root then stands for that part.
    let inner = mine.path.strip_prefix(mount_root.trim_end_matches('/')).unwrap_or("");
    let top = PathBuf::from(mount_point);
    let inner: Vec<&str> = inner.split('/').filter(|segment| !segment.is_empty() && *segment != "..").collect();
    let folders = (0..=inner.len()).rev().map(|depth| top.join(inner[..depth].join("/"))).collect();
    Some(Place { version, folders })
}

/// Mount points write spaces, tabs, line ends and backslashes in octal.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = (first == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The places of a live process.
pub(crate) fn places_of(pid: u32, controller: &str) -> Vec<Place> {
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    places(&read(format!("/proc/{pid}/cgroup")), &read("/proc/self/mountinfo".to_owned()), controller)
}

/// The number that a cgroup file holds; `max` and the largest page-rounded numbers mean that there is none.
pub(crate) fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|&limit| limit < i64::MAX as u64 - 0xf_ffff)
}

/// The tightest of a limit that stands in each folder of these places.
pub(crate) fn tightest(places: &[Place], file_of: impl Fn(Version) -> &'static str) -> Option<u64> {
    places
        .iter()
        .flat_map(|place| place.folders.iter().map(|folder| folder.join(file_of(place.version))))
        .filter_map(|path| parse_limit(&std::fs::read_to_string(path).ok()?))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4e9ad0c1b2a3948576605142332415a6b7c8d9e0f1021324354657687980ab";

    #[test]
    fn containers_are_known_by_their_paths() {
        let table = [
            "0::/system.slice/docker-ID.scope".to_owned(),
            "12:memory:/docker/ID\n1:name=systemd:/docker/ID".to_owned(),
            "0::/machine.slice/libpod-ID.scope/container".to_owned(),
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_34.slice/cri-containerd-ID.scope"
                .to_owned(),
            "4:pids:/kubepods/besteffort/pod0aa7b1c2-1111-2222-3333-444455556666/ID".to_owned(),
            "0::/kubepods.slice/crio-ID.scope".to_owned(),
            "0::/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:ID".to_owned(),
            "0::/../docker-ID.scope".to_owned(),
        ];
        for text in table {
            assert_eq!(containers(&text.replace("ID", ID)), [ID], "{text}");
        }
        assert_eq!(containers("0::/lxc.payload.web1/init.scope"), ["web1"]);
        for text in ["0::/user.slice/user-1000.slice/session-3.scope", "0::/", "", "nonsense", "0::/docker-abc.scope"] {
            assert_eq!(containers(text), [] as [&str; 0], "{text}");
        }
        assert_eq!(containers(&format!("0::/machine.slice/libpod-conmon-{ID}.scope")), [] as [&str; 0]);
    }

    #[test]
    fn units_are_known_by_their_paths() {
        let v2 = "0::/system.slice/nginx.service";
        let v1 = "5:memory:/other\n1:name=systemd:/system.slice/nginx.service\n";
        for text in [v1, v2] {
            assert!(is_in_unit(text, "nginx"));
            assert!(is_in_unit(text, "nginx.service"));
            assert!(is_in_unit(text, "system.slice"));
            assert!(!is_in_unit(text, "ngin"));
            assert!(!is_in_unit(text, "nginx.scope"));
        }
        assert!(is_in_unit("0::/system.slice/system-pg.slice/pg@15-main.service/x", "pg@15-main"));
        assert!(!is_in_unit("5:memory:/nginx.service", "nginx"));
    }

    #[test]
    fn places_follow_the_mounts_of_both_versions() {
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = places("0::/a.slice/b.service\n", v2, "memory");
        let expected = ["/sys/fs/cgroup/a.slice/b.service", "/sys/fs/cgroup/a.slice", "/sys/fs/cgroup/"];
        assert_eq!(found, [Place { version: Version::V2, folders: expected.map(PathBuf::from).to_vec() }]);

        let v1 = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n41 31 0:38 / /u rw - cgroup2 c rw\n";
        let found = places("4:memory:/x/y\n0::/\n", v1, "memory");
        assert_eq!(found[0].version, Version::V1);
        assert_eq!(found[0].folders[0], Path::new("/sys/fs/cgroup/memory/x/y"));
        assert_eq!(found[1], Place { version: Version::V2, folders: vec![PathBuf::from("/u")] });

        // Inside a container on version 1 the mount shows the container's own part.
        let inside = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let found = places("4:memory:/docker/abc/app\n", inside, "memory");
        assert_eq!(found[0].folders[0], Path::new("/sys/fs/cgroup/memory/app"));
        assert_eq!(places("4:cpu:/x\n", v1, "memory").len(), 0);
    }

    #[test]
    fn limits_that_are_none_are_none() {
        for (text, expected) in
            [("max\n", None), ("9223372036854771712\n", None), ("536870912\n", Some(536_870_912)), ("", None)]
        {
            assert_eq!(parse_limit(text), expected, "{text}");
        }
    }

    #[test]
    fn the_tightest_limit_up_the_tree_counts() {
        let root = tempfile::tempdir().expect("dir");
        let inner = root.path().join("a/b");
        std::fs::create_dir_all(&inner).expect("folders");
        std::fs::write(inner.join("memory.max"), "max\n").expect("limit");
        std::fs::write(root.path().join("a/memory.max"), "1000\n").expect("limit");
        std::fs::write(root.path().join("memory.max"), "2000\n").expect("limit");
        let mount = format!("1 1 0:1 / {} rw - cgroup2 c rw", root.path().display());
        let found = places("0::/a/b", &mount, "memory");
        assert_eq!(tightest(&found, |_| "memory.max"), Some(1000));
        assert_eq!(tightest(&found, |_| "pids.max"), None);
    }

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape(r"/a\040b\134c\0"), r"/a b\c\0");
    }
}
