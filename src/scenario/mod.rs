//! Scripted load: what a scenario file says, and the engine that does it.
//!
//! `script` reads `tidewatch.toml` into the types here and refuses what it does not understand;
//! `template` fills in what changes from one operation to the next; `drivers` reach the target; `engine`
//! paces them in phases and cycles and counts what comes back. None of it measures the target.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

use crate::sample::{Plan, ScenarioPlan};

pub mod drivers;
pub mod engine;
pub mod script;
pub mod starter;
pub mod template;

use template::{Fixed, Template};

/// A scenario file, understood.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file.
    pub path: PathBuf,
    /// What it sets out to do, for the recording's header.
    pub plan: Plan,
    /// What is watched.
    pub target: TargetSpec,
    /// Numbers that the target exports.
    pub gauges: Option<GaugeSpec>,
    /// The scenarios in the order in which they run: idle ones first.
    pub scenarios: Vec<Scenario>,
    /// Hosts other than this machine that the file allows by name.
    pub allow_remote: Vec<String>,
    /// The mean number of bytes between two samples of the heap, where the command line says it.
    pub heap_interval_bytes: Option<u64>,
    /// Values for the templates that hold for the whole run; the ready pattern adds its captures.
    pub fixed: Fixed,
    /// Every threshold with the place where it stands: the gate reads the expressions.
    pub thresholds: Vec<ThresholdText>,
}

/// A threshold as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdText {
    /// Of which scenario; `None` for all.
    pub scenario: Option<String>,
    /// The expression.
    pub expression: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// What is watched and how it comes to run.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// Run before the launch; must succeed.
    pub build: Option<Vec<Template>>,
    /// How the target comes about.
    pub origin: Origin,
    /// On which port it listens, as far as that is known before it is ready.
    pub port: Port,
    /// Where build and launch run: absolute.
    pub cwd: PathBuf,
    /// Variables added to its environment.
    pub env: Vec<(String, Template)>,
    /// When it counts as started.
    pub ready: Ready,
    /// Whether each scenario gets a fresh target.
    pub restart: Restart,
}

/// The port of a target, before its ready pattern may have told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Not known.
    Unknown,
    /// This one.
    Fixed(u16),
    /// One that nobody uses, chosen anew at each launch.
    Free,
}

/// How the target comes about.
#[derive(Clone, Debug)]
pub enum Origin {
    /// tidewatch starts it.
    Launch(Vec<Template>),
    /// It runs: by pid.
    AttachPid(u32),
    /// It runs: by name.
    AttachName(String),
}

/// When a target counts as started.
#[derive(Clone, Debug)]
pub enum Ready {
    /// At once.
    Immediately,
    /// When a line of its standard output matches; named groups become template values.
    Stdout {
        /// The pattern.
        pattern: Regex,
        /// How long to wait.
        within: Duration,
    },
    /// When a line of its standard error matches.
    Stderr {
        /// The pattern.
        pattern: Regex,
        /// How long to wait.
        within: Duration,
    },
    /// When this address answers with a status below 500.
    Http {
        /// The address.
        url: Template,
        /// How long to wait.
        within: Duration,
    },
    /// When this address (`host:port` or `unix:/path`) accepts a connection.
    Tcp {
        /// The address.
        address: Template,
        /// How long to wait.
        within: Duration,
    },
}

/// Whether each scenario gets a fresh target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// A fresh one for each (launched targets only).
    PerScenario,
    /// One for all.
    Never,
}

/// Numbers that the target exports.
#[derive(Clone, Debug)]
pub struct GaugeSpec {
    /// Where: `http://host:port/path`, or `unix:/path/to.sock:/path`.
    pub url: Template,
    /// In which format.
    pub format: GaugeFormat,
    /// Which: nothing else is read.
    pub names: Vec<String>,
}

/// The format of exported numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaugeFormat {
    /// Prometheus or OpenMetrics text.
    Prometheus,
    /// JSON, numbers by dot path.
    Json,
}

/// One scenario: its plan and what it does.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The part that is kept in the recording.
    pub plan: ScenarioPlan,
    /// What it does.
    pub work: Work,
    /// At what pace.
    pub pace: Pace,
    /// Warm-up before the first cycle.
    pub warmup: Duration,
    /// Load of one cycle, before jitter.
    pub load: Load,
    /// Quiet after it.
    pub settle: Duration,
    /// Fewest cycles.
    pub min_cycles: u32,
    /// Most cycles.
    pub max_cycles: u32,
    /// Most cycles where the judge expects that they decide. The same, where somebody named how many there may be.
    pub further_cycles: u32,
    /// Share of unexpected answers (0 to 1) at which the scenario stops.
    pub max_errors: f64,
    /// The scenario goes on until it has done this many, however clear the answer is.
    pub min_operations: Option<u64>,
    /// Keys repeat after this many operations; `None` for fresh keys for ever.
    pub distinct: Option<u64>,
    /// A step before each settle phase, for example one that forces a collection.
    pub before_settle: Option<Step>,
}

