//! `--heap`: a recording tells what is alive by call stack, over all processes of a target, and names the functions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Running, Told, part_of_machine, records, root, tidewatch, told, wait_for};

/// A folder with the program that leaks slowly.
struct Slow {
    folder: TempDir,
    program: PathBuf,
}

impl Slow {
    fn new(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("slow");
        let source = root().join("fixtures/heap/slow.c");
        let mut compiler = Command::new("cc");
        let output = compiler.args(["-O2", "-g"]).args(flags).arg(source).arg("-o").arg(&program).output();
        let output = output.expect("a compiler");
        assert!(output.status.success(), "{output:?}");
        Self { folder, program }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Watches a command for a while.
    fn run(&self, out: &Path, words: &[&str], command: &[&str]) -> Told {
        let mut program = tidewatch();
        program.args(["run", "--inconclusive", "pass", "--interval", "50ms", "--out"]).arg(out).args(words).arg("--");
        told(program.args(command))
    }

    fn program(&self) -> &str {
        self.program.to_str().expect("a plain path")
    }
}

fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["kind"] == kind).collect()
}

fn events<'a>(records: &'a [Value], event: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["event"] == event).collect()
}

/// What is alive in each look at the stack whose first function that has a name is this one.
fn live_at(records: &[Value], function: &str) -> Vec<f64> {
    let symbols = of_kind(records, "symbols");
    let names: Vec<&Value> = symbols.iter().flat_map(|symbols| symbols["names"].as_array().expect("names")).collect();
    let is_here = |frame: &Value| {
        let name = names.iter().find(|name| name["module"] == frame["module"] && name["offset"] == frame["offset"]);
        name.is_some_and(|name| name["frames"][0]["function"] == function)
    };
    let told = of_kind(records, "stacks");
    let mut stacks = told.iter().flat_map(|told| told["stacks"].as_array().expect("stacks"));
    let stack = stacks.find(|stack| is_here(&stack["frames"][0]));
    let stack = stack.unwrap_or_else(|| panic!("{function} is in no stack: {names:?}"));
    let looks = of_kind(records, "heap").into_iter();
    looks
        .map(|look| {
            let mut live = look["live"].as_array().expect("stacks").iter();
            live.find(|live| live["stack"] == stack["id"]).map_or(0.0, |live| live["bytes"].as_f64().expect("bytes"))
        })
        .collect()
}

fn kinds_of_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the run's folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.contains("heap") && !["folded", "pprof", "svg"].iter().any(|end| name.ends_with(end)))
        .collect()
}

#[test]
fn a_run_tells_which_function_holds_the_bytes_that_grow() {
    let _machine = part_of_machine();
    let slow = Slow::new(&[]);
    // The loader cannot be told of a path with a space: the tables are elsewhere then.
    for name in ["run", "a run: with spaces"] {
        let out = slow.path(name);
        let told = slow.run(&out, &["--heap", "--for", "5s"], &[slow.program(), "60"]);
        assert!(matches!(told.code, Some(0 | 1)), "{told}");
        let records = records(&out);
        assert_eq!(records[0]["plan"]["heap"], "on");
        let begins = events(&records, "heap-begins");
        assert_eq!(begins.len(), 1, "{begins:?}");
        assert_eq!((&begins[0]["entry"], begins[0]["interval_bytes"].as_u64()), (&"preloaded".into(), Some(65_536)));
        assert_eq!(events(&records, "no-heap").len(), 0);
        let live = live_at(&records, "keep_one");
        assert!(live.len() >= 3 && live.windows(2).all(|pair| pair[0] < pair[1]), "{live:?}");
        // 10 MB a second, less what a busy machine keeps from it.
        assert!(*live.last().expect("a look") > 5e6, "{live:?}");
        let symbols = of_kind(&records, "symbols");
        let text = symbols[0].to_string();
        assert!(text.contains("fixtures/heap/slow.c") && text.contains("\"function\":\"main\""), "{text}");
        let ends = records.iter().position(|record| record["border"] == "scenario-ends").expect("an end");
        let named = records.iter().rposition(|record| record["kind"] == "symbols").expect("names");
        assert!(named < ends, "names stand before the end");
        assert_eq!(kinds_of_files(&out), [""; 0], "nothing is left");
    }
}

