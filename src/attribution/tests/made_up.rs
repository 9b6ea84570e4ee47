//! Made-up recordings: a target that is at a known level after so many operations and seconds.

mod sampled;

pub use sampled::{SampledHeap, Site};

use crate::attribution::ScenarioFinding;
use crate::growth::{Activity, Axis, Floor, Growth, Verdict};
use crate::recording::{Footer, Header, Host, Mode, Recording};
use crate::sample::*;

pub const TICK_US: u64 = 100_000;
const LOAD_TICKS: u64 = 7;
const SETTLE_TICKS: u64 = 4;
/// Seconds of one cycle.
pub const CYCLE_S: f64 = (LOAD_TICKS + SETTLE_TICKS) as f64 / 10.0;

/// What a target holds at one moment. What is `None` or empty cannot be read.
#[derive(Clone, Default)]
pub struct Level {
    pub private: Option<f64>,
    pub shared: f64,
    /// Anonymous memory as ticks see it: the peak is made of it.
    pub anonymous: Option<f64>,
    pub fds: Vec<(FdKind, &'static str, f64)>,
    pub threads: Vec<(&'static str, f64)>,
    pub children: Vec<(&'static str, f64)>,
    pub gauges: Vec<(&'static str, f64)>,
    /// Live bytes by site of allocation; an empty list is a heap that is not sampled.
    pub heap: Vec<(&'static Site, f64)>,
    pub mappings: Option<Mappings>,
    pub allocator: Option<AllocatorFigures>,
}

/// How a scenario goes.
#[derive(Clone)]
pub struct Run {
    pub name: &'static str,
    pub cycles: u32,
    /// Operations of a cycle, on average; none in an idle scenario.
    pub per_cycle: u64,
    /// How it stops; `None` when the recording is cut within it.
    pub stop: Option<Stop>,
    pub tally: Tally,
    /// How the target ends under it.
    pub ending: Option<Ending>,
}

impl Run {
    pub fn of(name: &'static str, cycles: u32, per_cycle: u64) -> Self {
        Self { name, cycles, per_cycle, stop: Some(Stop::Spent), tally: Tally::default(), ending: None }
    }
}

/// A recording that is written scenario by scenario, each on a fresh target.
pub struct Story {
    pub recording: Recording,
    heap: SampledHeap,
    now_us: u64,
    begun_us: u64,
    noise: u64,
}

impl Story {
    pub fn new(plan: Plan) -> Self {
        let header = Header {
            tidewatch: "0.1.0".into(),
            started: "2026-02-03T04:05:06Z".into(),
            mode: Mode::Check,
            launched: true,
            interval_us: TICK_US,
            host: Host::default(),
            plan,
        };
        let recording = Recording { header, records: Vec::new(), footer: None, remarks: Vec::new() };
        Self { recording, heap: SampledHeap::default(), now_us: 0, begun_us: 0, noise: 11 }
    }

    /// A sampler with another mean number of bytes between two samples, and other luck.
    pub fn sampled(mut self, interval_bytes: u64, seed: u64) -> Self {
        self.heap = SampledHeap::new(interval_bytes, seed);
        self
    }

    pub fn finish(mut self) -> Recording {
        self.recording.records.extend(self.heap.symbols(Moment(self.now_us)));
        self.recording.footer = Some(Footer { at: Moment(self.now_us), ..Footer::default() });
        self.recording
    }

    fn dice(&mut self) -> f64 {
        self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 40) as f64 / f64::from(1 << 24)
    }

    pub fn event(&mut self, event: Event) {
        self.recording.records.push(Record::Event { at: Moment(self.now_us), event });
    }

    fn mark(&mut self, operations: u64, border: Border) {
        self.recording.records.push(Record::Mark(Mark { at: Moment(self.now_us), operations, border }));
    }

    fn seconds(&self) -> f64 {
        (self.now_us - self.begun_us) as f64 / 1e6
    }

    fn tick(&mut self, operations: u64, level: &Level) {
        let noise = self.dice() * 8192.0;
        let whole = |count: f64| count.max(0.0) as u64;
        let memory = level.private.map(|private| Memory {
            private: whole(private + noise),
            shared: whole(level.shared),
            ..Memory::default()
        });
        let sum = |list: &[(&str, f64)]| list.iter().map(|(_, count)| whole(*count)).sum::<u64>();
        let fds = level.fds.iter().map(|(_, _, count)| whole(*count)).sum();
        let tree = TreeCounts { children: sum(&level.children), ..TreeCounts::default() };
        self.recording.records.push(Record::Sample(Sample {
            at: Moment(self.now_us),
            operations,
            processes: 1,
            memory,
            anonymous: level.anonymous.map(whole),
            fds: Some(fds).filter(|_| !level.fds.is_empty()),
            threads: Some(sum(&level.threads)).filter(|_| !level.threads.is_empty()),
            tree: Some(tree).filter(|_| !level.children.is_empty()),
            ..Sample::default()
        }));
    }

    pub fn look(&mut self, operations: u64, level: &Level) {
        let named = |list: &[(&str, f64)]| {
            list.iter().map(|(name, count)| Named { name: (*name).into(), count: *count as u64 }).collect()
        };
        let target = |(kind, name, count): &(FdKind, &str, f64)| FdTarget {
            kind: *kind,
            name: (*name).into(),
            count: *count as u64,
        };
        let by_target = level.fds.iter().map(target).collect();
        let descriptors = Descriptors { by_target, ..Descriptors::default() };
        self.recording.records.push(Record::Detail(Box::new(Detail {
            at: Moment(self.now_us),
            operations,
            cost_us: 400,
            descriptors: Some(descriptors).filter(|_| !level.fds.is_empty()),
            threads: named(&level.threads),
            children: named(&level.children),
            gauges: level.gauges.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            mappings: level.mappings,
            ..Detail::default()
        })));
        if !level.heap.is_empty() {
            let looked = self.heap.look(Moment(self.now_us), operations, &level.heap, level.allocator);
            self.recording.records.extend(looked);
        }
    }

    /// One scenario; the level is asked for after so many operations and seconds.
    pub fn scenario(&mut self, run: &Run, level: impl Fn(f64, f64) -> Level) -> &mut Self {
        let process = Process { pid: 4242, start: self.now_us };
        self.heap.forget();
        self.event(Event::TargetBegins { process, command: vec!["server".into()], fresh: true });
        self.begun_us = self.now_us;
        self.now_us += TICK_US;
        let first = level(0.0, self.seconds());
        self.look(0, &first);
        self.tick(0, &first);
        let memory_source = MemorySource::SmapsRollup;
        self.mark(0, Border::ScenarioBegins { scenario: run.name.into(), memory_source });
        self.mark(0, Border::PhaseBegins { phase: Phase::Warmup, cycle: 0 });
        let mut operations = self.ticks(0, 2 * LOAD_TICKS, 2 * run.per_cycle, &level);
        for cycle in 1..=run.cycles {
            // The length of a load is jittered, as a real one is.
            let length = (run.per_cycle as f64 * (0.7 + 0.6 * self.dice())) as u64;
            self.mark(operations, Border::PhaseBegins { phase: Phase::Load, cycle });
            operations = self.ticks(operations, LOAD_TICKS, length, &level);
            self.mark(operations, Border::PhaseBegins { phase: Phase::Settle, cycle });
            self.ticks(operations, SETTLE_TICKS, 0, &level);
            let now = level(operations as f64, self.seconds());
            self.look(operations, &now);
        }
        if let Some(ending) = run.ending.clone() {
            self.event(Event::TargetEnds { process, ending });
        }
        if let Some(stop) = run.stop.clone() {
            let border = Border::ScenarioEnds { scenario: run.name.into(), stop, tally: run.tally.clone() };
            self.mark(operations, border);
        }
        self.now_us += 300_000;
        self
    }

    fn ticks(&mut self, from: u64, ticks: u64, length: u64, level: &impl Fn(f64, f64) -> Level) -> u64 {
        for tick in 1..=ticks {
            self.now_us += TICK_US;
            let operations = from + length * tick / ticks;
            let now = level(operations as f64, self.seconds());
            self.tick(operations, &now);
        }
        from + length
    }
}

pub fn subsystem(name: &str, owns: SubsystemRules) -> Subsystem {
    let source = format!("src/{}.rs", name.to_lowercase());
    Subsystem { name: name.into(), priority: Some(Priority::P1), source: Some(source), owns }
}

pub fn gauges(rule: &str) -> SubsystemRules {
    SubsystemRules { gauges: vec![rule.into()], ..SubsystemRules::default() }
}

pub fn scenario(name: &str, shape: Shape, subsystem: Option<&str>) -> ScenarioPlan {
    ScenarioPlan {
        name: name.into(),
        shape,
        subsystem: subsystem.map(str::to_owned),
        steps: Vec::new(),
        load: LoadPlan::default(),
        smallest: match shape {
            Shape::Idle | Shape::Watch => Smallest::PER_SECOND,
            _ => Smallest { memory: 100.0, count: 1e-3 },
        },
        usual: Usual::default(),
        expect_cap: None,
        thresholds: Vec::new(),
        production: Vec::new(),
    }
}

/// A verdict on a metric whose baseline is the first of these values, and whose floors, from cycle 0 on, are all of them.
pub fn judged(metric: Metric, verdict: Verdict, values: &[f64]) -> Growth {
    let floor = |(cycle, value): (u32, &f64)| Floor { cycle, t: f64::from(cycle), x: f64::from(cycle), value: *value };
    Growth {
        metric,
        axis: Axis::Operations,
        verdict,
        suspected: false,
        decided_at: None,
        per_op: None,
        window: None,
        per_hour: None,
        baseline: values[0],
        last: values[values.len() - 1],
        highest: values.iter().copied().fold(values[0], f64::max),
        sensitivity: None,
        more_cycles: None,
        since: None,
        reason: String::new(),
        floors: (0..).zip(values).map(floor).collect(),
    }
}

/// A flood that came to these verdicts.
pub fn finding(growths: Vec<Growth>) -> ScenarioFinding {
    ScenarioFinding {
        plan: scenario("flood", Shape::Flood, None),
        growths,
        activity: Activity::default(),
        heap: None,
        stop: Some(Stop::Spent),
        tally: Tally::default(),
        cycles: 3,
        operations: 300,
        ending: None,
    }
}

pub fn plan(subsystems: Vec<Subsystem>, scenarios: Vec<ScenarioPlan>) -> Plan {
    Plan { name: "server".into(), subsystems, scenarios, ..Plan::default() }
}

pub const MIB: f64 = 1024.0 * 1024.0;

/// A target at rest, of which everything can be read.
pub fn quiet() -> Level {
    Level {
        private: Some(20.0 * MIB),
        shared: MIB,
        anonymous: Some(21.0 * MIB),
        fds: vec![(FdKind::File, "/dev/null", 12.0)],
        threads: vec![("worker", 4.0)],
        children: vec![("helper", 1.0)],
        gauges: Vec::new(),
        ..Level::default()
    }
}
