//! `tidewatch judge`.

use std::fs::File;
use std::io::BufReader;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::options::InconclusiveWord;
use super::outcome;
use super::patient::Patient;
use crate::exit::ExitCode;
use crate::growth::{Budget, Collector, CurveError, Foreign, Question, Verdict, judge, read_curves};
use crate::input::{self, Pipes};
use crate::report::escape::plain;
use crate::report::judged::{Judged, story};
use crate::units::Unit;

/// What stands for standard input.
const STDIN: &str = "-";
/// Files are read in pieces of this size.
const PIECE: usize = 1 << 16;

/// The words of `judge`.
#[derive(Debug, Args)]
pub struct Words {
    /// Recordings of other programs; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What the values count
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = ResourceWord::Memory)]
    resource: ResourceWord,
    /// The smallest growth that matters per operation, or per second where no operations are known, like 64B or (for counts)
    /// 1e-4 [default: 100B or 1e-4 per operation, 1KiB or 0.2 per second]
    #[arg(long, value_name = "AMOUNT")]
    smallest: Option<String>,
    /// Say when what grows without end reaches this, like 512MiB or (for counts) 1024
    #[arg(long, value_name = "AMOUNT")]
    limit: Option<String>,
    /// Print one JSON object a line for each curve instead of the text
    #[arg(long)]
    json: bool,
    /// What an inconclusive curve counts as
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = InconclusiveWord::Fail)]
    inconclusive: InconclusiveWord,
}

/// What values count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ResourceWord {
    /// Bytes
    Memory,
    /// Things: descriptors, threads, processes
    Count,
}

impl ResourceWord {
    const fn unit(self) -> Unit {
        match self {
            Self::Memory => Unit::Bytes,
            Self::Count => Unit::Count,
        }
    }
}

/// Judges curves that other programs recorded.
pub fn run(words: Words) -> Result<ExitCode, Failure> {
    let unit = words.resource.unit();
    let amount = |option: &str, text: &Option<String>| amount(unit, option, text.as_deref()).map_err(Failure::usage);
    let (smallest, limit) = (amount("--smallest", &words.smallest)?, amount("--limit", &words.limit)?);
    let mut curves = Vec::new();
    let mut unreadable = Vec::new();
    for file in &words.files {
        let name = file.to_string_lossy();
        match read(file, unit) {
            Ok(found) => curves.extend(found.into_iter().map(|curve| judged(&name, curve, smallest))),
            Err(error) => unreadable.push(error.in_file(&name)),
        }
    }
    let text = if words.json {
        curves.iter().map(Judged::json_line).collect()
    } else {
        story(&curves, limit, outcome::colour(), outcome::width())
    };
    let printed = outcome::print(&text).err().map(Failure::tell);
    let verdicts = curves.iter().map(|curve| exit_code(curve.growth.verdict, words.inconclusive));
    let told = unreadable.into_iter().map(|error| Failure::usage(anyhow!(plain(&error))).tell());
    Ok(verdicts.chain(told).chain(printed).fold(ExitCode::Held, ExitCode::or))
}

fn amount(unit: Unit, option: &str, text: Option<&str>) -> anyhow::Result<Option<f64>> {
    let Some(text) = text else { return Ok(None) };
    let amount = unit.parse(text).with_context(|| option.to_owned())?;
    if amount > 0.0 { Ok(Some(amount)) } else { Err(anyhow!("{option}: `{text}` is not above zero")) }
}

fn read(file: &Path, unit: Unit) -> Result<Vec<Foreign>, CurveError> {
    let (name, input) = if file.as_os_str() == STDIN {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(CurveError::Read)?;
        ("standard input".to_owned(), File::from(stdin))
    } else {
        (file.to_string_lossy().into_owned(), input::open(file, Pipes::Accepted).map_err(CurveError::Read)?)
    };
    read_curves(BufReader::with_capacity(PIECE, Patient::new(input, name)), unit)
}

/// The verdict on a curve, which goes once it is judged: a long one is large.
fn judged(file: &str, foreign: Foreign, smallest: Option<f64>) -> Judged {
    let Foreign { series, curve, remarks } = foreign;
    let usual = curve.usual_smallest();
    let question = Question {
        smallest: smallest.unwrap_or(usual),
        time_driven: None,
        expect_cap: None,
        budget: Budget::Spent,
        collector: Collector::None,
    };
    let name = series.map_or_else(|| file.to_owned(), |series| format!("{file}#{series}"));
    Judged { name, growth: judge(&curve, &question), level: curve.recent_high(), remarks }
}

fn exit_code(verdict: Verdict, inconclusive: InconclusiveWord) -> ExitCode {
    match (verdict, inconclusive) {
        (Verdict::Unbounded, _) => ExitCode::Crossed,
        (Verdict::Inconclusive, InconclusiveWord::Fail) => ExitCode::Inconclusive,
        (Verdict::Inconclusive, InconclusiveWord::Pass) | (Verdict::Bounded | Verdict::Flat, _) => ExitCode::Held,
    }
}
