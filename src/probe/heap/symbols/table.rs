//! Symbol tables: which symbol covers an address.

use std::cmp::Reverse;

use object::{ObjectSymbol, SymbolKind};

/// The most pairs of a symbol and an address that are compared. Real tables have a few for each address; a made-up one where every
/// symbol covers everything must not take for ever.
const MOST_STEPS: u64 = 20_000_000;

/// Addresses whose names are looked for.
pub(super) struct Wanted<'a> {
    /// The addresses in order, with their places in the question.
    order: Vec<(u64, usize)>,
    best: Vec<Option<Candidate<'a>>>,
    /// How many candidates are from an earlier table, and stay.
    settled: Vec<bool>,
    steps: u64,
}

/// A symbol that covers an address, in the order of preference: the one that begins last, then global before weak before local, then
/// the plainest name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'a> {
    begin: u64,
    binding: u8,
    is_plain: bool,
    length: Reverse<usize>,
    name: Reverse<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(addresses: &[Option<u64>]) -> Self {
        let mut order: Vec<(u64, usize)> =
            addresses.iter().enumerate().filter_map(|(place, address)| Some(((*address)?, place))).collect();
        order.sort_unstable();
        Self { order, best: vec![None; addresses.len()], settled: vec![false; addresses.len()], steps: 0 }
    }

    /// Whether an address has no name yet.
    pub(super) fn is_open(&self) -> bool {
        self.order.iter().any(|(_, place)| self.best[*place].is_none())
    }

    /// Takes names from a table, for addresses that have none from an earlier one.
    pub(super) fn take<'f>(&mut self, symbols: impl Iterator<Item = object::Symbol<'a, 'f>>)
    where
        'a: 'f,
    {
        if !self.is_open() {
            return;
        }
        for symbol in symbols {
            if self.steps > MOST_STEPS {
                break;
            }
            self.consider(&symbol);
        }
        for (settled, best) in self.settled.iter_mut().zip(&self.best) {
            *settled = best.is_some();
        }
    }

    fn consider(&mut self, symbol: &object::Symbol<'a, '_>) {
        // Symbols without a size are labels: how far they reach is not known. Those that are defined elsewhere have the address of
        // a stub at most.
        let is_code = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown);
        if !is_code || symbol.is_undefined() || symbol.size() == 0 {
            return;
        }
        let begin = symbol.address();
        let Some(end) = begin.checked_add(symbol.size()) else { return };
        let first = self.order.partition_point(|(address, _)| *address < begin);
        let mut candidate = None;
        for (_, place) in self.order[first..].iter().take_while(|(address, _)| *address < end) {
            self.steps += 1;
            if self.settled[*place] {
                continue;
            }
            if candidate.is_none() {
                candidate = Candidate::of(symbol);
            }
            self.best[*place] = self.best[*place].max(candidate);
        }
    }

    /// The names, in the order of the question.
    pub(super) fn names(self) -> Vec<Option<String>> {
        self.best.into_iter().map(|best| best.map(|best| String::from_utf8_lossy(best.name.0).into_owned())).collect()
    }
}

impl<'a> Candidate<'a> {
    fn of(symbol: &object::Symbol<'a, '_>) -> Option<Self> {
        let name = symbol.name_bytes().ok()?;
        // `memcpy@@GLIBC_2.14`: the version is no part of the name.
        let name = name.split(|byte| *byte == b'@').next().filter(|name| !name.is_empty())?;
        let binding = if symbol.is_local() { 0 } else { 1 + u8::from(!symbol.is_weak()) };
        let is_plain = !name.starts_with(b"_");
        Some(Self { begin: symbol.address(), binding, is_plain, length: Reverse(name.len()), name: Reverse(name) })
    }
}
