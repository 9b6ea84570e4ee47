//! All mutants of a file put into its text at once, each behind a switch that is read at run time.

use std::collections::BTreeSet;
use std::ops::Range;

use super::find::{Change, Found, Sites};

/// One mutant, and where the changed text of its file holds it.
pub struct Mutant {
    pub id: u32,
    pub file: String,
    pub function: String,
    pub line: usize,
    pub shown: String,
    /// What stands in its place when it is on, and the whole piece that holds the switch.
    pub change: Range<usize>,
    pub switch: Range<usize>,
}

/// Which changes are put in, and the numbers that they get.
pub struct Numbering<'a> {
    pub file: &'a str,
    /// The number of the first change, put in or not.
    pub next: u32,
    pub is_wanted: &'a dyn Fn(u32, &Change) -> bool,
    /// Functions that have to stay `const`.
    pub constants: &'a BTreeSet<String>,
}

/// The text with its switches, and the mutants in it. The text of a mutant holds no other mutant: one is on at a time.
pub fn splice(source: &str, found: &Found, numbering: &mut Numbering<'_>) -> (String, Vec<Mutant>) {
    let mut output = Output { source, text: String::new(), mutants: Vec::new() };
    let mut cleared = source.as_bytes().to_vec();
    for (_, range) in found.consts.iter().filter(|(name, _)| !numbering.constants.contains(name)) {
        cleared[range.clone()].fill(b' ');
    }
    let cleared = String::from_utf8_lossy(&cleared).into_owned();
    output.source = &cleared;
    let sites: Vec<_> = found.sites.iter().collect();
    output.piece(0..cleared.len(), &sites, numbering);
    (output.text, output.mutants)
}

type Site<'a> = <&'a Sites as IntoIterator>::Item;

struct Output<'a> {
    source: &'a str,
    text: String,
    mutants: Vec<Mutant>,
}

impl Output<'_> {
    fn piece(&mut self, range: Range<usize>, sites: &[Site<'_>], numbering: &mut Numbering<'_>) {
        let mut at = range.start;
        let mut index = 0;
        while let Some(&(&(start, std::cmp::Reverse(end)), changes)) = sites.get(index) {
            let inside = sites[index + 1..].iter().take_while(|((start, _), _)| *start < end).count();
            self.text.push_str(&self.source[at..start]);
            self.site(start..end, changes, &sites[index + 1..=index + inside], numbering);
            at = end;
            index += 1 + inside;
        }
        self.text.push_str(&self.source[at..range.end]);
    }

    fn site(&mut self, range: Range<usize>, changes: &[Change], inside: &[Site<'_>], numbering: &mut Numbering<'_>) {
        let is_wanted = |(id, change): &(u32, &Change)| {
            let is_constant = change.constant.as_ref().is_some_and(|name| numbering.constants.contains(name));
            !is_constant && (numbering.is_wanted)(*id, change)
        };
        let wanted: Vec<(u32, &Change)> = (numbering.next..).zip(changes).filter(is_wanted).collect();
        numbering.next += changes.len() as u32;
        if wanted.is_empty() {
            return self.piece(range, inside, numbering);
        }
        let (begin, first) = (self.text.len(), self.mutants.len());
        let is_expression = !range.is_empty();
        self.text.push_str(if is_expression { "(" } else { "" });
        for (id, change) in wanted {
            self.text.push_str(&format!("if crate::mutant({id}) "));
            let start = self.text.len();
            if is_expression {
                self.text.push_str(&format!("{{ {} }} else ", change.text));
            } else {
                self.text.push_str(&change.text);
            }
            let (function, shown) = (change.function.clone(), change.shown.clone());
            let (file, change_range) = (numbering.file.to_owned(), start..self.text.len());
            let line = change.line;
            self.mutants.push(Mutant { id, file, function, line, shown, change: change_range, switch: 0..0 });
        }
        let last = self.mutants.len();
        if is_expression {
            self.text.push_str("{ ");
            self.piece(range, inside, numbering);
            self.text.push_str(" })");
        }
        let switch = begin..self.text.len();
        for mutant in &mut self.mutants[first..last] {
            mutant.switch = switch.clone();
        }
    }
}
