//! Writing the table: live records, call stacks, and the filter that keeps frees of other blocks fast.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::wire::{
    BUCKETS, BUCKETS_AT, Bucket, CLAIMED, Facts, Header, Kind, NO_STACK, POOL, POOL_AT, PROBES, SLOTS, STACKS,
    STACKS_AT, Stack, mix, pack, place, unpack,
};

/// How many records share a place of the filter. A block whose place holds 0 is not recorded, and its free is one comparison.
/// A place that has reached 255 stays there.
pub static FILTER: [AtomicU8; 1 << 16] = [const { AtomicU8::new(0) }; 1 << 16];

fn filter(address: u64) -> Option<&'static AtomicU8> {
    FILTER.get((address >> 4 & 0xffff) as usize)
}

fn count_in(address: u64) {
    if let Some(place) = filter(address) {
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_add(1));
    }
}

fn count_out(address: u64) {
    if let Some(place) = filter(address) {
        let fewer = |count: u8| if count == u8::MAX { None } else { count.checked_sub(1) };
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
    }
}

/// Makes every free at this address's place of the filter take the slow path, for good.
pub fn never_fast(address: u64) {
    if let Some(place) = filter(address) {
        place.store(u8::MAX, Ordering::Relaxed);
    }
}

/// Forgets the records of another table. Told while nothing is recorded.
pub fn clear_filter() {
    for place in &FILTER {
        if !matches!(place.load(Ordering::Relaxed), 0 | u8::MAX) {
            place.store(0, Ordering::Relaxed);
        }
    }
}

/// A table that is mapped at this address, for as long as the process lives.
#[derive(Clone, Copy)]
pub struct Table {
    begin: usize,
}

/// A record that was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The size that was asked for.
    pub size: u64,
    /// The rest.
    pub facts: Facts,
}

impl Table {
    /// The table at an address.
    ///
    /// # Safety
    ///
    /// [`crate::wire::TABLE_BYTES`] are mapped there, aligned to a page, and stay.
    pub const unsafe fn at(begin: usize) -> Self {
        Self { begin }
    }

    /// The first page.
    pub fn header(&self) -> &Header {
        // SAFETY: `at` was promised a mapped table; its words are atomics, for which any bits are valid.
        unsafe { &*(self.begin as *const Header) }
    }

    fn buckets(&self) -> &[Bucket; BUCKETS] {
        // SAFETY: as above.
        unsafe { &*((self.begin + BUCKETS_AT) as *const [Bucket; BUCKETS]) }
    }

    fn stacks(&self) -> &[Stack; STACKS] {
        // SAFETY: as above.
        unsafe { &*((self.begin + STACKS_AT) as *const [Stack; STACKS]) }
    }

    /// How many frames a stack has.
    #[cfg(test)]
    pub fn depth(&self, stack: u32) -> Option<usize> {
        let place = self.stacks().get(stack as usize)?.place.load(Ordering::Relaxed);
        crate::wire::placed(place).map(|(_, frames, _)| frames)
    }

    fn pool(&self) -> &[AtomicU64; POOL] {
        // SAFETY: as above.
        unsafe { &*((self.begin + POOL_AT) as *const [AtomicU64; POOL]) }
    }

    /// The two buckets where an address may be.
    fn choices(&self, address: u64) -> [&Bucket; 2] {
        let hash = mix(address) as usize;
        let buckets = self.buckets();
        [&buckets[hash % BUCKETS], &buckets[(hash >> 32) % BUCKETS]]
    }

