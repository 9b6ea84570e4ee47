//! The engine against real servers in this process.

mod course;
mod flood;
mod pace;
mod servers;
mod sessions;
mod transport;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::*;
use crate::sample::{LoadPlan, Phase, ScenarioPlan, Shape, Smallest, Stop, Tally, Usual};
use crate::scenario::template::Template;
use crate::scenario::{Connection, HttpStep, Leave, Load, Opening, Pace, Scenario, Step, Trust, Work};
use crate::target::{Commands, GuardianProgram};

/// A stage that writes down what it is told.
#[derive(Default)]
struct FakeStage {
    counters: Arc<Counters>,
    /// Each border with the operations and own connections at it.
    borders: Mutex<Vec<(Phase, u32, u64, u64)>>,
    decide_at: Option<u32>,
    spent_at: Option<u32>,
    cycles: AtomicU64,
    ended: Event,
    interrupt: Event,
}

struct Event(tokio::sync::Semaphore);

impl Default for Event {
    fn default() -> Self {
        Self(tokio::sync::Semaphore::new(0))
    }
}

impl Event {
    fn happen(&self) {
        self.0.add_permits(1);
    }

    async fn wait(&self) {
        drop(self.0.acquire().await);
    }
}

impl Stage for FakeStage {
    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    async fn border(&self, border: Border) {
        let Border::PhaseBegins { phase, cycle } = border else { panic!("not the engine's: {border:?}") };
        let (operations, own) = (self.counters.operations.load(Relaxed), self.counters.own_connections.held());
        self.borders.lock().expect("borders").push((phase, cycle, operations, own));
    }

    async fn cycle_done(&self, cycle: u32) -> Go {
        self.cycles.store(u64::from(cycle), Relaxed);
        match (self.decide_at, self.spent_at) {
            (Some(at), _) if cycle >= at => Go::Decided,
            (_, Some(at)) if cycle >= at => Go::Spent,
            _ => Go::On,
        }
    }

    async fn target_ended(&self) {
        self.ended.wait().await;
    }

    async fn interrupted(&self) {
        self.interrupt.wait().await;
    }
}

fn template(text: &str) -> Template {
    Template::parse(text).expect(text)
}

fn http(method: &str, url: &str) -> HttpStep {
    HttpStep {
        method: method.into(),
        url: template(url),
        headers: Vec::new(),
        body: None,
        expect: vec![200],
        counts: vec![200],
        connection: Connection::KeepAlive,
        capture: BTreeMap::new(),
        trust: Trust::WebRoots,
        within: Duration::from_secs(20),
    }
}

fn flood(step: HttpStep) -> Work {
    Work::Flood { step: Step::Http(step), then: Vec::new() }
}

fn send(text: &str, until: Option<&str>) -> Step {
    Step::Send { text: template(text), until: until.map(template), within: Duration::from_secs(20) }
}

fn tcp(address: &str) -> Opening {
    Opening::Tcp { address: template(address) }
}

/// One cycle of about 100 operations by four workers.
fn scenario(work: Work) -> Scenario {
    Scenario {
        plan: ScenarioPlan {
            name: "test".into(),
            shape: Shape::Flood,
            subsystem: None,
            steps: Vec::new(),
            load: LoadPlan::default(),
            smallest: Smallest::PER_OPERATION,
            usual: Usual::default(),
            expect_cap: None,
            thresholds: Vec::new(),
            production: Vec::new(),
        },
        work,
        pace: Pace::Closed { workers: 4 },
        warmup: Duration::ZERO,
        load: Load::Operations(100),
        settle: Duration::from_millis(1),
        min_cycles: 1,
        max_cycles: 1,
        further_cycles: 0,
        max_errors: 0.0,
        min_operations: None,
        distinct: None,
        before_settle: None,
    }
}

fn around(port: u16) -> Surroundings {
    Surroundings {
        fixed: Fixed { captures: BTreeMap::from([("port".into(), port.to_string())]), ..Fixed::default() },
        seed: 7,
        allow_remote: Vec::new(),
        stdio: None,
        cwd: "/".into(),
        commands: Arc::new(Commands::new(GuardianProgram::ThisProgram)),
    }
}

/// Runs to the end, or fails: nothing here may hang.
async fn run_on(stage: &FakeStage, scenario: &Scenario, around: &Surroundings) -> (Stop, Tally) {
    tokio::time::timeout(Duration::from_secs(60), run(scenario, around, stage)).await.expect("the run ends")
}

/// Runs on a stage of its own.
async fn run_alone(scenario: &Scenario, port: u16) -> (Stop, Tally) {
    run_on(&FakeStage::default(), scenario, &around(port)).await
}
