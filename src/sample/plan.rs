//! What a run set out to do, kept in the recording's header so that a report needs nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::HeapSampling;
use crate::units::{Rate, Unit};

/// What was asked of a run, by a scenario file or by the command line. Texts of the user's file appear as
/// written there, templates unrendered, so that no value of the environment is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// A name for the run: the scenario file's folder, or the target's command.
    pub name: String,
    /// Parts of the target, in the order of the file.
    pub subsystems: Vec<Subsystem>,
    /// Scenarios in the order in which they run.
    pub scenarios: Vec<ScenarioPlan>,
    /// Thresholds for every scenario, as written.
    pub thresholds: Vec<String>,
    /// The memory limit to report against, in bytes.
    pub memory_limit: Option<u64>,
    /// Seed of everything random in the run.
    pub seed: u64,
    /// What an inconclusive run counts as.
    pub inconclusive: Inconclusive,
    /// How sure a scenario has to be before it ends.
    #[serde(skip_serializing_if = "is_default")]
    pub effort: Effort,
    /// Whether the heap is sampled by call stack.
    #[serde(skip_serializing_if = "is_default")]
    pub heap: HeapSampling,
    /// The longest that all scenarios together may take, in seconds, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_time_s: Option<f64>,
    /// What counts the operations of a target that is only watched, where something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations_from: Option<OperationsFrom>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How sure a scenario has to be before it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// It gives up early: for the loop of a developer.
    Quick,
    /// It ends with the first look at which everything is decided, or with its last cycle.
    #[default]
    Standard,
    /// It may go on for longer, and ends only once every verdict has stood over twice the cycles at which it was reached.
    Thorough,
}

/// What counts the operations of a target that is only watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum OperationsFrom {
    /// A counter that the target exports.
    Gauge {
        /// Its name.
        name: String,
    },
    /// New lines of a file.
    Log {
        /// The file.
        file: String,
        /// The pattern of the lines that count.
        pattern: String,
    },
    /// New lines of the standard output of a launched target.
    Stdout {
        /// The pattern of the lines that count.
        pattern: String,
    },
}

impl fmt::Display for OperationsFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gauge { name } => write!(f, "gauge:{name}"),
            Self::Log { file, pattern } => write!(f, "log:{file}:{pattern}"),
            Self::Stdout { pattern } => write!(f, "stdout:{pattern}"),
        }
    }
}

/// What an inconclusive run counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inconclusive {
    /// It has an exit code of its own.
    #[default]
    Fails,
    /// It passes (`--inconclusive pass`).
    Passes,
}

/// Where exact memory figures come from: one source per curve, chosen at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemorySource {
    /// `smaps_rollup`: exact.
    #[default]
    SmapsRollup,
    /// `statm`: cheap; without swap, and approximate on some kernels.
    Statm,
}

/// A named part of the target and the rules that recognise it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subsystem {
    /// Its name.
    pub name: String,
    /// How soon it should be fixed when it grows.
    pub priority: Option<Priority>,
    /// Where its code is.
    pub source: Option<String>,
    /// What is its own.
    pub owns: SubsystemRules,
}

/// Patterns (globs) over what belongs to a subsystem.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubsystemRules {
    /// Frames of call stacks.
    pub frames: Vec<String>,
    /// Gauges that the target exports.
    pub gauges: Vec<String>,
    /// Descriptors: `KIND`, `KIND:NAME` or a path.
    pub fds: Vec<String>,
    /// Threads and processes by name.
    pub tasks: Vec<String>,
}

/// How soon a finding should be fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// At once.
    P0,
    /// Soon.
    P1,
    /// When there is time.
    P2,
}

/// How a scenario loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// One step, many times.
    Flood,
    /// Open a session, do a little, leave it.
    Abandon,
    /// One session, many edits.
    LongSession,
    /// Open, use, close, again.
    Churn,
    /// No load: the axis is seconds.
    Idle,
    /// Watching only, by `attach` or `run`: the axis is seconds, cycles are time windows.
    Watch,
    /// Watching only, and something counts the target's operations: they are the axis, cycles are time windows.
    Counted,
}

