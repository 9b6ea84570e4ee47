//! `tidewatch judge`.

use std::fs::File;
use std::io::BufReader;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::options::{InconclusiveWord, run_dir_failure};
use super::outcome;
use super::patient::Patient;
use crate::exit::ExitCode;
use crate::growth::{
    Bound, Curve, CurveError, Foreign, Query, Question, Verdict, judge, parse_value_unit, read_curves,
};
use crate::input::{self, Pipes};
use crate::report::chart::Panel;
use crate::report::escape::plain;
use crate::report::judged::{Judged, picture, story};
use crate::run_dir::{ForeignReports, check_free, write_file};
use crate::units::{Unit, parse_duration};

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
    #[command(flatten)]
    reading: ReadingArgs,
    /// The smallest growth that matters per operation, or per second where no operations are known, like 64B or (for counts)
    /// 1e-4 [default: 100B or 1e-4 per operation; over time 1KiB or 0.2 per second, less for long files]
    #[arg(long, value_name = "AMOUNT")]
    smallest: Option<String>,
    /// Say when what grows without end reaches this, like 512MiB or (for counts) 1024
    #[arg(long, value_name = "AMOUNT")]
    limit: Option<String>,
    /// Print one JSON object a line for each curve instead of the text
    #[arg(long)]
    json: bool,
    /// Draw the curves to this file
    #[arg(long, value_name = "OUT.svg")]
    plot: Option<PathBuf>,
    /// Let --plot replace a file
    #[arg(long, requires = "plot")]
    force: bool,
    /// What an inconclusive curve counts as
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = InconclusiveWord::Fail)]
    inconclusive: InconclusiveWord,
}

/// How files are read, where their names do not say it.
#[derive(Debug, Args)]
struct ReadingArgs {
    /// What the values count [default: what their names say, else memory]
    #[arg(long, value_name = "WHAT", value_enum)]
    resource: Option<ResourceWord>,
    /// A column to judge (repeatable) [default: resident memory, and what is counted]
    #[arg(long = "column", value_name = "NAME")]
    columns: Vec<String>,
    /// A column that says whose value it is (repeatable) [default: pod, container, pid, host and the like]
    #[arg(long = "by", value_name = "NAME")]
    by: Vec<String>,
    /// What values without a unit are counted in: B, KiB, MiB, GiB
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// How far apart samples are, for files without times
    #[arg(long, value_name = "TIME")]
    every: Option<String>,
    /// Leave out what was before: a time, 2h (after the first sample) or -2h (before the last)
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    since: Option<String>,
    /// Leave out what was after, in the same forms
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    until: Option<String>,
}

impl ReadingArgs {
    fn query(&self) -> anyhow::Result<Query> {
        let said = |option: &str, error: String| anyhow!("{option}: {error}");
        let unit = self.unit.as_deref().map(parse_value_unit).transpose().map_err(|error| said("--unit", error))?;
        let bound = |option: &str, text: &Option<String>| {
            text.as_deref().map(Bound::parse).transpose().map_err(|error| said(option, error))
        };
        let every_s = match &self.every {
            None => None,
            Some(text) => {
                let every = parse_duration(text).context("--every")?.as_secs_f64();
                if every <= 0.0 {
                    return Err(anyhow!("--every: `{text}` is not above zero"));
                }
                Some(every)
            }
        };
        Ok(Query {
            resource: self.resource.map(ResourceWord::unit),
            unit,
            columns: self.columns.clone(),
            by: self.by.clone(),
            every_s,
            since: bound("--since", &self.since)?,
            until: bound("--until", &self.until)?,
        })
    }
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

/// An amount of an option. Which unit it must have is known only from the curves, unless the user says it.
struct Amount {
    bytes: anyhow::Result<Option<f64>>,
    count: anyhow::Result<Option<f64>>,
}

impl Amount {
    fn parse(option: &str, text: Option<&str>, resource: Option<Unit>) -> anyhow::Result<Self> {
        let of = |unit: Unit| amount(unit, option, text);
        match resource {
            Some(unit) => drop(of(unit)?),
            None if of(Unit::Count).is_err() => drop(of(Unit::Bytes)?),
            None => {}
        }
        Ok(Self { bytes: of(Unit::Bytes), count: of(Unit::Count) })
    }

    const fn of(&self, unit: Unit) -> &anyhow::Result<Option<f64>> {
        match unit {
            Unit::Bytes => &self.bytes,
            Unit::Count => &self.count,
        }
    }

    /// For curves of this unit; the default where the amount is one of another unit.
    fn value(&self, unit: Unit) -> Option<f64> {
        self.of(unit).as_ref().ok().copied().flatten()
    }

