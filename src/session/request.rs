//! What a session is asked to do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::recording::{Header, Host, Mode};
use crate::sample::{Inconclusive, LoadPlan, Metric, Plan, Process, ScenarioPlan, Shape, Smallest};
use crate::scenario::{Origin, Script};
use crate::target::limits;

/// A run to carry out.
#[derive(Debug)]
pub struct Request {
    /// How it was asked for.
    pub mode: Mode,
    /// The run's folder; it exists.
    pub folder: PathBuf,
    /// Time between two ticks.
    pub interval: Duration,
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
    Watch(Watch),
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
        Self { what: Watchee::Running { roots, command }, length, plan: watch_plan(name) }
    }

    /// Launches a command and watches it.
    pub fn launched(command: Vec<String>, name: String, length: Option<Duration>) -> Self {
        Self { what: Watchee::Command(command), length, plan: watch_plan(name) }
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
            Errand::Watch(Watch { what: Watchee::Running { roots, .. }, .. }) => roots.first().copied(),
            Errand::Drive(script) => match script.target.origin {
                Origin::AttachPid(pid) => crate::target::identify(pid).ok(),
                Origin::AttachName(_) | Origin::Launch(_) => crate::target::identify(std::process::id()).ok(),
            },
            Errand::Watch(_) => crate::target::identify(std::process::id()).ok(),
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
