//! The cost of a fast sample beside the system calls that it cannot do without: `pread` of `statm` and `stat`
//! and the size of the descriptor folder, through files held open, with nothing done to what was read.
//!
//! The target is this binary, started again to hold what it is told. Goal: at most 1.5 times the bare calls.

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::fs::FileExt;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use criterion::Criterion;
    use tidewatch::probe::{Roots, Watcher};
    use tidewatch::sample::{Process, Sample};

    const FLAG: &str = "TIDEWATCH_BENCH_TARGET";

    /// What a target holds.
    struct Size {
        name: &'static str,
        fds: usize,
        memory: usize,
        threads: usize,
    }

    const SIZES: [Size; 2] = [
        Size { name: "15 fds, 20 MB", fds: 15, memory: 20 << 20, threads: 1 },
        Size { name: "1,000 fds, 2 GB, 100 threads", fds: 1000, memory: 2 << 30, threads: 100 },
    ];

    /// A target that ends with its owner.
    struct Target(Child);

    impl Target {
        fn start(size: &Size) -> Self {
            let mut child = Command::new(std::env::current_exe().expect("this binary"))
                .env(FLAG, format!("{} {} {}", size.fds, size.memory, size.threads))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("this binary starts again");
            let stdout = child.stdout.take().expect("a pipe");
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).expect("the target is ready");
            Self(child)
        }

        fn file(&self, name: &str) -> File {
            File::open(format!("/proc/{}/{name}", self.0.id())).expect("the target runs")
        }

        fn process(&self) -> Process {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("the target runs");
            let fields = stat.rsplit(')').next().expect("fields").split(' ');
            Process { pid: self.0.id(), start: fields.clone().nth(20).expect("a start").parse().expect("ticks") }
        }
    }

    impl Drop for Target {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// What the target does: hold, say so, and wait for the end of its owner.
    pub fn be_target() -> bool {
        let Ok(size) = std::env::var(FLAG) else { return false };
        let numbers: Vec<usize> = size.split(' ').map(|word| word.parse().expect("a number")).collect();
        let memory = vec![1u8; numbers[1]];
        let files: Vec<File> = (3..numbers[0]).map(|_| File::open("/dev/null").expect("a file")).collect();
        for _ in 1..numbers[2] {
            std::thread::spawn(std::thread::park);
        }
        let mut stdout = std::io::stdout();
        writeln!(stdout, "ready").and_then(|()| stdout.flush()).expect("an owner");
        let _ = std::io::stdin().read_line(&mut String::new());
        drop((memory, files));
        true
    }

    /// The calls that cannot be done without.
    struct Bare {
        statm: File,
        stat: File,
        fd: File,
    }

    impl Bare {
        fn read(&self) -> u64 {
            let mut buffer = [0; 2048];
            let statm = self.statm.read_at(&mut buffer, 0).expect("statm");
            let stat = self.stat.read_at(&mut buffer, 0).expect("stat");
            let fds = rustix::fs::fstat(&self.fd).expect("the folder").st_size;
            (statm + stat) as u64 + fds as u64
        }
    }

    pub fn sample(criterion: &mut Criterion) {
        for size in &SIZES {
            let target = Target::start(size);
            let bare = Bare { statm: target.file("statm"), stat: target.file("stat"), fd: target.file("fd") };
            let roots = Roots { roots: vec![target.process()], guardian: None };
            let mut watcher = Watcher::open(roots).expect("the target runs");
            let mut into = Sample::default();
            let mut group = criterion.benchmark_group(size.name);
            group.bench_function("bare", |bencher| bencher.iter(|| bare.read()));
            group.bench_function("sample", |bencher| bencher.iter(|| watcher.sample(&mut into)));
            group.finish();
            assert!(into.fds.is_some_and(|fds| fds >= size.fds as u64), "{into:?}");
            report_ratio(size, &bare, &mut watcher);
        }
    }

    /// Both in turn, so that whatever else the machine does meets them alike. The fastest of many counts.
    fn report_ratio(size: &Size, bare: &Bare, watcher: &mut Watcher) {
        const CALLS: u32 = 200;
        let (mut floor, mut ours) = (Duration::MAX, Duration::MAX);
        let mut into = Sample::default();
        for _ in 0..200 {
            let begun = Instant::now();
            (0..CALLS).for_each(|_| {
                std::hint::black_box(bare.read());
            });
            floor = floor.min(begun.elapsed() / CALLS);
            let begun = Instant::now();
            (0..CALLS).for_each(|_| watcher.sample(&mut into));
            ours = ours.min(begun.elapsed() / CALLS);
        }
        let ratio = ours.as_secs_f64() / floor.as_secs_f64();
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "{}: sample {ours:?}, bare {floor:?}, ratio {ratio:.2} (goal 1.5)", size.name);
    }
}

#[cfg(target_os = "linux")]
fn main() {
    if linux::be_target() {
        return;
    }
    let mut criterion = criterion::Criterion::default().configure_from_args();
    linux::sample(&mut criterion);
    criterion.final_summary();
}

#[cfg(not(target_os = "linux"))]
fn main() {}
