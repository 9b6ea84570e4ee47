//! What a session is asked to do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

use crate::probe::gauges::GaugeSource;
use crate::recording::{Header, Host, Mode};
use crate::redact::Redactor;
use crate::run_dir::RunDir;
use crate::sample::{
    HeapSampling, Inconclusive, LoadPlan, Metric, OperationsFrom, Plan, Process, ScenarioPlan, Shape, Smallest, Usual,
};
use crate::scenario::{Origin, Script};
use crate::target::limits;

/// The mean number of bytes between two samples of a heap of which nothing else is known: 1 MB that leaks is told to a quarter.
const HEAP_INTERVAL_BYTES: u64 = 64 << 10;

/// A run to carry out.
#[derive(Debug)]
pub struct Request {
    /// How it was asked for.
    pub mode: Mode,
    /// The run directory.
    pub run_dir: Arc<RunDir>,
    /// Time between two ticks.
    pub interval: Duration,
    /// The part of one CPU that reading the target may take, from 0 to 1.
    pub budget: f64,
    /// What to do.
    pub errand: Errand,
    /// The metrics whose verdicts matter, by scenario: a scenario may end as soon as they stand.
    pub gated: BTreeMap<String, Vec<Metric>>,
    /// What an inconclusive run counts as.
    pub inconclusive: Inconclusive,
}

/// What to do.
#[derive(Debug)]
pub enum Errand {
    /// Drive a target through scenarios.
    Drive(Box<Script>),
    /// Watch only.
    Watch(Box<Watch>),
}

/// Watching without driving.
#[derive(Debug)]
pub struct Watch {
    /// What.
    pub what: Watchee,
    /// How long; `None` until it ends or the user does.
    pub length: Option<Duration>,
    /// What must hold.
    pub plan: Plan,
    /// What the target tells of itself.
    pub exports: Exports,
    /// The mean number of bytes between two samples of the heap, where it is sampled.
    pub heap_interval_bytes: u64,
}

/// What a target that is only watched tells of itself.
#[derive(Clone, Debug, Default)]
pub struct Exports {
    /// Numbers that it exports, and where.
    pub gauges: Option<GaugeSource>,
    /// What counts its operations.
    pub operations: Option<Counting>,
}

/// What counts the operations of a target that is only watched.
#[derive(Clone, Debug)]
pub enum Counting {
    /// A counter among the numbers that it exports.
    Gauge(String),
    /// New lines of a log.
    Log {
        /// The file.
        path: PathBuf,
        /// Which lines count.
        pattern: Regex,
    },
    /// Lines of its standard output: launched targets alone.
    Stdout {
        /// Which lines count.
        pattern: Regex,
    },
}

impl Counting {
    /// The same as the plan of a recording keeps it.
    fn kept(&self) -> OperationsFrom {
        match self {
            Self::Gauge(name) => OperationsFrom::Gauge { name: name.clone() },
            Self::Log { path, pattern } => {
                OperationsFrom::Log { file: path.display().to_string(), pattern: pattern.to_string() }
            }
            Self::Stdout { pattern } => OperationsFrom::Stdout { pattern: pattern.to_string() },
        }
    }
}

/// What is watched.
#[derive(Debug)]
pub enum Watchee {
    /// Processes that run already.
    Running {
        /// The roots of their trees.
        roots: Vec<Process>,
        /// The command line of the first.
        command: Vec<String>,
    },
    /// A command to launch.
    Command(Vec<String>),
}

impl Watch {
    /// Watches processes that run already.
    pub fn attached(roots: Vec<Process>, name: String, command: Vec<String>, length: Option<Duration>) -> Self {
        Self::of(Watchee::Running { roots, command }, name, length)
    }

    /// Launches a command and watches it.
    pub fn launched(command: Vec<String>, name: String, length: Option<Duration>) -> Self {
        Self::of(Watchee::Command(command), name, length)
    }

    fn of(what: Watchee, name: String, length: Option<Duration>) -> Self {
        let (plan, exports) = (watch_plan(name), Exports::default());
        Self { what, length, plan, exports, heap_interval_bytes: HEAP_INTERVAL_BYTES }
    }

    /// Samples the heap by call stack, or does not; at this interval, where one is given.
    #[must_use]
    pub fn sampling(mut self, heap: HeapSampling, interval_bytes: Option<u64>) -> Self {
        self.plan.heap = heap;
        self.heap_interval_bytes = interval_bytes.unwrap_or(self.heap_interval_bytes);
        self
    }

