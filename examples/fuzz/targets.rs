//! What is fuzzed, with whole inputs to begin from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::formats;
use tidewatch::growth::{Query, Question, judge, read_curves};
use tidewatch::probe::fuzzing;
use tidewatch::probe::heap::OpenModule;
use tidewatch::probe::heap::symbols::Symbolizer;
use tidewatch::report::judged::{Judged, story};
use tidewatch::report::{ColorMode, Report, escape};
use tidewatch::scenario::script::{describe, load_with};
use tidewatch::scenario::template::{Fixed, Template, Values};
use tidewatch::units::Unit;

/// A target: where it begins, the words that mean something in it, and what is done with an input.
pub struct Target {
    pub corpus: Vec<Vec<u8>>,
    pub words: &'static [&'static str],
    pub try_out: TryOut,
}

/// Reads an input; an error says what its output should not hold.
pub type TryOut = Box<dyn Fn(&[u8]) -> Result<(), String>>;

type Make = fn(&Path) -> Target;

/// Every target by name.
pub const TARGETS: [(&str, Make); 7] = [
    ("recording", recording),
    ("scenario", scenario),
    ("template", template),
    ("judge", curves),
    ("metrics", metrics),
    ("image", image),
    ("maps", maps),
];

/// What the names and texts of an input hold by themselves is no figure of ours.
fn names_no_number(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    text.contains("NaN") || text.contains("inf")
}

/// Texts for people hold nothing that commands a terminal.
fn check_harmless(text: &str) -> Result<(), String> {
    if let Some(bad) = text.chars().find(|c| *c != '\n' && escape::is_treacherous(*c)) {
        return Err(format!("the output holds {bad:?}"));
    }
    Ok(())
}

/// The same, and no figure that is none.
fn check_text(text: &str) -> Result<(), String> {
    check_harmless(text)?;
    match text.split(|c: char| !c.is_alphanumeric()).find(|word| ["inf", "NaN"].contains(word)) {
        Some(word) => Err(format!("the output holds {word}:\n{text}")),
        None => Ok(()),
    }
}

const HOSTILE: [&str; 3] = ["\\u001b[31m", "\\u202e", "<script>|`"];

