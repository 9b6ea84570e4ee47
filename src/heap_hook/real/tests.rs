use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;
use crate::order;

/// Alone with the pointers, which lead to the C library again when it is dropped.
struct Pointers {
    _alone: MutexGuard<'static, ()>,
}

impl Pointers {
    fn in_state(state: u32) -> Self {
        let alone = crate::tests::alone();
        assert!(find());
        STATE.store(state, Ordering::Relaxed);
        Self { _alone: alone }
    }
}

impl Drop for Pointers {
    fn drop(&mut self) {
        STATE.store(UNKNOWN, Ordering::Relaxed);
        IS_PRELOADED.store(true, Ordering::Relaxed);
        find();
    }
}

static CALLS: Mutex<Vec<(&str, [usize; 6])>> = Mutex::new(Vec::new());

/// What functions under these names were called with since the last time.
fn calls() -> Vec<(&'static str, [usize; 6])> {
    std::mem::take(&mut *CALLS.lock().unwrap_or_else(PoisonError::into_inner))
}

macro_rules! stand_ins {
    ($($name:ident),*) => {
        mod stand_in {
            $(pub extern "C" fn $name(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
                let mut calls = super::CALLS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                calls.push((stringify!($name), [a, b, c, d, e, f]));
                77
            })*
        }
        fn stand_ins() -> [u64; FUNCTIONS] {
            [$(stand_in::$name as *const () as u64),*]
        }
    };
}

stand_ins!(
    malloc,
    free,
    calloc,
    realloc,
    memalign,
    aligned_alloc,
    posix_memalign,
    valloc,
    pvalloc,
    mmap,
    mmap64,
    munmap,
    mremap,
    dlclose
);

fn block(address: usize) -> Block {
    address as Block
}

#[test]
fn calls_go_to_the_functions_that_an_injector_has_found() {
    let _pointers = Pointers::in_state(UNKNOWN);
    let mut found = stand_ins();
    take(&found);
    assert!(find() && !IS_PRELOADED.load(Ordering::Relaxed));
    assert_eq!(allocator() as u64, found[0]);
    calls();
    let check = |name: &str, arguments: &[usize], result: usize| {
        assert_eq!(result, 77, "what {name} returned");
        let [(called, with)] = calls()[..] else { panic!("{name} was not called once") };
        assert_eq!((called, &with[..arguments.len()]), (name, arguments));
    };
    // SAFETY: the stand-ins read no memory.
    unsafe {
        check("malloc", &[1], first_malloc(1) as usize);
        check("calloc", &[2, 3], first_calloc(2, 3) as usize);
        check("realloc", &[64, 5], first_realloc(block(64), 5) as usize);
        check("memalign", &[6, 7], first_memalign(6, 7) as usize);
        check("aligned_alloc", &[8, 9], first_aligned_alloc(8, 9) as usize);
        check("posix_memalign", &[64, 10, 11], first_posix_memalign(block(64).cast(), 10, 11) as usize);
        check("valloc", &[12], first_valloc(12) as usize);
        check("pvalloc", &[13], first_pvalloc(13) as usize);
        check("mmap", &[1, 2, 3, 4, 5, 6], first_mmap(block(1), 2, 3, 4, 5, 6) as usize);
        check("munmap", &[14, 15], first_munmap(block(14), 15) as usize);
        check("mremap", &[16, 17, 18, 19, 20], first_mremap(block(16), 17, 18, 19, block(20)) as usize);
        check("dlclose", &[21], first_dlclose(block(21)) as usize);
        first_free(block(64));
        check("free", &[64], 77);
        first_free(early(8, 16));
        assert_eq!(calls(), [], "a block of the arena is freed by nobody");
        // What was not found is an allocation that fails.
        found[order::NAMES.iter().position(|name| *name == c"pvalloc").expect("a name")] = 0;
        take(&found);
        assert!(first_pvalloc(13).is_null());
        check("valloc", &[12], first_valloc(12) as usize);
    }
}

