//! Reports of made-up runs, as they are shown.

mod fixtures;
mod heap;

use fixtures::{Book, Expected, Level, MIB, RATES, quiet, scenario, subsystem};

use super::{ColorMode, Report};
use crate::exit::ExitCode;
use crate::recording::{Mode, Recording};
use crate::run_dir::RunDir;
use crate::sample::{Event, How, Metric, Plan, Priority, Shape, Stop, SubsystemRules, Tally, Usual};

fn plan(scenarios: Vec<crate::sample::ScenarioPlan>) -> Plan {
    let gauges = SubsystemRules { gauges: vec!["work_queue_items".into()], ..SubsystemRules::default() };
    let sockets = SubsystemRules { fds: vec!["tcp:*:5432".into()], ..SubsystemRules::default() };
    let beats = SubsystemRules { tasks: vec!["heartbeat*".into()], ..SubsystemRules::default() };
    Plan {
        name: "orchestrator".into(),
        subsystems: vec![
            subsystem("Heartbeats", Priority::P1, "src/heartbeat.rs", beats),
            subsystem("WorkQueue", Priority::P0, "src/work_queue.rs", gauges),
            subsystem("Connections", Priority::P0, "src/store.rs", sockets),
            subsystem("Broadcaster", Priority::P1, "src/events.rs", SubsystemRules::default()),
        ],
        scenarios,
        memory_limit: Some(512 << 20),
        seed: 42,
        ..Plan::default()
    }
}

/// Three subsystems leak, one fills a ring.
fn leaking() -> Recording {
    let mut book = Book::new(
        Mode::Check,
        plan(vec![
            scenario("work-items", Shape::Flood, Some("WorkQueue"), &RATES),
            scenario("events", Shape::Abandon, Some("Broadcaster"), &RATES),
            scenario("heartbeats", Shape::Abandon, None, &[]),
            scenario("connections", Shape::Churn, Some("Connections"), &[("moderate", 100.0)]),
        ]),
    );
    book.scenario("work-items", 33, 700, |n| Level { private: 20.0 * MIB + 512.0 * n, items: Some(n), ..quiet(n) });
    book.scenario("events", 33, 350, |n| Level { private: 20.0 * MIB + (n * 10_240.0).min(10.0 * MIB), ..quiet(n) });
    book.scenario("heartbeats", 33, 35, |n| Level { threads: 8.0 + n, ..quiet(n) });
    book.scenario("connections", 33, 7, |n| Level { fds: 12.0 + 2.0 * n, private: 20.0 * MIB + 1e6 * n, ..quiet(n) });
    book.finish()
}

fn clean() -> Recording {
    let mut book = Book::new(Mode::Check, plan(vec![scenario("work-items", Shape::Flood, Some("WorkQueue"), &RATES)]));
    book.scenario("work-items", 33, 700, quiet);
    book.finish()
}

/// Too few cycles to say anything, and descriptors that cannot be read.
fn inconclusive() -> Recording {
    let mut book = Book::new(Mode::Check, plan(vec![scenario("work-items", Shape::Flood, Some("WorkQueue"), &RATES)]));
    let reason = "permission denied reading /proc/4243/fd (run as the same user or root)".to_owned();
    book.event(Event::Missing { metric: Metric::Fds, reason });
    book.scenario("work-items", 6, 700, |n| Level { private: 20.0 * MIB + 512.0 * n, ..quiet(n) });
    book.finish()
}

/// Killed under load, after the leak was plain.
fn killed() -> Recording {
    let mut book = Book::new(Mode::Check, plan(vec![scenario("work-items", Shape::Flood, Some("WorkQueue"), &RATES)]));
    let level = |n: f64| Level { private: 20.0 * MIB + 20_000.0 * n, ..quiet(n) };
    book.target_begins();
    let warm = book.begin("work-items", 700, level);
    let operations = book.cycles(warm, 33, 700, level);
    let evidence = [
        "SIGKILL (9): the kernel's OOM killer or somebody with `kill -9`; a shell shows it as 137",
        "the cgroup counted 1 OOM kill more than before the run",
    ];
    book.target_ends(How::Signalled(9), Expected::No, &evidence);
    let tally = Tally {
        unexpected: [("connection reset".to_owned(), 3)].into(),
        first_of_kind: [("connection reset".to_owned(), "Connection reset by peer (os error 104)".to_owned())].into(),
        uncounted: [("429".to_owned(), 12)].into(),
        ..Tally::default()
    };
    book.end("work-items", operations, Stop::TargetEnded, tally);
    book.finish()
}

/// Attached, with names that want to be more than text.
fn watched() -> Recording {
    let mut plan = plan(vec![scenario("server<b>|x", Shape::Watch, None, &[])]);
    plan.name = "evil\u{1b}[31m<script>`|name".into();
    let mut book = Book::new(Mode::Attach, plan);
    book.watch("server<b>|x", 120, "ESTABLISHED to \u{1b}]0;pwned\u{7}[x](http://evil)|", |t| Level {
        private: 20.0 * MIB + 40_000.0 * t,
        fds: 12.0 + (t * 2.0).floor(),
        ..quiet(t)
    });
    book.finish()
}

