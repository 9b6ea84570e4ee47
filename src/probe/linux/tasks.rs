//! Threads by name and processes by command: comparable from one reading to the next, whatever their numbers.

use std::collections::HashMap;
use std::mem::MaybeUninit;

use rustix::io::Errno;

use super::files::{Files, LINE, ProcRoot, each_number, open_dir, open_file, read_line};
use super::member::{Member, Standing};
use crate::probe::text::{clean, fold_trailing};
use crate::sample::Named;

/// Threads whose names are read in one detail. The rest is counted under [`NOT_LOOKED_AT`].
const MAX_NAMES: usize = 20_000;

/// Stands for threads beyond [`MAX_NAMES`].
const NOT_LOOKED_AT: &str = "(names not read: too many threads)";

/// Names of threads, numbers at their end folded.
#[derive(Debug, Default)]
pub(crate) struct ThreadNames {
    counts: HashMap<String, u64>,
    looked_at: usize,
}

impl ThreadNames {
    /// Adds the threads of one process.
    pub(crate) fn read(&mut self, files: &Files, space: &mut [MaybeUninit<u8>]) -> Result<(), Errno> {
        let opened;
        let tasks = match &files.tasks {
            Some(tasks) => tasks,
            None => {
                opened = open_dir(&files.dir, c"task")?;
                &opened
            }
        };
        let mut threads = Vec::new();
        each_number(tasks, space, |tid| threads.push(tid))?;
        let mut line = [0; LINE];
        for tid in threads {
            if self.looked_at >= MAX_NAMES {
                *self.counts.entry(NOT_LOOKED_AT.to_owned()).or_default() += 1;
                continue;
            }
            self.looked_at += 1;
            let name = open_file(tasks, format!("{tid}/comm"))
                .and_then(|file| Ok(fold_trailing(&clean(read_line(&file, &mut line)?.trim_ascii_end()))));
            // A thread that ended since the listing is left out.
            if let Ok(name) = name {
                *self.counts.entry(name).or_default() += 1;
            }
        }
        Ok(())
    }

    /// The names, most threads first.
    pub(crate) fn finish(self) -> Vec<Named> {
        sorted(self.counts)
    }
}

/// Counts names, most first.
pub(crate) fn count(names: impl IntoIterator<Item = String>) -> Vec<Named> {
    let mut counts = HashMap::new();
    names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
    sorted(counts)
}

/// Living members of one standing by the command they run now.
pub(crate) fn commands(proc: &ProcRoot, members: &[Member], standing: Standing) -> Vec<Named> {
    let those = members.iter().filter(|member| !member.gone && member.standing == standing);
    count(those.map(|member| command_now(proc, member)))
}

/// What a process runs now: right after a fork it still bore its parent's name.
pub(crate) fn command_now(proc: &ProcRoot, member: &Member) -> String {
    member
        .with_files(proc, |files| Ok(clean(files.read_stat(&mut [0; LINE])?.command)))
        .unwrap_or_else(|_| member.command.clone())
}

fn sorted(counts: HashMap<String, u64>) -> Vec<Named> {
    let mut all: Vec<Named> = counts.into_iter().map(|(name, count)| Named { name, count }).collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_most_first() {
        let names = count(["b", "a", "b", "c"].map(String::from));
        let flat: Vec<(&str, u64)> = names.iter().map(|named| (named.name.as_str(), named.count)).collect();
        assert_eq!(flat, [("b", 2), ("a", 1), ("c", 1)]);
    }
}
