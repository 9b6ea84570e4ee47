//! Text that others wrote (recordings, files, columns, keys) commands no terminal and becomes no markup, wherever it stands.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Told, part_of_machine, tidewatch, told};

/// Escapes, bells, carriage returns, C1 controls, bidi overrides, invisible characters, HTML and Markdown.
const HOSTILE: &str = "\u{1b}[31mX\u{1b}]0;t\u{7}\r\u{9b}2J\u{7f}\u{202e}\u{2066}\u{200b}\u{2028}<script>alert(1)</script>|`[x](http://e)`\n# h";

fn is_raw(c: char) -> bool {
    c != '\n' && c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn assert_harmless(what: &str, text: &str) {
    let bad = text.chars().find(|c| is_raw(*c));
    assert!(bad.is_none(), "{what} holds {bad:?}:\n{}", text.escape_debug());
}

fn assert_told_harmless(what: &str, told: &Told) {
    assert_harmless(&format!("{what}: stdout"), &told.stdout);
    assert_harmless(&format!("{what}: stderr"), &told.stderr);
    assert!(!told.stderr.contains("panicked"), "{what}: {told}");
}

/// Every string of a value in the order in which it is met, the `at`-th one made hostile.
fn poison(value: &mut Value, at: &mut usize) -> bool {
    match value {
        Value::String(text) => {
            if *at == 0 {
                text.push_str(HOSTILE);
                return true;
            }
            *at -= 1;
            false
        }
        Value::Array(items) => items.iter_mut().any(|item| poison(item, at)),
        Value::Object(members) => {
            let names: Vec<String> = members.keys().cloned().collect();
            for name in names {
                if *at == 0 {
                    let member = members.remove(&name).unwrap_or_default();
                    members.insert(format!("{name}{HOSTILE}"), member);
                    return true;
                }
                *at -= 1;
                if members.get_mut(&name).is_some_and(|member| poison(member, at)) {
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}

/// Markdown without its code spans: what is in them is text.
fn without_code(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        plain.push_str(&rest[..at]);
        let fence: String = rest[at..].chars().take_while(|c| *c == '`').collect();
        let inside = &rest[at + fence.len()..];
        // A span ends at as many backticks, within its line.
        let line = inside.split('\n').next().unwrap_or_default();
        let end = (0..line.len())
            .filter(|end| line.is_char_boundary(*end) && line[*end..].starts_with(&fence))
            .find(|end| !line[..*end].ends_with('`') && !line[*end + fence.len()..].starts_with('`'));
        rest = match end {
            Some(end) => &inside[end + fence.len()..],
            None => inside,
        };
    }
    plain + rest
}

fn report(folder: &Path, lines: &[String]) -> Told {
    std::fs::write(folder.join("recording.jsonl"), lines.join("\n") + "\n").expect("written");
    told(tidewatch().arg("report").arg(folder))
}

#[test]
fn a_hostile_recording_is_reported_without_harm() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let run = told(
        tidewatch()
            .args(["run", "--for", "2s", "--out"])
            .arg(folder.path().join("run"))
            .args(["--", "sh", "-c", "sleep 30"]),
    );
    let text = std::fs::read_to_string(folder.path().join("run/recording.jsonl"))
        .unwrap_or_else(|error| panic!("{error}: {run}"));
    let whole: Vec<String> = text.lines().map(str::to_owned).collect();
    // Samples hold numbers alone: one is enough.
    let mut seen_sample = false;
    let candidates: Vec<usize> = (0..whole.len())
        .filter(|line| !whole[*line].starts_with("{\"kind\":\"sample\"") || !std::mem::replace(&mut seen_sample, true))
        .take(12)
        .collect();
    let (mut tried, mut readable) = (0, 0);
    let poisoned = folder.path().join("poisoned");
    std::fs::create_dir(&poisoned).expect("a folder");
    for line in candidates {
        for at in (0..).step_by(1) {
            let mut value: Value = serde_json::from_str(&whole[line]).expect("a record");
            if !poison(&mut value, &mut { at }) {
                break;
            }
            tried += 1;
            let mut lines = whole.clone();
            lines[line] = value.to_string();
            let told = report(&poisoned, &lines);
            assert_told_harmless(&format!("line {line}, text {at}"), &told);
            readable += usize::from(told.code != Some(2));
            for name in ["report.md", "growth.svg", "summary.json"] {
                let Ok(text) = std::fs::read_to_string(poisoned.join(name)) else { continue };
                assert_harmless(name, &text);
                let is_markup = name != "summary.json" && without_code(&text).contains("<script");
                assert!(!is_markup, "{name} of line {line}, text {at}:\n{text}");
            }
        }
    }
    assert!(tried > 60 && readable > 20, "{tried} texts, {readable} of them in readable recordings");
}

#[test]
fn hostile_names_in_other_files_are_told_without_harm() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let quoted = serde_json::to_string(HOSTILE).expect("a text");
    let toml = quoted.replace("\\u001b", "\\u001B");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let head = "[target]\nlaunch = [\"sleep\", \"60\"]\n";
    let scenario = |name: &str, more: &str| {
        format!(
            "{head}[[scenario]]\nname = {name}\nshape = \"idle\"\nsmallest = {{ memory = \"1MB/s\", count = \"9/s\" }}\n{more}"
        )
    };
    for (index, text) in [
        format!("{head}{toml} = 1\n"),
        scenario(&toml, ""),
        scenario("\"x\"", &format!("thresholds = [{toml}]\n")),
        scenario("\"x\"", &format!("subsystem = {toml}\n")),
        scenario("\"x\"", &format!("{toml} = 1\n")).replace("\"idle\"", &toml),
        format!("[vars]\n{toml} = [1]\n{head}"),
        format!("[target]\nlaunch = [\"{{{{ {} }}}}\"]\n", toml.trim_matches('"')),
        format!("{head}\n{HOSTILE}"),
    ]
    .iter()
    .enumerate()
    {
        let path = file(&format!("{index}.toml"), text);
        assert_told_harmless(text, &told(tidewatch().arg("check").arg(&path).arg("--dry-run")));
        assert_told_harmless(text, &told(tidewatch().arg("check").arg(&path).args(["--scenario", HOSTILE])));
    }
    let cell = HOSTILE.replace(['\n', '\r'], "");
    let rows: String = (0..40).map(|n| format!("{n},{}\n", n * 4096)).collect();
    for (index, text) in [
        format!("t_s,{cell} value\n{rows}"),
        format!("t_s,value\n{rows}{cell},1\n"),
        format!("t_s,value\n{rows}50,{cell}\n"),
        format!("t_s,value,phase\n1,2,{cell}\n"),
        format!("CMDLINE {cell}\nMEM 1 0\n{cell} 1\n"),
        format!("{{\"data\":{{\"result\":[{{\"metric\":{{{quoted}:{quoted}}},\"values\":[[1,\"2\"],[2,\"3\"]]}}]}}}}"),
        format!("{{\"error\":{quoted}}}"),
    ]
    .iter()
    .enumerate()
    {
        let path = file(&format!("{index}{cell}.csv").replace('/', ""), text);
        assert_told_harmless(text, &told(tidewatch().arg("judge").arg(&path)));
        let json = told(tidewatch().args(["judge", "--json"]).arg(&path));
        assert_told_harmless(text, &json);
        for line in json.stdout.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    }
    for words in [["attach", HOSTILE], ["report", HOSTILE], ["check", HOSTILE], ["judge", HOSTILE], ["init", HOSTILE]] {
        assert_told_harmless(words[0], &told(tidewatch().current_dir(folder.path()).args(words)));
    }
}

/// Limits memory and time as a small machine does: nothing may abort, hang or overflow.
fn limited(words: &[&str], input: Option<&Path>) -> Told {
    let mut command = Command::new("timeout");
    command.args([
        "--kill-after=1",
        "20",
        "sh",
        "-c",
        "ulimit -v 4000000; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_tidewatch"),
    ]);
    command.args(words).env("NO_COLOR", "1").env("RUST_BACKTRACE", "0");
    match input {
        Some(path) => command.stdin(std::fs::File::open(path).expect("it opens")),
        None => command.stdin(Stdio::null()),
    };
    told(&mut command)
}

#[test]
fn costly_scenario_files_are_refused_and_cost_nothing() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let head = "[target]\nlaunch = [\"sleep\", \"60\"]\n";
    let idle = "[[scenario]]\nname = \"x\"\nshape = \"idle\"\nsmallest = { memory = \"1MB/s\", count = \"9/s\" }\n";
    let launch = |word: &str| format!("[target]\nlaunch = [\"sleep\", '{word}']\n{idle}");
    let deep = |open: &str, close: &str| format!("{head}x = {}{}\n{idle}", open.repeat(100_000), close.repeat(100_000));
    for (name, text) in [
        ("filters", launch(&format!("{{{{ op{} }}}}", " | int".repeat(200_000)))),
        ("few filters", launch(&format!("{{{{ op{} }}}}", "|e".repeat(30_000)))),
        ("dots", launch(&format!("{{{{ op{} }}}}", ".a".repeat(200_000)))),
        ("loops", launch(&("{% for i in range(99999) %}".repeat(5) + &"{% endfor %}".repeat(5)))),
        ("text", launch("{{ text(1000000000000) }}")),
        ("float text", launch("{{ text(1e12) }}")),
        ("repetition", launch("{{ \"x\" * 99999999 | list | length }}")),
        ("replace", launch("{{ text(99999) | replace(\"\", text(99999)) | replace(\"\", text(99999)) }}")),
        ("lists", deep("[", "]")),
        ("tables", deep("{ a = ", " }")),
        ("keys", format!("{head}x{} = 1\n{idle}", ".a".repeat(100_000))),
        ("scenarios", format!("{head}{}", "[[scenario]]\n".repeat(300_000))),
        ("large", format!("{head}# {}\n", "x".repeat(8 << 20))),
        ("duration", format!("{head}{idle}warmup = \"1e308s\"\n")),
        ("rate", format!("{head}{}rate = \"1e308/s\"\n", idle.replace("idle", "flood"))),
        ("zero rate", format!("{head}{}rate = \"0/s\"\n", idle.replace("idle", "flood"))),
        ("not a number", format!("{head}{idle}max_errors = nan\n")),
        ("negative", format!("{head}{idle}cycles = {{ min = -1, max = -1 }}\n")),
        (
            "pattern",
            format!("[target]\nlaunch = [\"sleep\", \"60\"]\nready = {{ stdout = '(\\w{{9999}}){{9999}}' }}\n{idle}"),
        ),
        (
            "deep pattern",
            format!("[target]\nlaunch = [\"sleep\", \"60\"]\nready = {{ stdout = '{}' }}\n{idle}", "(".repeat(100_000)),
        ),
    ] {
        let path = folder.path().join("tidewatch.toml");
        std::fs::write(&path, text).expect("written");
        let began = Instant::now();
        let told = limited(&["check", path.to_str().expect("a path"), "--dry-run"], None);
        assert_eq!(told.code, Some(2), "{name}: {}", told.to_string().chars().take(2_000).collect::<String>());
        assert!(told.stderr.contains("tidewatch.toml"), "{name} names no place: {told}");
        assert!(began.elapsed() < Duration::from_secs(10), "{name} took {:?}", began.elapsed());
    }
}

