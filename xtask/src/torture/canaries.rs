//! Values of the environment that a scenario file uses stand in nothing that tidewatch writes.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::context::{Context, Random};
use super::outputs::{said, tidewatch};
use super::{Attack, Outcome};

const LONGEST: Duration = Duration::from_secs(40);

pub struct Canaries;

impl Attack for Canaries {
    fn case(&mut self, _number: u64, context: &Context, random: &mut Random) -> Result<Outcome> {
        let folder = context.scratch()?;
        let canary = format!("k4n4ri3{:x}{:x}", random.below(1 << 30), random.below(1 << 30));
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let sleep = "launch = [\"sleep\", \"60\"]".to_owned();
        let step = |step: String| {
            (sleep.clone(), format!("shape = \"flood\"\nrate = \"50/s\"\nmax_errors = 0.01\nstep = {step}"))
        };
        let idle = "shape = \"idle\"".to_owned();
        let (target, work) = match random.below(5) {
            0 => ("launch = [\"no-such-{{ env.CANARY }}\"]".to_owned(), idle),
            1 => step(
                "{ command = [\"sh\", \"-c\", \"echo $0; echo $0 >&2; exit 9\", \"{{ env.CANARY }}\"] }".to_owned(),
            ),
            2 => step(format!(
                "{{ http = {{ url = \"http://u:{{{{ env.CANARY }}}}@127.0.0.1:{port}/{{{{ env.CANARY }}}}\" }} }}"
            )),
            3 => step("{ command = [\"/nowhere/{{ env.CANARY }}\"] }".to_owned()),
            _ => (
                format!(
                    "{sleep}\nready = {{ http = \"http://127.0.0.1:{port}/?q={{{{ env.CANARY }}}}\", within = \"300ms\" }}"
                ),
                idle,
            ),
        };
        let file = folder.path().join("tidewatch.toml");
        let text = format!(
            "[target]\n{target}\n[[scenario]]\nname = \"planted\"\n{work}\nwarmup = \"0s\"\nload = {{ for = \"200ms\" }}\n\
             settle = \"100ms\"\ncycles = {{ min = 10, max = 10 }}\n{}\n",
            if work.contains("idle") {
                "smallest = { memory = \"100MB/s\", count = \"100/s\" }"
            } else {
                "smallest = { memory = \"100MB\", count = 100 }"
            }
        );
        std::fs::write(&file, text)?;
        let run = folder.path().join("run");
        let mut check = tidewatch(context, &["check", "--out"]);
        let said = said(check.env("CANARY", &canary).arg(&run).arg(&file), folder.path(), LONGEST)?;
        said.is_harmless()?;
        ensure!(said.code != Some(2), "the scenario file was refused: {}", said.stderr);
        let mut outputs = vec![("stdout".to_owned(), said.stdout), ("stderr".to_owned(), said.stderr)];
        for entry in std::fs::read_dir(&run).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // What the target itself printed is not altered.
            if !name.ends_with(".log") {
                outputs.push((
                    name,
                    String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap_or_default()).into_owned(),
                ));
            }
        }
        let leak = outputs.iter().find(|(_, text)| text.contains(&canary));
        ensure!(leak.is_none(), "{} holds the value of the environment", leak.map_or("", |(name, _)| name));
        Ok(Outcome::Held)
    }
}
