//! The words that every report uses for the same thing.

use std::time::Duration;

use crate::growth::{Axis, Estimate, Growth, Verdict};
use crate::sample::{Effort, Ending, How, Priority, Shape};
use crate::units::{Unit, show_duration};

/// The word for a verdict.
pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Flat => "flat",
        Verdict::Bounded => "bounded",
        Verdict::Retained => "retained",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Unbounded => "unbounded",
    }
}

/// The word for a shape, as a scenario file writes it.
pub(super) const fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::Flood => "flood",
        Shape::Abandon => "abandon",
        Shape::LongSession => "long-session",
        Shape::Churn => "churn",
        Shape::Idle => "idle",
        Shape::Watch => "watch",
        Shape::Counted => "counted",
    }
}

/// How the effort was asked for, where it was: ` (--quick)`.
pub(super) const fn effort(effort: Effort) -> &'static str {
    match effort {
        Effort::Quick => " (--quick)",
        Effort::Standard => "",
        Effort::Thorough => " (--thorough)",
    }
}

/// The word for a priority.
pub(super) const fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::P0 => "P0",
        Priority::P1 => "P1",
        Priority::P2 => "P2",
    }
}

/// `an operation` or `a second`.
pub(super) const fn per(axis: Axis) -> &'static str {
    match axis {
        Axis::Operations => "an operation",
        Axis::Seconds => "a second",
    }
}

/// `512 B (500 B to 530 B)`.
pub(super) fn interval(unit: Unit, estimate: Estimate) -> String {
    format!("{} ({} to {})", unit.show(estimate.value), unit.show(estimate.low), unit.show(estimate.high))
}

/// `(500 to 530 B)`: the unit once where both ends have the same.
pub(super) fn ends(unit: Unit, rate: Estimate) -> String {
    let (low, high) = (unit.show(rate.low), unit.show(rate.high));
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((number, same)), Some((_, other))) if same == other => format!("({number} to {high})"),
        _ => format!("({low} to {high})"),
    }
}

/// `3 scenarios`, `1 scenario`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What grew by how much and at which rate: `private memory grew by 2 MiB: 512 B an operation (500 B to 530 B)`.
pub(super) fn growth(growth: &Growth, amount: f64, per_op: Option<Estimate>) -> String {
    let unit = growth.metric.unit();
    let noun = growth.metric.noun();
    let rate = per_op.map(|rate| format!(": {} {}", interval_of_rate(unit, rate, growth.axis), per_hour(growth)));
    format!("{noun} grew by {}{}", unit.show(amount), rate.unwrap_or_default().trim_end())
}

fn interval_of_rate(unit: Unit, rate: Estimate, axis: Axis) -> String {
    format!("{} {} ({} to {})", unit.show(rate.value), per(axis), unit.show(rate.low), unit.show(rate.high))
}

/// Where nothing is driven, an hour is what a person can picture.
fn per_hour(growth: &Growth) -> String {
    match (growth.axis, growth.per_hour) {
        (Axis::Seconds, Some(rate)) => format!("or {} an hour", growth.metric.unit().show(rate.value)),
        _ => String::new(),
    }
}

/// How a process ended, in a sentence, the evidence behind it: `exited with code 3`, `ended by SIGKILL (9)`.
pub(super) fn ending(ending: &Ending) -> String {
    match ending.how {
        How::Exited(code) => format!("exited with code {code}"),
        How::Signalled(signal) => format!("was ended by {} ({signal})", signal_name(signal)),
        How::Unknown => "ended; its exit status is unknown: not our child".into(),
    }
}

const fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => "a signal",
    }
}

/// A number of seconds for a person; past a hundred years it is only that.
pub(super) fn seconds(seconds: f64) -> String {
    const HUNDRED_YEARS: f64 = 100.0 * 365.25 * 86_400.0;
    if seconds > HUNDRED_YEARS {
        return "over 100 years".into();
    }
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "no time".into(), show_duration)
}

/// Cut to a number of characters, with an ellipsis where something was lost.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}
