//! Real servers under the scenarios of `fixtures/servers`: found clean as they are, and caught when a switch makes them
//! leak. The leaking twin proves that the scenario could have found something.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::needs::{self, Set};
use crate::root;
use crate::runs::{Profile, scratch, side_by_side};
use crate::soak::checks::{named, undecided};

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

/// One check of a server, in one of its forms.
struct Check {
    name: String,
    folder: &'static str,
    var: Option<&'static str>,
    expected: BTreeSet<String>,
}

/// Checks every server in both forms, so many at once, the names of those checks
/// that were wrong.
pub fn run(jobs: usize, profile: Profile) -> Result<Vec<String>> {
    needs::meet(Set::Soak)?;
    let checks = SERVERS.iter().flat_map(|server| {
        let Server { folder, subsystem, leak } = *server;
        let clean = Check { name: folder.to_owned(), folder, var: None, expected: BTreeSet::new() };
        let expected = BTreeSet::from([subsystem.to_owned()]);
        [clean, Check { name: format!("{folder}, {leak}"), folder, var: Some(leak), expected }]
    });
    println!(
        "{:<28} {:>4} {:>8} {:>10}  {:<7} named as growing without end",
        "server", "exit", "seconds", "operations", ""
    );
    let outcomes = side_by_side(checks.collect(), jobs, |check| {
        let outcome = check.run(profile);
        if let Err(problem) = &outcome {
            println!("{:<28} {problem:#}", check.name);
        }
        (check.name, outcome.is_ok())
    });
    Ok(outcomes.into_iter().filter(|(_, right)| !right).map(|(name, _)| name).collect())
}

impl Check {
    fn run(&self, profile: Profile) -> Result<()> {
        let out = scratch(&self.name);
        let began = Instant::now();
        let mut command = Command::new(profile.program("tidewatch"));
        command.arg("check").arg(root().join("fixtures/servers").join(self.folder)).args(["--json", "--out"]).arg(&out);
        if let Some(var) = self.var {
            command.args(["--var", var]);
        }
        let output = command.output().context("could not start tidewatch")?;
        let exit = output.status.code();
        let Ok(summary) = serde_json::from_slice::<Value>(&output.stdout) else {
            bail!("no summary; {}", String::from_utf8_lossy(&output.stderr).trim());
        };
        let named = named(&summary);
        let right = named == self.expected && exit == Some(i32::from(!self.expected.is_empty()));
        println!(
            "{:<28} {:>4} {:>8.0} {:>10}  {:<7} {}",
            self.name,
            exit.map_or("-".into(), |code| code.to_string()),
            began.elapsed().as_secs_f64(),
            operations(&summary),
            if right { "right" } else { "WRONG" },
            named.iter().cloned().collect::<Vec<_>>().join(", ")
        );
        if !right {
            bail!("report: {}\n    {}", out.join("report.md").display(), undecided(&summary).join("\n    "));
        }
        Ok(())
    }
}

fn operations(summary: &Value) -> u64 {
    let scenarios = summary["scenarios"].as_array().cloned().unwrap_or_default();
    scenarios.iter().filter_map(|scenario| scenario["operations"].as_u64()).sum()
}