    /// Records a block. A record that its address had before is one whose free was not seen.
    pub fn insert(&self, address: u64, record: Record) {
        if self.take_out(address).is_some() {
            count(&self.header().missed_frees);
        }
        // Before the address is there, so that whoever frees the block looks for it.
        count_in(address);
        for bucket in self.choices(address) {
            for (slot, words) in bucket.addresses.iter().zip(&bucket.records) {
                if slot.compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    words[0].store(pack(address, record.size, record.facts), Ordering::Relaxed);
                    words[1].store(record.size, Ordering::Relaxed);
                    slot.store(address, Ordering::Release);
                    return;
                }
            }
        }
        count_out(address);
        count(&self.header().dropped_records);
    }

    /// Takes the record of a block out, because it is about to be freed.
    pub fn remove(&self, address: u64) -> Option<Record> {
        let record = self.take_out(address)?;
        count(&self.header().freed);
        if let Some(stack) = self.stacks().get(record.facts.stack as usize) {
            count(&stack.freed);
        }
        Some(record)
    }

    /// Puts a record back whose block was not freed after all.
    pub fn restore(&self, address: u64, record: Record) {
        self.header().freed.fetch_sub(1, Ordering::Relaxed);
        if let Some(stack) = self.stacks().get(record.facts.stack as usize) {
            stack.freed.fetch_sub(1, Ordering::Relaxed);
        }
        self.insert(address, record);
    }

    fn take_out(&self, address: u64) -> Option<Record> {
        if address <= CLAIMED {
            return None;
        }
        for bucket in self.choices(address) {
            for slot in 0..SLOTS {
                if bucket.addresses[slot].load(Ordering::Acquire) != address {
                    continue;
                }
                let word = bucket.records[slot][0].load(Ordering::Relaxed);
                let size = bucket.records[slot][1].load(Ordering::Relaxed);
                if bucket.addresses[slot].compare_exchange(address, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    count_out(address);
                    return unpack(word, address, size).map(|facts| Record { size, facts });
                }
            }
        }
        None
    }

    /// The entry of a stack; a new one is written.
    pub fn stack(&self, frames: &[u64], kind: Kind) -> u32 {
        let found = self.find_or_write(frames, kind);
        match found.and_then(|number| self.stacks().get(number).map(|stack| (number, stack))) {
            Some((number, stack)) => {
                count(&stack.taken);
                number as u32
            }
            None => {
                count(&self.header().dropped_stacks);
                NO_STACK
            }
        }
    }

    fn find_or_write(&self, frames: &[u64], kind: Kind) -> Option<usize> {
        let hash = frames.iter().fold(kind as u64 + 1, |hash, frame| mix(hash ^ frame)).max(1);
        for probe in 0..PROBES {
            let number = (hash as usize).wrapping_add(probe) % STACKS;
            let entry = &self.stacks()[number];
            let mut seen = entry.hash.load(Ordering::Acquire);
            if seen == 0 {
                let begin = self.room(frames.len())?;
                match entry.hash.compare_exchange(0, hash, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => {
                        for (word, frame) in self.pool().iter().skip(begin).zip(frames) {
                            word.store(*frame, Ordering::Relaxed);
                        }
                        entry.place.store(place(begin as u64, frames.len() as u64, kind), Ordering::Release);
                        return Some(number);
                    }
                    Err(other) => seen = other,
                }
            }
            if seen == hash {
                return Some(number);
            }
        }
        None
    }

    /// Takes words of the pool.
    fn room(&self, words: usize) -> Option<usize> {
        let used = &self.header().pool_used;
        let more = |begin: u64| Some(begin + words as u64).filter(|end| *end <= POOL as u64);
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|begin| begin as usize)
    }
}

