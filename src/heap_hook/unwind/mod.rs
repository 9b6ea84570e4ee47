//! Takes the call stack of the thread itself.
//!
//! Made for an allocator's caller: no allocation, no lock, no fault whatever the stack holds, and about ten
//! nanoseconds for a frame that was met before. What it does not do: guess. A stack that cannot be followed ends, and
//! says so.

mod cache;
mod cfi;
mod cursor;
mod expression;
pub mod modules;
mod stack;

#[cfg(test)]
mod tests;

use crate::wire::MAX_FRAMES;
pub use cache::clear;
use cfi::{Cfa, Rule, Saved};
use stack::Stack;

/// Looks for what is needed, once. Whether whole stacks can be taken.
pub fn prepare() -> bool {
    stack::prepare();
    modules::prepare()
}

/// The registers of a function that waits for a call to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Where it goes on.
    pub pc: usize,
    /// Its stack pointer after the call.
    pub sp: usize,
    /// Its frame pointer.
    pub bp: usize,
}

/// How a stack ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the first function of the thread.
    Whole,
    /// Where it could not be followed.
    Truncated,
    /// After as many frames as are kept.
    Deep,
}

/// A call stack, innermost first: return addresses. Where a signal came in between, the address is one past the interrupted
/// instruction, so that taking one off is right for every frame.
pub struct Walk {
    /// The addresses.
    pub frames: [u64; MAX_FRAMES],
    /// How many of them are set.
    pub length: usize,
    /// How the stack ended.
    pub end: End,
    /// Whether a signal handler is on it.
    pub is_in_handler: bool,
}

/// Takes the stack of a caller, from the stack pointer at the begin of the function it called and its frame pointer.
///
/// # Safety
///
/// Functions whose return addresses lie on the stack stay loaded meanwhile; those of the caller of `sp`'s owner do.
pub unsafe fn walk(sp: usize, bp: usize) -> Walk {
    let mut stack = Stack::around(sp);
    let mut walk = Walk { frames: [0; MAX_FRAMES], length: 0, end: End::Truncated, is_in_handler: false };
    let Some(pc) = stack.read(sp) else { return walk };
    let mut at = Registers { pc, sp: sp.wrapping_add(8), bp };
    // A return address may be the first of the next function: the call is one before it.
    let mut back = 1;
    loop {
        let Some(frame) = walk.frames.get_mut(walk.length) else {
            walk.end = End::Deep;
            return walk;
        };
        *frame = at.pc.wrapping_add(1 - back) as u64;
        walk.length += 1;
        match step(&mut stack, &at, back) {
            Step::To(next) if next.pc > 1 => {
                back = 1;
                at = next;
            }
            Step::Interrupted(next) if next.pc > 1 => {
                back = 0;
                at = next;
                walk.is_in_handler = true;
            }
            Step::To(_) | Step::Interrupted(_) | Step::Outermost => {
                walk.end = End::Whole;
                return walk;
            }
            Step::Lost => return walk,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    To(Registers),
    Interrupted(Registers),
    Outermost,
    Lost,
}

fn step(stack: &mut Stack, at: &Registers, back: usize) -> Step {
    let pc = at.pc.wrapping_sub(back);
    if let Some(rule) = cache::find(pc) {
        return simple(stack, at, rule);
    }
    let rule = modules::of(pc)
        .and_then(|module| module.description(pc).and_then(|description| cfi::rule(&module, description, pc)));
    let Some(rule) = rule else { return Step::Lost };
    if let Some(rule) = cache::Simple::of(&rule) {
        cache::keep(pc, rule);
        return simple(stack, at, rule);
    }
    by_tables(stack, at, &rule)
}

/// The step of a rule that is not simple.
fn by_tables(stack: &mut Stack, at: &Registers, rule: &Rule) -> Step {
    if matches!(rule.pc, Saved::Undefined) {
        return Step::Outermost;
    }
    match general(stack, at, rule) {
        Some(next) if rule.is_signal => Step::Interrupted(next),
        Some(next) => Step::To(next),
        None => Step::Lost,
    }
}

fn simple(stack: &mut Stack, at: &Registers, rule: cache::Simple) -> Step {
    if rule.is_outermost() {
        return Step::Outermost;
    }
    let cfa = rule.cfa(at.sp, at.bp);
    // Every frame holds at least its return address, so a stack that goes on goes up.
    if cfa <= at.sp {
        return Step::Lost;
    }
    let bp = match rule.bp() {
        Some(offset) => stack.read(cfa.wrapping_add_signed(offset)),
        None => Some(at.bp),
    };
    match (stack.read(cfa.wrapping_sub(8)), bp) {
        (Some(pc), Some(bp)) => Step::To(Registers { pc, sp: cfa, bp }),
        _ => Step::Lost,
    }
}

fn general(stack: &mut Stack, at: &Registers, rule: &Rule) -> Option<Registers> {
    let cfa = match rule.cfa {
        Cfa::Stack(offset) => at.sp.wrapping_add_signed(offset as isize),
        Cfa::Frame(offset) => at.bp.wrapping_add_signed(offset as isize),
        Cfa::Expression(expression) => expression::value(expression, at, stack, None)? as usize,
        Cfa::Unknown => return None,
    };
    // A signal may have come on a stack of its own, which can lie anywhere.
    if cfa <= at.sp && !rule.is_signal {
        return None;
    }
    let mut value = |saved: Saved, same: usize| -> Option<usize> {
        let first = Some(cfa as u64);
        match saved {
            Saved::Same | Saved::Undefined => Some(same),
            Saved::At(offset) => stack.read(cfa.wrapping_add_signed(offset as isize)),
            Saved::Value(offset) => Some(cfa.wrapping_add_signed(offset as isize)),
            Saved::Expression(code) => {
                let address = expression::value(code, at, stack, first)? as usize;
                stack.read(address)
            }
            Saved::ValueExpression(code) => Some(expression::value(code, at, stack, first)? as usize),
            Saved::Unknown => None,
        }
    };
    let pc = value(rule.pc, 0)?;
    let bp = value(rule.bp, at.bp)?;
    if rule.is_signal {
        *stack = Stack::around(cfa);
    }
    Some(Registers { pc, sp: cfa, bp })
}
