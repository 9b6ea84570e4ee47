//! The refusals, one after the other: what the kernel allows, what the program's file is, what is in its memory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use super::image::{find, headers, number};
use super::modules::{Given, INJECTED, Modules, PRELOADED};
use super::target::{Status, Target, folder_of, start_of};
use crate::probe::heap::refusal::{Refusal, Seccomp, Way};
use crate::sample::Process;

/// Where the kernel says what Yama allows.
const YAMA: &str = "/proc/sys/kernel/yama/ptrace_scope";
const CAP_SYS_PTRACE: u32 = 19;

/// Everything that is known before a process is touched.
pub(in super::super) fn check(process: Process, way: Way) -> Result<(), Refusal> {
    match way {
        Way::Inject(seccomp) => checked(process, seccomp).map(|_| ()),
        Way::Preload => preloaded(process),
    }
}

fn preloaded(process: Process) -> Result<(), Refusal> {
    let pid = process.pid;
    if start_of(pid) != Some(process.start) {
        return Err(Refusal::Gone { pid });
    }
    let changed_user = status(pid)?.field("Uid").is_some_and(|users| {
        let users: Vec<&str> = users.split_ascii_whitespace().take(2).collect();
        users.first() != users.last()
    });
    if changed_user || Given::of(pid).is_secure() {
        return Err(Refusal::SetUserId);
    }
    program(pid)?;
    // Where memory cannot be read nothing more can be said.
    let Ok(target) = Target::open(process) else { return Ok(()) };
    let Ok(modules) = Modules::of(&target) else { return Ok(()) };
    is_new_enough(&target, &modules)?;
    allocators(&target, &modules)
}

/// The same, with what an injector needs.
pub(super) fn checked(process: Process, seccomp: Seccomp) -> Result<(Target, Modules), Refusal> {
    let pid = process.pid;
    if start_of(pid) != Some(process.start) {
        return Err(Refusal::Gone { pid });
    }
    let status = status(pid)?;
    standing(pid, &status, seccomp)?;
    let target = match Target::open(process) {
        Ok(target) => target,
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(Refusal::Gone { pid }),
        Err(_) => return Err(denied(pid, &status, Path::new(YAMA))),
    };
    // Threads may have filters of their own, and any of them may come to take a sample.
    for status in target.threads().into_iter().filter_map(|thread| target.status(thread)) {
        standing(pid, &status, seccomp)?;
    }
    program(pid)?;
    let modules = modules(&target)?;
    is_new_enough(&target, &modules)?;
    if let Some(path) = modules.images.iter().map(|image| &image.path).find(|path| is_preloaded(path)) {
        return Err(Refusal::AlreadySampled { pid, by: format!("preloaded from {path}") });
    }
    super::refuse_held(&target, &modules)?;
    allocators(&target, &modules)?;
    Ok((target, modules))
}

/// The modules, once the loader has brought them in: a program that begins just now takes a moment.
fn modules(target: &Target) -> Result<Modules, Refusal> {
    for _ in 0..20 {
        match Modules::of(target) {
            Err(Refusal::Unreadable { .. }) => std::thread::sleep(Duration::from_millis(10)),
            result => return result,
        }
    }
    Modules::of(target)
}

fn is_preloaded(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with(PRELOADED)) && !path.starts_with(INJECTED)
}

fn status(pid: u32) -> Result<Status, Refusal> {
    Status::of(&format!("/proc/{pid}/status")).ok_or(Refusal::Gone { pid })
}

/// What the status of a process forbids.
pub(super) fn standing(pid: u32, status: &Status, seccomp: Seccomp) -> Result<(), Refusal> {
    let tracer = status.number("TracerPid").unwrap_or(0);
    if tracer != 0 {
        return Err(Refusal::Traced { pid, tracer });
    }
    if status.field("State").is_some_and(|state| state.starts_with('T')) {
        return Err(Refusal::Stopped { pid });
    }
    if seccomp == Seccomp::Refuse && status.number("Seccomp").unwrap_or(0) != 0 {
        return Err(Refusal::Seccomp { pid });
    }
    if status.field("x86_Thread_features").is_some_and(|features| features.contains("shstk")) {
        return Err(Refusal::ShadowStack { pid });
    }
    Ok(())
}

/// Why the kernel did not let us.
pub(super) fn denied(pid: u32, status: &Status, yama: &Path) -> Refusal {
    let own_status = Status::of("/proc/self/status");
    let own = own_status.as_ref().and_then(|own| own.number("Uid")).unwrap_or(0);
    let may_trace = own_status.is_some_and(|own| own.set("CapEff") & 1 << CAP_SYS_PTRACE != 0);
    let scope = fs::read_to_string(yama).ok().and_then(|text| text.trim().parse::<u32>().ok()).unwrap_or(0);
    let owner = status.number("Uid").unwrap_or(own);
    match scope {
        3 => Refusal::YamaNobody,
        _ if may_trace => Refusal::NotPermitted { pid },
        _ if owner != own => Refusal::OtherUser { pid, owner, own },
        2 => Refusal::YamaAdmin,
        1 => Refusal::YamaParents,
        _ => Refusal::NotPermitted { pid },
    }
}

/// What the file of the program forbids.
fn program(pid: u32) -> Result<(), Refusal> {
    match File::open(format!("{}/exe", folder_of(pid))) {
        Ok(file) => program_file(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Refusal::Gone { pid }),
        Err(_) => Err(Refusal::NotPermitted { pid }),
    }
}

