//! Processes of the tree that ended and were started again: what they held is gone, and growth within their lives is hidden in the sum.

use std::collections::BTreeMap;
use std::time::Duration;

use super::escape::plain;
use super::{Report, words};
use crate::sample::{Event, Process, Record};
use crate::units::show_duration;

/// Processes of a command that live shorter than this, in seconds, serve one task each: nothing is started again.
const SHORTEST_LIFE_S: f64 = 2.0;
/// One end and one start may have nothing to do with each other.
const FEWEST_RESTARTS: usize = 2;

/// Of [`Process::start`]: `USER_HZ`, which is 100 on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The processes of one command.
#[derive(Default)]
struct Lives {
    ended_after_s: Vec<f64>,
    /// Starts after an end.
    started_again: usize,
}

/// A sentence for each command whose processes ended and were started again.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let boot_s = boot_s(&report.recording.records);
    let mut running = BTreeMap::<Process, &str>::new();
    let mut commands = BTreeMap::<&str, Lives>::new();
    for record in &report.recording.records {
        let Record::Event { at, event } = record else { continue };
        match event {
            Event::Appeared { process, command } => {
                running.insert(*process, command);
                let lives = commands.entry(command).or_default();
                if lives.started_again < lives.ended_after_s.len() {
                    lives.started_again += 1;
                }
            }
            Event::Vanished { process } => {
                if let Some(command) = running.remove(process) {
                    let ended_s = at.seconds();
                    commands.entry(command).or_default().ended_after_s.push(ended_s - boot_s - started_s(process));
                }
            }
            _ => {}
        }
    }
    commands.iter().filter_map(|(command, lives)| lives.sentence(command)).collect()
}

/// When a process started, in seconds since the system did.
fn started_s(process: &Process) -> f64 {
    process.start as f64 / TICKS_PER_SECOND
}

/// When the system started, in seconds of the recording. A process is noticed after its start, by seconds where looks are rare:
/// the one that was noticed soonest tells.
fn boot_s(records: &[Record]) -> f64 {
    let noticed_s = records.iter().filter_map(|record| match record {
        Record::Event { at, event: Event::Appeared { process, .. } } => Some(at.seconds() - started_s(process)),
        _ => None,
    });
    noticed_s.min_by(f64::total_cmp).unwrap_or(0.0)
}

impl Lives {
    fn sentence(&self, command: &str) -> Option<String> {
        let mut lengths = self.ended_after_s.clone();
        lengths.sort_by(f64::total_cmp);
        let life = *lengths.get(lengths.len() / 2).filter(|life| **life >= SHORTEST_LIFE_S)?;
        (self.started_again >= FEWEST_RESTARTS).then(|| {
            format!(
                "{} ended and was started again {}, after {} each time (median): what it held is gone, and growth within \
                 its lives is hidden in the sum",
                plain(command),
                words::counted(self.started_again, "time"),
                show_duration(Duration::from_secs_f64(life))
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Moment;

    #[test]
    fn a_life_begins_with_the_process_and_not_when_it_is_noticed() {
        let appeared = |at_ms: u64, start| Record::Event {
            at: Moment(at_ms * 1000),
            event: Event::Appeared { process: Process { pid: 7, start }, command: "sleep".into() },
        };
        let records = [appeared(900, 50_000), appeared(10, 50_000), appeared(3300, 50_240)];
        assert!((boot_s(&records) + 499.99).abs() < 1e-6);
        assert!(boot_s(&[]).abs() < 1e-6);
    }

    #[test]
    fn only_processes_that_last_and_come_back_are_told() {
        let lives = |ended: &[f64], started_again| Lives { ended_after_s: ended.to_vec(), started_again };
        let told = lives(&[12.0, 12.1, 12.2], 3).sentence("python3").expect("it is told");
        assert!(told.starts_with("python3 ended and was started again 3 times, after 12.1 s each time"), "{told}");
        assert_eq!(lives(&[12.0], 1).sentence("python3"), None);
        assert_eq!(lives(&[0.1, 0.1, 0.2], 3).sentence("sh"), None, "one for each request");
        assert_eq!(lives(&[], 0).sentence("sh"), None);
    }
}
