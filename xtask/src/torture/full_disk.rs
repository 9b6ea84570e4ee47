//! Disks that are full, at any size: an error with its reason, and nothing that was launched is left.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::context::{Context, Random, quiet};
use super::outputs::{said, tidewatch};
use super::processes::all_gone;
use super::{Attack, Outcome};

const LONGEST: Duration = Duration::from_secs(40);
const MARK: &str = "TIDEWATCH_TORTURE";

pub struct FullDisk;

/// A small file system, unmounted when it is dropped.
struct Disk<'a>(&'a Path);

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Nobody is left who could do something about a failure.
        let _ = quiet(Path::new("umount")).arg(self.0).status();
    }
}

impl Attack for FullDisk {
    fn case(&mut self, _number: u64, context: &Context, random: &mut Random) -> Result<Outcome> {
        let folder = context.scratch()?;
        let run = ["run", "--interval", "10ms", "--for", "25s", "--out"];
        match random.below(3) {
            0 => {
                let curve = folder.path().join("flat.csv");
                std::fs::write(&curve, (1..=100).map(|n| format!("{n},1000000\n")).collect::<String>())?;
                let mut command = tidewatch(context, random.one(&[&["judge"][..], &["judge", "--json"]]));
                let status = command.arg(&curve).stdout(File::options().write(true).open("/dev/full")?).status()?;
                ensure!(status.code() == Some(3), "/dev/full as stdout: {status}");
            }
            1 => {
                let blocks = (4 + random.below(28)).to_string();
                let mut command = Command::new("bash");
                command.args(["-c", "ulimit -f $0; exec \"$@\"", &blocks]).arg(context.path("tidewatch")).args(run);
                command.arg(folder.path().join("run")).args(["--", "sleep", "60"]).stdin(std::process::Stdio::null());
                refused(&mut command, folder.path(), "File too large")?;
            }
            _ => {
                let disk = folder.path().join("disk");
                std::fs::create_dir(&disk)?;
                let size = format!("size={}k", 12 + 4 * random.below(12));
                let mounted = quiet(Path::new("mount")).args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&disk).status();
                if !mounted?.success() {
                    return Ok(Outcome::Refused("only root may mount a small file system".to_owned()));
                }
                let disk = Disk(&disk);
                let mut command = tidewatch(context, &run);
                command.arg(disk.0.join("run")).args(["--", "sleep", "60"]);
                refused(&mut command, folder.path(), "No space left")?;
            }
        }
        Ok(Outcome::Held)
    }
}

fn refused(command: &mut Command, folder: &Path, reason: &str) -> Result<()> {
    let said = said(command.env(MARK, folder), folder, LONGEST)?;
    said.is_harmless()?;
    let is_right = said.code == Some(3) && said.stderr.contains(reason);
    ensure!(is_right, "exit {:?} instead of 3 and `{reason}`: {}", said.code, said.stderr);
    all_gone(&format!("{MARK}={}", folder.display()))
}
