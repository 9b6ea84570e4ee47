//! The names of a recording: modules, call stacks and the functions at addresses, wherever in it they are told.

use std::collections::{BTreeMap, HashMap};

use super::source_path::with_path;
use super::{Call, HeapFrame};
use crate::sample::{CallStack, CodeAddress, Frame, Module, Record};

/// Longest name of a function that is kept, in bytes: some of templates are longer than anyone reads.
const LONGEST_NAME: usize = 2000;

/// What a recording says about its call stacks.
#[derive(Debug, Default)]
pub struct Names<'a> {
    modules: BTreeMap<u32, &'a Module>,
    stacks: HashMap<u32, &'a CallStack>,
    functions: HashMap<CodeAddress, &'a [Frame]>,
}

impl<'a> Names<'a> {
    /// Reads all records: names are told after the looks that they belong to.
    pub fn of(records: &'a [Record]) -> Self {
        let mut names = Self::default();
        for record in records {
            match record {
                Record::Stacks(stacks) => {
                    names.modules.extend(stacks.modules.iter().map(|module| (module.id, module)));
                    names.stacks.extend(stacks.stacks.iter().map(|stack| (stack.id, stack)));
                }
                Record::Symbols(symbols) => {
                    let named = symbols.names.iter().filter(|symbol| !symbol.frames.is_empty());
                    names.functions.extend(named.map(|symbol| (symbol.address, symbol.frames.as_slice())));
                }
                _ => {}
            }
        }
        names
    }

    /// Whether any function has a name.
    pub fn knows_functions(&self) -> bool {
        !self.functions.is_empty()
    }

    /// Every module, in the order of their numbers.
    pub fn modules(&self) -> impl Iterator<Item = &'a Module> {
        self.modules.values().copied()
    }

    /// A call stack by its number; none where the recording was cut before it was told.
    pub fn stack(&self, id: u32) -> Option<&'a CallStack> {
        self.stacks.get(&id).copied()
    }

    /// The functions of a stack, innermost first. Never empty.
    pub fn frames(&self, stack: Option<&CallStack>) -> Vec<HeapFrame> {
        let addresses = stack.map(|stack| stack.frames.as_slice()).unwrap_or_default();
        let frames: Vec<HeapFrame> = addresses.iter().flat_map(|address| self.at(*address)).collect();
        if !frames.is_empty() {
            return frames;
        }
        let address = CodeAddress { module: None, offset: 0 };
        let function = NO_STACK.to_owned();
        vec![HeapFrame { function, file: None, line: None, module: String::new(), address, call: Call::Real }]
    }

    fn at(&self, address: CodeAddress) -> Vec<HeapFrame> {
        let module = self.module_name(address.module);
        let nameless = || match address.module {
            Some(_) => format!("{module}+{:#x}", address.offset),
            None => format!("{:#x}", address.offset),
        };
        let frame = |function: String, file: Option<String>, line: Option<u32>, call: Call| HeapFrame {
            function,
            file,
            line,
            module: module.clone(),
            address,
            call,
        };
        let Some(named) = self.functions.get(&address) else {
            return vec![frame(nameless(), None, None, Call::Real)];
        };
        let last = named.len() - 1;
        let one = |(index, named): (usize, &Frame)| {
            let name = without_hash(named.function.trim());
            let file = named.file.clone().filter(|file| !file.is_empty());
            let function = match file.as_deref().and_then(|file| with_path(name, file)) {
                _ if name.is_empty() => nameless(),
                Some(with_path) => cut(&with_path).to_owned(),
                None => cut(name).to_owned(),
            };
            let call = if index == last { Call::Real } else { Call::Inline };
            frame(function, file, named.line.filter(|line| *line > 0), call)
        };
        named.iter().enumerate().map(one).collect()
    }

    /// The file name of a module.
    fn module_name(&self, module: Option<u32>) -> String {
        let Some(id) = module else { return String::new() };
        let path = self.modules.get(&id).map(|module| module.path.as_str()).unwrap_or_default();
        match path.rsplit('/').find(|part| !part.is_empty()) {
            Some(name) => cut(name).to_owned(),
            None => format!("module-{id}"),
        }
    }
}

/// What stands for the function where a sampler could not take the stack, or the recording does not tell it.
const NO_STACK: &str = "no call stack";

/// A function's name without the hash that older Rust mangling puts behind it.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((before, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => before,
        _ => name,
    }
}

fn cut(name: &str) -> &str {
    let end = (0..=LONGEST_NAME.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{CallStacks, HeapKind, Moment, Symbol, Symbols};

    fn records() -> Vec<Record> {
        let address = |offset| CodeAddress { module: Some(3), offset };
        let frame =
            |function: &str, line| Frame { function: function.into(), file: Some("src/q.rs".into()), line: Some(line) };
        vec![
            Record::Stacks(Box::new(CallStacks {
                at: Moment(1),
                modules: vec![Module { id: 3, path: "/opt/x/server".into(), build_id: None }],
                stacks: vec![CallStack {
                    id: 9,
                    kind: HeapKind::Block,
                    frames: vec![address(16), address(255), CodeAddress { module: None, offset: 0x7f00 }],
                }],
            })),
            Record::Symbols(Box::new(Symbols {
                at: Moment(2),
                names: vec![Symbol {
                    address: address(16),
                    frames: vec![frame("push::h0123456789abcdef", 0), frame(" ", 0), frame("Queue::add", 345)],
                }],
            })),
        ]
    }

    #[test]
    fn functions_in_line_come_first_and_what_has_no_name_stays_an_offset() {
        let records = records();
        let names = Names::of(&records);
        let frames = names.frames(names.stack(9));
        let shown: Vec<(&str, Option<u32>, Call)> =
            frames.iter().map(|frame| (frame.function.as_str(), frame.line, frame.call)).collect();
        assert_eq!(
            shown,
            [
                ("push", None, Call::Inline),
                ("server+0x10", None, Call::Inline),
                ("Queue::add", Some(345), Call::Real),
                ("server+0xff", None, Call::Real),
                ("0x7f00", None, Call::Real),
            ]
        );
        assert!(frames.iter().take(4).all(|frame| frame.module == "server"));
    }

    #[test]
    fn only_a_whole_hash_is_taken_off_a_name_and_long_names_are_cut() {
        for (name, known) in [
            ("app::push::h0123456789abcdef", "app::push"),
            ("app::hfeed", "app::hfeed"),
            ("app::h0123456789abcdef0", "app::h0123456789abcdef0"),
            ("app::handle_all_of_this", "app::handle_all_of_this"),
            ("app::handle_all_thi", "app::handle_all_thi"),
        ] {
            assert_eq!(without_hash(name), known);
        }
        // Cut between characters.
        let long = "ü".repeat(1500);
        assert_eq!((cut(&long), cut(&format!("a{long}")).len()), (&long[..2000], 1999));
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn what_the_recording_does_not_tell_is_not_guessed() {
        let records = records();
        let names = Names::of(&records);
        assert_eq!(names.frames(names.stack(77))[0].function, NO_STACK);
        let cut = Names::of(&records[1..]);
        assert!(cut.stack(9).is_none() && cut.knows_functions());
        assert_eq!(cut.module_name(Some(3)), "module-3");
    }
}
