//! A pprof profile (`profile.proto` of github.com/google/pprof), packed with gzip.
//!
//! Sample types are those of a heap profile: `inuse_objects` and `inuse_space`. The values are growth, so that stacks
//! that shrank are below zero, as in the difference of two profiles. A function that was put in line is a further line of its caller's
//! location. Each module has a mapping with its build-id, so that viewers can find its names themselves; in it, addresses are offsets in the
//! module's file.

use std::collections::HashMap;
use std::io::{self, Write};

use flate2::{Compression, GzBuilder};

use super::protobuf::Message;
use super::{Placed, StackAmount, StackFrame, StackModule, harmless};

/// What a profile says besides its stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Profile<'a> {
    /// The modules that frames name by their place.
    pub modules: &'a [StackModule],
    /// The mean number of bytes between two samples.
    pub interval_bytes: u64,
    /// When it was taken: nanoseconds since 1970, 0 where that is not known.
    pub time_ns: i64,
    /// Over how long it grew, in nanoseconds, 0 where that is not known.
    pub duration_ns: i64,
}

/// How far the mappings lie apart, in bits. No file is as large.
const MAPPING_BITS: u32 = 44;

/// Fields of `Profile`.
mod field {
    pub(super) const SAMPLE_TYPE: u64 = 1;
    pub(super) const SAMPLE: u64 = 2;
    pub(super) const MAPPING: u64 = 3;
    pub(super) const LOCATION: u64 = 4;
    pub(super) const FUNCTION: u64 = 5;
    pub(super) const STRING: u64 = 6;
    pub(super) const TIME: u64 = 9;
    pub(super) const DURATION: u64 = 10;
    pub(super) const PERIOD_TYPE: u64 = 11;
    pub(super) const PERIOD: u64 = 12;
    pub(super) const COMMENT: u64 = 13;
    pub(super) const DEFAULT_SAMPLE_TYPE: u64 = 14;
}

/// Writes the growth of stacks as a profile that `go tool pprof` and its like read. Stacks that neither grew nor shrank are left out.
///
/// # Errors
///
/// The output cannot be written.
pub fn write_pprof(stacks: &[StackAmount], profile: &Profile<'_>, out: impl Write) -> io::Result<()> {
    // No name and no time in its header: the same growth is the same file.
    let mut packer = GzBuilder::new().mtime(0).write(out, Compression::default());
    packer.write_all(&encoded(stacks, profile))?;
    packer.finish()?.flush()
}

fn encoded(stacks: &[StackAmount], profile: &Profile<'_>) -> Vec<u8> {
    let mut tables = Tables::new(profile.modules.len());
    let mut message = Message::default();
    let objects = tables.value_type("inuse_objects", "count");
    let space = tables.value_type("inuse_space", "bytes");
    message.message(field::SAMPLE_TYPE, &objects).message(field::SAMPLE_TYPE, &space);
    for stack in stacks {
        let (blocks, bytes) = (stack.blocks.round() as i64, stack.bytes.round() as i64);
        if (blocks, bytes) != (0, 0) && !stack.frames.is_empty() {
            message.message(field::SAMPLE, &tables.sample(stack, [blocks, bytes]));
        }
    }
    for (number, module) in (1..).zip(profile.modules) {
        message.message(field::MAPPING, &tables.mapping(number, module));
    }
    let period = tables.value_type("space", "bytes");
    let comment = tables.strings.number("growth of live heap bytes by call stack, estimated from samples");
    let default = tables.strings.number("inuse_space");
    tables.locations.iter().for_each(|location| _ = message.message(field::LOCATION, location));
    tables.functions.iter().for_each(|function| _ = message.message(field::FUNCTION, function));
    tables.strings.all.iter().for_each(|text| _ = message.text(field::STRING, text));
    message
        .signed(field::TIME, profile.time_ns)
        .signed(field::DURATION, profile.duration_ns)
        .message(field::PERIOD_TYPE, &period)
        .number(field::PERIOD, profile.interval_bytes)
        .numbers(field::COMMENT, [comment])
        .number(field::DEFAULT_SAMPLE_TYPE, default);
    message.into_bytes()
}