fn shown(recording: Recording) -> (Report, String) {
    let report = Report::of(recording);
    let text = report.terminal(ColorMode::Plain, 100, None);
    (report, text)
}

#[test]
fn a_leaking_target() {
    let (report, text) = shown(leaking());
    assert_eq!(report.gate.exit, ExitCode::Crossed);
    insta::assert_snapshot!("leaking_terminal", text);
    insta::assert_snapshot!("leaking_markdown", report.markdown());
}

#[test]
fn a_clean_target() {
    let (report, text) = shown(clean());
    insta::assert_snapshot!("clean_terminal", text);
    insta::assert_snapshot!("clean_markdown", report.markdown());
    assert_eq!(report.gate.exit, ExitCode::Held);
}

#[test]
fn a_run_that_cannot_decide() {
    let (report, text) = shown(inconclusive());
    insta::assert_snapshot!("inconclusive_terminal", text);
    insta::assert_snapshot!("inconclusive_markdown", report.markdown());
    assert_eq!(report.gate.exit, ExitCode::Inconclusive);
}

#[test]
fn a_target_that_is_killed_under_load() {
    let (report, text) = shown(killed());
    insta::assert_snapshot!("killed_terminal", text);
    insta::assert_snapshot!("killed_markdown", report.markdown());
    assert_eq!(report.gate.exit, ExitCode::Target);
}

#[test]
fn a_target_that_is_only_watched() {
    let (report, text) = shown(watched());
    insta::assert_snapshot!("watched_terminal", text);
    insta::assert_snapshot!("watched_markdown", report.markdown());
    assert_eq!(report.gate.exit, ExitCode::Crossed);
    assert!(!text.contains("an operation"), "nothing is operated here, and no figure is for each: {text}");
}

#[test]
fn texts_of_the_target_stay_texts() {
    let (report, text) = shown(watched());
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
    let markdown = report.markdown();
    for evil in ["\u{1b}", "\u{7}", "<script>", "<b>", "[x]("] {
        assert!(!markdown.contains(evil), "{evil:?} in {markdown}");
    }
    let coloured = report.terminal(ColorMode::Colour, 100, None);
    assert_eq!(console::strip_ansi_codes(&coloured), text);
}

#[test]
fn the_text_fits_the_terminal() {
    for recording in [leaking(), clean(), inconclusive(), killed(), watched(), heap::held(), heap::attached()] {
        let (_, text) = shown(recording);
        for line in text.lines() {
            assert!(console::measure_text_width(line) <= 100, "{line}");
        }
    }
}

#[test]
fn summaries_fit_their_schema() {
    let schema = serde_json::from_str(include_str!("../../docs/summary.schema.json")).expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is a schema");
    let mut cut = Book::new(Mode::Check, plan(Vec::new()));
    cut.target_begins();
    let heaps = [heap::held(), heap::attached()];
    for recording in [leaking(), clean(), inconclusive(), killed(), watched(), cut.cut()].into_iter().chain(heaps) {
        let report = Report::of(recording);
        let value = serde_json::to_value(report.summary()).expect("JSON");
        let errors: Vec<String> = schema.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        assert_eq!(value["exit_code"], report.gate.exit.code());
    }
    let wrong = serde_json::json!({"format": "tidewatch-summary/1", "outcome": "maybe"});
    assert!(!schema.is_valid(&wrong));
}

#[test]
fn the_same_recording_gives_the_same_files() {
    let folders = [tempfile::tempdir().expect("tempdir"), tempfile::tempdir().expect("tempdir")];
    let read = |folder: &tempfile::TempDir| {
        let written = Report::of(leaking()).write(&RunDir::open(folder.path()).expect("open")).expect("written");
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).expect("folder").map(|entry| entry.expect("entry").file_name()).collect();
        names.sort();
        assert_eq!(names, ["growth.png", "growth.svg", "report.md", "summary.json"]);
        [written.summary, written.svg, written.png, written.markdown].map(|path| std::fs::read(path).expect("bytes"))
    };
    assert!(read(&folders[0]) == read(&folders[1]));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("tempdir");
    let gone = folder.path().join("gone");
    let directory = RunDir::open(&gone).expect("open");
    std::fs::remove_dir(&gone).expect("removed");
    let message = Report::of(clean()).write(&directory).expect_err("no folder").to_string();
    assert!(message.contains("summary.json") && message.contains("tidewatch report"), "{message}");
}

