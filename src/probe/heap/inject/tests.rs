//! Refusals whose cause is made up, and images that make no sense.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write as _;

use super::check::{denied, program_file, standing};
use super::image::{Loaded, headers, read_all};
use super::target::Status;
use super::*;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// The head of an ELF file of 64 bits with one program header.
fn program(machine: u16, kind: u32, text: &str) -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 1;
    bytes[64..68].copy_from_slice(&kind.to_le_bytes());
    bytes[72] = 120;
    bytes[96] = text.len() as u8;
    bytes.extend(text.as_bytes());
    bytes
}

#[test]
fn programs_are_refused_by_their_file() {
    const LOAD: u32 = 1;
    const INTERPRETER: u32 = 3;
    let cases = [
        (program(183, LOAD, ""), "built for ARM (64 bits)"),
        (program(3, LOAD, ""), "built for x86 (32 bits)"),
        (program(999, LOAD, ""), "built for machine 999"),
        (program(62, LOAD, ""), "linked statically"),
        (program(62, INTERPRETER, "/lib/ld-musl-x86_64.so.1\0"), "uses musl (/lib/ld-musl-x86_64.so.1)"),
        (program(62, INTERPRETER, "/lib/ld-other.so\0"), "loaded by /lib/ld-other.so"),
        (b"no program".to_vec(), "built for machine 0"),
        (Vec::new(), "built for machine 0"),
    ];
    for (bytes, expected) in cases {
        let refusal = program_file(&file(&bytes)).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
    assert_eq!(program_file(&file(&program(62, INTERPRETER, "/lib64/ld-linux-x86-64.so.2\0"))), Ok(()));
}

#[test]
fn processes_are_refused_by_their_status() {
    let cases = [
        ("TracerPid:\t77", "traced already, by process 77"),
        ("State:\tT (stopped)", "is stopped"),
        ("Seccomp:\t2", "filters its system calls"),
        ("x86_Thread_features:\tshstk", "shadow stack"),
    ];
    for (line, expected) in cases {
        let refusal = standing(5, &Status::from_text(line), Seccomp::Refuse).unwrap_err().to_string();
        assert!(refusal.contains(expected) && refusal.contains("process 5"), "{refusal}");
    }
    for (line, seccomp) in [("Seccomp:\t2", Seccomp::Allow), ("TracerPid:\t0\nState:\tS (sleeping)", Seccomp::Refuse)] {
        assert_eq!(standing(5, &Status::from_text(line), seccomp), Ok(()));
    }
}

#[test]
fn what_the_kernel_forbids_is_explained() {
    let own = Status::of("/proc/self/status").unwrap();
    let may_trace = own.set("CapEff") & 1 << 19 != 0;
    let own_user = own.number("Uid").unwrap();
    let scope = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    let told = |owner: u64, text: &str| denied(5, &Status::from_text(&format!("Uid:\t{owner}")), scope(text).path());
    assert_eq!(told(own_user, "3\n"), Refusal::YamaNobody);
    assert_eq!(denied(5, &own, std::path::Path::new("/nonexistent")), Refusal::NotPermitted { pid: 5 });
    if may_trace {
        assert_eq!(told(own_user, "2\n"), Refusal::NotPermitted { pid: 5 });
    } else {
        assert_eq!(told(own_user, "2\n"), Refusal::YamaAdmin);
        assert_eq!(told(own_user, "1\n"), Refusal::YamaParents);
        assert_eq!(told(own_user + 1, "1\n"), Refusal::OtherUser { pid: 5, owner: own_user + 1, own: own_user });
    }
}

#[test]
fn every_refusal_is_one_line_that_says_what_to_do() {
    let text = || "x".to_owned();
    let all = [
        Refusal::Unsupported,
        Refusal::Gone { pid: 5 },
        Refusal::OtherArchitecture { machine: text() },
        Refusal::Static,
        Refusal::Go,
        Refusal::Musl { loader: text() },
        Refusal::OtherLoader { loader: text() },
        Refusal::OldGlibc,
        Refusal::OwnAllocator { name: text() },
        Refusal::OwnNew { library: text() },
        Refusal::Sanitizer { sanitizer: text() },
        Refusal::SetUserId,
        Refusal::OtherUser { pid: 5, owner: 6, own: 7 },
        Refusal::YamaParents,
        Refusal::YamaAdmin,
        Refusal::YamaNobody,
        Refusal::NotPermitted { pid: 5 },
        Refusal::Traced { pid: 5, tracer: 6 },
        Refusal::Stopped { pid: 5 },
        Refusal::Seccomp { pid: 5 },
        Refusal::ShadowStack { pid: 5 },
        Refusal::CallLasts { pid: 5, seconds: 10 },
        Refusal::AlreadySampled { pid: 5, by: text() },
        Refusal::Unreadable { pid: 5 },
        Refusal::NoexecMemory { pid: 5 },
        Refusal::NoSafeThread { pid: 5, seconds: 3, tried: 10, reason: text() },
        Refusal::Loader { pid: 5, message: text() },
        Refusal::LoaderBusy { pid: 5 },
    ];
    const ADVICE: [&str; 11] = [
        "watch",
        "run ",
        "start ",
        "launch",
        "link it",
        "build",
        "expose",
        "end that",
        "let it go",
        "attach again",
        "set the",
    ];
    for refusal in all {
        let line = refusal.to_string();
        let advice = line.split([';', ',']).skip(1).collect::<Vec<_>>().join(";");
        assert!(!line.contains('\n') && ADVICE.iter().any(|words| advice.contains(words)), "{line}");
    }
}

#[test]
fn the_library_says_where_its_room_is() {
    let offsets = Offsets::of_library().unwrap();
    assert_eq!(offsets.room % 4096, 0);
    let file = Loaded(library());
    let image = Image::at(&file, 0, "").unwrap();
    assert!(image.symbol(&file, "malloc").is_some(), "for those that preload it");
    assert_eq!(image.symbol(&file, "nothing_of_this_name"), None);
    assert!(image.mentions(&file, "dl_iterate_phdr") && !image.mentions(&file, "_Znwm"));
}

#[test]
fn extreme_numbers_in_an_image_are_read_without_harm() {
    let library = library();
    let dynamic =
        headers(library).expect("headers").into_iter().find(|header| header.kind == 2).expect("a dynamic section");
    let fields = (64..64 + 56 * 12).chain(dynamic.offset as usize..(dynamic.offset + dynamic.file_bytes) as usize);
    for at in fields.step_by(8) {
        for number in [0, 1, u64::MAX, u64::MAX - 7, u64::MAX / 2, 1 << 63, u64::from(u32::MAX), 0x7fff_ffff_f000] {
            let mut bytes = library.to_vec();
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            read_all(&bytes);
        }
    }
}

proptest::proptest! {
    #[test]
    fn damaged_images_are_read_without_harm(at in 0_usize..4096, byte: u8, cut in 0_usize..50_000) {
        let mut bytes = library().to_vec();
        bytes[at] = byte;
        bytes.truncate(cut.max(64));
        read_all(&bytes);
    }
}