/// A known cap must lie this far behind before growth is called endless: room for a bend to show.
pub const PAST_CAP: f64 = 1.25;

/// What a scenario set out to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioPlan {
    /// Its name.
    pub name: String,
    /// How it loads.
    pub shape: Shape,
    /// The subsystem that it drives, when the file says so.
    pub subsystem: Option<String>,
    /// The steps in one line for a person, as the file writes them.
    pub steps: Vec<String>,
    /// Pace, length and number of cycles.
    pub load: LoadPlan,
    /// The smallest growth that anyone cares about.
    pub smallest: Smallest,
    /// The figures of it that nobody named: they follow what the run can show.
    #[serde(default, skip_serializing_if = "is_default")]
    pub usual: Usual,
    /// Operations at which a cap is reached, when the file says so, or before which one may be (`min_operations`): nothing
    /// is called endless before [`PAST_CAP`] times as many.
    pub expect_cap: Option<u64>,
    /// Thresholds of this scenario alone, as written.
    pub thresholds: Vec<String>,
    /// Rates of use in production for projections, in the order of the file.
    pub production: Vec<ProductionRate>,
}

/// A rate of use in production, with the word the file gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductionRate {
    /// `conservative`, `moderate`, `heavy`, `worst` or a word of the user's.
    pub name: String,
    /// How often the scenario's operation happens there.
    pub rate: Rate,
}

/// Pace, length and number of the cycles of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadPlan {
    /// Operations per second of an open loop; `None` for a closed loop or no load.
    pub rate: Option<f64>,
    /// Workers of a closed loop.
    pub workers: Option<u32>,
    /// Warm-up in seconds.
    pub warmup_s: f64,
    /// Load of a cycle in seconds, before jitter.
    pub load_s: f64,
    /// Load of a cycle in operations, before jitter, where that is what the file gives.
    pub load_operations: Option<u64>,
    /// Settling of a cycle in seconds.
    pub settle_s: f64,
    /// Fewest cycles.
    pub min_cycles: u32,
    /// Most cycles.
    pub max_cycles: u32,
    /// What is done between load and settling.
    #[serde(skip_serializing_if = "is_default")]
    pub before_settle: BeforeSettle,
}

/// What a scenario does between a load and the settling after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BeforeSettle {
    /// Nothing.
    #[default]
    Nothing,
    /// A step of the file, as a rule one that forces a collection.
    Step,
}

/// The smallest growth that anyone cares about: per operation, or per second where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Smallest {
    /// In bytes.
    pub memory: f64,
    /// In things.
    pub count: f64,
}

/// The figures of [`Smallest`] that are the usual ones, because nobody named any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usual {
    /// That of memory.
    pub memory: bool,
    /// That of counts.
    pub count: bool,
}

impl Usual {
    /// Nobody named any.
    pub const BOTH: Self = Self { memory: true, count: true };

    /// Whether the figure for a unit is the usual one.
    pub fn of(self, unit: Unit) -> bool {
        match unit {
            Unit::Bytes => self.memory,
            Unit::Count => self.count,
        }
    }
}

impl Smallest {
    /// What matters when the file does not say, per operation: 100 B and one in 10,000.
    pub const PER_OPERATION: Self = Self { memory: 100.0, count: 1e-4 };
    /// What matters when the file does not say, per second: 1 KiB and one in five seconds.
    pub const PER_SECOND: Self = Self { memory: 1024.0, count: 0.2 };

    /// The figure for a unit.
    pub fn of(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Bytes => self.memory,
            Unit::Count => self.count,
        }
    }
}

impl Plan {
    /// The plan of a scenario by name.
    pub fn scenario(&self, name: &str) -> Option<&ScenarioPlan> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// The subsystem of this name.
    pub fn subsystem(&self, name: &str) -> Option<&Subsystem> {
        self.subsystems.iter().find(|subsystem| subsystem.name == name)
    }
}