#[test]
fn a_static_program_is_watched_without_its_heap() {
    let _machine = part_of_machine();
    let slow = Slow::new(&["-static"]);
    let command = [slow.program(), "60"];
    let without = slow.run(&slow.path("without"), &["--for", "3s"], &command);
    let out = slow.path("with");
    let with = slow.run(&out, &["--heap", "--for", "3s"], &command);
    assert_eq!(with.code, without.code, "{with}");
    let records = records(&out);
    let told = events(&records, "no-heap");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["reason"].as_str().is_some_and(|reason| reason.contains("static")), "{told:?}");
    assert_eq!((of_kind(&records, "heap").len(), of_kind(&records, "stacks").len()), (0, 0));
    assert!(fs::read_to_string(out.join("stderr.log")).expect("its log").is_empty());
    assert_eq!(kinds_of_files(&out), [""; 0]);
}

#[test]
fn processes_of_a_tree_are_counted_together_and_those_that_change_are_noticed() {
    let _machine = part_of_machine();
    let (slow, fixed) = (Slow::new(&[]), Slow::new(&["-static"]));
    let out = slow.path("run");
    // Two processes of one program; a shell that becomes another program, which the sampler cannot be brought into.
    let script = "\"$1\" 60 & \"$1\" 60 & sleep 2.5; exec \"$2\" 60";
    let command = ["sh", "-c", script, "sh", slow.program(), fixed.program()];
    let told = slow.run(&out, &["--heap-interval", "16KiB", "--for", "7s"], &command);
    assert!(matches!(told.code, Some(0 | 1)), "{told}");
    let records = records(&out);
    let begins = events(&records, "heap-begins");
    // `sleep` may have been seen.
    assert!((3..=4).contains(&begins.len()), "{begins:?}");
    assert!(begins.iter().all(|event| event["interval_bytes"] == 16_384), "{begins:?}");
    let shell = &events(&records, "target-begins")[0]["process"];
    let refused = events(&records, "no-heap");
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(&refused[0]["process"], shell);
    assert!(refused[0]["reason"].as_str().is_some_and(|reason| reason.contains("executed")), "{refused:?}");
    let looks = of_kind(&records, "heap");
    assert_eq!(looks.last().expect("a look")["processes"], 2);
    // Both are one stack.
    let live = live_at(&records, "keep_one");
    assert!(live.last().expect("a look") > &20e6, "{live:?}");
}

#[test]
fn a_watch_that_is_interrupted_has_its_names_and_leaves_no_tables() {
    let _machine = part_of_machine();
    let slow = Slow::new(&[]);
    let out = slow.path("run");
    let mut program = tidewatch();
    program.args(["run", "--heap", "--out"]).arg(&out).args(["--", slow.program(), "60"]);
    let mut running = Running::quiet(&mut program);
    let is_named = || records(&out).iter().any(|record| record["kind"] == "heap" && record["live"][1].is_object());
    wait_for("a look", Duration::from_secs(30), || (out.join("recording.jsonl").exists() && is_named()).then_some(()));
    running.signal(rustix::process::Signal::INT);
    assert_eq!(running.wait("its end", Duration::from_secs(60)).code(), Some(130));
    assert!(!live_at(&records(&out), "keep_one").is_empty());
    assert_eq!(kinds_of_files(&out), [""; 0]);
}

