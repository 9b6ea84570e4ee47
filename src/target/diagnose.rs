//! How a process ended, and everything that speaks to the cause, a plain sentence each.

use super::oom::OomReport;
use super::signals::{meaning, signal_name};
use super::text::plain;
use crate::sample::{Ending, How, Process};
use crate::units::show_bytes;

/// What is known around an end.
#[derive(Clone, Debug, Default)]
pub struct EndContext {
    /// Whether the kernel wrote a core dump.
    pub core_dumped: bool,
    /// What speaks for or against the OOM killer.
    pub oom: Option<OomReport>,
    /// The memory limit in force: the tightest of its cgroups, else the machine's memory.
    pub memory_limit_bytes: Option<u64>,
    /// Its highest resident set.
    pub peak_rss_bytes: Option<u64>,
    /// The last line that it wrote to stderr: untrusted text.
    pub last_words: Option<String>,
    /// Living descendants that outlived it, with their names.
    pub survivors: Vec<(Process, String)>,
    /// Sentences of the caller: the last samples, what a scenario was doing.
    pub notes: Vec<String>,
}

/// The words for how it ended: `exit code 1`, `ended by SIGKILL (signal 9)`.
pub fn describe(how: How) -> String {
    match how {
        How::Exited(code) => format!("exit code {code}"),
        How::Signalled(number) => format!("ended by {} (signal {number})", signal_name(number)),
        How::Unknown => "ended, exit status unknown".to_owned(),
    }
}

/// Puts together how it ended and what speaks to the cause.
pub fn diagnose(how: How, expected: bool, context: &EndContext) -> Ending {
    let mut evidence = vec![first_sentence(how, expected)];
    evidence.extend(spelled_out(how));
    if let Some(number) = signal_of(how).filter(|_| !expected) {
        evidence.extend(meaning(number).map(|meaning| format!("{}: {meaning}.", signal_name(number))));
    }
    if context.core_dumped {
        evidence.push("The kernel wrote a core dump of it.".to_owned());
    }
    let killed = signal_of(how) == Some(9);
    if let Some(oom) = &context.oom {
        evidence.extend(oom.sentences(killed && !expected));
    }
    let failed = !expected && how != How::Exited(0);
    if failed {
        evidence.extend(memory_sentence(context));
        evidence
            .extend(context.last_words.as_ref().map(|line| format!("Its last line on stderr: {}", plain(line, 300))));
    }
    if !expected {
        evidence.extend(survivors_sentence(&context.survivors));
    }
    evidence.extend(context.notes.iter().cloned());
    Ending { how, expected, evidence }
}

fn first_sentence(how: How, expected: bool) -> String {
    match (how, expected) {
        (How::Unknown, false) => "Exit status unknown: not our child, and the kernel does not tell.".to_owned(),
        (how, true) => format!("tidewatch ended it as planned ({}).", describe(how)),
        (How::Exited(0), false) => "It ended by itself, with exit code 0.".to_owned(),
        (How::Exited(code), false) => format!("It exited with code {code}."),
        (How::Signalled(number), false) => format!("It was ended by {} (signal {number}).", signal_name(number)),
    }
}

/// The signal behind an end, be it the kernel's word or a shell's way to spell it.
fn signal_of(how: How) -> Option<i32> {
    match how {
        How::Signalled(number) => Some(number),
        How::Exited(code @ 129..=192) => Some(code - 128),
        How::Exited(_) | How::Unknown => None,
    }
}

/// Exit codes with a meaning of their own.
fn spelled_out(how: How) -> Option<String> {
    let How::Exited(code) = how else { return None };
    match code {
        101 => Some("Exit code 101 is how a Rust program ends on a panic.".to_owned()),
        126 => Some("Exit code 126 is a shell's word for a command that it may not run.".to_owned()),
        127 => Some("Exit code 127 is a shell's word for a command that it did not find.".to_owned()),
        129..=192 => Some(format!(
            "Exit code {code} is 128 + {}: how a shell, a container runtime or a program with a handler says {}.",
            code - 128,
            signal_name(code - 128)
        )),
        _ => None,
    }
}

