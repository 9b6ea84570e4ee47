//! Pictures of made-up runs: a leak, a cache that fills, noise, threads in steps.

use std::path::PathBuf;

use super::*;
use crate::growth::{Axis, Floor, Verdict};
use crate::sample::Phase;
use crate::units::Unit;

/// A scenario of `cycles` cycles whose floors follow `floor(operations)`; load lifts the curve by `lift`.
fn panel(title: &str, verdict: Verdict, unit: Unit, cycles: u32, lift: f64, floor: impl Fn(f64) -> f64) -> Panel {
    let begin = 40.0;
    let mut spans = vec![Span { phase: Phase::Warmup, from: begin, to: begin + 3.0 }];
    for cycle in 0..cycles {
        let from = begin + 3.0 + f64::from(cycle) * 1.15;
        spans.push(Span { phase: Phase::Load, from, to: from + 0.75 });
        spans.push(Span { phase: Phase::Settle, from: from + 0.75, to: from + 1.15 });
    }
    let (mut curve, mut operations, mut noise) = (Vec::new(), 0.0, 12345u64);
    let mut floors = Vec::new();
    for span in &spans {
        let steps = ((span.to - span.from) / 0.05).round() as u32;
        for step in 0..steps {
            noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let jitter = (noise >> 40) as f64 / f64::from(1 << 24);
            let t = span.from + f64::from(step) * 0.05;
            let loaded = span.phase != Phase::Settle;
            operations += if loaded { 100.0 } else { 0.0 };
            let lifted = if loaded { lift * (0.6 + 0.4 * jitter) } else { lift * 0.05 * jitter };
            curve.push((t, floor(operations) + lifted));
        }
        if span.phase != Phase::Load {
            let cycle = if span.phase == Phase::Warmup { 0 } else { floors.len() as u32 };
            floors.push(Floor { cycle, t: span.to - 0.05, x: operations, value: floor(operations) });
        }
    }
    let judged = &floors[floors.len() / 4..];
    let slope = (judged[judged.len() - 1].value - judged[0].value) / (judged[judged.len() - 1].x - judged[0].x);
    let fit = (verdict == Verdict::Unbounded).then(|| Fit::through(judged, slope)).flatten();
    let figure = match verdict {
        Verdict::Flat | Verdict::Bounded => {
            format!("{} in all", unit.show_signed(floors[floors.len() - 1].value - floor(0.0)))
        }
        _ => format!("{} per 1,000 operations", unit.show_signed(slope * 1000.0)),
    };
    Panel { title: title.into(), verdict, figure, unit, axis: Axis::Operations, curve, spans, floors, fit }
}

fn example() -> ChartData {
    let mib = 1_048_576.0;
    ChartData {
        title: "orchestrator: growth crossed a threshold".into(),
        numbers: "summary.json",
        subtitle: "check on 2026-02-03 04:05 UTC, Linux 6.12, 8 processors, limit 512 MiB".into(),
        panels: vec![
            panel("events: private memory", Verdict::Bounded, Unit::Bytes, 22, 0.7 * mib, |n| {
                12.0 * mib + (n * 900.0).min(10.0 * mib)
            }),
            panel("connections: descriptors", Verdict::Flat, Unit::Count, 22, 10.0, |_| 17.0),
            panel("idle: private memory", Verdict::Flat, Unit::Bytes, 22, 40_000.0, |n| 9.0 * mib + (n * 7.0) % 9000.0),
            panel("work-items: private memory", Verdict::Unbounded, Unit::Bytes, 22, 1.5 * mib, |n| {
                14.0 * mib + n * 812.0 + ((n * 0.37).sin() * 60_000.0)
            }),
            panel("heartbeats: threads", Verdict::Unbounded, Unit::Count, 22, 0.0, |n| 5.0 + (n / 3000.0).floor()),
            panel("crdt-history: private memory", Verdict::Inconclusive, Unit::Bytes, 50, 0.4 * mib, |n| {
                500.0 * mib + (1.0 + n).sqrt() * 9000.0
            }),
        ],
    }
}

