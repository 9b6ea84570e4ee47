//! Files of mprof (memory_profiler): a word and its figures on each line.
//!
//! - `CMDLINE text` begins a run. A file that was written to twice holds two, and they are two curves.
//! - `MEM memory time`: memory in MiB, and the time in seconds of 1970.
//! - `CHLD number memory time`: a child, at the `MEM` line before it (`--multiprocess`). Children are added to their parent:
//!   what is judged is the family, as everywhere else. `--include-children` has them in `MEM` already; both words
//!   together make mprof write them twice, and nothing in the file tells.
//! - `FUNC name ..` tells when a function ran. It holds no sample.

use std::io::BufRead;

use super::lines::Lines;
use super::{CurveError, Foreign, Gathered, MIB, number, only_memory, plausible};
use crate::units::Unit;

const WORDS: [&str; 4] = ["CMDLINE", "MEM", "CHLD", "FUNC"];

/// Whether a file that begins with this line is one of mprof's.
pub(super) fn begins(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(word, _)| WORDS.contains(&word))
}

/// A run in the making.
#[derive(Default)]
struct Run {
    gathered: Gathered,
    children: bool,
    /// A command may hold line ends: until the first sample its lines are no business of ours.
    in_command: bool,
}

/// Reads the file.
pub(super) fn read<R: BufRead>(lines: &mut Lines<R>, unit: Unit) -> Result<Vec<Foreign>, CurveError> {
    only_memory(unit, "mprof")?;
    let mut runs = Vec::new();
    let mut run = Run::default();
    while let Some(line) = lines.advance()? {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let read = if word == "CMDLINE" { run.begin(&mut runs) } else { run.take(word, rest) };
        read.map_err(|what| lines.misfit(what))?;
    }
    runs.push(run);
    let several = runs.len() > 1;
    let named = |index: usize| several.then(|| format!("{{run=\"{}\"}}", index + 1));
    runs.into_iter().enumerate().map(|(index, run)| run.finish(named(index), unit)).collect()
}

impl Run {
    /// A command line begins a run; what was gathered before it was another.
    fn begin(&mut self, done: &mut Vec<Self>) -> Result<(), String> {
        if !self.gathered.points.is_empty() {
            done.push(std::mem::take(self));
        } else if self.in_command {
            return Err("begins a run, and the one before it has no sample (MEM)".into());
        }
        self.in_command = true;
        Ok(())
    }

    fn take(&mut self, word: &str, rest: &str) -> Result<(), String> {
        let mut fields = rest.split_whitespace();
        let mut field = |name: &str| number(name, fields.next().unwrap_or_default());
        match word {
            "MEM" => {
                self.in_command = false;
                let (memory, time) = (field("memory")? * MIB, field("time")?);
                self.gathered.push_value(time, memory)
            }
            "CHLD" => {
                let (_, memory, _) = (field("child")?, field("memory")? * MIB, field("time")?);
                let parent = self.gathered.points.last_mut().ok_or("tells of a child before its parent (MEM)")?;
                plausible(memory).and_then(|()| plausible(parent.value + memory))?;
                parent.value += memory;
                self.children = true;
                Ok(())
            }
            "FUNC" => Ok(()),
            _ if self.in_command => Ok(()),
            _ => Err(format!("`{word}` is not one of {}", WORDS.join(", "))),
        }
    }

    fn finish(self, series: Option<String>, unit: Unit) -> Result<Foreign, CurveError> {
        let remarks = if self.children { vec!["children are added to their parent".to_owned()] } else { Vec::new() };
        Ok(Foreign { series, curve: self.gathered.into_some_curve(unit)?, remarks })
    }
}
