//! Reports of runs whose heap was sampled.

use super::fixtures::{Book, Level, MIB, Site, quiet, scenario, subsystem};
use super::{plan, shown};
use crate::attribution::RETAINED;
use crate::exit::ExitCode;
use crate::gate::Standing;
use crate::growth::Verdict;
use crate::recording::{Mode, Recording};
use crate::report::Report;
use crate::run_dir::{ForeignReports, RunDir};
use crate::sample::{Event, HeapKind, Metric, Plan, Priority, Process, Shape, SubsystemRules};

const ALLOC: (&str, &str, u32) = ("__rust_alloc", "", 0);
const PUSH: (&str, &str, u32) =
    ("push<orchestrator::work_queue::Item>", "@/rustc/0123/library/alloc/src/vec/mod.rs", 2442);
const SERVE: (&str, &str, u32) = ("tokio::runtime::task::raw::poll", "/cargo/tokio/src/runtime/task/raw.rs", 120);
const MAIN: (&str, &str, u32) = ("orchestrator::main", "/home/me/orchestrator/src/main.rs", 9);

static QUEUE: Site = Site {
    frames: &[
        ALLOC,
        PUSH,
        (
            "<orchestrator::work_queue::WorkQueue as orchestrator::Store>::add",
            "/home/me/orchestrator/src/work_queue.rs",
            345,
        ),
        ("orchestrator::work_queue::post::{{closure}}", "/home/me/orchestrator/src/work_queue.rs", 136),
        SERVE,
        MAIN,
    ],
    kind: HeapKind::Block,
    churn: 0,
};
static SESSIONS: Site = Site {
    frames: &[
        ALLOC,
        ("orchestrator::sessions::Sessions::open", "/home/me/orchestrator/src/sessions.rs", 12),
        SERVE,
        MAIN,
    ],
    kind: HeapKind::Block,
    churn: 0,
};
static BUFFERS: Site = Site {
    frames: &[ALLOC, ("hyper::buffer::grow", "/cargo/hyper/src/buffer.rs", 70), SERVE],
    kind: HeapKind::Block,
    churn: 100,
};
static EVIL: Site = Site {
    frames: &[
        ("malloc", "", 0),
        ("<evil::`Queue`<u8>|x as [x](http://evil)>::\u{1b}[31madd<script>", "/tmp/<b>|`\u{7}.c", 7),
        ("| a | b |", "", 0),
    ],
    kind: HeapKind::Block,
    churn: 0,
};

/// A leak that a rule names and one that none does, then requests that fragment the heap.
pub fn held() -> Recording {
    let frames = SubsystemRules { frames: vec!["orchestrator::work_queue::*".into()], ..SubsystemRules::default() };
    let mut book = Book::new(
        Mode::Check,
        Plan {
            subsystems: vec![subsystem("WorkQueue", Priority::P0, "src/work_queue.rs", frames)],
            ..plan(vec![scenario("work-items", Shape::Flood, None, &[]), scenario("requests", Shape::Flood, None, &[])])
        },
    );
    book.scenario("work-items", 33, 700, |n| Level {
        private: 40.0 * MIB + 2000.0 * n,
        heap: [Some((&QUEUE, 1500.0 * n)), Some((&SESSIONS, 450.0 * n)), Some((&BUFFERS, 12.0 * MIB))],
        ..quiet(n)
    });
    book.scenario("requests", 33, 700, |n| Level {
        private: 40.0 * MIB + 900.0 * n,
        heap: [Some((&BUFFERS, 12.0 * MIB)), None, None],
        free: Some(900.0 * n),
        ..quiet(n)
    });
    book.finish()
}

/// Attached to a program of which nothing is known, with names that want to be more than text, and a child without a sampler.
pub fn attached() -> Recording {
    let mut plan = plan(vec![scenario("server", Shape::Watch, None, &[])]);
    plan.subsystems.clear();
    let mut book = Book::new(Mode::Attach, plan);
    for pid in [50, 51] {
        let reason = "a static binary has no loader: build it with dynamic linking, or use its own heap profiler";
        book.event(Event::NoHeap { process: Process { pid, start: 3 }, reason: reason.into() });
    }
    book.watch("server", 120, "LISTEN 127.0.0.1:80", |t| Level {
        private: 20.0 * MIB + 200_000.0 * t,
        heap: [Some((&EVIL, 200_000.0 * t)), Some((&BUFFERS, 6.0 * MIB)), None],
        ..quiet(t)
    });
    book.finish()
}

