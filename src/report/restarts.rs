//! Processes of the tree that ended and were started again: what they held is gone, and growth within their lives is hidden in the sum.

use std::collections::BTreeMap;
use std::time::Duration;

use super::escape::plain;
use super::{Report, words};
use crate::sample::{Event, Process, Record};
use crate::units::{Unit, show_duration};

/// Processes of a command that live shorter than this, in seconds, serve one task each: nothing is started again.
const SHORTEST_LIFE_S: f64 = 2.0;
/// One end and one start may have nothing to do with each other.
const FEWEST_RESTARTS: usize = 2;

/// Of [`Process::start`]: `USER_HZ`, which is 100 on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Fewest lives that must have been looked at twice before their growth is told, and the share of them that must have grown.
const FEWEST_SEEN: usize = 3;
const MOST_GREW: f64 = 0.8;
/// A life grew if its process held so many bytes more at the last closer look than at the first: 16 pages, less than a thread's stack
/// and a few buffers come to.
const LEAST_GROWTH: f64 = 65_536.0;

/// The processes of one command.
#[derive(Default)]
struct Lives {
    ended_after_s: Vec<f64>,
    /// Starts after an end.
    started_again: usize,
    /// Of those that were looked at twice or more.
    grew: Vec<Gain>,
}

/// What a process grew by between its first and its last closer look.
#[derive(Clone, Copy)]
struct Gain {
    bytes: f64,
    seconds: f64,
}

/// A moment in seconds of the recording, and the private memory of a process then in bytes.
type Look = (f64, u64);

/// A sentence for each command whose processes ended and were started again.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    lives(&report.recording.records).iter().filter_map(|(command, lives)| lives.sentence(command)).collect()
}

/// The lives of the processes of each command.
fn lives(records: &[Record]) -> BTreeMap<&str, Lives> {
    let boot_s = boot_s(records);
    let mut running = BTreeMap::<Process, &str>::new();
    let mut commands = BTreeMap::<&str, Lives>::new();
    let mut looks = BTreeMap::<Process, (Look, Look)>::new();
    for record in records {
        if let Record::Detail(detail) = record {
            for one in &detail.per_process {
                let look = (detail.at.seconds(), one.private);
                looks.entry(one.process).or_insert((look, look)).1 = look;
            }
        }
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
                    let lives = commands.entry(command).or_default();
                    lives.ended_after_s.push(ended_s - boot_s - started_s(process));
                    lives.grew.extend(looks.remove(process).and_then(Gain::between));
                }
            }
            _ => {}
        }
    }
    commands
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

impl Gain {
    fn between((first, last): (Look, Look)) -> Option<Self> {
        let seconds = last.0 - first.0;
        (seconds > 0.0).then_some(Self { bytes: last.1 as f64 - first.1 as f64, seconds })
    }
}

impl Lives {
    /// How fast most of the lives grew, in bytes per second; none where they did not, or were not seen to.
    fn pace(&self) -> Option<f64> {
        let grew = self.grew.iter().filter(|life| life.bytes >= LEAST_GROWTH);
        let mut paces: Vec<f64> = grew.map(|life| life.bytes / life.seconds).collect();
        paces.sort_by(f64::total_cmp);
        let most = self.grew.len() >= FEWEST_SEEN && paces.len() as f64 >= MOST_GREW * self.grew.len() as f64;
        paces.get(paces.len() / 2).copied().filter(|_| most)
    }

