use super::*;
use crate::attribution::Findings;
use crate::attribution::tests::made_up::Story;
use crate::attribution::tests::made_up::{judged, scenario};
use crate::sample::{Border, Mark, Memory, MemorySource, Moment, Plan, ProcessMemory, Sample, Stop, Tally};

const MIB: f64 = 1024.0 * 1024.0;

type Life = fn(u32) -> f64;
type Workers = fn(f64) -> u32;

/// Two workers that are replaced in turn, under a master.
struct Service {
    /// What the master holds, by second.
    master: fn(f64) -> f64,
    /// What a worker holds, by the second at which it began and its age.
    worker: fn(f64, f64) -> f64,
    /// How long the worker of a number lives.
    life: Life,
    /// How many workers are there at once, by second.
    workers: Workers,
    seconds: u32,
}

const RECYCLED: Service = Service {
    master: |_| 3.0 * MIB,
    worker: |_, age| 2.0 * MIB + age * MIB,
    life: |_| 6.0,
    workers: |_| 2,
    seconds: 180,
};

impl Service {
    /// Looks every second from the hundredth on, and the ends of workers.
    fn records(&self) -> Vec<Record> {
        let at = |second: f64| Moment(((100.0 + second) * 1e6) as u64);
        let mut alive: Vec<(u32, f64)> = Vec::new();
        let (mut records, mut number) = (Vec::new(), 0);
        for second in (0..self.seconds).map(f64::from) {
            let process = |number: u32| Process { pid: 100 + number, start: u64::from(number) };
            alive.retain(|(number, began)| {
                let stays = second - began < (self.life)(*number);
                if !stays {
                    let process = process(*number);
                    records.push(Record::Event { at: at(second - 0.5), event: Event::Vanished { process } });
                }
                stays
            });
            while alive.len() < (self.workers)(second) as usize {
                // The first of two is half way through its life.
                let began = if number == 0 { second - 3.0 } else { second };
                alive.push((number, began));
                number += 1;
            }
            let weigh = |process, private: f64| ProcessMemory { process, command: "w".into(), private: private as u64 };
            let mut per_process = vec![weigh(Process { pid: 1, start: 1 }, (self.master)(second))];
            per_process
                .extend(alive.iter().map(|(n, began)| weigh(process(*n), (self.worker)(*began, second - began))));
            records.push(Record::Detail(Box::new(Detail { at: at(second), per_process, ..Detail::default() })));
        }
        records
    }

    fn bounds(&self) -> Option<String> {
        let (plan, mut records) = (scenario("watch", Shape::Watch, None), self.records());
        // A look that did not weigh every process says nothing.
        records.push(Record::Detail(Box::new(Detail { at: Moment(900_000_000), ..Detail::default() })));
        Pool::of(&Passage { plan: &plan, records: &records, end: None }).and_then(|pool| pool.bounds(&plan))
    }
}

#[test]
fn a_pool_whose_later_workers_hold_no_more_is_bounded() {
    let why = RECYCLED.bounds().expect("it is bounded");
    assert!(why.starts_with("bounded by the replacement of processes: 59 ended"), "{why}");
    assert!(why.contains("up to 7 MiB; the process that stayed: no rise in the last"), "{why}");
}

#[test]
fn what_goes_on_in_spite_of_the_replacement_is_not() {
    let cases: [(&str, Service); 6] = [
        ("the master grows", Service { master: |second| 3.0 * MIB + second * 65536.0, ..RECYCLED }),
        ("each worker begins higher", Service { worker: |began, age| (2.0 + began / 60.0 + age) * MIB, ..RECYCLED }),
        ("they live longer and longer", Service { life: |number| 4.0 + f64::from(number) / 4.0, ..RECYCLED }),
        ("one is not replaced any more", Service { life: |number| if number == 40 { 900.0 } else { 6.0 }, ..RECYCLED }),
        ("there are more of them", Service { workers: |second| 2 + (second / 60.0) as u32, ..RECYCLED }),
        ("it was not watched for four rounds", Service { seconds: 20, ..RECYCLED }),
    ];
    for (what, service) in cases {
        assert_eq!(service.bounds(), None, "{what}");
    }
}

