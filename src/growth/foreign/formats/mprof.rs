//! Files of mprof (memory_profiler): a word and its figures on each line.
//!
//! - `CMDLINE text` begins a run. A file that was written to twice holds two, and they are two curves.
//! - `MEM memory time`: memory in MiB, and the time in seconds of 1970.
//! - `CHLD number memory time`: a child, at the `MEM` line before it (`--multiprocess`). Children are added to their parent:
//!   what is judged is the family, as everywhere else. `--include-children` has them in `MEM` already; both words
//!   together make mprof write them twice, and nothing in the file tells.
//! - `FUNC name ..` tells when a function ran. It holds no sample.

use super::Format;
use super::psrecord::resident;
use crate::growth::foreign::lines::{Head, Lines, Stamps};
use crate::growth::foreign::series::plausible;
use crate::growth::foreign::sheet::Sheet;
use crate::growth::foreign::{CurveError, MIB, number};

pub(super) const FORMAT: Format = Format { name: "mprof", sees, read, only_memory: true, stamps: Stamps::None };

const WORDS: [&str; 4] = ["CMDLINE", "MEM", "CHLD", "FUNC"];

fn sees(head: &Head<'_>) -> bool {
    head.first().split_once(' ').is_some_and(|(word, _)| WORDS.contains(&word))
}

/// The run that is read.
struct Run {
    number: usize,
    series: Option<usize>,
    /// A command may hold line ends: until the first sample its lines are no business of ours.
    in_command: bool,
}

fn read(lines: &mut Lines<'_>, sheet: &mut Sheet<'_>) -> Result<(), CurveError> {
    let mut run = Run { number: 1, series: None, in_command: false };
    while let Some(line) = lines.advance()? {
        let (word, rest) = line.text.split_once(' ').unwrap_or((line.text, ""));
        let read = if word == "CMDLINE" { run.begin() } else { run.take(word, rest, line.number, sheet) };
        read.map_err(|what| line.misfit(what))?;
    }
    if run.series.is_none() { Err(CurveError::Empty) } else { Ok(()) }
}

impl Run {
    /// A command line begins a run; what was gathered before it was another.
    fn begin(&mut self) -> Result<(), String> {
        if self.series.take().is_some() {
            self.number += 1;
        } else if self.in_command {
            return Err("begins a run, and the one before it has no sample (MEM)".into());
        }
        self.in_command = true;
        Ok(())
    }

    fn take(&mut self, word: &str, rest: &str, line: usize, sheet: &mut Sheet<'_>) -> Result<(), String> {
        let mut fields = rest.split_whitespace();
        let mut field = |name: &str| number(name, fields.next().unwrap_or_default());
        match word {
            "MEM" => {
                self.in_command = false;
                let (memory, time) = (field("memory")?, field("time")?);
                let series = match self.series {
                    Some(series) => series,
                    None => {
                        let label = ("run".to_owned(), self.number.to_string());
                        sheet.add_series(vec![label], resident("MEM", MIB))?
                    }
                };
                self.series = Some(series);
                sheet.sample(series, line, time, Some(memory))
            }
            "CHLD" => {
                let (_, memory, _) = (field("child")?, field("memory")? * MIB, field("time")?);
                let parent = self.series.ok_or("tells of a child before its parent (MEM)")?;
                plausible(memory)?;
                sheet.add_to_last(parent, memory)?;
                sheet.remark("children are added to their parent");
                Ok(())
            }
            "FUNC" => Ok(()),
            _ if self.in_command => Ok(()),
            _ => Err(format!("`{word}` is not one of {}", WORDS.join(", "))),
        }
    }
}
