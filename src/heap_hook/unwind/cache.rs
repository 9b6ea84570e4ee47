//! Rules that were worked out before, by program counter.
//!
//! All threads share the cache without a lock: an entry is two words, the first of which is the program counter
//! mixed with the second, so that an entry that is half another thread's does not match.

use core::sync::atomic::{AtomicU64, Ordering};

use super::cfi::{Cfa, Rule, Saved};

const ENTRIES: usize = 4096;

static ENTRY: [[AtomicU64; 2]; ENTRIES] = [const { [const { AtomicU64::new(0) }; 2] }; ENTRIES];
/// Part of every key. Another epoch makes every entry one of no program counter.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// A rule that needs no tables: all that compilers write in the bodies of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simple(u64);

const FROM_FRAME: u64 = 1 << 48;
const BP_SAVED: u64 = 1 << 49;
const OUTERMOST: u64 = 1 << 50;
const SET: u64 = 1 << 51;

impl Simple {
    /// The simple form of a rule, where it has one.
    pub fn of(rule: &Rule) -> Option<Self> {
        if rule.is_signal {
            return None;
        }
        if matches!(rule.pc, Saved::Undefined) {
            return Some(Self(OUTERMOST | SET));
        }
        let (offset, base) = match rule.cfa {
            Cfa::Stack(offset) => (offset, 0),
            Cfa::Frame(offset) => (offset, FROM_FRAME),
            Cfa::Expression(_) | Cfa::Unknown => return None,
        };
        let (bp, saved) = match rule.bp {
            Saved::Same | Saved::Undefined => (0, 0),
            Saved::At(offset) => (offset, BP_SAVED),
            _ => return None,
        };
        if !matches!(rule.pc, Saved::At(-8)) {
            return None;
        }
        let (offset, bp) = (i32::try_from(offset).ok()?, i16::try_from(bp).ok()?);
        Some(Self(u64::from(offset.cast_unsigned()) | u64::from(bp.cast_unsigned()) << 32 | base | saved | SET))
    }

    /// Whether this function has no caller.
    pub fn is_outermost(self) -> bool {
        self.0 & OUTERMOST != 0
    }

    /// The frame's address.
    pub fn cfa(self, sp: usize, bp: usize) -> usize {
        let base = if self.0 & FROM_FRAME == 0 { sp } else { bp };
        base.wrapping_add_signed((self.0 as i32) as isize)
    }

    /// Where the caller's frame pointer was saved, from the frame's address.
    pub fn bp(self) -> Option<isize> {
        (self.0 & BP_SAVED != 0).then_some(((self.0 >> 32) as i16) as isize)
    }
}

fn entry(pc: usize) -> Option<&'static [AtomicU64; 2]> {
    ENTRY.get((pc as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> (64 - ENTRIES.trailing_zeros()))
}

fn key(pc: usize, data: u64) -> u64 {
    pc as u64 ^ data ^ EPOCH.load(Ordering::Relaxed) << 52
}

/// The rule of a program counter, if it is here.
pub fn find(pc: usize) -> Option<Simple> {
    let [mark, data] = entry(pc)?;
    let data = data.load(Ordering::Relaxed);
    (data != 0 && mark.load(Ordering::Relaxed) == key(pc, data)).then_some(Simple(data))
}

/// Keeps a rule.
pub fn keep(pc: usize, rule: Simple) {
    if let Some([mark, data]) = entry(pc) {
        data.store(rule.0, Ordering::Relaxed);
        mark.store(key(pc, rule.0), Ordering::Relaxed);
    }
}

/// Forgets all: a module went away, and another may take its place.
pub fn clear() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(cfa: Cfa, pc: Saved, bp: Saved) -> Option<Simple> {
        Simple::of(&Rule { cfa, pc, bp, is_signal: false })
    }

    #[test]
    fn only_rules_without_tables_are_simple() {
        for (cfa, bp, expected) in [
            (Cfa::Stack(16), Saved::Same, Some((116, None))),
            (Cfa::Stack(-16), Saved::At(-16), Some((84, Some(-16)))),
            (Cfa::Frame(i64::from(i32::MAX)), Saved::At(i64::from(i16::MIN)), Some((2_147_484_647, Some(-32_768)))),
            (Cfa::Frame(16), Saved::Undefined, Some((1016, None))),
            (Cfa::Stack(1 << 31), Saved::Same, None),
            (Cfa::Stack(16), Saved::At(1 << 15), None),
            (Cfa::Stack(16), Saved::Value(8), None),
            (Cfa::Unknown, Saved::Same, None),
        ] {
            let rule = simple(cfa, Saved::At(-8), bp);
            assert_eq!(rule.map(|rule| (rule.cfa(100, 1000), rule.bp())), expected, "{cfa:?} {bp:?}");
            assert!(rule.is_none_or(|rule| !rule.is_outermost()));
        }
        assert_eq!(simple(Cfa::Stack(16), Saved::At(-16), Saved::Same), None);
        let outermost = simple(Cfa::Unknown, Saved::Undefined, Saved::Same);
        assert!(outermost.is_some_and(Simple::is_outermost));
        let signal = Rule { cfa: Cfa::Stack(8), pc: Saved::At(-8), bp: Saved::Same, is_signal: true };
        assert_eq!(Simple::of(&signal), None);
    }

    /// Keeps a rule, and sees it. Another test may forget all rules in between.
    fn kept(pc: usize, rule: Simple) -> bool {
        (0..1000).any(|_| {
            keep(pc, rule);
            find(pc) == Some(rule)
        })
    }

    #[test]
    fn rules_belong_to_their_address_until_all_are_forgotten() {
        let rule = simple(Cfa::Stack(16), Saved::At(-8), Saved::At(-16)).expect("simple");
        for number in 0..200 {
            let pc = 0x7001_0000_0000 + number * 0x0123_4567;
            assert_eq!(find(pc), None);
            assert!(kept(pc, rule));
            // The same entry, asked for another address.
            let [mark, data] = entry(pc).expect("an entry");
            assert_ne!(mark.load(Ordering::Relaxed), key(pc + 1, data.load(Ordering::Relaxed)));
            clear();
            assert_eq!(find(pc), None);
        }
    }

    #[test]
    fn half_an_entry_of_another_thread_matches_nothing() {
        let pc = 0x7002_0a5a_5a50;
        let rule = simple(Cfa::Stack(16), Saved::At(-8), Saved::Same).expect("simple");
        for bit in 0..48 {
            assert!(kept(pc, rule));
            let [_, data] = entry(pc).expect("an entry");
            data.store(rule.0 ^ 1 << bit, Ordering::Relaxed);
            assert_eq!(find(pc), None, "bit {bit}");
        }
    }
}
