//! The bytes of a table as plain data.

use std::mem::{offset_of, size_of};

use super::Estimate;
use super::resident::Pages;
use super::wire::{self, Bucket, Header, Kind, Stack};
use crate::sample::{AllocatorFigures, HeapKind};

/// Whether a sampler still records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeapState {
    /// It does.
    Active,
    /// It was told to end. The table is as it was then.
    Ended,
    /// There was no room for its table on the disk, or the target could not open it any more. It holds nothing.
    NoRoom,
}

/// One call stack that has allocated.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapStack {
    /// Its number, the same in every snapshot of a table.
    pub id: u32,
    /// Where its blocks come from.
    pub kind: HeapKind,
    /// Return addresses in the target, innermost first. The call itself is one byte before each.
    pub frames: Vec<u64>,
    /// What is alive.
    pub live: Estimate,
    /// Samples ever taken here.
    pub taken: u64,
    /// Of these, how many are freed.
    pub freed: u64,
}

/// What a table holds at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapSnapshot {
    /// The process that writes the table.
    pub pid: u32,
    /// Whether the sampler still records.
    pub state: HeapState,
    /// Whether stacks are whole. Without unwind tables (before glibc 2.35) each is its first frame.
    pub has_whole_stacks: bool,
    /// The mean number of bytes between samples that was asked for.
    pub base_interval_bytes: u64,
    /// The interval now: larger while samples come fast.
    pub interval_bytes: u64,
    /// Every stack that has allocated, in the order of their numbers.
    pub stacks: Vec<HeapStack>,
    /// Live samples whose stack found no room.
    pub without_stack: Estimate,
    /// Samples taken since the begin.
    pub samples: u64,
    /// Samples freed since the begin.
    pub freed: u64,
    /// Samples that found no room. What they stand for is missing in every figure.
    pub dropped_records: u64,
    /// Samples whose stack found no room.
    pub dropped_stacks: u64,
    /// Records whose block was freed unseen, found out because its address was handed out again and sampled.
    pub missed_frees: u64,
    /// Stacks that ended before the first function of their thread.
    pub truncated_stacks: u64,
    /// Stacks that are cut off because they are too deep.
    pub deep_stacks: u64,
    /// Records that were being written while they were read.
    pub torn_records: u64,
    /// What the allocator says, where it is glibc's.
    pub allocator: Option<AllocatorFigures>,
}

impl HeapSnapshot {
    /// All that is alive.
    pub fn live(&self) -> Estimate {
        let mut sum = self.without_stack;
        self.stacks.iter().for_each(|stack| sum += stack.live);
        sum
    }
}

/// The 64-bit word at an offset; 0 past the end.
pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// How much of the pool is in use.
pub(super) fn pool_bytes(header: &[u8]) -> usize {
    word(header, offset_of!(Header, pool_used)).min(wire::POOL as u64) as usize * size_of::<u64>()
}

/// Reads the four parts of a table.
pub(super) fn take(header: &[u8], records: &[u8], stacks: &[u8], pool: &[u8], pages: &Pages) -> HeapSnapshot {
    let word = |at| word(header, at);
    let base_interval_bytes = word(offset_of!(Header, base_interval)).max(1);
    let at_ns = word(offset_of!(Header, info_at));
    let mut snapshot = HeapSnapshot {
        pid: word(offset_of!(Header, pid)) as u32,
        state: match word(offset_of!(Header, state)) {
            wire::STATE_ACTIVE => HeapState::Active,
            wire::STATE_NO_ROOM => HeapState::NoRoom,
            _ => HeapState::Ended,
        },
        has_whole_stacks: word(offset_of!(Header, unwinder)) == wire::UNWINDER_CFI,
        base_interval_bytes,
        interval_bytes: at_level(base_interval_bytes, word(offset_of!(Header, level))),
        stacks: read_stacks(stacks, pool),
        without_stack: Estimate::default(),
        samples: word(offset_of!(Header, samples)),
        freed: word(offset_of!(Header, freed)),
        dropped_records: word(offset_of!(Header, dropped_records)),
        dropped_stacks: word(offset_of!(Header, dropped_stacks)),
        missed_frees: word(offset_of!(Header, missed_frees)),
        truncated_stacks: word(offset_of!(Header, truncated)),
        deep_stacks: word(offset_of!(Header, deep)),
        torn_records: 0,
        allocator: (at_ns > 0).then(|| AllocatorFigures {
            at_ns,
            arena_bytes: word(offset_of!(Header, info_arena)),
            mapped_bytes: word(offset_of!(Header, info_mapped)),
            used_bytes: word(offset_of!(Header, info_used)),
            free_bytes: word(offset_of!(Header, info_free)),
            top_bytes: word(offset_of!(Header, info_top)),
        }),
    };
    add_records(&mut snapshot, records, pages);
    snapshot
}

fn kind(kind: Kind) -> HeapKind {
    match kind {
        Kind::Block => HeapKind::Block,
        Kind::Mapping => HeapKind::Mapping,
    }
}

fn at_level(base_interval_bytes: u64, level: u64) -> u64 {
    base_interval_bytes.saturating_mul(1 << level.min(wire::MAX_LEVEL))
}

fn read_stacks(stacks: &[u8], pool: &[u8]) -> Vec<HeapStack> {
    let entries = stacks.chunks_exact(size_of::<Stack>()).zip(0..);
    let read = |(entry, id): (&[u8], u32)| {
        let (begin, frames, kind) = wire::placed(word(entry, offset_of!(Stack, place)))?;
        let frames = frames.min(wire::MAX_FRAMES);
        let frames = pool.get(begin * 8..(begin + frames) * 8)?.chunks_exact(8).map(|frame| word(frame, 0)).collect();
        let kind = self::kind(kind);
        let taken = word(entry, offset_of!(Stack, taken));
        let freed = word(entry, offset_of!(Stack, freed));
        Some(HeapStack { id, kind, frames, live: Estimate::default(), taken, freed })
    };
    entries.filter_map(read).collect()
}

fn add_records(snapshot: &mut HeapSnapshot, records: &[u8], pages: &Pages) {
    let base = snapshot.base_interval_bytes;
    for bucket in records.chunks_exact(size_of::<Bucket>()) {
        for slot in 0..wire::SLOTS {
            let address = word(bucket, offset_of!(Bucket, addresses) + slot * 8);
            if address <= wire::CLAIMED {
                continue;
            }
            let at = offset_of!(Bucket, records) + slot * 16;
            let size = word(bucket, at + 8);
            let facts = wire::unpack(word(bucket, at), address, size);
            let live = facts.and_then(|facts| {
                let resident = match facts.kind {
                    Kind::Block => None,
                    Kind::Mapping => pages.resident_bytes(address, size),
                };
                let live = Estimate::of(kind(facts.kind), size, at_level(base, facts.level))?;
                Some((facts.stack, resident.map_or(live, |bytes| live.taking(bytes))))
            });
            match live {
                None => snapshot.torn_records += 1,
                Some((stack, live)) => {
                    // A stack that was written after the stacks were read counts as unknown this time.
                    let found = snapshot.stacks.binary_search_by_key(&stack, |stack| stack.id);
                    match found.ok().and_then(|index| snapshot.stacks.get_mut(index)) {
                        Some(stack) => stack.live += live,
                        None => snapshot.without_stack += live,
                    }
                }
            }
        }
    }
}
