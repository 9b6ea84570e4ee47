//! What the allocation sampler costs, measured: a table, and a failure past the goals.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::root;

/// Instructions of real programs, with the sampler against without.
const PROGRAMS: f64 = 1.02;
/// CPU time of loops that allocate and free, and do nothing else.
const LOOPS: f64 = 1.15;
/// How often the sampler is put into a running program, of each kind.
const ATTACHES: &str = "50";
/// How long one thread may be held for it: the median, in milliseconds.
const PAUSE_MEDIAN: f64 = 2.0;
/// The same for 99 of 100.
const PAUSE_P99: f64 = 20.0;
/// Pairs of runs of a loop; the median of their ratios counts.
const PAIRS: usize = 31;
/// Pairs of runs of a server, which take longer.
const SERVER_PAIRS: usize = 15;
/// The mean bytes between samples that is in force while watching.
const INTERVAL: &str = "524288";

const SQL: &str = "create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
insert into t select i, 'text ' || i || hex(i * 7919), i * 0.5 from n;
create index tb on t(b);
select count(*), sum(length(b)), avg(c) from t where b like '%7%';
select a, b from t order by c desc, b limit 5;
select substr(b, 1, 7) k, count(*), group_concat(a) from t group by k order by 2 desc limit 3;";

const PYTHON: &str = "
import collections, json, re
data = {i: [str(i), {'k': i, 'v': 'x' * (i % 50)}] for i in range(60000)}
text = json.dumps(data)
print(len(text), len(json.loads(text)), len(re.findall(r'\"k\": (\\d+)7', text)))
print(collections.Counter(str(len(part)) for part in text.split('\"')).most_common(3))
";

/// One line of the table.
struct Row {
    name: &'static str,
    what: &'static str,
    ratio: f64,
    spread: String,
    goal: f64,
}

/// The sampler, and a folder for its tables and for what is compiled.
struct Bench {
    library: PathBuf,
    folder: PathBuf,
}

/// Measures, prints the table, and fails past the goals.
pub fn run() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("tidewatch-overhead-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let result = sampler().and_then(|library| measure(&Bench { library, folder: folder.clone() }));
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    let (rows, pauses) = result?;
    println!("{:<28} {:<13} {:>7} {:>6}  from what", "program", "measured", "ratio", "goal");
    for row in &rows {
        println!("{:<28} {:<13} {:>7.4} {:>6.2}  {}", row.name, row.what, row.ratio, row.goal, row.spread);
    }
    println!(
        "\n{:<28} {:>10} {:>10} {:>10}  of {ATTACHES}, one thread held, in ms",
        "attach", "median", "p99", "worst"
    );
    for pause in &pauses {
        println!("{:<28} {:>10.3} {:>10.3} {:>10.3}", pause.name, pause.median, pause.p99, pause.worst);
    }
    println!("{:<28} {PAUSE_MEDIAN:>10.3} {PAUSE_P99:>10.3}", "goal");
    let past = rows.iter().filter(|row| row.ratio > row.goal).map(|row| row.name);
    let too_long = pauses.iter().filter(|pause| pause.median > PAUSE_MEDIAN || pause.p99 > PAUSE_P99);
    let past: Vec<&str> = past.chain(too_long.map(|pause| pause.name)).collect();
    ensure!(past.is_empty(), "past the goal: {}", past.join(", "));
    Ok(())
}

/// How long a thread was held, in milliseconds.
struct Pause {
    name: &'static str,
    median: f64,
    p99: f64,
    worst: f64,
}

/// Attaches to programs that allocate on many threads, and on one that does nothing else.
fn attach(bench: &Bench) -> Result<Vec<Pause>> {
    let program = bench.compile("running.c")?;
    let mut pauses = Vec::new();
    for (name, mode) in [("threads that come and go", "churn"), ("a thread always in malloc", "busy")] {
        let mut target = Command::new(&program).arg(mode).stdout(Stdio::null()).spawn()?;
        let held = held(target.id());
        target.kill()?;
        target.wait()?;
        let mut held = held?;
        held.sort_by(f64::total_cmp);
        let at = |part: f64| held.get((held.len() as f64 * part) as usize).or(held.last()).copied().unwrap_or(f64::NAN);
        pauses.push(Pause { name, median: at(0.5), p99: at(0.99), worst: at(1.0) });
    }
    Ok(pauses)
}