#[test]
fn the_same_data_gives_the_same_bytes() {
    let chart = ChartData { panels: example().panels[..2].to_vec(), ..example() };
    let bytes = [png(&chart).expect("drawn"), png(&chart).expect("drawn")];
    assert!(bytes[0] == bytes[1] && svg(&chart).expect("drawn") == svg(&chart).expect("drawn"));
    // The size stands at a fixed place in a PNG's first chunk.
    let number = |at: usize| u32::from_be_bytes(bytes[0][at..at + 4].try_into().expect("four bytes"));
    assert_eq!(&bytes[0][..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!((number(16), number(20)), panel::size(&chart, 2));
}

#[test]
fn the_svg_says_what_is_seen() {
    let text = svg(&example()).expect("drawn");
    for words in
        ["work-items: private memory", "UNBOUNDED", "BOUNDED", "FLAT", "INCONCLUSIVE", "MiB", "operations", "threads"]
    {
        assert!(text.contains(words), "{words}");
    }
    let position = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}"));
    assert!(
        position("work-items") < position("crdt-history") && position("crdt-history") < position("events"),
        "worst first"
    );
    assert!(position("events") < position("connections"));
}

#[test]
fn untrusted_text_does_not_become_markup() {
    let mut chart = example();
    chart.panels.truncate(1);
    chart.title = "<script>alert(1)</script> & \"x\" \u{1b}[31m \u{202e}".into();
    chart.panels[0].title = "]]></svg><b>\u{0}".into();
    let text = svg(&chart).expect("drawn");
    assert!(!text.contains("<script") && !text.contains("<b>") && !text.contains(['\u{1b}', '\u{0}', '\u{202e}']));
    assert!(text.contains("&lt;script&gt;"), "shown as text");
    assert_eq!(text.matches("</svg>").count(), 1);
}

#[test]
fn odd_data_is_drawn_without_a_fall() {
    let empty = Panel {
        title: String::new(),
        verdict: Verdict::Inconclusive,
        figure: String::new(),
        unit: Unit::Bytes,
        axis: Axis::Seconds,
        curve: vec![],
        spans: vec![],
        floors: vec![],
        fit: None,
    };
    let floor = Floor { cycle: 1, t: f64::NAN, x: f64::INFINITY, value: f64::NAN };
    let broken = Panel {
        curve: vec![(0.0, f64::NAN), (f64::INFINITY, 3.0), (1.0, 1e300), (1.0, -1e300)],
        spans: vec![Span { phase: Phase::Load, from: 5.0, to: 5.0 }],
        floors: vec![floor, floor],
        fit: Some(Fit { intercept: f64::NAN, slope: f64::INFINITY }),
        verdict: Verdict::Unbounded,
        title: "x".repeat(10_000),
        figure: "y".repeat(10_000),
        ..empty.clone()
    };
    let chart =
        ChartData { title: String::new(), subtitle: "z".repeat(5000), panels: vec![empty, broken], numbers: "" };
    assert!(svg(&chart).expect("drawn").contains("no cycle was finished"));
    let none = ChartData { panels: vec![], ..example() };
    assert!(svg(&none).expect("drawn").contains("orchestrator"));
}

#[test]
fn a_picture_holds_so_many_panels_and_says_what_is_left_out() {
    let mut chart = example();
    chart.panels = chart.panels.iter().cycle().take(15).cloned().collect();
    let text = svg(&chart).expect("drawn");
    assert!(text.contains("3 more curves are judged"));
    let first_not_flat = chart.worst().0.iter().filter(|panel| panel.verdict == Verdict::Unbounded).count();
    assert_eq!(first_not_flat, 4, "no bad one is left out for a good one");
}

/// Leaves the example where `TIDEWATCH_CHART_DIR` says, to be looked at.
#[test]
fn the_example_can_be_looked_at() {
    let dir = tempfile::tempdir().expect("tempdir");
    let target = std::env::var_os("TIDEWATCH_CHART_DIR").map_or_else(|| dir.path().to_owned(), PathBuf::from);
    let pictures =
        [("growth.png", png(&example()).expect("drawn")), ("growth.svg", svg(&example()).expect("drawn").into_bytes())];
    for (name, bytes) in pictures {
        assert!(bytes.len() > 10_000);
        std::fs::write(target.join(name), bytes).expect("written");
    }
}
