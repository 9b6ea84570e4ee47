//! Call stacks with a number each, and the sum of what is alive at them over several processes.
//!
//! A stack is the same in every process that calls through the same places in the same files, and has one number for a whole
//! recording. A look names a bounded number of stacks; what is alive at the others is one sum.

use std::collections::HashMap;
use std::sync::Arc;

use super::Estimate;
use crate::sample::{CallStack, CodeAddress, HeapKind, HeapLive};

/// Most stacks that one look names.
const MOST: usize = 400;
/// Most of these that are there because they grow, however little they hold.
const MOST_GROWING: usize = 200;
/// How much more a stack that no look has named must hold to take the place of one that was named: curves of stacks that
/// come and go say nothing.
const HYSTERESIS: f64 = 1.5;
/// Most stacks that are told apart in one recording.
const MOST_KNOWN: usize = 200_000;

/// The stacks of a recording.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    numbers: HashMap<Arc<Key>, u32>,
    known: Vec<Known>,
    /// Those with something alive in the look that is being put together.
    seen: Vec<u32>,
    rest: Estimate,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: HeapKind,
    frames: Vec<CodeAddress>,
}

#[derive(Debug)]
struct Known {
    key: Arc<Key>,
    standing: Standing,
    /// What was taken for it when it was first seen in this target.
    first: Option<f64>,
    now: Estimate,
}

/// Whether the recording knows a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unnamed,
    Named,
}

/// What of a look is about stacks.
#[derive(Debug, PartialEq)]
pub(super) struct Chosen {
    /// Stacks that no look has named before.
    pub(super) new: Vec<CallStack>,
    /// What is alive at the stacks that are named, most bytes first.
    pub(super) live: Vec<HeapLive>,
    /// What is alive elsewhere.
    pub(super) rest: HeapLive,
}

impl Stacks {
    /// The number of a stack; `None` when there are too many.
    pub(super) fn number(&mut self, kind: HeapKind, frames: Vec<CodeAddress>) -> Option<u32> {
        let key = Key { kind, frames };
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        let number = u32::try_from(self.known.len()).ok().filter(|_| self.known.len() < MOST_KNOWN)?;
        let key = Arc::new(key);
        self.numbers.insert(Arc::clone(&key), number);
        self.known.push(Known { key, standing: Standing::Unnamed, first: None, now: Estimate::default() });
        Some(number)
    }

    /// Another target begins: what is alive in it has not grown yet.
    pub(super) fn begin_target(&mut self) {
        self.known.iter_mut().for_each(|known| known.first = None);
    }

    /// Adds what is alive at a stack of one process, or at none that can be told.
    pub(super) fn add(&mut self, number: Option<u32>, live: Estimate) {
        if live.samples == 0 {
            return;
        }
        match number.and_then(|number| Some((number, self.known.get_mut(number as usize)?))) {
            None => self.rest += live,
            Some((number, known)) => {
                if known.now.samples == 0 {
                    self.seen.push(number);
                }
                known.now += live;
            }
        }
    }

    /// Ends a look: which stacks it names, and the sums.
    pub(super) fn finish(&mut self) -> Chosen {
        let mut seen = std::mem::take(&mut self.seen);
        for number in &seen {
            let known = &mut self.known[*number as usize];
            known.first.get_or_insert(known.now.footprint);
        }
        let known = |number: &u32| &self.known[*number as usize];
        let by = |value: &dyn Fn(&Known) -> f64, a: &u32, b: &u32| {
            value(known(b)).total_cmp(&value(known(a))).then(a.cmp(b))
        };
        seen.sort_by(|a, b| by(&Known::growth, a, b));
        let growing = seen.iter().take(MOST_GROWING).take_while(|number| known(number).growth() > 0.0).count();
        seen[growing..].sort_by(|a, b| by(&Known::weight, a, b));
        let others = seen.split_off(seen.len().min(MOST));
        seen.sort_by(|a, b| by(&|known| known.now.bytes, a, b));
        let mut rest = std::mem::take(&mut self.rest);
        for number in others {
            rest += std::mem::take(&mut self.known[number as usize].now);
        }
        let mut chosen = Chosen { new: Vec::new(), live: Vec::new(), rest: live(0, rest) };
        for id in seen {
            let known = &mut self.known[id as usize];
            chosen.live.push(live(id, std::mem::take(&mut known.now)));
            if std::mem::replace(&mut known.standing, Standing::Named) == Standing::Unnamed {
                chosen.new.push(CallStack { id, kind: known.key.kind, frames: known.key.frames.clone() });
            }
        }
        chosen
    }

    /// The addresses of all stacks that looks have named.
    pub(super) fn named(&self) -> impl Iterator<Item = CodeAddress> {
        let named = self.known.iter().filter(|known| known.standing == Standing::Named);
        named.flat_map(|known| known.key.frames.iter().copied())
    }
}

impl Known {
    /// By how much it has grown in this target; nothing before a look has named it.
    fn growth(&self) -> f64 {
        match (self.standing, self.first) {
            (Standing::Named, Some(first)) => self.now.footprint - first,
            _ => 0.0,
        }
    }