/// Counts one up.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
pub mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::wire::{TABLE_BYTES, placed};

    /// A table in memory that is never freed.
    pub fn table() -> Table {
        let words: Vec<u64> = vec![0; TABLE_BYTES / 8 + 512];
        let begin = (words.leak().as_ptr() as usize + 4095) & !4095;
        // SAFETY: the words are zeros, never freed, and enough beyond the next border of a page.
        unsafe { Table::at(begin) }
    }

    fn record(size: u64, stack: u32) -> Record {
        Record { size, facts: Facts { stack, level: 3, kind: Kind::Block } }
    }

    #[test]
    fn what_was_put_in_comes_out_once() {
        let table = table();
        let stack = table.stack(&[1, 2, 3], Kind::Block);
        table.insert(0x7000_0010, record(5, stack));
        assert_eq!(table.remove(0x7000_0020), None);
        assert_eq!(table.remove(0x7000_0010), Some(record(5, stack)));
        assert_eq!(table.remove(0x7000_0010), None);
        assert_eq!(table.header().freed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_address_that_comes_again_is_a_free_that_was_missed() {
        let table = table();
        table.insert(0x7100_0010, record(5, 0));
        table.insert(0x7100_0010, record(6, 0));
        assert_eq!(table.header().missed_frees.load(Ordering::Relaxed), 1);
        assert_eq!(table.remove(0x7100_0010), Some(record(6, 0)));
        assert_eq!(table.remove(0x7100_0010), None);
    }

    #[test]
    fn equal_stacks_share_an_entry_and_other_kinds_do_not() {
        let table = table();
        let first = table.stack(&[1, 2, 3], Kind::Block);
        assert_eq!(table.stack(&[1, 2, 3], Kind::Block), first);
        assert_ne!(table.stack(&[1, 2, 3], Kind::Mapping), first);
        assert_ne!(table.stack(&[1, 2], Kind::Block), first);
        assert_eq!(table.stacks()[first as usize].taken.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn it_fills_up_without_losing_what_it_took() {
        let table = table();
        let mut kept = HashMap::new();
        for number in 0..100_000_u64 {
            let address = 0x5000_0000 + mix(number) % (1 << 40) / 16 * 16;
            let before = table.header().dropped_records.load(Ordering::Relaxed);
            table.insert(address, record(number, 7));
            if table.header().dropped_records.load(Ordering::Relaxed) == before {
                kept.insert(address, number);
            }
        }
        assert!(kept.len() > BUCKETS * SLOTS * 9 / 10, "{} of {} slots", kept.len(), BUCKETS * SLOTS);
        for (address, number) in kept {
            assert_eq!(table.remove(address), Some(record(number, 7)));
        }
    }

    #[test]
    fn stacks_keep_their_frames_apart() {
        let table = table();
        let mut stacks: Vec<Vec<u64>> = (0..64).flat_map(|a| (0..64).map(move |b| vec![a, b])).collect();
        stacks.extend([vec![], vec![1], vec![2, 3, 4]]);
        let numbers: Vec<u32> = stacks.iter().map(|frames| table.stack(frames, Kind::Block)).collect();
        for (frames, number) in stacks.iter().zip(&numbers) {
            let (begin, count, kind) =
                placed(table.stacks()[*number as usize].place.load(Ordering::Relaxed)).expect("there");
            let words = &table.pool()[begin..begin + count];
            let words: Vec<u64> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
            assert_eq!((&words, kind), (frames, Kind::Block));
        }
        assert_ne!(table.stack(&[], Kind::Block), table.stack(&[], Kind::Mapping));
        table.header().pool_used.store(POOL as u64 - 3, Ordering::Relaxed);
        assert_eq!(table.stack(&[100; 4], Kind::Block), NO_STACK);
        assert_ne!(table.stack(&[100; 3], Kind::Block), NO_STACK, "the last words of the pool");
        assert_eq!(table.stack(&[101], Kind::Block), NO_STACK);
    }

    #[test]
    fn addresses_spread_over_the_filter_and_the_buckets() {
        let places: HashSet<_> = (0..4096_u64).map(|number| &raw const *filter(number << 8).expect("there")).collect();
        assert_eq!(places.len(), 4096);
        let table = table();
        for choice in 0..2 {
            let buckets: HashSet<_> =
                (0..4096_u64).map(|number| &raw const *table.choices(number << 4)[choice]).collect();
            assert!(buckets.len() > 1000, "{} buckets by choice {choice}", buckets.len());
        }
    }

    #[test]
    fn a_slot_that_is_being_written_is_no_record() {
        let table = table();
        table.choices(CLAIMED)[0].addresses[0].store(CLAIMED, Ordering::Relaxed);
        assert_eq!(table.remove(CLAIMED), None);
        assert_eq!(table.choices(CLAIMED)[0].addresses[0].load(Ordering::Relaxed), CLAIMED);
    }

    #[test]
    fn another_table_begins_with_a_clear_filter() {
        let _alone = crate::tests::alone();
        let (counted, full) = (filter(0x7ccc_0010).expect("there"), filter(0x7ddd_0020).expect("there"));
        counted.store(3, Ordering::Relaxed);
        never_fast(0x7ddd_0020);
        clear_filter();
        assert_eq!([counted, full].map(|place| place.load(Ordering::Relaxed)), [0, u8::MAX]);
    }

    #[test]
    fn stacks_beyond_the_pool_are_counted() {
        let table = table();
        let mut dropped = 0;
        for number in 0..20_000_u64 {
            let frames: Vec<u64> = (0..40).map(|depth| number * 64 + depth).collect();
            dropped += u64::from(table.stack(&frames, Kind::Block) == NO_STACK);
        }
        assert!(dropped > 0 && dropped < 20_000);
        assert_eq!(table.header().dropped_stacks.load(Ordering::Relaxed), dropped);
        assert!(table.header().pool_used.load(Ordering::Relaxed) <= POOL as u64);
    }

    #[test]
    fn filter_and_counters_follow_the_records() {
        let _alone = crate::tests::alone();
        let table = table();
        let address = 0x7abc_de10;
        let figures = |stack: u32| {
            let freed = [&table.header().freed, &table.stacks()[stack as usize].freed];
            (
                filter(address).map(|place| place.load(Ordering::Relaxed)),
                freed.map(|count| count.load(Ordering::Relaxed)),
            )
        };
        let stack = table.stack(&[7, 8], Kind::Block);
        table.insert(address, record(5, stack));
        table.insert(address, record(6, stack));
        assert_eq!(figures(stack), (Some(1), [0, 0]), "the free that was missed is counted out");
        let taken = table.remove(address).expect("recorded");
        assert_eq!(figures(stack), (Some(0), [1, 1]));
        table.restore(address, taken);
        assert_eq!(figures(stack), (Some(1), [0, 0]));
        assert_eq!(table.header().missed_frees.load(Ordering::Relaxed), 1);
        assert_eq!(table.remove(address), Some(record(6, stack)));
    }
}
