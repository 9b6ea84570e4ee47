//! What the name of a column says: what is in it, and in which unit.

use super::MIB;

/// Words of which the name of a time column is made, units aside.
const TIME_WORDS: &str = "\
    t ts time timestamp elapsed date datetime unix epoch utc gmt clock wall at etime etimes uptime recorded \
    collected";
/// Time columns that count from the start of a process or of a recording.
const ELAPSED_WORDS: &str = "\
    elapsed etime etimes uptime";
/// Units of time, in seconds.
const TIME_UNITS: [(&str, f64); 14] = [
    ("s", 1.0),
    ("sec", 1.0),
    ("secs", 1.0),
    ("second", 1.0),
    ("seconds", 1.0),
    ("ms", 1e-3),
    ("millis", 1e-3),
    ("milliseconds", 1e-3),
    ("us", 1e-6),
    ("ns", 1e-9),
    ("min", 60.0),
    ("minutes", 60.0),
    ("h", 3600.0),
    ("hours", 3600.0),
];
const KIB: f64 = 1024.0;
const GIB: f64 = 1024.0 * MIB;
const TIB: f64 = 1024.0 * GIB;
/// Units of memory, in bytes. Programs that count memory in kB or MB mean powers of 1,024.
const MEMORY_UNITS: [(&str, f64); 25] = [
    ("bytes", 1.0),
    ("byte", 1.0),
    ("ki", KIB),
    ("kb", KIB),
    ("kib", KIB),
    ("kilobytes", KIB),
    ("kibibytes", KIB),
    ("kbytes", KIB),
    ("mi", MIB),
    ("mb", MIB),
    ("mib", MIB),
    ("megabytes", MIB),
    ("mebibytes", MIB),
    ("mbytes", MIB),
    ("gi", GIB),
    ("gb", GIB),
    ("gib", GIB),
    ("gigabytes", GIB),
    ("gibibytes", GIB),
    ("gbytes", GIB),
    ("ti", TIB),
    ("tb", TIB),
    ("tib", TIB),
    ("terabytes", TIB),
    ("tebibytes", TIB),
];
/// Units that only a cell or `--unit` can have: as a word of a name a letter says nothing.
const LETTER_UNITS: [(&str, f64); 6] = [("b", 1.0), ("k", KIB), ("m", MIB), ("g", GIB), ("t", TIB), ("pages", 4096.0)];
const VALUE_NAMES: &str = "\
    value val v y";
/// Memory that a process holds.
const MEMORY_WORDS: &str = "\
    rss res resident real uss pss private memory mem heap vmrss working anon footprint inuse alloc";
/// Things that are counted.
const COUNT_WORDS: &str = "\
    fds fd descriptors handles threads thread goroutines goroutine connections conns sockets nlwp nth thrd \
    tasks processes procs zombies children sessions clients subscriptions subscribers listeners files pipes \
    timers workers coroutines inodes queue items entries objects messages backlog pending locks cursors \
    classes watches";
/// Words that make neither memory nor a count of a name: bounds, and what is left.
const BOUND_WORDS: &str = "\
    limit limits max quota capacity threshold free available avail cpu duration latency virtual virt vsz vms \
    vsize vmsize";
/// Words of other memory, of no process or of a part of it.
const OTHER_WORDS: &str = "\
    swap cache cached buffers buff committed commit reserved shared shr minflt majflt faults io net rx tx \
    read write disk total external idle uid user tty stat state flags interval load priority pri nice seq \
    index row version code stacks target active inactive inact dirty slab anonpg kstack pgtbl vmused huge";
/// Columns that say whose value it is.
const LABEL_WORDS: &str = "\
    pod container pid instance host hostname namespace node name process command cmd comm args app \
    application service job task worker replica series metric program id cluster field measurement server \
    deployment machine";
const PERCENT_WORDS: &str = "\
    percent pct percentage perc pmem ratio utilization";
const OPERATIONS: [&[&str]; 10] = [
    &["ops"],
    &["op"],
    &["operations"],
    &["requests"],
    &["ops", "total"],
    &["operations", "total"],
    &["requests", "total"],
    &["total", "requests"],
    &["request", "count"],
    &["requests", "count"],
];
/// Words that programs write as one.
const JOINED: [(&str, &[&str]); 12] = [
    ("memused", &["mem", "used"]),
    ("memfree", &["mem", "free"]),
    ("memusage", &["mem", "usage"]),
    ("openfds", &["open", "fds"]),
    ("numfds", &["num", "fds"]),
    ("numthreads", &["num", "threads"]),
    ("threadcount", &["threads"]),
    ("fdcount", &["fds"]),
    ("heapused", &["heap", "used"]),
    ("heaptotal", &["heap", "total"]),
    ("workingset", &["working", "set"]),
    ("memreal", &["mem", "real"]),
];

/// What a column holds, as far as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Time,
    Operations,
    Phase,
    Cycle,
    /// Whose value it is.
    Label,
    /// The value, whatever it counts.
    Value,
    /// Memory of a process.
    Memory,
    /// Things.
    Count,
    /// A share of something.
    Percent,
    /// A counter that never goes down, like `requests_total`.
    Counter,
    /// Something beside the value.
    Other,
    Unknown,
}

/// The name of a column, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub words: Vec<String>,
    has_percent_sign: bool,
}

