//! The tables of real modules, damaged: whatever they say, they are read without harm.
//!
//! `cargo xtask fuzz --target tables` lets this go on for longer.

#![expect(clippy::print_stdout, reason = "what the chore shows")]

use std::path::Path;
use std::time::{Duration, Instant};

use super::super::modules::Module;
use super::*;

/// Bytes of a module's tables that are damaged; the rest is left out.
const LONGEST: usize = 64 << 10;
const EH_FRAME: u32 = 0x6474_e550;

fn number<const N: usize>(bytes: &[u8], at: usize) -> usize {
    let mut word = [0; 8];
    word[..N].copy_from_slice(&bytes[at..at + N]);
    usize::from_le_bytes(word)
}

/// The header of a file's unwind tables with what follows it, and how far behind their begin its code lies.
fn tables(file: &Path) -> Option<(Vec<u8>, isize)> {
    let bytes = std::fs::read(file).ok()?;
    let (begin, size, count) = (number::<8>(&bytes, 32), number::<2>(&bytes, 54), number::<2>(&bytes, 56));
    let headers: Vec<usize> = (0..count).map(|index| begin + index * size).collect();
    let of_kind = |kind: u32| {
        headers.iter().copied().filter(|at| number::<4>(&bytes, *at) == kind as usize).collect::<Vec<usize>>()
    };
    let header = *of_kind(EH_FRAME).first()?;
    let executable = of_kind(1).into_iter().find(|at| number::<4>(&bytes, at + 4) & 1 == 1)?;
    let (offset, address) = (number::<8>(&bytes, header + 8), number::<8>(&bytes, header + 16));
    let code = number::<8>(&bytes, executable + 16);
    let end = (offset + LONGEST).min(bytes.len());
    Some((bytes[offset..end].to_vec(), code.wrapping_sub(address).cast_signed()))
}

/// Memory that ends where none follows, so that a byte read too far is a fault.
struct Guarded {
    end: usize,
}

impl Guarded {
    fn new() -> Self {
        const PAGE: usize = 4096;
        // SAFETY: new memory at an address of the kernel's choice.
        let begin = unsafe { crate::sys::mmap(0, LONGEST + PAGE, 3, 0x22, -1, 0) };
        assert!(crate::sys::protect(begin + LONGEST, PAGE, 0));
        Self { end: begin + LONGEST }
    }

    /// Puts bytes at the end. The borrow keeps others from taking their place.
    fn put(&mut self, bytes: &[u8]) -> &[u8] {
        // SAFETY: at most `LONGEST` bytes, of memory that is ours alone.
        unsafe {
            let to = (self.end - bytes.len()) as *mut u8;
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            std::slice::from_raw_parts(to, bytes.len())
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = crate::wire::mix(self.0);
        (self.0 % end.max(1) as u64) as usize
    }
}

/// Looks rules up over all code that the tables are of, and walks by them.
fn read(bytes: &[u8], code: isize, random: &mut Random) -> usize {
    let begin = bytes.as_ptr() as usize;
    let module = Module::for_tests(begin, begin + bytes.len());
    let words = [begin; 32];
    let mut found = 0;
    for _ in 0..16 {
        let pc = begin.wrapping_add_signed(code).wrapping_add(random.below(1 << 17));
        let Some(rule) = module.description(pc).and_then(|at| cfi::rule(&module, at, pc)) else { continue };
        let at = Registers { pc, sp: words.as_ptr() as usize, bp: words.as_ptr() as usize + 64 };
        by_tables(&mut Stack::around(at.sp), &at, &rule);
        found += 1;
    }
    found
}

#[test]
fn damaged_tables_are_read_without_harm() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let paths = maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5));
    let mut files: Vec<&Path> = paths.filter(|path| path.starts_with('/')).map(Path::new).collect();
    files.sort_unstable();
    files.dedup();
    let whole: Vec<_> = files.iter().filter_map(|file| tables(file)).collect();
    assert!(whole.len() >= 2, "{files:?}");
    let seconds = std::env::var("TIDEWATCH_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0.2);
    let seed = std::env::var("TIDEWATCH_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (mut random, end) = (Random(seed), Instant::now() + Duration::from_secs_f64(seconds));
    let mut memory = Guarded::new();
    let found: usize = whole.iter().map(|(bytes, code)| read(memory.put(bytes), *code, &mut random)).sum();
    assert!(found > 0, "whole tables have rules");
    let mut tried = 0_u64;
    while Instant::now() < end {
        let (bytes, code) = &whole[random.below(whole.len())];
        let mut bytes = bytes.clone();
        for _ in 0..1 + random.below(6) {
            // The header and the first rows are read each time.
            let reach = if random.below(2) == 0 { 64 } else { bytes.len() };
            let at = random.below(reach.min(bytes.len()));
            match random.below(4) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                2 => bytes.truncate(at.max(1)),
                _ => {
                    let extreme = [0, u32::MAX, 1 << 31, i32::MAX as u32, 0x8080_8080][random.below(5)].to_le_bytes();
                    bytes.iter_mut().skip(at).zip(extreme).for_each(|(to, from)| *to = from);
                }
            }
        }
        read(memory.put(&bytes), *code, &mut random);
        tried += 1;
    }
    println!("{tried} damaged tables in {seconds} s from seed {seed}, none did harm");
}
