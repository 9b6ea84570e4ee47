//! Judging: a curve of 560 cycles, and a day of samples from file to report.
//!
//! `cargo bench --bench judge`. The goal for 24 hours at 10 Hz (864,000 samples, the eight gated metrics in each) is 2 s and
//! 200 MB, at a cost that grows with the samples. Each recording is read by `tidewatch report`, a process of its own, whose
//! peak resident set is told by the kernel. `cargo bench --bench judge -- day` runs that part alone, `-- cycles` the other.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers: it prints and may panic")]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use tidewatch::growth::{Axis, Budget, Collector, Curve, Demand, Point, Question, judge};
use tidewatch::recording::{FILE_NAME, Header, Host, Mode, SizeBound, Writer};
use tidewatch::redact::Redactor;
use tidewatch::run_dir::RunDir;
use tidewatch::sample::{
    Border, LoadPlan, Mark, Memory, MemorySource, Metric, Moment, Phase, Plan, Record, Sample, ScenarioPlan, Shape,
    Smallest, Stop, Tally, TreeCounts, Usual,
};

const HERTZ: u64 = 10;
const HOURS: [u64; 3] = [6, 12, 24];
const TURNS: usize = 3;
const GOAL_S: f64 = 2.0;
const GOAL_MB: f64 = 200.0;
const PAGE: u64 = 4096;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| !words.iter().any(|word| ["day", "cycles"].contains(&word.as_str()) && word != part);
    if wanted("cycles") {
        cycles(&mut Criterion::default());
    }
    if wanted("day") {
        day();
    }
}

/// One curve of 560 cycles, ten samples each, the budget spent.
fn cycles(criterion: &mut Criterion) {
    for (name, per_operation) in [("flat", 0), ("leak of 100 B", 100)] {
        let curve = curve(560, per_operation);
        let question = Question {
            smallest: 100.0,
            demand: Demand::Named,
            time_driven: None,
            expect_cap: None,
            budget: Budget::Spent,
            collector: Collector::None,
        };
        let found = judge(&curve, &question);
        println!("560 cycles, {name}: {:?}", found.verdict);
        criterion.bench_function(&format!("judge 560 cycles, {name}"), |b| {
            b.iter(|| judge(black_box(&curve), black_box(&question)));
        });
    }
}

fn curve(cycles: u32, per_operation: u64) -> Curve {
    let point = |n: u32| {
        let operations = u64::from(n) * 150;
        let noise = u64::from(n.wrapping_mul(2_654_435_761) >> 27) * PAGE;
        Point {
            t: f64::from(n) * 0.1,
            x: operations as f64,
            value: ((20_000_000 + operations * per_operation + noise) / PAGE * PAGE) as f64,
            cycle: n / 10 + 1,
            phase: Some(if n % 10 < 7 { Phase::Load } else { Phase::Settle }),
        }
    };
    Curve {
        metric: Metric::Private,
        axis: Axis::Operations,
        points: (0..cycles * 10).map(point).collect(),
        restarts: None,
    }
}

/// Recordings of some hours, from file to verdict.
fn day() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("judge-bench");
    println!("hours   samples  file MB   wall s    cpu s  peak MB   cpu us a sample   (the fastest of {TURNS})");
    for hours in HOURS {
        // A folder left by a bench that was ended holds a recording that is in the way.
        let _ = fs::remove_dir_all(&folder);
        let samples = write(&folder, hours);
        let file_mb = fs::metadata(folder.join(FILE_NAME)).unwrap().len() as f64 / 1e6;
        let best = (0..TURNS).map(|_| report(&folder)).min_by(|a, b| a.cpu.cmp(&b.cpu)).unwrap();
        println!(
            "{hours:>5} {samples:>9} {file_mb:>8.0} {:>8.2} {:>8.2} {:>8.0} {:>17.2}",
            best.wall.as_secs_f64(),
            best.cpu.as_secs_f64(),
            best.peak_mb,
            best.cpu.as_secs_f64() * 1e6 / samples as f64
        );
    }
    println!("goal for 24 hours: {GOAL_S} s and {GOAL_MB} MB");
    fs::remove_dir_all(&folder).unwrap();
}

