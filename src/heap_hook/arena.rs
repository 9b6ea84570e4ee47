//! A small arena of our own, for allocations that come while the allocator is being looked for. Its blocks are never freed.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};

const BYTES: usize = 32 << 10;
/// Room before a block, for its size.
const HEAD: usize = 16;
const ALIGN: usize = 16;

/// Memory that is handed out once, piece by piece.
#[repr(C, align(16))]
pub struct Arena {
    bytes: UnsafeCell<[u8; BYTES]>,
    used: AtomicUsize,
}

// SAFETY: pieces are handed out once each, by an atomic count.
unsafe impl Sync for Arena {}

impl Arena {
    /// All zeros, which take no memory.
    pub const fn new() -> Self {
        Self { bytes: UnsafeCell::new([0; BYTES]), used: AtomicUsize::new(0) }
    }

    fn begin(&self) -> usize {
        self.bytes.get() as usize
    }

    /// A block of zeros whose address is a multiple of `align`, which is rounded up to a power of two. Null where there is no room.
    pub fn block(&self, size: usize, align: usize) -> *mut c_void {
        let place = |used: usize| {
            let align = align.max(ALIGN).checked_next_power_of_two()?;
            let block = (self.begin() + used + HEAD).checked_next_multiple_of(align)?;
            let end = block.checked_add(size)?.checked_next_multiple_of(ALIGN)? - self.begin();
            (end <= BYTES).then_some((block, end))
        };
        let end = |used: usize| place(used).map(|(_, end)| end);
        let used = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end);
        let Some((block, end)) = used.ok().and_then(place) else { return core::ptr::null_mut() };
        // SAFETY: the block and the words before it lie in a piece that was handed out to this call alone.
        unsafe { (block as *mut usize).sub(1).write(self.begin() + end - block) };
        block as *mut c_void
    }

    /// Whether a block is of this arena.
    pub fn holds(&self, block: *const c_void) -> bool {
        (self.begin()..self.begin() + BYTES).contains(&(block as usize))
    }

    /// How many bytes of a block may be read.
    ///
    /// # Safety
    ///
    /// The block is one of [`Self::block`].
    pub unsafe fn size(block: *const c_void) -> usize {
        // SAFETY: `block` has written the word.
        unsafe { block.cast::<usize>().sub(1).read() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a block begins and ends, from the begin of its arena.
    fn block(arena: &Arena, size: usize, align: usize) -> Option<(usize, usize)> {
        let block = arena.block(size, align);
        // SAFETY: a block of the arena, or null.
        (!block.is_null()).then(|| unsafe {
            let begin = block as usize - arena.begin();
            assert!(core::slice::from_raw_parts(block.cast::<u8>(), Arena::size(block)).iter().all(|byte| *byte == 0));
            core::ptr::write_bytes(block.cast::<u8>(), 0xff, Arena::size(block));
            (begin, begin + Arena::size(block))
        })
    }

    #[test]
    fn blocks_follow_each_other_behind_their_heads() {
        let arena = Arena::new();
        let blocks = [(100, 1), (1, 16), (0, 16), (32, 8), (16, 16)].map(|(size, align)| block(&arena, size, align));
        let expected = [(16, 128), (144, 160), (176, 176), (192, 224), (240, 256)];
        assert_eq!(blocks, expected.map(Some));
    }

    #[test]
    fn addresses_are_multiples_of_the_alignment() {
        let arena = Arena::new();
        for (asked, align) in [(32, 32), (256, 256), (4096, 4096), (24, 32), (0, 16)] {
            let at = arena.block(8, asked) as usize;
            assert!(at != 0 && at.is_multiple_of(align), "{at:x} for {asked}");
        }
        for align in [usize::MAX, 1 << 63, (1 << 63) + 1] {
            assert!(arena.block(8, align).is_null(), "{align:x}");
        }
    }

    #[test]
    fn a_full_arena_gives_null_and_what_still_fits() {
        let arena = Arena::new();
        assert_eq!(block(&arena, BYTES - HEAD + 1, 16), None);
        assert_eq!(block(&arena, usize::MAX, 16), None);
        assert_eq!(block(&arena, BYTES - HEAD - 64, 16), Some((HEAD, BYTES - 64)));
        assert_eq!(block(&arena, 49, 16), None);
        assert_eq!(block(&arena, 48, 16), Some((BYTES - 48, BYTES)), "all that is left");
        assert_eq!(block(&arena, 0, 16), None);
    }

    #[test]
    fn only_its_own_blocks_are_held() {
        let arena = Arena::new();
        let at = |address: usize| arena.holds(address as *const c_void);
        let begin = arena.begin();
        assert_eq!([begin - 1, begin, begin + BYTES - 1, begin + BYTES].map(at), [false, true, true, false]);
    }
}
