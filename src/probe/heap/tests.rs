//! Tables made by hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write as _;

use super::wire::{self, Facts, Kind};
use super::*;

fn put(table: &mut [u8], at: usize, word: u64) {
    table[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

fn empty() -> Vec<u8> {
    let mut table = vec![0; wire::TABLE_BYTES];
    for (number, word) in [wire::MAGIC, wire::VERSION, wire::TABLE_BYTES as u64, 4071, wire::STATE_ACTIVE, 1, 65_536]
        .into_iter()
        .enumerate()
    {
        put(&mut table, number * 8, word);
    }
    table
}

fn written(table: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(table).unwrap();
    file
}

/// A record in the first slot of a bucket.
fn put_record(table: &mut [u8], bucket: usize, size: u64, stack: u32) {
    let (address, at) = (0x7000_0000 + bucket as u64 * 16, wire::BUCKETS_AT + bucket * 192);
    put(table, at, address);
    put(table, at + 64, wire::pack(address, size, Facts { stack, level: 1, kind: Kind::Block }));
    put(table, at + 72, size);
}

#[test]
fn a_table_is_read() {
    let mut table = empty();
    put(&mut table, 15 * 8, 3);
    for (frame, address) in [0x1000_u64, 0x2000, 0x3000].into_iter().enumerate() {
        put(&mut table, wire::POOL_AT + frame * 8, address);
    }
    let stack = wire::STACKS_AT + 9 * 32;
    put(&mut table, stack, 77);
    put(&mut table, stack + 8, wire::place(0, 3, Kind::Mapping));
    put(&mut table, stack + 16, 2);
    put_record(&mut table, 5, 1 << 30, 9);
    put_record(&mut table, 6, 100, 9);
    put_record(&mut table, 7, 100, wire::NO_STACK);
    put_record(&mut table, 8, 100, 9);
    put(&mut table, wire::BUCKETS_AT + 8 * 192 + 72, 101);
    let file = written(&table);
    let snapshot = HeapTable::open(file.path()).unwrap().snapshot().unwrap();
    assert_eq!((snapshot.pid, snapshot.state, snapshot.has_whole_stacks), (4071, HeapState::Active, true));
    assert_eq!((snapshot.base_interval_bytes, snapshot.interval_bytes), (65_536, 65_536));
    assert_eq!(snapshot.torn_records, 1, "a record that does not fit its size");
    assert_eq!(snapshot.allocator, None);
    let [stack] = snapshot.stacks.as_slice() else { panic!("{:?}", snapshot.stacks) };
    assert_eq!((stack.id, stack.kind, stack.taken), (9, HeapKind::Mapping, 2));
    assert_eq!(stack.frames, [0x1000, 0x2000, 0x3000]);
    assert_eq!(stack.live.samples, 2);
    // The large block is sure to be sampled; the small one stands for an interval of small ones.
    assert!((stack.live.bytes - (f64::from(1 << 30) + 131_122.0)).abs() < 1.0, "{:?}", stack.live);
    assert!((stack.live.standard_error() - 131_072.0).abs() < 100.0, "{:?}", stack.live);
    assert_eq!(snapshot.without_stack.samples, 1);
    assert_eq!(snapshot.live().samples, 3);
}

#[test]
fn what_is_no_table_is_told() {
    let version = |version| {
        let mut table = empty();
        put(&mut table, 8, version);
        HeapTable::open(written(&table).path()).unwrap_err().to_string()
    };
    assert!(version(wire::VERSION + 1).contains("version 2"), "{}", version(wire::VERSION + 1));
    assert!(version(0).contains("version 0"));
    for other in [b"".as_slice(), b"short", &[0; 8192], empty().split_at(100).0] {
        let error = HeapTable::open(written(other).path()).unwrap_err();
        assert!(matches!(error, HeapError::NotATable { .. }), "{error}");
    }
    assert!(matches!(HeapTable::open(Path::new("/nonexistent/heap.1")), Err(HeapError::Open { .. })));
}

#[test]
fn a_table_without_samples_is_its_header() {
    let file = written(empty().split_at(wire::HEADER_BYTES).0);
    let snapshot = HeapTable::open(file.path()).unwrap().snapshot().unwrap();
    assert_eq!((snapshot.pid, snapshot.stacks.len(), snapshot.live().samples), (4071, 0, 0));
}

#[test]
fn any_bytes_are_read_without_harm() {
    let mut table = vec![0xff; wire::TABLE_BYTES];
    table[..24].copy_from_slice(&empty()[..24]);
    let snapshot = HeapTable::open(written(&table).path()).unwrap().snapshot().unwrap();
    assert!(snapshot.live().samples <= (wire::BUCKETS * wire::SLOTS) as u64);
}

#[test]
fn the_loader_is_told_where_the_sampler_is() {
    let folder = tempfile::tempdir().unwrap();
    let spaced = folder.path().join("a b");
    fs::create_dir(&spaced).unwrap();
    if !is_supported() {
        assert!(matches!(preload(folder.path(), 1), Err(HeapError::Unsupported)));
        return;
    }
    let environment = preload(folder.path(), 65_536).unwrap();
    let [(preload_name, library), (wish_name, wish)] = environment.as_slice() else { panic!("{environment:?}") };
    assert_eq!((preload_name.to_str(), wish_name.to_str()), (Some("LD_PRELOAD"), Some("TIDEWATCH_HEAP")));
    let library = library.to_str().unwrap().split(':').next().unwrap();
    assert_eq!(fs::read(library).unwrap(), super::library());
    assert_eq!(wish.to_str().unwrap(), format!("{}:65536", folder.path().canonicalize().unwrap().display()));
    assert_eq!(preload(folder.path(), 65_536).unwrap(), environment, "the second time finds the first one's file");
    assert!(matches!(preload(&spaced, 1), Err(HeapError::Folder { .. })));
}

proptest::proptest! {
    #[test]
    fn what_a_record_holds_is_read_back(
        address in 2_u64.., size: u64, stack: u32, level in 0_u64..64, flip in 0_u32..64
    ) {
        let facts = Facts { stack, level, kind: Kind::Mapping };
        let word = wire::pack(address, size, facts);
        proptest::prop_assert_eq!(wire::unpack(word, address, size), Some(facts));
        // One bit of 65,536 others may pass by chance; the same facts never do.
        proptest::prop_assert_ne!(wire::unpack(word ^ 1 << flip, address, size), Some(facts));
    }
}