/// How long a thread of a process is held at each attach.
fn held(pid: u32) -> Result<Vec<f64>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut attach = Command::new(cargo);
    attach.args([
        "run",
        "--quiet",
        "--package",
        "tidewatch",
        "--example",
        "attach_pauses",
        "--",
        &pid.to_string(),
        ATTACHES,
    ]);
    let printed = output(attach.current_dir(root()))?;
    let first = |line: &str| Ok(line.split(' ').next().unwrap_or_default().parse::<f64>()? / 1e6);
    printed.lines().map(first).collect()
}

fn measure(bench: &Bench) -> Result<(Vec<Row>, Vec<Pause>)> {
    let pauses = attach(bench)?;
    let mut rows = bench.programs()?;
    let program = bench.compile("loop.c")?;
    for (name, mode, rounds) in [
        ("malloc loop, 64 B", "small", "10000000"),
        ("malloc loop, mixed sizes", "mixed", "10000000"),
        ("malloc loop, 16 KiB, churn", "churn", "40000000"),
    ] {
        rows.push(bench.pairs(name, Command::new(&program).args([mode, rounds]))?);
    }
    rows.push(bench.redis()?);
    rows.extend(bench.heaptrack(&program)?);
    Ok((rows, pauses))
}

/// Builds the program, and finds the sampler that it carries.
fn sampler() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--package", "tidewatch", "--lib", "--message-format", "json"]).current_dir(root());
    let output = build.stderr(Stdio::inherit()).output().context("could not start cargo")?;
    ensure!(output.status.success(), "cargo build failed");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut folders = messages.filter_map(|message| {
        let is_ours = message["reason"] == "build-script-executed"
            && message["package_id"].as_str().is_some_and(|id| id.contains("tidewatch@") || id.ends_with("#0.1.0"));
        is_ours.then(|| message["out_dir"].as_str().map(PathBuf::from)).flatten()
    });
    let library = folders.find_map(|folder| Some(folder.join("libtidewatch_heap.so")).filter(|path| path.exists()));
    let library = library.context("cargo told of no build script of tidewatch")?;
    ensure!(fs::metadata(&library)?.len() > 0, "the sampler does not work on this system");
    Ok(library)
}

impl Bench {
    fn compile(&self, source: &str) -> Result<PathBuf> {
        let program = self.folder.join(Path::new(source).file_stem().unwrap_or_default());
        let source = root().join("fixtures/heap").join(source);
        output(
            Command::new("cc").args(["-O2", "-pthread", "-fno-builtin-malloc"]).arg(source).arg("-o").arg(&program),
        )?;
        Ok(program)
    }