/// A module with an address in it, and the functions there with their lines, all by number.
type Location = ((u64, u64), Vec<(u64, u64)>);

/// What samples refer to by number. Numbers begin at one, those of texts at the empty one, zero.
struct Tables {
    strings: Strings,
    modules: usize,
    locations: Vec<Message>,
    known_locations: HashMap<Location, u64>,
    functions: Vec<Message>,
    known_functions: HashMap<(u64, u64), u64>,
}

impl Tables {
    fn new(modules: usize) -> Self {
        let mut strings = Strings::default();
        strings.number("");
        Self {
            strings,
            modules,
            locations: Vec::new(),
            known_locations: HashMap::new(),
            functions: Vec::new(),
            known_functions: HashMap::new(),
        }
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> Message {
        let mut message = Message::default();
        message.number(1, self.strings.number(kind)).number(2, self.strings.number(unit));
        message
    }

    fn sample(&mut self, stack: &StackAmount, values: [i64; 2]) -> Message {
        // A location is a run of functions in line and the one that they were put into.
        let mut locations = Vec::new();
        for frames in stack.frames.split_inclusive(|frame| frame.placed == Placed::Called) {
            locations.push(self.location(frames));
        }
        let mut message = Message::default();
        message.numbers(1, locations).numbers(2, values.map(i64::cast_unsigned));
        if !stack.owner.is_empty() {
            let mut label = Message::default();
            label.number(1, self.strings.number("owner")).number(2, self.strings.number(&stack.owner));
            message.message(3, &label);
        }
        message
    }

    fn mapping(&mut self, number: u64, module: &StackModule) -> Message {
        let mut message = Message::default();
        message
            .number(1, number)
            .number(2, number << MAPPING_BITS)
            .number(3, (number + 1) << MAPPING_BITS)
            .number(5, self.strings.number(&module.path))
            .number(6, self.strings.number(module.build_id.as_deref().unwrap_or_default()));
        // What the profile has already: functions, files, lines, and what is in line.
        (7..=10).for_each(|has| _ = message.number(has, 1));
        message
    }

    fn location(&mut self, frames: &[StackFrame]) -> u64 {
        // Never empty: runs of a stack hold a frame at least.
        let outermost = frames.last().cloned().unwrap_or_default();
        let module = outermost.module.filter(|module| *module < self.modules).map_or(0, |module| module as u64 + 1);
        let line = |frame: &StackFrame| u64::from(frame.line.unwrap_or(0));
        let lines: Vec<(u64, u64)> = frames.iter().map(|frame| (self.function(frame), line(frame))).collect();
        let next = self.locations.len() as u64 + 1;
        let known = ((module, outermost.offset), lines.clone());
        let number = *self.known_locations.entry(known).or_insert(next);
        if number == next {
            let mut message = Message::default();
            message
                .number(1, number)
                .number(2, module)
                .number(3, (module << MAPPING_BITS).wrapping_add(outermost.offset));
            for (function, line) in lines {
                let mut text = Message::default();
                text.number(1, function).number(2, line);
                message.message(4, &text);
            }
            self.locations.push(message);
        }
        number
    }

    fn function(&mut self, frame: &StackFrame) -> u64 {
        let name = self.strings.number(&frame.function);
        let file = self.strings.number(frame.file.as_deref().unwrap_or_default());
        let next = self.functions.len() as u64 + 1;
        let number = *self.known_functions.entry((name, file)).or_insert(next);
        if number == next {
            let mut message = Message::default();
            // No name as linkers write it: readers would take this one for it, and cut what is between angle brackets.
            message.number(1, number).number(2, name).number(4, file);
            self.functions.push(message);
        }
        number
    }
}

/// Texts by number.
#[derive(Default)]
struct Strings {
    all: Vec<String>,
    known: HashMap<String, u64>,
}

impl Strings {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        let number = self.all.len() as u64;
        self.all.push(harmless(text));
        self.known.insert(text.to_owned(), number);
        number
    }
}
