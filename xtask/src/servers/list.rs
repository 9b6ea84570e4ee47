//! The real servers of `fixtures/servers`, and how large their caches are at each pace.

use crate::root;

/// A server that is clean as it is, and leaks with one variable.
pub struct Server {
    /// Its folder below `fixtures/servers`.
    pub folder: &'static str,
    /// The part that its scenarios drive.
    pub subsystem: &'static str,
    /// The variable that makes it leak.
    pub leak: &'static str,
    /// The most operations per second that it is driven at.
    pub most_per_second: u32,
    /// Variables from a pace on, the highest pace first. A cache must be full within 15 seconds, in which there are 11
    /// times as many operations as the pace has per second: one that fills for the whole run does grow.
    pub sizes: &'static [(u32, &'static [&'static str])],
}

pub const SERVERS: [Server; 8] = [
    Server {
        folder: "redis",
        subsystem: "Keyspace",
        leak: "maxmemory=0",
        most_per_second: 2000,
        // An empty redis counts 914 kB as used.
        sizes: &[(1000, &["maxmemory=8mb"]), (100, &["maxmemory=2800kb"]), (1, &["maxmemory=1100kb"])],
    },
    Server {
        folder: "nginx",
        subsystem: "Client zone",
        leak: "zone=512m",
        most_per_second: 2000,
        sizes: &[(1000, &["zone=4m"]), (100, &["zone=768k"]), (1, &["zone=100k"])],
    },
    Server {
        folder: "postgresql",
        subsystem: "Backends",
        leak: "check_interval=0",
        // Each operation forks a process.
        most_per_second: 200,
        sizes: &[],
    },
    Server {
        folder: "memcached",
        subsystem: "Items",
        leak: "megabytes=1024",
        most_per_second: 2000,
        // It refuses to start with less than 2 MB, and takes memory by the megabyte: what it takes after the warm-up is a
        // step that may come again.
        sizes: &[(1000, &["megabytes=8"]), (100, &["megabytes=2", "value=4000"]), (1, &["megabytes=2", "value=30000"])],
    },
    Server { folder: "jvm", subsystem: "Pages", leak: "leak=--leak", most_per_second: 2000, sizes: &[] },
    Server { folder: "node", subsystem: "Pages", leak: "leak=--leak", most_per_second: 2000, sizes: &[] },
    Server {
        folder: "python-lru",
        subsystem: "Page cache",
        leak: "entries=none",
        most_per_second: 2000,
        sizes: &[(100, &["entries=1000"]), (1, &["entries=100"])],
    },
    Server {
        folder: "arenas",
        subsystem: "Blocks",
        leak: "leak=--leak",
        // 16 connections at once, each of which takes 12 ms at least.
        most_per_second: 1000,
        // Where few are at work at once, the other arenas fill late: the fewer blocks, the less they come to.
        sizes: &[(1000, &["blocks=8192"]), (1, &["blocks=512"])],
    },
];

impl Server {
    /// Where it lies.
    pub fn path(&self) -> std::path::PathBuf {
        root().join("fixtures/servers").join(self.folder)
    }

    /// What it is driven at where a pace is asked for.
    pub fn pace(&self, asked: u32) -> u32 {
        asked.min(self.most_per_second)
    }

    /// The variables for a pace.
    pub fn vars(&self, pace: u32) -> &'static [&'static str] {
        self.sizes.iter().find(|(from, _)| pace >= *from).map_or(&[], |(_, vars)| vars)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_sets_a_variable_of_the_file() {
        for server in &SERVERS {
            let text = std::fs::read_to_string(server.path().join("tidewatch.toml")).expect("its scenario file");
            let all = server.sizes.iter().flat_map(|(_, vars)| vars.iter());
            for var in all.chain([&server.leak]) {
                let (name, _) = var.split_once('=').expect("NAME=VALUE");
                assert!(text.contains(&format!("\n{name} = \"")), "{}: {name}", server.folder);
            }
            assert!(server.sizes.is_sorted_by(|a, b| a.0 > b.0), "{}: the highest first", server.folder);
        }
    }

    #[test]
    fn sizes_follow_the_pace_and_the_pace_has_a_bound() {
        let redis = &SERVERS[0];
        for (pace, size) in [(2000, "8mb"), (1000, "8mb"), (999, "2800kb"), (200, "2800kb"), (20, "1100kb")] {
            assert_eq!(redis.vars(pace), [format!("maxmemory={size}")], "{pace}");
        }
        let postgresql = &SERVERS[2];
        assert_eq!([2000, 200, 20].map(|asked| postgresql.pace(asked)), [200, 200, 20]);
        assert!(postgresql.vars(200).is_empty());
    }
}
