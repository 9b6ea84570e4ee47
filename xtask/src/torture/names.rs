//! Text that others wrote: names of processes, gauges, HTTP answers, recordings, scenario files and curves.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::context::{Context, Random, quiet};
use super::outputs::{said, tidewatch};
use super::processes::Running;
use super::{Attack, Outcome};
use crate::root;

const LONGEST: Duration = Duration::from_secs(40);
const HOSTILE: &str =
    "\u{1b}[31mX\u{1b}]0;t\u{7}\r\u{9b}2J\u{7f}\u{202e}<script>alert(1)</script>|`[x](http://e)`\n# h";
const FUZZED: [&str; 7] = ["recording", "scenario", "template", "judge", "metrics", "image", "maps"];

pub struct Names;

impl Attack for Names {
    fn case(&mut self, _number: u64, context: &Context, random: &mut Random) -> Result<Outcome> {
        let folder = context.scratch()?;
        match random.below(6) {
            0 => process(context, folder.path())?,
            1 | 2 => gauges(context, folder.path(), random)?,
            3 => words(context, folder.path(), random)?,
            4 => files(context, folder.path(), random)?,
            _ => {
                let seed = random.below(1 << 30).to_string();
                let mut fuzz = quiet(&root().join("target/debug/examples/fuzz"));
                fuzz.args(["--seconds", "1", "--seed", &seed, "--target", random.one(&FUZZED)]);
                let said = said(&mut fuzz, folder.path(), LONGEST)?;
                ensure!(said.code == Some(0), "{}", said.stdout);
            }
        }
        Ok(Outcome::Held)
    }
}

fn process(context: &Context, folder: &Path) -> Result<()> {
    let target = Running::start(quiet(Path::new("sleep")).arg0(HOSTILE).arg("1000"))?;
    let mut command = tidewatch(context, &["attach", &target.pid().to_string(), "--for", "300ms", "--out"]);
    said(command.arg(folder.join("run")), folder, LONGEST)?.is_harmless()?;
    said(tidewatch(context, &["report"]).arg(folder.join("run")), folder, LONGEST)?.is_harmless()
}

/// Gauges of a server that answers something else than it should, and steps that meet it.
fn gauges(context: &Context, folder: &Path, random: &mut Random) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    let kind = random.below(6);
    // It ends with the chore: what it waits for is a connection of this case alone.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, kind));
        }
    });
    if random.below(2) == 0 {
        let target = Running::start(quiet(Path::new("sleep")).arg("1000"))?;
        let name = random.one(&["x", HOSTILE, ""]);
        let mut command =
            tidewatch(context, &["attach", &target.pid().to_string(), "--for", "500ms", "--gauges", &url]);
        return said(command.args(["--gauge", name, "--out"]).arg(folder.join("run")), folder, LONGEST)?.is_harmless();
    }
    let file = folder.join("tidewatch.toml");
    let text = format!(
        "[target]\nlaunch = [\"sleep\", \"1000\"]\n[[scenario]]\nname = \"a\"\nshape = \"flood\"\nworkers = 1\n\
         warmup = \"100ms\"\nload = {{ for = \"100ms\" }}\nsettle = \"50ms\"\nmax_errors = \"100%\"\n\
         cycles = {{ min = 10, max = 20 }}\nsmallest = {{ memory = \"1GiB\", count = 100 }}\n\
         step = {{ http = {{ url = \"{url}\" }} }}\n"
    );
    std::fs::write(&file, text)?;
    let mut command = tidewatch(context, &["check", "--max-time", "2s", "--out"]);
    said(command.arg(folder.join("run")).arg(&file), folder, LONGEST)?.is_harmless()
}

fn answer(mut stream: TcpStream, kind: usize) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    let _ = stream.set_write_timeout(Some(Duration::from_secs(20)));
    let _ = stream.read(&mut [0; 4096]);
    let ok = "HTTP/1.1 200 OK\r\n";
    // The other side goes away when it has had enough.
    let _ = match kind {
        0 => stream.write_all(format!("{ok}x: {}\r\n\r\n", "a".repeat(4 << 20)).as_bytes()),
        1 => {
            let _ = stream.write_all(format!("{ok}content-length: 99999999999999\r\n\r\n").as_bytes());
            (0..2000).try_for_each(|_| stream.write_all(&[b'x'; 65_536]))
        }
        2 => stream
            .write_all(format!("{ok}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n-1\r\n").as_bytes()),
        3 => format!("{ok}content-length: 4\r\n\r\nx 1\n").bytes().try_for_each(|byte| {
            std::thread::sleep(Duration::from_millis(30));
            stream.write_all(&[byte])
        }),
        4 => stream.write_all(format!("{ok}content-length: -1\r\ncontent-length: 5\r\n\r\n\u{1b}]0;x").as_bytes()),
        _ => stream.write_all(HOSTILE.as_bytes()),
    };
}

fn words(context: &Context, folder: &Path, random: &mut Random) -> Result<()> {
    let command = random.one(&["attach", "report", "check", "judge", "init", "run"]);
    let word = random.one(&[HOSTILE, "--\u{1b}[31m", "\u{1b}", "--threshold=\u{9b}2J", "--out=\u{7}"]);
    said(tidewatch(context, &[command, word]).current_dir(folder), folder, LONGEST)?.is_harmless()
}

/// A scenario file or a curve, a recording too, with damage.
fn files(context: &Context, folder: &Path, random: &mut Random) -> Result<()> {
    let recording = context.path("whole");
    if !recording.exists() {
        let mut run = tidewatch(context, &["run", "--for", "500ms", "--out"]);
        said(run.arg(&recording).args(["--", "sleep", "60"]), folder, LONGEST)?.is_harmless()?;
    }
    let curve: String = (0..60).map(|n| format!("{n},{}\n", n * 4096)).collect();
    let (command, name, whole) = match random.below(3) {
        0 => (&["report"][..], "recording.jsonl", std::fs::read(recording.join("recording.jsonl"))?),
        1 => {
            (&["check", "--dry-run"][..], "tidewatch.toml", std::fs::read(root().join("fixtures/drip/tidewatch.toml"))?)
        }
        _ => (&["judge"][..], "curve.csv", curve.into_bytes()),
    };
    let mut damaged = whole;
    for _ in 0..1 + random.below(8) {
        let at = random.below(damaged.len());
        let piece: &[u8] = random.one(&[HOSTILE.as_bytes(), b"1e308", b"-1", b"\0", b"\xff\xfe", b"\"", b"{", b"\n"]);
        let end = (at + random.below(12)).min(damaged.len());
        damaged.splice(at..end, piece.iter().copied());
    }
    let file = folder.join(name);
    std::fs::write(&file, damaged)?;
    said(tidewatch(context, command).arg(&file).current_dir(folder), folder, LONGEST)?.is_harmless()
}
