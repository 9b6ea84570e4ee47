//! Files that are cut off, spoiled or no modules at all: no names or some, and never an end of the program.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tidewatch::probe::heap::OpenModule;
use tidewatch::probe::heap::symbols::build_id;

use super::places::{Places, module};
use super::{alone, split};

/// A generator that is the same everywhere (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[test]
fn what_is_no_module_has_no_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module");
    for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &[0x7f; 5000]] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(alone().resolve(&module(&path), &[0, 17]), [Vec::new(), Vec::new()]);
        assert_eq!(module(&path).build_id, None);
    }
    let open = |path: &str| OpenModule {
        path: path.into(),
        root: "/".into(),
        file: File::open(path).unwrap(),
        build_id: None,
    };
    for path in ["/dev/zero", "/proc/self/exe", "/proc/self/maps", "/"] {
        let module = open(path);
        alone().resolve(&module, &[0]);
        build_id(&module.file);
    }
}

/// Spoils a program and its debug file again and again, and asks for every name.
#[test]
fn broken_files_do_no_harm() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (source, flags) in [
        ("places.c", &["-g", "-O2"][..]),
        ("places.c", &["-g", "-O2", "-gz=zlib"]),
        ("places.c", &["-g", "-O2", "-gdwarf-4", "-no-pie"]),
        ("places.cpp", &["-g", "-O1"]),
    ] {
        let places = Places::new(source, flags);
        spoil(&places, &places.program.clone(), &mut random);
    }
    let places = Places::new("places.c", &["-g", "-O2", "-gsplit-dwarf"]);
    let split_off = fs::read_dir(places.folder.path()).unwrap().map(|file| file.unwrap().path());
    let split_off = split_off.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "dwo")).unwrap();
    spoil(&places, &split_off, &mut random);
    let places = Places::new("places.c", &["-g", "-O2"]);
    split(&places);
    spoil(&places, &places.path("places.debug"), &mut random);
}

fn spoil(places: &Places, path: &Path, random: &mut Random) {
    const TIMES: usize = 150;
    let offsets: Vec<u64> = (0..200).map(|n| n * 40).chain(places.offsets()).collect();
    let whole = fs::read(path).unwrap();
    for time in 0..TIMES {
        let mut bytes = whole.clone();
        match time % 3 {
            0 => bytes.truncate(random.below(whole.len() as u64) as usize),
            // A few bits anywhere, or many in the headers.
            1 => (0..1 + random.below(40)).for_each(|_| {
                bytes[random.below(whole.len() as u64) as usize] ^= 1 << random.below(8);
            }),
            _ => (0..3).for_each(|_| {
                let end = whole.len().min(if time % 2 == 0 { 900 } else { usize::MAX });
                bytes[random.below(end as u64) as usize] = random.below(256) as u8;
            }),
        }
        // In place: what is mapped elsewhere by now is a file of its own.
        let copy = path.with_extension("spoilt");
        fs::write(&copy, &bytes).unwrap();
        fs::rename(&copy, path).unwrap();
        let frames = alone().resolve(&module(&places.program), &offsets);
        assert_eq!(frames.len(), offsets.len());
    }
    fs::write(path, whole).unwrap();
}

/// A section that says it unpacks to a terabyte is not unpacked.
#[test]
fn a_section_that_claims_to_be_huge_is_left_alone() {
    let places = Places::new("places.c", &["-g", "-O2", "-gz=zlib"]);
    let (at, offsets) = (super::section(&places, ".debug_info"), places.offsets());
    let file = File::options().write(true).open(&places.program).unwrap();
    // Behind the kind and its padding stands the size.
    file.write_all_at(&(1_u64 << 40).to_le_bytes(), at + 8).unwrap();
    let frames = alone().resolve(&places.module(), &offsets);
    assert_eq!(frames[1].last().unwrap().function, "outer");
}

/// Debug information that was made by hand: a function with so many functions in line within each other.
fn nested(depth: usize) -> Places {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("nested.s");
    let text = format!(
        r#"
        .section .debug_abbrev,"",@progbits
        .Labbrev:
        .byte 1, 0x11, 1, 0x11, 1, 0x12, 7, 0, 0
        .byte 2, 0x2e, 1, 0x03, 8, 0x11, 1, 0x12, 7, 0, 0
        .byte 3, 0x1d, 1, 0, 0
        .byte 0
        .section .debug_info,"",@progbits
        .long .Lend - .Lbegin
        .Lbegin:
        .value 4
        .long .Labbrev
        .byte 8
        .byte 1
        .quad outer, 0x20
        .byte 2
        .string "made_by_hand"
        .quad outer, 0x20
        .fill {depth}, 1, 3
        .fill {depth} + 2, 1, 0
        .Lend:
        .section .note.GNU-stack,"",@progbits
        "#
    );
    fs::write(&source, text).unwrap();
    Places::new("places.c", &["-O2", source.to_str().unwrap()])
}

#[test]
fn functions_within_functions_without_end_are_not_followed() {
    let name = |places: &Places| places.resolved_with(&mut alone())[1].last().unwrap().function.clone();
    assert_eq!(name(&nested(100)), "made_by_hand");
    // The stack would not hold them.
    assert_eq!(name(&nested(5_000_000)), "outer");
}