/// Writes a recording of so many hours that was never thinned.
fn write(folder: &Path, hours: u64) -> u64 {
    let samples = hours * 3600 * HERTZ;
    let run_dir = Arc::new(RunDir::open(folder).unwrap());
    let mut writer = Writer::create(&run_dir, &header(), SizeBound::Unbounded, Redactor::default()).unwrap();
    let path = writer.path().to_owned();
    let mark = |at: Moment, border: Border| Record::Mark(Mark { at, operations: 0, border });
    let begins = Border::ScenarioBegins { scenario: "watch".into(), memory_source: MemorySource::SmapsRollup };
    writer.write(&mark(Moment(0), begins)).unwrap();
    // The writer's own way is a system call for each line: too slow to make a day by.
    let mut file = BufWriter::new(File::options().append(true).open(&path).unwrap());
    for n in 1..=samples {
        serde_json::to_writer(&mut file, &Record::Sample(sample(n))).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.flush().unwrap();
    let end = Moment(samples * 1_000_000 / HERTZ);
    let ends = Border::ScenarioEnds { scenario: "watch".into(), stop: Stop::Spent, tally: Tally::default() };
    writer.write(&mark(end, ends)).unwrap();
    writer.finish(&tidewatch::recording::Footer { at: end, ..Default::default() }).unwrap();
    samples
}

/// A service that leaks 1 kB a second under noise, with every gated metric in each sample.
fn sample(n: u64) -> Sample {
    let noise = (n as u32).wrapping_mul(2_654_435_761) >> 27;
    let private = 20_000_000 + n * 100 + u64::from(noise) * PAGE;
    let rss = private + 8_000_000;
    let memory = Memory { rss, pss: rss - 1000, private, shared: 1 << 20, file: 7 << 20, swap: 0, lazily_freed: 0 };
    Sample {
        at: Moment(n * 1_000_000 / HERTZ),
        processes: 3,
        rss: Some(rss),
        anonymous: Some(private),
        fds: Some(20 + u64::from(noise % 6)),
        threads: Some(8),
        cpu_us: Some(n * 7),
        memory: Some(memory),
        tree: Some(TreeCounts { children: 2 + u64::from(noise % 2), zombies: 0, orphans: 0 }),
        high_water: Some(rss),
        ..Sample::default()
    }
}

fn header() -> Header {
    let scenario = ScenarioPlan {
        name: "watch".into(),
        shape: Shape::Watch,
        subsystem: None,
        steps: Vec::new(),
        load: LoadPlan::default(),
        smallest: Smallest::PER_SECOND,
        usual: Usual::default(),
        expect_cap: None,
        thresholds: Vec::new(),
        production: Vec::new(),
    };
    Header {
        tidewatch: "0.1.0".into(),
        started: "2026-02-03T04:05:06Z".into(),
        mode: Mode::Attach,
        launched: false,
        interval_us: 1_000_000 / HERTZ,
        host: Host::default(),
        plan: Plan { name: "service".into(), scenarios: vec![scenario], ..Plan::default() },
    }
}

/// What one report took.
struct Cost {
    wall: Duration,
    cpu: Duration,
    peak_mb: f64,
}

/// `tidewatch report RUN --json`, its time and its peak resident set.
#[expect(clippy::zombie_processes, reason = "wait4 collects it, and tells what it used")]
fn report(folder: &Path) -> Cost {
    let began = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_tidewatch"))
        .arg("report")
        .arg(folder)
        .args(["--json", "--out"])
        .arg(folder.join("reports"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both places are ours and large enough, and the child is ours and not waited for elsewhere.
    let ended = unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, usage.as_mut_ptr()) };
    let wall = began.elapsed();
    assert_eq!(ended, child.id() as libc::pid_t, "the report could not be waited for");
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1, "a leak exits with 1; status {status}");
    // SAFETY: a rusage of zeros is one, and the kernel filled it in.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    // Linux tells the peak in units of 1,024 bytes.
    Cost { wall, cpu: time(usage.ru_utime) + time(usage.ru_stime), peak_mb: usage.ru_maxrss as f64 * 1024.0 / 1e6 }
}