/// A scenario of twelve cycles that leaks, with every kind of record.
fn whole_recording() -> String {
    let mut lines = vec![
        r#"{"format":"tidewatch-recording/1","tidewatch":"0.1.0","started":"2026-02-03T04:05:06Z","mode":"check","launched":true,"interval_us":100000,"host":{"kernel":"6.1","architecture":"x86_64","cpus":2,"memory":8589934592,"page_size":4096,"limits":{"nofile":1024}},"plan":{"name":"service","subsystems":[{"name":"Queue","priority":"P0","source":"q.rs","owns":{"frames":["app::*"],"gauges":["items"],"fds":[],"tasks":[]}}],"scenarios":[{"name":"items","shape":"flood","subsystem":"Queue","steps":["POST /items"],"load":{"rate":100.0,"workers":null,"warmup_s":0.0,"load_s":1.0,"load_operations":null,"settle_s":0.5,"min_cycles":10,"max_cycles":50},"smallest":{"memory":100.0,"count":0.0001},"expect_cap":null,"thresholds":["private.per_op < 64B"],"production":[{"name":"heavy","rate":0.27}]}],"thresholds":[],"memory_limit":536870912,"seed":1,"inconclusive":"fails"}}"#.to_owned(),
        r#"{"kind":"event","at":0,"event":"target-begins","process":"10@7","command":["service","--x"],"fresh":true}"#.to_owned(),
        r#"{"kind":"mark","at":0,"operations":0,"border":"scenario-begins","scenario":"items","memory_source":"smaps_rollup"}"#.to_owned(),
    ];
    for cycle in 1..=12_u64 {
        for (phase, offset) in [("load", 0), ("settle", 1_000_000)] {
            let at = cycle * 1_500_000 + offset;
            lines.push(format!(
                r#"{{"kind":"mark","at":{at},"operations":{},"border":"phase-begins","phase":"{phase}","cycle":{cycle}}}"#,
                cycle * 100
            ));
            for tick in 1..4 {
                let (at, kept) = (at + tick * 100_000, 20_000_000 + cycle * 409_600);
                lines.push(format!(
                    r#"{{"kind":"sample","at":{at},"operations":{},"processes":1,"rss":{},"anonymous":{kept},"fds":{},"threads":4}}"#,
                    cycle * 100 + tick,
                    kept + 8_000_000,
                    10 + cycle
                ));
            }
        }
    }
    lines.push(r#"{"kind":"event","at":20000000,"event":"note","text":"something happened"}"#.to_owned());
    lines.push(r#"{"kind":"mark","at":20000001,"operations":1300,"border":"scenario-ends","scenario":"items","stop":{"stop":"failed","reason":"it broke"},"tally":{"counted":1300,"uncounted":{},"unexpected":{"500":3},"first_of_kind":{"500":"oops"}}}"#.to_owned());
    lines.push(r#"{"kind":"footer","at":20000002,"interrupted":false,"overhead":{"cpu_us":1,"wall_us":2,"ticks":3,"fast_us":4,"expensive_us":5,"late":6}}"#.to_owned());
    lines.join("\n") + "\n"
}

fn recording(scratch: &Path) -> Target {
    let path = scratch.join("recording.jsonl");
    let whole = whole_recording();
    let hostile = whole.replace("items", HOSTILE[0]).replace("service", HOSTILE[1]).replace("oops", HOSTILE[2]);
    let try_out = move |bytes: &[u8]| {
        std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
        let report = match Report::read(&path) {
            Ok(report) => report,
            Err(error) => return check_harmless(&escape::plain(&error.to_string())),
        };
        let check = if names_no_number(bytes) { check_harmless } else { check_text };
        check(&report.summary_json())?;
        check(&report.markdown())?;
        check(&report.terminal(ColorMode::Plain, 100, None))
    };
    let words =
        &["\"kind\":\"sample\"", "\"kind\":\"mark\"", "\\u001b[2J", "\\u202e", "\n", "{", "}", "null", "[[[[[[[["];
    Target { corpus: vec![whole.into_bytes(), hostile.into_bytes()], words, try_out: Box::new(try_out) }
}

fn scenario(scratch: &Path) -> Target {
    let path = scratch.join("tidewatch.toml");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files =
        ["src/demo/tidewatch.toml", "fixtures/orchestrator/tidewatch.toml", "fixtures/servers/node/tidewatch.toml"];
    let corpus = files.iter().filter_map(|file| std::fs::read(root.join(file)).ok()).collect();
    let try_out = move |bytes: &[u8]| {
        std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
        match load_with(&path, &BTreeMap::new(), &[], &|_| Some("value".to_owned())) {
            Ok(script) => drop(describe(&script)),
            Err(error) => drop(error.to_string()),
        }
        Ok(())
    };
    let words = &[
        "{{ op }}",
        "{% for i in range(9) %}",
        "{{ text(9) }}",
        "[[scenario]]\n",
        "1e308s",
        "\"\"\"",
        "a.b.c.d = 1\n",
        "[",
        "{ ",
        "= ",
    ];
    Target { corpus, words, try_out: Box::new(try_out) }
}

fn template(_: &Path) -> Target {
    let whole = [
        "{{ op }}-{{ session }}-{{ uuid }}-{{ text(12) }}-{{ var.a }}",
        "{% for i in range(20) %}{{ i * 2 }}{% if i > 3 %}{{ var.a | upper }}{% endif %}{% endfor %}",
        "{% set n = op * 10 + 1 %}{{ n ~ 'x' | replace('x', 'yy') }}{{ [1, 2] | join('-') }}",
        "{% raw %}{{ x }}{% endraw %}{# note #}{{ '%05d' | format(op) }}{{ 'a,b' | split(',') | list | length }}",
    ];
    let try_out = |bytes: &[u8]| {
        let source = String::from_utf8_lossy(bytes);
        let fixed = Fixed { vars: BTreeMap::from([("a".to_owned(), "value".to_owned())]), ..Fixed::default() };
        let values = Values { fixed: &fixed, key: 3, session: 1, seed: 1, captured: &BTreeMap::new() };
        let value = serde_json::Value::String(source.to_string());
        for template in [Template::parse(&source), Template::parse_json(&value)].into_iter().flatten() {
            // Either is right; neither may take long or end the process.
            let _ = template.render(&values);
        }
        Ok(())
    };
    let words = &[
        "{{",
        "}}",
        "{% ",
        " %}",
        "|",
        " * ",
        " ~ ",
        "(",
        ")",
        "[",
        "range(99999)",
        "text(99999)",
        "{% for a in b %}",
        "{% endfor %}",
        ".a",
        " not ",
    ];
    Target { corpus: whole.iter().map(|text| text.as_bytes().to_vec()).collect(), words, try_out: Box::new(try_out) }
}

fn curves(_: &Path) -> Target {
    let rows = |format: &dyn Fn(u32) -> String| (0..60).map(format).collect::<String>();
    let corpus = vec![
        format!("t_s,ops,value\n{}", rows(&|n| format!("{n},{},{}\n", n * 10, 1_000_000 + n * 4096))),
        format!(
            "t_s,ops,phase,cycle,value\n{}",
            rows(&|n| format!("{n},{n},{},{},{}\n", if n % 2 == 0 { "load" } else { "settle" }, n / 2 + 1, n * 9))
        ),
        format!("CMDLINE x\n{}", rows(&|n| format!("MEM 1{n}.5 17000000{n:02}.0\nCHLD 0 5.0 17000000{n:02}.0\n"))),
        format!(
            "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n{}",
            rows(&|n| format!("{n}.0 0.0 1{n}.2 200.0\n"))
        ),
        format!(
            "{{\"status\":\"success\",\"data\":{{\"result\":[{{\"metric\":{{\"job\":\"a\"}},\"values\":[{}[99,\"7\"]]}}]}}}}",
            rows(&|n| format!("[{n},\"{}\"],", n * 4096))
        ),
        rows(&|n| format!("2026-01-01T00:00:{n:02}Z\t{}\n", n * 7)),
    ];
    let corpus = [corpus, formats::all()].concat();
    let try_out = |bytes: &[u8]| {
        let every_s = Some(60.0);
        let asked = [Query::of(Unit::Bytes), Query::of(Unit::Count), Query { every_s, ..Query::default() }];
        for query in &asked {
            let found = match read_curves(bytes, query) {
                Ok(found) => found,
                Err(error) => {
                    drop(error.in_file("f"));
                    continue;
                }
            };
            let judged = |curve: tidewatch::growth::Foreign| {
                let growth = judge(&curve.curve, &Question::about(&curve.curve, None));
                // The name of a file and its labels may say what they like; figures may not.
                Judged {
                    file: "file".into(),
                    name: "file".into(),
                    growth,
                    level: curve.curve.recent_high(),
                    remarks: curve.remarks,
                    sums: curve.sums.map(|_| String::new()),
                    limit: Some(1e9),
                }
            };
            let curves: Vec<Judged> = found.into_iter().take(20).map(judged).collect();
            curves.iter().try_for_each(|curve| check_text(&curve.json_line()))?;
            check_text(&story(&curves, ColorMode::Plain, 100))?;
        }
        Ok(())
    };
    let words = &[
        "t_s,value\n",
        "CMDLINE ",
        "MEM ",
        "CHLD ",
        "\n",
        ",",
        "\t",
        "[1,\"2\"],",
        "1e-320",
        "load",
        "settle",
        "NaN",
        "+Inf",
        "23:59:59",
        "2025-03-01 09:00:00",
        "12:00:00 AM",
        "MiB",
        "->",
        "GC(",
        "[GC ",
        "top - ",
        "PID",
        "RSS",
        " MB, ",
        "rss=",
        "\"Datapoints\"",
    ];
    Target { corpus: corpus.into_iter().map(String::into_bytes).collect(), words, try_out: Box::new(try_out) }
}

fn metrics(_: &Path) -> Target {
    let corpus = [
        "# HELP queue_items x\n# TYPE queue_items gauge\nqueue_items{kind=\"ready\",q=\"a\\\"b\"} 5 1700000000\nqueue_items 7\nx 1e3 # {trace=\"1\"} 2\n",
        "{\"a\":{\"b\":[{\"c\":5}]},\"x\":1.5,\"queue_items\":\"7\"}",
    ];
    let try_out = |bytes: &[u8]| {
        fuzzing::metrics(bytes);
        Ok(())
    };
    let words = &["queue_items", "{", "}", "\"", "\\", "=", ",", " ", "[[[[[[[[[[[[[[[[", "{\"a\":", "#"];
    Target { corpus: corpus.iter().map(|text| text.as_bytes().to_vec()).collect(), words, try_out: Box::new(try_out) }
}

fn image(scratch: &Path) -> Target {
    let path = scratch.join("module.so");
    let mut corpus = vec![tidewatch::probe::heap::library().to_vec()];
    // A program of this machine, where it is small enough.
    corpus.extend(std::fs::read("/bin/true").ok().filter(|bytes| bytes.len() < 200 << 10));
    let try_out = move |bytes: &[u8]| {
        fuzzing::image(bytes);
        std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
        let file = std::fs::File::open(&path).map_err(|error| error.to_string())?;
        let build_id = tidewatch::probe::heap::symbols::build_id(&file);
        let module = OpenModule { path: path.clone(), root: PathBuf::from("/nowhere"), file, build_id };
        let offsets = [0, 1, 0x1000, 0x2345, 0x7fff_ffff, u64::MAX];
        drop(Symbolizer::with_debug_folders(Vec::new()).resolve(&module, &offsets));
        Ok(())
    };
    let words =
        &["\0\0\0\0\0\0\0\0", "\u{7f}ELF", ".symtab\0", ".debug_info\0", ".gnu_debugdata\0", ".gnu_debuglink\0"];
    Target { corpus, words, try_out: Box::new(try_out) }
}

fn maps(_: &Path) -> Target {
    let whole = std::fs::read("/proc/self/maps").unwrap_or_default();
    let try_out = |bytes: &[u8]| {
        fuzzing::maps(bytes);
        Ok(())
    };
    let words = &["r-xp", "-", ":", " ", "\n", "ffffffffffffffff", " (deleted)", "\\012", "/memfd:"];
    Target { corpus: vec![whole], words, try_out: Box::new(try_out) }
}