#[test]
fn the_equation_multiplies_what_has_no_end_and_counts_the_rest_once() {
    let report = Report::of(leaking());
    let equations = super::equation::equations(&report.findings);
    let memory = &equations[0];
    for term in &memory.terms {
        let (Some(count), Some(each)) = (term.count, term.each) else { continue };
        assert!((count * each - term.growth.value).abs() <= 1e-6 * term.growth.value);
    }
    let (bounded, endless) = memory.total();
    assert!((bounded - 10.0 * MIB).abs() < 0.1 * MIB, "{bounded}");
    // 2,400 operations a day at 512 B and at 1 MB.
    let expected = 2_400.0 * (512.0 + 1e6);
    assert!((endless - expected).abs() < 0.05 * expected, "{endless}");
}

#[test]
fn what_is_not_decided_is_in_no_total() {
    let report = Report::of(inconclusive());
    let equations = super::equation::equations(&report.findings);
    assert!(!equations.is_empty());
    assert!(equations.iter().all(|equation| equation.total() == (0.0, 0.0)));
    assert_eq!(super::equation::rate_table(&report.findings).rows, []);
}

#[test]
fn growth_without_end_meets_its_limits() {
    let report = Report::of(leaking());
    let times = super::limits::of(&report.recording, &report.findings);
    let found: Vec<(&str, &str)> = times
        .iter()
        .filter(|time| time.pace == super::limits::THIS_RUN)
        .map(|time| (time.metric.as_str(), time.limit_name))
        .collect();
    assert_eq!(found, [("private", "memory"), ("threads", "pids"), ("private", "memory"), ("fds", "nofile")]);
}

#[test]
fn a_time_without_an_upper_end_says_so() {
    use crate::growth::TimeToLimit;
    let report = Report::of(leaking());
    let mut time = super::limits::of(&report.recording, &report.findings).remove(0);
    for (when, shown) in [
        (TimeToLimit::Reached, "reached"),
        (TimeToLimit::Never, "never"),
        (TimeToLimit::Hours { soonest: 1.0, likely: Some(2.0), latest: None }, "2 h (1 h, no upper bound)"),
        (TimeToLimit::Hours { soonest: 1.0, likely: None, latest: None }, "1 h at the soonest, no upper bound"),
    ] {
        time.when = when;
        assert_eq!(time.time(), shown);
        assert!(!time.sentence().is_empty());
    }
}

#[test]
fn the_ledgers_add_up_and_nobody_else_is_blamed() {
    let report = Report::of(leaking());
    let summary = report.summary();
    let suspects: std::collections::BTreeSet<&str> = summary
        .ledger
        .iter()
        .filter(|row| row.verdict == crate::growth::Verdict::Unbounded)
        .map(|row| row.subsystem.as_str())
        .collect();
    assert_eq!(suspects.into_iter().collect::<Vec<_>>(), ["Connections", "Heartbeats", "WorkQueue"]);
    let rows: f64 = summary.ledger.iter().filter(|row| row.metric == Metric::Private).map(|row| row.growth).sum();
    let total = summary.totals.iter().find(|total| total.resource == "memory").expect("a ledger of memory").growth;
    assert!((rows - total).abs() < 1.0, "{rows} {total}");
}

#[test]
fn few_operations_say_from_where_on_counts_are_judged() {
    for (usual, per_cycle, expected) in [
        (Usual::BOTH, 100, Some("0.00278 per operation and more: 2,160 operations show no less")),
        (Usual { count: true, memory: false }, 100, Some("0.00278 per operation")),
        // Somebody named it, or there were enough.
        (Usual::default(), 100, None),
        (Usual::BOTH, 1_000_000, None),
    ] {
        let mut few = scenario("few", Shape::Flood, None, &[]);
        few.usual = usual;
        let mut book = Book::new(Mode::Check, plan(vec![few]));
        book.scenario("few", 20, per_cycle, quiet);
        let (_, text) = shown(book.finish());
        let flowed = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(flowed.contains("few: descriptors, threads and other counts"), expected.is_some(), "{text}");
        assert!(expected.is_none_or(|words| flowed.contains(words)), "{text}");
    }
}

#[test]
fn a_note_of_the_run_reaches_its_reader() {
    let mut book = Book::new(Mode::Check, plan(vec![scenario("work-items", Shape::Flood, None, &[])]));
    book.event(Event::Note { text: "2 processes of an earlier run are still alive".into() });
    book.event(Event::Thinned { dropped: 12 });
    book.scenario("work-items", 12, 700, quiet);
    let (report, text) = shown(book.finish());
    for shown in [text, report.markdown()] {
        assert!(shown.contains("earlier run") && shown.contains("12 samples were thinned"), "{shown}");
    }
}

#[test]
fn an_empty_recording_is_an_error_with_a_reason() {
    let (report, text) = shown(Book::new(Mode::Check, plan(Vec::new())).cut());
    assert_eq!(report.gate.exit, ExitCode::Target);
    assert!(text.starts_with("ERROR: nothing was recorded"), "{text}");
    assert!(report.markdown().contains("Nothing was seen"));
}