    /// Listens to what the target tells of itself. Where that counts its operations, they are what growth is counted
    /// against.
    #[must_use]
    pub fn told_by(mut self, exports: Exports) -> Self {
        self.plan.operations_from = exports.operations.as_ref().map(Counting::kept);
        if exports.operations.is_some() {
            for scenario in &mut self.plan.scenarios {
                (scenario.shape, scenario.smallest) = (Shape::Counted, Smallest::PER_OPERATION);
                scenario.usual = Usual::BOTH;
            }
        }
        Self { exports, ..self }
    }

    /// Says which growth matters, per operation where those are counted, else per second; `None` keeps the default.
    #[must_use]
    pub fn asking(mut self, memory: Option<f64>, count: Option<f64>) -> Self {
        for scenario in &mut self.plan.scenarios {
            scenario.smallest = Smallest {
                memory: memory.unwrap_or(scenario.smallest.memory),
                count: count.unwrap_or(scenario.smallest.count),
            };
            let usual = scenario.usual;
            scenario.usual = Usual { memory: usual.memory && memory.is_none(), count: usual.count && count.is_none() };
        }
        self
    }
}

fn watch_plan(name: String) -> Plan {
    let scenario = ScenarioPlan {
        name: "watch".into(),
        shape: Shape::Watch,
        subsystem: None,
        steps: Vec::new(),
        load: LoadPlan::default(),
        smallest: Smallest::PER_SECOND,
        usual: Usual::BOTH,
        expect_cap: None,
        thresholds: Vec::new(),
        production: Vec::new(),
    };
    Plan { name, scenarios: vec![scenario], ..Plan::default() }
}

impl Request {
    /// What the run sets out to do.
    pub fn plan(&self) -> Plan {
        let plan = match &self.errand {
            Errand::Drive(script) => script.plan.clone(),
            Errand::Watch(watch) => watch.plan.clone(),
        };
        Plan { inconclusive: self.inconclusive, ..plan }
    }

    /// The metrics whose verdicts matter in a scenario.
    pub fn gated(&self, scenario: &str) -> Vec<Metric> {
        self.gated.get(scenario).cloned().unwrap_or_else(|| Metric::GATED.to_vec())
    }

    pub(super) fn launches(&self) -> bool {
        match &self.errand {
            Errand::Drive(script) => matches!(script.target.origin, Origin::Launch(_)),
            Errand::Watch(watch) => matches!(watch.what, Watchee::Command(_)),
        }
    }

    /// What takes secrets out of everything that this run writes or prints.
    pub fn redactor(&self) -> Redactor {
        match &self.errand {
            Errand::Drive(script) => script.fixed.redactor(),
            Errand::Watch(_) => Redactor::default(),
        }
    }

    pub(super) fn header(&self) -> Header {
        Header {
            tidewatch: env!("CARGO_PKG_VERSION").to_owned(),
            started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            mode: self.mode,
            launched: self.launches(),
            interval_us: self.interval.as_micros() as u64,
            host: self.host(),
            plan: self.plan(),
        }
    }

    fn host(&self) -> Host {
        // A launched target inherits our limits.
        let whose = match &self.errand {
            Errand::Watch(watch) => match &watch.what {
                Watchee::Running { roots, .. } => roots.first().copied(),
                Watchee::Command(_) => crate::target::identify(std::process::id()).ok(),
            },
            Errand::Drive(script) => match script.target.origin {
                Origin::AttachPid(pid) => crate::target::identify(pid).ok(),
                Origin::AttachName(_) | Origin::Launch(_) => crate::target::identify(std::process::id()).ok(),
            },
        };
        Host {
            kernel: sysinfo::System::kernel_version().unwrap_or_default(),
            architecture: sysinfo::System::cpu_arch(),
            cpus: std::thread::available_parallelism().map_or(0, |n| n.get() as u32),
            memory: total_memory(),
            page_size: page_size(),
            limits: whose.map(limits).unwrap_or_default(),
        }
    }
}

fn total_memory() -> u64 {
    sysinfo::System::new().map_or(0, |mut system| {
        system.refresh_memory();
        system.total_memory()
    })
}

fn page_size() -> u64 {
    #[cfg(target_os = "linux")]
    {
        rustix::param::page_size() as u64
    }
    #[cfg(not(target_os = "linux"))]
    4096
}