#[test]
fn owners_of_live_heap() {
    let (report, text) = shown(held());
    insta::assert_snapshot!("heap_terminal", text);
    insta::assert_snapshot!("heap_markdown", report.markdown());
    assert_eq!(report.gate.exit, ExitCode::Crossed);
    let summary = serde_json::to_value(report.summary()).expect("JSON");
    let owner = &summary["scenarios"][0]["heap"]["owners"][0];
    assert_eq!((&owner["name"], &owner["line"]), (&"WorkQueue".into(), &345.into()));
    let stack = &owner["stacks"][0];
    assert_eq!((&stack["frames"][1]["inline"], &stack["owned_at"]), (&true.into(), &2.into()));
}

#[test]
fn what_is_retained_is_not_said_to_be_a_leak() {
    let (report, text) = shown(held());
    let rows = report.findings.ledgers.iter().flat_map(|ledger| &ledger.rows);
    let retained: Vec<_> = rows.filter(|row| row.scenario == "requests" && row.verdict >= Verdict::Retained).collect();
    assert!(retained.iter().all(|row| row.subsystem == RETAINED && row.verdict == Verdict::Retained), "{retained:#?}");
    let metrics: Vec<_> = retained.iter().map(|row| row.metric.clone()).collect();
    assert_eq!(metrics, [Metric::Private, Metric::Peak]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "live heap does not: the allocator retains it (21 MiB free in its arenas, 0 B before); the memory limit of 512 MiB is met in",
        "retained +20.7 MiB",
    ] {
        assert!(words.contains(said), "{said}: {text}");
    }
    let crossed = report.gate.checks.iter().filter(|check| check.standing == Standing::Crossed);
    assert!(crossed.into_iter().all(|check| check.scenario != "requests"), "{text}");
}

#[test]
fn a_run_that_only_retains_passes_and_says_so_first() {
    let mut book = Book::new(Mode::Check, plan(vec![scenario("requests", Shape::Flood, None, &[])]));
    book.scenario("requests", 33, 700, |n| Level {
        private: 40.0 * MIB + 900.0 * n,
        heap: [Some((&BUFFERS, 12.0 * MIB)), None, None],
        free: Some(900.0 * n),
        ..quiet(n)
    });
    let (report, text) = shown(book.finish());
    assert_eq!(report.gate.exit, ExitCode::Held);
    let head = "PASS: nothing crossed a threshold in 1 scenario (8 thresholds held); private memory grows under requests, retained by the allocator";
    assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(head), "{text}");
}

#[test]
fn an_unknown_program_is_told_by_function_and_its_names_stay_text() {
    let (report, text) = shown(attached());
    insta::assert_snapshot!("heap_attached_terminal", text);
    insta::assert_snapshot!("heap_attached_markdown", report.markdown());
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
    assert_eq!(text.matches("a static binary has no loader").count(), 1, "{text}");
    let markdown = report.markdown();
    for evil in ["\u{1b}", "\u{7}"] {
        assert!(!markdown.contains(evil), "{evil:?} in {markdown}");
    }
    let row = report.findings.unbounded_rows().find(|row| row.metric == Metric::Private).expect("a row");
    assert!(row.subsystem.contains("evil::"), "{row:#?}");
    // Every line of a table has as many cells as its first.
    for table in markdown.split("\n\n").filter(|block| block.starts_with('|')) {
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let first = table.lines().next().map(cells);
        assert!(table.lines().all(|line| Some(cells(line)) == first), "{table}");
    }
}

#[test]
fn growth_by_stack_is_written_for_other_programs() {
    let folder = tempfile::tempdir().expect("tempdir");
    let written = Report::of(held()).write(&RunDir::open(folder.path()).expect("open")).expect("written");
    let files = written.heap.expect("the heap was sampled");
    let folded = std::fs::read_to_string(&files.folded).expect("collapsed stacks");
    let line = folded.lines().find(|line| line.contains("WorkQueue")).expect("the queue");
    assert!(line.starts_with("work-items;orchestrator::main;"), "{line}");
    let bytes: f64 = line.rsplit(' ').next().expect("an amount").parse().expect("a number");
    assert!((bytes / (1500.0 * 24_500.0) - 1.0).abs() < 0.2, "{bytes}");
    assert_eq!(std::fs::read(&files.pprof).expect("a profile")[..2], [0x1f, 0x8b]);
    assert!(std::fs::read_to_string(&files.svg).expect("a picture").contains("Growth of live heap: orchestrator"));
    let none = Report::of(super::clean())
        .write(&RunDir::for_reports(folder.path(), ForeignReports::Keep).expect("ours"))
        .expect("written");
    assert_eq!(none.heap, None);
}