#[test]
fn a_scenario_file_asks_for_the_heap_and_the_environment_stays_the_users() {
    let _machine = part_of_machine();
    let slow = Slow::new(&[]);
    let file = slow.path("tidewatch.toml");
    let text = format!(
        "[target]\nheap = true\nbuild = [\"sh\", \"-c\", \"echo built with $LD_PRELOAD\"]\n\
         launch = [\"sh\", \"-c\", \"echo loads $LD_PRELOAD; exec \\\"$0\\\" 60\", \"{}\"]\n\
         env = {{ LD_PRELOAD = \"libm.so.6\" }}\nready = {{ stdout = \"loads\" }}\n\
         [[scenario]]\nname = \"idle\"\nshape = \"idle\"\nwarmup = \"100ms\"\nload = {{ for = \"300ms\" }}\nsettle = \"100ms\"\n\
         cycles = {{ min = 10, max = 10 }}\nsmallest = {{ memory = \"1MiB/s\", count = \"2/s\" }}\n",
        slow.program()
    );
    fs::write(&file, text).expect("written");
    let plan = told(tidewatch().args(["check", "--dry-run"]).arg(&file));
    // 1 MiB/s over 4.1 s, by 400.
    assert!(plan.stdout.contains("heap sampled every 10.5 KiB on average"), "{plan}");
    let out = slow.path("run");
    let checked = told(tidewatch().args(["check", "--inconclusive", "pass", "--out"]).arg(&out).arg(&file));
    assert!(matches!(checked.code, Some(0 | 1)), "{checked}");
    let log = |name: &str| fs::read_to_string(out.join(name)).expect("its log");
    assert!(!log("stdout-build.log").contains("tidewatch"), "a build is not sampled");
    let loads = log("stdout.log");
    assert!(loads.contains("libtidewatch_heap") && loads.trim().ends_with(":libm.so.6"), "{loads}");
    let records = records(&out);
    let begins = events(&records, "heap-begins");
    assert_eq!((begins.len(), begins[0]["interval_bytes"].as_u64()), (1, Some(10_747)), "{begins:?}");
    // One before the first mark, and one at each border that the pace allows.
    let mark = records.iter().position(|record| record["border"] == "scenario-begins").expect("a begin");
    assert!(records[..mark].iter().any(|record| record["kind"] == "heap"));
    let live = live_at(&records, "keep_one");
    assert!(live.len() >= 6 && live.windows(2).all(|pair| pair[0] < pair[1]), "{live:?}");
    assert_eq!(kinds_of_files(&out), [""; 0]);
}

/// Attaches to a process with these words, and gives what was recorded.
fn attach(slow: &Slow, target: &Running, out: &str, words: &[&str]) -> Vec<Value> {
    let out = slow.path(out);
    let mut program = tidewatch();
    program.args(["attach", &target.pid().to_string(), "--inconclusive", "pass", "--out"]).arg(&out);
    let told = told(program.args(words));
    assert!(matches!(told.code, Some(0 | 1)), "{told}");
    records(&out)
}

#[test]
fn a_running_process_is_sampled_while_it_is_watched_and_left_as_it_was() {
    let _machine = part_of_machine();
    let slow = Slow::new(&[]);
    let mut target = Running::quiet(Command::new(&slow.program).arg("120"));
    // A second time after the first: it was taken out in between.
    for out in ["first", "second"] {
        let records = attach(&slow, &target, out, &["--heap", "--for", "5s"]);
        let begins = events(&records, "heap-begins");
        assert_eq!(begins.len(), 1, "{:?}", events(&records, "no-heap"));
        assert_eq!((&begins[0]["entry"], begins[0]["interval_bytes"].as_u64()), (&"injected".into(), Some(65_536)));
        assert!(begins[0]["pause_us"].as_u64().is_some_and(|pause| pause > 0), "{begins:?}");
        let live = live_at(&records, "keep_one");
        assert!(live.windows(2).all(|pair| pair[0] < pair[1]) && live.last() > Some(&5e6), "{live:?}");
        assert_eq!(events(&records, "note").len(), 0, "nothing went wrong at the end");
        assert!(target.runs());
    }
}

