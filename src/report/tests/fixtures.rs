//! Small made-up recordings that the real judge works on.

use std::collections::BTreeMap;

pub use crate::attribution::tests::made_up::{SampledHeap, Site};
use crate::recording::{Footer, Header, Host, Mode, Overhead, Recording};
use crate::sample::*;
use crate::units::Rate;

pub const MIB: f64 = 1024.0 * 1024.0;

/// The level of a target after so many operations.
#[derive(Clone, Copy, Default)]
pub struct Level {
    pub private: f64,
    pub fds: f64,
    pub threads: f64,
    pub items: Option<f64>,
    /// Live bytes by site of allocation, where the heap is sampled.
    pub heap: [Option<(&'static Site, f64)>; 3],
    /// What is free in the allocator's arenas.
    pub free: Option<f64>,
}

/// A recording that is written scenario by scenario.
pub struct Book {
    recording: Recording,
    now_us: u64,
    noise: u64,
    pid: u32,
    heap: SampledHeap,
}

impl Book {
    pub fn new(mode: Mode, plan: Plan) -> Self {
        let limits = [("nofile", 1024), ("pids", 4096), ("max_map_count", 65_530), ("memory", 8 << 30)];
        let header = Header {
            tidewatch: "0.1.0".into(),
            started: "2026-02-03T04:05:06Z".into(),
            mode,
            launched: mode != Mode::Attach,
            interval_us: 100_000,
            host: Host {
                kernel: "6.12.0".into(),
                architecture: "x86_64".into(),
                cpus: 4,
                memory: 16 << 30,
                page_size: 4096,
                limits: limits.into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect(),
            },
            plan,
        };
        let recording = Recording { header, records: Vec::new(), footer: None, remarks: Vec::new() };
        Self { recording, now_us: 0, noise: 7, pid: 4242, heap: SampledHeap::default() }
    }

    pub fn finish(mut self) -> Recording {
        self.recording.records.extend(self.heap.symbols(Moment(self.now_us)));
        self.recording.footer = Some(Footer {
            at: Moment(self.now_us),
            interrupted: false,
            overhead: Overhead {
                cpu_us: self.now_us / 50,
                wall_us: self.now_us,
                ticks: self.now_us / 100_000,
                fast_us: self.now_us / 100_000 * 23,
                expensive_us: self.now_us / 250,
                late: 0,
                budget: Some(0.01),
                stretched: None,
            },
        });
        self.recording
    }

    /// Ends here, as a recording does whose writer was killed.
    pub fn cut(mut self) -> Recording {
        self.recording.remarks.push("the recording was not finished".into());
        self.recording
    }

    pub fn event(&mut self, event: Event) {
        self.recording.records.push(Record::Event { at: Moment(self.now_us), event });
    }

    fn process(&self) -> Process {
        Process { pid: self.pid, start: 777 }
    }

    pub fn target_begins(&mut self) {
        self.pid += 1;
        self.heap.forget();
        let command = vec!["./orchestrator".into(), "--port".into(), "0".into()];
        self.event(Event::TargetBegins { process: self.process(), command, fresh: true });
        self.now_us += 500_000;
    }

    pub fn target_ends(&mut self, how: How, expected: Expected, evidence: &[&str]) {
        let evidence = evidence.iter().map(|text| (*text).to_owned()).collect();
        let ending = Ending { how, expected: expected == Expected::Yes, evidence };
        self.event(Event::TargetEnds { process: self.process(), ending });
    }

    fn mark(&mut self, operations: u64, border: Border) {
        self.recording.records.push(Record::Mark(Mark { at: Moment(self.now_us), operations, border }));
    }

    fn jitter(&mut self) -> f64 {
        self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 40) as f64 / f64::from(1 << 24)
    }

    fn tick(&mut self, operations: u64, level: Level, lift: f64) {
        let noise = self.jitter() * 8192.0 + lift * self.jitter();
        let private = (level.private + noise) as u64;
        let memory = Memory { rss: private + (4 << 20), private, pss: private, file: 4 << 20, ..Memory::default() };
        self.recording.records.push(Record::Sample(Sample {
            at: Moment(self.now_us),
            operations,
            processes: 1,
            rss: Some(memory.rss),
            anonymous: Some(private),
            fds: Some(level.fds as u64),
            threads: Some(level.threads as u64),
            memory: Some(memory),
            tree: Some(TreeCounts::default()),
            ..Sample::default()
        }));
    }

    fn look(&mut self, operations: u64, level: Level, fd_name: &str) {
        let named = |name: &str, count: f64| Named { name: name.into(), count: count as u64 };
        let heap = level.private as u64;
        self.recording.records.push(Record::Detail(Box::new(Detail {
            at: Moment(self.now_us),
            operations,
            cost_us: 400,
            mappings: Some(Mappings { heap, count: 60, ..Mappings::default() }),
            descriptors: Some(Descriptors {
                by_kind: BTreeMap::from([(FdKind::Tcp, level.fds as u64)]),
                by_target: vec![FdTarget { kind: FdKind::Tcp, name: fd_name.into(), count: level.fds as u64 }],
            }),
            threads: vec![named("heartbeat-*", level.threads - 4.0), named("worker", 4.0)],
            gauges: level.items.map(|items| ("work_queue_items".to_owned(), items)).into_iter().collect(),
            ..Detail::default()
        })));
        let sites: Vec<(&'static Site, f64)> = level.heap.into_iter().flatten().collect();
        if !sites.is_empty() {
            let allocator = level.free.map(|free| AllocatorFigures {
                arena_bytes: level.private as u64,
                free_bytes: free as u64,
                ..AllocatorFigures::default()
            });
            let looked = self.heap.look(Moment(self.now_us), operations, &sites, allocator);
            self.recording.records.extend(looked);
        }
    }

    /// A scenario begins: mark, warm-up. Its target was begun before.
    pub fn begin(&mut self, name: &str, per_cycle: u64, level: impl Fn(f64) -> Level) -> u64 {
        self.tick(0, level(0.0), 0.0);
        self.mark(0, Border::ScenarioBegins { scenario: name.into(), memory_source: MemorySource::SmapsRollup });
        self.mark(0, Border::PhaseBegins { phase: Phase::Warmup, cycle: 0 });
        self.look(0, level(0.0), "ESTABLISHED to 127.0.0.1:5432");
        let mut operations = 0;
        for _ in 0..20 {
            self.now_us += 100_000;
            operations += per_cycle / 10;
            self.tick(operations, level(operations as f64), 100_000.0);
        }
        operations
    }

    /// Load and settle, so many times.
    pub fn cycles(&mut self, from: u64, count: u32, per_cycle: u64, level: impl Fn(f64) -> Level) -> u64 {
        let mut operations = from;
        for cycle in 1..=count {
            self.mark(operations, Border::PhaseBegins { phase: Phase::Load, cycle });
            for _ in 0..7 {
                self.now_us += 100_000;
                operations += per_cycle / 7;
                self.tick(operations, level(operations as f64), 200_000.0);
            }
            self.mark(operations, Border::PhaseBegins { phase: Phase::Settle, cycle });
            for _ in 0..4 {
                self.now_us += 100_000;
                self.tick(operations, level(operations as f64), 0.0);
            }
            self.look(operations, level(operations as f64), "ESTABLISHED to 127.0.0.1:5432");
        }
        operations
    }

    pub fn end(&mut self, name: &str, operations: u64, stop: Stop, tally: Tally) {
        let tally = Tally { counted: operations, load_seconds: 20.0, ..tally };
        self.mark(operations, Border::ScenarioEnds { scenario: name.into(), stop, tally });
    }

    /// A scenario with a target of its own that runs to its end.
    pub fn scenario(&mut self, name: &str, cycles: u32, per_cycle: u64, level: impl Fn(f64) -> Level) {
        self.target_begins();
        let warm = self.begin(name, per_cycle, &level);
        let operations = self.cycles(warm, cycles, per_cycle, &level);
        self.end(name, operations, Stop::Spent, Tally::default());
        self.target_ends(How::Exited(0), Expected::Yes, &[]);
        self.now_us += 300_000;
    }

    /// Ticks and looks without phases, ten a second.
    pub fn watch(&mut self, name: &str, seconds: u64, fd_name: &str, level: impl Fn(f64) -> Level) {
        self.target_begins();
        self.mark(0, Border::ScenarioBegins { scenario: name.into(), memory_source: MemorySource::SmapsRollup });
        for tick in 0..seconds * 10 {
            let now = level(tick as f64 / 10.0);
            self.tick(0, now, 0.0);
            if tick % 20 == 0 {
                self.look(0, now, fd_name);
            }
            self.now_us += 100_000;
        }
        self.look(0, level(seconds as f64), fd_name);
        self.end(name, 0, Stop::Spent, Tally::default());
    }
}

/// Whether an end was part of the work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Yes,
    No,
}

pub fn subsystem(name: &str, priority: Priority, source: &str, owns: SubsystemRules) -> Subsystem {
    Subsystem { name: name.into(), priority: Some(priority), source: Some(source.into()), owns }
}

pub fn scenario(name: &str, shape: Shape, subsystem: Option<&str>, production: &[(&str, f64)]) -> ScenarioPlan {
    ScenarioPlan {
        name: name.into(),
        shape,
        subsystem: subsystem.map(str::to_owned),
        steps: vec!["POST /items".into()],
        load: LoadPlan {
            warmup_s: 2.0,
            load_s: 0.7,
            settle_s: 0.4,
            min_cycles: 10,
            max_cycles: 50,
            ..LoadPlan::default()
        },
        smallest: match shape {
            Shape::Idle | Shape::Watch => Smallest::PER_SECOND,
            _ => Smallest { memory: 100.0, count: 1e-3 },
        },
        usual: Usual::default(),
        expect_cap: None,
        thresholds: Vec::new(),
        production: production
            .iter()
            .map(|(name, per_hour)| ProductionRate { name: (*name).into(), rate: Rate::per_second(per_hour / 3600.0) })
            .collect(),
    }
}

pub const RATES: [(&str, f64); 4] = [("conservative", 10.0), ("moderate", 100.0), ("heavy", 1e3), ("worst", 1e4)];

pub fn quiet(_: f64) -> Level {
    Level { private: 20.0 * MIB, fds: 12.0, threads: 8.0, items: None, ..Level::default() }
}
