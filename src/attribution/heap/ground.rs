//! What a recording says of its call stacks as a whole: names, rules, owners. Made once for all scenarios.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::names::Names;
use super::owner::{Owner, owner};
use super::rules::Rules;
use super::{HeapFrame, Module};
use crate::recording::Recording;
use crate::sample::{HeapKind, Plan};

/// Names and owners of the stacks of a recording.
pub struct Ground<'a> {
    plan: &'a Plan,
    names: Names<'a>,
    known: RefCell<Known>,
}

#[derive(Default)]
struct Known {
    rules: Rules,
    stacks: HashMap<u32, Rc<Stack>>,
}

/// A stack with names and its owner.
#[derive(Debug)]
pub struct Stack {
    pub kind: HeapKind,
    pub frames: Vec<HeapFrame>,
    pub owner: Owner,
}

impl<'a> Ground<'a> {
    /// That of a recording.
    pub fn of(recording: &'a Recording) -> Self {
        let plan = &recording.header.plan;
        let known = Known { rules: Rules::of(plan), stacks: HashMap::new() };
        Self { plan, names: Names::of(&recording.records), known: RefCell::new(known) }
    }

    /// A stack by its number.
    pub fn stack(&self, id: u32) -> Rc<Stack> {
        let Known { rules, stacks } = &mut *self.known.borrow_mut();
        let stack = stacks.entry(id).or_insert_with(|| {
            let told = self.names.stack(id);
            let frames = self.names.frames(told);
            let owner = owner(self.plan, rules, &frames);
            Rc::new(Stack { kind: told.map_or(HeapKind::Block, |told| told.kind), frames, owner })
        });
        Rc::clone(stack)
    }

    /// Whether functions have names at all.
    pub fn knows_functions(&self) -> bool {
        self.names.knows_functions()
    }

    /// Every module.
    pub fn modules(&self) -> Vec<Module> {
        self.names.modules().cloned().collect()
    }
}