impl Scenario {
    /// How long one cycle is, as far as the file says.
    pub fn cycle_length(&self) -> Duration {
        let load = match (self.load, self.pace) {
            (Load::For(time), _) => time,
            (Load::Operations(n), Pace::Open { per_second, .. }) if per_second > 0.0 => {
                Duration::try_from_secs_f64(n as f64 / per_second).unwrap_or_default()
            }
            (Load::Operations(_), _) => Duration::ZERO,
        };
        load + self.settle
    }
}

/// The pace of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Operations begin on schedule, whether or not earlier ones are done; at most this many at once.
    Open {
        /// Operations per second.
        per_second: f64,
        /// Most operations under way at once.
        most_at_once: u32,
    },
    /// So many workers, each beginning its next operation when the last is done.
    Closed {
        /// Workers.
        workers: u32,
    },
}

/// How long a load phase is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// A time.
    For(Duration),
    /// A number of operations.
    Operations(u64),
}

/// What a scenario does.
#[derive(Clone, Debug)]
pub enum Work {
    /// One step, many times, each with its follow-ups. An operation is the step with them.
    Flood {
        /// The step.
        step: Step,
        /// What follows each, in order.
        then: Vec<Step>,
    },
    /// Open a session, do a little, leave it. An operation is a session.
    Abandon {
        /// How a session begins.
        open: Opening,
        /// What is done in it.
        during: Vec<Step>,
        /// How it is left.
        leave: Leave,
    },
    /// One session over all cycles. An operation is an edit.
    LongSession {
        /// How it begins.
        open: Opening,
        /// One edit.
        edit: Step,
        /// How it ends.
        close: Leave,
    },
    /// Open, use, close, again. An operation is a connection.
    Churn {
        /// How a connection begins.
        open: Opening,
        /// How it is used.
        uses: Vec<Step>,
        /// How it ends.
        close: Leave,
    },
    /// Nothing.
    Idle,
}

/// How a session begins.
#[derive(Clone, Debug)]
pub enum Opening {
    /// A stream of server-sent events.
    Sse {
        /// Its address.
        url: Template,
        /// Headers of the request.
        headers: Vec<(String, Template)>,
    },
    /// A WebSocket.
    WebSocket {
        /// Its address: `ws://`, `http://` or a path that the target's port completes.
        url: Template,
        /// Headers of the request.
        headers: Vec<(String, Template)>,
    },
    /// A TCP or unix socket.
    Tcp {
        /// `host:port` or `unix:/path`.
        address: Template,
    },
    /// Standard input and output of the launched target.
    Stdio,
    /// A step that begins it (for example a POST whose answer holds the session's id); no connection stays.
    Step(Box<Step>),
}

/// How a session is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Orderly.
    Close,
    /// With a reset (SO_LINGER 0).
    Reset,
    /// Our writing side is shut down, our reading side stays; released before the settle phase.
    HalfOpen,
    /// We stop reading and keep the connection; released before the settle phase.
    Stall,
}

/// One thing done to the target.
#[derive(Clone, Debug)]
pub enum Step {
    /// An HTTP request.
    Http(HttpStep),
    /// A message on the open session (tcp, websocket, stdio).
    Send {
        /// The text; for stdio a line end is added.
        text: Template,
        /// Wait until the answer holds this; `None`: do not wait.
        until: Option<Template>,
        /// How long to wait.
        within: Duration,
    },
    /// A program per operation.
    Command {
        /// The program and its arguments.
        argv: Vec<Template>,
        /// Exit codes that are right.
        expect: Vec<i32>,
        /// How long it may take.
        within: Duration,
    },
}

/// An HTTP request and what is right as an answer.
#[derive(Clone, Debug)]
pub struct HttpStep {
    /// `GET`, `POST`, ...
    pub method: String,
    /// An address, or a path that the target's port completes (`/items`: `http://127.0.0.1:{{ port }}/items`).
    pub url: Template,
    /// Headers.
    pub headers: Vec<(String, Template)>,
    /// The body; JSON bodies are rendered as text, their content type is in `headers`.
    pub body: Option<Template>,
    /// Answers that are right.
    pub expect: Vec<u16>,
    /// Those of them that are operations.
    pub counts: Vec<u16>,
    /// Whether connections are kept.
    pub connection: Connection,
    /// Values taken out of a JSON answer by dot path, for later steps of the same operation.
    pub capture: BTreeMap<String, String>,
    /// Trust for https.
    pub trust: Trust,
    /// How long it may take.
    pub within: Duration,
}

/// Whether connections are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Kept for the next request.
    KeepAlive,
    /// A new one for each.
    PerRequest,
}

/// Which servers an https step believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The web's usual authorities.
    WebRoots,
    /// Those in this PEM file alone.
    Authority(PathBuf),
    /// Anybody: for a self-signed certificate on this machine.
    Anyone,
}