fn memory_sentence(context: &EndContext) -> Option<String> {
    let limit = context.memory_limit_bytes.map(|limit| show_bytes(limit as f64));
    let peak = context.peak_rss_bytes.map(|peak| show_bytes(peak as f64));
    match (peak, limit) {
        (Some(peak), Some(limit)) => {
            Some(format!("Its highest resident memory was {peak}; the memory limit in force was {limit}."))
        }
        (Some(peak), None) => Some(format!("Its highest resident memory was {peak}.")),
        (None, Some(limit)) => Some(format!("The memory limit in force was {limit}.")),
        (None, None) => None,
    }
}

fn survivors_sentence(survivors: &[(Process, String)]) -> Option<String> {
    const NAMED: usize = 5;
    let names: Vec<String> = survivors
        .iter()
        .take(NAMED)
        .map(|(process, name)| format!("{} (pid {})", plain(name, 40), process.pid))
        .collect();
    let more = survivors.len().saturating_sub(NAMED);
    match survivors.len() {
        0 => None,
        _ if more > 0 => {
            Some(format!("It left processes behind, which were ended: {} and {more} more.", names.join(", ")))
        }
        _ => Some(format!("It left processes behind, which were ended: {}.", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(how: How, expected: bool, context: &EndContext) -> String {
        diagnose(how, expected, context).evidence.join(" ")
    }

    #[test]
    fn exit_codes_and_signals_are_explained() {
        let none = EndContext::default();
        for (how, phrases) in [
            (How::Exited(0), &["by itself, with exit code 0"][..]),
            (How::Exited(1), &["exited with code 1"]),
            (How::Exited(101), &["code 101", "panic"]),
            (How::Exited(127), &["did not find"]),
            (How::Exited(137), &["128 + 9", "SIGKILL", "OOM killer", "kill -9"]),
            (How::Exited(143), &["128 + 15", "SIGTERM", "polite request"]),
            (How::Signalled(9), &["SIGKILL (signal 9)", "OOM killer", "kill -9"]),
            (How::Signalled(15), &["SIGTERM (signal 15)", "polite request"]),
            (How::Signalled(11), &["SIGSEGV (signal 11)", "memory fault"]),
            (How::Signalled(40), &["SIGRTMIN+6 (signal 40)"]),
            (How::Unknown, &["unknown", "not our child"]),
        ] {
            let text = told(how, false, &none);
            for phrase in phrases {
                assert!(text.contains(phrase), "{how:?}: {text}");
            }
        }
        assert!(!told(How::Exited(1), false, &none).contains("128"));
        assert!(!told(How::Exited(200), false, &none).contains("128"));
    }

    #[test]
    fn a_planned_end_is_no_mystery() {
        let context = EndContext {
            oom: Some(OomReport::default()),
            memory_limit_bytes: Some(1),
            last_words: Some("bye".into()),
            ..EndContext::default()
        };
        let ending = diagnose(How::Signalled(9), true, &context);
        assert!(ending.expected);
        assert_eq!(ending.evidence, ["tidewatch ended it as planned (ended by SIGKILL (signal 9))."]);
    }

    #[test]
    fn the_oom_killer_is_named_with_its_evidence() {
        let context = EndContext {
            oom: Some(OomReport {
                cgroup_kills: Some(1),
                kernel_line: Some("Memory cgroup out of memory: Killed process 7 (web)".into()),
                ..OomReport::default()
            }),
            memory_limit_bytes: Some(512 << 20),
            peak_rss_bytes: Some(511 << 20),
            ..EndContext::default()
        };
        let text = told(How::Signalled(9), false, &context);
        for phrase in ["Killed process 7 (web)", "1 OOM kill", "512 MiB", "511 MiB"] {
            assert!(text.contains(phrase), "{text}");
        }
    }

    #[test]
    fn last_words_are_tamed_and_survivors_counted() {
        let survivors = (0..7).map(|pid| (Process { pid, start: 1 }, "helper".to_owned())).collect();
        let context = EndContext {
            core_dumped: true,
            last_words: Some("panic\x1b[31m!".into()),
            survivors,
            notes: vec!["Its memory rose until the end.".into()],
            ..EndContext::default()
        };
        let text = told(How::Exited(1), false, &context);
        for phrase in ["core dump", "panic\\u{1b}[31m!", "helper (pid 4) and 2 more", "rose until the end"] {
            assert!(text.contains(phrase), "{text}");
        }
    }
}