    fn programs(&self) -> Result<Vec<Row>> {
        let mut sqlite = counted("sqlite3");
        sqlite.args([":memory:", SQL]);
        // Not a shim that starts the interpreter from a shell.
        let interpreter = output(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]))?;
        let mut python = counted(interpreter.trim());
        python.args(["-c", PYTHON]).env("PYTHONMALLOC", "malloc").env("PYTHONHASHSEED", "0");
        let compiler = output(Command::new("gcc").arg("-print-prog-name=cc1"))?;
        let source = self.folder.join("large.i");
        fs::write(&source, large_source())?;
        let mut cc1 = counted(compiler.trim());
        cc1.args(["-quiet", "-O2", "-o", "/dev/null"]).arg(source);
        [("sqlite3", sqlite), ("python3, PYTHONMALLOC=malloc", python), ("cc1 -O2", cc1)]
            .into_iter()
            .map(|(name, mut command)| {
                let plain = instructions(&mut command)?;
                let sampled = instructions(self.sampled(&mut command))?;
                let spread = format!("{plain:.0} -> {sampled:.0}");
                Ok(Row { name, what: "instructions", ratio: sampled / plain, spread, goal: PROGRAMS })
            })
            .collect()
    }

    /// A server under load: its processor time for the same requests, with and without, one after the other.
    fn redis(&self) -> Result<Row> {
        let mut ratios = Vec::new();
        for _ in 0..SERVER_PAIRS {
            let plain = self.served(&mut Command::new("redis-server"))?;
            let sampled = self.served(self.sampled(&mut Command::new("redis-server")))?;
            ratios.push(sampled / plain);
        }
        ratios.sort_by(f64::total_cmp);
        let at = |part: usize| ratios.get(ratios.len() * part / 10).copied().unwrap_or(f64::NAN);
        let spread = format!("{SERVER_PAIRS} pairs, {:.3} to {:.3} in the middle four fifths", at(1), at(9));
        Ok(Row { name: "redis-server, set and get", what: "CPU time", ratio: at(5), spread, goal: PROGRAMS })
    }

    /// What a server takes for its requests, in nanoseconds.
    fn served(&self, server: &mut Command) -> Result<f64> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let mut server = server
            .args(["--port", &port, "--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.folder)
            .stdout(Stdio::null())
            .spawn()
            .context("could not start redis-server; as root: apt-get install redis-server")?;
        let begun = std::time::Instant::now();
        while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            ensure!(begun.elapsed().as_secs() < 20, "redis-server does not listen");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let load = ["-t", "set,get", "-n", "200000", "-r", "50000", "-d", "256", "-c", "8", "-q", "-p", &port];
        let done = output(Command::new("redis-benchmark").args(load));
        let taken = nanoseconds_of(server.id());
        server.kill()?;
        server.wait()?;
        done?;
        taken
    }

    /// The same loop under heaptrack, where it is installed: for comparison, without a goal.
    fn heaptrack(&self, program: &Path) -> Result<Option<Row>> {
        if Command::new("heaptrack").arg("--version").stdout(Stdio::null()).status().is_err() {
            return Ok(None);
        }
        let rounds = ["mixed", "1000000"];
        let plain = nanoseconds(Command::new(program).args(rounds))?;
        let data = self.folder.join("heaptrack");
        let traced = nanoseconds(Command::new("heaptrack").arg("-o").arg(data).arg(program).args(rounds))?;
        let spread = "one pair, for comparison".to_owned();
        let name = "the mixed loop in heaptrack";
        Ok(Some(Row { name, what: "CPU time", ratio: traced / plain, spread, goal: f64::INFINITY }))
    }

    fn sampled<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("LD_PRELOAD", &self.library).env("TIDEWATCH_HEAP", format!("{}:{INTERVAL}", self.folder.display()))
    }

    /// Runs a loop with and without, one after the other, and takes the median of the ratios.
    fn pairs(&self, name: &'static str, command: &mut Command) -> Result<Row> {
        let mut ratios = Vec::new();
        for _ in 0..PAIRS {
            let plain = nanoseconds(command.env_remove("LD_PRELOAD"))?;
            let sampled = nanoseconds(self.sampled(command))?;
            ratios.push(sampled / plain);
        }
        ratios.sort_by(f64::total_cmp);
        let at = |part: usize| ratios.get(ratios.len() * part / 10).copied().unwrap_or(f64::NAN);
        let spread = format!("{PAIRS} pairs, {:.3} to {:.3} in the middle four fifths", at(1), at(9));
        Ok(Row { name, what: "CPU time", ratio: at(5), spread, goal: LOOPS })
    }
}

/// What all threads of a process have run for, as the scheduler tells (`/proc/PID/task/TID/schedstat`).
fn nanoseconds_of(pid: u32) -> Result<f64> {
    let mut sum = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let told = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += told.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(sum)
}

/// The number that a loop has printed, among what a tool around it may have printed too.
fn nanoseconds(command: &mut Command) -> Result<f64> {
    let printed = output(command)?;
    printed.lines().find_map(|line| line.trim().parse().ok()).with_context(|| format!("{command:?} printed no number"))
}

/// A program whose instructions valgrind counts.
fn counted(program: &str) -> Command {
    let mut command = Command::new("valgrind");
    command.args([
        "--tool=cachegrind",
        "--cache-sim=no",
        "--branch-sim=no",
        "--cachegrind-out-file=/dev/null",
        program,
    ]);
    command.stdin(Stdio::null());
    command
}

fn instructions(command: &mut Command) -> Result<f64> {
    let output = command.output().context("could not start valgrind; as root: apt-get install valgrind")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {told}");
    let line = told.lines().find(|line| line.contains("refs:")).context("valgrind counted nothing")?;
    let digits: String = line.rsplit(':').next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("could not start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Some hundred functions for a compiler.
fn large_source() -> String {
    let function = |n: usize| {
        format!(
            "static int f{n}(int a, double *b, char *s) {{ int r = 0; for (int i = 0; i < a; i++) {{ \
             b[i] = __builtin_sin(b[i]) * {n} + i; if (s[i % 8] == {n} % 100) r += i * {n}; \
             switch (i % 7) {{ case 0: r ^= {n}; break; case 1: r += a; break; case 2: s[i % 8] = r; break; \
             default: r -= __builtin_strlen(s); }} }} __builtin_printf(\"%d %s\\n\", r, s); return r; }}\n"
        )
    };
    let functions: String = (0..100).map(function).collect();
    let calls: String = (0..100).map(|n| format!("r += f{n}(c, b, v[0]);\n")).collect();
    format!("{functions}int main(int c, char **v) {{ double b[100]; int r = 0; {calls} return r; }}\n")
}
