//! Addresses of real programs become functions: with debug information in all the places where it may lie, and without.

mod broken;
mod places;

use std::fs;
use std::path::{Path, PathBuf};

use tidewatch::probe::heap::OpenModule;
use tidewatch::probe::heap::symbols::{Symbolizer, build_id};
use tidewatch::sample::Frame;

use places::{Places, module, told};

/// The calls of `places.c`: `inner` and `middle` are put in line into `outer`.
const CALLS: [(&str, &str); 6] = [
    ("print_calls", "print_calls"),
    ("inner", "inner"),
    ("middle", "middle"),
    ("outer", "outer"),
    ("hidden", "hidden"),
    ("main", "main"),
];

/// The same without debug information: what the symbol table knows.
const SYMBOLS: [&str; 4] = ["print_calls", "outer", "hidden", "main"];

fn bare(frames: &[Vec<Frame>]) -> Vec<&str> {
    assert!(frames.iter().flatten().all(|frame| frame.file.is_none() && frame.line.is_none()), "{frames:?}");
    frames.iter().flatten().map(|frame| frame.function.as_str()).collect()
}

/// Looks in no folder of debug files, so that the machine's own do not matter.
fn alone() -> Symbolizer {
    Symbolizer::with_debug_folders(Vec::new())
}

#[track_caller]
fn assert_whole(places: &Places, symbolizer: &mut Symbolizer) {
    let frames = places.resolved_with(symbolizer);
    assert_eq!(told(&frames)[..CALLS.len()], places.expected(&CALLS)[..], "{frames:?}");
    let source = Path::new("fixtures/heap/places.c");
    assert!(frames[..4].iter().flatten().all(|frame| Path::new(frame.file.as_ref().unwrap()).ends_with(source)));
    // One place with three functions: the outermost is last.
    assert_eq!(frames[1].iter().map(|frame| frame.function.as_str()).collect::<Vec<_>>(), ["inner", "middle", "outer"]);
}

#[test]
fn functions_lines_and_what_is_in_line() {
    for flags in [
        &["-g", "-O0"][..],
        &["-g", "-O2"],
        &["-g1", "-O2"],
        &["-g", "-O2", "-no-pie"],
        &["-gdwarf-4", "-O2"],
        &["-g3", "-O2", "-flto"],
    ] {
        assert_whole(&Places::new("places.c", flags), &mut alone());
    }
}

#[test]
fn compressed_debug_information() {
    for kind in ["zlib", "zlib-gnu", "zstd"] {
        let places = Places::new("places.c", &["-g", "-O2"]);
        places.tool(&format!("objcopy --compress-debug-sections={kind} places"));
        assert_whole(&places, &mut alone());
    }
}

#[test]
fn a_separate_file_beside_the_program_or_below_it() {
    let places = Places::new("places.c", &["-g", "-O2"]);
    split(&places);
    assert_whole(&places, &mut alone());
    fs::create_dir(places.path(".debug")).unwrap();
    fs::rename(places.path("places.debug"), places.path(".debug/places.debug")).unwrap();
    assert_whole(&places, &mut alone());
    fs::remove_file(places.path(".debug/places.debug")).unwrap();
    assert_eq!(bare(&places.resolved_with(&mut alone())), ["outer"; 0]);
}

#[test]
fn a_separate_file_in_a_debug_folder_by_path() {
    let places = Places::new("places.c", &["-g", "-O2", "-Wl,--build-id=none"]);
    split(&places);
    let debug = tempfile::tempdir().unwrap();
    let below = debug.path().join(places.folder.path().strip_prefix("/").unwrap());
    fs::create_dir_all(&below).unwrap();
    fs::rename(places.path("places.debug"), below.join("places.debug")).unwrap();
    assert_eq!(build_id(&module(&places.program).file), None);
    assert_whole(&places, &mut Symbolizer::with_debug_folders(vec![debug.path().to_owned()]));
    assert!(places.resolved_with(&mut alone()).iter().all(Vec::is_empty));
}

