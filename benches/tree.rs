//! What watching a tree of many idle processes costs: CPU time of tidewatch, the longest gap between two samples, and samples a second.
//!
//! `cargo bench --bench tree [-- SECONDS]`. Another build to compare with: `TIDEWATCH_OTHER=path/to/tidewatch`; both watch the
//! same tree in turn.

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};

    const SIZES: [u32; 4] = [1, 50, 400, 1500];
    const SECONDS: u32 = 20;

    /// A shell with so many idle descendants. It ends them when its input ends.
    struct Tree(Child);

    impl Tree {
        fn start(processes: u32) -> std::io::Result<Self> {
            let script = format!(
                "for i in $(seq {}); do sleep 1000 & all=\"$all $!\"; done; echo ready; read end; test -z \"$all\" || kill $all",
                processes - 1
            );
            let mut shell = Command::new("sh");
            let mut child = shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            if let Some(output) = child.stdout.take() {
                BufReader::new(output).read_line(&mut String::new())?;
            }
            Ok(Self(child))
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            if let Some(mut input) = self.0.stdin.take() {
                let _ = input.write_all(b"end\n");
            }
            let _ = self.0.wait();
        }
    }

    /// CPU share, longest gap in seconds, samples a second.
    fn watch(
        program: &Path,
        pid: u32,
        seconds: u32,
        out: &Path,
    ) -> Result<(f64, f64, f64), Box<dyn std::error::Error>> {
        let mut command = Command::new(program);
        command.args(["attach", &pid.to_string(), "--for", &format!("{seconds}s"), "--json", "--out"]).arg(out);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let recording = std::fs::read_to_string(out.join("recording.jsonl"))?;
        let records = recording.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let samples = records.filter(|record| record["kind"] == "sample");
        let times: Vec<f64> = samples.filter_map(|sample| sample["at"].as_f64()).map(|at| at / 1e6).collect();
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        let share = summary["overhead"]["cpu_share"].as_f64().unwrap_or(f64::NAN);
        Ok((share, gap, times.len() as f64 / f64::from(seconds)))
    }

    #[expect(clippy::print_stdout, reason = "a benchmark prints its table")]
    pub fn main() -> Result<(), Box<dyn std::error::Error>> {
        let seconds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(SECONDS);
        let this = PathBuf::from(env!("CARGO_BIN_EXE_tidewatch"));
        let other = std::env::var_os("TIDEWATCH_OTHER").map(PathBuf::from);
        let programs: Vec<(&str, PathBuf)> =
            other.map(|other| ("other", other)).into_iter().chain([("this", this)]).collect();
        println!("{:>9}  {:5}  {:>7}  {:>11}  {:>9}", "processes", "build", "CPU", "longest gap", "samples/s");
        for processes in SIZES {
            let tree = Tree::start(processes)?;
            for (name, program) in &programs {
                let folder = tempfile::tempdir()?;
                let (share, gap, rate) = watch(program, tree.0.id(), seconds, &folder.path().join("run"))?;
                println!("{processes:>9}  {name:5}  {:>5.2} %  {gap:>9.2} s  {rate:>9.1}", share * 100.0);
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