#[test]
fn pipes_devices_and_folders_as_input_do_not_hang() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("recording.jsonl");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a FIFO");
    let fifo = fifo.to_str().expect("a path");
    let inside = folder.path().to_str().expect("a path");
    for (words, says) in [
        (["report", fifo], "a pipe"),
        (["report", inside], "a pipe"),
        (["check", fifo], "a pipe"),
        (["check", "/dev/zero"], "a device"),
        (["report", "/dev/zero"], "a device"),
        (["judge", "/dev/zero"], "a device"),
        (["judge", inside], "a directory"),
    ] {
        let told = limited(&words, None);
        assert_eq!(told.code, Some(2), "{words:?}: {told}");
        assert!(told.stderr.contains(says), "{words:?}: {told}");
    }
    // A pipe without a writer is waited for, and the person is told.
    let waiting = told(Command::new("timeout").args(["4", env!("CARGO_BIN_EXE_tidewatch"), "judge", fifo]));
    assert!(waiting.stderr.contains("waiting for data from"), "{waiting}");
    // Process substitution of a shell is a pipe with a writer.
    let script = "\"$0\" judge <(for i in $(seq 1 60); do echo $i,4096; done)";
    let piped = told(Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_tidewatch")]));
    assert_eq!(piped.code, Some(0), "{piped}");
    let endless = told(Command::new("bash").args(["-c", "yes | \"$0\" judge -", env!("CARGO_BIN_EXE_tidewatch")]));
    assert_eq!(endless.code, Some(2), "{endless}");
}

#[test]
fn values_that_no_process_can_have_are_refused_with_their_line() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.dat");
    let rows: String = (0..60).map(|n| format!("MEM {n} {n}\n")).collect();
    std::fs::write(&path, rows.replace("MEM 40 40", "MEM -1e308 40")).expect("written");
    for form in [&["judge", "--limit", "512MiB"][..], &["judge", "--json"]] {
        let told = told(tidewatch().args(form).arg(&path));
        assert_eq!(told.code, Some(2), "{told}");
        assert!(told.stderr.contains("in.dat:41:") && told.stderr.contains("negative"), "{told}");
        assert!(!told.stdout.contains("inf") && !told.stderr.contains("inf"), "{told}");
    }
}

#[test]
fn damaged_inputs_do_no_harm() {
    let _machine = part_of_machine();
    let fuzz = crate::support::binaries().join("examples/fuzz");
    let told = told(Command::new(fuzz).args(["--seconds", "2", "--seed", "1"]).env("RUST_BACKTRACE", "0"));
    assert_eq!(told.code, Some(0), "{told}");
}
