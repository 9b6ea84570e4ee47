//! How a run ended, and which code wins.

use super::{all_but, at_rest, finding, findings, gate, plan};
use crate::attribution::tests::made_up::{self, Run, Story, quiet};
use crate::attribution::{Findings, ScenarioFinding};
use crate::exit::ExitCode;
use crate::gate::{Gate, apply};
use crate::growth::Verdict;
use crate::recording::Recording;
use crate::report::Report;
use crate::sample::{
    Border, Ending, Event, How, Inconclusive, Mark, Metric, Moment, Plan, Process, Record, Shape, Stop, Tally,
};

fn stopped(stop: Stop) -> ScenarioFinding {
    ScenarioFinding { stop: Some(stop), ..at_rest() }
}

fn killed(how: How) -> Ending {
    Ending { how, expected: false, evidence: vec!["it got signal 9".into(), "1 OOM kill".into()] }
}

#[test]
fn each_stop_has_its_code_and_its_line() {
    let tally = Tally {
        counted: 90,
        uncounted: [("429".to_owned(), 5)].into(),
        unexpected: [("500".to_owned(), 3), ("timeout".to_owned(), 2)].into(),
        first_of_kind: [("500".to_owned(), "out of space".to_owned())].into(),
        ..Tally::default()
    };
    let errors =
        "scenario flood stopped: 5 of 100 answers were not expected: 3 x 500 (the first: out of space); 2 x timeout";
    let failed = Stop::Failed { reason: "nobody listens".into() };
    for (stop, exit, line) in [
        (Some(Stop::Decided), ExitCode::Held, None),
        (Some(Stop::Spent), ExitCode::Held, None),
        (Some(Stop::Errors), ExitCode::Target, Some(errors)),
        (Some(Stop::TargetEnded), ExitCode::Target, Some("the target ended during flood: it got signal 9; 1 OOM kill")),
        (Some(failed), ExitCode::Target, Some("scenario flood could not go on: nobody listens")),
        (Some(Stop::Interrupted), ExitCode::Interrupted, Some("interrupted during flood")),
        (None, ExitCode::Inconclusive, Some("scenario flood was cut: tidewatch was ended, or is still running")),
    ] {
        let ended = ScenarioFinding {
            stop: stop.clone(),
            tally: tally.clone(),
            ending: Some(killed(How::Signalled(9))),
            ..at_rest()
        };
        let gate = gate(vec![ended], &[]);
        assert_eq!(gate.exit, exit, "{stop:?}");
        assert_eq!(gate.problems, line.into_iter().collect::<Vec<_>>(), "{stop:?}");
    }
}

#[test]
fn a_watched_program_may_end_by_itself_and_a_driven_one_may_not() {
    let expected = Ending { expected: true, ..killed(How::Signalled(15)) };
    for (ending, watched) in [
        (None, ExitCode::Held),
        (Some(killed(How::Exited(0))), ExitCode::Held),
        (Some(killed(How::Unknown)), ExitCode::Held),
        (Some(expected), ExitCode::Held),
        (Some(killed(How::Exited(1))), ExitCode::Target),
        (Some(killed(How::Signalled(9))), ExitCode::Target),
    ] {
        let mut ended = ScenarioFinding { ending: ending.clone(), ..stopped(Stop::TargetEnded) };
        assert_eq!(gate(vec![ended.clone()], &[]).exit, ExitCode::Target, "{ending:?}");
        ended.plan.shape = Shape::Watch;
        assert_eq!(gate(vec![ended], &[]).exit, watched, "{ending:?}");
    }
}

#[test]
fn the_gravest_code_wins_in_any_order() {
    let by_rank = [
        (stopped(Stop::Interrupted), ExitCode::Interrupted),
        (stopped(Stop::TargetEnded), ExitCode::Target),
        (all_but(Metric::Fds, Verdict::Unbounded), ExitCode::Crossed),
        (all_but(Metric::Fds, Verdict::Inconclusive), ExitCode::Inconclusive),
        (at_rest(), ExitCode::Held),
    ];
    for (i, (graver, exit)) in by_rank.iter().enumerate() {
        for (lesser, _) in &by_rank[i..] {
            assert_eq!(gate(vec![graver.clone(), lesser.clone()], &[]).exit, *exit);
            assert_eq!(gate(vec![lesser.clone(), graver.clone()], &[]).exit, *exit);
        }
    }
    let both = ScenarioFinding { stop: Some(Stop::TargetEnded), ..all_but(Metric::Private, Verdict::Unbounded) };
    assert_eq!(gate(vec![both], &[]).exit, ExitCode::Target);
}