#[test]
fn a_separate_file_in_a_debug_folder_by_build_id() {
    let places = Places::new("places.c", &["-g", "-O2", "-Wl,--build-id=0xabcdef0123456789"]);
    places.tool("objcopy --only-keep-debug places else.debug");
    places.tool("strip places");
    assert_eq!(places.module().build_id.as_deref(), Some("abcdef0123456789"));
    let debug = tempfile::tempdir().unwrap();
    let folder = debug.path().join(".build-id/ab");
    fs::create_dir_all(&folder).unwrap();
    fs::rename(places.path("else.debug"), folder.join("cdef0123456789.debug")).unwrap();
    assert_whole(&places, &mut Symbolizer::with_debug_folders(vec!["/nowhere".into(), debug.path().to_owned()]));
}

#[test]
fn a_separate_file_of_another_build_is_not_read() {
    // With build-ids, and with checksums alone.
    for flag in ["-Wl,--build-id", "-Wl,--build-id=none"] {
        let places = Places::new("places.c", &["-g", "-O2", flag]);
        let other = Places::new("places.c", &["-g", "-O1", flag]);
        split(&places);
        split(&other);
        fs::copy(other.path("places.debug"), places.path("places.debug")).unwrap();
        assert!(places.resolved_with(&mut alone()).iter().all(Vec::is_empty), "{flag}");
    }
    // At the place that the build-id names, but with another inside.
    let places = Places::new("places.c", &["-g", "-Wl,--build-id=0xab12"]);
    let other = Places::new("places.c", &["-g", "-Wl,--build-id=0xab13"]);
    places.tool("strip places");
    fs::create_dir_all(places.path(".build-id/ab")).unwrap();
    fs::copy(&other.program, places.path(".build-id/ab/12.debug")).unwrap();
    let mut symbolizer = Symbolizer::with_debug_folders(vec![places.folder.path().to_owned()]);
    assert!(places.resolved_with(&mut symbolizer).iter().all(Vec::is_empty));
}

#[test]
fn common_parts_of_debug_files() {
    let places = Places::new("places.c", &["-g", "-O2"]);
    fs::copy(&places.program, places.path("twin")).unwrap();
    places.tool("dwz -m common -r places twin");
    assert!(places.path("common").exists(), "nothing was common");
    assert_whole(&places, &mut alone());
}

#[test]
fn units_that_are_split_off() {
    let places = Places::new("places.c", &["-g", "-O2", "-gsplit-dwarf"]);
    assert!(
        fs::read_dir(places.folder.path()).unwrap().any(|file| file
            .unwrap()
            .path()
            .extension()
            .is_some_and(|e| e == "dwo"))
    );
    assert_whole(&places, &mut alone());
    // Without them, what is left in the program: lines and symbols.
    for file in fs::read_dir(places.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "dwo") {
            fs::remove_file(path).unwrap();
        }
    }
    let frames = places.resolved_with(&mut alone());
    let expected =
        places.expected(&[("print_calls", "print_calls"), ("outer", "inner"), ("hidden", "hidden"), ("main", "main")]);
    assert_eq!(told(&frames)[..4], expected[..], "{frames:?}");
}

#[test]
fn symbols_alone_tell_functions_but_no_lines() {
    let places = Places::new("places.c", &["-O2"]);
    assert_eq!(bare(&places.resolved_with(&mut alone()))[..4], SYMBOLS);
    places.tool("strip -g places");
    assert_eq!(bare(&places.resolved_with(&mut alone()))[..4], SYMBOLS);
}