    /// How much it matters.
    fn weight(&self) -> f64 {
        match self.standing {
            Standing::Named => HYSTERESIS * self.now.footprint,
            Standing::Unnamed => self.now.footprint,
        }
    }
}

/// An estimate as a recording keeps it, in whole bytes and blocks.
fn live(stack: u32, of: Estimate) -> HeapLive {
    // The error of the estimate is that of the bytes; what is taken for them errs with them.
    let taken = if of.bytes > 0.0 { of.footprint / of.bytes } else { 1.0 };
    HeapLive {
        stack,
        samples: of.samples,
        blocks: of.blocks.round(),
        bytes: of.bytes.round(),
        footprint: of.footprint.round(),
        error: (of.standard_error() * taken).round(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(offset: u64) -> Vec<CodeAddress> {
        vec![CodeAddress { module: Some(0), offset }, CodeAddress { module: None, offset: 7 }]
    }

    fn blocks(number: u64, bytes: u64) -> Estimate {
        let mut sum = Estimate::default();
        (0..number).for_each(|_| sum += Estimate::of(HeapKind::Block, bytes, 1000).expect("a sample"));
        sum
    }

    /// One look at stacks that hold so many blocks of 1,000 bytes.
    fn look(stacks: &mut Stacks, holding: &[(u64, u64)]) -> Chosen {
        for (offset, count) in holding {
            let number = stacks.number(HeapKind::Block, frames(*offset));
            stacks.add(number, blocks(*count, 1000));
        }
        stacks.finish()
    }

    #[test]
    fn the_same_frames_are_one_stack_and_are_told_once() {
        let mut stacks = Stacks::default();
        let first = look(&mut stacks, &[(1, 2), (2, 5), (1, 1)]);
        assert_eq!(first.new.iter().map(|stack| stack.id).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(first.new[1].frames, frames(1));
        // Most bytes first; the chance that a block of 1,000 is sampled is 1 - 1/e.
        let told: Vec<_> = first.live.iter().map(|live| (live.stack, live.samples, live.bytes, live.blocks)).collect();
        assert_eq!(told, [(1, 5, 7910.0, 8.0), (0, 3, 4746.0, 5.0)]);
        assert_eq!(first.live[1].footprint, (3.0 * 1008.0 / (1.0 - (-1.0_f64).exp())).round());
        assert_eq!(first.rest, HeapLive::default());
        let second = look(&mut stacks, &[(1, 2)]);
        assert_eq!((second.new.len(), second.live.len()), (0, 1));
        assert_eq!(stacks.named().count(), 4);
        // A mapping from the same place is another stack.
        assert_eq!(stacks.number(HeapKind::Mapping, frames(1)), Some(2));
    }

    #[test]
    fn nothing_is_lost_where_a_look_has_no_room() {
        let mut stacks = Stacks::default();
        let holding: Vec<(u64, u64)> = (1..=MOST as u64 + 100).map(|offset| (offset, offset)).collect();
        stacks.add(None, blocks(7, 1000));
        let chosen = look(&mut stacks, &holding);
        assert_eq!((chosen.live.len(), chosen.new.len()), (MOST, MOST));
        assert!(chosen.live.iter().all(|live| live.samples > 100), "the smallest are left out");
        let samples: u64 = chosen.live.iter().map(|live| live.samples).sum();
        assert_eq!(samples + chosen.rest.samples, 7 + holding.iter().map(|(_, count)| count).sum::<u64>());
        assert_eq!(stacks.finish(), Chosen { new: vec![], live: vec![], rest: HeapLive::default() });
    }

    #[test]
    fn what_grows_and_was_named_stays_however_small_it_is() {
        let mut stacks = Stacks::default();
        let large: Vec<(u64, u64)> = (10..10 + MOST as u64).map(|offset| (offset, 50)).collect();
        assert_eq!(look(&mut stacks, &[(1, 1)]).live.len(), 1);
        let with = |count: u64, other: &[(u64, u64)]| [&[(1, count)], other, &large].concat();
        let named = |chosen: &Chosen, number: u32| chosen.live.iter().any(|live| live.stack == number);
        let second = look(&mut stacks, &with(2, &[(2, 2)]));
        let (one, two) = (0, stacks.number(HeapKind::Block, frames(2)).expect("known"));
        assert!(named(&second, one) && !named(&second, two));
        // It has fallen back to what it began with.
        assert!(!named(&look(&mut stacks, &with(1, &[])), one));
        // In another target it begins anew.
        stacks.begin_target();
        assert!(!named(&look(&mut stacks, &with(2, &[])), one));
    }

    #[test]
    fn two_that_hold_about_the_same_do_not_take_turns() {
        let mut stacks = Stacks::default();
        let others: Vec<(u64, u64)> = (10..9 + MOST as u64).map(|offset| (offset, 50)).collect();
        let with = |pair: [(u64, u64); 2]| [&pair, others.as_slice()].concat();
        let first = look(&mut stacks, &with([(1, 11), (2, 10)]));
        let is_first = |chosen: &Chosen| chosen.live.last().map(|live| live.stack) == Some(0);
        assert!(is_first(&first));
        assert!(is_first(&look(&mut stacks, &with([(1, 10), (2, 11)]))));
        assert!(!is_first(&look(&mut stacks, &with([(1, 10), (2, 30)]))));
    }
}