#[test]
fn a_watch_that_is_interrupted_takes_its_sampler_out() {
    let _machine = part_of_machine();
    let slow = Slow::new(&[]);
    let mut target = Running::quiet(Command::new(&slow.program).arg("120"));
    let out = slow.path("first");
    let mut program = tidewatch();
    program.args(["attach", "--heap", &target.pid().to_string(), "--out"]).arg(&out);
    let mut running = Running::quiet(&mut program);
    let has_look = || records(&out).iter().any(|record| record["kind"] == "heap" && record["live"][0].is_object());
    wait_for("a look", Duration::from_secs(30), || (out.join("recording.jsonl").exists() && has_look()).then_some(()));
    running.signal(rustix::process::Signal::INT);
    assert_eq!(running.wait("its end", Duration::from_secs(60)).code(), Some(130));
    let recorded = records(&out);
    assert_eq!(events(&recorded, "note").len(), 0, "nothing went wrong at the end");
    assert!(target.runs());
    let again = attach(&slow, &target, "second", &["--heap", "--for", "1s"]);
    assert_eq!(events(&again, "heap-begins").len(), 1, "{:?}", events(&again, "no-heap"));
}

#[test]
fn who_cannot_be_sampled_is_watched_all_the_same() {
    let _machine = part_of_machine();
    let slow = Slow::new(&["-static"]);
    let mut target = Running::quiet(Command::new(&slow.program).arg("120"));
    let records = attach(&slow, &target, "run", &["--heap", "--for", "2s"]);
    let told = events(&records, "no-heap");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["reason"].as_str().is_some_and(|reason| reason.contains("linked statically")), "{told:?}");
    assert!(of_kind(&records, "heap").is_empty() && !of_kind(&records, "sample").is_empty());
    assert!(target.runs());
}

#[test]
fn a_scenario_file_may_attach_and_ask_for_the_heap() {
    let _machine = part_of_machine();
    let slow = Slow::new(&[]);
    let mut target = Running::quiet(Command::new(&slow.program).arg("120"));
    let text = format!(
        "[target]\nheap = true\nattach = {{ pid = {} }}\n[[scenario]]\nname = \"idle\"\nshape = \"idle\"\nwarmup = \"100ms\"\n\
         load = {{ for = \"200ms\" }}\nsettle = \"100ms\"\ncycles = {{ min = 10, max = 10 }}\n\
         smallest = {{ memory = \"1MiB/s\", count = \"2/s\" }}\n",
        target.pid()
    );
    let file = slow.path("tidewatch.toml");
    fs::write(&file, text).expect("written");
    let out = slow.path("run");
    let mut program = tidewatch();
    program.args(["check", "--heap-interval", "32KiB", "--inconclusive", "pass", "--out"]).arg(&out).arg(&file);
    let told = told(&mut program);
    assert!(matches!(told.code, Some(0 | 1)), "{told}");
    let records = records(&out);
    let begins = events(&records, "heap-begins");
    assert_eq!((begins.len(), begins[0]["interval_bytes"].as_u64()), (1, Some(32_768)), "{begins:?}");
    let live = live_at(&records, "keep_one");
    assert!(live.windows(2).all(|pair| pair[0] <= pair[1]) && live.last() > Some(&5e6), "{live:?}");
    assert!(target.runs());
}

#[test]
fn words_that_make_no_sense_are_refused() {
    for (word, message) in [
        ("0B", "64KiB is usual"),
        ("2GiB", "64KiB is usual"),
        ("64", "an amount of memory"),
        ("x", "an amount of memory"),
    ] {
        let told = told(tidewatch().args(["run", "--heap-interval", word, "--", "true"]));
        assert!(told.code == Some(2) && told.stderr.contains(message), "{word}: {told}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("tidewatch.toml"), "[target]\nlaunch = [\"true\"]\nheap = \"yes\"\n")
        .expect("written");
    let told = told(tidewatch().args(["check", "--dry-run"]).arg(folder.path()));
    assert!(told.code == Some(2) && told.stderr.contains(":3:8: `heap` must be true or false"), "{told}");
}
