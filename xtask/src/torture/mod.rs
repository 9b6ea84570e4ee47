//! Attacks on tidewatch and on what it watches: signals, full disks, hostile text, secrets. Each case must hold.

mod canaries;
mod context;
mod cycles;
mod full_disk;
mod inject;
mod names;
mod outputs;
mod postgresql;
mod processes;
mod signals;
mod targets;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::context::{Context, Random};
use crate::cargo;
use crate::needs::{self, Set};

/// What a case came to.
enum Outcome {
    Held,
    /// tidewatch refused, with this reason.
    Refused(String),
}

/// One kind of attack. An error of a case says what did not hold.
trait Attack {
    /// Tries the case with this number.
    fn case(&mut self, number: u64, context: &Context, random: &mut Random) -> Result<Outcome>;

    /// Looks at what earlier cases left.
    fn finish(&mut self, _context: &Context) -> Result<()> {
        Ok(())
    }

    /// What the cases were, in a few words for the table.
    fn remark(&self) -> Option<String> {
        None
    }
}

type Start = fn() -> Box<dyn Attack>;

const ATTACKS: [(&str, Start); 8] = [
    ("inject-kill", || Box::new(inject::Inject::new(inject::How::Kill))),
    ("inject-hup", || Box::new(inject::Inject::new(inject::How::HangUp))),
    ("inject-stop", || Box::new(inject::Inject::new(inject::How::Stop))),
    ("signals", || Box::new(signals::Signals::default())),
    ("attach-cycles", || Box::new(cycles::Cycles::default())),
    ("names", || Box::new(names::Names)),
    ("full-disk", || Box::new(full_disk::FullDisk)),
    ("canaries", || Box::new(canaries::Canaries)),
];

/// What the words of the command ask for.
struct Args {
    minutes: f64,
    seed: u64,
    only: Option<String>,
    times: Option<u64>,
    case: Option<u64>,
}

/// The figures of one attack.
struct Row {
    name: &'static str,
    attack: Box<dyn Attack>,
    tried: u64,
    held: u64,
    refused: Vec<String>,
}

/// Runs the attacks one after the other until the time is over; fails if a case did not hold.
pub fn run(words: &[&str]) -> Result<()> {
    let args = args(words)?;
    needs::meet(Set::Soak)?;
    // The same selection as that of the tests, so that nothing is built twice.
    cargo(&["build", "--workspace", "--bins", "--examples"])?;
    let context = Context::new()?;
    let chosen = ATTACKS.into_iter().filter(|(name, _)| args.only.as_deref().is_none_or(|only| only == *name));
    let row = |(name, start): (&'static str, Start)| Row { name, attack: start(), tried: 0, held: 0, refused: vec![] };
    let mut rows: Vec<Row> = chosen.map(row).collect();
    println!("seed {}", args.seed);
    let mut broken = attack(&mut rows, &args, &context);
    for row in &mut rows {
        if let Err(error) = row.attack.finish(&context) {
            broken.push(format!("{} after all cases: {error:#}", row.name));
        }
    }
    print(&rows);
    if broken.is_empty() {
        return Ok(());
    }
    bail!("{} cases did not hold (seed {}):\n{}", broken.len(), args.seed, broken.join("\n"))
}

fn args(words: &[&str]) -> Result<Args> {
    let mut args = Args { minutes: 20.0, seed: 1, only: None, times: None, case: None };
    for pair in words.chunks(2) {
        let [name, value] = pair else { bail!("`{}` needs a value", pair.join(" ")) };
        let number = || value.parse::<u64>().with_context(|| format!("{name} needs a number, not `{value}`"));
        match *name {
            "--minutes" => {
                args.minutes = value.parse().with_context(|| format!("{name} needs a number, not `{value}`"))?;
            }
            "--seed" => args.seed = number()?,
            "--times" => args.times = Some(number()?),
            "--case" => args.case = Some(number()?),
            "--only" if ATTACKS.iter().any(|(known, _)| known == value) => args.only = Some((*value).to_owned()),
            _ => bail!(
                "no `{name} {value}`; use --minutes N, --seed N, --times N, --case N, --only {}",
                ATTACKS.map(|(known, _)| known).join("|")
            ),
        }
    }
    if !(args.minutes > 0.0 && args.minutes <= 10_000.0) {
        bail!("--minutes must be between 0 and 10000, not {}", args.minutes);
    }
    Ok(args)
}

/// One case of each attack in turn. The cases that did not hold.
fn attack(rows: &mut [Row], args: &Args, context: &Context) -> Vec<String> {
    let mut broken = Vec::new();
    let end = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    for turn in 0.. {
        let number = args.case.unwrap_or(turn);
        for row in rows.iter_mut() {
            let is_over = match args.times.or(args.case.map(|_| 1)) {
                Some(times) => turn >= times,
                None => Instant::now() >= end,
            };
            if is_over {
                return broken;
            }
            row.tried += 1;
            match row.attack.case(number, context, &mut Random::new(args.seed, row.name, number)) {
                Ok(Outcome::Held) => row.held += 1,
                Ok(Outcome::Refused(reason)) => row.refused.push(reason),
                Err(error) => {
                    let repeat = format!("--only {} --seed {} --case {number}", row.name, args.seed);
                    let line = format!("{}: {error:#}; to repeat it: cargo xtask torture {repeat}", row.name);
                    println!("NOT HELD {line}");
                    broken.push(line);
                }
            }
        }
    }
    broken
}

fn print(rows: &[Row]) {
    println!("\n{:<14} {:>6} {:>6} {:>8}", "attack", "tried", "held", "refused");
    for row in rows {
        println!("{:<14} {:>6} {:>6} {:>8}", row.name, row.tried, row.held, row.refused.len());
    }
    for row in rows {
        if let Some(remark) = row.attack.remark() {
            println!("{}: {remark}", row.name);
        }
    }
    for row in rows {
        let mut reasons = row.refused.clone();
        reasons.sort();
        reasons.dedup();
        for reason in reasons {
            println!("{} refused: {reason}", row.name);
        }
    }
}