#[test]
fn a_stripped_program_tells_what_the_loader_must_know() {
    let places = Places::new("places.c", &["-O2", "-g", "-rdynamic"]);
    places.tool("strip places");
    let frames = places.resolved_with(&mut alone());
    let known = |frames: &Vec<Frame>| frames.first().map(|frame| frame.function.clone());
    // What is static has no name any more, and does not take its neighbour's.
    let expected = [None, Some("outer".to_owned()), None, Some("main".to_owned())];
    assert_eq!(frames.iter().map(known).collect::<Vec<_>>()[..4], expected);
}

#[test]
fn a_packed_symbol_table() {
    let places = Places::new("places.c", &["-O2"]);
    places.tool("objcopy --only-keep-debug places packed");
    places.tool("xz packed");
    places.tool("strip places");
    assert!(places.resolved_with(&mut alone()).iter().all(Vec::is_empty));
    places.tool("objcopy --add-section .gnu_debugdata=packed.xz places");
    assert_eq!(bare(&places.resolved_with(&mut alone()))[..4], SYMBOLS);
}

#[test]
fn what_no_symbol_covers_stays_unknown() {
    let places = Places::new("places.c", &["-O2", "-g", "-fno-plt", "-z", "lazy"]);
    // The first byte of the file is in no function; beyond the end is nothing; stubs to other modules are nobody's.
    let stubs = section(&places, ".plt");
    let start = section(&places, ".init");
    let offsets = [0, 1 << 40, u64::MAX, stubs + 4];
    let frames = alone().resolve(&places.module(), &offsets);
    assert!(frames.iter().all(Vec::is_empty), "{frames:?}");
    assert_eq!(alone().resolve(&places.module(), &[start]).len(), 1);
    assert!(alone().resolve(&places.module(), &[]).is_empty());
}

/// The offset of a section in the file.
fn section(places: &Places, name: &str) -> u64 {
    let output = std::process::Command::new("readelf").args(["-SW"]).arg(&places.program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.split_whitespace().any(|word| word == name)).unwrap();
    let after = line.split_once(name).unwrap().1;
    u64::from_str_radix(after.split_whitespace().nth(2).unwrap(), 16).unwrap()
}

#[test]
fn templates_and_lambdas() {
    for flags in [&["-g", "-O0"][..], &["-g", "-O2"]] {
        let places = Places::new("places.cpp", flags);
        let frames = places.resolved_with(&mut alone());
        let lambda = frames[2].last().unwrap().function.clone();
        let expected = [
            ("tide::print_calls()", "print_calls"),
            ("tide::Store<std::pair<int, long> >::keep(std::pair<int, long> const&)", "keep"),
            (lambda.as_str(), "lambda"),
            ("main", "main"),
        ];
        assert_eq!(told(&frames)[..4], places.expected(&expected)[..], "{frames:?}");
        assert!(lambda.contains("lambda") && lambda.starts_with("main"), "{lambda}");
    }
}

#[test]
fn rust_with_lines_alone_in_a_package_beside_the_program() {
    for split in ["off", "packed", "unpacked"] {
        for lines in ["line-tables-only", "limited", "2"] {
            let wish = [format!("-Csplit-debuginfo={split}"), format!("-Cdebuginfo={lines}")];
            let flags = ["--edition=2024", "-Copt-level=3", &wish[0], &wish[1]];
            assert_rust(&Places::new("places.rs", &flags), &wish);
            let flags = [&flags[..], &["-Csymbol-mangling-version=v0"]].concat();
            assert_rust(&Places::new("places.rs", &flags), &wish);
        }
    }
}

#[test]
fn a_package_that_is_missing_or_of_another_program() {
    let flags = ["--edition=2024", "-Copt-level=3", "-Csplit-debuginfo=packed", "-Cdebuginfo=2"];
    let places = Places::new("places.rs", &flags);
    let other = Places::new("places.rs", &[&flags[..], &["-Coverflow-checks=yes", "-Cmetadata=other"]].concat());
    let whole = places.resolved_with(&mut alone());
    fs::copy(other.path("places.dwp"), places.path("places.dwp")).unwrap();
    let with_other = places.resolved_with(&mut alone());
    fs::remove_file(places.path("places.dwp")).unwrap();
    let without = places.resolved_with(&mut alone());
    assert_eq!(with_other, without);
    assert_eq!(without[0], whole[0]);
    // `add`, into which `keep` was put: the line is known, and the function by its symbol.
    assert_eq!((whole[1].len(), without[1].len()), (2, 1));
    assert_eq!(without[1][0].function, whole[1][1].function);
    assert_eq!(without[1][0].line, whole[1][0].line);
}

