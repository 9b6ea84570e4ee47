//! Connections of the load are no descriptors of the target's.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Running, binaries, part_of_machine, records, tidewatch, wait_for};

/// How many connections the load keeps.
const WORKERS: u64 = 7;

#[test]
fn connections_of_the_load_are_taken_off_the_descriptors_of_the_target() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "[target]\nlaunch = [{:?}, \"--fixed\"]\nready = {{ stdout = 'listening on port (?<port>\\d+)', within = \"30s\" }}\n\
         [[scenario]]\nname = \"calls\"\nshape = \"flood\"\nworkers = {WORKERS}\nwarmup = \"0s\"\nload = {{ for = \"60s\" }}\n\
         settle = \"100ms\"\ncycles = {{ min = 10, max = 10 }}\nsmallest = {{ memory = \"1GB\", count = \"1\" }}\n\
         step = {{ http = {{ method = \"GET\", url = \"/op\" }} }}\n",
        binaries().join("drip")
    );
    std::fs::write(folder.path().join("tidewatch.toml"), text).expect("the file is written");
    let out = folder.path().join("out");
    let mut run =
        Running::quiet(tidewatch().arg("check").arg(folder.path()).args(["--interval", "50ms", "--out"]).arg(&out));
    wait_for("the recording", Duration::from_secs(30), || out.join("recording.jsonl").exists().then_some(()));
    let number = |sample: &Value, name: &str| sample[name].as_u64().unwrap_or(0);
    // They count once the tree was looked at again, about a second into the load.
    let (before, loaded) = wait_for("samples under load", Duration::from_secs(60), || {
        let samples: Vec<Value> = records(&out).into_iter().filter(|record| record["kind"] == "sample").collect();
        let before = samples.iter().find(|sample| number(sample, "operations") == 0)?.clone();
        let loaded = samples.into_iter().find(|sample| number(sample, "own_connections") == WORKERS)?;
        Some((before, loaded))
    });
    run.signal(Signal::INT);
    run.wait("its end", Duration::from_secs(60));
    let held = |sample: &Value| number(sample, "fds") - number(sample, "own_connections");
    assert_eq!(held(&loaded), held(&before), "{before}\n{loaded}");
}
