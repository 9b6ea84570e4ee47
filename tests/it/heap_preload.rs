//! The allocation sampler inside real programs: they do as they did, and the table says what they hold.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidewatch::probe::heap::{self, HeapKind, HeapSnapshot, HeapStack, HeapState, HeapTable};

use crate::support::{part_of_machine, root, wait_for};

/// A folder with a fixture, compiled, and room for its tables.
struct Fixture {
    folder: TempDir,
    program: PathBuf,
}

impl Fixture {
    fn new(name: &str) -> Self {
        Self::linked(name, &[])
    }

    fn linked(name: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(name);
        let usual = ["-fomit-frame-pointer", "-fno-builtin-malloc", "-pthread"];
        compile(name, &program, &[usual.as_slice(), flags].concat());
        Self { folder, program }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The fixture under the sampler.
    fn sampled(&self, interval_bytes: u64) -> Command {
        let mut command = Command::new(&self.program);
        command.stdin(Stdio::null()).envs(heap::preload(self.path(), interval_bytes).unwrap());
        command
    }

    /// The same, with the generator's seed.
    fn seeded(&self, interval_bytes: u64, seed: u64) -> Command {
        let mut command = self.sampled(interval_bytes);
        let wish = |(name, value): (OsString, OsString)| (name == "TIDEWATCH_HEAP").then_some(value);
        let mut wish = heap::preload(self.path(), interval_bytes).unwrap().into_iter().find_map(wish).unwrap();
        wish.push(format!(":{seed}"));
        command.env("TIDEWATCH_HEAP", wish);
        command
    }

    /// Runs a command, and reads what its first process left in its table.
    fn run(&self, command: &mut Command) -> (Vec<String>, HeapSnapshot) {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (lines(&output), self.table(pid).snapshot().unwrap())
    }

    fn table(&self, pid: u32) -> HeapTable {
        HeapTable::open(&self.path().join(format!("heap.{pid}"))).unwrap()
    }
}

fn compile(name: &str, to: &Path, flags: &[&str]) {
    let source = root().join("fixtures/heap").join(name).with_extension("c");
    let output = Command::new("cc").args(["-O2", "-g"]).args(flags).arg(source).arg("-o").arg(to).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn address(word: &str) -> u64 {
    u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap()
}

/// The stack with the most live bytes.
fn largest(snapshot: &HeapSnapshot) -> &HeapStack {
    snapshot.stacks.iter().max_by(|a, b| a.live.bytes.total_cmp(&b.live.bytes)).unwrap()
}

fn is_inside(stack: &HeapStack, function: u64) -> bool {
    stack.frames.first().is_some_and(|frame| (function..function + 400).contains(frame))
}

#[test]
fn the_sampler_needs_the_c_library_alone() {
    let library = heap::library();
    let holds = |text: &[u8]| library.windows(text.len()).any(|window| window == text);
    assert!(heap::is_supported() && library.len() < 64 << 10, "{} bytes", library.len());
    assert!(holds(b"libc.so.6\0"));
    for other in [b"libgcc_s".as_slice(), b"libpthread", b"ld-linux", b"rust_eh_personality", b"_Unwind_"] {
        assert!(!holds(other), "{}", String::from_utf8_lossy(other));
    }
}

#[test]
fn a_leak_among_noise_comes_first_and_within_its_interval() {
    const LEAKED: f64 = 240_000.0 * 500.0;
    let _machine = part_of_machine();
    let leak = Fixture::new("leak");
    let (mut found, mut told) = (0, Vec::new());
    for seed in 1..=20 {
        let mut command = leak.seeded(524_288, seed);
        let (lines, snapshot) = leak.run(command.args(["240000", "500"]).arg(seed.to_string()));
        let site = address(lines[0].split(' ').nth(1).unwrap());
        let first = largest(&snapshot);
        assert!(is_inside(first, site), "seed {seed}: {first:x?}");
        assert_eq!((snapshot.missed_frees, snapshot.dropped_records, snapshot.torn_records), (0, 0, 0));
        let (low, high) = first.live.interval();
        assert!(first.live.standard_error() < 0.2 * LEAKED, "the interval says something: {:?}", first.live);
        found += usize::from((low..=high).contains(&LEAKED));
        told.push((low, high));
    }
    assert!(found >= 18, "{found} of 20: {told:?}");
}

#[test]
fn every_use_of_the_allocator_is_served() {
    let _machine = part_of_machine();
    let check = Fixture::new("check");
    compile("module", &check.path().join("module.so"), &["-shared", "-fPIC", "-fomit-frame-pointer"]);
    for interval in [1, 1000, 524_288] {
        let (lines, snapshot) = check.run(check.sampled(interval).arg(check.path()));
        assert_eq!(lines, ["ok"]);
        assert!(snapshot.samples > 100 && snapshot.freed > snapshot.samples * 9 / 10, "{snapshot:?}");
        assert_eq!((snapshot.dropped_stacks, snapshot.torn_records), (0, 0), "at {interval}");
        // Modules that bind to the C library before all else free a block of ours 20 times.
        assert!(snapshot.missed_frees <= 20, "{} at {interval}", snapshot.missed_frees);
        assert!(snapshot.truncated_stacks * 20 <= snapshot.samples, "{snapshot:?}");
        // All is freed but what the C library keeps for itself.
        let live = snapshot.live();
        assert!(live.bytes - 3.0 * live.standard_error() < 300_000.0, "at {interval}: {live:?}");
    }
    // Threads that allocate while the process ends.
    let (lines, _) = check.run(check.sampled(1000).arg(check.path()).arg("exit"));
    assert_eq!(lines, ["ok"]);
}

#[test]
fn stacks_are_those_of_the_c_librarys_own_unwinder() {
    compare_stacks(&[]);
}

#[test]
fn stacks_are_whole_at_fixed_addresses() {
    compare_stacks(&["-no-pie"]);
}

/// As in large programs of other linkers: the tables lie in another mapping than the code.
#[test]
fn stacks_are_whole_where_segments_lie_apart() {
    compare_stacks(&["-no-pie", "-Wl,-z,separate-code,-z,max-page-size=2097152"]);
}

fn compare_stacks(flags: &[&str]) {
    let stacks = Fixture::linked("stacks", flags);
    // The second module takes the place of the first, with another frame at the same address.
    let modules = ["-DROOM=24", "-DROOM=88"].map(|room| {
        let module = stacks.path().join(room).with_extension("so");
        compile("module", &module, &["-shared", "-fPIC", "-fomit-frame-pointer", room]);
        module
    });
    let (lines, snapshot) = stacks.run(stacks.sampled(4096).args(&modules).args(&modules));
    assert_eq!(lines.len(), 16);
    // Calls from the same places have the same stack, however large their frames are.
    let mut calls: BTreeMap<(&str, Vec<u64>), f64> = BTreeMap::new();
    for line in &lines {
        let (name, addresses) = line.split_once(' ').unwrap();
        *calls.entry((name, addresses.split(' ').map(address).collect())).or_default() += f64::from(64 << 20);
    }
    for ((name, expected), bytes) in calls {
        // An interrupted function is not inside a call: its address is kept one higher, to be taken off like all others.
        let slack = u64::from(name == "signal");
        let same = |(a, b): (&u64, &u64)| (*b..=*b + slack).contains(a);
        let is_it = |stack: &&HeapStack| {
            let behind = &stack.frames[1..];
            behind.len() == expected.len() && behind.iter().zip(&expected).all(same)
        };
        let found = snapshot.stacks.iter().find(is_it);
        let found = found.unwrap_or_else(|| panic!("{name} {expected:x?}\nis none of {:x?}", snapshot.stacks));
        assert!(found.live.bytes >= bytes, "{name}: {found:?} holds less than {bytes}");
    }
}

#[test]
fn children_leave_the_table_of_their_parent_alone() {
    let family = Fixture::new("family");
    let plain = Command::new(&family.program).output().unwrap();
    let (sampled, snapshot) = family.run(&mut family.sampled(65_536));
    let words: Vec<&str> = sampled[0].split(' ').collect();
    assert_eq!(words[2], "0", "the child ended well");
    assert_eq!(words[0], lines(&plain)[0].split(' ').next().unwrap(), "the sampler holds no descriptor");
    let blocks = snapshot.stacks.iter().find(|stack| is_inside(stack, address(words[1]))).unwrap();
    // Blocks of 16 intervals are recorded for sure, or nearly.
    assert!((blocks.live.bytes / f64::from(100 << 20) - 1.0).abs() < 1e-3, "{blocks:?}");
    let mapped: f64 =
        snapshot.stacks.iter().filter(|stack| stack.kind == HeapKind::Mapping).map(|stack| stack.live.bytes).sum();
    assert!((mapped - f64::from(64 << 20)).abs() < 1.0, "{:?}", snapshot.stacks);
    assert!(snapshot.allocator.is_some_and(|figures| figures.mapped_bytes + figures.arena_bytes > 0));
    let tables = HeapTable::all(family.path()).unwrap();
    assert_eq!(tables.len(), 2, "the program that a child executed has its own");
    // `true` takes no sample at this interval: its table is a page.
    assert_eq!(tables.iter().filter(|(_, table)| fs::metadata(table).unwrap().len() == 4096).count(), 1);
}

#[test]
fn without_a_place_for_its_table_the_sampler_rests() {
    let family = Fixture::new("family");
    for wish in [None, Some(""), Some("/nonexistent:4096"), Some("nonsense"), Some("/tmp:0")] {
        let mut command = family.sampled(4096);
        match wish {
            None => command.env_remove("TIDEWATCH_HEAP"),
            Some(wish) => command.env("TIDEWATCH_HEAP", wish),
        };
        let output = command.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{wish:?}: {output:?}");
        assert_eq!(HeapTable::all(family.path()).unwrap(), []);
    }
}

#[test]
fn without_room_for_its_samples_the_sampler_ends_and_says_so() {
    let family = Fixture::new("family");
    let mut shell = Command::new("sh");
    // A limit on the size of files stands for a full disk. Nobody may run into it: that would be the end of the program.
    shell.args(["-c", "ulimit -f 16; exec \"$0\""]).arg(&family.program);
    let (lines, snapshot) = family.run(shell.envs(heap::preload(family.path(), 65_536).unwrap()));
    assert!(lines[0].ends_with(" 0"), "{lines:?}");
    assert_eq!((snapshot.state, snapshot.samples, snapshot.stacks.len()), (HeapState::NoRoom, 0, 0));
}

#[test]
fn a_running_program_is_read_and_one_that_executes_another_begins_anew() {
    let leak = Fixture::new("leak");
    let mut shell = Command::new("sh");
    shell.args(["-c", "read line; exec \"$0\" 10000 5000"]).arg(&leak.program);
    shell.envs(heap::preload(leak.path(), 8192).unwrap()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let path = leak.path().join(format!("heap.{}", child.id()));
    let first = wait_for("the shell's table", Duration::from_secs(20), || HeapTable::open(&path).ok());
    assert!(first.is_current());
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"go\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!first.is_current());
    let snapshot = HeapTable::open(&path).unwrap().snapshot().unwrap();
    assert_eq!((snapshot.pid, snapshot.state), (child.id(), HeapState::Active));
    let first = largest(&snapshot);
    assert!(is_inside(first, address(line.trim().split(' ').nth(1).unwrap())), "{first:x?}");
    assert!((first.live.bytes / 50e6 - 1.0).abs() < 0.2, "{first:?}");
    let added = resident_bytes(child.id(), &format!("/heap.{}", child.id()));
    assert!((4096..=3 << 20).contains(&added), "the table takes {added} bytes of the target");
    let tables = HeapTable::all(leak.path()).unwrap();
    assert_eq!(tables, [(child.id(), path)], "nothing is left over");
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_library_that_was_loaded_later_begins_and_ends_when_it_is_told() {
    let attached = Fixture::new("attached");
    let library = attached.path().join("library.so");
    fs::write(&library, heap::library()).unwrap();
    let mut command = Command::new(&attached.program);
    let mut child = command.arg(library).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let words: Vec<&str> = line.trim().split(' ').collect();
    assert_eq!(words.len(), 3, "{:?}", child.wait());
    let table = |descriptor: &str| {
        let table = HeapTable::open(Path::new(&format!("/proc/{}/fd/{descriptor}", child.id()))).unwrap();
        (table.snapshot().unwrap(), table)
    };
    // Blocks of so many intervals are recorded for sure: only those of the table's own time.
    for (descriptor, state, bytes) in
        [(words[0], HeapState::Ended, 200.0 * 100_000.0), (words[1], HeapState::Active, 50.0 * 100_000.0)]
    {
        let (snapshot, table) = table(descriptor);
        assert_eq!((snapshot.pid, snapshot.state, table.is_current()), (child.id(), state, true));
        let first = largest(&snapshot);
        assert!(is_inside(first, address(words[2])), "{first:x?}");
        assert!((first.live.bytes / bytes - 1.0).abs() < 1e-3, "{first:?}");
    }
    let (_, second) = table(words[1]);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let after = second.snapshot().unwrap();
    assert!(after.state == HeapState::Ended && after.live().bytes < 1e5, "{after:?}");
}

/// Resident memory of the mappings of a file.
fn resident_bytes(pid: u32, ending: &str) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut is_it = false;
    let mut kib = 0;
    for line in maps.lines() {
        if line.contains('-') && !line.starts_with(char::is_uppercase) {
            is_it = line.ends_with(ending);
        } else if let Some(rest) = line.strip_prefix("Rss:").filter(|_| is_it) {
            kib += rest.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        }
    }
    kib * 1024
}

const SQL: &str = "create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 8000)
insert into t select i, 'text ' || i || hex(i * 7919) from n;
create index tb on t(b); select count(*), sum(length(b)) from t where b like '%7%';
select substr(b, 1, 7) k, count(*) from t group by k order by 2 desc, 1 limit 5;";

const PYTHON: &str = "
import json, re
data = {i: [str(i), {'k': i, 'v': 'x' * (i % 50)}] for i in range(8000)}
text = json.dumps(data)
print(len(text), len(json.loads(text)), len(re.findall(r'\"k\": (\\d+)7', text)))
";

#[test]
fn programs_do_as_they_did() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().unwrap();
    let source = root().join("fixtures/heap/check.c");
    let mut commands = Vec::new();
    for allocator in ["pymalloc", "malloc"] {
        let mut python = Command::new("python3");
        python.args(["-c", PYTHON]).env("PYTHONMALLOC", allocator);
        commands.push(python);
    }
    let mut sqlite = Command::new("sqlite3");
    sqlite.args([":memory:", SQL]);
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-S", "-o", "-"]).arg(source);
    commands.extend([sqlite, gcc]);
    for mut command in commands {
        let plain = command.stdin(Stdio::null()).output().unwrap();
        assert!(plain.status.success() && !plain.stdout.is_empty(), "{command:?}: {plain:?}");
        let sampled = command.envs(heap::preload(folder.path(), 4096).unwrap()).output().unwrap();
        assert!(plain == sampled, "{command:?}: {}", String::from_utf8_lossy(&sampled.stderr));
    }
    let mut samples = 0;
    for (_, table) in HeapTable::all(folder.path()).unwrap() {
        let snapshot = HeapTable::open(&table).unwrap().snapshot().unwrap();
        assert_eq!(snapshot.missed_frees, 0, "{snapshot:?}");
        samples += snapshot.samples;
    }
    assert!(samples > 2000, "{samples}");
}

#[test]
fn redis_answers_under_the_sampler() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let mut server = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--dir"])
        .arg(folder.path())
        .arg("--unixsocket")
        .arg(&socket)
        .envs(heap::preload(folder.path(), 65_536).unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stream = wait_for("redis", Duration::from_secs(30), || UnixStream::connect(&socket).ok());
    let table = HeapTable::open(&folder.path().join(format!("heap.{}", server.id()))).unwrap();
    let before = table.snapshot().unwrap().live().bytes;
    let value = "v".repeat(10_000);
    let mut answer = [0; 5];
    for key in 0..4000 {
        write!(stream, "SET key{key} {value}\r\n").unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }
    let snapshot = table.snapshot().unwrap();
    stream.write_all(b"GET key3999\r\n").unwrap();
    let mut answer = vec![0; 10_010];
    stream.read_exact(&mut answer).unwrap();
    stream.write_all(b"SHUTDOWN NOSAVE\r\n").unwrap();
    assert!(server.wait().unwrap().success());
    assert_eq!(String::from_utf8(answer).unwrap(), format!("$10000\r\n{value}\r\n"));
    let grown = snapshot.live().bytes - before;
    assert!((grown / 40e6 - 1.0).abs() < 0.3, "{grown} of 40 MB: {:?}", snapshot.live());
}
