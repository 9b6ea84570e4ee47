//! The table that the sampler writes inside a target and the reader reads from outside.
//!
//! One file of fixed size: a header page, buckets of live records, an index of call stacks, and a pool of
//! program counters. Everything is made of aligned 64-bit words that are written atomically. Only what is
//! used takes memory, and before the first sample the file is its header alone. Both sides include this file, so there is one description of the format; a change of
//! any size or meaning takes a new [`VERSION`].

use core::mem::{offset_of, size_of};
use core::sync::atomic::AtomicU64;

/// The first word of a table.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TWHEAP\r\n");
/// The version of the format.
pub const VERSION: u64 = 1;
/// The header takes one page.
pub const HEADER_BYTES: usize = 4096;
/// Buckets of live records.
pub const BUCKETS: usize = 8192;
/// Records of one bucket.
pub const SLOTS: usize = 8;
/// Entries of the index of call stacks.
pub const STACKS: usize = 16_384;
/// Entries that are tried for one call stack.
pub const PROBES: usize = 32;
/// Program counters that fit the pool.
pub const POOL: usize = 262_144;
/// The longest call stack.
pub const MAX_FRAMES: usize = 64;
/// The sampling interval is at most the base interval, doubled this many times.
pub const MAX_LEVEL: u64 = 12;
/// The stack of a record whose stack found no room.
pub const NO_STACK: u32 = u32::MAX;
/// A slot that somebody is writing. Real addresses are larger.
pub const CLAIMED: u64 = 1;

/// Where the buckets begin.
pub const BUCKETS_AT: usize = HEADER_BYTES;
/// Where the index of stacks begins.
pub const STACKS_AT: usize = BUCKETS_AT + BUCKETS * size_of::<Bucket>();
/// Where the pool begins.
pub const POOL_AT: usize = STACKS_AT + STACKS * size_of::<Stack>();
/// The size of a table.
pub const TABLE_BYTES: usize = POOL_AT + POOL * size_of::<u64>();

/// The sampler records.
pub const STATE_ACTIVE: u64 = 1;
/// The sampler was told to stop; what stands in the table is as it was then.
pub const STATE_DETACHED: u64 = 2;
/// The table found no room on its disk at the first sample.
pub const STATE_NO_ROOM: u64 = 3;

/// [`Header::unwinder`]: no unwind tables can be found in this process; a stack is its first frame.
pub const UNWINDER_NONE: u64 = 0;
/// [`Header::unwinder`]: call stacks are whole.
pub const UNWINDER_CFI: u64 = 1;

/// The first page.
#[repr(C)]
pub struct Header {
    /// [`MAGIC`]; written last.
    pub magic: AtomicU64,
    /// [`VERSION`].
    pub version: AtomicU64,
    /// [`TABLE_BYTES`].
    pub table_bytes: AtomicU64,
    /// The process that writes.
    pub pid: AtomicU64,
    /// [`STATE_ACTIVE`], [`STATE_DETACHED`] or [`STATE_NO_ROOM`].
    pub state: AtomicU64,
    /// How stacks are taken.
    pub unwinder: AtomicU64,
    /// The mean number of bytes between two samples, when allocation is slow.
    pub base_interval: AtomicU64,
    /// The interval now is the base interval, doubled this many times.
    pub level: AtomicU64,
    /// Samples taken.
    pub samples: AtomicU64,
    /// Records removed because their block was freed.
    pub freed: AtomicU64,
    /// Samples that found no slot.
    pub dropped_records: AtomicU64,
    /// Samples whose stack found no room; they are recorded under [`NO_STACK`].
    pub dropped_stacks: AtomicU64,
    /// Records that were found when their address was handed out again: a free that was not seen.
    pub missed_frees: AtomicU64,
    /// Stacks that ended before the first function of their thread, for whatever reason but their depth.
    pub truncated: AtomicU64,
    /// Stacks with more than [`MAX_FRAMES`] frames.
    pub deep: AtomicU64,
    /// Words of the pool in use.
    pub pool_used: AtomicU64,
    /// When the allocator's figures were read: nanoseconds of `CLOCK_MONOTONIC`, 0 when never.
    pub info_at: AtomicU64,
    /// `mallinfo2`: bytes in arenas.
    pub info_arena: AtomicU64,
    /// `mallinfo2`: bytes in blocks mapped one by one.
    pub info_mapped: AtomicU64,
    /// `mallinfo2`: bytes of arenas in use.
    pub info_used: AtomicU64,
    /// `mallinfo2`: bytes of arenas that are free.
    pub info_free: AtomicU64,
    /// `mallinfo2`: bytes at the top of the main arena that could be given back.
    pub info_top: AtomicU64,
}

