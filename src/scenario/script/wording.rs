//! Steps in one line each, for people. Templates stay as the file writes them, so that nothing of the
//! environment is in them.

use crate::scenario::template::Template;
use crate::scenario::{Leave, Opening, Step, Work};

/// Longer texts are cut.
const LONGEST: usize = 80;

/// A piece of work, a line for each step.
pub(super) fn work(work: &Work) -> Vec<String> {
    let lines = |steps: &[Step], before: &str| steps.iter().map(|s| format!("{before}{}", step(s))).collect::<Vec<_>>();
    match work {
        Work::Flood { step: first, then } => [vec![step(first)], lines(then, "then ")].concat(),
        Work::Abandon { open, during, leave: how } => {
            [vec![opening(open)], lines(during, ""), vec![format!("leave: {}", leave(*how))]].concat()
        }
        Work::LongSession { open, edit, close } => {
            vec![opening(open), format!("edit: {}", step(edit)), format!("at the end: {}", leave(*close))]
        }
        Work::Churn { open, uses, close } => {
            [vec![opening(open)], lines(uses, ""), vec![leave(*close).to_owned()]].concat()
        }
        Work::Idle => Vec::new(),
    }
}

fn step(step: &Step) -> String {
    match step {
        Step::Http(http) => format!("{} {}", http.method, cut(&http.url)),
        Step::Send { text, until: None, .. } => format!("send {:?}", cut(text)),
        Step::Send { text, until: Some(until), .. } => format!("send {:?} until {:?}", cut(text), cut(until)),
        Step::Command { argv, .. } => {
            let words: Vec<&str> = argv.iter().map(Template::source).collect();
            format!("run {}", shorten(&words.join(" ")))
        }
    }
}

fn opening(open: &Opening) -> String {
    match open {
        Opening::Sse { url, .. } => format!("open events {}", cut(url)),
        Opening::WebSocket { url, .. } => format!("open websocket {}", cut(url)),
        Opening::Tcp { address } => format!("connect {}", cut(address)),
        Opening::Stdio => "over standard input and output".into(),
        Opening::Step(first) => format!("open by {}", step(first)),
    }
}

fn leave(leave: Leave) -> &'static str {
    match leave {
        Leave::Close => "close",
        Leave::Reset => "reset",
        Leave::HalfOpen => "half-open",
        Leave::Stall => "stall",
    }
}

fn cut(template: &Template) -> String {
    shorten(template.source())
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