#[test]
fn as_many_are_weighed_as_four_rounds_and_eight_take() {
    let cases: [(Workers, u32, usize, bool); 6] = [
        (|_| 1, 45, 7, false),
        (|_| 1, 46, 8, true),
        (|_| 2, 24, 7, false),
        (|_| 2, 25, 8, true),
        (|_| 4, 24, 13, false),
        (|_| 4, 25, 16, true),
    ];
    for (workers, seconds, weighed, is_decided) in cases {
        let service = Service { workers, seconds, ..RECYCLED };
        let ended = service.records().iter().filter(|record| matches!(record, Record::Event { .. })).count();
        assert_eq!((ended, service.bounds().is_some()), (weighed, is_decided), "{seconds} s");
    }
}

#[test]
fn one_early_heavy_worker_does_not_hide_that_the_others_get_heavier() {
    let worker = |began: f64, age: f64| if began < 3.0 { 20.0 * MIB } else { (2.0 + began / 60.0 + age) * MIB };
    assert_eq!(Service { worker, ..RECYCLED }.bounds(), None);
}

#[test]
fn a_worker_may_be_a_fifth_older_than_any_that_ended() {
    // Those that ended were there for 2.5 s from their first look to their end, or for 29.5.
    let lives: [(Life, u32, bool); 4] = [
        (|number| if number < 18 { 3.0 } else { 9.0 }, 56, true),
        (|number| if number < 18 { 3.0 } else { 9.0 }, 57, false),
        (|number| if number < 9 { 30.0 } else { 90.0 }, 301, true),
        (|number| if number < 9 { 30.0 } else { 90.0 }, 304, false),
    ];
    for (life, seconds, is_decided) in lives {
        let service = Service { life, seconds, workers: |_| 1, ..RECYCLED };
        assert_eq!(service.bounds().is_some(), is_decided, "{seconds} s");
    }
}

#[test]
fn without_looks_at_every_process_nothing_is_said() {
    let plan = scenario("watch", Shape::Watch, None);
    let mut records = RECYCLED.records();
    records.retain(|record| !matches!(record, Record::Detail(_)));
    assert!(Pool::of(&Passage { plan: &plan, records: &records, end: None }).is_none());
}

#[test]
fn only_memory_that_is_not_decided_becomes_bounded() {
    let (plan, records) = (scenario("watch", Shape::Watch, None), RECYCLED.records());
    let growth = |metric, verdict| judged(metric, verdict, &[1.0, 2.0]);
    let mut growths = [
        growth(Metric::Private, Verdict::Inconclusive),
        growth(Metric::Peak, Verdict::Unbounded),
        growth(Metric::Rss, Verdict::Inconclusive),
        growth(Metric::Fds, Verdict::Inconclusive),
    ];
    growths[0].suspected = true;
    growths[0].more_cycles = Some(7);
    mark_bounded(&mut growths, &Passage { plan: &plan, records: &records, end: None });
    let verdicts = growths.each_ref().map(|growth| growth.verdict);
    assert_eq!(verdicts, [Verdict::Bounded, Verdict::Unbounded, Verdict::Bounded, Verdict::Inconclusive]);
    assert_eq!((growths[0].suspected, growths[0].more_cycles), (false, None));
    assert!(growths[0].reason.contains("; the sum: "), "{}", growths[0].reason);
}

#[test]
fn a_watch_of_a_pool_is_decided() {
    let uneven = Service { life: |number| 5.0 + f64::from(number * 7 % 5), ..RECYCLED };
    let verdict = |is_weighed: bool| {
        let mut story = Story::new(Plan { scenarios: vec![scenario("watch", Shape::Watch, None)], ..Plan::default() });
        let mark = |second: u64, border| Record::Mark(Mark { at: Moment(second * 1_000_000), operations: 0, border });
        let begin = Border::ScenarioBegins { scenario: "watch".into(), memory_source: MemorySource::SmapsRollup };
        let mut records = vec![mark(0, begin)];
        for record in uneven.records() {
            if let Record::Detail(look) = &record {
                let private = look.per_process.iter().map(|one| one.private).sum();
                let memory = Some(Memory { private, ..Memory::default() });
                records.push(Record::Sample(Sample { at: look.at, processes: 3, memory, ..Sample::default() }));
            }
            records.extend(Some(record).filter(|record| is_weighed || !matches!(record, Record::Detail(_))));
        }
        let end = Border::ScenarioEnds { scenario: "watch".into(), stop: Stop::Spent, tally: Tally::default() };
        records.push(mark(180, end));
        story.recording.records = records;
        let findings = Findings::of(&story.finish());
        findings.scenarios[0].growth(&Metric::Private).map(|growth| growth.verdict)
    };
    assert_eq!(verdict(false), Some(Verdict::Inconclusive));
    assert_eq!(verdict(true), Some(Verdict::Bounded));
}