fn part(file: &File, at: u64, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length.min(64 << 20) as usize];
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at.saturating_add(read as u64)) {
            Ok(0) | Err(_) => break,
            Ok(more) => read += more,
        }
    }
    bytes.truncate(read);
    bytes
}

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

pub(super) fn program_file(file: &File) -> Result<(), Refusal> {
    let head = part(file, 0, 4096);
    let machine = number::<2>(&head, 18);
    if head.get(4) != Some(&2) || machine != u64::from(libc::EM_X86_64) {
        return Err(Refusal::OtherArchitecture { machine: machine_name(machine, head.get(4) == Some(&1)) });
    }
    let headers = headers(&head).unwrap_or_default();
    if is_go(file, &head) {
        return Err(Refusal::Go);
    }
    let Some(interpreter) = headers.iter().find(|header| header.kind == PT_INTERP) else {
        return Err(Refusal::Static);
    };
    let loader = part(file, interpreter.offset, interpreter.file_bytes.min(4096));
    let loader = String::from_utf8_lossy(&loader).trim_end_matches('\0').to_owned();
    let name = loader.rsplit('/').next().unwrap_or_default();
    if name.starts_with("ld-musl") {
        return Err(Refusal::Musl { loader });
    }
    if !name.starts_with("ld-linux") && !name.starts_with("ld-2.") && !name.starts_with("ld.so") {
        return Err(Refusal::OtherLoader { loader });
    }
    // Strings that an allocator cannot do without: a symbol table may have been taken out, they cannot.
    const WRITABLE: u32 = 2;
    for header in headers.iter().filter(|header| header.kind == PT_LOAD && header.flags & WRITABLE == 0) {
        let bytes = part(file, header.offset, header.file_bytes);
        let found = LINKED_IN.iter().find(|(_, parts)| find(&bytes, parts.concat().as_bytes()).is_some());
        if let Some((name, _)) = found {
            return Err(Refusal::OwnAllocator { name: (*name).to_owned() });
        }
    }
    Ok(())
}

/// Allocators, and a text of each that stands in no other program. In parts, so that it does not stand in this one.
const LINKED_IN: [(&str, [&str; 2]); 3] = [
    ("jemalloc", ["<jemal", "loc>: "]),
    ("mimalloc", ["mimal", "loc: error: "]),
    ("tcmalloc", ["tcmal", "loc: large alloc "]),
];

fn machine_name(machine: u64, is_narrow: bool) -> String {
    match machine {
        3 => "x86 (32 bits)".to_owned(),
        62 if is_narrow => "x32".to_owned(),
        40 => "ARM (32 bits)".to_owned(),
        183 => "ARM (64 bits)".to_owned(),
        243 => "RISC-V".to_owned(),
        other => format!("machine {other}"),
    }
}

/// Whether a program has the section that every Go program has.
fn is_go(file: &File, head: &[u8]) -> bool {
    let (begin, size, count, names) =
        (number::<8>(head, 40), number::<2>(head, 58), number::<2>(head, 60), number::<2>(head, 62));
    if begin == 0 || size != 64 {
        return false;
    }
    let table = part(file, begin, count * size);
    let sections: Vec<&[u8]> = table.chunks_exact(64).collect();
    let Some(names) = sections.get(names as usize) else { return false };
    let names = part(file, number::<8>(names, 24), number::<8>(names, 32).min(1 << 20));
    find(&names, b"\0.go.buildinfo\0").is_some()
}

fn is_new_enough(target: &Target, modules: &Modules) -> Result<(), Refusal> {
    let names = modules.libc.names(target).ok_or(Refusal::Unreadable { pid: target.pid() })?;
    // The name of the version, as what was new in it is marked.
    find(&names, b"\0GLIBC_2.34\0").map(|_| ()).ok_or(Refusal::OldGlibc)
}

const SANITIZERS: [(&str, &str, &str); 4] = [
    ("__asan_init", "libasan.so", "AddressSanitizer"),
    ("__tsan_init", "libtsan.so", "ThreadSanitizer"),
    ("__msan_init", "libmsan.so", "MemorySanitizer"),
    ("__lsan_init", "liblsan.so", "LeakSanitizer"),
];

/// Whether the allocator in use is one that is called through slots.
fn allocators(target: &Target, modules: &Modules) -> Result<(), Refusal> {
    for (symbol, library, name) in SANITIZERS {
        let is_loaded = modules.images.iter().any(|image| image.name().starts_with(library));
        if is_loaded || modules.program.symbol(target, symbol).is_some() {
            return Err(Refusal::Sanitizer { sanitizer: name.to_owned() });
        }
    }
    let allocator = &modules.allocator;
    if allocator.begin == modules.program.begin || modules.program.symbol(target, "malloc").is_some() {
        return Err(Refusal::OwnAllocator { name: "its own malloc".to_owned() });
    }
    // An allocator that is loaded beside the program is called through slots like glibc's, but for C++: its operators do
    // not call malloc.
    const NEW: &str = "_Znwm";
    if allocator.begin != modules.libc.begin && allocator.symbol(target, NEW).is_some() {
        let is_cpp = |image: &&super::image::Image| {
            image.begin != allocator.begin && !image.name().starts_with("libstdc++.so") && image.mentions(target, NEW)
        };
        if modules.images.iter().any(|image| is_cpp(&image)) {
            return Err(Refusal::OwnNew { library: allocator.name().to_owned() });
        }
    }
    Ok(())
}
