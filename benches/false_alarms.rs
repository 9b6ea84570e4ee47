//! Judges thousands of made-up curves whose truth is known, and counts false alarms.
//!
//! `cargo xtask false-alarms [CLEAN] [--leaking N] [--from SEED] [--class NAME]` draws CLEAN curves of each clean class
//! (2,000) and N of each leaking one (500), judges each as a session does, and prints a table. It fails on any false
//! alarm. `--class NAME --seed N` prints that one curve as CSV, and its verdicts on standard error. `--pictures FOLDER`
//! draws a curve of each family, as docs/statistics.md shows them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers: it prints")]

#[path = "../tests/curves/mod.rs"]
mod curves;
#[path = "false_alarms/pictures.rs"]
mod pictures;
#[path = "false_alarms/tally.rs"]
mod tally;
#[path = "false_alarms/words.rs"]
mod words;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use self::curves::{Class, Truth, WEEKS, Week, classes, judge_week, judged, to_csv};
use self::tally::{Tally, WeekTally};
use self::words::{Task, Words};

fn main() -> ExitCode {
    match Words::read(std::env::args().skip(1)) {
        Ok(Words { task: Task::Show { class, seed }, .. }) => show(class, seed),
        Ok(Words { task: Task::Pictures(folder), .. }) => match pictures::write(&folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                eprintln!("false_alarms: could not write to {}: {problem}", folder.display());
                ExitCode::from(3)
            }
        },
        Ok(words) => judge_all(&words),
        Err(problem) => {
            eprintln!("false_alarms: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Prints one curve, and what is said of it.
fn show(class: &Class, seed: u64) -> ExitCode {
    let made = class.draw(seed);
    print!("{}", to_csv(&made.curve));
    let run = judged(&made);
    eprintln!("{}: {}", class.name, class.stands_for);
    eprintln!(
        "true growth per operation {:?}, smallest {}, cap told {:?}",
        made.per_op, made.smallest, made.expect_cap
    );
    for (which, growth) in [("session", &run.first), ("end", &run.end)] {
        eprintln!("{which}: {:?} at cycle {:?}: {}", growth.verdict, growth.decided_at, growth.reason);
    }
    ExitCode::SUCCESS
}

fn judge_all(words: &Words) -> ExitCode {
    let mut alarms = 0;
    println!("{}\n", tally::LEGEND);
    for truth in [Truth::Clean, Truth::Leaking, Truth::LeakingLate, Truth::Ambiguous] {
        let mut total = Tally::new("total", truth);
        println!("{}", Tally::heading(truth));
        for class in classes().filter(|class| class.truth == truth && words.wants(class)) {
            let found = judge_class(class, words);
            println!("{found}");
            // A class that was asked for alone shows the leaks that it missed, too.
            let missed = found.overlooked.iter().filter(|_| words.is_one_class());
            for (_, mistake) in found.mistakes.iter().chain(missed) {
                println!("    {mistake}");
            }
            total.add(found);
        }
        if total.curves > 0 {
            println!("{total}\n");
        }
        alarms += total.false_alarms();
    }
    if !words.is_one_class() {
        println!("{}", WeekTally::HEADING);
        for week in &WEEKS {
            let tally = judge_weeks(week, words);
            println!("{tally}  {}", week.stands_for);
            alarms += tally.false_alarms();
        }
    }
    if alarms > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Judges the curves of a family over time, as `judge` does.
fn judge_weeks(week: &'static Week, words: &Words) -> WeekTally {
    let mut tally = WeekTally::new(week.name, week.truth);
    for seed in words.from..words.from + words.curves(week.truth) {
        tally.count(seed, &judge_week(&week.draw(seed)));
    }
    tally
}

/// Judges the curves of a class on all cores. What comes out does not depend on their number.
fn judge_class(class: &Class, words: &Words) -> Tally {
    let end = words.from + words.curves(class.truth);
    let next = AtomicU64::new(words.from);
    let work = || {
        let mut tally = Tally::new(class.name, class.truth);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return tally;
            }
            let made = class.draw(seed);
            tally.count(seed, &made, &judged(&made));
        }
    };
    let mut all = Tally::new(class.name, class.truth);
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(tally) => all.add(tally),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all.sort();
    all
}
