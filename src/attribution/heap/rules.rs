//! The `frames` rules of subsystems: globs on a function, a source file or a module.

use std::collections::HashMap;

use super::HeapFrame;
use super::library::path;
use crate::attribution::patterns::Pattern;
use crate::sample::{CodeAddress, Plan};

/// Every rule, in the order of the file.
#[derive(Default)]
pub struct Rules {
    rules: Vec<Rule>,
    known: HashMap<(CodeAddress, String), Option<usize>>,
}

struct Rule {
    /// The subsystem's place in the file.
    subsystem: usize,
    pattern: Pattern,
    /// A path of code is no path of files.
    of: Of,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Functions,
    Files,
    Anything,
}

impl Rules {
    /// Those of a plan.
    pub fn of(plan: &Plan) -> Self {
        let globs = plan
            .subsystems
            .iter()
            .enumerate()
            .flat_map(|(subsystem, found)| found.owns.frames.iter().map(move |glob| (subsystem, glob)));
        let rules = globs.map(|(subsystem, glob)| Rule { subsystem, pattern: Pattern::new(glob), of: Of::glob(glob) });
        Self { rules: rules.collect(), known: HashMap::new() }
    }

    /// The subsystem that owns a stack, and the frame that says so. The innermost frame that any rule fits decides: whoever
    /// calls a subsystem does not hold what it keeps. Where several rules fit that frame, the first subsystem of the file has it.
    pub fn owner(&mut self, frames: &[HeapFrame]) -> Option<(usize, usize)> {
        if self.rules.is_empty() {
            return None;
        }
        frames.iter().enumerate().find_map(|(index, frame)| Some((self.of_frame(frame)?, index)))
    }

    /// The subsystem whose rule fits a frame.
    pub fn of_frame(&mut self, frame: &HeapFrame) -> Option<usize> {
        let key = (frame.address, frame.function.clone());
        let rules = &self.rules;
        *self.known.entry(key).or_insert_with(|| {
            let path = path(&frame.function);
            rules.iter().find(|rule| rule.fits(frame, &path)).map(|rule| rule.subsystem)
        })
    }
}

impl Of {
    fn glob(glob: &str) -> Self {
        match (glob.contains("::"), glob.contains('/')) {
            (true, _) => Self::Functions,
            (false, true) => Self::Files,
            (false, false) => Self::Anything,
        }
    }
}

impl Rule {
    fn fits(&self, frame: &HeapFrame, path: &str) -> bool {
        let function = || self.pattern.fits(path) || self.pattern.fits(&frame.function);
        let file = || {
            let fits = |file: &str| endings(file).any(|ending| self.pattern.fits(ending));
            frame.file.as_deref().is_some_and(fits) || (!frame.module.is_empty() && self.pattern.fits(&frame.module))
        };
        match self.of {
            Of::Functions => function(),
            Of::Files => file(),
            Of::Anything => function() || file(),
        }
    }
}

/// A path, and what is left of it without its first folders: `src/a.rs` is the end of `/home/x/src/a.rs`.
pub fn endings(path: &str) -> impl Iterator<Item = &str> {
    std::iter::once(path)
        .chain(path.match_indices('/').map(move |(at, _)| &path[at + 1..]))
        .filter(|end| !end.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::heap::Call;
    use crate::sample::{Subsystem, SubsystemRules};

    fn rules(subsystems: &[&[&str]]) -> Rules {
        let subsystem = |globs: &&[&str]| Subsystem {
            name: "x".into(),
            priority: None,
            source: None,
            owns: SubsystemRules {
                frames: globs.iter().map(|glob| (*glob).to_owned()).collect(),
                ..SubsystemRules::default()
            },
        };
        Rules::of(&Plan { subsystems: subsystems.iter().map(subsystem).collect(), ..Plan::default() })
    }

    fn frame(function: &str, file: &str, module: &str) -> HeapFrame {
        let address = CodeAddress { module: Some(0), offset: 1 };
        let file = Some(file.to_owned()).filter(|file| !file.is_empty());
        HeapFrame { function: function.into(), file, line: None, module: module.into(), address, call: Call::Real }
    }

    #[test]
    fn a_rule_fits_a_function_however_it_is_shown() {
        let queue = "orchestrator::work_queue::*";
        for (glob, function, file, module, fits) in [
            (queue, "orchestrator::work_queue::WorkQueue::add", "", "orchestrator", true),
            (queue, "<orchestrator::work_queue::WorkQueue>::add", "", "orchestrator", true),
            (queue, "<orchestrator::work_queue::WorkQueue as core::ops::Drop>::drop", "", "orchestrator", true),
            (queue, "orchestrator::work_queue::add::{{closure}}", "", "orchestrator", true),
            (queue, "core::ptr::drop_in_place<orchestrator::work_queue::WorkQueue>", "", "orchestrator", false),
            (queue, "orchestrator::work_queues::add", "", "orchestrator", false),
            ("<*::WorkQueue as *>::drop", "<a::WorkQueue as core::ops::Drop>::drop", "", "x", true),
            ("ns::Queue::*", "void ns::Queue::add<int>(int)", "", "server", true),
            ("createStringObject*", "createStringObjectFromLong", "", "redis-server", true),
            ("src/work_queue.rs", "add", "/home/me/x/src/work_queue.rs", "x", true),
            ("*/src/work_queue.rs", "add", "/home/me/x/src/work_queue.rs", "x", true),
            ("work_queue.rs", "add", "/home/me/x/src/work_queue.rs", "x", true),
            ("src/work_queue.rs", "add", "/home/me/x/src/other.rs", "x", false),
            ("libplugin.so*", "f", "", "libplugin.so.3", true),
            ("[", "[", "", "x", false),
        ] {
            let mut rules = rules(&[&[glob]]);
            assert_eq!(rules.owner(&[frame(function, file, module)]).is_some(), fits, "{glob} on {function} {file}");
        }
    }

    #[test]
    fn the_innermost_frame_decides_and_the_file_order_between_rules_on_it() {
        let stack: Vec<HeapFrame> =
            ["alloc::vec::push", "app::cache::put", "app::queue::add", "app::main"].map(|f| frame(f, "", "app")).into();
        assert_eq!(rules(&[&["app::queue::*"], &["app::cache::*"]]).owner(&stack), Some((1, 1)));
        assert_eq!(rules(&[&["app::*"], &["app::cache::*"]]).owner(&stack), Some((0, 1)));
        assert_eq!(rules(&[&["nothing::*"], &["app::main"]]).owner(&stack), Some((1, 3)));
        assert_eq!(rules(&[&["nothing::*"], &[]]).owner(&stack), None);
        assert_eq!(rules(&[]).owner(&stack), None);
    }
}