#[test]
fn a_run_without_any_scenario_is_the_targets_fault() {
    let gate = gate(Vec::new(), &[]);
    assert_eq!(gate.exit, ExitCode::Target);
    assert_eq!(gate.problems, ["nothing was recorded: the run ended before its first scenario"]);
}

#[test]
fn what_was_planned_and_never_begun_is_not_held() {
    for inconclusive in [Inconclusive::Fails, Inconclusive::Passes] {
        let seen = findings(vec![at_rest()]);
        let mut plan = plan(&seen, &[], inconclusive);
        plan.scenarios.push(finding("later", Vec::new()).plan);
        let gate = apply(&plan, &seen);
        assert_eq!(gate.exit, ExitCode::Inconclusive);
        assert_eq!(gate.problems, ["scenario later was not run: the run was over before it"]);
    }
}

/// Two scenarios at rest, the second of which stops like this.
fn two(stop: Option<Stop>, inconclusive: Inconclusive) -> Story {
    let scenarios = ["one", "two"].map(|name| made_up::scenario(name, Shape::Flood, None)).to_vec();
    let mut story = Story::new(Plan { inconclusive, ..made_up::plan(Vec::new(), scenarios) });
    story.scenario(&Run::of("one", 33, 3000), |_, _| quiet());
    story.scenario(&Run { stop, ..Run::of("two", 33, 3000) }, |_, _| quiet());
    story
}

fn judged(recording: &Recording) -> Gate {
    apply(&recording.header.plan, &Findings::of(recording))
}

#[test]
fn a_recording_that_was_cut_is_never_held() {
    let whole = two(Some(Stop::Spent), Inconclusive::Fails).recording;
    assert_eq!(judged(&whole).exit, ExitCode::Held, "{:#?}", judged(&whole));
    for inconclusive in [Inconclusive::Fails, Inconclusive::Passes] {
        let cut = two(None, inconclusive).recording;
        assert_eq!(judged(&cut).exit, ExitCode::Inconclusive);
        assert!(judged(&cut).problems[0].contains("scenario two was cut"));
    }
}

fn is_end(mark: &Mark) -> bool {
    matches!(mark.border, Border::ScenarioEnds { .. })
}

#[test]
fn a_recording_cut_anywhere_is_never_held() {
    let whole = two(Some(Stop::Spent), Inconclusive::Passes).recording;
    let last = whole.records.len() - 1;
    let between = whole.records.iter().position(|record| matches!(record, Record::Mark(mark) if is_end(mark)));
    let between = between.expect("the end of the first scenario");
    for kept in (0..=last).step_by(37).chain(between - 1..between + 5).chain([last]) {
        let cut = Recording { records: whole.records[..kept].to_vec(), ..whole.clone() };
        let gate = judged(&cut);
        assert_ne!(gate.exit, ExitCode::Held, "{kept} of {last}");
        assert!(!gate.problems.is_empty(), "{kept} of {last}");
    }
}

#[test]
fn an_interrupt_told_by_the_footer_alone_wins() {
    let interrupted = |mut recording: Recording| {
        recording.footer.as_mut().expect("a footer").interrupted = true;
        Report::of(recording)
    };
    let finished = || two(Some(Stop::Spent), Inconclusive::Fails).finish();
    assert_eq!(Report::of(finished()).gate.exit, ExitCode::Held);
    assert_eq!(interrupted(finished()).gate.exit, ExitCode::Interrupted);
    let dead = || two(Some(Stop::TargetEnded), Inconclusive::Fails).finish();
    assert_eq!(Report::of(dead()).gate.exit, ExitCode::Target);
    assert_eq!(interrupted(dead()).gate.exit, ExitCode::Interrupted);
}

#[test]
fn the_end_of_a_target_is_taken_from_its_recording() {
    let mut story = two(Some(Stop::TargetEnded), Inconclusive::Fails);
    let ending = killed(How::Signalled(9));
    let process = Process { pid: 4242, start: 0 };
    let end = story.recording.records.pop().expect("the end of the scenario");
    let event = Event::TargetEnds { process, ending };
    story.recording.records.extend([Record::Event { at: Moment(end.at().0), event }, end]);
    let gate = judged(&story.finish());
    assert_eq!(gate.problems, ["the target ended during two: it got signal 9; 1 OOM kill"]);
}
