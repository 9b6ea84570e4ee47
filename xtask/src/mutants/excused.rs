//! Survivors that are excused, each with its reason.

use std::fs;

use anyhow::{Context as _, Result};

use super::splice::Mutant;

pub const FILE: &str = "xtask/mutants.excused";

/// One line `file | function | change | reason`. It excuses every mutant of that name, on whatever line; `*` stands for all
/// functions or all changes.
#[derive(Debug, PartialEq, Eq)]
pub struct Excuse {
    pub file: String,
    function: String,
    change: String,
    pub line: usize,
}

impl Excuse {
    pub fn excuses(&self, mutant: &Mutant) -> bool {
        let fits = |pattern: &str, name: &str| pattern == "*" || pattern == name;
        self.file == mutant.file && fits(&self.function, &mutant.function) && fits(&self.change, &mutant.shown)
    }
}

pub fn read() -> Result<Vec<Excuse>> {
    let text = fs::read_to_string(crate::root().join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Excuse>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let excuse = |(line, text): (usize, &str)| {
        // `|` may stand in a change, spaced as well: the file, the function and the reason hold none.
        let parts = text.split_once(" | ").and_then(|(file, rest)| {
            let (function, rest) = rest.split_once(" | ")?;
            let (change, reason) = rest.rsplit_once(" | ")?;
            (!reason.trim().is_empty()).then(|| [file, function, change].map(|part| part.trim().to_owned()))
        });
        let [file, function, change] =
            parts.with_context(|| format!("{FILE}:{line}: expected `file | function | change | reason`"))?;
        Ok(Excuse { file, function, change, line })
    };
    lines.map(excuse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excuses_need_a_reason() {
        let read = parse("# why\n\nsrc/a.rs | A::b | `x | y` => `&` | the bits never overlap\n").unwrap();
        let fields = (read[0].function.as_str(), read[0].change.as_str(), read[0].line);
        assert_eq!(fields, ("A::b", "`x | y` => `&`", 3));
        assert!(parse("src/a.rs | A::b | `x < y` => `<=`").is_err());
        assert!(parse("src/a.rs | A::b | `x < y` => `<=` |  ").is_err());
    }
}
