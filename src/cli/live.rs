//! A live run: runtime, signals, progress, session, outcome.

use std::sync::Arc;

use anyhow::Context as _;

use super::failure::Failure;
use super::options::Recorded;
use super::{outcome, progress, screen, signals};
use crate::exit::ExitCode;
use crate::gate::Threshold;
use crate::recording::Mode;
use crate::run_dir::RunDir;
use crate::sample::{Metric, Plan};
use crate::session::{self, Errand, Live, Request, SessionError};
use crate::target::{Blame, TargetError};

impl Request {
    /// A request in the words of the command line.
    pub(super) fn new(
        mode: Mode,
        run_dir: Arc<RunDir>,
        recorded: &Recorded,
        thresholds: Vec<String>,
        mut errand: Errand,
    ) -> Self {
        if let Errand::Watch(watch) = &mut errand {
            watch.plan.thresholds = thresholds;
        }
        let plan = match &errand {
            Errand::Drive(script) => &script.plan,
            Errand::Watch(watch) => &watch.plan,
        };
        let gated = plan.scenarios.iter().map(|one| (one.name.clone(), gated(plan, &one.thresholds))).collect();
        let (interval, budget) = (recorded.interval, recorded.budget / 100.0);
        Self { mode, run_dir, interval, budget, errand, gated, inconclusive: recorded.inconclusive.into() }
    }
}

/// The metrics that the thresholds of a scenario speak of; the default gate's where there are none.
fn gated(plan: &Plan, own: &[String]) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = plan
        .thresholds
        .iter()
        .chain(own)
        .filter_map(|text| text.parse::<Threshold>().ok())
        .map(|threshold| threshold.metric)
        .collect();
    metrics.sort();
    metrics.dedup();
    if metrics.is_empty() { Metric::GATED.to_vec() } else { metrics }
}

/// Carries out a request and tells the outcome.
pub fn carry_out(request: Request, recorded: &Recorded) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the machine refused threads")
        .map_err(Failure::target)?;
    let live = Live::default();
    screen::conceal(request.redactor());
    let run_dir = Arc::clone(&request.run_dir);
    let scripted = matches!(request.errand, Errand::Drive(_));
    let interrupted = signals::listen().context("could not listen for signals").map_err(Failure::target)?;
    let result = runtime.block_on(async {
        let shown = progress::Shown::begin(&live, run_dir.path(), scripted);
        let result = session::run(request, &live, interrupted.clone()).await;
        shown.end().await;
        result
    });
    // Blocking reads still under way must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(()) => outcome::tell_run(&run_dir, outcome::Form::asked(recorded.json)),
        Err(_) if *interrupted.borrow() => {
            outcome::tell_run(&run_dir, outcome::Form::asked(recorded.json)).map(|code| code.or(ExitCode::Interrupted))
        }
        Err(error) => Err(session_failure(error, run_dir.path())),
    }
}

/// What a person is told when the target cannot be found or started.
pub fn target_failure(error: TargetError) -> Failure {
    match error.blame() {
        Blame::CommandLine => Failure::usage(error),
        Blame::Target => Failure::target(error),
    }
}

fn session_failure(error: SessionError, folder: &std::path::Path) -> Failure {
    match error {
        SessionError::Target(error) => target_failure(error),
        SessionError::RecordingBroke(reason) => Failure::target(anyhow::anyhow!(
            "{reason}; what was recorded until then: tidewatch report {}",
            folder.display()
        )),
        other => Failure::target(other),
    }
}