    fn sentence(&self, command: &str) -> Option<String> {
        let mut lengths = self.ended_after_s.clone();
        lengths.sort_by(f64::total_cmp);
        let life = *lengths.get(lengths.len() / 2).filter(|life| **life >= SHORTEST_LIFE_S)?;
        (self.started_again >= FEWEST_RESTARTS).then(|| {
            let told = match self.pace() {
                Some(pace) => format!(
                    "{} of the {} that were looked at twice grew, by {} a second (median) until they ended: the restarts bound that, and the \
                     sum hides it",
                    if self.grew.iter().all(|life| life.bytes >= LEAST_GROWTH) { "all" } else { "most" },
                    self.grew.len(),
                    Unit::Bytes.show(pace)
                ),
                None => "what it held is gone, and growth within its lives is hidden in the sum".to_owned(),
            };
            format!(
                "{} ended and was started again {}, after {} each time (median): {told}",
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
    use crate::sample::{Detail, Moment, ProcessMemory};

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
        let lives =
            |ended: &[f64], started_again| Lives { ended_after_s: ended.to_vec(), started_again, grew: Vec::new() };
        let told = lives(&[12.0, 12.1, 12.2], 3).sentence("python3").expect("it is told");
        assert!(told.starts_with("python3 ended and was started again 3 times, after 12.1 s each time"), "{told}");
        assert_eq!(lives(&[12.0], 1).sentence("python3"), None);
        assert_eq!(lives(&[0.1, 0.1, 0.2], 3).sentence("sh"), None, "one for each request");
        assert_eq!(lives(&[], 0).sentence("sh"), None);
    }

    #[test]
    fn workers_that_grow_until_they_are_replaced_are_told_with_their_pace() {
        let seen = |grew: &[(f64, f64)]| {
            let grew = grew.iter().map(|&(bytes, seconds)| Gain { bytes, seconds }).collect();
            let lives = Lives { ended_after_s: vec![6.0; 5], started_again: 5, grew };
            lives.sentence("gunicorn").expect("it is told")
        };
        let mib = 1024.0 * 1024.0;
        let told = seen(&[(4.0 * mib, 4.0), (4.0 * mib, 2.0), (2.0 * mib, 2.0)]);
        assert!(
            told.contains("(median): all of the 3 that were looked at twice grew, by 1 MiB a second (median)"),
            "{told}"
        );
        let told = seen(&[(4.0 * mib, 4.0), (4.0 * mib, 4.0), (2.0 * mib, 2.0), (65_536.0, 0.0625), (65_535.0, 1.0)]);
        assert!(told.contains("most of the 5 that were looked at twice grew, by 1 MiB"), "{told}");
        for too_little in [
            vec![(4.0 * mib, 4.0), (4.0 * mib, 4.0)],
            vec![(4.0 * mib, 4.0), (4.0 * mib, 4.0), (4.0 * mib, 4.0), (0.0, 4.0), (-1.0, 1.0)],
        ] {
            assert!(seen(&too_little).ends_with("growth within its lives is hidden in the sum"), "{too_little:?}");
        }
    }

    #[test]
    fn what_a_worker_held_is_followed_from_its_first_look_to_its_last() {
        let worker = |number: u32| Process { pid: 70 + number, start: u64::from(number) * 500 };
        let at = |second: u64| Moment(second * 1_000_000);
        let mut records = Vec::new();
        for number in 0..4u32 {
            let begun = u64::from(number) * 5;
            let event = Event::Appeared { process: worker(number), command: "worker".into() };
            records.push(Record::Event { at: at(begun), event });
            for second in [1, 2, 4] {
                // The last is looked at once.
                if number < 3 || second == 1 {
                    let one =
                        ProcessMemory { process: worker(number), command: "worker".into(), private: second << 20 };
                    let per_process = vec![one];
                    records.push(Record::Detail(Box::new(Detail {
                        at: at(begun + second),
                        per_process,
                        ..Detail::default()
                    })));
                }
            }
            records.push(Record::Event { at: at(begun + 5), event: Event::Vanished { process: worker(number) } });
        }
        let found = &lives(&records)["worker"];
        assert_eq!((found.started_again, found.ended_after_s.as_slice()), (3, [5.0; 4].as_slice()));
        assert_eq!(
            found.grew.iter().map(|life| (life.bytes, life.seconds)).collect::<Vec<_>>(),
            [(3.0 * 1_048_576.0, 3.0); 3]
        );
        assert_eq!(found.pace(), Some(1_048_576.0));
    }

    #[test]
    fn a_process_that_was_looked_at_once_tells_nothing() {
        assert!(Gain::between(((3.0, 9), (3.0, 9))).is_none());
        let grew = Gain::between(((3.0, 900), (5.0, 500))).expect("two looks");
        assert_eq!((grew.bytes, grew.seconds), (-400.0, 2.0));
    }
}
