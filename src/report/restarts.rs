//! Processes of the tree that ended and were started again: what they held is gone, and growth within their lives is hidden in the sum.

use std::collections::BTreeMap;
use std::time::Duration;

use super::escape::plain;
use super::{Report, words};
use crate::sample::{Event, Moment, Process, Record};
use crate::units::show_duration;

/// Processes of a command that live shorter than this, in seconds, serve one task each: nothing is started again.
const SHORTEST_LIFE_S: f64 = 2.0;
/// One end and one start may have nothing to do with each other.
const FEWEST_RESTARTS: usize = 2;

/// The processes of one command.
#[derive(Default)]
struct Lives {
    ended_after_s: Vec<f64>,
    /// Starts after an end.
    started_again: usize,
}

/// A sentence for each command whose processes ended and were started again.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let mut running = BTreeMap::<Process, (&str, Moment)>::new();
    let mut commands = BTreeMap::<&str, Lives>::new();
    for record in &report.recording.records {
        let Record::Event { at, event } = record else { continue };
        match event {
            Event::Appeared { process, command } => {
                running.insert(*process, (command, *at));
                let lives = commands.entry(command).or_default();
                if lives.started_again < lives.ended_after_s.len() {
                    lives.started_again += 1;
                }
            }
            Event::Vanished { process } => {
                if let Some((command, began)) = running.remove(process) {
                    commands.entry(command).or_default().ended_after_s.push(at.since(began).as_secs_f64());
                }
            }
            _ => {}
        }
    }
    commands.iter().filter_map(|(command, lives)| lives.sentence(command)).collect()
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