    /// An amount that fits none of the curves is a mistake.
    fn fits_some(self, curves: &[Judged]) -> anyhow::Result<()> {
        let units = || curves.iter().map(|curve| curve.growth.metric.unit());
        if curves.is_empty() || units().any(|unit| self.of(unit).is_ok()) {
            return Ok(());
        }
        match units().next() {
            Some(Unit::Count) => self.count.map(drop),
            _ => self.bytes.map(drop),
        }
    }
}

/// What is asked of every curve.
struct Asked {
    smallest: Amount,
    limit: Amount,
    is_plotted: bool,
}

/// Judges curves that other programs recorded.
pub fn run(words: Words) -> Result<ExitCode, Failure> {
    let query = words.reading.query().map_err(Failure::usage)?;
    let amount = |option: &str, text: &Option<String>| {
        Amount::parse(option, text.as_deref(), query.resource).map_err(Failure::usage)
    };
    let asked = Asked {
        smallest: amount("--smallest", &words.smallest)?,
        limit: amount("--limit", &words.limit)?,
        is_plotted: words.plot.is_some(),
    };
    let foreign = if words.force { ForeignReports::Replace } else { ForeignReports::Keep };
    words.plot.as_deref().map_or(Ok(()), |plot| check_free(plot, foreign)).map_err(run_dir_failure)?;
    let (mut curves, mut panels, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for file in &words.files {
        let name = file.to_string_lossy();
        match read(file, &query) {
            Ok(found) => found.into_iter().for_each(|curve| {
                let (judged, panel) = judged(&name, curve, &asked);
                curves.push(judged);
                panels.extend(panel);
            }),
            Err(error) => unreadable.push(error.in_file(&name)),
        }
    }
    asked.smallest.fits_some(&curves).map_err(Failure::usage)?;
    asked.limit.fits_some(&curves).map_err(Failure::usage)?;
    let text = if words.json {
        curves.iter().map(Judged::json_line).collect()
    } else {
        story(&curves, outcome::colour(), outcome::width())
    };
    let printed = outcome::print(&text).err().map(Failure::tell);
    let drawn = words.plot.as_deref().filter(|_| !panels.is_empty());
    let drawn = drawn.and_then(|plot| draw(plot, &curves, panels, foreign).err()).map(Failure::tell);
    let verdicts = curves.iter().map(|curve| exit_code(curve.growth.verdict, words.inconclusive));
    let told = unreadable.into_iter().map(|error| Failure::usage(anyhow!(plain(&error))).tell());
    Ok(verdicts.chain(told).chain(printed).chain(drawn).fold(ExitCode::Held, ExitCode::or))
}

fn amount(unit: Unit, option: &str, text: Option<&str>) -> anyhow::Result<Option<f64>> {
    let Some(text) = text else { return Ok(None) };
    let amount = unit.parse(text).with_context(|| option.to_owned())?;
    if amount > 0.0 { Ok(Some(amount)) } else { Err(anyhow!("{option}: `{text}` is not above zero")) }
}

fn read(file: &Path, query: &Query) -> Result<Vec<Foreign>, CurveError> {
    let (name, input) = if file.as_os_str() == STDIN {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(CurveError::Read)?;
        ("standard input".to_owned(), File::from(stdin))
    } else {
        (file.to_string_lossy().into_owned(), input::open(file, Pipes::Accepted).map_err(CurveError::Read)?)
    };
    read_curves(BufReader::with_capacity(PIECE, Patient::new(input, name)), query)
}

/// The verdict on a curve, which goes once it is judged and drawn: a long one is large.
fn judged(file: &str, foreign: Foreign, asked: &Asked) -> (Judged, Option<Panel>) {
    let Foreign { series, curve, remarks, sums } = foreign;
    let unit = curve.metric.unit();
    let question = Question::about(&curve, asked.smallest.value(unit));
    let name = series.map_or_else(|| file.to_owned(), |series| format!("{file}#{series}"));
    let growth = judge(&curve, &question);
    let panel = asked.is_plotted.then(|| panel(&name, &curve, &growth));
    let (level, limit) = (curve.recent_high(), asked.limit.value(unit));
    (Judged { file: file.to_owned(), name, growth, level, remarks, sums, limit }, panel)
}

fn panel(name: &str, curve: &Curve, growth: &crate::growth::Growth) -> Panel {
    // What is seen is the name that the user gave; it says what is measured where the file does.
    Panel { title: name.to_owned(), ..Panel::of(name, curve, growth, &[]) }
}

fn draw(plot: &Path, curves: &[Judged], panels: Vec<Panel>, foreign: ForeignReports) -> Result<(), Failure> {
    let text = crate::report::chart::svg(&picture(curves, panels)).map_err(Failure::target)?;
    write_file(plot, text.as_bytes(), foreign).map_err(run_dir_failure)
}

fn exit_code(verdict: Verdict, inconclusive: InconclusiveWord) -> ExitCode {
    match (verdict, inconclusive) {
        (Verdict::Unbounded, _) => ExitCode::Crossed,
        (Verdict::Inconclusive, InconclusiveWord::Fail) => ExitCode::Inconclusive,
        (Verdict::Inconclusive, InconclusiveWord::Pass) | (Verdict::Retained | Verdict::Bounded | Verdict::Flat, _) => {
            ExitCode::Held
        }
    }
}
