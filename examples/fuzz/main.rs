//! Feeds damaged inputs to everything that reads untrusted bytes. `cargo xtask fuzz` runs it.
//!
//! Each target runs in a process of its own, which puts every input into a file before it tries it: whatever ends the
//! process (a panic, an overflow of the stack, an abort for want of memory, more than 2 s of processor time) leaves the input
//! behind. The same seed gives the same inputs.

mod formats;
mod mutate;
mod targets;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use targets::TARGETS;

/// Processor time that one input may take, in milliseconds.
const LONGEST_MS: u64 = 2_000;
/// Address space of a target's process.
const MEMORY_BYTES: u64 = 4 << 30;

struct Args {
    seconds: u64,
    target: Option<String>,
    seed: u64,
    child: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut args = Args { seconds: 60, target: None, seed: 1, child: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match word.as_str() {
            "--minutes" => args.seconds = value.parse::<u64>().unwrap_or(1).saturating_mul(60),
            "--seconds" => args.seconds = value.parse().unwrap_or(60),
            "--target" => args.target = Some(value),
            "--seed" => args.seed = value.parse().unwrap_or(1),
            "--child" => args.child = Some(value.into()),
            other => return refused(&format!("unknown word {other}")),
        }
    }
    match (&args.child, &args.target) {
        (Some(input), Some(target)) => child(input, target, &args),
        _ => parent(&args),
    }
}

fn refused(why: &str) -> ExitCode {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    say(&format!("fuzz: {why}; use --minutes N, --seconds N, --seed N, --target {}", names.join("|")));
    ExitCode::from(2)
}

/// Runs each target in a process of its own.
fn parent(args: &Args) -> ExitCode {
    let chosen: Vec<&str> = TARGETS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| args.target.as_deref().is_none_or(|one| one == *name))
        .collect();
    if chosen.is_empty() {
        return refused("no such target");
    }
    let mut code = ExitCode::SUCCESS;
    for name in chosen {
        let input = std::env::temp_dir().join(format!("tidewatch-fuzz-{name}-{}", std::process::id()));
        let Ok(program) = std::env::current_exe() else { return ExitCode::FAILURE };
        let mut command = Command::new(program);
        command.arg("--child").arg(&input).args(["--target", name]);
        command.args(["--seconds", &args.seconds.to_string(), "--seed", &args.seed.to_string()]);
        let status = command.stdin(Stdio::null()).status();
        if status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            // It held the last input, which did no harm.
            let _ = std::fs::remove_file(&input);
        } else {
            say(&format!("fuzz: {name} failed ({status:?}); the input is in {}", input.display()));
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Tries inputs until the time is over.
fn child(file: &Path, name: &str, args: &Args) -> ExitCode {
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else { return refused("no such target") };
    limit_memory();
    let begun_ms = watch();
    let scratch = file.with_extension("folder");
    if let Err(error) = std::fs::create_dir_all(&scratch) {
        say(&format!("fuzz: cannot make {}: {error}", scratch.display()));
        return ExitCode::FAILURE;
    }
    let target = target(&scratch);
    let mut mutator = mutate::Mutator::new(args.seed, target.corpus, target.words);
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let mut tried = 0_u64;
    while Instant::now() < end {
        let input = mutator.next();
        if let Err(error) = std::fs::write(file, &input) {
            say(&format!("fuzz: cannot write {}: {error}", file.display()));
            return ExitCode::FAILURE;
        }
        begun_ms.store(processor_ms().max(1), Ordering::Relaxed);
        if let Err(what) = (target.try_out)(&input) {
            say(&format!("fuzz: {name}: {what}"));
            return ExitCode::FAILURE;
        }
        begun_ms.store(0, Ordering::Relaxed);
        tried += 1;
    }
    // Nobody needs it; what is left of it does no harm.
    let _ = std::fs::remove_dir_all(&scratch);
    say(&format!("{name:<10} {tried:>9} inputs in {} s from seed {}, none did harm", args.seconds, args.seed));
    ExitCode::SUCCESS
}

/// Ends the process when an input takes too long. What it hands out holds when the present input began, or 0.
fn watch() -> &'static AtomicU64 {
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let begun = BEGUN.load(Ordering::Relaxed);
            if begun != 0 && processor_ms().saturating_sub(begun) > LONGEST_MS {
                say(&format!("fuzz: an input takes more than {LONGEST_MS} ms"));
                std::process::abort();
            }
        }
    });
    &BEGUN
}

fn processor_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes into `time` alone.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

fn limit_memory() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Without the limit a fault of this kind is found later, by the machine.
    let _ = setrlimit(Resource::As, Rlimit { current: Some(MEMORY_BYTES), maximum: Some(MEMORY_BYTES) });
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(text: &str) {
    println!("{text}");
}