impl Name {
    /// `Real (MB)`, `real_mb` and `RealMb` are the same.
    pub fn of(name: &str) -> Self {
        let mut words: Vec<String> = Vec::new();
        for token in name.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty()) {
            let lower = token.to_lowercase();
            if memory_unit(&lower).is_some() {
                words.push(lower);
                continue;
            }
            for word in humps(token) {
                add(&mut words, &word.to_lowercase());
            }
        }
        Self { words, has_percent_sign: name.contains('%') }
    }

    fn has(&self, list: &str) -> bool {
        self.words.iter().any(|word| is_in(list, word))
    }

    pub fn is(&self, wanted: &[&str]) -> bool {
        self.words.iter().map(String::as_str).eq(wanted.iter().copied())
    }

    /// Ends with these words, as `memory.rss` does with `rss`.
    pub fn ends(&self, wanted: &[&str]) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        words.ends_with(wanted)
    }

    /// Bytes in one of the column's unit, where its name says it.
    pub fn unit(&self) -> Option<f64> {
        // psrecord's CSV does not write the unit of this one.
        let psrecord = self.is(&["mem", "real"]).then_some(MIB);
        let ends = [self.words.last(), self.words.first()].into_iter().flatten();
        psrecord.or_else(|| ends.into_iter().find_map(|word| memory_unit(word)))
    }

    /// Seconds in one of the column's unit, where its name says it.
    pub fn time_unit(&self) -> Option<f64> {
        self.words.iter().find_map(|word| in_table(&TIME_UNITS, word))
    }

    pub fn is_elapsed(&self) -> bool {
        self.has(ELAPSED_WORDS)
    }

    pub fn is_date_alone(&self) -> bool {
        self.is(&["date"])
    }

    /// The words that say what is measured, without those that say of whom.
    pub fn measure(&self) -> Vec<&str> {
        let told =
            |word: &&String| is_in(MEMORY_WORDS, word) || is_in(COUNT_WORDS, word) || memory_unit(word).is_some();
        self.words.iter().filter(told).map(String::as_str).collect()
    }

    pub fn meaning(&self) -> Meaning {
        let time = |word: &String| is_in(TIME_WORDS, word) || in_table(&TIME_UNITS, word).is_some();
        let is_unit = |word: &String| memory_unit(word).is_some();
        let is_label = |word: &String| is_in(LABEL_WORDS, word);
        match self.words.as_slice() {
            _ if self.has_percent_sign || self.has(PERCENT_WORDS) => Meaning::Percent,
            [] => Meaning::Unknown,
            [one] if one == "phase" => Meaning::Phase,
            [one] if one == "cycle" => Meaning::Cycle,
            _ if OPERATIONS.iter().any(|name| self.is(name)) => Meaning::Operations,
            words if words.iter().all(time) => Meaning::Time,
            [first, rest @ ..] if is_in(VALUE_NAMES, first) && rest.len() < 2 && rest.iter().all(is_unit) => {
                Meaning::Value
            }
            words if words.iter().all(is_label) => Meaning::Label,
            words if words.len() > 1 && words[words.len() - 1] == "total" => {
                if self.has("mem memory heap") && words.len() == 2 { Meaning::Other } else { Meaning::Counter }
            }
            _ if self.has(BOUND_WORDS) => Meaning::Other,
            words if self.has(COUNT_WORDS) && !words.last().is_some_and(is_unit) => Meaning::Count,
            _ if self.has(OTHER_WORDS) => Meaning::Other,
            words if self.has(MEMORY_WORDS) || words.last().is_some_and(is_unit) => Meaning::Memory,
            _ => Meaning::Unknown,
        }
    }
}

/// Adds a word, put together or taken apart as programs write it.
fn add(words: &mut Vec<String>, word: &str) {
    // `rssMiB` comes in three humps.
    if word == "b" && words.last().is_some_and(|last| ["ki", "mi", "gi", "ti"].contains(&last.as_str())) {
        if let Some(last) = words.last_mut() {
            last.push('b');
        }
        return;
    }
    // sar writes the unit in front: `kbmemused`.
    if let Some(rest) = word.strip_prefix("kb").filter(|rest| rest.len() > 3 && *rest != "ytes") {
        add(words, rest);
        words.push("kb".into());
        return;
    }
    match JOINED.iter().find(|(joined, _)| *joined == word) {
        Some((_, parts)) => words.extend(parts.iter().map(|part| (*part).to_owned())),
        None => words.push(word.to_owned()),
    }
}

/// The parts of a name that capitals separate: `heapUsed`, `CPUPerc`.
fn humps(token: &str) -> Vec<String> {
    let letters: Vec<char> = token.chars().collect();
    let mut parts = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let after_lower = at > 0 && letters[at - 1].is_lowercase() && letter.is_uppercase();
        let begins_word = at > 0
            && letters[at - 1].is_uppercase()
            && letter.is_uppercase()
            && letters.get(at + 1).is_some_and(|next| next.is_lowercase())
            && letters.get(at + 2).is_some_and(|next| next.is_lowercase());
        if after_lower || begins_word {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(*letter);
        }
    }
    parts
}

/// Whether a list of words, parted by blanks, holds a word.
fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

fn in_table(table: &[(&str, f64)], word: &str) -> Option<f64> {
    table.iter().find(|(name, _)| *name == word).map(|(_, unit)| *unit)
}

fn memory_unit(word: &str) -> Option<f64> {
    in_table(&MEMORY_UNITS, word)
}

/// Bytes in a unit as a cell or `--unit` writes it: `MiB`, `Mi`, `m`, `kB`.
pub(super) fn unit_named(text: &str) -> Option<f64> {
    let text = text.trim().to_lowercase();
    memory_unit(&text).or_else(|| in_table(&LETTER_UNITS, &text))
}

#[cfg(test)]
mod tests;
