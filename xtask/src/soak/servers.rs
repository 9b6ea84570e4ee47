//! Real servers under the scenarios of `fixtures/servers`: found clean as they are, and caught when a switch makes them
//! leak. The leaking twin proves that the scenario could have found something.

use std::collections::BTreeSet;

use super::checks::Check;
use crate::root;

/// A server's folder, the part that its scenarios drive, and the variable that makes it leak.
struct Server {
    folder: &'static str,
    subsystem: &'static str,
    leak: &'static str,
}

const SERVERS: [Server; 8] = [
    Server { folder: "redis", subsystem: "Keyspace", leak: "maxmemory=0" },
    Server { folder: "nginx", subsystem: "Client zone", leak: "zone=512m" },
    Server { folder: "postgresql", subsystem: "Backends", leak: "check_interval=0" },
    Server { folder: "memcached", subsystem: "Items", leak: "megabytes=1024" },
    Server { folder: "jvm", subsystem: "Pages", leak: "leak=--leak" },
    Server { folder: "node", subsystem: "Pages", leak: "leak=--leak" },
    Server { folder: "python-lru", subsystem: "Page cache", leak: "entries=none" },
    Server { folder: "arenas", subsystem: "Blocks", leak: "leak=--leak" },
];

/// Every server in both forms.
pub fn checks() -> Vec<Check> {
    let forms = |server: &Server| {
        let Server { folder, subsystem, leak } = *server;
        let check = |name: String, vars: Vec<String>, expected: BTreeSet<String>| Check {
            name,
            file: root().join("fixtures/servers").join(folder),
            vars,
            expected,
        };
        [
            check(folder.to_owned(), Vec::new(), BTreeSet::new()),
            check(
                format!("{folder}, {leak}"),
                vec!["--var".to_owned(), leak.to_owned()],
                BTreeSet::from([subsystem.to_owned()]),
            ),
        ]
    };
    SERVERS.iter().flat_map(forms).collect()
}
