//! Real servers under the scenarios of `fixtures/servers`: found clean as they are, and caught when a switch makes them
//! leak. The leaking twin proves that the scenario could have found something.

use std::collections::BTreeSet;

use super::checks::Check;
use crate::servers::list::{SERVERS, Server};

/// Every server in both forms.
pub fn checks() -> Vec<Check> {
    let forms = |server: &Server| {
        let Server { folder, subsystem, leak, .. } = *server;
        let check = |name: String, vars: Vec<String>, expected: BTreeSet<String>| Check {
            name,
            file: server.path(),
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
