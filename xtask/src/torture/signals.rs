//! Signals to tidewatch at any moment of its commands: nothing that it launched is left, and the recording is readable.

use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::context::{Context, Random, quiet};
use super::processes::{Running, all_gone};
use super::{Attack, Outcome};

const SOON: Duration = Duration::from_secs(30);
const MARK: &str = "TIDEWATCH_TORTURE";
const FAMILY: &str =
    "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' &); sleep 1000";

/// The process that is attached to, for all cases.
#[derive(Default)]
pub struct Signals {
    target: Option<Running>,
}

/// A scenario whose steps start programs, or speak HTTP to a port where nobody answers.
fn scenario(folder: &Path, random: &mut Random) -> Result<()> {
    let leaver = "{ command = [\"sh\", \"-c\", \"setsid sleep 1000 >/dev/null 2>&1 & sleep 1000\"], within = \"5s\" }";
    let (step, settle) = match random.below(3) {
        0 => (leaver.to_owned(), String::new()),
        1 => ("{ command = [\"true\"] }".to_owned(), format!("before_settle = {leaver}\n")),
        _ => {
            let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            (format!("{{ http = {{ url = \"http://127.0.0.1:{port}/\" }} }}"), String::new())
        }
    };
    let text = format!(
        "[target]\nlaunch = [\"sh\", \"-c\", {FAMILY:?}]\n[[scenario]]\nname = \"a\"\nshape = \"flood\"\nworkers = 1\n\
         warmup = \"100ms\"\nload = {{ for = \"100ms\" }}\nsettle = \"50ms\"\nmax_errors = \"100%\"\n\
         cycles = {{ min = 10, max = 1000 }}\nsmallest = {{ memory = \"1GiB\", count = 100 }}\nstep = {step}\n{settle}"
    );
    Ok(fs::write(folder.join("tidewatch.toml"), text)?)
}

impl Signals {
    fn command(&mut self, context: &Context, folder: &Path, random: &mut Random) -> Result<Command> {
        let mut command = context.tidewatch();
        let out = folder.join("run");
        match random.below(3) {
            0 => command.args(["run", "--out"]).arg(out).args(["--", "sh", "-c", FAMILY]),
            1 => {
                scenario(folder, random)?;
                command.arg("check").arg(folder.join("tidewatch.toml")).arg("--out").arg(out)
            }
            _ => {
                if self.target.is_none() {
                    self.target = Some(Running::start(quiet(Path::new("sleep")).arg("100000"))?);
                }
                let pid = self.target.as_ref().map_or(0, Running::pid).to_string();
                command.args(["attach", &pid, "--out"]).arg(out)
            }
        };
        command.env(MARK, folder).process_group(0);
        Ok(command)
    }
}

impl Attack for Signals {
    fn case(&mut self, _number: u64, context: &Context, random: &mut Random) -> Result<Outcome> {
        let folder = context.scratch()?;
        let mut watch = Running::start(&mut self.command(context, folder.path(), random)?)?;
        std::thread::sleep(random.time(Duration::from_millis(1500)));
        let signals = [Signal::HUP, Signal::INT, Signal::TERM, Signal::QUIT, Signal::KILL, Signal::TSTP];
        let mut signal = random.one(&signals);
        if signal == Signal::TSTP {
            watch.signal(signal)?;
            std::thread::sleep(random.time(Duration::from_millis(200)));
            watch.signal(Signal::CONT)?;
            std::thread::sleep(random.time(Duration::from_millis(200)));
            signal = Signal::INT;
        }
        ensure!(watch.ended()?.is_none(), "tidewatch ended before {signal:?}: {:?}", watch.ended()?);
        watch.signal(signal)?;
        let status = watch.wait(SOON)?;
        // Before it has set up its handlers a signal ends it at once.
        let is_right = status.signal() == Some(signal.as_raw()) || status.code() == Some(130);
        ensure!(is_right, "{signal:?} ended tidewatch with {status}");
        all_gone(&format!("{MARK}={}", folder.path().display()))?;
        if let Some(target) = &mut self.target {
            let ended = target.ended()?;
            ensure!(ended.is_none(), "the attached process ended ({ended:?})");
        }
        let run = folder.path().join("run");
        if fs::read_to_string(run.join("recording.jsonl")).is_ok_and(|text| text.contains('\n')) {
            let mut report = context.tidewatch();
            let status = report.arg("report").arg(&run).arg("--out").arg(folder.path().join("again")).status()?;
            ensure!(matches!(status.code(), Some(0 | 1 | 3 | 4 | 130)), "the recording is not readable ({status})");
        }
        Ok(Outcome::Held)
    }
}
