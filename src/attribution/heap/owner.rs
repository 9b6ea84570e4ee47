//! Who owns a call stack.

use super::library::{Library, is_entry, library};
use super::rules::{Rules, endings};
use super::{HeapFrame, OwnedBy, tidy_function};
use crate::sample::Plan;

/// An owner of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The subsystem's name, or the function's.
    pub name: String,
    /// How it was found.
    pub by: OwnedBy,
    /// The frame that stands for it.
    pub at: usize,
}

/// The owner of a stack of one frame at least.
pub fn owner(plan: &Plan, rules: &mut Rules, frames: &[HeapFrame]) -> Owner {
    if let Some((subsystem, innermost)) = rules.owner(frames)
        && let Some(owner) = plan.subsystems.get(subsystem)
    {
        // The file says where its code is: a frame there says more than one in a library that it uses.
        let at_source = owner.source.as_deref().and_then(|source| {
            let here = |frame: &HeapFrame| frame.file.as_deref().is_some_and(|file| is_in(file, source));
            (innermost..frames.len()).find(|&at| here(&frames[at]) && rules.of_frame(&frames[at]) == Some(subsystem))
        });
        let at = at_source.unwrap_or(innermost);
        return Owner { name: owner.name.clone(), by: OwnedBy::Rule, at };
    }
    // A program may bring its own allocator: what that calls holds nothing.
    let begin = frames.iter().rposition(is_entry).unwrap_or(0);
    let known = |wanted: fn(Option<Library>) -> bool| (begin..frames.len()).find(|&at| wanted(library(&frames[at])));
    let own = known(|library| library.is_none());
    // Where all is the language's, whoever asked the allocator is all that can be said.
    let at = own.or_else(|| known(|library| library == Some(Library::Standard)));
    let at = at.unwrap_or(frames.len().saturating_sub(1));
    let by = if own.is_some() { OwnedBy::Function } else { OwnedBy::Library };
    let name = frames.get(at).map(|frame| tidy_function(&frame.function)).unwrap_or_default();
    Owner { name, by, at }
}

/// Whether a file is the one that a scenario file names, or lies below it: paths may be absolute in one and not in the other.
fn is_in(file: &str, source: &str) -> bool {
    let source = source.split(':').next().unwrap_or(source).trim_start_matches("./").trim_end_matches('/');
    let below = |ending: &str| ending.strip_prefix(source).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    !source.is_empty() && (endings(file).any(below) || endings(source).any(|ending| ending == file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::heap::Call;
    use crate::sample::{CodeAddress, Subsystem, SubsystemRules};

    fn frames(of: &[(&str, &str)]) -> Vec<HeapFrame> {
        let frame = |(offset, (function, file)): (usize, &(&str, &str))| HeapFrame {
            function: (*function).into(),
            file: Some((*file).to_owned()).filter(|file| !file.is_empty()),
            line: None,
            module: "app".into(),
            address: CodeAddress { module: Some(0), offset: offset as u64 },
            call: Call::Real,
        };
        of.iter().enumerate().map(frame).collect()
    }

    fn found(plan: &Plan, of: &[(&str, &str)]) -> (String, usize) {
        let owner = owner(plan, &mut Rules::of(plan), &frames(of));
        (owner.name, owner.at)
    }

    #[test]
    fn without_rules_the_first_function_of_the_program_has_it() {
        let plan = Plan::default();
        let in_line = [
            ("__rust_alloc", ""),
            ("grow_one<u8>", "/rustc/abc/library/alloc/src/raw_vec.rs"),
            ("push<u8>", "/rustc/abc/library/alloc/src/vec/mod.rs"),
            ("app::queue::Queue::add", "/x/src/queue.rs"),
            ("app::main", "/x/src/main.rs"),
        ];
        assert_eq!(found(&plan, &in_line), ("app::queue::Queue::add".into(), 3));
        assert_eq!(
            found(&plan, &[("malloc", ""), ("std::io::open", ""), ("std::rt::start", "")]),
            ("std::io::open".into(), 1)
        );
        assert_eq!(found(&plan, &[("malloc", "")]), ("malloc".into(), 0));
        let own_allocator =
            [("app::memory::count", ""), ("app::__rust_alloc", "/x/app/src/main.rs"), ("app::keep", "")];
        assert_eq!(found(&plan, &own_allocator), ("app::keep".into(), 2));
        assert_eq!(found(&plan, &[("malloc", ""), ("app+0x12", ""), ("main", "")]), ("app+0x12".into(), 1));
    }

    #[test]
    fn a_rule_names_its_frame_and_the_declared_source_the_place_in_it() {
        let subsystem = Subsystem {
            name: "History".into(),
            priority: None,
            source: Some("app/src/documents.rs".into()),
            owns: SubsystemRules {
                frames: vec!["app::documents::*".into(), "automerge::*".into()],
                ..SubsystemRules::default()
            },
        };
        let plan = Plan { subsystems: vec![subsystem], ..Plan::default() };
        let library = ("automerge::op::insert", "/registry/automerge/src/op.rs");
        let stack =
            [("malloc", ""), library, ("app::documents::edit", "/home/me/app/src/documents.rs"), ("app::main", "")];
        assert_eq!(found(&plan, &stack), ("History".into(), 2));
        assert_eq!(found(&plan, &stack[..2]), ("History".into(), 1));
        // A caller in the same file that no rule names is not the owner.
        let other = [library, ("main", "/home/me/app/src/documents.rs")];
        assert_eq!(found(&plan, &other), ("History".into(), 0));
    }

    #[test]
    fn a_file_is_found_by_its_end() {
        for (file, source, is) in [
            ("/home/me/app/src/queue.rs", "src/queue.rs", true),
            ("src/queue.rs", "app/src/queue.rs", true),
            ("/home/me/app/src/queue/add.rs", "src/queue", true),
            ("/home/me/app/src/queue.rs", "src/queue.rs:345", true),
            ("/home/me/app/src/queue2.rs", "src/queue", false),
            ("/home/me/app/src/queue.rs", "", false),
        ] {
            assert_eq!(is_in(file, source), is, "{file} {source}");
        }
    }
}