/// A set of records. An address of 0 is a free slot.
#[repr(C, align(64))]
pub struct Bucket {
    /// The addresses of the sampled blocks: one line of the cache.
    pub addresses: [AtomicU64; SLOTS],
    /// For each slot what [`pack`] makes, and the size in bytes that was asked for.
    pub records: [[AtomicU64; 2]; SLOTS],
}

/// A call stack.
#[repr(C)]
pub struct Stack {
    /// The hash of its frames and kind; 0 is a free entry.
    pub hash: AtomicU64,
    /// What [`place`] makes; 0 until the frames are written.
    pub place: AtomicU64,
    /// Samples taken at this stack.
    pub taken: AtomicU64,
    /// Of these, how many are freed.
    pub freed: AtomicU64,
}

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES);
const _: () = assert!(offset_of!(Header, info_top) == 21 * 8);
const _: () = assert!(size_of::<Bucket>() == 192);
const _: () = assert!(size_of::<Stack>() == 32);
const _: () = assert!(STACKS_AT == 1_576_960);
const _: () = assert!(POOL_AT == 2_101_248);
const _: () = assert!(TABLE_BYTES == 4_198_400);
const _: () = assert!(BUCKETS.is_power_of_two() && STACKS.is_power_of_two());

/// Where a block came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The allocator.
    Block,
    /// An anonymous private mapping that the program made itself.
    Mapping,
}

/// The facts of a record besides its address and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The entry of its stack, or [`NO_STACK`].
    pub stack: u32,
    /// Doublings of the base interval when its sample was drawn.
    pub level: u64,
    /// Where it came from.
    pub kind: Kind,
}

/// The first word of a record. It proves itself against the address and the size, so that a reader knows a record that it
/// caught half written.
pub const fn pack(address: u64, size: u64, facts: Facts) -> u64 {
    let low = facts.stack as u64 | (facts.level & 63) << 32 | (facts.kind as u64) << 38;
    low | check(address, size, low) << 48
}

/// What [`pack`] packed; nothing if it does not belong to this address and size.
pub const fn unpack(word: u64, address: u64, size: u64) -> Option<Facts> {
    let low = word & 0xffff_ffff_ffff;
    if word >> 48 != check(address, size, low) {
        return None;
    }
    let kind = if low >> 38 & 1 == 0 { Kind::Block } else { Kind::Mapping };
    Some(Facts { stack: low as u32, level: low >> 32 & 63, kind })
}

const fn check(address: u64, size: u64, low: u64) -> u64 {
    mix(address ^ mix(size ^ mix(low))) >> 48
}

/// Where the frames of a stack lie: words from the begin of the pool, their number, and the kind.
pub const fn place(begin: u64, frames: u64, kind: Kind) -> u64 {
    begin | frames << 32 | (kind as u64) << 48 | 1 << 63
}

/// The begin, the number of frames and the kind of a [`place`]; nothing before it is written.
pub const fn placed(word: u64) -> Option<(usize, usize, Kind)> {
    if word >> 63 == 0 {
        return None;
    }
    let kind = if word >> 48 & 1 == 0 { Kind::Block } else { Kind::Mapping };
    Some(((word & 0xffff_ffff) as usize, (word >> 32 & 0xffff) as usize, kind))
}

/// Spreads the bits of a word over the whole word (the finisher of splitmix64).
pub const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splitmix64 of its author, <https://prng.di.unimi.it/splitmix64.c>, begun with 0: its first two outputs.
    #[test]
    fn words_are_mixed_as_published() {
        assert_eq!([0, 0x9e37_79b9_7f4a_7c15].map(mix), [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn a_record_proves_itself_against_every_bit_of_its_address() {
        let facts = Facts { stack: 3, level: 1, kind: Kind::Block };
        let word = pack(0x7f12_3456_7890, 48, facts);
        assert!((0..48).all(|bit| unpack(word, 0x7f12_3456_7890 ^ 1 << bit, 48).is_none()));
    }

    #[test]
    fn packed_facts_come_back_and_belong_to_their_block() {
        for (stack, level, kind) in [(0, 0, Kind::Block), (NO_STACK, 12, Kind::Mapping), (16_383, 63, Kind::Block)] {
            let facts = Facts { stack, level, kind };
            let word = pack(0x7000_0010, 48, facts);
            assert_eq!(unpack(word, 0x7000_0010, 48), Some(facts));
            assert_eq!(unpack(word, 0x7000_0020, 48), None);
            assert_eq!(unpack(word, 0x7000_0010, 49), None);
            assert!((0..48).all(|bit| unpack(word ^ 1 << bit, 0x7000_0010, 48).is_none()));
        }
        for (begin, frames, kind) in [(0, 1, Kind::Mapping), (262_143, 64, Kind::Block)] {
            assert_eq!(placed(place(begin as u64, frames as u64, kind)), Some((begin, frames, kind)));
        }
        assert_eq!(placed(0), None);
    }
}