#[test]
fn calls_while_functions_are_looked_for_are_served_by_the_arena_and_the_kernel() {
    let _pointers = Pointers::in_state(LOOKING);
    assert!(!find());
    let served = |block: Block, size: usize, align: usize| {
        assert!(is_early(block) && early_size(block) >= size && (block as usize).is_multiple_of(align));
        block
    };
    // SAFETY: blocks of the arena are written no further than they are long; pages are of the kernel's choice.
    unsafe {
        let old = served(first_malloc(40), 40, 16).cast::<u8>();
        old.write_bytes(7, 40);
        let longer = served(first_realloc(old.cast(), 100), 100, 16).cast::<u8>();
        let bytes = core::slice::from_raw_parts(longer, 100);
        assert!(bytes[..40].iter().all(|byte| *byte == 7) && bytes[48..].iter().all(|byte| *byte == 0));
        let shorter = served(first_realloc(longer.cast(), 8), 8, 16).cast::<u8>();
        assert_eq!(core::slice::from_raw_parts(shorter, 16), [[7; 8], [0; 8]].concat(), "no more than was asked for");
        served(first_realloc(core::ptr::null_mut(), 8), 8, 16);
        assert!(first_realloc(old.cast(), usize::MAX).is_null());
        served(first_calloc(3, 50), 150, 16);
        assert!(first_calloc(usize::MAX, 2).is_null());
        served(first_memalign(256, 10), 10, 256);
        served(first_aligned_alloc(64, 10), 10, 64);
        let mut place = core::ptr::null_mut();
        assert_eq!(first_posix_memalign(&raw mut place, 128, 10), 0);
        served(place, 10, 128);
        assert_eq!(first_posix_memalign(&raw mut place, 128, usize::MAX), ENOMEM);
        assert!(first_valloc(1).is_null() && first_pvalloc(1).is_null());
        // A block of an allocator that is not known yet stays: nobody can free it.
        first_free(block(0x5555));
        first_free(old.cast());
        let page = first_mmap(core::ptr::null_mut(), 4096, 3, 0x22, -1, 0);
        page.cast::<u8>().write(1);
        let moved = first_mremap(page, 4096, 8192, 1, core::ptr::null_mut());
        assert_eq!(moved.cast::<u8>().read(), 1);
        assert_eq!((first_munmap(moved, 8192), first_munmap(block(1), 1)), (0, -1));
        assert_eq!(first_dlclose(block(1)), -1);
    }
}

#[test]
fn a_free_of_a_block_of_the_arena_takes_the_slow_path() {
    let block = early(8, 16);
    let place = table::FILTER[block as usize >> 4 & 0xffff].load(Ordering::Relaxed);
    assert_eq!(place, u8::MAX);
    assert!(early(usize::MAX, 16).is_null() && !is_early(core::ptr::null()));
}

#[test]
fn functions_are_found_for_a_library_that_was_loaded_later() {
    let _pointers = Pointers::in_state(UNKNOWN);
    MALLOC.store(core::ptr::null_mut(), Ordering::Relaxed);
    assert!(find_attached() && !IS_PRELOADED.load(Ordering::Relaxed));
    // SAFETY: the name ends with a zero.
    assert_eq!(allocator(), unsafe { sys::dlsym(sys::RTLD_DEFAULT, c"malloc".as_ptr()) } as usize);
}

#[test]
fn code_of_the_allocator_is_known_from_its_begin_to_before_its_end() {
    let _pointers = Pointers::in_state(KNOWN);
    assert!(crate::unwind::prepare());
    learn_allocator();
    let (begin, end) = (ALLOCATOR_BEGIN.load(Ordering::Relaxed), ALLOCATOR_END.load(Ordering::Relaxed));
    assert!((begin..end).contains(&allocator()));
    assert_eq!([begin - 1, begin, end - 1, end].map(is_allocator), [false, true, true, false]);
    assert!(!is_allocator(learn_allocator as *const () as usize), "the program's own");
}