fn assert_rust(places: &Places, wish: &[String]) {
    let frames = places.resolved_with(&mut alone());
    let is_ours = |frame: &&Frame| frame.file.as_ref().is_some_and(|file| file.ends_with("places.rs"));
    let ours: Vec<&Frame> = frames.iter().flatten().filter(is_ours).collect();
    let lines = ["print_calls", "keep", "add", "closure", "main"].map(|line| Some(places.line(line)));
    assert_eq!(ours.iter().map(|frame| frame.line).collect::<Vec<_>>(), lines, "{wish:?} {frames:?}");
    let [print_calls, keep, add, closure, main] = &ours[..] else { unreachable!() };
    assert_eq!((&*print_calls.function, &*main.function), ("places::print_calls", "places::main"), "{wish:?}");
    assert!(add.function.contains("Queue<") && add.function.ends_with("::add"), "{wish:?} {add:?}");
    // Line tables alone have no more than the last part of what is in line.
    if wish[1].ends_with("line-tables-only") {
        assert_eq!((&*keep.function, &*closure.function), ("keep<u32>", "{closure#0}"), "{wish:?}");
    } else {
        assert!(keep.function.contains("Queue<") && keep.function.ends_with("::keep"), "{wish:?} {keep:?}");
        assert!(closure.function.starts_with("places::main::{"), "{wish:?} {closure:?}");
    }
    let has_hash = |name: &str| name.rsplit("::").next().is_some_and(|last| last.len() == 17 && last.starts_with('h'));
    assert!(!frames.iter().flatten().any(|frame| has_hash(&frame.function)), "{frames:?}");
}

#[test]
fn files_are_looked_for_in_the_root_of_the_target() {
    let places = Places::new("places.c", &["-g", "-O2"]);
    split(&places);
    let offsets = places.offsets();
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("srv/real")).unwrap();
    std::os::unix::fs::symlink("/srv/real", root.path().join("srv/app")).unwrap();
    fs::rename(places.path("places.debug"), root.path().join("srv/real/places.debug")).unwrap();
    let inside = |path: &str, root: &Path| OpenModule {
        path: PathBuf::from(path),
        root: root.to_owned(),
        ..module(&places.program)
    };
    // A link is followed inside the root, and a removed program is found where it was.
    for path in ["/srv/real/places", "/srv/app/places", "/srv/app/places (deleted)"] {
        let frames = alone().resolve(&inside(path, root.path()), &offsets);
        assert_eq!(told(&frames)[..CALLS.len()], places.expected(&CALLS)[..], "{path}");
    }
    let frames = alone().resolve(&inside("/srv/real/places", Path::new("/proc/0/root")), &offsets);
    assert!(frames.iter().all(Vec::is_empty));
}

#[test]
fn nothing_stays_open() {
    let places = Places::new("places.c", &["-g", "-O2", "-gz=zlib"]);
    let mut symbolizer = alone();
    let module = places.module();
    let path = places.program.canonicalize().unwrap();
    for _ in 0..3 {
        symbolizer.resolve(&module, &places.offsets());
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains(path.to_str().unwrap()));
    }
}

/// Takes the debug information out of a program, and leaves a link to it.
fn split(places: &Places) {
    places.tool("objcopy --only-keep-debug places places.debug");
    places.tool("strip places");
    places.tool("objcopy --add-gnu-debuglink=places.debug places");
}
